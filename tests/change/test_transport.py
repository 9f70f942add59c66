# SPDX-License-Identifier: Apache-2.0
"""The depot's files through SSH, over a slow link, ended in the middle."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from tests.change.fleet import Fleet, leftovers, sh, slow

pytestmark = pytest.mark.faults

STAGE = ("--tags", "stage", "-e", "ascend_depot_url=")
INCOMING = "/var/cache/ascend-fleet/incoming"
MB = 1024 * 1024


def came(node: str) -> int:
    """How many bytes are in the folder of what arrives."""
    return int(sh(node, f"cat {INCOMING}/* 2>/dev/null | wc -c", check=False) or 0)


def test_what_is_ended_in_the_middle_goes_on_there(base: Fleet) -> None:
    base.hosts.clear()
    (node,) = base.grow(1)
    sh(node, "rm -rf /var/cache/ascend-fleet/*")  # with uv, of 50 MB
    slow(node, "80mbit")
    run = base.start("site.yml", "--limit", node, *STAGE)
    until = time.monotonic() + 120
    while came(node) < 6 * MB and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    base.finish(run)
    slow(node, "")
    time.sleep(1)  # for what was on its way
    have = came(node)
    assert have >= 6 * MB
    again = base.site("--limit", node, *STAGE)
    assert again.code == 0, again.output[-6000:]
    files = sh(node, "find /var/cache/ascend-fleet -type f -printf '%s\\n'").split()
    sent = re.findall(rf"^{node}: (\d+) MB sent in", again.output, re.MULTILINE)
    assert int(sent[0]) * 1_000_000 <= sum(int(size) for size in files) - have + 2 * MB
    assert leftovers(node) == []
    third = base.site("--limit", node, *STAGE)
    assert (third.code, "sent in" in third.output) == (0, False), third.output[-3000:]
