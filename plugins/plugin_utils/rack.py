# SPDX-License-Identifier: Apache-2.0
"""What the actions of a preflight share: how it was requested, and the answers of the play's nodes."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack.wishes import Wishes, wishes_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import release_of


def wishes_in(rack: Mapping[str, Any], settings: Mapping[str, Any]) -> Wishes:
    """Return the wishes in the rendered ``rack_settings`` and ``ascend_settings``. Raises AscendError."""
    return wishes_of(rack, release_of(settings))


def paths_of(given: Any) -> list[str]:
    """Return the paths to compare; with ``-e`` a list is text, as in "/data/a,/data/b". Raises AscendError."""
    words = [word for word in re.split(r"[\s,]+", given.strip("[] ")) if word] if isinstance(given, str) else given
    listed = [str(word).strip("\"'") for word in words or []]
    if not all(word.startswith("/") for word in listed):
        raise AscendError(
            "preflight_paths has an entry that is not a path",
            wanted="absolute paths, such as [/data/models/llama3]",
            found=repr(given),
            where="the inventory, or -e",
            remedy='-e \'{"preflight_paths": ["/data/models/llama3"]}\'',
        )
    return list(dict.fromkeys(path.rstrip("/") or "/" for path in listed))


def answers(task_vars: Any) -> dict[str, Any]:
    """Return node -> its answer, of all nodes of the play in its order; a lost one counts as silent."""
    found = {}
    for name in task_vars["ansible_play_hosts_all"]:
        answer = task_vars["hostvars"][name].get("rack_answer", {})
        found[name] = answer.get("node") or {"silent": _lost(answer), "ranks": [], "began_s": time.time()}
    return found


def _lost(answer: Mapping[str, Any]) -> dict[str, str]:
    words = str(answer.get("msg") or "no result came back")
    parts = dict.fromkeys(("wanted", "where"), "")
    remedy = "ansible NODE -m ping"
    return {
        **parts,
        "subset": "rack",
        "name": "no-answer",
        "problem": "the node was not checked",
        "found": words,
        "remedy": remedy,
    }


def ran(task_vars: Any) -> dict[str, Any]:
    """Return node -> what its ranks did, of all nodes that should do all_reduce; a lost one counts as failed."""
    found = {}
    names = _chosen(task_vars)
    for name in (name for name in task_vars["ansible_play_hosts_all"] if name in names):
        variables = task_vars["hostvars"][name]
        answer = variables.get("rack_ran") or variables.get("rack_started") or {}
        words = str(answer.get("msg") or "no answer came back")[-500:]
        found[name] = answer.get("ranks") or {"ok": False, "error": words}
    return found


def _chosen(task_vars: Any) -> set[str]:
    chosen = (task_vars["hostvars"][name].get("rack_chosen") or {} for name in task_vars["ansible_play_hosts_all"])
    return set(next((each["nodes"] for each in chosen if "nodes" in each), {}))


def reached(task_vars: Any) -> dict[str, Any]:
    """Return node -> what ``rack_reach`` answered, of the nodes that were asked."""
    names = task_vars["ansible_play_hosts_all"]
    answered = {name: task_vars["hostvars"][name].get("rack_reached") or {"skipped": True} for name in names}
    return {name: answer for name, answer in answered.items() if not answer.get("skipped")}
