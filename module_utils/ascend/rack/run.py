# SPDX-License-Identifier: Apache-2.0
"""Run the program of ``program.py`` under torchrun on this node, alone or with others; sum up its ranks' reports."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from contextlib import closing
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from ..command import Result
from ..finding import quoted
from ..npu import probe_account
from ..npu.probe_account import Prover
from ..npu.symptoms import recognise
from . import program

MOST_ANSWER = 256 * 1024
BEAT_S = 15  # without a heartbeat of a node, it counts as gone
ALARM_S = 60
JOIN_S = 60  # for all torchruns to find the first one, and a second more a node: they are started one after another
_HERE = "127.0.0.1"
# Instruction, bus, arithmetic, kill, address. 15 is torchrun's own, and by 6 ranks end that hear of others' failures.
_FROM_OUTSIDE = (4, 7, 8, 9, 11)
_EXIT = re.compile(r"exitcode\s*:\s*(-?[0-9]+)")
# What torchrun itself says of its own doings; a rank's words, and those of libraries, are what is left.
_NOISE = re.compile(r"torch/distributed/(?:run|elastic|launcher)|^\s*(?:=|-){10,}|^\*{10,}|OMP_NUM_THREADS")


class Job(NamedTuple):
    """``devices``: as ASCEND_RT_VISIBLE_DEVICES counts, one per rank; on the CPU only their number matters.

    ``counts``: ranks of each node; ``node``: which of them this is; ``master``: address and port of the first one, None
    for a single node. ``rounds``: of pairs of nodes. ``interface``: of HCCL_SOCKET_IFNAME, "" leaves it to HCCL.
    """

    ascend_env: str
    environment: str
    device: str
    devices: Sequence[int]
    counts: Sequence[int]
    node: int
    master: Optional[Sequence[Any]]
    sizes: Sequence[int]
    repeats: int
    rounds: Sequence[Any]
    interface: str
    timeout_s: int
    tmp_dir: str


def run_job(run: Callable[..., Result], job: Job, prover: Prover) -> Dict[str, Any]:
    """Return what this node's ranks did; never raises because of what they did.

    ``{"ok", "sizes": bytes -> seconds, "pairs": [[node, node], seconds], "error", "at", "first", "kind", "symptom",
    "remedy", "silent", "seconds", "account"}``; seconds are the slowest rank's, of one all_reduce. ``kind`` is "" or
    the kind of failure: "killed" (a rank was, by a signal), "own" (an error of its own), "timeout", or "left" (it ended
    because another node's ranks failed).
    """
    began = time.monotonic()
    with probe_account.private_home(prover.account, job.tmp_dir) as home:
        file = os.path.join(home, "rack.py")
        with open(file, "w", encoding="utf-8") as stream:
            stream.write(program.PROGRAM)
        os.chmod(file, 0o644)
        env = _variables(job, prover, home)
        result = run(_argv(job, home, file), job.timeout_s, env=env, cwd=home, account=prover.account)
        ranks = [
            _rank(home, first + number) for first in [sum(job.counts[: job.node])] for number in range(_count(job))
        ]
        if (
            job.master
            and (result.code or result.timed_out)
            and not any(rank["error"] or rank["left"] for rank in ranks)
        ):
            # Nobody has told the other nodes' ranks, which wait for these. Where the store is gone, they see that.
            alarm = [job.ascend_env, "python", "-c", program.ALARM, *(str(word) for word in job.master)]
            run(alarm, ALARM_S, env=env, cwd=home, account=prover.account)
        logs = probe_logs(home)
    found = summed_up(ranks, result, logs, job.timeout_s)
    return {**found, "seconds": round(time.monotonic() - began, 1), "account": prover.name}


def _count(job: Job) -> int:
    return job.counts[job.node]


def _variables(job: Job, prover: Prover, home: str) -> Dict[str, str]:
    env = probe_account.variables(prover.account, prover.name, home, job.environment)
    env.update(OMP_NUM_THREADS="1", HCCL_WHITELIST_DISABLE="1", TORCH_CPP_LOG_LEVEL="ERROR")
    if job.device == "npu":
        env["ASCEND_RT_VISIBLE_DEVICES"] = ",".join(str(number) for number in job.devices)
        # HCCL takes 120 to 7200, and 20 more; the job as a whole is ended before.
        env.update(HCCL_CONNECT_TIMEOUT="120", HCCL_EXEC_TIMEOUT=str(max(60, job.timeout_s)))
    if job.interface:
        env.update(
            HCCL_SOCKET_IFNAME="=" + job.interface, GLOO_SOCKET_IFNAME=job.interface, TP_SOCKET_IFNAME=job.interface
        )
    return env


def _argv(job: Job, home: str, file: str) -> List[str]:
    address, port = job.master or (_HERE, _free_port())
    asked = {
        "device": job.device,
        "answers": home,
        "counts": list(job.counts),
        "sizes": list(job.sizes),
        "repeats": job.repeats,
        "pairs": list(job.rounds),
        "limit_s": job.timeout_s,
        "beat_s": BEAT_S,
    }
    return [
        job.ascend_env,
        *("python", "-m", "torch.distributed.run"),
        *("--nnodes", str(len(job.counts)), "--node_rank", str(job.node), "--nproc_per_node", str(_count(job))),
        *("--master_addr", str(address), "--master_port", str(port)),
        # The usual five seconds would go by before a rank that died is seen; others may come later than this one.
        *("--monitor_interval", "1", "--max_restarts", "0", "--rdzv_conf", "timeout=%d" % (JOIN_S + len(job.counts))),
        *(file, json.dumps(asked)),
    ]


def _free_port() -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as tried:
        tried.bind((_HERE, 0))
        return int(tried.getsockname()[1])


def _rank(home: str, rank: int) -> Dict[str, Any]:
    try:
        with open(os.path.join(home, "%06d" % rank), encoding="utf-8", errors="replace") as stream:
            return program.parse(stream.read(MOST_ANSWER))
    except OSError:
        return program.parse("")


def probe_logs(home: str) -> str:
    """Return the errors that CANN wrote into its own logs below the home: HCCL reports its errors there."""
    lines: List[str] = []
    for folder, _, names in os.walk(os.path.join(home, "log")):
        for name in sorted(names)[:20]:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as stream:
                lines += [line for line in stream.read(MOST_ANSWER).splitlines() if "ERROR" in line][:20]
    return "\n".join(lines[:100])


def summed_up(ranks: List[Dict[str, Any]], result: Result, logs: str, timeout_s: int) -> Dict[str, Any]:
    """Return the node's answer, as in ``run_job``, from its ranks' answers, torchrun's end, and CANN's logs."""
    sizes: Dict[str, float] = {}
    pairs: Dict[Any, float] = {}
    for rank in ranks:
        for size, seconds in rank["sizes"].items():
            sizes[size] = max(seconds, sizes.get(size, 0.0))
        for pair, seconds in rank["pairs"]:
            pairs[tuple(pair)] = max(seconds, pairs.get(tuple(pair), 0.0))
    ok = bool(ranks) and all(rank["done"] for rank in ranks) and not result.timed_out
    found: Dict[str, Any] = {"ok": ok, "sizes": sizes, "pairs": [[list(pair), pairs[pair]] for pair in sorted(pairs)]}
    found.update(error="", at="", first=None, kind="", symptom=None, remedy="", silent=[])
    return found if ok else {**found, **_failure(ranks, result, logs, timeout_s)}


def _failure(ranks: List[Dict[str, Any]], result: Result, logs: str, timeout_s: int) -> Dict[str, Any]:
    failed = sorted((rank for rank in ranks if rank["error"]), key=lambda rank: rank["first"] is not True)
    codes = [int(code) for code in _EXIT.findall(result.printed)]
    signals = [-code for code in codes if -code in _FROM_OUTSIDE]
    # One that is not done comes first that has not even said why: it was killed, or it hangs.
    silent = (rank for rank in ranks if not rank["done"] and not rank["error"] and not rank["left"])
    unfinished = next(silent, next((rank for rank in ranks if not rank["done"]), {"at": "its start"}))
    words = _words(result)
    if signals:  # whatever its neighbours on this node say of it
        kind, error = "killed", "a rank was killed by signal %d during: %s" % (signals[0], unfinished["at"])
    elif failed:
        kind, error = "own", failed[0]["error"]
    elif result.timed_out:
        kind, error = "timeout", "nothing within %d s during: %s" % (timeout_s, unfinished["at"])
    elif any(rank["left"] for rank in ranks):
        kind, error = "left", next(rank["left"] for rank in ranks if rank["left"])
    else:
        kind, error = "own", words or "exit code %d during: %s" % (result.code, unfinished["at"])
    known = recognise("\n".join([error, logs, result.printed]))[:1]
    return {
        "error": quoted(error),
        "at": (failed[0] if kind == "own" and failed else unfinished)["at"],
        "first": any(rank["first"] for rank in failed) or (None if kind in ("own", "timeout") else False),
        "kind": kind,
        "symptom": known[0].name if known else None,
        "remedy": known[0].remedy if known else "",
        "silent": sorted({node for rank in ranks for node in rank["silent"]}),
    }


def _words(result: Result) -> str:
    """Return the last lines that are not torchrun's own, because a program's error comes last."""
    lines = [line for line in result.last_lines(60).splitlines() if line.strip() and not _NOISE.search(line)]
    return "\n".join(lines[-3:])
