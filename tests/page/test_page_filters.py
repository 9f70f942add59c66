# SPDX-License-Identifier: Apache-2.0
"""Filters and opened nodes in a real browser, against what plain Python says of the same fleet."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests import fleets
from tests.page.browsing import Shower, visible

NODES = fleets.fleet(160, 40)["nodes"]
NODES[7]["installed"] = {"driver": "23.0.RC3", "torch": "2.1.0"}
# New in one component, long known in another.
NODES[8] = fleets.node(
    "npu-0009",
    [
        fleets.finding("npu-0009", fleets.FAULTS[2]),
        fleets.finding("npu-0009", fleets.FAULTS[4], "2026-02-20T01:30:00Z"),
    ],
    ("ascend", "rack_01"),
)
FLEET = fleets.report(NODES)


def expected(text: str = "", state: str = "", group: str = "", component: str = "") -> set[str]:
    """Return the names of the nodes of ``FLEET`` that fit."""
    return {node["name"] for node in FLEET["nodes"] if fits(node, text, state, group, component)}


def fits(node: dict[str, Any], text: str, state: str, group: str, component: str) -> bool:
    words = [node["name"], *node["groups"], *node["installed"].values()]
    words += [finding["problem"] for finding in node["findings"]]
    found = [finding for finding in node["findings"] if component in ("", finding["component"])]
    if state == "new":
        found = [finding for finding in found if finding["status"] == "new"]
    return (
        all(any(part in word.lower() for word in words) for part in text.lower().split())
        and state in ("", "new", node["state"])
        and group in ("", *node["groups"])
        and bool(found or (not component and state != "new"))
    )


def choose(tab: Page, text: str = "", **selects: str) -> None:
    tab.get_by_role("searchbox").fill(text)
    for name, value in selects.items():
        tab.locator(f"#{name}").select_option(value)


FILTERS = [
    {"text": "NPU-001"},
    {"text": "link is not"},
    {"text": "23.0.rc3"},
    {"text": "rack_03 toolkit"},
    {"text": "left<b>over"},
    {"text": "no node has this"},
    {"state": "clean"},
    {"state": "drifted"},
    {"state": "unchecked"},
    {"state": "new"},
    {"group": "rack_02"},
    {"component": "cann"},
    {"component": "access"},
    {"state": "new", "component": "env"},
    {"state": "drifted", "group": "rack_07", "component": "network"},
    {"text": "altered", "state": "drifted", "component": "env"},
]


def test_a_filter_leaves_the_nodes_that_fit(show: Shower) -> None:
    tab = show(FLEET)
    for filters in FILTERS:
        wanted = expected(**filters)
        choose(tab, **filters)
        assert set(visible(tab)) == wanted, filters
        expect(tab.locator("#shown")).to_have_text(f"{len(wanted)} of 160 nodes")
        assert tab.locator("#nothing").is_visible() == (not wanted)
        tab.get_by_role("button", name="Reset").click()
        assert len(visible(tab)) == 160, filters


@pytest.mark.parametrize("filters", [FILTERS[3], FILTERS[-1]], ids=("text", "all"))
def test_an_address_leaves_the_nodes_that_fit(show: Shower, filters: dict[str, str]) -> None:
    assert set(visible(show(FLEET, urlencode(filters)))) == expected(**filters)


def test_the_samples_tell_the_filters_apart() -> None:
    assert 0 < len(expected(state="new", component="env")) < len(expected(state="new") & expected(component="env"))
    sizes = [len(expected(**filters)) for filters in FILTERS]
    assert sizes.count(0) == 1
    assert max(sizes) < 160


def test_the_address_holds_the_filters(show: Shower) -> None:
    tab = show(FLEET)
    choose(tab, text="a & b=c #", state="drifted")
    tab.wait_for_url("**#*state=drifted*")
    assert parse_qs(urlsplit(tab.url).fragment) == {"text": ["a & b=c #"], "state": ["drifted"]}
    tab.get_by_role("button", name="Reset").click()
    tab.wait_for_url("**/index.html")


def test_an_address_that_nobody_offers_hides_no_node(show: Shower) -> None:
    tab = show(FLEET, "group=rack_99&state=odd&component=%zz&other=1")
    assert len(visible(tab)) == 160
    assert tab.locator("#reset").is_hidden()
    tab.evaluate("location.hash = '#alike=000000000000'")
    expect(tab.locator("#alike")).to_have_text("not in this report \u00d7")
    assert visible(tab) == []


def test_a_common_finding_leads_to_its_nodes(show: Shower) -> None:
    tab = show(FLEET)
    line = tab.locator(".common li").first
    words = line.locator(".words").inner_text()
    wanted = {node["name"] for node in FLEET["nodes"] if any(f["problem"] == words for f in node["findings"])}
    assert line.locator("a").inner_text() == f"{len(wanted)} nodes"
    line.locator("a").click()
    expect(tab.locator("#shown")).to_have_text(f"{len(wanted)} of 160 nodes")
    assert set(visible(tab)) == wanted
    tab.locator("#alike").click()
    assert len(visible(tab)) == 160


def test_a_count_leads_to_its_nodes(show: Shower) -> None:
    tab = show(FLEET)
    tab.locator("#count-unchecked a").click()
    expect(tab.locator("#state")).to_have_value("unchecked")
    assert set(visible(tab)) == expected(state="unchecked")


def drifted(level: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the first node with a finding of that level, and the finding."""
    return next((n, f) for n in FLEET["nodes"] for f in n["findings"] if f["level"] == level)


