# SPDX-License-Identifier: Apache-2.0
"""A drift report in at most 22 lines of plain text, for a terminal and a mail at 3 a.m."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import Any, NamedTuple

from ...ascend.text import cut, one_line
from ..notice.message import FLEET, between_of
from ..plan.between import compared_words
from ..plan.components import COMPONENTS
from .findings import LEVELS, start
from .merge import merge_words

Fleet = dict[str, Any]

LINES = 22
COMMON = 6  # kinds of findings that are shown, where there is room
REMARKS = 2  # kinds of remarks that are shown
REASONS = 2  # why nodes could not be checked; more where there is room
NAMES = 2  # names of nodes that are shown of many
NAMES_WIDTH = 44


class _Kind(NamedTuple):
    """What several nodes have in common."""

    component: str
    text: str
    nodes: list[str]


def lines(fleet: Fleet, folder: str, width: int = 100) -> list[str]:
    """Return the report's lines, at most 22 of at most ``width`` characters; ``folder`` contains its index.html."""
    head = [headline(fleet["counts"], fleet["limit"]), *_scope(fleet), *_merged(fleet, width)]
    since = _since(fleet, width)
    table = _table(fleet)
    silent, found = _kinds(fleet, unchecked=True), _kinds(fleet, unchecked=False)
    remarks = _remarks(fleet)
    least = len(head) + len(since) + len(table) + len(remarks) + min(REASONS, len(silent)) + 1
    head += [*_of_no_node(fleet, width, LINES - least), *since]
    spare = LINES - len(head) - len(table) - len(remarks) - 5 - min(COMMON, len(found))
    reasons = _reasons(silent, max(REASONS, spare))
    last = [_ending(f"Report: {one_line(folder)}/index.html", width, "Report: ")]
    room = LINES - len(head) - len(table) - len(remarks) - len(reasons) - len(last)
    between = 5 if remarks else 4
    spaced = room - between >= 3
    common = _common(found, min(COMMON, room - between if spaced else room))
    blocks = [block for block in (head, table, common, remarks, reasons, last) if block]
    text: list[str] = []
    for block in blocks:
        text += [""] * (spaced and bool(text)) + block
    return [cut(line, width) for line in text]


def headline(counts: dict[str, int], limit: str | None) -> str:
    """Return how many nodes are in which state, as a sentence."""
    total, drifted, unchecked = counts["nodes"], counts["drifted"], counts["unchecked"]
    nodes = _number(total, "node")
    if not total:
        return "No nodes: the inventory has none" + (" within the limit." if limit is not None else ".")
    if not drifted and not unchecked:
        return "The one node matches the inventory." if total == 1 else f"All {nodes} match the inventory."
    if unchecked == total:
        return "The one node could not be checked." if total == 1 else f"None of the {nodes} could be checked."
    if not unchecked:
        return f"{drifted:,} of {nodes} drifted."
    if not drifted:
        others = total - unchecked
        rest = "the other one matches" if others == 1 else f"the other {others:,} match"
        return f"{unchecked:,} of {nodes} could not be checked; {rest} the inventory."
    return f"{drifted:,} of {nodes} drifted, {unchecked:,} could not be checked."


def _scope(fleet: Fleet) -> list[str]:
    """What was inspected, if not everything."""
    if not fleet["partial"]:
        return []
    left_out = set(COMPONENTS) - set(fleet["components"])
    words = [f"--limit {one_line(fleet['limit'])}"] if fleet["limit"] is not None else []
    if fleet["limit"] is not None and "driver" in fleet["components"]:
        words.append(compared_words(between_of(fleet)["compared"]))
    words += [f"looked at {', '.join(fleet['components']) or 'nothing'}"] if left_out else []
    return [f"Partial: {'; '.join(words)}."]


def _merged(fleet: Fleet, width: int) -> list[str]:
    """Which slices the report contains, and what is wrong with that, in three lines."""
    if "merged" not in fleet:
        return []
    words = merge_words(fleet["merged"])
    return textwrap.wrap(one_line(f"M{words[1:]}."), width, max_lines=3, placeholder=" ...")


