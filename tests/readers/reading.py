# SPDX-License-Identifier: Apache-2.0
"""What other people's readers of an Ascend node say, beside what ``ascend_facts`` says of the same node.

README.md tells which readers these are. They are taken from PyPI as their authors published them, and run in the node's
own environment (``ascend-env``), as somebody who works on the node would start them.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import image

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
THERE = "/tmp/readers"  # where they lie in a node
ENVIRONMENT = ("ascend-env", "python")  # that of the current environment
Values = dict[str, Any]
Facts = dict[str, Any]
# The command that the wheel installs, ascend_variant_print, starts a function that the wheel (0.0.2) does not have.
VARIANT = """
import json
from ascend_variant_provider.plugin import AscendVariantPlugin
print(json.dumps({each.name: each.values for each in AscendVariantPlugin.get_supported_configs()}))
"""
# The command gpustack-runtime also imports what starts containers, with 40 packages more than detection has.
GPUSTACK = """
import json
from gpustack_runtime.detector import detect_devices
print(json.dumps([json.loads(each.to_json()) for each in detect_devices()]))
"""
# A container has the PCI devices of this machine; and what goes wrong shall be an error, not an empty list.
GPUSTACK_SETTINGS = ("GPUSTACK_RUNTIME_DETECT=ascend", "GPUSTACK_RUNTIME_DETECT_NO_PCI_CHECK=1")


def installed(cache: Path) -> Path:
    """Return the folder that has the readers, which are pure Python: fetched once for each list of them."""
    folder = cache / f"readers-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=cache) as building:
            target = Path(building) / "readers"
            argv = ["uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
            subprocess.run([*argv, "--target", target, "--requirement", REQUIREMENTS], check=True, timeout=300)
            if not folder.is_dir():  # another run may have been faster
                shutil.move(target, folder)
    return folder


def sourced(set_env: str) -> tuple[str, ...]:
    """Return how the node's own Python is started as CANN's guide says: after its file of variables."""
    return ("bash", "-c", f'. {set_env} && exec python3 "$@"', "bash")


class Readers:
    """The readers in a node; ``way`` is how Python is started there."""

    def __init__(self, node: str, way: tuple[str, ...] = ENVIRONMENT) -> None:
        self._node = node
        self._way = way

    def started(self, way: tuple[str, ...]) -> Readers:
        return Readers(self._node, way)

    def put(self, folder: Path) -> None:
        image.podman("cp", f"{folder}/.", f"{self._node}:{THERE}")

    def remove(self) -> None:
        image.podman("exec", self._node, "rm", "-rf", THERE)

    def python(self, *arguments: str, settings: tuple[str, ...] = ()) -> str:
        """Run Python as ``way`` has it, the readers on its path; return its standard output."""
        variables = [word for setting in (f"PYTHONPATH={THERE}", *settings) for word in ("--env", setting)]
        done = image.run_podman("exec", *variables, self._node, *self._way, "-B", *arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout


def nptop(readers: Readers) -> Values:
    """Reads the table of ``npu-smi info``, and of processes ``/proc``."""
    said = json.loads(readers.python("-m", "nputop", "--json"))
    return {
        "tool": said["driver_version"],
        "cards": {(card["index"], card["chip"]): cells(card, NPTOP_CARD) for card in said["devices"]},
        "processes": {
            (each["pid"], each["device_index"], each["chip"]): cells(each, NPTOP_PROCESS) for each in said["processes"]
        },
    }


# nptop's key -> ours
NPTOP_CARD = {
    "name": "name",
    "health": "health",
    "bus_id": "bus_id",
    "power_w": "power_w",
    "temperature_c": "temperature_c",
    "utilization_percent": "aicore_percent",
    "memory_used_mb": "hbm_used_mb",
    "memory_total_mb": "hbm_total_mb",
}
NPTOP_PROCESS = {"name": "name", "username": "user", "command": "command", "npu_memory_mb": "memory_mb"}


def cells(row: Values, names: dict[str, str]) -> Values:
    return {ours: row[theirs] for theirs, ours in names.items()}


def nptop_of(facts: Facts) -> Values:
    npu = facts["npu"]
    return {
        "tool": npu["tool_version"],
        "cards": {
            (card["npu_id"], card["chip_id"]): {ours: card[ours] for ours in NPTOP_CARD.values()}
            for card in npu["devices"]
        },
        "processes": {
            (each["pid"], card, chip): {**{key: each[key] for key in ("name", "user", "command")}, "memory_mb": size}
            for each in npu["processes"]
            for card, chip, size in each["chips"]
        },
    }


def ascend_variant_provider(readers: Readers) -> Values:
    """Reads the table of ``npu-smi info``, and ``<arch>-linux/ascend_toolkit_install.info`` of ASCEND_TOOLKIT_HOME."""
    said: Values = json.loads(readers.python("-c", VARIANT))
    return said


def ascend_variant_provider_of(facts: Facts) -> Values:
    families = [re.sub(r"\d+$", "", card["name"]).lower() for card in facts["npu"]["devices"]]  # 910b of 910B3
    return {
        "npu_type": families,
        "driver_version": [facts["npu"]["driver_version"]],
        "cann_version": [cann_of(facts)["version"].lower()],
    }


def cann_of(facts: Facts) -> Values:
    """Return the session's CANN: the current environment's or, where the facts have no environments, ``latest``."""
    cann = facts["cann"]
    if "environments" not in facts:
        latest = dict(cann["versions"][cann["latest"]])
        if latest["layout"] == "ascend-toolkit":  # a folder of links there
            latest["path"] = f"{cann['root']}/ascend-toolkit/latest"
        return latest
    environments = facts["environments"]
    home = environments["all"][environments["current"]]["cann_home"]
    (own,) = (each for each in cann["versions"].values() if each["path"] == home)
    return dict(own)


def cann_cann(readers: Readers) -> Values:
    """Reads ASCEND_HOME_PATH and ``<arch>-linux/ascend_toolkit_install.info`` below it; asks pyACL for the SoC."""
    queries = ("cann-version", "ascend-home", "host-arch", "npu-name")
    return {query: readers.python("-m", "cann_cann.cli", query).rstrip("\n") for query in queries}


def cann_cann_of(facts: Facts) -> Values:
    cann = cann_of(facts)
    return {
        "cann-version": cann["version"],
        "ascend-home": cann["path"],
        "host-arch": facts["system"]["architecture"],
        "npu-name": f"Ascend{facts['npu']['devices'][0]['name']}",
    }


def gpustack_runtime(readers: Readers) -> Values:
    """Asks the driver's libdcmi.so, never npu-smi or hccn_tool; and reads a version.info of ASCEND_TOOLKIT_HOME."""
    said = json.loads(readers.python("-c", GPUSTACK, settings=GPUSTACK_SETTINGS))
    return {
        each["index"]: {
            "name": each["name"],
            "soc": each["appendix"]["arch_family"],
            "driver": each["driver_version"],
            "cann": each["runtime_version_original"],
            "bus_id": each["appendix"]["bdf"].upper(),
            "hbm_mb": (each["memory_used"], each["memory"]),
            "power_w": each["power_used"],
            "temperature_c": each["temperature"],
            "aicore_percent": each["cores_utilization"],
            "network": tuple(each["appendix"].get(f"roce_{key}") for key in ("ip", "mask", "gateway")),
        }
        for each in said
    }


