# SPDX-License-Identifier: Apache-2.0
"""The page as text, without a browser: what is in it, and that nothing is left out in silence."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import jinja2
import pytest

from tests import fleets
from tests.page.browsing import TEMPLATES, rendered

# Nothing of these is shown; the page is drawn from the nodes.
NOT_SHOWN = {("schema",), ("nodes", "seconds"), ("changes", "new", "name"), ("changes", "gone", "name")}
NOT_SHOWN |= {("changes", kind, key) for kind in ("new", "gone") for key in ("subject", "first_seen", "last_seen")}
NOT_SHOWN |= {("changes", "gone", "id"), ("trend", "nodes")}
NOT_SHOWN |= {("between", "findings", key) for key in ("component", "level", "name", "subject", "first_seen", "status")}
NOT_SHOWN |= {("between", "remarks", key) for key in ("component", "name", "subject", "wanted")}


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
    fleet = fleets.fleet(3, 3)
    for node in fleet["nodes"]:
        node["remarks"] = [fleets.remark("cann", "cann-layout-unknown", "CANN has an undocumented layout")]
    fleet["between"]["findings"] = [fleets.finding("the fleet", fleets.FAULTS[0])]
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
    assert len(rendered(fleets.fleet(1000)).encode()) < 1_000_000


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
    names = re.findall(r'<th scope="row"><button[^>]*><span>(.)</span>', rendered(fleets.report(nodes)))
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
    lines = re.findall(
        r'<li><i class="(\w+)">.*?</i> <a href="#alike=.*?>(.*?)</a>(.*?)</li>', rendered(fleets.report(nodes))
    )
    told = [(level, count, re.sub(r"<[^>]*>", "", rest).strip()) for level, count, rest in lines]
    assert told == [
        ("change", "2 nodes", "cann toolkit 8.0.RC1 is altered ..."),
        ("refusal", "1 node", "cards cards are not healthy 2 findings"),
    ]


def test_a_remark_is_shown_on_a_clean_page_and_found_by_its_words() -> None:
    remark = fleets.remark("cann", "cann-layout-unknown", "CANN lies <i>otherwise</i>")
    nodes = [{**fleets.node(name, []), "remarks": [remark]} for name in "ab"]
    text = rendered(fleets.report(nodes))
    shown = re.findall(r'<li><i class="remark">remark</i> (.*?)</li>', text)
    assert [re.sub(r"<[^>]*>", "", each) for each in shown] == ["2 nodes cann CANN lies &lt;i&gt;otherwise&lt;/i&gt;"]
    assert text.count('<article class="cann">') == 2, "each node's row opens it"
    assert "All 2 nodes are as the inventory says." in text
    found = re.search(r'id="data">(.*?)</script>', text, re.S)
    assert found
    assert [node["remarks"] for node in json.loads(found[1])["nodes"]] == [[remark["problem"]]] * 2
    assert "Remarks" not in rendered(fleets.fleet(2))


def test_the_policy_lets_only_the_pages_own_text_run() -> None:
    text = rendered(fleets.fleet(2))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy[1]
    assert set(rules) == {"default-src", "style-src", "script-src", "base-uri", "form-action"}


def test_nothing_leads_out_of_the_page() -> None:
    text = rendered(fleets.fleet(20, 20))
    assert set(re.findall(r'(?:href|src|action|srcset)="(.)', text)) == {"#"}
    assert not re.search(r"https?://|@import|url\(", text)


def test_equal_installed_values_are_carried_once() -> None:
    found = re.search(r'id="data">(.*?)</script>', rendered(fleets.fleet(100, 0)), re.S)
    assert found
    data = json.loads(found[1])
    assert len(data["installed"]) == 1
    assert len(data["nodes"]) == 100


def test_words_cannot_end_the_embedded_data() -> None:
    fleet = fleets.fleet(1, 1)
    fleet["nodes"][0]["findings"][0]["problem"] = "</script><!--<script>"
    assert rendered(fleet).count("</script>") == 2


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
    assert ("The trend begins with the second whole report." in text) == (count < 2)


def test_templates_are_those_of_the_role() -> None:
    assert sorted(path.name for path in TEMPLATES.iterdir() if path.name.startswith(("page", "index"))) == [
        "index.html.j2",
        "page.css",
        "page.js",
    ]


def test_both_ways_to_the_dark_theme_have_the_same_colours() -> None:
    style = (TEMPLATES / "page.css").read_text()
    dark = re.findall(r"\{\s*color-scheme: dark;(.*?)\}", style, re.S)
    assert len(dark) == 2
    assert dark[0].split() == dark[1].split()
