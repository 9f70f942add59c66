# SPDX-License-Identifier: Apache-2.0
"""Which environment a node goes back to, and whether that can be done without installing anything.

It depends on the node's facts alone: neither the depot nor the release's folder is asked.
"""

from __future__ import annotations

import posixpath
from typing import Any

from ...ascend.finding import Refusal, listed, refusal
from ...ascend.npu.chips import kernels_families
from .components import Facts


def rollback(found: Facts, to: str, root: str = "/opt/ascend") -> dict[str, Any]:
    """Return ``{"target", "refusals", "from"}``.

    ``root`` is the place above the environments; ``to`` a release, an environment's name, or "" for the previous one.
    ``target`` is None or ``{"name", "path", "release", "cann_version", "versions", "switch", "lead_latest"}``:
    ``switch`` where another one is current, ``lead_latest`` where CANN's ``latest`` leads to another version.
    """
    environments = found["environments"]
    there = environments["all"]
    name, refusals = _chosen(found, to, root)
    target: dict[str, Any] | None = None
    if name:
        refusals = _keeps_from(found, name)
        version = _cann_version(there[name])
        target = {
            "name": name,
            "path": there[name]["path"],
            "release": there[name]["release"] or "",
            "cann_version": version,
            "versions": {key: there[name]["versions"][key] for key in VERIFIED if key in there[name]["versions"]},
            "switch": environments["current"] != name,
            "lead_latest": found["cann"]["latest"] != version,
        }
    return {"target": target, "refusals": refusals, "from": environments["current"] or "none"}


VERIFIED = ("deepspeed", "llamafactory", "torch", "torch-npu")  # what npu_check compares in the running interpreter


def _chosen(found: Facts, to: str, root: str) -> tuple[str, list[Refusal]]:
    environments = found["environments"]
    there, current, previous = environments["all"], environments["current"], environments["previous"]
    if not to:
        if previous in there and previous != current:
            return previous, []
        return "", [
            _nothing("the node has no environment that was current before", "a previous environment", there, root)
        ]
    fit = [name for name in sorted(there) if to in (name, there[name]["release"])]
    if not fit:
        return "", [_nothing(f"the node has no environment of {to}", to, there, root)]
    # Several locks of one release: what can be gone back to, and of that what is or was in use.
    fit.sort(key=lambda name: (bool(_keeps_from(found, name)), name != current, name != previous, name))
    return fit[0], []


def _keeps_from(found: Facts, name: str) -> list[Refusal]:
    there = found["environments"]["all"][name]
    return _incomplete(name, there) + _without_cann(found, name) + _without_cards(found)


def _cann_version(environment: Facts) -> str:
    return posixpath.basename(environment["cann_home"] or "")


def _nothing(problem: str, wanted: str, there: Facts, root: str) -> Refusal:
    remedy = "ansible-playbook site.yml -e ascend_release=RELEASE  # installs what is not there"
    where = posixpath.join(root, "env")
    return refusal("env", "rollback", problem, wanted, listed(sorted(there)) or "no environment", remedy, where)


def _incomplete(name: str, there: Facts) -> list[Refusal]:
    words = [] if there["state"] == "complete" else [str(there["state"])]
    if there["problem_count"]:
        words.append(listed(there["problems"], there["problem_count"]))
    if there["difference_count"]:
        words.append(f"{there['difference_count']} distributions are not those of its lock")
    if there.get("closed"):
        words.append(f"others cannot use {there['closed']}")
    if not words:
        return []
    problem = f"environment {name} is not whole"
    remedy = "ansible-playbook site.yml -e ascend_release=%s  # repairs it" % (there["release"] or "RELEASE")
    return [refusal("env", "rollback", problem, "a complete environment", "; ".join(words), remedy, there["path"])]


def _without_cann(found: Facts, name: str) -> list[Refusal]:
    there = found["environments"]["all"][name]
    version = _cann_version(there)
    package = found["cann"]["versions"].get(version)
    families = kernels_families(found["npu"]["devices"])
    lacks = []
    if not version:
        lacks.append("no word in the environment of which CANN it was built for")
    elif not package or package["toolkit"]["state"] != "complete":
        lacks.append(f"toolkit {version}: {package['toolkit']['state'] if package else 'absent'}")
    for chip in families if version else []:
        state = (package or {"kernels": {}})["kernels"].get(chip, {"state": "absent"})["state"]
        if state != "complete":
            lacks.append(f"kernels-{chip} {version}: {state}")
    if not lacks:
        return []
    problem = f"the CANN of environment {name} is not whole"
    remedy = "ansible-playbook site.yml -e ascend_release=%s -e cann_allow_downgrade=true" % (
        there["release"] or "RELEASE"
    )
    wanted, where = "CANN %s, complete" % (version or "?"), there["cann_home"] or there["path"]
    return [refusal("cann", "rollback", problem, wanted, "; ".join(lacks), remedy, where)]


def _without_cards(found: Facts) -> list[Refusal]:
    """What is made current is verified on the cards first."""
    if found["npu"]["answered"] and found["npu"]["devices"]:
        return []
    problem = "the environment cannot be verified: npu-smi shows no card"
    remedy = "npu-smi info; dmesg | tail"
    return [refusal("driver", "rollback", problem, "cards that answer", "none", remedy, "npu-smi info")]
