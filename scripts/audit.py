#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check every distribution of every lock for known vulnerabilities, with pip-audit (make audit).

Exit code: 0 if all were checked and none is known, 1 if some are known, 3 if some could not be checked because no
database was reached or it does not know the distribution. What was not checked is never called clean.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import lock as locks  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED  # noqa: E402  (after the path)

CLEAN, VULNERABLE, UNCHECKED = 0, 1, 3
LIMIT_S = 1800


def main() -> int:
    parser = argparse.ArgumentParser(prog="audit", description=__doc__)
    parser.add_argument("--releases-dir", type=Path, default=ROOT / "releases")
    parser.add_argument(
        "--service", choices=["pypi", "osv"], default="pypi", help="the vulnerability database to query"
    )
    options = parser.parse_args()
    files = sorted([*options.releases_dir.glob("*/lock-*.txt"), *(ROOT / "roles/depot/files").glob("*.txt")])
    try:
        pins = pinned(files)
        with tempfile.TemporaryDirectory() as folder:
            answer = asked(requirements(pins, Path(folder)), options.service)
    except REPORTED as error:
        sys.exit(f"audit: {error}")
    code, lines = judged(pins, answer)
    sys.stdout.write("\n".join(lines) + "\n")
    return code


def pinned(files: list[Path]) -> dict[tuple[str, str], list[str]]:
    """Return (distribution, version) -> its locks. A build such as +cpu has the defects of its version."""
    found: dict[tuple[str, str], list[str]] = {}
    for file in files:
        for name, version in locks.parse(file.read_text(encoding="utf-8")).items():
            where = f"{file.parent.name}/{file.name}"
            found.setdefault((name, version.partition("+")[0]), []).append(where)
    return found


def requirements(pins: dict[tuple[str, str], list[str]], folder: Path) -> list[Path]:
    """Write the pins as requirements, no distribution twice in a file; return the files."""
    rows: list[dict[str, str]] = []
    for name, version in sorted(pins):
        row = next((row for row in rows if name not in row), None)
        if row is None:
            rows.append(row := {})
        row[name] = version
    for number, row in enumerate(rows):
        text = "".join(f"{name}=={version}\n" for name, version in row.items())
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    return [folder / f"{number}.txt" for number in range(len(rows))]


def asked(files: list[Path], service: str) -> list[dict[str, Any]] | str:
    """Return what pip-audit says about each distribution, or why it says nothing. It resolves and installs nothing."""
    found: list[dict[str, Any]] = []
    for file in files:
        argv = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--no-deps"]
        argv += ["--disable-pip", "--vulnerability-service", service, "--requirement", str(file)]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT_S)
            found += json.loads(done.stdout)["dependencies"]
        except subprocess.TimeoutExpired:
            return f"no answer within {LIMIT_S} s"
        except (ValueError, KeyError):
            return (done.stderr.strip().splitlines() or ["pip-audit printed nothing"])[-1][:300]
    return found


def judged(pins: dict[tuple[str, str], list[str]], answer: list[dict[str, Any]] | str) -> tuple[int, list[str]]:
    """Return the exit code and the lines to show."""
    if isinstance(answer, str):
        return UNCHECKED, [f"Not checked, none of {len(pins)}: {answer}"]
    lines, checked = [], set()
    for each in answer:
        key = (each["name"], each.get("version", ""))
        if "skip_reason" not in each:
            checked.add(key)
        for defect in each.get("vulns", []):
            fixed = ", ".join(defect["fix_versions"]) or "no version"
            lines.append(f"{key[0]} {key[1]}: {defect['id']}, fixed in {fixed} ({', '.join(pins.get(key, []))})")
    left = sorted(set(pins) - checked)
    reason = next((each["skip_reason"] for each in answer if "skip_reason" in each), "pip-audit does not report on it")
    if left:
        some = ", ".join(" ".join(key) for key in left[:5]) + (", ..." if len(left) > 5 else "")
        lines.append(f"Not checked, {len(left)} of {len(pins)}: {some}. The first reason: {reason}")
    else:
        lines.append(f"All {len(pins)} distributions were checked.")
    return (VULNERABLE if len(lines) > 1 else UNCHECKED if left else CLEAN), lines


if __name__ == "__main__":
    sys.exit(main())
