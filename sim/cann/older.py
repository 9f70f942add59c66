# SPDX-License-Identifier: Apache-2.0
"""The content of packages of the layout ``ascend-toolkit``: one folder per part, below ``ascend-toolkit/<version>``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import stubs
from parts import HERE, KERNEL, content, install_info, installer, pyacl, te_wheel

SECOND = "kernels"
# As 8.0.RC1's component number is not published, that of the nearest seen version (8.0.RC2).
INNER = "7.3.0.1.231"
COMPONENTS = ("runtime", "compiler", "hccl", "opp", "test-ops", "toolkit", "aoe", "ncs", "mindstudio-toolkit", "pyACL")
LIBRARIES = {
    "libacl_op_compiler.so": "compiler",
    "libacl_tdt_channel.so": "runtime",
    "libaoe_tuning.so": "aoe",
    "libascend_protobuf.so": "compiler",
    "libascendcl.so": "runtime",
    "libfmk_parser.so": "compiler",
    "libge_runner.so": "compiler",
    "libgraph.so": "compiler",
    "libhccl.so": "hccl",
    # Opened, not linked: torch-npu 2.6 does so when it is imported.
    "libopapi.so": "opp",
    "libprofapi.so": "runtime",
    "libruntime.so": "runtime",
}
OPERATORS = ("abs", "add", "cast", "gelu", "layer_norm", "mat_mul", "ones_like", "softmax_v2", "strided_slice", "tile")
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


def second_name(version: str, arch: str) -> str:
    """Return the kernels' file. They have no architecture in their name up to 8.0.RC2."""
    without = version.startswith(("6.", "7.", "8.0.RC1", "8.0.RC2"))
    return f"Ascend-cann-kernels-910b_{version}_linux{'' if without else f'-{arch}'}.run"


def toolkit(payload: Path, version: str, arch: str, names: list[str]) -> None:
    """Fill the toolkit's package."""
    others = ["create_version_softlink.sh", "set_env.sh", "uninstall.sh"]
    installer(payload, _facts(version, arch), HERE / "toolkit.sh", others)
    for component in COMPONENTS:
        # test-ops lies inside of opp, as in CANN.
        place = "opp/test-ops" if component == "test-ops" else component
        _component_files(payload / "components" / component / place, component, version, arch)
    libraries = payload / "libraries"
    libraries.mkdir()
    stubs.build(names, libraries, arch, LIBRARIES)
    machine = payload / "components" / "arch" / f"{arch}-linux"
    for folder in ("lib64", "bin", "include", "script"):
        (machine / folder).mkdir(parents=True)
    (machine / "ascend_toolkit_install.info").write_text(TOOLKIT_INFO.format(version=version, arch=arch))
    (machine / "install.conf").write_text(INSTALL_CONF)
    for library, component in LIBRARIES.items():
        home = payload / "components" / component / component / "lib64"
        home.mkdir(parents=True, exist_ok=True)
        shutil.move(libraries / library, home / library)
        (machine / "lib64" / library).symlink_to(f"../../{component}/lib64/{library}")
    libraries.rmdir()
    for link in ("bin", "include", "lib64"):
        (payload / "components" / "arch" / link).symlink_to(f"{arch}-linux/{link}")
    python = Path("python", "site-packages")
    pyacl(payload / "components" / "pyACL" / "pyACL" / python)
    common = payload / "components" / "pyACL" / python
    common.mkdir(parents=True)
    (common / "acl").symlink_to(Path("..", "..", "pyACL", python, "acl"))
    te_wheel(payload / "wheels")


def second(payload: Path, version: str, arch: str, _names: list[str]) -> None:
    """Fill the kernels' package."""
    installer(payload, _facts(version, arch), HERE / "kernels.sh", ["uninstall-kernels.sh"])
    component = payload / "components" / "opp_kernel"
    _component_files(component / "opp_kernel", "opp_kernel", version, arch)
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


def _facts(version: str, arch: str) -> dict[str, str]:
    return {"version": version, "inner": INNER, "arch": arch}


def _component_files(folder: Path, component: str, version: str, arch: str) -> None:
    """The files that identify every component, and some that stand for its content."""
    content(folder / "content", component)
    (folder / "version.info").write_text(f"Version={INNER}\nversion_dir={version}\ntimestamp=20240401_000000000\n")
    (folder / "scene.info").write_text(f"os=linux\nos_version=\nversion={INNER}\narch={arch}\n")
    install_info(folder / "ascend_install.info", component)
