# SPDX-License-Identifier: Apache-2.0
"""What the checkout holds, and how to run a tool over it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# Modules and code that run on the control node alone, with the control node's Python; all else runs on nodes.
CONTROL_MODULES = re.compile(r"(depot|ssh_enroll|controller)")
NODE_UTILS = ROOT / "module_utils" / "ascend"
# The oldest and the newest ansible-core -> the Pythons its control node may have, oldest and newest.
SUPPORTED = {"2.17": ((3, 10), (3, 12)), "2.21": ((3, 12), (3, 14))}
# For tests that take long: `make test` has the oldest, and its virtual environment another.
OLDEST_FIRST = ["2.17", pytest.param("2.21", marks=pytest.mark.whole)]


def modules() -> list[Path]:
    """The project's own Ansible modules."""
    return sorted(path for path in (ROOT / "library").glob("*.py") if not path.name.startswith("_"))


def node_modules() -> list[Path]:
    """The modules that run with a node's own Python."""
    return [path for path in modules() if not CONTROL_MODULES.match(path.stem)]


def roles() -> list[Path]:
    return sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())


def documentation(module: Path) -> dict[str, Any]:
    """The parsed DOCUMENTATION of a module with its fragments' options, without importing it."""
    parsed = _documentation(module, ast.parse(module.read_text()).body)
    for name in parsed.get("extends_documentation_fragment", []):
        fragment = ROOT / "plugins" / "doc_fragments" / f"{name.removeprefix('ascend.fleet.')}.py"
        (body,) = (node.body for node in ast.parse(fragment.read_text()).body if isinstance(node, ast.ClassDef))
        parsed["options"] = {**_documentation(fragment, body)["options"], **parsed.get("options", {})}
    return parsed


def _documentation(file: Path, statements: list[ast.stmt]) -> dict[str, Any]:
    for node in statements:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
            parsed: dict[str, Any] = yaml.safe_load(ast.literal_eval(node.value))
            return parsed
    raise AssertionError(f"{file} has no DOCUMENTATION")


@cache
def _listed() -> tuple[Path, ...]:
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]).stdout.split("\0")
    return tuple(ROOT / name for name in sorted(listed) if name)


def committed() -> tuple[Path, ...]:
    """Every file that git tracks or would track, links left out."""
    return tuple(path for path in _listed() if path.is_file() and not path.is_symlink())


def links() -> tuple[Path, ...]:
    """Every link that git tracks: those that make the checkout a collection."""
    return tuple(path for path in _listed() if path.is_symlink())


def yaml_files(*folders: str) -> list[Path]:
    """YAML files of these folders and playbooks of the top folder."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.yml")]
    return sorted([*files, *(path for path in ROOT.glob("*.yml") if path.name != "mkdocs.yml")])


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Run a tool of the virtual environment and keep what it says; the caller judges the exit code."""
    return subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def passes(argv: Sequence[str | Path], **options: Any) -> str:
    """Run a tool that must exit 0; its output is the failure's message."""
    done = run(argv, **options)
    assert done.returncode == 0, f"{' '.join(map(str, argv))} exited {done.returncode}:\n{done.stdout[-20000:]}"
    return done.stdout


def _candidates() -> Iterator[str]:
    yield sys.executable
    for minor in range(7, 16):
        if found := shutil.which(f"python3.{minor}"):
            yield found
    if pyenv := shutil.which("pyenv"):
        for version in run([pyenv, "versions", "--bare"]).stdout.split():
            yield f"{run([pyenv, 'prefix', version]).stdout.strip()}/bin/python3"


@cache
def pythons() -> dict[tuple[int, int], str]:
    """The Python 3 interpreters of this machine that start, by version; from PATH and from pyenv."""
    ask = "import sys; print(*sys.version_info[:2], getattr(sys, '_base_executable', sys.executable))"
    found: dict[tuple[int, int], str] = {}
    for candidate in _candidates():
        try:
            said = run([candidate, "-c", ask], timeout_s=30)
        except OSError:
            continue
        if said.returncode == 0:
            major, minor, executable = said.stdout.split(maxsplit=2)
            found.setdefault((int(major), int(minor)), executable.strip())
    return {version: path for version, path in found.items() if version[0] == 3}


def ansible_core(version: str, cache_dir: Path) -> Path:
    """The bin folder of a virtual environment with that ansible-core, kept in the cache; skips where none fits."""
    oldest, newest = SUPPORTED[version]
    usable = sorted(python for python in pythons() if oldest <= python <= newest)
    if not usable:
        pytest.skip(f"ansible-core {version}: no Python for it in PATH or pyenv")
    target = cache_dir / f"ansible-{version}"
    done = target / "installed"
    wanted = f"ansible-core=={version}.* urllib3 {pythons()[usable[0]]}"
    if not done.is_file() or done.read_text() != wanted:
        uv = shutil.which("uv")
        assert uv
        passes([uv, "venv", "--quiet", "--clear", "--python", pythons()[usable[0]], target])
        passes([uv, "pip", "install", "--quiet", "--python", target / "bin" / "python", *wanted.split()[:2]])
        done.write_text(wanted)
    return target / "bin"
