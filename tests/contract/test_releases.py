# SPDX-License-Identifier: Apache-2.0
"""Every row of every release: versions are quoted strings, locks are complete and hashed, all parts go together."""

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

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann.layouts import LAYOUTS
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.compatibility import problems_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import read_matrix, read_release
from tests.contract.tree import ROOT

RELEASES = sorted((ROOT / "releases").glob("*/release.yml"))
NAMES = [path.parent.name for path in RELEASES]
LOCKS = sorted((ROOT / "releases").glob("*/lock-*.txt"))
# The simulated x86_64 nodes take torch from the package index: torch-npu asks for a build that is not there.
SIMULATED = sorted((ROOT / "sim" / "locks").glob("*.txt"))
MATRIX = ROOT / "releases" / "compatibility.yml"
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


def release_of(lock: Path) -> Path:
    """The folder of the release that a lock belongs to."""
    return lock.parent if lock in LOCKS else ROOT / "releases" / lock.name.rpartition("-")[0]


def named(lock: Path) -> str:
    return f"{lock.parent.name}-{lock.stem}"


def test_there_are_the_releases() -> None:
    assert set(NAMES) >= {"8.0.RC1", "8.0.0", "8.2.RC1", "8.3.RC1", "9.0.0"}


@pytest.mark.parametrize("path", [*RELEASES, MATRIX], ids=[*NAMES, "matrix"])
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


@pytest.mark.parametrize("lock", [*LOCKS, *SIMULATED], ids=named)
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


# CANN's own Python, and LLaMA-Factory's extra `metrics`.
ALSO = {"attrs", "cffi", "decorator", "jieba", "nltk", "numpy", "psutil", "pyyaml", "rouge-chinese", "scipy", "sympy"}


@pytest.mark.parametrize("lock", [*LOCKS, *SIMULATED], ids=named)
def test_lock_holds_what_the_release_promises(lock: Path) -> None:
    said = yaml.safe_load((release_of(lock) / "release.yml").read_text())["requirements"]
    locked = requirements(lock)
    wanted = {name: row["recommended"] for name, row in said.items() if name != "cann"}
    assert set(wanted) == {"deepspeed", "llamafactory", "torch", "torch-npu"}
    assert {name: Version(locked[name][0]).public for name in wanted} == wanted
    assert set(locked) >= ALSO
    assert Version(locked["numpy"][0]) < Version("2"), "LLaMA-Factory and CANN's own Python need NumPy 1"
    assert Version(locked["setuptools"][0]) < Version("81"), "torch_npu imports pkg_resources"


@pytest.mark.parametrize("lock", [*LOCKS, *SIMULATED], ids=named)
def test_torch_is_the_build_that_torch_npu_asks_for(lock: Path) -> None:
    locked = requirements(lock)
    local = "cpu" if lock.stem == "lock-x86_64" else None
    built = {name: Version(locked[name][0]).local for name in ("torch", "torchvision", "torchaudio") if name in locked}
    assert built == dict.fromkeys(built, local)
    assert "torch" in built


@pytest.mark.parametrize("lock", [*LOCKS, *SIMULATED], ids=named)
def test_all_parts_go_together(lock: Path) -> None:
    assert problems_of(release_of(lock), lock) == []


def test_every_row_of_the_matrix_stands_on_the_others() -> None:
    matrix = read_matrix(str(ROOT / "releases"))
    assert set(matrix["cann"]) >= {read_release(str(path.parent))["cann"]["version"] for path in RELEASES}
    for version, row in matrix["torch-npu"].items():
        assert version.startswith(row["torch"]), version
    wanted = {version for row in matrix["llamafactory"].values() for version in row["torch-npu"]}
    assert wanted <= set(matrix["torch-npu"])


def test_every_row_of_a_cann_says_its_layout_and_names_its_kernels_so() -> None:
    for version, row in read_matrix(str(ROOT / "releases"))["cann"].items():
        assert f"-{LAYOUTS[row['layout']].kernels % '{chip}'}_" in row["kernels"], version


@pytest.mark.parametrize("path", RELEASES, ids=NAMES)
def test_release_says_its_layout(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["cann"]["layout"] in LAYOUTS


def test_firmware_is_that_of_the_driver_beside_it() -> None:
    """The oldest driver of a CANN, and of a release, stands with the firmware of its own Ascend HDK."""
    matrix = read_matrix(str(ROOT / "releases"))
    own = {driver: row["firmware"] for driver, row in matrix["driver"].items()}
    pairs = {f"CANN {version}": (row["driver"], row["firmware"]) for version, row in matrix["cann"].items()}
    for path in RELEASES:
        driver = read_release(str(path.parent))["driver"]
        pairs[f"release {path.parent.name}"] = (driver["minimum"], driver["firmware"])
    assert {name: (driver, own.get(driver)) for name, (driver, _) in pairs.items()} == pairs


@pytest.mark.parametrize("path", RELEASES, ids=NAMES)
def test_packages_lie_where_their_version_does(path: Path) -> None:
    release = yaml.safe_load(path.read_text())
    version = release["cann"]["version"]
    toolkits = release["packages"]["toolkit"]
    packages = [
        *toolkits.values(),
        *(package for chip in release["packages"]["kernels"].values() for package in chip.values()),
    ]
    for package in packages:
        stem = package["file"].removesuffix(".run")
        assert package["url"].endswith(f"/CANN/CANN%20{version}/{stem}.zip")
    for architecture, toolkit in toolkits.items():
        assert toolkit["file"] == f"Ascend-cann-toolkit_{version}_linux-{architecture}.run"


def test_every_release_has_a_lock_for_simulated_nodes() -> None:
    assert [lock.name for lock in SIMULATED] == sorted(f"{name}-x86_64.txt" for name in NAMES)


def test_every_lock_belongs_to_its_release() -> None:
    said = {path.parent / name for path in RELEASES for name in yaml.safe_load(path.read_text())["locks"].values()}
    assert set(LOCKS) == said
