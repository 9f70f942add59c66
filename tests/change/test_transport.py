# SPDX-License-Identifier: Apache-2.0
"""The depot's files through SSH, over a slow link, ended in the middle."""

from __future__ import annotations

import os
import re
import signal
import time
import urllib.error
import urllib.request

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
    sent = re.findall(rf"^{node}: ([\d.]+) MB sent in", again.output, re.MULTILINE)
    assert float(sent[0]) * 1_000_000 <= sum(int(size) for size in files) - have + 2 * MB
    assert leftovers(node) == []
    third = base.site("--limit", node, *STAGE)
    assert (third.code, "sent in" in third.output) == (0, False), third.output[-3000:]


def status(url: str, method: str, headers: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.whole  # tests/unit/depot/test_mirror.py has it with servers of one machine
def test_a_mirror_is_filled_once_and_a_dead_one_is_replaced_by_the_depot(base: Fleet) -> None:
    """The mirror is a host beside the fleet, with the distribution's nginx; its nodes name it."""
    base.hosts.clear()
    mirror, one, two = base.grow(3)
    base.beside = {"depot_mirrors": [mirror]}
    for node in (one, two):
        base.hosts[node] = {"depot_mirror": mirror}
        sh(node, "rm -rf /var/cache/ascend-fleet/*")
    try:
        run = base.site("--limit", f"{one},{two},{mirror},localhost", *STAGE)
        assert run.code == 0, run.output[-6000:]
        assert re.search(rf"^{mirror}: [\d.]+ MB sent in", run.output, re.MULTILINE), run.output[-6000:]
        assert not re.search(rf"^(?:{one}|{two}): .* sent in", run.output, re.MULTILINE), "the mirror has all"
        assert len(re.findall(rf"^(?:{one}|{two}): [\d.]+ MB fetched in", run.output, re.MULTILINE)) == 2
        served = sh(mirror, "find /srv/ascend-mirror -type f -printf '%f\\n' | sort").split()
        cache = "find /var/cache/ascend-fleet -type f -printf '%f\\n' | sort"
        assert len(served) == len(sh(one, cache).split()) == len(sh(two, cache).split())
        # It answers with files alone, in ranges; and a second run starts nothing anew.
        place = f"http://{base.address(mirror)}:8080"
        part = {"Range": "bytes=1-2"}
        asked = [("", "GET", {}), (served[0], "GET", {}), (served[0], "GET", part), (served[0], "PUT", {})]
        codes = [status(f"{place}/{name}", method, headers) for name, method, headers in asked]
        assert codes == [403, 200, 206, 403]
        began = sh(mirror, "stat -c %Y /run/ascend-fleet-depot/nginx.pid")
        again = base.site("--limit", f"{one},{two},{mirror},localhost", *STAGE)
        assert (again.code, again.recap[mirror]["changed"]) == (0, 0), again.output[-4000:]
        assert sh(mirror, "stat -c %Y /run/ascend-fleet-depot/nginx.pid") == began
        # What the nodes need stays, however old it is.
        stale = "0" * 64
        sh(mirror, f"touch /srv/ascend-mirror/{stale} && touch -d '60 days ago' /srv/ascend-mirror/*")
        pruned = base.playbook("playbooks/prune_mirrors.yml", "--limit", mirror)
        assert (pruned.code, pruned.recap[mirror]["changed"]) == (0, 1), pruned.output[-4000:]
        assert f"remove  /srv/ascend-mirror/{stale}" in pruned.output
        assert sh(mirror, "find /srv/ascend-mirror -type f -printf '%f\\n' | sort").split() == served
        sh(mirror, "kill $(cat /run/ascend-fleet-depot/nginx.pid)")
        sh(two, "rm -rf /var/cache/ascend-fleet/*")
        alone = base.site("--limit", two, *STAGE)
        assert alone.code == 0, alone.output[-4000:]
        assert f"The mirror {mirror} did not serve every file, so the depot sends the rest" in alone.output.replace(
            "\n", " "
        )
        assert re.search(rf"^{two}: [\d.]+ [kM]B sent in", alone.output, re.MULTILINE)
    finally:
        base.beside = {}


@pytest.mark.whole  # tests/unit/depot/test_sender.py breaks it without a node
def test_a_connection_that_breaks_in_the_middle_goes_on_there_in_the_same_run(base: Fleet) -> None:
    """The node's end of it is killed, with every session in it, and the playbook lives on."""
    base.hosts.clear()
    (node,) = base.grow(1)
    sh(node, "rm -rf /var/cache/ascend-fleet/*")
    slow(node, "80mbit")
    run = base.start("site.yml", "--limit", node, *STAGE)
    until = time.monotonic() + 120
    while came(node) < 6 * MB and time.monotonic() < until:
        time.sleep(0.1)
    have = came(node)
    # The node's first program is the sshd that listens: it has no login to lose.
    sh(node, "kill -KILL $(awk '$2 ~ /^.sshd/ && $1 != 1 {print $1}' /proc/[0-9]*/stat)")
    slow(node, "")
    done = base.finish(run)
    assert have >= 6 * MB
    assert done.code == 0, done.output[-6000:]
    broke = rf"^{node}: the connection broke after ([\d.]+) MB of ([\d.]+) MB \(.*\); it resumes from there$"
    ((far, total),) = re.findall(broke, done.output, re.MULTILINE)
    (rest,) = re.findall(rf"^{node}: ([\d.]+) MB sent in", done.output, re.MULTILINE)
    assert have <= float(far) * 1_000_000 + 100_000, "what came was sent before"
    assert float(rest) * 1_000_000 <= float(total) * 1_000_000 - have + 2 * MB
    assert (done.recap[node]["failed"], done.recap[node]["unreachable"]) == (0, 0)
    assert leftovers(node) == []
    again = base.site("--limit", node, *STAGE)
    assert (again.code, "sent in" in again.output) == (0, False), again.output[-3000:]
