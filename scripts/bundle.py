#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pack the depot, the project and a control node's own Python and wheels into parts for disks (make bundle)."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError, from_os_error  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.bundle import control, layout, pack, project  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.trouble import of_depot  # noqa: E402  (after the path)

README = """\
This is a bundle of ascend-fleet: a depot, the project, and what a control node needs to run it without a network.

    sh unbundle --help
    sh unbundle                  # on the control node, as root: verifies every file and prints the next steps
    sh unbundle --key key.pub    # the same, where SHA256SUMS is signed (minisign or GPG)

To check only the files, anywhere: sha256sum -c SHA256SUMS
Parts may be on other disks: sh unbundle /media/disk2 /media/disk3, or one after the other.
"""
Files = dict[str, pack.Content]


def main() -> int:
    options = _options()
    try:
        _bundle(options)
    except AscendError as error:
        sys.exit(f"bundle: {error}")
    except OSError as error:
        place = str(options.out) if str(options.out) in str(error.filename or options.out) else str(options.depot)
        sys.exit(f"bundle: {from_os_error(error, place) if place == str(options.out) else of_depot(error, place)}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bundle", description=__doc__)
    parser.add_argument("--depot", type=Path, default=Path("/srv/ascend-depot"))
    parser.add_argument("--out", type=Path, required=True, help="a folder for the bundle alone")
    parser.add_argument(
        "--part-mb", type=int, default=4000, help="the largest size of a part, in millions of bytes (FAT32: 4294)"
    )
    parser.add_argument("--control", nargs="+", choices=["aarch64", "x86_64"], required=True)
    parser.add_argument(
        "--control-python", type=Path, nargs="+", default=[], help="a relocatable CPython in place of the depot's"
    )
    parser.add_argument(
        "--ansible-core", default="", help='limit the version, e.g. "~=2.17.0" for nodes with Python 3.7'
    )
    parser.add_argument(
        "--incoming", type=Path, help="a folder with your own wheels, used before anything is downloaded"
    )
    return parser.parse_args()


def _bundle(options: argparse.Namespace) -> None:
    if options.part_mb * 10**6 < layout.LEAST_BYTES:
        raise AscendError("parts are too small", wanted="1 MB or more", found=f"{options.part_mb} MB")
    index = Index(options.depot)
    pack.contents(index)  # what is wrong with the depot is said before anything is downloaded
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ascend-bundle-") as folder:
        described, beside = _control(options, index, Path(folder))
        without = [path.resolve() for path in (options.out, options.depot)]
        beside["project.tar.gz"] = lambda sink: project.write(ROOT, without, sink)
        beside["unbundle"] = lambda sink: sink.write((ROOT / "scripts" / "unbundle").read_bytes())
        beside["README.txt"] = lambda sink: sink.write(README.encode())
        planned = pack.plan(index, described, options.part_mb * 10**6)
        _write(options, planned, beside)


def _control(options: argparse.Namespace, index: Index, folder: Path) -> tuple[dict[str, Any], Files]:
    """Choose each control node's CPython and wheels; return what bundle.json says of them, and their files."""
    described: dict[str, Any] = {}
    beside: Files = {}
    for architecture in sorted(set(options.control)):
        python = control.interpreter(index, architecture, options.control_python)
        _say(f"==> CPython {python.version} and Ansible's wheels for a control node of {architecture}")
        if warning := control.warning(python):
            _say(f"    warning: {warning}")
        place = folder / architecture
        place.mkdir()
        versions = control.wheels(ROOT, architecture, python.series, options.ansible_core, options.incoming, place)
        described[architecture] = control.described(python, versions)
        _say(f"    {', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}")
        beside[f"python-{architecture}.tar.gz"] = _copy(python.archive)
        beside[f"wheels-{architecture}.tar"] = _tar(place)
    return described, beside


def _copy(path: Path) -> pack.Content:
    return lambda sink: control.copy_of(path, sink)


def _tar(folder: Path) -> pack.Content:
    return lambda sink: control.tar_of(folder, sink)


def _write(options: argparse.Namespace, planned: dict[str, Any], beside: Files) -> None:
    out: Path = options.out
    parts = planned["parts"]
    wanted = pack.require_room(planned, out, sum(_size(content) for content in beside.values()))
    _say(f"==> {_gb(wanted)} go into {out}; parts: {len(parts)}")
    sums = pack.begin(out, planned)
    for name, content in sorted(beside.items()):
        sums.add(name, pack.write(out / name, content))
    sums.add(pack.PLAN, files.sha256(out / pack.PLAN))
    reader = pack.Reader(options.depot, planned["files"])
    done = 0
    for name, pieces in parts.items():
        size = layout.part_bytes(pieces)
        if not sums.known(name, size):
            sums.add(name, pack.write(out / name, _part(reader, pieces)))
        done += size
        _say(f"    {name}  {_gb(size)}  ({_gb(done)} of {_gb(wanted)})")
    sums.close()
    _say(f"==> done. Sign it, if the other side has your key: cd {shlex.quote(str(out))}, then one of")
    _say("    minisign -Sm SHA256SUMS")
    _say("    gpg --armor --detach-sign SHA256SUMS")
    _say(f"    Carry all files of {out} over. On the other side, as root: sh unbundle  (docs/airgap.md)")


def _part(reader: pack.Reader, pieces: list[layout.Piece]) -> pack.Content:
    return lambda sink: reader.part(pieces, sink)


def _size(content: pack.Content) -> int:
    """Return how many bytes a file of the bundle will have: the small ones are created twice."""
    counted = _Counted()
    content(counted)
    return counted.size


class _Counted(io.RawIOBase):
    size = 0

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        self.size += len(block)
        return len(block)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


if __name__ == "__main__":
    sys.exit(main())
