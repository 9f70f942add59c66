# SPDX-License-Identifier: Apache-2.0
"""Run torch-npu in an environment on every card, and say what a failure means."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Callable, Dict, List, Optional

from ansible.module_utils.ascend.command import Result
from ansible.module_utils.ascend.errors import AscendError

Run = Callable[..., Result]

MARK = "ascend-fleet-probe:"
# One process: importing torch takes longer than all cards together. A card's failure does not hide the next card's.
PROBE = """
import importlib.metadata, json, sys
import torch
import torch_npu
result = {"available": torch.npu.is_available(), "count": torch.npu.device_count(), "cards": [], "versions": {}}
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

# What a failure says -> what it means and what helps. The first that matches is shown.
KNOWN = (
    (r"libhccl\.so|libascendcl\.so", "CANN's libraries are not found", "run site.yml: it repairs the toolkit"),
    (r"libascend_hal\.so|drvRetCode", "the NPU driver does not answer", "npu-smi info; reinstall or load the driver"),
    (r"507033", "the driver and CANN do not match", "install the driver that the release names, reboot"),
    (r"507008|-8020", "a card is held by another container or process", "npu-smi info; end what holds the card"),
    (r"500001|EC0010|EH9999", "CANN cannot initialise", "less ~/ascend/log/debug/plog/*; run site.yml"),
    (r"np\.float_|_ARRAY_API", "numpy 2 is installed", "run site.yml: it restores the lock"),
    (r"pkg_resources|packaging' from", "setuptools is too new or 70.0.0", "run site.yml: it restores the lock"),
    (r"No module named", "a distribution is missing", "run site.yml: it restores the lock"),
)


def check(
    run: Run,
    ascend_env: str,
    environment: str,
    expected_devices: int,
    expected_versions: Dict[str, str],
    timeout_s: int,
) -> Dict[str, Any]:
    """Return ``{"cards", "versions", "llamafactory"}``. Raises AscendError when anything is not as expected."""
    probe = _probe(run, ascend_env, environment, sorted(expected_versions), timeout_s)
    _hold_cards(probe, environment, expected_devices)
    for name, wanted in sorted(expected_versions.items()):
        if probe["versions"].get(name) != wanted:
            raise AscendError(
                "%s is not the locked version" % name,
                wanted=wanted,
                found=str(probe["versions"].get(name)),
                where=environment,
                remedy="run site.yml: it restores the lock",
            )
    version = _llamafactory(run, ascend_env, environment, expected_versions.get("llamafactory"), timeout_s)
    return {"cards": probe["cards"], "versions": probe["versions"], "llamafactory": version}


def _probe(run: Run, ascend_env: str, environment: str, names: List[str], timeout_s: int) -> Dict[str, Any]:
    argv = [ascend_env, "python", "-c", PROBE, json.dumps(names)]
    result = run(argv, timeout_s, env=_variables(environment))
    for line in result.output.splitlines():
        if line.startswith(MARK):
            answer: Dict[str, Any] = json.loads(line[len(MARK) :])
            return answer
    raise _failure("torch and torch_npu do not run", result, environment, timeout_s)


def _hold_cards(probe: Dict[str, Any], environment: str, expected_devices: int) -> None:
    bad = [card for card in probe["cards"] if not card["ok"]]
    if probe["available"] is True and probe["count"] == expected_devices and not bad:
        return
    found = "is_available() %s, %d devices" % (probe["available"], probe["count"])
    if bad:
        found += "; card %s: %s" % (bad[0]["index"], bad[0]["error"])
    meaning, remedy = _meaning(found) or ("torch-npu does not see every card", "npu-smi info; dmesg | tail")
    raise AscendError(
        meaning,
        wanted="is_available() True, %d devices, each gives a tensor back" % expected_devices,
        found=found,
        where=environment,
        remedy=remedy,
    )


def _llamafactory(run: Run, ascend_env: str, environment: str, wanted: Optional[str], timeout_s: int) -> Optional[str]:
    if not wanted:
        return None
    result = run([ascend_env, "llamafactory-cli", "version"], timeout_s, env=_variables(environment))
    match = re.search(r"version\s+(\d\S*)", result.output)
    if result.code != 0 or not match:
        raise _failure("llamafactory-cli does not run", result, environment, timeout_s)
    if match.group(1).rstrip("|") != wanted:
        raise AscendError("llamafactory-cli is another version", wanted=wanted, found=match.group(1), where=environment)
    return match.group(1)


def _variables(environment: str) -> Dict[str, str]:
    """Not the caller's environment: the check shall mean the same in every session."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": os.path.expanduser("~"),
        "ASCEND_FLEET_ENVIRONMENT": environment,
    }


def _failure(what: str, result: Result, environment: str, timeout_s: int) -> AscendError:
    if result.timed_out:
        return AscendError(what, wanted="an answer within %d s" % timeout_s, found="none", where=environment)
    meaning, remedy = _meaning(result.output) or (
        "exit code %d" % result.code,
        "ascend-env python -c 'import torch_npu'",
    )
    return AscendError(
        "%s: %s" % (what, meaning), wanted="exit code 0", found=result.last_lines(6), where=environment, remedy=remedy
    )


def _meaning(text: str) -> Any:
    return next(((meaning, remedy) for sign, meaning, remedy in KNOWN if re.search(sign, text)), None)
