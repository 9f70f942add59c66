# SPDX-License-Identifier: Apache-2.0
"""What we know about an installed package besides its files: how its layout differs from the documents, and its proof.

``cann-receipts.json``: ``{"schema": 1, "versions": {version: {package: {"differs": [name], "proven": bool, "repaired":
[path]}}}}``; a package is ``toolkit`` or ``kernels-<chip>``. A package without an entry has the documented layout.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, Iterable, NamedTuple, Tuple

from .. import atomic, files

FILE = "cann-receipts.json"
# Earlier versions named these differences by their texts of that time.
_TEXTS = (
    (r"missing (\S+)", r"\1"),
    (r"(\S+) leads to nothing", r"\1"),
    (r"(\S+) leads to no version that is there \((.*)\)", r"\1: \2"),
    (r"(\S+) is mixed: (.*)", r"\1: \2"),
    (r"(\S+) has no running version of (\S+)", r"\1: \2"),
    (r"(\S+: line \d+): .*", r"\1"),
)
MOST_REPAIRED = 100  # a version of which more files change is not writing its own caches


class Receipt(NamedTuple):
    """``differs``: what was not as documented after a successful installation (cann_packages.differing); ``proven``:
    whether its environment then ran on the cards; ``repaired``: recorded files that had changed (not been lost) and
    that we reinstalled, or that changed during the proof.
    """

    differs: Tuple[str, ...] = ()
    proven: bool = False
    repaired: Tuple[str, ...] = ()

    def with_repaired(self, paths: Iterable[str]) -> "Receipt":
        """Return the receipt with these files added, or unchanged if there are too many."""
        every = tuple(sorted({*self.repaired, *paths}))
        return self._replace(repaired=every) if len(every) <= MOST_REPAIRED else self


def read(state_dir: str, version: str, package: str) -> Receipt:
    """Return a package's receipt, or an empty one if there is none or it cannot be read."""
    entry = _packages(_versions(state_dir), version).get(package)
    if not isinstance(entry, dict):
        return Receipt()
    differs = tuple(_present(name) for name in _names(entry.get("differs")))
    return Receipt(differs, entry.get("proven") is True, _names(entry.get("repaired")))


def write(state_dir: str, version: str, package: str, receipt: Receipt) -> None:
    """Keep a receipt. Raises OSError."""
    versions = _versions(state_dir)
    packages = dict(_packages(versions, version))
    packages.pop(package, None)
    if receipt != Receipt():
        packages[package] = receipt._asdict()
    _keep(state_dir, dict(versions, **{version: packages}))


def forget(state_dir: str, version: str, package: str = "") -> None:
    """Drop the receipts of a version that is gone, or of one package of it. Raises OSError."""
    versions = _versions(state_dir)
    if package and version in versions:
        write(state_dir, version, package, Receipt())
    elif version in versions:
        _keep(state_dir, {name: packages for name, packages in versions.items() if name != version})


def _keep(state_dir: str, versions: Dict[str, Any]) -> None:
    kept = {version: packages for version, packages in versions.items() if packages}
    if kept == _versions(state_dir):
        return
    os.makedirs(state_dir, mode=0o755, exist_ok=True)
    text = json.dumps({"schema": 1, "versions": kept}, indent=1, sort_keys=True)
    atomic.write(os.path.join(state_dir, FILE), text + "\n")


def _versions(state_dir: str) -> Dict[str, Any]:
    content = files.mapping(os.path.join(state_dir, FILE)).get("versions")
    return content if isinstance(content, dict) else {}


def _packages(versions: Dict[str, Any], version: str) -> Dict[str, Any]:
    packages = versions.get(version)
    return packages if isinstance(packages, dict) else {}


def _present(name: str) -> str:
    for text, present in _TEXTS:
        if re.fullmatch(text, name):
            return re.sub(text, present, name)
    return name


def _names(value: Any) -> Tuple[str, ...]:
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()
