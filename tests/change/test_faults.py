# SPDX-License-Identifier: Apache-2.0
"""Every fault on a node of its own, all at once: what holds after it, what the next run does, and nothing after that.

The node has the older release, and a job that runs in it; the run is to lead it to the newer one.
"""

from __future__ import annotations

import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import image
import pytest

from tests.change import depots, disks
from tests.change.faults import FAULTS, MODULE_KILLED, STOP, Fault
from tests.change.fleet import (
    NEW,
    OLD,
    Fleet,
    Started,
    appears,
    job_state,
    leftovers,
    of_the_node,
    outside,
    sh,
    start_job,
)
from tests.playbook_run import Run

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 600
READ = ("cann", "python")
# Which files of the newer release's Python are not as in the archive that they came from.
AS_PACKED = """python3 - <<'END'
import glob, tarfile
archive, = glob.glob("/var/cache/ascend-fleet/*/cpython-3.11.*.tar.gz")
folder, = glob.glob("/opt/ascend/python/3.11.*")
for member in (tar := tarfile.open(archive)):
    path = folder + member.name[len("python"):]
    if member.isfile() and open(path, "rb").read() != tar.extractfile(member).read():
        print(path)
END"""
# Which files of CANN's content are empty.
EMPTY = "find /usr/local/Ascend/ascend-toolkit -type f '(' -name '*.bin' -o -name '*.o' ')' -size 0"
AT_ONCE = 6  # runs of their own
ALL_AT_ONCE = (
    "-e",
    '{"rollout_batches": ["100%"], "rollout_max_fail_percentage": 100}',
    "-e",
    "ascend_busy_policy=ignore",
)


@dataclass
class Fate:
    """What became of a fault's node: after the fault, after the next run, and after the one that follows."""

    fault: Fault
    node: str
    before: list[str]
    disk: Path | None = None
    first: Run | None = None
    after: dict[str, Any] | None = None
    works: str = ""
    job: str = ""
    outside: list[str] | None = None
    next_changed: int = -1
    next_failed: int = -1
    next_told: str = ""
    last_changed: int = -1
    finally_current: str = ""
    left: list[str] | None = None
    damaged: list[str] | None = None
    unended: dict[str, str] | None = None
    finished: str = ""

    @property
    def current(self) -> str | None:
        assert self.after
        current: str | None = self.after["environments"]["current"]
        return current

    @property
    def has_job(self) -> bool:
        """A node that lost power has lost its jobs; a repair under a job would not be safe for it."""
        return not self.fault.off and not self.fault.repair


def test_every_point_of_the_code_is_in_the_table() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "module_utils" / "ascend").rglob("*.py"))
    points = set(re.findall(r'reached\("([a-z.-]+)"\)', code))
    points |= {
        f"{kind}.{what}"
        for what in re.findall(r'reached\(package\.kind \+ "\.([a-z-]+)"\)', code)
        for kind in ("toolkit", "kernels")
    }
    # A removal has its own, which tests/unit/remove/test_interrupted.py goes through. The record is changed where CANN
    # lies in two places: test_crossing.py, tests/unit/cann/test_install_record.py.
    points = {point for point in points if not point.startswith(("remove.", "record."))}
    assert points == {fault.point for fault in FAULTS if fault.point}
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40
    assert len(MODULE_KILLED) >= 20


CASES = [pytest.param(fault, id=fault.name, marks=[] if fault.often else pytest.mark.whole) for fault in FAULTS]


@pytest.fixture(scope="module")
def fates(base: Fleet, request: pytest.FixtureRequest) -> dict[str, Fate]:
    """Bring about the faults of the tests that run, and run twice more."""
    asked = [item.callspec.params.get("fault") for item in request.session.items if hasattr(item, "callspec")]
    chosen = [fault for fault in FAULTS if fault in asked]
    nodes_of = zip(chosen, base.grow(len(chosen)), strict=True)
    table = {fault.name: Fate(fault, node, []) for fault, node in nodes_of}
    for fate in table.values():
        arranged(base, fate)
    bring_about(base, list(table.values()))
    look(base, list(table.values()))
    for fate in table.values():
        cure(base, fate)
    base.hosts.update({fate.node: repaired(fate.fault) for fate in table.values()})
    nodes = ",".join(fate.node for fate in table.values())
    following = base.site("--limit", nodes, *ALL_AT_ONCE)
    last = base.site("--limit", nodes, *ALL_AT_ONCE)
    facts = base.facts([base.node(1), *(fate.node for fate in table.values())], deep=True)
    known = damaged(facts[base.node(1)])
    for fate in table.values():
        fate.next_changed, fate.next_failed = (following.recap[fate.node][key] for key in ("changed", "failed"))
        fate.next_told = following.told(fate.node) + last.told(fate.node)
        fate.last_changed = last.recap[fate.node]["changed"]
        fate.finally_current = facts[fate.node]["environments"]["current"] or "none"
        fate.left = leftovers(fate.node)
        fate.damaged = [words for words in damaged(facts[fate.node]) if words not in known]
        fate.damaged += sh(fate.node, f"{AS_PACKED}\n{EMPTY}").splitlines() if fate.fault.off else []
        fate.unended = facts[fate.node]["changes"]["running"]
        if fate.has_job:
            sh(fate.node, "touch /tmp/job/stop")
    for fate in table.values():
        fate.finished = finished(fate) if fate.has_job else "not asked for"
    print("\n" + "\n".join(lines(list(table.values()))))
    (base.state / "following.log").write_text(following.output, encoding="utf-8")
    return table


