# SPDX-License-Identifier: Apache-2.0
"""make sbom, make audit, make sign and make verify: what they say of the project's own releases and locks."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import lock as locks
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import read_release
from tests.contract.tree import ROOT, links, passes, run


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SBOM, AUDIT = program("sbom"), program("audit")
FOLDER = ROOT / "releases" / "8.0.RC1"
PINS = locks.entries((FOLDER / "lock-aarch64.txt").read_text())


def bill(pins: list[str] = PINS, depot: Path | None = None) -> dict[str, Any]:
    SBOM._wheels.cache_clear()
    found: dict[str, Any] = json.loads(SBOM.document(read_release(str(FOLDER)), "aarch64", pins, depot))
    return found


def test_a_bill_has_every_byte_that_a_node_runs() -> None:
    found = {component["name"]: component for component in bill()["components"]}
    pinned = locks.parse("\n".join(PINS))
    assert {name: found[name]["version"] for name in pinned} == pinned
    assert set(found) - set(pinned) == {"cann-toolkit", "cann-kernels-910b", "cpython", "uv", "libtorrent"}
    assert all(component["hashes"] for component in found.values())
    assert all(component["purl"].startswith("pkg:") for component in found.values())
    python = read_release(str(FOLDER))["python"]["archives"]["aarch64"]["sha256"]
    assert found["cpython"]["hashes"] == [{"alg": "SHA-256", "content": python}]
    (line,) = [line for line in PINS if line.startswith("accelerate==")]
    assert all(each["content"] in line for each in found["accelerate"]["hashes"])
    assert not [name for name, component in found.items() if "licenses" in component], "no licence is guessed"


def test_a_bill_is_the_same_the_second_time_and_another_for_another_lock() -> None:
    some = bill(PINS[:3])
    assert bill(PINS[:3]) == some
    assert some["serialNumber"].startswith("urn:uuid:")
    assert bill(PINS[1:3])["serialNumber"] != some["serialNumber"]


LICENCES: list[tuple[str, dict[str, Any] | None]] = [
    ("License-Expression: MIT OR Apache-2.0", {"expression": "MIT OR Apache-2.0"}),
    ("Classifier: License :: OSI Approved :: MIT License", {"license": {"id": "MIT"}}),
    ("License: Apache-2.0", {"license": {"id": "Apache-2.0"}}),
    ("License: of our house", {"license": {"name": "of our house"}}),
    ("Classifier: License :: OSI Approved :: BSD License", None),
    ("License: UNKNOWN", None),
    ("", None),
]


def test_a_licence_is_what_the_wheel_in_the_depot_says(tmp_path: Path) -> None:
    pins = []
    for number, (metadata, _) in enumerate(LICENCES):
        wheel = tmp_path / f"made{number}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"made{number}-1.0.dist-info/METADATA", f"Metadata-Version: 2.4\n{metadata}\n")
        pins.append(f"made{number}==1.0 --hash=sha256:{'0' * 64} --hash=sha256:{SBOM.files.sha256(str(wheel))}")
    found = {component["name"]: component for component in bill(pins, tmp_path)["components"]}
    for number, (metadata, licence) in enumerate(LICENCES):
        made = found[f"made{number}"]
        assert made.get("licenses") == ([licence] if licence else None), metadata
        # Of what the lock accepts, what the depot has.
        assert [each["content"] for each in made["hashes"]] == [pins[number].rpartition(":")[2]]
        assert made["properties"] == [{"name": "ascend-fleet:file", "value": f"made{number}-1.0-py3-none-any.whl"}]


def test_every_lock_is_audited_whatever_its_build() -> None:
    found = AUDIT.pinned(sorted((ROOT / "releases").glob("*/lock-*.txt")))
    assert not [key for key in found if "+" in key[1]]
    assert ("torch", "2.1.0") in found
    assert any("lock-x86_64" in where for where in found["torch", "2.1.0"])


def test_requirements_have_no_distribution_twice(tmp_path: Path) -> None:
    pins = {("a", "1"): ["x"], ("a", "2"): ["y"], ("b", "1"): ["x"]}
    files = AUDIT.requirements(pins, tmp_path)
    assert [file.read_text() for file in files] == ["a==1\nb==1\n", "a==2\n"]


KEY = ("a", "1")
DEFECT = {"id": "GHSA-1", "fix_versions": ["2"]}


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "All 1 distributions were checked."),
        ([{"name": "a", "version": "1", "vulns": [DEFECT]}], 1, "a 1: GHSA-1, fixed in 2 (x)"),
        ([{"name": "a", "skip_reason": "Dependency not found"}], 3, "Not checked, 1 of 1: a 1. The first reason: Depe"),
        ([], 3, "Not checked, 1 of 1: a 1."),
        ("no network", 3, "Not checked, none of 1: no network"),
    ],
)
def test_what_was_not_checked_is_not_clean(answer: Any, code: int, words: str) -> None:
    found, lines = AUDIT.judged({KEY: ["x"]}, answer)
    assert found == code
    assert words in "\n".join(lines)


def test_without_a_database_nothing_is_called_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    files = AUDIT.requirements({("packaging", "24.0"): ["x"]}, tmp_path)
    answer = AUDIT.asked(files, "osv")
    assert AUDIT.judged({("packaging", "24.0"): ["x"]}, answer)[0] == 3, answer


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A checkout of what is here, signed with a key of this test's own."""
    folder = tmp_path_factory.mktemp("signed")
    home = Path("/tmp") / f"ascend-gnupg-{os.getpid()}"  # a socket's path is short
    home.mkdir(mode=0o700)
    env = {"GNUPGHOME": str(home), "GPG_TTY": "none", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    try:
        key = ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "Test <test@example.test>", "ed25519", "sign"]
        passes(key, env=env)
        listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]).stdout.split("\0")
        checkout = folder / "checkout"
        for name in (name for name in listed if name and os.path.lexists(ROOT / name)):
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, checkout / name, follow_symlinks=False)
        git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.test"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
            passes([*git, *words], cwd=checkout)
        passes([checkout / "scripts/signing", "sign"], cwd=checkout, env=env)
        yield checkout, env
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, **env}, check=False)
        shutil.rmtree(home, ignore_errors=True)


