# SPDX-License-Identifier: Apache-2.0
"""A training run on a node: starts it, looks at it, ends it. It continues without the control node.

``<state_dir>/train/<name>`` belongs to root: train.json has the run's settings, config.yaml is the account's copy of
the config, the rest belongs to the service (service/service.py).
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from .. import atomic, files
from ..accounts import account as account_of
from ..change import process
from ..command import Account, as_account
from ..errors import AscendError
from ..in_time import in_time
from ..node import At, Node
from ..service import service as services
from ..service.service import Run, Service
from ..text import cut, one_line
from . import launch, logs

FOLDER = "train"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GRACE_S = 60  # a rank that is asked to end may be writing a checkpoint
LIMITS = {"nofile": 1048576, "memlock": -1}
SETTINGS = ("TasksMax=infinity", "OOMPolicy=continue")
KEPT = 20  # runs that have ended
# What the runner writes; what else lies there is the account's.
OURS = frozenset(("log", "log.before", "ended.json", "ended.json.before", "ended.json.part"))
LOG_LINES = 20
MOST_WORDS = 400  # characters
PROGRESS = ("current_steps", "total_steps", "loss", "remaining_time")
ASK_S = 20.0


class Training(NamedTuple):
    """What to run. ``devices`` are indexes as torch counts them, empty for all; ``peers``: service/runner.py.

    ``accelerate`` is the text of accelerate's config if that launches the run, with ``ranks`` on this node.
    """

    name: str
    account: Account
    home: str
    folder: str
    config: str
    output_dir: str
    environment: str
    ascend_env: str
    devices: Sequence[int]
    variables: Dict[str, str]
    peers: Optional[Dict[str, Any]] = None
    accelerate: str = ""
    ranks: int = 1

    def env(self) -> Dict[str, str]:
        """Return the whole environment of the run; the operator's settings override the rest."""
        account = self.account
        found = {"PATH": PATH, "HOME": self.home, "USER": account.name, "LOGNAME": account.name, "LANG": "C.UTF-8"}
        found["ASCEND_FLEET_ENVIRONMENT"] = self.environment
        # The allocator of torch-npu gives back what is in pieces; LLaMA-Factory sets CUDA's alone.
        found["PYTORCH_NPU_ALLOC_CONF"] = "expandable_segments:True"
        if self.devices:
            found["ASCEND_RT_VISIBLE_DEVICES"] = ",".join(str(index) for index in self.devices)
        return {**found, **self.variables}


def place(state_dir: str, name: str) -> str:
    """Return the folder of a run. Raises AscendError if the name is invalid."""
    if not NAME.fullmatch(name):
        raise AscendError(
            "train_name cannot name a training run",
            wanted="letters, digits and ._-, at most 64 characters, starting with a letter or digit",
            found=repr(name),
            remedy="-e train_name=my-run",
        )
    return os.path.join(state_dir, FOLDER, name)


def begin(state_dir: str, training: Training, run: Run) -> None:
    """Start the run. Raises AscendError if one of that name is running, or if it does not start; and OSError."""
    folder = place(state_dir, training.name)
    if services.alive(folder, run):
        raise AscendError(
            "a training run with that name is running",
            wanted="no run named %s, or one that has ended" % training.name,
            found="started %s" % files.mapping(os.path.join(folder, "began.json")).get("began"),
            where=folder,
            remedy="playbooks/train_status.yml -e train_name=%s; playbooks/train_stop.yml ends it" % training.name,
        )
    os.makedirs(folder, mode=0o755, exist_ok=True)
    services.stop(folder, run, 0)  # what an earlier one left behind
    config = os.path.join(folder, "config.yaml")
    _write(config, training.config, training.account)
    by_accelerate = os.path.join(folder, "accelerate.yaml") if training.accelerate else ""
    if by_accelerate:
        _write(by_accelerate, training.accelerate, training.account)
    about = {
        "schema": 1,
        "name": training.name,
        "account": training.account.name,
        "devices": list(training.devices),
        "environment": training.environment,
        "folder": training.folder,
        "output_dir": training.output_dir,
        "rank": training.peers["rank"] if training.peers else 0,
        "nodes": training.peers["count"] if training.peers else 1,
    }
    atomic.write(os.path.join(folder, "train.json"), json.dumps(about))
    argv = [training.ascend_env, *launch.argv(config, by_accelerate, training.ranks, training.peers)]
    words = "LLaMA-Factory training %s (ascend-fleet)" % training.name
    services.start(
        Service(
            "ascend-train-%s" % training.name,
            words,
            folder,
            argv,
            training.env(),
            training.folder,
            training.account,
            GRACE_S,
            SETTINGS,
            LIMITS,
            peers=training.peers,
        ),
        run,
    )


