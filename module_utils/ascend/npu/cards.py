# SPDX-License-Identifier: Apache-2.0
"""Ask the cards: ``npu-smi info`` once, and the health of those chips that are not OK. Each call has a time limit."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, List, Optional, Tuple

from ..command import Result
from ..finding import Finding, finding
from ..node import Node
from . import npu_smi, processes, tools
from .busy import asked_again, is_busy

if TYPE_CHECKING:
    from ..shapes import Device, Npu

UNHEALTHY_ASKED = 16  # chips whose errors are asked for, one call each
SHOWN = 5  # lines or chips that a finding names before it counts the rest
_NOT_SAID = ("hugepages_used", "hugepages_total")  # in the table, of no use to a plan or a report


def read_npu(node: Node, timeout_s: float, file_users: bool = True) -> Tuple[Npu, List[Finding]]:
    """Return (facts, findings) of the cards.

    ``{"answered", "tool_version", "driver_version", "devices", "processes", "process_count", "processes_from",
    "unclear", "unread"}``. ``answered`` is False if npu-smi gave no table; the first finding says why.
    ``processes_from`` is "npu-smi", or "/proc" if npu-smi does not report every card's processes; ``unclear`` are the
    NPU ids of cards that nobody reports as idle or used. Processes that have a card's device file open and that npu-smi
    does not name count as well, unless ``file_users`` is off (looking for them takes time).
    """
    program = tools.find(node, "npu-smi")
    if not program:
        missing = finding(
            "npu",
            "npu-smi-missing",
            "npu-smi is missing",
            "npu-smi in PATH or %s" % tools.PLACES[0],
            "no such program",
            remedy="install the NPU driver, which contains npu-smi; in a container, mount it from the host",
        )
        return _facts(node, None, False, file_users), [missing]
    result, info = _ask(node, program, timeout_s)
    silent = _why_silent(program, result, info, timeout_s)
    facts = _facts(node, info, silent is None, file_users)
    findings = ([silent] if silent else []) + _unread(program, info, silent is None)
    if silent is None:
        findings += _health(node, program, facts["devices"], timeout_s)
    return facts, findings


def _ask(node: Node, program: str, timeout_s: float) -> Tuple[Result, npu_smi.NpuSmiInfo]:
    """Ask for the table; a tool that is busy, again."""
    ask = partial(node.run, [program, "info"], timeout_s)
    result = ask()
    info = _parsed(result)
    if not _has_table(result, info) and is_busy(result):
        result = asked_again(result, ask, time.monotonic() + timeout_s, _busy)
        info = _parsed(result)
    return result, info


def _busy(result: Result) -> bool:
    return is_busy(result) and not _has_table(result, _parsed(result))


def _parsed(result: Result) -> npu_smi.NpuSmiInfo:
    return npu_smi.parse_info("" if result.timed_out else result.answer)


def _has_table(result: Result, info: npu_smi.NpuSmiInfo) -> bool:
    return bool(result.code == 0 and (info.devices or info.tool_version) and not (info.problems and not info.devices))


def fewer_visible(npu: Npu, device_nodes: int) -> List[Finding]:
    """Return a finding if npu-smi shows another number of chips than there are /dev/davinci<N>."""
    shown = len(npu["devices"])
    if not npu["answered"] or not device_nodes or shown == device_nodes:
        return []
    return [
        finding(
            "npu",
            "fewer-chips-visible" if shown < device_nodes else "device-files-missing",
            "npu-smi and /dev do not show the same number of chips",
            "as many chips in npu-smi as /dev/davinci<N>",
            "%d chips in npu-smi, %d device files" % (shown, device_nodes),
            "/dev/davinci*",
            "npu-smi info -l; dmesg | grep -i davinci  # did a card fall off the bus, or has this container only some?",
        )
    ]


def _facts(node: Node, info: Optional[npu_smi.NpuSmiInfo], answered: bool, file_users: bool) -> Npu:
    devices: Any = [asdict(device) for device in info.devices] if info else []
    for device in devices:
        for key in _NOT_SAID:
            del device[key]
        device["errors"] = []
    found = processes.read_processes(node, info.processes) if info else []
    unclear = processes.unclear(node, info, answered, [])
    if file_users or unclear or not answered:
        users_of_files = processes.read_file_users(node)
        unclear = processes.unclear(node, info, answered, users_of_files)
        numbers = processes.by_device(info.devices) if info else {}
        found = processes.merged(found, processes.with_cards(users_of_files, numbers))
    shown: Any
    shown, count = processes.bounded(found)
    return {
        "answered": answered,
        "tool_version": info.tool_version if info else None,
        "driver_version": info.driver_version if info else None,
        "devices": devices,
        "processes": shown,
        "process_count": count,
        "processes_from": "/proc" if unclear or not answered else "npu-smi",
        "unclear": unclear,
        "unread": list(info.problems[:SHOWN]) if info else [],
    }


def _why_silent(program: str, result: Result, info: npu_smi.NpuSmiInfo, timeout_s: float) -> Optional[Finding]:
    wanted = "%s info prints its table" % os.path.basename(program)
    if result.timed_out:
        return finding(
            "npu",
            "npu-smi-hangs",
            "npu-smi does not answer",
            wanted,
            "nothing within %g s" % timeout_s,
            program,
            "dmesg | tail  # the driver hangs; end what uses the cards, or reboot the node",
        )
    if _has_table(result, info):
        return None
    # Imported here: the table of symptoms is as long as all of this, and most nodes answer.
    from . import symptoms

    known = symptoms.recognise(result.printed)
    last_words = result.last_lines(3) or "no output"
    if known:
        symptom = known[0]
        return finding("npu", symptom.name, symptom.what, wanted, last_words, program, symptom.remedy)
    if is_busy(result):
        remedy = "ps -ef | grep -e npu-smi -e npu-exporter  # which program keeps calling it? then run it again"
        words = "npu-smi was busy every time: the cards' state is unknown"
        return finding("npu", "npu-smi-busy", words, wanted, last_words, program, remedy)
    if result.code < 0:
        found = "ended by signal %d: %s" % (-result.code, last_words)
        return finding("npu", "tool-crashed", "npu-smi crashes", wanted, found, program, "dmesg | tail")
    if result.code != 0:
        found = "exit code %d: %s" % (result.code, last_words)
        return finding("npu", "npu-smi-fails", "npu-smi fails", wanted, found, program, "npu-smi info  # as root")
    found = info.problems[0] if info.problems else last_words
    return finding("npu", "npu-smi-unreadable", "npu-smi's table is unreadable", wanted, found, program, "npu-smi info")


def _unread(program: str, info: npu_smi.NpuSmiInfo, answered: bool) -> List[Finding]:
    if not info.problems or not answered:
        return []
    more = len(info.problems) - SHOWN
    found = "; ".join(info.problems[:SHOWN]) + ("; and %d more" % more if more > 0 else "")
    return [
        finding(
            "npu",
            "npu-smi-unread",
            "lines of npu-smi's table could not be read",
            "every line of the table understood",
            found,
            program,
            "ansible-playbook playbooks/record.yml  # attach the record to a bug report",
        )
    ]


def _health(node: Node, program: str, devices: List[Device], timeout_s: float) -> List[Finding]:
    """Ask each chip that is not OK for its errors, which the table does not show; store them in the device, too."""
    sick = [device for device in devices if device["health"] != "OK"]
    if not sick:
        return []
    from . import npu_smi_query

    for device in sick[:UNHEALTHY_ASKED]:
        chip = ["-c", str(device["chip_id"])] if device["chip_id"] is not None else []
        argv = [program, "info", "-t", "health", "-i", str(device["npu_id"]), *chip]
        result = node.run(argv, timeout_s)
        if result.timed_out:
            break  # the next call would hang as well
        device["errors"] = list(npu_smi_query.parse_health(result.answer).error_codes)[:SHOWN]
    found = ["NPU %s chip %s: %s" % (d["npu_id"], d["chip_id"], _words(d)) for d in sick]
    more = "" if len(found) <= SHOWN else " and %d more" % (len(found) - SHOWN)
    return [
        finding(
            "npu",
            "card-unhealthy",
            "cards are not healthy",
            "health OK on every chip",
            ", ".join(found[:SHOWN]) + more,
            program,
            "npu-smi info -t health -i %s  # then the vendor's service" % sick[0]["npu_id"],
        )
    ]


def _words(device: Device) -> str:
    codes = " (%s)" % " ".join(device["errors"]) if device["errors"] else ""
    return (device["health"] or "unread") + codes
