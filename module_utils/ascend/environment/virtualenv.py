# SPDX-License-Identifier: Apache-2.0
"""Read which Python an environment runs: from its pyvenv.cfg (module ``venv``) and bin/python, which is not started."""

from __future__ import annotations

import os
import re
from typing import Callable, Dict, NamedTuple, Optional, Tuple

from .. import files
from .distributions import Problem, shown
from .leaks import LEAK

CONFIG = "pyvenv.cfg"
CONDA = "conda-meta"
RECEIPT = ".ascend-fleet.json"  # written last by the module that made a Python or an environment
FILES = ".ascend-fleet.files"  # beside it: what the fast form compares its files with
INTERPRETER = "environment-interpreter"
MOST_LINKS = 40  # the kernel follows as many
MOST_LINES = 100
_OTHER = "bin/python points to Python %s, but the environment was made with %s"

Place = Callable[[str], str]


class Interpreter(NamedTuple):
    """``version`` ("3.10.13") and ``series`` ("3.10") are None if no file says them.

    Building the environment again cures the ``problems``.
    """

    version: Optional[str]
    series: Optional[str]
    problems: Tuple[Problem, ...]


def read(here: str, place: Place) -> Interpreter:
    """Read the environment in the folder ``here``; ``place`` maps the node's absolute paths to where they are."""
    path = os.path.join(here, "bin", "python")
    program = resolved(path, place)
    texts = {"bin/python": _program_problem(path, program)}
    leak = ""
    if os.path.isdir(os.path.join(here, CONDA)):
        made_with = _conda_version(here)
        texts[CONDA] = "conda made the environment"
    else:
        config = files.text(os.path.join(here, CONFIG))
        settings = _config(config)
        made_with = _version(settings.get("version_info", "")) or _version(settings.get("version", ""))
        texts[CONFIG] = _config_problem(config, settings, place)
        if settings.get("include-system-site-packages", "").lower() == "true":
            leak = "%s includes the system's site-packages" % CONFIG
    version = _version_of(program) or made_with
    series = ".".join(version.split(".")[:2]) if version else None
    linked = re.fullmatch(r"python(3\.[0-9]{1,3})", os.path.basename(program))
    if linked and series and linked.group(1) != series:
        texts["version"] = _OTHER % (linked.group(1), version)
    elif made_with and version != made_with:
        texts["version"] = _OTHER % (version, made_with)
    problems = [Problem(INTERPRETER, shown(text), subject=subject) for subject, text in texts.items() if text]
    problems += [Problem(LEAK, leak, subject=CONFIG)] if leak else []
    return Interpreter(version, linked.group(1) if linked else series, tuple(problems))


def _program_problem(path: str, program: str) -> str:
    if not os.path.lexists(path):
        return "bin/python is missing"
    if not os.path.lexists(program):
        return "bin/python points to %s, which is missing" % files.link(path)
    if not files.is_program(program):
        return "bin/python cannot be run"
    return "" if os.path.getsize(program) else "bin/python is empty"


def _config(config: Optional[str]) -> Dict[str, str]:
    lines = [line.partition("=") for line in (config or "").splitlines()[:MOST_LINES]]
    return {key.strip().lower(): value.strip() for key, equals, value in lines if equals}


def _config_problem(config: Optional[str], settings: Dict[str, str], place: Place) -> str:
    if config is None:
        return "%s is missing" % CONFIG
    home = settings.get("home", "")
    if not home.startswith("/") or "\0" in home:
        return "%s does not name a home" % CONFIG
    return "" if os.path.isdir(place(home)) else "%s names the home %s, which is missing" % (CONFIG, home)


def _version(text: str) -> Optional[str]:
    """Return "3.10.13" of "3.10.13" or virtualenv's "3.10.13.final.0"."""
    match = re.match(r"[0-9]{1,3}\.[0-9]{1,3}(?:\.[0-9]{1,3})?(?![0-9])", text)
    return match.group(0) if match else None


def _version_of(program: str) -> Optional[str]:
    """Return the version of a Python that came from the depot, by its receipt."""
    prefix = os.path.dirname(os.path.dirname(program))
    version = files.mapping(os.path.join(prefix, RECEIPT)).get("version")
    return _version(version) if isinstance(version, str) else None


def _conda_version(here: str) -> Optional[str]:
    for name in files.names(os.path.join(here, CONDA)):
        match = re.fullmatch(r"python-(3[0-9.]{0,20})-[^-]*\.json", name)
        if match:
            return _version(match.group(1))
    return None


def resolved(path: str, place: Place) -> str:
    """Follow a link and the links behind it, absolute ones as the node sees them."""
    for _ in range(MOST_LINKS):
        target = files.link(path)
        if target is None:
            break
        path = place(target) if target.startswith("/") else os.path.join(os.path.dirname(path), target)
    return path
