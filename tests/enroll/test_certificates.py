# SPDX-License-Identifier: Apache-2.0
"""Certificates of hosts and of the fleet's account, with real sshds: given, renewed, revoked, refused."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import ssh_certificate
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll import openssh
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.openssh import Access
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.target import Target, target
from tests.enroll.rack import Rack, RealNode, play

RENEW = "playbooks/ssh_certificates.yml"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"
CERTIFICATE = "/etc/ssh/ascend-fleet/host-cert.pub"


def aliased(name: str, **more: str) -> dict[str, str]:
    return {"ansible_ssh_extra_args": f"-o HostKeyAlias={name}", **more}


NODES = [
    RealNode("block", variables=aliased("block"), options="X11Forwarding no\n"),
    RealNode("drop-in", variables=aliased("drop-in"), options=INCLUDE),
    RealNode("by-address", address="127.0.0.2"),
    # From here on: what is wrong.
    RealNode("other-list", variables=aliased("other-list"), options="RevokedKeys /etc/ssh/empty\n"),
    RealNode("same-address-1", address="127.0.0.3"),
    RealNode("same-address-2", address="127.0.0.3"),
]
GOOD = ["block", "drop-in", "by-address"]


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    made = Rack(tmp_path_factory.mktemp("rack"), NODES)
    made.nodes["other-list"].setup += "; : >/etc/ssh/empty"
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def first(rack: Rack) -> str:
    run = play(rack.inventory(list(rack.nodes)), "-e", "enroll_make_ca=true")
    assert run.code == 2, run.output
    return run.output


def at(rack: Rack, name: str) -> tuple[Target, Access]:
    """A node as OpenSSH reaches it, with the fleet's own login."""
    node, folder = rack.nodes[name], rack.known_hosts.parent
    options = ("-o", f"HostKeyAlias={name}") if name in ("block", "drop-in") else ()
    access = Access("ascend-fleet", folder / "id_ed25519", rack.known_hosts, options)
    return target(node.address, node.port, options, str(rack.known_hosts)), access


def sign(rack: Rack, ca: str, key: Path, *options: str) -> str:
    """Sign a key by the real ssh-keygen, otherwise than the fleet would; return the line."""
    argv = ["ssh-keygen", "-q", "-s", str(rack.known_hosts.with_name(ca)), "-I", "test", *options, str(key)]
    subprocess.run(argv, check=True)
    return key.with_name(key.name.replace(".pub", "-cert.pub")).read_text().strip()


HUP = 'kill -HUP $(pgrep -of "sshd: /usr/sbin/sshd -D -E /rack/{name}/")'


def install(rack: Rack, name: str, line: str) -> None:
    times = rack.log(name).count("Server listening")
    rack.inside(name, f"echo '{line}' >{CERTIFICATE}; {HUP.format(name=name)}")
    while rack.log(name).count("Server listening") == times:
        time.sleep(0.05)


def test_nodes_get_certificates_at_enrolment_that_openssh_takes(rack: Rack, first: str) -> None:
    report = rack.report()
    assert {name: report[name]["error"] for name in GOOD} == dict.fromkeys(GOOD)
    assert all("host certificate" in report[name]["changed"] for name in GOOD)
    for name in GOOD:
        where, access = at(rack, name)
        assert openssh.certified(where, access) == (rack.fingerprint(name), "")
        with openssh.markers_alone(access) as by_certificate:
            assert openssh.key_login(where, by_certificate) is None
    for file in ("host_ca", "user_ca"):
        assert rack.known_hosts.with_name(file).stat().st_mode & 0o777 == 0o600


def test_sshd_has_a_drop_in_where_it_includes_them_and_lines_of_its_own_elsewhere(rack: Rack, first: str) -> None:
    lines = [f"HostCertificate {CERTIFICATE}", "RevokedKeys /etc/ssh/ascend-fleet/revoked_keys"]
    assert rack.inside("drop-in", "cat /etc/ssh/sshd_config.d/10-ascend-fleet.conf").splitlines()[1:] == lines
    assert "ascend-fleet" not in rack.inside("drop-in", "cat /etc/ssh/sshd_config")
    assert rack.inside("block", "sed 3q /etc/ssh/sshd_config").splitlines()[1:] == lines
    assert "X11Forwarding no" in rack.inside("block", "cat /etc/ssh/sshd_config").splitlines()
    for name in GOOD:
        assert ".part" not in rack.inside(name, "ls -A /etc/ssh /etc/ssh/ascend-fleet /etc/ssh/sshd_config.d")


def test_principals_are_the_names_by_which_openssh_asks(rack: Rack, first: str) -> None:
    for name, names in (("block", ["block"]), ("by-address", ["127.0.0.2", "by-address"])):
        found = ssh_certificate.parse(rack.inside(name, f"cat {CERTIFICATE}"))
        assert found
        assert (found.principals, found.type) == (names, ssh_certificate.HOST)


def test_the_user_authority_counts_for_the_fleets_account_alone(rack: Rack, first: str) -> None:
    where, access = at(rack, "block")
    only = ("-o", "PubkeyAcceptedKeyTypes=*-cert-v01@openssh.com")
    assert openssh.run(where, access, "id -un", options=only).output.strip() == "ascend-fleet"
    assert openssh.run(where, replace(access, account="root"), "id", options=only).code == 255
    assert "trustedusercakeys none" in rack.inside("block", "/usr/sbin/sshd -T").splitlines()


