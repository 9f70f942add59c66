# SPDX-License-Identifier: Apache-2.0
"""The fleet's known_hosts, fingerprints, and how OpenSSH reaches a node."""

from __future__ import annotations

import configparser
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll import (
    account,
    host_keys,
    keypair,
    known_hosts,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.host_keys import HostKey
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.password import password_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.target import target


def made(folder: Path, kind: str = "ed25519", name: str = "key") -> HostKey:
    path = folder / f"{name}_{kind}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
    return host_keys.public_key(path.with_suffix(".pub").read_text(), str(path))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_fingerprint_is_openssh_s(tmp_path: Path, kind: str) -> None:
    key = made(tmp_path, kind)
    argv = ["ssh-keygen", "-lf", str(tmp_path / f"key_{kind}.pub")]
    line = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert key.fingerprint == line.split()[1]
    for given in (line, key.fingerprint, [key.fingerprint + "="], [line.strip()]):
        assert host_keys.fingerprints(given, "here") == [key.fingerprint]
    assert host_keys.expected({"ssh_host_key": f"{key.line} root@npu\n"}, "npu") == [key.fingerprint]


@pytest.mark.parametrize("given", ["MD5:aa:bb", "SHA256:short", "SHA256:" + "A" * 44, ["x"], "-"])
def test_what_is_no_fingerprint(given: str | list[str]) -> None:
    with pytest.raises(AscendError, match="not a fingerprint"):
        host_keys.fingerprints(given, "ssh_host_fingerprints of npu-001")


@pytest.mark.parametrize(
    "text", ["", "ssh-rsa", "ssh-rsa AAAA", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOMq"]
)
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(AscendError, match="not a public key"):
        host_keys.public_key(text, "here")


def test_a_csv(tmp_path: Path) -> None:
    key, file = made(tmp_path), tmp_path / "rack.csv"
    file.write_text(
        f"\ufeffhost, fingerprint\nnpu-1, {key.fingerprint}\nnpu-1,{key.fingerprint}\n192.0.2.7,{key.fingerprint}\n"
    )
    found = host_keys.from_csv(file)
    assert found == {"npu-1": [key.fingerprint] * 2, "192.0.2.7": [key.fingerprint]}
    for text, words in (("name;print\n", "no column host"), ("", "no column"), ("host,fingerprint\nnpu-1\n", "line 2")):
        file.write_text(text)
        with pytest.raises(AscendError) as caught:
            host_keys.from_csv(file)
        assert words in str(caught.value)


def test_known_hosts_is_openssh_s(tmp_path: Path) -> None:
    """What ssh-keygen -F finds is what is pinned, and what -R leaves is read on."""
    file = tmp_path / "known_hosts"
    names = [("npu-001", 22), ("192.0.2.1", 2222), ("2001:db8::1", 22), ("2001:DB8::2", 2022)]
    pins = {known_hosts.name_of(*name): made(tmp_path, name=f"k{i}") for i, name in enumerate(names)}
    known_hosts.pin(file, pins)
    assert known_hosts.name_of("NPU-001", 22) in pins, "ssh looks names up in lower case"
    for name, key in pins.items():
        found = subprocess.run(["ssh-keygen", "-F", name, "-f", str(file)], capture_output=True, text=True, check=True)
        assert key.line in found.stdout
        assert known_hosts.pinned(file.read_text(), name) == [key]
    subprocess.run(["ssh-keygen", "-R", "[192.0.2.1]:2222", "-f", str(file)], capture_output=True, check=True)
    assert known_hosts.pinned(file.read_text(), "[192.0.2.1]:2222") == []
    assert known_hosts.pinned(file.read_text(), "npu-001") == [pins["npu-001"]]


def test_what_is_there_stays_and_what_is_old_goes(tmp_path: Path) -> None:
    old, new, other = (made(tmp_path, name=name) for name in ("old", "new", "other"))
    rsa = made(tmp_path, "rsa")
    text = (
        f"# mine\n@cert-authority *.fleet {other.line}\nnpu-1,192.0.2.1 {old.line} comment\nnpu-1 {rsa.line}\n"
        f"npu-2 {other.line}\n|1|aGFzaA==|aGFzaA== {old.line}\nrubbish\n"
    )
    after = known_hosts.merged(text, {"npu-1": new, "npu-2": other})
    assert after.splitlines() == [
        "# mine",
        f"@cert-authority *.fleet {other.line}",
        f"192.0.2.1 {old.line} comment",
        f"npu-2 {other.line}",
        f"|1|aGFzaA==|aGFzaA== {old.line}",
        "rubbish",
        f"npu-1 {new.line}",
    ]
    assert known_hosts.merged(after, {"npu-1": new}) == after
    assert known_hosts.names_with(after, other) == ["npu-2"]


def test_two_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "ssh" / "known_hosts"
    key = made(tmp_path)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: known_hosts.pin(file, {f"npu-{number}": key}), range(64)))
    assert sorted(known_hosts.names_with(file.read_text(), key)) == sorted(f"npu-{number}" for number in range(64))
    assert not [path for path in file.parent.iterdir() if path.name.endswith(".part")]


