# SPDX-License-Identifier: Apache-2.0
"""Whose failure ended an all_reduce over several nodes: the first error, not the loudest.

When a rank dies, all others report a closed connection, so many messages are about another rank. So a killed rank comes
first, then an error that mentions no other rank, then one that does. Among equals, the one counts that was first to
raise the number in torchrun's store.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from ...ascend.finding import Finding
from .alone import failure, of_ranks

# What a rank says of others: gloo's, torch's and HCCL's words.
_OF_OTHERS = re.compile(
    r"closed by (?:remote )?peer|connection reset|broken pipe|connection refused|timed? ?out|timeout"
    r"|EI0002|EI0006|EI0015|store is gone|DistStoreError|DistNetworkError|RendezvousTimeout|failed to recv",
    re.IGNORECASE,
)
_KINDS = {"killed": 0, "own": 1, "timeout": 3, "left": 4}


def culprit(answers: Mapping[str, Any]) -> str:
    """Return the node whose failure is the first, "" if none failed; ``answers`` are node -> what its ranks did."""
    failed = {name: answer for name, answer in answers.items() if not answer.get("ok")}
    for name in (name for answer in failed.values() for name in _silent(answer, list(answers))):
        return name
    return min(failed, key=lambda name: _rank(failed[name]), default="")


def _silent(answer: Mapping[str, Any], names: list[str]) -> list[str]:
    return [names[number] for number in answer.get("silent", []) if number < len(names)]


def _rank(answer: Mapping[str, Any]) -> tuple[int, bool]:
    kind = _KINDS.get(str(answer.get("kind", "own")), 1)
    if kind == 1 and _OF_OTHERS.search(str(answer.get("error", ""))):
        kind = 2
    return kind, answer.get("first") is not True


def failures(answers: Mapping[str, Any], inventory: str) -> dict[str, list[Finding]]:
    """Return node -> failures of the all_reduce over all nodes; in the order of ``counts``.

    One node has failed; the others were not proven, and learn because of whom.
    """
    guilty = culprit(answers)
    if not guilty:
        return {name: [] for name in answers}
    first = answers[guilty]
    words = str(first.get("error") or first.get("msg") or "no heartbeat")
    others = [name for name in answers if name != guilty]
    options = f"{inventory} --limit {shlex.quote(','.join(others))}".strip()
    again = f"ansible-playbook playbooks/preflight.yml {options}"
    found = {
        guilty: [
            of_ranks("all-reduce", "the all_reduce over all nodes failed first on this node", {**first, "error": words})
        ]
    }
    for name in others:
        problem = f"not proven: {guilty} made the all_reduce over all nodes fail"
        found[name] = [
            failure(
                "not-proven",
                problem,
                "an all_reduce over all nodes that succeeds",
                f"{guilty}: {words}",
                "torchrun",
                again,
            )
        ]
    return found
