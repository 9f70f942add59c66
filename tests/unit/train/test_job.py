# SPDX-License-Identifier: Apache-2.0
"""A run, with real processes of another account: what it did is read whatever it left, and old runs go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.service import service as services
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train import job, logs
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train.checks import Seen
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.train.words import training_text
from ansible_collections.ascend.fleet.plugins.modules import train_job
from tests.systemctl import Systemd
from tests.unit.train.accounts import ACCOUNT, DAEMON, open_folder, own

PYTHON = shutil.which("python3", path=os.defpath) or ""  # as on a node: another account may run it
pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not PYTHON, reason="programs are started as another account")
NODE = Node(run, shutil.which)


class Runs:
    """Runs on a node: each a shell script in place of ascend-env, with a home of its own."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.state_dir = str(top / "state")

    def begin(self, name: str, script: str) -> None:
        home = self.top / f"home-{name}"
        if not home.is_dir():
            home.mkdir()
            own(home)
            (home / "out").mkdir()
            own(home / "out")
        program = self.top / f"ascend-env-{name}"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        job.begin(
            self.state_dir,
            job.Training(name, ACCOUNT, str(home), str(home), "x: 1\n", "out", "/env", str(program), [0], {}),
            run,
        )

    def folder(self, name: str) -> Path:
        return Path(self.state_dir) / "train" / name

    def read(self, name: str) -> dict[str, Any]:
        return job.read(self.state_dir, name, run, NODE)

    def ended(self, name: str) -> dict[str, Any]:
        until = time.monotonic() + 20
        while services.alive(str(self.folder(name)), run) and time.monotonic() < until:
            time.sleep(0.05)
        return self.read(name)

    def write(self, name: str, file: str, content: bytes) -> None:
        """Write a file as the account could."""
        path = self.folder(name) / "out" / file
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        own(path)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    monkeypatch.setattr(sys, "executable", PYTHON)
    with open_folder() as folder:
        made = Runs(folder)
        yield made
        for name in job.names(made.state_dir):
            if not files.mapping(str(made.folder(name) / "began.json")).get("systemd"):
                services.stop(str(made.folder(name)), run, 1)


@pytest.fixture
def failed(runs: Runs) -> Runs:
    """A run ``my`` that failed."""
    runs.begin("my", "echo begun; echo 'ValueError: mine'; exit 3")
    assert runs.ended("my")["state"] == "failed"
    return runs


def test_a_run_that_failed(failed: Runs) -> None:
    found = failed.read("my")
    assert (found["code"], found["error"], found["last"]) == (3, "ValueError: mine", ["begun", "ValueError: mine"])
    assert (found["because"], found["first_rank"]) == ("", None)
    assert abs(found["ended"] - time.time()) < 60
    assert "the first error: ValueError: mine" in training_text(found)


# What a full disk, or whoever writes there, may leave: (ended.json, the state that is shown).
ENDED = {
    "a full disk": (b"", "lost"),
    "half of it": (b'{"code": 1, "at"', "lost"),
    "another thing": (b"[1, 2]", "lost"),
    "other types": (b'{"code": "1", "at": [], "because": "x"}', "lost"),
    "a because that is none": (b'{"code": 0, "because": ["x"]}', "done"),
    "a because without words": (b'{"code": -15, "because": {"rank": 2}}', "failed"),
    "a rank that is none": (b'{"code": -15, "because": {"rank": [], "words": "x"}}', "failed"),
    "no number": (b'{"code": 1, "at": NaN}', "failed"),
    "depths": (b"[" * 60_000, "lost"),
    "no text": (b"\xff\xfe\x00", "lost"),
}


@pytest.mark.parametrize("kind", ENDED)
def test_however_it_ended_it_is_told(failed: Runs, kind: str) -> None:
    content, state = ENDED[kind]
    failed.write("my", "ended.json", content)
    found = failed.read("my")
    assert found["state"] == state
    assert found["first_rank"] in (None, 2)
    assert training_text(found).splitlines()[0].startswith(f"my: {state}, as daemon")
    json.dumps(found)


def test_a_disk_that_is_full_is_told(runs: Runs) -> None:
    """A real one: neither the log's end nor how it ended comes to it."""
    out = runs.folder("my") / "out"
    out.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", out], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        runs.begin("my", "echo 'OSError: [Errno 28] No space left on device'; yes 2>/dev/null; exit 1")
        found = runs.ended("my")
        assert (found["state"], found["code"]) == ("lost", None)
        assert found["error"] == "OSError: [Errno 28] No space left on device"
        assert "the disk is full (df -h)" in training_text(found)
    finally:
        subprocess.run(["umount", "--lazy", out], check=True)


