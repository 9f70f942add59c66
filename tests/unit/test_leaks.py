# SPDX-License-Identifier: Apache-2.0
"""What brings other folders' modules into an environment: .pth lines, and the system's profiles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.ascend.python import leaks

from tests import environment_tree as tree

PTH = [
    ("x.pth", "/other\n", ["x.pth brings in /other"]),
    ("x.pth", "/other/a\n\n# /no\n/other/b\n/c\n/d\n", ["x.pth brings in /other/a, /other/b, /c and 1 more"]),
    ("x.pth", "../../../outside\n", ["x.pth brings in /outside"]),
    ("x.pth", "./inside.egg\ninside\n", []),
    ("x.pth", "/env/src/LLaMA-Factory/src\n", []),
    ("x.pth", "/env-other\n", ["x.pth brings in /env-other"]),
    ("x.pth", "/src/editable/src\n", []),
    ("x.pth", "import sys; sys.path.insert(0, '/other')\n", ["x.pth brings in /other"]),
    ("x.pth", 'import site; site.addsitedir("/env/more")\n', []),
    ("x.pth", "import _virtualenv", []),
    ("x.pth", "importlib\n", []),
    ("x.pth", b"\xff\xfe\x00/\x00\n", []),
    ("__editable__.x-1.pth", "/other\n", []),
    ("distutils-precedence.pth", "import os; var = '/other'\n", []),
    ("a-1-py3.10-nspkg.pth", "import sys, types, os; p = '/other'\n", []),
    ("x.egg-link", "/other\n.\n", ["x.egg-link brings in /other"]),
    ("x.egg-link", "", ["x.egg-link brings in None"]),
    ("sitecustomize.py", "", ["sitecustomize.py is run by every Python of the environment"]),
    ("usercustomize.pyc", "", ["usercustomize.pyc is run by every Python of the environment"]),
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


# A profile, a line's number and name of the finding and the folder it brings in.
PROFILES: list[tuple[str, str, list[tuple[int, str, str]]]] = [
    ("/root/.bashrc", "export PYTHONPATH=/home/anna/lib:$PYTHONPATH\n", [(1, "pythonpath-set", "/home/anna/lib")]),
    ("/root/.profile", "\n  PYTHONPATH='/a' ; export PYTHONPATH\n", [(2, "pythonpath-set", "/a")]),
    ("/root/.bash_profile", "if true; then export PYTHONPATH=/a; fi\n", [(1, "pythonpath-set", "/a")]),
    ("/etc/profile", 'declare -x PYTHONPATH="/a b:/c"\n', [(1, "pythonpath-set", "/a b, /c")]),
    ("/etc/bashrc", "export PYTHONPATH+=:/a\n", [(1, "pythonpath-set", "/a")]),
    ("/etc/bash.bashrc", "export X=1 PYTHONPATH=/a Y=2\n", [(1, "pythonpath-set", "/a")]),
    ("/etc/profile.d/x.sh", "export PYTHONPATH=~/lib:.\n", [(1, "pythonpath-set", "~/lib, .")]),
    ("/etc/profile.d/x.sh", "export PYTHONPATH=$HOME/lib\n", [(1, "pythonpath-set", "$HOME/lib")]),
    ("/etc/profile.d/x.sh", "D=/opt/x\nexport PYTHONPATH=${D}/lib\n", [(2, "pythonpath-set", "/opt/x/lib")]),
    ("/etc/profile.d/x.sh", "export PYTHONPATH=${D:-/opt/y}/lib\n", [(1, "pythonpath-set", "/opt/y/lib")]),
    ("/etc/profile.d/x.sh", "export PYTHONHOME=/usr\n", [(1, "pythonhome-set", "")]),
    ("/etc/environment", 'PATH="/bin"\nPYTHONPATH="/a"\n', [(2, "pythonpath-set", "/a")]),
    ("/etc/environment", "PYTHONHOME=/usr\n", [(1, "pythonhome-set", "")]),
    ("/etc/environment", "PYTHONPATH=\nPYTHONHOME=''\n", []),
    ("/root/.bashrc", "# export PYTHONPATH=/a\nls # PYTHONPATH=/a\nunset PYTHONPATH\nexport PYTHONPATH\n", []),
    ("/root/.bashrc", "PYTHONPATH=/a python3 x.py\nMYPYTHONPATH=/a\nalias x='PYTHONPATH=/a python3'\n", []),
    ("/root/.bashrc", "echo export PYTHONPATH=/a\nexport PYTHONPATH=$PYTHONPATH:\n", []),
    ("/root/.bashrc", "source /usr/local/Ascend/ascend-toolkit/set_env.sh\n", []),
    (
        "/root/.bashrc",
        "export PYTHONPATH=/usr/local/Ascend/ascend-toolkit/latest/python/site-packages:$PYTHONPATH\n",
        [],
    ),
    ("/root/.bashrc", "export PYTHONPATH=/usr/local/AscendX\n", [(1, "pythonpath-set", "/usr/local/AscendX")]),
    ("/root/.bashrc", "export PYTHONPATH=/data/Ascend/x${PYTHONPATH:+:${PYTHONPATH}}\n", []),
    ("/root/.bashrc", "export PYTHONPATH=${ASCEND_TOOLKIT_HOME}/python/site-packages:$ASCEND_OPP_PATH/op_impl\n", []),
    ("/root/.bashrc", "H=/usr/local/Ascend/x\nexport PYTHONPATH=$H/python:$PYTHONPATH\n", []),
    ("/root/.bashrc", 'export PYTHONPATH="/a\n', []),
    ("/etc/profile.d/x.csh", "export PYTHONPATH=/a\n", []),
    ("/root/.bashrc", "A=$A$A$A\n" * 50 + "export PYTHONPATH=$A\n", [(51, "pythonpath-set", "$A$A$A")]),
]


@pytest.mark.parametrize(("path", "text", "wanted"), PROFILES)
def test_profiles(path: str, text: str, wanted: list[tuple[int, str, str]], tmp_path: Path) -> None:
    for name, content in ((path, text), (leaks.CANN_INFO, "Install_Path_Param=/data/Ascend\n")):
        file = tmp_path / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    found = leaks.settings(tree.node(tmp_path))
    assert [(one["where"], one["name"]) for one in found] == [(f"{path}:{line}", name) for line, name, _ in wanted]
    for one, (line, _, folder) in zip(found, wanted, strict=True):
        assert folder[:20] in one["problem"]
        assert one["found"] == text.splitlines()[line - 1].strip()


def test_settings_are_bounded_and_odd_files_read(tmp_path: Path) -> None:
    folder = tmp_path / "etc/profile.d"
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"{number}.sh").write_text("export PYTHONPATH=/a\n")
    (folder / "dir.sh").mkdir()
    (folder / "loop.sh").symlink_to("loop.sh")
    os.mkfifo(folder / "pipe.sh")
    (tmp_path / "etc/profile").write_bytes(b"\xff\xfeexport PYTHONPATH=/a\0b\n" + b"X='" * 20000)
    found = leaks.settings(tree.node(tmp_path))
    assert len(found) == leaks.MOST_SETTINGS
    assert [one["where"] for one in found[:2]] == ["/etc/profile:1", "/etc/profile.d/0.sh:1"]
