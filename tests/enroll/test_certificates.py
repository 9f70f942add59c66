# SPDX-License-Identifier: Apache-2.0
"""Certificates of hosts and of the fleet's account, with real sshds: given, renewed, revoked, refused."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import ssh_certificate
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll import authority, certificates, openssh
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.certificates import Certifying
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.openssh import Access
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.target import Target, target
from tests.enroll.rack import PASSWORD, Rack, RealNode, play

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
    RealNode("skewed", "install -m 644 /rack/skew.so /etc; echo /etc/skew.so >/etc/ld.so.preload", address="127.0.0.4"),
    RealNode("other-list", variables=aliased("other-list"), options="RevokedKeys /etc/ssh/empty\n"),
    RealNode("same-address-1", address="127.0.0.3"),
    RealNode("same-address-2", address="127.0.0.3"),
]
GOOD = ["block", "drop-in", "by-address"]


# A clock that is two days ahead, for all programs of a node.
SKEW = """
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
time_t time(time_t *at) {
  struct timespec now;
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  time_t then = now.tv_sec + 2 * 86400;
  if (at) *at = then;
  return then;
}
"""


def _skew(library: Path) -> None:
    library.parent.mkdir(parents=True)
    argv = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
    subprocess.run(argv, input=SKEW, text=True, check=True)


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    made = Rack(tmp_path_factory.mktemp("rack"), NODES)
    made.nodes["other-list"].setup += "; : >/etc/ssh/empty"
    made.nodes["skewed"].setup += f"; echo 'root:{PASSWORD}' | chpasswd"
    _skew(made.folder / "rack" / "skew.so")
    with made.started():
        yield made


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
    reloaded(rack, name, f"echo '{line}' >{CERTIFICATE}")


def reloaded(rack: Rack, name: str, script: str) -> None:
    """Run a script where the node's files are, and have its sshd read its configuration anew."""
    times = rack.log(name).count("Server listening")
    rack.inside(name, f"{script}; {HUP.format(name=name)}")
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
        # Its sshd judges the control node's certificate, and by its clock that has expired.
        ("skewed", "OpenSSH cannot log in with them", "date -u"),
        ("other-list", "a list of revoked keys that is not the fleet's", "enroll_revoke"),
        ("same-address-1", "certificates have no port", "HostKeyAlias"),
        ("same-address-2", "certificates have no port", "HostKeyAlias"),
    ],
)
def test_what_is_wrong_is_told_and_left_as_it_was(rack: Rack, first: str, name: str, problem: str, remedy: str) -> None:
    error = rack.report()[name]["error"]
    assert problem in error["problem"], error
    assert remedy in error["remedy"], error
    if name == "skewed":
        return
    assert rack.inside(name, "ls /etc/ssh").count("ascend-fleet") == 0
    assert "ascend-fleet" not in rack.inside(name, "cat /etc/ssh/sshd_config")


@pytest.mark.whole
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


@pytest.mark.whole
@pytest.mark.parametrize(("ca", "valid"), [("host_ca", "-2d:-1d"), ("user_ca", "-1d:+90d")])
def test_one_that_expired_or_is_anothers_is_renewed_by_the_pinned_key(
    rack: Rack, first: str, tmp_path: Path, ca: str, valid: str
) -> None:
    key = tmp_path / "key.pub"
    key.write_text(rack.public("block"))
    install(rack, "block", sign(rack, ca, key, "-h", "-n", "block", "-V", valid))
    inventory = rack.inventory(["block"], enroll_password="")
    for options in (["--check"], []):
        refused(rack, "block")
        run = play(inventory, *options, playbook=RENEW)
        assert run.code == 0, run.output
        assert rack.report()["block"]["changed"] == ["host certificate"]
    assert openssh.certified(*at(rack, "block"))[0] == rack.fingerprint("block")


@pytest.mark.whole
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


@pytest.mark.whole
def test_the_plain_key_goes_where_the_certificate_logs_in(rack: Rack, first: str) -> None:
    plain = (rack.known_hosts.parent / "id_ed25519.pub").read_text().split()[1]
    authorized = "cat /home/ascend-fleet/.ssh/authorized_keys"
    assert plain in rack.inside("by-address", authorized)
    for playbook, changed in ((RENEW, ["plain key"]), (RENEW, []), ("playbooks/enroll.yml", [])):
        run = play(
            rack.inventory(["by-address"], enroll_password=""),
            "-e",
            "enroll_certificates_only=true",
            playbook=playbook,
        )
        assert run.code == 0, run.output
        assert rack.report()["by-address"]["changed"] == changed
        lines = rack.inside("by-address", authorized).splitlines()
        assert [line.split()[0] for line in lines] == ['cert-authority,principals="ascend-fleet"']


@pytest.mark.whole
@pytest.mark.parametrize(("name", "begin"), [("block", 1), ("drop-in", 2)])
def test_a_change_may_be_killed_at_any_line(
    rack: Rack, first: str, monkeypatch: pytest.MonkeyPatch, name: str, begin: int
) -> None:
    """bash runs the program and ends it before its Nth command: sshd still starts, and the next run puts all right."""
    where, access = at(rack, name)
    folder = rack.known_hosts.parent
    host, user = (authority.authority(folder / file) for file in ("host_ca", "user_ca"))
    wishes = Certifying(host, user, folder / "revoked_keys")
    node = certificates.Node(name, {})
    program = certificates._CHANGE
    # The list goes last: an sshd whose configuration names it takes no key without it.
    undo = (
        "rm -f /etc/ssh/sshd_config.d/10-ascend-fleet.conf; sed -i '/ascend-fleet/d' /etc/ssh/sshd_config;"
        "sed -i '/user-ca/d' /home/ascend-fleet/.ssh/authorized_keys"
    )
    killed = 0
    for number in range(begin, 200, 2):
        reloaded(rack, name, undo)
        rack.inside(name, "rm -rf /etc/ssh/ascend-fleet")
        trap = f"trap 'n=$((n+1)); [ $n -lt {number} ] || kill -9 $$' DEBUG\n"
        monkeypatch.setattr(certificates, "_CHANGE", f'exec bash -T -c {shlex.quote(trap + program)} "$0" "$@"')
        try:
            certificates.certify(where, access, wishes, node, check=False)
            break
        except AscendError:
            killed += 1
        assert rack.inside(name, "/usr/sbin/sshd -t; /usr/sbin/sshd -T >/dev/null; echo fine") == "fine\n"
        if number % 10 < 2:
            monkeypatch.setattr(certificates, "_CHANGE", program)
            certificates.certify(where, access, wishes, node, check=False)
            assert openssh.certified(where, access)[0] == rack.fingerprint(name)
            assert ".part" not in rack.inside(name, "ls -A /etc/ssh /etc/ssh/ascend-fleet /etc/ssh/sshd_config.d")
    print(f"killed at {killed} commands")
    assert killed > 30
    assert certificates.certify(where, access, wishes, node, check=False) == []


@pytest.mark.whole
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
    assert rack.report()["by-address"]["error"]["problem"] == "the node's host key was revoked", again.output
