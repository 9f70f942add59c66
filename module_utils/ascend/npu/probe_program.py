# SPDX-License-Identifier: Apache-2.0
"""The program that runs in the environment to be proven, and the parser of its answer.

It answers on its own descriptor, with a line of JSON for each thing that it learned, because libraries print on the
usual ones. A line ``at`` says what comes next, so a program that hangs or crashes has said where.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List

# argv: number of the descriptor; names of distributions (JSON); "cards" or "import"; "training" or "".
# One process: importing torch and LLaMA-Factory takes longer than all cards together, and what users type would import
# them anew. A card's failure does not hide the next card's.
PROBE = """
import importlib.metadata, json, os, runpy, shutil, sys
answer = os.fdopen(int(sys.argv[1]), "w")
def tell(**what):
    answer.write(json.dumps(what) + "\\n")
    answer.flush()
def words(error):
    return "%s: %s" % (type(error).__name__, error)
tell(at="import torch, torch_npu")
import torch
import torch_npu
count = 0
if sys.argv[3] == "cards":
    tell(at="torch.npu.is_available()")
    available, count = torch.npu.is_available(), torch.npu.device_count()
    tell(available=available, count=count)
for index in range(count):
    tell(at="card %d" % index)
    card = {"index": index, "ok": False, "name": None, "memory_total_mb": None, "error": None}
    try:
        torch.npu.set_device(index)
        card["name"] = torch.npu.get_device_name(index)
        card["memory_total_mb"] = torch.npu.get_device_properties(index).total_memory // 1048576
        back = torch.ones(3).npu().cpu().tolist()
        card["ok"] = back == [1.0, 1.0, 1.0]
        card["error"] = None if card["ok"] else "torch.ones(3) came back as %s" % back
    except Exception as error:  # whatever a card answers belongs into its line of the result
        card["error"] = words(error)
    tell(card=card)
tell(at="versions")
versions = {}
for name in json.loads(sys.argv[2]):
    try:
        versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        versions[name] = None
tell(versions=versions)
if sys.argv[4] == "training":
    tell(at="import llamafactory.train.tuner")
    try:
        import llamafactory.train.tuner  # all that `llamafactory-cli train` imports, and its check of what it needs
        from llamafactory.extras.env import VERSION
        tell(training={"version": VERSION, "error": None})
    except (Exception, SystemExit) as error:
        tell(training={"version": None, "error": words(error)})
    tell(at="llamafactory-cli version")
    failed = None
    program = shutil.which("llamafactory-cli")
    with open(program or os.devnull, "rb") as file:
        first = (file.readline().split() or [b""])[0].decode()
    if not program:
        failed = "it does not exist, or this account may not run it"
    elif not (first.startswith("#!") and os.access(first[2:], os.X_OK)):
        failed = "its first line names no program: %s" % first
    else:
        sys.argv = [program, "version"]
        try:
            runpy.run_path(program, run_name="__main__")
        except SystemExit as end:
            failed = None if end.code in (None, 0) else "exit code %s" % end.code
        except Exception as error:
            failed = words(error)
    tell(command={"error": failed})
tell(done=True)
"""


def parse(text: str) -> Dict[str, Any]:
    """Return what the program reported: ``{"available", "count", "cards", "versions", "training", "command", "at",
    "done"}``.

    ``done`` is False if it did not finish; ``at`` is then what it was doing. Other lines are skipped, because a killed
    program may have left half a line.
    """
    result: Dict[str, Any] = {
        "available": None,
        "count": 0,
        "versions": {},
        "training": {"version": None, "error": None},
        "command": {"error": None},
        "at": "ascend-env",
        "done": False,
    }
    cards: List[Dict[str, Any]] = []
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if not isinstance(document, dict):
            continue
        if isinstance(document.get("card"), dict):
            cards.append(document["card"])
        result.update({key: document[key] for key in result if key in document})
    return {**result, "cards": cards}
