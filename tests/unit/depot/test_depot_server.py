# SPDX-License-Identifier: Apache-2.0
"""The role depot_server: the distribution's nginx in a folder of this test's own, and the unit where systemd runs."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import served
from tests.contract.tree import ROOT, run
from tests.playbook_run import Run

pytestmark = pytest.mark.slow

# systemd-analyze's exposure, times ten: what stays is the network.
EXPOSURE = 15


class Server:
    """The role run on this machine, with its places below ``folder``; over https."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, certificate, key = served.authority(folder, "127.0.0.1")
        self.port = served.free_port()
        self.variables: dict[str, Any] = {
            "depot_server_dir": str(folder / "depot"),
            "depot_server_port": self.port,
            "depot_server_certificate": str(certificate),
            "depot_server_key": str(key),
            "depot_server_conf": str(folder / "etc/nginx.conf"),
            "depot_server_run": str(folder / "run"),
            "depot_server_unit": str(folder / "ascend-fleet-depot.service"),
            "depot_server_has_systemd": False,
        }

    def play(self, *tasks: dict[str, Any], **changes: Any) -> Run:
        play = [{"hosts": "node", "gather_facts": False, "tasks": list(tasks)}]
        (self.folder / "play.yml").write_text(json.dumps(play))
        argv = [str(Path(sys.executable).with_name("ansible-playbook")), str(self.folder / "play.yml"), "-i", "node,"]
        variables = json.dumps({**self.variables, "ansible_python_interpreter": sys.executable, **changes})
        done = subprocess.run(
            [*argv, "-c", "local", "-e", variables],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return Run(done.returncode, done.stdout + done.stderr, "node")

    def role(self, **changes: Any) -> Run:
        return self.play({"ansible.builtin.include_role": {"name": "ascend.fleet.depot_server"}}, **changes)

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}/{path}", method=method, headers=headers)
        trusted = ssl.create_default_context(cafile=str(self.authority))
        try:
            with urllib.request.urlopen(request, timeout=10, context=trusted) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, b""


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="ascend-server-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for the account as which the distribution's nginx reads
        yield Server(folder)
        pid = folder / "run/nginx.pid"
        if pid.is_file():
            os.kill(int(pid.read_text()), signal.SIGTERM)


def test_it_serves_files_in_ranges_over_tls_and_nothing_else(server: Server) -> None:
    first = server.role()
    assert first.code == 0, first.output[-4000:]
    assert first.changed > 0
    (server.folder / "depot/file").write_bytes(b"0123456789")
    assert server.ask("file") == (200, b"0123456789")
    assert server.ask("file", Range="bytes=3-5") == (206, b"345")
    assert server.ask("")[0] == 403, "no folder is listed"
    for method in ("PUT", "POST", "DELETE"):
        assert server.ask("file", method)[0] == 403
    again = server.role()
    assert (again.code, again.changed) == (0, 0), again.output[-4000:]
    # Another folder is served at once, by the process that runs.
    (server.folder / "other").mkdir()
    (server.folder / "other/new").write_bytes(b"new")
    changed = server.role(depot_server_dir=str(server.folder / "other"))
    assert (changed.code, changed.changed) == (0, 2), changed.output[-4000:]
    assert (server.ask("new"), server.ask("file")[0]) == ((200, b"new"), 404)


def test_the_unit_is_one_that_systemd_reads_and_allows_little(server: Server) -> None:
    source = str(ROOT / "roles/depot_server/templates/ascend-fleet-depot.service.j2")
    task = {"ansible.builtin.template": {"src": source, "dest": server.variables["depot_server_unit"], "mode": "0644"}}
    written = server.play(task)
    assert written.code == 0, written.output
    unit = server.variables["depot_server_unit"]
    verified = run(["systemd-analyze", "verify", unit])
    assert (verified.returncode, verified.stdout) == (0, "")
    said = run(["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", unit])
    assert said.returncode == 0, said.stdout
