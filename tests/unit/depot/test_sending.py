# SPDX-License-Identifier: Apache-2.0
"""Which files a node's steps need, and the action that sends them: a real play over a connection of this machine."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.depot_file import DepotFile, take
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.needs import needs
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.sending import needed
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.transport import address
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import resolve
from ansible_collections.ascend.fleet.plugins.plugin_utils.mirrors import mirror_url
from tests import served
from tests.contract.tree import ROOT
from tests.unit.plan.planner_nodes import bare
from tests.unit.plan.test_wanted import settings
from tests.unit.terminal.screen import set_size

WHEELS = "wheels/8.0.RC1-0123456789ab-x86_64"
SINGLE = {"toolkit": "cann/8.0.RC1/toolkit.run", "kernels": "cann/8.0.RC1/kernels.run", "python": "python/py.tar.gz"}
OTHERS = {"uv": "uv/uv-1", "source": "sources/LLaMA-Factory.tar.gz"}


@pytest.fixture
def wanted(tmp_path: Path) -> dict[str, Any]:
    """What a node should be, over a depot with a file of each kind and three wheels, of which the lock has two."""
    folder = tmp_path / "depot"
    index = Index(folder)
    wheels = [f"{WHEELS}/{name}-1-py3-none-any.whl" for name in ("one", "two", "stale")]
    for number, relative in enumerate([*SINGLE.values(), *OTHERS.values(), *wheels, f"{WHEELS}/index.html"]):
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        (folder / relative).write_bytes(bytes([number]) * (number + 1) * 100_000)
        index.enter(relative)
    index.save()
    entries = index["files"]
    lock = tmp_path / "lock.txt"
    lock.write_text("".join(f"x=={name} --hash=sha256:{entries[name]['sha256']}\n" for name in wheels[:2]))

    def entry(relative: str) -> dict[str, Any]:
        return {"version": "1", "url": f"ssh:/{relative}", **entries[relative]}

    environment = {"wheels": WHEELS, "lock_file": str(lock), "source": entry(OTHERS["source"])}
    parts = {kind: entry(relative) for kind, relative in SINGLE.items()}
    ways = {"transport": "ssh", "folder": str(folder), "url": "ssh:"}
    return {**parts, "uv": entry(OTHERS["uv"]), "environment": environment, "depot": ways}


@pytest.mark.parametrize(
    ("steps", "names"),
    [
        (["system", "current", "ascend-env", "rights"], []),
        (["toolkit"], ["toolkit.run"]),
        (["python", "kernels"], ["kernels.run", "py.tar.gz"]),
        (["cache"], ["kernels.run", "toolkit.run"]),
        (["cross", "toolkit"], ["kernels.run", "toolkit.run"]),
        (
            ["environment"],
            ["LLaMA-Factory.tar.gz", "one-1-py3-none-any.whl", "two-1-py3-none-any.whl", "uv-1"],
        ),
    ],
)
def test_steps_need_these_files(wanted: dict[str, Any], steps: list[str], names: list[str]) -> None:
    files = needed(steps, wanted)
    assert sorted(os.path.basename(file.source) for file in files) == names
    assert [file.size_bytes for file in files] == sorted((file.size_bytes for file in files), reverse=True)
    for file in files:
        assert hashlib.sha256(Path(file.source).read_bytes()).hexdigest() == file.sha256
        assert file.path.startswith(WHEELS if file.path.endswith(".whl") else file.sha256[:16])


def test_what_there_is_none_of_is_not_sent(wanted: dict[str, Any]) -> None:
    """A Python that stays has no file, nor has an environment without a checkout."""
    nothing = {"version": "3.10.13", "url": "", "sha256": "", "size_bytes": 0}
    wanted.update(python=nothing)
    wanted["environment"].update(source={})
    assert len(needed(["python", "environment"], wanted)) == 3


def test_a_module_says_what_was_not_sent(wanted: dict[str, Any], tmp_path: Path) -> None:
    toolkit = wanted["toolkit"]
    with pytest.raises(AscendError, match="was not sent to the node"):
        take(DepotFile(toolkit["url"], toolkit["sha256"], toolkit["size_bytes"]), str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("transport", "url", "expected"),
    [
        ("ssh", "", "ssh:"),
        ("ssh", "http://192.0.2.1", "ssh:"),
        ("path", "", "file:///srv/depot"),
        ("path", "file:///mnt/depot/", "file:///mnt/depot"),
        ("path", "http://192.0.2.1", ""),
        ("http", "https://depot.test:8443/a/", "https://depot.test:8443/a"),
        ("http", "", ""),
        ("http", "file:///mnt", ""),
    ],
)
def test_the_address_of_each_way(transport: str, url: str, expected: str) -> None:
    if expected:
        assert address(transport, url, "/srv/depot") == expected
    else:
        with pytest.raises(AscendError, match="ascend_depot_url is not an address"):
            address(transport, url, "/srv/depot")


@pytest.mark.parametrize(("transport", "served"), [("ssh", False), ("path", False), ("http", True)])
def test_only_a_web_servers_account_has_to_read_the_depot(tmp_path: Path, transport: str, served: bool) -> None:
    node = {"ascend_settings": settings(tmp_path, depot_transport=transport), "depot_architectures": ["x86_64"]}
    assert [fill["served"] for fill in needs([node])["fills"]] == [served]


@pytest.mark.parametrize("transport", ["ssh", "http"])
def test_a_nodes_mirror_is_asked_whatever_the_way_is(tmp_path: Path, transport: str) -> None:
    """What it does not give is sent, so wheels lie on the node."""
    told = {"depot_mirror": "cache-a", "depot_mirror_url": "http://192.0.2.40:8080"}
    wanted = resolve(bare(), settings(tmp_path, depot_transport=transport, **told))
    assert wanted["depot"]["transport"] == "ssh"
    assert (wanted["depot"]["mirror"], wanted["depot"]["mirror_url"]) == ("cache-a", "http://192.0.2.40:8080")
    assert wanted["environment"]["wheelhouse"].startswith("file:///var/cache/x/")


def test_the_address_of_a_mirror_is_its_hosts() -> None:
    hosts = {"a": {"ansible_host": "192.0.2.40"}, "b": {"depot_server_port": 8443, "depot_server_certificate": "/x"}}
    variables = {"groups": {"depot_mirrors": ["a", "b"]}, "hostvars": {**hosts, "other": {}}}
    assert [mirror_url(name, variables) for name in ("a", "b", "")] == ["http://192.0.2.40:8080", "https://b:8443", ""]
    with pytest.raises(AnsibleActionFail, match="depot_mirror does not name a mirror"):
        mirror_url("other", variables)


class Play:
    """A play that sends these steps' files to this machine."""

    def __init__(self, folder: Path, wanted: dict[str, Any], steps: list[str]) -> None:
        self.folder = folder
        places = {
            name: str(folder / name) for name in ("cann_root", "ascend_root", "cache_dir", "state_dir", "tmp_dir")
        }
        self.task: dict[str, dict[str, Any]] = {
            "ascend.fleet.depot_files": {"wanted": wanted, "steps": steps, **places}
        }
        self.write()
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        self.argv = [program, "play.yml", "-i", "node,", "-c", "local"]
        self.argv += ["-e", f"ansible_python_interpreter={sys.executable}"]
        config = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")}
        self.environment = {**os.environ, **config, "ANSIBLE_NOCOLOR": "1"}
        self.cache = folder / "cache_dir"

    def write(self) -> None:
        play = {"hosts": "all", "gather_facts": False, "tasks": [{"name": "Send", **self.task}]}
        (self.folder / "play.yml").write_text(json.dumps([play]))

    def run(self, *more: str) -> str:
        done = subprocess.run(
            [*self.argv, *more], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def failed(self) -> str:
        done = subprocess.run(
            self.argv, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2, done.stdout + done.stderr
        return done.stdout

    def on_a_terminal(self) -> str:
        """Return what it writes to a terminal, byte for byte."""
        ours, its = pty.openpty()
        set_size(its)
        process = subprocess.Popen(
            self.argv, cwd=self.folder, env=self.environment, stdin=its, stdout=its, stderr=its, start_new_session=True
        )
        os.close(its)
        output = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the last one that had it open is gone
                break
            output += data
        os.close(ours)
        assert process.wait() == 0, output.decode()
        return output.decode()

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.cache)) for path in self.cache.rglob("*") if path.is_file())


