# SPDX-License-Identifier: Apache-2.0
"""What an enrolment takes from the inventory: of each node its address, options of ssh, keys and initial account."""

from __future__ import annotations

import shlex
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.loader import connection_loader

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.text import listed
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll import host_keys, keypair
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.account import NAME
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
        """Return what is left to do, so that site.yml logs in as the nodes were enrolled."""
        account = self._options["account"]
        others = [name for name, user in self._users.items() if user != account]
        if not others:
            return []
        key = "" if self._options["public_key"] else f", ansible_ssh_private_key_file: {self._pair()}"
        return [
            f"{listed(others)}: site.yml logs in by ansible_user, which is another; set ansible_user: {account}{key}"
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
    )
