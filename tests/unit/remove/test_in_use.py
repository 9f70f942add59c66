# SPDX-License-Identifier: Apache-2.0
"""Who uses a folder: real processes that stand in it, have it open or were told of it; containers by their mounts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import mounts
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove import in_use

SAY_AND_WAIT = "print('there', flush=True); input()"


def node(root: str = "/") -> Node:
    return Node(lambda _argv, _timeout_s: Result(127, "", False), lambda _name: None, root)


@contextmanager
def process(argv: list[str], **more: Any) -> Iterator[int]:
    """A program that has printed a line and waits."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more) as started:
        assert started.stdout
        assert started.stdout.readline() == "there\n"
        yield started.pid
        started.communicate("\n")


def python(*words: str, code: str = SAY_AND_WAIT) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code, *words]


def hows(folder: Path) -> dict[int, str]:
    found = in_use.users(node(), [str(folder), "/nowhere/at/all"])
    assert set(found) <= {str(folder)}
    return {each["pid"]: each["how"] for each in found.get(str(folder), [])}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An environment, and one beside it whose name begins alike."""
    for name in ("8.0.RC1-0123", "8.0.RC1-01234"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "data").write_bytes(b"x" * 4096)
    return tmp_path / "8.0.RC1-0123"


def test_nobody(folder: Path) -> None:
    assert hows(folder) == {}


def test_who_stands_in_it(folder: Path) -> None:
    with process(python(), cwd=folder / "bin") as pid:
        assert hows(folder) == {pid: "cwd"}
        assert hows(folder.with_name("8.0.RC1-01234")) == {}
    assert hows(folder) == {}


def test_who_runs_it(folder: Path) -> None:
    program = folder / "bin" / "cat"
    shutil.copy(shutil.which("cat") or "", program)
    with subprocess.Popen([program], executable=program, stdin=subprocess.PIPE) as started:
        assert hows(folder) == {started.pid: "exe"}
        program.unlink()
        assert hows(folder) == {started.pid: "exe"}, "removed and still run"
        started.communicate()


# The name comes by another way than the command line, which is looked at, too.
NAME = "import ctypes, os, sys; name = bytes.fromhex(sys.argv[1]).decode(); kept = os.open(name, os.O_RDONLY); "
# Python's own mmap keeps the file open.
MAP = "ctypes.CDLL(None).mmap(None, 4096, 1, 2, kept, 0); os.close(kept); os.unlink(name); "


@pytest.mark.parametrize(("code", "how"), [(NAME, "open"), (NAME + MAP, "mapped")])
def test_who_has_a_file_of_it(folder: Path, code: str, how: str) -> None:
    with process(python(str(folder / "data").encode().hex(), code=code + SAY_AND_WAIT)) as pid:
        assert hows(folder) == {pid: how}


@pytest.mark.parametrize(
    ("words", "variables", "how"),
    [
        (["--output_dir={}/saves"], {}, "command"),
        ([], {"PATH": "/usr/bin:{}/bin"}, "environment"),
        ([], {"ASCEND_HOME_PATH": "{}"}, "environment"),
        ([], {"VIRTUAL_ENV": "{}/"}, "environment"),
        ([], {"OLDPWD": "{}", "NOTES": "{}/x"}, ""),
        (["{}4/saves"], {"PATH": "{}4/bin"}, ""),
    ],
)
def test_who_was_told_of_it(folder: Path, words: list[str], variables: dict[str, str], how: str) -> None:
    argv = python(*(word.format(folder) for word in words))
    with process(argv, env={name: text.format(folder) for name, text in variables.items()}) as pid:
        assert hows(folder) == ({pid: how} if how else {})


def test_a_link_to_it_is_it(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    with process(python(), cwd=folder) as pid:
        assert hows(link) == {pid: "cwd"}


def test_the_user_and_the_command_without_secrets(folder: Path) -> None:
    with process(python("--token", "hunter2"), cwd=folder):
        (found,) = in_use.users(node(), [str(folder)])[str(folder)]
    assert found["user"] == "root" if os.getuid() == 0 else found["user"]
    assert "hunter2" not in found["command"]
    assert "--token ***" in found["command"]


# --- containers, from files as the kernel writes them ------------------------------------------------------------


class Machine:
    """A node whose /proc are files; its root lies on device 8:1."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = "/opt/ascend/env/8.0.RC1-0123"
        (root / self.env[1:]).mkdir(parents=True)
        own = "20 1 0:21 / /proc rw - proc proc rw\n1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        self.add("self", own, "mnt:[1]")

    def add(self, name: str, mountinfo: str, space: str, **links: str) -> None:
        folder = self.root / "proc" / name
        for inner in ("ns", "fd"):
            (folder / inner).mkdir(parents=True)
        (folder / "mountinfo").write_text(mountinfo)
        (folder / "ns/mnt").symlink_to(space)
        (folder / "comm").write_text("python\n")
        for link, target in links.items():
            (folder / link).symlink_to(target)

    def users(self) -> dict[int, str]:
        found = in_use.users(node(str(self.root)), [self.env])
        return {each["pid"]: each["how"] for each in found.get(self.env, [])}


