# SPDX-License-Identifier: Apache-2.0
"""What runs on a node runs on the oldest Python a supported node has: 3.7."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.answers import NPU_SMI_HEAD, write
from tests.contract.tree import NODE_UTILS, ROOT, node_modules, passes, pythons, run

OLDEST = (3, 7)
VERMIN = ["vermin", "--no-tips", "--no-parse-comments", "--violations", "--target=3.7-"]

RUNNER = Path(__file__).with_name("node_python.py")
OPTIONS = ["-B", "-W", "error"]


def test_syntax_and_api_are_of_python_3_7() -> None:
    passes([*VERMIN, NODE_UTILS, *node_modules()])


def test_vermin_sees_newer_api(tmp_path: Path) -> None:
    newer = tmp_path / "newer.py"
    newer.write_text('print("prefix-name".removeprefix("prefix-"))\n')
    assert run([*VERMIN, newer]).returncode != 0


TABLE = f"""\
{NPU_SMI_HEAD}| 0     910B3               | OK            | 93.0        38                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          3300 / 65536         |
+===========================+===============+====================================================+
| 1     910B3               | Alarm         | NA          -                 0    / 0             |
| 0                         | 0000:C2:00.0  | 0           0    / 0          64233/ 65536         |
+===========================+===============+====================================================+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| 0       0                 | 4711          |                          | 1200                    |
| No running processes found in NPU 1                                                            |
+===========================+===============+====================================================+
"""


def odd_node(root: Path) -> None:
    """Something of everything that the readers read, each with a fault."""
    cann, site = "/usr/local/Ascend", "/opt/ascend/env/8.0.RC1-x/lib/python3.10/site-packages"
    for path, text in {
        "/etc/ascend_install.info": f"Driver_Install_Type=full\nDriver_Install_Path_Param={cann}\n",
        f"{cann}/driver/version.info": "Version=24.1.rc2\ncompatible_version_fw=[7.0.0,7.2.99]\n",
        f"{cann}/firmware/version.info": "Version=6.4.0.1\n",
        "/etc/hccn.conf": "address_0=192.0.2.11\nnetmask_0=255.255.255.0\n",
        "/dev/davinci0": "",
        "/proc/4711/cmdline": "python3\0train.py\0",
        "/etc/Ascend/ascend_cann_install.info": "Toolkit_InstallPath=/gone\n",
        f"{cann}/ascend-toolkit/8.0.RC1/aarch64-linux/ascend_toolkit_install.info": "version=8.0.RC2\narch=aarch64\n",
        f"{cann}/ascend-toolkit/8.0.RC1/runtime/version.info": "Version=7.3\nversion_dir=8.0.RC1\n",
        f"{cann}/cann-8.5.0/x86_64-linux/ascend_toolkit_install.info": "version=8.5.0\narch=x86_64\n",
        "/opt/ascend/env/8.0.RC1-x/pyvenv.cfg": "include-system-site-packages = true\nversion_info = 3.10.13\n",
        "/opt/ascend/env/8.0.RC1-x/.ascend-fleet.json": '{"python": "3.10.13", "distributions": {"numpy": "1.26.4"}}',
        f"{site}/numpy-2.1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: numpy\nVersion: 2.1.0\n",
        f"{site}/numpy-2.1.0.dist-info/RECORD": "numpy/__init__.py,sha256=AAAA,3\n",
        f"{site}/numpy/__init__.py": "x = 1\n",
        "/etc/environment": "PYTHONPATH=/opt/other\n",
    }.items():
        write(root, path, text)
    (root / "opt/ascend/env/current").symlink_to("gone")
    (root / "usr/local/Ascend/ascend-toolkit/latest").mkdir()
    (root / "usr/local/Ascend/ascend-toolkit/latest/runtime").symlink_to("../8.0.0/runtime")


OTHERS = sorted({*pythons(), OLDEST} - {version for version in pythons() if version < OLDEST})


@pytest.mark.parametrize("version", OTHERS, ids="{0[0]}.{0[1]}".format)
def test_imports_with_each_python_at_hand(version: tuple[int, int]) -> None:
    said = passes([interpreter(version), *OPTIONS, RUNNER, ROOT, "import", *node_modules()])
    assert int(said.split()[0]) == len(list(NODE_UTILS.rglob("*.py")))


def interpreter(version: tuple[int, int]) -> str:
    if version not in pythons():
        pytest.skip(f"no Python {version[0]}.{version[1]} in PATH or pyenv")
    return pythons()[version]


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A node with a driver, CANN, an environment and faults in each; and, where at hand, all real outputs."""
    root = tmp_path_factory.mktemp("node")
    odd_node(root)
    texts = [TABLE, TABLE[:-200], "dcmi module initialize failed. ret is -8005\n", "\x1b[31m|\ufffd|\r\n"]
    if folder := os.environ.get("ASCEND_CORPUS"):
        texts += [file.read_text(errors="replace") for file in sorted(Path(folder).rglob("*.txt"))]
    places = {
        "cann_root": "/usr/local/Ascend",
        "ascend_root": "/opt/ascend",
        "cache_dir": "/var/cache/ascend-fleet",
        "state_dir": "/var/lib/ascend-fleet",
        "tmp_dir": "/var/tmp",
    }
    programs = {
        "npu-smi info": TABLE,
        "npu-smi info -t health -i 1 -c 0": "Health Status : Alarm\nError Code : 80E01801\n",
        "hccn_tool -i 0 -ip -g": "ipaddr:192.0.2.10\nnetmask:255.255.255.0\n",
        "hccn_tool -i 0 -link -g": "link status: DOWN\n",
    }
    return json.dumps({"root": str(root), "places": places, "programs": programs, "texts": texts})


@pytest.fixture(scope="module")
def expected(question: str) -> dict[str, Any]:
    """What the Python of the tests answers."""
    answers = ask(sys.executable, question)
    names = {finding["name"] for finding in answers["facts"][0]["findings"]}
    assert names >= {"card-unhealthy", "network-link-down", "cann-record-stale", "environment-numpy-2"}
    return answers


@pytest.mark.parametrize("version", OTHERS, ids="{0[0]}.{0[1]}".format)
def test_each_python_at_hand_answers_the_same(version: tuple[int, int], question: str, expected: Any) -> None:
    assert ask(interpreter(version), question) == expected


def ask(python: str, question: str) -> dict[str, Any]:
    argv = [python, *OPTIONS, str(RUNNER), str(ROOT), "answer"]
    done = subprocess.run(argv, input=question, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers
