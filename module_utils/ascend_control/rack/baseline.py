# SPDX-License-Identifier: Apache-2.0
"""A rack's state when it was accepted, in a file, and what is worse now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...ascend.errors import AscendError
from ...ascend.finding import Finding
from ...ascend.text import listed
from .alone import failure

SCHEMA = "ascend-fleet/preflight-baseline"
VERSION = 1
TOLERANCE = {"rate": 0.9, "link_ups": 0}  # the part of the rate that is still as good; how many link changes more


def made_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the baseline of a report: of the nodes that passed."""
    nodes = {
        node["name"]: {"cards": node["cards"], "bus_gb_s": node["bus_gb_s"]}
        for node in report["nodes"]
        if node["state"] == "pass"
    }
    kept = {key: report[key] for key in ("made", "level", "device")}
    # The rates of other nodes are no measure, and neither is one of fewer.
    together = report["all_reduce"] if all(node["state"] == "pass" for node in report["nodes"]) else []
    return {
        "schema": SCHEMA,
        "version": VERSION,
        **kept,
        "tolerance": TOLERANCE,
        "nodes": nodes,
        "all_reduce": together,
    }


def read(file: str) -> dict[str, Any]:
    """Return a baseline. Raises AscendError for another kind of file, or one of another version."""
    remedy = f"-e preflight_write_baseline={file}  # writes one, from healthy nodes"
    wanted = f"a file with schema {SCHEMA}, version {VERSION}"
    try:
        document = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AscendError("cannot read the baseline", wanted, str(error), file, remedy) from None
    found = (document.get("schema"), document.get("version")) if isinstance(document, dict) else (None, None)
    if found != (SCHEMA, VERSION) or not _has_form(document):
        raise AscendError(
            "the file is not a baseline of this version", wanted, f"{found[0]}, version {found[1]}", file, remedy
        )
    return dict(document)


def _has_form(document: Mapping[str, Any]) -> bool:
    tolerance, nodes = document.get("tolerance"), document.get("nodes")
    numbers = isinstance(tolerance, dict) and all(isinstance(tolerance.get(key), int | float) for key in TOLERANCE)
    mappings = isinstance(nodes, dict) and all(
        isinstance(each, dict) and isinstance(each.get("cards"), dict) for each in nodes.values()
    )
    return numbers and mappings and isinstance(document.get("all_reduce"), list)


def failures(report: Mapping[str, Any], baseline: Mapping[str, Any]) -> dict[str, list[Finding]]:
    """Return node -> what is worse than it was; nodes that the baseline lacks are left out."""
    found: dict[str, list[Finding]] = {}
    for node in report["nodes"]:
        before = baseline["nodes"].get(node["name"])
        found[node["name"]] = _of_node(node, before, baseline) if before else []
    return found


def remarks(report: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """Return differences from the baseline that belong to no single node: the rate of all, nodes that it lacks."""
    names = {node["name"] for node in report["nodes"]}
    new = sorted(names - set(baseline["nodes"]))
    words = [f"not in the baseline: {listed(new)}"] if new else []
    if baseline["device"] != report["device"]:
        return [*words, f"the baseline's rates were measured on the {baseline['device']}: not compared"]
    if names != set(baseline["nodes"]):
        return (
            [*words, "the baseline's all_reduce was over other nodes: not compared"] if report["all_reduce"] else words
        )
    before = {row["bytes"]: row["bus_gb_s"] for row in baseline["all_reduce"]}
    for row in report["all_reduce"]:
        was = before.get(row["bytes"])
        if was and row["bus_gb_s"] < baseline["tolerance"]["rate"] * was:
            words.append(
                f"all_reduce of {row['bytes']} bytes over all: {row['bus_gb_s']:.3g} GB/s, in the baseline {was:.3g}"
            )
    return words


def _of_node(node: Mapping[str, Any], before: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[Finding]:
    tolerance, where = baseline["tolerance"], f"the baseline of {baseline['made']}"
    moved, flaps = [], []
    for number, card in node["cards"].items():
        was = before["cards"].get(number, {})
        if card["switch_port"] and was.get("switch_port") and card["switch_port"] != was["switch_port"]:
            moved.append(f"card {number}: {card['switch_port']}, was {was['switch_port']}")
        now, then = card["link_up_count"], was.get("link_up_count")
        # A lower count is a driver that was started anew: it says nothing.
        if now is not None and then is not None and now > then + tolerance["link_ups"]:
            flaps.append(f"card {number}: link up {now} times, was {then}")
    found = []
    if moved:
        remedy = "hccn_tool -i N -lldp -g  # was a cable moved? if on purpose, write a new baseline"
        found.append(
            failure(
                "switch-port-moved",
                "cards are on different switch ports",
                where,
                listed(moved, most=8),
                where,
                remedy,
            )
        )
    if flaps:
        remedy = "hccn_tool -i N -link_stat -g; hccn_tool -i N -optical -g"
        remedy += "  # check the cable, the optical module and the switch port"
        found.append(
            failure(
                "link-flaps",
                "links went down and up again since the baseline",
                where,
                listed(flaps, most=8),
                where,
                remedy,
            )
        )
    rate, was_rate = node["bus_gb_s"], before.get("bus_gb_s")
    if baseline["device"] == node["device"] and rate and was_rate and rate < tolerance["rate"] * was_rate:
        words = f"{rate:.3g} GB/s, was {was_rate:.3g}"
        wanted = f"{tolerance['rate']:g} of the baseline's rate"
        remedy = (
            "hccn_tool -i N -stat -g  # errors, pauses; npu-smi info -t common -i N  # is it hot, is its clock down?"
        )
        found.append(
            failure("slower", "all_reduce with its neighbours is slower than it was", wanted, words, where, remedy)
        )
    return found
