# SPDX-License-Identifier: Apache-2.0
"""One run at a time: who keeps others out, how a dead one is recognised, and what the journal says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import atomic
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import (
    fault_points,
    journal,
    module_lock,
    process,
    run_lock,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from tests.children import in_child
from tests.hangs import no_hang

pytestmark = pytest.mark.slow

CHANGE = {"action": "provision", "from": "none", "to": "8.0.RC1-0123456789ab"}
ROUNDS = 20


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module_lock, "WAIT_S", 0.3)
    monkeypatch.setattr(module_lock, "LOOK_S", 0.02)
    monkeypatch.setattr(fault_points, "_folder", "")
    with no_hang(120):
        yield


def holder(run: str = "one", **changes: Any) -> dict[str, Any]:
    given = {"who": "ops", "control": "ctl", "machine": "m", "boot": "b", "pid": 4711, "started": 1}
    return {"run": run, **given, **changes}


def take(state: str, run: str = "one", dead: str = "") -> dict[str, Any] | None:
    return run_lock.take(state, holder(run), CHANGE, [dead])


def results(state: str) -> list[tuple[str, str]]:
    return [(entry["run"], entry["result"]) for entry in journal.entries(state)]


def change_file(state: str, **changes: Any) -> None:
    path = Path(state, run_lock.FILE)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def age(state: str, seconds: float) -> None:
    """Make every sign of life that old."""
    then = time.time() - seconds
    for name in (run_lock.FILE, module_lock.FILE):
        os.utime(Path(state, name), (then, then))


def leftover(state: str, tmp_path: Path) -> int:
    """A program of a module that was killed."""
    told = tmp_path / "program"
    script = f"echo $$ >{told}.part; mv {told}.part {told}; exec sleep 600"
    child = os.fork()
    if not child:
        with module_lock.taken(state, "toolkit 8.0.RC1: present") as run:
            run(["sh", "-c", script], 600)
        os._exit(0)
    while not told.exists():
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return int(told.read_text())


def test_a_run_takes_a_free_node_and_gives_it_back(state: str) -> None:
    assert run_lock.read(state) is None
    assert take(state) is None
    there = run_lock.read(state)
    assert there == {**holder(), **CHANGE, "began": there and there["began"], "node_boot": process.boot()}
    assert journal.entries(state) == []
    run_lock.release(state, "one", "failed", "the reason")
    assert run_lock.read(state) is None
    [entry] = journal.entries(state)
    assert there is not None
    assert entry == {
        "began": there["began"],
        "ended": entry["ended"],
        "who": "ops",
        "control": "ctl",
        "run": "one",
        "action": "provision",
        "from": "none",
        "to": "8.0.RC1-0123456789ab",
        "result": "failed",
        "problem": "the reason",
    }
    assert entry["ended"] >= entry["began"]


def test_the_same_run_may_take_it_again(state: str) -> None:
    assert take(state) is None
    assert take(state) is None
    assert journal.entries(state) == []
    run_lock.release(state, "one", "done", "")
    run_lock.release(state, "one", "done", "")
    assert results(state) == [("one", "done")]


def test_an_alive_one_keeps_others_out(state: str) -> None:
    take(state)
    before = Path(state, run_lock.FILE).read_bytes()
    for dead in ("", "another"):
        there = take(state, "two", dead)
        assert there is not None
        assert there["run"] == "one"
    run_lock.release(state, "two", "done", "")
    assert Path(state, run_lock.FILE).read_bytes() == before
    assert journal.entries(state) == []


def test_what_the_second_is_told() -> None:
    error = run_lock.already_taken({**holder(), **CHANGE, "began": "2026-01-31T23:59:59Z"})
    assert str(error) == (
        "another run is changing this node; wanted: one run at a time; "
        "found: provision, started by ops, since 2026-01-31T23:59:59Z; where: control node ctl, process 4711; "
        "next: wait for it to end, or end it on ctl: kill 4711; a dead run's lock can be taken over at once from "
        "there, and from another control node 2 h after its last step"
    )
    assert all(error.as_dict().values())


def test_one_that_the_control_node_knows_to_be_dead(state: str) -> None:
    take(state)
    assert take(state, "two", dead="one") is None
    assert results(state) == [("one", "interrupted")]
    there = run_lock.read(state)
    assert there is not None
    assert there["run"] == "two"
    run_lock.release(state, "one", "done", "")
    assert run_lock.read(state) is not None, "a dead one comes back too late"
    run_lock.release(state, "two", "done", "")
    assert results(state) == [("one", "interrupted"), ("two", "done")]


def test_one_of_before_the_nodes_restart(state: str) -> None:
    take(state)
    change_file(state, node_boot="another")
    assert take(state, "two") is None
    assert results(state) == [("one", "interrupted")]


@pytest.mark.parametrize(("ago", "dead"), [(0, False), (0.9, False), (1.1, True), (-0.9, False), (-1.1, True)])
def test_one_that_shows_no_sign_of_life(state: str, ago: float, dead: bool) -> None:
    """Also when its last one is to come, since the clock was set right: else it would be alive for years."""
    take(state)
    age(state, ago * run_lock.STALE_S)
    there = take(state, "two")
    assert (there is None) == dead
    assert results(state) == ([("one", "interrupted")] if dead else [])


@pytest.mark.parametrize("sign", [run_lock.FILE, module_lock.FILE])
def test_one_sign_of_life_is_enough(state: str, sign: str) -> None:
    take(state)
    age(state, 2 * run_lock.STALE_S)
    os.utime(Path(state, sign))
    assert take(state, "two") is not None


def test_every_change_is_a_sign_of_life(state: str) -> None:
    take(state)
    age(state, 2 * run_lock.STALE_S)
    with module_lock.taken(state, "environment x"):
        pass
    assert take(state, "two") is not None


def test_it_is_not_stale_while_something_is_at_work(state: str, tmp_path: Path) -> None:
    take(state)
    program = leftover(state, tmp_path)
    age(state, 2 * run_lock.STALE_S)
    assert take(state, "two") is not None
    assert process.started(program) is not None
    assert take(state, "two", dead="one") is None
    assert process.started(program) is None
    assert results(state) == [("one", "interrupted")]


def test_a_module_of_a_dead_run_that_goes_on_is_ended(state: str) -> None:
    take(state)
    child = os.fork()
    if not child:
        with module_lock.taken(state, "toolkit 8.0.RC1: present"):
            time.sleep(600)
    while module_lock.at_work(state).get("pid") != child:
        time.sleep(0.01)
    assert take(state, "two") is not None
    assert process.started(child) is not None
    assert take(state, "two", dead="one") is None
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM


def test_what_a_killed_module_of_the_same_run_left(state: str, tmp_path: Path) -> None:
    take(state)
    program = leftover(state, tmp_path)
    assert take(state) is None
    assert process.started(program) is None


def test_what_a_killed_module_of_no_run_left(state: str, tmp_path: Path) -> None:
    program = leftover(state, tmp_path)
    assert take(state) is None
    assert process.started(program) is None


def test_a_module_of_no_run_keeps_runs_out(state: str) -> None:
    child = os.fork()
    if not child:
        with module_lock.taken(state, "toolkit 8.0.RC1: present"):
            time.sleep(600)
    while module_lock.at_work(state).get("pid") != child:
        time.sleep(0.01)
    with pytest.raises(AscendError, match=r"toolkit 8.0.RC1: present, process \d+, since"):
        take(state)
    assert run_lock.read(state) is None
    assert process.started(child) is not None
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert take(state) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"run": 3}', "\0"])
def test_a_damaged_file_is_no_lock(state: str, text: str) -> None:
    Path(state).mkdir()
    Path(state, run_lock.FILE).write_text(text)
    assert take(state) is None
    assert journal.entries(state) == []


def test_a_file_that_says_little_can_be_taken_over(state: str) -> None:
    Path(state).mkdir()
    Path(state, run_lock.FILE).write_text('{"run": "x"}')
    assert take(state) is None
    assert results(state) == [("x", "interrupted")]
    assert "None" in run_lock.already_taken({"run": "x"}).found


def test_one_that_is_given_back_while_another_looks(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take(state)

    def slow(_state_dir: str, there: dict[str, Any], _dead: list[str]) -> bool:
        run_lock.release(state, there["run"], "done", "")
        return alive(_state_dir, there, _dead)

    alive = run_lock.is_dead
    monkeypatch.setattr(run_lock, "is_dead", slow)
    held_file = Path(state, module_lock.FILE)
    held_file.unlink()
    assert take(state, "two") is None
    assert results(state) == [("one", "done")]


# --- two at the same moment ---------------------------------------------------------------------------------------

TAKER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import run_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
state, me, dead, change = sys.argv[2], json.loads(sys.argv[3]), sys.argv[4], json.loads(sys.argv[5])
print("ready", flush=True)
sys.stdin.readline()
there = run_lock.take(state, me, change, dead)
print(there["run"] if there else "", flush=True)
"""