def end(state_dir: str, name: str, run: Run) -> bool:
    """End a run; return whether it was running. Raises AscendError if there is none, or it cannot be ended."""
    folder = place(state_dir, name)
    required(state_dir, name)
    return services.stop(folder, run, GRACE_S)


def names(state_dir: str) -> List[str]:
    return [name for name in files.names(os.path.join(state_dir, FOLDER)) if NAME.fullmatch(name)]


def read(state_dir: str, name: str, run: Run, node: Node) -> Dict[str, Any]:
    """Return what a run is and does: train.json's keys, and of it now

    ``{"state", "began", "code", "ended", "because", "first_rank", "log", "last", "error", "progress"}``: state is
    running, done, failed, stopped or lost; ended, when, in seconds since 1970, or None; because, which other rank
    failed first, in words, and first_rank, its number or None; log, its path; last, its last lines; error, the first
    that it names; progress what LLaMA-Factory's trainer_log.jsonl says, ``{"problem"}`` where that cannot be read, or
    empty.
    """
    folder = place(state_dir, name)
    about = required(state_dir, name)
    alive = services.alive(folder, run)
    account, _ = account_of(node, str(about.get("account")))
    uid = account.uid if account else None
    outcome = {} if alive else _outcome(folder, uid)
    because = outcome.get("because") or {}
    of_another = bool(because) and because["rank"] != about.get("rank")
    return {
        **about,
        "state": "running" if alive else _state(outcome),
        "began": files.mapping(os.path.join(folder, "began.json")).get("began"),
        "code": outcome.get("code"),
        "ended": outcome.get("at"),
        "because": because["words"] if of_another else "",
        "first_rank": because["rank"] if of_another else None,
        "log": log_of(folder),
        "last": logs.last_lines(services.read_out(folder, "log", uid), LOG_LINES),
        "error": "" if alive else logs.error_of(log_of(folder), uid),
        "progress": _progress(about, account, since(folder)),
    }


def at_work(node: Node, state_dir: str) -> List[Dict[str, Any]]:
    """Return the active runs in the form of the facts' processes on cards, with ``devices``: indexes, none for all."""
    if node.root != "/":
        return []  # a replayed record: its processes are nobody's here
    found = []
    for name, pid in _at_work(state_dir, node.run).items():
        folder = os.path.join(state_dir, FOLDER, name)
        about = files.mapping(os.path.join(folder, "train.json"))
        began = files.mapping(os.path.join(folder, "began.json"))
        found.append(
            {
                "pid": pid,
                "name": "training %s" % name,
                "user": about.get("account"),
                "command": "started by playbooks/train.yml, %s" % began.get("began"),
                "container": None,
                "devices": about.get("devices") or [],
            }
        )
    return found


def _at_work(state_dir: str, run: Run) -> Dict[str, int]:
    """Return the active runs by name, each with its runner's number; systemd is asked once for all of them.

    We do not read from the account's files whether a run has ended, because the account could hide its run that way. A
    run that systemd does not report counts as active.
    """
    found: Dict[str, int] = {}
    units: Dict[str, str] = {}
    for name in names(state_dir):
        began = files.mapping(os.path.join(state_dir, FOLDER, name, "began.json"))
        if not began.get("systemd"):
            found.update({name: int(began["pid"])} if process.runs(began) else {})
        elif services.has_systemd():
            units["%s.service" % began.get("name")] = name
    if units:
        asked = run(["systemctl", "show", "--property=Id,ActiveState,MainPID", *units], ASK_S)
        answers = {each.get("Id"): each for each in map(files.pairs, asked.output.split("\n\n"))}
        for unit, name in units.items():
            answer = answers.get(unit, {})
            if answer.get("ActiveState", "active") in services.ACTIVE:
                found[name] = int(answer["MainPID"]) if answer.get("MainPID", "").isdigit() else 0
    return found