@pytest.mark.slow
def test_files_are_sent_once_and_a_log_says_how_much(wanted: dict[str, Any], tmp_path: Path) -> None:
    play = Play(tmp_path, wanted, ["toolkit", "kernels", "environment"])
    checked = play.run("--check", "--diff")
    assert "changed: [node]" in checked
    assert f"+{WHEELS}/one-1-py3-none-any.whl" in checked
    assert not play.cache.exists()
    output = play.run()
    assert re.search(r"^node: \d\.\d MB sent in 0:\d\d(?: \([\d.]+ MB/s\))?$", output, re.MULTILINE), output
    assert "\r" not in output
    assert "\x1b" not in output
    expected = [file.path for file in needed(["toolkit", "kernels", "environment"], wanted)]
    assert play.files() == sorted(expected)
    # The modules find the files where they look for them.
    toolkit = wanted["toolkit"]
    assert take(DepotFile(toolkit["url"], toolkit["sha256"], toolkit["size_bytes"]), str(play.cache))
    again = play.run()
    assert "ok: [node]" in again
    assert "sent in" not in again


@pytest.mark.slow
def test_what_changed_in_the_depot_is_sent_anew_and_then_named(wanted: dict[str, Any], tmp_path: Path) -> None:
    play = Play(tmp_path, wanted, ["toolkit"])
    toolkit = Path(wanted["depot"]["folder"], SINGLE["toolkit"])
    toolkit.write_bytes(b"x" * toolkit.stat().st_size)
    output = play.failed()
    assert "arrived with the wrong content twice" in output
    assert str(toolkit) in output
    assert output.count("node: 100 kB sent") == 2
    assert play.files() == []


