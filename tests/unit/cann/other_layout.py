# SPDX-License-Identifier: Apache-2.0
"""CANN of a layout that nobody documented, put on a node by installers that end well; and what is told of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    install as cann_install,
    proof as cann_proof,
    read as cann_read,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import Finding
from tests.answers import node as machine
from tests.unit.cann.test_install import KERNELS, VERSION, Calls, Node, done, write

WELL = {
    "toolkit": f"Driver: x\nToolkit:  Ascend-cann-toolkit_{VERSION}_linux-aarch64 install success, installed in /x.",
    "kernels": f"[kernels_910b] [ts] [INFO] Ascend-cann-kernels-910b_{VERSION}_linux install success. The path is /x.",
}
OTHER_CONFIG = "opp/built-in/op_impl/ai_core/tbe/config/ascend910b"


def put_other_toolkit(node: Node) -> None:
    """No folder of one component, no version.info of another; the rest as documented, and a file of its own."""
    shutil.rmtree(node.home, ignore_errors=True)
    node.put_toolkit()
    (node.home / "toolkit").rename(node.home / "devkit")
    (node.home / "hccl" / "version.info").rename(node.home / "hccl" / "hccl.info")
    write(node.home / "aoe" / "bin" / "aoe", "a program\n")


def put_other_kernels(node: Node) -> None:
    for folder in ("opp_kernel", KERNELS, OTHER_CONFIG):
        shutil.rmtree(node.home / folder, ignore_errors=True)
    node.put_kernels()
    write(node.home / KERNELS / "ascend910b1" / "mul.o")
    (node.home / OTHER_CONFIG).parent.mkdir(exist_ok=True)
    (node.home / KERNELS / "config" / "ascend910b").rename(node.home / OTHER_CONFIG)


PUT: dict[str, Callable[[Node], None]] = {"toolkit": put_other_toolkit, "kernels": put_other_kernels}


def install(node: Node, *kinds: str, put: Mapping[str, Callable[[Node], None]] = PUT, deep: bool = False) -> None:
    for kind in kinds:
        run = Calls((partial(put[kind], node), done(0, WELL[kind])))
        cann_install.install(node.package(kind), node.file, run, deep)


def prove(node: Node) -> bool:
    return cann_proof.prove(node.package("toolkit").tree, VERSION)


def state(node: Node, kind: str = "toolkit", deep: bool = False) -> tuple[str, list[str]]:
    found = cann_install.observe(node.package(kind), deep)
    return found["state"], found["problems"]


def told(node: Node, deep: bool = False) -> tuple[Any, list[Finding]]:
    facts, findings = cann_read.read_cann(machine(Path("/")), str(node.root), str(node.state), deep)
    return facts["versions"][VERSION], [each for each in findings if each["name"] != "cann-elsewhere"]
