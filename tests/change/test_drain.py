# SPDX-License-Identifier: Apache-2.0
"""A scheduler that gives a node no jobs while it is changed: a little program on the control node, which notes it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import image
import pytest

from tests.change.fleet import OLD, Fleet, Started, appears, sh
from tests.change.test_rollout import fates, limited

pytestmark = pytest.mark.faults

STATE = "/var/lib/ascend-fleet"
MARK = f"{STATE}/drained"
# Notes what it is asked, and what the node says then: that it is drained has to stand there before.
TELL = """#!/bin/sh
folder=$(dirname "$0")
written=$(%(podman)s exec "$2" ls %(mark)s 2>/dev/null)
ready=$(%(podman)s exec "$2" ls /usr/local/bin/ascend-env 2>/dev/null)
echo "$1${written:+, written down}${ready:+, in step}" >>"$folder/$2"
if [ -e "$folder/$2.$1" ]; then . "$folder/$2.$1"; fi
"""
ALL_AT_ONCE = ("-e", '{"rollout_batches": ["100%"], "rollout_max_fail_percentage": 100}')
# A run of a control node that is not known here, which gave its last sign of life long ago.
DEAD = {"run": "x", "who": "ops", "control": "ctl-9", "machine": "m", "boot": "b", "pid": 1, "started": 1}


class Scheduler:
    """What was asked of it, node by node, and what it does besides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "tell"
        program.write_text(TELL % {"podman": " ".join([*image.as_root(), "podman"]), "mark": MARK})
        program.chmod(0o755)

    def asked(self, node: str) -> list[str]:
        path = self.folder / node
        words = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return words

    def does(self, node: str, what: str, script: str) -> None:
        (self.folder / f"{node}.{what}").write_text(script)

    def variables(self) -> dict[str, Any]:
        tell = str(self.folder / "tell")
        resume = [tell, "resume", "{{ inventory_hostname }}"]
        return {"rollout_drain_command": f"{tell} drain {{{{ inventory_hostname }}}}", "rollout_resume_command": resume}


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Scheduler:
    return Scheduler(tmp_path_factory.mktemp("scheduler"))


@pytest.fixture(scope="module")
def nodes(base: Fleet, scheduler: Scheduler) -> Iterator[list[str]]:
    names = base.grow(5)
    base.hosts.update({name: scheduler.variables() for name in names})
    yield names
    for name in names:
        base.hosts.pop(name)


def stopped(process: Started, node: str) -> None:
    while not appears(node, f"{STATE}/stopped-at"):
        assert process.poll() is None, process.log.read_text()[-4000:]


def mark(node: str) -> str:
    return sh(node, f"cat {MARK}", check=False)


def test_a_run_that_is_killed_leaves_it_written_down(base: Fleet, nodes: list[str], scheduler: Scheduler) -> None:
    node = nodes[3]
    sh(node, f"rm /usr/local/bin/ascend-env; echo run.taken wait >{STATE}/stop-at")
    process = base.start("site.yml", *limited(node), release=OLD)
    stopped(process, node)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    sh(node, f"rm {STATE}/stop-at")
    assert scheduler.asked(node) == ["drain, written down"]
    assert json.loads(mark(node))["pid"] == process.pid


def test_a_node_is_drained_before_its_change_and_resumed_whatever_becomes_of_it(
    base: Fleet, nodes: list[str], scheduler: Scheduler
) -> None:
    done, failed, busy, killed, began = nodes
    sh(done, "rm /usr/local/bin/ascend-env")
    sh(failed, "rm /usr/local/bin/ascend-env; mkdir /usr/local/bin/ascend-env")
    sh(busy, "rm /usr/local/bin/ascend-env")
    set_job = "ascend-sim set process.0=4711:python:100"
    scheduler.does(busy, "drain", f"{' '.join(image.as_root())} podman exec {busy} {set_job}\n")
    sh(began, f"rm /opt/ascend/env/current; echo run.taken wait >{STATE}/stop-at")
    process = base.start("site.yml", *limited(*nodes), *ALL_AT_ONCE, release=OLD)
    stopped(process, began)
    sh(began, f"{set_job}; rm {STATE}/stop-at")
    run = base.finish(process)
    assert run.code == 2, run.output[-4000:]
    assert fates(run) == {
        "changed and verified": f"2 nodes ({', '.join(sorted((done, killed)))})",
        "failed before the change was complete": f"1 node ({failed})",
        "busy, left as they are": f"1 node ({busy})",
        "became busy during the change, built but not yet current": f"1 node ({began})",
    }
    assert scheduler.asked(done) == ["drain, written down", "resume, written down, in step"]
    assert scheduler.asked(failed) == ["drain, written down", "resume, written down"]
    assert scheduler.asked(busy) == ["drain, written down", "resume, written down"]
    assert scheduler.asked(killed) == ["drain, written down", "resume, written down, in step"]
    assert scheduler.asked(began) == ["drain, written down, in step", "resume, written down, in step"]
    assert [mark(node) for node in nodes] == [""] * 5
    assert sh(began, "readlink /opt/ascend/env/current", check=False) == ""
    assert re.search("jobs started on the cards after the change of the node began.*process 4711", run.told(began))


def test_a_node_that_is_not_changed_is_resumed_too(base: Fleet, nodes: list[str], scheduler: Scheduler) -> None:
    """It is in step, or busy by now; what a run that is alive has drained stays so."""
    done, _, busy, waits, _ = nodes
    for node in (done, busy):
        sh(node, f"echo '{json.dumps({**DEAD, 'node_boot': 'earlier', 'began': '2026-03-02T01:30:00Z'})}' >{MARK}")
    boot = sh(waits, "echo $(cat /proc/sys/kernel/random/boot_id):$(awk '{print $22}' /proc/1/stat)").strip()
    sh(waits, f"echo '{json.dumps({**DEAD, 'node_boot': boot, 'began': 'now'})}' >{MARK}")
    run = base.site(*limited(done, busy, waits), release=OLD)
    assert run.code == 0, run.output[-4000:]
    assert (
        "warning: ascend-fleet drained the node for a change, so it gets no jobs (drained 2026-03-02T01:30"
        in run.output
    )
    assert fates(run) == {"busy, left as they are": f"1 node ({busy})"}
    assert scheduler.asked(done) == ["resume, written down, in step"]
    assert scheduler.asked(busy) == ["resume, written down"]
    assert scheduler.asked(waits) == []
    assert [bool(mark(node)) for node in (done, busy, waits)] == [False, False, True]


@pytest.mark.whole
def test_the_next_run_goes_on_from_where_a_job_began(base: Fleet, nodes: list[str], scheduler: Scheduler) -> None:
    node = nodes[4]
    sh(node, "ascend-sim unset process.0")
    run = base.site(*limited(node), release=OLD)
    assert run.code == 0, run.output[-4000:]
    assert fates(run) == {"changed and verified": f"1 node ({node})"}
    assert run.recap[node]["changed"] == 1, "the link alone"
    assert scheduler.asked(node) == ["drain, written down, in step", "resume, written down, in step"]
    assert sh(node, "basename $(readlink /opt/ascend/env/current)").startswith(OLD)
