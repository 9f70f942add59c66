# SPDX-License-Identifier: Apache-2.0
"""A node, as the planner sees it: the facts that it needs (ascend/shapes.py has the complete form)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TypeVar

from ...ascend import files
from ...ascend.cann.layouts import LATER, OLDER
from ...ascend.errors import AscendError
from ...ascend.facts import SCHEMA
from ...ascend.places import BESIDE
from ...ascend.shapes import Checkout, Damage, Difference, Finding
from .documents import Document, read

_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class Disk:
    device: int
    free_mb: int
    total_mb: int | None = None
    read_only: bool | None = None
    noexec: bool | None = None
    free_inodes: int | None = None
    path_measured: str = ""


@dataclass(frozen=True)
class Folder:
    path: str
    exists: bool
    uid: int | None
    mode: str | None


@dataclass(frozen=True)
class DropIns:
    kernel_settings: dict[str, str] = field(default_factory=dict)
    limits: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class HostCertificate:
    """The dates of sshd's certificate (seconds since 1970); it is none without the first, endless without the other."""

    path: str
    valid_after_s: int | None
    valid_before_s: int | None


@dataclass(frozen=True)
class System:
    architecture: str
    glibc: str | None
    disk: dict[str, Disk]
    paths: list[Folder]
    container: str | None = None
    limits: dict[str, list[int]] = field(default_factory=dict)
    kernel_settings: dict[str, str | None] = field(default_factory=dict)
    drop_ins: DropIns = field(default_factory=DropIns)
    limits_elsewhere: dict[str, dict[str, int]] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    package_manager: str | None = None
    time_synchronised: bool | None = None
    time_keepers: list[str] = field(default_factory=list)
    time_s: float | None = None
    host_certificate: HostCertificate | None = None


@dataclass(frozen=True)
class Change:
    """The run that changes the node now, or was killed at it."""

    began: str
    who: str
    control: str
    action: str
    to: str


@dataclass(frozen=True)
class Drained:
    """The run for which the scheduler has drained the node; that run may have died."""

    began: str
    who: str
    control: str


@dataclass(frozen=True)
class Changes:
    running: Change | None
    drained: Drained | None = None


@dataclass(frozen=True)
class User:
    name: str
    state: str
    group: str | None
    found: str


@dataclass(frozen=True)
class Driver:
    version: str | None
    firmware_version: str | None = None
    device_nodes: int = 0
    users: list[User] = field(default_factory=list)


@dataclass(frozen=True)
class Device:
    """A chip."""

    npu_id: int
    chip_id: int | None
    name: str
    health: str
    errors: list[str] = field(default_factory=list)
    device_id: int | None = None
    memory_total_mb: int | None = None
    hbm_total_mb: int | None = None


@dataclass(frozen=True)
class Process:
    pid: int
    name: str
    user: str | None
    command: str | None
    container: str | None
    chips: list[list[int | None]]  # [npu_id, chip_id, memory in MB]

    def cards(self) -> list[int]:
        """Return the NPU ids of the cards that it uses."""
        return sorted({chip[0] for chip in self.chips if chip[0] is not None})


@dataclass(frozen=True)
class Npu:
    answered: bool
    driver_version: str | None
    devices: list[Device]
    processes: list[Process] = field(default_factory=list)
    process_count: int = 0
    unclear: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Package:
    """A package of CANN."""

    state: str = "absent"
    problems: list[str] = field(default_factory=list)
    problem_count: int = 0
    closed: str = ""


@dataclass(frozen=True)
class CannVersion:
    path: str = ""
    layout: str = OLDER.name
    ours: bool = False
    toolkit: Package = field(default_factory=Package)
    kernels: dict[str, Package] = field(default_factory=dict)

    def of_chip(self, chip: str) -> Package:
        """Return the kernels of a chip's family."""
        return self.kernels.get(chip, Package())


@dataclass(frozen=True)
class Repairing:
    repaired: str
    latest: str


@dataclass(frozen=True)
class Cann:
    latest: str | None
    versions: dict[str, CannVersion]
    root: str = ""
    latest_beside: str | None = None
    repairing: Repairing | None = None
    record: str | None = None

    def of(self, version: str) -> CannVersion:
        """Return a version; a missing one has only absent parts."""
        return self.versions.get(version, CannVersion())

    def is_beside(self, path: str) -> bool:
        """Whether versions there take over no link of versions in the root itself."""
        return files.is_in(path, os.path.join(self.root, BESIDE))

    def others_in_place(self, path: str) -> dict[str, CannVersion]:
        """Return the versions of another layout in a version's place, whose links it would take over."""
        later = os.path.basename(path).startswith(LATER.folder)
        return {
            name: version
            for name, version in sorted(self.versions.items())
            if version.toolkit.state != "absent"
            and (version.layout == LATER.name) != later
            and self.is_beside(version.path) == self.is_beside(path)
        }

    def latest_of(self, path: str) -> str | None:
        """Return the version to which the links point that a version's installer changes, installed or planned."""
        return self.latest_beside if self.is_beside(path) else self.latest


@dataclass(frozen=True)
class Python:
    state: str = "absent"
    path: str = ""
    closed: str = ""


@dataclass(frozen=True)
class SystemPython:
    path: str
    lacks: list[str] = field(default_factory=list)


def _no_difference() -> Difference:
    return {"missing": {}, "other": {}, "extra": {}}


@dataclass(frozen=True)
class Environment:
    path: str = ""
    state: str = "half-installed"
    release: str | None = None
    python: str | None = None
    cann_home: str | None = None
    lock_digest: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    difference: Difference = field(default_factory=_no_difference)
    difference_count: int = 0
    editable: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Checkout] = field(default_factory=dict)
    examples: str | None = None
    problems: list[Damage] = field(default_factory=list)
    problem_count: int = 0
    closed: str = ""


@dataclass(frozen=True)
class Environments:
    current: str | None
    all: dict[str, Environment]
    previous: str | None = None


@dataclass(frozen=True)
class Closed:
    path: str
    mode: str
    ours: bool


@dataclass(frozen=True)
class Program:
    sha256: str | None


@dataclass(frozen=True)
class Served:
    name: str
    address: str
    port: int
    environment: str
    digest: str
    state: str
    why: str
    altered: str = ""


@dataclass(frozen=True)
class Found:
    """A node, according to its facts."""

    findings: list[Finding]
    system: System
    npu: Npu
    driver: Driver
    cann: Cann
    pythons: dict[str, Python]
    environments: Environments
    ascend_env: Program
    changes: Changes
    closed: list[Closed]
    system_pythons: dict[str, SystemPython] = field(default_factory=dict)
    services: list[Served] = field(default_factory=list)


def found_of(facts: Document) -> Found:
    """Return what the planner needs of a node's facts (docs/facts.md)."""
    return part_of(Found, facts)


class OtherVersionError(AscendError):
    """The facts come from another version's module, and cannot be used for planning."""

    def __init__(self, found: str) -> None:
        super().__init__(
            "the node's facts come from another version of ascend-fleet",
            wanted=f"facts of schema {SCHEMA}, from this version's module",
            found=found,
            where="the module ascend.fleet.ascend_facts",
            remedy="ansible-doc -t module ascend.fleet.ascend_facts | head -n 1  # which file is it? run it from there",
        )


def part_of(kind: type[_Kind], facts: Document) -> _Kind:
    """Return this dataclass's part of a node's facts. Raises OtherVersionError for facts of another form."""
    schema = facts.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise OtherVersionError(f"facts of schema {schema}")
    try:
        return read(kind, facts)
    except (TypeError, AttributeError) as error:
        raise OtherVersionError(str(error)) from error
