# SPDX-License-Identifier: Apache-2.0
"""What runs on a node runs on the oldest Python a supported node has: 3.7."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.tree import NODE_UTILS, ROOT, node_modules, passes, pythons, run

OLDEST = (3, 7)
VERMIN = ["vermin", "--no-tips", "--no-parse-comments", "--violations", "--target=3.7-"]

IMPORT_ALL = """
import importlib, pathlib, sys, types
root = pathlib.Path(sys.argv[1])
# The tree as Ansible shows it to a module, without Ansible: what a node has.
for name, folder in [("ansible", None), ("ansible.module_utils", root / "module_utils")]:
    package = types.ModuleType(name)
    package.__path__ = [str(folder)] if folder else []
    sys.modules[name] = package
files = sorted((root / "module_utils" / "ascend").rglob("*.py"))
for file in files:
    parts = file.relative_to(root).with_suffix("").parts
    name = ".".join(("ansible",) + (parts[:-1] if parts[-1] == "__init__" else parts))
    importlib.import_module(name)
for file in sys.argv[2:]:
    compile(pathlib.Path(file).read_text(encoding="utf-8"), file, "exec")
print(len(files), "imported")
"""


def test_syntax_and_api_are_of_python_3_7() -> None:
    passes([*VERMIN, NODE_UTILS, *node_modules()])


def test_vermin_sees_newer_api(tmp_path: Path) -> None:
    newer = tmp_path / "newer.py"
    newer.write_text('print("prefix-name".removeprefix("prefix-"))\n')
    assert run([*VERMIN, newer]).returncode != 0


def test_imports_with_the_oldest_python() -> None:
    if OLDEST not in pythons():
        pytest.skip("no Python 3.7 in PATH or pyenv")
    said = passes([pythons()[OLDEST], "-B", "-W", "error", "-c", IMPORT_ALL, ROOT, *node_modules()])
    assert int(said.split()[0]) == len(list(NODE_UTILS.rglob("*.py")))


NEWER = sorted(version for version in pythons() if version > OLDEST)


@pytest.mark.parametrize("version", NEWER, ids="{0[0]}.{0[1]}".format)
def test_imports_with_each_python_at_hand(version: tuple[int, int]) -> None:
    passes([pythons()[version], "-B", "-W", "error", "-c", IMPORT_ALL, ROOT, *node_modules()])
