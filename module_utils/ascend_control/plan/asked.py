# SPDX-License-Identifier: Apache-2.0
"""What is asked of a node: the playbook's settings, the release, and what the planner gets from both."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...ascend.cann.layouts import OLDER
from ...ascend.finding import Refusal, refusal
from ...ascend.places import BESIDE
from .documents import Document, read


@dataclass(frozen=True)
class Settings:
    """The playbook's settings (roles/ascend/vars explains each). With ``-e`` any of them may be text."""

    release: str
    releases_dir: str
    locks: dict[str, str]
    depot_dir: str
    depot_transport: str
    depot_url: str
    python: str
    system_settings: str
    system_packages: str
    check_mode: Any
    deep: Any
    cards: CardSettings
    driver_policy: str
    accept_eula: Any
    allow_downgrade: Any
    llamafactory_source: dict[str, str]
    cann_root: str
    cann_cross: str
    ascend_root: str
    cache_dir: str
    ascend_env: str
    ascend_env_file: str
    depot_proxy: str = ""
    depot_mirror: str = ""
    depot_mirror_url: str = ""
    serve_models: Any = ()


@dataclass(frozen=True)
class CardSettings:
    count: Any
    memory_mb: Any
    out: Any
    health_policy: str


@dataclass(frozen=True)
class CannRelease:
    version: str
    layout: str = OLDER.name


@dataclass(frozen=True)
class Release:
    """What release.yml says (releases/README.md)."""

    release: str
    cann: CannRelease
    chips: dict[str, Chip]
    driver: dict[str, str]
    system: dict[str, Any]
    disk_mb: dict[str, int]
    python: dict[str, str]
    locks: dict[str, str]


@dataclass(frozen=True)
class Chip:
    names: str
    supported: bool
    reason: str = ""


@dataclass(frozen=True)
class WantedDriver:
    """``firmwares``: driver -> the firmware of its Ascend HDK."""

    minimum: str
    firmware: str
    policy: str
    firmwares: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WantedCards:
    """The number is 0 if the inventory sets none; ``out`` are NPU ids."""

    count: int
    memory_mb: int
    out: list[int]
    health_policy: str


@dataclass(frozen=True)
class WantedSystem:
    limits: dict[str, int]
    kernel_settings: dict[str, Any]
    policy: str = "check"


@dataclass(frozen=True)
class WantedPackages:
    """``names``: manager -> what is needed -> package."""

    policy: str
    names: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Places:
    cann: str
    tmp: str
    env: str
    cache: str
    state: str


@dataclass(frozen=True)
class Installer:
    """A package of CANN in the depot, and its layout once installed (ascend/cann/layouts.py)."""

    version: str = ""
    layout: str = OLDER.name
    beside: bool = False
    url: str = ""
    size_bytes: int = 0
    chip: str = ""


@dataclass(frozen=True)
class WantedPython:
    version: str
    path: str = ""
    source: str = ""
    series: str = ""
    replaces: str = ""


@dataclass(frozen=True)
class Source:
    version: str


@dataclass(frozen=True)
class WantedEnvironment:
    name: str
    cann_home: str
    lock_digest: str = ""
    path: str = ""
    source: Source | None = None
    examples: str = ""  # the sum of ascend/environment/examples.py
    wheels_bytes: int = 0  # of those that are sent to the node


@dataclass(frozen=True)
class WantedProgram:
    path: str
    sha256: str


@dataclass(frozen=True)
class WantedService:
    """A model that the node should serve, and the sum of its settings (ascend/serve/model.py)."""

    name: str
    digest: str


@dataclass(frozen=True)
class Lack:
    """A refusal because something cannot be supplied; ``needed_by`` are the steps that need it, None for all."""

    component: str
    check: str
    subject: str
    problem: str
    wanted: str
    found: str
    where: str
    remedy: str
    needed_by: Sequence[str] | None = None

    def refusal(self) -> Refusal:
        """Return it in its form in a plan."""
        return refusal(
            self.component, self.check, self.problem, self.wanted, self.found, self.remedy, self.where, self.subject
        )


@dataclass(frozen=True)
class Wanted:
    """What a node should be."""

    release: str
    chips: dict[str, Chip]
    driver: WantedDriver
    cards: WantedCards
    system: WantedSystem
    packages: WantedPackages
    disk_mb: dict[str, int]
    places: Places
    accept_eula: bool
    allow_downgrade: bool
    cann_cross: str
    toolkit: Installer
    kernels: Installer
    python: WantedPython
    environment: WantedEnvironment
    ascend_env: WantedProgram
    problems: list[Lack]
    services: list[WantedService] = field(default_factory=list)
    now_s: int | None = None

    @property
    def cann_base(self) -> str:
        """The path for CANN's installers: CANN's root, or the folder beside, which may be a separate disk."""
        return os.path.join(self.places.cann, BESIDE) if self.toolkit.beside else self.places.cann


def wanted_of(document: Document) -> Wanted:
    """Return the part of the control node's result (wanted.py) that the planner needs."""
    return read(Wanted, document)
