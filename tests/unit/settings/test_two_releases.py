# SPDX-License-Identifier: Apache-2.0
"""A node that has releases with different wishes: HCCL's ports were 60000-60015, and are 60000-60031 of later releases.

Every case goes as a node does: its files are read into facts, the planner decides by them, the module applies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.settings import drop_ins, node_settings
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.system import APPLY, CHECK
from tests.answers import node, write
from tests.unit.plan.planner_nodes import converged, wanted

PORTS = "net.ipv4.ip_local_reserved_ports"
IN_KERNEL = "/proc/sys/net/ipv4/ip_local_reserved_ports"
OLDER, LATER = "60000-60015", "60000-60031"
SESSION = {"nofile": [1024, 524288]}


class Machine:
    """A node below a folder; ``release`` is what site.yml does with a release of these ports."""

    def __init__(self, root: Path, ports: str) -> None:
        self.root, self.node = root, node(root)
        self.set(ports)

    def set(self, ports: str) -> None:
        """What somebody else does, or the start of the machine."""
        write(self.root, IN_KERNEL, ports + "\n")

    def runs(self) -> str | None:
        return node_settings.kernel_setting(self.node, PORTS)

    def file(self) -> str:
        path = self.root / drop_ins.SYSCTL.lstrip("/")
        return path.read_text() if path.exists() else ""

    def says(self) -> drop_ins.Kernel:
        return drop_ins.read_kernel(self.file())

    def planned(self, ports: str, policy: str = APPLY) -> Any:
        found = converged()
        found["system"].update(node_settings.read(self.node))
        found["system"].update(kernel_settings={PORTS: self.runs()}, limits=SESSION)
        return plan(found, wanted(system={"limits": {}, "kernel_settings": {PORTS: ports}, "policy": policy}))

    def step(self, ports: str) -> str:
        """Return what the plan's step cures; "" without one."""
        steps = self.planned(ports)["steps"]
        assert len(steps) <= 1
        return "; ".join(cause["problem"] for step in steps for cause in step["causes"])

    def release(self, ports: str) -> bool:
        """Do what the plan says, and require that nothing is left; return whether something was done."""
        change = node_settings.Change(self.node, SESSION, {PORTS: ports}, {})
        planned = bool(self.step(ports))
        assert change.changed == planned, "the plan and the module are of one mind"
        if planned:
            change.apply()
        assert self.step(ports) == ""
        assert not node_settings.Change(self.node, SESSION, {PORTS: ports}, {}).changed
        return planned


@pytest.mark.parametrize("own", ["", "8080", "22,50000-50010", "60016-60020"])
def test_a_later_release_widens_once_and_an_older_one_leaves_it(tmp_path: Path, own: str) -> None:
    machine = Machine(tmp_path, own)
    assert machine.release(OLDER)
    assert machine.step(LATER).endswith(f"not {drop_ins.merged(own, LATER)}")
    assert machine.release(LATER)
    wide, text = machine.runs(), machine.file()
    assert wide == drop_ins.merged(own, LATER)
    # Night after night, whichever release the inventory says.
    for ports in (OLDER, OLDER, LATER, OLDER, LATER):
        assert not machine.release(ports), ports
        for policy in (APPLY, CHECK):
            told = machine.planned(ports, policy)
            assert (told["steps"], told["warnings"], told["remarks"]) == ([], [], [])
    assert (machine.runs(), machine.file()) == (wide, text)
    assert node_settings.restore(machine.node) == [f"{PORTS} is {own or 'empty'} again"]
    assert machine.runs() == own


@pytest.mark.parametrize("own", ["", "8080"])
def test_the_later_release_first(tmp_path: Path, own: str) -> None:
    machine = Machine(tmp_path, own)
    assert machine.release(LATER)
    assert not machine.release(OLDER)
    assert machine.says() == drop_ins.Kernel({PORTS: drop_ins.merged(own, LATER)}, {PORTS: own})


@pytest.mark.parametrize("own", ["", "8080", "8080,60000-60007"])
def test_what_a_start_of_the_machine_lost_comes_back_whole(tmp_path: Path, own: str) -> None:
    """/etc/sysctl.conf is read after our file, and may have the administrator's own ranges."""
    machine = Machine(tmp_path, own)
    machine.release(LATER)
    text = machine.file()
    machine.set(own)
    assert machine.step(OLDER).endswith(f"{own or 'empty'}, not {drop_ins.merged(own, LATER)}")
    assert machine.release(OLDER)
    assert machine.file() == text, "the later release, which the node still has, is served as well"
    assert not machine.release(LATER)
    node_settings.restore(machine.node)
    assert machine.runs() == own


def test_ranges_that_the_administrator_set_since_are_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "")
    machine.release(OLDER)
    machine.set("22")
    assert machine.release(LATER)
    assert machine.says() == drop_ins.Kernel({PORTS: f"22,{LATER}"}, {PORTS: "22"})
    machine.set(f"22,443,{LATER}")
    assert not machine.release(LATER)
    assert not machine.release(OLDER)


def test_a_node_whose_administrator_reserves_enough_has_no_file_of_ours(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "59000-61000")
    for ports in (OLDER, LATER, OLDER):
        assert not machine.release(ports)
    assert machine.file() == ""
    machine.set(OLDER)
    assert machine.release(LATER), "enough for the older release alone"
    assert machine.says() == drop_ins.Kernel({PORTS: LATER}, {PORTS: OLDER})
    node_settings.restore(machine.node)
    assert machine.runs() == OLDER


def test_a_kernel_that_somebody_widened_has_our_file_widened_too(tmp_path: Path) -> None:
    """HCCL's guide has a sysctl -w for it, which the next start forgets."""
    machine = Machine(tmp_path, "")
    machine.release(OLDER)
    machine.set(LATER)
    assert machine.step(LATER) == f"{PORTS} is {OLDER} in {drop_ins.SYSCTL}, not {LATER}"
    (step,) = machine.planned(LATER)["steps"]
    assert (step["causes"][0]["found"], step["causes"][0]["wanted"]) == (OLDER, LATER)
    assert not machine.release(OLDER)
    assert machine.release(LATER)


def test_check_warns_of_the_wider_range_and_keeps_what_is_there(tmp_path: Path) -> None:
    machine = Machine(tmp_path, f"8080,{OLDER}")
    assert machine.planned(OLDER, CHECK)["warnings"] == []
    (warning,) = machine.planned(LATER, CHECK)["warnings"]
    assert f"= 8080,{LATER}'" in warning["remedy"]
    assert machine.planned(LATER, CHECK)["steps"] == []


def test_a_number_is_not_lowered_by_an_older_release() -> None:
    ours = drop_ins.Kernel({"vm.max_map_count": "262144"}, {"vm.max_map_count": "65530"})
    for have in ("262144", "65530"):
        assert drop_ins.kernel({"vm.max_map_count": have}, ours, {"vm.max_map_count": 100_000}) == ours
    other = drop_ins.kernel({"vm.max_map_count": "65530"}, ours, {"vm.max_map_count": 300_000})
    assert other == drop_ins.Kernel({"vm.max_map_count": "300000"}, ours.was)
