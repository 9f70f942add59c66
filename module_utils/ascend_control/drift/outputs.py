# SPDX-License-Identifier: Apache-2.0
"""A drift report for programs: fleet.json, JUnit for build servers, metrics for Prometheus."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import datetime, timezone
from typing import Any
from xml.etree import ElementTree

from ...ascend.times import UTC
from ..notice.message import CONTROL, FLEET, between_of
from ..plan.remedies import placed
from .findings import LEVELS

Fleet = dict[str, Any]

STATES = ("clean", "drifted", "unchecked")
# https://www.w3.org/TR/xml/#charsets
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fleet_json(fleet: Fleet) -> str:
    """Return the report as JSON, keys sorted; with one line per node, change and point of the trend."""
    # Half a character (a tool's byte that is no UTF-8) becomes \udc80, which JSON reads as the same.
    return (_json(fleet) + "\n").encode("utf-8", "backslashreplace").decode("utf-8")


def _json(value: Any) -> str:
    if isinstance(value, dict) and any(isinstance(item, (dict, list)) for item in value.values()):
        lines = [f"{json.dumps(key, ensure_ascii=False)}: {_json(value[key])}" for key in sorted(value)]
        return "{\n" + ",\n".join(lines) + "\n}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(_line(item) for item in value) + "\n]"
    return _line(value)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def junit(fleet: Fleet) -> str:
    """Return the report as JUnit XML: a suite per component with a case per node; one for the depot, one for the fleet.

    The class is the component and the name is the node, because Jenkins cuts a class at its dots, which node names may
    have. A case has only one result, because Jenkins and GitLab show only one: that of the worst finding, with the text
    of all.
    """
    top = ElementTree.Element("testsuites", name="ascend-fleet drift")
    total: Counter[str] = Counter()
    for component in _components(fleet):
        suite = ElementTree.SubElement(top, "testsuite", name=component)
        results: Counter[str] = Counter()
        for node in fleet["nodes"]:
            case = ElementTree.SubElement(suite, "testcase", classname=component, name=_xml(node["name"]))
            results["tests"] += 1
            results[_result(case, node, component)] += 1
        _count(suite, results)
        # The schema of JUnit has no time zone here.
        suite.set("timestamp", fleet["made"].rstrip("Z"))
        total += results
    total += _depot(top, fleet) + _between(top, fleet)
    _count(top, total)
    top.set("time", str(fleet["seconds"]))
    ElementTree.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(top, encoding="unicode") + "\n"


def _depot(top: ElementTree.Element, fleet: Fleet) -> Counter[str]:
    """Add the depot's suite, which belongs to no node: a case of the control node, which fails with its trouble."""
    suite = ElementTree.SubElement(top, "testsuite", name="depot")
    case = ElementTree.SubElement(suite, "testcase", classname="depot", name=CONTROL)
    results = Counter({"tests": 1, _found(case, fleet.get("depot", [])): 1})
    _count(suite, results)
    suite.set("timestamp", fleet["made"].rstrip("Z"))
    return results


def _between(top: ElementTree.Element, fleet: Fleet) -> Counter[str]:
    """Add the suite of what differs between nodes: a case of the fleet as a whole."""
    found = between_of(fleet)
    suite = ElementTree.SubElement(top, "testsuite", name="fleet")
    case = ElementTree.SubElement(suite, "testcase", classname="fleet", name=FLEET)
    counts_as = _found(case, found["findings"])
    if not found["findings"] and found["compared"] < 2:
        ElementTree.SubElement(case, "skipped", message="no two nodes were compared")
        counts_as = "skipped"
    _remarked(case, found["remarks"])
    results = Counter({"tests": 1, counts_as: 1})
    _count(suite, results)
    suite.set("timestamp", fleet["made"].rstrip("Z"))
    return results


def _result(case: ElementTree.Element, node: dict[str, Any], component: str) -> str:
    """Put the result of a component of a node into its case; return what it counts as."""
    remarks = [remark for remark in node["remarks"] if remark["component"] == component]
    counts_as = _judged(case, node, component)
    _remarked(case, remarks)
    return counts_as


