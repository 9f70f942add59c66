# SPDX-License-Identifier: Apache-2.0
"""The files of a report: report.json for programs, and names of nodes for ``--limit @FILE``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...ascend import atomic
from ..drift.outputs import fleet_json
from ..rack.report import names_file, write_names
from .verdicts import COMMONEST, HEALTHY, VERDICTS, named


def write(report: Mapping[str, Any], folder: Path) -> None:
    """Write report.json, passing.txt, failing.txt and cause-N.txt, each atomically. Raises OSError.

    passing.txt has the healthy nodes, failing.txt all others. An empty file has a pattern that matches nobody.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The names last: where they are new, the report that explains them is.
    atomic.write(str(folder / "report.json"), fleet_json(dict(report)))
    write_names(folder, named(report, [HEALTHY]), named(report, set(VERDICTS) - {HEALTHY}))
    for number in range(COMMONEST):
        nodes = report["causes"][number]["nodes"] if number < len(report["causes"]) else []
        atomic.write(str(folder / f"cause-{number + 1}.txt"), names_file(nodes))
