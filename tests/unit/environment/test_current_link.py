# SPDX-License-Identifier: Apache-2.0
"""The links ``current`` and ``previous``: each is switched in one step, so a job finds one environment or the other."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import (
    build as environment,
    read as environment_read,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError


@pytest.fixture
def link(tmp_path: Path) -> Path:
    """Two finished environments, the older one current."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / environment_read.RECEIPT).write_text("{}")
    (tmp_path / "current").symlink_to("old")
    return tmp_path / "current"


def previous(link: Path) -> str:
    return os.readlink(link.with_name(environment_read.PREVIOUS))


def test_what_was_current_becomes_previous(link: Path) -> None:
    environment.make_current(str(link.with_name("new")), str(link))
    assert (os.readlink(link), previous(link)) == ("new", "old")
    environment.make_current(str(link.with_name("old")), str(link))
    assert (os.readlink(link), previous(link)) == ("old", "new")


def test_the_same_one_again_keeps_the_way_back(link: Path) -> None:
    environment.make_current(str(link.with_name("new")), str(link))
    environment.make_current(str(link.with_name("new")), str(link))
    assert (os.readlink(link), previous(link)) == ("new", "old")


def test_at_every_call_the_link_leads_to_a_finished_environment(link: Path) -> None:
    seen = []

    def look(_frame: Any, event: str, function: Any) -> None:
        """After each call into the operating system, as a job that starts just then."""
        if event == "c_return" and getattr(function, "__module__", "") == "posix":
            sys.setprofile(None)
            seen.append((function.__name__, os.path.realpath(link)))
            sys.setprofile(look)

    sys.setprofile(look)
    try:
        environment.make_current(str(link.with_name("new")), str(link))
    finally:
        sys.setprofile(None)
    both = [str(link.with_name("old")), str(link.with_name("new"))]
    assert [name for name, _ in seen].count("symlink") == 2, "the calls were seen"
    assert {led for _, led in seen} == set(both)
    order = [both.index(led) for _, led in seen]
    assert order == sorted(order)


def test_an_environment_without_its_record_does_not_become_current(link: Path) -> None:
    (link.with_name("new") / environment_read.RECEIPT).unlink()
    with pytest.raises(AscendError, match="an unfinished environment"):
        environment.make_current(str(link.with_name("new")), str(link))
    assert os.readlink(link) == "old"
