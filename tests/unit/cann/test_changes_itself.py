# SPDX-License-Identifier: Apache-2.0
"""Recorded files that CANN itself changes: repaired once, then told; and what of them is drift all the same."""

from __future__ import annotations

import os

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    proof as cann_proof,
    receipts as cann_receipts,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import REMARKS
from tests.answers import names
from tests.unit.cann.other_layout import install, prove, state, told
from tests.unit.cann.test_install import KERNELS, VERSION, Node, write

pytestmark = pytest.mark.usefixtures("no_needs")

VOLATILE = "aoe/bin/aoe"


def test_a_failed_proof_doubts_what_changed_again(proven: Node) -> None:
    """It is altered then, and repaired once more; what the receipt says else stays."""
    tree = proven.package("toolkit").tree
    assert not cann_proof.doubt(tree, VERSION)
    write(proven.home / VOLATILE, "longer than it was\n")
    install(proven, "toolkit", "kernels")
    prove(proven)
    assert not cann_proof.doubt(tree, VERSION)
    write(proven.home / VOLATILE, "again another\n")
    assert state(proven) == ("complete", [])
    before = cann_receipts.read(tree.state_dir, VERSION, "toolkit")
    assert cann_proof.doubt(tree, VERSION, check_mode=True)
    assert state(proven) == ("complete", [])
    assert cann_proof.doubt(tree, VERSION)
    assert state(proven)[0] == "altered"
    assert cann_receipts.read(tree.state_dir, VERSION, "toolkit") == before._replace(repaired=())
    install(proven, "toolkit", "kernels")
    prove(proven)
    write(proven.home / VOLATILE, "and again\n")
    assert state(proven) == ("complete", [])


def test_a_file_that_changes_again_after_its_repair_is_told_and_left(proven: Node) -> None:
    for text in ("longer than it was\n", "again another\n"):
        write(proven.home / VOLATILE, text)
        found = state(proven)
        if text.startswith("longer"):
            assert found[0] == "altered"
            install(proven, "toolkit", "kernels")
            prove(proven)
            assert state(proven)[0] == "complete"
    assert found == ("complete", [])
    _version, findings = told(proven)
    (itself,) = [each for each in findings if each["name"] == "cann-changes-itself"]
    assert itself["found"] == f"{VOLATILE} has 14 bytes, not 10"
    assert itself["name"] in REMARKS
    write(proven.home / VOLATILE, "and a third time\n")
    assert state(proven) == ("complete", [])


@pytest.mark.parametrize("how", ["lost", "emptied", "a link to nothing"])
def test_a_file_that_is_lost_after_its_repair_stays_drift(proven: Node, how: str) -> None:
    place = proven.home / VOLATILE
    for _time in range(3):
        write(place, "longer than it was\n")
        install(proven, "toolkit", "kernels")
        prove(proven)
        place.unlink()
        if how == "emptied":
            place.touch()
        elif how != "lost":
            place.symlink_to("nowhere")
        assert state(proven)[0] == "altered"
        place.unlink(missing_ok=True)


def test_another_file_that_changes_beside_it_is_repaired(proven: Node) -> None:
    write(proven.home / VOLATILE, "longer than it was\n")
    install(proven, "toolkit", "kernels")
    prove(proven)
    write(proven.home / VOLATILE, "longer than it was\n")
    write(proven.home / "devkit" / "version.info", "short\n")
    assert state(proven) == ("altered", ["devkit/version.info has 6 bytes, not 32"])


def test_kernels_that_change_themselves(proven: Node) -> None:
    kernel = proven.home / KERNELS / "ascend910b" / "add.o"
    write(kernel, "longer than it was\n")
    assert state(proven, "kernels")[0] == "altered"
    install(proven, "kernels")
    prove(proven)
    write(kernel, "longer than it was\n")
    assert state(proven, "kernels") == ("complete", [])
    kernel.unlink()
    assert state(proven, "kernels")[0] == "altered"


def test_what_the_proof_itself_changes_is_no_drift(node: Node) -> None:
    """The plan left no difference: whatever differs at the end of the proof was changed by running CANN."""
    install(node, "toolkit", "kernels")
    write(node.home / VOLATILE, "a cache that the first operator wrote\n")
    assert state(node)[0] == "altered"
    prove(node)
    assert state(node)[0] == "complete"
    assert "cann-changes-itself" in names(told(node)[1])


def test_what_only_the_deep_form_sees_is_remembered_as_well(proven: Node) -> None:
    place = proven.home / VOLATILE

    def rewrite() -> None:
        status = place.stat()
        place.write_text("b program\n")
        os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))

    rewrite()
    assert state(proven)[0] == "complete"
    assert state(proven, deep=True)[0] == "altered"
    install(proven, "toolkit", "kernels", deep=True)
    rewrite()
    prove(proven)
    assert state(proven, deep=True)[0] == "complete"


def test_a_tree_that_changed_as_a_whole_is_no_cache(proven: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cann_receipts, "MOST_REPAIRED", 1)
    for _time in range(2):
        write(proven.home / VOLATILE, "longer than it was\n")
        write(proven.home / "devkit" / "version.info", "short\n")
        assert state(proven)[0] == "altered"
        install(proven, "toolkit", "kernels")
        prove(proven)
