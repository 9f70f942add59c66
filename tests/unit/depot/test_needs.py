# SPDX-License-Identifier: Apache-2.0
"""The depot is filled for the union of what the inventory's nodes have; inventory/prod shows a mixed fleet.

The playbook is the real one, with packages and wheels that stand in for the real ones; no node is reached.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.action import depot_needs
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import lock as locks
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import fill as filling
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.mirrored import sums_needed
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.needs import needs
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.sending import needed
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import resolve
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import read_release
from tests.standin import build as standin
from tests.unit.depot.test_fill import package
from tests.unit.plan.planner_nodes import bare
from tests.unit.plan.test_wanted import settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
PROD = ROOT / "inventory" / "prod"
UV = ROOT / "roles" / "depot" / "files" / "uv.txt"
PARTS = ("cann", "python", "uv", "wheels")
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


def with_uv(depot: Path, architecture: str) -> None:
    """Have uv in the depot: a small file in its place, since the role takes the real one from the package index."""
    version = locks.parse(UV.read_text())["uv"]
    program = depot / "uv" / f"uv-{version}-{architecture}"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_bytes(b"uv")
    program.chmod(0o755)
    index = Index(depot)
    index.enter(str(program.relative_to(depot)))
    index.save()


def fill(tmp_path: Path, part: str, release: str, architecture: str) -> list[str]:
    """Fill one part of the depot below tmp_path, as the module does; return what was taken."""
    options = {
        "folder": str(tmp_path / "depot"),
        "part": part,
        "architecture": architecture,
        "served": False,
        "release": str(ROOT / "releases" / release),
        "lock": str(tmp_path / f"lock-{release}.txt"),
        "incoming": str(tmp_path / "incoming"),
        "requirements": str(UV),
        "deep": False,
        "cann_sha256": {},
        "python": "",
        "make_python": False,
        "addresses": {},
        "extra_index": "",
        "source": {},
    }
    return filling.fill(options, False, silent())[0]


@pytest.fixture
def whole(mixed: Path, tmp_path: Path) -> Path:
    """The depot, with all that the fleet of inventory/prod needs."""
    for release, architecture in UNION:
        with_uv(tmp_path / "depot", architecture)
        for part in PARTS:
            assert bool(fill(tmp_path, part, release, architecture)) == (part != "uv")
    return tmp_path / "depot"


def test_the_depot_is_filled_for_the_union_and_each_node_finds_its_own(
    mixed: Path, whole: Path, tmp_path: Path
) -> None:
    table = whole / "index.json"
    index = json.loads(table.read_text())
    for release, architecture in UNION:
        assert architecture in index["cann"][release]["toolkit"]
        assert architecture in index["cann"][release]["kernels"]["910b"]
        assert architecture in index["uv"]
        assert read_release(str(ROOT / "releases" / release))["python"]["series"] in index["pythons"][architecture]
    # Of each release and architecture another part is lost.
    (whole / index["cann"]["8.0.RC1"]["toolkit"]["aarch64"]).unlink()
    (whole / index["pythons"]["aarch64"]["3.11"]["file"]).unlink()
    next((whole / index["locks"]["8.0.RC1"]["x86_64"]["wheels"]).glob("torch-*.whl")).unlink()
    # And a table that lost a part of what is there gets it back, whether or not a task runs.
    table.write_text(json.dumps({**index, "locks": {}, "cann": {}, "uv": {}}))
    # A limit that keeps this machine in changes nothing of that. What is whole has no task.
    said = ansible("ansible-playbook", "playbooks/depot.yml", "-i", mixed, "--limit", "localhost,npu-001")
    assert re.findall(r"TASK \[\S* ?:? ?(Add \S+).* for (\S+ on \S+)\]", said) == [
        ("Add CANN's", "8.0.RC1 on aarch64"),
        ("Add CPython", "8.2.RC1 on aarch64"),
        ("Add every", "8.0.RC1 on x86_64"),
    ]
    assert json.loads(table.read_text()) == index
    for release, architecture, _ in FLEET.values():
        own = {architecture: str(tmp_path / f"lock-{release}.txt")}
        facts = bare()
        facts["system"]["architecture"] = architecture
        wanted = resolve(facts, settings(tmp_path / "depot", release=release, locks=own))
        assert wanted["problems"] == []
        assert wanted["environment"]["name"].startswith(release)
        # A mirror keeps all that such a node may be sent.
        asked = {"ascend_settings": settings(tmp_path / "depot", release=release, locks=own)}
        kept = sums_needed([{**asked, "depot_architectures": [architecture]}])
        sent = {file.sha256 for file in needed(["python", "toolkit", "kernels", "environment"], wanted)}
        assert len(sent) > 4
        assert sent <= kept


class Asked:
    """The action ``depot_needs`` for the fleet of inventory/prod, in this process."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: bool = False) -> None:
        monkeypatch.setattr(ActionBase, "run", lambda *_: {})
        plugin = self.plugin = depot_needs.ActionModule.__new__(depot_needs.ActionModule)
        options = {"incoming": str(tmp_path / "incoming"), "requirements": str(UV), "deep": False}
        options |= {"cann_sha256": {}, "python": "", "make_python": False, "extra_index": "", "addresses": {}}
        arguments = {"options": options, "served_by_others": False}
        plugin._task = SimpleNamespace(args=arguments, check_mode=check)
        depot = tmp_path / "depot"
        self.nodes = [
            node(
                architectures=[architecture],
                depot_dir=str(depot),
                release=release,
                releases_dir=str(ROOT / "releases"),
                locks={architecture: str(tmp_path / f"lock-{release}.txt")},
            )
            for release, architecture in UNION
        ]
        plugin._templar = None
        monkeypatch.setattr(depot_needs, "of_all", lambda *_: self.nodes)

    def parts(self) -> dict[tuple[str, str], list[str]]:
        """Which parts have to be taken, by release and architecture."""
        fills = self.plugin.run(None, {"groups": {}})["needs"]["fills"]
        return {(fill["release"], fill["architecture"]): fill["parts"] for fill in fills}


