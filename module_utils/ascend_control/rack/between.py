# SPDX-License-Identifier: Apache-2.0
"""What differs between the nodes of a job. Pure: all answers in, failures by node out.

A node is wrong if its value is not the most common one. If two values tie for most common, nobody can tell which is
right, and all nodes are reported.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, TypeVar

from ...ascend.finding import Finding
from ...ascend.text import listed
from .alone import Answer, failure
from .wishes import Wishes

Failures = dict[str, list[Finding]]
Key = TypeVar("Key")  # a node, or one of its cards


def between(answers: Mapping[str, Answer], wishes: Wishes) -> Failures:
    """Return node -> failures, of nodes that answered; ``answers`` are node -> answer."""
    looks = {name: answer["look"] for name, answer in answers.items() if not answer.get("silent")}
    found: Failures = {name: [] for name in looks}
    for name, problem, value, where, remedy in _COMPARED:
        values = {node: value(look) for node, look in looks.items()}
        _add(found, odd_ones({node: each for node, each in values.items() if each}), name, problem, where, remedy)
    for path in sorted({path for look in looks.values() for path in look["paths"]}):
        _add_path(found, looks, path)
    _add_clocks(found, answers, wishes.clock_s)
    if wishes.network:
        _add_tls(found, looks)
        _add_addresses(found, looks)
    return found


def odd_ones(values: Mapping[Key, Any]) -> dict[Key, tuple[Any, Any]]:
    """Return node -> (its value, the most common one) of the nodes that differ from it; all nodes if two values tie."""
    ranked = Counter(values.values()).most_common()
    if len(ranked) < 2:
        return {}
    if ranked[0][1] == ranked[1][1]:
        others = " or ".join(str(value) for value, _ in ranked[:4])
        return {node: (value, f"the same on all nodes (there are {others})") for node, value in values.items()}
    most = ranked[0][0]
    return {
        node: (value, f"{most} ({ranked[0][1]} nodes have this)") for node, value in values.items() if value != most
    }


def remarks(answers: Mapping[str, Answer]) -> list[str]:
    """Return differences between the nodes that make none of them fail."""
    looks = {name: answer["look"] for name, answer in answers.items() if not answer.get("silent")}
    words = []
    kinds = {
        name: ", ".join(sorted({device["name"] for device in look["facts"]["npu"]["devices"]}))
        for name, look in looks.items()
    }
    counts = {name: len(look["facts"]["npu"]["devices"]) for name, look in looks.items()}
    for what, values in (("chips", kinds), ("numbers of cards", counts)):
        if len(set(values.values())) > 1:
            words.append(f"the nodes have different {what}: " + _grouped(values))
    for path in sorted({path for look in looks.values() for path in look["paths"]}):
        of_path = {name: look["paths"][path] for name, look in looks.items() if path in look["paths"]}
        alike = len({each["sizes"] for each in of_path.values()}) == 1
        if alike and len({each["times"] for each in of_path.values()}) > 1:
            words.append(
                f"{path} has the same names and sizes on all nodes, but different times: were the copies made again?"
            )
    return words


def _grouped(values: Mapping[str, Any]) -> str:
    groups: dict[Any, list[str]] = {}
    for name, value in values.items():
        groups.setdefault(value, []).append(name)
    return "; ".join(f"{value} on {listed(names)}" for value, names in groups.items())


def _current(look: Any) -> str:
    return str(look["facts"]["environments"]["current"] or "")


def _cann(look: Any) -> str:
    environments = look["facts"]["environments"]
    home = environments["all"].get(environments["current"], {}).get("cann_home") or ""
    return str(home).rstrip("/").rpartition("/")[2]


def _driver(look: Any) -> str:
    npu = look["facts"]["npu"]
    return str(npu["driver_version"] or "") if npu["answered"] else ""


def _firmware(look: Any) -> str:
    return str(look["facts"]["driver"]["firmware_version"] or "")


_SITE = "ansible-playbook site.yml --limit NODE"
_HDK = "install the same Ascend HDK (driver and firmware) on all nodes, reboot"
_COMPARED: list[tuple[str, str, Callable[[Any], str], str, str]] = [
    ("release-differs", "the node has a different release", _current, "/opt/ascend/env/current", _SITE),
    (
        "cann-differs",
        "the node's environment is for a different CANN",
        _cann,
        "/opt/ascend/env/current/.cann_home",
        _SITE,
    ),
    ("driver-differs", "the node has a different driver", _driver, "npu-smi info", _HDK),
    (
        "firmware-differs",
        "the node has a different firmware",
        _firmware,
        "/usr/local/Ascend/firmware/version.info",
        _HDK,
    ),
]


def _add(found: Failures, odd: Mapping[str, tuple[Any, Any]], name: str, problem: str, where: str, remedy: str) -> None:
    for node, (value, wanted) in odd.items():
        found[node].append(failure(name, problem, str(wanted), str(value), where, remedy))


def _add_path(found: Failures, looks: Mapping[str, Any], path: str) -> None:
    listings = {}
    for node, look in looks.items():
        each = look["paths"].get(path)
        if each and not each["error"]:
            listings[node] = f"{each['files']} files, {each['bytes']} bytes, listing {each['sizes']}"
    remedy = f"find {shlex.quote(path)} -type f -printf '%P %s\\n' | sort | sha256sum"
    remedy += "  # compare with another node, then copy it again"
    _add(found, odd_ones(listings), "path-differs", f"{path} is not the same as on the other nodes", path, remedy)


def _add_clocks(found: Failures, answers: Mapping[str, Answer], tolerance_s: float) -> None:
    """A node's clock is known within the time that its answer took; it is wrong if no moment in it would be right."""
    clocks = {node: answers[node]["clock"] for node in found}
    if len(clocks) < 2:
        return
    # Of two nothing says which is right: the control node's own clock decides.
    right = median((low + high) / 2 for low, high in clocks.values()) if len(clocks) > 2 else 0.0
    whose = "the median of the nodes" if len(clocks) > 2 else "the control node"
    for node, (low, high) in clocks.items():
        off = low - right if low - right > 0 else min(0.0, high - right)
        if abs(off) > tolerance_s:
            words = f"at least {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} {whose}"
            wanted = f"within {tolerance_s:g} s (preflight_clock_s)"
            remedy = "timedatectl; systemctl restart chronyd  # or the service that keeps its clock"
            found[node].append(failure("clock", "the node's clock is off", wanted, words, "date", remedy))


