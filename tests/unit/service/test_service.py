# SPDX-License-Identifier: Apache-2.0
"""A program that goes on, with real processes: its account, its log, its end, and all that it began ended with it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import process
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Account, Result, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.service import runner, service as services
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.service.service import Service
from tests.systemctl import Systemd

PYTHON = shutil.which("python3", path=os.defpath) or ""  # as on a node: another account may run it
pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not PYTHON, reason="programs are started as another account")

DAEMON = pwd.getpwnam("daemon")
ACCOUNT = Account("daemon", DAEMON.pw_uid, DAEMON.pw_gid, (DAEMON.pw_gid,))
# A grandchild in a session of its own, as torchrun's ranks are.
FAMILY = """
import os, subprocess, sys, time
print("as", os.getuid(), "in", os.getcwd(), os.environ["WORD"], flush=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child", child.pid, flush=True)
"""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to which another account finds its way; pytest's own it does not."""
    monkeypatch.setattr(sys, "executable", PYTHON)
    with tempfile.TemporaryDirectory(prefix="ascend-service-") as name:
        os.chmod(name, 0o755)
        yield Path(name) / "job"
        services.stop(str(Path(name) / "job"), run, 1)


def until(true: Callable[[], Any], wait_s: float = 20) -> Any:
    end = time.monotonic() + wait_s
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.05)
    assert found
    return found


def begun(folder: Path, program: str, **changes: Any) -> Service:
    env = {"PATH": os.defpath, "WORD": "secret-1"}
    argv = [PYTHON, "-c", program]
    made = Service("ascend-test", "A test", str(folder), argv, env, "/", ACCOUNT, grace_s=2)._replace(**changes)
    services.start(made, run)
    return made


def log(folder: Path) -> str:
    return services.read_out(str(folder), "log", ACCOUNT.uid)


def child_of(folder: Path) -> int:
    return int(until(lambda: "child" in log(folder) and log(folder).split("child")[1].split()[0]))


def test_it_goes_on_as_its_account_and_ends_with_all_that_it_began(folder: Path) -> None:
    begun(folder, FAMILY + "time.sleep(600)")
    child = child_of(folder)
    assert services.alive(str(folder), run)
    assert f"as {ACCOUNT.uid} in / secret-1" in log(folder)
    assert services.stop(str(folder), run, 2) is True
    assert (services.alive(str(folder), run), process.started(child)) == (False, None)
    assert services.outcome(str(folder))["asked"] is True
    assert services.stop(str(folder), run, 2) is False


def test_what_it_began_ends_with_it(folder: Path) -> None:
    begun(folder, FAMILY + "sys.exit(3)")
    child = child_of(folder)
    until(lambda: not services.alive(str(folder), run))
    assert services.outcome(str(folder))["code"] == 3
    assert process.started(child) is None


def test_where_the_runner_was_killed_the_rest_is_still_found(folder: Path) -> None:
    begun(folder, FAMILY + "time.sleep(600)")
    child = child_of(folder)
    os.kill(json.loads((folder / "began.json").read_text())["pid"], 9)
    until(lambda: not services.alive(str(folder), run))
    assert process.started(child) is not None
    assert services.stop(str(folder), run, 1) is True
    assert (process.started(child), services.outcome(str(folder))) == (None, {})
    assert services.stop(str(folder), run, 1) is False


def test_a_program_that_ignores_being_asked_is_ended(folder: Path) -> None:
    begun(
        folder, "import signal, time; signal.signal(15, signal.SIG_IGN); print('child 0', flush=True); time.sleep(600)"
    )
    child_of(folder)
    assert services.stop(str(folder), run, 2) is True
    assert services.outcome(str(folder))["code"] == -9


def test_what_cannot_be_started_is_told(folder: Path) -> None:
    begun(folder, "", argv=["/no/such/program"])
    until(lambda: services.outcome(str(folder)))
    assert services.outcome(str(folder))["code"] == 127
    assert "cannot be started" in log(folder)


def test_its_variables_are_nobody_elses_to_read(folder: Path) -> None:
    begun(folder, FAMILY)
    assert oct((folder / "job.json").stat().st_mode & 0o777) == "0o400"
    assert (folder / "job.json").stat().st_uid == ACCOUNT.uid
    assert oct((folder / "out").stat().st_mode & 0o777) == "0o750"
    child_of(folder)
    assert "secret-1" not in (folder / "began.json").read_text() + subprocess.getoutput("ps -eo args")


