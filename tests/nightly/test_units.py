# SPDX-License-Identifier: Apache-2.0
"""The service and the timer that the role nightly writes: systemd reads them, and the command in them runs."""

from __future__ import annotations

import json
import os
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.tree import ROOT, run
from tests.nightly.render import Checkout, plain, settings, told, words

# systemd-analyze's exposure, times ten: what stays is the network, the user's files, and user namespaces.
EXPOSURE = 20


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """With its units written once, as the tests below expect them."""
    checkout = Checkout(tmp_path_factory.mktemp("nightly"))
    checkout.put("key 7%", "not a key\n")
    checkout.put("password 8%", "secret\n")
    said = checkout.part("units", **wanted(checkout))
    assert said.returncode == 0, said.stdout
    return checkout


def wanted(checkout: Checkout) -> dict[str, Any]:
    return {
        "nightly_at": "Mon..Fri 03:30",
        "nightly_delay_s": 600,
        "nightly_by_helper": True,
        "nightly_on_failure": "ascend-fleet-drift.timer",
        "nightly_ssh_key": str(checkout.folder / "key 7%"),
        "nightly_vault_password_file": str(checkout.folder / "password 8%"),
    }


@pytest.fixture
def credentials(checkout: Checkout, tmp_path: Path) -> Path:
    """The folder that systemd makes of LoadCredential=."""
    for value in settings(checkout.unit(), "LoadCredential"):
        name, _, source = plain(value).partition(":")
        (tmp_path / name).write_text(Path(source).read_text())
    return tmp_path


def environment(unit: str) -> dict[str, str]:
    pairs = [word.partition("=") for value in settings(unit, "Environment") for word in words(value)]
    return {name: value for name, _, value in pairs}


def start(checkout: Checkout, key: str, credentials: Path, *more: str, **variables: str) -> int:
    """Run a command of the service as systemd does, but for the user and the sandbox."""
    unit = checkout.unit()
    [value] = settings(unit, key)
    argv = [*words(value, CREDENTIALS_DIRECTORY=str(credentials)), *more]
    given = {**os.environ, **environment(unit), **variables}
    del given["ANSIBLE_CONFIG"]
    return subprocess.run(argv, cwd=plain(settings(unit, "WorkingDirectory")[0]), env=given, check=False).returncode


def test_systemd_finds_nothing_wrong(checkout: Checkout) -> None:
    said = run(["systemd-analyze", "verify", *sorted(checkout.units.iterdir())])
    assert (said.returncode, said.stdout) == (0, "")


def test_what_the_service_may_do_is_little(checkout: Checkout) -> None:
    service = checkout.units / "ascend-fleet-drift.service"
    said = run(["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", service])
    assert said.returncode == 0, said.stdout


def test_the_command_of_the_service_fits_the_drift_playbook(checkout: Checkout, credentials: Path) -> None:
    assert start(checkout, "ExecStart", credentials, "--syntax-check") == 0
    assert "\ndrift_dir:" in (ROOT / "roles" / "drift" / "defaults" / "main.yml").read_text()


def test_drift_is_no_failure_and_a_check_without_a_report_is_one(checkout: Checkout, credentials: Path) -> None:
    checkout.stand_in()
    assert start(checkout, "ExecStartPre", credentials) == 0
    code = start(checkout, "ExecStart", credentials, NO_REPORT="1")
    assert code == 2
    assert settings(checkout.unit(), "SuccessExitStatus") == ["2 3"]
    assert start(checkout, "ExecStartPost", credentials) == 1
    assert start(checkout, "ExecStart", credentials) == 2
    assert start(checkout, "ExecStartPost", credentials) == 0
    report = json.loads((checkout.reports / "latest" / "fleet.json").read_text())
    assert report == {"inventory": [str(checkout.inventory)], "lang": "C.UTF-8"}
    assert start(checkout, "ExecStartPre", credentials) == 0
    assert start(checkout, "ExecStartPost", credentials) == 1, "the report of the night before counts as this one's"


def test_only_named_places_are_writable(checkout: Checkout) -> None:
    [places] = settings(checkout.unit(), "ReadWritePaths")
    assert words(places) == [str(checkout.reports), f"-{checkout.folder / 'home'}/.ansible"]
    assert settings(checkout.unit(), "ProtectSystem") == ["strict"]
    assert settings(checkout.unit(), "User") == ["ascend-fleet"]


