# SPDX-License-Identifier: Apache-2.0
"""One verdict per node, from what the drift check says now and what an earlier verify and preflight said.

healthy    nothing was found
attention  site.yml would repair something or warns of it, or a test failed that is too old to count
broken     site.yml refuses the node until a person has cured it, or a test failed
unchecked  nobody knows: the node did not answer, or its inventory is no use

The form of the report is docs/doctor.schema.json.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...ascend.text import one_line
from ..drift.findings import start
from .earlier import FRESH, Earlier, counts

SCHEMA, VERSION = "ascend-fleet/doctor", 1
HEALTHY, ATTENTION, BROKEN, UNCHECKED = "healthy", "attention", "broken", "unchecked"
# As they are listed: what a person must look at first.
VERDICTS = (BROKEN, UNCHECKED, ATTENTION, HEALTHY)
DRIFT = "drift"
FAILED, FAILED_BEFORE = "failure", "old-failure"
# The levels of a drift report's findings (docs/drift.md), and those of tests.
_VERDICT_OF = {
    "refusal": BROKEN,
    FAILED: BROKEN,
    "unchecked": UNCHECKED,
    "change": ATTENTION,
    "warning": ATTENTION,
    FAILED_BEFORE: ATTENTION,
}
COMMONEST = 3
_WORDS = ("component", "name", "subject", "problem", "wanted", "found", "where", "remedy", "run_on")

Cause = dict[str, str]
Node = dict[str, Any]


def document(fleet: Mapping[str, Any], earlier: Sequence[Earlier], inventory: str, folder: str) -> dict[str, Any]:
    """Return the report.

    ``fleet``: of a drift check, before its history; ``inventory``: options of commands; ``folder``: where the report
    goes, as you type it.
    """
    nodes = [_judged(node, earlier) for node in fleet["nodes"]]
    of_fleet = [{key: each[key] for key in _WORDS} for each in [*fleet["depot"], *fleet["between"]["findings"]]]
    verdicts = Counter(node["verdict"] for node in nodes)
    names = [node["name"] for node in nodes]
    return {
        "schema": SCHEMA,
        "version": VERSION,
        **{key: fleet[key] for key in ("made", "seconds", "limit", "deep", "components", "partial")},
        "inventory": inventory,
        "exit_code": exit_code(verdicts, of_fleet),
        "counts": {"nodes": len(nodes), **{verdict: verdicts[verdict] for verdict in VERDICTS}},
        "tests": {each.kind: _test(each, names) for each in earlier},
        "fleet": of_fleet,
        "causes": _causes(nodes, folder),
        "groups": _groups(nodes),
        "nodes": nodes,
    }


def _judged(node: Node, earlier: Sequence[Earlier]) -> Node:
    causes = [{"source": DRIFT, **{key: each[key] for key in ("level", *_WORDS)}} for each in node["findings"]]
    tests = {}
    for each in earlier:
        result = each.of(node["name"])
        tests[each.kind] = {"state": result.state, "why": result.why}
        level = FAILED if each.state == FRESH else FAILED_BEFORE
        causes += [{"source": each.kind, "level": level, **failure} for failure in result.failures]
    verdict = _verdict(node["state"], causes)
    # The sort is stable: those of one level stay in the order of components.
    causes.sort(key=lambda cause: VERDICTS.index(_VERDICT_OF[cause["level"]]) if verdict != UNCHECKED else 0)
    return {
        **{key: node[key] for key in ("name", "groups", "release", "installed", "seconds")},
        "verdict": verdict,
        "causes": causes,
        "unknown": [name for name, state in node["components"].items() if state == "unknown"],
        "remarks": [{key: each[key] for key in _WORDS} for each in node["remarks"]],
        **tests,
    }


def _verdict(state: str, causes: Iterable[Cause]) -> str:
    """A silent node may have got better or worse since its last test, which is unknown."""
    found = {_VERDICT_OF[cause["level"]] for cause in causes}
    return UNCHECKED if state == "unchecked" else next(verdict for verdict in VERDICTS if verdict in {*found, HEALTHY})


def exit_code(verdicts: Mapping[str, int], of_fleet: Sequence[Any]) -> int:
    """Return 0 if all is well, 2 if a node is broken or not checked, else 1."""
    if verdicts[BROKEN] or verdicts[UNCHECKED]:
        return 2
    return 1 if verdicts[ATTENTION] or of_fleet else 0


def _test(each: Earlier, names: Iterable[str]) -> dict[str, Any]:
    kept = {key: getattr(each, key) for key in ("state", "why", "path", "made", "age_s", "level")}
    return {**kept, "nodes": counts(each, names)}


def _groups(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    """Return the nodes that have the same verdict for the same first cause, the worst verdict first."""
    alike: dict[tuple[str, str, str], list[Node]] = {}
    for node in nodes:
        first = node["causes"][0] if node["causes"] else {"source": "", "name": ""}
        alike.setdefault((node["verdict"], first["source"], first["name"]), []).append(node)
    groups = [
        {
            "verdict": verdict,
            "source": source,
            "name": name,
            "problem": _common([node["causes"][0] for node in members]) if name else "",
            "nodes": [node["name"] for node in members],
        }
        for (verdict, source, name), members in alike.items()
    ]
    return sorted(groups, key=lambda each: (VERDICTS.index(each["verdict"]), -len(each["nodes"]), each["name"]))


def _causes(nodes: Iterable[Node], folder: str) -> list[dict[str, Any]]:
    """Return the problems by the finding's name, commonest first, each with one command for all its nodes."""
    alike: dict[tuple[str, str, str], dict[str, list[Cause]]] = {}
    for node in nodes:
        for cause in node["causes"]:
            key = (cause["source"], cause["component"], cause["name"])
            alike.setdefault(key, {}).setdefault(node["name"], []).append(cause)
    worst = {
        key: min(VERDICTS.index(_VERDICT_OF[each["level"]]) for found in of.values() for each in found)
        for key, of in alike.items()
    }
    ordered = sorted(alike.items(), key=lambda item: (-len(item[1]), worst[item[0]], item[0]))
    causes = []
    for number, ((source, component, name), of) in enumerate(ordered, 1):
        file = f"{folder}/cause-{number}.txt" if number <= COMMONEST else ""
        firsts = {node: found[0] for node, found in of.items()}
        (command, where), alike_for = _command(firsts, file)
        causes.append(
            {
                "source": source,
                "component": component,
                "name": name,
                "problem": _common(each for found in of.values() for each in found),
                "found": Counter(each["found"] for each in firsts.values()).most_common(1)[0][0],
                "nodes": list(of),
                "file": file or None,
                "command": command,
                "command_for": alike_for,
                "run_on": where,
            }
        )
    return causes


