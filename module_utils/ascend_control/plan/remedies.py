# SPDX-License-Identifier: Apache-2.0
"""On which machine one types a remedy: its first word says so, or nothing does."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..notice.message import CONTROL as CONTROL_NODE, FLEET

NODE, CONTROL = "node", "control"
# Only the control node has the inventory, the project and the fleet's key. The rest is typed where the finding is.
_OURS = frozenset(
    """
    ansible ansible-doc ansible-inventory ansible-playbook ansible-vault make ssh ssh-copy-id ssh-keygen
    """.split()  # noqa: SIM905  (a list of words is read as words)
)
_PROGRAMS = frozenset(
    """
    apt-get ascend-env bash c++filt cat cd chage chmod chown chronyc command curl date df dmesg dnf echo env export
    faillock find findmnt for free getent git gpasswd grep groupadd hccn_tool head id ip jq ldd less ln ls lsmod
    lspci mount mv namei nc npu-smi ntpq openssl printf ps python python3 reboot rm runuser source ss strings
    sysctl systemctl tar time timedatectl umount uname unset useradd yum
    """.split()  # noqa: SIM905  (a list of words is read as words)
)
_PLACEHOLDER = "COMMAND"  # whatever the operator ran on the node
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def run_on(remedy: str, node: str) -> str:
    """Return NODE or CONTROL, or "" for a remedy that begins with no program: a sentence, an option, an address.

    ``node``: whose finding it is; those of the control node and of the fleet as a whole are typed on the control node.
    """
    first = next((word for word in remedy.split() if not _ASSIGNMENT.match(word)), "")
    program = first.rstrip(";").rpartition("/")[2]
    if program in _OURS:
        return CONTROL
    if program in _PROGRAMS or program == _PLACEHOLDER:
        return CONTROL if node in (CONTROL_NODE, FLEET) else NODE
    return ""


def on_words(where: str, nodes: Sequence[str], count: int = 1) -> str:
    """Return what stands before a command: "on npu-003", "on each node", "on the control node", "" where none does.

    ``where``: from ``run_on``; ``count``: of how many of the ``nodes`` the command is; one is that of the first.
    """
    if where == CONTROL:
        return f"on the {CONTROL_NODE}"
    if where == NODE:
        several = "on each node" if count == len(nodes) else f"on {count:,} of these nodes"
        return several if count > 1 else f"on {nodes[0]}"
    return ""


def placed(remedy: str, node: str) -> str:
    """Return a remedy for a line of text, which names the node; the control node is where such lines are printed."""
    return f"on {node}: {remedy}" if run_on(remedy, node) == NODE else remedy
