#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Read every file of the depot; name damaged ones, and fetch them again (make depot-check).

Exit code 1 if something damaged is left.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import check  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.trouble import of_depot  # noqa: E402  (after the path)

STEP = 5 * 10**9  # bytes between two lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="depot-check", description=__doc__)
    parser.add_argument("--depot", type=Path, default=Path("/srv/ascend-depot"))
    parser.add_argument(
        "--inventory", "-i", default="inventory/prod", help="the inventory, which defines what the depot must contain"
    )
    parser.add_argument("--look", action="store_true", help="list damaged files without replacing them")
    options = parser.parse_args()
    try:
        return _checked(options)
    except REPORTED as error:
        sys.exit(f"depot-check: {of_depot(error, str(options.depot))}")


def _checked(options: argparse.Namespace) -> int:
    damaged = _look(options.depot)
    if not damaged or options.look:
        return 1 if damaged else 0
    check.take_away(options.depot, damaged)
    if (ROOT / ".bundle").is_dir():
        _say("==> this project came in a bundle. With its parts at hand, this fetches damaged files again:")
        again = ["sh", str(ROOT / ".bundle" / "unbundle"), "--to", str(ROOT), "--depot", str(options.depot)]
        _say(f"    {shlex.join(again)} /the/folder/of/the/parts")
        return 1
    argv = ["ansible-playbook", "playbooks/depot.yml", "-i", options.inventory]
    _say(f"==> fetching it again: {shlex.join(argv)}")
    program = str(Path(sys.executable).parent / argv[0])
    if subprocess.run([program, *argv[1:]], cwd=ROOT, check=False).returncode:
        return 1
    left = [damage for damage in damaged if not (options.depot / damage.file).is_file()]
    for damage in left:
        _say(f"    {damage.file} is not fetched again, because nothing in {options.inventory} needs it")
    return 0


def _look(depot: Path) -> list[check.Damage]:
    _say(f"==> reading every file of {depot}")
    read = [0]

    def progress(size: int) -> None:
        if (read[0] + size) // STEP > read[0] // STEP:
            _say(f"    {(read[0] + size) / 1e9:.0f} GB")
        read[0] += size

    count, damaged = check.check(depot, progress)
    for damage in damaged:
        _say(f"    {damage.file}")
        _say(f"      wanted: {damage.wanted}")
        _say(f"      found:  {damage.found}")
    outcome = f"{len(damaged)} damaged" if damaged else "all intact"
    _say(f"==> {count} files, {read[0] / 1e9:.2f} GB read: {outcome}")
    return damaged


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