def _common(causes: Iterable[Cause]) -> str:
    """Return what the causes' problems have in common, in the words of one of them."""
    problems = Counter(one_line(cause["problem"]) for cause in causes)
    (most, _), others = problems.most_common(1)[0], len(problems) - 1
    if not others:
        return most
    same_start = len({start(problem) for problem in problems}) == 1
    return f"{start(most)} ..." if same_start else f"{most} (and {others:,} other{'' if others == 1 else 's'} like it)"


def _command(causes: Mapping[str, Cause], file: str) -> tuple[tuple[str, str], int]:
    """Return one command for all nodes whose remedies differ only in the node's name, where to type it, for how many.

    If remedies differ, it is that of most nodes; without a ``file`` that names the nodes, a single node's.
    """
    many = file and len(causes) > 1
    commands = Counter(
        (_of_all(each["remedy"], node, file) if many else each["remedy"], each["run_on"])
        for node, each in causes.items()
    )
    return commands.most_common(1)[0]


def _of_all(remedy: str, node: str, file: str) -> str:
    name, limit = re.escape(shlex.quote(node)), f"--limit @{shlex.quote(file)}"
    remedy = re.sub(rf"--limit {name}(?=\s|$)", lambda _: limit, remedy)
    # Options stand anywhere: ansible npu-001 -i inventory/prod -m ping.
    return re.sub(rf"(?<!\S)ansible {name}(?=\s)", lambda _: f"ansible ascend {limit}", remedy)


def named(report: Mapping[str, Any], verdicts: Iterable[str]) -> list[str]:
    """Return the nodes that have one of these verdicts."""
    wanted = set(verdicts)
    return [node["name"] for node in report["nodes"] if node["verdict"] in wanted]
