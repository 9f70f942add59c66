# SPDX-License-Identifier: Apache-2.0
"""One change at a time: real processes that hold a node, are killed at it, leave programs behind, and race for it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock, process
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from tests.children import in_child
from tests.hangs import no_hang

ROUNDS = 50
WAITS = "import time; time.sleep(600)"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody waits long, and what a test started does not outlive it."""
    monkeypatch.setattr(module_lock, "WAIT_S", 0.3)
    monkeypatch.setattr(module_lock, "LOOK_S", 0.02)
    with no_hang():
        yield


def forked(action: Callable[[], object]) -> int:
    """Run ``action`` in a process of its own, and return that; its code is 0 when the action ended well."""
    child = os.fork()
    if not child:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return child


def get(state: str) -> None:
    with module_lock.taken(state, "x"):
        pass


def until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.01)


def hold(state: str, what: str) -> None:
    with module_lock.taken(state, what):
        time.sleep(600)


def holding(state: str, what: str = "toolkit 8.0.RC1: present") -> int:
    """A module that holds the node until it is ended."""
    child = forked(lambda: hold(state, what))
    until(lambda: module_lock.at_work(state).get("pid") == child)
    return child


def module_with_program(state: str, tmp_path: Path, program: str = WAITS) -> tuple[int, int]:
    """A module whose program is at work; return both processes."""
    told = tmp_path / "program"
    script = f"import os\nopen({str(told)!r} + '.part', 'w').write(str(os.getpid()))\n"
    script += f"os.rename({str(told)!r} + '.part', {str(told)!r})\n{program}"

    def work() -> None:
        with module_lock.taken(state, "toolkit 8.0.RC1: present") as run:
            run([sys.executable, "-c", script], 600)

    child = forked(work)
    until(told.exists)
    return child, int(told.read_text())


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def alive(pid: int) -> bool:
    return process.started(pid) is not None


def run_of(state: str, name: str) -> None:
    Path(state).mkdir(exist_ok=True)
    Path(state, "run").write_text(f'{{"run": "{name}"}}')


def test_the_second_is_told_who_holds_the_node(state: str) -> None:
    child = holding(state)
    with pytest.raises(AscendError) as raised, module_lock.taken(state, "environment x"):
        pytest.fail("two at once")
    error = raised.value
    assert error.found.startswith(f"toolkit 8.0.RC1: present, process {child}, since 20")
    assert error.found.endswith("Z")
    assert (error.where, error.remedy) == (f"{state}/{module_lock.FILE}", "wait for it to end")
    assert all(error.as_dict().values())
    kill(child)
    with module_lock.taken(state, "environment x"):
        assert Path(state, module_lock.FILE).read_text().count('"what": "environment x"') == 1


