# SPDX-License-Identifier: Apache-2.0
"""Collect what a node is, in one go. Nothing here fails because of the node: absence and breakage are findings."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, List, Optional, Sequence

from . import files, rights
from .finding import Finding, bounded
from .masking import masked_values
from .node import Node
from .places import ASCEND_ENV, BESIDE, DRAINED, ETC, RUN, Places

if TYPE_CHECKING:
    from .shapes import Changes, Facts

FAST_SUBSETS = ("system", "npu", "cann", "python")
SUBSETS = (*FAST_SUBSETS, "network")  # "cards" and "links" are shorter forms of "npu" and of the last one
SCHEMA = 3
# The facts of a fleet fit in memory and in a fact cache: the findings of a node have what the rest leaves of this.
MOST_BYTES = 16 * 1024
LEAST_FINDINGS = 3000
# Temporary files of CANN's compiler (TBE) and of Python; memory that data loaders and ranks share.
WRITTEN_BY_TRAINING = ("/tmp", "/var/tmp", "/dev/shm")


def collect(
    node: Node,
    places: Places,
    subsets: List[str],
    timeout_s: float,
    deep: bool = False,
    kernel_settings: Sequence[str] = (),
    cards_out: Sequence[int] = (),
    users: Sequence[str] = (),
) -> Facts:
    """Return the facts of ``subsets`` ("all" for every one) as docs/facts.md and the module ``ascend_facts`` say.

    ``timeout_s`` is the longest time of each call of a tool; ``deep`` reads every installed file instead of its size.
    The network of ``cards_out`` (NPU ids) is skipped. ``users`` are the accounts that train; the facts of the driver
    say whether they may open the cards. Raises AscendError if ``kernel_settings`` contains something that cannot be a
    kernel setting.
    """
    # A node compiles at each call what is imported: so each reader is imported where it is wanted.
    chosen = SUBSETS if "all" in subsets else tuple(subsets)
    facts: Facts = {"schema": SCHEMA}
    findings: List[Finding] = []
    if "system" in chosen:
        from . import system

        node.at(places.cann_root, system.DISK_S)
        # It may be a disk of its own; where it is not there yet, it will lie on the root's.
        beside = os.path.join(places.cann_root, BESIDE)
        installed_to = beside if os.path.isdir(node.path(beside)) else places.cann_root
        node.at("the operating system")
        disks = [places.cann_root, installed_to, places.tmp_dir, places.ascend_root, places.cache_dir]
        disks += [places.state_dir, ETC, os.path.dirname(ASCEND_ENV), *WRITTEN_BY_TRAINING]
        facts["system"] = system.read_system(node, installed_to, disks, timeout_s, kernel_settings)
        node.at(places.state_dir, system.DISK_S)
        facts["changes"] = _changes(node, places)
        if os.path.isdir(os.path.join(node.path(places.state_dir), "serve")):  # most nodes serve nothing by serve.yml
            from .serve import server

            facts["services"] = server.facts(node, places.state_dir)
    if {"npu", "cards", "network", "links"}.intersection(chosen):
        node.at("npu-smi info and %s" % places.cann_root)
        file_users = "npu" in chosen or "cards" not in chosen
        findings += _add_cards(facts, node, places, file_users, timeout_s, users)
    if {"network", "links"}.intersection(chosen):
        node.at("hccn_tool")
    if "network" in chosen:
        from .npu import network

        facts["network"], found = network.read_network(node, facts["npu"]["devices"], timeout_s, cards_out)
        findings += found
    elif "links" in chosen:
        from .npu import links

        facts["network"], found = links.read_links(node, facts["npu"]["devices"], timeout_s, cards_out)
        findings += found
    if {"cann", "python"}.intersection(chosen):
        from . import homes

        node.at("the homes of users")
        others = homes.look(node)
        if "cann" in chosen:
            node.at(places.cann_root)
            findings += _add_cann(facts, node, places, others, deep)
        if "python" in chosen:
            node.at(places.ascend_root)
            findings += _add_pythons(facts, node, places, others, deep)
        findings += homes.hung_findings(others)
    room = max(MOST_BYTES - len(json.dumps(facts)), LEAST_FINDINGS)
    facts = masked_values(facts)
    facts["findings"] = bounded(findings, room)
    return facts


def collect_in_time(limit_s: float, node: Node, *what: Any) -> Facts:
    """Return ``collect(node, *what)``, read in a child process. Raises AscendError if that does not end in time."""
    from .in_time import in_time

    facts: Facts = in_time(limit_s, lambda at: collect(node._replace(at=at), *what))
    return facts


def _changes(node: Node, places: Places) -> Changes:
    """Return the run that changes the node now, the run that drained it, and the journal's last entry, or None."""
    from .change import journal

    state_dir = node.path(places.state_dir)
    current_change = files.mapping(os.path.join(state_dir, RUN))
    keys = ("began", "who", "control", "run", "action", "from", "to")
    kept = files.mapping(os.path.join(state_dir, DRAINED))
    drained: Any = {key: str(kept.get(key)) for key in keys[:4]} if kept else None
    change: Any = {key: str(current_change.get(key)) for key in keys} if current_change else None
    changes: Changes = {"running": change, "last": journal.last(state_dir)}
    if drained:
        changes["drained"] = drained
    return changes


def _add_cards(
    facts: Facts, node: Node, places: Places, file_users: bool, timeout_s: float, users: Sequence[str]
) -> List[Finding]:
    from .busy import begun
    from .npu import cards, device_users, driver

    facts["npu"], found = cards.read_npu(node, timeout_s, file_users)
    npu_facts: Any = facts["npu"]
    begun.add(npu_facts, node, places.state_dir)
    npu = facts["npu"]
    runs = "driver %s" % (npu["driver_version"] or "of an unknown version") if npu["answered"] else ""
    facts["driver"], more = driver.read_driver(node, places.cann_root, runs)
    facts["driver"]["users"], shut_out = device_users.read_users(node, users, timeout_s)
    found = found + more + shut_out + driver.compare_loaded(facts["driver"], facts["npu"]["driver_version"])
    return found + cards.fewer_visible(facts["npu"], facts["driver"]["device_nodes"])


def _add_cann(facts: Facts, node: Node, places: Places, others: Any, deep: bool) -> List[Finding]:
    from .cann import read as cann_read

    facts["cann"], found = cann_read.read_cann(node, places.cann_root, places.state_dir, deep, others)
    if "npu" in facts:
        from .npu.chips import kernels_families

        for chip in kernels_families(device["name"] for device in facts["npu"]["devices"]):
            found = found + cann_read.kernels_chip_findings(facts["cann"], chip)
    return found


def _add_pythons(facts: Facts, node: Node, places: Places, others: Any, deep: bool) -> List[Finding]:
    from .cann import profiles
    from .environment import read as environment_read
    from .python import read as pythons, system as system_pythons

    facts["pythons"] = pythons.read(node.path(os.path.join(places.ascend_root, "python")), deep)
    facts["system_pythons"] = system_pythons.read(node)
    env = os.path.join(places.ascend_root, "env")
    facts["environments"], found = environment_read.read_environments(node, env, deep)
    facts["ascend_env"] = {"path": ASCEND_ENV, "sha256": _sha256(node.path(ASCEND_ENV))}
    facts["closed"] = rights.read(places.ascend_root, ASCEND_ENV, node.path)
    found += profiles.settings(node, others, places.cann_root)
    return pythons.findings(facts["pythons"]) + found + rights.findings(facts["closed"])


def _sha256(path: str) -> Optional[str]:
    try:
        return files.sha256(path)
    except OSError:
        return None
