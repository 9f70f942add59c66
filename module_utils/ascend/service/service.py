# SPDX-License-Identifier: Apache-2.0
"""Start, watch and end a program that outlives the module: a systemd unit, or its own session without systemd.

``folder`` belongs to root. It contains the job (job.json, readable for the account because it may contain secrets), the
runner, and the running process (began.json). ``folder/out`` belongs to the account; the runner writes the log and the
result there. We trust its content no more than a log.
"""

from __future__ import annotations

import inspect
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from .. import atomic, files
from ..change import process
from ..command import Account, Result, as_account
from ..errors import AscendError
from ..times import now
from . import runner

SYSTEMD = "/run/systemd/system"  # there where systemd is at work: sd_booted(3)
UNITS = {False: "/run/systemd/system", True: "/etc/systemd/system"}
ASK_S = 60.0
AFTER_GRACE_S = 15  # until systemd ends what the runner could not
BEGIN_S = 5.0
LOOK_S = 0.2
SYSTEM_UIDS = 1000  # systemd's own: the accounts below are nobody who logs in
LINGER = "/var/lib/systemd/linger"
REMOVE_IPC = ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager", "RemoveIPC"]
MARK = "ASCEND_FLEET_SERVICE"
ACTIVE = ("active", "activating", "reloading", "deactivating")

Run = Callable[..., Result]


class Service(NamedTuple):
    """A program to run. ``settings`` are further lines of the unit's section [Service]; ``limits`` are resource limits
    by their names in limits.conf(5), -1 for none; neither a unit nor a session of ours has those of a login.

    ``lasting``: it starts at boot, and again if it fails. ``peers``: see runner.py.
    """

    name: str
    description: str
    folder: str
    argv: Sequence[str]
    env: Dict[str, str]
    cwd: str
    account: Account
    grace_s: int = 30
    settings: Sequence[str] = ()
    limits: Mapping[str, int] = {}
    lasting: bool = False
    peers: Optional[Dict[str, Any]] = None

    @property
    def unit(self) -> str:
        return self.name + ".service"


def start(service: Service, run: Run) -> None:
    """Start it. Raises AscendError if it does not start, and OSError; end a running one before."""
    mark = "%s=%s-%s" % (MARK, service.name, os.urandom(8).hex())
    began: Dict[str, Any] = {"began": now(), "name": service.name, "systemd": has_systemd(), "mark": mark}
    _write(service, mark)
    if has_systemd():
        text = unit_text(service)
        # By this a unit that was just written is found again, and taken away.
        atomic.write(os.path.join(service.folder, "began.json"), json.dumps(dict(began, unit=text)))
        atomic.write(os.path.join(UNITS[service.lasting], service.unit), text)
        _systemctl(run, "daemon-reload")
        if service.lasting:
            _systemctl(run, "enable", service.unit)
        _systemctl(run, "start", service.unit)
    else:
        began.update(process.known(_session(service, mark)))
        atomic.write(os.path.join(service.folder, "began.json"), json.dumps(began))


def alive(folder: str, run: Run) -> bool:
    """Whether the program that was started in this folder is running."""
    began = files.mapping(os.path.join(folder, "began.json"))
    if began.get("systemd"):
        return state(str(began["name"]) + ".service", run) in ACTIVE
    return process.runs(began)


def state(unit: str, run: Run) -> str:
    """Return systemd's ActiveState of a unit."""
    result = run(["systemctl", "show", "--property", "ActiveState", unit], ASK_S)
    return result.output.strip().partition("=")[2]


def altered(folder: str, run: Run) -> str:
    """Return how a lasting unit is no more as it was begun, in words; "" where it is, and where that is not known.

    A drop-in beside it is its operator's own.
    """
    began = files.mapping(os.path.join(folder, "began.json"))
    if "unit" not in began:  # a session, or begun by an earlier version
        return ""
    unit = str(began["name"]) + ".service"
    found = files.text(os.path.join(UNITS[True], unit))
    if found != began["unit"]:
        return "its unit %s" % ("was removed" if found is None else "was changed")
    enabled = run(["systemctl", "show", "--property", "UnitFileState", unit], ASK_S).output.strip().partition("=")[2]
    return "" if enabled == "enabled" else "its unit is %s" % (enabled or "not known to systemd")


def main_pid(folder: str, run: Run) -> int:
    """Return the runner's number, 0 if there is none."""
    began = files.mapping(os.path.join(folder, "began.json"))
    if not began.get("systemd"):
        return int(began.get("pid") or 0)
    result = run(["systemctl", "show", "--property", "MainPID", str(began["name"]) + ".service"], ASK_S)
    number = result.output.strip().partition("=")[2]
    return int(number) if number.isdigit() else 0


def stop(folder: str, run: Run, grace_s: float) -> bool:
    """End it and everything that it started; return whether anything was running.

    Raises AscendError if that cannot be done.
    """
    began = files.mapping(os.path.join(folder, "began.json"))
    was_alive = bool(began) and alive(folder, run)
    if began.get("systemd"):
        if was_alive:
            _systemctl(run, "stop", str(began["name"]) + ".service", wait_s=grace_s + ASK_S)
        forget(folder, run)
        return was_alive
    if was_alive:
        with suppress(ProcessLookupError):
            os.kill(began["pid"], signal.SIGTERM)
        until = time.monotonic() + grace_s + BEGIN_S
        while process.runs(began) and time.monotonic() < until:
            time.sleep(LOOK_S)
    mine = runner.marked(str(began["mark"])) if began.get("mark") else []
    left = process.end(mine + ([began["pid"]] if process.runs(began) else []))
    if left:
        raise AscendError(
            "cannot end a program",
            wanted="no process of %s" % began.get("name"),
            found="process %d hangs in the kernel" % left[0],
            where=folder,
            remedy="cat /proc/%d/stack; dmesg | tail  # then reboot the node" % left[0],
        )
    return was_alive or bool(mine)


