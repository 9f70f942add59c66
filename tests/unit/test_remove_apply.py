# SPDX-License-Identifier: Apache-2.0
"""A removal on a node of real folders: what goes, what stays untouched, and an interruption at every call."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.ascend import files
from ansible.module_utils.ascend.cann import manifest
from ansible.module_utils.ascend.change import points
from ansible.module_utils.ascend.command import Result
from ansible.module_utils.ascend.errors import AscendError
from ansible.module_utils.ascend.facts import Places
from ansible.module_utils.ascend.node import Node
from ansible.module_utils.ascend.python import source_record
from ansible.module_utils.ascend.remove import apply, in_use, sizes, survey
from ansible.module_utils.ascend.remove.chosen import Asked
from ansible.module_utils.ascend.remove.selection import select

OLD, NEW = "8.0.RC1", "8.2.RC1"
DIGEST = {OLD: "0123456789ab", NEW: "ba9876543210"}
PYTHON = {OLD: "3.10.13", NEW: "3.11.9"}
PLACES = Places("/usr/local/Ascend", "/opt/ascend", "/var/cache/ascend-fleet", "/var/lib/ascend-fleet", "/var/tmp")
TOOLKITS = "usr/local/Ascend/ascend-toolkit"
STATE = "var/lib/ascend-fleet"
UNINSTALLER = "uninstall.sh"
# Of other people, in and around our folders; nothing may touch it.
OTHERS = (
    "opt/ascend/ml-team/data.bin",
    "opt/ascend/env/notes/todo.txt",
    "opt/ascend/python/my-build/bin/python3",
    "var/cache/ascend-fleet/movies/one.mkv",
    "var/tmp/ascend-fleet-x/file",
    "var/tmp/selfgz12/install.sh",
    "usr/local/Ascend/driver/version.info",
    "usr/local/bin/other",
    "home/ml/.bashrc",
)
ABSENT = [
    "/usr/local/Ascend/ascend-toolkit",
    "/etc/Ascend",
    "/var/log/ascend_seclog",
    "/opt/ascend",
    "/var/cache/ascend-fleet",
    "/var/lib/ascend-fleet",
    "/usr/local/bin/ascend-env",
]


def write(path: Path, text: str = "content\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Machine:
    """A node with two releases, the newer one current, and other people's files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.node = Node(lambda _argv, _timeout_s: Result(127, "", False), lambda _name: None, str(root))
        self.uninstalled: list[str] = []
        for path in OTHERS:
            write(root / path)
        (root / STATE).mkdir(parents=True)
        for release in (OLD, NEW):
            self.add_release(release)
        (root / "opt/ascend/env/previous").symlink_to(f"{OLD}-{DIGEST[OLD]}")
        (root / "opt/ascend/env/current").symlink_to(f"{NEW}-{DIGEST[NEW]}")
        write(root / "usr/local/bin/ascend-env")
        write(root / "etc/Ascend/ascend_cann_install.info")
        write(root / "var/log/ascend_seclog/ascend_toolkit_install.log")
        write(root / STATE / "journal.jsonl")
        self.write_origin({"schema": 1, "absent": ABSENT})

    def write_origin(self, content: Any) -> None:
        write(self.root / STATE / "origin.json", json.dumps(content))

    def env(self, release: str) -> Path:
        return self.root / "opt/ascend/env" / f"{release}-{DIGEST[release]}"

    def cann(self, version: str) -> Path:
        return self.root / TOOLKITS / version

    def add_release(self, release: str) -> None:
        python = PYTHON[release]
        place = self.root / "opt/ascend/python" / python
        write(place / "bin" / f"python{python.rpartition('.')[0]}")
        write(place / ".ascend-fleet.json", json.dumps({"version": python, "sha256": python.replace(".", "") * 16}))
        write(self.root / "var/cache/ascend-fleet" / (python.replace(".", "") * 16)[:16] / f"cpython-{python}.tar.gz")
        run_file = f"Ascend-cann-toolkit_{release}_linux-aarch64.run"
        write(self.root / "var/cache/ascend-fleet" / (DIGEST[release] + "0000") / run_file)
        env = self.env(release)
        (env / "bin").mkdir(parents=True)
        (env / "bin/python").symlink_to(f"/opt/ascend/python/{python}/bin/python{python.rpartition('.')[0]}")
        write(env / "pyvenv.cfg", f"home = /opt/ascend/python/{python}/bin\nversion_info = {python}\n")
        write(env / "lib/python3/site-packages/torch/lib.so", "x" * 5000)
        write(env / ".cann_home", f"/usr/local/Ascend/ascend-toolkit/{release}\n")
        record = {"schema": 2, "release": release, "python": python, "distributions": {}, "editable": {}}
        write(env / ".ascend-fleet.json", json.dumps(record))
        made_s = 1_700_000_000 + (release == NEW)
        os.utime(env / ".ascend-fleet.json", (made_s, made_s))
        self.add_cann(release)

    def add_cann(self, version: str, recorded: bool = True) -> None:
        home = self.cann(version)
        for component in ("runtime", "compiler", "hccl", "opp", "toolkit"):
            write(home / component / "version.info", f"Version=1\nversion_dir={version}\n")
        write(home / "aarch64-linux/ascend_toolkit_install.info", f"version={version}\n")
        write(home / "aarch64-linux/script" / UNINSTALLER, version)
        write(home / "create_version_softlink.sh", version)
        write(self.root / TOOLKITS / "set_env.sh")
        self.lead_latest(version)
        short = self.root / TOOLKITS / version.rpartition(".")[0]
        short.unlink(missing_ok=True)
        short.symlink_to(f"./{version}")
        if recorded:
            state = self.root / STATE / "manifests" / f"toolkit-{version}.json"
            manifest.record(str(home), sorted(os.listdir(home)), str(state))

    def lead_latest(self, version: str) -> None:
        latest = self.root / TOOLKITS / "latest"
        latest.mkdir(exist_ok=True)
        (latest / "runtime").unlink(missing_ok=True)
        (latest / "runtime").symlink_to(f"../{version}/runtime")

    def run(self, argv: list[str], *_more: Any, **_named: Any) -> Result:
        """CANN's own scripts: the uninstaller takes `latest` away where it leads to its version."""
        script = Path(argv[1])
        version = script.read_text()
        if script.name != UNINSTALLER:
            self.lead_latest(version)
            return Result(0, "", False)
        self.uninstalled.append(version)
        latest = self.root / TOOLKITS / "latest"
        if files.link(str(latest / "runtime")) == f"../{version}/runtime":
            shutil.rmtree(latest)
        shutil.rmtree(self.cann(version))
        return Result(0, "uninstall success", False)

    def selection(self, asked: Asked) -> dict[str, list[Any]]:
        return dict(select(survey.read(self.node, PLACES), asked))

    def remove(self, asked: Asked) -> list[str]:
        if not self.selection(asked)["remove"]:
            return []
        (self.root / STATE).mkdir(exist_ok=True)  # as the lock does
        return list(apply.apply(self.node, PLACES, asked, self.run, 60))

    def tree(self) -> dict[str, str]:
        """Every path, with what it holds; an empty folder is one, too."""
        found = {}
        for folder, inner, names in os.walk(self.root):
            for name in inner + names:
                path = Path(folder, name)
                relative = str(path.relative_to(self.root))
                if path.is_symlink():
                    found[relative] = "-> " + os.readlink(path)
                elif path.is_file():
                    found[relative] = "a manifest" if path.parent.name == "manifests" else path.read_text()
                else:
                    found[relative] = "/"
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def names(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["kind"], row["name"]) for row in rows]