def verified(signed: tuple[Path, dict[str, str]]) -> tuple[int, str]:
    done = run([signed[0] / "scripts/signing", "verify"], cwd=signed[0], env=signed[1])
    return done.returncode, done.stdout


@pytest.mark.slow
def test_a_checkout_is_verified_and_the_operators_own_does_not_count(signed: tuple[Path, dict[str, str]]) -> None:
    own = signed[0] / "inventory" / "prod" / "group_vars" / "mine.yml"
    own.write_text("a: b\n")
    (signed[0] / "reports").mkdir(exist_ok=True)
    (signed[0] / "reports" / "x.json").write_text("{}")
    code, words = verified(signed)
    assert code == 0, words


def changed(checkout: Path) -> Path:
    path = checkout / "module_utils" / "ascend" / "errors.py"
    path.write_text(path.read_text() + "\n")
    return path


def added(checkout: Path) -> Path:
    path = checkout / "plugins" / "action" / "of_a_stranger.py"
    path.write_text("x = 1\n")
    return path


def removed(checkout: Path) -> Path:
    path = checkout / "releases" / "8.0.0" / "lock-aarch64.txt"
    path.unlink()
    return path


def linked(checkout: Path) -> Path:
    path = checkout / "roles" / "stranger"
    path.symlink_to("/tmp")
    return path


def redirected(checkout: Path) -> Path:
    path = checkout / "plugins" / "modules"
    path.unlink()
    path.symlink_to("/tmp")
    return path


def signed_by_nobody(checkout: Path) -> Path:
    path = checkout / ".ansible-sign" / "sha256sum.txt"
    path.write_text(path.read_text().replace("a", "b", 1))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "what", [changed, added, removed, linked, redirected, signed_by_nobody], ids=lambda each: each.__name__
)
def test_what_differs_from_what_was_signed_is_found(what: Any, signed: tuple[Path, dict[str, str]]) -> None:
    checkout = signed[0]
    kept = checkout.parent / "kept"
    shutil.copytree(checkout / ".ansible-sign", kept)
    path = what(checkout)
    try:
        code, words = verified(signed)
        assert code == (3 if what is signed_by_nobody else 2), words
        assert what is signed_by_nobody or str(path.relative_to(checkout)) in words, words
    finally:
        if path.is_symlink() or path.exists():
            path.unlink()
        run(["git", "checkout", "-q", "--", "."], cwd=checkout)
        shutil.copytree(kept, checkout / ".ansible-sign", dirs_exist_ok=True)
        shutil.rmtree(kept)


def test_the_links_that_count_are_those_of_the_project() -> None:
    text = (ROOT / "scripts" / "signing").read_text()
    wanted = [f"./{path.relative_to(ROOT)} -> {path.readlink()}" for path in links()]
    assert text.partition("links='")[2].partition("'")[0].splitlines() == sorted(wanted)