def row(tab: Page, name: str) -> Any:
    return tab.locator("tr.node").filter(has=tab.get_by_role("button", name=name))


def holds(tab: Page, node: dict[str, Any]) -> None:
    """Check that the opened node says all of its findings and what is installed."""
    opened = row(tab, node["name"]).locator("+ tr.detail")
    expect(opened).to_be_visible()
    articles = {article.get_attribute("id"): article for article in opened.locator("article").all()}
    assert set(articles) == {f"finding-{finding['id']}" for finding in node["findings"]}
    for finding in node["findings"]:
        article = articles[f"finding-{finding['id']}"]
        assert article.locator("dd").all_text_contents() == [finding[key] for key in ("wanted", "found", "where")]
        assert article.locator("code").text_content() == finding["remedy"]
        seen = "new" if finding["status"] == "new" else f"since {finding['first_seen'][:10]} (10 days)"
        assert seen in article.locator("p").inner_text()
    told = opened.locator(".about-node dd").all_text_contents()
    assert told == [", ".join(node["groups"]), node["release"], *node["installed"].values()]


def test_a_click_opens_and_closes_a_node(show: Shower) -> None:
    node, _ = drifted("change")
    tab = show(FLEET)
    button = row(tab, node["name"]).get_by_role("button")
    expect(button).to_have_attribute("aria-expanded", "false")
    row(tab, node["name"]).locator("td").last.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    holds(tab, node)
    button.click()
    expect(row(tab, node["name"]).locator("+ tr.detail")).to_be_hidden()


def test_a_clean_node_opens_too(show: Shower) -> None:
    node = next(node for node in FLEET["nodes"] if node["state"] == "clean")
    tab = show(FLEET)
    row(tab, node["name"]).get_by_role("button").click()
    holds(tab, node)


def test_a_cell_marks_the_findings_of_its_component(show: Shower) -> None:
    node = next(node for node in FLEET["nodes"] if len({f["component"] for f in node["findings"]}) > 1)
    component = node["findings"][-1]["component"]
    tab = show(FLEET)
    row(tab, node["name"]).locator("td").nth(fleets.COMPONENTS.index(component)).click()
    marked = tab.locator("article.chosen").evaluate_all("all => all.map((each) => each.id)")
    assert set(marked) == {f"finding-{f['id']}" for f in node["findings"] if f["component"] == component}


