# SPDX-License-Identifier: Apache-2.0
"""A depot is read as a whole, what is damaged is named, and fetched again by the real playbook."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import check
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from tests.standin import build as standin
from tests.unit.depot.test_makeself import made, packed

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "depot_check.py"
RELEASE = "8.0.RC1"
CANN = "Ascend-cann-toolkit_8.0.RC1_linux-x86_64.run"


@pytest.fixture
def depot(tmp_path: Path) -> Path:
    folder = tmp_path / "depot"
    folder.mkdir()
    index = Index(folder)
    for name in ("a.run", "b.whl", "c.txt"):
        (folder / name).write_bytes(name.encode() * 1000)
        index.enter(name)
    index.save()
    return folder


def altered(path: Path) -> None:
    """Change a bit of a file, whose size and time stay, as a disk does."""
    content, status = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_each_kind_of_damage_is_named(depot: Path) -> None:
    altered(depot / "a.run")
    (depot / "b.whl").write_bytes(b"short")
    (depot / "c.txt").unlink()
    read: list[int] = []
    count, damaged = check.check(depot, read.append)
    assert count == 3
    assert read == [5000], "one of another size is not read"
    assert [(damage.file, damage.found.partition(" ")[0]) for damage in damaged] == [
        ("a.run", "sha256"),
        ("b.whl", "5"),
        ("c.txt", "no"),
    ]
    check.take_away(depot, damaged)
    assert not [name for name in ("a.run", "b.whl", "c.txt") if (depot / name).exists()]


def looked(depot: Path, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(SCRIPT), "--depot", str(depot), *options]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_a_depot_that_is_whole_says_so(depot: Path) -> None:
    done = looked(depot)
    assert done.returncode == 0
    assert "==> 3 files, 0.00 GB read: all intact" in done.stdout


def test_a_look_leaves_everything_as_it_is(depot: Path) -> None:
    altered(depot / "a.run")
    done = looked(depot, "--look")
    assert done.returncode == 1
    assert "    a.run\n      wanted: sha256 " in done.stdout
    assert (depot / "a.run").is_file()


def test_a_depot_that_is_none_is_said(tmp_path: Path) -> None:
    done = looked(tmp_path / "none")
    assert done.returncode == 1
    assert "the depot is gone" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """An inventory whose files are the operator's own: nothing is asked of any network."""
    lock = standin.build(tmp_path / "own", RELEASE)
    incoming = tmp_path / "own" / "incoming"
    made(incoming / CANN, packed(["run_package/CANN-runtime-7.3-linux.x86_64.run"]))
    kernels = "Ascend-cann-kernels-910b_8.0.RC1_linux.run"
    made(incoming / kernels, packed(["run_package/Ascend910B-opp_kernel-7.3-linux.x86_64.run"]))
    folder = tmp_path / "inventory"
    folder.mkdir()
    variables = {
        "ascend_release": RELEASE,
        "ascend_depot_dir": str(tmp_path / "depot"),
        "ascend_python": "system",
        "ascend_locks": {"x86_64": str(lock)},
        "depot_architectures": ["x86_64"],
        "depot_incoming": str(incoming),
        "depot_served_by_others": False,
    }
    group = {"ascend": {"hosts": {"node-1": {"ansible_host": "192.0.2.1"}}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": group, "vars": variables}}))
    return folder


@pytest.mark.slow
def test_what_is_damaged_is_fetched_again(inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    depot = tmp_path / "depot"
    depot.mkdir()
    index = Index(depot)
    (depot / "uv").mkdir()
    uv = "uv/uv-0.9.9-x86_64"
    (depot / uv).write_bytes(b"a stand-in")
    index.enter(uv)
    index.save()
    monkeypatch.chdir(ROOT)
    argv = ["ansible-playbook", "playbooks/depot.yml", "-i", str(inventory)]
    filled = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert filled.returncode == 0, filled.stdout + filled.stderr
    before = check.check(depot, lambda _: None)
    assert before[0] >= 8
    assert before[1] == []
    # The depot may hold links to the operator's files.
    for name in [wheel.relative_to(depot) for wheel in depot.rglob("torch-*.whl")] + [Path("cann", RELEASE, CANN)]:
        shutil.copy2(depot / name, tmp_path / "copy")
        (tmp_path / "copy").replace(depot / name)
        altered(depot / name)
    done = looked(depot, "--inventory", str(inventory))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "torch-2.1.0+standin-py3-none-any.whl\n      wanted: sha256" in done.stdout
    assert f"==> fetching it again: ansible-playbook playbooks/depot.yml -i {inventory}" in done.stdout
    assert check.check(depot, lambda _: None) == before
