# SPDX-License-Identifier: Apache-2.0
"""The drift account's helper: what is in it, what it takes from its caller (nothing), and how its answer is read."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.facts import SCHEMA
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import fleet, helper

PACKAGE = "ansible_collections/ascend/fleet/plugins/module_utils/ascend/"
START = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from ansible_collections.ascend.fleet.plugins.module_utils.ascend import helper
config, lock = sys.argv.pop(1), sys.argv.pop(1)
helper.main("v", config, lock)
"""
ASKED: dict[str, Any] = {
    "gather_subset": ["python"],
    "kernel_settings": [],
    "cards_out": [],
    "users": [],
    "deep": False,
    **{name: f"/nowhere/{name}" for name in ("cann_root", "ascend_root", "cache_dir", "state_dir", "tmp_dir")},
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("helper") / "facts"
    path.write_bytes(helper.archive())
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "facts.json"
    path.write_text(json.dumps({"asked": ASKED, "timeout_s": 60}))
    path.chmod(0o600)
    return path


def ask(program: Path, config: Path, *arguments: str, flags: str = "-IS", **variables: str) -> dict[str, Any]:
    argv = [sys.executable, *([flags] if flags else []), "-c", START, str(program), str(config), str(config) + ".lock"]
    done = subprocess.run(
        [*argv, *arguments], input="nonsense", env=variables, capture_output=True, text=True, check=True, timeout=60
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_archive_is_the_same_wherever_it_is_made_and_has_what_it_imports() -> None:
    made = helper.archive()
    assert made == helper.archive()
    assert made.startswith(b"#!/usr/bin/python3 -IS\n")
    with zipfile.ZipFile(io.BytesIO(made)) as packed:
        names = set(packed.namelist())
        assert helper.version() in packed.read("__main__.py").decode()
        for name in names:
            package = name.rpartition("/")[0]
            for node in ast.walk(ast.parse(packed.read(name))):
                if not isinstance(node, ast.ImportFrom) or not node.level:
                    continue
                base = "/".join([*package.split("/")[: len(package.split("/")) - node.level + 1]])
                base += "/" + node.module.replace(".", "/") if node.module else ""
                inside = {f"{base}/{alias.name}.py" for alias in node.names}
                assert f"{base}.py" in names or inside <= names, f"{name} needs {base}: {inside}"
    assert PACKAGE + "homes.py" in names
    assert not [name for name in names if "/remove/" in name or name.endswith("cann/install.py")]


def test_the_version_is_that_of_all_that_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, before = helper._texts(), helper.version()
    monkeypatch.setattr(helper, "_texts", lambda: {**texts, "homes.py": texts["homes.py"] + b"#"})
    assert helper.version() != before


def test_it_tells_the_facts_and_takes_nothing_from_its_caller(program: Path, config: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    for name in ("sitecustomize", "json", "fcntl", "resource"):
        (evil / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    told = ask(program, config, PYTHONPATH=str(evil), TMPDIR="/nowhere", PATH=str(evil), PYTHONHOME="")
    assert told["helper"] == "v"
    assert told["asked"] == ASKED
    assert told["facts"]["schema"] == SCHEMA
    assert not (tmp_path / "ran").exists()


def test_it_takes_no_argument_and_wants_to_be_isolated(program: Path, config: Path) -> None:
    assert ask(program, config, "x")["refused"]["problem"] == "the helper takes no arguments"
    assert ask(program, config, flags="")["refused"]["problem"] == "the helper was started without isolation"


def test_what_it_looks_at_comes_from_a_file_that_nobody_else_writes(program: Path, config: Path) -> None:
    config.chmod(0o620)
    assert ask(program, config)["refused"]["found"].endswith("mode 620")
    config.chmod(0o600)
    link = config.with_name("link")
    link.symlink_to(config)
    assert "Too many levels" in ask(program, link)["refused"]["found"]
    pipe = config.with_name("pipe")
    os.mkfifo(pipe, 0o600)
    assert "others can write" in ask(program, pipe)["refused"]["problem"]
    for text in ("{", "[]", '{"asked": {}}', json.dumps({"asked": ASKED})):
        config.write_text(text)
        assert ask(program, config)["refused"]["problem"] == "the helper cannot read its settings"


def answer(**told: Any) -> dict[str, Any]:
    content = {"helper": helper.version(), "asked": ASKED, "facts": {"schema": 2}, **told}
    return {"rc": 0, "stdout": "Welcome {to} this node\n" + json.dumps(content) + "\n", "stderr": ""}


def test_facts_are_taken_from_the_same_version_that_was_asked_the_same() -> None:
    assert helper.facts(answer(), {**ASKED, "cards_out": ()}) == {"schema": 2}


@pytest.mark.parametrize(
    ("said", "problem", "found"),
    [
        (answer(helper="0" * 64), "the helper is from another version of ascend-fleet", "version 000000000000"),
        (
            answer(asked={**ASKED, "tmp_dir": "/x"}),
            "the helper was set up with values other than the inventory's",
            "a different value",
        ),
        (answer(asked=None), "the helper was set up with values other than the inventory's", "a different value"),
        (answer(refused={"problem": "p", "found": "f"}), "p", "f"),
        (
            {"rc": 1, "stdout": "", "stderr": "sudo: a password is required"},
            "sudo does not let the account run the helper",
            "sudo: a password is required (exit code 1)",
        ),
        (
            {"rc": 1, "stdout": "", "stderr": "ascend-drift is not in the sudoers file."},
            "sudo does not let the account run the helper",
            "not in the sudoers",
        ),
        (
            {"rc": 1, "stdout": "", "stderr": "sudo: sorry, you must have a tty to run sudo"},
            "sudo does not let the account run the helper",
            "must have a tty",
        ),
        (
            {"rc": 1, "stdout": "", "stderr": "sudo: /usr/local/libexec/ascend-fleet/facts: command not found"},
            "the helper is not on the node",
            "command not found",
        ),
        ({"rc": 127, "stdout": "", "stderr": "sh: 1: sudo: not found"}, "the node has no sudo", "sudo"),
        ({"rc": 0, "stdout": '{"other": 1}\n{', "stderr": ""}, "the helper returned no facts", "exit code 0"),
        ({"rc": 1, "stdout": "", "stderr": "Segmentation fault"}, "the helper returned no facts", "Segmentation"),
    ],
)
def test_what_is_no_answer_is_said_as_itself(said: dict[str, Any], problem: str, found: str) -> None:
    with pytest.raises(helper.HelperError) as caught:
        helper.facts(said, ASKED)
    assert caught.value.problem == problem
    assert found in caught.value.found
    node = fleet.unchecked("npu-1", caught.value, True, {}, fleet.chosen([]), "-i prod")
    (finding,) = node["findings"]
    assert (finding["component"], finding["name"], finding["level"]) == ("access", "helper", "unchecked")
    if "refused" not in said["stdout"]:
        assert finding["remedy"] == "ansible-playbook playbooks/drift_account.yml -i prod --limit npu-1"


def test_the_deep_form_is_none_of_its_work() -> None:
    helper.refuse_deep(ASKED)
    with pytest.raises(helper.HelperError, match="cannot run a deep check"):
        helper.refuse_deep({**ASKED, "deep": True})