def damaged(facts: dict[str, Any]) -> list[str]:
    """What the deep form finds of CANN and the environments."""
    return [f"{finding['problem']}: {finding['found']}" for finding in facts["findings"] if finding["subset"] in READ]


def repaired(fault: Fault) -> dict[str, Any]:
    return {key: value for key, value in fault.host.items() if key == "ascend_release"}


def arranged(fleet: Fleet, fate: Fate) -> None:
    """Start the job, note what the node has, and set the fault up."""
    fault, node = fate.fault, fate.node
    if fault.full:
        disks.in_memory(node, fault.full)
    if fault.ended == "power":
        fate.disk = disks.on_a_disk(node, fault.disk, fleet.state)
    if fate.has_job:
        start_job(node)
    python = next(path.name for path in (fleet.cache / "depot" / "python").glob("cpython-3.11.*")).split("-")[1]
    if fault.arrange:
        sh(node, fault.arrange.replace("@PYTHON@", python))
    if fault.settings:
        sh(node, "ascend-sim set " + " ".join(fault.settings))
    fate.before = outside(node, fault.off)
    if fault.point:
        sh(node, f"echo {fault.point} {'wait' if fault.alone else 'kill'} >{STOP}")
    if fault.mount[1]:
        options, place = fault.mount
        argv = ["-o", "bind", place, place] if options == "ro" else ["-t", "tmpfs", "-o", options, "tmpfs", place]
        disks.mounted(node, *argv)
        if options == "ro":
            disks.mounted(node, "-o", "remount,bind,ro", place)
    fleet.hosts[node] = {**fault.host, **(depots.damaged(fleet, fault.depot) if fault.depot else {})}


def cure(fleet: Fleet, fate: Fate) -> None:
    fault, node = fate.fault, fate.node
    sh(
        node,
        f"rm -f {STOP} /var/lib/ascend-fleet/stopped-at; ascend-sim unset installer >/dev/null; {fault.cure or ':'}",
    )
    if fault.full:
        disks.make_room(node, fault.full)
    if fault.mount[1]:
        of_the_node(node, "--mount", "--pid", "umount", fault.mount[1])


def bring_about(fleet: Fleet, fates: list[Fate]) -> None:
    """One run for all whose module is ended, or that are refused; one each for those that end the run itself.

    What is ended at some moment comes last: beside so many others all moments would lie in a run's beginning.
    """
    together = [fate for fate in fates if not fate.fault.alone]
    nodes = ",".join(fate.node for fate in together)
    main = fleet.start("site.yml", "--limit", nodes, *ALL_AT_ONCE) if together else None
    all_alone(fleet, [fate for fate in fates if fate.fault.alone and not fate.fault.perhaps])
    said = fleet.finish(main) if main else None
    for fate in together:
        fate.first = said
    all_alone(fleet, [fate for fate in fates if fate.fault.perhaps])


def all_alone(fleet: Fleet, fates: list[Fate]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(run_alone, fleet, fate) for fate in fates]:
            done.result()


def run_alone(fleet: Fleet, fate: Fate) -> None:
    process = fleet.start("site.yml", "--limit", fate.node, *ALL_AT_ONCE)
    if fate.fault.ended in END:
        wait_for(fate, process)
        END[fate.fault.ended](fate, process)
    fate.first = fleet.finish(process)


def wait_for(fate: Fate, process: Started) -> None:
    """Wait until the module stands at the point, or until the moment."""
    until = time.monotonic() + WAIT_S
    sign = "/var/lib/ascend-fleet/" + ("stopped-at" if fate.fault.point else "run")
    while not appears(fate.node, sign):
        assert process.poll() is None, process.log.read_text()[-4000:]
        assert time.monotonic() < until, fate.node
        time.sleep(0.2)
    time.sleep(fate.fault.after_s)


def end_run(_fate: Fate, process: Started) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def end_node(fate: Fate, process: Started) -> None:
    """Off, and on again when the run has given it up: a run that still tries to reach it would go on there."""
    image.podman("kill", fate.node)
    process.wait(WAIT_S)
    image.podman("start", fate.node)