def forget(folder: str, run: Run) -> None:
    """Take away the unit of a program that is not at work. Raises AscendError where systemd does not hear of it."""
    began = files.mapping(os.path.join(folder, "began.json"))
    if not began.get("systemd"):
        return
    unit = str(began["name"]) + ".service"
    for place in (os.path.join(each, unit) for each in UNITS.values()):
        if os.path.exists(place):
            run(["systemctl", "disable", unit], ASK_S)
            atomic.remove(place)
    _systemctl(run, "daemon-reload")
    # One that failed stays among the failed without its file. One that did not, systemd no longer knows: code 1.
    run(["systemctl", "reset-failed", unit], ASK_S)


def outcome(folder: str, account_uid: Optional[int] = None) -> Dict[str, Any]:
    """Return how the program ended, as its account says: ``{"code", "at", "asked"}``; empty if it does not say."""
    text = read_out(folder, "ended.json", account_uid)
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def read_out(folder: str, name: str, account_uid: Optional[int] = None, last_bytes: int = 64 * 1024) -> str:
    """Return the end of a file that the account wrote, "" if there is none; links are not followed."""
    path = os.path.join(folder, "out", name)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with open(handle, "rb") as stream:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or (account_uid is not None and status.st_uid != account_uid):
            return ""
        stream.seek(max(0, status.st_size - last_bytes))
        return stream.read(last_bytes).decode("utf-8", "replace")


def has_systemd() -> bool:
    return os.path.isdir(SYSTEMD)


def remarks(account: Account, run: Run) -> List[str]:
    """Return what the node does to an account's programs that nobody expects.

    logind's RemoveIPC removes an account's shared memory when its last session ends, whatever unit uses it.
    """
    lingers = os.path.exists(os.path.join(LINGER, account.name))
    if account.uid < SYSTEM_UIDS or lingers or not has_systemd():
        return []
    if run(["busctl", "get-property", *REMOVE_IPC], ASK_S).output.strip() != "b true":
        return []
    words = (
        "when %s logs out of the node, logind removes everything that %s has in /dev/shm, including this run's;"
        " next: %s"
    )
    return [words % (account.name, account.name, "loginctl enable-linger %s" % account.name)]


def unit_text(service: Service) -> str:
    """Return the unit. The command and its variables are in the job, because everybody can read a unit."""
    lines = ["# Made by ascend-fleet.", "[Unit]", "Description=%s" % service.description]
    if service.lasting:
        lines += ["Wants=network-online.target", "After=network-online.target"]
    lines += ["", "[Service]", "User=%s" % service.account.name]
    lines.append("ExecStart=%s -I %s %s" % (sys.executable, _place(service, "runner.py"), _place(service, "job.json")))
    lines += ["KillMode=mixed", "TimeoutStopSec=%d" % (service.grace_s + AFTER_GRACE_S), *service.settings]
    lines += [
        "Limit%s=%s" % (name.upper(), value if value >= 0 else "infinity") for name, value in service.limits.items()
    ]
    if service.lasting:
        lines += ["Restart=on-failure", "RestartSec=10", "", "[Install]", "WantedBy=multi-user.target"]
    return "\n".join(lines) + "\n"


def _place(service: Service, name: str) -> str:
    return os.path.join(service.folder, name)


def _write(service: Service, mark: str) -> None:
    """Write what the runner needs. The job exists before the folder belongs to anybody else."""
    account, out = service.account, _place(service, "out")
    os.makedirs(service.folder, mode=0o755, exist_ok=True)
    if os.path.islink(out) or not os.path.isdir(out):
        atomic.remove(out)
        os.mkdir(out, 0o750)
    os.chown(out, account.uid, account.gid)
    for each in ("ended.json", "log"):
        if os.path.lexists(os.path.join(out, each)):
            os.replace(os.path.join(out, each), os.path.join(out, each + ".before"))
    name, _, value = mark.partition("=")
    job: Dict[str, Any] = {"argv": list(service.argv), "env": dict(service.env, **{name: value}), "mark": mark}
    job.update(cwd=service.cwd, out=out, grace_s=service.grace_s, peers=service.peers)
    path = _place(service, "job.json")
    if os.path.exists(path):
        os.unlink(path)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with open(handle, "w", encoding="utf-8") as stream:
        os.fchown(handle, account.uid, account.gid)
        stream.write(json.dumps(job))
    atomic.write(_place(service, "runner.py"), inspect.getsource(runner))


def _session(service: Service, mark: str) -> int:
    """Start the runner in its own session; return its number."""
    began = subprocess.Popen(
        [sys.executable, "-I", _place(service, "runner.py"), _place(service, "job.json")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath, **dict([mark.split("=", 1)])},
        cwd="/",
        start_new_session=True,
        preexec_fn=partial(_become, service),
    )
    return began.pid


def _become(service: Service) -> None:
    for name, value in service.limits.items():
        with suppress(ValueError, OSError):  # more than the kernel allows anybody: then as much as it was
            resource.setrlimit(getattr(resource, "RLIMIT_" + name.upper()), (value, value))
    as_account(service.account)()


def _systemctl(run: Run, *words: str, wait_s: float = ASK_S) -> None:
    result = run(["systemctl", *words], wait_s)
    if result.code:
        raise AscendError(
            "systemctl %s failed" % " ".join(words),
            wanted="exit code 0",
            found=result.last_lines(5) or "exit code %d" % result.code,
            where="systemd",
            remedy="systemctl status %s; journalctl -u %s | tail" % (words[-1], words[-1]),
        )
