# SPDX-License-Identifier: Apache-2.0
"""CANN on a node's disk, put there as its installers do, and what may happen to it."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import manifest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    layout as cann_layout,
    layouts as cann_layouts,
    packages as cann_packages,
    read as cann_read,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import Finding
from tests.answers import node, write

ROOT, STATE = "/usr/local/Ascend", "/var/lib/ascend-fleet"
MACHINE = platform.machine()
FOREIGN = "aarch64" if MACHINE == "x86_64" else "x86_64"
OLD, V, NEW = "8.0.RC1.alpha003", "8.0.RC1", "8.1.RC1"
NUMBER = {OLD: "7.2.T11.0.B100", V: "7.2.0.1.100", NEW: "7.7.0.1.238"}
KERNEL = "opp/built-in/op_impl/ai_core/tbe/kernel"
RECORD = "/etc/Ascend/ascend_cann_install.info"
COMPLETE = {"state": "complete", "problems": [], "problem_count": 0}
HALF, ALTERED, WHOLE = "half-installed", "altered", "complete"


class Cann:
    """A node's CANN, put there as its installers do."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.top = root / ROOT.strip("/") / "ascend-toolkit"
        self.latest = self.top / "latest"

    def home(self, version: str = V) -> Path:
        return self.top / version

    def put_version(self, home: Path, version: str, arch: str, shared: bool = False) -> None:
        place = f"/{home.relative_to(self.root)}/{arch}-linux"
        info = f"package_name=Ascend-cann-toolkit\nversion={version}\ninnerversion=V100R001C17SPC001B240\narch={arch}\n"
        write(home, f"{arch}-linux/ascend_toolkit_install.info", f"{info}os=linux\npath={place}\n")
        for library in cann_layouts.LIBRARIES:
            write(home, f"{arch}-linux/lib64/{library}", f"{library} of {version}")
        for part in (*cann_layouts.PARTS, "aoe"):
            inside = f"share/info/{part}" if shared else part
            text = f"Version={NUMBER.get(version, version)}\nversion_dir={version}\n"
            write(home, f"{inside}/version.info", text)
            write(home, f"{part}/content/part.bin", f"{part} of {version}")

    def put_toolkit(self, version: str = V, arch: str = MACHINE) -> None:
        home = self.home(version)
        self.put_version(home, version, arch)
        write(home, f"{arch}-linux/script/set_env.sh", f"export ASCEND_HOME_PATH={version}\n")
        (home / "lib64").symlink_to(f"{arch}-linux/lib64")
        write(self.top, "set_env.sh", "export ASCEND_HOME_PATH=latest\n")
        write(self.root, RECORD, f"Toolkit_InstallPath={ROOT}\n")
        self.put_latest(version, arch)

    def put_latest(self, version: str, arch: str = MACHINE) -> None:
        shutil.rmtree(self.latest, ignore_errors=True)
        (self.latest / f"{arch}-linux").mkdir(parents=True)
        (self.latest / "tools").mkdir()
        for part in (*cann_layouts.PARTS, "aoe"):
            (self.latest / part).symlink_to(f"../{version}/{part}")
        (self.latest / "ops").symlink_to(f"../{version}/opp")
        (self.latest / "lib64").symlink_to(f"{arch}-linux/lib64")
        (self.latest / f"{arch}-linux/lib64").symlink_to(f"../../{version}/{arch}-linux/lib64")
        # The installers make some of them absolute.
        (self.latest / "tools/aoe").symlink_to(f"{ROOT}/ascend-toolkit/{version}/aoe")
        self.put_cfg(dict.fromkeys((*cann_layouts.PARTS, "aoe"), version))

    def put_cfg(self, running: dict[str, str]) -> None:
        lines = [
            f"{part}_{kind}_version=[{NUMBER[version]}:{version}]"
            for kind in ("running", "upgrade", "installed")
            for part, version in running.items()
        ]
        write(self.latest, "version.cfg", "\n".join(["# version: 1.0", *lines, ""]))

    def put_kernels(self, version: str = V, chip: str = "910b") -> None:
        home = self.home(version)
        write(home, "opp_kernel/version.info", f"Version={NUMBER[version]}\nversion_dir={version}\n")
        write(home, f"{KERNEL}/config/ascend{chip}/binary_info_config.json", "{}")
        write(home, f"{KERNEL}/ascend{chip}/add.o", "binary")
        if not (self.latest / "opp_kernel").is_symlink():
            (self.latest / "opp_kernel").symlink_to(f"../{version}/opp_kernel")

    def put_later(self, version: str = "8.5.0") -> None:
        """The layout from 8.5 on."""
        home = self.root / ROOT.strip("/") / f"cann-{version}"
        self.put_version(home, version, MACHINE, shared=True)
        write(home, "set_env.sh", "export ASCEND_HOME_PATH=cann\n")
        write(home, f"{KERNEL}/config/ascend910b/ops_legacy/binary_info_config.json", "{}")
        write(home, f"{KERNEL}/ascend910b/ops_legacy/add.o", "binary")
        link = self.root / ROOT.strip("/") / "cann"
        link.unlink(missing_ok=True)
        link.symlink_to(f"{ROOT}/cann-{version}")

    def remember(self, version: str = V, chip: str | None = "910b") -> None:
        state = str(self.root / STATE.strip("/"))
        home, tops = self.home(version), [path.name for path in self.home(version).iterdir()]
        manifest.write(str(home), tops, cann_layout.manifest_path(state, "toolkit", version), cann_layout.KERNELS)
        if chip:
            path = cann_layout.manifest_path(state, f"kernels-{chip}", version)
            manifest.write(str(home), cann_layout.kernels_tops(chip), path)

    def read(self, deep: bool = False) -> tuple[Any, list[Finding]]:
        facts, findings = cann_read.read_cann(node(self.root), ROOT, STATE, deep)
        assert json.loads(json.dumps(facts)) == facts
        for finding in findings:
            assert finding["subset"] == "cann"
            assert finding["problem"], finding
            assert finding["remedy"], finding
            assert str(self.root) not in json.dumps(finding), "the path is the test's, not the node's"
        return facts, findings


def read_toolkit(root: str, state: str, version: str) -> Any:
    """The toolkit's package, on this machine's own disk."""
    return cann_packages.as_package(cann_packages.toolkit_problems(cann_layout.Tree(root, state), version, False))


def remembered(root: Path) -> Cann:
    """A node with the toolkit and the 910b kernels of one version, remembered."""
    cann = Cann(root)
    cann.put_toolkit()
    cann.put_kernels()
    cann.remember()
    return cann


Fault = Callable[[Cann], Any]


def in_turn(*faults: Fault) -> Fault:
    def fault(cann: Cann) -> None:
        for step in faults:
            step(cann)

    return fault


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def lose(*paths: str) -> Fault:
    return in_turn(*(lambda cann, path=path: remove(cann.top / path) for path in paths))


def put(path: str, text: str) -> Fault:
    return lambda cann: write(cann.top, path, text)


def lead(link: str, target: str) -> Fault:
    def fault(cann: Cann) -> None:
        remove(cann.top / link)
        (cann.top / link).symlink_to(target)

    return fault


def rewrite(path: Path) -> None:
    """Another content of the same size, with the same time."""
    status, text = path.stat(), path.read_bytes()
    path.write_bytes(bytes((text[0] ^ 1,)) + text[1:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
