# SPDX-License-Identifier: Apache-2.0
"""What a control node has of systemd: the nightly timer and the depot's server. The tests run in this order."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.booted import NAME, NODE, CommandError, printed, reboot, sh, show, until
from tests.e2e.conftest import Fleet, fleet_command
from tests.e2e.control import CHECKOUT, DEPOT, INVENTORY, KEY, VENV, furnish, play

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.whole,
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the node, of Debian 12, gets this Python's wheels"),
]

SERVICE = "ascend-fleet-drift.service"
TIMER = "ascend-fleet-drift.timer"
SERVER = "ascend-fleet-depot.service"
REPORTS = "/var/lib/ascend-fleet-reports"
STAMP = f"/var/lib/systemd/timers/stamp-{TIMER}"
ALARM = "[Service]\nType=oneshot\nExecStart=/usr/bin/touch /run/alarm\n"
HELPER_KEY = "/root/.ssh/ascend-drift"
PASSWORD = "Erst-und-kurz-3-Yy"


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    state = tmp_path_factory.mktemp("control") / "state"
    fleet_command(state, "down", name=NAME)
    fleet_command(state, "up", "--nodes", "1", "--profile", "systemd", name=NAME)
    fleet = Fleet(state, NODE)
    furnish(fleet)
    yield fleet
    fleet_command(state, "down", name=NAME)


@pytest.fixture(scope="module")
def nightly(control: Fleet) -> str:
    assert control.node == NODE
    return play("nightly", "-e", f"nightly_ssh_key={KEY}", "-e", "nightly_delay_s=0")


def report() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sh(f"cat {REPORTS}/latest/fleet.json"))
    return found


def changed(output: str) -> bool:
    return bool(re.search(r"localhost +: .*changed=[1-9]", output))


def test_what_the_guide_says_is_there(nightly: str) -> None:
    assert "Try it now:  sudo systemctl start ascend-fleet-drift" in nightly
    assert show(TIMER, "ActiveState", "UnitFileState") == ["active", "enabled"]
    assert TIMER in sh(f"systemctl list-timers {TIMER} --no-pager")
    assert printed("systemctl --failed --no-legend") == ""
    again = play("nightly", "-e", f"nightly_ssh_key={KEY}", "-e", "nightly_delay_s=0")
    assert not changed(again), again


@pytest.mark.usefixtures("nightly")
def test_the_check_does_its_work_in_its_sandbox() -> None:
    sh("systemctl start ascend-fleet-drift")
    assert show(SERVICE, "Result") == ["success"]
    assert show(SERVICE, "ExecMainStatus")[0] in ("0", "2"), sh("journalctl --no-pager -u ascend-fleet-drift")
    (node,) = report()["nodes"]
    assert (node["name"], node["state"]) == (NODE, "drifted")
    assert sh(f"stat -c %U {REPORTS}/latest/fleet.json") == "ascend-fleet\n"
    assert f"Report: {REPORTS}/latest/index.html" in sh("journalctl --no-pager -u ascend-fleet-drift -n 50 -o cat")
    assert printed("journalctl --no-pager --quiet -u ascend-fleet-drift --priority err") == ""
    key = sh(f"cat {KEY}").splitlines()[3]
    assert key not in sh("journalctl --no-pager --output export") + sh("systemctl show '*' --all")
    assert printed("find /run/credentials -name ssh-key; ls /run/ascend-fleet-drift 2>/dev/null") == ""


@pytest.mark.usefixtures("nightly")
def test_a_missed_night_is_made_up_for_by_the_timer() -> None:
    sh(f"systemctl stop {TIMER}; touch -d '3 days ago' {STAMP}; rm -r {REPORTS}/latest; systemctl start {TIMER}")
    until(lambda: printed(f"ls {REPORTS}/latest/fleet.json 2>/dev/null") != "", 90)
    until(lambda: show(SERVICE, "ActiveState") == ["inactive"])
    assert show(SERVICE, "Result") == ["success"]


@pytest.mark.usefixtures("nightly")
def test_a_check_that_breaks_fails_its_unit_and_starts_the_operators() -> None:
    sh("cat >/etc/systemd/system/alarm.service", ALARM)
    given = ("-e", f"nightly_ssh_key={KEY}", "-e", "nightly_delay_s=0", "-e", "nightly_on_failure=alarm.service")
    assert changed(play("nightly", *given))
    sh(f"mv {INVENTORY}/hosts.yml /root/hosts.yml")
    with pytest.raises(CommandError):
        sh("systemctl start ascend-fleet-drift")
    until(lambda: printed("ls /run/alarm 2>/dev/null") != "")
    assert SERVICE in sh("systemctl --failed --no-legend")
    sh(f"mv /root/hosts.yml {INVENTORY}/hosts.yml; systemctl start ascend-fleet-drift")
    assert printed("systemctl --failed --no-legend") == ""


@pytest.mark.usefixtures("nightly")
def test_the_check_asks_by_the_helper_alone() -> None:
    sh(f"mkdir -p -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f {HELPER_KEY}")
    play(
        "drift_account", "-e", f"ansible_ssh_private_key_file={KEY}", "-e", f"drift_account_public_key={HELPER_KEY}.pub"
    )
    given = ("-e", "nightly_by_helper=true", "-e", f"nightly_ssh_key={HELPER_KEY}", "-e", "nightly_delay_s=0")
    play("nightly", *given)
    sh(f"rm -r {REPORTS}/latest; systemctl start ascend-fleet-drift")
    (node,) = report()["nodes"]
    assert node["state"] == "drifted", node
    until(lambda: printed("pgrep -u ascend-drift") == "")
    assert printed("systemctl --failed --no-legend") == ""


def test_the_unit_of_sshd_reads_the_certificates_and_goes_on(control: Fleet, tmp_path: Path) -> None:
    sh(f"useradd -m -s /bin/bash admin; echo 'admin:{PASSWORD}' | chpasswd")
    sh("echo 'admin ALL=(ALL) ALL' >/etc/sudoers.d/admin")
    sh("echo 'PasswordAuthentication yes' >/etc/ssh/sshd_config.d/00-first-login.conf; systemctl reload ssh")
    known = tmp_path / "known_hosts"
    # The nightly check of the tests above has an account ascend-fleet here, which nobody logs in to.
    given: dict[str, Any] = {"enroll_user": "admin", "enroll_password": PASSWORD, "enroll_trust_on_first_use": True}
    given |= {"enroll_known_hosts": str(known), "enroll_dir": str(tmp_path / "out"), "ansible_user": "enrolled"}
    given |= {f"enroll_{each}_ca": str(tmp_path / f"{each}_ca") for each in ("host", "user")}
    given |= {"enroll_public_key": str(control.state / "id_ed25519.pub")}
    given |= {"ansible_ssh_common_args": f"-o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes"}
    (tmp_path / "given.json").write_text(json.dumps(given), encoding="utf-8")
    before = show("ssh.service", "MainPID", "NRestarts")
    for name in ("enroll", "ssh_certificates"):
        run = control.playbook(
            f"playbooks/{name}.yml", "-e", f"@{tmp_path / 'given.json'}", "-e", "enroll_make_ca=true"
        )
        assert run.code == 0, run.output
    assert show("ssh.service", "MainPID", "NRestarts", "ActiveState") == [*before, "active"]
    argv = ["ssh-keyscan", "-c", address(control)]
    scanned = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60).stdout
    assert "ssh-ed25519-cert-v01@openssh.com" in scanned
    sh("systemctl restart ssh")
    until(lambda: show("ssh.service", "ActiveState") == ["active"])


def address(control: Fleet) -> str:
    (described,) = json.loads((control.state / "fleet.json").read_text(encoding="utf-8"))["nodes"].values()
    return str(described["address"])


@pytest.fixture(scope="module")
def server(control: Fleet) -> str:
    sh(f"mkdir -p {DEPOT}; echo '{{}}' >{DEPOT}/index.json; echo secret >/srv/closed; chmod 600 /srv/closed")
    play("depot_server")
    return f"http://{address(control)}:8080"


def fetched(url: str, *words: str) -> str:
    """HTTP's code and what is answered."""
    argv = ["curl", "--silent", "--noproxy", "*", "--max-time", "10", "--write-out", " %{http_code}", *words, url]
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30).stdout


