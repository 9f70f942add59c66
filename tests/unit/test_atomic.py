# SPDX-License-Identifier: Apache-2.0
"""What cannot be removed is told, with a command that shows why."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import atomic
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError


def test_what_cannot_be_removed_is_told_with_a_command_that_works(tmp_path: Path) -> None:
    folder = tmp_path / "it's in use"
    folder.mkdir()
    with pytest.raises(AscendError) as raised, atomic.removing(str(folder), "it stays"):
        raise OSError(16, "Device or resource busy", str(folder))
    told = raised.value.as_dict()
    assert (told["problem"], told["wanted"], told["where"]) == ("it stays", "none of its files", str(folder))
    assert "Device or resource busy" in told["found"]
    shown = told["remedy"].partition(";")[0]
    done = subprocess.run(["/bin/sh", "-c", shown], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_goes_and_what_else_is_wrong_passes(tmp_path: Path) -> None:
    with atomic.removing(str(tmp_path), "it stays"):
        atomic.remove(str(tmp_path / "absent"))
    with pytest.raises(KeyError), atomic.removing(str(tmp_path), "it stays"):
        raise KeyError("not of the disk")
