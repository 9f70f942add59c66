# SPDX-License-Identifier: Apache-2.0
"""What killed runs leave is found by its name and removed; nothing else is."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import leftovers
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import Places

# Of a run that was killed, each with something in it where it is a folder.
LEFT = (
    "tmp/ascend-fleet-4711-x1y2z3/selfgz12/install.sh",
    "cache/0123456789abcdef/package.run.part",
    "ascend/env/.building-8.0.RC1-0123/cache/wheel",
    "ascend/python/.partial-3.10.13/python/bin/python3",
    "ascend/python/.replaced-3.10.13/bin/python3",
    "state/journal.jsonl.part",
    "state/manifests/toolkit-8.0.RC1.json.part",
    "bin/.ansible_tmp1a2b3cascend-env",
)
KEPT = (
    f"tmp/ascend-fleet-{os.getpid()}-mine/file",
    "tmp/ascend-fleet-x/file",
    "tmp/selfgz123/install.sh",
    "tmp/other.part",
    "cache/0123456789abcdef/package.run",
    "cache/somebody/package.run.part",
    "cache/movie.part",
    "ascend/env/8.0.RC1-0123/bin/python",
    "ascend/env/8.0.RC1-0123/data.part",
    "ascend/env/.hidden/file",
    "ascend/python/3.10.13/bin/python3",
    "state/manifests/toolkit-8.0.RC1.json",
    "state/run",
    "bin/ascend-env",
    "bin/.ansible_tmp1a2b3cother",
)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setattr(leftovers, "ASCEND_ENV", str(tmp_path / "bin/ascend-env"))
    for name in LEFT + KEPT:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for link in ("current", "current.part", "previous.part"):
        (tmp_path / "ascend/env" / link).symlink_to("8.0.RC1-0123")
    folders = ("cann", "ascend", "cache", "state", "tmp")
    return Places(*(str(tmp_path / name) for name in folders))


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


def test_what_killed_runs_leave_goes_and_all_else_stays(places: Places, tmp_path: Path) -> None:
    found = leftovers.leftovers(places)
    assert len(found) == len(LEFT) + 2
    assert leftovers.clean(places) == found
    assert everything(tmp_path) == {*KEPT, "ascend/env/current"}
    assert not any(os.path.lexists(path) for path in found)
    assert leftovers.clean(places) == []


def test_a_new_node_has_none(tmp_path: Path) -> None:
    nowhere = Places(*(str(tmp_path / name) for name in "abcde"))
    assert leftovers.clean(nowhere) == []
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_removed_and_not_what_it_leads_to(places: Places, tmp_path: Path) -> None:
    (tmp_path / "ascend/env/.building-x").symlink_to(tmp_path / "ascend/env/8.0.RC1-0123")
    leftovers.clean(places)
    assert not (tmp_path / "ascend/env/.building-x").is_symlink()
    assert (tmp_path / "ascend/env/8.0.RC1-0123/bin/python").is_file()


def test_what_others_own_is_theirs(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert leftovers.clean(places) == []


def test_what_cannot_be_removed_is_said(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(path: str, **_more: Any) -> NoReturn:
        raise OSError(errno.EBUSY, "Device or resource busy", path)

    monkeypatch.setattr(shutil, "rmtree", busy)
    with pytest.raises(AscendError, match="Device or resource busy") as raised:
        leftovers.clean(places)
    assert raised.value.where.endswith("/.building-8.0.RC1-0123")
    assert all(raised.value.as_dict().values())
