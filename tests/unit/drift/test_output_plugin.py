# SPDX-License-Identifier: Apache-2.0
"""What playbooks print: no secret, and why a node is silent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.tree import ROOT

pytestmark = pytest.mark.slow

PLAY = """
- hosts: {host}
  gather_facts: false
  tasks:
    - ansible.builtin.{task}
"""


def printed(folder: Path, host: str, task: str, *options: str) -> str:
    (folder / "hosts").write_text(
        f"here ansible_connection=local ansible_python_interpreter={sys.executable}\n"
        "closed ansible_host=127.0.0.1 ansible_port=1\n"
        f"crashes ansible_connection=local ansible_python_interpreter={folder}/python\n"
    )
    (folder / "play.yml").write_text(PLAY.format(host=host, task=task))
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(folder / "hosts"), *options]
    done = subprocess.run(
        [*argv, str(folder / "play.yml")], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_secrets_in_results_are_masked(tmp_path: Path) -> None:
    failed = printed(tmp_path, "here", "fail: {msg: 'cannot ask http://alice:geheim99@proxy:3128 --sk Zq7xK9m4'}")
    assert "cannot ask http://alice:***@proxy:3128 --sk ***" in failed
    shown = printed(tmp_path, "here", "command: {argv: [echo, WANDB_API_KEY=Zq7xK9m4rk, --model, /data/m]}", "-v")
    assert "WANDB_API_KEY=***" in shown
    assert "/data/m" in shown
    assert "Zq7xK9m4" not in shown + failed


def test_a_node_that_cannot_be_reached_is_told_with_the_reason(tmp_path: Path) -> None:
    said = printed(tmp_path, "closed", "ping:")
    assert "UNREACHABLE!" in said
    assert "closed: nothing listens for ssh at the node's address" in said
    assert f"next:  ansible closed -i {tmp_path}/hosts -m ping" in said


def test_a_node_on_which_a_module_cannot_start_is_told_with_the_reason(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'OSError: [Errno 28] No space left on device' >&2\nexit 1\n")
    program.chmod(0o755)
    said = printed(tmp_path, "crashes", "ping:")
    assert "crashes: a disk of the node is full, or has no inodes left" in said
    assert "-m raw -a 'df -h; df -i'" in said


def test_a_task_that_fails_for_its_own_reason_is_told_with_no_other(tmp_path: Path) -> None:
    said = printed(tmp_path, "here", "fail: {msg: 'No space left on device'}")
    assert "a disk of the node" not in said
    assert shutil.which("ansible-playbook")


def test_a_task_that_misses_its_time_limit_is_told_with_the_next_command(tmp_path: Path) -> None:
    said = printed(tmp_path, "here", "command: sleep 100\n      timeout: 1")
    assert "here: the node did not finish the task in time" in said
    assert f"next:  ansible here -i {tmp_path}/hosts -m raw -a 'ps -eo pid,stat,wchan:30,args" in said


def test_what_an_action_fails_with_is_printed_without_its_causes(tmp_path: Path) -> None:
    """It stands in the result, and before that ansible-core prints it, from 2.19 on with the words of every cause."""
    (tmp_path / "file").touch()
    options = "keep_days: 1, keep_reports: 1, accept_unchecked: no, deep: no, components: [], slices: '', check: ''"
    places = f"folder: {tmp_path}/file/reports, templates: {ROOT}/roles/drift/templates"
    report = f"{{answers: none, {places}, {options}}}"
    said = printed(tmp_path, "here", f"debug:\n    - ascend.fleet.drift_report: {report}")
    assert said.count("cannot write the drift report") == 2, said
    assert "[Errno" not in said