def gone(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert {path: text for path, text in after.items() if before.get(path) != text} == {}, "neither new nor altered"
    return set(before) - set(after)


def below(tree: dict[str, str], *tops: str) -> set[str]:
    return {path for path in tree if any(path == top or path.startswith(top + "/") for top in tops)}


def test_a_release_goes_and_nothing_else(machine: Machine) -> None:
    before = machine.tree()
    assert machine.remove(Asked(release=OLD)) == []
    assert gone(before, machine.tree()) == below(
        before,
        f"opt/ascend/env/{OLD}-{DIGEST[OLD]}",
        "opt/ascend/env/previous",
        f"opt/ascend/python/{PYTHON[OLD]}",
        f"{TOOLKITS}/{OLD}",
        f"{TOOLKITS}/8.0",
        f"{STATE}/manifests/toolkit-{OLD}.json",
        f"var/cache/ascend-fleet/{DIGEST[OLD]}0000",
        f"var/cache/ascend-fleet/{(PYTHON[OLD].replace('.', '') * 16)[:16]}",
    )
    assert machine.uninstalled == [OLD]
    assert machine.selection(Asked(release=OLD))["remove"] == []


def test_what_two_releases_share_stays(machine: Machine) -> None:
    write(machine.env(NEW) / ".cann_home", f"/usr/local/Ascend/ascend-toolkit/{OLD}\n")
    shutil.rmtree(machine.root / "opt/ascend/python" / PYTHON[NEW])
    program = machine.env(NEW) / "bin/python"
    program.unlink()
    program.symlink_to(f"/opt/ascend/python/{PYTHON[OLD]}/bin/python3.10")
    machine.remove(Asked(release=OLD))
    assert not machine.env(OLD).exists()
    assert machine.cann(OLD).is_dir()
    assert (machine.root / "opt/ascend/python" / PYTHON[OLD]).is_dir()
    assert machine.uninstalled == []


def test_the_current_release_is_refused_and_goes_when_forced(machine: Machine) -> None:
    before = machine.tree()
    (refused,) = machine.selection(Asked(release=NEW))["refusals"]
    assert (refused["check"], refused["subject"]) == ("current", f"{NEW}-{DIGEST[NEW]}")
    with pytest.raises(AscendError, match="it is current"):
        machine.remove(Asked(release=NEW))
    assert machine.tree() == before
    notes = machine.remove(Asked(release=NEW, force=True))
    assert notes == [f"CANN's latest leads to {OLD} now"]
    assert not (machine.root / "opt/ascend/env/current").is_symlink()
    assert os.readlink(machine.root / TOOLKITS / "latest/runtime") == f"../{OLD}/runtime"
    assert machine.env(OLD).is_dir()


def test_latest_that_nothing_leads_back_is_told(machine: Machine) -> None:
    (machine.cann(OLD) / "create_version_softlink.sh").unlink()
    (note,) = machine.remove(Asked(release=NEW, force=True))
    assert "leads to no version now" in note
    assert "create_version_softlink.sh" in note


def test_pruning_keeps_by_number(machine: Machine) -> None:
    assert machine.selection(Asked())["remove"] == []
    chosen = machine.selection(Asked(keep=0))
    assert ("environment", f"{OLD}-{DIGEST[OLD]}") in names(chosen["remove"])
    assert ("environment", f"{NEW}-{DIGEST[NEW]}") in names(chosen["keep"])
    machine.remove(Asked(keep=0))
    assert not machine.env(OLD).exists()
    assert machine.env(NEW).is_dir()
    assert machine.cann(NEW).is_dir()
    assert machine.uninstalled == [OLD]


def test_everything_goes_and_others_stay(machine: Machine) -> None:
    before = machine.tree()
    machine.remove(Asked(everything=True, force=True))
    after = machine.tree()
    gone(before, after)
    assert {path for path, text in after.items() if text != "/"} == set(OTHERS)
    for folder in ("etc/Ascend", "var/log/ascend_seclog", STATE, TOOLKITS):
        assert not (machine.root / folder).exists(), folder
    assert (machine.root / "usr/local/Ascend").is_dir(), "it was there before"


def test_everything_of_a_node_of_ours_alone(machine: Machine) -> None:
    for path in ("opt/ascend/ml-team", "opt/ascend/env/notes", "opt/ascend/python/my-build"):
        shutil.rmtree(machine.root / path)
    shutil.rmtree(machine.root / "var/cache/ascend-fleet/movies")
    machine.remove(Asked(everything=True, force=True))
    assert not (machine.root / "opt/ascend").exists()
    assert not (machine.root / "var/cache/ascend-fleet").exists()
    assert machine.selection(Asked(everything=True)) == {
        "remove": [],
        "keep": [],
        "refusals": [],
    }


def test_what_was_there_before_us_stays(machine: Machine) -> None:
    (machine.root / STATE / "origin.json").unlink()
    machine.remove(Asked(everything=True, force=True))
    for path in (f"{TOOLKITS}/set_env.sh", "etc/Ascend/ascend_cann_install.info", "opt/ascend"):
        assert (machine.root / path).exists(), path
    assert (machine.root / "var/log/ascend_seclog/ascend_toolkit_install.log").exists()
    assert not (machine.root / "usr/local/bin/ascend-env").exists()


def test_somebody_elses_cann_is_never_touched(machine: Machine) -> None:
    machine.add_cann("7.0.0", recorded=False)
    before = machine.tree()
    chosen = machine.selection(Asked(everything=True, force=True))
    kept = {row["name"]: row["reason"] for row in chosen["keep"] if row["kind"] == "CANN"}
    assert kept == {"7.0.0": "was not installed by this project"}
    machine.remove(Asked(everything=True, force=True))
    stays = below(before, f"{TOOLKITS}/7.0.0", f"{TOOLKITS}/latest", f"{TOOLKITS}/set_env.sh", f"{TOOLKITS}/7.0")
    assert {path: before[path] for path in stays}.items() <= machine.tree().items()


def test_a_manifest_of_a_cann_that_was_there_before_does_not_make_it_ours(machine: Machine) -> None:
    """The kernels that are put beside it have both recorded."""
    machine.write_origin({"schema": 1, "absent": [], "cann": {OLD: []}})
    write(machine.cann(OLD) / "opp_kernel/script" / UNINSTALLER, OLD)
    state = machine.root / STATE / "manifests" / f"kernels-910b-{OLD}.json"
    manifest.record(str(machine.cann(OLD)), ["opp_kernel"], str(state))
    chosen = machine.selection(Asked(everything=True, force=True))
    assert ("kernels", f"{OLD} 910b") in names(chosen["remove"])
    assert ("CANN", OLD) in names(chosen["keep"])


def test_what_users_edited_is_not_thrown_away(machine: Machine) -> None:
    checkout = machine.env(OLD) / "src/LLaMA-Factory"
    write(checkout / "src/train.py")
    recorded = source_record.Recorded("a" * 64, None, source_record.taken(str(checkout)))
    source_record.write(str(machine.env(OLD) / ".ascend-fleet-source-llamafactory.json"), recorded)
    assert machine.selection(Asked(release=OLD))["refusals"] == []
    write(checkout / "saves/week-long/model.bin")
    write(machine.env(OLD) / "edited/20260101T000000Z/src/train.py")
    (refused,) = machine.selection(Asked(release=OLD))["refusals"]
    assert refused["check"] == "users-files"
    assert "src/LLaMA-Factory/saves" in refused["found"]
    assert "edited" in refused["found"]
    kept = {row["name"]: row["reason"] for row in machine.selection(Asked(keep=0))["keep"]}
    assert "it holds users' files" in kept[f"{OLD}-{DIGEST[OLD]}"]
    assert machine.selection(Asked(release=OLD, force=True))["refusals"] == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda env: write(env / "src/LLaMA-Factory/src/train.py", "other"), "src/LLaMA-Factory/src/train.py"),
        (lambda env: (env / "src/LLaMA-Factory/mine").symlink_to("/data"), "src/LLaMA-Factory/mine"),
        (lambda env: write(env / "src/LLaMA-Factory/.git/HEAD", "a" * 40), "src/LLaMA-Factory/.git"),
        (lambda env: write(env / "src/other/file"), "src/other"),
        (lambda env: write(env / "results/deep/file"), "results"),
        (lambda env: (env / ".ascend-fleet-source-llamafactory.json").unlink(), "src/LLaMA-Factory/."),
        (lambda env: (env / "empty/folder").mkdir(parents=True), ""),
        (lambda env: write(env / "src/LLaMA-Factory/src/__pycache__/train.pyc"), ""),
        (lambda env: write(env / ".cann_home.part"), ""),
    ],
)
def test_what_counts_as_users(machine: Machine, change: Callable[[Path], None], found: str) -> None:
    checkout = machine.env(OLD) / "src/LLaMA-Factory"
    write(checkout / "src/train.py")
    recorded = source_record.Recorded("a" * 64, None, source_record.taken(str(checkout)))
    source_record.write(str(machine.env(OLD) / ".ascend-fleet-source-llamafactory.json"), recorded)
    change(machine.env(OLD))
    there = survey.read(machine.node, PLACES)
    assert there["environments"][f"{OLD}-{DIGEST[OLD]}"]["belongings"] == ([found] if found else [])


