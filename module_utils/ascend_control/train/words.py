# SPDX-License-Identifier: Apache-2.0
"""What a training run does, as text; and those inputs of a run that ``-e`` turns into text."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from typing import Any

from ...ascend.errors import AscendError
from ...ascend.npu.symptoms import recognise

# By these programs are ended, from without or by a fault of their own; 255 is no SIGHUP.
_ENDS = (signal.SIGABRT, signal.SIGBUS, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM)
SHOWN = 12  # lines of the log


def devices(given: Any) -> list[int]:
    """Return the indexes of devices; with ``-e`` a list is text, as in "[0, 1]". Raises AscendError."""
    words = given.strip("[] ").split(",") if isinstance(given, str) else given
    listed = [str(word).strip() for word in (words if isinstance(words, list) else [words])]
    listed = [word for word in listed if word]
    if not all(re.fullmatch("[0-9]{1,3}", word) for word in listed):
        raise AscendError(
            "train_devices is not a list of cards",
            wanted="numbers from 0, as torch counts the cards",
            found=repr(given),
            remedy="-e train_devices=0,1",
        )
    return sorted({int(word) for word in listed})


def exit_words(code: Any) -> str:
    """Return an exit code, and the signal behind it: a shell adds it to 128, Python subtracts it from 256."""
    number = code if isinstance(code, int) else 0
    found = {-number, number - 128, 256 - number} & set(_ENDS)
    return f"exit code {code}" + (f": ended by {signal.Signals(found.pop()).name}" if found else "")


def training_text(run: Mapping[str, Any]) -> str:
    """Return what a run (module train_job) does, as lines, with the first error and the next command."""
    progress, state = run["progress"], run["state"]
    lines = [f"{run['name']}: {state}, as {run['account']}, started {run['began']}"]
    if progress.get("total_steps"):
        loss = f", loss {progress['loss']}" if "loss" in progress else ""
        left = f", {progress['remaining_time']} left" if state == "running" and "remaining_time" in progress else ""
        lines.append(f"step {progress.get('current_steps')} of {progress['total_steps']}{loss}{left}")
    if progress.get("problem"):
        lines.append(f"cannot read its progress: {progress['problem']}")
    if run["because"]:
        lines.append(f"ended, because {run['because']}: look there first")
    elif state == "failed":
        lines.append(exit_words(run["code"]))
    elif state == "lost":
        why = "the node was restarted, the disk is full (df -h), or it was killed (dmesg | grep -i oom)"
        lines.append(f"its end was not recorded: {why}")
    if state in ("failed", "lost"):
        words = "\n".join(run["last"])  # masked on the node
        lines += [f"the first error: {run['error']}"] if run["error"] else []
        for known in recognise(run["error"] or words)[:1]:
            lines.append(f"{known.what} ({known.name}); next: {known.remedy}")
        lines += [f"  {line}" for line in run["last"][-SHOWN:]]
    lines.append(f"its log: {run['log']}")
    return "\n".join(lines)
