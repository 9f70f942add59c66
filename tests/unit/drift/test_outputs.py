# SPDX-License-Identifier: Apache-2.0
"""The drift report for programs: what they read is what was found."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from typing import Any
from xml.etree import ElementTree

from hypothesis import given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import fleet as fleets_of, outputs
from tests import fleets

FLEET = fleets.fleet(64, 20, seed=3)
KINDS = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def one(*rows: fleets.Row) -> dict[str, Any]:
    return fleets.report(
        [fleets.node("npu-1", [fleets.finding("npu-1", row) for row in rows]), fleets.node("npu-2", [])]
    )


def changed(index: int, **fields: str) -> fleets.Row:
    """A fault with other words."""
    keys = ("level", "component", "name", "subject", "problem", "wanted", "found", "where", "remedy")
    values = {**dict(zip(keys, fleets.FAULTS[index], strict=True)), **fields}
    return tuple(values[key] for key in keys)  # type: ignore[return-value]  # mypy does not count them


def test_fleet_json_is_the_report_with_a_line_a_node() -> None:
    text = outputs.fleet_json(FLEET)
    assert json.loads(text) == FLEET
    lines = text.splitlines()
    for node in FLEET["nodes"]:
        (line,) = [line for line in lines if f'"name": "{node["name"]}", "release"' in line]
        assert json.loads(line.rstrip(",")) == node
    assert sum('"last_seen"' in line for line in lines) == len(FLEET["changes"]["new"] + FLEET["changes"]["gone"])
    assert len(lines) < 64 + 120
    assert text.endswith("}\n")


def test_fleet_json_does_not_depend_on_the_order_of_keys() -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    assert outputs.fleet_json(turned(FLEET)) == outputs.fleet_json(FLEET)


def test_fleet_json_can_be_searched_and_always_be_written() -> None:
    text = outputs.fleet_json(one(changed(0, problem="\u5361 3 \udc80 \u2028")))
    assert "\u5361 3 \\udc80" in text
    assert json.loads(text.encode())["nodes"][0]["findings"][0]["problem"] == "\u5361 3 \udc80 \u2028"


def test_fleet_json_of_no_nodes() -> None:
    assert json.loads(outputs.fleet_json(fleets.report([]))) == fleets.report([])


def read_junit(fleet: dict[str, Any]) -> ElementTree.Element:
    """Return the top; what is counted has to add up."""
    text = outputs.junit(fleet)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ')
    top = ElementTree.fromstring(text.encode())
    for element in [top, *top]:
        cases = list(element.iter("testcase"))
        counts = Counter(KINDS[result.tag] for case in cases for result in case if result.tag != "system-out")
        assert all(len(case) <= 1 for case in cases)
        assert int(element.attrib["tests"]) == len(cases)
        assert {name: int(element.attrib[name]) for name in KINDS.values()} == {
            name: counts[name] for name in KINDS.values()
        }
    return top


def cases(fleet: dict[str, Any]) -> dict[tuple[str, str], ElementTree.Element | None]:
    return {
        (case.attrib["classname"], case.attrib["name"]): next(iter(case), None)
        for case in read_junit(fleet).iter("testcase")
    }


def test_junit_has_a_case_a_node_and_component() -> None:
    top = read_junit(FLEET)
    assert [suite.attrib["name"] for suite in top] == [*fleets.COMPONENTS, "depot", "fleet"]
    assert {suite.attrib["timestamp"] for suite in top} == {"2026-03-02T01:30:00"}
    assert top.attrib["time"] == "74.2"
    found = cases(FLEET)
    assert len(found) == 64 * 9 + 2
    for node in FLEET["nodes"]:
        for component, state in node["components"].items():
            result = found[component, node["name"]]
            expected = {"clean": None, "unknown": "skipped", "unchecked": "error"}.get(state, "failure")
            assert (result.tag if result is not None else None) == expected
            if expected == "failure":
                assert result is not None
                assert result.attrib["type"] == state


def test_junit_says_what_was_found_the_worst_first() -> None:
    network = changed(0, component="network")
    result = cases(one(fleets.FAULTS[6], network))["network", "npu-1"]
    assert result is not None
    assert result.attrib == {"type": "refusal", "message": "cards are not healthy (and 1 more)"}
    assert result.text == (
        "refusal: cards are not healthy\n"
        "  wanted: health OK on every card\n"
        "  found:  NPU 3 chip 0: Alarm (80E01801)\n"
        "  where:  npu-smi info\n"
        "  next:   on npu-1: npu-smi info -t health -i 3  # then the vendor's service\n"
        "warning: the link is not UP\n"
        "  wanted: link UP on every card\n"
        "  found:  card 2: DOWN\n"
        "  where:  hccn_tool\n"
        "  next:   on npu-1: hccn_tool -i 2 -link -g  # cable, transceiver, switch port"
    )


def test_junit_says_why_a_node_was_not_checked() -> None:
    found = cases(one(fleets.FAULTS[-1]))
    error, skipped = found["access", "npu-1"], found["cann", "npu-1"]
    assert error is not None
    assert (error.tag, error.attrib["type"]) == ("error", "unchecked")
    assert "Host key verification failed." in (error.text or "")
    assert skipped is not None
    assert skipped.attrib == {"message": "the node's host key is not the one in known_hosts"}


def test_junit_skips_what_was_not_looked_at() -> None:
    fleet = one()
    del fleet["nodes"][0]["components"]["cann"]
    skipped = cases(fleet)["cann", "npu-1"]
    assert skipped is not None
    assert (skipped.tag, skipped.attrib) == ("skipped", {"message": "this was not checked"})


def test_junit_loses_no_finding_of_a_part_that_was_not_asked_for() -> None:
    fleet = {**one(fleets.FAULTS[-1]), "components": ["cann"]}
    assert [suite.attrib["name"] for suite in read_junit(fleet)] == ["cann", "access", "depot", "fleet"]


def test_the_depots_trouble_is_a_case_that_fails_and_a_gauge() -> None:
    """Nodes that need nothing stay clean; who reads the outputs sees all the same what the exit code 2 is for."""
    clean = one()
    assert cases(clean)["depot", "control node"] is None
    gone = AscendError("the depot has no index.json", "/d/index.json", "no such file", "/d", "make it again")
    changed_file = AscendError("a file of the depot changed", "<a>", "& b", "/d/x\x1b", "y")
    fleet = {**clean, "depot": fleets_of.of_the_depot([gone, changed_file])}
    result = cases(fleet)["depot", "control node"]
    assert result is not None
    assert result.tag == "failure"
    assert result.attrib == {"type": "warning", "message": "the depot has no index.json (and 1 more)"}
    assert "  found:  no such file\n" in (result.text or "")
    assert "  next:   make it again" in (result.text or "")
    assert read_junit(fleet).attrib["failures"] == "1"
    assert metrics(outputs.prometheus(fleet))["ascend_fleet_depot_troubles",] == 2
    assert not [key for key, value in metrics(outputs.prometheus(fleet)).items() if "findings" in key[0] and value]


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(), max_size=30), st.text(st.characters(), max_size=30))
def test_junit_is_xml_whatever_a_tool_said(problem: str, found: str) -> None:
    result = cases(one(changed(2, problem=problem, found=found)))["cann", "npu-1"]
    allowed = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
    assert result is not None
    # A parser makes one line break of each kind.
    expected = re.sub("\r\n?", "\n", allowed.sub("\ufffd", f"  found:  {found}\n"))
    assert expected in (result.text or "")


# https://prometheus.io/docs/instrumenting/exposition_formats/
SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?)'
)
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"')
ESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def metrics(text: str) -> dict[tuple[str, ...], float]:
    """Read the text format strictly: HELP and TYPE before the samples, one group a name, no sample twice."""
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    found: dict[tuple[str, ...], float] = {}
    told: list[str] = []
    while lines:
        line = lines.pop(0)
        if line.startswith("# HELP "):
            name = line.split(" ")[2]
            assert name not in told
            assert len(line.split(" ", 3)[3]) > 5
            assert lines.pop(0) == f"# TYPE {name} gauge"
            told.append(name)
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert match[1] == told[-1]
        labels = [
            re.sub(r'\\["\\n]', lambda part: ESCAPED[part[0]], value) for _, value in LABEL.findall(match[2] or "")
        ]
        sample = (match[1], *labels)
        assert sample not in found
        found[sample] = float(match[3])
    assert {key[0] for key in found} == set(told)
    return found


def test_the_metrics_are_the_counts() -> None:
    found = metrics(outputs.prometheus(FLEET))
    for state in ("clean", "drifted", "unchecked"):
        assert found.pop(("ascend_fleet_nodes", state)) == FLEET["counts"][state] > 0
    levels = Counter((entry["component"], entry["level"]) for node in FLEET["nodes"] for entry in node["findings"])
    for component in fleets.COMPONENTS:
        for level in ("change", "refusal", "warning", "unchecked"):
            assert found.pop(("ascend_fleet_findings", component, level)) == levels[component, level]
        assert found.pop(("ascend_fleet_remarks", component)) == 0
    assert found == {
        ("ascend_fleet_check_timestamp_seconds",): 1772415000,
        ("ascend_fleet_check_duration_seconds",): 74.2,
        ("ascend_fleet_check_partial",): 0,
        ("ascend_fleet_depot_troubles",): 0,
        ("ascend_fleet_findings_between_nodes",): 0,
        ("ascend_fleet_nodes_compared",): FLEET["counts"]["nodes"] - FLEET["counts"]["unchecked"],
    }


def test_a_remark_is_counted_apart_and_fails_no_case() -> None:
    remark = fleets.remark("cann", "cann-layout-unknown", "CANN has an undocumented layout")
    fleet = fleets.report([{**fleets.node("a", []), "remarks": [remark]}, fleets.node("b", [])])
    found = metrics(outputs.prometheus(fleet))
    assert [key for key, value in found.items() if key[0] == "ascend_fleet_remarks" and value] == [
        ("ascend_fleet_remarks", "cann")
    ]
    assert not [key for key, value in found.items() if key[0] == "ascend_fleet_findings" and value]
    top = read_junit(fleet)
    assert (top.get("failures"), top.get("errors"), top.get("skipped")) == ("0", "0", "0")
    said = {(case.get("classname"), case.get("name")): case.findtext("system-out") for case in top.iter("testcase")}
    assert {key: words for key, words in said.items() if words} == {
        ("cann", "a"): "remark: CANN has an undocumented layout\n"
        "  wanted: wanted of cann-layout-unknown\n"
        "  found:  found of cann-layout-unknown\n"
        "  where:  where of cann-layout-unknown\n"
        "  next:   remedy of cann-layout-unknown"
    }


def test_the_metrics_of_a_partial_report_say_so() -> None:
    fleet = {**copy.deepcopy(FLEET), "partial": True, "components": ["cann", "env"]}
    found = metrics(outputs.prometheus(fleet))
    assert found["ascend_fleet_check_partial",] == 1
    assert ("ascend_fleet_findings", "cards", "refusal") in found


def test_labels_are_escaped() -> None:
    odd = 'a\\b"c\nd'
    found = metrics(outputs.prometheus({**one(changed(0, component=odd)), "components": []}))
    assert found["ascend_fleet_findings", odd, "refusal"] == 1


def test_the_metrics_of_a_very_short_or_long_check() -> None:
    for seconds in (0, 1e-07, 86400.5, 12):
        found = metrics(outputs.prometheus({**FLEET, "seconds": seconds}))
        assert found["ascend_fleet_check_duration_seconds",] == seconds
