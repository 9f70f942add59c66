# SPDX-License-Identifier: Apache-2.0
"""Rates of an all_reduce, and which node they are slow because of."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack import rates
from tests.unit.rack.looks import ran

SIZE = 256 * 2**20


@pytest.mark.parametrize("count", [3, 4, 5, 8, 101])
def test_rounds_have_each_pair_of_neighbours_once_and_no_node_twice(count: int) -> None:
    rounds = rates.rounds(count)
    pairs = [tuple(pair) for each in rounds for pair in each]
    assert sorted(pairs) == sorted((number, (number + 1) % count) for number in range(count))
    for each in rounds:
        nodes = [node for pair in each for node in pair]
        assert len(nodes) == len(set(nodes))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_have_no_pairs(count: int) -> None:
    assert rates.rounds(count) == []


def test_the_bus_rate_is_that_of_a_link() -> None:
    # 2 (n-1)/n of the data crosses each link: 256 MiB between two ranks in 10 ms.
    assert rates.rate(SIZE, 0.01, 2) == pytest.approx(26.8435456)
    assert rates.rate(SIZE, 0.0, 2) == rates.rate(SIZE, 0.01, 1) == 0.0


def test_the_table_has_the_slowest_ranks_times() -> None:
    answers = ran([], 3)
    answers["npu-2"]["sizes"][str(SIZE)] = 0.02
    assert rates.table(answers, 2) == [{"bytes": SIZE, "seconds": 0.02, "bus_gb_s": 13.42}]


def measured(seconds: list[tuple[int, int, float]], count: int) -> list[dict[str, Any]]:
    names = [f"npu-{number + 1}" for number in range(count)]
    return rates.pairs(names, [1] * count, ran(seconds, count), SIZE)


def test_a_slow_node_makes_both_its_pairs_slow_and_is_marked_alone() -> None:
    found = measured([(0, 1, 0.02), (1, 2, 0.02), (2, 3, 0.01), (3, 0, 0.01)], 4)
    marked = rates.slow(rates.of_nodes(found), 0.8)
    assert list(marked) == ["npu-2"]
    assert "0.50 of the median of 4 nodes" in marked["npu-2"]
    assert rates.slow_links(found, marked, 0.8) == []


def test_a_slow_link_between_good_nodes_marks_none_of_them() -> None:
    found = measured([(0, 1, 0.02), (1, 2, 0.01), (2, 3, 0.01), (3, 0, 0.01)], 4)
    marked = rates.slow(rates.of_nodes(found), 0.8)
    assert marked == {}
    assert len(rates.slow_links(found, marked, 0.8)) == 1
    assert "between npu-1 and npu-2" in rates.slow_links(found, marked, 0.8)[0]


def test_what_is_just_good_enough_is() -> None:
    assert rates.slow({"a": 10.0, "b": 10.0, "c": 8.0}, 0.8) == {}
    assert list(rates.slow({"a": 10.0, "b": 10.0, "c": 7.9}, 0.8)) == ["c"]
    assert rates.slow({"a": 10.0, "b": 1.0}, 0.8) == {}
