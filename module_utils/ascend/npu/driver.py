# SPDX-License-Identifier: Apache-2.0
"""Read what the driver's installer left: its record, the version files of driver and firmware, the device files.

Formats: /etc/ascend_install.info and version.info are ``key=value`` lines (drivers 20.2 to 25.x). They help even if
npu-smi does not answer.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

from .. import files
from ..finding import Finding, finding
from ..node import Node
from ..places import INSTALLERS_LOGS
from . import tools

if TYPE_CHECKING:
    from ..shapes import Driver

_DEFAULT_ROOT = "/usr/local/Ascend"
_DEVICE_FILE = re.compile(r"davinci[0-9]{1,4}$")
_RANGE = re.compile(r"\[\s*([0-9.]+)\s*,\s*([0-9.]+)\s*\]")
_INSTALL = "install Ascend HDK (driver, then firmware) and reboot; it contains npu-smi and creates /dev/davinci*"


def read_driver(node: Node, cann_root: str, loaded: str = "") -> Tuple[Driver, List[Finding]]:
    """Return (facts, findings) about the driver on disk, wherever it was installed.

    ``{"state": "complete" | "half-installed" | "absent", "path", "version", "firmware_version", "device_nodes",
    "modules_loaded"}``; ``device_nodes`` counts /dev/davinci<N>, ``modules_loaded`` the kernel's modules drv_*.
    ``running`` is what npu-smi says about the loaded driver.
    """
    install_info = files.pairs(files.text(node.path(tools.INSTALL_INFO)))
    # Without its record it lies at its own default, wherever CANN is.
    places = [install_info.get("Driver_Install_Path_Param"), cann_root, _DEFAULT_ROOT]
    roots = [place for place in places if place]
    existing = [place for place in roots if os.path.isdir(node.path(os.path.join(place, "driver")))]
    root = roots[0] if install_info.get("Driver_Install_Path_Param") else (existing or roots)[0]
    path = os.path.join(root, "driver")
    driver = files.pairs(files.text(node.path(os.path.join(path, "version.info"))))
    firmware = files.pairs(files.text(node.path(os.path.join(root, "firmware", "version.info"))))
    missing = _missing(node, path, install_info, driver)
    present = bool(install_info.get("Driver_Install_Type") or driver or os.path.isdir(node.path(path)))
    state = "absent" if not present else "half-installed" if missing else "complete"
    facts: Driver = {
        "state": state,
        "path": path if os.path.isdir(node.path(path)) else None,
        "version": driver.get("Version"),
        "firmware_version": firmware.get("Version"),
        "device_nodes": count_device_nodes(node),
        "modules_loaded": _modules(node),
    }
    findings = []
    if state == "absent":
        findings.append(_absent(path, loaded))
    elif state == "half-installed":
        findings.append(
            finding(
                "driver",
                "driver-half-installed",
                "the driver is half-installed",
                "a complete driver",
                ", ".join(missing),
                path,
                "less %s/ascend_install.log  # then install the driver again, and reboot" % INSTALLERS_LOGS,
            )
        )
    return facts, findings + _firmware(driver, firmware, root)


def _absent(path: str, loaded: str) -> Finding:
    if not loaded:
        return finding("driver", "driver-missing", "no driver is installed", path, "nothing there", path, _INSTALL)
    return finding(
        "driver",
        "driver-missing",
        "a driver is loaded, but its files are missing",
        "the files of the loaded driver, and its record %s" % tools.INSTALL_INFO,
        "nothing there; npu-smi shows a running %s" % loaded,
        path,
        "find / -xdev -path '*/driver/version.info' 2>/dev/null; cat %s  # removed since it was loaded? Then install"
        " Ascend HDK again; without it the cards are gone after a reboot" % tools.INSTALL_INFO,
    )


def count_device_nodes(node: Node) -> int:
    """Return how many /dev/davinci<N> there are: one per chip that the kernel's driver has found."""
    return sum(bool(_DEVICE_FILE.match(name)) for name in files.names(node.path("/dev")))


def compare_loaded(driver: Driver, loaded: Optional[str]) -> List[Finding]:
    """Return a finding if the loaded driver (npu-smi) is not the one on disk, which is waiting for a reboot."""
    installed = driver["version"]
    if not installed or not loaded or installed.lower() == loaded.lower():
        return []
    return [
        finding(
            "driver",
            "driver-reboot-pending",
            "the loaded driver is not the installed one",
            "driver %s, as installed" % installed,
            "driver %s is running" % loaded,
            os.path.join(driver["path"] or "", "version.info"),
            "reboot  # that loads the new driver",
        )
    ]


def _missing(node: Node, path: str, install_info: Dict[str, str], driver: Dict[str, str]) -> List[str]:
    """What a complete driver has and this one has not, in words."""
    missing = []
    if not install_info:
        missing.append("%s is missing" % tools.INSTALL_INFO)
    status = install_info.get("Driver_Install_Status", "complete")
    if status != "complete":
        missing.append("%s says Driver_Install_Status=%s" % (tools.INSTALL_INFO, status))
    if not driver.get("Version"):
        missing.append("version.info is missing or has no Version")
    missing += [name + "/ is missing" for name in ("lib64",) if not os.path.isdir(node.path(os.path.join(path, name)))]
    return missing


def _modules(node: Node) -> int:
    lines = (files.text(node.path("/proc/modules")) or "").splitlines()
    return sum(line.startswith(("drv_", "davinci")) for line in lines)


def _firmware(driver: Dict[str, str], firmware: Dict[str, str], root: str) -> List[Finding]:
    """The driver names the firmware versions that it supports, e.g. ``[7.0.0,7.2.99]``."""
    ranges = _RANGE.findall(driver.get("compatible_version_fw", ""))
    version = firmware.get("Version", "")
    if not ranges or not re.match(r"[0-9]+(\.[0-9]+)*$", version):
        return []
    if any(_within(version, low, high) for low, high in ranges):
        return []
    return [
        finding(
            "driver",
            "firmware-incompatible",
            "driver and firmware do not match",
            "firmware " + " or ".join("%s to %s" % pair for pair in ranges),
            "firmware %s with driver %s" % (version, driver.get("Version", "")),
            os.path.join(root, "firmware", "version.info"),
            "install the firmware of the driver's HDK release, then reboot",
        )
    ]


def _within(version: str, low: str, high: str) -> bool:
    """Bounds are compared to their last digit group: 7.1.99.2 is within [7.0.0,7.1.99]."""
    found = _numbers(version)
    return found[: len(_numbers(low))] >= _numbers(low) and found[: len(_numbers(high))] <= _numbers(high)


def _numbers(text: str) -> List[int]:
    return [int(part) for part in re.findall("[0-9]+", text)]