def _add_tls(found: Failures, looks: Mapping[str, Any]) -> None:
    switches = {
        (node, card["device"]): card["tls"]
        for node, look in looks.items()
        for card in look["cards"]
        if card["tls"] is not None
    }
    odd: dict[str, list[str]] = {}
    wanted = ""
    for (node, device), (value, most) in odd_ones(switches).items():
        odd.setdefault(node, []).append(f"card {device}: {value}")
        wanted = str(most).replace("nodes have", "cards have")
    for node, cards in odd.items():
        remedy = "for i in {0..7}; do hccn_tool -i $i -tls -s enable 0; done  # the same on all nodes, 0 or 1"
        problem = "some cards have a different TLS setting, so they cannot connect to the others (EI0006)"
        found[node].append(
            failure("tls-differs", problem, wanted, listed(cards, most=8), "hccn_tool -i N -tls -g", remedy)
        )


def _add_addresses(found: Failures, looks: Mapping[str, Any]) -> None:
    owners: dict[str, list[tuple[str, int]]] = {}
    for node, look in looks.items():
        for card in look["facts"]["network"]["cards"]:
            if card["address"]:
                owners.setdefault(card["address"], []).append((node, card["device"]))
    for address, cards in owners.items():
        for node in sorted({name for name, _ in cards}):
            others = [f"card {device} of {name}" for name, device in cards if name != node]
            if others:
                remedy = "hccn_tool -i N -ip -s address 10.0.0.2 netmask 255.255.0.0  # a free one from your plan"
                words = f"{address}: also {listed(others)}"
                found[node].append(
                    failure(
                        "address-twice",
                        "a card has the same address as a card of another node",
                        "an address of its own",
                        words,
                        "hccn_tool -i N -ip -g",
                        remedy,
                    )
                )
