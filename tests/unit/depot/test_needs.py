# SPDX-License-Identifier: Apache-2.0
"""The depot is filled for the union of what the inventory's nodes have; inventory/prod shows a mixed fleet.

The playbook is the real one, with packages and wheels that stand in for the real ones; no node is reached.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.needs import needs
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import resolve
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import read_release
from tests.standin import build as standin
from tests.unit.depot.test_fill import package
from tests.unit.plan.planner_nodes import bare
from tests.unit.plan.test_wanted import settings

ROOT = Path(__file__).resolve().parents[3]
PROD = ROOT / "inventory" / "prod"
# Node -> release, architecture, the memory of a chip: what a person reads in inventory/prod.
FLEET = {
    "npu-001": ("8.0.RC1", "aarch64", 65536),
    "npu-002": ("8.2.RC1", "aarch64", 65536),
    "npu-101": ("8.0.RC1", "aarch64", 32768),
    "npu-201": ("8.0.RC1", "x86_64", 65536),
}
UNION = sorted({(release, architecture) for release, architecture, _ in FLEET.values()})


def ansible(*words: str | Path, code: int = 0) -> str:
    argv = [str(Path(sys.executable).with_name(str(words[0]))), *map(str, words[1:])]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_the_inventory_is_the_mixed_fleet_that_it_shows() -> None:
    told = json.loads(ansible("ansible-inventory", "-i", PROD, "--list"))["_meta"]["hostvars"]
    names = ("ascend_release", "depot_architectures", "ascend_card_memory_mb")
    assert {node: tuple(told[node][name] for name in names) for node in told} == {
        node: (release, [architecture], memory) for node, (release, architecture, memory) in FLEET.items()
    }


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """inventory/prod, with a depot below tmp_path and stand-ins for all that is taken."""
    inventory, incoming = tmp_path / "inventory", tmp_path / "incoming"
    shutil.copytree(PROD, inventory)
    for release in ("8.0.RC1", "8.2.RC1"):
        standin.build(tmp_path, release)
    for release, architecture in UNION:
        told = read_release(str(ROOT / "releases" / release))
        packages = [told["packages"]["toolkit"], *told["packages"]["kernels"].values()]
        for described in packages:
            # Kernels are one file for both architectures in some releases.
            file = described[architecture]["file"]
            package(incoming / file, *(machine for machine, other in described.items() if other["file"] == file))
        series = told["python"]["series"]
        (incoming / f"cpython-{series}.99-linux-{architecture}.tar.gz").write_bytes(b"python")
    everywhere = inventory / "group_vars" / "all.yml"
    own: dict[str, Any] = {
        "ascend_depot_dir": str(tmp_path / "depot"),
        "depot_incoming": str(incoming),
        # pytest's folders are their owner's alone, and no web server serves this depot.
        "depot_served_by_others": False,
        # Made of a variable that only a role's default gives.
        "ascend_locks": dict.fromkeys(
            ("aarch64", "x86_64"), f"{tmp_path}/lock-{{{{ ascend_release }}}}.txt{{{{ ascend_releases_dir[:0] }}}}"
        ),
    }
    everywhere.write_text(yaml.safe_dump({**yaml.safe_load(everywhere.read_text()), **own}))
    return inventory


def test_the_depot_is_filled_for_the_union_and_each_node_finds_its_own(mixed: Path, tmp_path: Path) -> None:
    said = ansible("ansible-playbook", "playbooks/depot.yml", "-i", mixed)
    assert "8.2.RC1 for x86_64" not in said
    index = json.loads((tmp_path / "depot" / "index.json").read_text())
    locks = sorted((release, architecture) for release, of in index["locks"].items() for architecture in of)
    assert locks == UNION
    for release, architecture in UNION:
        assert architecture in index["cann"][release]["toolkit"]
        assert architecture in index["cann"][release]["kernels"]["910b"]
        assert architecture in index["uv"]
        assert read_release(str(ROOT / "releases" / release))["python"]["series"] in index["pythons"][architecture]
    # A limit that keeps this machine in changes nothing of that. What is whole has no task; a table that lost a part
    # of what is there gets it back.
    table = tmp_path / "depot" / "index.json"
    table.write_text(json.dumps({**index, "locks": {}, "cann": {}}))
    again = ansible("ansible-playbook", "playbooks/depot.yml", "-i", mixed, "--limit", "localhost,npu-001")
    assert "changed=0" in again
    assert "TASK [ascend.fleet.depot : Take every wheel" not in again
    assert json.loads(table.read_text()) == index
    for release, architecture, _ in FLEET.values():
        own = {architecture: str(tmp_path / f"lock-{release}.txt")}
        facts = bare()
        facts["system"]["architecture"] = architecture
        wanted = resolve(facts, settings(tmp_path / "depot", release=release, locks=own))
        assert wanted["problems"] == []
        assert wanted["environment"]["name"].startswith(release)


def test_the_sums_and_the_interpreter_that_a_group_names(mixed: Path, tmp_path: Path) -> None:
    """Of this machine's architecture and series: depot_python is what the archive is made from."""
    series = f"{sys.version_info[0]}.{sys.version_info[1]}"
    folders = [path.parent for path in ROOT.glob("releases/*/release.yml")]
    releases = {read_release(str(folder))["python"]["series"]: folder.name for folder in folders}
    if series not in releases:
        pytest.skip(f"no release has Python {series}")
    release, machine = releases[series], os.uname().machine
    incoming = tmp_path / "incoming"
    for archive in incoming.glob("cpython-*"):
        archive.unlink()
    described = read_release(str(ROOT / "releases" / release))["packages"]
    files = [described["toolkit"][machine]["file"], described["kernels"]["910b"][machine]["file"]]
    for file in files:
        package(incoming / file, machine)
    standin.build(tmp_path, release)
    sums = {file: hashlib.sha256((incoming / file).read_bytes()).hexdigest() for file in files}
    (mixed / "hosts.yml").write_text(yaml.safe_dump({"ascend": {"hosts": {"npu-001": None}}}))
    program = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
    own = {"ascend_release": release, "depot_architectures": [machine], "depot_python": program}
    everywhere = mixed / "group_vars" / "all.yml"
    told = {**yaml.safe_load(everywhere.read_text()), **own}
    everywhere.write_text(yaml.safe_dump({**told, "depot_cann_sha256": {**sums, files[1]: "0" * 64}}))
    refused = ansible("ansible-playbook", "playbooks/depot.yml", "-i", mixed, code=2)
    assert "your package is not what you said" in refused
    assert str(incoming / files[1]) in refused
    everywhere.write_text(yaml.safe_dump({**told, "depot_cann_sha256": sums}))
    said = ansible("ansible-playbook", "playbooks/depot.yml", "-i", mixed)
    assert "no sum of it is known" not in said
    python = json.loads((tmp_path / "depot" / "index.json").read_text())["pythons"][machine][series]
    assert python["version"] == ".".join(map(str, sys.version_info[:3]))
    with tarfile.open(tmp_path / "depot" / python["file"]) as packed:
        assert f"python/bin/python{series}" in packed.getnames()


