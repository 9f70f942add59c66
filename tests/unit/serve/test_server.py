# SPDX-License-Identifier: Apache-2.0
"""Models that are served, with real processes and ports: a small server of the tests in place of LLaMA-Factory."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Account, Result, query, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.serve import server
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.serve.checks import check
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.serve.model import Model, models_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.service import runner, service as services
from ansible_collections.ascend.fleet.plugins.modules import serve_models

PYTHON = shutil.which("python3", path=os.defpath) or ""  # as on a node: another account may run it
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not PYTHON, reason="programs are started as another account")

DAEMON = pwd.getpwnam("daemon")
ACCOUNT = Account("daemon", DAEMON.pw_uid, DAEMON.pw_gid, (DAEMON.pw_gid,))
NODE = Node(query, shutil.which)
# In place of `ascend-env llamafactory-cli api CONFIG`: what its config says of itself is how it behaves.
API = """#!%s
import http.server, json, os, sys
config = dict(line.strip().split(": ", 1) for line in open(sys.argv[3]) if line[0] == '"')
config = {key.strip('"'): json.loads(value) for key, value in config.items()}
print("loading", config["model_name_or_path"], flush=True)
print("home is mine:", os.access(os.environ["HOME"], os.W_OK), flush=True)
if config.get("fails"):
    sys.exit("RuntimeError: ACL stream synchronize failed")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        key = os.environ.get("API_KEY")
        good = not key or self.headers["Authorization"] == "Bearer " + key
        self.send_response((200 if good else 401) if not config.get("ill") else 500)
        self.end_headers()
http.server.HTTPServer((os.environ["API_HOST"], int(os.environ["API_PORT"])), Handler).serve_forever()
"""


FREE: Any = {"devices": [{"npu_id": 0, "chip_id": 0}], "processes": [], "unclear": []}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def how(monkeypatch: pytest.MonkeyPatch) -> Iterator[server.How]:
    """A state folder to which another account finds its way; pytest's own it does not."""
    monkeypatch.setattr(sys, "executable", PYTHON)
    with tempfile.TemporaryDirectory(prefix="ascend-serve-") as name:
        os.chmod(name, 0o755)
        api = Path(name) / "ascend-env"
        api.write_text(API % PYTHON)
        api.chmod(0o755)
        made = server.How(f"{name}/state", ACCOUNT, "/opt/ascend/env/8.0.RC1-x", str(api), "secret-key")
        yield made
        for each in server.names(made.state_dir):
            server.end(made.state_dir, each, run)


def model(**changes: Any) -> Model:
    config = {"model_name_or_path": "/srv", **changes.pop("config", {})}
    return models_of([{"name": "tiny", "port": free_port(), "config": config, **changes}])[0]


def until(how: server.How, state: str) -> dict[str, Any]:
    end = time.monotonic() + 20
    while (found := server.read(how.state_dir, "tiny", run, NODE))["state"] != state and time.monotonic() < end:
        time.sleep(0.05)
    assert found["state"] == state, found
    return found


