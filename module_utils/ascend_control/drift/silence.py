# SPDX-License-Identifier: Apache-2.0
"""Why a node gave no facts, according to what OpenSSH, PAM, sudo, the shell and Ansible said (silence_reasons.py)."""

from __future__ import annotations

import re
import shlex
from typing import Any

from ...ascend.errors import AscendError
from ...ascend.finding import quoted
from ..plan.found import OtherVersionError
from .findings import Finding
from .helper import HelperError
from .silence_reasons import CRASHED, FOLDER, NOISE, PREFACE, REASONS, UNREACHABLE, Reason

_LOOK = "ansible-inventory --host NODE"
_TRACEBACK = "Traceback (most recent call last)"
_ERROR = re.compile(r"[\w.]+(?:Error|Exception|Exit|Interrupt)\b")
_KNOWN = [re.compile(reason.words, re.IGNORECASE) for reason in REASONS]


def silence(node: str, answer: str, reached: bool, inventory: str) -> Finding:
    """Return the finding of a node that gave no facts; ``answer`` is what came instead; ``reached``: SSH worked."""
    lines = _telling(answer)
    reason, found = _reason(lines) or (CRASHED if reached else UNREACHABLE, " ".join(lines or answer.split()))
    return {
        "component": "access",
        "level": "unchecked",
        "name": reason.name,
        "subject": "",
        "problem": reason.problem,
        "wanted": reason.wanted,
        "found": quoted(found or "no output"),
        "where": node,
        "remedy": _command(reason.remedy, node, inventory),
    }


def unusable(node: str, error: AscendError, inventory: str) -> Finding:
    """Return the finding of a node that was not compared with anything.

    The inventory's values for it are unusable, or the facts are from another version.
    """
    name = {OtherVersionError: "version", HelperError: "helper"}.get(type(error), "inventory")
    parts = {key: words for key, words in error.as_dict().items() if words}
    words = {
        "wanted": "usable values",
        "found": "unusable values",
        "where": node,
        "remedy": _LOOK,
        **parts,
    }
    words["remedy"] = _command(words["remedy"], node, inventory)
    return {"component": "access", "level": "unchecked", "name": name, "subject": "", **words}


def _reason(lines: list[str]) -> tuple[Reason, str] | None:
    """Return the most definite reason in the lines, and its line; None if none is known."""
    for reason, words in zip(REASONS, _KNOWN, strict=True):
        for line in lines:
            if words.search(line):
                return reason, line
    return None


def _command(remedy: str, node: str, inventory: str) -> str:
    name = shlex.quote(node)
    if " INVENTORY --limit NODE" in remedy:
        return remedy.replace("INVENTORY --limit NODE", f"{inventory} --limit {name}".lstrip())
    remedy = remedy.replace("ansible NODE", f"ansible {name} {inventory}".rstrip())
    return remedy.replace("--host NODE", f"{inventory} --host {name}".lstrip())


def is_known(finding: Finding) -> bool:
    """Whether a reason was found."""
    return finding["problem"] not in (CRASHED.problem, UNREACHABLE.problem)


def said_by(result: dict[str, Any]) -> str:
    """Return what a failed module's result says: the node's own words first, Ansible's if it has none."""
    texts = [str(result.get(key) or "").strip() for key in ("module_stderr", "module_stdout", "stderr")]
    if any(texts):
        return "\n".join(words for words in [*texts, str(result.get("msg") or "")] if words)
    exception = result.get("exception")
    # From ansible-core 2.19 on a module's exception is an object that holds its words, before it is a traceback.
    event = getattr(exception, "event", None)
    return str(result.get("msg") or getattr(event, "msg", None) or exception or "no output")


def _telling(answer: str) -> list[str]:
    """Return the relevant lines: without noise, a traceback except its end, or Ansible's words before the node's."""
    lines = [line.strip() for line in PREFACE.sub(_shorter, answer).splitlines()]
    telling = [line for line in lines if line and not NOISE.match(line)]
    if not any(line.startswith(_TRACEBACK) for line in telling):
        return telling
    begin = next(number for number, line in enumerate(telling) if line.startswith(_TRACEBACK))
    errors = [line for line in telling[begin:] if _ERROR.match(line)][-1:]
    return (errors or telling[-1:]) + telling[:begin]


def _shorter(preface: re.Match[str]) -> str:
    return f"{FOLDER}\n" if preface.group().startswith(FOLDER) else "\n"
