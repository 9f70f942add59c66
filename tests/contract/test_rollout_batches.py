# SPDX-License-Identifier: Apache-2.0
"""The batches that an inventory's group_vars name are those of the rollout, in the oldest and the newest ansible-core.

The playbooks are the project's; what a role does with a node of a batch is to say which batch that is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import stand_in
from tests.contract.tree import OLDEST_FIRST, ROOT, ansible_core

pytestmark = pytest.mark.slow

SAID = "batch {{ ansible_play_batch | join(',') }}"
PLANNED = """\
- name: Plan
  hosts: ascend
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: ascend.fleet.preflight}
    - ansible.builtin.import_role: {name: ascend.fleet.rollout, tasks_from: groups}
      vars: {rollout_purpose: provision}
"""
PREFLIGHT = """\
- ansible.builtin.set_fact:
    preflight_node:
      release: x
      plan:
        {group: "{{ 'ascend_refused' if refused | default(false) else 'ascend_to_change' }}", from: a, steps: [],
         refusals: [], warnings: [], remarks: [], busy: ,
         target: {name: b, switch: true, lead_latest: true, cann_version: c, release: x}}
- ansible.builtin.fail: {msg: must not be changed}
  when: refused | default(false)
"""
STAND_INS = {
    "rollout": f'- ansible.builtin.debug: {{msg: "{SAID}"}}\n  run_once: true\n',
    "preflight": PREFLIGHT,
}
NODES = [f"npu-{number:03}" for number in range(1, 6)]


@pytest.fixture(params=OLDEST_FIRST, scope="module")
def tools(request: pytest.FixtureRequest, cache_dir: Path) -> Path:
    return ansible_core(request.param, cache_dir)


def batches(tools: Path, folder: Path, playbook: str, variables: dict[str, Any], *words: str) -> tuple[list[str], str]:
    """The batches of a run, and all that it said."""
    top = stand_in.collection(folder, *(f"roles/{role}" for role in STAND_INS))
    for role, tasks in STAND_INS.items():
        shutil.copytree(ROOT / "roles" / role, top / "roles" / role, dirs_exist_ok=True)
        shutil.rmtree(top / "roles" / role / "meta")
        (top / "roles" / role / "tasks" / "main.yml").write_text(tasks)
    inventory = folder / "inventory"
    (inventory / "group_vars").mkdir(parents=True, exist_ok=True)
    local = {"ansible_connection": "local", "ansible_become": False}
    hosts = {"ascend": {"hosts": {name: dict(local) for name in NODES}}, "some": {"hosts": dict.fromkeys(NODES[:3])}}
    (inventory / "hosts.yml").write_text(yaml.safe_dump(hosts))
    for group, values in variables.items():
        (inventory / "group_vars" / f"{group}.yml").write_text(yaml.safe_dump(values))
    (folder / "ansible.cfg").write_text("[defaults]\ncollections_path = .\n")
    (folder / "planned.yml").write_text(PLANNED)
    (folder / "run.yml").write_text(
        "- import_playbook: planned.yml\n- import_playbook: ascend.fleet.provision\n"
        if playbook == "provision"
        else f"- import_playbook: ascend.fleet.{playbook}\n"
    )
    done = subprocess.run(
        [tools / "ansible-playbook", "-i", "inventory", "run.yml", *words],
        cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "PATH": f"{tools}:{os.environ['PATH']}",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "DEPRECATION" not in said, said
    return re.findall(r'"msg": "batch (.*)"', said), said


def sizes(found: list[str]) -> list[int]:
    return [len(batch.split(",")) for batch in found]


@pytest.mark.parametrize(
    ("playbook", "variables", "words", "expected"),
    [
        ("provision", {}, [], [1, 1, 3]),
        ("provision", {"all": {"rollout_batches": [1]}, "ascend": {"rollout_batches": [2, "50%", 1]}}, [], [2, 2, 1]),
        ("provision", {"ascend": {"rollout_batches": [5]}}, ["-e", '{"rollout_batches": [3, 1]}'], [3, 1, 1]),
        ("rollback", {"some": {"rollout_batches": 2}}, ["--limit", "some"], [2, 1]),
    ],
)
def test_the_inventorys_batches(
    tools: Path, tmp_path: Path, playbook: str, variables: dict[str, Any], words: list[str], expected: list[int]
) -> None:
    found, said = batches(tools, tmp_path, playbook, variables, *words)
    assert sizes(found) == expected, said
    assert found[0].startswith(NODES[0]), "the order is the inventory's"


def test_a_node_that_must_not_be_changed_is_in_the_plan_and_in_no_batch(tools: Path, tmp_path: Path) -> None:
    found, said = batches(tools, tmp_path, "provision", {"some": {"refused": True}})
    shown = said.partition("Show what the nodes need")[2].partition("TASK")[0]
    assert all(node in shown for node in NODES), said
    assert found == NODES[3:]


def test_groups_that_differ_are_refused(tools: Path, tmp_path: Path) -> None:
    variable = "rollout_max_fail_percentage"
    found, said = batches(tools, tmp_path, "provision", {"some": {variable: 30}})
    assert found == [], said
    told = " ".join(said.replace("\\n", " ").split())
    assert f"several values of {variable}" in told, said
