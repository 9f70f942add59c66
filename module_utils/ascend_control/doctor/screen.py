# SPDX-License-Identifier: Apache-2.0
"""The report on one screen: at most 22 rows of 80 columns, whatever the number of nodes.

A command is never broken, so that you can copy it; if it is longer than a row, the terminal wraps it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ...ascend.text import cut, one_line
from ..plan.remedies import NODE, on_words
from .earlier import OLD, age_text
from .names import names_text
from .proofs import FAIL, PASS, UNKNOWN
from .verdicts import ATTENTION, BROKEN, COMMONEST, DRIFT, HEALTHY, UNCHECKED

WIDTH, ROWS = 80, 22
WORDS = {BROKEN: "broken", UNCHECKED: "not checked", ATTENTION: "attention", HEALTHY: "healthy"}
_NAME_WIDTH = 27
_LEAST_REASON = 20  # characters: less of a reason tells nothing
_COMMAND_ROWS = 3
_INDENT = "   "
_OF_FLEET = 2  # findings of the fleet as a whole that are shown
_LEAST_GROUPS = 5

Report = Mapping[str, Any]


def lines(report: Report, folder: str) -> list[str]:
    """Return the report's lines; ``folder`` is where its files are."""
    head, last = _head(report), _files(folder)
    for most in range(COMMONEST, -1, -1):
        causes = _causes(report, most)
        # An empty line before and after the groups.
        room = ROWS - _rows([*head, *causes, last]) - 2
        if room >= min(_LEAST_GROUPS, len(report["groups"])):
            break
    groups = _groups(report, room)
    return [*head, "", *groups, "", *causes, last] if causes else [*head, "", *groups, last]


def _rows(text: list[str]) -> int:
    return sum(-(-len(line) // WIDTH) for line in text)


def _head(report: Report) -> list[str]:
    counts = report["counts"]
    words = ", ".join(f"{counts[key]:,} {_words(key, counts[key])}" for key in (HEALTHY, ATTENTION, BROKEN, UNCHECKED))
    text = [f"{_number(counts['nodes'], 'node')}: {words}"]
    if report["partial"]:
        limit = f"--limit {report['limit']}; " if report["limit"] is not None else ""
        text.append(f"Partial: {limit}looked at {', '.join(report['components'])}")
    text += [_test(kind, test) for kind, test in report["tests"].items()]
    text += _unknown(report)
    text += [f"The fleet: {each['name']}: {each['problem']}" for each in report["fleet"][:_OF_FLEET]]
    return [cut(one_line(line), WIDTH) for line in text]


def _words(verdict: str, count: int) -> str:
    return f"need{'s' if count == 1 else ''} attention" if verdict == ATTENTION else WORDS[verdict]


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _test(kind: str, test: Mapping[str, Any]) -> str:
    """Return what is known from an earlier test, never more than was tested, and its age."""
    if test["age_s"] is None:
        return f"{kind}: not known: {test['why']}"
    level = f" ({test['level']})" if test["level"] else ""
    nodes, age = test["nodes"], age_text(timedelta(seconds=test["age_s"]))
    if test["state"] == OLD:
        return f"{kind}{level}, {age}, too old to count: {nodes[FAIL]:,} failed, nothing is known about the others"
    return f"{kind}{level}, {age}: {nodes[PASS]:,} passed, {nodes[FAIL]:,} failed, {nodes[UNKNOWN]:,} not known"


def _unknown(report: Report) -> list[str]:
    """Return the answering nodes with a part that could not be inspected: no finding, but not healthy either."""
    nodes = [node for node in report["nodes"] if node["unknown"] and node["verdict"] != UNCHECKED]
    if not nodes:
        return []
    parts = ", ".join(dict.fromkeys(part for node in nodes for part in node["unknown"]))
    start = f"Unknown, because the node could not tell: {parts} of "
    return [start + names_text([node["name"] for node in nodes], WIDTH - len(start))]


def _groups(report: Report, room: int) -> list[str]:
    """Return one line per group; if there is no room for all, nodes that were not checked come first."""
    groups = list(report["groups"])
    chosen = sorted(range(len(groups)), key=lambda number: groups[number]["verdict"] != UNCHECKED)
    shown = sorted(chosen if len(groups) <= room else chosen[: max(0, room - 1)])
    width = max((len(cut(_name(groups[number]), _NAME_WIDTH)) for number in shown), default=0)
    text = [_group(groups[number], width) for number in shown]
    left = [groups[number] for number in sorted(set(chosen) - set(shown))]
    if left:
        nodes = sum(len(each["nodes"]) for each in left)
        text.append(f"and {_number(nodes, 'node')} more, in {_number(len(left), 'group')}: report.json")
    return text


def _group(each: Mapping[str, Any], width: int) -> str:
    start = f"{WORDS[each['verdict']]:<11} {len(each['nodes']):>6,}  {cut(_name(each), _NAME_WIDTH):<{width}}  "
    text = start + names_text(each["nodes"], WIDTH - len(start))
    reason = f": {one_line(each['problem'])}"
    if each["problem"] and WIDTH - len(text) >= min(len(reason), _LEAST_REASON):
        text += cut(reason, WIDTH - len(text))
    return text


def _name(each: Mapping[str, Any]) -> str:
    return one_line(each["name"] if each["source"] in ("", DRIFT) else f"{each['source']}: {each['name']}")


def _causes(report: Report, most: int) -> list[str]:
    """Return the ``most`` commonest causes, each with its command below it."""
    text = []
    for number, each in enumerate(report["causes"][:most], 1):
        text.append(cut(f"{number}. {_number(len(each['nodes']), 'node')}: {_name(each)}: {each['problem']}", WIDTH))
        text.append(_command(each))
    title = "The most common causes" if len(report["causes"]) > most else "The causes"
    return [f"{title}, each with its next command:", *text] if text else []


def _command(cause: Mapping[str, Any]) -> str:
    """Return the command, with its node if it is for a node, and without its comment if there is no room."""
    others = len(cause["nodes"]) - cause["command_for"]
    place = f"{on_words(NODE, cause['nodes'], cause['command_for'])}: " if cause["run_on"] == NODE else ""
    command = _INDENT + one_line(place + cause["command"])
    if len(command) > WIDTH:
        command = re.split(r"\s#\s", command)[0]
    if _rows([command]) > _COMMAND_ROWS:
        return f"{_INDENT}too long for this screen: report.json has it"
    more = f"  # another one for {_number(others, 'node')}: report.json"
    return command + more if others and len(command + more) <= WIDTH else command


def _files(folder: str) -> str:
    start, names = "Files: ", "/report.json, passing.txt, failing.txt"
    shown, room = one_line(folder), WIDTH - len(start) - len(names)
    # The end of a path says more than its beginning.
    return start + (shown if len(shown) <= room else f"...{shown[len(shown) - room + 3 :]}") + names
