#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build small stand-ins for the wheels of a release, and the lock that names them.

``build.py FOLDER [RELEASE...]`` writes FOLDER/incoming/*.whl and FOLDER/lock-RELEASE.txt, the same bytes every time.
The stand-ins are pure Python and some kilobytes in place of 4.6 GB, so that a role test takes seconds. As the real
torch-npu does, the stand-in opens CANN's libraries when it is imported and fails with the same words where set_env.sh
was not sourced. The real wheels are used by the demo and the end-to-end test.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

# The local version +standin keeps a package index from offering the real ones in their place.
CONTENT = Path(__file__).resolve().parent / "content"
# The oldest time that a zip archive knows: wheels of the same content are the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)
RELEASES = Path(__file__).resolve().parents[2] / "releases"
FIRST = "8.0.RC1"


@dataclass(frozen=True)
class Distribution:
    """One stand-in: its package folder lies in content/ under the import name."""

    name: str
    version: str
    package: str
    requires: tuple[str, ...] = ()
    scripts: dict[str, str] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}"


def distributions(release: str) -> list[Distribution]:
    """The stand-ins for a release's own wheels: their versions are those of its lock."""
    lock = (RELEASES / release / "lock-x86_64.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^(deepspeed|llamafactory|setuptools|torch|torch-npu)==([^ +]+)", lock, re.MULTILINE))
    version = {name: f"{pin}+standin" for name, pin in pins.items()}
    cli = {"llamafactory-cli": "llamafactory.cli:main"}
    return [
        Distribution("deepspeed", version["deepspeed"], "deepspeed", ("torch",)),
        Distribution("llamafactory", version["llamafactory"], "llamafactory", ("torch",), cli),
        Distribution("setuptools", version["setuptools"], "pkg_resources"),
        Distribution("torch", version["torch"], "torch"),
        Distribution("torch-npu", version["torch-npu"], "torch_npu", (f"torch=={version['torch']}",)),
    ]


def files(distribution: Distribution) -> dict[str, str]:
    """The files of a wheel, without its RECORD."""
    metadata = f"Metadata-Version: 2.1\nName: {distribution.name}\nVersion: {distribution.version}\n"
    metadata += "".join(f"Requires-Dist: {name}\n" for name in distribution.requires)
    info = f"{distribution.stem}.dist-info"
    sources = sorted((CONTENT / distribution.package).rglob("*.py"))
    found = {str(path.relative_to(CONTENT)): versioned(path.read_text(), distribution.version) for path in sources}
    found[f"{info}/METADATA"] = metadata
    found[f"{info}/WHEEL"] = dedent("""\
        Wheel-Version: 1.0
        Generator: ascend-fleet stand-in
        Root-Is-Purelib: true
        Tag: py3-none-any
        """)
    if distribution.scripts:
        lines = (f"{name} = {target}\n" for name, target in sorted(distribution.scripts.items()))
        found[f"{info}/entry_points.txt"] = "[console_scripts]\n" + "".join(lines)
    return found


def versioned(text: str, version: str) -> str:
    """A module with the distribution's version in place of its own."""
    return re.sub(r'^(__version__|VERSION) = ".*"$', rf'\1 = "{version}"', text, flags=re.MULTILINE)


def record_line(name: str, text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(text.encode())}\n"


def wheel(distribution: Distribution) -> bytes:
    """The bytes of a wheel (PEP 427)."""
    content = files(distribution)
    record = f"{distribution.stem}.dist-info/RECORD"
    content[record] = "".join(record_line(name, text) for name, text in content.items()) + f"{record},,\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def build(folder: Path, release: str = FIRST) -> Path:
    """Write the wheels and the lock of a release; returns the lock's path."""
    wheels = folder / "incoming"
    wheels.mkdir(parents=True, exist_ok=True)
    lines = []
    for distribution in distributions(release):
        data = wheel(distribution)
        path = wheels / f"{distribution.stem}-py3-none-any.whl"
        path.unlink(missing_ok=True)  # a depot may hold a link to it
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        lines.append(f"{distribution.name}=={distribution.version} \\\n    --hash=sha256:{digest}\n")
    lock = folder / f"lock-{release}.txt"
    lock.write_text("# Stand-ins for tests: tests/standin/build.py\n" + "".join(lines))
    return lock


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the stand-in wheels and their lock.")
    parser.add_argument("folder", type=Path, help="where incoming/ and lock-RELEASE.txt are written")
    parser.add_argument("releases", nargs="*", default=[FIRST], metavar="RELEASE")
    arguments = parser.parse_args()
    for release in arguments.releases:
        print(build(arguments.folder, release))


if __name__ == "__main__":
    main()
