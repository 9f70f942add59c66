# SPDX-License-Identifier: Apache-2.0
"""From a cause to its nodes to one node, by pointer, keyboard, address and search, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import fleets
from tests.page.browsing import Shower, node_of, visible

NODES = fleets.fleet(160, 40)["nodes"]
NODES[7]["installed"] = {"driver": "23.0.RC3", "torch": "2.1.0"}
FLEET = fleets.report(NODES)


def expected(text: str) -> set[str]:
    """Return the names of the nodes of ``FLEET`` that say each of these words."""
    return {node["name"] for node in FLEET["nodes"] if all(part in said(node) for part in text.lower().split())}


def said(node: dict[str, Any]) -> str:
    words = [node["name"], node["state"], *node["groups"], *node["installed"].values()]
    words += [word for finding in node["findings"] for word in finding.values()]
    return "\n".join(words).lower()


def found(level: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the first node with a finding of that level, and the finding."""
    return next((n, f) for n in FLEET["nodes"] for f in n["findings"] if f["level"] == level)


def holds(tab: Page, node: dict[str, Any]) -> None:
    """Check that the opened node says all of its findings, and leads to what is installed."""
    body = node_of(tab, node["name"]).locator("> div")
    expect(body).to_be_visible()
    articles = {article.get_attribute("id"): article for article in body.locator("article").all()}
    assert set(articles) == {f"finding-{finding['id']}" for finding in node["findings"]}
    for finding in node["findings"]:
        article = articles[f"finding-{finding['id']}"]
        assert article.locator("dd").all_text_contents() == [finding[key] for key in ("wanted", "found", "where")]
        assert article.locator("code, .sentence").text_content() == finding["remedy"]
        since = "new" if finding["status"] == "new" else f"since {finding['first_seen'][:10]} (10 days)"
        assert since in article.locator("p").first.inner_text()
        places = {"node": f"on {node['name']}:", "control": "on the control node:", "": ""}
        place = article.locator(".command, .sentence").evaluate("each => each.previousElementSibling.textContent")
        assert place == (places[finding["run_on"]] or article.locator("dl").text_content())
    words = body.locator("> p").last.inner_text()
    assert f"groups: {', '.join(node['groups'])}" in words
    assert f"release: {node['release']}" in words
    link = body.locator("a[href^='#installed']")
    if node["installed"]:
        values = tab.locator(str(link.get_attribute("href"))).locator("dd").all_text_contents()
        assert values == list(node["installed"].values())
    else:
        assert "what is installed is not known" in words


SEARCHES = (
    "NPU-001", "link is not", "23.0.rc3", "rack_03 toolkit", "left<b>over", "no node has this", "clean rack_02",
    "drifted", "unchecked", "rack_07", "unreachable",
)  # fmt: skip


def test_a_search_leaves_the_nodes_that_say_it(show: Shower) -> None:
    tab = show(FLEET)
    assert visible(tab) == []
    for text in SEARCHES:
        wanted = expected(text)
        tab.locator("#text").fill(text)
        assert set(visible(tab)) == wanted, text
        expect(tab.locator("#shown")).to_have_text(f"{len(wanted)} of 160 nodes")
        assert tab.locator("#nothing").is_visible() == (not wanted)
    tab.locator("#text").fill("")
    expect(tab.locator("#shown")).to_have_text("160 nodes")
    assert tab.locator(".rack:visible").count() == 10
    assert visible(tab) == []


def test_the_samples_tell_the_searches_apart() -> None:
    sizes = [len(expected(text)) for text in SEARCHES]
    assert sizes.count(0) == 1
    assert max(sizes) < 160


@pytest.mark.parametrize("script", [True, False], ids=("script", "no-script"))
def test_a_cause_leads_to_its_nodes_and_to_one(show: Shower, script: bool) -> None:
    tab = show(FLEET, java_script_enabled=script)
    cause = tab.locator(".cause").first
    words = cause.locator("h3").inner_text()
    alike = [node for node in FLEET["nodes"] if any(finding["problem"] == words for finding in node["findings"])]
    assert cause.locator(".many b").inner_text() == f"{len(alike)} nodes"
    cause.locator("details.where > summary").click()
    links = cause.locator("details.where a:visible")
    assert set(links.all_inner_texts()) == {node["name"] for node in alike}
    name = links.last.inner_text()
    links.last.click()
    holds(tab, next(node for node in alike if node["name"] == name))
    expect(node_of(tab, name).locator("summary")).to_be_in_viewport()


