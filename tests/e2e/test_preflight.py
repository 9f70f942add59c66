# SPDX-License-Identifier: Apache-2.0
"""Two nodes with the real torch before they train together: they do all_reduce over gloo, and what is wrong is found.

The nodes are copies of the one that the main job made (rack.py).
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.rack import Rack

pytestmark = [pytest.mark.e2e, pytest.mark.whole]  # copying a node takes minutes

# A clock that is a minute and a half ahead: what the node's programs load before all else.
CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
  int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
  int code = real(id, now);
  if (id == CLOCK_REALTIME) now->tv_sec += 90;
  return code;
}
"""
# Ranks of the job over both nodes, by what they were told; not those of a smoke test, and not torchrun itself.
RANKS = r"pgrep -f '^[^ ]*python[0-9.]* -u .*rack.py.*.counts.: .2, 2.'"


def test_two_nodes_do_all_reduce_over_gloo(pair: Rack) -> None:
    baseline = pair.state / "rack.json"
    run = pair.preflight("-e", f"preflight_write_baseline={baseline}")
    assert run.code == 0, run.output
    assert "2 of 2 nodes pass" in run.output
    assert "say nothing about the cards" in run.output
    report = pair.report()
    assert [row["bytes"] for row in report["all_reduce"]] == [65536, 1048576, 8388608]
    assert all(row["bus_gb_s"] > 0 for row in report["all_reduce"])
    assert sorted((pair.out / "passing.txt").read_text().split()) == pair.nodes
    assert (pair.out / "failing.txt").read_text().split() == ["!all"]
    assert sorted(json.loads(baseline.read_text())["nodes"]) == pair.nodes
    # Nothing is left on the nodes.
    assert [pair.sh(number, "ls -A /var/tmp /root/.ansible_async") for number in (1, 2)] == [
        "/root/.ansible_async:\n\n/var/tmp:\n"
    ] * 2


def test_what_is_wrong_is_found_before_ranks_start(pair: Rack, tmp_path: Path) -> None:
    (tmp_path / "clock.c").write_text(CLOCK)
    library = tmp_path / "clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "clock.c"], check=True)
    listener = "import socket, time; s = socket.create_server(('', 60003)); time.sleep(600)"
    subprocess.run(["podman", "cp", library, f"{pair.nodes[1]}:/opt/clock.so"], check=True)
    subprocess.run(["podman", "exec", "--detach", pair.nodes[0], "python3", "-c", listener], check=True)
    pair.sh(1, "ascend-sim set net_link.2=DOWN net_health.2=Success")
    pair.sh(2, "rm /data/model/b; echo /opt/clock.so > /etc/ld.so.preload")
    pair.interface(2, "eth9")
    run = pair.preflight()
    pair.sh(1, "pkill -f 'create_serve[r]'; ascend-sim unset net_link.2 net_health.2")
    pair.sh(2, "rm /etc/ld.so.preload; echo b > /data/model/b")
    pair.interface(2, "eth0")
    assert run.code == 2, run.output
    # Two nodes differ about the path, and nobody knows which is right.
    assert {name: sorted(found) for name, found in pair.failing().items()} == {
        pair.nodes[0]: ["network-link-down", "path-differs", "port-taken"],
        pair.nodes[1]: ["clock", "interface-absent", "path-differs"],
    }
    assert "60003: Address already in use" in run.output
    assert (pair.out / "passing.txt").read_text().split() == ["!all"]
    assert pair.report()["all_reduce"] == []


def test_a_rank_that_is_killed_ends_all_others_and_is_named(pair: Rack) -> None:
    # One that is in the midst of it: it has told of a size. Looked for on the node itself: a rank has seconds.
    told = "grep --quiet '\"size\"' /var/tmp/ascend-fleet-*/home/00000[23] 2>/dev/null"
    kill = f"until {told} && pids=$({RANKS}); do sleep 0.02; done; kill -9 ${{pids%%$'\\n'*}}"
    killer = subprocess.Popen(["podman", "exec", pair.nodes[1], "bash", "-c", kill])
    try:
        # Level long: it has work for some time.
        run = pair.preflight("-e", "preflight_level=long")
        assert killer.wait(5) == 0, run.output
    finally:
        killer.kill()
        pair.sh(2, "pkill -f 'until gre[p]'", check=False)
    assert run.code == 2, run.output
    assert pair.failing() == {pair.nodes[0]: ["not-proven"], pair.nodes[1]: ["all-reduce"]}, run.output
    assert "killed by signal 9" in run.output
    left = [pair.sh(number, "pgrep -af rack[.]py; true") for number in (1, 2)]
    assert left == ["", ""], left
