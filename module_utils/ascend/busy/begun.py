# SPDX-License-Identifier: Apache-2.0
"""What our own playbooks started on the cards: a rank or a server that is starting has no card open yet."""

from __future__ import annotations

import os
from typing import Any, Dict

from ..node import Node


def add(npu: Dict[str, Any], node: Node, state_dir: str) -> None:
    """Add to the processes of the facts ``npu`` the active training runs and served models."""
    found = []
    # On most nodes nobody trains or serves by our playbooks: then neither is imported.
    if os.path.isdir(os.path.join(node.path(state_dir), "train")):
        from ..train import job

        found += job.at_work(node, state_dir)
    if os.path.isdir(os.path.join(node.path(state_dir), "serve")):
        from ..serve import server

        found += server.at_work(node, state_dir)
    devices = npu["devices"]
    for each in found:
        indexes = each["devices"] or range(len(devices))
        cards = [devices[index] for index in indexes if index < len(devices)]
        chips = [[card["npu_id"], card["chip_id"], None] for card in cards]
        npu["processes"].append({**{key: each[key] for key in each if key != "devices"}, "chips": chips})
        npu["process_count"] += 1
