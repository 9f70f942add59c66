# SPDX-License-Identifier: Apache-2.0
"""playbooks/nightly.yml where systemd does not run: it installs nothing, and the line that it prints works."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.nightly.render import Checkout, cron, told


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def line(output: str) -> str:
    """The line for the crontab, as a person copies it from the terminal."""
    [found] = [text.strip() for text in output.splitlines() if "playbooks/drift.yml" in text and "* * *" in text]
    return found


def start(command: str) -> int:
    """Run a command as cron does: by sh, with a small environment."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"], "SHELL": "/bin/sh"}
    return subprocess.run(["/bin/sh", "-c", command], env=environment, cwd="/", check=False).returncode


def test_the_line_for_cron_runs_the_check_once_at_a_time(checkout: Checkout) -> None:
    checkout.stand_in()
    password = checkout.put("password 8%", "secret\n")
    said = checkout.play(
        "nightly", nightly_at="*-*-* 04:05:00", nightly_delay_s=0, nightly_vault_password_file=str(password)
    )
    assert said.returncode == 0, said.stdout
    assert "changed=0" in said.stdout
    assert list(checkout.units.iterdir()) == []
    fields, command = cron(line(said.stdout))
    assert fields == ["5", "4", "*", "*", "*"]
    assert "ansible_user" not in command
    log = checkout.log / "drift.log"
    assert f'"{log}" {{ su ' in told(said.stdout)

    with_lock = os.open(checkout.log, os.O_RDONLY)
    fcntl.flock(with_lock, fcntl.LOCK_EX)
    assert start(command) == 1
    assert log.read_text() == ""
    os.close(with_lock)

    assert start(command) == 2
    assert "PLAY RECAP" in log.read_text()
    report = json.loads((checkout.reports / "latest" / "fleet.json").read_text())
    assert report == {"inventory": [str(checkout.inventory)], "lang": "C.UTF-8"}
    assert start(command) == 2
    assert log.read_text().count("PLAY RECAP") == 2


def test_what_cron_cannot_say_is_told_and_the_delay_is_in_the_line(checkout: Checkout) -> None:
    said = checkout.play("nightly", "-i", "npu-001,npu-002,", nightly_at="Mon..Fri 03:00", nightly_delay_s=600)
    assert "(Mon..Fri 03:00 cannot be written for cron: change the first five fields)" in told(said.stdout)
    assert "sleep $(shuf -n 1 -i 0-600) &&" in line(said.stdout)
    assert " -i npu-001,npu-002, " in line(said.stdout)


def test_removing_says_what_to_take_away(checkout: Checkout) -> None:
    said = checkout.play("nightly", nightly_state="absent")
    assert said.returncode == 0, said.stdout
    assert "crontab -e, and remove the line" in told(said.stdout)


def test_a_checkout_that_everyone_may_write_is_refused(checkout: Checkout) -> None:
    checkout.path.chmod(0o777)
    said = checkout.play("nightly")
    assert said.returncode == 2
    assert f"Where: {checkout.path}. Next: chmod o-w '{checkout.path}'" in told(said.stdout)


def test_a_file_that_is_not_there_is_refused(checkout: Checkout) -> None:
    said = checkout.play("nightly", nightly_ssh_key="/no/such/file")
    assert said.returncode == 2
    assert "Found: none. Where: /no/such/file." in told(said.stdout)


def test_paths_that_would_be_read_differently_are_refused(checkout: Checkout) -> None:
    odd = {"nightly_reports_dir": "/srv/$HOME", "nightly_ssh_key": "keys/id", "nightly_vault_password_file": '/"x"'}
    said = checkout.play("nightly", **odd)
    assert said.returncode == 2
    assert "Wanted: absolute paths without quotes" in told(said.stdout)
    assert 'Found: /srv/$HOME, keys/id, /"x".' in told(said.stdout)
