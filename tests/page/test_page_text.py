# SPDX-License-Identifier: Apache-2.0
"""The page as text, without a browser: what is in it, and that nothing is left out in silence."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import jinja2
import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.links import link_to
from tests import fleets
from tests.page.browsing import TEMPLATES, rendered
from tests.page.nights import NIGHTS

# Nothing of these is shown; the page is drawn from the nodes.
MENTIONED = ("node", "id", "component", "level", "name", "subject", "problem", "first_seen", "last_seen")
NOT_SHOWN = {("schema",), ("nodes", "seconds"), ("trend", "nodes"), ("counts", "by_component")}
NOT_SHOWN |= {("changes", "new", key) for key in MENTIONED}
NOT_SHOWN |= {("changes", "gone", key) for key in ("id", "subject", "last_seen")}
NOT_SHOWN |= {
    ("between", "findings", "subject"),
    ("between", "remarks", "subject"),
    ("between", "remarks", "component"),
}


def fields(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of all fields, through the first entry of a list."""
    if isinstance(value, list):
        yield from fields(next(iter(value), None), path)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            # Components and installed things are names of the fleet, not of the form.
            if key not in ("installed", "components", "by_component"):
                yield from fields(inner, (*path, key))


def without(fleet: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return the fleet without the field, in every entry of a list."""
    less = copy.deepcopy(fleet)
    places: list[Any] = [less]
    for key in path[:-1]:
        inner = [place[key] for place in places]
        places = [entry for each in inner for entry in (each if isinstance(each, list) else [each])]
    for place in places:
        del place[path[-1]]
    return less


def full() -> dict[str, Any]:
    """A fleet with something in every list."""
    fleet = {**fleets.fleet(3, 3), "limit": "prod"}
    for node in fleet["nodes"]:
        node["remarks"] = [fleets.remark("cann", "cann-layout-unknown", "CANN has an undocumented layout")]
    fleet["between"]["findings"] = [fleets.finding("the fleet", fleets.FAULTS[0], "2026-02-20T01:30:00Z")]
    fleet["between"]["remarks"] = [fleets.remark("driver", "drivers-not-alike", "drivers differ")]
    return fleet


FIELDS = sorted(set(fields(full())) - NOT_SHOWN)


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_a_field_that_is_not_there_raises(path: tuple[str, ...]) -> None:
    with pytest.raises((KeyError, jinja2.UndefinedError)):
        rendered(without(full(), path))


def test_every_field_that_the_page_shows_was_tried() -> None:
    assert len(FIELDS) > 40
    assert {("nodes", "findings", "remedy"), ("nodes", "remarks", "remedy")} <= set(FIELDS)


def test_the_same_fleet_gives_the_same_page() -> None:
    assert rendered(fleets.fleet(40)) == rendered(fleets.fleet(40))


def test_rendering_leaves_the_fleet_as_it_is() -> None:
    fleet = fleets.fleet(40)
    before = copy.deepcopy(fleet)
    rendered(fleet)
    assert fleet == before


def test_the_page_of_a_thousand_nodes_is_small() -> None:
    assert len(rendered(fleets.fleet(1000)).encode()) < 500_000
    assert len(rendered(NIGHTS[1000]()).encode()) < 1_000_000


def test_nodes_are_drawn_the_worst_first() -> None:
    refusal, change, _, _, _, _, warning = (fleets.finding("node", row) for row in fleets.FAULTS[:7])
    change, unchecked = fleets.finding("node", fleets.FAULTS[3]), fleets.finding("node", fleets.FAULTS[-1])
    nodes = [
        fleets.node("a", []),
        fleets.node("b", [warning]),
        fleets.node("c", [change]),
        fleets.node("d", [warning, change]),
        fleets.node("e", [refusal]),
        fleets.node("f", [unchecked]),
        fleets.node("g", [change]),
    ]
    names = re.findall(r'<details class="node[^>]*><summary>.*? <b>(.)</b>', rendered(fleets.report(nodes)))
    assert names == ["f", "e", "d", "c", "g", "b", "a"]


def test_alike_findings_count_nodes_and_are_alike_up_to_a_colon() -> None:
    refusal, toolkit = fleets.FAULTS[0], fleets.FAULTS[2]
    other = (*toolkit[:4], "toolkit 8.0.RC1 is altered: two files are gone", *toolkit[5:])
    card = (*refusal[:3], "5", *refusal[4:])
    nodes = [
        fleets.node("a", [fleets.finding("a", toolkit)]),
        fleets.node("b", [fleets.finding("b", other)]),
        fleets.node("c", [fleets.finding("c", refusal), fleets.finding("c", card)]),
    ]
    text = rendered(fleets.report(nodes))
    lines = re.findall(r'class="many"><i class="(\w+)">.*?<b>(.*?)</b>.*?<h3>(.*?)</h3>(.*?)</article>', text, re.S)
    assert [line[:3] for line in lines] == [
        ("change", "2 nodes", "toolkit 8.0.RC1 is altered"),
        ("refusal", "1 node", "cards are not healthy"),
    ]
    assert re.findall('<p class="words">(.*?)</p>', lines[0][3]) == [f"1 node: {row[4]}" for row in (toolkit, other)]
    assert "2 findings" in lines[1][3]


def test_a_remark_is_shown_on_a_clean_page() -> None:
    remark = fleets.remark("cann", "cann-layout-unknown", "CANN lies <i>otherwise</i>")
    nodes = [{**fleets.node(name, []), "remarks": [remark]} for name in "ab"]
    text = rendered(fleets.report(nodes))
    assert text.count("<h3>CANN lies &lt;i&gt;otherwise&lt;/i&gt;</h3>") == 1
    assert text.count("</i> CANN lies &lt;i&gt;otherwise&lt;/i&gt;</h3>") == 2, "each node says it"
    assert "All 2 nodes match the inventory." in text
    assert "Nothing." in text
    assert 'id="remarks"' not in rendered(fleets.fleet(2))


def test_the_policy_lets_only_the_pages_own_text_run() -> None:
    text = rendered(fleets.fleet(2))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy[1]
    assert set(rules) == {"default-src", "style-src", "script-src", "base-uri", "form-action"}


def hostile() -> dict[str, Any]:
    words = "</script><a href='https://x.example'>\u202e\" #&%"
    node = fleets.node(words, [fleets.finding(words, fleets.FAULTS[0])], (words, "rack_<1>"))
    return fleets.report([node, *fleets.fleet(40, 40)["nodes"]])


def test_every_link_leads_to_a_place_of_the_page_or_to_the_docs() -> None:
    for fleet in (full(), hostile(), NIGHTS[1000]()):
        text = rendered(fleet)
        assert not re.search(r"(?:src|action|srcset)=|@import|url\(", text)
        places = re.findall(r' id="([^"]*)"', text)
        assert len(places) == len(set(places))
        leads = set(re.findall(r'href="([^"]*)"', text))
        assert {lead[1:] for lead in leads if lead[0] == "#"} <= set(places)
        found = [f for node in fleet["nodes"] for f in [*node["findings"], *node["remarks"]]]
        found += [*fleet.get("depot", []), *fleet["between"]["findings"], *fleet["between"]["remarks"]]
        assert {lead for lead in leads if lead[0] != "#"} == {link_to(finding["name"]) for finding in found}


def test_equal_installed_values_are_carried_once_and_others_named() -> None:
    nodes = fleets.fleet(100, 0)["nodes"]
    nodes[3]["installed"] = {**nodes[3]["installed"], "driver": "23.0.3"}
    text = rendered(fleets.report(nodes))
    assert re.findall('class="set"><summary>(.*?)</summary>', text) == [
        "set 1: 99 nodes",
        "set 2: 1 node, driver 23.0.3",
    ]
    assert text.count("<dt>firmware</dt>") == 2
    assert text.count('href="#installed-1"') == 99


def test_words_cannot_end_the_script_or_become_markup() -> None:
    text = rendered(hostile())
    assert text.count("</script>") == 1
    assert "x.example'>" not in text


def test_what_cannot_be_encoded_is_no_hindrance() -> None:
    fleet = fleets.fleet(1, 1)
    fleet["nodes"][0]["findings"][0].update(problem="\udcff\x00\x1b[31m", found="\ud800")
    assert rendered(fleet).encode("utf-8", "replace")


@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_any_length_of_the_trend_is_drawn(count: int) -> None:
    fleet = fleets.fleet(3)
    fleet["trend"] = ([*fleet["trend"], fleet["trend"][-1]])[:count]
    text = rendered(fleet)
    assert text.count("<g><title>") == (count if count > 1 else 0)
    assert ("The trend begins with the second complete report." in text) == (count < 2)


def test_templates_are_those_of_the_role() -> None:
    assert sorted(path.name for path in TEMPLATES.iterdir() if path.name.startswith(("page", "index"))) == [
        "index.html.j2",
        "page.css",
        "page.js",
    ]
