# SPDX-License-Identifier: Apache-2.0
"""What differs between a fleet's nodes without being wrong on any single one: the loaded drivers.

Only nodes that should have the same CANN are compared, because others are never in one job. If that CANN's HCCL hangs
between different drivers (compatibility.yml says which), the difference is a warning, else a remark. The majority need
not be right, but it is given as a number and the others by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from ...ascend.finding import Refusal, refusal
from ...ascend.text import listed
from ...ascend.versions import same
from .documents import Document
from .found import Found, found_of
from .words import nodes_text

_HANG = "hang"
_SHOWN_DRIVERS = 4


class Peer(TypedDict):
    """The data by which a node is compared with others: its loaded driver ("" if unknown), the CANN that it should
    have, and what happens to that CANN's jobs between different drivers ("hang" or "").
    """

    driver: str
    cann: str
    mixed: str


class Between(TypedDict):
    """``compared`` is the number of nodes whose driver is known."""

    compared: int
    warnings: list[Refusal]
    remarks: list[Refusal]


def peer_of(facts: Document, wanted: Document) -> Peer:
    """Return the data by which a node with these facts is compared; ``wanted`` is the control node's result for it."""
    driver = _loaded(found_of(facts))
    return {"driver": driver, "cann": wanted["toolkit"]["version"], "mixed": wanted["driver"]["mixed"]}


def _loaded(found: Found) -> str:
    """Return the loaded driver. A silent one is unknown, because the driver on disk may be waiting for a reboot."""
    return str(found.npu.driver_version or found.driver.version or "") if found.npu.answered else ""


def between(peers: dict[str, Peer], asked: int, limit: str | None, look: str) -> Between:
    """Return what differs between these nodes (host name -> peer), among ``asked`` ones within ``limit``.

    ``look`` is the command that shows which node has which driver.
    """
    known = {host: peer for host, peer in sorted(peers.items()) if peer["driver"]}
    warnings: list[Refusal] = []
    remarks: list[Refusal] = []
    for cann in sorted({peer["cann"] for peer in known.values()}):
        alike = {host: peer for host, peer in known.items() if peer["cann"] == cann}
        groups = _groups((host, peer["driver"]) for host, peer in alike.items())
        if len(groups) < 2:
            continue
        hangs = any(peer["mixed"] == _HANG for peer in alike.values())
        where = _where(len(alike), asked - len(known), limit)
        (warnings if hangs else remarks).append(_differ(cann, groups, hangs, where, look))
    return {"compared": len(known), "warnings": warnings, "remarks": remarks}


def _groups(drivers: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Return the drivers with their nodes, that of most nodes first; versions that compare as equal are one driver."""
    groups: dict[str, list[str]] = {}
    for host, driver in drivers:
        name = driver if driver in groups else next((known for known in groups if same(known, driver)), driver)
        groups.setdefault(name, []).append(host)
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))


def _where(compared: int, silent: int, limit: str | None) -> str:
    words = [f"npu-smi info of {nodes_text(compared)}"]
    words += [f"{nodes_text(silent)} did not answer"] if silent else []
    return "; ".join([*words, *([f"other nodes were not queried (--limit {limit})"] if limit is not None else [])])


def _differ(cann: str, groups: list[tuple[str, list[str]]], hangs: bool, where: str, look: str) -> Refusal:
    most, second = len(groups[0][1]), len(groups[1][1])
    texts = [
        f"{driver} on {nodes_text(len(hosts), hosts if number or most == second else [])}"
        for number, (driver, hosts) in enumerate(groups)
    ]
    problem = f"nodes with CANN {cann} have different drivers"
    return refusal(
        "driver",
        "drivers-differ" if hangs else "drivers-not-alike",
        f"{problem}, and HCCL hangs between them" if hangs else problem,
        "one driver on all nodes of a job",
        listed(texts, most=_SHOWN_DRIVERS),
        f"{look}  # then install one Ascend HDK on all and reboot; until then run no job across different drivers",
        where,
        cann,
    )


def compared_words(compared: int) -> str:
    """Return between how many nodes the drivers were compared."""
    return f"drivers compared {f'between {nodes_text(compared)}' if compared > 1 else 'with no other node'}"


def between_lines(found: Between) -> list[str]:
    """Return what differs as lines for the terminal."""
    return [
        f"the fleet: {kind}: {each['problem']} ({each['found']}; {each['where']}; {each['remedy']})"
        for kind, refusals in (("warning", found["warnings"]), ("remark", found["remarks"]))
        for each in refusals
    ]