def test_the_depot_is_served_by_a_hardened_unit(server: str) -> None:
    assert fetched(f"{server}/index.json") == "{}\n 200"
    assert fetched(f"{server}/", "--data", "x").endswith(" 403")
    assert fetched(f"{server}/../closed", "--path-as-is").endswith(" 400")
    assert show(SERVER, "ActiveState", "UnitFileState", "DynamicUser") == ["active", "enabled", "yes"]
    main = show(SERVER, "MainPID")[0]
    told = dict(line.split(":\t", 1) for line in sh(f"cat /proc/{main}/status").splitlines() if ":\t" in line)
    assert (told["NoNewPrivs"], int(told["CapBnd"], 16), told["Uid"].split()[0] != "0") == ("1", 0, True)
    assert "Read-only file system" in printed(f"nsenter --target {main} --mount touch {DEPOT}/x 2>&1")
    assert printed(f"journalctl --no-pager --quiet -u {SERVER} --priority err") == ""
    assert show("nginx.service", "ActiveState") == ["inactive"]
    assert not changed(play("depot_server"))


def test_it_serves_again_after_a_kill_and_a_reboot(server: str) -> None:
    main = show(SERVER, "MainPID")[0]
    sh(f"kill -9 {main}")
    until(lambda: show(SERVER, "MainPID")[0] not in ("0", main))
    until(lambda: fetched(f"{server}/index.json") == "{}\n 200")
    reboot()
    until(lambda: fetched(f"{server}/index.json") == "{}\n 200")
    assert show(TIMER, "ActiveState") == ["active"]
    assert printed("systemctl --failed --no-legend") == ""


