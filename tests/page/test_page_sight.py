# SPDX-License-Identifier: Apache-2.0
"""What a person sees of the page: counts, changes, themes, shapes, hostile words, paper, no scripts, and how soon."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import fleets
from tests.page.browsing import CUT, Shower, open_all, open_one_of_each, violations, visible
from tests.page.nights import NIGHTS

STATES = ("clean", "warning", "change", "refusal", "unchecked", "unknown")
HOSTILE = (
    "</script><script>alert(1)</script>",
    """'"><img src=x onerror=alert(1)>""",
    "{{ 7 * 7 }} {% raw %} ${alert(1)} <!-- ]]>",
    "驱动版本 \u202eevil\u202c \u2028 é \U0001f525 \x1b[31m",
    "x" * 10_000,
)
# A shape and what is behind it: WCAG wants 3 to 1, and axe-core judges words alone.
LEAST_CONTRAST = """() => {
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  };
  const page = luminance(getComputedStyle(document.body).backgroundColor);
  return Math.min(...[...document.querySelectorAll(".legend i")].map((each) => {
    const front = luminance(getComputedStyle(each).backgroundColor);
    return (Math.max(front, page) + 0.05) / (Math.min(front, page) + 0.05);
  }));
}"""


# Words with an override of the direction that reaches what stands after them.
REACHING = """() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const style = getComputedStyle(text.parentElement), last = !text.nextSibling?.textContent.trim();
    if (!text.data.includes("\\u202e") || style.unicodeBidi === "isolate") continue;
    if (style.display === "inline" || !last) found.push(text.parentElement.outerHTML.slice(0, 120));
  }
  return found;
}"""


def recent(fleet: dict[str, Any], hours: float) -> dict[str, Any]:
    made = datetime.now(timezone.utc) - timedelta(hours=hours)
    return {**fleet, "made": made.strftime("%Y-%m-%dT%H:%M:%SZ")}


def background(tab: Page) -> str:
    colour: str = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


def test_counts_and_marks(show: Shower) -> None:
    fleet = {**fleets.fleet(1000), "limit": "rack_01:&prod", "partial": True, "deep": True}
    tab = show(fleet)
    for key in ("nodes", "clean", "drifted", "unchecked", "findings"):
        expect(tab.locator(f"#count-{key}")).to_have_text(f"{fleet['counts'][key]:,}")
    expect(tab.locator("#headline")).to_have_text("15 of 1,000 nodes drifted, 5 could not be checked.")
    words = tab.locator("header").inner_text()
    for mark in ("2026-03-02 01:30 UTC", "inventory/prod", "1 min 14 s", "limit: rack_01:&prod", "partial", "deep"):
        assert mark in words
    whole = show(fleets.fleet(3)).locator("header").inner_text()
    assert not any(mark in whole for mark in ("limit", "partial", "deep"))


@pytest.mark.parametrize(
    ("hours", "words", "stale"),
    [(3.5, "(3 h ago)", False), (0.2, "(12 min ago)", False), (35.9, "(35 h ago)", False), (36.1, "(36 h ago)", True),
     (100, "(4 days ago)", True), (-5.01, "ahead of this computer's clock", False)],
)  # fmt: skip
def test_an_old_report_warns(show: Shower, hours: float, words: str, stale: bool) -> None:
    tab = show(recent(fleets.fleet(3), hours))
    expect(tab.locator("#age")).to_contain_text(words)
    assert tab.locator("#stale").is_visible() == stale


def test_the_age_goes_on(show: Shower) -> None:
    tab = show(fleets.fleet(3), java_script_enabled=False)
    tab.context.close()
    context = show.browser.new_context()
    tab = context.new_page()
    tab.clock.install(time=datetime(2026, 3, 2, 2, 30, 30, tzinfo=timezone.utc))
    tab.goto(show.path.as_uri())
    expect(tab.locator("#age")).to_have_text("(1 h ago)")
    tab.clock.run_for("36:00:00")
    expect(tab.locator("#age")).to_have_text("(37 h ago)")
    expect(tab.locator("#stale")).to_be_visible()