def takers(root: Path, state: str, runs: list[str], dead: str) -> list[subprocess.Popen[str]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, str(root / "collections"), state, json.dumps(holder(run)), dead,
             json.dumps(CHANGE)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for run in runs
    ]  # fmt: skip
    for taker in started:
        assert taker.stdout is not None
        assert taker.stdout.readline() == "ready\n"
    return started


@pytest.mark.parametrize("left", ["free", "dead", "dead, at work"])
def test_of_two_at_the_same_moment_one_gets_it(state: str, root: Path, tmp_path: Path, left: str) -> None:
    for round_ in range(ROUNDS if left != "dead, at work" else 5):
        here, folder = f"{state}-{round_}", tmp_path / str(round_)
        folder.mkdir()
        if left != "free":
            take(here, "old")
        program = leftover(here, folder) if "at work" in left else 0
        both = takers(root, here, ["one", "two"], "old")
        for taker in both:
            assert taker.stdin is not None
            taker.stdin.write("\n")
            taker.stdin.flush()
        said = [taker.communicate()[0].strip() for taker in both]
        assert [taker.returncode for taker in both] == [0, 0], "nobody's live module is ended"
        there = run_lock.read(here)
        assert there is not None
        winner = there["run"]
        assert sorted(said) == ["", winner], said
        assert said[["one", "two"].index(winner)] == ""
        assert results(here) == ([] if left == "free" else [("old", "interrupted")])
        assert not program or process.started(program) is None


