# SPDX-License-Identifier: Apache-2.0
"""A node of real folders to remove from: two releases, and other people's files in and around them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files, manifest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import origin
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import Places
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove import apply, survey
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove.chosen import Asked
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove.selection import select

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
    "var/cache/ascend-fleet/wheels/of-mine/torch-1-py3-none-any.whl",
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
        self.write_origin({"schema": 1, "absent": ABSENT, "cann": {}, "toolkits": [OLD, NEW]})

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
        wheels = self.root / "var/cache/ascend-fleet/wheels" / f"{release}-{DIGEST[release]}-aarch64"
        write(wheels / "torch-1-py3-none-any.whl")
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
            manifest.write(str(home), sorted(os.listdir(home)), str(state))

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
        there = [path.name for path in (self.root / TOOLKITS).glob("*")]
        origin.keep(str(self.root / STATE), there)  # as the beginning of a change does
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
                    told = {"manifests": "a manifest", "ascend-fleet": "what was there before"}
                    ours = path.parent.name if path.suffix == ".json" else ""
                    found[relative] = told.get(ours) or path.read_text()
                else:
                    found[relative] = "/"
        return found


def names(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["kind"], row["name"]) for row in rows]
