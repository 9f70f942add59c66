# SPDX-License-Identifier: Apache-2.0
"""The one exception of the project."""

from __future__ import annotations

from typing import Dict


class AscendError(Exception):
    """Something that the operator must know: what was wanted, what was found, where, and the next command to type."""

    def __init__(self, problem: str, wanted: str = "", found: str = "", where: str = "", remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.wanted = wanted
        self.found = found
        self.where = where
        self.remedy = remedy

    def as_dict(self) -> Dict[str, str]:
        """Return the parts, for a module's result."""
        return {
            "problem": self.problem,
            "wanted": self.wanted,
            "found": self.found,
            "where": self.where,
            "remedy": self.remedy,
        }

    def __str__(self) -> str:
        parts = [("wanted", self.wanted), ("found", self.found), ("where", self.where), ("next", self.remedy)]
        return "; ".join([self.problem] + ["%s: %s" % (name, text) for name, text in parts if text])
