# SPDX-License-Identifier: Apache-2.0
"""Why a node gave no facts: read from what OpenSSH, sudo, the shell and Ansible said.

Messages: ssh(1) and its client's sources (host keys, permission), sudo's plugins, Ansible's connection and become code.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ansible.module_utils.ascend.node import shortened
from ansible.module_utils.ascend_control.drift.findings import Finding


class Reason(NamedTuple):
    """A reason, the words that tell it, and what to do; NODE stands for the node."""

    name: str
    words: str
    problem: str
    wanted: str
    remedy: str


# The first that fits counts. What a time limit or a dead connection says comes after what names its cause.
REASONS = (
    Reason(
        "host-key",
        r"host key verification failed|host identification has changed|host key is known for|host key for \S+ has"
        r" changed",
        "the node's host key is not the known one",
        "the host key in known_hosts",
        "was the node installed anew? compare on its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
    ),
    Reason(
        "login",
        r"permission denied|too many authentication failures|authentication failed|no such identity",
        "the node refuses the login",
        "a login with the fleet's key",
        "ansible NODE -m ping -vvv  # which user and key? then: ssh-copy-id",
    ),
    Reason(
        "sudo",
        r"sudo|privilege escalation|become|not in the sudoers",
        "the node refuses root's rights",
        "sudo without a password, or ansible_become_password",
        "ansible NODE -m ping --become  # then: visudo on the node",
    ),
    Reason(
        "python",
        r"python\S*: (?:command )?not found|no such file or directory.*python|python.*no such file or directory"
        r"|minimum of python version|no python interpreters? found|the module interpreter",
        "the node has no Python that Ansible can use",
        "/usr/bin/python3, of a version in README.md",
        "apt-get install python3 || dnf install python3  # on the node; or set ansible_python_interpreter",
    ),
    Reason(
        "timeout",
        r"time limit of the check",
        "the node did not answer in time",
        "facts within the time limit",
        "ansible NODE -m ascend_facts --become  # does a file system or npu-smi hang? dmesg | tail",
    ),
)
UNREACHABLE = Reason(
    "unreachable",
    "",
    "the node cannot be reached",
    "an answer over SSH",
    "ansible NODE -m ping  # is it up? is the address right?",
)
CRASHED = Reason(
    "crashed",
    "",
    "the check crashed on the node",
    "facts",
    "ansible NODE -m ascend_facts --become -vvv  # and report what it says",
)


def silence(node: str, said: str, reached: bool, inventory: str) -> Finding:
    """Return the finding of a node that gave no facts; ``said`` is what came instead, ``reached`` if SSH worked."""
    known = (reason for reason in REASONS if re.search(reason.words, said, re.IGNORECASE | re.DOTALL))
    reason = next(known, CRASHED if reached else UNREACHABLE)
    return {
        "component": "access",
        "level": "unchecked",
        "name": reason.name,
        "subject": "",
        "problem": reason.problem,
        "wanted": reason.wanted,
        "found": shortened(_telling(said)),
        "where": node,
        "remedy": reason.remedy.replace("ansible NODE", f"ansible {node} {inventory}"),
    }


def said_by(result: dict[str, Any]) -> str:
    """Return what a failed module's result says: the node's own words first, Ansible's where it has none."""
    for key in ("module_stderr", "module_stdout", "stderr"):
        if str(result.get(key) or "").strip():
            return f"{result[key]}\n{result.get('msg', '')}".strip()
    exception = result.get("exception")
    # From ansible-core 2.19 on a module's exception is an object that holds its words, before it is a traceback.
    event = getattr(exception, "event", None)
    return str(result.get("msg") or getattr(event, "msg", None) or exception or "no word")


# What OpenSSH and Ansible print besides.
_NOISE = re.compile(
    r"mux_client|debug\d|Shared connection to|Connection to .* closed|Warning: Permanently added|@{10}|MODULE FAILURE"
)
_TRACEBACK = "Traceback (most recent call last)"
_ERROR = re.compile(r"[\w.]+(?:Error|Exception|Exit|Interrupt)\b")


def _telling(said: str) -> str:
    """Return the lines that tell: no noise, no traceback but for its end."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if not _NOISE.match(line)] or lines
    if any(line.startswith(_TRACEBACK) for line in lines):
        telling = [line for line in lines if _ERROR.match(line)][-1:] or telling[-1:]
    return " ".join(telling) or "no word"
