# SPDX-License-Identifier: Apache-2.0
"""Collect what a node is, in one go. Nothing here fails because of the node: absence and breakage are findings."""

from __future__ import annotations

import glob
import hashlib
import os
from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, List, Optional

from ansible.module_utils.ascend import cann_tree, npu_smi, python_tree, system
from ansible.module_utils.ascend.command import Result

SUBSETS = ("system", "npu", "cann", "python")
ASCEND_ENV = "/usr/local/bin/ascend-env"
DRIVER_INFO = "/etc/ascend_install.info"
# Where installers put npu-smi when PATH does not lead to it (a session without a profile).
NPU_SMI_PLACES = ("/usr/local/bin", "/usr/local/sbin", "/usr/local/Ascend/driver/tools")

Run = Callable[[List[str], float], Result]


@dataclass(frozen=True)
class Places:
    """Where things lie on a node."""

    cann_root: str
    ascend_root: str
    cache_dir: str
    state_dir: str
    tmp_dir: str


# What a failing npu-smi says -> what helps.
_REMEDIES = (
    ("-8005", "the driver does not answer: dmesg | tail; reboot, or reinstall the driver"),
    ("-8020", "a card is held by another container or host: look for containers that mount /dev/davinci*"),
    ("libdrvdsmi_host.so", "the driver's libraries are missing from the loader's path: reinstall the driver"),
    ("libc_sec.so", "the driver's libraries are missing from the loader's path: reinstall the driver"),
    ("ermission", "run as root, or add the user to the driver's group HwHiAiUser"),
    ("dcmi", "the driver is not loaded or half-installed: lsmod | grep drv_; reinstall the driver"),
)


def collect(
    run: Run, find: Callable[[str], Optional[str]], places: Places, subsets: List[str], timeout_s: float
) -> Any:
    """Return the facts of ``subsets`` ("all" for every one) as documented in the module ``ascend_facts``.

    ``run(argv, timeout_s)`` runs a program, ``find(name)`` returns its path or None.
    """
    chosen = SUBSETS if "all" in subsets else subsets
    facts: Dict[str, Any] = {"schema": 1}
    if "system" in chosen:
        disks = [places.cann_root, places.tmp_dir, places.ascend_root, places.cache_dir]
        facts["system"] = system.read_system(places.cann_root, disks)
    if "npu" in chosen:
        facts["npu"] = read_npu(run, find, timeout_s)
        facts["driver"] = read_driver(places.cann_root)
    if "cann" in chosen:
        facts["cann"] = cann_tree.read_cann(places.cann_root, places.state_dir)
    if "python" in chosen:
        facts["pythons"] = python_tree.read_pythons(os.path.join(places.ascend_root, "python"))
        facts["environments"] = python_tree.read_environments(os.path.join(places.ascend_root, "env"))
        facts["ascend_env"] = {"path": ASCEND_ENV, "sha256": _sha256(ASCEND_ENV)}
    return facts


def read_npu(run: Run, find: Callable[[str], Optional[str]], timeout_s: float) -> Dict[str, Any]:
    """Return what ``npu-smi info`` says, or why it says nothing, under ``problem``."""
    program = find("npu-smi") or next(
        (path for path in (os.path.join(place, "npu-smi") for place in NPU_SMI_PLACES) if os.access(path, os.X_OK)),
        None,
    )
    if not program:
        return _npu(
            None, _problem("npu-smi is missing", "no such program", "install the NPU driver: it brings npu-smi")
        )
    result = run([program, "info"], timeout_s)
    if result.timed_out:
        remedy = "the driver hangs: dmesg | tail; reboot the node"
        return _npu(None, _problem("npu-smi does not answer", "nothing within %g s" % timeout_s, remedy))
    info = npu_smi.parse_info(result.output)
    if result.code != 0:
        said = result.last_lines(3) or "exit code %d, no word" % result.code
        remedy = next(
            (cure for sign, cure in _REMEDIES if sign in result.output), "npu-smi info  # as root, on the node"
        )
        return _npu(info, _problem("npu-smi fails", said, remedy))
    if not info.devices and (info.problems or not info.tool_version):
        said = info.problems[0] if info.problems else result.last_lines(3) or "nothing"
        return _npu(info, _problem("npu-smi's table is unreadable", said, "npu-smi info  # on the node"))
    return _npu(info, None)


def read_driver(cann_root: str) -> Dict[str, Optional[str]]:
    """Return the driver's and the firmware's version as their files say, wherever the driver was installed."""
    root = cann_tree.read_pairs(DRIVER_INFO).get("Driver_Install_Path_Param") or cann_root
    path = os.path.join(root, "driver")
    version = cann_tree.read_pairs(os.path.join(path, "version.info")).get("Version")
    firmware = cann_tree.read_pairs(os.path.join(root, "firmware", "version.info")).get("Version")
    return {"version": version, "firmware_version": firmware, "path": path if os.path.isdir(path) else None}


def _npu(info: Optional[npu_smi.NpuSmiInfo], problem: Optional[Dict[str, str]]) -> Dict[str, Any]:
    return {
        "tool_version": info.tool_version if info else None,
        "driver_version": info.driver_version if info else None,
        "devices": [asdict(device) for device in info.devices] if info else [],
        "processes": [asdict(process) for process in info.processes] if info else [],
        "device_nodes": len(glob.glob("/dev/davinci[0-9]*")),
        "unread": list(info.problems) if info else [],
        "problem": problem,
    }


def _problem(what: str, message: str, remedy: str) -> Dict[str, str]:
    return {"what": what, "message": message, "remedy": remedy}


def _sha256(path: str) -> Optional[str]:
    try:
        with open(path, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return None
