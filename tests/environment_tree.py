# SPDX-License-Identifier: Apache-2.0
"""Environments made of files, as installers leave them: no index, no uv, any damage."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import checkout_manifest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node

PYTHON = "3.10.13"
HOME = "/usr/local/Ascend/ascend-toolkit/8.0.RC1"
PINS = {"torch": "2.1.0", "torch-npu": "2.1.0.post3", "fire": "0.7.0", "numpy": "1.26.4", "setuptools": "75.6.0"}
NAME = "8.0.RC1-0123456789ab"


def node(root: Path) -> Node:
    """A node whose files lie below ``root``; it runs nothing."""

    def run(argv: list[str], timeout_s: float) -> Result:
        raise AssertionError(argv)

    return Node(run, lambda _name: None, str(root))


def row(name: str, data: bytes) -> str:
    """A line of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def distribution(site: Path, name: str, version: str, files: dict[str, bytes] | None = None) -> Path:
    """Install a distribution; return its dist-info."""
    module = name.lower().replace("-", "_")
    info = f"{module}-{version}.dist-info"
    content = {
        f"{module}/__init__.py": b"x = 1\n",
        f"{module}/core.py": name.encode(),
        f"{module}/deep/er/file.py": version.encode(),
        f"../../../bin/{module}-tool": b"#!/bin/sh\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: other\n".encode(),
        f"{info}/INSTALLER": b"uv",
        **(files or {}),
    }
    rows = []
    for path, data in sorted(content.items()):
        file = site / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        rows.append(row(path, data))
    rows.append(f"{info}/RECORD,,\n{module}/__pycache__/__init__.cpython-310.pyc,,\n")
    (site / info / "RECORD").write_text("".join(rows))
    return site / info


def python(root: Path, version: str = PYTHON) -> Path:
    """Install a Python from the depot."""
    place = root / "opt/ascend/python" / version
    series = ".".join(version.split(".")[:2])
    (place / "bin").mkdir(parents=True)
    for program in (f"python{series}", "pip3"):
        (place / "bin" / program).write_text("#!/bin/sh\n")
        (place / "bin" / program).chmod(0o755)
    (place / "bin" / "python3").symlink_to(f"python{series}")
    (place / ".ascend-fleet.json").write_text(json.dumps({"schema": 1, "version": version}))
    return place


def environment(root: Path, pins: dict[str, str], name: str = NAME) -> Path:
    """Build an environment of a Python that ``python`` installed."""
    place = root / "opt/ascend/env" / name
    site = place / "lib/python3.10/site-packages"
    site.mkdir(parents=True)
    (place / "lib64").symlink_to("lib")
    (place / "bin").mkdir()
    (place / "bin/python").symlink_to(f"/opt/ascend/python/{PYTHON}/bin/python3")
    (place / "pyvenv.cfg").write_text(
        f"home = /opt/ascend/python/{PYTHON}/bin\nimplementation = CPython\nuv = 0.9.9\nversion_info = {PYTHON}\n"
        "include-system-site-packages = false\n"
    )
    (site / "_virtualenv.pth").write_text("import _virtualenv")
    for pin, version in pins.items():
        distribution(site, pin, version)
    (place / ".cann_home").write_text(HOME + "\n")
    record = {"schema": 2, "release": "8.0.RC1", "lock_digest": "0123456789ab", "cann_home": HOME, "python": PYTHON}
    record["distributions"] = pins
    (place / ".ascend-fleet.json").write_text(json.dumps({**record, "editable": {}, "corrected": {}}))
    return place


def checkout(root: Path, place: Path, content: dict[str, str], name: str = "llamafactory") -> Path:
    """Unpack a checkout into an environment that ``environment`` built, and record it there; return its folder."""
    source = place / "src/LLaMA-Factory"
    for path, text in content.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    info = next((place / "lib/python3.10/site-packages").glob(f"{name}-*.dist-info"))
    said = f"/{source.relative_to(root)}"
    (info / "direct_url.json").write_text(json.dumps({"url": f"file://{said}", "dir_info": {"editable": True}}))
    record = json.loads((place / ".ascend-fleet.json").read_text())
    (place / ".ascend-fleet.json").write_text(json.dumps({**record, "editable": {name: said}}))
    manifest = checkout_manifest.Manifest("0" * 64, None, checkout_manifest.taken(str(source)))
    checkout_manifest.write(str(place / (checkout_manifest.MANIFEST % name)), manifest)
    return source
