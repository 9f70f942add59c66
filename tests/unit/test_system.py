# SPDX-License-Identifier: Apache-2.0
"""The operating system's facts: containers, room on disk, owners of folders, limits, kernel settings, the clock."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import system
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result, query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.preconditions import PTP
from tests.answers import HANGS, Programs, node, write

ROOT = Path(__file__).resolve().parents[2]
CLOCK = "timedatectl show --property=NTPSynchronized --value"


def read(node: Node, places: list[str] | None = None, settings: list[str] | None = None) -> Any:
    return system.read_system(node, "/usr/local/Ascend", places or [], 5, settings or [])


@pytest.mark.parametrize(
    ("path", "text", "runtime"),
    [
        ("/etc/hostname", "npu-001\n", None),
        ("/.dockerenv", "", "docker"),
        ("/run/.containerenv", "", "podman"),
        ("/proc/1/cgroup", "0::/kubepods/burstable/pod1/abc\n", "kubepods"),
        ("/proc/1/cgroup", "0::/init.scope\n", None),
    ],
)
def test_containers(tmp_path: Path, path: str, text: str, runtime: str | None) -> None:
    write(tmp_path, path, text)
    assert read(node(tmp_path))["container"] == runtime


def test_room_is_measured_where_the_folder_will_lie(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    disk = read(node(tmp_path), ["/var/cache/x"])["disk"]["/var/cache/x"]
    assert disk["path_measured"] == "/var"
    assert disk["free_mb"] > 0
    assert disk["device"] == os.stat(tmp_path).st_dev


def test_a_mount_that_answers_with_an_error_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(path: str) -> NoReturn:
        raise OSError(116, "Stale file handle", path)

    monkeypatch.setattr(os, "statvfs", stale)
    disk = read(node(tmp_path), ["/data"])["disk"]["/data"]
    assert (disk["free_mb"], disk["device"]) == (0, -1)
    assert {disk[key] for key in ("read_only", "noexec", "total_mb", "free_inodes")} == {None}


def test_the_parent_of_a_mount_that_answers_with_an_error_does_not_stand_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = os.stat

    def stale(path: Any, **more: Any) -> os.stat_result:
        if str(path).endswith("/data"):
            raise OSError(116, "Stale file handle", str(path))
        return there(path, **more)

    (tmp_path / "data").mkdir()
    monkeypatch.setattr(os, "stat", stale)
    disk = read(node(tmp_path), ["/data"])["disk"]["/data"]
    assert (disk["path_measured"], disk["free_mb"], disk["device"]) == ("/data", 0, -1)


@pytest.mark.parametrize(
    ("files", "favail", "flag", "read_only", "noexec", "free_inodes"),
    [
        (1000, 37, 0, False, False, 37),
        (1000, 0, os.ST_NOSUID | os.ST_NOEXEC, False, True, 0),
        (0, 0, os.ST_RDONLY | os.ST_NODEV, True, False, -1),  # a file system without a table of inodes, such as btrfs
    ],
)
def test_what_a_file_system_takes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: int,
    favail: int,
    flag: int,
    read_only: bool,
    noexec: bool,
    free_inodes: int,
) -> None:
    size = {"f_bavail": 2048, "f_blocks": 4096, "f_frsize": 4096}
    room = SimpleNamespace(**size, f_files=files, f_favail=favail, f_flag=flag)
    asked: list[str] = []

    def statvfs(path: str) -> SimpleNamespace:
        asked.append(path)
        return room

    (tmp_path / "etc").mkdir()
    monkeypatch.setattr(os, "statvfs", statvfs)
    disk = read(node(tmp_path), ["/etc/Ascend"])["disk"]["/etc/Ascend"]
    assert disk == {
        "path_measured": "/etc",
        "free_mb": 8,
        "total_mb": 16,
        "device": os.stat(tmp_path).st_dev,
        "read_only": read_only,
        "noexec": noexec,
        "free_inodes": free_inodes,
    }
    assert asked == [str(tmp_path / "etc")]


def test_the_time_of_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_735_689_599.9)
    assert read(node(tmp_path))["time_s"] == 1_735_689_599


def test_owners_and_the_distribution(tmp_path: Path) -> None:
    write(tmp_path, "/etc/os-release", 'ID="openEuler"\nVERSION_ID="22.03"\n')
    (tmp_path / "usr").mkdir(mode=0o700)
    found = read(node(tmp_path))
    assert (found["distribution"], found["distribution_version"]) == ("openEuler", "22.03")
    assert [(path["path"], path["exists"]) for path in found["paths"]] == [
        ("/usr/local/Ascend", False), ("/usr/local", False), ("/usr", True), ("/", True),
    ]  # fmt: skip
    assert (found["paths"][2]["uid"], found["paths"][2]["mode"]) == (os.getuid(), "0700")


PRINT_LIMITS = """
import json, resource, sys
for name, soft, hard in json.loads(sys.argv[1]):
    resource.setrlimit(getattr(resource, name), (soft, hard))