def prune(state_dir: str, run: Run, own: str, keep: int = KEPT) -> List[str]:
    """Remove all except the newest ended runs, by their start; return the removed names. ``own`` is kept, too.

    Active runs stay, and so do runs in whose folder the account keeps other files, and runs that cannot be removed; the
    next run tries again.
    """
    spared = {own, *_at_work(state_dir, run)}
    folders = {name: os.path.join(state_dir, FOLDER, name) for name in names(state_dir) if name not in spared}
    removed = []
    for name in sorted(folders, key=lambda each: -_begun_s(folders[each]))[keep:]:
        if OURS.issuperset(files.names(os.path.join(folders[name], "out"))):
            with suppress(OSError, AscendError):
                services.forget(folders[name], run)
                atomic.remove(folders[name])
                removed.append(name)
    return removed


def _begun_s(folder: str) -> float:
    """Return when a run began; one that is just starting has only its folder."""
    with suppress(OSError):
        return since(folder) or os.path.getmtime(folder)
    return 0.0


def since(folder: str) -> float:
    """Return when the run began, in seconds since 1970; 0 if it did not."""
    try:
        return os.path.getmtime(os.path.join(folder, "began.json"))
    except OSError:
        return 0.0


def _state(outcome: Dict[str, Any]) -> str:
    if not outcome:
        return "lost"
    if outcome.get("asked"):
        return "stopped"
    return "done" if outcome.get("code") == 0 and not outcome.get("because") else "failed"


def log_of(folder: str) -> str:
    return os.path.join(folder, "out", "log")


def _outcome(folder: str, uid: Optional[int]) -> Dict[str, Any]:
    """Return how the run ended, as its account says; anything not in a runner's form is ignored."""
    value = services.outcome(folder, uid)
    code, at, because = value.get("code"), value.get("at"), value.get("because")
    if not isinstance(code, int):
        return {}
    found: Dict[str, Any] = {"code": code, "asked": value.get("asked") is True}
    found["at"] = at if isinstance(at, (int, float)) else None
    if isinstance(because, dict) and isinstance(because.get("rank"), int):
        found["because"] = {"rank": because["rank"], "words": cut(one_line(str(because.get("words"))), MOST_WORDS)}
    return found


def required(state_dir: str, name: str) -> Dict[str, Any]:
    """Return a run's train.json. Raises AscendError if there is no run of that name."""
    about = files.mapping(os.path.join(place(state_dir, name), "train.json"))
    if not about:
        known = ", ".join(names(state_dir))
        raise AscendError(
            "no training run has that name",
            wanted=name,
            found=known or "none",
            where=os.path.join(state_dir, FOLDER),
            remedy="-e train_name=NAME; train.yml starts one",
        )
    return about


def _progress(about: Dict[str, Any], account: Optional[Account], begun_s: float) -> Dict[str, Any]:
    """Return the last line of this run's trainer_log.jsonl, read as the account: its file system may refuse root."""
    if account is None:
        return {}
    log = os.path.join(str(about["folder"]), str(about["output_dir"]), "trainer_log.jsonl")

    def look(at: At) -> str:
        as_account(account)()
        at(log)
        stream = logs.opened(log)
        if stream is None:
            return ""
        with stream:
            status = os.fstat(stream.fileno())
            if status.st_mtime < begun_s:
                return ""  # of a run before
            stream.seek(max(0, status.st_size - logs.LINE))
            return (stream.read(logs.LINE).decode("utf-8", "replace")).rstrip("\n").rpartition("\n")[2]

    try:
        value = json.loads(in_time(ASK_S, look) or "{}")
    except (ValueError, RecursionError):
        return {}
    except AscendError as error:
        return {"problem": error.problem}  # a file server that hangs: the run is shown, and ended, all the same
    return {key: one_line(str(value[key])) for key in PROGRESS if key in value} if isinstance(value, dict) else {}


def _write(path: str, text: str, account: Account) -> None:
    """Write the account's copy, which nobody else can read because a config may contain a token."""
    if os.path.lexists(path):
        os.unlink(path)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w", encoding="utf-8") as stream:
        os.fchown(stream.fileno(), account.uid, account.gid)
        stream.write(text)