def test_custom_operators_in_cann_are_users(machine: Machine) -> None:
    write(machine.cann(OLD) / "opp/vendors/customize/op.so")
    write(machine.cann(OLD) / "python/__pycache__/te.pyc")
    (refused,) = machine.selection(Asked(release=OLD))["refusals"]
    assert (refused["check"], refused["component"]) == ("users-files", "cann")
    assert "opp/vendors" in refused["found"]
    (machine.root / STATE / f"manifests/toolkit-{OLD}.json").write_text("{")
    (refused,) = machine.selection(Asked(release=OLD))["refusals"]
    assert refused["found"].startswith(". in ")


def test_an_uninstaller_that_fails_or_is_gone(machine: Machine) -> None:
    (machine.cann(OLD) / "aarch64-linux/script" / UNINSTALLER).unlink()
    shutil.rmtree(machine.cann(OLD) / "runtime")
    (note,) = machine.remove(Asked(release=OLD))
    assert "has no uninstaller" in note
    assert not machine.cann(OLD).exists()
    assert not (machine.root / STATE / f"manifests/toolkit-{OLD}.json").exists()


def test_a_disk_mounted_in_an_environment_is_never_emptied(machine: Machine) -> None:
    saves = machine.env(OLD) / "lib/saves"
    write(saves / "model.bin")
    write(machine.root / "proc/self/mountinfo", f"1 0 8:1 / / rw - x x rw\n2 1 0:99 / {saves} rw - nfs x rw\n")
    before = machine.tree()
    for asked in (Asked(release=OLD, force=True), Asked(everything=True, force=True)):
        (refused,) = machine.selection(asked)["refusals"]
        assert refused["check"] == "mounted"
        with pytest.raises(AscendError, match="mounted"):
            machine.remove(asked)
    assert ("environment", f"{OLD}-{DIGEST[OLD]}") in names(machine.selection(Asked(keep=0, force=True))["keep"])
    with pytest.raises(AscendError, match="mounted"):
        apply.delete(machine.node, f"/opt/ascend/env/{OLD}-{DIGEST[OLD]}")
    row = {"kind": "environment", "name": "x", "path": f"/opt/ascend/env/{OLD}-{DIGEST[OLD]}"}
    with pytest.raises(AscendError, match="mounted"):
        apply._set_aside(machine.node, row, force=True)
    assert machine.tree() == before