sys.path.insert(0, "collections")
from ansible_collections.ascend.fleet.plugins.module_utils.ascend import system
from tests.answers import node
print(json.dumps(system.read_system(node(sys.argv[2]), "/", [], 5)["limits"]))
"""


def test_limits_are_those_of_the_process_itself(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    set_here = f'[["RLIMIT_NOFILE", 123, 456], ["RLIMIT_MEMLOCK", 4096, 8192], ["RLIMIT_STACK", 8388608, {hard}]]'
    argv = [sys.executable, "-c", PRINT_LIMITS, set_here, str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, list[int]] = json.loads(done.stdout)
    assert found["nofile"] == [123, 456]
    assert found["memlock"] == [4096, 8192]
    assert found["stack"] == [8388608, -1 if hard == resource.RLIM_INFINITY else hard]
    assert set(found) == {"nofile", "nproc", "memlock", "stack"}


def test_an_unlimited_value_is_minus_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _number: (7, resource.RLIM_INFINITY))
    assert read(node(tmp_path))["limits"]["nproc"] == [7, -1]


def test_kernel_settings(tmp_path: Path) -> None:
    write(tmp_path, "/proc/sys/vm/max_map_count", "65530\n")
    write(tmp_path, "/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n")
    (tmp_path / "proc/sys/net/core").mkdir()
    names = ["vm.max_map_count", "net.ipv4.tcp_rmem", "vm.nowhere", "net.core"]
    found = read(node(tmp_path), settings=names)["kernel_settings"]
    assert list(found.items()) == [
        ("vm.max_map_count", "65530"), ("net.ipv4.tcp_rmem", "4096 131072 6291456"), ("vm.nowhere", None),
        ("net.core", None),
    ]  # fmt: skip
    assert read(node(tmp_path))["kernel_settings"] == {}


def test_kernel_settings_of_this_machine() -> None:
    here = node(Path("/"), names=())
    found = read(here, settings=["kernel.ostype", "kernel.osrelease"])["kernel_settings"]
    assert found == {"kernel.ostype": "Linux", "kernel.osrelease": os.uname().release}


@pytest.mark.parametrize(
    "name", ["", "vm", "vm..x", "../etc", "vm.../x", "vm/max_map_count", "VM.x", "vm.x\n", "vm.x="]
)
def test_what_can_be_no_kernel_setting(tmp_path: Path, name: str) -> None:
    with pytest.raises(AscendError) as raised:
        read(node(tmp_path), settings=["vm.swappiness", name])
    assert raised.value.found == repr(name)
    assert all(raised.value.as_dict()[key] for key in ("wanted", "remedy"))


@pytest.mark.parametrize(
    ("answer", "synchronised"),
    [
        ("yes\n", True),
        ("no\n", False),
        ("", None),
        ("NTPSynchronized=yes\n", None),
        (Result(1, "yes\n", False), None),
        (Result(1, "Failed to query server: Connection timed out\n", False), None),
        (HANGS, None),
    ],
)
def test_whether_the_clock_is_in_step(tmp_path: Path, answer: str | Result, synchronised: bool | None) -> None:
    programs = Programs({CLOCK: answer})
    assert read(node(tmp_path, programs, ("timedatectl",)))["time_synchronised"] is synchronised
    assert programs.all_asked()


@pytest.mark.parametrize(
    ("answer", "keepers"),
    [("yes\n", []), ("no\n", ["chronyd", "ptp4l", "phc2sys"]), ("", ["chronyd", "ptp4l", "phc2sys"])],
)
def test_what_keeps_a_clock_is_looked_for_where_systemd_knows_of_nothing(
    tmp_path: Path, answer: str, keepers: list[str]
) -> None:
    for process, name in (("1", "systemd"), ("17", "phc2sys"), ("18", "ptp4l"), ("9", "chronyd"), ("20", "ptp4lx")):
        write(tmp_path, f"/proc/{process}/comm", name + "\n")
    write(tmp_path, "/proc/self/comm", "ntpd\n")
    facts = read(node(tmp_path, Programs({CLOCK: answer}), ("timedatectl",)))
    assert facts["time_keepers"] == keepers


@pytest.mark.parametrize("name", PTP)
def test_whatever_keeps_a_clock_by_ptp_is_looked_for(tmp_path: Path, name: str) -> None:
    """Else a node would be advised to start chronyd beside it."""
    write(tmp_path, "/proc/17/comm", name + "\n")
    assert read(node(tmp_path, Programs({CLOCK: "no\n"}), ("timedatectl",)))["time_keepers"] == [name]


def test_a_node_without_systemd_says_nothing_of_its_clock(tmp_path: Path) -> None:
    assert read(node(tmp_path))["time_synchronised"] is None


@pytest.mark.parametrize(
    ("line", "synchronised"), [("", True), ("time=unsynchronised\n", False), ("time=unknown\n", None)]
)
def test_the_clock_of_a_simulated_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, synchronised: bool | None
) -> None:
    monkeypatch.setenv("ASCEND_SIM_CONF", str(write(tmp_path, "/node.conf", "card_count=8\n" + line)))
    programs = {"timedatectl": str(ROOT / "sim/node/bin/timedatectl")}
    assert read(Node(query, programs.get, str(tmp_path)))["time_synchronised"] is synchronised