def test_a_log_of_a_gigabyte_that_is_no_text_is_told(failed: Runs) -> None:
    failed.write("my", "log", b"\xff\xfe\nValueError: first\n")
    with (failed.folder("my") / "out/log").open("r+b") as stream:
        stream.seek(1024**3)
        stream.write(b"\nKeyError: later \xc3\x28\n")
    found = failed.read("my")
    assert (found["error"], found["last"][-1]) == ("ValueError: first", "KeyError: later \ufffd(")
    assert len(training_text(found)) < 2_000_000


def test_a_log_on_one_line_is_cut(failed: Runs) -> None:
    failed.write("my", "log", b"x" * 1_000_000)
    assert max(map(len, training_text(failed.read("my")).splitlines())) < 1000


@pytest.mark.parametrize(
    ("content", "progress"),
    [
        (b'{"current_steps": 3}\n' * 500_000, {"current_steps": "3"}),
        (b'{"current_steps": "\\u001b]2;x\\u0007", "other": 1}\n', {"current_steps": "\\x1b]2;x\\x07"}),
        (b'{"current_steps": 3}\n{"current_', {}),
        (b"\xff\n", {}),
        (b"[" * 4000, {}),
        (b"", {}),
    ],
)
def test_how_far_it_is(failed: Runs, content: bytes, progress: dict[str, str]) -> None:
    path = failed.top / "home-my/out/trainer_log.jsonl"
    path.write_bytes(content)
    assert failed.read("my")["progress"] == progress
    os.utime(path, (1, 1))
    assert failed.read("my")["progress"] == {}, "it is from an earlier run"
    path.unlink()
    (failed.top / "others").write_text('{"current_steps": 7}')
    path.symlink_to(failed.top / "others")
    assert failed.read("my")["progress"] == {}, "a link leads elsewhere"


