# SPDX-License-Identifier: Apache-2.0
"""What was fetched from a training run: a folder for each node on the control node, and the first error.

```
reports/train/<run>/loss.svg
reports/train/<run>/rank-0-npu-001/{log,train.json,trainer_log.jsonl,trainer_state.json}
```
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...ascend import atomic
from ...ascend.train.fetch import LOG, STATE, STEPS

ABOUT = "train.json"
# Of a run's state, what does not change any more once it has ended.
ENDED = ("state", "began", "ended", "code", "because", "error")
WHAT = ("name", "account", "devices", "environment", "folder", "output_dir", "rank", "nodes")

Answers = Mapping[str, Mapping[str, Any]]


def node_folder(rank: int, node: str) -> str:
    return f"rank-{rank}-{re.sub('[^A-Za-z0-9._-]', '_', node)}"


def write(folder: Path, run: Mapping[str, Any], texts: Mapping[str, str]) -> bool:
    """Write a node's files, each atomically; return whether any is new. Raises OSError.

    Files of an earlier fetch that are not in this one are removed. Only the owner can read logs, because they quote
    data.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o700)
    folder.mkdir(exist_ok=True)
    about = json.dumps({key: run.get(key) for key in (*WHAT, *ENDED)}, indent=1) + "\n"
    wanted = {**texts, ABOUT: about}
    changed = [write_text(folder / name, text) for name, text in wanted.items()]
    for name in {LOG, STATE, STEPS} - set(wanted):
        if (folder / name).exists():
            (folder / name).unlink()
            changed.append(True)
    return any(changed)


def write_text(path: Path, text: str) -> bool:
    """Write a file if its content differs; return whether it did. Raises OSError."""
    content = text.encode("utf-8")
    if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return False
    atomic.write(str(path), text)
    return True


def folders(answers: Answers) -> list[str]:
    """Return the nodes' folders, by rank: the first ranks draw the loss."""
    given = [answer for answer in answers.values() if answer.get("folder")]
    return [str(answer["folder"]) for answer in sorted(given, key=lambda answer: int(answer["run"].get("rank") or 0))]


def lines(answers: Answers, picture: str) -> list[str]:
    """Return what was fetched, what is odd, which nodes gave nothing, and at the end the first error of all ranks."""
    text = []
    for node, answer in answers.items():
        if "run" not in answer:
            text.append(f"{node}: not fetched: {answer.get('msg') or 'it does not answer'}".splitlines()[0])
            continue
        text.append(f"{node}: {answer['run']['state']}, {answer['folder']}")
        text += [f"  {words}" for words in answer["remarks"]]
    text.append(f"the loss: {picture}" if picture else "no loss to plot yet: no rank wrote one")
    error = first_error(answers)
    return [*text, error] if error else text


def first_error(answers: Answers) -> str:
    """Return the first error of all ranks, on one line; "" if none failed.

    The runners say which rank failed first; if they do not, it is the rank that ended first.
    """
    runs = {node: answer["run"] for node, answer in answers.items() if "run" in answer}
    of_rank = {run.get("rank") or 0: node for node, run in runs.items()}
    pointing = [run for run in runs.values() if run.get("first_rank") is not None]
    for run in sorted(pointing, key=_ended):
        node = of_rank.get(run["first_rank"])
        if node is None:
            return f"the first error: {run['because']} (no files were fetched from its node)"
        return _words(node, runs[node])
    failed = {node: run for node, run in runs.items() if run["state"] in ("failed", "lost")}
    first = min(failed, key=lambda node: _ended(failed[node]), default="")
    return _words(first, failed[first]) if first else ""


def _ended(run: Mapping[str, Any]) -> float:
    return float("inf") if run.get("ended") is None else float(run["ended"])


def _words(node: str, run: Mapping[str, Any]) -> str:
    what = run.get("error") or f"its log names none; exit code {run.get('code')}"
    return f"the first error: rank {run.get('rank') or 0} ({node}): {what}"
