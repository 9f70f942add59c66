# SPDX-License-Identifier: Apache-2.0
"""The helper of the drift account: its archive, its version, and the answer of a node's helper.

The archive is Python's own form of a program (zipapp): one file that root owns, with the modules that the facts need.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

from ...ascend import helper as program, zipped
from ...ascend.errors import AscendError
from ...ascend.finding import quoted
from ...ascend.places import HELPER, HELPER_CONFIG

COMMAND = f"sudo -n {HELPER}"
# Isolated, and without the distribution's site-packages: the facts need the standard library alone.
_FIRST_LINE = b"#!/usr/bin/python3 -IS\n"
_PACKAGE = program.__name__.rpartition(".")[0].replace(".", "/")
_MAIN = f"""\
from {zipped.__name__} import {zipped.compile_once.__name__}

{zipped.compile_once.__name__}()

from {program.__name__} import {program.main.__name__}

{program.main.__name__}("%s")
"""
_BEGIN = ("helper.py", "zipped.py")
_IMPORT = re.compile(r"^[ \t]*from[ \t]+(\.+)([\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)", re.MULTILINE)
_ACCOUNT = "ansible-playbook playbooks/drift_account.yml INVENTORY --limit NODE"


class HelperError(AscendError):
    """The helper gave no facts, or not those that were asked for."""

    def __init__(self, problem: str, wanted: str, found: str, where: str = HELPER, remedy: str = _ACCOUNT) -> None:
        super().__init__(problem, wanted=wanted, found=found, where=where, remedy=remedy)


def version() -> str:
    """Return the sum of all that the helper is made of."""
    digest = hashlib.sha256(_FIRST_LINE + _MAIN.encode())
    for name, text in sorted(_texts().items()):
        digest.update(f"{name}\0{hashlib.sha256(text).hexdigest()}\n".encode())
    return digest.hexdigest()


def archive() -> bytes:
    """Return the program; the same bytes wherever it is made."""
    packages = {"/".join(_PACKAGE.split("/")[:depth]) for depth in range(1, _PACKAGE.count("/") + 2)}
    packages |= {f"{_PACKAGE}/{Path(name).parent}" for name in _texts() if "/" in name}
    texts = {f"{package}/__init__.py": b"" for package in packages}
    texts |= {f"{_PACKAGE}/{name}": text for name, text in _texts().items()}
    texts["__main__.py"] = (_MAIN % version()).encode()
    made = io.BytesIO(_FIRST_LINE)
    made.seek(0, io.SEEK_END)
    with zipfile.ZipFile(made, "w") as packed:
        for name, text in sorted(texts.items()):
            packed.writestr(zipfile.ZipInfo(name), text)  # not compressed: zlib's versions differ
    return made.getvalue()


def facts(answer: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Return the facts in the result of ``COMMAND`` (``rc``, ``stdout``, ``stderr``).

    Raises HelperError if there are none, or if they are of another version or of something else than ``asked``.
    """
    answered = _answered(answer)
    if answered.get("helper") != version():
        raise HelperError(
            "the helper is from another version of ascend-fleet",
            f"version {version()[:12]}, the control node's",
            f"version {str(answered.get('helper'))[:12]}",
        )
    refused = answered.get("refused")
    if isinstance(refused, dict):
        parts = {key: str(refused.get(key, "")) for key in ("problem", "wanted", "found", "where", "remedy")}
        raise HelperError(**parts)
    # A dictionary of the inventory may hold what JSON has not: tuples, for example.
    differs = _differs(json.loads(json.dumps(asked)), answered.get("asked") or {})
    if differs:
        raise HelperError(
            "the helper was set up with values other than the inventory's",
            "what the inventory says of " + ", ".join(differs),
            "a different value when playbooks/drift_account.yml wrote it",
            HELPER_CONFIG,
        )
    found: dict[str, Any] = answered["facts"]
    return found


def refuse_deep(asked: dict[str, Any]) -> None:
    """Raise HelperError for the deep form, which runs torch on the cards, because the helper only reads."""
    if asked["deep"]:
        raise HelperError(
            "the helper cannot run a deep check",
            "a fast check, or site.yml's account",
            "drift_deep or ascend_deep, with drift_by_helper",
            "the inventory",
            "ansible-playbook playbooks/drift.yml INVENTORY --limit NODE -e drift_deep=true -e drift_by_helper=false",
        )


def _answered(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what the helper printed: one line, after whatever the account's shell prints."""
    for line in reversed(str(answer.get("stdout") or "").splitlines()):
        try:
            found = json.loads(line) if line.startswith("{") else None
        except ValueError:
            continue
        if isinstance(found, dict) and "helper" in found:
            return found
    words = " ".join(str(answer.get(key) or "") for key in ("stderr", "stdout")).strip()
    raise HelperError(
        _why(words),
        f"its answer to {COMMAND}",
        quoted(words or "no output") + f" (exit code {answer.get('rc')})",
    )


def _why(words: str) -> str:
    lowered = words.lower()
    if re.search(
        r"password is required|a terminal is required|must have a tty|not in the sudoers|not allowed|may not run",
        lowered,
    ):
        return "sudo does not let the account run the helper"
    if re.search(r"sudo: .*(?:command not found|no such file)", lowered):
        return "the helper is not on the node"
    if "sudo" in lowered and "not found" in lowered:
        return "the node has no sudo"
    return "the helper returned no facts"


def _differs(asked: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(key for key in {*asked, *other} if asked.get(key) != other.get(key))


def _texts() -> dict[str, bytes]:
    """Return the modules that the helper imports, directly or not, by their paths within the package."""
    base = Path(__file__).resolve().parents[2] / "ascend"
    texts: dict[str, bytes] = {}
    waiting = list(_BEGIN)
    while waiting:
        name = waiting.pop()
        if name in texts:
            continue
        texts[name] = (base / name).read_bytes()
        for dots, module, names in _IMPORT.findall(texts[name].decode("utf-8")):
            folder = Path(name).parents[len(dots) - 1] / module.replace(".", "/")
            inside = [folder / each for each in re.findall(r"(\w+)(?:[ \t]+as[ \t]+\w+)?", names)]
            found = [path.with_name(path.name + ".py") for path in (folder, *inside) if path.name]
            waiting += [str(path) for path in found if (base / path).is_file()]
    return texts
