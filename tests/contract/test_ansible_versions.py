# SPDX-License-Identifier: Apache-2.0
"""The oldest and the newest ansible-core that are supported read the playbooks and run a module."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.contract.tree import OLDEST_FIRST, ROOT, ansible_core, passes, pythons
from tests.silent_mount import silent

# ansible-core -> the oldest Python a node may have.
NODES = {"2.17": (3, 7), "2.21": (3, 9)}


@pytest.fixture(params=OLDEST_FIRST, scope="module")
def tools(request: pytest.FixtureRequest, cache_dir: Path) -> Path:
    """The bin folder of a virtual environment with that ansible-core; kept in the cache."""
    return ansible_core(request.param, cache_dir)


def environment(tools: Path) -> dict[str, str]:
    return {"PATH": os.pathsep.join([str(tools), os.environ["PATH"]]), "ANSIBLE_NOCOLOR": "1"}


def test_playbooks_are_read(tools: Path) -> None:
    playbooks = ["site.yml", *sorted(f"playbooks/{path.name}" for path in ROOT.glob("playbooks/*.yml"))]
    said = passes(
        [tools / "ansible-playbook", "--syntax-check", "--inventory", "inventory/prod", *playbooks],
        env=environment(tools),
    )
    assert "DEPRECATION" not in said, said
    assert said.count("playbook: ") == len(playbooks), said


def module(tools: Path, python: str, name: str, arguments: str) -> dict[str, Any]:
    """Run a module on this machine with that Python; return its result."""
    argv = ["localhost", "-i", "localhost,", "-c", "local", "-m", f"ascend.fleet.{name}", "-a", arguments]
    said = passes(
        [tools / "ansible", *argv, "-e", f"ansible_python_interpreter={python}"],
        env={**environment(tools), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
    )
    assert "DEPRECATION" not in said, said
    result: dict[str, Any] = json.JSONDecoder().raw_decode(said, said.index("{"))[0]
    return result


def oldest_node_python(tools: Path) -> str:
    """The oldest Python that this ansible-core lets a node have, where it is at hand, else its own."""
    version = tools.parent.name.removeprefix("ansible-")
    usable = [python for python in sorted(pythons()) if python >= NODES[version]]
    return pythons()[usable[0]] if usable else str(tools / "python")


def test_facts_with_the_oldest_python_of_a_node(tools: Path) -> None:
    result = module(tools, oldest_node_python(tools), "ascend_facts", "gather_subset=all deep=true")
    facts = result["ansible_facts"]["ascend"]
    assert facts["system"]["architecture"] == os.uname().machine
    assert set(facts) >= {"system", "driver", "npu", "network", "cann", "pythons", "environments"}


def test_a_record_with_the_oldest_python_of_a_node(tools: Path) -> None:
    assert module(tools, oldest_node_python(tools), "ascend_record", "")["record"].startswith("ascend-fleet record")


@pytest.mark.parametrize(("callback", "code"), [("ascend.fleet.fleet", 3), ("default", 2)])
def test_a_drift_check_of_this_machine_and_of_one_that_is_not_there(
    tools: Path, tmp_path: Path, callback: str, code: int
) -> None:
    here = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": str(tools / "python")}
    gone = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    inventory = tmp_path / "hosts.json"
    variables = {"ascend_depot_dir": str(tmp_path / "no-depot")}
    inventory.write_text(json.dumps({"ascend": {"hosts": {"here": here, "gone": gone}, "vars": variables}}))
    done = subprocess.run(
        [
            tools / "ansible-playbook",
            "-i",
            inventory,
            "playbooks/drift.yml",
            "-e",
            f"drift_dir={tmp_path / 'reports'}",
            "-e",
            "cann_accept_eula=false ascend_card_count=8 drift_deep=false",
        ],
        cwd=ROOT,
        env={**os.environ, **environment(tools), "ANSIBLE_STDOUT_CALLBACK": callback},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "DEPRECATION" not in said, said
    report = json.loads((tmp_path / "reports" / "latest" / "fleet.json").read_text())
    assert {node["name"]: node["state"] for node in report["nodes"]} == {"here": "drifted", "gone": "unchecked"}
    assert "1 of 2 nodes drifted, 1 could not be checked." in said
    assert not report["deep"]
    # Told once, on the control node, and of no node.
    (depot,) = report["depot"]
    assert (depot["problem"], depot["where"]) == ("the depot is gone", f"{tmp_path}/no-depot/index.json")
    times = said.count("the depot is gone")
    assert times == 1 or (times > 1 and callback == "default"), "newer plain outputs have all twice"
    assert "depot" not in {finding["name"] for node in report["nodes"] for finding in node["findings"]}
    asked = [finding["wanted"] for node in report["nodes"] for finding in node["findings"] if finding["name"] == "eula"]
    assert asked == ["cann_accept_eula: true"]


@contextmanager
def released(fifo: Path) -> Iterator[None]:
    """Let whoever reads it go on when the block ends, and see that none of them is left."""
    try:
        yield
    finally:
        for _ in range(100):
            with suppress(OSError):  # nobody reads it
                os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            if not left(fifo.parent):
                break
            time.sleep(0.1)
    assert left(fifo.parent) == []


def left(folder: Path) -> list[str]:
    """The command lines of processes that have to do with this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [words for words in found if f"{folder}/" in words]


@pytest.mark.slow
@pytest.mark.parametrize("tools", OLDEST_FIRST, indirect=True)
def test_nodes_that_hang_stop_nobody(tools: Path, tmp_path: Path) -> None:
    """One by a file system that does not answer, which the node says; one that can not even say that."""
    dead = tmp_path / "dead"
    dead.mkdir()
    stuck, never = tmp_path / "python3", tmp_path / "never"
    os.mkfifo(never)
    stuck.write_text(f"#!/bin/sh\nexec cat {never}\n")
    stuck.chmod(0o755)
    here = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": str(tools / "python")}
    hosts = {
        "here": here,
        "dead": {**here, "cann_root": str(dead)},
        "stuck": {**here, "ansible_python_interpreter": str(stuck)},
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"ascend": {"hosts": hosts}}))
    argv = [
        str(tools / "ansible-playbook"),
        "-i",
        str(inventory),
        "playbooks/plan.yml",
        "-e",
        "ascend_facts_timeout_s=4",
    ]
    with released(never), silent(dead):
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env={**os.environ, **environment(tools)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    said = " ".join((done.stdout + done.stderr).split())
    assert f"the node does not answer: reading {dead} did not end" in said, said
    assert f"findmnt -T {dead}" in said
    assert "steps that remain once this is fixed: " in said, "the third has its plan"
    assert "refusals:" not in said, "in words alone"
    recap = {line.split()[0]: line for line in done.stdout.partition("PLAY RECAP")[2].splitlines() if ":" in line}
    assert {name: "unreachable=0" in recap[name] and "failed=1" in recap[name] for name in ("dead", "stuck")} == {
        "dead": True,
        "stuck": True,
    }, said
