# SPDX-License-Identifier: Apache-2.0
"""Events for machines: a JSON object a line, as docs/events.schema.json says; and what is wrong with their file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.events import Events


def test_events_are_added_at_once_and_hold_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(2):
        events = Events(str(path))
        assert events.write("node", node="npu-1", message=f"--sk Zq7xK9m4rk {number}") == ""
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line["message"] for line in lines] == [f"--sk *** {number}" for number in range(number + 1)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_is_named_with_the_next_command(tmp_path: Path) -> None:
    with pytest.raises(AscendError, match="no-such/events"):
        Events(str(tmp_path / "no-such" / "events.jsonl"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_ends_the_events_and_not_the_run() -> None:
    events = Events("/dev/full")
    assert "No space left on device" in events.write("play", play="x")
    assert events.write("play", play="x") == "", "once is enough"
