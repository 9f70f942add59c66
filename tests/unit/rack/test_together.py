# SPDX-License-Identifier: Apache-2.0
"""The first error of an all_reduce, among all that are said; the words are torch's, gloo's and HCCL's own."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack import together
from tests.unit.rack.looks import names

PEER = "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:5] Connection closed by peer [10.213.2.12]:41234"
HCCL = "EI0006: Getting socket times out. Reason: Remote Rank did not send the data in time."
LEFT = {"ok": False, "kind": "left", "error": "another rank failed", "first": False}


def own(error: str, first: bool | None) -> dict[str, Any]:
    return {"ok": False, "kind": "own", "error": error, "first": first}


KILLED = {"ok": False, "kind": "killed", "error": "a rank was killed by signal 9 during: a matmul", "first": False}
TIMEOUT = {"ok": False, "kind": "timeout", "error": "nothing within 600 s during: init_process_group", "first": None}


@pytest.mark.parametrize(
    ("one", "two", "three", "expected"),
    [
        # Those that hear of a killed rank are loud, and first.
        (own(PEER, True), KILLED, LEFT, "npu-2"),
        (own(PEER, True), own(PEER, False), own("RuntimeError: NPU out of memory", False), "npu-3"),
        (own(HCCL, True), own("ERR02200 device 3 hangs", False), LEFT, "npu-2"),
        # Who was first counts among equals.
        (own(PEER, False), own(PEER, True), LEFT, "npu-2"),
        (own("ArithmeticError: wrong", False), own("ArithmeticError: wrong", True), LEFT, "npu-2"),
        (TIMEOUT, LEFT, own("ImportError: libhccl.so", None), "npu-3"),
        (LEFT, TIMEOUT, LEFT, "npu-2"),
        # Rank 0 says which node gave no heartbeat.
        ({**LEFT, "silent": [2]}, LEFT, {"ok": False, "error": "unreachable"}, "npu-3"),
    ],
)
def test_the_first_error_and_not_the_loudest(one: Any, two: Any, three: Any, expected: str) -> None:
    assert together.culprit({"npu-1": one, "npu-2": two, "npu-3": three}) == expected


def test_one_fails_and_the_others_are_not_proven() -> None:
    found = together.failures({"npu-1": LEFT, "npu-2": KILLED, "npu-3": own(PEER, True)}, "-i inventory/prod")
    assert {name: names(each) for name, each in found.items()} == {
        "npu-1": ["not-proven"],
        "npu-2": ["all-reduce"],
        "npu-3": ["not-proven"],
    }
    assert "killed by signal 9" in found["npu-1"][0]["found"]
    assert found["npu-1"][0]["remedy"].endswith("preflight.yml -i inventory/prod --limit npu-1,npu-3")


def test_all_well() -> None:
    assert together.failures({"npu-1": {"ok": True}, "npu-2": {"ok": True}}, "") == {"npu-1": [], "npu-2": []}
    assert together.failures({}, "") == {}
