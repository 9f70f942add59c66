# SPDX-License-Identifier: Apache-2.0
"""Who is done, at work, failed, busy or waiting; and how much time is left, where that is known."""

from __future__ import annotations

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.watch import (
    BUSY,
    DONE,
    FAILED,
    WAITING,
    WORK,
    Watch,
)
from tests.unit.terminal.runs import PLAY, Clock, batch, names, rollout


def counts(watch: Watch) -> tuple[int, ...]:
    counted = watch.count()
    return tuple(counted[state] for state in (DONE, FAILED, BUSY, WORK, WAITING))


def test_a_rollout_is_counted_over_its_batches() -> None:
    watch, _ = rollout(40)
    assert (watch.batch, watch.sizes) == (3, [1, 4, 35])
    # npu-0002 was busy when its batch ended; of the second batch nobody failed.
    assert counts(watch) == (4, 0, 1, 35, 0)
    assert [node.name for node in watch.at_work()][:2] == ["npu-0006", "npu-0007"]


def test_the_slowest_come_first_and_who_has_ended_does_not_come() -> None:
    clock = Clock()
    watch = Watch(10, clock)
    watch.begin(PLAY, ["a", "b", "c"], ["a", "b", "c"], [3])
    for name in "cab":
        watch.start(name, "task")
        clock.now += 1
    assert watch.end("a") == 2.0
    assert [node.name for node in watch.at_work()] == ["c", "b"]
    assert counts(watch) == (0, 0, 0, 3, 0)


def test_a_failure_that_is_rescued_is_none() -> None:
    watch = Watch(10, Clock())
    watch.begin(PLAY, ["a", "b"], ["a", "b"], [2])
    for name in "ab":
        watch.start(name, "prove")
        watch.end(name, FAILED, "no card")
    assert [node.name for node in watch.failed()] == ["a", "b"]
    watch.start("a", "look deeper")
    watch.end("a")
    watch.end_batch()
    assert [node.name for node in watch.failed()] == ["b"]
    assert counts(watch) == (1, 1, 0, 0, 0)


def test_who_failed_in_an_earlier_play_stays_so() -> None:
    watch = Watch(10, Clock())
    watch.begin("Observe", ["a", "b"], ["a", "b"], [2])
    watch.start("a", "observe")
    watch.end("a", FAILED, "no driver")
    watch.end_batch()
    watch.begin(PLAY, ["a", "b"], ["a", "b"], [2])
    assert (watch.batch, counts(watch)) == (1, (0, 1, 0, 0, 1))


def test_a_play_of_the_same_name_is_another_one() -> None:
    watch = Watch(10, Clock())
    for _ in range(2):
        watch.begin("Check the inventory's variables", ["a"], ["a"], [1])
        assert (watch.batch, counts(watch)) == (1, (0, 0, 0, 0, 1))
        watch.end_batch()


def test_time_left_is_unknown_before_a_node_is_done() -> None:
    clock = Clock()
    watch = Watch(50, clock)
    fleet = names(100)
    watch.begin(PLAY, fleet, fleet[:1], [1, 10, 89])
    watch.start(fleet[0], "task")
    clock.now += 100
    assert watch.left() is None


@pytest.mark.parametrize(
    ("forks", "left"),
    [
        (100, 300.0 + 300.0),  # each batch takes as long as the canary
        (10, 300.0 + 8.9 * 300.0),  # ten at once: the last batch has nine rounds
    ],
)
def test_time_left_counts_the_rounds_of_the_batches_to_come(forks: int, left: float) -> None:
    clock = Clock()
    watch = Watch(forks, clock)
    fleet = names(100)
    batch(watch, clock, fleet[:1], [1, 10, 89], fleet, 300.0)
    watch.end_batch()
    watch.begin(PLAY, fleet, fleet[1:11], [1, 10, 89])
    assert watch.left() == pytest.approx(left)
    clock.now += 100
    assert watch.left() == pytest.approx(left - 100)


def test_a_batch_that_takes_longer_than_those_before_has_no_time_left_to_tell() -> None:
    watch, clock = rollout(40)
    assert watch.left() is not None
    clock.now += 1000
    assert watch.left() is None


def test_of_a_play_without_batches_time_left_is_told_by_the_nodes_that_are_done() -> None:
    clock = Clock()
    watch = Watch(5, clock)
    fleet = names(100)
    watch.begin("Observe every node", fleet, fleet, [100])
    for name in fleet[:4]:
        watch.start(name, "observe")
        clock.now += 1
        watch.end(name, DONE)
    assert watch.left() is None, "less than are worked on at once"
    watch.start(fleet[4], "observe")
    clock.now += 1
    watch.end(fleet[4], DONE)
    assert watch.left() == pytest.approx(95.0)


def test_nodes_beside_the_play_are_counted_and_cost_no_time() -> None:
    clock = Clock()
    watch = Watch(1, clock)
    watch.begin(PLAY, ["a", "b"], ["a", "b"], [2], {BUSY: 3, WAITING: 4})
    watch.start("a", "task")
    clock.now += 10
    watch.end("a", DONE)
    assert counts(watch) == (1, 0, 3, 0, 5)
    assert watch.left() == pytest.approx(10.0)


def test_how_many_nodes_have_a_task_behind_them() -> None:
    watch = Watch(5, Clock())
    watch.begin(PLAY, ["a", "b", "c"], ["a", "b", "c"], [3])
    watch.start("a", "first")
    watch.end("a", FAILED)
    watch.begin_task("second")
    watch.start("b", "second")
    watch.end("b")
    assert (watch.ended_task, watch.of_task) == (1, 2)
    watch.begin_task("third", once=True)
    assert (watch.ended_task, watch.of_task) == (0, 1)
