# SPDX-License-Identifier: Apache-2.0
"""The order of the versions of CANN, driver and firmware, and what has none that anybody knows."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.versions import (
    compare_cann,
    compare_driver,
    same_branch,
)
from tests import samples

CANN = [
    "5.1.RC2.alpha007", "7.0.T10", "7.0.0.alpha003", "7.0.0", "7.2.T11.0.B218", "8.0.RC1.alpha001",
    "8.0.RC1.alpha003", "8.0.RC1", "8.0.RC1.B110", "8.0.RC2.alpha002", "8.0.RC2", "8.0.RC3", "8.0.0.alpha001",
    "8.0.0", "8.0.1", "8.1.RC1", "8.1.RC1.B150", "8.2.RC1.alpha001", "8.2.RC1", "8.3.rc2", "8.5.0.alpha001",
    "8.5.0.alpha002", "8.5.0-beta.1", "8.5.0", "8.5.1", "8.5.2", "9.0.T2", "9.0.T511", "9.0.0-beta.1",
    "9.0.0-beta.2", "9.0.0", "9.0.1", "9.1.T6", "9.1.0.beta.1", "9.1.0", "9.2.0",
]  # fmt: skip
DRIVERS = [
    "1.0.3", "20.2.0", "21.0.3.1", "21.0.3.2", "22.0.0", "22.0.4", "22.0.4.3", "22.1rc1", "23.0.rc1.b060",
    "23.0.rc2", "23.0.rc2.3", "23.0.rc3", "23.0.0", "23.0.2.1", "23.0.3", "23.0.6", "23.0.6.2", "23.0.7",
    "24.1.rc1", "24.1.rc1.b030", "24.1.rc1.1", "24.1.rc2", "24.1.rc2.2", "24.1.RC3", "24.1.0", "24.1.0.1", "24.1.1",
    "24.5.9", "25.0.rc1", "25.0.rc1.b030", "25.0.RC1.1", "25.0.rc1.2", "25.0.0", "25.2.0", "25.2.3", "25.3.rc1",
    "25.3.RC1.2", "25.5.0", "25.5.1", "25.5.2", "25.7.RC1", "25.50.10", "26.0.RC1", "26.0.RC3", "26.1.1",
    "26.2.RC1",
]  # fmt: skip


@pytest.mark.parametrize(("older", "newer"), list(itertools.combinations(CANN, 2)))
def test_cann(older: str, newer: str) -> None:
    assert (compare_cann(older, newer), compare_cann(newer, older), compare_cann(older, older)) == (-1, 1, 0)


@pytest.mark.parametrize(("older", "newer"), list(itertools.combinations(DRIVERS, 2)))
def test_driver(older: str, newer: str) -> None:
    assert (compare_driver(older, newer), compare_driver(newer, older), compare_driver(older, older)) == (-1, 1, 0)


@pytest.mark.parametrize(
    "names",
    [
        ("8.0.RC1.beta1", "8.0.RC1", "8.0.rc1", " 8.0.RC1\n", "8.0.0.RC1"),
        ("8.0.0.beta1", "8.0.0", "8.0"),
        ("25.2", "25.2.0", "25.2.0.0"),
        ("25.0.rc1", "25.0.RC1", "25.0rc1", "25.0.rc1.0", "25.0.rc.1"),
        ("9.1.0.beta.1", "9.1.0-beta.1", "9.1.0-beta1"),
    ],
)
def test_names_of_one_version(names: tuple[str, ...]) -> None:
    for one, other in itertools.product(names, names):
        assert compare_cann(one, other) == 0


@pytest.mark.parametrize(
    ("odd", "other", "order"),
    [
        ("24.1.rc2-custom", "24.1.rc1", 1),
        ("24.1.rc3.SPC002", "24.1.rc1", 1),
        ("24.1.rc3.SPC002", "25.0.rc1", -1),
        ("24.1.rc2.c010", "24.1.rc1.b030", 1),
        ("24.1.0-custom", "24.1.rc2", 1),  # 24.1.0 and what comes behind it
        ("25.x", "24.1.rc1", 1),
        ("23-lts", "24.1.rc1", -1),
        ("25.5.0-1", "25.0.rc1", 1),
        ("8.5.weird", "8.0.RC1", 1),
        ("24.1.rc2.2-a", "24.1.rc2.3-b", -1),
    ],
)
def test_a_readable_beginning_decides(odd: str, other: str, order: int) -> None:
    assert (compare_driver(odd, other), compare_driver(other, odd)) == (order, -order)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("24.1.rc1-custom", "24.1.rc1"),
        ("24.1.rc1.SPC002", "24.1.rc1"),
        ("24.1.rc1.SPC002", "24.1.rc1.2"),
        ("24.1-custom", "24.1.rc1"),  # a candidate of 24.1, or 24.1 itself?
        ("24.1.rc2x", "24.1.rc2"),
        ("24.1.rc1.b030.5", "24.1.rc1.b030"),
        ("25.5.0-1", "25.5.0"),
        ("24.1.rc1-a", "24.1.rc1-b"),
        ("24.1.rc1-a", "24.1.rc1.2-b"),
        ("xxx.xxx.xxx", "24.1.rc1"),
        ("rc1", "24.1.rc1"),
        ("v8.0.0", "8.0.0"),
        ("8.0.RC", "8.0.RC1"),
        ("8.0.RC1.gamma1", "8.0.RC1"),
        ("8.0.RC1 8.0.RC2", "8.0.RC1"),
        ("24.1.rc1.rc2", "24.1.rc1"),
        ("latest", "8.0.0"),
        ("", "8.0.0"),
    ],
)
def test_an_order_that_nobody_knows(one: str, other: str) -> None:
    for pair in ((one, other), (other, one)):
        with pytest.raises(AscendError, match="cannot compare two versions"):
            compare_driver(*pair)


def test_a_version_without_an_order_is_still_itself() -> None:
    assert compare_driver("24.1.rc1-custom", "24.1.RC1-custom") == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("24.1.rc1", "24.1.rc1.b030", True),
        ("24.1.rc1", "24.1.RC1.2", True),
        ("25.2.0", "25.2.3", True),
        ("24.1.0", "24.1.0.1", True),
        ("24.1.rc1", "24.1.rc2", False),
        ("24.1.rc1", "24.1.0", False),
        ("24.1.rc1", "23.0.7", False),
        ("24.1-custom", "24.1.rc1", False),
        ("24.1-custom", "24.1-custom", False),
        ("", "", False),
    ],
)
def test_lines_of_maintenance(one: str, other: str, same: bool) -> None:
    assert (same_branch(one, other), same_branch(other, one)) == (same, same)


VERSIONS = st.builds(
    lambda a, b, c, pre: f"{a}.{b}.{c}{pre}",
    st.integers(0, 30),
    st.integers(0, 9),
    st.one_of(st.integers(0, 9).map(str), st.integers(1, 9).map(lambda n: f"RC{n}"), st.just("rc1.2"), st.just("T3")),
    st.sampled_from(["", ".alpha001", ".alpha002", ".b030", "-beta.1", ".beta1"]),
)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_it_is_an_order(one: str, two: str, three: str) -> None:
    assert compare_cann(one, two) == -compare_cann(two, one)
    if compare_cann(one, two) <= 0 and compare_cann(two, three) <= 0:
        assert compare_cann(one, three) <= 0


def order(one: str, other: str) -> int | str:
    """Return the order, or "unknown", and hold that it does not depend on which comes first."""
    try:
        found = compare_driver(one, other)
    except AscendError:
        with pytest.raises(AscendError, match="cannot compare two versions"):
            compare_driver(other, one)
        return "unknown"
    assert compare_driver(other, one) == -found
    return found


@given(st.text("0123456789.rctbSPC-ahlpe ", max_size=20), st.text("0123456789.rctb-", max_size=12))
def test_any_text_has_an_order_or_the_one_error(one: str, other: str) -> None:
    for pair in ((one, other), (one, "24.1.rc1"), (one, one)):
        assert order(*pair) in (-1, 0, 1, "unknown")


def test_the_fields_versions() -> None:
    """Every driver's version in the tables of real nodes; only documents have an x for a number."""
    tables = samples.expected("npu_smi_info")["samples"].values()
    found = {version for table in tables for version in (table["driver"], table["tool"]) if version}
    assert len(found) > 15
    odd = {version for version in found if order(version, "9999.0") != -1}
    assert {version.replace("x", "") for version in odd} == {"", ".."}
