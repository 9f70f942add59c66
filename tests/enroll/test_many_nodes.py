# SPDX-License-Identifier: Apache-2.0
"""A hundred sshds at once; and nodes behind a jump host that drops connections."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.enroll.rack import PASSWORD, ROOT, Rack, RealNode, play

pytestmark = pytest.mark.whole


def test_a_hundred_nodes(tmp_path: Path) -> None:
    names = [f"npu-{number:03}" for number in range(1, 101)]
    with Rack(tmp_path, [RealNode(name) for name in names]).started() as rack:
        for state, password in (("enrolled", PASSWORD), ("already", "")):
            began = time.monotonic()
            run = play(rack.inventory(names, enroll_password=password))
            print(f"{state}: {time.monotonic() - began:.1f} s; {run.output.split('ENROLMENT')[1].splitlines()[1]}")
            assert run.code == 0, run.output
            assert {node["state"] for node in rack.report().values()} == {state}
        logs = rack.log("npu-050")
        print(logs)
        assert logs.count("Accepted password") == 1
        assert "Failed password" not in logs


def test_behind_a_jump_host_that_drops_connections(tmp_path: Path) -> None:
    """Through OpenSSH's own -W, with the jump host's key checked: unknown, it lets nobody through."""
    key = tmp_path / "jump_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    setup = f"install -d -m 0700 /root/.ssh; echo '{public}' >/root/.ssh/authorized_keys"
    names = [f"npu-{number:02}" for number in range(1, 13)]
    nodes = [RealNode("jump", setup, "MaxStartups 3:60:8"), *map(RealNode, names)]
    with Rack(tmp_path, nodes).started() as rack:
        jump, known = rack.nodes["jump"], tmp_path / "jump_known_hosts"
        config = tmp_path / "ssh_config"
        config.write_text(
            f"Host jump\n HostName 127.0.0.1\n Port {jump.port}\n User root\n IdentityFile {key}\n"
            f" HostKeyAlias the-jump-host\n"
        )
        options = f"-F {config} -o ProxyJump=jump -o UserKnownHostsFile={rack.known_hosts}"
        inventory = rack.inventory(names, ansible_ssh_common_args=options)
        assert play(inventory, "--limit", names[0]).code == 2
        error = rack.report()[names[0]]["error"]
        assert error["problem"] == "the jump host's key is unknown", error
        rack.known_hosts.parent.mkdir(exist_ok=True)
        known.write_text("")
        with rack.known_hosts.open("a") as stream:
            stream.write(f"the-jump-host {rack.public('jump')}")
        run = play(inventory)
        assert run.code == 0, run.output
        assert "MaxStartups throttling" in rack.log("jump"), "it dropped none"
        assert run.output.count("enrolled") == len(names) + 1


def test_the_oldest_paramiko(tmp_path: Path) -> None:
    """3.4 has SHA-1 and DSS still; what it is told for is the same."""
    uv = str(Path(sys.executable).with_name("uv"))
    wanted = ["paramiko==3.4.1", "cryptography<44"]
    subprocess.run([uv, "pip", "install", "--quiet", "--target", str(tmp_path), *wanted], check=True)
    argv = [sys.executable, "-W", "ignore", "-m", "pytest", "-n0", "-q", "tests/unit/enroll"]
    ran = subprocess.run(
        argv, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout
