# SPDX-License-Identifier: Apache-2.0
"""What a node's ranks told, and what became of torchrun, as one answer. tests/e2e has real ranks."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.probe_account import Prover
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.rack import program
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.rack.run import Job, run_job, summed_up

ENDED = Result(0, "", False)
# torchrun 2.1, of a rank that was killed.
SIGNAL = """
Root Cause (first observed failure):
[0]:
  time      : 2026-11-30_04:55:05
  host      : pf-2
  rank      : 2 (local_rank: 0)
  exitcode  : -9 (pid: 2118)
  traceback : Signal 9 (SIGKILL) received by PID 2118
"""


def rank(**told: Any) -> dict[str, Any]:
    return {**program.parse(""), **told}


DONE = rank(done=True, sizes={"1024": 0.5}, pairs=[[[0, 1], 0.25]])


def test_the_slowest_rank_counts() -> None:
    slower = rank(done=True, sizes={"1024": 0.75}, pairs=[[[0, 1], 0.125]])
    found = summed_up([DONE, slower], ENDED, "", 60)
    assert (found["ok"], found["sizes"], found["pairs"]) == (True, {"1024": 0.75}, [[[0, 1], 0.25]])


@pytest.mark.parametrize(
    ("ranks", "result", "logs", "kind", "words", "symptom"),
    [
        ([DONE, rank(at="a matmul")], Result(1, SIGNAL, False), "", "killed", "by signal 9 during: a matmul", None),
        # What its neighbour says of it is not the first error, though it was told first.
        ([rank(error="Connection closed by peer", first=True), rank(at="a matmul")], Result(1, SIGNAL, False), "",
         "killed", "by signal 9 during: a matmul", None),
        ([rank(error="HCCL error", first=False)], Result(1, SIGNAL.replace("-9", "-6"), False), "",
         "own", "HCCL", None),
        ([rank(error="RuntimeError: x", first=True), rank()], Result(1, "", False), "", "own", "RuntimeError: x", None),
        ([rank(left="another rank failed")], Result(1, "", False), "", "left", "another rank failed", None),
        ([rank(at="init_process_group")], Result(-9, "", True), "", "timeout", "60 s during: init_process_group", None),
        ([rank()], Result(127, "ascend-env: no environment\n", False), "", "own", "no environment", None),
        # What HCCL wrote into CANN's log says what the rank does not.
        ([rank(error="RuntimeError: HCCL error")], Result(1, "", False), "EI0015: topo exchange", "own", "HCCL error",
         "collective-not-connected"),
        ([rank(error="EI0019: Failed to bind the IP port")], ENDED, "", "own", "EI0019", "port-in-use"),
        ([rank(error="EJ0001: Failed to initialize the HCCP process")], ENDED, "", "own", "EJ0001",
         "previous-job-remains"),
        ([rank(error="EI0006: Getting socket times out")], ENDED, "", "own", "EI0006", "collective-not-connected"),
        ([rank(error="EI0005: Communication parameters are inconsistent")], ENDED, "", "own", "EI0005",
         "collective-arguments-differ"),
    ],
)  # fmt: skip
def test_a_failure_has_its_kind_and_words(
    ranks: Any, result: Result, logs: str, kind: str, words: str, symptom: str | None
) -> None:
    found = summed_up(ranks, result, logs, 60)
    assert (found["ok"], found["kind"], found["symptom"]) == (False, kind, symptom) if symptom else True
    assert (found["ok"], found["kind"]) == (False, kind)
    assert words in found["error"]


def test_the_first_ranks_error_is_shown_and_not_the_last() -> None:
    ranks = [rank(error="Connection closed by peer", first=False), rank(error="it was me", first=True)]
    found = summed_up(ranks, Result(1, "", False), "", 60)
    assert (found["error"], found["first"]) == ("it was me", True)


def test_half_a_line_of_a_killed_rank_is_skipped() -> None:
    told = [{"at": "a matmul"}, {"size": 1024, "seconds": 0.5}, {"pair": [0, 1], "seconds": 0.25}]
    text = "".join(json.dumps(line) + "\n" for line in told) + '{"done": tr'
    found = program.parse(text)
    assert (found["at"], found["sizes"], found["pairs"], found["done"]) == (
        "a matmul",
        {"1024": 0.5},
        [[[0, 1], 0.25]],
        False,
    )


def test_the_programs_can_be_compiled() -> None:
    for text in (
        program.PROGRAM,
        program.ALARM,
    ):
        compile(text, "rack.py", "exec")


STAND_IN = """#!/bin/sh
# ascend-env of a test: torchrun's arguments, and an answer of each rank in its folder.
printf '%s\\n' "$@" > {folder}/argv
env > {folder}/env
if [ "$2" = -c ]; then touch {folder}/alarm; exit 0; fi
{do}
"""


def job(folder: Path, do: str, **changed: Any) -> Job:
    script = folder / "ascend-env"
    script.write_text(STAND_IN.format(folder=folder, do=do))
    script.chmod(0o755)
    given = Job(
        str(script), "/opt/ascend/env/current", "npu", [0, 2], [2], 0, None, [1024], 1, [], "bond0", 30, str(folder)
    )
    return given._replace(**changed)


def test_a_job_runs_as_its_ranks_find_it(tmp_path: Path) -> None:
    program_of_ranks = f"""{sys.executable} - "$PWD" <<'E'
import json, os, sys
for rank in (4, 5):
    with open(os.path.join(sys.argv[1], "%06d" % rank), "w") as file:
        file.write(json.dumps({{"size": 1024, "seconds": 0.5}}) + "\\n" + json.dumps({{"done": True}}) + "\\n")
E"""
    second = job(tmp_path, program_of_ranks, counts=[4, 2], node=1, master=("192.0.2.1", 29500), rounds=[[[0, 1]]])
    found = run_job(run, second, Prover(None, "root", ""))
    assert (found["ok"], found["sizes"], found["account"]) == (True, {"1024": 0.5}, "root")
    argv = (tmp_path / "argv").read_text().splitlines()
    for option, value in {"nnodes": "2", "node_rank": "1", "nproc_per_node": "2", "master_addr": "192.0.2.1"}.items():
        assert argv[argv.index(f"--{option}") + 1] == value
    assert json.loads(argv[-1])["counts"] == [4, 2]
    env = dict(line.partition("=")[::2] for line in (tmp_path / "env").read_text().splitlines())
    assert env["ASCEND_RT_VISIBLE_DEVICES"] == "0,2"
    assert (env["HCCL_SOCKET_IFNAME"], env["GLOO_SOCKET_IFNAME"]) == ("=bond0", "bond0")
    # Nothing is left behind, and nobody is alarmed.
    assert sorted(os.listdir(tmp_path)) == ["argv", "ascend-env", "env"]


def test_ranks_that_could_not_say_so_are_told_of_to_the_others(tmp_path: Path) -> None:
    found = run_job(
        run, job(tmp_path, "kill -9 $$", counts=[2, 2], master=("192.0.2.1", 29500)), Prover(None, "root", "")
    )
    assert not found["ok"]
    assert (tmp_path / "alarm").exists()


def test_a_node_alone_alarms_nobody(tmp_path: Path) -> None:
    assert not run_job(run, job(tmp_path, "exit 1"), Prover(None, "root", ""))["ok"]
    assert not (tmp_path / "alarm").exists()


def test_on_the_cpu_no_card_is_chosen(tmp_path: Path) -> None:
    run_job(run, job(tmp_path, "exit 1", device="cpu"), Prover(None, "root", ""))
    assert "ASCEND_RT_VISIBLE_DEVICES" not in (tmp_path / "env").read_text()
