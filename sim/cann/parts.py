# SPDX-License-Identifier: Apache-2.0
"""What the packages of both layouts are made of: files of parts, wheels, the installer and what it knows of itself."""

from __future__ import annotations

import base64
import hashlib
import shutil
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
KERNEL = "opp/built-in/op_impl/ai_core/tbe/kernel"
CHIP = "910b"


def installer(payload: Path, facts: dict[str, str], script: Path, others: list[str]) -> None:
    """Put the script into the package as its installer, with the files beside it and ``facts`` to source."""
    lines = "".join(f"{key}={value}\n" for key, value in {**facts, "chip": CHIP}.items())
    (payload / "package.env").write_text(lines, encoding="utf-8")
    shutil.copy(HERE / "common.sh", payload / "common.sh")
    for name in others:
        shutil.copy(script.with_name(name), payload / name)
    shutil.copy(script, payload / "install.sh")
    (payload / "install.sh").chmod(0o755)


def content(folder: Path, part: str) -> None:
    """Write files that stand for a part's content."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(8):
        (folder / f"part{number}.bin").write_bytes(hashlib.sha256(f"{part} {number}".encode()).digest() * 128)


def install_info(path: Path, part: str) -> None:
    """Write how a part was installed, readable only for root."""
    name = part.replace("-", "_").capitalize()
    path.write_text(f"{name}_Install_Type=full\n{name}_UserName=root\n{name}_UserGroup=root\n", encoding="utf-8")
    path.chmod(0o600)


def pyacl(site_packages: Path) -> None:
    """Put pyACL, a package of Python, into a folder."""
    shutil.copytree(HERE / "pyacl", site_packages / "acl", ignore=shutil.ignore_patterns("__pycache__"))


def te_wheel(folder: Path) -> None:
    """The wheel that the compiler's installer passes to pip3."""
    folder.mkdir()
    metadata = "Metadata-Version: 2.1\nName: te\nVersion: 0.4.0\n"
    files = {
        "te/__init__.py": '"""Simulated."""\n',
        "te-0.4.0.dist-info/METADATA": metadata,
        "te-0.4.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: sim\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text)}\n"
    files["te-0.4.0.dist-info/RECORD"] = record + "te-0.4.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(folder / "te-0.4.0-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
