# SPDX-License-Identifier: Apache-2.0
"""The operating system's facts: containers, room on disk, owners of CANN's folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest
from ansible.module_utils.ascend import system

from tests.answers import node, write


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
    assert system.read_system(node(tmp_path), "/usr/local/Ascend", [])["container"] == runtime


def test_room_is_measured_where_the_folder_will_lie(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    disk = system.read_system(node(tmp_path), "/usr/local/Ascend", ["/var/cache/x"])["disk"]["/var/cache/x"]
    assert disk["path_measured"] == "/var"
    assert disk["free_mb"] > 0
    assert disk["device"] == os.stat(tmp_path).st_dev


def test_a_mount_that_answers_with_an_error_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(path: str) -> NoReturn:
        raise OSError(116, "Stale file handle", path)

    monkeypatch.setattr(os, "statvfs", stale)
    disk = system.read_system(node(tmp_path), "/usr/local/Ascend", ["/data"])["disk"]["/data"]
    assert (disk["free_mb"], disk["device"]) == (0, -1)


def test_owners_and_the_distribution(tmp_path: Path) -> None:
    write(tmp_path, "/etc/os-release", 'ID="openEuler"\nVERSION_ID="22.03"\n')
    (tmp_path / "usr").mkdir(mode=0o700)
    found = system.read_system(node(tmp_path), "/usr/local/Ascend", [])
    assert (found["distribution"], found["distribution_version"]) == ("openEuler", "22.03")
    assert [(path["path"], path["exists"]) for path in found["paths"]] == [
        ("/usr/local/Ascend", False), ("/usr/local", False), ("/usr", True), ("/", True),
    ]  # fmt: skip
    assert (found["paths"][2]["uid"], found["paths"][2]["mode"]) == (os.getuid(), "0700")