def test_what_the_account_writes_leads_nowhere(folder: Path, tmp_path: Path) -> None:
    begun(folder, FAMILY)
    until(lambda: services.outcome(str(folder)))
    (tmp_path / "others").write_text("not yours")
    (folder / "out/log").unlink()
    (folder / "out/log").symlink_to(tmp_path / "others")
    assert log(folder) == ""
    (folder / "out/log").unlink()
    os.link(tmp_path / "others", folder / "out/log")
    assert log(folder) == ""
    (folder / "out/ended.json").write_text("{")
    assert services.outcome(str(folder)) == {}


def test_one_that_began_again_has_a_log_of_its_own(folder: Path) -> None:
    begun(folder, FAMILY)
    until(lambda: services.outcome(str(folder)))
    begun(folder, "print('second', flush=True)")
    until(lambda: "second" in log(folder))
    assert "WORD" not in log(folder)
    assert "secret-1" in services.read_out(str(folder), "log.before")


# --- several nodes ------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def ranks(folder: Path) -> Iterator[Callable[..., list[Path]]]:
    """Begins the ranks of one job, a folder each, with a program each."""
    begun_folders: list[Path] = []
    port = free_port()

    def begin(*programs: str, **changes: Any) -> list[Path]:
        for rank, program in enumerate(programs):
            peers = {"rank": rank, "count": len(programs), "address": "127.0.0.1", "port": port, "token": "t"}
            begun_folders.append(folder.with_name(f"rank-{rank}"))
            begun(begun_folders[-1], program, peers={**peers, **changes.get(f"rank_{rank}", {})})
        return begun_folders

    yield begin
    for each in begun_folders:
        services.stop(str(each), run, 1)


GOES_ON = "import time; print('child 0', flush=True); time.sleep(600)"
FAILS = "import time, sys; time.sleep(2); print('ValueError: mine', flush=True); sys.exit(5)"


def ended(folders: list[Path]) -> list[dict[str, Any]]:
    until(lambda: not any(services.alive(str(each), run) for each in folders))
    return [services.outcome(str(each)) for each in folders]


@pytest.mark.parametrize("failing", [0, 2])
def test_when_one_rank_fails_all_end_and_know_which(ranks: Callable[..., list[Path]], failing: int) -> None:
    programs = [FAILS if rank == failing else GOES_ON for rank in range(3)]
    folders = ranks(*programs)
    found = ended(folders)
    own = found.pop(failing)
    assert (own["code"], own["because"]) == (5, None)
    assert [(each["because"]["rank"], each["code"]) for each in found] == [(failing, -15)] * 2
    others = folders[1]
    assert f"ascend-fleet: ended, because rank {failing} ended with code 5" in log(others)


def test_when_one_is_stopped_all_end(ranks: Callable[..., list[Path]]) -> None:
    folders = ranks(GOES_ON, GOES_ON)
    for each in folders:
        child_of(each)
    time.sleep(2)  # until they have met
    services.stop(str(folders[1]), run, 2)
    assert "rank 1 was stopped" in ended(folders)[0]["because"]["words"]


def test_a_runner_that_is_gone_without_a_word_ends_all(ranks: Callable[..., list[Path]]) -> None:
    folders = ranks(GOES_ON, GOES_ON)
    for each in folders:
        child_of(each)
    time.sleep(2)
    os.kill(json.loads((folders[1] / "began.json").read_text())["pid"], 9)
    assert "rank 1" in ended(folders)[0]["because"]["words"]


def test_all_that_end_well_end_alone(ranks: Callable[..., list[Path]]) -> None:
    folders = ranks("import time; time.sleep(2)", "import time; time.sleep(3)")
    assert [(each["code"], each["because"]) for each in ended(folders)] == [(0, None), (0, None)]


def test_who_does_not_know_the_token_is_nobody(ranks: Callable[..., list[Path]]) -> None:
    folders = ranks(GOES_ON, FAILS, rank_1={"token": "guessed"})
    until(lambda: services.outcome(str(folders[1])))
    time.sleep(1)
    assert services.alive(str(folders[0]), run)


# --- systemd, by a stand-in ---------------------------------------------------------------------


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "units").mkdir()
    monkeypatch.setattr(services, "SYSTEMD", str(tmp_path))
    monkeypatch.setattr(services, "UNITS", {False: str(tmp_path / "units"), True: str(tmp_path / "units")})
    return tmp_path / "units"


def unit_of(tmp_path: Path, **changes: Any) -> Service:
    env = {"API_KEY": "secret-1"}
    return Service("ascend-test", "A test", str(tmp_path / "job"), ["/bin/true"], env, "/", ACCOUNT)._replace(**changes)


