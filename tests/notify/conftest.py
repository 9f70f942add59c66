# SPDX-License-Identifier: Apache-2.0
"""The role notify, run by ansible-playbook, with receivers and a mail server of this machine."""

from __future__ import annotations

import json
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiosmtpd.controller import Controller
from ansible.constants import DEFAULT_VAULT_ID_MATCH
from ansible.parsing.vault import VaultLib, VaultSecret

from tests.contract.tree import run
from tests.notify.receivers import SECRET, TOKEN, Receivers

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "open sesame"
# Each play includes the role as playbooks/drift.yml does, with the report that was written before.
TASK = {
    "name": "Notify",
    "ansible.builtin.include_role": {"name": "ascend.fleet.notify", "rolespec_validate": False},
}


@dataclass
class Mailbox:
    """A mail server and the sendmail that leads to it."""

    sendmail: Path
    received: list[tuple[list[str], EmailMessage]] = field(default_factory=list)

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802  (aiosmtpd calls it)
        letter = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.received.append((list(envelope.rcpt_tos), letter))
        return "250 OK"


@dataclass(frozen=True)
class Run:
    code: int
    output: str

    @property
    def outcomes(self) -> list[str]:
        """The lines that say who was notified, one for each time that the role notified somebody."""
        whole = " ".join(self.output.split())
        return re.findall(r"msg: (?:'|\"|>- ?)?(notifications: .*?)(?:'|\"|) (?=TASK|PLAY|META|task path)", whole)


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def vault() -> VaultLib:
    return VaultLib([(DEFAULT_VAULT_ID_MATCH, VaultSecret(PASSWORD.encode()))])


class Playbook:
    """Plays of the role, each with its report and settings; the settings lie in an encrypted file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tasks: list[dict[str, Any]] = []

    def add(self, fleet: dict[str, Any], settings: dict[str, Any]) -> None:
        number = len(self.tasks)
        report, secrets = self.folder / f"fleet{number}.json", self.folder / f"secrets{number}.yml"
        report.write_text(json.dumps(fleet))
        secrets.write_bytes(vault().encrypt(yaml.safe_dump(settings)))
        read = {"ansible.builtin.include_vars": str(secrets), "name": "Read the settings"}
        given = {
            "notify_fleet": f"{{{{ lookup('ansible.builtin.file', '{report}') | from_json }}}}",
            "notify_summary": "All 2 nodes drifted.\n\nReport: /srv/reports/latest/index.html",
        }
        self.tasks += [read, {**TASK, "vars": given}]

    def run(self) -> Run:
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": self.tasks}
        play["vars"] = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        (self.folder / "password").write_text(PASSWORD)
        password = ("--vault-password-file", self.folder / "password")
        playbook = Path(sys.executable).with_name("ansible-playbook")
        argv: list[str | Path] = [playbook, "-i", "localhost,", *password, "-vvv", self.folder / "play.yml"]
        done = run(argv, env={"ANSIBLE_NOCOLOR": "1"}, timeout_s=300)
        assert TOKEN not in done.stdout
        assert SECRET not in done.stdout
        return Run(done.returncode, done.stdout)


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path)


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Receivers]:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2")
    argv: list[str | Path] = ["openssl", "req", "-x509", *made, *subject, "-out", certificate, "-keyout", key]
    subprocess.run(argv, check=True, capture_output=True)
    listening = Receivers(certificate, key)
    yield listening
    listening.close()


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    """aiosmtpd on a free port, and msmtp as sendmail."""
    box = Mailbox(tmp_path / "sendmail")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    settings = tmp_path / "msmtprc"
    settings.write_text(f"account default\nhost 127.0.0.1\nport {port}\nfrom fleet@example.com\n")
    settings.chmod(0o600)
    program(box.sendmail, f'exec msmtp --file={settings} "$@"')
    yield box
    controller.stop()
