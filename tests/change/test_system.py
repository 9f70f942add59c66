# SPDX-License-Identifier: Apache-2.0
"""A node as a vendor delivers it and a baseline hardened it, with places of its own. The tests run in this order."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.change.disks import mounted
from tests.change.fleet import EVERYTHING, NEW, Fleet, sh

pytestmark = pytest.mark.faults

PLACES = {
    "ascend_root": "/data/ascend/tree",
    "ascend_cache_dir": "/data/ascend/cache",
    "ascend_state_dir": "/data/ascend/state",
    "ascend_tmp_dir": "/data/unpack",
}
DEFAULTS = "/opt/ascend /var/cache/ascend-fleet /var/lib/ascend-fleet"
PORTS = "/proc/sys/net/ipv4/ip_local_reserved_ports"
DROP_INS = "/etc/sysctl.d/60-ascend-fleet.conf /etc/security/limits.d/60-ascend-fleet.conf"
HARDWARE = "card_count=1 driver_version=25.2.0 firmware_version=7.7.0.1.231"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Fleet]:
    """One bare node, on which somebody has reserved a port of his own."""
    fleet = Fleet("ascend-system", tmp_path_factory.mktemp("system") / "state", cache_dir / "change")
    fleet.command("down")
    fleet.packages()
    fleet.command("up", "--nodes", "1", "--depot", str(fleet.cache / "depot"))
    sh(fleet.node(1), f"ascend-sim set {HARDWARE}; echo 8080 >{PORTS}")
    mounted(fleet.node(1), "-t", "tmpfs", "-o", "noexec,mode=1777", "tmpfs", "/var/tmp")
    fleet.bare = sh(fleet.node(1), EVERYTHING).splitlines()
    yield fleet
    fleet.command("down")


def login(fleet: Fleet, command: str) -> str:
    """What a login of its own says: a connection that was there before has the limits of before."""
    node = json.loads((fleet.state / "fleet.json").read_text(encoding="utf-8"))["nodes"][fleet.node(1)]["vars"]
    argv = ["ssh", "-i", node["ansible_ssh_private_key_file"], *shlex.split(node["ansible_ssh_common_args"])]
    argv += ["-o", "ControlPath=none", f"root@{node['ansible_host']}", command]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def drift(fleet: Fleet, *options: str) -> Any:
    return fleet.playbook("playbooks/drift.yml", "-e", f"drift_dir={fleet.state}/drift", *options)


def test_noexec_is_refused_before_anything_is_fetched(fleet: Fleet) -> None:
    node = fleet.node(1)
    run = fleet.site()
    assert (run.code, run.recap[node]["changed"]) == (2, 0), run.output[-4000:]
    assert "programs start from /var/tmp" in run.output
    assert "ascend_tmp_dir" in run.output
    assert sorted(sh(node, EVERYTHING).splitlines()) == sorted(fleet.bare)


def test_all_places_elsewhere_and_the_system_set(fleet: Fleet) -> None:
    node = fleet.node(1)
    fleet.hosts[node] = dict(PLACES)
    checked = fleet.site("--check", "--diff")
    assert checked.code == 0, checked.output[-4000:]
    assert sh(node, f"cat {PORTS}").strip() == "8080"
    run = fleet.site()
    assert run.code == 0, run.output[-6000:]
    assert "net.ipv4.ip_local_reserved_ports is 8080, not 8080,60000-60015" in run.output
    assert "the limit nofile is 4096, not 8192" in run.output
    assert sh(node, f"cat {PORTS}").strip() == "8080,60000-60015"
    assert sh(node, f"ls -d {DEFAULTS}", check=False) == ""
    assert sh(node, "readlink -f /data/ascend/tree/env/current").startswith(f"/data/ascend/tree/env/{NEW}-")
    assert "0.9" in sh(node, "env -i /usr/local/bin/ascend-env llamafactory-cli version")
    assert "8192 8192" in login(fleet, "echo $(ulimit -Hn) $(ulimit -Sn)")


def test_nothing_is_left_to_do_and_drift_is_clean(fleet: Fleet) -> None:
    again = fleet.site()
    assert (again.code, again.recap[fleet.node(1)]["changed"]) == (0, 0), again.output[-3000:]
    clean = drift(fleet)
    assert clean.code == 0, clean.output[-3000:]


def test_a_full_disk_and_a_lost_setting_are_drift(fleet: Fleet) -> None:
    node = fleet.node(1)
    mounted(node, "-t", "tmpfs", "-o", "size=20m", "tmpfs", "/tmp")
    sh(node, f"dd if=/dev/zero of=/tmp/filler bs=1M count=19 2>/dev/null; echo 8080 >{PORTS}")
    told = drift(fleet)
    assert told.code == 2, told.output[-3000:]
    assert "the file system of /tmp is nearly full" in told.output
    assert "net.ipv4.ip_local_reserved_ports is 8080" in told.output
    sh(node, "umount /tmp 2>/dev/null; rm -f /tmp/filler", check=False)
    run = fleet.site()
    assert run.code == 0, run.output[-3000:]
    assert sh(node, f"cat {PORTS}").strip() == "8080,60000-60015"


def test_everything_goes_and_the_kernel_has_what_it_had(fleet: Fleet) -> None:
    node = fleet.node(1)
    run = fleet.playbook("playbooks/remove.yml", "-e", "remove_everything=true", "-e", "remove_force=true")
    assert run.code == 0, run.output[-3000:]
    assert sh(node, f"cat {PORTS}").strip() == "8080"
    assert sh(node, f"ls -d {DROP_INS} /data", check=False) == ""
    logs = "/var/log/ascend_seclog"
    now = {line for line in sh(node, EVERYTHING).splitlines() if not line.startswith(logs)}
    assert {line for line in now.symmetric_difference(fleet.bare) if "ascend" in line.lower()} == set()
