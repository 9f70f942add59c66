# SPDX-License-Identifier: Apache-2.0
"""A rollout over nodes in use: batches, busy nodes, staging, one run at a time, the way back. The order counts."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.change.fleet import NEW, OLD, Fleet, appears, job_state, sh, start_job
from tests.contract.tree import SUPPORTED, ansible_core
from tests.playbook_run import Run

pytestmark = pytest.mark.faults

LISTED = (
    "find /opt/ascend /usr/local/Ascend /var/lib/ascend-fleet /var/cache/ascend-fleet -printf '%p %m %s %T@ (%l)\\n'"
)


@pytest.fixture(scope="module")
def nodes(base: Fleet) -> list[str]:
    base.hosts.clear()
    return base.grow(5)


def limited(*nodes: str) -> tuple[str, str]:
    return "--limit", ",".join(nodes)


def current(fleet: Fleet, node: str) -> str:
    name: str = fleet.facts([node])[node]["environments"]["current"]
    return name


def fates(run: Run) -> dict[str, str]:
    """What the end of the run says became of the nodes."""
    told = run.output.partition("\nROLLOUT ")[2]
    return dict(re.findall(r"^([a-z ,]+): (\d+ nodes? \(.*\))$", told, re.MULTILINE))


def test_a_canary_that_fails_stops_the_rollout_with_the_others_untouched(base: Fleet, nodes: list[str]) -> None:
    first, *others = nodes[:4]
    sh(first, "ascend-sim set installer=exit:1")
    before = {node: sh(node, LISTED) for node in others}
    # More may fail in a batch, but not in the first.
    run = base.site(*limited(*nodes[:4]), "-e", "rollout_max_fail_percentage=100")
    assert run.code == 2, run.output[-4000:]
    assert {node: sh(node, LISTED) for node in others} == before
    assert fates(run) == {
        "failed before the change was complete": f"1 node ({first})",
        "not reached, left as they were": f"3 nodes ({', '.join(others)})",
    }
    assert current(base, first).startswith(OLD)
    last = base.facts([first])[first]["changes"]["last"]
    assert (last["action"], last["result"]) == ("provision", "failed")
    assert "ended with code 1" in last["problem"]
    sh(first, "ascend-sim unset installer")


def test_a_later_batch_may_have_as_many_failures_as_was_said(base: Fleet, nodes: list[str]) -> None:
    batches = json.dumps({"rollout_batches": [1, 2, 1], "rollout_max_fail_percentage": 50})
    sh(nodes[2], "ascend-sim set installer=exit:1")
    run = base.site(*limited(*nodes[:4]), "-e", batches)
    assert run.code == 2, run.output[-4000:]
    assert fates(run) == {
        "changed and verified": f"3 nodes ({nodes[0]}, {nodes[1]}, {nodes[3]})",
        "failed before the change was complete": f"1 node ({nodes[2]})",
    }
    sh(nodes[2], "ascend-sim unset installer")


@pytest.mark.whole  # tests/contract/test_rollout_batches.py has the batches, a canary of one stands above
def test_a_canary_of_several_stops_it_when_one_fails(base: Fleet) -> None:
    nodes = base.grow(3)
    sh(nodes[1], "ascend-sim set installer=exit:1")
    batches = json.dumps({"rollout_batches": [2, "100%"], "rollout_max_fail_percentage": 50})
    run = base.site(*limited(*nodes), "-e", batches)
    assert run.code == 2, run.output[-4000:]
    assert fates(run) == {
        "changed and verified": f"1 node ({nodes[0]})",
        "failed before the change was complete": f"1 node ({nodes[1]})",
        "not reached, left as they were": f"1 node ({nodes[2]})",
    }
    assert "in the first batch, where none may fail" in run.output
    assert current(base, nodes[2]).startswith(OLD)
    sh(nodes[1], "ascend-sim unset installer")


@pytest.mark.whole
@pytest.mark.parametrize("version", SUPPORTED)
def test_other_versions_of_ansible_stop_it_as_well(
    base: Fleet, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """What decides hangs on what Ansible says of the nodes of a batch."""
    tools = ansible_core(version, cache_dir)
    monkeypatch.setattr(base, "tools", tools)
    nodes = base.grow(3)
    sh(nodes[0], "ascend-sim set installer=exit:1")
    before = {node: sh(node, LISTED) for node in nodes[1:]}
    run = base.site(*limited(*nodes))
    assert run.code == 2, run.output[-4000:]
    assert fates(run) == {
        "failed before the change was complete": f"1 node ({nodes[0]})",
        "not reached, left as they were": f"2 nodes ({', '.join(nodes[1:])})",
    }
    assert {node: sh(node, LISTED) for node in nodes[1:]} == before
    sh(nodes[0], "ascend-sim unset installer")
    whole = base.site(*limited(*nodes), "-e", json.dumps({"rollout_batches": [2, "100%"]}))
    assert whole.code == 0, whole.output[-4000:]
    assert fates(whole) == {"changed and verified": f"3 nodes ({', '.join(nodes)})"}


@pytest.fixture(scope="module")
def busy(base: Fleet, nodes: list[str]) -> str:
    """A node on whose card a job of the older release runs."""
    node = nodes[4]
    start_job(node)
    pid = sh(node, "cat /tmp/job/pid").strip()
    sh(node, f"ascend-sim set process.0={pid}:python:30000")
    return node


def test_a_busy_node_is_left_as_it_is_and_the_run_says_by_whom(base: Fleet, busy: str) -> None:
    before = sh(busy, LISTED)
    run = base.site(*limited(busy))
    assert run.code == 0, run.output[-4000:]
    assert sh(busy, LISTED) == before
    pid = sh(busy, "cat /tmp/job/pid").strip()
    assert re.search(rf"{busy} is busy, left as it is: process {pid} of root .*on card 0: \S*python", run.output), (
        run.output
    )
    assert "/tmp/job/job.py" in run.output
    assert fates(run) == {"busy, left as they are": f"1 node ({busy})"}
    assert job_state(busy) == "runs"


def test_what_disturbs_no_job_is_staged(base: Fleet, busy: str) -> None:
    run = base.site(*limited(busy), "--tags", "stage")
    assert run.code == 0, run.output[-4000:]
    facts = base.facts([busy])[busy]
    assert facts["environments"]["current"].startswith(OLD)
    staged = [name for name in facts["environments"]["all"] if name.startswith(NEW)]
    assert [facts["environments"]["all"][name]["state"] for name in staged] == ["complete"]
    assert NEW not in facts["cann"]["versions"]
    assert facts["changes"]["last"]["action"] == "stage"
    assert job_state(busy) == "runs"
    again = base.site(*limited(busy), "--tags", "stage")
    assert again.recap[busy]["changed"] == 0
    assert "ROLLOUT" not in again.output


def test_a_node_that_stays_busy_is_left_after_the_limit(base: Fleet, busy: str) -> None:
    run = base.site(*limited(busy), "-e", "ascend_busy_policy=wait", "-e", "ascend_busy_wait_s=2")
    assert run.code == 0, run.output[-4000:]
    assert fates(run) == {"busy, left as they are": f"1 node ({busy})"}
    assert current(base, busy).startswith(OLD)


def test_a_node_that_becomes_idle_is_switched_with_what_was_staged(base: Fleet, busy: str) -> None:
    process = base.start("site.yml", *limited(busy), "-e", "ascend_busy_policy=wait", "-e", "ascend_busy_wait_s=120")
    log = process.log
    until = time.monotonic() + 300
    while "TASK [Wait for the jobs to end" not in log.read_text() and time.monotonic() < until:
        time.sleep(0.5)
    time.sleep(3)  # the task that waits is told of when it has ended
    sh(busy, "touch /tmp/job/stop; ascend-sim unset process.0")
    run = base.finish(process)
    assert run.code == 0, run.output[-4000:]
    assert fates(run) == {"changed and verified": f"1 node ({busy})"}
    changed = re.findall(r"^TASK \[(.*?)\] \**\n(?:(?!TASK).*\n)*?changed:", run.output, re.MULTILINE)
    assert not [task for task in changed if "environment" in task and "current" not in task], changed
    assert sh(busy, "cat /tmp/job/finished").strip() == "2.1.0+standin"
    assert current(base, busy).startswith(NEW)


def test_a_second_run_is_told_who_has_the_node(base: Fleet, nodes: list[str]) -> None:
    node = nodes[2]
    sh(node, "echo environment.begun wait >/var/lib/ascend-fleet/stop-at")
    first = base.start("site.yml", *limited(node))
    until = time.monotonic() + 300
    while not appears(node, "/var/lib/ascend-fleet/stopped-at"):
        assert first.poll() is None, first.log.read_text()[-4000:]
        assert time.monotonic() < until
        time.sleep(0.2)
    second = base.site(*limited(node))
    assert second.code == 2
    told = re.sub(r"\s+", " ", second.output)
    assert "another run is changing this node" in told
    assert re.search(r"found: provision, started by \S+, since \d{4}-\d\d-\d\dT", told), told
    assert f"process {first.pid}" in told
    sh(node, "rm /var/lib/ascend-fleet/stop-at")
    run = base.finish(first)
    assert run.code == 0, run.output[-4000:]
    assert current(base, node).startswith(NEW)
    last = base.facts([node])[node]["changes"]["last"]
    assert (last["result"], last["from"][: len(OLD)], last["to"][: len(NEW)]) == ("done", OLD, NEW)


def test_the_way_back_takes_nothing_but_a_link_and_is_verified(base: Fleet, nodes: list[str]) -> None:
    node = nodes[0]
    before = set(sh(node, LISTED).splitlines())
    run = base.playbook("playbooks/rollback.yml", *limited(node))
    assert run.code == 0, run.output[-4000:]
    facts = base.facts([node])[node]
    assert facts["environments"]["current"].startswith(OLD)
    assert facts["environments"]["previous"].startswith(NEW)
    assert facts["cann"]["latest"] == OLD
    assert not [finding for finding in facts["findings"] if finding["subset"] == "cann"]
    assert (
        sh(node, "ascend-env python -c 'import torch, torch_npu; print(torch.__version__)'").strip() == "2.1.0+standin"
    )
    paths = {line.split(" ")[0] for line in before ^ set(sh(node, LISTED).splitlines())}
    may = r"/opt/ascend/env(/current|/previous)?|/var/lib/ascend-fleet.*"
    may += r"|/usr/local/Ascend/ascend-toolkit(/latest.*|/\d[\d.]*)?"
    assert [path for path in sorted(paths) if not re.fullmatch(may, path)] == []
    assert f'set ascend_release: "{OLD}" in the inventory' in run.output
    # With the inventory's release set to that, there is nothing to do.
    held = base.site(*limited(node), release=OLD)
    assert (held.code, held.recap[node]["changed"]) == (0, 0), held.output[-4000:]


def test_back_to_a_named_release_and_to_none_that_is_not_there(base: Fleet, nodes: list[str]) -> None:
    node = nodes[0]
    run = base.playbook("playbooks/rollback.yml", *limited(node), "-e", f"rollback_to={NEW}")
    assert run.code == 0, run.output[-4000:]
    assert current(base, node).startswith(NEW)
    again = base.playbook("playbooks/rollback.yml", *limited(node), "-e", f"rollback_to={NEW}")
    assert (again.code, again.recap[node]["changed"]) == (0, 0)
    absent = base.playbook("playbooks/rollback.yml", *limited(node), "-e", "rollback_to=7.0.0")
    assert absent.code == 2
    assert "the node has no environment of 7.0.0" in absent.output


def test_an_environment_that_is_damaged_is_not_gone_back_to_and_keeps_no_other_node(
    base: Fleet, nodes: list[str]
) -> None:
    node, other = nodes[:2]
    previous: Any = base.facts([node])[node]["environments"]["previous"]
    sh(node, f"rm -r /opt/ascend/env/{previous}/lib/python3.10/site-packages/torch")
    run = base.playbook("playbooks/rollback.yml", *limited(node, other))
    assert run.code == 2
    assert "is not intact" in run.output
    assert fates(run) == {
        "changed and verified": f"1 node ({other})",
        "refused or unreachable, left as they were": f"1 node ({node})",
    }
    assert current(base, node).startswith(NEW)
    assert current(base, other).startswith(OLD)


def test_an_older_release_has_to_be_asked_for(base: Fleet, nodes: list[str]) -> None:
    node = nodes[3]
    refused = base.site(*limited(node), release=OLD)
    assert refused.code == 2
    assert "cann_allow_downgrade=true" in refused.output
    assert current(base, node).startswith(NEW)
    asked = base.site(*limited(node), "-e", "cann_allow_downgrade=true", release=OLD)
    assert asked.code == 0, asked.output[-4000:]
    assert current(base, node).startswith(OLD)
    assert os.path.basename(base.facts([node])[node]["cann"]["latest"]) in (OLD, NEW)
