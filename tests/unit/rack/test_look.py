# SPDX-License-Identifier: Apache-2.0
"""What a node answers of itself: its interface, ports that are taken, paths; with real sockets and files."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Account, query, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.net import interface, taken
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.rack import look, paths, reach

NAMES = ["lo", "eth1", "docker0", "eth0", "bond0", "bond0.12"]
HERE = Node(query, lambda _name: None)
NOBODY = Account("nobody", 65534, 65534, (65534,))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", "bond0"),
        ("eth", "eth0"),
        ("eth1", "eth1"),
        ("=bond0.12", "bond0.12"),
        ("=eth", None),
        ("ens,eth", "eth0"),
        ("^bond,docker", "eth0"),
        ("^=bond0", "bond0.12"),
        ("eth9", None),
        ("=lo", "lo"),
    ],
)
def test_the_interface_is_the_one_that_hccl_takes(asked: str, expected: str | None) -> None:
    assert interface.choose(asked, NAMES) == expected


def test_only_docker_and_the_loopback() -> None:
    assert interface.choose("", ["lo", "docker0"]) == "docker0"
    assert interface.choose("", ["lo"]) is None


def test_this_machines_loopback_has_an_address_and_is_up() -> None:
    found = interface.read_interface(HERE, "=lo")
    assert (found["name"], found["up"], found["address"]) == ("lo", True, "127.0.0.1")
    assert interface.read_interface(HERE, "=nosuch0")["name"] is None


def test_an_interface_without_a_carrier_is_not_up(tmp_path: Path) -> None:
    folder = tmp_path / "sys/class/net/eth7"
    folder.mkdir(parents=True)
    for state, flags, up in (("down", "0x1003", False), ("up", "0x1002", False), ("up", "0x1003", True)):
        (folder / "operstate").write_text(state + "\n")
        (folder / "flags").write_text(flags + "\n")
        assert interface.read_interface(Node(query, lambda _name: None, str(tmp_path)), "")["up"] is up


def test_a_port_is_taken_by_a_listener_and_by_a_connection() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
        with closing(socket.create_connection(("127.0.0.1", port))) as going:
            given = going.getsockname()[1]
            found = taken.read_taken(HERE, [port, given], "127.0.0.1")
            assert [(each["port"], each["pid"]) for each in found] == [(port, os.getpid()), (given, os.getpid())]
            assert found[0]["why"] == "Address already in use"
            assert "python" in found[0]["command"]
    assert taken.read_taken(HERE, [port], "127.0.0.1") == []


def test_a_port_that_refuses_is_reached_and_one_without_a_way_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "CONNECT_S", 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
        targets = [{"to": "a", "address": "127.0.0.1", "port": port}]
        assert [each["ok"] for each in reach.connect("127.0.0.1", "lo", targets)] == [True]
    targets += [{"to": "b", "address": "192.0.2.1", "port": port}]  # no way there by the loopback
    found = reach.connect("127.0.0.1", "lo", targets)
    assert [each["ok"] for each in found] == [True, False]
    assert found[1]["words"]


def test_a_listing_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "deep").mkdir(parents=True)
        for file in ("b", "deep/a"):
            (tmp_path / name / file).write_text(file)
            os.utime(tmp_path / name / file, (1, 1))
    places = [str(tmp_path / "one"), str(tmp_path / "two")]
    one, two = paths.read_paths(run, places, None).values()
    assert one == two
    assert (one["error"], one["files"], one["bytes"]) == (None, 2, 7)
    os.utime(tmp_path / "two/b", (2, 2))
    later = paths.read_paths(run, places, None)[places[1]]
    assert (later["sizes"] == one["sizes"], later["times"] == one["times"]) == (True, False)
    (tmp_path / "two/b").write_text("longer")
    assert paths.read_paths(run, places, None)[places[1]]["sizes"] != one["sizes"]


@pytest.mark.skipif(os.geteuid() != 0, reason="another account's view takes root")
def test_a_file_that_the_account_cannot_read_is_named() -> None:
    """Pytest's own folders are closed to other accounts."""
    with tempfile.TemporaryDirectory(prefix="ascend-look-") as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "secret").write_text("x")
        (place / "secret").chmod(0o600)
        found = paths.read_paths(run, [name, "/nosuch"], NOBODY)
    assert found[name]["error"] == f"Permission denied: {place}/secret"
    assert found["/nosuch"]["error"] == "No such file or directory: /nosuch"


def test_a_file_is_a_path_too(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text("{}")
    assert paths.read_paths(run, [str(tmp_path / "data.json")], None)[str(tmp_path / "data.json")]["bytes"] == 2


def test_this_machine_knows_its_name_or_says_why_not() -> None:
    found = look.own_name()
    assert found["name"] == socket.gethostname()
    assert bool(found["addresses"]) != bool(found["error"])