def test_who_starts_in_an_environment_meanwhile_keeps_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = machine.tree()
    process = {"pid": 7, "user": "ml", "name": "python", "command": "python train.py", "how": "cwd"}

    def users(node: Node, folders: list[str]) -> dict[str, Any]:
        """Nobody while the node is surveyed; then somebody, once the folder has its new name."""
        return {path: [process] for path in folders if survey.REMOVING in path and os.path.isdir(node.path(path))}

    monkeypatch.setattr(in_use, "users", users)
    with pytest.raises(AscendError, match="in use since a moment ago"):
        machine.remove(Asked(release=OLD))
    assert below(machine.tree(), "opt/ascend/env") == below(before, "opt/ascend/env") - {"opt/ascend/env/previous"}


def test_leftovers_of_interrupted_runs_go(machine: Machine) -> None:
    left = [
        "opt/ascend/env/.removing-8.0.RC2-0123456789ab/bin/python",
        "opt/ascend/env/.building-8.0.RC2-0123456789ab/cache/x",
        "opt/ascend/python/.removing-3.9.1/bin/python3",
        f"{TOOLKITS}/.removing-8.0.RC2/runtime/x",
        f"{STATE}/manifests/toolkit-8.0.RC2.json",
        f"var/cache/ascend-fleet/{DIGEST[NEW]}0000/x.part",
    ]
    before = machine.tree()
    for path in left:
        write(machine.root / path)
    rows = machine.selection(Asked())["remove"]
    assert {row["kind"] for row in rows} == {"leftover"}
    assert len(rows) == len(left)
    machine.remove(Asked())
    assert machine.tree() == before


