# SPDX-License-Identifier: Apache-2.0
"""LLaMA-Factory's source for the depot: a tag of a git repository, or an archive of the operator's."""

from __future__ import annotations

import gzip
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import Any

import urllib3
from packaging.version import InvalidVersion, Version

from ...ascend.errors import AscendError
from ...ascend.masking import masked
from . import proxies
from .index import Index, place, source_key, source_of
from .indexes import Indexes, environment
from .web import Web, account_of, reason, without_account

VERSION_FILE = "src/llamafactory/extras/env.py"
# Gives git the account of an address: everybody on this machine reads command lines, git's and its helpers'.
_HELPER = (
    "!f() { test \"$1\" != get || printf 'username=%s\\npassword=%s\\n'"
    ' "$ASCEND_FLEET_NAME" "$ASCEND_FLEET_PASSWORD"; }; f'
)


def fill(index: Index, source: dict[str, Any], requirements: dict[str, dict[str, Any]], check: bool) -> list[str]:
    """Add the source that ``{"url", "version"}`` or ``{"archive"}`` names to the depot; return what was added.

    Raises AscendError for a version that the release was not tested with, with its table.
    """
    if set(source) not in ({"archive"}, {"url", "version"}) or not all(source.values()):
        raise AscendError(
            "llamafactory_source is not complete",
            wanted="{url: ..., version: ...} or {archive: path}",
            found=str(source),
        )
    wanted, own = source_key(source), source.get("archive")
    entry = source_of(index["sources"], source)
    known = bool(entry) and index.known(entry["file"])
    if known and (not own or (Path(own).is_file() and index.sum_of(Path(own)) == index.sha256(entry["file"]))):
        return []
    if check:
        return [wanted]
    with tempfile.TemporaryDirectory(dir=index.folder) as folder:
        archive = Path(own) if own else _clone(source, Path(folder))
        version = _version(archive)
        require_tested("llamafactory", version, requirements)
        relative = f"sources/llamafactory-{version}-{re.sub('[^A-Za-z0-9.]+', '-', wanted)[-60:]}.tar.gz"
        # A copy: what the operator does to the archive later is not done to the depot's.
        copied = Path(folder) / "copied.tar.gz"
        shutil.copyfile(archive, copied)
        place(copied, index.folder / relative)
    index.enter(relative)
    others = {key: other for key, other in index["sources"].get("llamafactory", {}).items() if isinstance(other, dict)}
    index["sources"]["llamafactory"] = {**others, wanted: {"version": version, "file": relative}}
    return [relative]


def require_tested(name: str, version: str, requirements: dict[str, dict[str, Any]]) -> None:
    """Raise AscendError, with the release's table, for a version that was not tested or is excluded."""
    row = requirements[name]
    excluded = row.get("excluded", {}).get(version)
    if excluded:
        raise AscendError(
            f"{name} {version} does not work with the libraries of this release",
            wanted=f"{row['minimum']} to {row['tested_maximum']}, without {', '.join(sorted(row['excluded']))}",
            found=excluded,
            remedy="choose one from the table:\n" + table(requirements),
        )
    try:
        if Version(row["minimum"]) <= Version(version) <= Version(row["tested_maximum"]):
            return
    except InvalidVersion:
        pass
    raise AscendError(
        f"{name} {version} was not tested with this release",
        wanted=f"{row['minimum']} to {row['tested_maximum']}",
        found=version,
        remedy="choose one from the table:\n" + table(requirements),
    )


def table(requirements: dict[str, dict[str, Any]]) -> str:
    """Return the release's table of versions as text."""
    lines = [f"{'':14} {'minimum':12} {'recommended':12} tested up to"]
    for name, row in sorted(requirements.items()):
        lines.append(f"{name:14} {row['minimum']:12} {row['recommended']:12} {row['tested_maximum']}")
    return "\n".join(lines)


def _clone(source: dict[str, Any], folder: Path) -> Path:
    checkout = folder / "checkout"
    argv, env, url = ["git"], environment(Indexes()), source["url"]
    account = account_of(url) if url.startswith(("http://", "https://")) else ""
    if account:
        env["ASCEND_FLEET_NAME"], _, env["ASCEND_FLEET_PASSWORD"] = account.partition(":")
        # The first, empty, forgets what other helpers there are.
        argv, url = ["git", "-c", "credential.helper=", "-c", f"credential.helper={_HELPER}"], without_account(url)
    argv += ["clone", "--quiet", "--depth", "1", f"--branch={source['version']}", "--"]
    argv += [url, str(checkout)]  # neither is an option, whatever it begins with
    _require_answer(source["url"])
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise _not_cloned(source["url"], masked(done.stderr).strip()[-300:])
    archive = folder / "source.tar.gz"
    tar = subprocess.run(
        ["git", "-C", str(checkout), "archive", "--prefix", "LLaMA-Factory/", "HEAD"], capture_output=True, check=True
    )
    archive.write_bytes(gzip.compress(tar.stdout, mtime=0))
    return archive


def _require_answer(url: str) -> None:
    """Give up within seconds if nobody answers, because git itself waits for minutes."""
    if not url.startswith(("http://", "https://")):
        return
    try:
        Web().opened(f"{url.rstrip('/')}/info/refs?service=git-upload-pack").close()
    except urllib3.exceptions.HTTPError as error:
        raise _not_cloned(url, reason(error)) from error


def _not_cloned(url: str, found: str) -> AscendError:
    address = without_account(url)
    return AscendError(
        "cannot clone the source",
        wanted=address,
        found=found,
        where=f"llamafactory_source{proxies.way(url)}",
        remedy=f"git ls-remote {shlex.quote(address)}  # or give an archive: llamafactory_source: {{archive: ...}}",
    )


def _version(archive: Path) -> str:
    if not archive.is_file():
        raise AscendError("the source archive is missing", wanted=str(archive), found="no such file")
    try:
        with tarfile.open(archive) as tar:
            members = [name for name in tar.getnames() if name.split("/", 1)[-1] == VERSION_FILE]
            stream = tar.extractfile(members[0]) if members else None
            text = stream.read().decode("utf-8", "replace") if stream else ""
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise AscendError(
            "cannot unpack the source archive", wanted="a .tar.gz", found=str(error), where=str(archive)
        ) from error
    match = re.search(r'^VERSION = "([^"]+)"', text, re.MULTILINE)
    if not match:
        raise AscendError(
            "the archive is not LLaMA-Factory", wanted=f"*/{VERSION_FILE} with VERSION", where=str(archive)
        )
    return match.group(1)
