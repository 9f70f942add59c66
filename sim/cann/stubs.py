# SPDX-License-Identifier: Apache-2.0
"""Build CANN's libraries as stubs: every function that a torch-npu wheel asks for, with the bodies of stubs.c.

torch-npu links some functions and looks others up by name in several libraries, so every library is the same object.
"""

from __future__ import annotations

import platform
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

BODIES = Path(__file__).with_name("stubs.c")
_LINKED = re.compile(r"(acl|Hccl|Msprof|rt[A-Z]|ge[A-Z]|_ZNK?2ge|_ZN[KT]?[VSI]?2ge)\w*")
_LOOKED_UP = re.compile(rb"\0((?:acl|Hccl|Msprof|mstx|rt[A-Z])[A-Za-z0-9]+)(?=\0)")


def tool(name: str, arch: str) -> str:
    """Return the program gcc or nm of the toolchain for an architecture; another one's is Debian's cross toolchain."""
    return name if arch == platform.machine() else f"{arch}-linux-gnu-{name}"


def names_in(wheel: Path, arch: str) -> list[str]:
    """Return the names of CANN's functions that the wheel's libraries link or look up."""
    names: set[str] = set()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if not re.search(r"\.so(\.|$)", member):
                continue
            path = Path(archive.extract(member, folder))
            done = subprocess.run(
                [tool("nm", arch), "-D", "--undefined-only", str(path)], capture_output=True, text=True, check=True
            )
            symbols = [line.split()[-1].split("@")[0] for line in done.stdout.splitlines()]
            names.update(symbol for symbol in symbols if _LINKED.fullmatch(symbol))
            names.update(match.decode() for match in _LOOKED_UP.findall(path.read_bytes()))
    return sorted(names)


def build(names: list[str], output: Path, arch: str, libraries: Iterable[str]) -> None:
    """Compile the libraries into ``output``."""
    bodies = BODIES.read_text(encoding="utf-8")
    lines = []
    for number, name in enumerate(names):
        if not re.search(rf"\b{re.escape(name)}\(", bodies):
            # The label gives the function its (possibly mangled) name.
            lines.append(f'long stub{number}(void) __asm__("{name}");\nlong stub{number}(void) {{ return 0; }}\n')
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "generated.c"
        source.write_text(bodies + "\n" + "".join(lines), encoding="utf-8")
        thing = Path(folder) / "stubs.o"
        gcc = tool("gcc", arch)
        subprocess.run([gcc, "-O1", "-fPIC", "-c", "-o", str(thing), str(source)], check=True)
        for library in libraries:
            target = output / library
            subprocess.run([gcc, "-shared", f"-Wl,-soname,{library}", "-o", str(target), str(thing)], check=True)
