# SPDX-License-Identifier: Apache-2.0
"""Decide what a removal removes and what it keeps, each with its reason, and what forbids it. A pure function.

Three things can be requested: a release, everything of the project's, or (neither) pruning. Something requested by name
that is current, in use or contains users' files makes the whole request fail; pruning skips it and continues.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple, Set, Tuple

from ..errors import AscendError
from ..text import listed
from . import cached
from .chosen import EVERYTHING, ORDER, PRUNE, RELEASE, Asked, Chosen, Surveyed, row


def select(surveyed: Surveyed, asked: Asked) -> Dict[str, List[Any]]:
    """Return ``{"remove": [row], "keep": [row], "refusals": [refusal]}`` for what ``survey.read`` found.

    A row is ``{"kind", "name", "path", "size_mb", "reason"}``, its size 0 until measured; rows to remove are in the
    order of removal. If there is a refusal, nothing may be removed. Raises AscendError if ``keep`` is not a number.
    """
    if asked.keep < 0:
        raise AscendError("not a number of environments to keep", wanted="0 or more", found=str(asked.keep))
    chosen = Chosen(surveyed, asked)
    _environments(chosen)
    needs = _needs(chosen)
    _cann(chosen, needs)
    _pythons(chosen, needs)
    cached.choose(chosen)
    for path in surveyed["leftovers"]:
        chosen.remove.append(row("leftover", os.path.basename(path), path, "left by an interrupted run"))
    if asked.mode == EVERYTHING:
        for each in surveyed["services"]:
            chosen.wanted("service", each["name"], each, "started by playbooks/serve.yml")
        _parts(chosen)
    chosen.remove.sort(key=lambda each: ORDER.index(each["kind"]))
    return {"remove": chosen.remove, "keep": chosen.keep, "refusals": chosen.refusals}


# --- environments ------------------------------------------------------------------------------------------------


def _environments(chosen: Chosen) -> None:
    surveyed, asked = chosen.surveyed, chosen.asked
    staying = _kept_by_number(surveyed, asked.keep) if asked.mode == PRUNE else {}
    for name, each in sorted(surveyed["environments"].items()):
        if not each["ours"]:
            chosen.kept("environment", name, each, "was not made by this project")
        elif asked.mode == EVERYTHING:
            chosen.wanted("environment", name, each, "made by this project")
        elif asked.mode == RELEASE and each["release"] == asked.release:
            chosen.wanted("environment", name, each, "of release " + asked.release)
        elif asked.mode == RELEASE:
            chosen.kept("environment", name, each, "of release %s" % each["release"])
        elif name in staying:
            chosen.kept("environment", name, each, staying[name])
        elif each["complete"]:
            chosen.wanted("environment", name, each, "not current, not among the %d kept" % asked.keep)
        else:
            chosen.wanted("environment", name, each, "not current, and not finished")


def _kept_by_number(surveyed: Surveyed, keep: int) -> Dict[str, str]:
    """Return name -> reason: the current one, a rollback's, then the newest. Without a current one, one more."""
    ours = {name: each for name, each in surveyed["environments"].items() if each["ours"]}
    newest = sorted((name for name in ours if ours[name]["complete"]), key=lambda name: (-ours[name]["made_s"], name))
    staying = {}
    if surveyed["current"] in ours:
        staying[surveyed["current"]] = "is current"
    elif newest:
        staying[newest[0]] = "is the newest, and no environment is current"
    others = [name for name in newest if name not in staying]
    others.sort(key=lambda name: name != surveyed["previous"])
    for name in others[:keep]:
        is_back = name == surveyed["previous"]
        staying[name] = (
            "was current before, and rollback needs it" if is_back else "is among the %d newest others" % keep
        )
    return staying


class _Needs(NamedTuple):
    """What the remaining environments need: a path or version -> the environment's name; and one that may need all."""

    cann: Dict[str, str]
    pythons: Dict[str, str]
    unknown_cann: str
    unknown_python: str


