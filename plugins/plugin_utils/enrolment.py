# SPDX-License-Identifier: Apache-2.0
"""What an enrolment takes from the inventory: each node's address, options of ssh, keys and initial account."""

from __future__ import annotations

import shlex
from collections import ChainMap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.loader import connection_loader

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.text import listed
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll import (
    authority,
    certificates,
    host_keys,
    keypair,
    known_hosts,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.account import NAME
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.authority import Authority
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.certificates import Certifying
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.login import Initial
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.password import password_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.run import Asked, Wishes

PAIR = "id_ed25519"
# A node's own, of the inventory or -e.
_OF_A_NODE = ("enroll_user", "enroll_password", "enroll_new_password", "ssh_host_fingerprints", "ssh_host_key")


class Inventory:
    """The nodes of the play, as they are to be enrolled."""

    def __init__(self, task_vars: Any, templar: Any, options: Mapping[str, Any], check: bool) -> None:
        self._names = list(task_vars["ansible_play_hosts_all"])
        self._hostvars = task_vars["hostvars"]
        self._options = options
        self._check = check
        first = self._hostvars[task_vars["inventory_hostname"]]
        # What the role or the play says, which no inventory knows.
        self._given = {
            name: templar.template(task_vars[name]) for name in _OF_A_NODE if name in task_vars and name not in first
        }
        path = options["fingerprints"]
        self._listed = host_keys.from_csv(Path(path)) if path else {}
        self.made_key = False
        self._users: dict[str, str] = {}

    def nodes(self) -> list[Asked]:
        """Return the nodes in the inventory's order. Raises AscendError, OSError."""
        connection_loader.get("ssh", class_only=True)  # so that its options are known
        return [self._node(name) for name in self._names]

    def remarks(self) -> list[str]:
        """Return what is left to do, so that site.yml can log in as the nodes were enrolled."""
        account = self._options["account"]
        others = [name for name, user in self._users.items() if user != account]
        if not others:
            return []
        key = "" if self._options["public_key"] else f", ansible_ssh_private_key_file: {self._pair()}"
        return [
            f"{listed(others)}: site.yml logs in as ansible_user, which is a different account;"
            f" set ansible_user: {account}{key}"
        ]

    def _node(self, name: str) -> Asked:
        # Each is rendered when it is looked up: one of another purpose may be undefined here.
        variables = ChainMap(self._hostvars[name], self._given)

        def option(key: str) -> Any:
            return constants.config.get_config_value(
                key, plugin_type="connection", plugin_name="ssh", variables=variables
            )

        host = str(option("host") or name)
        words = [str(option(key) or "") for key in ("ssh_args", "ssh_common_args", "ssh_extra_args")]
        self._users[name] = str(option("remote_user") or "")
        private_key, public_key = self._keys(option("private_key_file"))
        where = f"the variables of {name}"
        return Asked(
            name=name,
            host=host,
            port=int(option("port")) if option("port") else None,
            options=tuple(part for text in words for part in shlex.split(text)),
            initial=Initial(
                str(variables.get("enroll_user") or "root"), password_of(variables.get("enroll_password"), where)
            ),
            new_password=password_of(variables.get("enroll_new_password"), where),
            allowed=tuple(
                host_keys.expected(variables, name) + self._listed.get(name, []) + self._listed.get(host, [])
            ),
            public_key=public_key,
            private_key=private_key,
        )

    def _keys(self, named: str | None) -> tuple[Path | None, str]:
        """Return the private key that logs in, and the public key's line for the node."""
        private = Path(named).expanduser() if named else None
        if self._options["public_key"]:
            return private, keypair.line_of(self._options["public_key"])
        if private and private != self._pair():
            return private, keypair.line_of(f"{private}.pub")
        line, made = keypair.made(self._pair(), self._check)
        self.made_key = self.made_key or made
        return self._pair(), line

    def _pair(self) -> Path:
        return Path(self._options["known_hosts"]).expanduser().with_name(PAIR)


def wishes_of(options: Mapping[str, Any], check: bool, at_once: int, inventory: str) -> Wishes:
    """Return how all nodes are to be enrolled. Raises AscendError."""
    account = str(options["account"])
    if not NAME.fullmatch(account) or account == "root":
        raise AscendError(
            "not a name for the fleet's account",
            wanted="a lower-case name of letters, digits, - and _, other than root",
            found=repr(account),
            where="enroll_account",
            remedy="-e enroll_account=ascend-fleet",
        )
    return Wishes(
        account=account,
        known_hosts=Path(options["known_hosts"]).expanduser().absolute(),
        first_use=bool(options["trust_on_first_use"]),
        lock=bool(options["lock_password"]),
        check=check,
        at_once=at_once,
        inventory=inventory,
        renew=bool(options["renew"]),
    )


def fleet_certificates(
    options: Mapping[str, Any], nodes: Sequence[Asked], wishes: Wishes
) -> tuple[Certifying | None, list[str]]:
    """Return which certificates the nodes get, None without an authority, and what was created here, as text.

    Raises AscendError, OSError.
    """
    paths = {name: Path(options[f"{name}_ca"]).expanduser() for name in ("host", "user") if options[f"{name}_ca"]}
    made = []
    if options["make_ca"]:
        made = [
            f"{path} was created" for name, path in paths.items() if authority.made(path, f"{name}-ca", wishes.check)
        ]
    host, user = (authority.authority(paths[name]) if name in paths else None for name in ("host", "user"))
    if not host and not user:
        if options["renew"] and not wishes.check:
            raise AscendError(
                "the fleet has no certificate authority",
                wanted="the public key of one",
                found="none",
                where=listed([f"{path}.pub" for path in paths.values()]) or "enroll_host_ca and enroll_user_ca",
                remedy=f"ansible-playbook playbooks/ssh_certificates.yml {wishes.inventory} -e enroll_make_ca=true",
            )
        return None, made
    text = known_hosts.read(wishes.known_hosts)
    lines = [line for name in options["revoke"] for line in _lines_of(name, text, wishes)]
    named = {node.private_key for node in nodes if node.private_key}
    pairs = sorted(pair for pair in named if pair.is_file() and pair.with_name(f"{pair.name}.pub").is_file())
    if user:
        days = int(options["user_days"])
        for pair in pairs:
            if certificates.user_certificate(pair, user, wishes.account, days, lines, wishes.check):
                made.append(f"a certificate valid for {days} days was signed for {pair}")
    made += [] if wishes.check else _revoke(lines, pairs, host, wishes)
    only = bool(options["certificates_only"])
    return Certifying(host, user, wishes.revoked, int(options["host_days"]), only), made


def _revoke(lines: Sequence[str], pairs: Sequence[Path], host: Authority | None, wishes: Wishes) -> list[str]:
    """Write the list of revoked keys, and the known_hosts that the control node's OpenSSH reads."""
    keys = [key for line in lines if "-cert-v01" not in (key := host_keys.public_key(line, "enroll_revoke")).kind]
    own = [line for pair in pairs for line in _own_lines(pair)]
    made = ["the list of revoked keys was written"] if authority.revoke(wishes.revoked, lines, own) else []

    def change(text: str) -> str:
        text = known_hosts.with_authority(text, host.key) if host else text
        return known_hosts.with_revoked(text, keys) if keys else text

    before, after = known_hosts.edit(wishes.known_hosts, change)
    return made + ([f"{wishes.known_hosts} was changed"] if before != after else [])


def _lines_of(name: str, text: str, wishes: Wishes) -> list[str]:
    path = Path(name).expanduser()
    if path.is_file():
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    found = [key.line for key in known_hosts.pinned(text, name)]
    if not found:
        raise AscendError(
            "nothing to revoke",
            wanted="the path of a public key or a certificate, or a node's name in known_hosts",
            found=repr(name),
            where="enroll_revoke",
            remedy=f"ssh-keygen -F ADDRESS -f {wishes.known_hosts}  # [ADDRESS]:PORT if the port is not 22",
        )
    return found


def _own_lines(pair: Path) -> list[str]:
    files = [pair.with_name(pair.name + end) for end in (".pub", "-cert.pub")]
    return [line for file in files if file.is_file() for line in file.read_text(encoding="utf-8").splitlines()]
