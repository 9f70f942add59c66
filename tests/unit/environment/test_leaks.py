# SPDX-License-Identifier: Apache-2.0
"""What brings other folders' modules into an environment: .pth lines, and the system's profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import leaks

PTH = [
    ("x.pth", "/other\n", ["x.pth adds /other to sys.path"]),
    ("x.pth", "/other/a\n\n# /no\n/other/b\n/c\n/d\n", ["x.pth adds /other/a, /other/b, /c, /d to sys.path"]),
    ("x.pth", "../../../outside\n", ["x.pth adds /outside to sys.path"]),
    ("x.pth", "./inside.egg\ninside\n", []),
    ("x.pth", "/env/src/LLaMA-Factory/src\n", []),
    ("x.pth", "/env-other\n", ["x.pth adds /env-other to sys.path"]),
    ("x.pth", "/src/editable/src\n", []),
    ("x.pth", "import sys; sys.path.insert(0, '/other')\n", ["x.pth adds /other to sys.path"]),
    ("x.pth", 'import site; site.addsitedir("/env/more")\n', []),
    ("x.pth", "import _virtualenv", []),
    ("x.pth", "importlib\n", []),
    ("x.pth", b"\xff\xfe\x00/\x00\n", []),
    ("__editable__.x-1.pth", "/other\n", []),
    ("distutils-precedence.pth", "import os; var = '/other'\n", []),
    ("a-1-py3.10-nspkg.pth", "import sys, types, os; p = '/other'\n", []),
    ("x.egg-link", "/other\n.\n", ["x.egg-link points to /other"]),
    ("x.egg-link", "", ["x.egg-link points to no folder"]),
    ("sitecustomize.py", "", ["every Python of the environment runs sitecustomize.py"]),
    ("usercustomize.pyc", "", ["every Python of the environment runs usercustomize.pyc"]),
    ("sitecustomize_not.py", "", []),
    ("readme.txt", "/other\n", []),
]


@pytest.mark.parametrize(("name", "text", "wanted"), PTH)
def test_what_site_packages_brings_in(name: str, text: str | bytes, wanted: list[str], tmp_path: Path) -> None:
    site = tmp_path / "env/lib/site-packages"
    site.mkdir(parents=True)
    (site / name).write_bytes(text if isinstance(text, bytes) else text.replace("/env", f"{tmp_path}/env").encode())
    found = leaks.site_leaks(str(site), [name], [f"{tmp_path}/env", "/src/editable"])
    assert [problem.words.replace(str(tmp_path), "") for problem in found] == wanted
    assert all(problem.path == str(site / name) for problem in found)
