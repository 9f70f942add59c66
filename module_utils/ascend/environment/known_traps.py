# SPDX-License-Identifier: Apache-2.0
"""Versions of distributions that install well together and fail on a card."""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple, Tuple

from .distributions import Problem, shown

NUMPY = "environment-numpy-2"
SETUPTOOLS = "environment-setuptools"
PAIR = "environment-torch-pair"

_RELEASE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}")


class Trap(NamedTuple):
    """A problem, and the distributions whose versions cause it."""

    names: Tuple[str, ...]
    problem: Problem


def find(versions: Dict[str, str]) -> List[Trap]:
    """Return the traps in a set of distributions (name -> version)."""
    return _numpy(versions) + _setuptools(versions) + _pair(versions)


def _numpy(versions: Dict[str, str]) -> List[Trap]:
    """The Python part of CANN's operators (TBE) uses names that numpy 2 removed."""
    numpy = versions.get("numpy", "")
    if _release(numpy) < (2,):
        return []
    return [_trap(("numpy",), NUMPY, "numpy is %s, but CANN needs a version below 2" % numpy)]


def _setuptools(versions: Dict[str, str]) -> List[Trap]:
    """torch 2.1 and torch-npu for it import pkg_resources, and ``packaging`` from it: 70.0.0 and 82 on lack them."""
    torch = _release(versions.get("torch", versions.get("torch-npu", "")))
    if torch and torch[:2] != (2, 1):
        return []
    found = versions.get("setuptools")
    if found is None:
        words = "setuptools is missing, but torch 2.1 needs its pkg_resources" if torch else ""
    elif _release(found) == (70,):
        words = "setuptools is 70.0.0, whose pkg_resources lacks packaging"
    else:
        words = "setuptools is %s, but 82 removed pkg_resources" % found if _release(found) >= (82,) else ""
    return [_trap(("setuptools",), SETUPTOOLS, words)] if words else []


def _pair(versions: Dict[str, str]) -> List[Trap]:
    """torch-npu X.Y.Z.postN is built for torch X.Y.Z; what follows a "+" does not count."""
    npu, torch = versions.get("torch-npu"), versions.get("torch")
    if npu is None or _release(npu) == _release(torch or ""):
        return []
    words = "torch-npu is %s, but torch is %s" % (npu, torch or "missing")
    return [_trap(("torch", "torch-npu"), PAIR, words)]


def _trap(names: Tuple[str, ...], name: str, words: str) -> Trap:
    return Trap(names, Problem(name, shown(words)))


def _release(version: str) -> Tuple[int, ...]:
    """Return the numbers of a version's release segment, without trailing zeros; () if there is none."""
    match = _RELEASE.match(version)
    numbers = [int(number) for number in match.group(0).split(".")] if match else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
