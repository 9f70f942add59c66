# SPDX-License-Identifier: Apache-2.0
"""The inventory's places reach a node's modules in every play that calls one, in the oldest and newest ansible-core.

They stand in no task (``module_defaults``), so a play without them would work at the modules' own defaults, in silence.
What the roles do is to call one module, which says what it was given.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import stand_in
from tests.contract.tree import OLDEST_FIRST, ansible_core, passes

pytestmark = pytest.mark.slow

# Where the inventory wants them, and so the modules.
WANTED = {"cann_root": "/a/cann", "ascend_root": "/a/env", "cache_dir": "/a/cache", "state_dir": "/a/state"}
WANTED["tmp_dir"] = "/a/tmp"
VARIABLES = {name if name in ("cann_root", "ascend_root") else f"ascend_{name}": WANTED[name] for name in WANTED}
# WANT_JSON makes Ansible give the arguments in a file.
MODULE = """#!{python}
# WANT_JSON
import json, sys
arguments = json.load(open(sys.argv[1]))
with open("{log}", "a") as log:
    log.write(json.dumps({{key: value for key, value in arguments.items() if key in {names}}}) + "\\n")
print(json.dumps({{"changed": False}}))
"""
CALL = "- ascend.fleet.npu_check:\n"
NOTHING = "- ansible.builtin.meta: noop\n"
STAND_INS = {
    "rollout": {"main": CALL, "stage": CALL, "groups": NOTHING},
    "preflight": {"main": NOTHING},
    "verify": {"cards": CALL, "report": NOTHING},
    "remove": {"main": CALL},
}
# How many plays of the playbook call modules of a node.
PLAYS = {"provision": 2, "stage": 1, "rollback": 1, "verify": 1, "remove": 1, "record": 1}


@pytest.fixture(params=OLDEST_FIRST, scope="module")
def tools(request: pytest.FixtureRequest, cache_dir: Path) -> Path:
    return ansible_core(request.param, cache_dir)


@pytest.mark.parametrize("playbook", PLAYS)
def test_the_inventorys_places_reach_the_modules(tools: Path, tmp_path: Path, playbook: str) -> None:
    top = stand_in.collection(tmp_path, "plugins/modules", *(f"roles/{role}" for role in STAND_INS))
    log = tmp_path / "log"
    log.touch()
    for name in ("npu_check", "ascend_record"):
        text = MODULE.format(python=sys.executable, log=log, names=sorted(WANTED))
        (top / "plugins" / "modules" / f"{name}.py").write_text(text)
    for role, files in STAND_INS.items():
        (top / "roles" / role / "tasks").mkdir()
        for name, tasks in files.items():
            (top / "roles" / role / "tasks" / f"{name}.yml").write_text(tasks)
    here = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
    groups: dict[str, Any] = {name: {"hosts": {"here": {}}} for name in ("ascend_to_change", "ascend_waiting")}
    inventory = {"ascend": {"hosts": {"here": here}, "vars": {**VARIABLES, "ascend_root": "/a/env/"}}, **groups}
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    done = subprocess.run(
        [tools / "ansible-playbook", "-i", "hosts.json", f"ascend.fleet.{playbook}", "--check"],
        cwd=tmp_path,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "ANSIBLE_COLLECTIONS_PATH": str(tmp_path),
            "ANSIBLE_NOCOLOR": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert [json.loads(line) for line in log.read_text().splitlines()] == [WANTED] * PLAYS[playbook], done.stdout


@pytest.mark.parametrize("playbook", [*PLAYS, "plan", "drift"])
def test_no_play_validates_the_fleets_variables_on_every_node(playbook: str) -> None:
    """That is a task more for each: of a role below ``roles:``, and of one that is imported as it is by default."""
    program = Path(sys.executable).with_name("ansible-playbook")
    said = passes([program, "-i", "localhost,", f"playbooks/{playbook}.yml", "--list-tasks"])
    assert " (ascend" in said
    assert "Validating arguments" not in said
