#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module, for the control node: enroll the nodes of a play."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ssh_enroll
short_description: Pin the host keys of new nodes and create the fleet's account on them
version_added: "0.1.0"
description:
  - Enrolls all nodes of the play in one call, many at once. It compares each host key with the node's variables
    C(ssh_host_fingerprints) and C(ssh_host_key), with O(fingerprints), or with what is pinned already. It pins the key,
    logs in once with the initial password, creates the account with its key and its sudo rights, and tests the login
    with OpenSSH.
  - Passwords are not options. They come from the nodes' variables C(enroll_password) and C(enroll_new_password), for
    the account C(enroll_user), or from the terminal if one is needed. The result contains none.
  - If the fleet has certificate authorities (O(host_ca), O(user_ca)), it gives the nodes their certificates, too.
  - If two nodes have the same host key, both are refused. A node whose account logs in already needs no password.
  - Runs on the control node, as an action within Ansible's own process; it needs paramiko and OpenSSH there.
author:
  - The ascend-fleet authors (@ascend-fleet)
options:
  account:
    description: The fleet's account on the nodes. It can become root without a password.
    type: str
    default: ascend-fleet
  public_key:
    description:
      - The public key of the account, as a line or as a path on the control node. Without it, the one beside the node's
        C(ansible_ssh_private_key_file) is used, else that of a new pair beside O(known_hosts).
    type: str
    default: ""
  fingerprints:
    description: A CSV file on the control node with the columns C(host) and C(fingerprint); empty for none.
    type: str
    default: ""
  trust_on_first_use:
    description: Whether to accept an unknown host key as the node shows it.
    type: bool
    default: false
  known_hosts:
    description: The fleet's own file of host keys, on the control node; C(~) is the home.
    type: str
    default: ~/.ssh/ascend-fleet/known_hosts
  lock_password:
    description: Whether to lock the initial account's password at the end, if the login by key works.
    type: bool
    default: false
  host_ca:
    description:
      - The private key, on the control node, of the authority that signs the nodes' host keys. The authority is used if
        the C(.pub) beside it exists. A key with a passphrase or on a card signs through ssh-agent. Empty for none.
    type: str
    default: ""
  user_ca:
    description: The same for the authority whose certificates the account accepts.
    type: str
    default: ""
  host_days:
    description: How many days a host certificate is valid. It is renewed after half of them.
    type: int
    default: 90
  user_days:
    description: How many days the control node's own certificate is valid.
    type: int
    default: 1
  certificates_only:
    description: Whether to remove the fleet's plain key from a node after a login with its certificate has worked.
    type: bool
    default: false
  renew:
    description: Whether to look only at certificates, on nodes that are enrolled. This needs no password.
    type: bool
    default: false
  make_ca:
    description: Whether to create authorities that are missing. An existing one is never replaced.
    type: bool
    default: false
  revoke:
    description:
      - What to add to the list of revoked keys, C(revoked_keys) beside O(known_hosts) - paths of public keys and
        certificates, or nodes as known_hosts names them.
    type: list
    elements: str
    default: []
  folder:
    description: Where C(report.json), C(passing.txt) and C(failing.txt) are written, on the control node.
    type: path
    required: true
attributes:
  check_mode:
    description:
      - Looks at host keys and tries the login by key. It sends no password, and changes only the files of O(folder).
    support: partial
  diff_mode:
    description: Shows what is, or would be, pinned.
    support: full
"""

EXAMPLES = r"""
- name: Enroll the nodes of the play
  ssh_enroll:
    fingerprints: rack-07.csv
    folder: enroll
  run_once: true
"""

RETURN = r"""
nodes:
  description:
    - For each node C(name), C(address), C(state) (V(enrolled), V(already), V(would enroll), V(failed)), C(fingerprint)
      and C(key_type) of its host key, C(known_by) (V(inventory), V(known_hosts), V(host CA), V(first use)),
      C(changed) (what was changed on it), C(seconds), and C(error), null or what was
      wanted, found, where, and the next command.
  returned: success
  type: list
  elements: dict
exit_code:
  description: 2 if a node failed, else 0.
  returned: success
  type: int
summary:
  description: The lines of the table for the terminal.
  returned: success
  type: list
  elements: str
folder:
  description: The folder of the report.
  returned: success
  type: str
"""

ARGUMENT_SPEC = {
    "account": {"type": "str", "default": "ascend-fleet"},
    "public_key": {"type": "str", "default": ""},
    "fingerprints": {"type": "str", "default": ""},
    "trust_on_first_use": {"type": "bool", "default": False},
    "known_hosts": {"type": "str", "default": "~/.ssh/ascend-fleet/known_hosts"},
    "lock_password": {"type": "bool", "default": False},
    "host_ca": {"type": "str", "default": ""},
    "user_ca": {"type": "str", "default": ""},
    "host_days": {"type": "int", "default": 90},
    "user_days": {"type": "int", "default": 1},
    "certificates_only": {"type": "bool", "default": False},
    "renew": {"type": "bool", "default": False},
    "make_ca": {"type": "bool", "default": False},
    "revoke": {"type": "list", "elements": "str", "default": []},
    "folder": {"type": "path", "required": True},
}
