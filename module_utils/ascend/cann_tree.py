# SPDX-License-Identifier: Apache-2.0
"""Read the CANN versions below /usr/local/Ascend from their files; no command is run.

The layout and the files are those of 8.0.RC1 to 8.3.RC1: ``ascend-toolkit/<version>/<arch>-linux/
ascend_toolkit_install.info``, a ``version.info`` a component, ``latest`` a directory of links to the running version.
"""

from __future__ import annotations

import os
import platform
import re
from typing import Any, Dict, List, Optional

from ansible.module_utils.ascend import manifest

# Without these no program of the toolkit runs; the others (aoe, ncs, test-ops ...) may be left out by --whitelist.
COMPONENTS = ("runtime", "compiler", "hccl", "opp", "toolkit")
# What torch-npu loads, relative to the version's folder.
LIBRARIES = ("libascendcl.so", "libhccl.so", "libge_runner.so", "libgraph.so", "libacl_op_compiler.so")
CHIPS = ("310b", "310p", "910", "910b")
SHOWN = 10
_VERSION = re.compile(r"\d+\.\d+\.[A-Za-z0-9.]+")
_KERNEL = "opp/built-in/op_impl/ai_core/tbe/kernel"
# Folders of the toolkit that only the kernels packages fill: their loss is not the toolkit's.
KERNELS = ("opp_kernel", _KERNEL)

Package = Dict[str, Any]


def toolkit_dir(root: str, version: str) -> str:
    """Return the folder of one CANN version."""
    return os.path.join(root, "ascend-toolkit", version)


def arch_dir(root: str, version: str) -> str:
    """Return the folder of a version that is named by the machine, e.g. ``.../8.0.RC1/aarch64-linux``."""
    return os.path.join(toolkit_dir(root, version), platform.machine() + "-linux")


def manifest_path(state_dir: str, package: str, version: str) -> str:
    """Return where the manifest of ``toolkit`` or ``kernels-<chip>`` of a version lies."""
    return os.path.join(state_dir, "manifests", "%s-%s.json" % (package, version))


def read_cann(root: str, state_dir: str) -> Dict[str, Any]:
    """Return ``{"root", "latest", "versions": {version: {"toolkit": package, "kernels": {chip: package}}}}``.

    A package is ``{"state": "complete" | "half-installed" | "absent", "problems": [text], "problem_count": int}``.
    """
    top = os.path.join(root, "ascend-toolkit")
    versions = {}
    for name in _listed(top):
        if _VERSION.fullmatch(name) and not os.path.islink(os.path.join(top, name)):
            toolkit = read_toolkit(root, state_dir, name)
            kernels = {chip: read_kernels(root, state_dir, name, chip) for chip in CHIPS}
            present = {chip: package for chip, package in kernels.items() if package["state"] != "absent"}
            versions[name] = {"toolkit": toolkit, "kernels": present}
    return {"root": root, "latest": read_latest(root), "versions": versions}


def read_latest(root: str) -> Optional[str]:
    """Return the version that ``latest`` leads to, by the runtime's link or the running version; None without one."""
    top = os.path.join(root, "ascend-toolkit", "latest")
    for component in ("runtime", "compiler", "toolkit"):
        try:
            return os.path.basename(os.path.dirname(os.path.normpath(os.readlink(os.path.join(top, component)))))
        except OSError:
            continue
    match = re.search(r"runtime_running_version=\[[^:\]]*:([^\]]+)\]", _text(os.path.join(top, "version.cfg")) or "")
    return match.group(1) if match else None


def read_toolkit(root: str, state_dir: str, version: str) -> Package:
    """Return the toolkit package of one version; what makes it complete is the list of checks below."""
    folder, arch = toolkit_dir(root, version), arch_dir(root, version)
    if not _listed(folder):
        return _package("absent", [])  # an empty folder is what the uninstaller leaves
    problems = []
    info = os.path.join(arch, "ascend_toolkit_install.info")
    recorded = read_pairs(info).get("version")
    if recorded != version:
        problems.append("%s says version %s" % (_short(info, folder), recorded or "nothing"))
    for component in COMPONENTS:
        problems += _component_problems(folder, component, version)
    for name in LIBRARIES:
        problems += _file_problems(os.path.join(arch, "lib64", name), folder)
    problems += _file_problems(os.path.join(arch, "script", "set_env.sh"), folder)
    problems += _file_problems(os.path.join(root, "ascend-toolkit", "set_env.sh"), folder)
    if read_latest(root) == version:
        problems += _file_problems(os.path.join(root, "ascend-toolkit", "latest", "version.cfg"), folder)
    problems += manifest.verify(manifest_path(state_dir, "toolkit", version))
    return _package("half-installed" if problems else "complete", problems)


def read_kernels(root: str, state_dir: str, version: str, chip: str) -> Package:
    """Return the kernels package of one version and chip family ("910b")."""
    folder = toolkit_dir(root, version)
    kernels = os.path.join(folder, _KERNEL, "config", "ascend" + chip)
    recorded = os.path.isfile(manifest_path(state_dir, "kernels-" + chip, version))
    if not os.path.isdir(kernels) and not (recorded and os.path.isdir(os.path.join(folder, "opp_kernel"))):
        return _package("absent", [])
    problems = _component_problems(folder, "opp_kernel", version)
    problems += _file_problems(os.path.join(kernels, "binary_info_config.json"), folder)
    problems += manifest.verify(manifest_path(state_dir, "kernels-" + chip, version))
    return _package("half-installed" if problems else "complete", problems)


def kernels_tops(chip: str) -> List[str]:
    """Return what of a version's folder the manifest of a chip's kernels covers."""
    return ["opp_kernel", os.path.join(_KERNEL, "ascend" + chip), os.path.join(_KERNEL, "config", "ascend" + chip)]


def read_pairs(path: str) -> Dict[str, str]:
    """Return the ``key=value`` lines of a file; empty when there is none."""
    pairs = {}
    for line in (_text(path) or "").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            pairs[key.strip()] = value.strip().strip('"')
    return pairs


def _component_problems(folder: str, component: str, version: str) -> List[str]:
    path = os.path.join(folder, component, "version.info")
    pairs = read_pairs(path)
    if not pairs:
        return ["missing %s" % _short(path, folder)]
    found = pairs.get("version_dir", version)
    return [] if found == version else ["%s says version %s" % (_short(path, folder), found)]


def _file_problems(path: str, folder: str) -> List[str]:
    try:
        return [] if os.stat(path).st_size else ["empty %s" % _short(path, folder)]
    except OSError:
        return ["missing %s" % _short(path, folder)]


def _short(path: str, folder: str) -> str:
    return os.path.relpath(path, folder)


def _package(state: str, problems: List[str]) -> Package:
    unique = list(dict.fromkeys(problems))
    return {"state": state, "problems": unique[:SHOWN], "problem_count": len(unique)}


def _listed(path: str) -> List[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def _text(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return None