def gpustack_runtime_of(facts: Facts) -> Values:
    networks = {card["npu_id"]: card for card in facts["network"]["cards"]}
    cann = cann_of(facts)
    return {
        card["npu_id"]: {
            "name": card["name"],
            "soc": f"Ascend{card['name']}",
            "driver": facts["npu"]["driver_version"],
            "cann": None
            if cann["layout"] == "ascend-toolkit"
            else cann["version"],  # it looks where only the other has it
            "bus_id": card["bus_id"],
            "hbm_mb": (card["hbm_used_mb"], card["hbm_total_mb"]),
            "power_w": card["power_w"],
            "temperature_c": card["temperature_c"],
            "aicore_percent": card["aicore_percent"],
            "network": tuple(networks[card["npu_id"]][key] for key in ("address", "netmask", "gateway")),
        }
        for card in facts["npu"]["devices"]
    }


# What a reader says of the node, and what our facts say of the same things.
READERS: dict[str, tuple[Callable[[Readers], Values], Callable[[Facts], Values]]] = {
    "ascend-variant-provider": (ascend_variant_provider, ascend_variant_provider_of),
    "cann-cann": (cann_cann, cann_cann_of),
    "gpustack-runtime": (gpustack_runtime, gpustack_runtime_of),
    "nptop": (nptop, nptop_of),
}
