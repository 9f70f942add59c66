# SPDX-License-Identifier: Apache-2.0
"""A scheduler's commands for one node, as the inventory has them: run on the control node, without a shell."""

from __future__ import annotations

import getpass
import shlex
import socket
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError

DRAIN, RESUME = "rollout_drain_command", "rollout_resume_command"
LIMIT_S = 120.0  # it tells a scheduler something, and waits for no job


def argv_of(variable: str, given: Any) -> list[str]:
    """Return a command as a list; text is split like in a shell. Empty for none.

    Raises AscendError for what is not a command.
    """
    try:
        words = shlex.split(given) if isinstance(given, str) else given or []
    except ValueError as error:
        raise _no_command(variable, f"{given!r} ({error})") from None
    if not isinstance(words, list) or not all(isinstance(word, str | int) for word in words) or words[:1] == [""]:
        raise _no_command(variable, repr(given))
    return [str(word) for word in words]


def require_both(drain: list[str], resume: list[str]) -> None:
    """Raise AscendError if a node would be drained that nothing resumes."""
    if drain and not resume:
        raise AscendError(
            f"{DRAIN} is set but {RESUME} is not, so the node would never get jobs again",
            wanted="both of them, or neither; nothing was done to the node",
            found=f"{DRAIN}: {shlex.join(drain)}",
            where="the inventory",
            remedy=f"set {RESUME} beside it",
        )


def ask(argv: list[str]) -> Result:
    """Run the command as the login that runs Ansible."""
    return run(argv, LIMIT_S)


def refused(variable: str, argv: list[str], result: Result, node: str, left: str) -> AscendError:
    """Return what the operator must know about a failed command; ``left`` says how the node is left."""
    words = result.last_lines(5) or "no output"
    ended = f"not finished within {LIMIT_S:g} s" if result.timed_out else f"exit code {result.code}"
    return AscendError(
        f"{variable} failed for {node}: {left}",
        wanted="exit code 0",
        found=f"{ended}: {words}",
        where=f"{shlex.join(argv)} (control node {socket.gethostname()}, as {getpass.getuser()})",
        remedy="type the same command there; when it succeeds, run the playbook again",
    )


def nothing_resumes(node: str, began: str, file: str) -> AscendError:
    """Return what the operator must know about a drained node if the inventory no longer has a command."""
    return AscendError(
        f"{node} is still drained by a dead run, and {RESUME} is not set",
        wanted=f"{RESUME}, as when the node was drained",
        found=f"drained since {began}",
        where=file,
        remedy=f"set {RESUME} and run it again; or resume the node by hand, then on it: rm {file}",
    )


def _no_command(variable: str, found: str) -> AscendError:
    return AscendError(
        f"{variable} is not a command",
        wanted='a program and its arguments, text or a list, as in "scontrol update NodeName=npu-001 State=RESUME"',
        found=found,
        where="the inventory",
        remedy=f"correct {variable}; what needs a shell goes into a script, which the variable names",
    )
