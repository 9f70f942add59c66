# SPDX-License-Identifier: Apache-2.0
"""CANN of a layout that no known version has, and files that it changes itself: proven once, told, never drift."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.change.fleet import NEW, Fleet, sh

pytestmark = pytest.mark.faults

HOME = f"/usr/local/Ascend/ascend-toolkit/{NEW}"
INSTALLER_LOG = "/var/log/ascend_seclog/ascend_toolkit_install.log"


@pytest.fixture(scope="module")
def node(base: Fleet) -> str:
    """A node that goes to the newer release, whose packages lay their files otherwise."""
    (name,) = base.grow(1)
    sh(name, "ascend-sim set layout=other")
    return name


def packages(fleet: Fleet, node: str) -> list[str]:
    version = fleet.facts([node])[node]["cann"]["versions"][NEW]
    return [version["toolkit"]["state"], version["kernels"]["910b"]["state"]]


def drift(fleet: Fleet, node: str, folder: Path) -> tuple[int, list[str], list[str]]:
    """Return the check's exit code, the names of its findings, and those of its remarks on CANN."""
    run = fleet.playbook("playbooks/drift.yml", "--limit", node, "-e", f"drift_dir={folder}")
    (told,) = json.loads((folder / "latest" / "fleet.json").read_text(encoding="utf-8"))["nodes"]
    assert ("Remark (not drift): " + node in run.output) == bool(told["remarks"]), run.output[-3000:]
    remarks = [each["name"] for each in told["remarks"] if each["component"] == "cann"]
    return run.code, [each["name"] for each in told["findings"]], remarks


def test_a_proof_that_fails_installs_nothing_again_and_one_that_passes_makes_it_complete(
    base: Fleet, node: str
) -> None:
    sh(node, "ascend-sim set device_error.0=507033")
    run = base.site("--limit", node)
    assert (run.code, "507033" in run.output) == (2, True), run.output[-6000:]
    assert packages(base, node) == ["unproven", "unproven"]
    installed = sh(node, f"stat -c %y {INSTALLER_LOG}")
    again = base.site("--limit", node)
    assert again.code == 2, again.output[-6000:]
    assert "Install the CANN toolkit" not in again.output
    sh(node, "ascend-sim unset device_error.0")
    well = base.site("--limit", node)
    assert well.code == 0, well.output[-6000:]
    assert sh(node, f"stat -c %y {INSTALLER_LOG}") == installed
    assert packages(base, node) == ["complete", "complete"]


def test_it_converges_and_the_layout_is_a_remark(base: Fleet, node: str, tmp_path: Path) -> None:
    run = base.site("--limit", node)
    assert run.code == 0, run.output[-6000:]
    assert "changed=0 " in run.output
    assert f"remark: toolkit {NEW} has an undocumented layout" in run.output
    assert drift(base, node, tmp_path) == (0, [], ["cann-layout-unknown", "cann-layout-unknown"])
    shown = base.playbook("playbooks/verify.yml", "--limit", node)
    assert shown.code == 0, shown.output[-3000:]
    assert f"remark: kernels-910b {NEW} has an undocumented layout" in shown.output


@pytest.mark.whole  # a repair of the known layout: test_cann_beside.py and tests/e2e/test_main_job.py
def test_a_lost_file_of_it_is_drift_and_repaired(base: Fleet, node: str, tmp_path: Path) -> None:
    sh(node, f"rm {HOME}/other-toolkit/content/part3.bin")
    code, findings, _remarks = drift(base, node, tmp_path)
    assert (code, findings) == (2, ["toolkit", "kernels"])
    run = base.site("--limit", node)
    assert run.code == 0, run.output[-6000:]
    assert drift(base, node, tmp_path) == (0, [], ["cann-layout-unknown", "cann-layout-unknown"])


@pytest.mark.whole  # tests/unit/cann/test_changes_itself.py has it without a node
def test_a_file_that_changes_again_is_repaired_once_and_told(base: Fleet, node: str, tmp_path: Path) -> None:
    for code in (2, 0):
        sh(node, f"echo a cache >>{HOME}/aoe/content/part0.bin; echo >>{HOME}/opp_kernel/content/part1.bin")
        assert drift(base, node, tmp_path)[0] == code
        run = base.site("--limit", node)
        assert run.code == 0, run.output[-6000:]
    assert "nothing to do" in run.output
    assert drift(base, node, tmp_path)[2].count("cann-changes-itself") == 2
    sh(node, f"rm {HOME}/aoe/content/part0.bin")
    assert drift(base, node, tmp_path)[0] == 2