def cut_network(fate: Fate, _process: Started) -> None:
    """The sessions are gone at once; what they started goes on."""
    sh(fate.node, "for pid in $(pgrep -f '^sshd: '); do kill -KILL $pid; done", check=False)


def silence(fate: Fate, process: Started) -> None:
    """No packet comes or goes, until the run has given the node up; nobody there knows."""
    of_the_node(fate.node, "--net", "ip", "link", "set", "eth0", "down")
    process.wait(WAIT_S)
    of_the_node(fate.node, "--net", "ip", "link", "set", "eth0", "up")


def cut_power(fate: Fate, process: Started) -> None:
    assert fate.disk
    disks.cut_power(fate.node)
    process.wait(WAIT_S)
    disks.start_again(fate.node, fate.disk)


def fill_disk(fate: Fate, _process: Started) -> None:
    """Something else takes the room; the module goes on."""
    disks.fill(fate.node, fate.fault.full)
    sh(fate.node, f"rm {STOP}")


END = {
    "run": end_run,
    "node": end_node,
    "power": cut_power,
    "network": cut_network,
    "packets": silence,
    "disk": fill_disk,
}


def look(fleet: Fleet, fates: list[Fate]) -> None:
    """Look at every node as the fault left it."""
    facts = fleet.facts([fate.node for fate in fates])
    for fate in fates:
        fate.after = facts[fate.node]
        fate.outside = outside(fate.node, fate.fault.off)
        fate.job = job_state(fate.node) if fate.has_job else "not asked for"
        if fate.current:
            fate.works = sh(
                fate.node, "ascend-env python -c 'import torch_npu' 2>&1 && echo works", check=False
            ).strip()


def finished(fate: Fate) -> str:
    """Wait for the job's own end."""
    until = time.monotonic() + WAIT_S
    state = job_state(fate.node)
    while state == "runs" and time.monotonic() < until:
        time.sleep(0.5)
        state = job_state(fate.node)
    if state != "finished":
        return state
    return sh(fate.node, "cat /tmp/job/finished").strip()


def lines(fates: list[Fate]) -> list[str]:
    """The table: fault, what happened, what the next run did."""
    rows = [("fault", "what happened", "current then", "job", "next run", "the one after")]
    for fate in fates:
        assert fate.first
        said = fate.first.said(fate.node) or {"run": "the run is gone"}.get(fate.fault.ended, "")
        rows.append(
            (
                fate.fault.name,
                said[:70],
                fate.current or "none",
                "finished" if fate.finished[:1].isdigit() else fate.finished,
                f"changed={fate.next_changed} failed={fate.next_failed}",
                f"changed={fate.last_changed}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


@pytest.mark.parametrize("fault", CASES)
def test_the_node_is_as_before_or_known_as_half_done(fates: dict[str, Fate], fault: Fault) -> None:
    fate = fates[fault.name]
    assert fate.first
    assert fault.words in fate.first.told(fate.node), fate.first.told(fate.node) or fate.first.output[-6000:]
    if not fault.alone and not fault.perhaps:
        assert fate.first.recap[fate.node]["failed"] == 1
    # current leads to a complete environment on a complete CANN, or, under repair, to none.
    assert fate.after
    if fate.current is None:
        assert fault.repair
    else:
        there = fate.after["environments"]["all"][fate.current]
        cann = fate.after["cann"]["versions"][os.path.basename(there["cann_home"])]
        assert (there["state"], there["problem_count"], there["difference_count"]) == ("complete", 0, 0)
        assert (cann["toolkit"]["state"], cann["kernels"]["910b"]["state"]) == ("complete", "complete")
        assert fate.after["pythons"][there["python"]]["state"] == "complete"
        assert fate.works == "works"
    assert fate.job in ("runs", "not asked for")
    assert fate.outside == fate.before


@pytest.mark.whole
def test_some_moments_met_a_module(fates: dict[str, Fate]) -> None:
    moments = [fate for fate in fates.values() if fate.fault.perhaps]
    assert [fate.fault.name for fate in moments if fate.first and fate.first.code and fate.first.told(fate.node)]


@pytest.mark.parametrize("fault", CASES)
def test_the_next_run_finishes_it_and_the_one_after_finds_nothing_to_do(fates: dict[str, Fate], fault: Fault) -> None:
    fate = fates[fault.name]
    assert (fate.next_failed, fate.last_changed) == (0, 0), fate.next_told
    assert fate.finally_current.startswith(OLD if fault.repair else NEW)
    assert (fate.left, fate.damaged, fate.unended) == ([], [], None)
    # The job began with the older release, and ended with it.
    assert fate.finished in ("2.1.0+standin", "not asked for")
