# SPDX-License-Identifier: Apache-2.0
"""CANN's packages for the depot: the operator's own ``.run`` or ``.zip``, or Huawei's ``.zip`` with its known sum."""

from __future__ import annotations

import shlex
import shutil
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...ascend import files
from ...ascend.errors import AscendError
from . import makeself
from .index import Index, place
from .proxies import way

STALL_S = 60


def fill(
    index: Index, release: dict[str, Any], architecture: str, incoming: Path | None, sums: dict[str, str], check: bool
) -> tuple[list[str], list[str]]:
    """Bring the release's packages for one architecture into the depot; return (what was taken, warnings).

    ``sums`` maps file names of the operator's ``.run`` files to their sha256. Raises AscendError.
    """
    taken: list[str] = []
    warnings: list[str] = []
    for keys, described in _packages(release, architecture):
        # What it has to hold: kernels are a chip's.
        package = {**described, "architecture": architecture, "chip": keys[1] if len(keys) > 1 else None}
        relative = f"cann/{release['cann']['version']}/{package['file']}"
        if _take(index, relative, package, incoming, sums, check, warnings):
            taken.append(package["file"])
            if not check:
                index.enter(relative)
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


def _take(
    index: Index,
    relative: str,
    package: dict[str, Any],
    incoming: Path | None,
    sums: dict[str, str],
    check: bool,
    warnings: list[str],
) -> bool:
    """Take one package; return whether anything was, or in check mode would be, taken."""
    target = index.folder / relative
    own = incoming / package["file"] if incoming else None
    bundle = incoming / Path(package["url"]).name if incoming else None
    if own and own.is_file():
        return _take_run(own, package, target, index, relative, sums, check, warnings)
    if index.known(relative):
        return False
    if check:
        return True
    if bundle and bundle.is_file():
        _unpack(bundle, package, target)
        return True
    downloaded = target.with_name(Path(package["url"]).name + ".part")
    downloaded.parent.mkdir(parents=True, exist_ok=True)
    try:
        _download(package, downloaded, incoming)
        _unpack(downloaded, package, target)
    finally:
        downloaded.unlink(missing_ok=True)
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
    if own.name in sums and files.sha256(own) != sums[own.name].lower():
        wanted = f"sha256 {sums[own.name]}"
        raise AscendError(
            "your package is not what you said",
            wanted=wanted,
            found=f"sha256 {files.sha256(own)}",
            where=str(own),
            remedy=f"download it again, or correct its sum in depot_cann_sha256: sha256sum {shlex.quote(str(own))}",
        )
    if index.known(relative) and (target.samefile(own) or index.sha256(relative) == files.sha256(own)):
        return False
    warnings += makeself.inspect(own, package["architecture"], package["chip"])
    if own.name not in sums:
        warnings.append(f"{own.name} is taken as it lies in {own.parent}: no sum of it is known (depot_cann_sha256)")
    if not check:
        place(own, target)
    return True


def _unpack(bundle: Path, package: dict[str, Any], target: Path) -> None:
    """Take the .run out of the official bundle, whose sum the release knows."""
    found = files.sha256(bundle)
    if found != package["zip_sha256"]:
        raise AscendError(
            "CANN's bundle is not the published one",
            wanted=f"sha256 {package['zip_sha256']}",
            found=found,
            where=str(bundle),
            remedy=f"download it again: {package['url']}",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    try:
        with zipfile.ZipFile(bundle) as archive:
            names = [name for name in archive.namelist() if Path(name).name == package["file"]]
            if len(names) != 1:
                raise AscendError("the bundle lacks the package", wanted=package["file"], where=str(bundle))
            with archive.open(names[0]) as source, partial.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        # Its sum is the published one, so what could not be looked at is no news.
        makeself.inspect(partial, package["architecture"], package["chip"])
        partial.replace(target)
    except zipfile.BadZipFile as error:
        raise AscendError("the bundle cannot be unpacked", found=str(error), where=str(bundle)) from error
    finally:
        partial.unlink(missing_ok=True)


def _download(package: dict[str, Any], target: Path, incoming: Path | None) -> None:
    try:
        with urllib.request.urlopen(package["url"], timeout=STALL_S) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    except OSError as error:
        places = f"{incoming}/{package['file']} and {incoming}/{Path(package['url']).name}; " if incoming else ""
        raise AscendError(
            "a CANN package cannot be had",
            wanted=package["file"],
            found=f"{places}{package['url']}: {error}{way(package['url'])}",
            remedy="put the .run or the .zip into a folder and name it: -e depot_incoming=/that/folder",
        ) from error
