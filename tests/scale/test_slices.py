# SPDX-License-Identifier: Apache-2.0
"""A drift check in slices as AWX runs them, each over an inventory of its own; and what is never sliced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ansible_runner
import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.facts import SCHEMA
from tests.contract.test_between_nodes import PROBLEM, Rack
from tests.contract.tree import run
from tests.unit.plan.test_rollback import upgraded

pytestmark = pytest.mark.slow

# The drivers differ between the slices and in none of them: AWX deals the nodes out by name.
DRIVERS = {"npu-1": "24.1.rc1", "npu-2": "25.0.rc1", "npu-3": "24.1.rc1", "npu-4": ""}
# What AWX gives to the jobs of a sliced template, and to those of a workflow: no number of a slice is among it.
SLICED = {"awx_job_template_name": "Fleet", "awx_workflow_job_name": "Fleet", "awx_workflow_job_id": 4711}
OF_A_WORKFLOW = {**SLICED, "awx_workflow_job_name": "Every night", "awx_workflow_job_id": 4712}


@pytest.fixture
def rack(tmp_path: Path) -> Rack:
    return Rack(tmp_path, **DRIVERS)


def job(rack: Rack, number: int, count: int, playbook: str, **variables: Any) -> tuple[Any, str]:
    """Run one slice as AWX does: an inventory script with every count-th node by name, variables in env/extravars."""
    whole = json.loads((rack.folder / "hosts.json").read_text())["ascend"]
    names = sorted(whole["hosts"])[number - 1 :: count]
    hostvars = {name: whole["hosts"][name] for name in names}
    inventory = {"ascend": {"hosts": names, "vars": whole["vars"]}, "_meta": {"hostvars": hostvars}}
    folder = rack.folder / f"runner-{number}"
    for name in ("inventory", "env", "project"):
        (folder / name).mkdir(parents=True)
    script = folder / "inventory" / "hosts"
    script.write_text(f"#!/usr/bin/env python3\nprint({json.dumps(inventory)!r})\n")
    script.chmod(0o700)
    (folder / "env" / "extravars").write_text(json.dumps(variables))
    settings = {"ANSIBLE_COLLECTIONS_PATH": str(rack.folder), "ANSIBLE_STDOUT_CALLBACK": "ascend.fleet.fleet"}
    # Without a callback of ours it leaves a handler for SIGTERM behind, for each process that a later test forks.
    done = ansible_runner.run(
        private_data_dir=str(folder), playbook=playbook, envvars=settings, quiet=True, cancel_callback=lambda: False
    )
    return done, (folder / "artifacts" / done.config.ident / "stdout").read_text()


def test_slices_of_ansible_runner_make_one_report_of_the_fleet(rack: Rack) -> None:
    (rack.folder / "npu-4" / "answer.json").unlink()  # it gives no facts
    shared = {"drift_slices_dir": f"{rack.folder}/slices", "drift_dir": f"{rack.folder}/reports"}
    for number in (1, 2):
        done, output = job(rack, number, 2, "ascend.fleet.drift", **SLICED, **shared)
        assert (done.status, done.rc) == ("failed", 1 + number), output[-3000:]
        assert "A slice of the check 4711, and no report" in output
        # Events are AWX's job page: one of each node's look, and no host is lost.
        looks = [event["event_data"] for event in done.events if "Compare the node" in str(event.get("event_data"))]
        assert {event["host"] for event in looks if "host" in event} == set(sorted(DRIVERS)[number - 1 :: 2])
    assert not (rack.folder / "reports").exists()
    # The job after them in the workflow, over the whole inventory.
    merged = rack.playbook("merge.yml", "-e", json.dumps({**OF_A_WORKFLOW, **shared}))
    assert merged.returncode == 3, merged.stdout[-3000:] + merged.stderr
    report = rack.report()
    assert [node["name"] for node in report["nodes"]] == sorted(DRIVERS)
    assert (report["merged"]["check"], report["merged"]["missing"], len(report["merged"]["slices"])) == ("4711", 0, 2)
    (between,) = report["between"]["findings"]
    assert (between["problem"], report["between"]["compared"]) == (PROBLEM, 3)
    shown = " ".join(merged.stdout.split())
    assert "Merged from 2 slices of the check 4711." in shown
    assert "24.1.rc1 on 2 nodes, 25.0.rc1 on 1 node (npu-2)" in shown


@pytest.mark.parametrize("playbook", ["plan.yml", "rollback.yml"])
def test_a_rollout_is_never_sliced(tmp_path: Path, playbook: str) -> None:
    """plan.yml is where site.yml looks at the nodes, before it changes the first."""
    rack = Rack(tmp_path, **{"npu-1": "24.1.rc1"})
    # A node that has something to go back to.
    found = {**upgraded(), "schema": SCHEMA}
    (tmp_path / "npu-1" / "answer.json").write_text(json.dumps({"changed": False, "ansible_facts": {"ascend": found}}))
    older = {"cann_allow_downgrade": True}
    done = rack.playbook(playbook, "--check", "-e", json.dumps({**SLICED, **older}))
    shown = " ".join(done.stdout.split())
    assert "a rollout cannot be sliced" in shown, done.stdout[-3000:]
    assert "a slice of the workflow job 4711, 'Fleet'" in shown
    assert done.returncode == 2
    assert "batch by batch" not in done.stdout
    if playbook == "plan.yml":
        # As a job of a workflow it goes its way.
        done = rack.playbook(playbook, "--check", "-e", json.dumps({**OF_A_WORKFLOW, **older}))
        assert (done.returncode, "cannot be sliced" in done.stdout) == (0, False), done.stdout[-3000:]


@pytest.mark.parametrize("playbook", ["drift.yml", pytest.param("plan.yml", marks=pytest.mark.whole)])
def test_host_keys_are_checked_where_a_controller_switches_that_off(tmp_path: Path, playbook: str) -> None:
    """AWX and ansible-runner do so by a variable, whatever ansible.cfg says."""
    gone = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    (tmp_path / "hosts.json").write_text(json.dumps({"ascend": {"hosts": {"gone": gone}}}))
    argv = ["ansible-playbook", "-i", f"{tmp_path}/hosts.json", f"playbooks/{playbook}", "-vvv"]
    done = run([*argv, "-e", f"drift_dir={tmp_path}"], env={"ANSIBLE_HOST_KEY_CHECKING": "False"})
    assert "EXEC ssh" in done.stdout, done.stdout[-3000:]
    assert "StrictHostKeyChecking" not in done.stdout, "Ansible gives it to ssh where keys are not checked"
