# SPDX-License-Identifier: Apache-2.0
"""The order of CANN's and the driver's versions."""

from __future__ import annotations

import itertools

import pytest
from ansible.module_utils.ascend.errors import AscendError
from ansible.module_utils.ascend.versions import compare_cann, compare_driver
from hypothesis import given
from hypothesis import strategies as st

CANN = ["7.0.0", "8.0.RC1.alpha001", "8.0.RC1.alpha003", "8.0.RC1", "8.0.RC2", "8.0.RC3", "8.0.0", "8.0.1", "8.1.RC1"]
DRIVERS = ["22.0.4", "23.0.6.2", "23.0.6.3", "24.1.rc1", "24.1.rc1.b030", "24.1.rc2", "24.1.0", "24.1.0.1", "25.2.0"]


@pytest.mark.parametrize(("older", "newer"), list(itertools.combinations(CANN, 2)))
def test_cann(older: str, newer: str) -> None:
    assert (compare_cann(older, newer), compare_cann(newer, older), compare_cann(older, older)) == (-1, 1, 0)


@pytest.mark.parametrize(("older", "newer"), list(itertools.combinations(DRIVERS, 2)))
def test_driver(older: str, newer: str) -> None:
    assert (compare_driver(older, newer), compare_driver(newer, older), compare_driver(older, older)) == (-1, 1, 0)


def test_the_community_name_is_the_same_version() -> None:
    assert compare_cann("8.0.RC1.beta1", "8.0.RC1") == 0
    assert compare_cann("8.0.rc1", "8.0.RC1") == 0


@pytest.mark.parametrize("text", ["", "latest", "8.0.RC", "8.0.RC1.gamma1", "v8.0.0", "8.0.RC1 8.0.RC2"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(AscendError, match="wanted: a version such as"):
        compare_cann(text, "8.0.0")


VERSIONS = st.builds(
    lambda a, b, c, pre: f"{a}.{b}.{c}{pre}",
    st.integers(0, 30),
    st.integers(0, 9),
    st.one_of(st.integers(0, 9).map(str), st.integers(1, 9).map(lambda n: f"RC{n}")),
    st.sampled_from(["", ".alpha001", ".alpha002"]),
)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_it_is_an_order(one: str, two: str, three: str) -> None:
    assert compare_cann(one, two) == -compare_cann(two, one)
    if compare_cann(one, two) <= 0 and compare_cann(two, three) <= 0:
        assert compare_cann(one, three) <= 0
