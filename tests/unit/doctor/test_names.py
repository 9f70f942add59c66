# SPDX-License-Identifier: Apache-2.0
"""Names of many nodes in few characters: none is lost, none is added."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.doctor.names import names_text

WIDE = 100_000


def unfolded(text: str) -> list[str]:
    """What a person reads in a folded text."""
    names: list[str] = []
    for part in re.findall(r"(?:[^,\[]|\[[^]]*\])+", text):
        pieces = [_numbers(piece) for piece in re.split(r"(\[[^]]*\])", part)]
        names += ["".join(chosen) for chosen in product(*pieces)]
    return sorted(names)


def _numbers(piece: str) -> list[str]:
    if not piece.startswith("["):
        return [piece]
    spans = [span.split("-") for span in piece[1:-1].split(",")]
    return [str(n).zfill(len(span[0])) for span in spans for n in range(int(span[0]), int(span[-1]) + 1)]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["npu-001"], "npu-001"),
        (["npu-001", "npu-002", "npu-003", "npu-007"], "npu-[001-003,007]"),
        (["npu-9", "npu-10", "npu-8"], "npu-[8-10]"),
        (["npu-09", "npu-10", "npu-9"], "npu-[09,9-10]"),
        (["192.0.2.11", "192.0.2.12"], "192.0.2.[11-12]"),
        (["npu-1.dc2.example", "npu-2.dc2.example"], "npu-[1-2].dc2.example"),
        (["r1-n1", "r1-n2", "r2-n1"], "r1-n[1-2],r2-n1"),
        (["login", "npu-1"], "login,npu-1"),
    ],
)
def test_names_are_folded(names: list[str], text: str) -> None:
    assert names_text(names, WIDE) == text


PARTS = (st.sampled_from(["a", "b-", "npu"]), st.sampled_from([*map(str, range(12)), "007", "008", "0099", "0100", ""]))
NAMES = st.builds(lambda *parts: "".join(parts), *PARTS, st.sampled_from(["", ".r1", ".r2", ".r10"]))


@given(st.sets(NAMES, min_size=1, max_size=40))
def test_no_name_is_lost_and_none_is_added(names: set[str]) -> None:
    assert unfolded(names_text(names, WIDE)) == sorted(names)


@given(st.sets(st.integers(0, 5000), min_size=1, max_size=300), st.integers(8, 60))
def test_what_has_no_room_is_counted(numbers: set[int], width: int) -> None:
    text = names_text([f"npu-{number:04d}" for number in numbers], width)
    assert len(text) <= width
    named, _, more = text.partition(" and ")
    if re.fullmatch(r"[0-9]+ nodes?", named):
        assert int(named.split()[0]) == len(numbers)
    else:
        assert len(unfolded(named)) + int(more.split()[0] if more else 0) == len(numbers)


def test_a_thousand_names_are_few_characters() -> None:
    assert names_text([f"npu-{number:04d}" for number in range(1, 1001)], 60) == "npu-[0001-1000]"


def test_what_a_terminal_obeys_is_not_printed() -> None:
    assert "\x1b" not in names_text(["npu-\x1b[2J1"], WIDE)
