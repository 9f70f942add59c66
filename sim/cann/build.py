#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build simulated CANN packages: genuine makeself archives that install the layout of CANN 8.0, with stub libraries.

They are for nodes without an NPU. What is real: the archive, its checks, the installers' options, texts, logs, files
and faults. What is not: the content.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import stubs
from header import adapted

HERE = Path(__file__).resolve().parent
# As 8.0.RC1's component number is not published, that of the nearest seen version (8.0.RC2).
INNER = "7.3.0.1.231"
COMPONENTS = ("runtime", "compiler", "hccl", "opp", "test-ops", "toolkit", "aoe", "ncs", "mindstudio-toolkit", "pyACL")
KERNEL = "opp/built-in/op_impl/ai_core/tbe/kernel"
OPERATORS = ("abs", "add", "cast", "gelu", "layer_norm", "mat_mul", "ones_like", "softmax_v2", "strided_slice", "tile")
HELP = """Options of the package, after those of the archive:
  --install --upgrade --uninstall --full --devel --run --force --quiet --version
  --install-path=<path> --install-for-all --type=<product> --whitelist=<part> --extract=<path> --noexec
"""
TOOLKIT_INFO = """package_name=Ascend-cann-toolkit
version={version}
innerversion=V100R001C17SPC001B240
compatible_version=[V100R001C15,V100R001C18],[V100R001C30],[V100R001C13],[V100R003C11],[V100R001C29],[V100R001C10]
arch={arch}
os=linux
path=@HOME@/{arch}-linux
"""
INSTALL_CONF = """Install_Mode=install
Quiet_Mode=yes
Install_For_All=yes
Chip_Type=no
Install_UserName=root
Install_UserGroup=root
Install_Path=@ROOT@
Whitelist=no
Blacklist=no
"""


