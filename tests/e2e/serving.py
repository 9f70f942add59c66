# SPDX-License-Identifier: Apache-2.0
"""A tiny model that is served on a simulated node, and whoever asks it."""

from __future__ import annotations

import json
import tempfile
from typing import Any

from tests.e2e.conftest import Fleet
from tests.playbook_run import Run

KEY = "a-key-of-the-tests"
MODEL = "/srv/tiny-model"
FOLDER = "/var/lib/ascend-fleet/serve/tiny"
# The process sees no card: it computes on the CPU.
TINY: dict[str, Any] = {
    "name": "tiny",
    "devices": [0],
    "config": {"model_name_or_path": MODEL, "template": "default"},
    "variables": {"ASCEND_RT_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
}


def playbook(fleet: Fleet, name: str, *models: dict[str, Any], **more: Any) -> Run:
    given = {"serve_models": list(models), "serve_api_key": KEY, **more}
    # A file, as a vault would be: what is given with -e itself, every user of the control node may see.
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(given, file)
        file.flush()
        return fleet.playbook(f"playbooks/{name}.yml", "-vvvv", "-e", f"@{file.name}")


def ask(node: Any, key: str = KEY, port: int = 8000, **more: Any) -> tuple[int, Any]:
    """Ask as the guide does; return (HTTP's code, the answer)."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 8, **more}
    curl = "curl --silent --write-out '\\n%%{http_code}' -H 'Content-Type: application/json' -H %s -d %s %s"
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    done = node.run(curl, f"Authorization: Bearer {key}", json.dumps(body), url)
    answer, _, code = done.stdout.rpartition("\n")
    return int(code), json.loads(answer) if answer else None


def make_model(node: Any) -> None:
    make = f"ASCEND_RT_VISIBLE_DEVICES= ascend-env python $(ascend-env --examples)/tiny/make_model.py {MODEL}"
    done = node.run(f"{make} && chmod --recursive a+rX {MODEL}")  # safetensors writes 0600
    assert done.rc == 0, done.stderr
