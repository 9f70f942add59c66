# SPDX-License-Identifier: Apache-2.0
"""Nodes that an earlier ascend-fleet provisioned (tests/field), under these playbooks.

Python and cache are what this one has put there, since the content of theirs is not kept; all else was in the field.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import image
import pytest

from tests.change.fleet import OLD, OWN, Fleet, leftovers, sh
from tests.change.test_rollout import LISTED, current
from tests.field import states
from tests.playbook_run import Run

pytestmark = pytest.mark.faults

# What this version brings, and nodes of before lack.
NEW = ["examples", "ascend-env"]
LAID = ["/opt/ascend/env", *(place for place in OWN if place not in ("/opt/ascend", states.CACHE))]


@pytest.fixture(scope="module")
def node(base: Fleet) -> str:
    """A node whose depot has the wheels and locks of the field."""
    base.hosts.clear()
    (name,) = base.grow(1)
    base.hosts[name] = depot_of_the_field(base.cache / "depot")
    return name


def depot_of_the_field(whole: Path) -> dict[str, Any]:
    """Make a depot beside the whole one with the field's wheels and locks; return the variables of a node of it."""
    folder = whole / "field"
    shutil.rmtree(folder, ignore_errors=True)
    states.lay_files("depot", folder)
    for part in ("cann", "python", "uv"):
        shutil.copytree(whole / part, folder / "depot" / part, copy_function=os.link)
    path = folder / "depot" / "index.json"
    now, then = json.loads((whole / "index.json").read_bytes()), json.loads(path.read_bytes())
    files = {name: entry for name, entry in then["files"].items() if name.startswith(("locks/", "wheels/"))}
    path.write_text(json.dumps({**now, "locks": then["locks"], "files": {**now["files"], **files}}), encoding="utf-8")
    return {
        "ascend_depot_dir": str(folder / "depot"),
        "ascend_depot_url": "http://depot/field/depot",
        "ascend_locks": {"x86_64": str(folder / "releases" / "{{ ascend_release }}" / "lock-x86_64.txt")},
    }


def lay(node: str, state: str, folder: Path) -> None:
    """Put a state in the place of what the node has; tar alone keeps its times to the nanosecond."""
    states.lay_node(state, folder / "node")
    argv = ["tar", "--create", "--format=pax", "--owner=0", "--group=0", f"--directory={folder / 'node'}"]
    had = [place[1:] for place in LAID if (folder / "node" / place[1:]).exists()]
    subprocess.run([*argv, f"--file={folder / 'node.tar'}", *had], check=True)
    image.podman("cp", str(folder / "node.tar"), f"{node}:/node.tar")
    sh(node, f"rm -rf {' '.join(LAID)} && tar -xpf /node.tar -C / && rm /node.tar")


def ran(fleet: Fleet, node: str, playbook: str, release: str = OLD) -> Run:
    run = fleet.playbook(playbook, "--limit", node, release=release)
    assert run.code == 0, run.output[-6000:]
    run.node = node
    return run


def test_a_node_in_step_gets_what_is_new_and_nothing_else(base: Fleet, node: str, tmp_path: Path) -> None:
    lay(node, "converged", tmp_path)
    assert ran(base, node, "site.yml").steps == NEW
    before = sh(node, LISTED)
    assert ran(base, node, "site.yml").steps == []
    assert sh(node, LISTED) == before


def test_a_repair_that_was_interrupted_is_finished(base: Fleet, node: str, tmp_path: Path) -> None:
    lay(node, "in-a-repair", tmp_path)
    assert ran(base, node, "site.yml").steps == ["environment", "ascend-env", "current"]
    assert leftovers(node) == []
    journal = sh(node, f"cat {states.STATE}/journal.jsonl").splitlines()
    assert [json.loads(line)["result"] for line in journal] == ["done", "interrupted", "done"]
    assert ran(base, node, "site.yml").changed == 0


def test_it_goes_back_without_an_installation(base: Fleet, node: str, tmp_path: Path) -> None:
    lay(node, "previous", tmp_path)
    asked = "find /opt/ascend/env/8* /usr/local/Ascend/ascend-toolkit/8.?.RC1 -printf '%p %m %s %T@ (%l)\\n'"
    before = sh(node, asked)
    ran(base, node, "playbooks/rollback.yml")
    assert current(base, node).startswith(OLD)
    assert sh(node, asked) == before
    # Last, since root's Python writes what it compiles.
    assert sh(node, "ascend-env python -c 'import torch, torch_npu; print(torch.__version__)'") == "2.1.0+standin\n"
