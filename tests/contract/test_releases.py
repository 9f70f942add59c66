# SPDX-License-Identifier: Apache-2.0
"""Every row of every release: versions are quoted strings, locks are complete and hashed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.contract.tree import ROOT

RELEASES = sorted((ROOT / "releases").glob("*/release.yml"))
NAMES = [path.parent.name for path in RELEASES]
LOCKS = sorted((ROOT / "releases").glob("*/lock-*.txt"))
# The simulated x86_64 nodes take torch from the package index: torch-npu asks for a build that is not there.
SIMULATED = sorted((ROOT / "sim").glob("lock-*.txt"))
LOOKS_LIKE_A_VERSION = re.compile(r"\d+\.\d")


def scalars(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            yield from scalars(entry)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from scalars(key)
            yield from scalars(value)


def bare_versions(text: str) -> list[str]:
    """Plain scalars that YAML reads as a number with a point, or that a person reads as a version."""
    plain = [node for node in scalars(yaml.compose(text)) if node.style is None]
    return [node.value for node in plain if node.tag.endswith(":float") or LOOKS_LIKE_A_VERSION.match(node.value)]


def keys(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from keys(value)
    elif isinstance(node, list):
        for entry in node:
            yield from keys(entry)


def test_there_is_the_default_release() -> None:
    assert "8.0.RC1" in NAMES


@pytest.mark.parametrize("path", RELEASES, ids=NAMES)
def test_versions_are_quoted(path: Path) -> None:
    assert bare_versions(path.read_text()) == []


def test_a_bare_version_is_seen() -> None:
    assert bare_versions('a: 8.10\nb: "8.10"\nc: [8.0.RC1, 3]\n24.1: x\n') == ["8.10", "8.0.RC1", "24.1"]


@pytest.mark.parametrize("path", RELEASES, ids=NAMES)
def test_release_says_what_the_roles_ask(path: Path) -> None:
    release = yaml.safe_load(path.read_text())
    assert release["release"] == path.parent.name
    assert [key for key in keys(release) if not isinstance(key, str)] == [], "keys are strings: quote numbers"
    assert release["chips"]["910b"]["supported"] is True
    for chip, said in release["chips"].items():
        re.compile(said["names"])
        assert said["supported"] or said["reason"], f"{chip}: refused without a reason"
    assert set(release["disk_mb"]) == {"cann", "tmp", "env", "cache"}
    for name in release["locks"].values():
        assert (path.parent / name).is_file()


@pytest.mark.parametrize("path", RELEASES, ids=NAMES)
def test_published_sha256_are_sha256(path: Path) -> None:
    release = yaml.safe_load(path.read_text())

    def sums(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if str(key).endswith("sha256") and value:
                    yield str(value)
                yield from sums(value)

    assert [value for value in sums(release["packages"]) if not re.fullmatch(r"[0-9a-f]{64}", value)] == []


def requirements(lock: Path) -> dict[str, tuple[str, list[str]]]:
    """Distribution -> (version, hashes) of a lock: a requirements file in which every line is pinned."""
    text = re.sub(r"^\s*#.*\n", "", lock.read_text(), flags=re.MULTILINE)
    found: dict[str, tuple[str, list[str]]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        words = line.partition(" #")[0].split()
        hashes = [word.removeprefix("--hash=sha256:") for word in words if word.startswith("--hash=sha256:")]
        requirement = Requirement(" ".join(word for word in words if not word.startswith("--hash=")))
        (pin,) = requirement.specifier
        assert pin.operator == "==", line
        assert "*" not in pin.version, line
        name = canonicalize_name(requirement.name)
        assert name not in found, f"{name} twice"
        found[name] = (pin.version, hashes)
    return found


@pytest.mark.parametrize("lock", [*LOCKS, *SIMULATED], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_lock_is_pinned_and_hashed(lock: Path) -> None:
    locked = requirements(lock)
    assert len(locked) > 50
    wrong = {
        name: hashes
        for name, (_, hashes) in locked.items()
        if not hashes or not all(re.fullmatch("[0-9a-f]{64}", digest) for digest in hashes)
    }
    assert wrong == {}
    assert list(locked) == sorted(locked)


WANTED = {"torch": "2.1.0", "torch-npu": "2.1.0.post3", "deepspeed": "0.13.2", "llamafactory": "0.9.1"}
# CANN's own Python, and LLaMA-Factory's extra `metrics`.
ALSO = {"attrs", "cffi", "decorator", "jieba", "nltk", "numpy", "psutil", "pyyaml", "rouge-chinese", "scipy", "sympy"}


@pytest.mark.parametrize("lock", [*LOCKS, *SIMULATED], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_lock_holds_what_the_release_promises(lock: Path) -> None:
    if lock.parent.name not in ("8.0.RC1", "sim"):
        pytest.skip("the names and versions below are those of 8.0.RC1")
    locked = requirements(lock)
    assert {name: Version(locked[name][0]).public for name in WANTED} == WANTED
    assert set(locked) >= ALSO
    assert Version(locked["numpy"][0]) < Version("2"), "torch 2.1 was built against NumPy 1"


def test_every_lock_belongs_to_its_release() -> None:
    named = {path.parent / name for path in RELEASES for name in yaml.safe_load(path.read_text())["locks"].values()}
    assert set(LOCKS) == named