CONTAINER = "1 0 0:50 / / rw - overlay overlay rw\n"


@pytest.mark.parametrize(
    ("mountinfo", "cwd", "how"),
    [
        # The same names in the container's own file system are other files.
        (CONTAINER, "/opt/ascend/env/8.0.RC1-0123/bin", ""),
        (CONTAINER + "2 1 8:1 {}/opt /host rw - ext4 /dev/sda1 rw\n", "/host/ascend/env/8.0.RC1-0123/bin", "cwd"),
        (CONTAINER + "2 1 8:1 {}/opt /host rw - ext4 /dev/sda1 rw\n", "/host/ascend/env/8.0.RC1-01234", ""),
        (CONTAINER + "2 1 8:1 {}/opt /a\\040b rw - ext4 x rw\n", "/a b/ascend/env/8.0.RC1-0123", "cwd"),
        # Mounted into it: used, though nothing is open.
        (CONTAINER + "2 1 8:1 {}/opt/ascend/env/8.0.RC1-0123/bin /tools rw - ext4 x rw\n", "/", "mounted"),
        # Another disk of the same path, and a mount that hides it.
        (CONTAINER + "2 1 8:2 {}/opt /host rw - ext4 x rw\n", "/host/ascend/env/8.0.RC1-0123", ""),
        (
            CONTAINER + "2 1 8:1 {}/opt /host rw - ext4 x rw\n3 2 0:60 / /host/ascend rw - tmpfs x rw\n",
            "/host/ascend/env/8.0.RC1-0123",
            "",
        ),
        (
            CONTAINER + "2 1 8:1 {}/opt /host rw - ext4 x rw\n3 2 8:1 {}/srv /host/ascend rw - ext4 x rw\n",
            "/host/ascend/env/8.0.RC1-0123",
            "",
        ),
    ],
)
def test_containers_by_what_is_mounted(tmp_path: Path, mountinfo: str, cwd: str, how: str) -> None:
    machine = Machine(tmp_path)
    machine.add("4711", mountinfo.replace("{}", str(tmp_path)), "mnt:[2]", cwd=cwd, exe="/usr/bin/python3")
    assert machine.users() == ({4711: how} if how else {})


def test_what_cannot_be_read_uses_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "proc/4712").mkdir()  # it ended, and its files with it
    (tmp_path / "proc/uptime").write_text("1 2\n")
    (tmp_path / "proc/self/mountinfo").write_text("odd\n\n")
    assert machine.users() == {}
    machine.add("4713", "", "mnt:[1]", cwd=str(tmp_path) + machine.env + " (deleted)")
    assert machine.users() == {4713: "cwd"}, "without a table of mounts names decide"


# --- mounts ------------------------------------------------------------------------------------------------------


def test_the_machines_own_mounts() -> None:
    there = mounts.read("/proc/self/mountinfo")
    assert mounts.place(there, "/proc/self")[1] == "/self"
    device, path = mounts.place(there, "/")
    assert device
    assert "/" in mounts.seen_at(there, device, path)
    assert "/proc" in mounts.within(there, "/")
    assert mounts.within(there, "/proc/self/fd") == []


def test_within_and_place() -> None:
    table = [mounts.Mount("/", "8:1", "/"), mounts.Mount("/data", "8:2", "/a"), mounts.Mount("/data", "8:3", "/")]
    assert mounts.place(table, "/data/x") == ("8:3", "/x"), "the later one is seen"
    assert mounts.place(table, "/database/x") == ("8:1", "/database/x")
    assert mounts.place([], "/x") == ("", "/x")
    assert mounts.within(table, "/data") == ["/data"]
    assert mounts.within(table, "/dat") == []
