# SPDX-License-Identifier: Apache-2.0
"""The table of npu-smi info: the simulator's, damaged ones, and real ones where they are at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils.ascend.npu_smi import Device, Process, parse_info
from hypothesis import given
from hypothesis import strategies as st

PROGRAM = Path(__file__).resolve().parents[2] / "sim/node/bin/npu-smi"
SETTINGS = """\
chip_name=910B4
card_count=3
hbm_total_mb=32768
driver_version=24.1.rc2
health.1=Warning
process.0=4711:python3:1200,4712:ray worker:5
"""


def table(folder: Path, settings: str = SETTINGS) -> str:
    """What the simulated npu-smi prints."""
    conf = folder / "node.conf"
    conf.write_text(settings)
    argv = [sys.executable, str(PROGRAM), "info"]
    return subprocess.run(
        argv, env={**os.environ, "ASCEND_SIM_CONF": str(conf)}, capture_output=True, text=True, check=True
    ).stdout


def test_the_simulated_table(tmp_path: Path) -> None:
    info = parse_info(table(tmp_path))
    assert (info.tool_version, info.driver_version, info.problems) == ("24.1.rc2", "24.1.rc2", ())
    assert [(device.npu_id, device.name, device.health) for device in info.devices] == [
        (0, "910B4", "OK"),
        (1, "910B4", "Warning"),
        (2, "910B4", "OK"),
    ]
    assert info.devices[0] == Device(0, 0, "910B4", "OK", "0000:C1:00.0", 93.0, 38, 0, 0, 0, 4505, 32768)
    assert info.processes == (Process(0, 0, 4711, "python3", 1200), Process(0, 0, 4712, "ray worker", 5))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "\n".join("> " + line for line in text.splitlines()),
        lambda text: "\n".join(line + "   " for line in text.splitlines()),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\x1b[31m" + text.replace("OK", "\x1b[32mOK\x1b[0m"),
        lambda text: "[INFO] a log line\n" + text + "[WARN] | another | one |\n",
        lambda text: text.replace("-+-", "---").replace("=+=", "==="),
        lambda text: "\n".join(text.splitlines()[2:]),
    ],
    ids=["quoted", "trailing", "crlf", "ansi", "log noise", "borders", "no title"],
)
def test_damage_that_hides_nothing(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    good = parse_info(table(tmp_path))
    info = parse_info(damage(table(tmp_path)))
    assert info.devices == good.devices
    assert info.processes == good.processes


def test_a_cut_table_says_so(tmp_path: Path) -> None:
    text = table(tmp_path)
    info = parse_info(text[: text.index("0000:C2") - 3])
    assert len(info.devices) == 2
    assert info.devices[1].bus_id is None
    assert info.problems


def test_no_table_is_no_device() -> None:
    info = parse_info(
        "DrvMngGetConsoleLogLevel failed. (g_conLogLevel=3)\ndcmi module initialize failed. ret is -8005\n"
    )
    assert info.devices == ()


@given(st.text(alphabet=st.sampled_from("|+-=/ \n0129AB:.NPUOK"), max_size=400))
def test_it_never_raises(text: str) -> None:
    parse_info(text)


# Read off the samples by eye: (driver, devices, (first npu_id, name, bus, HBM used, HBM total), processes, problems).
REAL = {
    "014": ("23.0.6.2", 2, (0, "910B2", "0000:C1:00.0", 3862, 65536), 1, 0),
    "033": ("23.0.rc2", 3, (0, "910B1", "0000:C1:00.0", 4175, 65536), 0, 1),
    "063": ("25.2.0", 8, (0, "910B3", "0000:C1:00.0", 44895, 65536), 8, 0),
    "066": ("24.1.rc1.b030", 8, (0, "910B3", "0000:C1:00.0", 3318, 65536), 0, 0),
    "070": ("23.0.6", 1, (1, "910B4", None, None, None), 0, 1),
}


@pytest.fixture(scope="module")
def corpus() -> Path:
    folder = os.environ.get("ASCEND_CORPUS")
    if not folder:
        pytest.skip("ASCEND_CORPUS names no folder of real output")
    return Path(folder) / "npu-smi-info"


@pytest.mark.parametrize("number", REAL)
def test_real_910b_tables(corpus: Path, number: str) -> None:
    (sample,) = corpus.glob(f"{number}-*")
    driver, count, first, processes, problems = REAL[number]
    info = parse_info(sample.read_text())
    device = info.devices[0]
    assert info.driver_version == driver
    assert len(info.devices) == count
    assert (device.npu_id, device.name, device.bus_id, device.hbm_used_mb, device.hbm_total_mb) == first
    assert (len(info.processes), len(info.problems)) == (processes, problems)


def test_every_real_table_gives_something(corpus: Path) -> None:
    samples = sorted(corpus.glob("*.txt"))
    assert samples
    empty = [sample.name for sample in samples if not parse_info(sample.read_text(errors="replace")).devices]
    assert empty == ["050-header-only-then-dots.txt"]
