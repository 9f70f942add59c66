# SPDX-License-Identifier: Apache-2.0
"""A checkout at a difficult path, and the role nightly run from it; what it writes is read as systemd reads it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.contract.tree import ROOT, run

# A blank, and what systemd and cron would read as something else.
ODD = "50% of fleet"
HEAVY = ("tests", "sim", "molecule", "docs", "reports", "records", "__pycache__", "*.egg-info")
# Writes what the command line said into a report, and ends like a check that found drift.
STAND_IN = """\
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - ansible.builtin.file: {path: "{{ drift_dir }}/latest", state: directory, mode: "0755"}
    - ansible.builtin.copy:
        content: "{{ dict(inventory=ansible_inventory_sources, lang=lookup('ansible.builtin.env', 'LANG')) | to_json }}"
        dest: "{{ drift_dir }}/latest/fleet.json"
        mode: "0644"
      when: not lookup('ansible.builtin.env', 'NO_REPORT')
    - ansible.builtin.fail: {msg: drift}
"""
PART = """\
- hosts: localhost
  connection: local
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - ansible.builtin.getent: {database: passwd, key: "{{ nightly_user }}", fail_key: false}
    - ansible.builtin.include_role: {name: ascend.fleet.nightly, tasks_from: "{{ part }}"}
"""


class Checkout:
    """A copy of the checkout with an inventory and a virtual environment, all at odd paths below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / ODD
        ignored = shutil.ignore_patterns(".*", *HEAVY)
        shutil.copytree(ROOT, self.path, symlinks=True, ignore=ignored)
        self.path.chmod(0o755)
        (self.path / "playbooks" / "part.yml").write_text(PART)
        self.venv = folder / "venv 5%"
        self.venv.symlink_to(sys.prefix)
        self.inventory = folder / "my 1% inventory"
        (self.inventory / "group_vars").mkdir(parents=True)
        (self.inventory / "hosts.yml").write_text("ascend: {hosts: {npu-001: {}}}\n")
        (self.inventory / "group_vars" / "all.yml").write_text("{}\n")
        self.units = folder / "units"
        self.units.mkdir()
        self.reports = folder / "reports 3%"
        self.reports.mkdir()
        self.log = folder / "log 9%"
        self.log.mkdir()
        self.runtime = folder / "run"
        self.runtime.mkdir()

    def put(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def stand_in(self) -> None:
        (self.path / "playbooks" / "drift.yml").write_text(STAND_IN)

    def play(self, playbook: str, *words: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the copy; nothing of this machine is in reach of it, whether systemd runs here or not."""
        given = {
            "nightly_user": "ascend-fleet",
            "nightly_reports_dir": str(self.reports),
            "__nightly_booted": str(self.folder / "no-systemd"),
            "__nightly_unit_dir": str(self.units),
            "__nightly_home": str(self.folder / "home"),
            "__nightly_run": str(self.runtime),
            "__nightly_log_dir": str(self.log),
            "ansible_become": False,
            **variables,
        }
        programs = self.venv / "bin"
        argv: list[str | Path] = [programs / "python", programs / "ansible-playbook", f"playbooks/{playbook}.yml"]
        argv += ["-i", self.inventory, "-e", json.dumps(given), *words]
        env = {"ANSIBLE_CONFIG": str(self.path / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        return run(argv, cwd=self.path, env=env)

    def part(self, name: str, *words: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run one tasks file of the role."""
        return self.play("part", *words, part=name, **variables)

    def unit(self, name: str = "service") -> str:
        return (self.units / f"ascend-fleet-drift.{name}").read_text()


def settings(unit: str, key: str) -> list[str]:
    """The values of a key, with continued lines joined, as they stand in the unit."""
    joined = unit.replace("\\\n", " ")
    return [line.split("=", 1)[1] for line in joined.splitlines() if line.startswith(f"{key}=")]


def plain(text: str) -> str:
    """A value with systemd's %% resolved. A single % is a specifier, which these units do not use."""
    assert "%" not in text.replace("%%", ""), text
    return text.replace("%%", "%")


def words(value: str, **environment: str) -> list[str]:
    """The words of a value as systemd.service(5) splits them: quotes, specifiers, ${NAME}, $$."""
    given = [plain(word) for word in shlex.split(value)]
    return [
        re.sub(
            r"\$\$|\$\{(\w+)\}",
            lambda match: environment[match.group(1)] if match.group(1) else "$",
            word,
        )
        for word in given
    ]


def cron(line: str) -> tuple[list[str], str]:
    """A crontab's line as crontab(5) reads it: five fields; an unescaped % would end the command."""
    fields = line.split(None, 5)
    command = re.split(r"(?<!\\)%", fields[5])
    assert len(command) == 1, f"cron ends the command at %: {line}"
    return fields[:5], command[0].replace("\\%", "%")


def told(output: str) -> str:
    """What a playbook said, without the breaks that Ansible puts into long lines."""
    return " ".join(output.split())
