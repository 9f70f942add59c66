# SPDX-License-Identifier: Apache-2.0
"""Accounts and groups of a node, as its name service knows them, whether local or from LDAP or SSSD.

We ask ``getent`` and ``id``, each with a time limit, because a missing directory server hangs whoever asks.
"""

from __future__ import annotations

import re
from typing import Optional, Tuple

from .command import Account, Result
from .node import Node

ASK_S = 10.0
NOT_FOUND = 2  # getent(1)
_ENTRY = re.compile(r"([^:]+):[^:]*:(\d+):(\d+):")


def account(node: Node, name: str, timeout_s: float = ASK_S) -> Tuple[Optional[Account], str]:
    """Return (the account or None, why it is not known). ``name`` may also be a number; "" means that there is none."""
    asked, why = _ask(node, ["getent", "passwd", name], timeout_s)
    if asked is None:
        return None, why
    entry = next((match for match in map(_ENTRY.match, asked.output.splitlines()) if match), None)
    if asked.code == NOT_FOUND:
        return None, ""
    if asked.code != 0 or entry is None:
        return None, "getent passwd %s: %s" % (name, asked.last_lines(1) or "exit code %d" % asked.code)
    known, uid, gid = entry.group(1), int(entry.group(2)), int(entry.group(3))
    asked, why = _ask(node, ["id", "-G", known], timeout_s)
    if asked is None:
        return None, why
    groups = next((line for line in asked.output.splitlines() if re.fullmatch(r"\d+( \d+)*", line.strip())), "")
    if asked.code != 0 or not groups:
        return None, "id -G %s: %s" % (known, asked.last_lines(1) or "exit code %d" % asked.code)
    return Account(known, uid, gid, tuple(int(number) for number in groups.split())), ""


def name_of(node: Node, database: str, number: int, timeout_s: float = ASK_S) -> str:
    """Return the name of a user or a group (``database`` "passwd" or "group"), or its number if it has no name."""
    asked, _ = _ask(node, ["getent", database, str(number)], timeout_s)
    names = [line.split(":")[0] for line in asked.output.splitlines() if line.count(":") >= 3] if asked else []
    return names[0] if names else str(number)


def _ask(node: Node, argv: "list[str]", timeout_s: float) -> Tuple[Optional[Result], str]:
    program = node.find(argv[0])
    if program is None:
        return None, "the node has no %s" % argv[0]
    result = node.run([program, *argv[1:]], timeout_s)
    if result.timed_out:
        return None, "%s: no answer within %g s" % (" ".join(argv), timeout_s)
    return result, ""