def _remarked(case: ElementTree.Element, remarks: list[dict[str, str]]) -> None:
    if remarks:
        text = "\n".join(_words(case, {**remark, "level": "remark"}) for remark in remarks)
        ElementTree.SubElement(case, "system-out").text = _xml(text)


def _judged(case: ElementTree.Element, node: dict[str, Any], component: str) -> str:
    findings = [finding for finding in node["findings"] if finding["component"] == component]
    if findings:
        return _found(case, findings)
    if node["components"].get(component, "unknown") == "unknown":
        why = [finding["problem"] for finding in node["findings"] if finding["level"] == "unchecked"]
        ElementTree.SubElement(case, "skipped", message=_xml("; ".join(why) or "this was not checked"))
        return "skipped"
    return "passed"


def _found(case: ElementTree.Element, findings: list[dict[str, str]]) -> str:
    """Put findings into a case as its one result, the worst first; return what it counts as."""
    if not findings:
        return "passed"
    ordered = sorted(findings, key=lambda each: LEVELS.index(each["level"]))
    worst = ordered[0]
    kind, counts_as = ("error", "errors") if worst["level"] == "unchecked" else ("failure", "failures")
    more = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
    result = ElementTree.SubElement(case, kind, type=worst["level"], message=_xml(worst["problem"] + more))
    result.text = _xml("\n".join(_words(case, finding) for finding in ordered))
    return counts_as


def _words(case: ElementTree.Element, finding: dict[str, str]) -> str:
    return (
        f"{finding['level']}: {finding['problem']}\n"
        f"  wanted: {finding['wanted']}\n"
        f"  found:  {finding['found']}\n"
        f"  where:  {finding['where']}\n"
        f"  next:   {placed(finding['remedy'], case.get('name', ''))}"
    )


def _count(element: ElementTree.Element, results: Counter[str]) -> None:
    for name in ("tests", "failures", "errors", "skipped"):
        element.set(name, str(results[name]))


def _xml(text: str) -> str:
    return NOT_XML.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def prometheus(fleet: Fleet) -> str:
    """Return the metrics for the textfile collector of node_exporter."""
    made = datetime.strptime(fleet["made"], UTC).replace(tzinfo=timezone.utc)
    found = Counter((finding["component"], finding["level"]) for node in fleet["nodes"] for finding in node["findings"])
    findings = {
        _labels(component=component, level=level): found[component, level]
        for component in _components(fleet)
        for level in LEVELS
    }
    remarks = Counter(remark["component"] for node in fleet["nodes"] for remark in node["remarks"])
    metrics: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("nodes", "Nodes of the last drift check.", {_labels(state=name): fleet["counts"][name] for name in STATES}),
        ("findings", "Findings of the last drift check.", findings),
        (
            "remarks",
            "Remarks of the last drift check, which are not drift.",
            {_labels(component=component): remarks[component] for component in _components(fleet)},
        ),
        (
            "depot_troubles",
            "Findings about the depot itself, on the control node.",
            {"": len(fleet.get("depot", []))},
        ),
        (
            "findings_between_nodes",
            "Differences that the last drift check found between nodes.",
            {"": len(between_of(fleet)["findings"])},
        ),
        (
            "nodes_compared",
            "Nodes that the last drift check compared with each other.",
            {"": between_of(fleet)["compared"]},
        ),
        ("check_timestamp_seconds", "When the last drift check began.", {"": int(made.timestamp())}),
        ("check_duration_seconds", "How long the last drift check took.", {"": fleet["seconds"]}),
        ("check_partial", "Whether the last drift check left out nodes or components.", {"": int(fleet["partial"])}),
    )
    lines = []
    for name, words, samples in metrics:
        lines += [f"# HELP ascend_fleet_{name} {words}", f"# TYPE ascend_fleet_{name} gauge"]
        lines += [f"ascend_fleet_{name}{labels} {value}" for labels, value in samples.items()]
    return "\n".join(lines) + "\n"


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _components(fleet: Fleet) -> list[str]:
    """The inspected components, and others that have findings anyway."""
    found = {finding["component"] for node in fleet["nodes"] for finding in node["findings"]}
    return [*fleet["components"], *sorted(found - set(fleet["components"]))]
