# SPDX-License-Identifier: Apache-2.0
"""The one record of the toolkit's path, on a node with CANN in two places: named, given back, after a kill too."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import install_record
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann.layout import Tree
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import fault_points

ROOT, RECORD = "/usr/local/Ascend", "etc/Ascend/ascend_cann_install.info"
BESIDE = f"{ROOT}/beside"


class Node:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir()
        self.tree = Tree(f"{folder}{ROOT}", str(self.state), str(folder))
        self.record = folder / RECORD
        self.record.parent.mkdir(parents=True)

    def put(self, *homes: str) -> None:
        for home in homes:
            path = Path(f"{self.folder}{home}/set_env.sh")
            path.parent.mkdir(parents=True)
            path.write_text("x")

    def text(self) -> str | None:
        return self.record.read_text() if self.record.exists() else None


OLD, NEW = f"{ROOT}/ascend-toolkit/8.0.RC1", f"{BESIDE}/cann-9.0.0"
SAYS_ROOT, SAYS_BESIDE = f"Toolkit_InstallPath={ROOT}\n", f"Toolkit_InstallPath={BESIDE}\n"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_an_installation_beside_finds_its_own_place_and_leaves_what_was(node: Node) -> None:
    node.put(OLD)
    node.record.write_text("# by the installer\nToolkit_InstallPath=/usr/local/Ascend\nOther=1\n")
    with install_record.naming(node.tree, f"{node.folder}{BESIDE}"):
        assert node.text() == f"# by the installer\nToolkit_InstallPath={BESIDE}\nOther=1\n"
        node.put(NEW)
        node.record.write_text(SAYS_BESIDE)  # as an installer does
    assert node.text() == "# by the installer\nToolkit_InstallPath=/usr/local/Ascend\nOther=1\n"
    assert list(node.state.iterdir()) == []


def test_the_first_cann_of_a_node_writes_its_own(node: Node) -> None:
    with install_record.naming(node.tree, f"{node.folder}{BESIDE}"):
        node.put(NEW)
        node.record.write_text(SAYS_BESIDE)
    assert node.text() == SAYS_BESIDE
    with install_record.naming(node.tree, f"{node.folder}{ROOT}"):  # then an older one, to the root
        assert node.text() == SAYS_ROOT
        node.put(OLD)
    assert node.text() == SAYS_BESIDE


@pytest.mark.parametrize(
    ("goes", "base", "before", "after"),
    [
        (NEW, BESIDE, SAYS_ROOT, SAYS_ROOT),
        (NEW, BESIDE, SAYS_BESIDE, SAYS_ROOT),
        (OLD, ROOT, SAYS_ROOT, SAYS_BESIDE),
        (OLD, ROOT, SAYS_BESIDE, SAYS_BESIDE),
    ],
)
def test_an_uninstaller_takes_the_record_of_nothing_that_stays(
    node: Node, goes: str, base: str, before: str, after: str
) -> None:
    node.put(OLD, NEW)
    node.record.write_text(before)
    with install_record.naming(node.tree, f"{node.folder}{base}"):
        os.unlink(f"{node.folder}{goes}/set_env.sh")
        node.record.unlink()
    assert node.text() == after


def test_with_the_last_cann_it_goes(node: Node) -> None:
    node.put(OLD)
    node.record.write_text(SAYS_ROOT)
    with install_record.naming(node.tree, f"{node.folder}{ROOT}"):
        os.unlink(f"{node.folder}{OLD}/set_env.sh")
        node.record.unlink()
    assert node.text() is None


def test_an_ordinary_installation_leaves_it_to_the_installer(node: Node) -> None:
    node.put(OLD)
    node.record.write_text(SAYS_ROOT)
    with install_record.naming(node.tree, f"{node.folder}{ROOT}"):
        assert list(node.state.iterdir()) == []
        node.record.write_text(SAYS_ROOT + "More=1\n")
    assert node.text() == SAYS_ROOT + "More=1\n"


def test_a_record_that_somebody_changed_meanwhile_stays(node: Node) -> None:
    node.put(OLD, NEW)
    node.record.write_text(SAYS_ROOT)
    with install_record.naming(node.tree, f"{node.folder}{BESIDE}"):
        node.record.write_text("Toolkit_InstallPath=/data/Ascend\n")
    assert node.text() == "Toolkit_InstallPath=/data/Ascend\n"


@pytest.mark.parametrize("point", ["record.kept", "record.named", "record.settled"])
def test_after_a_kill_it_is_given_back(node: Node, point: str) -> None:
    node.put(OLD)
    node.record.write_text(SAYS_ROOT)
    (node.state / fault_points.FILE).write_text(f"{point} kill")
    child = os.fork()
    if not child:
        fault_points.follow(str(node.state))
        with install_record.naming(node.tree, f"{node.folder}{BESIDE}"):
            node.put(NEW)
            node.record.write_text(SAYS_BESIDE)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    install_record.restore(node.tree)
    assert node.text() == SAYS_ROOT
    assert list(node.state.iterdir()) == []
    install_record.restore(node.tree)
    assert node.text() == SAYS_ROOT


def test_a_kill_in_the_installer_is_the_same(node: Node) -> None:
    node.put(OLD)
    node.record.write_text(SAYS_ROOT)
    child = os.fork()
    if not child:
        with install_record.naming(node.tree, f"{node.folder}{BESIDE}"):
            node.record.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert node.text() is None
    with install_record.naming(node.tree, f"{node.folder}{BESIDE}"):  # the next run's installer
        assert node.text() == SAYS_BESIDE
    assert node.text() == SAYS_ROOT
