# SPDX-License-Identifier: Apache-2.0
"""The oldest and the newest ansible-core that are supported read the playbooks and run a module."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.contract.tree import ROOT, passes, pythons

# ansible-core -> the Pythons its control node may have, oldest and newest.
SUPPORTED = {"2.17": ((3, 10), (3, 12)), "2.21": ((3, 12), (3, 14))}


@pytest.fixture(params=SUPPORTED, scope="module")
def tools(request: pytest.FixtureRequest, cache_dir: Path) -> Path:
    """The bin folder of a virtual environment with that ansible-core; kept in the cache."""
    version: str = request.param
    oldest, newest = SUPPORTED[version]
    usable = sorted(python for python in pythons() if oldest <= python <= newest)
    if not usable:
        pytest.skip(f"ansible-core {version} needs Python {oldest[0]}.{oldest[1]} or newer: none in PATH or pyenv")
    target = cache_dir / f"ansible-{version}"
    done = target / "installed"
    wanted = f"ansible-core=={version}.* {pythons()[usable[0]]}"
    if not done.is_file() or done.read_text() != wanted:
        uv = shutil.which("uv")
        assert uv
        passes([uv, "venv", "--quiet", "--clear", "--python", pythons()[usable[0]], target])
        passes([uv, "pip", "install", "--quiet", "--python", target / "bin" / "python", wanted.split()[0]])
        done.write_text(wanted)
    return target / "bin"


def environment(tools: Path) -> dict[str, str]:
    return {"PATH": os.pathsep.join([str(tools), os.environ["PATH"]]), "ANSIBLE_NOCOLOR": "1"}


@pytest.mark.parametrize("playbook", ["site.yml", *sorted(f"playbooks/{p.name}" for p in ROOT.glob("playbooks/*.yml"))])
def test_playbooks_are_read(tools: Path, playbook: str) -> None:
    said = passes(
        [tools / "ansible-playbook", "--syntax-check", "--inventory", "inventory/prod", playbook],
        env=environment(tools),
    )
    assert "DEPRECATION" not in said, said


def test_facts_of_this_machine(tools: Path) -> None:
    interpreter = f"ansible_python_interpreter={tools / 'python'}"
    said = passes(
        [tools / "ansible", "localhost", "-i", "localhost,", "-c", "local", "-e", interpreter, "-m", "ascend_facts"],
        env={**environment(tools), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
    )
    assert "DEPRECATION" not in said, said
    result, _ = json.JSONDecoder().raw_decode(said, said.index("{"))
    facts = result["ansible_facts"]["ascend"]
    assert facts["system"]["architecture"] == os.uname().machine
    assert set(facts) >= {"system", "driver", "npu", "cann", "pythons", "environments"}