@pytest.mark.parametrize(
    ("name", "problem", "remedy"),
    [
        ("other-list", "a list of revoked keys that is not the fleet's", "enroll_revoke"),
        ("same-address-1", "certificates have no port", "HostKeyAlias"),
        ("same-address-2", "certificates have no port", "HostKeyAlias"),
    ],
)
def test_what_is_wrong_is_refused_and_left_as_it_was(
    rack: Rack, first: str, name: str, problem: str, remedy: str
) -> None:
    error = rack.report()[name]["error"]
    assert problem in error["problem"], error
    assert remedy in error["remedy"], error
    assert rack.inside(name, "ls /etc/ssh").count("ascend-fleet") == 0
    assert "ascend-fleet" not in rack.inside(name, "cat /etc/ssh/sshd_config")


def test_a_second_run_changes_nothing(rack: Rack, first: str) -> None:
    again = play(rack.inventory(GOOD, enroll_password=""), playbook=RENEW)
    assert again.code == 0, again.output
    assert not any(node["changed"] for node in rack.report().values())
    assert "changed" not in again.output


def refused(rack: Rack, name: str) -> str:
    """Why OpenSSH does not take the node by its certificate."""
    found, words = openssh.certified(*at(rack, name))
    assert found == "", "OpenSSH takes it"
    return words


@pytest.mark.parametrize(
    ("ca", "options", "words"),
    [
        ("host_ca", ["-h", "-n", "block", "-V", "-2d:-1d"], "expired"),
        ("host_ca", ["-h", "-n", "block", "-V", "+1d:+2d"], "not yet valid"),
        ("host_ca", ["-h", "-n", "another"], "not a listed principal"),
        # It is not the address's port that counts, and no pattern either.
        ("host_ca", ["-h", "-n", "[127.0.0.1]:2222,bl*"], "not a listed principal"),
        ("host_ca", ["-n", "block"], "not a host certificate"),
        ("user_ca", ["-h", "-n", "block"], ""),
    ],
)
def test_certificates_that_openssh_refuses(
    rack: Rack, first: str, tmp_path: Path, ca: str, options: Sequence[str], words: str
) -> None:
    before = rack.inside("block", f"cat {CERTIFICATE}").strip()
    key = tmp_path / "key.pub"
    key.write_text(rack.public("block"))
    install(rack, "block", sign(rack, ca, key, *options))
    try:
        assert words in refused(rack, "block")
    finally:
        install(rack, "block", before)


def test_one_that_expired_is_renewed_by_the_pinned_key(rack: Rack, first: str, tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    key.write_text(rack.public("block"))
    install(rack, "block", sign(rack, "host_ca", key, "-h", "-n", "block", "-V", "-2d:-1d"))
    run = play(rack.inventory(["block"], enroll_password=""), "--check", playbook=RENEW)
    assert run.code == 0, run.output
    assert "expired" in refused(rack, "block")
    run = play(rack.inventory(["block"], enroll_password=""), playbook=RENEW)
    assert run.code == 0, run.output
    assert rack.report()["block"]["changed"] == ["host certificate"]
    assert openssh.certified(*at(rack, "block"))[0] == rack.fingerprint("block")


def test_a_node_is_enrolled_again_by_its_certificate_alone(rack: Rack, first: str) -> None:
    """Nothing is pinned, nothing stands in the inventory; the account is gone, as after a re-installation of homes."""
    rack.inside("drop-in", "userdel -r ascend-fleet; rm /etc/sudoers.d/ascend-fleet")
    text = rack.known_hosts.read_text()
    rack.known_hosts.write_text("".join(line for line in text.splitlines(True) if not line.startswith("drop-in ")))
    run = play(rack.inventory(["drop-in"], known=False))
    assert run.code == 0, run.output
    assert rack.report()["drop-in"]["known_by"] == "host CA"
    assert f"drop-in {' '.join(rack.public('drop-in').split()[:2])}" in rack.known_hosts.read_text().splitlines()


def test_the_reload_cuts_no_connection(rack: Rack, first: str) -> None:
    where, access = at(rack, "block")
    script = f"echo begun; {HUP.format(name='block')}; sleep 1; echo goes on"
    reply = openssh.run(where, access, f"sudo sh -c '{script}'")
    assert reply.output.split("\n")[:2] == ["begun", "goes on"], reply


def test_keys_are_revoked(rack: Rack, first: str) -> None:
    """A node's key on the control node, a user's on the nodes; and not the fleet's own."""
    folder = rack.known_hosts.parent
    own = folder / "id_ed25519.pub"
    refusal = play(rack.inventory(GOOD), "-e", f"enroll_revoke={own}", playbook=RENEW)
    assert refusal.code == 2
    assert "lock itself out" in refusal.output
    name = f"[127.0.0.2]:{rack.nodes['by-address'].port}"
    old = folder / "id_ed25519-cert.pub"
    run = play(rack.inventory(GOOD), "-e", f"enroll_revoke={name},{old}", playbook=RENEW)
    assert run.code == 2, run.output
    report = rack.report()
    assert [node for node in GOOD if report[node]["error"]] == ["by-address"]
    assert "revoked" in refused(rack, "by-address").lower()
    assert "no password" not in run.output
    again = play(rack.inventory(["by-address"]))
    assert rack.report()["by-address"]["error"]["problem"] == "the node shows a host key that was revoked", again.output
