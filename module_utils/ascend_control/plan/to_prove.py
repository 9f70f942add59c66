# SPDX-License-Identifier: Apache-2.0
"""On which devices of a node an environment is proven, and which are left out, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .documents import Document, read
from .found import Device, Npu


def to_prove(facts: Document, out: Sequence[Any] = (), spare_busy: bool = False) -> dict[str, Any]:
    """Return ``{"devices": [index, ...], "left_out": [{"card", "index", "why"}, ...]}``.

    An index is what torch and ASCEND_RT_VISIBLE_DEVICES call a device. ``out`` are the npu-smi ids of the cards that
    the inventory takes out. Unhealthy cards are left out as well: the operator has accepted them, and a dead card hangs
    whatever opens it. ``spare_busy`` leaves out cards in use.
    """
    npu = read(Npu, facts["npu"])
    devices = npu.devices
    numbers = _indexes(devices)
    taken = {str(card) for card in out}
    busy = _busy(npu) if spare_busy else set()
    unclear = npu.unclear if spare_busy else ()
    left_out: dict[int, dict[str, Any]] = {}
    for device, index in zip(devices, numbers, strict=True):
        why = _why(device, taken, busy, unclear)
        if why:
            left_out[index] = {"card": device.npu_id, "index": index, "why": why}
    devices_left = sorted(set(numbers).difference(left_out))
    return {"devices": devices_left, "left_out": [left_out[index] for index in sorted(left_out)]}


def _why(device: Device, taken: set[str], busy: set[int] | None, unclear: Sequence[int]) -> str:
    if str(device.npu_id) in taken:
        return "excluded by ascend_cards_out"
    if device.health != "OK":
        return "its health is %s" % (device.health or "unread")
    if busy is None:
        return "npu-smi does not say which card each process uses"
    if device.npu_id in busy:
        return "a process uses it"
    return "npu-smi does not say whether a process uses it" if device.npu_id in unclear else ""


def _indexes(devices: list[Device]) -> list[int]:
    """Return each device's logical number: the table's, else its position among the cards."""
    indexes = [device.device_id for device in devices]
    if all(isinstance(number, int) for number in indexes) and len(set(indexes)) == len(indexes):
        return [int(str(number)) for number in indexes]
    order = sorted(range(len(devices)), key=lambda place: (devices[place].npu_id, devices[place].chip_id or 0))
    return [order.index(place) for place in range(len(devices))]


def _busy(npu: Npu) -> set[int] | None:
    """Return the npu-smi ids of the cards in use; None if there is a process whose cards are unknown."""
    processes = npu.processes
    if npu.process_count > len(processes) or any(not process.chips for process in processes):
        return None
    return {card for process in processes for card in process.cards()}
