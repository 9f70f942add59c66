# SPDX-License-Identifier: Apache-2.0
"""Where things are on a node according to the inventory; and ``ascend-env``, which contains one of these paths.

Users call ``ascend-env`` without our variables, so the installed program contains the environments' place.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...ascend.errors import AscendError
from .documents import Document

# Setting -> the variable that gives it; tmp_dir is nobody's own.
_VARIABLES = {"ascend_root": "ascend_root", "cache_dir": "ascend_cache_dir", "state_dir": "ascend_state_dir"}
_ALL = {**_VARIABLES, "tmp_dir": "ascend_tmp_dir", "cann_root": "cann_root"}
_PATH = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")  # what CANN's installers take, too
# Folders of the operating system: what is removed with ours must not be one of them.
_SYSTEM = {
    *("/bin", "/boot", "/data", "/dev", "/etc", "/home", "/lib", "/lib64", "/mnt", "/opt", "/proc", "/root", "/run"),
    *("/sbin", "/srv", "/sys", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/local", "/usr/local/bin"),
    *("/usr/share", "/var", "/var/cache", "/var/lib", "/var/log", "/var/spool", "/var/tmp"),
}
_BUILT_IN = "/opt/ascend/env/current"


def places(settings: Document) -> dict[str, str]:
    """Return the planner's places, by its own names. Raises AscendError for invalid ones."""
    for name, variable in _ALL.items():
        if not _PATH.fullmatch(str(settings[name])):
            raise _wrong(
                variable, settings[name], "an absolute path of letters, digits and ._-, without .. or a / at its end"
            )
    for name, variable in _VARIABLES.items():
        if settings[name] in _SYSTEM:
            raise _wrong(variable, settings[name], f"a separate folder, such as {settings[name]}/ascend-fleet")
    for name, variable in _ALL.items():
        same = [other for key, other in _ALL.items() if key != name and settings[key] == settings[name]]
        if same:
            raise _wrong(variable, settings[name], f"a path other than that of {same[0]}")
    for name, variable in _ALL.items():
        # Folders may lie where installers unpack: these remove their own alone.
        around = [
            other
            for key, other in _ALL.items()
            if key not in (name, "tmp_dir") and str(settings[name]).startswith(f"{settings[key]}/")
        ]
        if around:
            raise _wrong(variable, settings[name], f"a path outside that of {around[0]}")
    keys = {"cann": "cann_root", "tmp": "tmp_dir", "env": "ascend_root", "cache": "cache_dir", "state": "state_dir"}
    return {place: str(settings[name]) for place, name in keys.items()}


def ascend_env(file: str, ascend_root: str) -> str:
    """Return the program ``ascend-env`` (a file of the role torch_npu) for environments below ``root``."""
    return Path(file).read_text(encoding="utf-8").replace(_BUILT_IN, f"{ascend_root}/env/current")


def examples_of(folder: str, ascend_root: str) -> dict[str, str]:
    """Return the examples (a folder of the role torch_npu) by name; they name each other where users see them."""
    top, current = Path(folder), f"{ascend_root}/env/current"
    return {
        path.relative_to(top).as_posix(): path.read_text(encoding="utf-8").replace(_BUILT_IN, current)
        for path in sorted(top.rglob("*"))
        if path.is_file()
    }


def _wrong(variable: str, found: Any, wanted: str) -> AscendError:
    return AscendError(
        f"{variable} is not a usable path for a node",
        wanted=wanted,
        found=repr(found),
        remedy=f"set {variable} in the inventory; the defaults are in roles/ascend/defaults/main.yml",
    )
