# SPDX-License-Identifier: Apache-2.0
"""A hardened node, a control node's surroundings, a secret wherever an operator can put one, and who watches."""

from __future__ import annotations

import json
import os
import random
import socket
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import image
import yaml
from ansible.constants import DEFAULT_VAULT_ID_MATCH
from ansible.parsing.vault import VaultLib, VaultSecret

from tests.contract.tree import run
from tests.leaks import finder
from tests.leaks.receivers import Mailbox, Server
from tests.playbook_run import Run

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
FLEET = "ascend-leaks"
NODE = f"{FLEET}-1"
PORT = 2222
USER = "fleet"
WATCH = "/leaks"  # in the node
# Where an operator can put a secret; of each there is one.
NAMES = [
    *("vault", "enroll", "new_password", "become", "depot", "depot_wrong", "proxy", "web", "index", "extra", "git"),
    *("serve", "served", "hub", "train", "config", "webhook", "wecom", "signing", "mail", "scheduler"),
    *("profile", "argv", "planted"),
]
MODEL = "/srv/tiny-model"
# Wheels and CANN are held to their sums: nothing of an operator's is in them.
SKIPPED = (
    r"^/leaks/|/site-packages/(?!.*\.dist-info/)|^/opt/ascend/python/|^/usr/local/Ascend/|\.(whl|run|so)$"
    r"|^/srv/tiny-model"
)

PYTHON = "/usr/bin/python3"


def drawn() -> str:
    return "".join(random.SystemRandom().choices(string.ascii_letters + string.digits, k=24))