def test_a_module_waits_for_one_that_only_looks(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_lock, "WAIT_S", 30.0)
    Path(state).mkdir()
    handle = os.open(Path(state, module_lock.FILE), os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    child = forked(lambda: get(state))
    time.sleep(0.1)
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_nothing_is_left_of_a_change_that_ended(state: str) -> None:
    with module_lock.taken(state, "x") as run:
        assert run(["true"], 60).code == 0
        assert Path(state, module_lock.FILE).stat().st_size > 0
    assert Path(state, module_lock.FILE).read_text() == ""
    assert module_lock.at_work(state) == {}


def test_a_change_that_fails_gives_the_node_back(state: str) -> None:
    with pytest.raises(OSError, match="disk"), module_lock.taken(state, "x"):
        raise OSError("disk")
    assert module_lock.at_work(state) == {}


def test_the_program_of_a_killed_module_keeps_the_node(state: str, tmp_path: Path) -> None:
    module, program = module_with_program(state, tmp_path)
    kill(module)
    assert alive(program)
    with pytest.raises(AscendError) as raised, module_lock.taken(state, "x"):
        pytest.fail("beside an installer")
    assert f"process {module} (dead), since" in raised.value.found
    assert raised.value.remedy == "run the playbook again: it ends the processes of the dead run"


def test_what_a_dead_run_left_is_ended_and_nothing_else(state: str, tmp_path: Path) -> None:
    run_of(state, "dead")
    bystander = subprocess.Popen([sys.executable, "-c", WAITS], start_new_session=True)
    module, program = module_with_program(state, tmp_path)
    kill(module)
    module_lock.end_leftovers(state, "dead")
    assert not alive(program)
    assert alive(bystander.pid)
    with module_lock.taken(state, "x"):
        pass
    bystander.kill()
    bystander.wait()


def test_a_module_of_a_dead_run_that_goes_on_is_ended_with_its_program(state: str, tmp_path: Path) -> None:
    run_of(state, "dead")
    module, program = module_with_program(state, tmp_path)
    module_lock.end_leftovers(state, "another")
    assert alive(module)
    assert alive(program)
    module_lock.end_leftovers(state, "dead")
    assert not alive(program)
    assert os.waitstatus_to_exitcode(os.waitpid(module, 0)[1]) == -signal.SIGTERM


def test_what_a_killed_module_of_no_run_left_is_ended_too(state: str, tmp_path: Path) -> None:
    module, program = module_with_program(state, tmp_path)
    module_lock.end_leftovers(state, "")
    assert alive(program), "its module is alive"
    kill(module)
    module_lock.end_leftovers(state, "")
    assert not alive(program)


def test_a_program_that_ignores_being_asked_is_ended(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.3)
    run_of(state, "dead")
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(r'%s', 'w'); time.sleep(600)"
    module, program = module_with_program(state, tmp_path, deaf % (tmp_path / "deaf"))
    until((tmp_path / "deaf").exists)
    kill(module)
    module_lock.end_leftovers(state, "dead")
    assert not alive(program)


def test_what_nothing_ends_is_said(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_of(state, "dead")
    module, program = module_with_program(state, tmp_path)
    kill(module)
    with monkeypatch.context() as patched:
        patched.setattr(process, "end", lambda pids: pids)
        with pytest.raises(AscendError, match=f"process {program} hangs in the kernel") as raised:
            module_lock.end_leftovers(state, "dead")
    assert f"/proc/{program}/stack" in raised.value.remedy


def test_who_waits_for_the_node_is_not_ended(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the file open just as well."""
    monkeypatch.setattr(module_lock, "WAIT_S", 60.0)
    run_of(state, "dead")
    module, program = module_with_program(state, tmp_path)
    kill(module)
    waiting = forked(lambda: get(state))
    path = str(tmp_path / "state" / module_lock.FILE)
    until(lambda: any(os.path.realpath(link) == path for link in Path(f"/proc/{waiting}/fd").iterdir()))
    module_lock.end_leftovers(state, "dead")
    assert not alive(program)
    assert os.waitstatus_to_exitcode(os.waitpid(waiting, 0)[1]) == 0


def test_one_that_has_just_got_the_node_is_not_ended(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name in the file is that of the dead one for a moment longer."""
    run_of(state, "dead")
    kill(holding(state))
    write = module_lock._write

    def slow(handle: int, value: dict[str, object]) -> None:
        Path(state, "got").touch()
        time.sleep(0.2)
        write(handle, value)

    monkeypatch.setattr(module_lock, "_write", slow)
    monkeypatch.setattr(module_lock, "LOOK_S", 0.5)
    child = forked(lambda: hold(state, "new"))
    until(Path(state, "got").exists)
    module_lock.end_leftovers(state, "dead")
    assert alive(child)
    kill(child)


def test_a_daemon_left_behind_does_not_keep_the_node(state: str, tmp_path: Path) -> None:
    told = tmp_path / "daemon"
    with module_lock.taken(state, "x") as run:
        start = f"setsid sleep 600 & echo $! >{told}"
        assert run(["bash", "-c", start], 60).code == 0
    daemon = int(told.read_text())
    assert alive(daemon)
    assert module_lock.at_work(state) == {}
    with module_lock.taken(state, "y"):
        assert process.users(os.path.join(state, module_lock.FILE)) == []
    os.kill(daemon, signal.SIGKILL)


def test_a_program_that_misses_its_time_is_ended_with_what_it_left(state: str, tmp_path: Path) -> None:
    told = tmp_path / "left"
    with module_lock.taken(state, "x") as run:
        start = f"setsid sleep 600 & echo $! >{told}; sleep 600"
        assert run(["bash", "-c", start], 0.5).timed_out
        assert not alive(int(told.read_text()))
        assert module_lock.at_work(state)["what"] == "x"
    assert module_lock.at_work(state) == {}


def test_programs_get_their_options(state: str) -> None:
    with module_lock.taken(state, "x") as run:
        assert run(["bash", "-c", "echo $A $LC_ALL"], 60, env={"A": "b"}).output == "b C.UTF-8\n"


def test_who_is_at_work(state: str) -> None:
    assert module_lock.at_work(state) == {}
    run_of(state, "mine")
    child = holding(state)
    there = module_lock.at_work(state)
    assert (there["pid"], there["run"], there["what"]) == (child, "mine", "toolkit 8.0.RC1: present")
    assert there["started"] == process.started(child)
    kill(child)
    assert module_lock.at_work(state) == {}, "what a dead module wrote is no heartbeat"


def test_looking_takes_nothing(state: str) -> None:
    child = holding(state)
    for _ in range(20):
        assert module_lock.at_work(state)
    kill(child)
    for _ in range(20):
        assert module_lock.at_work(state) == {}
    with module_lock.taken(state, "x"):
        assert module_lock.at_work(state)["what"] == "x"


def test_a_holder_that_says_nothing_is_not_called_dead(state: str) -> None:
    Path(state).mkdir()
    handle = os.open(Path(state, module_lock.FILE), os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    assert module_lock.at_work(state) == {"what": "a change"}
    with pytest.raises(AscendError, match=r"a change, process \?, since \?") as raised, module_lock.taken(state, "x"):
        pass
    assert "(dead)" not in raised.value.found
    module_lock.end_leftovers(state, "")
    os.close(handle)


def test_a_number_that_was_given_again_is_another_process(state: str) -> None:
    child = holding(state)
    path = Path(state, module_lock.FILE)
    path.write_text(path.read_text().replace(f'"started": {process.started(child)}', '"started": 1'))
    with pytest.raises(AscendError, match=rf"process {child} \(dead\)"), module_lock.taken(state, "x"):
        pass
    kill(child)


def test_two_that_race_are_never_both_inside(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_lock, "WAIT_S", 60.0)
    monkeypatch.setattr(module_lock, "LOOK_S", 0.001)
    inside = tmp_path / "inside"

    def race() -> int:
        for _ in range(ROUNDS):
            with module_lock.taken(state, "x"):
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                time.sleep(0.001)
                inside.unlink()
        return ROUNDS

    child = forked(lambda: (tmp_path / "other").write_text(str(race())) and None)
    assert in_child(race) == ROUNDS
    os.waitpid(child, 0)
    assert (tmp_path / "other").read_text() == str(ROUNDS)


def test_takers_are_alone(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_lock, "TAKE_S", 0.2)
    with module_lock.alone(state):
        assert module_lock.at_work(state) == {}

        def second() -> str:
            try:
                with module_lock.alone(state):
                    return "both"
            except AscendError as error:
                return error.problem

        assert in_child(second) == "another change is running on this node"
    assert in_child(second) == "both"


# --- processes ---------------------------------------------------------------------------------------------------


def test_a_process_and_its_start() -> None:
    child = subprocess.Popen(["sleep", "600"])
    start = process.started(child.pid)
    own = process.started(os.getpid())
    assert start is not None
    assert own is not None
    up_s = float(Path("/proc/uptime").read_text().split()[0])
    assert 0 < own <= start <= (up_s + 1) * os.sysconf("SC_CLK_TCK")
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.started(child.pid) is None, "not yet buried"
    child.wait()
    assert process.started(child.pid) is None


def test_a_name_may_hold_anything(tmp_path: Path) -> None:
    program = tmp_path / ") R 1 (x"
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([program, "600"])
    until(lambda: Path(f"/proc/{child.pid}/comm").read_text().startswith(") R"))
    start = process.started(child.pid)
    own = process.started(os.getpid())
    assert start is not None
    assert own is not None
    assert start >= own
    child.kill()
    child.wait()


def test_a_boot_has_a_name() -> None:
    assert process.boot() == process.boot()
    assert process.boot().startswith(process.kernel_boot() + ":")
    assert len(process.kernel_boot()) == 36
    assert process.boot().rpartition(":")[2].isdigit()


def test_what_is_gone_needs_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("its number may be another's by now"))
    assert process.end([child.pid]) == []
    assert process.end([]) == []


def test_what_has_its_number_by_now_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = iter(range(100))
    asked: list[int] = []
    monkeypatch.setattr(process, "started", lambda _pid: next(starts))
    monkeypatch.setattr(os, "kill", lambda _pid, number: asked.append(number))
    assert process.end([4711]) == []
    assert asked == []


def test_a_process_of_another_user_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_pid: int, number: int) -> None:
        assert number == 0
        raise PermissionError

    assert not process.hidden(os.getpid())
    child = subprocess.Popen(["true"])
    child.wait()
    assert not process.hidden(child.pid)
    assert not process.hidden(10**30)
    monkeypatch.setattr(os, "kill", forbidden)
    assert process.hidden(os.getpid())


def test_nobody_holds_what_is_not_there(tmp_path: Path) -> None:
    assert process.users(str(tmp_path / "none")) == []
