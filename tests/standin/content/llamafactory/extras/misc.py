# SPDX-License-Identifier: Apache-2.0
"""The check of what training needs, with the words of the real one."""

from __future__ import annotations

from importlib.metadata import version
from typing import Dict

NEEDS: Dict[str, str] = {}  # distribution -> the version that it has to begin with


def check_dependencies() -> None:
    for name, wanted in NEEDS.items():
        found = version(name)
        if not found.startswith(wanted):
            raise ImportError(
                f"{name}=={wanted} is required for a normal functioning of this module, but found {name}=={found}.\n"
                f"To fix: pip install {name}=={wanted}"
            )