def test_it_serves_by_https_with_a_key_that_is_roots_alone(server: str, tmp_path: Path) -> None:
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=depot"]
    argv += ["-addext", f"subjectAltName=IP:{server.split('/')[2].split(':')[0]}"]
    subprocess.run([*argv, "-keyout", tmp_path / "key", "-out", tmp_path / "crt"], check=True, capture_output=True)
    sh("cat >/etc/ssl/depot.crt", (tmp_path / "crt").read_text())
    sh("(umask 077; cat >/etc/ssl/depot.key)", (tmp_path / "key").read_text())
    play(
        "depot_server", "-e", "depot_server_certificate=/etc/ssl/depot.crt", "-e", "depot_server_key=/etc/ssl/depot.key"
    )
    secure = server.replace("http:", "https:")
    until(lambda: fetched(f"{secure}/index.json", "--cacert", str(tmp_path / "crt")) == "{}\n 200")


@pytest.mark.usefixtures("server", "nightly")
def test_what_is_removed_leaves_nothing() -> None:
    sh(f"systemctl disable --now {SERVER}; rm /etc/systemd/system/{SERVER}; systemctl daemon-reload")
    play("nightly", "-e", "nightly_state=absent")
    assert printed("find /etc/systemd /run/systemd /var/lib/systemd -name '*ascend-fleet*'") == ""
    assert printed("systemctl list-units --all --no-legend 'ascend-fleet*'") == ""
    assert printed("systemctl --failed --no-legend") == ""
    assert printed(f"ls {CHECKOUT}/site.yml {VENV}/bin/ansible-playbook") != ""