def test_an_empty_depot_needs_every_part_of_all(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Asked(tmp_path, monkeypatch).parts() == {key: list(PARTS) for key in UNION}


def test_a_whole_depot_needs_nothing_and_is_looked_through_once(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked, walk = [], os.walk

    def counted(top: str, *more: Any, **named: Any) -> Any:
        walked.append(top)
        return walk(top, *more, **named)

    monkeypatch.setattr(os, "walk", counted)
    assert Asked(tmp_path, monkeypatch).parts() == {}
    assert walked == [str(whole)]


def test_what_others_cannot_read_is_opened_by_the_tasks(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = whole / "index.json"
    closed.chmod(0o600)
    for check in (True, False):
        assert Asked(tmp_path, monkeypatch, check).parts() == {key: list(PARTS) for key in UNION}
    assert fill(tmp_path, "cann", *UNION[0]) == [f"rights for others: {closed} (0600)"]
    assert Asked(tmp_path, monkeypatch).parts() == {}


@pytest.mark.usefixtures("mixed")
def test_where_the_depots_are_is_told_without_a_look_at_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the nightly check, whose inventory has no problem."""
    asked = Asked(tmp_path, monkeypatch)
    asked.plugin._task.args.clear()
    needed = asked.plugin.run(None, {"groups": {}})["needs"]
    assert (needed["folders"], needed["problems"]) == ([str(tmp_path / "depot")], [])


def test_a_value_that_cannot_be_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(tmp_path, monkeypatch)
    asked.plugin._task.args["served_by_others"] = "nginx"
    with pytest.raises(AnsibleActionFail, match=r"served_by_others is neither.*found: 'nginx'; where: .*; next: "):
        asked.parts()
    asked = Asked(tmp_path, monkeypatch)
    asked.nodes[0]["ascend_settings"]["llamafactory_source"] = "v0.9.1"
    with pytest.raises(AnsibleActionFail, match=r"_source is not a mapping.*found: 'v0.9.1'; where: .*; next: "):
        asked.parts()


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("text", ["[x86_64]", "x86_64"])
def test_a_list_behind_e_is_text(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(tmp_path, monkeypatch)
    asked.nodes = [
        {**each, "depot_architectures": text} for each in asked.nodes if "x86_64" in each["depot_architectures"]
    ]
    assert {architecture for _, architecture in asked.parts()} == {"x86_64"}
    asked.nodes[0]["depot_architectures"] = "[x86_64,"
    with pytest.raises(
        AnsibleActionFail, match=r"depot_architectures is not a list.*found: '\[x86_64,'; where: .*; next: "
    ):
        asked.parts()


def interpreter(folder: Path, series: str, machine: str) -> Path:
    """A CPython of its own place that is quickly packed: it holds one file, and its program does nothing, with success.

    What it says of itself says a program beside it.
    """
    prefix = folder / "prefix"
    for place in (f"lib/python{series}", f"include/python{series}", "bin"):
        (prefix / place).mkdir(parents=True)
    (prefix / f"lib/python{series}/os.py").write_text("")
    shutil.copy(shutil.which("true") or "", prefix / f"bin/python{series}")
    program = folder / "python"
    program.write_text(f"#!/bin/sh\necho {series}.99 {prefix} {machine}\n")
    program.chmod(0o755)
    return program


def test_the_sums_and_the_interpreter_that_a_group_names(mixed: Path, tmp_path: Path) -> None:
    """Of this machine's architecture: depot_python is what the archive is made from."""
    release, machine = "8.2.RC1", os.uname().machine
    depot, incoming = tmp_path / "depot", tmp_path / "incoming"
    with_uv(depot, machine)
    fill(tmp_path, "wheels", release, machine)
    for archive in incoming.glob("cpython-*"):
        archive.unlink()
    described = read_release(str(ROOT / "releases" / release))["packages"]
    files = [described["toolkit"][machine]["file"], described["kernels"]["910b"][machine]["file"]]
    for file in files:
        package(incoming / file, machine)
    sums = {file: hashlib.sha256((incoming / file).read_bytes()).hexdigest() for file in files}
    (mixed / "hosts.yml").write_text(yaml.safe_dump({"ascend": {"hosts": {"npu-001": None}}}))
    own = {"ascend_release": release, "depot_architectures": [machine], "depot_cann_sha256": sums}
    own["depot_python"] = str(interpreter(tmp_path, "3.11", machine))
    everywhere = mixed / "group_vars" / "all.yml"
    everywhere.write_text(yaml.safe_dump({**yaml.safe_load(everywhere.read_text()), **own}))
    said = ansible("ansible-playbook", "playbooks/depot.yml", "-i", mixed)
    assert "no sum of it is known" not in said
    python = json.loads((depot / "index.json").read_text())["pythons"][machine]["3.11"]
    assert python["version"] == "3.11.99"
    with tarfile.open(depot / python["file"]) as packed:
        assert {"python/bin/python3.11", "python/lib/python3.11/os.py"} < set(packed.getnames())


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
