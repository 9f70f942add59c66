# SPDX-License-Identifier: Apache-2.0
"""The stand-in wheels install from their lock and fail as the real ones do where CANN is not sourced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.standin.build import build


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standin")
    lock = build(folder)
    install = ["uv", "pip", "install", "--quiet", "--no-index", "--require-hashes", "--python", sys.executable]
    options = ["--find-links", str(folder / "incoming"), "--target", str(folder / "site"), "--requirements", str(lock)]
    subprocess.run([*install, *options], check=True)
    return folder / "site"


def python(code: str, installed: Path, **more: str) -> subprocess.CompletedProcess[str]:
    env = {"PYTHONPATH": str(installed), **more}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def test_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = build(tmp_path / "one"), build(tmp_path / "two")
    assert first.read_bytes() == second.read_bytes()


def test_fails_without_cann(installed: Path) -> None:
    said = python("import torch, torch_npu", installed)
    assert said.returncode != 0
    assert "ImportError: libhccl.so: cannot open shared object file" in said.stderr
    assert "Please run 'source set_env.sh'" in said.stderr


def test_asks_the_libraries(installed: Path, tmp_path: Path) -> None:
    source = tmp_path / "acl.c"
    source.write_text(
        "#include <stddef.h>\n"
        "int aclrtGetDeviceCount(unsigned *n) { *n = 2; return 0; }\n"
        "int aclrtSetDevice(int i) { return i < 2 ? 0 : 107001; }\n"
        'const char *aclrtGetSocName(void) { return "Ascend910B3"; }\n'
        "int aclrtGetMemInfo(int kind, size_t *f, size_t *t) { *f = 1; *t = 64UL << 30; return kind != 1; }\n"
    )
    for name in ("libascendcl.so", "libhccl.so"):
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / name, source], check=True)
    said = python(
        "import torch, torch_npu\n"
        "torch.npu.set_device(1)\n"
        "assert torch.npu.is_available() and torch.npu.device_count() == 2\n"
        "assert torch.ones(3).npu().cpu().tolist() == [1.0, 1.0, 1.0]\n"
        "print(torch.npu.get_device_name(1), torch.npu.get_device_properties(1).total_memory)\n",
        installed,
        LD_LIBRARY_PATH=str(tmp_path),
    )
    assert said.stdout.split() == ["Ascend910B3", str(64 << 30)], said.stderr


def test_command(installed: Path) -> None:
    said = python("import sys; from llamafactory.cli import main; sys.argv[1:] = ['version']; main()", installed)
    assert "0.9.1" in said.stdout
