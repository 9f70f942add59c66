#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Print what each release contains and whether its parts are compatible (make releases). Exit code 1 if not."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.table import lines  # noqa: E402  (after the path)


def main() -> int:
    defaults = yaml.safe_load((ROOT / "roles" / "ascend" / "defaults" / "main.yml").read_text(encoding="utf-8"))
    releases = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "releases"
    try:
        shown, together = lines(releases, defaults["ascend_release"], shutil.get_terminal_size().columns)
    except AscendError as error:
        sys.exit(str(error))
    sys.stdout.write("\n".join(shown) + "\n")
    return 0 if together else 1


if __name__ == "__main__":
    sys.exit(main())
