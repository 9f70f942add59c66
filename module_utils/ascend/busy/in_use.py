# SPDX-License-Identifier: Apache-2.0
"""Whether jobs use the cards at this moment, which prevents a change from beginning and `current` from moving."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Sequence

from ..errors import AscendError
from ..node import Node
from ..npu.cards import read_npu
from ..text import listed
from . import begun

TOOL_S = 60
AGAIN_S = 3.0  # what a proof on the cards left may be shown for a moment longer
SHOWN = 3


class InUseError(AscendError):
    """Jobs use the cards. This is no failure of the node; a module's result says ``busy``."""

    def as_dict(self) -> Dict[str, Any]:
        return {**super().as_dict(), "busy": True}


def in_use(node: Node, cards_out: Sequence[int], state_dir: str) -> Dict[str, List[Any]]:
    """Return ``{"processes", "unclear"}`` (cards.read_npu), both empty on an idle node.

    ``cards_out`` (NPU ids) need not be known to be idle, because nothing may report their processes. A training run
    that is starting has no card open yet, so its files in ``state_dir`` count as well.
    """
    npu: Any = read_npu(node, TOOL_S)[0]
    begun.add(npu, node, state_dir)
    return {"processes": npu["processes"], "unclear": [card for card in npu["unclear"] if card not in cards_out]}


def require_idle(node: Node, cards_out: Sequence[int], state_dir: str, left: str) -> None:
    """Raise InUseError if jobs still use the cards after a second look; ``left`` says how the node is left."""
    if not any(in_use(node, cards_out, state_dir).values()):
        return
    time.sleep(AGAIN_S)
    found = in_use(node, cards_out, state_dir)
    if any(found.values()):
        words = [_words(process) for process in found["processes"]]
        words += ["npu-smi info does not say whether processes use card %d" % card for card in found["unclear"]]
        raise InUseError(
            "jobs started on the cards after the change of the node began: " + left,
            wanted="idle cards",
            found=listed(words, most=SHOWN),
            where="npu-smi info",
            remedy="run it again when they have ended: it continues from here; -e ascend_busy_policy=wait waits",
        )


def _words(process: Dict[str, Any]) -> str:
    cards = listed([str(card) for card in sorted({chip[0] for chip in process["chips"]})])
    command = process["command"] or process["name"] or "?"
    return "process %d of %s on card %s: %s" % (process["pid"], process["user"] or "?", cards, command)
