# SPDX-License-Identifier: Apache-2.0
"""A record of a real node as a node for tests: its programs answer what they answered, its files lie below a folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import facts
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import Places
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.record import make as capture
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.record.text import Section

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')


@dataclass(frozen=True)
class Replay:
    """``node`` and ``places`` for the readers; ``recorded`` are the facts as they were read on the node."""

    node: Node
    places: Places
    recorded: dict[str, Any]
    machine: str
    owners: dict[int, str | None]

    def collect(self, subsets: list[str]) -> dict[str, Any]:
        """The facts as this machine reads them from the record, in the node's own paths.

        A process's owner is told, since a test does not make accounts; so is the kind of machine.
        """

        def owner(place: str) -> Any:
            return self.owners.get(int(Path(place).name))

        with (
            mock.patch("ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.processes._owner", owner),
            mock.patch("platform.machine", return_value=self.machine),
        ):
            found = facts.collect(self.node, self.places, subsets, 5)
        own: dict[str, Any] = json.loads(json.dumps(found).replace(f"{self.node.root}/", "/"))
        return own


def replayed(text: str, root: Path) -> Replay:
    """Put a record's files below ``root`` and return the node. A damaged record, or an unknown question, fails."""
    read = capture.parse(text)
    assert read.problems == ()
    of: dict[str, list[Section]] = {}
    for section in read.sections:
        of.setdefault(section.about["kind"], []).append(section)
    for section in of.get("folder", []):
        _put_folders(root, section.content)
    for section in of.get("manifest", []):
        _put_manifest(root, section)
    for section in of.get("file", []):
        _put_file(root, section)
    for section in of.get("process", []):
        _put_process(root, section)
    calls = [section for section in of.get("command", []) if not section.about.get("cut")]
    answers = {tuple(section.about["argv"]): section for section in calls}
    programs = dict(read.about["programs"])
    for argv in answers:
        if argv[0] not in programs.values():  # found without PATH
            _write(root, argv[0], b"").chmod(0o755)

    def run(argv: list[str], timeout_s: float) -> Result:
        own = (argv[0].removeprefix(str(root)), *argv[1:])
        assert own in answers, f"the record has no answer to: {' '.join(own)}"
        about = answers[own].about
        return Result(about["code"], answers[own].content, about["timed_out"], about.get("errors", ""))

    def find(name: str) -> str | None:
        assert name in programs, f"the record does not say whether there is a {name}"
        path: str | None = programs[name]
        return path

    return Replay(
        Node(run, find, str(root)),
        Places(**read.about["places"]),
        json.loads(of["facts"][0].content),
        read.about["machine"],
        {section.about["pid"]: section.about["user"] for section in of.get("process", [])},
    )


def _put_folders(root: Path, content: str) -> None:
    folder = root
    led_to: list[tuple[Path, int]] = []
    for line in content.splitlines():
        if not line.startswith(" "):
            folder = root / _unquoted(line.removesuffix(":")).lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
            continue
        kind, *words = _WORD.findall(line)
        if kind == "d":
            (folder / _unquoted(words[1])).mkdir(exist_ok=True)
        elif kind == "l":
            link = folder / _unquoted(words[0])
            link.symlink_to(_unquoted(words[2]))
            led_to += [(link, int(size)) for size in words[3:]]
        elif kind == "f":
            _sparse(folder / _unquoted(words[2]), int(words[1]), words[0])
        elif kind == "o":
            (folder / _unquoted(words[1])).touch()  # a device: no reader opens it
    for link, size in led_to:
        target = link.readlink()
        place = Path(os.path.realpath(root / target.relative_to("/") if target.is_absolute() else link.parent / target))
        if place.is_relative_to(root) and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            _sparse(place, size, "0644")


def _put_file(root: Path, section: Section) -> None:
    if section.about["state"] in ("whole", "filtered", "cut"):
        path = _write(root, section.about["path"], _bytes(section.content))
        path.chmod(int(section.about["mode"], 8) | 0o600)


def _put_manifest(root: Path, section: Section) -> None:
    """Files that the manifest speaks of and no folder of the record shows are put there as they were found."""
    body = json.dumps(json.loads(section.content)) + "\n"
    header = json.dumps({"schema": 2, "sha256": hashlib.sha256(body.encode()).hexdigest()})
    _write(root, section.about["path"], f"{header}\n{body}".encode())
    for relative, there in section.about["there"].items():
        place = root / section.about["root"].lstrip("/") / relative
        if there and not os.path.lexists(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(there, str):
                place.symlink_to(there)
            else:
                _sparse(place, *there)


def _put_process(root: Path, section: Section) -> None:
    about = section.about
    folder = f"/proc/{about['pid']}"
    for name, content in (("cmdline", section.content), ("comm", about["comm"]), ("cgroup", about["cgroup"])):
        if content is not None:
            _write(root, f"{folder}/{name}", _bytes(content))
    (root / folder.lstrip("/") / "fd").mkdir(parents=True, exist_ok=True)
    for number, device in enumerate(about["devices"]):
        (root / folder.lstrip("/") / "fd" / str(number)).symlink_to(device)


def _sparse(path: Path, size: int, mode: str) -> None:
    with path.open("wb") as stream:
        stream.truncate(size)
    path.chmod(int(mode, 8) | 0o600)


def _write(root: Path, path: str, content: bytes) -> Path:
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()  # it led to a place of the node, which would now be one of this machine
    place.write_bytes(content)
    return place


def _unquoted(word: str) -> str:
    name: str = json.loads(word) if word.startswith('"') else word
    return name


def _bytes(content: str) -> bytes:
    return content.encode("utf-8", "surrogateescape")


def sections(text: str, kind: str) -> Iterator[Section]:
    """The sections of one kind."""
    return (section for section in capture.parse(text).sections if section.about["kind"] == kind)
