# SPDX-License-Identifier: Apache-2.0
"""How fast all_reduce was, and which node makes it slow.

All ranks of an all_reduce over all nodes take the same time, that of the slowest, so it gives no rate of a single node.
Therefore pairs of neighbours do one, too: node 1 with 2, 2 with 3, the last with the first; pairs that share no node
run at the same time. A slow node makes both its pairs slow; a slow link between two good ones makes one pair slow. So a
node's rate is that of its better pair. A node between two slow ones cannot be distinguished from a slow one, and is
marked like them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

LEAST_NODES = 3
GB = 1e9  # rates are in GB/s, as HCCL's and NCCL's tests give them


def rounds(count: int) -> list[list[list[int]]]:
    """Return rounds of pairs of neighbours in a ring of ``count`` nodes; pairs of one round share no node.

    Two nodes have only one pair, which is all of them, so there is none.
    """
    if count < LEAST_NODES:
        return []
    pairs = [[number, (number + 1) % count] for number in range(count)]
    last = [pairs.pop()] if count % 2 else []
    return [each for each in (pairs[0::2], pairs[1::2], last) if each]


def rate(size: int, seconds: float, ranks: int) -> float:
    """Return the bus rate in GB/s: what crosses each rank's link, whatever the number of ranks."""
    return 2 * (ranks - 1) / ranks * size / seconds / GB if seconds > 0 and ranks > 1 else 0.0


def table(answers: Mapping[str, Any], ranks: int) -> list[dict[str, Any]]:
    """Return ``{"bytes", "seconds", "bus_gb_s"}`` for each size of the all_reduce over all nodes: slowest ranks."""
    seconds: dict[int, float] = {}
    for answer in answers.values():
        for size, each in answer.get("sizes", {}).items():
            seconds[int(size)] = max(float(each), seconds.get(int(size), 0.0))
    return [
        {"bytes": size, "seconds": each, "bus_gb_s": _shown(rate(size, each, ranks))}
        for size, each in sorted(seconds.items())
    ]


def pairs(names: Sequence[str], counts: Sequence[int], answers: Mapping[str, Any], size: int) -> list[dict[str, Any]]:
    """Return ``{"nodes", "bus_gb_s"}`` for each pair of neighbours, at the largest size."""
    seconds: dict[tuple[int, int], float] = {}
    for answer in answers.values():
        for pair, each in answer.get("pairs", []):
            key = (int(pair[0]), int(pair[1]))
            seconds[key] = max(float(each), seconds.get(key, 0.0))
    return [
        {"nodes": [names[one], names[other]], "bus_gb_s": _shown(rate(size, each, counts[one] + counts[other]))}
        for (one, other), each in sorted(seconds.items())
    ]


def of_nodes(measured: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return node -> GB/s, that of its better pair."""
    best: dict[str, float] = {}
    for pair in measured:
        for name in pair["nodes"]:
            best[name] = max(best.get(name, 0.0), float(pair["bus_gb_s"]))
    return best


def slow(rates_of: Mapping[str, float], part: float) -> dict[str, str]:
    """Return node -> text for nodes below ``part`` of the median; none if there are fewer than three."""
    if len(rates_of) < LEAST_NODES:
        return {}
    middle = median(rates_of.values())
    return {
        name: f"{each:.3g} GB/s, {each / middle:.2f} of the median of {len(rates_of)} nodes ({middle:.3g} GB/s)"
        for name, each in rates_of.items()
        if each < part * middle
    }


def slow_links(measured: Sequence[Mapping[str, Any]], marked: Mapping[str, str], part: float) -> list[str]:
    """Return pairs that are slow although both nodes are not, so the link between them is."""
    if len(measured) < LEAST_NODES:
        return []
    middle = median(float(pair["bus_gb_s"]) for pair in measured)
    return [
        f"between {' and '.join(pair['nodes'])}: {pair['bus_gb_s']:.3g} GB/s; between most it is {middle:.3g} GB/s"
        for pair in measured
        if pair["bus_gb_s"] < part * middle and not marked.keys() & set(pair["nodes"])
    ]


def _shown(value: float) -> float:
    return float(f"{value:.4g}")