def _of_no_node(fleet: Fleet, width: int, room: int) -> list[str]:
    """Return the depot's trouble and the differences between nodes; if there is no room for all, something of both."""
    depot, between = _depot(fleet, width), _between(fleet, width)
    kept = depot[: max(0, room - min(len(between), room // 2))]
    return kept + between[: max(0, room - len(kept))]


def _depot(fleet: Fleet, width: int) -> list[str]:
    """The trouble of the depot itself, which belongs to no node: two lines each for the first two."""
    text: list[str] = []
    for finding in fleet.get("depot", [])[:2]:
        line = f"Control node: {finding['problem']}: {finding['where']} ({finding['found']}); next: {finding['remedy']}"
        text += textwrap.wrap(one_line(line), width, max_lines=2, placeholder=" ...")
    return text


def _between(fleet: Fleet, width: int) -> list[str]:
    """What differs between nodes: in three lines each, of the first two."""
    text: list[str] = []
    for each in between_of(fleet)["findings"][:2]:
        line = f"The fleet: {each['problem']}: {each['found']} ({each['where']}); next: {each['remedy']}"
        text += textwrap.wrap(one_line(line), width, max_lines=3, placeholder=" ...")
    return text


def _since(fleet: Fleet, width: int) -> list[str]:
    changes = fleet["changes"]
    wrapped = (
        textwrap.wrap(one_line(fleet["history"]), width, max_lines=2, placeholder=" ...") if fleet["history"] else []
    )
    if changes["since"] is None:
        return wrapped or ["This is the first report: there is none to compare it with."]
    when = changes["since"].replace("T", " ").removesuffix(":00Z").removesuffix("Z")
    new = _number(len(changes["new"]), "new finding") if changes["new"] else "nothing new"
    gone = f"{len(changes['gone']):,} gone" if changes["gone"] else "nothing gone"
    return [*wrapped, f"Since {when} UTC: {new}, {gone}, {changes['still']:,} still there."]


def _table(fleet: Fleet) -> list[str]:
    """Findings by component and level, without empty rows and columns."""
    found = Counter((finding["component"], finding["level"]) for node in fleet["nodes"] for finding in node["findings"])
    levels = [level for level in LEVELS if any(key[1] == level for key in found)]
    names = {component for component, _ in found}
    rows = [name for name in fleet["components"] if name in names]
    rows += sorted(names - set(rows))
    if not rows:
        return []
    first = max(len(name) for name in ("findings", *rows))
    table = ["  ".join([f"{'findings':<{first}}", *(f"{level:>9}" for level in levels)])]
    for name in rows:
        cells = [f"{found[name, level]:,}" if found[name, level] else "-" for level in levels]
        table.append("  ".join([f"{name:<{first}}", *(f"{cell:>9}" for cell in cells)]))
    return table


def _kinds(fleet: Fleet, unchecked: bool) -> list[_Kind]:
    """Return findings grouped by the text before a colon, the most common first."""
    alike: dict[tuple[str, str, str], dict[str, set[str]]] = {}
    for node in fleet["nodes"]:
        for finding in node["findings"]:
            if (finding["level"] == "unchecked") == unchecked:
                problem = one_line(finding["problem"])
                key = (finding["component"], finding["name"], start(problem))
                text = f"{problem}: {one_line(finding['found'])}" if unchecked else problem
                alike.setdefault(key, {}).setdefault(text, set()).add(node["name"])
    kinds = []
    for (component, _, common), texts in alike.items():
        nodes = sorted(set().union(*texts.values()))
        kinds.append(_Kind(component, next(iter(texts)) if len(texts) == 1 else f"{common} ...", nodes))
    return sorted(kinds, key=lambda kind: (-len(kind.nodes), kind.component, kind.text))


def _common(kinds: list[_Kind], room: int) -> list[str]:
    if not kinds or room < 1:
        return []
    shown = kinds[: room if len(kinds) <= room else room - 1]
    names = [_names(kind.nodes) for kind in shown]
    first = max((len(name) for name in names), default=0)
    second = max((len(kind.component) for kind in shown), default=0)
    text = [
        f"{name:<{first}}  {kind.component:<{second}}  {kind.text}" for name, kind in zip(names, shown, strict=True)
    ]
    left = len(kinds) - len(shown)
    return [*text, f"and {_number(left, 'other kind')} of findings"] if left else text


def _remarks(fleet: Fleet) -> list[str]:
    """A line for each kind of remark: no drift, so few lines."""
    alike: dict[str, list[str]] = {}
    for node in fleet["nodes"]:
        for remark in node["remarks"]:
            alike.setdefault(one_line(remark["problem"]), []).append(node["name"])
    for remark in between_of(fleet)["remarks"]:
        alike.setdefault(one_line(remark["problem"]), []).append(FLEET)
    kinds = sorted(alike.items(), key=lambda kind: (-len(kind[1]), kind[0]))
    text = [f"Remark (not drift): {_names(sorted(set(names)))}: {problem}" for problem, names in kinds[:REMARKS]]
    left = len(kinds) - REMARKS
    if left > 0:
        text[-1] = f"and {_number(left + 1, 'other remark')}, see the report"
    return text


def _reasons(kinds: list[_Kind], room: int) -> list[str]:
    text = [f"Not checked: {_names(kind.nodes)}: {kind.text}" for kind in kinds[:room]]
    left = len(kinds) - room
    if left > 0:
        text[-1] = f"and {_number(left + 1, 'other reason')} why nodes could not be checked"
    return text


def _names(nodes: list[str]) -> str:
    """ "3 nodes (npu-003, npu-019 and 1 more)", or the name of a single one."""
    if len(nodes) == 1:
        return cut(one_line(nodes[0]), NAMES_WIDTH)
    for shown in range(NAMES, 0, -1):
        left = len(nodes) - shown
        names = [one_line(name) for name in nodes[:shown]]
        listed = ", ".join(names) + f" and {left:,} more" if left else " and ".join(names)
        text = f"{_number(len(nodes), 'node')} ({listed})"
        if len(text) <= NAMES_WIDTH:
            return text
    return _number(len(nodes), "node")


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _ending(text: str, width: int, start: str) -> str:
    """Cut within: the end of a path says more than its beginning."""
    if len(text) <= width:
        return text
    kept = max(0, width - len(start) - 3)
    return start + "..." + text[len(text) - kept :]