@pytest.mark.slow
def test_on_a_terminal_that_is_drawn_the_log_alone_says_how_much(wanted: dict[str, Any], tmp_path: Path) -> None:
    play = Play(tmp_path, wanted, ["toolkit", "kernels", "environment"])
    play.environment |= {"CI": "", "TERM": "xterm", "ANSIBLE_LOG_PATH": str(tmp_path / "log")}
    output = play.on_a_terminal()
    assert not re.search(r"sent in|have their files|changed: \[node\]", output), output
    log = (tmp_path / "log").read_text()
    assert re.search(r"\| node: \d\.\d MB sent in 0:\d\d", log), log
    assert "changed: [node]" in log


def over_the_web(wanted: dict[str, Any], url: str) -> dict[str, Any]:
    """The same wishes of a node that fetches from the depot's web server."""
    parts = {kind: {**wanted[kind], "url": f"{url}/{name}"} for kind, name in {**SINGLE, "uv": OTHERS["uv"]}.items()}
    environment = {
        **wanted["environment"],
        "source": {**wanted["environment"]["source"], "url": f"{url}/{OTHERS['source']}"},
    }
    depot = {**wanted["depot"], "transport": "http", "url": url}
    return {**wanted, **parts, "environment": environment, "depot": depot, "depot_proxy": ""}


@pytest.mark.slow
def test_a_node_fetches_from_the_web_server_and_says_how_much(wanted: dict[str, Any], tmp_path: Path) -> None:
    steps = ["toolkit", "kernels", "environment"]
    with served.python_server(Path(wanted["depot"]["folder"])) as address:
        url = f"http://{address}"
        play = Play(tmp_path, over_the_web(wanted, url), steps)
        output = play.run()
        assert re.search(r"^node: \d\.\d MB fetched in 0:\d\d", output, re.MULTILINE), output
        assert play.files() == sorted(file.path for file in needed(steps, wanted))
        again = play.run()
    assert ("ok: [node]" in again, "fetched in" in again) == (True, False), "what it has is not fetched again"
    assert "sent in" not in output + again


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lacks it", "has another", "is down"])
def test_a_web_server_that_does_not_serve_a_file_is_named(wanted: dict[str, Any], tmp_path: Path, kind: str) -> None:
    toolkit = Path(wanted["depot"]["folder"], SINGLE["toolkit"])
    with served.python_server(Path(wanted["depot"]["folder"])) as address:
        url = f"http://{address}"
        play = Play(tmp_path, over_the_web(wanted, url), ["toolkit"])
        if kind == "has another":
            toolkit.write_bytes(b"x" * toolkit.stat().st_size)
        elif kind == "lacks it":
            toolkit.unlink()
        if kind != "is down":
            output = play.failed()
    if kind == "is down":
        output = play.failed()
    file = f"{url}/{SINGLE['toolkit']}"
    assert file in output, output
    if kind == "has another":
        assert "a file from the depot differs from the control node's" in output
    else:
        assert "the depot did not serve a file" in output
        assert f"curl -fI --noproxy '*' {file}" in output
    assert play.files() == []


@pytest.mark.slow
def test_a_mirror_is_sent_what_its_nodes_need_each_file_under_its_sum(wanted: dict[str, Any], tmp_path: Path) -> None:
    play = Play(tmp_path, wanted, [])
    task = play.task["ascend.fleet.depot_files"]
    del task["wanted"], task["steps"]
    task["mirror"] = True
    play.write()
    ways = {**wanted["depot"], "mirror": "cache-a"}
    of_its_own = {"preflight_node": {"components": ["toolkit"], "wanted": {**wanted, "depot": ways}}}
    of_another = {"preflight_node": {"components": ["python"], "wanted": {**wanted, "depot": {**ways, "mirror": "b"}}}}
    nodes = {"one": of_its_own, "two": of_another, "silent": {}}
    inventory = {"all": {"hosts": {"cache-a": {}}, "children": {"ascend": {"hosts": nodes}}}}
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    output = play.run("-i", "hosts.json", "--limit", "cache-a")
    assert "cache-a: 100 kB sent in" in output
    assert play.files() == [wanted["toolkit"]["sha256"]]
    assert (play.cache / "incoming").is_dir(), "another control node may be about to send"
