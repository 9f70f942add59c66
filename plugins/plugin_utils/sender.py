# SPDX-License-Identifier: Apache-2.0
"""Send files through a connection, block by block: each block is the standard input of one command on the node."""

from __future__ import annotations

import base64
import json
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError, disk_remedy
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.incoming import RECEIVER

# Of what is sent again at most, when a connection breaks; and what a worker has in memory, twice.
BLOCK = 32 * 1024 * 1024
# What came is looked at in whole ones of these: a file system may have a longer file than it has written.
ALIGNED = 1024 * 1024


class Outgoing(NamedTuple):
    """A file of the depot: where it lies here, its name on the way (the sum), its size, and what is there already."""

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
    """Yield what is sent at once: small files together, large ones in several."""
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


def read(block: Sequence[Piece]) -> bytes:
    """Return a block as the node's receiver takes it. Raises AscendError for a file that is not what it was."""
    head = [[piece.file.name, piece.offset, piece.length] for piece in block]
    return b"".join([json.dumps(head).encode() + b"\n", *(_read(piece) for piece in block)])


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
        "a file of the depot cannot be read",
        wanted=f"{piece.file.size_bytes} bytes",
        found=found,
        where=piece.file.source,
        remedy="ansible-playbook playbooks/depot.yml -e ascend_deep=true  # takes it anew",
    )


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
        """Send what is missing of the files; ``sent`` hears of the bytes of each block. Raises AscendError."""
        for block in blocks(files, BLOCK):
            data = read(block)
            answer = self._through_input(data) if self.connection.has_pipelining else self._through_a_file(data)
            if answer["rc"]:
                words = (answer.get("stderr") or answer.get("stdout") or "").strip().splitlines()
                found = words[-1] if words else f"exit code {answer['rc']}"
                raise AscendError(
                    "a file cannot be written on the node",
                    wanted="the account that logs in writes into a folder made for it",
                    found=found,
                    where=self.folder,
                    remedy=disk_remedy(found, self.folder) or f"ls -lad {self.folder} {os.path.dirname(self.folder)}",
                )
            sent(sum(piece.length for piece in block))

    def _through_input(self, data: bytes) -> dict[str, Any]:
        return self.run(self.command, sudoable=False, in_data=data)

    def _through_a_file(self, data: bytes) -> dict[str, Any]:
        """For connections that give a command no input."""
        block = os.path.join(self.folder, "block")
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            self.connection.put_file(file.name, block)
        return self.run(f"{self.command} <{shlex.quote(block)} && rm {shlex.quote(block)}", sudoable=False)