def test_a_command_says_on_which_machine_it_is_typed(show: Shower) -> None:
    rows = {"a": [6, 1, 7], "b": [6, 1], "c": [9]}
    nodes = [fleets.node(name, [fleets.finding(name, fleets.FAULTS[row]) for row in of]) for name, of in rows.items()]
    fleet = fleets.report(nodes)
    fleet["depot"] = [fleets.finding("control node", (*fleets.FAULTS[0][:8], "df -h /srv/ascend-depot"))]
    tab = show(fleet)
    places = {each.locator("code, .sentence").first.inner_text(): each for each in tab.locator(".cause .next").all()}
    said = {text.split()[0]: each.inner_text().partition("\n")[0] for text, each in places.items()}
    assert said == {
        "df": "on the control node:",
        "hccn_tool": "on each node:",
        "install": fleets.FAULTS[1][8],
        "systemctl": "on a:",
        "ansible": "on the control node:",
    }


@pytest.mark.parametrize("script", [True, False], ids=("script", "no-script"))
def test_a_rack_opens_to_its_nodes_and_a_node_to_its_findings(show: Shower, script: bool) -> None:
    tab = show(FLEET, java_script_enabled=script)
    node, _ = found("change")
    rack = tab.locator("details.rack").filter(has=node_of(tab, node["name"]))
    rack.locator("> summary").click()
    assert {f"npu-{n:04d}" for n in range(1, 161)} > set(visible(tab)) == set(rack.locator(".node b").all_inner_texts())
    assert len(visible(tab)) == 16
    node_of(tab, node["name"]).locator("summary").click()
    holds(tab, node)
    clean = rack.locator(".node.clean b").first.inner_text()
    node_of(tab, clean).locator("summary").click()
    holds(tab, next(each for each in FLEET["nodes"] if each["name"] == clean))


def test_the_keyboard_alone_is_enough(show: Shower) -> None:
    tab = show(FLEET)
    focused = "document.activeElement"
    tab.keyboard.press("/")
    expect(tab.locator("#text")).to_be_focused()
    assert tab.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
    tab.keyboard.type("toolkit/")
    expect(tab.locator("#text")).to_have_value("toolkit/")
    tab.keyboard.press("Backspace")
    names = visible(tab)
    assert set(names) == expected("toolkit")
    tab.keyboard.press("Enter")
    expect(node_of(tab, names[0]).locator("summary")).to_be_focused()
    assert tab.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
    tab.keyboard.press("Enter")
    holds(tab, next(node for node in FLEET["nodes"] if node["name"] == names[0]))
    tab.keyboard.press("Tab")
    assert tab.evaluate(f"{focused}.closest('article') !== null")
    tab.keyboard.press("Escape")
    expect(tab.locator("#text")).to_have_value("")
    expect(tab.locator("#shown")).to_have_text("160 nodes")


def test_a_link_to_a_finding_opens_it(show: Shower) -> None:
    node, finding = found("warning")
    tab = show(FLEET, f"finding-{finding['id']}")
    holds(tab, node)
    expect(tab.locator("article:target")).to_be_in_viewport()
    tab.locator("#text").fill("no node has this")
    assert visible(tab) == []
    tab.evaluate("location.hash = ''")
    tab.evaluate(f"location.hash = 'finding-{finding['id']}'")
    expect(tab.locator("article:target")).to_be_in_viewport()


def test_a_link_to_a_finding_that_is_gone_says_so(show: Shower) -> None:
    tab = show(FLEET, "finding-0000000000000000")
    expect(tab.locator("#missing")).to_be_visible()
    tab.evaluate("location.hash = '#nodes'")
    expect(tab.locator("#missing")).to_be_hidden()
    tab.evaluate("location.hash = '#%zz'")
    expect(tab.locator("#missing")).to_be_hidden()


def test_copy_puts_the_command_into_the_clipboard(show: Shower) -> None:
    _, finding = found("change")
    tab = show(FLEET, f"finding-{finding['id']}", permissions=["clipboard-read", "clipboard-write"])
    button = tab.locator(f"#finding-{finding['id']}").get_by_role("button")
    button.click()
    expect(button).to_have_text("Copied")
    assert tab.evaluate("navigator.clipboard.readText()") == finding["remedy"]


def test_copy_works_where_the_clipboard_is_not_offered(show: Shower) -> None:
    _, finding = found("change")
    tab = show(FLEET, f"finding-{finding['id']}", permissions=["clipboard-read", "clipboard-write"])
    tab.evaluate("navigator.clipboard.writeText('something else')")
    tab.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
    button = tab.locator(f"#finding-{finding['id']}").get_by_role("button")
    button.click()
    expect(button).to_have_text("Copied")
    assert tab.evaluate("navigator.clipboard.readText()") == finding["remedy"]
