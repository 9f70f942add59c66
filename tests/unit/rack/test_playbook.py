# SPDX-License-Identifier: Apache-2.0
"""The playbook over this machine, which has no cards, and a node that is not there: a report, files, an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    here = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
    away = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_common_args": "-o ConnectTimeout=2"}
    places = {
        "ascend_tmp_dir": str(tmp_path),
        "ascend_root": str(tmp_path / "opt"),
        "preflight_dir": str(tmp_path / "out"),
    }
    hosts = {"here": here, "away": away}
    file = tmp_path / "hosts.json"
    file.write_text(json.dumps({"ascend": {"hosts": hosts, "vars": {**places, "ascend_state_dir": str(tmp_path)}}}))
    return file


def play(inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("ansible-playbook")
    argv = [str(program), "playbooks/preflight.yml", "-i", str(inventory), *arguments]
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_SSH_RETRIES": "0"}
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


def report(inventory: Path) -> Any:
    return json.loads((inventory.parent / "out" / "report.json").read_text(encoding="utf-8"))


def test_nodes_that_are_none_fail_by_name_and_the_others_are_not_run(inventory: Path) -> None:
    done = play(inventory, "-e", "preflight_level=quick")
    assert done.returncode == 2, done.stdout
    found = {node["name"]: [each["name"] for each in node["failures"]] for node in report(inventory)["nodes"]}
    assert found["here"][:2] == ["npu-smi-missing", "no-environment"], done.stdout
    assert found["away"] != []
    assert "connect to host 127.0.0.1 port 1" in done.stdout
    out = inventory.parent / "out"
    assert (out / "passing.txt").read_text() == "!all\n"
    assert sorted((out / "failing.txt").read_text().split()) == ["away", "here"]
    # Nobody is left to run it over, and that is not everybody.
    again = play(inventory, "--limit", f"@{out}/passing.txt", "-e", "preflight_level=quick")
    assert again.returncode != 0
    assert "no hosts to target" in again.stdout + again.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("preflight_level=deep", "preflight_level"),
        ("preflight_paths=model", "preflight_paths has an entry that is not a path"),
        ("preflight_baseline=/nosuch.json", "cannot read the baseline"),
    ],
)
def test_a_wish_that_can_be_none_is_told(inventory: Path, given: str, words: str) -> None:
    done = play(inventory, "-e", given, "--limit", "here")
    assert done.returncode == 2, done.stdout
    assert words in " ".join((done.stdout + done.stderr).split())
