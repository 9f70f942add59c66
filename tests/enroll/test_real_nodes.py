# SPDX-License-Identifier: Apache-2.0
"""Real sshds with PAM, faillock and sudo: nodes that are well, and one of each kind that is not, in one run."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.enroll.rack import PASSWORD, ROOT, Rack, RealNode, play

NEW = "Neu-und-lang-8-Zz"
UMLAUTS = "Größe-密码-7"
ROOT_HAS = f"echo 'root:{PASSWORD}' | chpasswd"
ADMIN_HAS = f"useradd -m -s /bin/bash admin; echo 'admin:{PASSWORD}' | chpasswd"
ADMIN = {"enroll_user": "admin"}
FLEET = f"{ROOT_HAS}; useradd -m -s /bin/bash -p '*' ascend-fleet"
INTERACTIVE = "PasswordAuthentication no\nKbdInteractiveAuthentication yes"
# As with homes on a file server that trusts no root: sshd, and all that it starts, lose root's rights over files.
SQUASHED = """
mount -t tmpfs none /home
cp /usr/sbin/sshd /etc/ssh/real-sshd
printf '%s\\n' '#!/bin/sh' \\
  'exec setpriv --bounding-set -dac_override,-dac_read_search,-fowner /etc/ssh/real-sshd "$@"' >/etc/ssh/wrapped
