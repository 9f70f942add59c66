# SPDX-License-Identifier: Apache-2.0
"""Variables that an inventory sets, each by a run: two groups of bare nodes, each with another depot and release.

The depot is behind this machine's nginx with the block of docs/operations.md, over https; the other group has a mount.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import image
import pytest
import yaml

from tests import served
from tests.change.fleet import LATER, NEW, OLD, Fleet, sh
from tests.contract.tree import run
from tests.playbook_run import Run

# Places elsewhere: test_system.py; what a group says: tests/unit/plan, tests/contract/test_rollout_batches.py.
pytestmark = [pytest.mark.faults, pytest.mark.whole]

NAME = "ascend-variables"
ELSEWHERE = "/data/Ascend"
# The driver that the older release wants at least, and the newer one does not take.
OLDER_DRIVER = "card_count=1 driver_version=24.1.rc1 firmware_version=7.1.0.6.220"
PYTHON = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


class Inventory:
    """A folder with the fleet's nodes in two groups, each with its variables in group_vars."""

    def __init__(self, fleet: Fleet, folder: Path, depot: Path) -> None:
        self.fleet, self.folder, self.depot = fleet, folder, depot
        self.secure, self.mounted = fleet.node(1), fleet.node(2)

    def write(self, **groups: dict[str, Any]) -> None:
        told = json.loads(self.fleet.inventory().read_text())["all"]
        common = {
            name: value for name, value in told["vars"].items() if name not in ("ascend_release", "ascend_depot_url")
        }
        hosts = told["children"]["ascend"]["hosts"]
        children = {
            group: {"hosts": {node: hosts[node]}}
            for group, node in (("secure", self.secure), ("mounted", self.mounted))
        }
        (self.folder / "group_vars").mkdir(parents=True, exist_ok=True)
        (self.folder / "hosts.yml").write_text(yaml.safe_dump({"ascend": {"children": children}}))
        for group, variables in {**groups, "all": {**common, **groups.get("all", {})}}.items():
            (self.folder / "group_vars" / f"{group}.yml").write_text(yaml.safe_dump(variables))

    def play(self, playbook: str, *words: str) -> Run:
        argv = [str(self.fleet.tools / "ansible-playbook"), playbook, "-i", str(self.folder), *words]
        sockets = str(self.fleet.state / "ssh")
        done = run(argv, env={"ANSIBLE_NOCOLOR": "1", "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets}, timeout_s=1800)
        return Run(done.returncode, done.stdout)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Inventory]:
    fleet = Fleet(NAME, tmp_path_factory.mktemp("variables") / "state", cache_dir / "variables")
    fleet.command("down")
    fleet.packages()
    fleet.command("up", "--nodes", "2")
    for number in (1, 2):
        sh(fleet.node(number), f"ascend-sim set {OLDER_DRIVER}")
    # Not below a home, since the web server's account has to get there.
    with tempfile.TemporaryDirectory(prefix="ascend-depot-") as place:
        Path(place).chmod(0o755)
        yield Inventory(fleet, fleet.state / "inventory", Path(place) / "depot")
    fleet.command("down")


def gateway(inventory: Inventory) -> str:
    """This machine's address in the fleet's network."""
    nodes = json.loads((inventory.fleet.state / "fleet.json").read_text())["nodes"]
    return str(nodes[inventory.secure]["address"]).rsplit(".", 1)[0] + ".1"


def test_two_groups_by_their_own_variables(inventory: Inventory, tmp_path_factory: pytest.TempPathFactory) -> None:
    fleet, secure, mounted = inventory.fleet, inventory.secure, inventory.mounted
    depot, incoming = inventory.depot, fleet.cache / "standin" / "incoming"
    packages = [path for path in sorted(incoming.glob("*.run")) if LATER not in path.name]
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in packages}
    everywhere = {"depot_python": PYTHON, "rollout_batches": [2], "ascend_depot_dir": str(depot)}
    mount = {"ascend_depot_url": "file:///mnt/depot", "ascend_release": NEW}
    other = {"ascend_release": OLD, "cann_root": ELSEWHERE}

    # A package of another sum is not taken.
    wrong = {packages[0].name: "0" * 64}
    inventory.write(all={**everywhere, "depot_cann_sha256": wrong}, secure=other, mounted=mount)
    refused = inventory.play("playbooks/depot.yml")
    assert refused.code == 2
    assert "your package does not match the checksum that you gave" in refused.output
    inventory.write(all={**everywhere, "depot_cann_sha256": sums}, secure=other, mounted=mount)
    filled = inventory.play("playbooks/depot.yml")
    assert filled.code == 0, filled.output[-4000:]
    assert "no sum of it is known" not in filled.output
    index = json.loads((depot / "index.json").read_text())
    assert sorted(index["locks"]) == [OLD, NEW]
    series = "{}.{}".format(*sys.version_info)
    version = ".".join(map(str, sys.version_info[:3]))
    assert index["pythons"]["x86_64"][series]["version"] == version, "depot_python is what it was made from"

    place = Path(tmp_path_factory.mktemp("tls"))
    for folder in (place, *place.parents):
        if folder != Path("/tmp") and folder.is_relative_to("/tmp"):
            folder.chmod(0o755)
    authority, certificate, key = served.authority(place, gateway(inventory))
    image.podman("cp", str(authority), f"{secure}:/usr/local/share/ca-certificates/depot.crt")
    sh(secure, "update-ca-certificates")
    sh(mounted, "mkdir -p /mnt")
    image.podman("cp", str(depot), f"{mounted}:/mnt/depot")
    replaced = {r"/etc/ssl/depot\.crt": str(certificate), r"/etc/ssl/depot\.key": str(key)}
    with served.nginx(depot, served.documented(secure=True), replaced, gateway(inventory)) as address:
        other["ascend_depot_url"] = f"https://{address}"
        inventory.write(all={**everywhere, "depot_cann_sha256": sums}, secure=other, mounted=mount)
        # The newer release refuses the driver, unless the group says otherwise.
        refused = inventory.play("site.yml", "--check", "--limit", mounted)
        assert refused.code == 2
        assert "driver" in refused.said(mounted), refused.output[-4000:]
        mount["ascend_driver_policy"] = "warn"
        inventory.write(all={**everywhere, "depot_cann_sha256": sums}, secure=other, mounted=mount)
        run = inventory.play("site.yml")
    assert run.code == 0, run.output[-6000:]
    assert run.output.count("PLAY [Provision the nodes whose plan is not empty]") == 1, "both are one batch"
    facts = fleet.facts([secure, mounted])
    assert facts[mounted]["environments"]["current"].startswith(NEW)
    assert facts[mounted]["cann"]["latest"] == NEW
    assert facts[secure]["environments"]["current"].startswith(OLD)
    current = facts[secure]["environments"]["current"]
    assert facts[secure]["environments"]["all"][current]["cann_home"] == f"{ELSEWHERE}/ascend-toolkit/{OLD}"
    told = sh(secure, f"ls {ELSEWHERE}/ascend-toolkit; ls /usr/local/Ascend; ascend-env python -c 'import torch_npu'")
    assert OLD in told.split()
    assert "ascend-toolkit" not in told.split()


def test_what_lies_elsewhere_is_removed_there(inventory: Inventory) -> None:
    run = inventory.play(
        "playbooks/remove.yml", "--limit", inventory.secure, "-e", "remove_everything=true", "-e", "remove_force=true"
    )
    assert run.code == 0, run.output[-4000:]
    assert sh(inventory.secure, "ls -d /data /opt/ascend 2>/dev/null", False) == "", (
        "nor the folder that was made above it"
    )
