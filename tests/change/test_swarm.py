# SPDX-License-Identifier: Apache-2.0
"""The depot's files from node to node (BitTorrent, the real libtorrent), and through SSH where that does not go on."""

from __future__ import annotations

import re
import subprocess

import image
import pytest

from tests.change.fleet import Fleet, leftovers, sh, slow

pytestmark = pytest.mark.faults

SWARM = ("-e", "ascend_depot_url=", "-e", "depot_transport=swarm")
CACHE = "/var/cache/ascend-fleet"
WHEEL = "libtorrent-*.whl"


def ends_when_it_has_begun(node: str) -> subprocess.Popen[str]:
    """Kill the node's peer as soon as it says how far it is."""
    began = f"test -e {CACHE}/swarm/files/status && pkill -KILL -u nobody -f '[s]warm/peer.py'"
    argv = ["exec", node, "sh", "-c", f"for _ in $(seq 1200); do {began} && exit; sleep 0.1; done; exit 1"]
    return subprocess.Popen([*image.as_root(), "podman", *argv], text=True)


@pytest.mark.whole  # tests/unit/depot/test_swarm.py has it with real peers of one machine
def test_the_depot_gives_each_file_once_and_a_node_without_peer_is_sent_the_rest(base: Fleet) -> None:
    base.hosts.clear()
    one, two, third = nodes = base.grow(3)
    for node in nodes:
        sh(node, f"rm -rf {CACHE}/*")
    filled = base.playbook("playbooks/depot.yml", *SWARM)
    assert filled.code == 0, filled.output[-6000:]
    slow(third, "20mbit")
    killer = ends_when_it_has_begun(third)
    run = base.site("--limit", ",".join(nodes), "--tags", "stage", *SWARM)
    slow(third, "")
    assert (run.code, killer.wait(60)) == (0, 0), run.output[-6000:]
    sent = {node: re.findall(rf"^{node}: ([\d.]+) MB sent in", run.output, re.MULTILINE) for node in nodes}
    wheels = {node: int(sh(node, f"stat -c %s {CACHE}/*/{WHEEL}")) for node in nodes}
    assert [sent[node] for node in (one, two)] == [[f"{wheels[node] / 1e6:.1f}"] for node in (one, two)]
    warned = " ".join(run.output.split())
    assert (
        f"{third} did not get everything from the swarm, so the depot sends the rest. Found: its peer ended" in warned
    )
    assert len(sent[third]) == 2
    for node in (one, two):
        assert f"{node} did not get everything" not in warned
    # All have the same, and nothing of the swarm is left, on the nodes and here.
    listed = [sh(node, f"cd {CACHE} && find . -type f ! -name '{WHEEL}' | sort | xargs sha256sum") for node in nodes]
    assert listed[0].count("\n") > 8
    assert listed[0] == listed[1] == listed[2]
    owners = f"find {CACHE} ! -user root; pgrep -u nobody; ls -d {CACHE}/swarm {CACHE}/incoming 2>/dev/null"
    assert [sh(node, owners, check=False) for node in nodes] == ["", "", ""]
    assert [leftovers(node) for node in nodes] == [[], [], []]
    here = subprocess.run(
        ["pgrep", "-f", "swarm/[p]eer.py.*/swarm/job.json"], capture_output=True, text=True, check=False
    )
    assert [pid for pid in here.stdout.split() if "ansible-local" in _command(pid)] == []


def _command(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as stream:
            return stream.read()
    except OSError:
        return ""