def test_the_keyboard_alone_is_enough(show: Shower) -> None:
    tab = show(FLEET)
    tab.keyboard.press("/")
    expect(tab.locator("#text")).to_be_focused()
    tab.keyboard.type("toolkit")
    names = visible(tab)
    assert set(names) == expected(text="toolkit")
    assert len(names) > 2
    for _ in range(10):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.closest('tr.node') !== null"):
            break
    buttons = [row(tab, name).get_by_role("button") for name in names[:3]]
    expect(buttons[0]).to_be_focused()
    tab.keyboard.press("j")
    tab.keyboard.press("ArrowDown")
    expect(buttons[2]).to_be_focused()
    tab.keyboard.press("k")
    expect(buttons[1]).to_be_focused()
    tab.keyboard.press("Enter")
    holds(tab, next(node for node in FLEET["nodes"] if node["name"] == names[1]))
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.closest('tr.detail') !== null")
    tab.keyboard.press("Escape")
    expect(buttons[1]).to_be_focused()
    expect(buttons[1]).to_have_attribute("aria-expanded", "false")
    tab.keyboard.press("/")
    tab.keyboard.press("Escape")
    expect(tab.locator("#text")).to_have_value("")
    assert len(visible(tab)) == 160


def test_letters_in_the_text_filter_are_text(show: Shower) -> None:
    tab = show(FLEET)
    tab.locator("#text").press_sequentially("j/k")
    expect(tab.locator("#text")).to_have_value("j/k")


def test_one_row_is_a_stop_of_the_tab_key(show: Shower) -> None:
    tab = show(FLEET)
    tab.keyboard.press("j")
    tab.keyboard.press("j")
    assert tab.locator("tr.node button[tabindex='0']").count() == 1


def test_a_link_to_a_finding_opens_it(show: Shower) -> None:
    node, finding = drifted("warning")
    tab = show(FLEET, f"finding-{finding['id']}")
    holds(tab, node)
    expect(tab.locator(f"#finding-{finding['id']}")).to_be_in_viewport()
    choose(tab, text="no node has this")
    assert visible(tab) == []
    tab.locator(".lines a[href^='#finding']").first.click()
    expect(tab.locator("article:target")).to_be_in_viewport()
    expect(tab.locator("#text")).to_have_value("")


def test_a_link_to_a_finding_that_is_gone_says_so(show: Shower) -> None:
    tab = show(FLEET, "finding-0000000000000000")
    expect(tab.locator("#missing")).to_be_visible()
    tab.evaluate("location.hash = '#state=clean'")
    expect(tab.locator("#missing")).to_be_hidden()


def test_copy_puts_the_command_into_the_clipboard(show: Shower) -> None:
    _, finding = drifted("change")
    tab = show(FLEET, f"finding-{finding['id']}", permissions=["clipboard-read", "clipboard-write"])
    button = tab.locator(f"#finding-{finding['id']}").get_by_role("button")
    button.click()
    expect(button).to_have_text("Copied")
    assert tab.evaluate("navigator.clipboard.readText()") == finding["remedy"]


def test_copy_works_where_the_clipboard_is_not_offered(show: Shower) -> None:
    _, finding = drifted("refusal")
    tab = show(FLEET, f"finding-{finding['id']}", permissions=["clipboard-read", "clipboard-write"])
    tab.evaluate("navigator.clipboard.writeText('something else')")
    tab.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
    button = tab.locator(f"#finding-{finding['id']}").get_by_role("button")
    button.click()
    expect(button).to_have_text("Copied")
    assert tab.evaluate("navigator.clipboard.readText()") == finding["remedy"]
    # What is selected now must not keep the keyboard from opening nodes.
    tab.keyboard.press("j")
    tab.keyboard.press("Enter")
    expect(tab.locator("tr.node.open")).to_have_count(2)
