# SPDX-License-Identifier: Apache-2.0
"""CANN's packages for the depot: the operator's own ``.run`` or ``.zip``, or Huawei's ``.zip`` with its known sum."""

from __future__ import annotations

import hashlib
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ...ascend import files
from ...ascend.errors import AscendError
from . import makeself
from .download import BLOCK, File, download
from .index import Index, place
from .progress import Progress
from .web import Sources, Web


def fill(
    index: Index,
    release: dict[str, Any],
    architecture: str,
    sums: dict[str, str],
    sources: Sources,
    progress: Progress,
    check: bool,
) -> tuple[list[str], list[str]]:
    """Add the release's packages for one architecture to the depot; return (what was added, warnings).

    ``sums`` maps file names of the operator's ``.run`` files to their sha256. Raises AscendError.
    """
    taken: list[str] = []
    warnings: list[str] = []
    bundles = Bundles(index, sources, progress)
    if not check:
        bundles.download([package for _, package in _packages(release, architecture)], release)
    for keys, described in _packages(release, architecture):
        # What it has to hold: kernels are a chip's.
        package = {**described, "architecture": architecture, "chip": keys[1] if len(keys) > 1 else None}
        relative = f"cann/{release['cann']['version']}/{package['file']}"
        if _take(index, relative, package, bundles, sums, check, warnings):
            taken.append(package["file"])
        if not check:
            section = index["cann"].setdefault(release["cann"]["version"], {})
            for key in keys:
                section = section.setdefault(key, {})
            section[architecture] = relative
    return taken, warnings


def _packages(release: dict[str, Any], architecture: str) -> Iterator[tuple[list[str], dict[str, Any]]]:
    toolkit = release["packages"]["toolkit"].get(architecture)
    if toolkit:
        yield ["toolkit"], toolkit
    for chip, packages in sorted(release["packages"]["kernels"].items()):
        if architecture in packages:
            yield ["kernels", chip], packages[architecture]


class Bundles:
    """Huawei's bundles: the operator's, and downloaded ones until they are unpacked."""

    def __init__(self, index: Index, sources: Sources, progress: Progress) -> None:
        self._index, self._sources, self._progress = index, sources, progress
        self._verified: set[str] = set()

    def own_run(self, package: dict[str, Any]) -> Path | None:
        """Return the operator's own .run, if there is one."""
        own = self._sources.incoming / package["file"] if self._sources.incoming else None
        return own if own and own.is_file() else None

    def download(self, packages: list[dict[str, Any]], release: dict[str, Any]) -> None:
        """Download the bundles of all missing packages at once. Raises AscendError."""
        version = release["cann"]["version"]
        folder = self._index.folder / "cann" / version
        files = {}
        for package in packages:
            relative = f"cann/{version}/{package['file']}"
            if self.own_run(package) or self._own(package) or self._index.known(relative):
                continue
            name = _bundle_name(package)
            places = f"put {package['file']} or {name} into a folder and name it: -e depot_incoming=/that/folder"
            if not (folder / name).is_file():
                files[name] = File(package["url"], package["zip_sha256"], name, instead=places)
        if files:
            download([*files.values()], folder, Web(self._sources.addresses), self._progress, f"CANN {version}")
            self._verified |= files.keys()

    def unpack(self, package: dict[str, Any], target: Path) -> str:
        """Unpack the package from its bundle, and return its sum; a downloaded bundle is removed."""
        downloaded = target.with_name(_bundle_name(package))
        own = self._own(package)
        self._progress.say(f"unpacking {package['file']}")
        if own or downloaded.name not in self._verified:
            _require_published(own or downloaded, package)
        sha256 = _unpack(own or downloaded, package, target)
        if not own:
            downloaded.unlink()
        return sha256

    def _own(self, package: dict[str, Any]) -> Path | None:
        own = self._sources.incoming / _bundle_name(package) if self._sources.incoming else None
        return own if own and own.is_file() else None


def _bundle_name(package: dict[str, Any]) -> str:
    return unquote(Path(urlsplit(package["url"]).path).name)


def _take(
    index: Index,
    relative: str,
    package: dict[str, Any],
    bundles: Bundles,
    sums: dict[str, str],
    check: bool,
    warnings: list[str],
) -> bool:
    """Add one package; return whether anything was, or in check mode would be, added."""
    target = index.folder / relative
    own = bundles.own_run(package)
    if own:
        return _take_run(own, package, target, index, relative, sums, check, warnings)
    if index.known(relative):
        return False
    if not check:
        index.enter(relative, bundles.unpack(package, target))
    return True


def _take_run(
    own: Path,
    package: dict[str, Any],
    target: Path,
    index: Index,
    relative: str,
    sums: dict[str, str],
    check: bool,
    warnings: list[str],
) -> bool:
    if own.name in sums and index.sum_of(own) != sums[own.name].lower():
        wanted = f"sha256 {sums[own.name]}"
        raise AscendError(
            "your package does not match the checksum that you gave",
            wanted=wanted,
            found=f"sha256 {index.sum_of(own)}",
            where=str(own),
            remedy="download it again, or correct its checksum in depot_cann_sha256:"
            f" sha256sum {shlex.quote(str(own))}",
        )
    if index.known(relative) and (target.samefile(own) or index.sha256(relative) == index.sum_of(own)):
        return False
    warnings += makeself.inspect(own, package["architecture"], package["chip"])
    if own.name not in sums:
        warnings.append(f"{own.name} in {own.parent} is used unchecked: its checksum is not given (depot_cann_sha256)")
    if not check:
        place(own, target)
        index.enter(relative, index.sum_of(own))
    return True


def _require_published(bundle: Path, package: dict[str, Any]) -> None:
    found = files.sha256(bundle)
    if found != package["zip_sha256"]:
        raise AscendError(
            "CANN's bundle is not the published one",
            wanted=f"sha256 {package['zip_sha256']}",
            found=found,
            where=str(bundle),
            remedy=f"rm {shlex.quote(str(bundle))}  # and download it again: {package['url']}",
        )


def _unpack(bundle: Path, package: dict[str, Any], target: Path) -> str:
    """Unpack the .run from the official bundle, whose sum the release knows; return the package's sum."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(bundle) as archive:
            names = [name for name in archive.namelist() if Path(name).name == package["file"]]
            if len(names) != 1:
                raise AscendError("the bundle lacks the package", wanted=package["file"], where=str(bundle))
            with archive.open(names[0]) as source, partial.open("wb") as sink:
                for block in iter(lambda: source.read(BLOCK), b""):
                    digest.update(block)
                    sink.write(block)
        # Its sum is the published one, so what could not be looked at is no news.
        makeself.inspect(partial, package["architecture"], package["chip"])
        partial.replace(target)
    except zipfile.BadZipFile as error:
        raise AscendError("cannot unpack the bundle", found=str(error), where=str(bundle)) from error
    finally:
        partial.unlink(missing_ok=True)
    return digest.hexdigest()
