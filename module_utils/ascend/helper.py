# SPDX-License-Identifier: Apache-2.0
"""The helper: a node's facts as root sees them, for an account that may run only this program as root.

sudo starts it as ``/usr/bin/python3 -IS`` with its archive, so that nothing of the caller is imported. It assumes a
hostile caller: it takes no argument, reads neither its input nor its environment, and a file that only root may write
(``HELPER_CONFIG``) says what it looks at. Only one runs at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
import stat
import sys
import time
from typing import Any, Dict, List, Mapping, Optional

from .command import query
from .errors import REPORTED, AscendError, from_os_error
from .facts import collect_in_time
from .masking import masked_values
from .node import Node
from .places import HELPER_CONFIG, Places

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COMMAND_S = 30  # as the module's command_timeout_s
TURN_S = 20.0  # to wait for another one's end
LOCK = "/run/ascend-fleet-facts.lock"
MOST_FILE = 64 * 1024 * 1024  # bytes that a program may write to its output's file
AGAIN = "ansible-playbook playbooks/drift_account.yml INVENTORY --limit NODE"  # writes the helper and its file anew


def main(version: str, config: str = HELPER_CONFIG, lock: str = LOCK) -> None:
    """Print one line of JSON: ``helper`` (the version), and either ``asked`` with ``facts``, or ``refused``."""
    _shut_off()
    answer: Dict[str, Any] = {"helper": version}
    try:
        answer.update(_answer(sys.argv[1:], config, lock))
    except REPORTED as error:
        refused = error if isinstance(error, AscendError) else from_os_error(error)
        answer["refused"] = masked_values(refused.as_dict())
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _shut_off() -> None:
    """Take nothing from the caller: neither environment nor folder, umask, standard input, limits or priority."""
    os.environ.clear()
    os.environ.update(PATH=PATH, HOME="/root", LC_ALL="C", LANG="C")
    os.chdir("/")
    os.umask(0o077)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_FILE, MOST_FILE))


def _answer(arguments: List[str], config: str, lock: str) -> Dict[str, Any]:
    if arguments:
        raise _refusal("the helper takes no arguments", "none", "%d of them" % len(arguments), "its command line")
    if not sys.flags.isolated:
        raise _refusal("the helper was started without isolation", "python3 -I", "python3 without -I", sys.argv[0])
    settings = _settings(config)
    asked = settings["asked"]
    turn = _turn(lock)
    try:
        facts = collect_in_time(
            settings["timeout_s"],
            Node(query, lambda name: shutil.which(name, path=PATH)),
            Places.of(asked),
            asked["gather_subset"],
            COMMAND_S,
            asked["deep"],
            asked["kernel_settings"],
            asked["cards_out"],
            asked["users"],
        )
    finally:
        if turn is not None:
            os.close(turn)
    return {"asked": asked, "facts": facts}


def _settings(path: str) -> Mapping[str, Any]:
    """Return what the helper should ask, from a file that only root can have written."""
    wanted = "what playbooks/drift_account.yml writes"
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _refusal("the helper cannot open its settings", wanted, error.strerror or "", path) from None
    with open(number, encoding="utf-8") as stream:
        about = os.fstat(number)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
            found = "owner %d, mode %o" % (about.st_uid, about.st_mode & 0o7777)
            raise _refusal("others can write the helper's settings", "a file that only root can write", found, path)
        try:
            settings: Mapping[str, Any] = json.load(stream)
            Places.of(settings["asked"])
            settings["timeout_s"] + 0
        except (ValueError, KeyError, TypeError) as error:
            raise _refusal("the helper cannot read its settings", wanted, repr(error), path) from None
    return settings


def _turn(path: str) -> Optional[int]:
    """Wait until no other helper runs, so that an account cannot make root work for it as often as it likes.

    Returns an open file; closing it ends the turn. Returns None if no lock can be made, because a full /run is no
    reason to be silent. Only this process has the lock; a child that hangs in the kernel does not keep it.
    """
    try:
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError:
        return None
    until = time.monotonic() + TURN_S
    while True:
        try:
            fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number
        except (BlockingIOError, PermissionError):
            if time.monotonic() >= until:
                os.close(number)
                raise _refusal(
                    "another drift check is running on the node",
                    "one that finishes within %d s" % TURN_S,
                    "it is still running",
                    path,
                    "fuser -v %s  # on the node: which process holds it? then check again" % path,
                ) from None
            time.sleep(0.1)


def _refusal(problem: str, wanted: str, found: str, where: str, remedy: str = AGAIN) -> AscendError:
    return AscendError(problem, wanted=wanted, found=found, where=where, remedy=remedy)
