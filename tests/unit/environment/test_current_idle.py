# SPDX-License-Identifier: Apache-2.0
"""Before ``current`` is led to another environment the cards are asked once more: a job may have begun meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.busy import in_use
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment.read import RECEIPT
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import failure
from ansible_collections.ascend.fleet.plugins.modules import python_env
from tests.answers import NPU_SMI_HEAD, Programs, node, write
from tests.unit.change.test_node_change import BUSY, CARD, IDLE


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_use, "AGAIN_S", 0.0)


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Those with which an environment is made current where another one is."""
    for name in ("old", "new"):
        write(tmp_path / "env" / name, RECEIPT, "{}")
    (tmp_path / "env" / "current").symlink_to("old")
    spec: dict[str, dict[str, Any]] = python_env.ARGUMENT_SPEC  # type: ignore[assignment]  # mypy joins to object
    given = {name: option.get("default") for name, option in spec.items()}
    asked = {"path": str(tmp_path / "env" / "new"), "current": True, "idle": True}
    return {**given, **asked, "state_dir": str(tmp_path / "state")}


def ensure(options: dict[str, Any], tmp_path: Path, *answers: str, **more: Any) -> tuple[dict[str, Any], Programs]:
    programs = Programs({"npu-smi info": list(answers)})
    check = more.pop("check", False)
    write(tmp_path / "node", "/dev/davinci0")
    return python_env.ensure({**options, **more}, check, node(tmp_path / "node", programs)), programs


def leads_to(options: dict[str, Any]) -> str:
    return os.path.basename(os.path.realpath(Path(options["path"]).parent / "current"))


def test_an_idle_node_is_asked_once(options: dict[str, Any], tmp_path: Path) -> None:
    result, programs = ensure(options, tmp_path, IDLE)
    assert (result["changed"], leads_to(options), programs.asked) == (True, "new", ["npu-smi info"])


@pytest.mark.parametrize("answer", [BUSY, NPU_SMI_HEAD + CARD])
def test_a_job_keeps_the_link_where_it_is(options: dict[str, Any], tmp_path: Path, answer: str) -> None:
    with pytest.raises(in_use.InUseError, match="jobs started on the cards") as raised:
        ensure(options, tmp_path, answer, answer)
    assert leads_to(options) == "old"
    told = failure(raised.value)
    assert told["busy"] is True, "by this the rollout goes on with the others"  # type: ignore[comparison-overlap]  # a flag
    assert told["where"] == "npu-smi info"
    wanted = "process 4711 of ? on card 0: python3" if answer == BUSY else "does not say whether processes use card 0"
    assert wanted in told["found"]


def test_what_is_shown_for_a_moment_after_the_proof_is_no_job(options: dict[str, Any], tmp_path: Path) -> None:
    ensure(options, tmp_path, BUSY, IDLE)
    assert leads_to(options) == "new"


def test_a_card_that_was_taken_out_keeps_it_not(options: dict[str, Any], tmp_path: Path) -> None:
    ensure(options, tmp_path, NPU_SMI_HEAD + CARD, cards_out=[0])
    assert leads_to(options) == "new"


@pytest.mark.parametrize("more", [{"idle": False}, {"check": True}, {"current": False}])
def test_who_does_not_ask_does_not_wait(options: dict[str, Any], tmp_path: Path, more: dict[str, Any]) -> None:
    _, programs = ensure(options, tmp_path, **more)
    assert programs.asked == []


def test_where_the_link_is_right_nobody_is_asked(options: dict[str, Any], tmp_path: Path) -> None:
    result, programs = ensure({**options, "path": options["path"].replace("new", "old")}, tmp_path)
    assert (result["changed"], programs.asked) == (False, [])
