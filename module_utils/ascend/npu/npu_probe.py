# SPDX-License-Identifier: Apache-2.0
"""Run torch-npu in an environment on every card, and say what a failure means."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ansible.module_utils.ascend.command import Result
from ansible.module_utils.ascend.errors import AscendError
from ansible.module_utils.ascend.npu.symptoms import recognise

Run = Callable[..., Result]
Card = Dict[str, Any]

MARK = "ascend-fleet-probe:"
# One process: importing torch takes longer than all cards together. A card's failure does not hide the next card's.
PROBE = """
import importlib.metadata, json, sys
import torch
import torch_npu
result = {"available": None, "count": 0, "cards": [], "versions": {}}
if sys.argv[2] == "cards":
    result.update(available=torch.npu.is_available(), count=torch.npu.device_count())
for name in json.loads(sys.argv[1]):
    try:
        result["versions"][name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        result["versions"][name] = None
for index in range(result["count"]):
    card = {"index": index, "ok": False, "name": None, "memory_total_mb": None, "error": None}
    try:
        torch.npu.set_device(index)
        card["name"] = torch.npu.get_device_name(index)
        card["memory_total_mb"] = torch.npu.get_device_properties(index).total_memory // 1048576
        back = torch.ones(3).npu().cpu().tolist()
        card["ok"] = back == [1.0, 1.0, 1.0]
        card["error"] = None if card["ok"] else "torch.ones(3) came back as %s" % back
    except Exception as error:  # whatever a card answers belongs into its line of the result
        card["error"] = "%s: %s" % (type(error).__name__, error)
    result["cards"].append(card)
print("ascend-fleet-probe:" + json.dumps(result))
"""
_ERROR = re.compile(r"[A-Za-z_.]*(?:Error|Exception): \S")


class ProbeError(AscendError):
    """An AscendError that also names the symptom, None where it is unknown, and holds what the cards answered."""

    def __init__(self, problem: str, symptom: Optional[str] = None, cards: Sequence[Card] = (), **parts: str) -> None:
        super().__init__(problem, **parts)
        self.symptom = symptom
        self.cards = list(cards)

    def as_dict(self) -> Dict[str, Any]:
        """Return the parts, for a module's result."""
        return {**super().as_dict(), "symptom": self.symptom, "cards": self.cards}


def check(
    run: Run,
    ascend_env: str,
    environment: str,
    expected_devices: int,
    expected_versions: Dict[str, str],
    timeout_s: int,
    use_cards: bool = True,
) -> Dict[str, Any]:
    """Return ``{"cards", "versions", "llamafactory"}``. Raises ProbeError when anything is not as expected.

    Without ``use_cards`` torch and torch_npu are imported and no card is touched: somebody may train on them.

    A card is ``{"index", "ok", "name", "memory_total_mb", "error", "symptom", "remedy"}``: of one that failed,
    ``error`` is its own words, ``symptom`` and ``remedy`` what they mean and what helps, None where they are unknown.
    """
    arguments = [json.dumps(sorted(expected_versions)), "cards" if use_cards else "import"]
    probe, noise = _probe(run, ascend_env, environment, arguments, timeout_s)
    cards = [_explained(card) for card in probe["cards"]]
    if use_cards:
        _hold_cards(probe, cards, noise, environment, expected_devices)
    for name, wanted in sorted(expected_versions.items()):
        if probe["versions"].get(name) != wanted:
            raise ProbeError(
                "%s is not the locked version" % name,
                wanted=wanted,
                found=str(probe["versions"].get(name)),
                where=environment,
                remedy="run site.yml: it restores the lock",
            )
    version = _llamafactory(run, ascend_env, environment, expected_versions.get("llamafactory"), timeout_s)
    return {"cards": cards, "versions": probe["versions"], "llamafactory": version}


def _probe(
    run: Run, ascend_env: str, environment: str, arguments: List[str], timeout_s: int
) -> Tuple[Dict[str, Any], str]:
    """Return the probe's answer, and what else was printed: CANN says there why it sees no card."""
    argv = [ascend_env, "python", "-c", PROBE, *arguments]
    result = run(argv, timeout_s, env=_variables(environment))
    lines = result.output.splitlines()
    for line in lines:
        if line.startswith(MARK):
            answer: Dict[str, Any] = json.loads(line[len(MARK) :])
            return answer, "\n".join(other for other in lines if other is not line)
    raise _failure("torch and torch_npu do not run", result, environment, timeout_s)


def _explained(card: Card) -> Card:
    known = recognise(card["error"])[:1] if card["error"] else ()
    return {
        **card,
        "symptom": known[0].name if known else None,
        "remedy": known[0].remedy if known else None,
    }


def _hold_cards(probe: Dict[str, Any], cards: List[Card], noise: str, environment: str, expected_devices: int) -> None:
    bad = [card for card in cards if not card["ok"]]
    if probe["available"] is True and probe["count"] == expected_devices and not bad:
        return
    found = "is_available() %s, %d devices" % (probe["available"], probe["count"])
    if bad:
        found += "; card %s: %s" % (bad[0]["index"], bad[0]["error"])
    known = recognise(bad[0]["error"] if bad else noise)[:1]
    if known and not bad:
        found += "; %s" % known[0].evidence
    raise ProbeError(
        known[0].what if known else "torch-npu does not see every card",
        symptom=known[0].name if known else None,
        cards=cards,
        wanted="is_available() True, %d devices, each gives a tensor back" % expected_devices,
        found=found,
        where=environment,
        remedy=known[0].remedy if known else "npu-smi info; dmesg | tail",
    )


def _llamafactory(run: Run, ascend_env: str, environment: str, wanted: Optional[str], timeout_s: int) -> Optional[str]:
    if not wanted:
        return None
    result = run([ascend_env, "llamafactory-cli", "version"], timeout_s, env=_variables(environment))
    match = re.search(r"version\s+(\d\S*)", result.output)
    if result.code != 0 or not match:
        raise _failure("llamafactory-cli does not run", result, environment, timeout_s)
    if match.group(1).rstrip("|") != wanted:
        raise ProbeError("llamafactory-cli is another version", wanted=wanted, found=match.group(1), where=environment)
    return match.group(1)


def _variables(environment: str) -> Dict[str, str]:
    """Not the caller's environment: the check shall mean the same in every session."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": os.path.expanduser("~"),
        "ASCEND_FLEET_ENVIRONMENT": environment,
    }


def _words(result: Result) -> str:
    """Return the end of the output, after the first error of a chain: a traceback says the cause before the rest."""
    end = result.last_lines(6)
    first = next((line for line in result.output.splitlines() if _ERROR.match(line)), "")
    return end if not first or first in end else "%s\n...\n%s" % (first, end)


def _failure(what: str, result: Result, environment: str, timeout_s: int) -> ProbeError:
    if result.timed_out:
        return ProbeError(what, wanted="an answer within %d s" % timeout_s, found="none", where=environment)
    known = recognise(result.output)[:1]
    return ProbeError(
        "%s: %s" % (what, known[0].what if known else "exit code %d" % result.code),
        symptom=known[0].name if known else None,
        wanted="exit code 0",
        found=_words(result),
        where=environment,
        remedy=known[0].remedy if known else "ascend-env python -c 'import torch_npu'",
    )