def test_what_changed_is_counted_and_shown(show: Shower) -> None:
    fleet = fleets.fleet(200, 40)
    new, gone, still = (fleet["changes"][key] for key in ("new", "gone", "still"))
    tab = show(fleet)
    words = tab.locator("#since p").first
    expect(words).to_have_text(f"{len(new)} new, {still} still there, {len(gone)} gone.")
    tab.locator("#gone summary").click()
    expect(tab.locator("#gone li")).to_contain_text(f"{gone[0]['problem']} {gone[0]['component']}: {gone[0]['node']}")
    marked = tab.locator(".node:has(> summary em) b").all_text_contents()
    assert set(marked) == {entry["node"] for entry in new}


def test_a_cause_says_since_when_and_on_which_nodes_it_is_new(show: Shower) -> None:
    toolkit = fleets.FAULTS[2]
    names = [f"npu-{number}" for number in range(8)]
    old = "2026-02-20T01:30:00Z"
    nodes = [fleets.node(n, [fleets.finding(n, toolkit, old if n < "npu-5" else fleets.MADE)]) for n in names]
    cause = show(fleets.report(nodes)).locator(".cause")
    expect(cause.locator(".aside").first).to_contain_text("since 2026-02-20 (10 days) new on 3 site.yml repairs it")
    cause.locator("details.where summary").click()
    assert cause.locator("details.where").inner_text().split() == [
        "which", "nodes", "new:", *names[5:], "there", "before:", *names[:5],
    ]  # fmt: skip


def test_what_was_not_checked_is_named(show: Shower) -> None:
    nodes = [fleets.node(f"npu-{n}", [], ("ascend", f"rack_{n % 2}")) for n in range(4)]
    nodes += [fleets.node("npu-9", [fleets.finding("npu-9", fleets.FAULTS[-1])], ("ascend", "rack_9"))]
    nodes[1]["components"]["network"] = "unknown"
    fleet = {**fleets.report(nodes), "limit": "prod", "partial": True}
    fleet["components"] = fleet["components"][:5]
    lines = show(fleet).locator("#not-checked li").all_text_contents()
    assert lines == [
        "1 node: all of rack_9",
        "network on 1 node: 1 of 2 in rack_1",
        "left out: cann, python, env, llamafactory",
        "nodes beyond --limit prod; drivers compared between 4 nodes",
        "every byte of the files: -e drift_deep=true reads them",
    ]
    assert show({**fleets.fleet(2, 0), "deep": True}).locator("#not-checked").inner_text().endswith("Nothing.")


def test_the_first_report_says_so_and_calls_nothing_new(show: Shower) -> None:
    fleet = fleets.fleet(20, 5)
    fleet["changes"] = {**fleet["changes"], "since": None, "gone": []}
    tab = show(fleet)
    expect(tab.get_by_text("This is the first report")).to_be_visible()
    assert tab.locator("em").count() == 0


def test_a_history_that_failed_is_told(show: Shower) -> None:
    fleet = fleets.fleet(20, 5)
    fleet["changes"] = {"since": None, "new": [], "gone": [], "still": 0}
    fleet["history"] = "reports/history.sqlite is locked: what is new is not known"
    tab = show(fleet)
    expect(tab.locator("#history")).to_contain_text(fleet["history"])
    expect(tab.get_by_text("What changed is not known")).to_be_visible()
    assert not tab.get_by_text("first report").count()


def test_the_trend_has_words(show: Shower) -> None:
    fleet = fleets.fleet(200)
    tab = show(fleet)
    chart = tab.get_by_role("img")
    assert chart.locator("title").count() == len(fleet["trend"])
    counts = fleet["counts"]
    assert chart.locator("title").last.text_content() == (
        f"2026-03-02 01:30 UTC: {counts['drifted']} drifted, {counts['unchecked']} could not be checked, "
        f"{counts['clean']} clean, {counts['findings']} findings"
    )
    drifted = [point["drifted"] for point in fleet["trend"]]
    words = f"drifted nodes from {drifted[0]} to {drifted[-1]}, at most {max(drifted)}"
    assert words in (tab.locator("#trend-words").text_content() or "")
    lows = chart.locator("rect.drifted").evaluate_all("all => all.map((each) => +each.getAttribute('height'))")
    assert [low > lows[-1] for low in lows] == [number > drifted[-1] for number in drifted]


