# SPDX-License-Identifier: Apache-2.0
"""What forbids a change because the node's own Python is wanted (``ascend_python: system``) but unsuitable."""

from __future__ import annotations

from ...ascend.finding import Refusal, refusal
from .asked import WantedPython
from .found import SystemPython

_OTHERWISE = "use the depot's (ascend_python: depot)"


def python_refusals(
    found: dict[str, SystemPython], python: WantedPython, release: str, todo: set[str]
) -> list[Refusal]:
    """Return the refusals; none if the depot's Python is wanted, which contains what it needs."""
    if python.source != "system":
        return []
    series = python.series
    if series not in found:
        others = ", ".join(f"Python {other}" for other in found) or "no Python in /usr/bin and /usr/local/bin"
        return [
            refusal(
                "python",
                "system-python",
                f"the node's distribution provides no Python {series}",
                f"Python {series} of the distribution, for release {release}",
                others,
                f"install the distribution's python{series} and its pip, or {_OTHERWISE}",
                "/usr/bin",
            )
        ]
    if todo.isdisjoint(("toolkit", "kernels")):
        return []
    return [_beside(name, series, found[series].path) for name in found[series].lacks]


def _beside(name: str, series: str, path: str) -> Refusal:
    """CANN's installer calls both by these names, from that Python's folder."""
    folder = path.rpartition("/")[0]
    remedy = _OTHERWISE
    if name == "pip3":
        remedy = "apt-get install python3-pip || dnf install python3-pip  # or " + remedy
    return refusal(
        "python",
        "system-python",
        f"CANN's installer would not find the {name} of Python {series}",
        f"{name} in {folder}, of Python {series}",
        "none, or one of a different Python",
        remedy,
        f"{folder}/{name}",
        name,
    )
