# SPDX-License-Identifier: Apache-2.0
"""The result of each node: a table for the terminal, report.json, and the files of names for ``--limit``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...ascend import atomic
from ...ascend.masking import masked_values
from ...ascend.text import cut
from ..plan.words import nodes_text
from ..rack.report import write_names
from .run import ALREADY, ENROLLED, FAILED, WOULD, Node

SCHEMA = "ascend-fleet/enroll"
VERSION = 1
SHOWN_FAILING = 20


def document(nodes: Sequence[Node], run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report.

    ``run`` has ``made``, ``seconds``, ``inventory``, ``playbook``, ``limit``, ``known_hosts``, ``account``.
    """
    return {
        "schema": SCHEMA,
        "version": VERSION,
        **run,
        "counts": {state: sum(node.state == state for node in nodes) for state in (ENROLLED, ALREADY, WOULD, FAILED)},
        "nodes": [_node(node) for node in nodes],
    }


def _node(node: Node) -> dict[str, Any]:
    return {
        "name": node.asked.name,
        "address": node.target.shown if node.target else node.asked.host,
        "state": node.state,
        "fingerprint": node.key.fingerprint if node.key else None,
        "key_type": node.key.kind if node.key else None,
        "known_by": node.source,
        "changed": node.changed,
        "seconds": round(node.seconds, 1),
        # The lines of public keys and fingerprints are no secrets, and look like some.
        "error": masked_values(node.error.as_dict()) if node.error else None,
    }


def lines(report: Mapping[str, Any], folder: str, remarks: Sequence[str]) -> list[str]:
    """Return the table, each failing node with its error, and the next commands."""
    nodes, counts = report["nodes"], report["counts"]
    words = [f"{counts[state]} {state}" for state in (ENROLLED, ALREADY, WOULD, FAILED) if counts[state]]
    text = [f"{nodes_text(len(nodes))}: {', '.join(words)}; {report['seconds']:.0f} s"]
    widths = [max(len(node[key] or "") for node in nodes) for key in ("name", "address", "state")]
    for node in nodes:
        cells = [
            (node[key] or "").ljust(width) for key, width in zip(("name", "address", "state"), widths, strict=True)
        ]
        known = f"{node['fingerprint']} ({node['known_by']})" if node["fingerprint"] and node["known_by"] else ""
        text.append("  ".join(["", *cells, known, ", ".join(node["changed"])]).rstrip())
    failing = [node for node in nodes if node["state"] == FAILED]
    for node in failing[:SHOWN_FAILING]:
        error = node["error"]
        text.append(f"FAIL {node['name']}: {error['problem']}")
        text += [f"    {key}: {cut(error[key], 600)}" for key in ("found", "wanted", "where") if error[key]]
        text.append(f"    next: {error['remedy']}")
    if len(failing) > SHOWN_FAILING:
        text.append(f"... and {len(failing) - SHOWN_FAILING} more failing nodes: {folder}/report.json")
    text += [f"remark: {remark}" for remark in remarks]
    text.append(f"Report: {folder}/report.json; passing.txt and failing.txt beside it, for --limit")
    if failing:
        options = f"{report['inventory']} --limit @{shlex.quote(folder)}/failing.txt".strip()
        text.append(f"After the repair: ansible-playbook playbooks/{report['playbook']}.yml {options}")
    return text


def write(report: Mapping[str, Any], folder: Path) -> None:
    """Write report.json, passing.txt and failing.txt, each atomically. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write(str(folder / "report.json"), json.dumps(report, indent=1, sort_keys=True) + "\n")
    failing = [node["name"] for node in report["nodes"] if node["state"] == FAILED]
    write_names(folder, [node["name"] for node in report["nodes"] if node["name"] not in failing], failing)
