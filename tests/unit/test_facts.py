# SPDX-License-Identifier: Apache-2.0
"""Facts of a node: npu-smi's answers and refusals, and the driver's files where it says nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.module_utils.ascend import facts
from ansible.module_utils.ascend.command import Result

TABLE = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 24.1.rc1                 Version: 24.1.rc1                                             |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B3               | OK            | 93.0        38                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          3300 / 65536         |
+===========================+===============+====================================================+
"""
Find = Callable[[str], "str | None"]


def program(code: int, output: str, timed_out: bool = False) -> Callable[[list[str], float], Result]:
    def run(argv: list[str], timeout_s: float) -> Result:
        assert argv[1:] == ["info"]
        assert timeout_s == 5
        return Result(code, output, timed_out)

    return run


def there(name: str) -> str | None:
    return f"/usr/local/bin/{name}"


def test_a_card() -> None:
    npu = facts.read_npu(program(0, TABLE), there, 5)
    assert npu["problem"] is None
    assert npu["driver_version"] == "24.1.rc1"
    assert [(device["name"], device["hbm_total_mb"]) for device in npu["devices"]] == [("910B3", 65536)]


@pytest.mark.parametrize(
    ("result", "what", "message", "remedy"),
    [
        (program(-9, "", True), "does not answer", "nothing within 5 s", "the driver hangs"),
        (program(1, "dcmi model init failed, ret is -8005\n"), "fails", "ret is -8005", "the driver does not answer"),
        (program(1, "dcmi module initialize failed. ret is -8020\n"), "fails", "-8020", "another container"),
        (program(127, "libdrvdsmi_host.so: cannot open shared object file"), "fails", "libdrv", "reinstall the driver"),
        (program(1, "Permission denied"), "fails", "Permission denied", "run as root"),
        (program(3, ""), "fails", "exit code 3, no word", "npu-smi info"),
        (program(0, "Segmentation fault"), "unreadable", "Segmentation fault", "npu-smi info"),
        (program(0, ""), "unreadable", "nothing", "npu-smi info"),
    ],
)
def test_why_npu_smi_says_nothing(
    result: Callable[[list[str], float], Result], what: str, message: str, remedy: str
) -> None:
    npu = facts.read_npu(result, there, 5)
    assert npu["devices"] == []
    problem = npu["problem"]
    assert (what in problem["what"], message in problem["message"], remedy in problem["remedy"]) == (True,) * 3, problem


def test_no_program_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "NPU_SMI_PLACES", ())
    npu = facts.read_npu(program(0, TABLE), lambda _name: None, 5)
    assert npu["problem"]["what"] == "npu-smi is missing"


def test_a_program_where_path_does_not_lead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "npu-smi").touch(mode=0o755)
    monkeypatch.setattr(facts, "NPU_SMI_PLACES", ("/nowhere", str(tmp_path)))
    assert facts.read_npu(program(0, TABLE), lambda _name: None, 5)["problem"] is None


def test_the_drivers_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(facts, "DRIVER_INFO", str(tmp_path / "none"))
    assert facts.read_driver(str(tmp_path)) == {"version": None, "firmware_version": None, "path": None}
    elsewhere = tmp_path / "elsewhere"
    for part, version in (("driver", "24.1.rc1"), ("firmware", "7.1.0.6.220")):
        (elsewhere / part).mkdir(parents=True)
        (elsewhere / part / "version.info").write_text(f"Version={version}\npackage={part}\n")
    info = tmp_path / "ascend_install.info"
    info.write_text(f"Driver_Install_Path_Param={elsewhere}\n")
    monkeypatch.setattr(facts, "DRIVER_INFO", str(info))
    assert facts.read_driver("/usr/local/Ascend") == {
        "version": "24.1.rc1",
        "firmware_version": "7.1.0.6.220",
        "path": str(elsewhere / "driver"),
    }


def test_a_whole_node_and_a_subset(tmp_path: Path) -> None:
    places = facts.Places(*(str(tmp_path / name) for name in ("Ascend", "opt", "cache", "state", "tmp")))
    found = facts.collect(program(0, TABLE), there, places, ["all"], 5)
    assert set(found) == {
        "schema", "system", "npu", "driver", "cann", "pythons", "environments", "ascend_env"
    }  # fmt: skip
    assert found["cann"] == {"root": places.cann_root, "latest": None, "versions": {}}
    assert set(found["system"]["disk"]) == {places.cann_root, places.ascend_root, places.cache_dir, places.tmp_dir}
    assert json.loads(json.dumps(found)) == found
    assert set(facts.collect(program(0, TABLE), there, places, ["cann"], 5)) == {"schema", "cann"}
