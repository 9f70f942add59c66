#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What ``unbundle`` leaves to the bundle's CPython: the parts of the depot, and Ansible's virtual environment."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError, from_os_error  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.bundle import environment, unpack  # noqa: E402  (after the path)

DEFAULT_DEPOT = Path("/srv/ascend-depot")


def main() -> int:
    options = _options()
    try:
        return _depot(options) if options.step == "depot" else _environment(options)
    except AscendError as error:
        return _stopped([error])
    except OSError as error:
        return _stopped([from_os_error(error, str(options.depot))])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="unbundle")
    parser.add_argument("step", choices=["depot", "environment"])
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--depot", type=Path, required=True)
    parser.add_argument("--key", default="")
    parser.add_argument("folders", type=Path, nargs="*")
    return parser.parse_args()


def _depot(options: argparse.Namespace) -> int:
    planned = json.loads((options.bundle / "bundle.json").read_text(encoding="utf-8"))
    size = sum(entry["size_bytes"] for entry in planned["files"].values())
    _say(f"==> the depot, {len(planned['files'])} files of {_gb(size)}, goes into {options.depot}")
    folders = [folder.absolute() for folder in options.folders]
    sums = unpack.read_sums(options.bundle / "SHA256SUMS")
    taken = unpack.take(planned, sums, options.depot, folders, lambda line: _say(f"    {line}"))
    if taken.damaged:
        _stopped(taken.damaged)
    if taken.missing:
        again = ["sh", str(options.bundle / "unbundle"), "--to", str(options.to), "--depot", str(options.depot)]
        again += ["--key", options.key] if options.key else []
        missing = AscendError(
            "parts of the bundle are missing",
            wanted=", ".join(taken.missing),
            found="none of them",
            where=", ".join(map(str, folders)),
            remedy=f"mount the disk that has them, then: {shlex.join(again)} /the/folder/of/that/disk",
        )
        _stopped([missing])
    return 1 if taken.damaged or taken.missing else 0


def _environment(options: argparse.Namespace) -> int:
    _say(f"==> Ansible, from the bundle's wheels, goes into {options.to}/.venv")
    environment.make(options.to)
    _say(f"    {environment.prove(options.to)}")
    if environment.lacks_ssh():
        _say(
            "    ssh is missing: install the distribution's OpenSSH client from its installation medium before you"
            " connect to a node"
        )
    if options.depot != DEFAULT_DEPOT:
        _say(f"    name the depot in inventory/prod/group_vars/all.yml: ascend_depot_dir: {options.depot}")
    _say("==> done. Next, with your nodes in inventory/prod (docs/airgap.md):")
    _say(f"    cd {shlex.quote(str(options.to))} && . .venv/bin/activate")
    _say("    ansible-playbook site.yml -i inventory/prod --check --diff")
    return 0


def _stopped(errors: list[AscendError]) -> int:
    for error in errors:
        parts = [("wanted", error.wanted), ("found", error.found), ("where", error.where), ("next", error.remedy)]
        lines = [f"unbundle: {error.problem}", *(f"  {name + ':':7} {words}" for name, words in parts if words)]
        sys.stderr.write("\n".join(lines) + "\n")
    return 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


if __name__ == "__main__":
    sys.exit(main())