def test_a_unit_is_begun_asked_for_and_taken_away(tmp_path: Path, units: Path) -> None:
    systemd, job = Systemd(units), str(tmp_path / "job")
    services.start(unit_of(tmp_path, lasting=True), systemd)
    assert [words[1] for words in systemd.asked] == ["daemon-reload", "enable", "start"]
    text = (units / "ascend-test.service").read_text()
    assert "secret-1" not in text
    assert services.alive(job, systemd) is True
    assert services.alive(job, Systemd(units, states={"ascend-test": "inactive"})) is False
    assert services.stop(job, systemd, 60) is True
    assert systemd.waits["stop"] > 60 + services.AFTER_GRACE_S, "systemd may need all the time that the unit gives it"
    assert (list(units.iterdir()), systemd.enabled) == ([], set())


def test_a_unit_that_failed_is_taken_away_from_among_the_failed(tmp_path: Path, units: Path) -> None:
    systemd, job = Systemd(units), str(tmp_path / "job")
    services.start(unit_of(tmp_path), systemd)
    systemd.states["ascend-test.service"] = "failed"
    assert services.stop(job, systemd, 1) is False
    assert (list(units.iterdir()), systemd.listed()) == ([], [])
    assert services.stop(job, systemd, 1) is False, "a second time, when systemd knows of none"


def test_a_unit_that_does_not_begin_is_told(tmp_path: Path, units: Path) -> None:
    with pytest.raises(AscendError, match=r"systemctl start ascend-test\.service failed"):
        services.start(unit_of(tmp_path), Systemd(units, state="failed"))
    assert units.is_dir()


def test_a_unit_that_was_changed_is_told(tmp_path: Path, units: Path) -> None:
    systemd, job, unit = Systemd(units), str(tmp_path / "job"), units / "ascend-test.service"
    services.start(unit_of(tmp_path, lasting=True), systemd)
    assert services.altered(job, systemd) == ""
    systemd.enabled.clear()
    assert services.altered(job, systemd) == "its unit is disabled"
    unit.write_text(unit.read_text().replace("KillMode=mixed", ""))
    assert services.altered(job, systemd) == "its unit was changed"
    unit.unlink()
    assert services.altered(job, systemd) == "its unit was removed"
    (tmp_path / "job/began.json").write_text('{"systemd": true, "name": "ascend-test"}')
    assert services.altered(job, systemd) == "", "begun by an earlier version"


@pytest.mark.usefixtures("units")
@pytest.mark.parametrize(
    ("answer", "uid", "lingers", "told"),
    [
        ("b true", 1000, False, True),
        ("b false", 1000, False, False),
        ("Failed to get property RemoveIPC: Unit dbus-org.freedesktop.login1.service not found.", 1000, False, False),
        ("b true", 999, False, False),
        ("b true", 1000, True, False),
    ],
)
def test_what_logind_removes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, uid: int, lingers: bool, told: bool
) -> None:
    monkeypatch.setattr(services, "LINGER", str(tmp_path))
    (tmp_path / "alice").touch() if lingers else None
    account = Account("alice", uid, uid, ())
    found = services.remarks(account, lambda _argv, _timeout_s: Result(0, answer + "\n", False))
    assert [each.rpartition("next: ")[2] for each in found] == ["loginctl enable-linger alice"] * told


@pytest.mark.parametrize("lasting", [False, True])
def test_a_unit_holds_no_secret(tmp_path: Path, lasting: bool) -> None:
    """Everybody reads units, and what systemctl shows of them."""
    secret = {
        "argv": ["/bin/true", "--key", "geheim99"],
        "env": {"HF_TOKEN": "geheim99"},
        "peers": {"token": "geheim99"},
    }
    assert "geheim99" not in services.unit_text(unit_of(tmp_path, lasting=lasting, **secret))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
@pytest.mark.parametrize("lasting", [False, True])
def test_systemd_reads_the_unit(tmp_path: Path, lasting: bool) -> None:
    made = unit_of(tmp_path, lasting=lasting, settings=["LimitMEMLOCK=infinity"])
    path = tmp_path / made.unit
    path.write_text(services.unit_text(made))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_runner_counts_a_signal_as_a_shell_does(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    job = {"argv": ["sh", "-c", "kill -9 $$"], "env": {}, "cwd": "/", "out": str(tmp_path / "out"), "grace_s": 1}
    (tmp_path / "job.json").write_text(json.dumps({**job, "mark": "X=1"}))
    argv = [sys.executable, "-I", runner.__file__, str(tmp_path / "job.json")]
    assert subprocess.run(argv, check=False).returncode == 137