def test_a_free_node_that_another_takes_between_two_looks(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the second gets there: it must not take what is alive for what was interrupted."""
    begin = module_lock.end_leftovers

    def late(state_dir: str, run: str) -> None:
        def other() -> str:
            monkeypatch.setattr(module_lock, "end_leftovers", begin)
            monkeypatch.setattr(module_lock, "TAKE_S", 0.1)
            try:
                return str(take(state, "two"))
            except AscendError as error:
                return error.problem

        assert in_child(other) == "another change is running on this node"
        begin(state_dir, run)

    monkeypatch.setattr(module_lock, "end_leftovers", late)
    assert take(state) is None
    assert journal.entries(state) == []


# --- killed in between --------------------------------------------------------------------------------------------


def killed_at(state: str, point: str, action: str) -> None:
    Path(state).mkdir(exist_ok=True)
    Path(state, fault_points.FILE).write_text(f"{point} kill")

    def act() -> bool:
        if action == "take":
            take(state)
        else:
            with module_lock.taken(state, "giving the lock back"):
                run_lock.release(state, "one", "done", "")
        return True

    assert in_child(act) is None, "it was killed"
    assert not Path(state, fault_points.FILE).exists()


def test_killed_when_it_had_taken_the_lock(state: str) -> None:
    killed_at(state, "run.taken", "take")
    there = run_lock.read(state)
    assert there is not None
    assert there["run"] == "one"
    assert take(state, "two") is not None, "its run may be alive"
    assert take(state, "two", dead="one") is None
    assert results(state) == [("one", "interrupted")]


def test_killed_when_it_had_taken_the_lock_and_again_by_the_same_run(state: str) -> None:
    killed_at(state, "run.taken", "take")
    assert take(state) is None
    assert results(state) == []


def test_killed_when_it_had_written_the_journal(state: str) -> None:
    take(state)
    killed_at(state, "run.journalled", "release")
    assert results(state) == [("one", "done")]
    assert take(state, "two", dead="one") is None
    assert results(state) == [("one", "done")], "it was not interrupted"
    run_lock.release(state, "two", "done", "")
    assert results(state) == [("one", "done"), ("two", "done")]


def test_killed_when_it_had_written_the_journal_and_again_by_the_same_run(state: str) -> None:
    take(state)
    killed_at(state, "run.journalled", "release")
    run_lock.release(state, "one", "failed", "the module was killed")
    assert run_lock.read(state) is None
    assert results(state) == [("one", "done")]


def test_killed_while_it_took_over(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take(state)
    write = atomic.write

    def killed(path: str, text: str) -> None:
        if path.endswith(run_lock.FILE):
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, text)

    def act() -> bool:
        monkeypatch.setattr(atomic, "write", killed)
        return take(state, "two", dead="one") is None

    assert in_child(act) is None
    assert results(state) == [("one", "interrupted")]
    assert take(state, "three", dead="one") is None
    assert results(state) == [("one", "interrupted")], "said once"