def test_hostile_words_are_shown_and_do_nothing(show: Shower) -> None:
    keys = ("name", "subject", "problem", "wanted", "found", "where", "remedy")
    nodes = []
    for number, words in enumerate(HOSTILE):
        finding = {**fleets.finding(words, fleets.FAULTS[2]), **dict.fromkeys(keys, words), "id": f"{number:016x}"}
        node = fleets.node(words, [finding], (words,))
        nodes.append({**node, "release": words, "installed": {words: words}})
    fleet = fleets.report(nodes)
    fleet.update(inventory=[*HOSTILE], limit=HOSTILE[0], history=HOSTILE[1])
    fleet["changes"]["gone"] = copy.deepcopy(fleet["changes"]["new"])
    tab = show(fleet)
    assert tab.locator("script").count() == 1
    assert tab.locator("img, iframe, object").count() == 0
    for number, words in enumerate(HOSTILE):
        tab.evaluate(f"location.hash = '#finding-{number:016x}'")
        article = tab.locator(f"#finding-{number:016x}")
        expect(article).to_be_visible()
        assert article.locator("dd").all_text_contents() == [words] * 3
        assert article.locator("code, .sentence").text_content() == words
    assert tab.evaluate(REACHING) == []
    for width in (1440, 390):
        tab.set_viewport_size({"width": width, "height": 800})
        open_all(tab)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate(CUT) == []
    tab.locator("#text").fill(HOSTILE[0])
    assert len(visible(tab)) == 1


def test_the_theme_is_the_systems_and_paper_is_light(show: Shower) -> None:
    colours = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 27)"}
    tab = show(fleets.fleet(3), color_scheme="dark")
    assert background(tab) == colours["dark"]
    tab.emulate_media(media="print")
    assert background(tab) == colours["light"]
    tab.emulate_media(media="screen", color_scheme="light")
    assert background(tab) == colours["light"]


@pytest.mark.parametrize(
    "size", [2, 40, pytest.param(1000, marks=pytest.mark.whole)], ids=("2-nodes", "40-nodes", "1000-nodes")
)
def test_axe_has_nothing_against_the_page_in_both_themes(show: Shower, size: int) -> None:
    tab = show(NIGHTS[size](), bypass_csp=True)  # axe-core is put into the page
    open_one_of_each(tab)
    assert violations(tab) == []
    tab.emulate_media(color_scheme="dark")
    assert violations(tab, "color-contrast", "link-in-text-block") == []


def test_states_differ_in_shape_and_are_seen(show: Shower) -> None:
    tab = show(fleets.fleet(3))
    shapes = {
        state: tab.locator(f".legend i.{state}").evaluate(
            "(e) => { const s = getComputedStyle(e); return [s.clipPath, s.borderRadius, s.width, s.height].join(); }"
        )
        for state in STATES
    }
    assert len(set(shapes.values())) == len(STATES), shapes
    schemes: list[Any] = ["light", "dark"]
    for scheme in schemes:
        tab.emulate_media(color_scheme=scheme)
        colours = {tab.locator(f".legend i.{state}").evaluate("(e) => getComputedStyle(e).color") for state in STATES}
        assert len(colours) == len(STATES)
        assert tab.evaluate(LEAST_CONTRAST) >= 3


def test_a_strip_shows_each_node_of_its_rack_in_order(show: Shower) -> None:
    fleet = fleets.fleet(40, 20)
    tab = show(fleet)
    worst = [next((f["level"] for f in sorted(n["findings"], key=worst_first)), "clean") for n in fleet["nodes"]]
    shown = tab.locator(".strip i").evaluate_all("all => all.map((each) => each.className)")
    assert shown == worst
    words = tab.locator(".rack > summary .aside").all_text_contents()
    for number, said in enumerate(words):
        states = [node["state"] for node in fleet["nodes"][number * 16 : number * 16 + 16]]
        for state, how in (("unchecked", "not checked"), ("drifted", "drifted")):
            assert (f"{states.count(state)} {how}" in said) == bool(states.count(state))


def worst_first(finding: dict[str, Any]) -> int:
    return ("unchecked", "refusal", "change", "warning").index(finding["level"])


def test_without_racks_nodes_stand_by_whether_something_is_wrong(show: Shower) -> None:
    tab = show(NIGHTS[2]())
    assert tab.locator(".rack > summary b").all_text_contents() == ["With findings", "Clean"]
    assert tab.locator(".strip").count() == 0
    assert visible(tab) == ["npu-002", "npu-001"]
    assert "rack" not in tab.locator("main").inner_text().replace("node, rack, component", "")


