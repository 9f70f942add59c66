# SPDX-License-Identifier: Apache-2.0
"""A signed source of Debian packages on a node, as a site without a way to the internet has its own.

The packages are stand-ins: each holds the files by which it is seen to be there. apt, its signatures and its sums are
the real ones. Formats: Debian's repository format (flat), deb(5).
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable
from pathlib import Path

import image

CONTENT = {
    "g++": {"usr/bin/g++": "#!/bin/sh\n", "usr/include/c++/12/type_traits": "// a stand-in\n"},
    "libaio-dev": {"usr/include/libaio.h": "/* a stand-in */\n"},
    "tar-of-the-site": {"usr/share/doc/tar-of-the-site/README": "not asked for\n"},
}
PLACE = "/srv/packages"
# For this source alone: the image's own list may lead to the internet, where tests have no business.
SETTINGS = f"""rm -rf {PLACE}
mkdir -p {PLACE}
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [signed-by={PLACE}/key.gpg] file:{PLACE} ./' >/etc/apt/sources.list
"""


def give(node: str, folder: Path, names: Iterable[str] = CONTENT) -> None:
    """Make the source in ``folder``, with these packages, and make it the only one of the node."""
    folder.mkdir(parents=True)
    entries = [_package(folder, name, CONTENT[name]) for name in sorted(names)]
    index = "\n".join(entries)
    (folder / "Packages").write_text(index, encoding="utf-8")
    _sign(folder, index)
    image.podman("exec", node, "sh", "-c", SETTINGS)
    image.podman("cp", f"{folder}/.", f"{node}:{PLACE}")
    image.podman("exec", node, "chmod", "-R", "a+rX", PLACE)


def _package(folder: Path, name: str, files: dict[str, str]) -> str:
    """Build one package; return its paragraph in the index."""
    control = f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n"
    control += "Description: a stand-in\n"
    root = folder / "root" / name
    for path, text in {"DEBIAN/control": control, **files}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
        (root / path).chmod(0o755 if path.startswith("usr/bin/") else 0o644)
    archive = folder / f"{name}_1.0_all.deb"
    _run("dpkg-deb", "--root-owner-group", "--build", str(root), str(archive))
    content = archive.read_bytes()
    return f"{control}Filename: ./{archive.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"


def _sign(folder: Path, index: str) -> None:
    """Write InRelease, and the key that it is signed with."""
    sums = f" {hashlib.sha256(index.encode()).hexdigest()} {len(index.encode())} Packages"
    (folder / "Release").write_text(f"Suite: site\nDate: {_date()}\nSHA256:\n{sums}\n", encoding="utf-8")
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", str(keys), "--batch", "--quiet")
    try:
        _run(*gpg, "--passphrase", "", "--quick-generate-key", "site", "ed25519", "sign", "1d")
        _run(*gpg, "--output", str(folder / "InRelease"), "--clearsign", str(folder / "Release"))
        _run(*gpg, "--output", str(folder / "key.gpg"), "--export", "site")
    finally:
        _run("gpgconf", "--homedir", str(keys), "--kill", "all")


def _date() -> str:
    return _run("date", "--utc", "--rfc-email").strip()


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
