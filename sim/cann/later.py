# SPDX-License-Identifier: Apache-2.0
"""What the packages of the layout ``cann`` contain: all parts in the tree ``cann-<version>``, ops for the kernels."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import stubs
from parts import CHIP, HERE, KERNEL, content, install_info, installer, pyacl, te_wheel

SECOND = "ops"
# In the order in which the toolkit installs them. Huawei's has more; these are seen in installed trees.
TOOLKIT = (
    "runtime",
    "bisheng-compiler",
    "metadef",
    "asc-devkit",
    "ge-compiler",
    "hcomm",
    "opbase",
    "tbe-tik",
    "aoe",
    "mstx",
    "pyACL",
)
OPS = ("ops_legacy", "ops_math", "ops_nn", "ops_cv", "ops_transformer", "hccl")
# Which part brings a library. torch-npu links some, and opens others by name when it is imported or when it needs one.
LIBRARIES = {
    "libacl_op_compiler.so": "ge-compiler",
    "libacl_tdt_channel.so": "runtime",
    "libaoe_tuning.so": "aoe",
    "libascend_protobuf.so": "metadef",
    "libascendcl.so": "runtime",
    "libfmk_parser.so": "ge-compiler",
    "libge_runner.so": "ge-compiler",
    "libgraph.so": "metadef",
    "libhccl.so": "hccl",
    "libms_tools_ext.so": "mstx",
    "libopapi.so": "ops_legacy",
    "libprofapi.so": "runtime",
    "libruntime.so": "runtime",
}
# Not the toolkit, but ops brings what torch-npu links as libhccl.so: with the toolkit alone it cannot be imported.
# The groups of operators in which ops keeps its kernels.
OPERATORS = {
    "ops_legacy": ("cast", "gelu", "strided_slice", "tile"),
    "ops_math": ("abs", "add", "ones_like"),
    "ops_nn": ("layer_norm", "mat_mul", "softmax_v2"),
}
# Parts whose version.info is also where older releases had it: torch-npu wants the first two folders.
ALSO = {"runtime": "runtime", "ge-compiler": "compiler", "opbase": "opp"}
INFO = "package_name=Ascend-cann-{name}\nversion={version}\narch={arch}\npath=@HOME@\n"
FOLDERS = ("bin", "include", "lib64")


def second_name(version: str, arch: str) -> str:
    """Return the file of ops."""
    return f"Ascend-cann-{CHIP}-ops_{version}_linux-{arch}.run"


def toolkit(payload: Path, version: str, arch: str, names: list[str]) -> None:
    """Fill the toolkit's package."""
    installer(
        payload, _facts(version, arch, TOOLKIT), HERE / "layout_cann" / "toolkit.sh", ["set_env.sh", "uninstall.sh"]
    )
    _parts(payload, TOOLKIT, version, arch, names)
    runtime = payload / "components" / "runtime"
    for folder in (*FOLDERS, "script"):
        (runtime / f"{arch}-linux" / folder).mkdir(parents=True, exist_ok=True)
    for folder in FOLDERS:
        (runtime / folder).symlink_to(f"{arch}-linux/{folder}")
    (runtime / "include" / "acl.h").write_text("/* Simulated: there is nothing to compile against. */\n")
    (runtime / "bin" / "atc").write_text("#!/bin/sh\necho 'ATC is simulated: it compiles nothing.' >&2\nexit 1\n")
    (runtime / "bin" / "atc").chmod(0o755)
    pyacl(payload / "components" / "pyACL" / "python" / "site-packages")
    (payload / "install.info").write_text(INFO.format(name="toolkit", version=version, arch=arch))
    te_wheel(payload / "wheels")


def second(payload: Path, version: str, arch: str, names: list[str]) -> None:
    """Fill the package ops."""
    installer(payload, _facts(version, arch, OPS), HERE / "layout_cann" / "ops.sh", ["ops_uninstall.sh"])
    _parts(payload, OPS, version, arch, names)
    for group, operators in OPERATORS.items():
        kernel = payload / "components" / group / KERNEL
        config = kernel / "config" / f"ascend{CHIP}" / group
        config.mkdir(parents=True)
        index = {}
        for operator in operators:
            binary = f"ascend{CHIP}/{group}/{operator}/{operator}_{hashlib.md5(operator.encode()).hexdigest()}.o"
            (kernel / binary).parent.mkdir(parents=True)
            (kernel / binary).write_bytes(f"simulated kernel {operator} {version}".encode() * 64)
            (config / f"{operator}.json").write_text(json.dumps({"binList": [{"bin": binary}]}))
            index[operator] = {"binaryList": [{"binPath": binary}]}
        (config / "binary_info_config.json").write_text(json.dumps(index, indent=1))
    (payload / "install.info").write_text(INFO.format(name=f"{CHIP}-ops", version=version, arch=arch))


def _facts(version: str, arch: str, parts: tuple[str, ...]) -> dict[str, str]:
    return {"version": version, "arch": arch, "parts": f"({' '.join(parts)})"}


def _parts(payload: Path, parts: tuple[str, ...], version: str, arch: str, names: list[str]) -> None:
    """Write what each part puts into the version's folder, its libraries with it."""
    for part in parts:
        tree = payload / "components" / part
        info = tree / "share" / "info" / part
        content(info / "content", part)
        text = f"Version={version}\nversion_dir=cann\ntimestamp=20260401_000000000\n"
        (info / "version.info").write_text(text)
        (info / "scene.info").write_text(f"os=linux\nos_version=\narch={arch}\n")
        install_info(info / "ascend_install.info", part)
        if part in ALSO:
            (tree / ALSO[part]).mkdir()
            (tree / ALSO[part] / "version.info").write_text(text)
        libraries = [library for library, owner in LIBRARIES.items() if owner == part]
        if libraries:
            folder = tree / f"{arch}-linux" / "lib64"
            folder.mkdir(parents=True)
            stubs.build(names, folder, arch, libraries)
