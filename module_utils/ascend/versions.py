# SPDX-License-Identifier: Apache-2.0
"""The order of CANN's and the driver's versions. The standard order (PEP 440) does not parse ``8.0.RC1.alpha001``."""

from __future__ import annotations

import re
from typing import List, Tuple

from ansible.module_utils.ascend.errors import AscendError

# (numbers, stage, candidate, pre-stage, build): tuples of one shape, so that Python compares them.
Key = Tuple[Tuple[int, ...], int, int, int, int]

_CANN = re.compile(r"(\d+(?:\.\d+)*)(?:\.?(RC|T)(\d+))?(?:\.(alpha|beta)(\d+))?", re.IGNORECASE)
_DRIVER = re.compile(r"(\d+(?:\.\d+)*)(?:\.(rc|t)(\d+))?(?:\.b(\d+))?", re.IGNORECASE)
_TRIAL, _CANDIDATE, _RELEASE = 0, 1, 2
_ALPHA, _FINAL = 0, 1


def cann_version_key(text: str) -> Key:
    """Return a key that orders CANN versions: 8.0.RC1.alpha001 < 8.0.RC1 < 8.0.RC2 < 8.0.0 < 8.1.RC1.

    ``8.0.RC1.beta1`` is the community name of the same file as ``8.0.RC1`` and is equal to it.
    Raises AscendError on any other text.
    """
    match = _CANN.fullmatch(text.strip())
    if not match:
        raise AscendError("no CANN version", wanted="a version such as 8.0.RC1", found=repr(text))
    numbers, kind, candidate, pre, build = match.groups()
    is_alpha = (pre or "").lower() == "alpha"
    return (
        _numbers(numbers),
        _stage(kind),
        int(candidate or 0),
        _ALPHA if is_alpha else _FINAL,
        int(build) if is_alpha else 0,
    )


def driver_version_key(text: str) -> Key:
    """Return a key that orders driver versions: 23.0.6.2 < 24.1.rc1 <= 24.1.rc1.b030 < 24.1.rc2 < 24.1.0 < 25.2.0.

    Raises AscendError on any other text.
    """
    match = _DRIVER.fullmatch(text.strip())
    if not match:
        raise AscendError("no driver version", wanted="a version such as 24.1.rc1", found=repr(text))
    numbers, kind, candidate, build = match.groups()
    return (_numbers(numbers), _stage(kind), int(candidate or 0), _FINAL, int(build or 0))


def compare_cann(one: str, other: str) -> int:
    """Return -1, 0 or 1: the CANN version ``one`` is older than, equal to or newer than ``other``."""
    return _compare(cann_version_key(one), cann_version_key(other))


def compare_driver(one: str, other: str) -> int:
    """Return -1, 0 or 1: the driver version ``one`` is older than, equal to or newer than ``other``."""
    return _compare(driver_version_key(one), driver_version_key(other))


def _compare(one: Key, other: Key) -> int:
    return (one > other) - (one < other)


def _numbers(text: str) -> Tuple[int, ...]:
    """Two places decide the series; a candidate has no third one and still comes before ``series.0``."""
    parts = [int(part) for part in text.split(".")]
    series: List[int] = parts[:2] + [0] * (2 - len(parts))
    patch = parts[2:] or [0]
    while len(patch) > 1 and patch[-1] == 0:
        patch.pop()
    return tuple(series + patch)


def _stage(kind: str) -> int:
    return {"": _RELEASE, "rc": _CANDIDATE, "t": _TRIAL}[(kind or "").lower()]
