# SPDX-License-Identifier: Apache-2.0
"""After a change the node is observed and planned again, and fails where anything is left to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import stand_in
from tests.contract.tree import ROOT
from tests.unit.plan import planner_nodes
from tests.unit.plan.test_failed_proof import whole

# In place of ascend_facts: a module that answers what lies beside it.
MODULE = """#!/bin/sh
# WANT_JSON
cat {answer}
"""


def observed_again(folder: Path, found: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the role's end of a change over a node of which these facts are found then."""
    answer = folder / "answer.json"
    answer.write_text(json.dumps({"changed": False, "ansible_facts": {"ascend": found}}))
    module = stand_in.collection(folder, "plugins/modules") / "plugins" / "modules" / "ascend_facts.sh"
    module.write_text(MODULE.format(answer=answer))
    role = {"name": "ascend.fleet.preflight", "tasks_from": "converged"}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {
            "preflight_node": {
                "wanted": planner_nodes.wanted(),
                "plan": {"from": "none", "sets_aside": False, "replaces": []},
            }
        },
        "tasks": [
            {"ansible.builtin.import_role": {"name": "ascend.fleet.ascend"}},
            {"ansible.builtin.include_role": role},
        ],
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local", folder / "play.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(folder), "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("left", [True, False])
def test_what_is_left_to_do_after_a_change_fails_the_node(tmp_path: Path, left: bool) -> None:
    found = whole()
    if left:
        found["cann"]["versions"]["8.0.RC1"]["kernels"]["910b"] = {**planner_nodes.COMPLETE, "state": "absent"}
    done = observed_again(tmp_path, found)
    said = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode != 0) is left, said
    assert ("still differs from the plan: kernels-910b 8.0.RC1 is absent" in said) is left, said