def test_a_half_built_environment_is_pruned(machine: Machine) -> None:
    (machine.env(OLD) / ".ascend-fleet.json").unlink()
    rows = machine.selection(Asked())["remove"]
    assert rows[-3:][0]["reason"] == "not current, and not finished"


# --- interrupted -------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """As kill -9: nothing of ours catches it."""


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], int]:
    """Be killed before the ``at``-th call of what takes something away; count the calls."""
    calls = 0

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                raise Killed
            return function(*arguments, **more)

        return call

    for name in ("unlink", "rename", "replace", "rmdir"):
        monkeypatch.setattr(os, name, wrap(getattr(os, name)))
    return lambda: calls


@pytest.mark.parametrize(
    "asked", [Asked(release=OLD), Asked(keep=0), Asked(release=NEW, force=True), Asked(everything=True, force=True)]
)
def test_interrupted_at_every_call_and_run_again(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Machine(tmp_path / "whole")
    counted = interrupted(monkeypatch, 0)
    whole.remove(asked)
    calls = counted()
    monkeypatch.undo()
    wanted = whole.tree()
    assert calls > 20
    for at in range(1, calls + 1):
        machine = Machine(tmp_path / str(at))
        interrupted(monkeypatch, at)
        with pytest.raises(Killed):
            machine.remove(asked)
        monkeypatch.undo()
        for path in machine.root.glob(f"var/tmp/ascend-fleet-{os.getpid()}-*"):
            path.rename(path.with_name("ascend-fleet-4711-dead"))  # the number of a process that is no more
        assert_whole_or_left(machine)
        machine.remove(asked)
        assert machine.tree() == wanted, at
        assert machine.selection(asked)["remove"] == []
        shutil.rmtree(machine.root)


def overlaid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders cannot be renamed: they lie in the lower layer of an overlay, as in a container's image."""
    rename = os.rename

    def call(source: str, target: str) -> None:
        if os.path.isdir(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", call)


def test_interrupted_where_folders_cannot_be_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(release=OLD)
    whole = Machine(tmp_path / "whole")
    whole.remove(asked)
    overlaid(monkeypatch)
    counting = Machine(tmp_path / "counting")
    counted = interrupted(monkeypatch, 0)
    counting.remove(asked)
    calls = counted()
    assert counting.tree() == whole.tree()
    for at in range(1, calls + 1):
        monkeypatch.undo()
        machine = Machine(tmp_path / str(at))
        overlaid(monkeypatch)
        interrupted(monkeypatch, at)
        with pytest.raises(Killed):
            machine.remove(asked)
        monkeypatch.undo()
        for path in machine.root.glob(f"var/tmp/ascend-fleet-{os.getpid()}-*"):
            path.rename(path.with_name("ascend-fleet-4711-dead"))
        # What is no more whole does not count as complete.
        there = machine.env(OLD)
        library = there / "lib/python3/site-packages/torch/lib.so"
        assert library.is_file() or not (there / ".ascend-fleet.json").exists(), at
        overlaid(monkeypatch)
        machine.remove(asked)
        monkeypatch.undo()
        assert machine.tree() == whole.tree(), at
        shutil.rmtree(machine.root)


def test_interrupted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time when it has just begun: what the release stood on is still known."""
    whole = Machine(tmp_path / "whole")
    whole.remove(Asked(release=OLD))
    machine = Machine(tmp_path / "twice")
    for words in ("environment", "begun"):

        def reached(point: str, words: str = words) -> None:
            if point == "remove." + words:
                raise Killed

        monkeypatch.setattr(points, "reached", reached)
        with pytest.raises(Killed):
            machine.remove(Asked(release=OLD))
    monkeypatch.undo()
    machine.remove(Asked(release=OLD))
    assert machine.tree() == whole.tree()


def assert_whole_or_left(machine: Machine) -> None:
    """An environment that counts has all its files, a link leads to one that counts, and what is left is known."""
    env = machine.root / "opt/ascend/env"
    for release in (OLD, NEW):
        there = machine.env(release)
        if there.exists():
            assert (there / ".ascend-fleet.json").is_file()
            assert (there / "lib/python3/site-packages/torch/lib.so").is_file()
    for link in ("current", "previous"):
        assert not (env / link).is_symlink() or (env / link).is_dir()
    known = {os.path.basename(path) for path in survey.read(machine.node, PLACES)["leftovers"]}
    assert {path.name for path in env.glob(".*")} <= known


def test_an_interrupted_uninstaller_is_finished(machine: Machine) -> None:
    """Killed in its middle, and again while the next run cleans up."""

    def dies(*_more: Any, **_named: Any) -> Result:
        shutil.rmtree(machine.cann(OLD) / "aarch64-linux")
        raise Killed

    with pytest.raises(Killed):
        apply.apply(machine.node, PLACES, Asked(release=OLD), dies, 60)
    (note,) = machine.remove(Asked(release=OLD))
    assert "has no uninstaller" in note
    assert not machine.cann(OLD).exists()
    assert machine.selection(Asked(release=OLD))["remove"] == []


# --- sizes -------------------------------------------------------------------------------------------------------


def test_sizes_are_those_of_the_disk(machine: Machine) -> None:
    one, other = machine.root / "one", machine.root / "other"
    for folder in (one, other):
        folder.mkdir()
    (one / "big").write_bytes(b"x" * 8 * sizes.MB)
    os.link(one / "big", other / "same")
    rows: list[dict[str, Any]] = [{"path": "/one"}, {"path": "/other"}]
    assert sizes.measure(machine.node, rows, freed=True) == pytest.approx(8, abs=0.2)
    assert [round(row["size_mb"]) for row in rows] == [0, 8], "the last name frees it"
    assert sizes.measure(machine.node, rows[:1], freed=True) < 1, "another name keeps it"
    assert sizes.measure(machine.node, rows[:1], freed=False) == pytest.approx(8, abs=0.2)
    os.truncate(one / "big", 80 * sizes.MB)  # sparse: no more blocks
    assert sizes.measure(machine.node, rows, freed=True) < 9
    assert sizes.measure(machine.node, [{"path": "/absent"}], freed=True) == 0


def test_another_disk_that_is_mounted_below_is_not_counted(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    write(machine.root / "top/inner/file", "x" * sizes.MB)
    assert sizes.measure(machine.node, [{"path": "/top"}], freed=True) > 0.9
    there = os.lstat

    def elsewhere(path: str) -> Any:
        status = there(path)
        return SimpleNamespace(st_dev=status.st_dev + 1, st_nlink=2, st_mode=status.st_mode, st_blocks=8)

    monkeypatch.setattr(os, "lstat", elsewhere)
    assert sizes.measure(machine.node, [{"path": "/top"}], freed=True) < 0.1
