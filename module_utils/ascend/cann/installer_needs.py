# SPDX-License-Identifier: Apache-2.0
"""What CANN's installers need on a node. Checked first: an installer finds out half way, with the old CANN gone.

The archives unpack with tar and gzip; the toolkit's parts call pip3 and python3, from the installer's PATH, where a
missing one makes the whole installation roll back; all look for their place in the record in /etc/Ascend.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import Callable, Dict, Optional

from .. import files
from ..command import Result
from ..errors import AscendError
from ..node import Node
from ..places import BESIDE, CANN_INSTALL_RECORD
from . import elsewhere as cann_elsewhere

PIP_S = 120  # pip3 from a cold disk
ARCHIVE = ("bash", "tar", "gzip", "head", "dd", "cut")
PYTHON = ("python3", "pip3")

Run = Callable[..., Result]


def require(kind: str, root: str, env: Dict[str, str], run: Run, node_root: str = "/") -> None:
    """Raise AscendError if the installer of ``kind`` ("toolkit" or "kernels") cannot work with ``env``.

    Removes an empty record, as after a power cut. ``node_root`` is the folder with the node's files.
    """
    for program in ARCHIVE:
        _require_program(program, env["PATH"], "dnf install %s || apt-get install %s" % (program, program))
    if kind == "toolkit":
        for program in PYTHON:
            _require_program(program, env["PATH"], _python_remedy(env))
        _require_pip(env, run)
    _require_install_record(root, node_root)


def lacking(env: Dict[str, str]) -> str:
    """Return, for the message of a failed installer, what some versions also need; "" if the node has it."""
    return "" if shutil.which("unzip", path=env["PATH"]) else "unzip, which some of its parts need, is missing"


def _require_program(program: str, path: str, remedy: str) -> None:
    if shutil.which(program, path=path):
        return
    raise AscendError(
        "CANN's installer needs %s, which is missing" % program,
        wanted="%s in the installer's PATH" % program,
        found="no such program",
        where=path,
        remedy=remedy,
    )


def _require_pip(env: Dict[str, str], run: Run) -> None:
    """A pip3 whose Python was replaced or removed exists but does not run."""
    program = str(shutil.which("pip3", path=env["PATH"]))
    result = run([program, "--version"], PIP_S, env=env)
    if result.code == 0 and not result.timed_out:
        return
    what = "no answer within %d s" % PIP_S if result.timed_out else "code %d" % result.code
    raise AscendError(
        "CANN's installer needs pip3, but pip3 does not run",
        wanted="pip3 --version with code 0, as root",
        found="%s: %s" % (what, result.last_lines(3) or "no output"),
        where=program,
        remedy=_python_remedy(env),
    )


def _python_remedy(env: Dict[str, str]) -> str:
    words = "PATH=%s sh -c 'command -v python3 pip3 && pip3 --version'" % env["PATH"]
    return words + "  # else: dnf install python3-pip || apt-get install python3-pip"


def _require_install_record(root: str, node_root: str) -> None:
    node = Node(_never, _nowhere, node_root)
    path = node.path(CANN_INSTALL_RECORD)
    toolkit_path, findings = cann_elsewhere.read_install_record(node, root)
    if not findings or (toolkit_path and os.path.normpath(toolkit_path) in (root, os.path.join(root, BESIDE))):
        return
    if os.path.isfile(path) and not (files.text(path) or "\0").strip(cann_elsewhere.NOTHING):
        with suppress(FileNotFoundError):
            os.unlink(path)
        return
    problem = findings[0]
    raise AscendError(problem["problem"], problem["wanted"], problem["found"], problem["where"], problem["remedy"])


def _never(_argv: object, _timeout_s: float) -> Result:
    return Result(127, "", False)


def _nowhere(_name: str) -> Optional[str]:
    return None
