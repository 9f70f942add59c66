# SPDX-License-Identifier: Apache-2.0
"""What the planner is given: a bare and a converged node, and what they should be; its answers in short."""

from __future__ import annotations

from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan

COMPLETE = {"state": "complete", "problems": [], "problem_count": 0}
NAME = "8.0.RC1-0123456789ab"
PACKAGES = {"apt-get": {"g++": "g++", "tar": "tar"}, "dnf": {"g++": "gcc-c++", "tar": "tar"}}
HOME = "/usr/local/Ascend/ascend-toolkit/8.0.RC1"


def wanted(**changes: Any) -> dict[str, Any]:
    """What a node of eight 910B3 should be."""
    places = {"cann": "/usr/local/Ascend", "tmp": "/var/tmp", "env": "/opt/ascend", "cache": "/var/cache/x"}
    places["state"] = "/var/lib/ascend-fleet"
    return {
        "release": "8.0.RC1",
        "chips": {
            "910": {"names": "910A?", "supported": False, "reason": "no kernels"},
            "910b": {"names": "910B[1-4].*", "supported": True},
        },
        "driver": {"minimum": "24.1.rc1", "firmware": "7.1.0.6.220", "policy": "fail"},
        "cards": cards(),
        "system": {"limits": {}, "kernel_settings": {}},
        "packages": {"policy": "check", "names": PACKAGES},
        "disk_mb": {"cann": 15000, "tmp": 8000, "env": 8000, "cache": 8000},
        "depot": {
            "transport": "path",
            "folder": "/srv/depot",
            "url": "file:///srv/depot",
            "mirror": "",
            "mirror_url": "",
        },
        "places": places,
        "accept_eula": True,
        "allow_downgrade": False,
        "cann_cross": "beside",
        "toolkit": {"version": "8.0.RC1"},
        "kernels": {"version": "8.0.RC1", "chip": "910b"},
        "python": {"version": "3.10.13"},
        "environment": {"name": NAME, "lock_digest": "0123456789ab", "cann_home": HOME, "source": {}},
        "ascend_env": {"path": "/usr/local/bin/ascend-env", "sha256": "aa"},
        "problems": [],
        **changes,
    }


def cards(**changes: Any) -> dict[str, Any]:
    """What the inventory says of the cards: nothing."""
    return {"count": 0, "memory_mb": 0, "out": [], "health_policy": "fail", **changes}


def bare() -> dict[str, Any]:
    """A node with its driver and nothing else."""
    disk = {"free_mb": 100_000, "device": 1}
    paths = [{"path": path, "exists": True, "uid": 0, "mode": "0755"} for path in ("/usr/local/Ascend", "/usr", "/")]
    return {
        "system": {
            "architecture": "aarch64",
            "glibc": "2.34",
            "disk": {place: dict(disk) for place in wanted()["places"].values()},
            "paths": paths,
        },
        "npu": {
            "answered": True,
            "driver_version": "24.1.rc1",
            "devices": [{"npu_id": n, "chip_id": 0, "name": "910B3", "health": "OK", "errors": []} for n in range(8)],
            "unclear": [],
        },
        "driver": {"version": "24.1.rc1", "firmware_version": "7.1.0.6.220"},
        "changes": {"running": None, "last": None},
        "findings": [],
        "cann": {"latest": None, "versions": {}},
        "pythons": {},
        "system_pythons": {},
        "environments": {"current": None, "all": {}},
        "ascend_env": {"sha256": None},
        "closed": [],
    }


def converged() -> dict[str, Any]:
    """The same node after site.yml."""
    found = bare()
    kernels = {"910b": dict(COMPLETE)}
    found["cann"] = {"latest": "8.0.RC1", "versions": {"8.0.RC1": {"toolkit": dict(COMPLETE), "kernels": kernels}}}
    found["pythons"] = {"3.10.13": {"state": "complete"}}
    environment = {
        "state": "complete",
        "lock_digest": "0123456789ab",
        "cann_home": HOME,
        "difference": {"missing": {}, "other": {}, "extra": {}},
        "difference_count": 0,
        "editable": {},
        "problems": [],
        "problem_count": 0,
    }
    found["environments"] = {"current": NAME, "all": {NAME: environment}}
    found["ascend_env"] = {"sha256": "aa"}
    return found


def damage(words: str) -> dict[str, Any]:
    """What damaged an environment: these problems, and one of them as its facts have it."""
    return {
        "problems": [{"name": "environment-record-broken", "subject": "torch RECORD", "problem": words}],
        "problem_count": 1,
    }


def steps(found: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    return [(step["component"], step["action"]) for step in plan(found, wanted(**changes))["steps"]]


def refusals(found: dict[str, Any], **changes: Any) -> list[str]:
    result = plan(found, wanted(**changes))["refusals"]
    for refusal in result:
        assert all(refusal[key] for key in ("problem", "wanted", "found", "remedy")), refusal
    return [refusal["check"] for refusal in result]