def test_the_way_to_a_node_is_openssh_s(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "Host npu-*\n HostName 2001:db8::5\n Port 2200\n ProxyJump out@first.example,me@second.example:2022\n"
        "Host prox\n ProxyCommand /usr/bin/nc -X 5 %h %p\nHost alias\n HostKeyAlias other-name\n"
    )
    options = ("-F", str(config))
    node = target("npu-1", None, options, "/srv/100%/known_hosts")
    assert (node.host, node.port, node.known_as) == ("2001:db8::5", 2200, "[2001:db8::5]:2200")
    assert node.shown == "[2001:db8::5]:2200"
    assert "-W '[2001:db8::5]:2200'" in node.proxy
    assert node.proxy.endswith("-p 2022 -l me -- second.example")
    assert node.proxy.count("StrictHostKeyChecking=yes") == 2
    assert node.proxy.count("first.example") == 1
    # What OpenSSH makes of the inner command: one % left of each two.
    assert "[%h]:%p" in node.proxy
    assert target("prox", 22, options, "/k").proxy == "/usr/bin/nc -X 5 prox 22"
    assert target("alias", 2222, options, "/k").known_as == "other-name"
    assert target("[::1]", 2222, (), "/k").known_as == "[::1]:2222"
    assert target("192.0.2.1", None, (), "/k").shown == "192.0.2.1"


@pytest.mark.parametrize("host", ["-oProxyCommand=id", "-V", "a b", "$(id)", "npu;id", "", "a\nb", "'x'"])
def test_what_is_no_address_reaches_no_program(host: str) -> None:
    with pytest.raises(AscendError, match="not an address"):
        target(host, None, (), "/k")


def test_options_that_are_none() -> None:
    with pytest.raises(AscendError, match="rejects the node's connection options"):
        target("npu-1", None, ("-o", "Nosuch=1"), "/k")


@pytest.mark.parametrize("text", ["two\nlines", "nul\0", "\udcff"])
def test_a_password_that_cannot_be_sent_is_not_named(text: str) -> None:
    with pytest.raises(AscendError) as caught:
        password_of(text, "here")
    assert text not in str(caught.value)


def test_a_pair_is_made_once_and_its_public_half_again(tmp_path: Path) -> None:
    path = tmp_path / "ssh" / "id_ed25519"
    assert keypair.made(path, check=True) == ("", True)
    assert not path.parent.exists()
    line, is_new = keypair.made(path, check=False)
    assert is_new
    assert keypair.made(path, check=False) == (line, False)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o077) == (0o600, 0)
    path.with_suffix(".pub").unlink()
    again, _ = keypair.made(path, check=False)
    assert again.split()[:2] == line.split()[:2]
    assert keypair.line_of(line) == keypair.line_of(str(path) + ".pub").replace(again, line)
    with pytest.raises(AscendError, match="cannot read"):
        keypair.line_of(str(tmp_path / "nosuch.pub"))


@pytest.mark.parametrize("name", ["Root", "a b", "x;id", "-x", "a.b", "", "a" * 40, "$(id)", "é"])
def test_names_that_no_account_can_have(name: str) -> None:
    assert account.NAME.fullmatch(name) is None


def test_the_rules_are_sudo_s() -> None:
    assert "ascend-fleet ALL=(ALL:ALL) NOPASSWD: ALL" in account.rules("ascend-fleet").splitlines()


def test_the_checkout_reads_what_is_pinned_and_leaves_the_users_own_files() -> None:
    """~ is the account's home there, which `ssh -G` does not show: it was tried by hand with a node."""
    root = Path(__file__).resolve().parents[3]
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(root / "ansible.cfg")
    pinned = yaml.safe_load((root / "roles/enroll/defaults/main.yml").read_text(encoding="utf-8"))["enroll_known_hosts"]
    for name in ("ssh_extra_args", "sftp_extra_args", "scp_extra_args"):
        words = shlex.split(settings["ssh_connection"][name])
        own = ["-F", "none", "-o", "UserKnownHostsFile=/my/own"]
        done = subprocess.run(["ssh", *own, *words, "-G", "x"], capture_output=True, text=True, check=True)
        found = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
        assert pinned in found["globalknownhostsfile"].split()
        assert "/etc/ssh/ssh_known_hosts" in found["globalknownhostsfile"].split()
        assert found["userknownhostsfile"] == "/my/own"
        assert found["stricthostkeychecking"] == "ask", "and what it says of unknown keys"
