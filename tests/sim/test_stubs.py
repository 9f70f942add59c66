# SPDX-License-Identifier: Apache-2.0
"""The stub libraries have what a wheel links or looks up, and answer what torch-npu asks of a CANN without cards."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import stubs

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the names are those of an x86_64 library")

# As torch-npu 2.7.1.post4: bound at once, and it looks others up by name.
SOURCE = """
#include <stdio.h>
int aclrtSynchronizeStream(void); int HcclBarrier(void); int rtKernelLaunch(void); int MsprofReportApi(void);
int strcpy_s(char *, unsigned long, const char *); int _ZN2ge5Graph4NameEv(void); int not_of_cann(void);
const char *looked_up[] = {"aclnnAddGetWorkspaceSize", "mstxMarkA", "aclnn add", "rt", "maybe"};
int answer(void) {
  char text[8];
  return aclrtSynchronizeStream() + HcclBarrier() + rtKernelLaunch() + MsprofReportApi() + strcpy_s(text, 8, "torch")
    + _ZN2ge5Graph4NameEv() + printf("%s", text) - 5;
}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "a.c").write_text(SOURCE)
    argv = [
        "gcc",
        "-shared",
        "-fPIC",
        "-Wl,-z,now",
        "-Wl,--unresolved-symbols=ignore-all",
        "-o",
        "libtorch_npu.so",
        "a.c",
    ]
    subprocess.run(argv, cwd=folder, check=True)
    with zipfile.ZipFile(folder / "torch_npu.whl", "w") as archive:
        archive.write(folder / "libtorch_npu.so", "torch_npu/lib/libtorch_npu.so")
        archive.writestr("torch_npu/__init__.py", "aclInit")
    return folder / "torch_npu.whl"


@pytest.fixture(scope="module")
def library(wheel: Path) -> Path:
    stubs.build(stubs.names_in(wheel, "x86_64"), wheel.parent, "x86_64", ["libascendcl.so"])
    return wheel.parent / "libascendcl.so"


def test_names_of_cann_alone_are_taken(wheel: Path) -> None:
    linked = {"aclrtSynchronizeStream", "HcclBarrier", "rtKernelLaunch", "MsprofReportApi", "_ZN2ge5Graph4NameEv"}
    assert set(stubs.names_in(wheel, "x86_64")) == linked | {"aclnnAddGetWorkspaceSize", "mstxMarkA"}


def test_a_library_that_is_bound_at_once_is_loaded(wheel: Path, library: Path) -> None:
    program = "import ctypes, sys; [ctypes.CDLL(path, ctypes.RTLD_GLOBAL) for path in sys.argv[1:-1]]; "
    program += "sys.exit(ctypes.CDLL(sys.argv[-1]).answer())"
    argv = [sys.executable, "-c", program, str(library), str(wheel.parent / "libtorch_npu.so")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "torch"), done.stderr
    alone = subprocess.run([*argv[:3], argv[-1]], capture_output=True, text=True, check=False)
    assert "undefined symbol" in alone.stderr


@pytest.mark.parametrize(
    ("place", "text", "version"),
    [
        ("runtime", "Version=7.7.0.1.238\nversion_dir=8.3.RC1\n", b"8.3.RC1"),
        ("share/info/runtime", "Version=9.0.0\nversion_dir=cann\n", b"9.0.0"),
        ("share/info/hccl", "Version=9.0.0\n", None),
    ],
)
def test_the_version_is_that_of_the_files(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, text: str, version: bytes | None
) -> None:
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "version.info").write_text(text)
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tmp_path))
    cann = ctypes.CDLL(str(library))
    answer = ctypes.create_string_buffer(b"\xff" * 512, 512)
    code = cann.aclsysGetCANNVersion(0, answer)
    assert (code, answer.value) == ((0, version) if version else (100003, b""))
    answer = ctypes.create_string_buffer(128)
    assert cann.aclsysGetVersionStr(b"runtime", answer) == code
    assert answer.value == (version or b"")


def test_a_cards_memory_is_asked_for_in_two_ways(library: Path) -> None:
    cann = ctypes.CDLL(str(library))
    available, total, of_card = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_int64(-1)
    assert cann.aclrtGetMemInfo(1, ctypes.byref(available), ctypes.byref(total)) == 0
    assert cann.aclrtGetDeviceInfo(0, 301, ctypes.byref(of_card)) == 0
    assert of_card.value == total.value > available.value > 0
    assert cann.aclrtGetDeviceInfo(99, 301, ctypes.byref(of_card)) == 107001
