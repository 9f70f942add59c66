# SPDX-License-Identifier: Apache-2.0
"""A repair of our CANN beside a newer one of the users': ``latest`` is theirs again, wherever the repair was ended."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import atomic
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    install as cann_install,
    latest as cann_latest,
    layout as cann_layout,
    layouts as cann_layouts,
    read as cann_read,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import fault_points
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.asked import wanted_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import Plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.found import found_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.preconditions import repairs_cann
from tests.answers import node as machine
from tests.unit.cann.test_install import VERSION, Calls, Node, beside, done, lead
from tests.unit.plan.planner_nodes import converged, wanted

pytestmark = pytest.mark.usefixtures("no_needs")

NEWER, NEWEST = "8.2.RC1", "8.3.RC1"
LOST = Path("opp", "version.info")


class Ended(BaseException):
    """What kill -9 is to a module: nothing of it runs on."""


class Installers:
    """CANN's installers and its script; ``ended`` is where they are ended, once."""

    def __init__(self, node: Node, ended: str = "") -> None:
        self.node = node
        self.ended = ended
        self.latest = node.root / "ascend-toolkit" / "latest"
        self.fails = ""

    def at(self, moment: str) -> None:
        if self.ended == moment:
            self.ended = ""
            raise Ended(moment)

    def __call__(self, argv: list[str], _timeout_s: float, **_more: Any) -> Result:
        if argv[0] == "sync":
            return done()
        if argv[1].endswith(cann_install.RELINK):
            self.relink(Path(argv[1]).parent.name)
        elif argv[1] == "-c":
            self.node.put_kernels()
            self.at("in the kernels' installer")
        else:
            self.install()
        return done(1, "no") if self.fails else done()

    def relink(self, version: str) -> None:
        if self.fails == "script":
            return
        for component in cann_layouts.PARTS[::-1]:  # the runtime, by which a version is known, last
            (self.latest / component).unlink()
            (self.latest / component).symlink_to(f"../{version}/{component}")
            self.at(f"in CANN's script, after {component}")

    def install(self) -> None:
        shutil.rmtree(self.node.home, ignore_errors=True)
        self.at("in the installer, with all of the old one gone")
        if self.fails != "installer":
            self.node.put_toolkit()
        lead(self.latest, VERSION)
        self.at("in the installer, with latest taken")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Ours, installed and proven; then users put a newer one beside it, and a file of ours is lost."""
    node = Node(tmp_path)
    cann_install.install(node.package("toolkit"), node.file, Calls((node.put_toolkit, done())))
    cann_install.install(node.package("kernels"), node.file, Calls((node.put_kernels, done())))
    shutil.rmtree(node.root / "ascend-toolkit" / "latest")
    beside(node, NEWER)
    (node.home / LOST).unlink()
    return node


def facts(node: Node) -> Any:
    return cann_read.read_cann(machine(Path("/")), str(node.root), str(node.state))[0]


def planned(node: Node) -> tuple[dict[str, Any], Plan]:
    """What the planner is given of this node, and its plan; nothing is current while CANN is repaired."""
    found = converged()
    found["cann"] = facts(node)
    found["environments"]["current"] = None
    return found, plan(found, wanted())


def run_again(node: Node, installers: Installers) -> list[str]:
    """What site.yml does of a plan's steps; return the steps."""
    found, result = planned(node)
    assert result["refusals"] == []
    steps = [step["component"] for step in result["steps"] if step["component"] != "current"]
    for kind in steps:
        if kind == "latest":
            assert cann_install.lead_back(node.package("toolkit"), installers) == []
        else:
            assert repairs_cann(found_of(found), wanted_of(wanted()), result["steps"])
            assert cann_install.repair(node.package(kind), node.file, installers) == []
    return steps


