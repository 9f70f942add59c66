# SPDX-License-Identifier: Apache-2.0
"""What the driver's installer left: complete, half-installed, absent, not loaded yet, with the wrong firmware."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu import driver
from tests.answers import names, node, write

ROOT = "/usr/local/Ascend"
INFO = """\
UserName=HwHiAiUser
UserGroup=HwHiAiUser
Driver_Install_Type=full
Driver_Install_Path_Param={root}
Driver_Install_For_All=no
Driver_Install_Status=complete
"""
VERSION = "Version=24.1.rc1\nascendhal_version=7.35.19\ncompatible_version_fw=[7.0.0,7.2.99]\n"


def install(node_root: Path, root: str = ROOT, firmware: str = "7.1.0.6.220") -> None:
    write(node_root, "/etc/ascend_install.info", INFO.format(root=root))
    write(node_root, f"{root}/driver/version.info", VERSION)
    write(node_root, f"{root}/driver/lib64/libascend_hal.so")
    write(node_root, f"{root}/firmware/version.info", f"Version={firmware}\nfirmware_version=1.0\n")
    for name in ("davinci0", "davinci1", "davinci_manager"):
        write(node_root, f"/dev/{name}")


@pytest.mark.parametrize("root", [ROOT, "/opt/elsewhere"])
def test_a_complete_driver(tmp_path: Path, root: str) -> None:
    install(tmp_path, root)
    write(tmp_path, "/proc/modules", "drv_pcie_host 1 0\ndrv_davinci_intf 1 0\nxfs 1 0\n")
    facts, findings = driver.read_driver(node(tmp_path), ROOT)
    assert findings == []
    assert facts == {
        "state": "complete",
        "path": f"{root}/driver",
        "version": "24.1.rc1",
        "firmware_version": "7.1.0.6.220",
        "device_nodes": 2,
        "modules_loaded": 2,
    }


def test_no_driver_at_all(tmp_path: Path) -> None:
    facts, findings = driver.read_driver(node(tmp_path), ROOT)
    assert (facts["state"], facts["version"], names(findings)) == ("absent", None, ["driver-missing"])
    assert findings[0]["problem"] == "no driver is installed"
    assert findings[0]["remedy"].startswith("install Ascend HDK")


def test_a_driver_that_runs_without_its_files(tmp_path: Path) -> None:
    """npu-smi answers: the package was removed and the node not rebooted, or the files are elsewhere."""
    _, (told,) = driver.read_driver(node(tmp_path), ROOT, "driver 24.1.rc1")
    assert told["name"] == "driver-missing"
    assert told["problem"] == "a driver is loaded, but its files are missing"
    assert "a running driver 24.1.rc1" in told["found"]
    assert told["remedy"].startswith("find / -xdev -path '*/driver/version.info'")


def test_a_driver_without_its_record_lies_at_its_default_wherever_cann_is(tmp_path: Path) -> None:
    install(tmp_path)
    (tmp_path / "etc/ascend_install.info").unlink()
    facts, findings = driver.read_driver(node(tmp_path), "/data/Ascend")
    assert (facts["version"], names(findings)) == ("24.1.rc1", ["driver-half-installed"])


@pytest.mark.parametrize(
    ("path", "text", "word"),
    [
        ("/etc/ascend_install.info", None, "/etc/ascend_install.info is missing"),
        ("/etc/ascend_install.info", INFO.format(root=ROOT).replace("complete", "failed"), "Status=failed"),
        (f"{ROOT}/driver/version.info", None, "version.info"),
        (f"{ROOT}/driver/version.info", "", "version.info"),
        (f"{ROOT}/driver/lib64/libascend_hal.so", None, "lib64/ is missing"),
    ],
)
def test_a_half_installed_driver(tmp_path: Path, path: str, text: str | None, word: str) -> None:
    install(tmp_path)
    place = tmp_path / path.lstrip("/")
    if text is None:
        place.unlink()
    else:
        place.write_text(text)
    if path.endswith(".so"):
        place.parent.rmdir()
    facts, findings = driver.read_driver(node(tmp_path), ROOT)
    assert (facts["state"], names(findings)) == ("half-installed", ["driver-half-installed"])
    assert word in findings[0]["found"]


@pytest.mark.parametrize(
    ("running", "found"),
    [("24.1.rc1", []), ("24.1.RC1", []), (None, []), ("23.0.6", ["driver-reboot-pending"])],
)
def test_a_driver_that_waits_for_a_reboot(tmp_path: Path, running: str | None, found: list[str]) -> None:
    install(tmp_path)
    facts, _ = driver.read_driver(node(tmp_path), ROOT)
    assert names(driver.compare_loaded(facts, running)) == found


@pytest.mark.parametrize(
    ("firmware", "compatible"),
    [
        ("7.0.0", True), ("7.2.99.5", True), ("7.2.9", True), ("7.3.0.1.231", False), ("6.4.12.1.241", False),
        ("unknown", True),
    ],
)  # fmt: skip
def test_the_firmware_that_a_driver_names(tmp_path: Path, firmware: str, compatible: bool) -> None:
    install(tmp_path, firmware=firmware)
    _, findings = driver.read_driver(node(tmp_path), ROOT)
    assert names(findings) == ([] if compatible else ["firmware-incompatible"])