def test_secrets_are_handed_over_by_systemd_alone(checkout: Checkout) -> None:
    unit = checkout.unit()
    loaded = dict(plain(value).split(":", 1) for value in settings(unit, "LoadCredential"))
    given = wanted(checkout)
    assert loaded == {"ssh-key": given["nightly_ssh_key"], "vault-password": given["nightly_vault_password_file"]}
    argv = words(settings(unit, "ExecStart")[0], CREDENTIALS_DIRECTORY="/c")
    assert argv[argv.index("--private-key") + 1] == "/c/ssh-key"
    assert argv[argv.index("--vault-password-file") + 1] == "/c/vault-password"


def test_the_nodes_are_asked_by_the_drift_account(checkout: Checkout) -> None:
    argv = words(settings(checkout.unit(), "ExecStart")[0], CREDENTIALS_DIRECTORY="/c")
    extra: dict[str, Any] = {}
    for option, value in pairwise(argv):
        extra |= json.loads(value) if option == "-e" else {}
    asked = {"drift_by_helper": True, "ansible_user": "ascend-drift"}
    assert extra == {**asked, "drift_dir": str(checkout.reports)}
    account = yaml.safe_load((ROOT / "roles" / "drift_account" / "vars" / "main.yml").read_text())
    assert account["__drift_account_user"] == asked["ansible_user"]


def test_sockets_of_ssh_have_short_paths(checkout: Checkout) -> None:
    folder = yaml.safe_load((ROOT / "roles" / "nightly" / "vars" / "main.yml").read_text())["__nightly_run"]
    assert Path(folder).parent == Path("/run")
    assert environment(checkout.unit())["ANSIBLE_SSH_CONTROL_PATH_DIR"] == str(checkout.runtime)
    assert settings(checkout.unit(), "RuntimeDirectory") == [checkout.runtime.name]
    # Ansible's name for a connection has 10 bytes; ssh adds a dot and 16 more while it connects.
    assert len(f"{folder}/{'x' * 10}.{'x' * 16}") < 107


def test_the_timer_makes_up_for_a_missed_night(checkout: Checkout) -> None:
    timer = checkout.unit("timer")
    assert settings(timer, "OnCalendar") == ["Mon..Fri 03:30"]
    assert settings(timer, "RandomizedDelaySec") == ["600"]
    assert settings(timer, "Persistent") == ["true"]
    assert settings(timer, "WantedBy") == ["timers.target"]


def test_a_second_run_changes_nothing_and_check_mode_writes_nothing(checkout: Checkout, tmp_path: Path) -> None:
    said = checkout.part("units", "--check", "--diff", **wanted(checkout), __nightly_unit_dir=str(tmp_path))
    assert "changed=2" in said.stdout
    assert "+OnCalendar=Mon..Fri 03:30" in said.stdout
    assert list(tmp_path.iterdir()) == []
    assert "changed=0" in checkout.part("units", **wanted(checkout)).stdout


def refusal(checkout: Checkout, **variables: Any) -> str:
    given = {"__nightly_secrets": {"results": []}, "__nightly_paths": ["/opt/fleet"], **variables}
    said = checkout.part("systemd", **given)
    assert said.returncode == 2
    return told(said.stdout)


def test_a_time_that_systemd_cannot_read_is_refused(checkout: Checkout) -> None:
    assert "Next: systemd-analyze calendar 'every night'" in refusal(checkout, nightly_at="every night")


def test_paths_of_which_the_service_has_its_own_are_refused(checkout: Checkout) -> None:
    said = refusal(checkout, __nightly_paths=["/opt/fleet", "/var/tmp/fleet"])
    assert "of which the service has private ones. Found: /var/tmp/fleet." in said


def test_a_password_program_is_refused(checkout: Checkout) -> None:
    looked = {"results": [{"item": "/etc/password", "stat": {"executable": True}}]}
    said = refusal(checkout, nightly_vault_password_file="/etc/password", __nightly_secrets=looked)
    assert "Where: /etc/password. Next: chmod -x /etc/password" in said


def test_what_is_left_to_do_is_said(checkout: Checkout) -> None:
    """Numbers of the command line are strings."""
    said = checkout.part("say", nightly_user="no-such-user", nightly_delay_s="600")
    assert said.returncode == 0, said.stdout
    assert "up to 10 min later, as no-such-user." in told(said.stdout)
    key = f"{checkout.folder}/home/.ssh/id_ed25519"
    assert f"sudo runuser -u no-such-user -- ssh-keygen -t ed25519 -N '' -f {key}" in told(said.stdout)
