# SPDX-License-Identifier: Apache-2.0
"""Send files through a connection: they are the standard input of a command on the node.

With OpenSSH all of them are the input of one command. A connection of another kind, or one that asks for a password,
gets them block by block, by Ansible's own means.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Any, NamedTuple, cast

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError, disk_remedy
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.incoming import RECEIVER

# What a worker has in memory, twice, where files go block by block.
BLOCK = 32 * 1024 * 1024
BROKEN = 255  # ssh(1): an error of its own, and none of the command
# What came is looked at in whole ones of these: a file system may have a longer file than it has written.
ALIGNED = 1024 * 1024


class Outgoing(NamedTuple):
    """A file of the depot: its local path, its name on the way (the sum), its size, and what the node already has."""

    source: str
    name: str
    size_bytes: int
    have_bytes: int


class Piece(NamedTuple):
    """Some bytes of a file."""

    file: Outgoing
    offset: int
    length: int


def blocks(files: Sequence[Outgoing], size: int) -> Iterator[list[Piece]]:
    """Yield the blocks to send: small files together, large ones split."""
    block: list[Piece] = []
    room = size
    for file in files:
        at = _begin(file)
        while at < file.size_bytes:
            length = min(room, file.size_bytes - at)
            block.append(Piece(file, at, length))
            at, room = at + length, room - length
            if not room:
                yield block
                block, room = [], size
    if block:
        yield block


def to_send(files: Sequence[Outgoing]) -> int:
    """Return how many bytes that is."""
    return sum(file.size_bytes - _begin(file) for file in files)


def _begin(file: Outgoing) -> int:
    """Return from which byte on a file is sent."""
    return file.size_bytes if file.have_bytes >= file.size_bytes else file.have_bytes // ALIGNED * ALIGNED


def head(pieces: Sequence[Piece]) -> bytes:
    """Return what the node's receiver reads first."""
    return json.dumps([[piece.file.name, piece.offset, piece.length] for piece in pieces]).encode() + b"\n"


def read(block: Sequence[Piece]) -> bytes:
    """Return a block as the node's receiver takes it. Raises AscendError for a file that changed."""
    return b"".join([head(block), *(_read(piece) for piece in block)])


def parts(piece: Piece) -> Iterator[Piece]:
    """Yield a piece in parts of a megabyte."""
    for at in range(0, piece.length, ALIGNED):
        yield Piece(piece.file, piece.offset + at, min(ALIGNED, piece.length - at))


def _read(piece: Piece) -> bytes:
    try:
        with open(piece.file.source, "rb") as stream:
            stream.seek(piece.offset)
            data = stream.read(piece.length)
    except OSError as error:
        raise _unreadable(piece, str(error)) from error
    if len(data) != piece.length:
        raise _unreadable(piece, f"{piece.offset + len(data)} bytes")
    return data


def _unreadable(piece: Piece, found: str) -> AscendError:
    return AscendError(
        "cannot read a file of the depot",
        wanted=f"{piece.file.size_bytes} bytes",
        found=found,
        where=piece.file.source,
        remedy="ansible-playbook playbooks/depot.yml -e ascend_deep=true  # fetches it again",
    )


class BrokenError(Exception):
    """The connection broke; what arrived is kept on the node."""


class Sender:
    """Sends to one node. ``run`` is Ansible's way to run a command there as the account that logs in."""

    def __init__(self, connection: Any, run: Callable[..., dict[str, Any]], folder: str, python: str) -> None:
        self.connection = connection
        self.run = run
        self.folder = folder
        # In one line, which every login shell takes as it is.
        program = f"import base64; exec(base64.b64decode('{base64.b64encode(RECEIVER.encode()).decode()}'))"
        self.command = " ".join(shlex.quote(word) for word in (python, "-c", program, folder))

    def send(self, files: Sequence[Outgoing], sent: Callable[[int], None]) -> None:
        """Send what is missing of the files; ``sent`` is called with bytes sent. Raises AscendError, BrokenError."""
        openssh = _openssh(self.connection, self.command)
        if openssh:
            self._stream(openssh, files, sent)
            return
        for block in blocks(files, BLOCK):
            data = read(block)
            answer = self._through_input(data) if self.connection.has_pipelining else self._through_a_file(data)
            self._require(answer["rc"], (answer.get("stderr") or answer.get("stdout") or "").strip())
            sent(sum(piece.length for piece in block))

    def _stream(self, argv: list[Any], files: Sequence[Outgoing], sent: Callable[[int], None]) -> None:
        pieces = [Piece(file, _begin(file), file.size_bytes - _begin(file)) for file in files]
        pieces = [piece for piece in pieces if piece.length]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        to, back = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
        try:
            # Of one that ended early, its words and its exit code say why.
            with suppress(BrokenPipeError), to as stream:
                stream.write(head(pieces))
                for part in (part for piece in pieces for part in parts(piece)):
                    stream.write(_read(part))
                    sent(part.length)
            words = back.read().decode(errors="replace").strip()
            code = process.wait()
        finally:
            process.kill()  # the task's time is over, or cannot read a file of the depot
            process.wait()
        if code == BROKEN:
            raise BrokenError(words)
        self._require(code, words)

    def _through_input(self, data: bytes) -> dict[str, Any]:
        return self.run(self.command, sudoable=False, in_data=data)

    def _through_a_file(self, data: bytes) -> dict[str, Any]:
        """For connections that give a command no input."""
        with tempfile.NamedTemporaryFile(prefix="block-") as file:
            block = os.path.join(self.folder, os.path.basename(file.name))  # to a mirror another run may send, too
            file.write(data)
            file.flush()
            self.connection.put_file(file.name, block)
        return self.run(f"{self.command} <{shlex.quote(block)} && rm {shlex.quote(block)}", sudoable=False)

    def _require(self, code: int, words: str) -> None:
        """Raise AscendError if the command on the node failed."""
        if not code:
            return
        found = words.splitlines()[-1] if words else f"exit code {code}"
        raise AscendError(
            "cannot write a file on the node",
            wanted="a folder that the login account can write to",
            found=found,
            where=self.folder,
            remedy=disk_remedy(found, self.folder) or f"ls -lad {self.folder} {os.path.dirname(self.folder)}",
        )


def _openssh(connection: Any, command: str) -> list[Any]:
    """Return how OpenSSH runs a command on the node, through the open connection; [] if it cannot.

    Ansible itself would load all of the input into memory. A login by password needs it to type that.
    """
    if getattr(connection, "transport", "") != "ssh" or connection.get_option("password"):
        return []
    shell = " ".join(["/bin/sh", "-c", shlex.quote(command)])
    argv: list[Any] = connection._build_command(connection.get_option("ssh_executable"), "ssh", connection.host, shell)
    return argv