@needs_root
def test_it_is_served_as_its_account_and_knows_whether_it_is_as_wanted(
    how: server.How, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = model()
    assert not server.is_as(wanted, how, run)
    server.begin(wanted, how, run)
    until(how, server.SERVING)
    assert server.ask("127.0.0.1", wanted.port, "guessed") == "it answers with HTTP 401"
    assert server.is_as(wanted, how, run)
    for other, otherwise in (
        (model(port=wanted.port, config={"template": "llama3"}), how),
        (wanted, how._replace(api_key="another")),
        (wanted, how._replace(environment="/opt/ascend/env/8.0.0-y")),
    ):
        assert not server.is_as(other, otherwise, run)
    (fact,) = server.facts(NODE, how.state_dir)
    assert (fact["state"], fact["digest"], fact["why"], fact["altered"]) == (server.SERVING, wanted.digest(), "", "")
    with monkeypatch.context() as patched:
        patched.setattr(services, "altered", lambda _folder, _run: "its unit was changed")
        assert not server.is_as(wanted, how, run)
        assert server.facts(NODE, how.state_dir)[0]["altered"] == "its unit was changed"
    assert "secret-key" not in json.dumps(fact)
    folder = Path(server.place(how.state_dir, "tiny"))
    assert [path.name for path in folder.rglob("*") if path.is_file() and "secret-key" in path.read_text()] == [
        "job.json"
    ]
    assert "home is mine: True" in (folder / "out/log").read_text()
    (process,) = server.at_work(NODE, how.state_dir)
    assert (process["name"], process["user"], process["devices"]) == ("serving tiny", "daemon", [])


@needs_root
def test_one_that_died_is_down_and_begins_again(how: server.How) -> None:
    wanted = model()
    server.begin(wanted, how, run)
    until(how, server.SERVING)
    began = json.loads(Path(server.place(how.state_dir, "tiny"), "began.json").read_text())
    os.kill(began["pid"], 9)
    found = until(how, server.DOWN)
    assert found["why"] == "its program has ended"
    assert server.at_work(NODE, how.state_dir) == []
    assert not server.is_as(wanted, how, run)
    left = runner.marked(began["mark"])
    assert left, "what it began goes on"
    server.begin(wanted, how, run)
    assert runner.marked(began["mark"]) == [], "and has the port no more"
    until(how, server.SERVING)


@needs_root
def test_what_does_not_serve_says_why(how: server.How) -> None:
    server.begin(model(config={"fails": True}), how, run)
    found = until(how, server.DOWN)
    assert found["error"] == "RuntimeError: ACL stream synchronize failed"
    assert found["last"][0] == "loading /srv"
    server.begin(model(config={"ill": True}), how, run)
    deadline = time.monotonic() + 20
    while "HTTP 500" not in (why := until(how, server.SILENT)["why"]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert why == "it answers with HTTP 500"


@needs_root
def test_what_is_ended_leaves_neither_process_nor_secret(how: server.How) -> None:
    server.begin(model(), how, run)
    until(how, server.SERVING)
    folder = Path(server.place(how.state_dir, "tiny"))
    assert oct((folder / "job.json").stat().st_mode & 0o777) == "0o400"
    assert server.end(how.state_dir, "tiny", run) is True
    assert server.names(how.state_dir) == []
    assert "secret-key" not in "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert (folder / "out/log").is_file(), "its log stays"
    assert server.end(how.state_dir, "tiny", run) is False


@needs_root
def test_a_port_that_somebody_has_is_told_with_who(how: server.How) -> None:
    wanted = model()
    card = {"npu_id": 0, "chip_id": 0}
    npu = {"devices": [card], "processes": [], "unclear": []}
    assert check(NODE, wanted, how, "/", "", npu, is_our_port=False) == []
    with socket.create_server(("127.0.0.1", wanted.port)):
        (problem,) = check(NODE, wanted, how, "/", "", npu, is_our_port=False)
        assert f"process {os.getpid()} of root" in problem.found
        assert check(NODE, wanted, how, "/", "", npu, is_our_port=True) == []
    (elsewhere,) = check(NODE, wanted._replace(address="192.0.2.7"), how, "/", "", npu, is_our_port=False)
    assert "an address of the node" in elsewhere.wanted


@needs_root
def test_what_cannot_be_served_is_told(how: server.How) -> None:
    """A path as its account sees it, a card that others use."""
    with tempfile.TemporaryDirectory() as closed:  # root's alone
        config = {"model_name_or_path": closed, "adapter_name_or_path": "/no/such,/srv/../no"}
        npu: Any = {"devices": [{"npu_id": 4, "chip_id": 0}], "unclear": []}
        npu["processes"] = [{"pid": 7, "name": "python", "user": "bob", "chips": [[4, 0, None]]}]
        problems = check(NODE, model(config=config), how, "/", "", npu, is_our_port=False)
        os.chmod(closed, 0o755)
        Path(closed, "model.safetensors").touch(0o600)
        Path(closed, "config.json").touch(0o644)
        (weights,) = check(NODE, model(config={"model_name_or_path": closed}), how, "/", "", FREE, is_our_port=False)
    assert "the account has no permission to read model.safetensors in it" in str(weights)
    words = [str(each) for each in problems]
    assert "the account has no read permission" in words[0]
    assert "/no/such" in words[1]
    assert "card 0 is in use" in words[-1]
    assert "runuser -u daemon" in words[0]
    relative = check(NODE, model(config={"model_name_or_path": "./tiny"}), how, "/", "", npu, is_our_port=False)
    assert "not an absolute path" in str(relative[0])


def unit_of(tmp_path: Path) -> str:
    made = server.How(str(tmp_path), ACCOUNT, "/opt/ascend/env/x", "/bin/true", "secret-key")
    service = server.service_of(model(), made)
    (tmp_path / service.unit).write_text(services.unit_text(service))
    return str(tmp_path / service.unit)


EXPOSURE = 40  # systemd-analyze's, times ten: what stays is the network, system calls, devices and /proc


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_reads_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    unit = unit_of(tmp_path)
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    argv = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", unit]
    judged = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout
    text = Path(unit).read_text()
    assert "secret-key" not in text
    assert "Restart=on-failure" in text
    assert "WantedBy=multi-user.target" in text


def test_a_server_that_systemd_begins_again_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(server.place(str(tmp_path), "tiny"))
    folder.mkdir(parents=True)
    (folder / "serve.json").write_text(json.dumps({"name": "tiny", "address": "127.0.0.1", "port": free_port()}))
    (folder / "began.json").write_text(json.dumps({"name": "ascend-serve-tiny", "systemd": True}))
    for state, expected in {"activating": server.SILENT, "failed": server.DOWN}.items():
        answer = Result(0, f"ActiveState={state}\n", False)
        assert server.look(str(tmp_path), "tiny", lambda *_asked, answer=answer: answer)[0] == expected


def test_two_at_once_are_one_after_the_other_or_refused(tmp_path: Path) -> None:
    options = {"state": "ended", "state_dir": str(tmp_path), "names": []}
    with module_lock.taken(str(tmp_path), "serve.yml"), pytest.raises(AscendError, match="another change is running"):
        serve_models.act(options, NODE, check_mode=False)
    assert serve_models.act(options, NODE, check_mode=False) == {"changed": False, "ended": []}
