#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module, for the control node: enroll the nodes of a play."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ssh_enroll
short_description: Pin the host keys of new nodes and make the fleet's account on them
version_added: "0.1.0"
description:
  - Enrolls all nodes of the play in one call, many at once. Checks each host key against the node's variables
    C(ssh_host_fingerprints) and C(ssh_host_key), O(fingerprints), or what is pinned already; logs in by the initial
    password, once; pins the key; makes the account with its key and its sudo rights; tests the login by OpenSSH.
  - No password is an option. They come from the nodes' variables C(enroll_password) and C(enroll_new_password), for the
    account C(enroll_user), or from the terminal, where one is needed. None is in the result.
  - Where the fleet has certificate authorities (O(host_ca), O(user_ca)), gives the nodes their certificates, too.
  - A host key that two nodes have is refused for both. A node whose account logs in already needs no password.
  - Runs on the control node, as an action within Ansible's own process; needs paramiko there, and OpenSSH.
author:
  - The ascend-fleet authors (@ascend-fleet)
options:
  account:
    description: The account of the fleet on the nodes. It may become root without being asked.
    type: str
    default: ascend-fleet
  public_key:
    description:
      - The public key of the account, as a line or as a path on the control node. Without one, that beside the node's
        C(ansible_ssh_private_key_file), else that of a pair which is made beside O(known_hosts).
    type: str
    default: ""
  fingerprints:
    description: A CSV file on the control node with the columns C(host) and C(fingerprint); empty for none.
    type: str
    default: ""
  trust_on_first_use:
    description: Whether a host key of which nothing is known is taken as it is shown.
    type: bool
    default: false
  known_hosts:
    description: The fleet's own file of host keys, on the control node; C(~) is the home.
    type: str
    default: ~/.ssh/ascend-fleet/known_hosts
  lock_password:
    description: Whether the password of the initial account is locked at the end, where the login by key works.
    type: bool
    default: false
  host_ca:
    description:
      - The private key, on the control node, of the authority that signs the nodes' host keys; what counts is the
        C(.pub) beside it. A key with a passphrase or on a card signs through ssh-agent. Empty for none.
    type: str
    default: ""
  user_ca:
    description: The same of the authority whose certificates the account takes.
    type: str
    default: ""
  host_days:
    description: How many days a host certificate is valid; it is renewed when half of them are over.
    type: int
    default: 90
  user_days:
    description: How many days the control node's own certificate is valid.
    type: int
    default: 1
  certificates_only:
    description: Whether the fleet's plain public key goes from a node where its certificate has logged in.
    type: bool
    default: false
  renew:
    description: Whether certificates alone are looked at, on nodes that are enrolled. No password is needed.
    type: bool
    default: false
  make_ca:
    description: Whether authorities that are not there are made. One that is there is never replaced.
    type: bool
    default: false
  revoke:
    description:
      - What is added to the list of revoked keys, C(revoked_keys) beside O(known_hosts) - paths of public keys and
        certificates, or names of nodes as known_hosts has them.
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
      - Looks at host keys and tries the login by key; sends no password and changes nothing but the files of O(folder).
    support: partial
  diff_mode:
    description: Shows what is pinned.
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
    - Of each node C(name), C(address), C(state) (V(enrolled), V(already), V(would enroll), V(failed)), C(fingerprint)
      and C(key_type) of its host key, C(known_by) (V(inventory), V(known_hosts), V(host CA), V(first use)),
      C(changed) (what was changed on it), C(seconds), and C(error), null or what was
      wanted, found, where, and the next command.
  returned: success
  type: list
  elements: dict
exit_code:
  description: 2 where a node failed, else 0.
  returned: success
  type: int
summary:
  description: The table for the terminal, a line each.
  returned: success
  type: list
  elements: str
folder:
  description: Where the report lies.
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
