# SPDX-License-Identifier: Apache-2.0
"""Download files with known sums: several at once, each resumed where it broke off, in this run or a killed one.

What has arrived is beside the file as ``NAME.<its sum>.part``. No ETag is needed: the sum of the whole shows whether
both halves belong to one file, and if they do not, the file is fetched again, once.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import urllib3

from ...ascend.errors import AscendError
from . import proxies
from .progress import Progress
from .web import REFERER, Web, of_huawei, reason, without_account

AT_ONCE = 8
FRUITLESS = 2  # tries in a row that bring no byte: a server is given up
PAUSE_S = 1.0
BLOCK = 1 << 20
TRUST = (
    "does a proxy or a CA of your own sign this server's certificate? Then export"
    " SSL_CERT_FILE=/path/of/its/certificates.pem;"
)
_PASSING = (408, 425, 429, 500, 502, 503, 504)


class File(NamedTuple):
    """A file to fetch: its address, sha256 and name in the depot, its size in bytes (0: not known).

    ``instead`` is what an operator without access to the server can do.
    """

    url: str
    sha256: str
    name: str
    size_bytes: int = 0
    instead: str = ""


class _StoppedError(Exception):
    """Another file failed, so the run is over."""


class _BrokenError(Exception):
    """A try ended before the file was complete; ``last`` if another one would end the same way."""

    def __init__(self, found: str, last: bool = False) -> None:
        self.found, self.last = found, last
        super().__init__(found)


def download(files: list[File], folder: Path, web: Web, progress: Progress, what: str) -> None:
    """Download ``files`` into ``folder``, verified; ``what`` names them for the progress.

    Existing files are not checked, because the caller asks only for missing ones. The first failure ends all downloads
    at once; what arrived stays for the next run. Raises AscendError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    progress.begin(what, len(files))
    for file in files:
        progress.expect(file.size_bytes)
    stop = threading.Event()
    # Large files first: the last one decides how long all take.
    largest = sorted(files, key=lambda file: -file.size_bytes)
    downloads = [_Download(file, folder, web, progress, stop) for file in largest]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pending = {pool.submit(each.run) for each in downloads}
        try:
            while pending:
                done, pending = wait(pending, progress.every_s, FIRST_EXCEPTION)
                for ended in sorted(done, key=lambda future: isinstance(future.exception(), _StoppedError)):
                    ended.result()
                progress.show()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for each in downloads:
                each.abort()
            progress.give_up()
            raise
    progress.end()
    for left in folder.glob("*.part"):
        left.unlink()  # of files that nobody wants any more


