# SPDX-License-Identifier: Apache-2.0
"""Import Ansible's module utilities from their archive at half the cost.

Ansible sends a module and its utilities as a zip archive without byte code, so a node compiles them at each call.
Python's zipimport compiles each one twice, once to learn the name of its file and once to run it.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from typing import Any, Optional
from zipimport import zipimporter

UTILITIES = "ansible_collections."


class Loader(SourceFileLoader):
    """Loads a module whose text is known; ``path`` is the file's path within the archive, for tracebacks."""

    def __init__(self, name: str, path: str, text: bytes) -> None:
        super().__init__(name, path)
        self._text = text

    def get_data(self, _path: str) -> bytes:
        """Return the module's text, the only file that Python asks for, because there is no byte code."""
        return self._text


class Finder:
    """Finds the utilities in an archive; all other modules are left to the next finders."""

    def __init__(self, archive: zipimporter) -> None:
        self._archive = archive

    def find_spec(self, name: str, _path: Any, _target: Any = None) -> Optional[ModuleSpec]:
        """Return how to load a utility, None if the archive has none of this name."""
        if not name.startswith(UTILITIES):
            return None
        place = "%s/%s" % (self._archive.archive, name.replace(".", "/"))
        for path, inside in ((place + ".py", None), (place + "/__init__.py", [place])):
            try:
                loader = Loader(name, path, self._archive.get_data(path))
            except OSError:
                continue
            return spec_from_file_location(name, path, loader=loader, submodule_search_locations=inside)
        return None


def compile_once() -> None:
    """Import this way from now on; no effect if this file is not in an archive."""
    loader = globals().get("__loader__")
    if isinstance(loader, zipimporter):
        sys.meta_path.insert(0, Finder(loader))
