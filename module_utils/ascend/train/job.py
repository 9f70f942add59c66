# SPDX-License-Identifier: Apache-2.0
"""A training run on a node: begun, looked at, ended. It goes on without the control node.

``<state_dir>/train/<name>`` is root's: train.json says what the run is, config.yaml is the account's copy of the
config, the rest is the service's (service/service.py).
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from .. import atomic, files
from ..accounts import account as account_of
from ..command import Account, as_account
from ..errors import AscendError
from ..in_time import in_time
from ..masking import masked
from ..node import At, Node
from ..service import service as services
from ..service.service import Run, Service
from ..text import cut, one_line

FOLDER = "train"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GRACE_S = 60  # a rank that is asked to end may be writing a checkpoint
LIMITS = {"nofile": 1048576, "memlock": -1}
SETTINGS = ("TasksMax=infinity", "OOMPolicy=continue")
LOG_LINES = 20
MOST_LOG = 16 * 1024 * 1024  # bytes of a log in which the first error is looked for
MOST_ERROR = 400  # characters
ASK_S = 20.0
# A Python exception's last line, or HCCL's and CANN's numbers, at whatever a rank puts before its lines.
_ERROR = re.compile(r"^.*?(?:\b[A-Za-z_.]*(?:Error|Exception|Interrupt)\b: \S|\bE[A-Z]\d{4}\b[: ]).*$", re.MULTILINE)


class Training(NamedTuple):
    """What is to be run. ``devices`` are indexes as torch counts them, empty for all; ``peers``: service/runner.py."""

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

    def env(self) -> Dict[str, str]:
        """Return the whole environment of the run; what the operator sets counts most."""
        account = self.account
        found = {"PATH": PATH, "HOME": self.home, "USER": account.name, "LOGNAME": account.name, "LANG": "C.UTF-8"}
        found["ASCEND_FLEET_ENVIRONMENT"] = self.environment
        # The allocator of torch-npu gives back what is in pieces; LLaMA-Factory sets CUDA's alone.
        found["PYTORCH_NPU_ALLOC_CONF"] = "expandable_segments:True"
        if self.devices:
            found["ASCEND_RT_VISIBLE_DEVICES"] = ",".join(str(index) for index in self.devices)
        return {**found, **self.variables}


def place(state_dir: str, name: str) -> str:
    """Return the folder of a run. Raises AscendError where the name can be none."""
    if not NAME.fullmatch(name):
        raise AscendError(
            "train_name cannot name a training run",
            wanted="letters, digits and ._-, at most 64, and a letter or digit first",
            found=repr(name),
            remedy="-e train_name=my-run",
        )
    return os.path.join(state_dir, FOLDER, name)


def begin(state_dir: str, training: Training, run: Run) -> None:
    """Begin the run. Raises AscendError where one of that name is at work, or does not begin; and OSError."""
    folder = place(state_dir, training.name)
    if services.alive(folder, run):
        raise AscendError(
            "a training run of that name is at work",
            wanted="no run named %s, or one that has ended" % training.name,
            found="begun %s" % files.mapping(os.path.join(folder, "began.json")).get("began"),
            where=folder,
            remedy="playbooks/train_status.yml -e train_name=%s; playbooks/train_stop.yml ends it" % training.name,
        )
    os.makedirs(folder, mode=0o755, exist_ok=True)
    services.stop(folder, run, 0)  # what an earlier one left behind
    config = os.path.join(folder, "config.yaml")
    _write_config(config, training)
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
    argv = [training.ascend_env, "llamafactory-cli", "train", config]
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
    """End a run; return whether it was at work. Raises AscendError where there is none, or it cannot be ended."""
    folder = place(state_dir, name)
    _require(state_dir, name)
    return services.stop(folder, run, GRACE_S)


def names(state_dir: str) -> List[str]:
    return [name for name in files.names(os.path.join(state_dir, FOLDER)) if NAME.fullmatch(name)]


def read(state_dir: str, name: str, run: Run, node: Node) -> Dict[str, Any]:
    """Return what a run is and does: train.json's keys, and of it now

    ``{"state", "began", "code", "because", "log", "last", "error", "progress"}``: state is running, done,
    failed, stopped or lost; because, which other rank failed first, in words; log, its path; last, its last lines;
    error, the first that it names; progress what LLaMA-Factory's trainer_log.jsonl says, or empty.
    """
    folder = place(state_dir, name)
    about = _require(state_dir, name)
    alive = services.alive(folder, run)
    account, _ = account_of(node, str(about.get("account")))
    uid = account.uid if account else None
    outcome = {} if alive else services.outcome(folder, uid)
    because = outcome.get("because") or {}
    return {
        **about,
        "state": "running" if alive else _state(outcome),
        "began": files.mapping(os.path.join(folder, "began.json")).get("began"),
        "code": outcome.get("code"),
        "because": str(because.get("words", "")) if because.get("rank") != about["rank"] else "",
        "log": os.path.join(folder, "out", "log"),
        "last": services.read_out(folder, "log", uid).splitlines()[-LOG_LINES:],
        "error": first_error(services.read_out(folder, "log", uid, MOST_LOG)) if not alive else "",
        "progress": _progress(about, account, _since(folder)),
    }


def at_work(node: Node, state_dir: str) -> List[Dict[str, Any]]:
    """Return the runs at work as facts give processes that use cards, with ``devices``, indexes, or none for all."""
    if node.root != "/":
        return []  # a replayed record: its processes are nobody's here
    found = []
    for name in names(state_dir):
        folder = os.path.join(state_dir, FOLDER, name)
        if services.alive(folder, node.run):
            about = files.mapping(os.path.join(folder, "train.json"))
            began = files.mapping(os.path.join(folder, "began.json"))
            found.append(
                {
                    "pid": services.main_pid(folder, node.run),
                    "name": "training %s" % name,
                    "user": about.get("account"),
                    "command": "begun by playbooks/train.yml, %s" % began.get("began"),
                    "container": None,
                    "devices": about.get("devices") or [],
                }
            )
    return found


def _since(folder: str) -> float:
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


def _require(state_dir: str, name: str) -> Dict[str, Any]:
    about = files.mapping(os.path.join(place(state_dir, name), "train.json"))
    if not about:
        known = ", ".join(names(state_dir))
        raise AscendError(
            "there is no training run of that name",
            wanted=name,
            found=known or "none",
            where=os.path.join(state_dir, FOLDER),
            remedy="-e train_name=NAME; train.yml begins one",
        )
    return about


def _progress(about: Dict[str, Any], account: Optional[Account], since: float) -> Dict[str, Any]:
    """Return the last line of trainer_log.jsonl of this run, read as the account: its file system may know no root."""
    if account is None:
        return {}
    log = os.path.join(str(about["folder"]), str(about["output_dir"]), "trainer_log.jsonl")

    def look(at: At) -> str:
        as_account(account)()
        at(log)
        if not os.path.isfile(log) or os.path.getmtime(log) < since:
            return ""  # of a run before
        return (files.text(log) or "").rstrip("\n").rpartition("\n")[2]

    try:
        value = json.loads(in_time(ASK_S, look) or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def first_error(log: str) -> str:
    """Return the first error that a log names, on one line, "" where it names none: those that follow come of it."""
    match = _ERROR.search(log)
    return cut(one_line(masked(match.group().strip())), MOST_ERROR) if match else ""


def _write_config(path: str, training: Training) -> None:
    """Write the account's copy: nobody else's to read, since a config may name a token."""
    if os.path.lexists(path):
        os.unlink(path)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w", encoding="utf-8") as stream:
        os.fchown(stream.fileno(), training.account.uid, training.account.gid)
        stream.write(training.config)