class World:
    """``booted``: systemd is the node's first program, with journald and units."""

    def __init__(self, state: Path, cache: Path, booted: bool) -> None:
        self.state, self.cache, self.booted = state, cache, booted
        self.marks = {name: drawn() for name in NAMES}
        self.home, self.tmp = state / "home", state / "tmp"
        for folder in (self.home, self.tmp, state / "out"):
            folder.mkdir(parents=True)
        self.log, self.facts = state / "ansible.log", state / "facts"
        self.watched = {name: state / f"watched-{name}" for name in ("processes", "execs", "syslog")}
        for path in self.watched.values():
            path.touch()
            path.chmod(0o666)
        self.terminal = ""
        self.failed: dict[str, str] = {}
        self.server = Server(self.marks, cache / "depot")
        with socket.create_server(("127.0.0.1", 0)) as unused:
            mail_port = unused.getsockname()[1]
        self.mailbox = Mailbox(self.marks, self.server.used, mail_port)
        self.mail_port = mail_port
        self.started: list[subprocess.Popen[bytes]] = []

    # The node

    def begin(self) -> None:
        self._fleet("down")
        (self.state / "fleet").mkdir(mode=0o700)
        self._private(self.state / "fleet" / f"password_{NODE}", self.marks["become"])
        self._fleet("up", "--nodes", "1", "--profile", "systemd" if self.booted else "hardened")
        nodes = json.loads((self.state / "fleet" / "fleet.json").read_text())["nodes"]
        self.address = nodes[NODE]["address"]
        self.gateway = self.address.rpartition(".")[0] + ".1"
        key = (self.state / "fleet" / "id_ed25519").read_text()
        self.marks["key"] = key.splitlines()[4][8:32]  # of its private half
        if self.booted:
            self._boot_hardened()
        self._node_watched()
        self._control_watched()
        secret = f"admin:{self.marks['enroll']}\n"
        self.sh("useradd -m -s /bin/bash admin; chpasswd; chage -d 0 admin", secret)
        self.sh("echo 'admin ALL=(ALL) ALL' >/etc/sudoers.d/admin; mkdir -p /opt/unpack")
        # The node's own rule, which wants a terminal, stands in a file after the fleet's.
        self.sh("echo 'Defaults:ascend-fleet !requiretty' >/etc/sudoers.d/zz-operator")
        self.write_inventory()

    def _boot_hardened(self) -> None:
        self.sh("cat >/etc/ascend-sim/password; /opt/ascend-sim/harden", self.marks["become"])
        keep = "/etc/systemd/journald.conf.d/keep.conf"
        self.sh(f"mkdir -p $(dirname {keep}); cat >{keep}", "[Journal]\nRateLimitIntervalSec=0\n")
        self.sh("systemctl restart systemd-journald")

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()
        self.server.shutdown()
        self.server.server_close()
        self.mailbox.server.stop()
        self._fleet("down")

    def _fleet(self, *arguments: str) -> None:
        argv = [sys.executable, "sim/fleet.py", "--name", FLEET, "--state", str(self.state / "fleet"), *arguments]
        subprocess.run(argv, cwd=ROOT, check=True, timeout=900)

    def sh(self, script: str, given: str = "") -> str:
        argv = [*image.as_root(), "podman", "exec", "-i", NODE, "sh", "-c", script]
        # A journal has fields that are no text.
        done = subprocess.run(
            argv, input=given, capture_output=True, text=True, errors="replace", check=False, timeout=600
        )
        assert done.returncode == 0, f"{script}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def _node_watched(self) -> None:
        compiled = self._compiled(f'-DEXECS="{WATCH}/execs"')
        self.sh(f"mkdir {WATCH}; cat >{WATCH}/watch.py", (HERE / "watch.py").read_text())
        self.sh(f"cat >{WATCH}/syslog.py", (HERE / "syslog.py").read_text())
        self.sh(f"touch {WATCH}/execs {WATCH}/processes {WATCH}/since; chmod 666 {WATCH}/execs")
        subprocess.run([*image.as_root(), "podman", "cp", str(compiled), f"{NODE}:{WATCH}/preload.so"], check=True)
        self.sh(f"echo {WATCH}/preload.so >/etc/ld.so.preload")
        as_nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups"
        self.sh(f"{as_nobody} setsid {PYTHON} {WATCH}/watch.py >{WATCH}/processes 2>&1 </dev/null &")
        if not self.booted:
            self.sh(f"setsid {PYTHON} {WATCH}/syslog.py >{WATCH}/syslog 2>&1 </dev/null &")
        # A second sshd beside the node's own: by password, and at its most talkative.
        options = "-o PasswordAuthentication=yes -o UsePAM=yes -o LogLevel=DEBUG3 -o PermitRootLogin=no -o UseDNS=no"
        self.sh(f"/usr/sbin/sshd -p {PORT} -E {WATCH}/sshd {options} -o HostKey=/etc/ssh/ssh_host_ed25519_key")

    def _control_watched(self) -> None:
        places = [f'-DEXECS="{self.watched["execs"]}"', f'-DSYSLOG="{self.watched["syslog"]}"']
        self.preload = self._compiled(*places)
        for folder in (self.state, *self.state.parents):  # the watcher's account has to get there
            if folder.stat().st_uid == os.getuid() and str(folder) != "/":
                folder.chmod(folder.stat().st_mode | 0o011)
        with self.watched["processes"].open("wb") as output:
            argv = [PYTHON, "-c", (HERE / "watch.py").read_text()]
            more: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []}
            self.started.append(subprocess.Popen(argv, stdout=output, cwd="/", env={}, **more))

    def _compiled(self, *options: str) -> Path:
        path = self.state / f"preload-{len(list(self.state.glob('preload-*')))}.so"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-O1", *options, str(HERE / "preload.c"), "-o", str(path)], check=True
        )
        return path

    # The control node

    def _private(self, path: Path, text: str) -> Path:
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return path

    def write_inventory(self) -> None:
        """The inventory: what is secret stands in its vault, under names that say nothing."""
        mark, state = self.marks, self.state
        place = f"{self.gateway}:{self.server.port}"
        secrets = {
            "ansible_become_password": mark["become"],
            "enroll_password": mark["enroll"],
            "enroll_new_password": mark["new_password"],
            "ascend_depot_url": f"http://fleet:{mark['depot']}@{place}/depot",
            "ascend_depot_proxy": f"http://fleet:{mark['proxy']}@{place}",
            "serve_api_key": mark["serve"],
            "notify_webhooks": [
                {"form": "slack", "url": f"http://127.0.0.1:{self.server.port}/hook/{mark['webhook']}"},
                {"form": "wecom", "url": f"http://127.0.0.1:{self.server.port}/send?key={mark['wecom']}"},
                {"form": "wecom", "url": f"http://127.0.0.1:{self.server.port}/fails/send?key={mark['wecom']}"},
                {"form": "dingtalk", "url": f"http://127.0.0.1:{self.server.port}/robot", "secret": mark["signing"]},
            ],
            "train_variables": {
                "HF_TOKEN": mark["train"],
                "MODELSCOPE_API_TOKEN": mark["train"],
                "ASCEND_RT_VISIBLE_DEVICES": "",
                "OMP_NUM_THREADS": "1",
            },
            "serve_models": [
                {
                    "name": "tiny",
                    "devices": [0],
                    "config": {"model_name_or_path": MODEL, "template": "default", "hf_hub_token": mark["hub"]},
                    "variables": {
                        "ASCEND_RT_VISIBLE_DEVICES": "",
                        "OMP_NUM_THREADS": "1",
                        "HF_TOKEN": mark["served"],
                    },
                }
            ],
        }
        reached = f"-o UserKnownHostsFile={state}/known_hosts -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
        plain = {
            **yaml.safe_load((ROOT / "inventory/sim/group_vars/all.yml").read_text()),
            "ascend_depot_dir": str(self.cache / "depot"),
            "depot_incoming": str(self.cache / "incoming"),
            "depot_served_by_others": False,
            "ansible_host": self.address,
            "ansible_port": PORT,
            "ansible_user": "fleet",
            "ansible_pipelining": False,
            "ascend_tmp_dir": "/opt/unpack",
            "ansible_ssh_private_key_file": str(state / "fleet" / "id_ed25519"),
            "ansible_ssh_common_args": reached,
            "enroll_user": "admin",
            "enroll_trust_on_first_use": True,
            "enroll_known_hosts": str(state / "known_hosts"),
            "enroll_dir": str(state / "out" / "enroll"),
            "enroll_public_key": str(state / "fleet" / "id_ed25519.pub"),
            "drift_dir": str(state / "out" / "drift"),
            "ascend_record_dir": str(state / "out" / "records"),
            "train_fetch_dir": str(state / "out" / "fetched"),
            "train_user": USER,
            "ascend_users": [USER],
            "notify_mail_to": ["operators@example.com"],
            "notify_mail_from": "fleet@example.com",
            "notify_sendmail": str(self._sendmail()),
            "notify_test": True,
            "notify_timeout_s": 60,
        }
        vault = VaultLib([(DEFAULT_VAULT_ID_MATCH, VaultSecret(mark["vault"].encode()))])
        for group in ("all", "ascend"):
            folder = state / "inventory" / "group_vars" / group
            folder.mkdir(parents=True)
            # How the nodes are reached is no matter of the control node's.
            mine, hidden = (
                {name: value for name, value in given.items() if name.startswith("ansible_") == (group == "ascend")}
                for given in (plain, secrets)
            )
            (folder / "plain.yml").write_text(yaml.safe_dump(mine))
            (folder / "vault.yml").write_bytes(vault.encrypt(yaml.safe_dump(hidden)))
        (state / "inventory" / "hosts.yml").write_text(yaml.safe_dump({"ascend": {"hosts": {NODE: {}}}}))
        self._private(state / "vault_password", mark["vault"])

    def _sendmail(self) -> Path:
        account = f"account default\nhost 127.0.0.1\nport {self.mail_port}\nfrom fleet@example.com\ntls off\n"
        account += f"auth plain\nuser fleet\npassword {self.marks['mail']}\n"
        self._private(self.state / "msmtprc", account)
        return self.program("sendmail", f'exec msmtp --file={self.state}/msmtprc "$@"')

    def program(self, name: str, text: str) -> Path:
        path = self.state / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def play(self, playbook: str, env: dict[str, str] | None = None, **given: Any) -> Run:
        """Run a playbook at its most talkative; what is ``given`` lies in a file, as everybody reads a command line."""
        extra = self._private(self.state / f"given-{time.monotonic_ns()}.json", json.dumps(given))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        argv = [program, playbook, "-i", str(self.state / "inventory"), "-vvvv", "--diff", "-e", f"@{extra}"]
        settings = {
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOG_PATH": str(self.log),
            "ANSIBLE_CACHE_PLUGIN": "jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.facts),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(self.state / "vault_password"),
            "ANSIBLE_HOME": str(self.home / ".ansible"),
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            "XDG_CACHE_HOME": str(self.cache.parent),
            "LD_PRELOAD": str(self.preload),
            "SCHEDULER_TOKEN": self.marks["scheduler"],
            "HISTFILE": str(self.home / ".bash_history"),
        }
        done = run(argv, env={**settings, **(env or {})}, timeout_s=1800)
        self.terminal += done.stdout
        return Run(done.returncode, done.stdout, NODE)

    # What was seen

    def seen(self) -> dict[str, dict[str, Any]]:
        """Return place -> what ``finder`` says of it: ``{"marks", "owner", "mode"}``."""
        with (self.state / "terminal").open("w") as file:
            file.write(self.terminal)
        asked = json.dumps({"marks": self.marks, "since": f"{WATCH}/since", "skip": SKIPPED})
        source = (HERE / "finder.py").read_text()
        self.sh(f"cat >{WATCH}/finder.py", source)
        on_node = json.loads(self.sh(f"{PYTHON} {WATCH}/finder.py", asked))
        if self.booted:
            self.sh(f"journalctl --all --output export >{WATCH}/syslog; systemctl show --all '*' >{WATCH}/units")
        for name in ("execs", "processes", "syslog", "sshd", *(["units"] if self.booted else [])):
            path = self.state / f"node-{name}"
            path.write_text(self.sh(f"cat {WATCH}/{name} | tr -d '\\000'"))
        paths = [path for path in self.state.rglob("*") if path.is_file()]
        small = [
            str(path)
            for path in paths
            if path.parts[: len(self.state.parts) + 1][-1] != "depot" or path.suffix == ".json"
        ]
        here = finder.in_files(small, self.marks)
        found = {f"control:{Path(path).relative_to(self.state)}": about for path, about in here.items()}
        found |= {f"node:{path}": about for path, about in on_node.items()}
        (self.state / "seen.json").write_text(json.dumps(found, indent=1))
        return found
