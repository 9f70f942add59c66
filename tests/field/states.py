# SPDX-License-Identifier: Apache-2.0
"""The states of states.json.xz (README.md) below a folder, and what this code reads and plans there."""

from __future__ import annotations

import functools
import json
import lzma
import os
import platform
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.facts import collect
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import Places
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import Plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import resolve
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import release_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CANN_ROOT, ASCEND_ROOT, TMP = "/usr/local/Ascend", "/opt/ascend", "/var/tmp"
CACHE, STATE = "/var/cache/ascend-fleet", "/var/lib/ascend-fleet"
ENOUGH = 1 << 40
ROOM = SimpleNamespace(
    f_bavail=ENOUGH, f_blocks=ENOUGH, f_frsize=1, f_flag=0, f_files=ENOUGH, f_favail=ENOUGH, f_bsize=1, f_ffree=ENOUGH
)


@functools.lru_cache(maxsize=1)
def archive() -> dict[str, Any]:
    """All that is kept: ``{"nodes", "contents", "depot", "reports"}``; contents are bytes written as latin-1."""
    found: dict[str, Any] = json.loads(lzma.decompress((HERE / "states.json.xz").read_bytes()))
    return found


def content(number: int) -> bytes:
    """A content of a node's file, by the number that its row has."""
    data: bytes = archive()["contents"][number].encode("latin-1")
    return data


def lay_node(state: str, root: Path, place: str = "/", known: dict[str, Path] | None = None) -> None:
    """Lay a node's files, those below ``place``, below a folder; a file without content is as long, and empty.

    Those are many, and the same on every node: they become links to those that are ``known``.
    """
    known = {} if known is None else known
    root.mkdir(exist_ok=True)
    root.chmod(0o755)
    folder, folders = root, []
    for path, kind, mode, when, what in archive()["nodes"][state]["tree"]:
        if not path.startswith(place):
            continue
        there = root / path[1:]
        if there.parent != folder:
            folder = there.parent
            folder.mkdir(parents=True, exist_ok=True)
        if kind == "l":
            there.symlink_to(what)
            continue
        if isinstance(what, list):
            same = known.setdefault(f"{path} {mode} {when} {what}", there)
            if same != there:
                there.hardlink_to(same)
                continue
        if kind == "d":
            there.mkdir(exist_ok=True)
            folders.append((there, when))
        elif isinstance(what, int):
            there.write_bytes(content(what))
        else:
            there.touch()
            os.truncate(there, *what)
        there.chmod(mode)
        os.utime(there, ns=(when, when))
    for there, when in folders:
        os.utime(there, ns=(when, when))


def lay_files(part: str, root: Path) -> None:
    """Lay the files of a part, "depot" or "reports", below a folder."""
    for name, text in archive()[part].items():
        there = root / name
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(text.encode("latin-1"))


def lay_control(root: Path) -> None:
    """Lay depot and releases of the control node; the files whose content is not kept are as long, and empty."""
    lay_files("depot", root)
    for name, entry in json.loads((root / "depot" / "index.json").read_bytes())["files"].items():
        there = root / "depot" / name
        there.parent.mkdir(parents=True, exist_ok=True)
        there.touch()
        os.truncate(there, entry["size_bytes"])
        os.utime(there, ns=(entry["mtime_ns"],) * 2)


@functools.lru_cache
def settings(told: str) -> dict[str, Any]:
    """What the planner is told, as the roles make it of what an inventory says (JSON)."""
    role = ROOT / "roles" / "ascend"
    argv = [str(Path(sys.executable).with_name("ansible")), "localhost", "-m", "debug", "-a", "var=ascend_settings"]
    for words in (f"@{role}/defaults/main.yml", f"@{role}/vars/main.yml", json.dumps({"role_path": str(role)}), told):
        argv += ["-e", words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = yaml.safe_load(done.stdout.partition(" => ")[2])["ascend_settings"]
    return answer


@dataclass(frozen=True)
class Field:
    """A node as it is in the field, below ``root``, with the depot and the releases below ``control``."""

    state: str
    root: Path
    control: Path

    @property
    def places(self) -> Places:
        """Where the node's own folders lie on this machine."""
        return Places(*(f"{self.root}{place}" for place in (CANN_ROOT, ASCEND_ROOT, CACHE, STATE, TMP)))

    def settings(self) -> dict[str, Any]:
        about = archive()["nodes"][self.state]
        told = {
            "ascend_release": about["release"],
            "ascend_releases_dir": str(self.control / "releases"),
            "ascend_depot_dir": str(self.control / "depot"),
            "ascend_depot_url": "http://depot",
            "cann_accept_eula": True,
        }
        return settings(json.dumps({**told, **about["host"]}))

    def read(self, deep: bool = False) -> dict[str, Any]:
        """The facts, in the node's own paths; this machine's room, kind and limits are none of its."""
        about = archive()["nodes"][self.state]
        answers = {tuple(argv): Result(code, output, False, errors) for argv, code, output, errors in about["commands"]}

        def run(argv: list[str], _timeout_s: float) -> Result:
            asked = (argv[0].removeprefix(str(self.root)), *argv[1:])
            return answers.get(asked, Result(127, "", False, "nobody asked that then"))

        node = Node(run, about["programs"].get, str(self.root))
        kernel = sorted(release_of(self.settings())["system"]["kernel_settings"])
        with (
            mock.patch.object(platform, "machine", return_value="x86_64"),
            mock.patch.object(os, "statvfs", return_value=ROOM),
            mock.patch.object(resource, "getrlimit", return_value=(resource.RLIM_INFINITY,) * 2),
        ):
            places = Places(CANN_ROOT, ASCEND_ROOT, CACHE, STATE, TMP)
            found = collect(node, places, ["cann", "npu", "python", "system", "links"], 5, deep, kernel)
        own: dict[str, Any] = json.loads(json.dumps(found).replace(f"{self.root}/", "/"))
        return own

    @functools.cached_property
    def found(self) -> dict[str, Any]:
        """The facts in the fast form, read once."""
        return self.read()

    def wanted(self, found: dict[str, Any]) -> dict[str, Any]:
        wanted: dict[str, Any] = resolve(found, self.settings())
        return wanted

    def plan(self, found: dict[str, Any]) -> Plan:
        return plan(found, self.wanted(found))
