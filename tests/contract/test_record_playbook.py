# SPDX-License-Identifier: Apache-2.0
"""playbooks/record.yml on this machine: a record is its owner's alone, names no host, and is not on the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.record import make as capture
from tests.contract.tree import passes

HOSTS = ("rack4-slot2", "rack4-slot3")


@pytest.mark.slow
def test_a_record_a_node(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    here: dict[str, Any] = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
    }
    inventory.write_text(yaml.safe_dump({"ascend": {"hosts": dict.fromkeys(HOSTS, here)}}))
    folder = tmp_path / "records"
    words: list[str | Path] = ["ansible-playbook", "-i", inventory, "playbooks/record.yml", "--diff"]
    words += ["-e", f"ascend_record_dir={folder}"]
    said = passes([*words, "--check"], env={"ANSIBLE_NOCOLOR": "1"})
    assert not folder.exists()
    said = passes(words, env={"ANSIBLE_NOCOLOR": "1"})
    files = sorted(folder.iterdir())
    assert [path.name[:4] for path in files] == ["001-", "002-"]
    assert folder.stat().st_mode & 0o777 == 0o700
    for host, path in zip(HOSTS, files, strict=True):
        text = path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600
        assert capture.parse(text).problems == ()
        assert host not in path.name + text
        told = " ".join(said.split())
        assert f"{host}: {path}, {len(text.encode())} bytes. Read it before you send it." in told
    assert capture.INTRODUCTION.splitlines()[0] not in said
