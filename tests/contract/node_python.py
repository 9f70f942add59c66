# SPDX-License-Identifier: Apache-2.0
"""Run by each Python that a node may have, without Ansible: import everything, or answer questions as JSON.

``node_python.py CHECKOUT import FILE...``  prints how many files of module_utils/ascend were imported
``node_python.py CHECKOUT answer``          reads ``{"root", "places", "programs", "texts"}``, prints facts and parses
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import pathlib
import sys
import types
from typing import Any

UTILS = "ansible_collections.ascend.fleet.plugins.module_utils"


def prepare(checkout: pathlib.Path) -> None:
    """Show the tree as Ansible shows it to a module."""
    parts = UTILS.split(".")
    for depth in range(1, len(parts) + 1):
        package = types.ModuleType(".".join(parts[:depth]))
        package.__path__ = [str(checkout / "module_utils")] if depth == len(parts) else []
        sys.modules[package.__name__] = package


def import_all(checkout: pathlib.Path, files: list[str]) -> None:
    utils = sorted((checkout / "module_utils" / "ascend").rglob("*.py"))
    for file in utils:
        parts = file.relative_to(checkout / "module_utils").with_suffix("").parts
        importlib.import_module(".".join((UTILS,) + (parts[:-1] if parts[-1] == "__init__" else parts)))
    for name in files:
        compile(pathlib.Path(name).read_text(encoding="utf-8"), name, "exec")
    print(len(utils), "imported")


def answer(question: dict[str, Any]) -> None:
    from ansible_collections.ascend.fleet.plugins.module_utils.ascend import facts
    from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
    from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
    from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu import npu_smi, npu_smi_query, symptoms
    from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import Places

    def run(argv: list[str], timeout_s: float) -> Result:
        known = question["programs"].get(" ".join([pathlib.Path(argv[0]).name, *argv[1:]]))
        return Result(0, known, False) if known is not None else Result(1, "unexpected: %s" % argv, False)

    node = Node(run, lambda name: "/usr/local/bin/" + name, question["root"])
    places = Places(**question["places"])
    texts = [
        [
            dataclasses.asdict(npu_smi.parse_info(text)),
            dataclasses.asdict(npu_smi_query.parse_health(text)),
            [dataclasses.asdict(symptom) for symptom in symptoms.recognise(text)],
        ]
        for text in question["texts"]
    ]
    found = [facts.collect(node, places, ["cann", "network", "npu", "python"], 5, deep) for deep in (False, True)]
    print(json.dumps({"facts": found, "texts": texts}, sort_keys=True))


if __name__ == "__main__":
    place = pathlib.Path(sys.argv[1])
    prepare(place)
    if sys.argv[2] == "import":
        import_all(place, sys.argv[3:])
    else:
        answer(json.load(sys.stdin))
