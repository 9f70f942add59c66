# SPDX-License-Identifier: Apache-2.0
"""npu-smi's sub-commands: answers in every form, damaged ones, and real ones where they are at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.labels import fold, look_up
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_smi_query import (
    Answer,
    parse_health,
    read_pairs,
)
from tests import samples
from tests.hangs import no_hang

SIM = Path(__file__).resolve().parents[3] / "sim/node/bin/npu-smi"
# Every value is text, as the tools print it.
EXPECTED: dict[str, Any] = samples.expected("npu_smi_sub", yaml.BaseLoader)

HEALTH = """\
\tHealth Status                  : Warning
\tError Code                     : 80E01801 A6023001
\tError Information              : hbm temperature is above its limit

\t                               : node type=board, sensor type=Fan, event state=stopped
"""
USAGES = """\
\tNPU ID                         : 5
\tChip Count                     : 2

\tMemory Usage Rate(%)           : 3
\tChip ID                        : 0

\tMemory Usage Rate(%)           : 9
\tChip ID                        : 1

\tChip Name                      : mcu
\tTemperature(C)                 : 40
"""


def get(answer: Answer, label: str) -> str | None:
    """The first value with this label."""
    return next((value for block in answer.blocks if (value := look_up(block, label)) is not None), None)


@pytest.mark.parametrize("name", EXPECTED)
def test_real_answers(name: str) -> None:
    expected = EXPECTED[name]
    text = samples.text("npu-smi-sub/" + name)
    compared = set()
    if "blocks" in expected:
        answer = read_pairs(text)
        assert [list(block) for block in answer.blocks] == [list(block.items()) for block in expected["blocks"]]
        assert (answer.error, answer.problems) == (expected.get("error", ""), ())
        compared |= {"blocks", "error"}
        for label, value in expected.get("look_up", {}).items():
            assert get(answer, label) == value
        compared.add("look_up")
    if "health" in expected:
        health = parse_health(text)
        wanted = {**expected["health"], "error_codes": tuple(expected["health"]["error_codes"])}
        assert vars(health) == {**wanted, "error": "", "problems": ()}
        compared.add("health")
    assert compared >= set(expected)


def test_expected_values_have_their_answers() -> None:
    samples.require_names("npu-smi-sub", EXPECTED)


def test_health() -> None:
    health = parse_health(HEALTH)
    assert (health.status, health.error_codes) == ("Warning", ("80E01801", "A6023001"))
    assert health.error_information == (
        "hbm temperature is above its limit\nnode type=board, sensor type=Fan, event state=stopped"
    )
    assert (health.error, health.problems) == ("", ())


def test_the_worst_of_several_chips() -> None:
    text = "NPU ID : 1\nChip Count : 3\n\n" + "".join(
        f"Chip ID       : {chip}\nHealth        : {health}\nError Code    : {code}\n\n"
        for chip, (health, code) in enumerate([("OK", "NA"), ("Alarm", "0x80e01801"), ("Warning", "80E01801")])
    )
    health = parse_health(text)
    assert (health.status, health.error_codes, health.problems) == ("Alarm", ("80E01801",), ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Health Status : Alar", "'Alar'"),
        ("Health Status : OK\nError Code : 80E0", "'80E0'"),
        ("Health Status : OK\nError Code : NA\nError Infor", "line 3"),
        ("NPU ID : 1", "no health status"),
    ],
)
def test_a_damaged_health_is_a_problem(text: str, said: str) -> None:
    health = parse_health(text)
    assert any(said in problem for problem in health.problems), health


def test_blocks() -> None:
    answer = read_pairs(USAGES)
    assert answer.blocks == (
        (("NPU ID", "5"), ("Chip Count", "2"), ("Memory Usage Rate(%)", "3"), ("Chip ID", "0")),
        (("Memory Usage Rate(%)", "9"), ("Chip ID", "1")),
        (("Chip Name", "mcu"), ("Temperature(C)", "40")),
    )
    assert (answer.error, answer.problems) == ("", ())
    assert look_up(answer.blocks[1], "chip id") == "1"


def test_blocks_without_their_blank_lines() -> None:
    text = "\n".join(line for line in USAGES.splitlines() if line.strip())
    assert read_pairs(text).blocks == read_pairs(USAGES).blocks


def test_several_pairs_in_one_line() -> None:
    text = "NPU ID       : 0\nProcess id:17  Process name:a b:c  Process memory(MB):5\n"
    text += "Process id:18  Process name:x  Process memory(MB):6"
    assert [dict(block) for block in read_pairs(text).blocks] == [
        {"NPU ID": "0", "Process id": "17", "Process name": "a b:c", "Process memory(MB)": "5"},
        {"Process id": "18", "Process name": "x", "Process memory(MB)": "6"},
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "Invalid card id.\nError parameter of -i\nUsage: npu-smi info <x>\n",
            "Invalid card id. Error parameter of -i",
        ),
        ("Usage: npu-smi info <x>\n\nOptions:\n   -i %d    Card ID\n", "Usage: npu-smi info <x>"),
        ("This device does not support querying spod.\n", "This device does not support querying spod."),
        ("dcmi module initialize failed. ret is -8005\n", "dcmi module initialize failed. ret is -8005"),
        (
            "npu-smi: error while loading shared libraries: libc_sec.so: cannot open",
            "npu-smi: error while loading shared libraries: libc_sec.so: cannot open",
        ),
        ("bash: npu-smi: command not found", "bash: npu-smi: command not found"),
        ("words that nobody knows\n", "words that nobody knows"),
    ],
)
def test_words_instead_of_data(text: str, error: str) -> None:
    assert (read_pairs(text).blocks, read_pairs(text).error) == ((), error)
    assert (parse_health(text).status, parse_health(text).error) == (None, error)


def test_words_beside_data() -> None:
    answer = read_pairs("[INFO] a log line\nNPU ID      : 0\nNot supported     : 1\nget voltage failed\n...\n")
    assert answer.blocks == ((("NPU ID", "0"), ("Not supported", "1")),)
    assert answer.error == "get voltage failed"
    assert answer.problems == ("line 5: lines were left out", "line 1: not understood: '[INFO] a log line'")


def test_labels_in_two_spellings() -> None:
    assert fold("Temperature (C)") == fold("Temperature(C)")
    assert fold("Health") == fold("Health Status") == fold("health  status")
    assert fold("Chip Phy-ID") == fold("Chip Phy ID")
    assert fold("Chip ID") != fold("NPU ID")


PARSERS = (read_pairs, parse_health)
WHOLE = [HEALTH, USAGES]


@given(st.sampled_from(WHOLE).flatmap(lambda text: st.tuples(st.just(text), st.integers(0, len(text)))))
def test_a_cut_never_raises_or_invents(cut: tuple[str, int]) -> None:
    text, length = cut
    for parse in PARSERS:
        parse(text[:length])
        parse(text[length:])
    assert set(parse_health(HEALTH[:length]).error_codes) <= set(parse_health(HEALTH).error_codes)


@given(st.permutations((HEALTH + USAGES).splitlines()))
def test_shuffled_lines_never_raise(lines: list[str]) -> None:
    for parse in PARSERS:
        parse("\n".join(lines))
    assert set(parse_health("\n".join(lines)).error_codes) <= set(parse_health(HEALTH).error_codes)


@given(st.text(alphabet=' \t\n:-0129aNPUIDChip(%).|{}"\x1b[', max_size=300))
def test_no_text_raises(text: str) -> None:
    for parse in PARSERS:
        parse(text)


@pytest.mark.parametrize("line", ["a:b ", "a  " * 3, "(" * 5, ": x", "NPU ID ", "1 " * 4])
def test_no_line_takes_for_ever(line: str) -> None:
    for text in (line * 10_000, (line + "\n") * 10_000, "label   : 1\n" + f"   {line}\n" * 10_000):
        for parse in PARSERS:
            with no_hang():
                parse(text)


def simulated(folder: Path, *words: str) -> str:
    """What the simulated npu-smi prints."""
    conf = folder / "node.conf"
    conf.write_text(
        "card_count=3\ndriver_version=24.1.rc2\nhealth.1=Alarm\nerror.1=80E01801,A6023001 hot, very\nerror.2=1 x\n"
    )
    argv = [sys.executable, str(SIM), *words]
    done = subprocess.run(
        argv, env={**os.environ, "ASCEND_SIM_CONF": str(conf)}, capture_output=True, text=True, check=False
    )
    refused = "Usage:" in done.stdout or "not support" in done.stdout
    assert (done.returncode, done.stderr) == (int(refused), "")
    return done.stdout


def test_the_simulated_health(tmp_path: Path) -> None:
    sick = parse_health(simulated(tmp_path, "info", "-t", "health", "-i", "1", "-c", "0"))
    assert (sick.status, sick.error_codes) == ("Alarm", ("80E01801", "A6023001"))
    assert (sick.error_information, sick.problems) == ("hot, very", ())
    well = parse_health(simulated(tmp_path, "info", "-i", "2", "-t", "health"))
    assert (well.status, well.error_codes, well.error_information) == ("OK", (), "")


def test_the_simulated_tables(tmp_path: Path) -> None:
    cards = read_pairs(simulated(tmp_path, "info", "-l")).blocks
    assert [look_up(block, "NPU ID") for block in cards] == ["0", "1", "2"]
    assert simulated(tmp_path, "info", "-m").splitlines()[-1].split() == ["2", "0", "2", "Ascend", "910B3"]


@pytest.mark.parametrize(
    ("kind", "label", "value", "blocks"),
    [
        ("board", "Software Version", "24.1.rc2", 1),
        ("common", "Aicore Count", "20", 2),
        ("usages", "HBM Capacity(MB)", "65536", 1),
        ("memory", "HBM Temperature (C)", "39", 1),
        ("ecc", "HBM Double Bit Error Count", "0", 1),
    ],
)
def test_other_simulated_answers(tmp_path: Path, kind: str, label: str, value: str, blocks: int) -> None:
    answer = read_pairs(simulated(tmp_path, "info", "-t", kind, "-i", "2"))
    assert (get(answer, label), len(answer.blocks), answer.problems) == (value, blocks, ())
    assert get(answer, "NPU ID") == "2"


def test_the_two_simulated_boards(tmp_path: Path) -> None:
    chip = read_pairs(simulated(tmp_path, "info", "-t", "board", "-i", "0", "-c", "0"))
    assert (get(chip, "Chip Name"), get(chip, "Software Version")) == ("910B3", None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-t", "health", "-i", "3", "-c", "0"], "Invalid card id. Error parameter of -i"),
        (["-t", "health", "-i", "0", "-c", "4"], "Invalid chip id. Error parameter of -c"),
        (["-t", "spod-info", "-i", "0"], "This device does not support querying spod-info."),
        (["-t", "nonsense", "-i", "0"], "Error parameter of -t"),
        (["-t", "health", "-i"], "Error parameter of -i"),
    ],
)
def test_what_the_simulated_tool_refuses(tmp_path: Path, words: list[str], said: str) -> None:
    assert read_pairs(simulated(tmp_path, "info", *words)).error == said