MOMENTS = {
    "": [],
    "toolkit.ready": ["toolkit", "kernels"],
    "in the installer, with all of the old one gone": ["toolkit", "kernels"],
    "in the installer, with latest taken": ["toolkit", "kernels"],
    "toolkit.installer-ended": ["toolkit", "kernels"],
    "toolkit.recording": ["kernels"],
    "toolkit.recorded": ["kernels"],
    "in CANN's script, after opp": ["kernels"],
    "in CANN's script, after runtime": ["kernels"],
    "latest.led-back": ["kernels"],
    "kernels.ready": ["kernels"],
    "in the kernels' installer": ["kernels"],
    "kernels.installer-ended": ["kernels"],
    "kernels.recorded": ["latest"],
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_latest_is_led_back_wherever_the_repair_was_ended(
    node: Node, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installers = Installers(node, moment)
    monkeypatch.setattr(fault_points, "reached", installers.at)
    if moment:
        with pytest.raises(Ended):
            run_again(node, installers)
        steps = run_again(node, installers)
    else:
        assert run_again(node, installers) == ["toolkit", "kernels"]
        steps = []
    assert steps == MOMENTS[moment]
    assert cann_layout.read_latest(str(node.root)) == NEWER
    assert facts(node)["repairing"] is None
    assert run_again(node, installers) == []
    assert planned(node)[1]["warnings"] == []


def test_ended_twice_it_is_where_it_led_before_the_first_that_counts(node: Node) -> None:
    """Whatever CANN's uninstaller made of it meanwhile."""
    shutil.copytree(node.root / "ascend-toolkit" / NEWER, node.root / "ascend-toolkit" / NEWEST)
    installers = Installers(node, "in the installer, with latest taken")
    with pytest.raises(Ended):
        run_again(node, installers)
    lead(installers.latest, NEWEST)
    installers.ended = "in the installer, with all of the old one gone"
    with pytest.raises(Ended):
        run_again(node, installers)
    run_again(node, installers)
    assert cann_layout.read_latest(str(node.root)) == NEWER


def test_the_last_step_alone_is_told_with_both_versions(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    installers = Installers(node, "kernels.recorded")
    monkeypatch.setattr(fault_points, "reached", installers.at)
    with pytest.raises(Ended):
        run_again(node, installers)
    lead(installers.latest, VERSION)
    (step,) = [step for step in planned(node)[1]["steps"] if step["component"] == "latest"]
    assert (step["found"], step["wanted"]) == (VERSION, NEWER)
    assert run_again(node, installers) == ["latest"]
    assert cann_layout.read_latest(str(node.root)) == NEWER


def test_an_installer_that_fails_gives_latest_back_and_stays_a_repair(node: Node) -> None:
    installers = Installers(node)
    installers.fails = "installer"
    with pytest.raises(AscendError, match="the installer of toolkit"):
        cann_install.repair(node.package("toolkit"), node.file, installers)
    assert cann_layout.read_latest(str(node.root)) == NEWER
    installers.fails = ""
    assert run_again(node, installers) == ["toolkit", "kernels"]
    assert facts(node)["repairing"] is None


@pytest.mark.parametrize("script", [True, False])
def test_a_latest_that_cannot_be_led_back_is_told_once(node: Node, script: bool) -> None:
    installers = Installers(node)
    installers.fails = "script"
    if not script:
        (node.root / "ascend-toolkit" / NEWER / cann_install.RELINK).unlink()
    (told,) = cann_install.repair(node.package("toolkit"), node.file, installers)
    assert NEWER in told
    assert VERSION in told
    assert cann_install.repair(node.package("kernels"), node.file, installers) == []
    assert run_again(node, installers) == []


def test_the_link_of_the_own_layout_counts(node: Node) -> None:
    """A CANN from 8.5 on has a link of its own, which the installer of an older one does not take."""
    (node.root / "cann-8.5.0").mkdir()
    (node.root / "cann").symlink_to("cann-8.5.0")
    assert cann_layout.read_latest(str(node.root)) == "8.5.0"
    installers = Installers(node)
    assert run_again(node, installers) == ["toolkit", "kernels"]
    assert (installers.latest / "runtime").readlink() == Path(f"../{NEWER}/runtime")


def test_without_room_to_remember_nothing_is_installed(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "write", full)
    with pytest.raises(AscendError, match=r"cannot record where CANN's `latest` points.*No space left"):
        cann_install.repair(node.package("toolkit"), node.file, Calls())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"repaired": "8.0.RC1"}',
        '{"repaired": 8, "latest": []}',
        '{"repaired": "", "latest": ""}',
    ],
)
def test_what_is_no_record_leads_nowhere(node: Node, text: str) -> None:
    (node.state / cann_latest.FILE).write_text(text)
    assert cann_latest.read(node.package("toolkit").tree) is None


def test_what_makes_it_forgotten(node: Node) -> None:
    """The other version is gone, or ours is; a removal of another one forgets nothing."""
    tree = node.package("toolkit").tree
    assert cann_latest.keep(tree, VERSION) == NEWER
    kept = json.loads((node.state / cann_latest.FILE).read_text())
    assert kept == {"schema": 1, "repaired": VERSION, "latest": NEWER}
    cann_latest.forget(tree, "7.0.0")
    assert cann_latest.read(tree) == {"repaired": VERSION, "latest": NEWER}
    shutil.rmtree(node.root / "ascend-toolkit" / NEWER)
    assert cann_latest.read(tree) is None
    cann_latest.forget(tree, VERSION)
    assert not (node.state / cann_latest.FILE).exists()
