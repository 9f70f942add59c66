#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build simulated CANN packages: genuine makeself archives that install CANN's layouts, with stub libraries.

They are for nodes without an NPU. The archive, its checks, and the installers' options, texts, logs, files and faults
are real; the content is not.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import later
import older
import stubs
from header import adapted

HERE = Path(__file__).resolve().parent
# What release.yml calls cann.layout.
LAYOUTS = {"ascend-toolkit": older, "cann": later}
HELP = """Options of the package, after those of the archive:
  --install --upgrade --uninstall --full --devel --run --force --quiet --version
  --install-path=<path> --install-for-all --type=<product> --whitelist=<part> --extract=<path> --noexec
"""


def build(output: Path, version: str, arch: str, names: list[str], layout: str) -> list[Path]:
    """Build the toolkit and the second package (kernels or ops of the 910b) of one version; return their paths."""
    output.mkdir(parents=True, exist_ok=True)
    kind, targets = LAYOUTS[layout], targets_in(output, version, arch, layout)
    for fill, target in zip((kind.toolkit, kind.second), targets, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            payload = Path(folder) / "payload"
            payload.mkdir()
            fill(payload, version, arch, names)
            pack(payload, target)
    return targets


def targets_in(output: Path, version: str, arch: str, layout: str) -> list[Path]:
    """Return where the packages go, under Huawei's names."""
    names = (f"Ascend-cann-toolkit_{version}_linux-{arch}.run", LAYOUTS[layout].second_name(version, arch))
    return [output / name for name in names]


def pack(payload: Path, target: Path) -> None:
    """Create the archive with the distribution's makeself and the adapted header."""
    header, help_header = payload.parent / "header.sh", payload.parent / "help.txt"
    header.write_text(adapted(), encoding="utf-8")
    help_header.write_text(HELP, encoding="utf-8")
    partial = target.with_name(target.name + ".part")
    argv = ["makeself", "--gzip", "--nomd5", "--nocrc", "--sha256", "--tar-quietly", "--header", str(header)]
    argv += ["--help-header", str(help_header), str(payload), str(partial), "ASCEND_RUN_PACKAGE", "./install.sh"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"makeself: {target.name}: {done.stdout[-400:]}{done.stderr[-400:]}")
    partial.replace(target)


def digest_of_inputs(*words: str) -> str:
    digest = hashlib.sha256(" ".join(words).encode())
    for path in sorted(HERE.rglob("*.*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(str(path.relative_to(HERE)).encode() + path.read_bytes())
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="the folder for the packages")
    parser.add_argument(
        "--torch-npu-wheel",
        type=Path,
        action="append",
        default=[],
        help="a wheel for which the stub libraries define what it needs; may be repeated",
    )
    parser.add_argument("--version", default="8.0.RC1")
    parser.add_argument(
        "--layout",
        default="ascend-toolkit",
        choices=sorted(LAYOUTS),
        help="as release.yml says in cann.layout (default ascend-toolkit)",
    )
    parser.add_argument("--arch", default="x86_64", choices=["aarch64", "x86_64"])
    arguments = parser.parse_args()
    version, arch, layout, wheels = arguments.version, arguments.arch, arguments.layout, arguments.torch_npu_wheel
    note = arguments.output / f".built-{version}-{arch}"
    inputs = digest_of_inputs(version, arch, layout, *sorted(wheel.name for wheel in wheels))
    built = all(target.is_file() for target in targets_in(arguments.output, version, arch, layout))
    if built and note.is_file() and note.read_text(encoding="utf-8") == inputs:
        print(f"    the packages of {version} are already built")
        return
    names: set[str] = set()
    for wheel in wheels:
        found = stubs.names_in(wheel, arch)
        print(f"    {len(found)} functions of CANN are needed by {wheel.name}", flush=True)
        names.update(found)
    for path in build(arguments.output, version, arch, sorted(names), layout):
        print(f"    built {path.name}, {path.stat().st_size // 1024} KB", flush=True)
    note.write_text(inputs, encoding="utf-8")


if __name__ == "__main__":
    main()