def node(**changes: Any) -> dict[str, Any]:
    architectures = changes.pop("architectures", ["aarch64"])
    return {"ascend_settings": settings(Path("/depot"), **changes), "depot_architectures": architectures}


def test_alike_nodes_need_one_thing() -> None:
    found = needs([node(), node(), node(architectures=["aarch64", "x86_64"])])
    assert [fill["architecture"] for fill in found["fills"]] == ["aarch64", "x86_64"]
    assert (found["sources"], found["problems"]) == ([], [])


def test_a_source_a_group() -> None:
    sources = [{"archive": "/one.tar.gz"}, {"archive": "/other.tar.gz"}]
    found = needs([node(llamafactory_source=source) for source in [*sources, sources[0]]])
    assert [need["source"] for need in found["sources"]] == sources
    assert len(found["fills"]) == 1


def test_two_locks_of_one_release_are_refused() -> None:
    other = {"aarch64": str(ROOT / "releases" / "8.0.RC1" / "lock-x86_64.txt")}
    with pytest.raises(AscendError, match="two locks of release"):
        needs([node(), node(locks=other)])
    assert len(needs([node(), node(locks=other, depot_dir="/other")])["fills"]) == 2


def test_what_does_not_fit_is_said_once_for_all_releases() -> None:
    wrong = {"aarch64": str(ROOT / "releases" / "8.0.0" / "lock-aarch64.txt")}
    found = needs([node(), *(node(release="8.2.RC1", locks=wrong) for _ in range(3))])
    assert {problem["subject"] for problem in found["problems"]} >= {"cann"}
    assert len(found["problems"]) == len({problem["subject"] + problem["problem"] for problem in found["problems"]})
