#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Print every file that the depot needs, with address, size and sha256 (make depot-list); nothing is downloaded."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import listing  # noqa: E402  (after the path)

UV, SWARM = (ROOT / "roles" / "depot" / "files" / name for name in ("uv.txt", "libtorrent.txt"))


def main() -> int:
    fleet, depot = (_defaults(role) for role in ("ascend", "depot"))
    parser = argparse.ArgumentParser(prog="depot-list", description=__doc__)
    parser.add_argument(
        "--release",
        nargs="+",
        default=[fleet["ascend_release"]],
        help="one or more releases, as make releases lists them",
    )
    parser.add_argument("--architecture", nargs="+", default=depot["depot_architectures"])
    parser.add_argument("--releases-dir", type=Path, default=ROOT / "releases")
    parser.add_argument("--extra-index", default=depot["depot_extra_index"], help="the index with torch's +cpu builds")
    parser.add_argument("--uv", type=Path, default=UV, help="the requirements file that pins uv")
    parser.add_argument("--swarm", action="store_true", help="list libtorrent as well, for depot_transport: swarm")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: list[listing.Listed] = []
    try:
        for release in options.release:
            folder = options.releases_dir / release
            swarm = SWARM if options.swarm else None
            found += listing.listing(folder, options.architecture, options.uv, options.extra_index, swarm)
    except REPORTED as error:
        sys.exit(f"depot-list: {error}")
    found = list({(each.name, each.sha256): each for each in reversed(found)}.values())[::-1]
    shown = [json.dumps([each._asdict() for each in found], indent=1)] if options.json else listing.text(found)
    sys.stdout.write("\n".join(shown) + "\n")
    return 0


def _defaults(role: str) -> dict[str, object]:
    path = ROOT / "roles" / role / "defaults" / "main.yml"
    defaults: dict[str, object] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return defaults


if __name__ == "__main__":
    sys.exit(main())