class _Download:
    def __init__(self, file: File, folder: Path, web: Web, progress: Progress, stop: threading.Event) -> None:
        self._file, self._target, self._web, self._progress, self._stop = file, folder / file.name, web, progress, stop
        self._url = web.place(file.url)
        self._size = file.size_bytes
        self._answer: urllib3.BaseHTTPResponse | None = None

    def abort(self) -> None:
        """Wake the download if it waits for bytes, because another one failed."""
        answer = self._answer
        if isinstance(answer, urllib3.HTTPResponse):
            # urllib3 has a word of its own for an answer that has come to its end meanwhile.
            with suppress(ValueError, RuntimeError, OSError):
                answer.shutdown()

    def run(self) -> None:
        with _Partial(self._target, self._file.sha256, self._progress) as partial:
            self._complete(partial)
            if partial.sha256 != self._file.sha256 and partial.resumed:
                partial.begin_anew()
                self._complete(partial)
            self._require_sum(partial)
            partial.keep()
        self._progress.file_done()

    def _complete(self, partial: _Partial) -> None:
        """Fetch until the file is complete. A try that received bytes counts as a success; the next continues."""
        furthest, fruitless = partial.size, 0
        while True:
            try:
                return self._try(partial)
            except _BrokenError as broken:
                fruitless = fruitless + 1 if partial.size <= furthest else 0
                furthest = max(furthest, partial.size)
                if broken.last or fruitless == FRUITLESS:
                    raise self._error(broken.found) from broken
                if self._stop.wait(PAUSE_S):
                    raise _StoppedError from broken

    def _try(self, partial: _Partial) -> None:
        if self._stop.is_set():
            raise _StoppedError
        if urlsplit(self._url).scheme == "file":
            return self._copy(partial)
        if self._size and partial.size > self._size:
            partial.begin_anew()
        if self._size and partial.size == self._size:
            return None
        try:
            answer = self._answer = self._web.opened(self._url, partial.size)
            try:
                self._take(answer, partial)
            finally:
                self._answer = None
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise _BrokenError(reason(error), last=isinstance(error, urllib3.exceptions.SSLError)) from error
        return None

    def _take(self, answer: urllib3.BaseHTTPResponse, partial: _Partial) -> None:
        if answer.status == 416 and partial.size:
            return self._beyond(answer, partial)
        if answer.status not in (200, 206):
            found = f"HTTP {answer.status} {answer.reason or ''}".strip()
            raise _BrokenError(found, last=answer.status not in _PASSING)
        begins = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if answer.status == 206 and (not begins or int(begins[1]) != partial.size):
            partial.begin_anew()
            raise _BrokenError("it sent a different part of the file than requested")
        if answer.status == 200 and partial.size:
            partial.begin_anew()  # this server knows no parts
        partial.resumed |= answer.status == 206
        self._require_size(answer, partial)
        # What has come, at once: of a line that breaks, or a run that is killed, nothing is lost.
        while block := answer.read1(BLOCK, decode_content=False):
            if self._stop.is_set():
                raise _StoppedError
            partial.append(block)
        return None

    def _beyond(self, answer: urllib3.BaseHTTPResponse, partial: _Partial) -> None:
        """If the server has no more bytes than we have, the sum decides. If it has fewer, it is another file."""
        if answer.headers.get("Content-Range", "").rpartition("/")[2] == str(partial.size):
            return
        partial.begin_anew()
        raise _BrokenError("it now has less of the file than it has already sent")

    def _require_size(self, answer: urllib3.BaseHTTPResponse, partial: _Partial) -> None:
        """End a download before it begins if it will not have the required size."""
        length = answer.headers.get("Content-Length", "")
        if not length.isdigit():
            return
        size = partial.size + int(length)
        if self._file.size_bytes and size != self._file.size_bytes:
            raise self._other(f"{self._file.size_bytes} bytes", f"{size} bytes")
        self._progress.expect(size - self._size)
        self._size = size

    def _copy(self, partial: _Partial) -> None:
        partial.begin_anew()
        with Path(unquote(urlsplit(self._url).path)).open("rb") as source:
            for block in iter(lambda: source.read(BLOCK), b""):
                partial.append(block)

    def _require_sum(self, partial: _Partial) -> None:
        if partial.sha256 != self._file.sha256:
            partial.drop()
            raise self._other(f"sha256 {self._file.sha256}", f"sha256 {partial.sha256}")

    def _other(self, wanted: str, found: str) -> AscendError:
        return AscendError(
            f"{self._file.name} is not the published file",
            wanted=wanted,
            found=found,
            where=f"{self._url}{proxies.way(self._url)}",
            remedy="does a proxy or mirror answer in its place? " + self._by_hand(),
        )

    def _error(self, found: str) -> AscendError:
        return AscendError(
            f"{self._file.name} cannot be fetched",
            wanted=without_account(self._url),
            found=found,
            where=f"{urlsplit(self._url).hostname}{proxies.way(self._url)}",
            remedy=(f"{TRUST} " if "certificate" in found else "") + self._by_hand(),
        )

    def _by_hand(self) -> str:
        from_pages = f" -e {REFERER}" if of_huawei(self._url) else ""
        command = f"curl -fLI --max-time 20{from_pages} {shlex.quote(without_account(self._url))}"
        return f"{command}  # the same command resumes where it stopped; or {self._file.instead}"


class _Partial:
    """The bytes of a file so far, with their sum; those of another run are read once, and continued."""

    def __init__(self, target: Path, sha256: str, progress: Progress) -> None:
        self._target, self._progress = target, progress
        self._path = target.with_name(f"{target.name}.{sha256[:16]}.part")
        self.size, self.resumed = 0, False
        self._digest = hashlib.sha256()
        self._stream = self._path.open("a+b", buffering=0)

    def __enter__(self) -> _Partial:
        self._stream.seek(0)
        for block in iter(lambda: self._stream.read(BLOCK), b""):
            self._digest.update(block)
            self.size += len(block)
        self.resumed = self.size > 0
        self._progress.keep(self.size)
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._stream.close()
        if kind and not self.size:
            self._path.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def append(self, block: bytes) -> None:
        view = memoryview(block)
        while view:
            view = view[self._stream.write(view) :]
        self._digest.update(block)
        self.size += len(block)
        self._progress.add(len(block))

    def begin_anew(self) -> None:
        self._stream.truncate(0)
        self._progress.keep(-self.size)
        self.size, self.resumed = 0, False
        self._digest = hashlib.sha256()

    def drop(self) -> None:
        self._path.unlink()

    def keep(self) -> None:
        """Give the file its name; it is synced to disk before the table of contents names it."""
        os.chmod(self._path, 0o644)
        self._path.replace(self._target)
