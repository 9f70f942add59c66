# SPDX-License-Identifier: Apache-2.0
"""Module utilities out of an archive, as a node gets them: each is compiled once, and is what it would be else."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import zipped

ZIPPED = Path(zipped.__file__)
PACKAGE = ["ansible_collections", "ascend", "fleet", "plugins", "module_utils"]
UTILS = "/".join(PACKAGE) + "/"
TEXTS = {
    **{"/".join(PACKAGE[: depth + 1]) + "/__init__.py": "" for depth in range(len(PACKAGE))},
    UTILS + "ascend/__init__.py": "",
    UTILS + "ascend/zipped.py": ZIPPED.read_text(encoding="utf-8"),
    UTILS + "ascend/npu/__init__.py": "name = 'npu'\n",
    UTILS + "ascend/npu/cards.py": "from . import name\n\ndef fail():\n    raise KeyError\n",
    UTILS + "broken.py": "def\n",
    "others.py": "",
}
PROGRAM = """
import builtins, collections, importlib, json, sys, traceback
sys.path.insert(0, sys.argv[1])
compiled, compile_ = collections.Counter(), builtins.compile
def counting(source, filename, *rest, **more):
    compiled[str(filename)[len(sys.argv[1]) + 1:]] += 1
    return compile_(source, filename, *rest, **more)
builtins.compile = counting
from ansible_collections.ascend.fleet.plugins.module_utils.ascend import zipped
if sys.argv[2] == "once":
    zipped.compile_once()
compiled.clear()
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu import cards
import others
errors = []
for name in ("broken", "gone", "ascend.npu.gone"):
    try:
        importlib.import_module("ansible_collections.ascend.fleet.plugins.module_utils." + name)
    except (ImportError, SyntaxError) as error:
        errors.append(type(error).__name__)
try:
    cards.fail()
except KeyError:
    shown = traceback.format_exc()
package = sys.modules["ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu"]
print(json.dumps({
    "compiled": compiled, "errors": errors, "shown": shown, "name": cards.name, "file": cards.__file__,
    "package": [package.__name__, package.__package__, list(package.__path__)], "cached": list(sys.path_importer_cache),
}))
"""


def imported(folder: Path, how: str) -> Any:
    archive = folder / "utils.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for name, text in TEXTS.items():
            written.writestr(name, text)
    argv = [sys.executable, "-I", "-c", PROGRAM, str(archive), how]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_a_utility_is_compiled_once_and_is_the_same(tmp_path: Path) -> None:
    found, usual = imported(tmp_path, "once"), imported(tmp_path, "as usual")
    cards = UTILS + "ascend/npu/cards.py"
    assert {name: found["compiled"][name] for name in found["compiled"] if "npu" in name} == {
        UTILS + "ascend/npu/__init__.py": 1,
        cards: 1,
    }
    assert usual["compiled"][cards] > 1
    for key in ("errors", "name", "file", "package", "shown"):
        assert found[key] == usual[key], key
    assert found["errors"] == ["SyntaxError", "ModuleNotFoundError", "ModuleNotFoundError"]
    assert "raise KeyError" in found["shown"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["utils.zip"]


def test_outside_of_an_archive_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    before = list(sys.meta_path)
    zipped.compile_once()
    assert sys.meta_path == before