def _needs(chosen: Chosen) -> _Needs:
    removed = chosen.removed("environment")
    staying = {name: each for name, each in chosen.surveyed["environments"].items() if name not in removed}
    return _Needs(
        {os.path.normpath(each["cann"]): name for name, each in staying.items() if each["cann"]},
        {each["python"]: name for name, each in staying.items() if each["python"]},
        next((name for name, each in sorted(staying.items()) if each["ours"] and not each["cann"]), ""),
        next((name for name, each in sorted(staying.items()) if each["ours"] and not each["python"]), ""),
    )


# --- what environments stand on ----------------------------------------------------------------------------------


def kernels(cann: Dict[str, Any]) -> Dict[str, Tuple[str, str]]:
    """Return (version, chip) of the kernels that we put beside somebody else's toolkits, by the names of their rows."""
    return {"%s %s" % (version, chip): (version, chip) for version, each in cann.items() for chip in each["kernels"]}


def _cann(chosen: Chosen, needs: _Needs) -> None:
    surveyed, asked = chosen.surveyed, chosen.asked
    goes = _of_removed(chosen, "cann", {asked.release})
    for version, each in sorted(surveyed["cann"].items()):
        needed_by = needs.cann.get(os.path.normpath(each["path"])) or needs.unknown_cann
        if not each["ours"]:
            chosen.kept("CANN", version, each, "was not installed by this project")
            if asked.mode == EVERYTHING:
                for name in kernels({version: each}):
                    chosen.wanted("kernels", name, each, "installed by this project")
        elif needed_by:
            chosen.kept("CANN", version, each, "%s needs it" % needed_by)
        elif asked.mode == RELEASE and not {version, os.path.normpath(each["path"])} & goes:
            chosen.kept("CANN", version, each, "not of release " + asked.release)
        else:
            chosen.wanted("CANN", version, each, "no remaining environment needs it")


def _pythons(chosen: Chosen, needs: _Needs) -> None:
    goes = _of_removed(chosen, "python", set())
    for version, each in sorted(chosen.surveyed["pythons"].items()):
        needed_by = needs.pythons.get(version) or needs.unknown_python
        if not each["ours"]:
            chosen.kept("Python", version, each, "has no receipt of this project")
        elif needed_by:
            chosen.kept("Python", version, each, "%s needs it" % needed_by)
        elif chosen.asked.mode == RELEASE and version not in goes:
            chosen.kept("Python", version, each, "not of release " + chosen.asked.release)
        else:
            chosen.wanted("Python", version, each, "no remaining environment needs it")


def _of_removed(chosen: Chosen, key: str, known: Set[str]) -> Set[str]:
    """Return what the removed environments needed, also those that an interrupted removal has already removed."""
    environments, intent = chosen.surveyed["environments"], chosen.surveyed["intent"]
    found = {environments[name][key] for name in chosen.removed("environment")} | known
    if intent.get("release") == chosen.asked.release and isinstance(intent.get(key), list):
        found.update(each for each in intent[key] if isinstance(each, str))
    return {os.path.normpath(each) for each in found if each}


def _parts(chosen: Chosen) -> None:
    """The parts that are neither environment, CANN nor Python. CANN's own files stay as long as any CANN does."""
    versions = [each["name"] for each in chosen.keep if each["kind"] == "CANN"]
    for each in chosen.surveyed["parts"]:
        name, path = each["name"], each["path"]
        kind = "CANN's file" if each["kind"] == "CANN" else each["kind"]
        if each["kind"] == "CANN" and versions:
            chosen.keep.append(row(kind, name, path, "CANN %s stays" % listed(versions)))
        elif not each["ours"]:
            chosen.keep.append(row(kind, name, path, "its folder is older than this project"))
        else:
            chosen.remove.append(row(kind, name, path, "came with this project"))
