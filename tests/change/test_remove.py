# SPDX-License-Identifier: Apache-2.0
"""Taking away a release, old ones, or all that came with us, on simulated nodes. The tests run in this order."""

from __future__ import annotations

import re

import pytest

from tests.change.fleet import EVERYTHING, NEW, OLD, Fleet, job_state, sh, start_job

pytestmark = pytest.mark.faults

REMOVE = "playbooks/remove.yml"
LOGS = ("/var/log/ascend_seclog/ascend_install.log", "/var/log/ascend_seclog/operation.log")


@pytest.fixture(scope="module")
def node(base: Fleet) -> str:
    """A node with both releases, the newer one current."""
    base.hosts.clear()
    (name,) = base.grow(1)
    run = base.site("--limit", name)
    assert run.code == 0, run.output[-4000:]
    return name


def remove(fleet: Fleet, node: str, *options: str) -> tuple[int, str, int]:
    extra = [part for option in options if "=" in option for part in ("-e", option)]
    run = fleet.playbook(REMOVE, "--limit", node, *extra, *[option for option in options if option.startswith("--")])
    return run.code, run.output, run.recap[node]["changed"]


def test_what_is_current_is_refused(base: Fleet, node: str) -> None:
    code, output, changed = remove(base, node, f"remove_release={NEW}")
    assert (code, changed) == (2, 0)
    assert "is current" in output
    assert "next:" in output


def test_what_a_job_uses_is_refused(base: Fleet, node: str) -> None:
    assert base.playbook("playbooks/rollback.yml", "--limit", node).code == 0
    start_job(node)
    assert base.playbook("playbooks/rollback.yml", "--limit", node).code == 0
    code, output, changed = remove(base, node, f"remove_release={OLD}")
    assert (code, changed) == (2, 0)
    assert "/tmp/job/job.py" in output
    assert job_state(node) == "runs"
    sh(node, "touch /tmp/job/stop; while kill -0 $(cat /tmp/job/pid) 2>/dev/null; do sleep 0.2; done")


def test_pruning_keeps_as_many_as_was_said_and_shows_the_room_first(base: Fleet, node: str) -> None:
    kept = remove(base, node)
    assert (kept[0], kept[2]) == (0, 0), kept[1][-3000:]
    code, output, changed = remove(base, node, "ascend_keep=0", "--check")
    assert (code, changed) == (0, 1)
    assert re.search(rf"remove +environment +{OLD}\S+ +\d", output), output
    assert OLD in base.facts([node])[node]["cann"]["versions"]


def test_a_release_goes_with_its_cann_and_nothing_else(base: Fleet, node: str) -> None:
    sh(node, "mkdir -p /opt/ascend/mine && echo mine >/opt/ascend/mine/file")
    code, output, changed = remove(base, node, f"remove_release={OLD}")
    assert (code, changed) == (0, 1), output[-3000:]
    facts = base.facts([node])[node]
    assert [name[: len(NEW)] for name in facts["environments"]["all"]] == [NEW]
    assert list(facts["cann"]["versions"]) == [NEW]
    assert next(iter(facts["pythons"])).startswith("3.11.")
    assert facts["cann"]["latest"] == NEW
    assert not [finding for finding in facts["findings"] if finding["subset"] == "cann"]
    assert facts["changes"]["last"]["action"] == "remove"
    assert sh(node, "cat /opt/ascend/mine/file; rm -r /opt/ascend/mine").strip() == "mine"
    again = base.site("--limit", node)
    assert (again.code, again.recap[node]["changed"]) == (0, 0), again.output[-3000:]
    assert remove(base, node, f"remove_release={OLD}")[2] == 0


def test_everything_goes_and_the_node_is_as_if_we_had_never_been_there(base: Fleet, node: str) -> None:
    code, output, changed = remove(base, node, "remove_everything=true")
    assert (code, changed) == (2, 0)
    code, output, changed = remove(base, node, "remove_everything=true", "remove_force=true")
    assert (code, changed) == (0, 1), output[-3000:]
    never = set(base.bare)
    now = set(sh(node, EVERYTHING).splitlines())
    ours = {line for line in now - never if "ascend" in line.lower() and not line.startswith(LOGS)}
    assert ours <= {"/var/log/ascend_seclog d 750 0 ()"}, sorted(ours)
    assert not {line for line in never - now if "ascend" in line.lower()}
    assert remove(base, node, "remove_everything=true", "remove_force=true")[2] == 0
