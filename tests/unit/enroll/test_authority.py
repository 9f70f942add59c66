# SPDX-License-Identifier: Apache-2.0
"""The fleet's authorities and its list of revoked keys, by the real ssh-keygen and ssh-agent."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.ssh_certificate import HOST, USER, parse
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll import (
    authority,
    certificates,
    keypair,
    known_hosts,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.authority import Authority
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.host_keys import public_key
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.target import Target

HERE = Target("npu-1", "192.0.2.1", 22, "192.0.2.1")


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as program:
        while not socket.exists():
            time.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        yield
        program.terminate()


def ca(folder: Path, name: str = "host_ca") -> Authority:
    authority.made(folder / name, name, check=False)
    found = authority.authority(folder / name)
    assert found
    return found


def pair(folder: Path, name: str) -> str:
    return keypair.made(folder / name, check=False)[0]


def test_an_authority_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "host_ca"
    assert authority.authority(path) is None
    assert authority.made(path, "host-ca", check=True)
    assert not path.exists()
    assert authority.made(path, "host-ca", check=False)
    before = path.read_bytes(), path.with_name("host_ca.pub").read_bytes()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert not authority.made(path, "host-ca", check=False)
    assert (path.read_bytes(), path.with_name("host_ca.pub").read_bytes()) == before
    # On a card, in an agent: nothing but the public key lies here.
    path.unlink()
    assert not authority.made(path, "host-ca", check=False)
    assert not path.exists()


def test_it_signs_for_names_and_days(tmp_path: Path) -> None:
    line = pair(tmp_path, "key")
    certificate = parse(authority.signed(ca(tmp_path), line, ["a", "b"], "npu 1", 90, is_host=True))
    assert certificate
    assert (certificate.type, certificate.principals, certificate.key_id) == (HOST, ["a", "b"], "npu 1")
    assert certificate.valid_before - certificate.valid_after == pytest.approx(90 * 86400 + 3600, abs=2)
    assert certificate.valid_after == pytest.approx(time.time() - 3600, abs=60)
    other = parse(authority.signed(ca(tmp_path), line, ["a"], "npu 1", 1, is_host=True))
    assert other
    assert other.serial != certificate.serial


@pytest.mark.parametrize("names", [[], [""], ["a,b"]])
def test_what_would_be_valid_for_all_or_others_is_not_signed(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(AscendError, match="no name to sign for"):
        authority.signed(ca(tmp_path), pair(tmp_path, "key"), names, "id", 1, is_host=True)


def test_a_key_with_a_passphrase_signs_by_the_agent(tmp_path: Path, agent: None) -> None:
    by, line = ca(tmp_path), pair(tmp_path, "key")
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "geheim", "-f", str(by.path)], check=True)
    with pytest.raises(AscendError, match="did not sign") as error:
        authority.signed(by, line, ["a"], "id", 1, is_host=True)
    assert f"ssh-add {by.path}" in error.value.remedy
    asked = tmp_path / "ask"
    asked.write_text("#!/bin/sh\necho geheim\n")
    asked.chmod(0o700)
    environment = {**os.environ, "SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(["ssh-add", "-q", str(by.path)], check=True, env=environment)
    # The private key itself may be elsewhere.
    by.path.unlink()
    again = authority.authority(by.path)
    assert again
    assert again.in_agent
    certificate = parse(authority.signed(again, line, ["a"], "id", 1, is_host=True))
    assert certificate
    assert certificate.signed_by == by.key.blob


def test_the_control_nodes_certificate_is_for_the_account_and_forwards_nothing(tmp_path: Path) -> None:
    by, line = ca(tmp_path, "user_ca"), pair(tmp_path, "key")
    give = (tmp_path / "key", by, "ascend-fleet", 1)
    assert certificates.user_certificate(*give, [], check=True)
    assert not (tmp_path / "key-cert.pub").exists()
    assert certificates.user_certificate(*give, [], check=False)
    text = (tmp_path / "key-cert.pub").read_text()
    found = parse(text)
    assert found
    assert (found.type, found.principals, found.key) == (USER, ["ascend-fleet"], public_key(line, "").blob)
    shown = subprocess.run(["ssh-keygen", "-L", "-f", str(tmp_path / "key-cert.pub")], capture_output=True, text=True)
    assert [word for word in shown.stdout.split() if word.startswith("permit-")] == ["permit-pty"]
    assert not certificates.user_certificate(*give, [], check=False)
    assert certificates.user_certificate(*give, [text.strip()], check=False)
    assert certificates.user_certificate(tmp_path / "key", by, "another", 1, [], check=False)
    with pytest.raises(AscendError, match="from another authority"):
        certificates.user_certificate(tmp_path / "key", ca(tmp_path, "other_ca"), "another", 1, [], check=False)


def test_half_of_its_time_later_it_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair(tmp_path, "key")
    by = ca(tmp_path)
    certificates.user_certificate(tmp_path / "key", by, "ascend-fleet", 2, [], check=False)
    now = time.time()
    for later_h, is_due in ((0, False), (22, False), (25, True), (49, True), (-2, True)):
        monkeypatch.setattr(time, "time", lambda later=later_h: now + later * 3600)
        due = certificates.user_certificate(tmp_path / "key", by, "ascend-fleet", 2, [], check=True)
        assert due is is_due, later_h


def test_the_list_of_revoked_keys(tmp_path: Path) -> None:
    file, own = tmp_path / "revoked_keys", pair(tmp_path, "own")
    stolen, other = pair(tmp_path, "stolen"), pair(tmp_path, "other")
    by = ca(tmp_path)
    one, two = (authority.signed(by, own, ["a"], "id", 1, is_host=False) for _ in range(2))
    assert not authority.is_revoked(file, stolen)
    assert authority.revoke(file, [], [own])
    assert not authority.is_revoked(file, stolen)
    assert authority.revoke(file, [stolen, one], [own, two])
    assert authority.revoke(file, [other], [own, two])
    assert not authority.revoke(file, [stolen], [own, two])
    stolens = authority.signed(by, stolen, ["a"], "id", 1, is_host=True)
    assert [authority.is_revoked(file, line) for line in (stolen, stolens, one, other)] == [True] * 4
    assert [authority.is_revoked(file, line) for line in (own, two)] == [False] * 2
    before = file.read_bytes()
    for line in (own, two, by.key.line):
        with pytest.raises(AscendError, match="lock itself out"):
            authority.revoke(file, [line], [own, two])
    assert file.read_bytes() == before
    file.write_text("damaged")
    assert authority.is_revoked(file, own), "sshd would let nobody in"


def test_known_hosts_trusts_the_authority_by_one_line_and_refuses_what_was_revoked(tmp_path: Path) -> None:
    key, gone = ca(tmp_path).key, public_key(pair(tmp_path, "gone"), "")
    kept = public_key(pair(tmp_path, "kept"), "")
    text = known_hosts.merged("", {"a": gone, "[a]:2222": kept})
    text = known_hosts.with_authority(known_hosts.with_authority(text, key), key)
    assert text.splitlines()[1:] == [f"a {gone.line}", f"[a]:2222 {kept.line}", f"@cert-authority * {key.line}"]
    after = known_hosts.with_revoked(text, [gone, gone])
    assert after.splitlines()[1:] == [
        f"[a]:2222 {kept.line}",
        f"@cert-authority * {key.line}",
        f"@revoked * {gone.line}",
    ]
    assert known_hosts.with_revoked(after, [gone]) == after
    assert known_hosts.keys_of_hosts(text) == {"a": {gone.blob, kept.blob}}


@pytest.mark.parametrize(
    ("name", "at", "names"),
    [
        ("npu-1", HERE, ["192.0.2.1", "npu-1"]),
        ("npu-1", Target("NPU-1.example", "npu-1.example", 2222, "[npu-1.example]:2222"), None),
        ("rack 1, node", HERE, ["192.0.2.1", "npu-1"]),
        ("npu-1", Target("127.0.0.1", "127.0.0.1", 2222, "first", alias="first"), ["first", "npu-1"]),
        ("npu-1", Target("fe80::1", "fe80::1", 22, "fe80::1"), ["fe80::1", "npu-1"]),
    ],
)
def test_principals_have_no_port(name: str, at: Target, names: list[str] | None) -> None:
    assert certificates.principals(name, at) == (names or ["NPU-1.example", "npu-1", "npu-1.example"])


def test_an_agent_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "_SIGN_S", 0.5)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as silent:  # a short path
        silent.bind(f"{folder}/agent")
        silent.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", f"{folder}/agent")
        assert not ca(tmp_path).in_agent
        by = Authority(tmp_path / "host_ca", ca(tmp_path).key, in_agent=True)
        with pytest.raises(AscendError, match="does the agent answer"):
            authority.signed(by, pair(tmp_path, "key"), ["a"], "id", 1, is_host=True)
