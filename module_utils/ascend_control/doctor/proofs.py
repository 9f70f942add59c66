# SPDX-License-Identifier: Apache-2.0
"""What playbooks/verify.yml found, kept for later: which nodes proved their environment, and on how many cards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...ascend import atomic
from ...ascend.text import cut, one_line
from ..drift.fleet import unproven
from ..drift.silence import said_by, silence

SCHEMA, VERSION = "ascend-fleet/verify", 1
PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"
_MOST = 300  # characters of a reason


def node(name: str, observed: Mapping[str, Any], cards: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return one node of the report.

    ``observed``: the result of ``node_plan``; ``cards``: those chosen for the proof, and those left out; ``answer``:
    the result of ``npu_check``. Each is empty if it was not reached.
    """
    devices, left_out = cards.get("devices", []), cards.get("left_out", [])
    proven = [card for card in answer.get("cards") or [] if card.get("ok")]
    found: dict[str, Any] = {
        "name": name,
        "state": UNKNOWN,
        "cards": 0,
        "left_out": len(left_out),
        "why": "",
        "failures": [],
    }
    if not answer:
        return {**found, "why": _reason(name, observed)}
    if answer.get("failed") and answer.get("problem"):
        failure = unproven(dict(answer))
        return {**found, "state": FAIL, "failures": [{**failure, "name": failure["check"]}]}
    if answer.get("failed") or answer.get("unreachable"):
        return {**found, "why": _reason(name, answer)}
    if not devices or len(proven) < len(devices):
        return {**found, "why": "no card was proven: none was idle" if not devices else "the proof did not run"}
    return {**found, "state": PASS, "cards": len(proven)}


def _reason(name: str, answer: Mapping[str, Any]) -> str:
    """Return why nothing was proven: what stopped the node, or why it is silent."""
    if not (answer.get("failed") or answer.get("unreachable")):
        return "no result came back"
    if any(answer.get(key) for key in ("unreachable", "module_stderr", "module_stdout", "timedout")):
        return silence(name, said_by(dict(answer)), not answer.get("unreachable"), "")["problem"]
    return cut(one_line(said_by(dict(answer)).partition("\n")[0]), _MOST)


def document(nodes: list[dict[str, Any]], run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report; ``run``: ``made``, ``inventory`` (options of commands), ``limit``."""
    states = [each["state"] for each in nodes]
    counts = {state: states.count(state) for state in (PASS, FAIL, UNKNOWN)}
    return {"schema": SCHEMA, "version": VERSION, **run, "counts": counts, "nodes": nodes}


def write(report: Mapping[str, Any], folder: Path) -> None:
    """Write report.json, whole or as it was before. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write(str(folder / "report.json"), json.dumps(report, indent=1, sort_keys=True) + "\n")