def test_findings_are_read_without_scripts(show: Shower) -> None:
    fleet = fleets.fleet(20, 5)
    tab = show(fleet, java_script_enabled=False)
    for summary in (".rack > summary", ".node > summary"):
        for each in tab.locator(summary).all():
            each.click()
    for node in fleet["nodes"]:
        for finding in node["findings"]:
            article = tab.locator(f"#finding-{finding['id']}")
            expect(article).to_be_visible()
            expect(article.locator("code, .sentence")).to_have_text(finding["remedy"])
    assert len(visible(tab)) == 20
    for useless in (".copy", "form", "kbd"):
        assert tab.locator(f"{useless}:visible").count() == 0


@pytest.mark.parametrize("script", [True, False], ids=("script", "no-script"))
def test_paper_shows_what_is_closed_and_no_controls(show: Shower, script: bool) -> None:
    fleet = fleets.fleet(200, 40)
    tab = show(fleet, java_script_enabled=script)
    tab.emulate_media(media="print")
    assert tab.locator("article.finding:visible").count() == fleet["counts"]["findings"]
    assert tab.locator("details.where a:visible").count() == tab.locator("details.where a").count() > 0
    assert tab.locator("#gone li:visible").count() == len(fleet["changes"]["gone"])
    assert tab.locator("form:visible, .copy:visible").count() == 0
    assert len(visible(tab)) == 200
    assert tab.evaluate(CUT) == []


def test_a_browser_that_cannot_open_by_style_is_opened_for_paper(show: Shower) -> None:
    tab = show(fleets.fleet(40, 9))
    closed = tab.locator("details:not([open])").count()
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("details:not([open]):not(.node.clean)").count() == 0
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.locator("details:not([open])").count() == closed


def test_a_clean_fleet_says_so_plainly(show: Shower) -> None:
    tab = show(fleets.fleet(1000, 0))
    expect(tab.locator("#headline")).to_have_text("All 1,000 nodes match the inventory.")
    expect(tab.locator("#headline i")).to_have_class("clean")
    expect(tab.locator("section:has(> #causes)")).to_contain_text("Nothing.")
    assert tab.locator(".racks i:not(.clean)").count() == 0


def test_an_inventory_without_nodes_says_so(show: Shower) -> None:
    tab = show(fleets.report([]))
    expect(tab.locator("#headline")).to_have_text("No nodes: the inventory has none.")
    assert tab.locator(".rack, form").count() == 0


@pytest.mark.parametrize("size", [2, 40, 1000])
def test_nothing_is_cut_off_and_nothing_scrolls_sideways(show: Shower, size: int) -> None:
    tab = show(NIGHTS[size]())
    for width in (1440, 1024, 390):
        tab.set_viewport_size({"width": width, "height": 844})
        open_all(tab)
        assert tab.evaluate(CUT) == [], width
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    texts = tab.locator(".cause h3, .cause code, .cause .sentence")
    widths = texts.evaluate_all("all => all.map((each) => each.clientWidth)")
    assert min(width for width in widths if width) > 300, "words have the whole of a phone's width"


def test_a_bad_night_is_seen_on_the_first_screen(show: Shower) -> None:
    tab = show(NIGHTS[1000]())
    for seen in ("#headline", "#since", "#not-checked", ".cause >> nth=3"):
        expect(tab.locator(seen)).to_be_in_viewport(ratio=1)
    expect(tab.locator("#not-checked")).to_contain_text("16 nodes: all of rack_12")
    assert [cause.locator("code").first.inner_text() for cause in tab.locator(".cause").all()[2:4]] == [
        "ansible-playbook site.yml -i inventory/prod --limit npu-0001",
        "ansible rack_12 -i inventory/prod -m ping",
    ]


def test_a_thousand_nodes_are_painted_within_a_second(show: Shower) -> None:
    tab = show(fleets.fleet(1000))
    first = """() => new Promise((done) => new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (entry.name === "first-contentful-paint") done(entry.startTime);
    }).observe({ type: "paint", buffered: true }))"""
    times = [tab.evaluate(first)]
    for _ in range(2):
        tab.reload()
        times.append(tab.evaluate(first))
    assert min(times) < 1000, times
    tab.locator("#text").fill("npu-0999")
    assert visible(tab) == ["npu-0999"]
