# SPDX-License-Identifier: Apache-2.0
"""Remembers what an installer put on the node, so that lost or changed files are detected later.

A manifest of schema 2 is two lines of JSON, so that reading one of 25,000 files takes some 40 ms:

1. ``{"schema": 2, "sha256": digest of the second line}``: a damaged manifest accuses no file;
2. ``{"root", "tops": [name], "without": [folder], "folders": {folder: [names, sizes, mtimes, modes]},
   "links": {path: target}, "sha256": "..."}``: one row of each list per regular file, bytes, ns, and modes as
   numbers; ``sha256`` holds the digests of all files in that order, 64 characters each.

While an installer runs, the manifest lists nothing and has ``"begun": true`` in its second line, because the files are
unknown then, and after a power cut.

Schema 1, still read, is one line: ``{"schema": 1, "root", "files": {path: size or "-> target" of a link}}``.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from . import files

THREADS = min(8, os.cpu_count() or 1)  # hashing leaves Python's lock
# Small files that decide how the others are used; read in the fast form too.
DECIDING = (".info", ".cfg", ".conf", ".ini", ".sh")
DECIDING_BYTES = 64 * 1024
DECIDING_FILES = 500
# Files with a new time and the old size are read in the fast form too, up to these bounds.
MOST_TOUCHED = 200
MOST_TOUCHED_BYTES = 256 * 1024 * 1024
# Rights that an installer gave and that somebody took away; wider rights and another write bit stop no program.
OF_OWNER, OF_OTHERS = 0o500, 0o055
MOST_EXTRA = 50
LITTLE_BYTES = 16 * 1024 * 1024  # are read sooner than threads have begun

# Kinds of a difference.
LOST, ALTERED, BEGUN, UNREADABLE = "lost", "altered", "begun", "unreadable"
CLOSED, EXTRA, UNREAD = "closed", "extra", "unread"


class Difference(NamedTuple):
    """One difference, as text.

    ``lost``: missing; ``altered``: not what was installed; ``begun``: unknown, because the installation did not end;
    ``unreadable``: unknown, because it cannot be read; ``closed``: unchanged, but others cannot use it. ``extra`` (only
    the deep form) and ``unread`` (only the fast form: too many files have a new time) accuse nothing. ``path`` is the
    file, relative to the root, if it is about one.
    """

    kind: str
    words: str
    path: str = ""


class _File(NamedTuple):
    path: str  # relative to the root
    size: int
    sha256: str


def begin(root: str, path: str) -> None:
    """Record in ``path`` that an installer works below ``root``, until ``write`` or its removal. Raises OSError."""
    body = {"root": root, "tops": [], "without": [], "folders": {}, "links": {}, "sha256": "", "begun": True}
    _write(path, json.dumps(body))


def write_files(root: str, digests: Dict[str, str], folders: Iterable[str], path: str) -> None:
    """Write to ``path`` those of the files below ``root`` that are regular (path -> sha256, "" if it has to be read).

    Only the rights of ``folders`` are checked. Written atomically. Raises OSError if a file cannot be read.
    """
    table: Dict[str, List[List[Any]]] = {folder: [[], [], [], []] for folder in sorted(folders)}
    summed: Dict[str, str] = {}
    for relative, digest in digests.items():
        with suppress(FileNotFoundError, NotADirectoryError):
            status = os.lstat(os.path.join(root, relative))
            if stat.S_ISREG(status.st_mode):
                _enter(table, relative, status)
                summed[relative] = digest or files.sha256(os.path.join(root, relative))
    body = {"root": root, "tops": [], "without": [], "folders": table, "links": {}}
    _write(path, json.dumps(dict(body, sha256="".join(summed[name] for name in _named(table))), separators=(",", ":")))


def _enter(table: Dict[str, List[List[Any]]], relative: str, status: os.stat_result) -> None:
    folder, name = os.path.split(relative)
    row = (name, status.st_size, status.st_mtime_ns, stat.S_IMODE(status.st_mode))
    for column, value in zip(table.setdefault(folder, [[], [], [], []]), row):
        column.append(value)


def write(root: str, tops: Iterable[str], path: str, without: Iterable[str] = (), place: str = "") -> int:
    """Write to ``path`` every file and link below ``root``/<each of tops>; return how many. Written atomically.

    ``without`` are folders below ``root`` that are left out because they belong to another package. ``place`` is where
    the root will be, if it is still to be moved. Raises OSError if a file cannot be read.
    """
    tops, without = list(tops), list(without)
    folders: Dict[str, List[List[Any]]] = {}
    links: Dict[str, str] = {}
    paths: List[str] = []
    for relative in _walk(root, tops, without):
        full = os.path.join(root, relative)
        status = os.lstat(full)
        if stat.S_ISLNK(status.st_mode):
            links[relative] = os.readlink(full)
        elif stat.S_ISREG(status.st_mode):
            _enter(folders, relative, status)
    for folder, columns in folders.items():
        paths += [os.path.join(root, folder, name) for name in columns[0]]
    with ThreadPoolExecutor(THREADS) as pool:
        digests = "".join(pool.map(files.sha256, paths))
    body = {
        "root": place or root,
        "tops": tops,
        "without": without,
        "folders": folders,
        "links": links,
        "sha256": digests,
    }
    _write(path, json.dumps(body, separators=(",", ":")))
    return len(paths) + len(links)


def verify(path: str, deep: bool = False, root: Optional[str] = None) -> List[Difference]:
    """Return what differs from the manifest at ``path``; empty if nothing does or there is no manifest.

    The fast form looks at every file's kind, size, rights and time, and reads files with another time (a ``touch`` is
    no difference) and the small files that matter; ``deep`` reads all and names files that were added. ``root`` is
    where the files are if another machine's capture is replayed below a folder; a manifest of another root says
    nothing. A manifest that cannot be read is a difference, because it is unknown whether its files exist.
    """
    try:
        manifest = _load(path)
    except FileNotFoundError:
        return []
    except PermissionError as error:
        return [Difference(UNREADABLE, "manifest %s cannot be read: %s" % (path, error.strerror))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return [Difference(ALTERED, "manifest %s is unreadable: %s" % (path, error))]
    its_root = manifest["root"]
    if root is not None and not root.endswith(its_root):
        return []
    where = root or its_root
    if manifest["schema"] == 1:
        return _verify_sizes(where, manifest["files"])
    return _verify(where, manifest, deep)


def paths(path: str) -> Optional[List[str]]:
    """Return the files and links that the manifest at ``path`` names, relative to its root.

    None if there is none, if it cannot be read, or if it says nothing yet.
    """
    try:
        manifest = _load(path)
        if manifest["schema"] == 1:
            return list(manifest["files"])
        if manifest.get("begun"):
            return None
        return [*_named(manifest["folders"]), *manifest["links"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _named(folders: Dict[str, List[List[Any]]]) -> List[str]:
    return [os.path.join(folder, name) for folder, columns in folders.items() for name in columns[0]]


def _verify(root: str, manifest: Dict[str, Any], deep: bool) -> List[Difference]:
    if manifest.get("begun"):
        return [Difference(BEGUN, "its installer started, and there is no record that it finished")]
    found: List[Difference] = []
    to_read: List[_File] = []
    touched: List[_File] = []
    deciding = 0
    files = 0
    digests = manifest["sha256"]
    lstat, is_file = os.lstat, stat.S_ISREG
    for folder, (names, sizes, times, modes) in manifest["folders"].items():
        start = os.path.join(root, folder, "")
        for name, size, mtime_ns, mode in zip(names, sizes, times, modes):
            at = files * 64
            files += 1
            try:
                status = lstat(start + name)
            except OSError as error:
                found.append(_gone(os.path.join(folder, name), error))
                continue
            have = status.st_mode
            if status.st_size != size or not is_file(have) or mode & ~have & OF_OWNER:
                found.append(_changed(os.path.join(folder, name), status, size, mode))
                continue
            if mode & ~have & OF_OTHERS:
                found.append(_closed(os.path.join(folder, name), have))
            if deep or status.st_mtime_ns != mtime_ns:
                file = _File(os.path.join(folder, name), size, digests[at : at + 64])
                (to_read if deep else touched).append(file)
            elif size <= DECIDING_BYTES and name.endswith(DECIDING) and deciding < DECIDING_FILES:
                deciding += 1
                to_read.append(_File(os.path.join(folder, name), size, digests[at : at + 64]))
    readable, unread = _bounded(touched)
    found += _verify_links(root, manifest["links"]) + _closed_folders(root, manifest["folders"])
    found += _contents(root, to_read + readable)
    found.sort(key=lambda difference: difference.words)
    if unread:
        words = "%d files have a different time than when they were installed, and were not read" % len(unread)
        found.append(Difference(UNREAD, words))
    return found + (_extra(root, manifest) if deep else [])


def _closed_folders(root: str, folders: Iterable[str]) -> List[Difference]:
    """Return the folders with files, and their parents below ``root``, that others cannot enter."""
    every = set()
    for folder in folders:
        while folder and folder not in every:
            every.add(folder)
            folder = os.path.dirname(folder)
    found = []
    for folder in sorted(every):
        with suppress(OSError):  # of one that is lost, the files are told
            mode = os.stat(os.path.join(root, folder)).st_mode
            if stat.S_ISDIR(mode) and OF_OTHERS & ~mode:
                found.append(_closed(folder, mode))
    return found


def _closed(relative: str, mode: int) -> Difference:
    return Difference(CLOSED, "%s (%04o)" % (_shown(relative), stat.S_IMODE(mode)), relative)


def _bounded(touched: List[_File]) -> Tuple[List[_File], List[_File]]:
    """Return (what the fast form reads, what it does not): the smallest files first, so that most are read."""
    touched = sorted(touched, key=lambda file: (file.size, file.path))
    size = 0
    for position, file in enumerate(touched):
        size += file.size
        if position >= MOST_TOUCHED or size > MOST_TOUCHED_BYTES:
            return touched[:position], touched[position:]
    return touched, []


def _contents(root: str, files: List[_File]) -> List[Difference]:
    found = []
    for file, digest in zip(files, _digests(root, files)):
        if isinstance(digest, OSError):
            found.append(_gone(file.path, digest))
        elif digest != file.sha256:
            found.append(Difference(ALTERED, "%s has different content" % _shown(file.path), file.path))
    return found


def _digests(root: str, files: List[_File]) -> List[Any]:
    if sum(file.size for file in files) <= LITTLE_BYTES:
        return [_digest(root, file) for file in files]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda file: _digest(root, file), files))


def _digest(root: str, file: _File) -> Any:
    """Return the digest of a file, or the OSError that kept it from being read."""
    try:
        return files.sha256(os.path.join(root, file.path))
    except OSError as error:
        return error


def _verify_links(root: str, links: Dict[str, str]) -> List[Difference]:
    found = []
    for relative, target in links.items():
        full = os.path.join(root, relative)
        try:
            have = os.readlink(full)
        except OSError as error:
            if os.path.lexists(full):
                words = "%s is not a link to %s" % (_shown(relative), _shown(target))
                found.append(Difference(ALTERED, words, relative))
            else:
                found.append(_gone(relative, error))
            continue
        if have != target:
            words = "%s points to %s, not %s" % (_shown(relative), _shown(have), _shown(target))
            found.append(Difference(ALTERED, words, relative))
    return found


def _verify_sizes(root: str, files: Dict[str, Any]) -> List[Difference]:
    """The comparison that schema 1 allows."""
    links = {relative: entry[3:] for relative, entry in files.items() if isinstance(entry, str)}
    found = _verify_links(root, links)
    for relative, size in files.items():
        if relative in links:
            continue
        try:
            status = os.lstat(os.path.join(root, relative))
        except OSError as error:
            found.append(_gone(relative, error))
            continue
        if status.st_size != size or not stat.S_ISREG(status.st_mode):
            found.append(_changed(relative, status, size, 0))
    return sorted(found, key=lambda difference: difference.words)


def _gone(relative: str, error: OSError) -> Difference:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Difference(LOST, "missing %s" % _shown(relative), relative)
    return Difference(UNREADABLE, "%s cannot be read: %s" % (_shown(relative), error.strerror), relative)


def _changed(relative: str, status: os.stat_result, size: int, mode: int) -> Difference:
    shown = _shown(relative)
    if not stat.S_ISREG(status.st_mode):
        return Difference(ALTERED, "%s is no longer a regular file" % shown, relative)
    if status.st_size != size:
        return Difference(ALTERED, "%s has %d bytes, not %d" % (shown, status.st_size, size), relative)
    words = "%s has mode %04o, not %04o" % (shown, stat.S_IMODE(status.st_mode), mode)
    return Difference(ALTERED, words, relative)


def _extra(root: str, manifest: Dict[str, Any]) -> List[Difference]:
    known = set(manifest["links"])
    for folder, columns in manifest["folders"].items():
        known.update(os.path.join(folder, name) for name in columns[0])
    added = sorted(path for path in _walk(root, manifest["tops"], manifest["without"]) if path not in known)
    found = [Difference(EXTRA, "%s was added" % _shown(path)) for path in added[:MOST_EXTRA]]
    if len(added) > MOST_EXTRA:
        found.append(Difference(EXTRA, "%d more files were added" % (len(added) - MOST_EXTRA)))
    return found


def _load(path: str) -> Dict[str, Any]:
    """Return the manifest with its ``schema``. Raises OSError, and whatever Python raises for a damaged one."""
    with open(path, encoding="utf-8") as stream:
        head, body = stream.readline(), stream.readline()
    header = json.loads(head)
    if header["schema"] == 1:
        entries = header["files"].values()
        _require(all(type(entry) is int or entry.startswith("-> ") for entry in entries), "it has unexpected entries")
        _require(isinstance(header["root"], str), "it has no root")
        return dict(header)
    _require(header["schema"] == 2, "it has schema %s" % header["schema"])
    _require(hashlib.sha256(body.encode("utf-8")).hexdigest() == header["sha256"], "it is damaged")
    manifest = dict(json.loads(body), schema=2)
    files = sum(len(column) for columns in manifest["folders"].values() for column in columns) // 4
    _require(len(manifest["sha256"]) == files * 64, "it has more or fewer digests than files")
    return manifest


def _require(condition: bool, words: str) -> None:
    if not condition:
        raise ValueError(words)


def _write(path: str, body: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    body += "\n"
    header = {"schema": 2, "sha256": hashlib.sha256(body.encode("utf-8")).hexdigest()}
    partial = path + ".part"
    with open(partial, "w", encoding="utf-8") as stream:
        stream.write(json.dumps(header) + "\n" + body)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)


def _walk(root: str, tops: Iterable[str], without: Iterable[str]) -> Iterator[str]:
    """Yield the path of every file and link below the tops, relative to root, each once."""
    foreign = tuple(folder + os.sep for folder in without)
    for top in tops:
        start = os.path.join(root, top)
        if os.path.islink(start) or os.path.isfile(start):
            yield top
            continue
        for folder, folders, names in os.walk(start):
            names += [name for name in folders if os.path.islink(os.path.join(folder, name))]
            # Written by Python when it runs, not by the installer: they change with the interpreter.
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            inside = os.path.relpath(folder, root)
            for name in sorted(names):
                relative = os.path.join(inside, name)
                if not name.endswith(".pyc") and not relative.startswith(foreign):
                    yield relative


def _shown(relative: str) -> str:
    """A name as text; one that is not UTF-8 must not prevent sending the facts."""
    return relative.encode("utf-8", "backslashreplace").decode("utf-8")