def test_a_file_server_that_hangs_hides_no_run(failed: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(_path: str) -> None:
        time.sleep(60)

    monkeypatch.setattr(logs, "opened", lambda path, *_rest: hangs(path) if "jsonl" in path else None)
    monkeypatch.setattr(job, "ASK_S", 0.2)
    found = failed.read("my")
    assert "the node does not answer" in found["progress"]["problem"]
    assert "cannot read its progress" in training_text(found)


def test_the_module_begins_a_run_and_removes_old_ones(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(job.KEPT + 2):
        made(runs, f"run-{number:02d}", 1000 + number)
    seen = Seen([], ["a remark"], None, "/out/checkpoint-9")
    monkeypatch.setattr(train_job, "require_ready", lambda *_: None)
    monkeypatch.setattr(train_job, "look", lambda *_: (seen, 1))
    program = runs.top / "ascend-env"
    program.write_text('#!/bin/sh\ncat "$3"; exec sleep 600\n')
    program.chmod(0o755)
    options: dict[str, Any] = {
        "state_dir": runs.state_dir,
        "name": "new",
        "user": "daemon",
        "folder": str(runs.top),
        "peers": {},
    }
    options.update(environment="/env", ascend_env=str(program), devices=[1], variables={"A": 1}, config="a: 1\n")
    options.update(config_values={"output_dir": "~/out"}, accelerate="")
    checked = train_job.begin(options, NODE, True)
    assert checked == {"changed": True, "run": {}, "remarks": ["a remark"], "memory_mb": None}
    result = train_job.begin(options, NODE, False)
    assert result["removed"] == ["run-20", "run-21"]
    assert (result["run"]["state"], result["run"]["devices"]) == ("running", [1])
    assert result["run"]["output_dir"] == f"{DAEMON.pw_dir}/out"
    config = (runs.folder("new") / "config.yaml").read_text()
    assert config == 'a: 1\nresume_from_checkpoint: "/out/checkpoint-9"\n'
    with pytest.raises(AscendError, match="a training run with that name is running"):
        train_job.begin(options, NODE, False)


# --- old runs -----------------------------------------------------------------------------------------------------


def made(runs: Runs, name: str, age_s: float = 1000, **began: Any) -> Path:
    """A run that was begun so long ago; its process is no more."""
    folder = runs.folder(name)
    (folder / "out").mkdir(parents=True)
    own(folder / "out")
    about = {"name": name, "account": "daemon", "devices": [1], "folder": "/", "output_dir": "none"}
    (folder / "train.json").write_text(json.dumps(about))
    (folder / "began.json").write_text(json.dumps({"name": f"ascend-train-{name}", "began": "x", **began}))
    for each in ("log", "log.before", "ended.json"):
        runs.write(name, each, b"{}")
    os.utime(folder / "began.json", (time.time() - age_s,) * 2)
    return folder


def test_the_newest_that_ended_stay(runs: Runs) -> None:
    for number in range(6):
        made(runs, f"run-{number}", 1000 + number)
    assert job.prune(runs.state_dir, run, "new", keep=4) == ["run-4", "run-5"]
    assert job.names(runs.state_dir) == ["run-0", "run-1", "run-2", "run-3"]
    assert job.prune(runs.state_dir, run, "new", keep=4) == []
    assert job.KEPT == 20


def test_none_at_work_goes_whatever_its_account_writes(runs: Runs) -> None:
    runs.begin("work", "exec sleep 600")
    os.utime(runs.folder("work") / "began.json", (1, 1))
    runs.write("work", "ended.json", b'{"code": 0, "at": 1, "asked": true, "because": null}')
    made(runs, "old", 1000)
    assert job.prune(runs.state_dir, run, "new", keep=0) == ["old"]
    (found,) = job.at_work(NODE, runs.state_dir)
    assert (found["name"], found["user"], found["devices"]) == ("training work", "daemon", [0])
    assert runs.read("work")["state"] == "running"


def test_the_run_of_that_name_and_what_is_the_accounts_stay(runs: Runs) -> None:
    made(runs, "own", 1000)
    (made(runs, "output", 1000) / "out/saves").mkdir()
    assert job.prune(runs.state_dir, run, "own", keep=0) == []
    assert (runs.folder("output") / "out/saves").is_dir()


def test_one_that_is_just_being_begun_counts_as_the_newest(runs: Runs) -> None:
    made(runs, "old", 1000)
    runs.folder("new").mkdir()
    assert job.prune(runs.state_dir, run, "other", keep=1) == ["old"]


def test_no_link_of_the_account_leads_a_removal_elsewhere(runs: Runs) -> None:
    (runs.top / "others").mkdir()
    (runs.top / "others/file").write_text("not yours")
    folder = made(runs, "old", 1000)
    (folder / "out/log").unlink()
    (folder / "out/log").symlink_to(runs.top / "others")
    assert job.prune(runs.state_dir, run, "new", keep=0) == ["old"]
    assert (runs.top / "others/file").read_text() == "not yours"


@pytest.fixture
def booted(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    return lambda yes: monkeypatch.setattr(services, "SYSTEMD", "/" if yes else "/no/such/folder")


def test_systemd_is_asked_once_for_all(runs: Runs, booted: Callable[[bool], None]) -> None:
    booted(True)
    for name in ("a", "b", "c", "d"):
        made(runs, name, 1000, systemd=True)
    made(runs, "e", 1000)
    states = {"a": "active", "b": "failed", "c": "deactivating"}
    systemd = Systemd(states={f"ascend-train-{name}": state for name, state in states.items()})
    found = job.at_work(Node(systemd, shutil.which), runs.state_dir)
    assert [(each["name"], each["pid"]) for each in found] == [("training a", 7), ("training c", 0)]
    assert len(systemd.asked) == 1
    assert job.prune(runs.state_dir, systemd, "x", keep=0) == ["e", "d", "b"]
    assert systemd.listed() == [], "nor does systemd remember the one that failed"


def test_a_run_that_failed_and_is_stopped_is_no_failed_unit(
    runs: Runs, booted: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    booted(True)
    folder = made(runs, "a", 1000, systemd=True)
    runs.write("a", "ended.json", b'{"code": 1, "at": 1.0, "asked": false}')
    systemd = Systemd(states={"ascend-train-a": "failed"})
    monkeypatch.setattr(train_job, "run", systemd)
    asked = {"state_dir": runs.state_dir, "name": "a"}
    assert train_job.end(asked, NODE, True)["run"]["state"] == "failed"
    assert systemd.listed() == ["ascend-train-a.service"], "in check mode"
    assert train_job.end(asked, NODE, False)["changed"] is False
    assert (systemd.listed(), folder.is_dir()) == ([], True)


def test_where_systemd_says_nothing_the_node_is_not_free(runs: Runs, booted: Callable[[bool], None]) -> None:
    made(runs, "a", 1000, systemd=True)
    silent = Node(lambda *_asked: Result(1, "Failed to connect to bus", False), shutil.which)
    booted(True)
    assert [each["name"] for each in job.at_work(silent, runs.state_dir)] == ["training a"]
    booted(False)
    assert job.at_work(silent, runs.state_dir) == [], "no unit is at work where there is no systemd"


def test_a_node_that_never_trained_asks_nobody(runs: Runs) -> None:
    systemd = Systemd()
    assert job.at_work(Node(systemd, shutil.which), runs.state_dir) == []
    assert systemd.asked == []
