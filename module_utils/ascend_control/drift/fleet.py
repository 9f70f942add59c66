# SPDX-License-Identifier: Apache-2.0
"""One node's check and the whole fleet's, in the form of docs/fleet.schema.json."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...ascend.errors import AscendError
from ...ascend.finding import Refusal, refusal
from ..notice.message import CONTROL, FLEET, NOTHING_BETWEEN
from ..plan.between import Peer, between as compare
from ..plan.components import COMPONENTS, Plan
from ..plan.policies import is_whole
from ..plan.words import installed
from . import findings
from .silence import said_by, silence, unusable

SCHEMA = 1
Node = dict[str, Any]


def chosen(words: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the components to inspect, in order, for a user's request: "cann,env", a list, or nothing for all."""
    listed = words.strip("[] ").split(",") if isinstance(words, str) and is_whole(words) else words
    names = [listed] if isinstance(listed, str) else list(listed or ())
    names = [str(name).strip() for name in names if str(name).strip()]
    unknown = sorted(set(names) - set(COMPONENTS))
    if unknown:
        raise AscendError(
            f"unknown component: {', '.join(unknown)}",
            wanted=", ".join(COMPONENTS[1:]),
            found=", ".join(names),
            where="drift_components",
            remedy="-e drift_components=cann,env  # without spaces",
        )
    # Whether a node answers is always looked at.
    return tuple(name for name in COMPONENTS if not names or name in names or name == "access")


def checked(
    name: str,
    facts: dict[str, Any],
    wanted: dict[str, Any],
    plan: Plan,
    components: tuple[str, ...],
    repair: str,
) -> Node:
    """Return a node that answered, compared with its plan; ``repair`` is the command that applies it."""
    found = [each for each in findings.findings(name, plan, repair) if each["component"] in components]
    drifted = any(each["level"] != "unchecked" for each in found)
    return {
        "name": name,
        "state": "drifted" if drifted else "unchecked" if found else "clean",
        "release": str(wanted["release"]),
        "components": findings.states(found, components, findings.unknown(facts)),
        "installed": installed(facts),
        "findings": found,
        "remarks": [each for each in findings.remarks(plan, name, repair) if each["component"] in components],
    }


def unproven(answer: dict[str, Any]) -> Refusal:
    """Return what npu_check's failure says as a refusal: site.yml does not make such an environment current."""
    keys = ("wanted", "found", "remedy", "where")
    words = {key: str(answer.get(key) or "") for key in keys}
    words["found"] = words["found"] or said_by(answer)
    problem = str(answer.get("problem") or "cannot test torch-npu")
    remedy = words["remedy"] or "/usr/local/bin/ascend-env python -c 'import torch_npu'"
    wanted = words["wanted"] or "torch and torch_npu import"
    return refusal(
        "env", str(answer.get("symptom") or "torch"), problem, wanted, words["found"], remedy, words["where"]
    )


def unchecked(
    name: str,
    cause: str | AscendError,
    reached: bool,
    settings: dict[str, Any],
    components: tuple[str, ...],
    inventory: str,
) -> Node:
    """Return a node that could not be checked, with the reason: what came instead of facts, or our own refusal."""
    reason = (
        unusable(name, cause, inventory) if isinstance(cause, AscendError) else silence(name, cause, reached, inventory)
    )
    return unheard(name, reason, components, settings.get("release"))


def unheard(name: str, reason: findings.Finding, components: tuple[str, ...], release: str | None = None) -> Node:
    """Return a node about which only the ``reason``, a finding without its id, is known."""
    found = findings.identified(name, [reason])
    return {
        "name": name,
        "state": "unchecked",
        "release": release,
        "components": findings.states(found, components, components[1:]),
        "installed": {},
        "findings": found,
        "remarks": [],
    }


def of_the_depot(troubles: Iterable[AscendError]) -> list[findings.Finding]:
    """Return what is wrong with depots as findings of the control node, once, however many nodes use them."""
    refusals = [refusal("system", "depot", **trouble.as_dict(), subject=trouble.where) for trouble in troubles]
    plan: Plan = {"steps": [], "refusals": [], "warnings": refusals, "remarks": []}
    return findings.findings(CONTROL, plan, "")


def between_nodes(
    peers: dict[str, Peer], asked: int, limit: str | None, components: Iterable[str], file: str
) -> dict[str, Any]:
    """Return what differs between nodes (plan/between.py), as findings and remarks of the fleet as a whole.

    ``peers``: host name -> the data to compare, for those of the ``asked`` nodes that answered; ``file`` is the report
    that will say what each node has installed.
    """
    if "driver" not in components:
        return dict(NOTHING_BETWEEN)
    look = f"jq -r '.nodes[] | [.installed.driver, .name] | @tsv' {shlex.quote(file)} | sort"
    found = compare(peers, asked, limit, look)
    plan: Plan = {"steps": [], "refusals": [], "warnings": found["warnings"], "remarks": found["remarks"]}
    of_fleet = findings.findings(FLEET, plan, "")
    return {"compared": found["compared"], "findings": of_fleet, "remarks": findings.remarks(plan, FLEET)}


def fleet(
    nodes: list[Node],
    run: dict[str, Any],
    depot: Iterable[findings.Finding] = (),
    between: dict[str, Any] | None = None,
    merge: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the report of these nodes, as it is before the history; ``run`` says when and how they were checked.

    ``run``: ``{"made", "seconds", "inventory", "limit", "deep", "components"}``; ``depot``: what ``of_the_depot`` says;
    ``between``: what ``between_nodes`` says; ``merge``: the slices of the report (merge.py), if it has any.
    """
    components = list(run["components"])
    every = [finding for node in nodes for finding in node["findings"]]
    states = [node["state"] for node in nodes]
    return {
        "schema": SCHEMA,
        **run,
        "components": components,
        "partial": run["limit"] is not None or len(components) < len(COMPONENTS),
        "counts": {
            "nodes": len(nodes),
            **{state: states.count(state) for state in ("clean", "drifted", "unchecked")},
            "findings": len(every),
            "by_component": {name: sum(each["component"] == name for each in every) for name in components},
        },
        "nodes": sorted(nodes, key=lambda node: str(node["name"])),
        "depot": list(depot),
        "between": between or dict(NOTHING_BETWEEN),
        **({"merged": merge} if merge else {}),
    }


def shown(inventory: Any) -> str:
    """Return an inventory as one types it, because Ansible makes paths absolute. A list of hosts stays as it is."""
    path = Path(str(inventory))
    return (
        str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(inventory)
    )


def inventory_options(inventories: Iterable[Any] | None) -> str:
    """Return the inventories as options of the commands to copy; nothing for the default one."""
    return " ".join(f"-i {shlex.quote(shown(path))}" for path in inventories or ())


def exit_code(counts: dict[str, Any], accept_unchecked: bool, of_no_node: Iterable[findings.Finding] = ()) -> int:
    """Return 0 if every node was checked and none drifted, 3 if one could not be checked, 2 if there is only drift.

    A depot that cannot serve its files is drift, too, because the next repair would fail. So is a difference between
    nodes.
    """
    if counts["unchecked"] and not accept_unchecked:
        return 3
    return 2 if counts["drifted"] or of_no_node else 0
