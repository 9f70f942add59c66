# SPDX-License-Identifier: Apache-2.0
"""Every command of docs/walk.md, in its order, on two simulated nodes, in a copy of the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.change.fleet import OLD, Fleet
from tests.contract.tree import committed, links

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "walk.md"
MOST_LEFT_OUT = 6
_BLOCK = re.compile(r"(?:<!-- left out: (?P<reason>[^>]+) -->\n)?```bash\n(?P<commands>.*?)```", re.DOTALL)


class Block(NamedTuple):
    """One block of commands; ``reason`` is why the test leaves it out, "" where it runs it."""

    commands: str
    reason: str


def blocks() -> list[Block]:
    found = [Block(match["commands"], match["reason"] or "") for match in _BLOCK.finditer(PAGE.read_text("utf-8"))]
    assert len(found) == PAGE.read_text("utf-8").count("```bash"), "a comment stands right before its block"
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Path]:
    """A copy of the checkout whose inventory names two simulated nodes as the page does, and a home that knows them."""
    folder = tmp_path_factory.mktemp("walk")
    fleet = Fleet("ascend-walk", folder / "state", cache_dir / "systems")
    fleet.command("down")
    fleet.packages()
    fleet.command("up", "--nodes", "2")
    copy = folder / "checkout"
    for path in (*committed(), *links()):
        place = copy / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place, follow_symlinks=False)
    (copy / ".venv").symlink_to(Path(sys.executable).parents[1])
    known = json.loads(fleet.inventory(OLD).read_text(encoding="utf-8"))["all"]
    hosts = dict(zip(("npu-001", "npu-002"), known["children"]["ascend"]["hosts"].values(), strict=True))
    content = {"ascend": {"hosts": hosts}}
    (copy / "inventory" / "prod" / "hosts.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    variables = {**known["vars"], "ascend_depot_url": "", "drift_dir": str(folder / "reports")}
    (copy / "inventory" / "prod" / "group_vars" / "all.yml").write_text(yaml.safe_dump(variables), encoding="utf-8")
    (folder / "home" / ".ssh").mkdir(parents=True)
    (folder / "home" / ".ssh" / "known_hosts").write_text("192.0.2.12 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMq\n")
    yield copy
    fleet.command("down")


def test_every_command_of_the_walk(checkout: Path) -> None:
    """One shell for all of them, as an operator has; it ends at the first that fails, and says which."""
    run = [block.commands for block in blocks() if not block.reason]
    home = checkout.parent / "home"
    script = "set -eu\n" + "".join(f"echo '## {number}' >&2\n{commands}" for number, commands in enumerate(run, 1))
    script = script.replace("~/", f"{home}/")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=checkout,
        env={**os.environ, "ANSIBLE_CONFIG": str(checkout / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
        check=False,
    )
    last = done.stdout.rpartition("## ")[2]
    assert done.returncode == 0, f"{run[int(last.split()[0]) - 1]}\n{last[-6000:]}"
    assert "All 2 nodes match the inventory." in done.stdout
    assert "192.0.2.12" not in (home / ".ssh" / "known_hosts").read_text()


def test_what_is_left_out_says_why_and_is_little() -> None:
    left_out = [block.reason for block in blocks() if block.reason]
    assert len(left_out) <= MOST_LEFT_OUT, left_out