chmod 755 /etc/ssh/wrapped
mount --bind /etc/ssh/wrapped /usr/sbin/sshd
"""
BAD = "SHA256:" + "A" * 43

NODES = [
    RealNode("plain"),
    RealNode("sudo-again", f"{ADMIN_HAS}; echo 'admin ALL=(ALL) ALL' >/etc/sudoers.d/admin", variables=ADMIN),
    RealNode(
        "sudo-tty",
        f"{ADMIN_HAS}; printf 'Defaults requiretty\\nadmin ALL=(ALL) ALL\\n' >/etc/sudoers.d/admin",
        variables=ADMIN,
    ),
    RealNode("sudo-free", f"{ADMIN_HAS}; echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin", variables=ADMIN),
    RealNode("ipv6", address="::1"),
    RealNode("umlauts", f"echo 'root:{UMLAUTS}' | chpasswd", variables={"enroll_password": UMLAUTS}),
    RealNode(
        "interactive",
        options=f"{INTERACTIVE}\nAuthenticationMethods keyboard-interactive publickey",
    ),
    RealNode("rsa-known", kinds=("rsa", "ed25519")),
    RealNode("renewed", f"{ROOT_HAS}; chage -d 0 root", variables={"enroll_new_password": NEW}),
    # In a terminal sshd has passwd ask for it; root's is without one.
    RealNode(
        "renewed-sudo",
        f"{ADMIN_HAS}; chage -d 0 admin; echo 'admin ALL=(ALL) ALL' >/etc/sudoers.d/admin",
        variables={**ADMIN, "enroll_new_password": NEW},
    ),
    # Rules of a baseline that end accounts whose password is old.
    RealNode("aging", f"{FLEET}; chage -d 2020-01-01 -M 90 -I 30 ascend-fleet"),
    RealNode("squashed", f"{SQUASHED}\n{FLEET}; chown nobody /home; chmod 700 /home/ascend-fleet"),
    # From here on: what is wrong.
    RealNode("wrong-key", variables={"ssh_host_fingerprints": [BAD]}),
    RealNode("clone-a"),
    RealNode("clone-b", key_of="clone-a"),
    RealNode("wrong-password", variables={"enroll_password": "anders"}),
    RealNode("locked", f"{ROOT_HAS}; usermod -L root"),
    RealNode("expired", f"{ROOT_HAS}; chage -d 0 root"),
    RealNode(
        "expired-interactive",
        f"{ROOT_HAS}; chage -d 0 root",
        INTERACTIVE,
    ),
    RealNode("prohibited", options="PermitRootLogin prohibit-password"),
    RealNode("keys-only", options="PasswordAuthentication no"),
    RealNode("not-sudoer", ADMIN_HAS, variables=ADMIN),
    RealNode(
        "sudo-wrong",
        f"{ADMIN_HAS}; printf 'Defaults targetpw\\nadmin ALL=(ALL) ALL\\n' >/etc/sudoers.d/admin",
        variables=ADMIN,
    ),
    RealNode("sudo-later", f"{ROOT_HAS}; echo 'ascend-fleet ALL=(ALL) PASSWD: ALL' >/etc/sudoers.d/zz"),
    RealNode("no-sudo", f"{ROOT_HAS}; mount --bind /dev/null /usr/bin/sudo"),
    RealNode("no-shell", f"{ROOT_HAS}; useradd -r -s /usr/sbin/nologin ascend-fleet"),
    RealNode("read-only", f"{FLEET}; mount -o remount,bind,ro /home"),
    RealNode("squashed-new", f"{SQUASHED}\n{ROOT_HAS}; chown nobody /home; chmod 755 /home"),
    RealNode("open-home", f"{FLEET}; chmod 0777 /home/ascend-fleet"),
    RealNode("allow-users", options="AllowUsers root"),
    RealNode("no-password", variables={"enroll_password": ""}),
]
GOOD = [node.name for node in NODES[: [node.name for node in NODES].index("wrong-key")]]
# The words by which each of the others is known: problem, found, next command.
WRONG = {
    "wrong-key": ("not the known one", "SHA256:", "ssh_host_fingerprints"),
    "clone-a": ("several nodes have the same host key: this one and clone-b", "SHA256:", "ssh-keygen -A"),
    "clone-b": ("several nodes have the same host key: this one and clone-a", "SHA256:", "ssh-keygen -A"),
    "wrong-password": ("tried once", "failed.*a wrong password, a locked account", "faillock --user root"),
    "locked": ("tried once", "a locked account", "passwd -S root"),
    "expired": ("has expired", "expired|change", "enroll_new_password"),
    "expired-interactive": ("has expired", "expired|change|[Pp]assword", "enroll_new_password"),
    "prohibited": ("tried once", "PermitRootLogin prohibit-password", "permitrootlogin"),
    "keys-only": ("accepts no passwords", "publickey", "PasswordAuthentication yes"),
    "not-sudoer": ("not allowed to use sudo", "not in the sudoers file", "usermod -aG wheel admin"),
    "sudo-wrong": ("sudo asks for the password of root", "", "targetpw"),
    "sudo-later": ("cannot become root", "a password is required", "sudo -l -U ascend-fleet"),
    "no-sudo": ("lacks a program", "sudo", "install sudo"),
    "no-shell": ("nobody can log in to it", "its shell is /usr/sbin/nologin", "getent passwd ascend-fleet"),
    "read-only": ("cannot write to its own home", "Read-only file system", "usermod -d"),
    "squashed-new": ("cannot write to its own home", "does not exist.*cannot create directory", "usermod -d"),
    "open-home": ("sshd rejects its key", "StrictModes.*mode 0777.*chmod go-w /home/ascend-fleet", "journalctl"),
    "allow-users": ("sshd rejects its key", "sshd_config has allowusers root", "sshd -T"),
    "no-password": ("no initial password", "neither", "ansible-vault"),
}  # fmt: skip


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with Rack(tmp_path_factory.mktemp("rack"), NODES).started() as started:
        yield started


@pytest.fixture(scope="module")
def first(rack: Rack) -> str:
    """What the first run over all nodes said, at its most talkative, its log and report with it."""
    log = rack.folder / "ansible.log"
    run = play(rack.inventory(list(rack.nodes)), "-vvvv", "--diff", env={"ANSIBLE_LOG_PATH": str(log)})
    assert run.code == 2, run.output
    return run.output + log.read_text() + (rack.folder / "out" / "report.json").read_text()


def test_nodes_that_are_well_are_enrolled(rack: Rack, first: str) -> None:
    report = rack.report()
    assert {name: report[name]["error"] for name in GOOD} == dict.fromkeys(GOOD)
    assert {report[name]["state"] for name in GOOD} == {"enrolled"}
    assert "aging" in report["aging"]["changed"]
    assert "password" in report["renewed"]["changed"]
    assert sorted((rack.folder / "out" / "passing.txt").read_text().split()) == sorted(GOOD)
    assert sorted((rack.folder / "out" / "failing.txt").read_text().split()) == sorted(WRONG)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_for_what_it_is(rack: Rack, first: str, name: str) -> None:
    error = rack.report()[name]["error"]
    assert error, f"{name} was enrolled: {rack.log(name)}"
    problem, found, remedy = WRONG[name]
    assert re.search(problem, error["problem"]), error
    assert re.search(found, error["found"]), error
    assert re.search(remedy, error["remedy"]), error
    assert name in error["where"] or "127.0.0.1" in error["where"]


def test_every_node_fails_in_the_way_of_the_list() -> None:
    assert set(WRONG) == {node.name for node in NODES} - set(GOOD)


def test_both_fingerprints_of_a_wrong_key_are_named(rack: Rack, first: str) -> None:
    error = rack.report()["wrong-key"]["error"]
    assert BAD in error["wanted"]
    assert rack.fingerprint("wrong-key") in error["found"]
    assert rack.fingerprint("wrong-key") in error["remedy"]


@pytest.mark.parametrize("name", ["wrong-key", "clone-a", "clone-b"])
def test_no_password_goes_to_a_node_whose_key_is_wrong(rack: Rack, first: str, name: str) -> None:
    assert not re.search(r"password|Accepted|Invalid user", rack.log(name)), rack.log(name)
    assert f":{rack.nodes[name].port}" not in rack.known_hosts.read_text()


@pytest.mark.parametrize("name", ["wrong-password", "sudo-wrong"])
def test_a_password_is_tried_once(rack: Rack, first: str, name: str) -> None:
    """Two would lock root: this node's faillock counts, for sudo (which asks for root's there) as well."""
    tries = [line for line in rack.inside(name, "faillock --user root").splitlines() if line.endswith("V")]
    assert len(tries) == 1
    assert "locked" not in rack.log(name)


def test_no_password_is_seen_anywhere(rack: Rack, first: str) -> None:
    seen = first + "".join(rack.log(name) for name in rack.nodes)
    assert [secret for secret in (PASSWORD, UMLAUTS, NEW, "anders") if secret in seen] == []
    assert PASSWORD.encode().hex() not in seen


def test_the_node_is_left_as_it_should_be(rack: Rack, first: str) -> None:
    for name in ("plain", "sudo-tty", "aging"):
        files = rack.inside(
            name,
            "stat -c '%a %U %n' /etc/sudoers.d/ascend-fleet /home/ascend-fleet/.ssh /home/ascend-fleet/.ssh/*; "
            "ls -A /etc/sudoers.d; getent shadow ascend-fleet; "
            "visudo -cf /etc/sudoers.d/ascend-fleet >/dev/null && echo fine",
        ).splitlines()
        assert "440 root /etc/sudoers.d/ascend-fleet" in files
        assert "700 ascend-fleet /home/ascend-fleet/.ssh" in files
        assert "600 ascend-fleet /home/ascend-fleet/.ssh/authorized_keys" in files
        assert not [line for line in files if line.endswith(".part")]
        assert re.search(r"^ascend-fleet:\*:\d+:0::7:::$", "\n".join(files), re.MULTILINE), files
        assert "fine" in files


@pytest.mark.whole
def test_site_yml_uses_what_was_pinned(rack: Rack, first: str) -> None:
    known = rack.known_hosts.read_text().splitlines()
    port = rack.nodes["ipv6"].port
    assert f"[::1]:{port} {' '.join(rack.public('ipv6').split()[:2])}" in known
    rsa = [line for line in known if str(rack.nodes["rsa-known"].port) in line]
    assert [line.split()[1] for line in rsa] == ["ssh-rsa"]
    argv = ["ansible", "plain,ipv6,rsa-known", "-i", str(rack.inventory(GOOD)), "-b", "-m", "command", "-a", "id -u"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible")), *argv[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n0\n") == 3, done.stdout


def test_a_second_run_changes_nothing_and_needs_no_password(rack: Rack, first: str) -> None:
    again = play(rack.inventory(GOOD, enroll_password=""), "--diff")
    assert again.code == 0, again.output
    assert {node["state"] for node in rack.report().values()} == {"already"}
    assert not any(node["changed"] for node in rack.report().values())
    assert (rack.folder / "out" / "failing.txt").read_text() == "!all\n"
    assert "changed" not in again.output


@pytest.mark.whole
def test_a_key_that_changed_is_refused_with_the_command_and_check_mode_says_so(rack: Rack, first: str) -> None:
    before = rack.known_hosts.read_text()
    port = rack.nodes["plain"].port
    other = rack.public("expired").split()[1]
    rack.known_hosts.write_text(re.sub(rf"(\[127.0.0.1\]:{port} ssh-ed25519) \S+", rf"\1 {other}", before))
    try:
        run = play(rack.inventory(["plain"], known=False), "--check", "-e", "enroll_trust_on_first_use=true")
        assert run.code == 2, run.output
        error = rack.report()["plain"]["error"]
        assert f"ssh-keygen -R '[127.0.0.1]:{port}' -f {rack.known_hosts}" in error["remedy"]
        assert rack.fingerprint("expired") in error["wanted"]
        # What the inventory says goes before what is pinned: the operator wrote it after a re-installation.
        run = play(rack.inventory(["plain"]), "--check", "--diff")
        assert run.code == 0, run.output
        assert f"-[127.0.0.1]:{port} ssh-ed25519 {other}" in run.output
    finally:
        rack.known_hosts.write_text(before)


@pytest.mark.whole
def test_without_a_fingerprint_it_shows_the_keys_and_stops_and_takes_them_where_asked(rack: Rack, first: str) -> None:
    here = rack.folder / "elsewhere" / "known_hosts"
    inventory = rack.inventory(["rsa-known"], known=False, enroll_known_hosts=str(here))
    assert play(inventory).code == 2
    error = rack.report()["rsa-known"]["error"]
    assert rack.fingerprint("rsa-known") in error["found"]
    assert rack.fingerprint("rsa-known", "rsa") in error["found"]
    assert "enroll_trust_on_first_use" in error["remedy"]
    assert not here.exists() or not here.read_text()
    run = play(inventory, "-e", "enroll_trust_on_first_use=true", "--check", "--diff")
    assert run.code == 0, run.output
    assert rack.report()["rsa-known"]["known_by"] == "first use"
    assert not here.exists() or not here.read_text()


@pytest.mark.whole
def test_a_csv_of_fingerprints_and_the_lock(rack: Rack, first: str) -> None:
    table = rack.folder / "rack.csv"
    table.write_text(f"host,fingerprint\nsudo-free,{rack.fingerprint('sudo-free')}\n")
    inventory = rack.inventory(["sudo-free"], known=False)
    options = ["-e", f"enroll_fingerprints={table}", "-e", "enroll_lock_password=true"]
    for check, changed in ((["--check"], ["password locked"]), ([], ["password locked"]), ([], [])):
        run = play(inventory, *options, *check)
        assert run.code == 0, run.output
        assert rack.report()["sudo-free"]["changed"] == changed
        field = rack.inside("sudo-free", "getent shadow admin").split(":")[1]
        assert field.startswith("!") == (not check)


@pytest.mark.whole
def test_the_password_is_asked_at_the_terminal(rack: Rack, first: str) -> None:
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    argv = [program, "playbooks/enroll.yml", "-i", str(rack.inventory(["no-password"])), "-vvvv"]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execv(program, argv)
    seen, asked = b"", False
    while select.select([terminal], [], [], 60)[0]:
        try:
            seen += os.read(terminal, 4096)
        except OSError:
            break
        if b"it is not shown" in seen and not asked:
            asked = True
            while termios.tcgetattr(terminal)[3] & termios.ECHO:
                time.sleep(0.05)
            time.sleep(1)  # what is typed before the question is thrown away
            os.write(terminal, PASSWORD.encode() + b"\n")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, seen.decode()
    assert asked
    assert PASSWORD.encode() not in seen