def build(output: Path, version: str, arch: str, names: list[str]) -> list[Path]:
    """Build the toolkit and the 910b kernels of one version; return their paths."""
    output.mkdir(parents=True, exist_ok=True)
    packages = []
    for kind, file in (
        ("toolkit", f"Ascend-cann-toolkit_{version}_linux-{arch}.run"),
        ("kernels", f"Ascend-cann-kernels-910b_{version}_linux{kernels_suffix(version, arch)}.run"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            payload = Path(folder) / "payload"
            payload.mkdir()
            (toolkit_payload if kind == "toolkit" else kernels_payload)(payload, version, arch, names)
            packages.append(pack(payload, kind, output / file))
    return packages


def kernels_suffix(version: str, arch: str) -> str:
    """Kernels have no architecture in their name up to 8.0.RC2."""
    return "" if version.startswith(("6.", "7.", "8.0.RC1", "8.0.RC2")) else f"-{arch}"


def toolkit_payload(payload: Path, version: str, arch: str, names: list[str]) -> None:
    common_payload(payload, version, arch, "toolkit.sh", ["create_version_softlink.sh", "set_env.sh", "uninstall.sh"])
    for component in COMPONENTS:
        # test-ops lies inside of opp, as in CANN.
        place = "opp/test-ops" if component == "test-ops" else component
        component_files(payload / "components" / component / place, component, version, arch)
    libraries = payload / "libraries"
    libraries.mkdir()
    stubs.build(names, libraries, arch)
    machine = payload / "components" / "arch" / f"{arch}-linux"
    for folder in ("lib64", "bin", "include", "script"):
        (machine / folder).mkdir(parents=True)
    (machine / "ascend_toolkit_install.info").write_text(TOOLKIT_INFO.format(version=version, arch=arch))
    (machine / "install.conf").write_text(INSTALL_CONF)
    for library, component in stubs.LIBRARIES.items():
        home = payload / "components" / component / component / "lib64"
        home.mkdir(parents=True, exist_ok=True)
        shutil.move(libraries / library, home / library)
        (machine / "lib64" / library).symlink_to(f"../../{component}/lib64/{library}")
    libraries.rmdir()
    for link in ("bin", "include", "lib64"):
        (payload / "components" / "arch" / link).symlink_to(f"{arch}-linux/{link}")
    te_wheel(payload / "wheels")


def kernels_payload(payload: Path, version: str, arch: str, _names: list[str]) -> None:
    common_payload(payload, version, arch, "kernels.sh", ["uninstall-kernels.sh"])
    component = payload / "components" / "opp_kernel"
    component_files(component / "opp_kernel", "opp_kernel", version, arch)
    config = component / KERNEL / "config" / "ascend910b"
    kernels = component / KERNEL / "ascend910b"
    config.mkdir(parents=True)
    kernels.mkdir(parents=True)
    index = {}
    for operator in OPERATORS:
        (kernels / f"{operator}.o").write_bytes(f"simulated kernel {operator} {version}".encode() * 64)
        (config / f"{operator}.json").write_text(json.dumps({"binList": [{"bin": f"{operator}.o"}]}))
        index[operator] = {"binaryList": [{"binPath": f"ascend910b/{operator}.o"}]}
    (config / "binary_info_config.json").write_text(json.dumps(index, indent=1))


def common_payload(payload: Path, version: str, arch: str, script: str, others: list[str]) -> None:
    facts = f"version={version}\ninner={INNER}\narch={arch}\nchip=910b\n"
    (payload / "package.env").write_text(facts, encoding="utf-8")
    for name in ["common.sh", *others]:
        shutil.copy(HERE / name, payload / name)
    shutil.copy(HERE / script, payload / "install.sh")
    (payload / "install.sh").chmod(0o755)


def component_files(folder: Path, component: str, version: str, arch: str) -> None:
    """The files by which every component is known, and some that stand for its content."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "version.info").write_text(f"Version={INNER}\nversion_dir={version}\ntimestamp=20240401_000000000\n")
    (folder / "scene.info").write_text(f"os=linux\nos_version=\nversion={INNER}\narch={arch}\n")
    info = folder / "ascend_install.info"
    name = component.replace("-", "_").capitalize()
    info.write_text(f"{name}_Install_Type=full\n{name}_UserName=root\n{name}_UserGroup=root\n")
    info.chmod(0o600)
    content = folder / "content"
    content.mkdir()
    for number in range(8):
        (content / f"part{number}.bin").write_bytes(hashlib.sha256(f"{component} {number}".encode()).digest() * 128)


def te_wheel(folder: Path) -> None:
    """The wheel that the compiler's installer gives to pip3."""
    folder.mkdir()
    metadata = "Metadata-Version: 2.1\nName: te\nVersion: 0.4.0\n"
    files = {
        "te/__init__.py": '"""Simulated."""\n',
        "te-0.4.0.dist-info/METADATA": metadata,
        "te-0.4.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: sim\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text)}\n"
    files["te-0.4.0.dist-info/RECORD"] = record + "te-0.4.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(folder / "te-0.4.0-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def pack(payload: Path, kind: str, target: Path) -> Path:
    """Make the archive with the distribution's makeself and the adapted header."""
    header, help_header = payload.parent / "header.sh", payload.parent / "help.txt"
    header.write_text(adapted(), encoding="utf-8")
    help_header.write_text(HELP, encoding="utf-8")
    partial = target.with_name(target.name + ".part")
    argv = ["makeself", "--gzip", "--nomd5", "--nocrc", "--sha256", "--tar-quietly", "--header", str(header)]
    argv += ["--help-header", str(help_header), str(payload), str(partial), "ASCEND_RUN_PACKAGE", "./install.sh"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"makeself: {kind}: {done.stdout[-400:]}{done.stderr[-400:]}")
    partial.replace(target)
    return target


def digest_of_inputs(version: str, arch: str, what: str) -> str:
    digest = hashlib.sha256(f"{version} {arch} {what}".encode())
    for path in sorted(HERE.glob("*.*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="where the packages go")
    parser.add_argument("--torch-npu-wheel", type=Path, help="the wheel whose needs the stub libraries meet")
    parser.add_argument("--version", default="8.0.RC1")
    parser.add_argument("--arch", default="x86_64", choices=["aarch64", "x86_64"])
    arguments = parser.parse_args()
    wheel = arguments.torch_npu_wheel
    note = arguments.output / f".built-{arguments.version}-{arguments.arch}"
    inputs = digest_of_inputs(arguments.version, arguments.arch, wheel.name if wheel else "")
    if note.is_file() and note.read_text(encoding="utf-8") == inputs:
        print(f"    the packages of {arguments.version} are there")
        return
    names = stubs.names_in(wheel, arguments.arch) if wheel else []
    if wheel:
        print(f"    {len(names)} functions of CANN are asked for by {wheel.name}", flush=True)
    for path in build(arguments.output, arguments.version, arguments.arch, names):
        print(f"    built {path.name}, {path.stat().st_size // 1024} KB", flush=True)
    note.write_text(inputs, encoding="utf-8")


if __name__ == "__main__":
    main()
