# SPDX-License-Identifier: Apache-2.0
"""A depot that is gone, unreadable or lacks something: only nodes that need it are refused; others stay as they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import examples
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import source_key
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan import places
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import resolve
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import read_lock
from tests.unit.plan.planner_nodes import bare, converged

ROOT = Path(__file__).resolve().parents[3]
RELEASE = "8.0.RC1"
DIGEST = read_lock(str(ROOT / "releases" / RELEASE / "lock-aarch64.txt"))[1]
NAME = f"{RELEASE}-{DIGEST}"
ARCHIVE = "ab" * 32
SOURCE = {"url": "https://git.example.com/LLaMA-Factory.git", "version": "v0.9.1"}


def settings(depot: Path, **changes: Any) -> dict[str, Any]:
    """The planner's settings as the role gives them, with its defaults where these are plain."""
    asked = yaml.safe_load((ROOT / "roles/ascend/vars/main.yml").read_text())["ascend_settings"]
    defaults = yaml.safe_load((ROOT / "roles/ascend/defaults/main.yml").read_text())
    return {
        **{name: defaults.get(str(value).strip("{} "), "") for name, value in asked.items()},
        **dict.fromkeys(("deep", "allow_downgrade", "check_mode"), False),
        "accept_eula": True,
        "cards": {"count": 0, "memory_mb": 0, "out": [], "health_policy": "fail"},
        "driver_policy": "fail",
        "system_settings": "ignore",
        "system_packages": "check",
        "release": RELEASE,
        "releases_dir": str(ROOT / "releases"),
        "locks": {},
        "depot_dir": str(depot),
        "depot_transport": "path" if str(changes.get("depot_url")).startswith("file:") else "http",
        "depot_url": "http://192.0.2.1",
        "cann_root": "/usr/local/Ascend",
        "ascend_root": "/opt/ascend",
        "cache_dir": "/var/cache/x",
        "state_dir": "/var/lib/ascend-fleet",
        "tmp_dir": "/var/tmp",
        "ascend_env": "/usr/local/bin/ascend-env",
        "ascend_env_file": __file__,
        "llamafactory_source": {},
        **changes,
    }


def node(found: dict[str, Any], source: bool = False) -> dict[str, Any]:
    """The planner's node, with the environment that this release's lock makes."""
    found["system"].setdefault("limits", {})
    found["system"].setdefault("kernel_settings", {})
    if found["environments"]["current"]:
        name = f"{NAME}-{ARCHIVE[:8]}" if source else NAME
        (environment,) = found["environments"]["all"].values()
        environment |= {"lock_digest": DIGEST, "python": "3.10.13", "versions": {"llamafactory": "0.9.1"}}
        environment["examples"] = examples.digest({})  # beside this file are none
        checkout = {"archive": ARCHIVE, "recorded": True, "commit": None, "recorded_commit": None, "edited_count": 0}
        environment |= {"sources": {"llamafactory": checkout}, "editable": {"llamafactory": "/x"}} if source else {}
        found["environments"] = {"current": name, "all": {name: environment}}
    found["ascend_env"] = {"sha256": hashlib.sha256(places.ascend_env(__file__, "/opt/ascend").encode()).hexdigest()}
    return found


def planned(found: dict[str, Any], told: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The steps, and what the depot is said to lack."""
    wanted = resolve(found, told)
    answer = plan(found, wanted)
    assert all("needed_by" not in refused for refused in answer["refusals"])
    lacking = [refused["subject"] for refused in answer["refusals"] if refused["check"] == "depot"]
    return [step["component"] for step in answer["steps"]], lacking


def gone(folder: Path) -> Path:
    return folder / "gone"


def empty(folder: Path) -> Path:
    return folder


def damaged(folder: Path) -> Path:
    (folder / "index.json").write_text("{")
    return folder


def a_folder(folder: Path) -> Path:
    """What cannot be read by anybody, root included."""
    (folder / "index.json").mkdir()
    return folder


DEPOTS = [gone, empty, damaged, a_folder]


@pytest.mark.parametrize("source", [False, True], ids=["lock", "checkout"])
@pytest.mark.parametrize("check", [False, True], ids=["site", "drift"])
@pytest.mark.parametrize("kind", DEPOTS)
def test_a_converged_node_stays_converged(tmp_path: Path, kind: Any, check: bool, source: bool) -> None:
    told = settings(kind(tmp_path), check_mode=check, llamafactory_source=SOURCE if source else {})
    assert planned(node(converged(), source), told) == ([], [])


@pytest.mark.parametrize("kind", DEPOTS)
def test_a_bare_node_is_refused_with_all_that_it_needs(tmp_path: Path, kind: Any) -> None:
    steps, lacking = planned(node(bare()), settings(kind(tmp_path)))
    assert steps == ["toolkit", "kernels", "environment", "current"]
    wanted = [
        f"CANN {RELEASE} toolkit",
        f"CANN {RELEASE} kernels 910b",
        "Python 3.10",
        "uv",
        f"wheels of lock {DIGEST}",
    ]
    assert lacking == wanted


def test_the_reason_is_the_depots_own(tmp_path: Path) -> None:
    found = node(bare())
    refusals = plan(found, resolve(found, settings(gone(tmp_path))))["refusals"]
    assert {refused["found"] for refused in refusals if refused["check"] == "depot"} == {
        f"the depot is gone: {tmp_path}/gone/index.json"
    }


def test_what_a_repair_does_not_need_is_not_asked_for(tmp_path: Path) -> None:
    found = node(converged())
    found["environments"]["all"][NAME]["difference"]["missing"] = {"fire": "0.7.0"}
    assert planned(found, settings(tmp_path)) == (["environment"], ["uv", f"wheels of lock {DIGEST}"])
    found = node(converged())
    found["ascend_env"] = {"sha256": "other"}
    assert planned(found, settings(tmp_path)) == (["ascend-env"], [])


def test_wheels_of_another_lock_are_not_the_wanted_ones(tmp_path: Path) -> None:
    """With --limit the depot may hold those of a lock that the release had before."""
    page = "wheels/x/index.html"
    index = {"files": {page: {"sha256": "cd" * 32, "size_bytes": 1}}}
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/x.txt").write_text("")
    for digest, lacks in ((DIGEST, False), ("0" * 12, True)):
        entry = {"file": "locks/x.txt", "wheels": "wheels/x", "lock_digest": digest}
        (tmp_path / "index.json").write_text(json.dumps({**index, "locks": {RELEASE: {"aarch64": entry}}}))
        assert (f"wheels of lock {DIGEST}" in planned(node(bare()), settings(tmp_path))[1]) == lacks


def test_a_checkout_of_another_version_is_not_taken_for_the_wanted_one(tmp_path: Path) -> None:
    """With --limit the depot may hold the archive of another version than the inventory names."""
    file = "sources/other.tar.gz"
    index = {"files": {file: {"sha256": "cd" * 32, "size_bytes": 1}}}
    other = {**SOURCE, "version": "v0.9.0"}
    index["sources"] = {"llamafactory": {source_key(other): {"version": "0.9.0", "file": file}}}
    (tmp_path / "index.json").write_text(json.dumps(index))
    steps, lacking = planned(node(bare()), settings(tmp_path, llamafactory_source=SOURCE))
    assert "environment" in steps
    assert "LLaMA-Factory source" in lacking
    _, lacking = planned(node(bare()), settings(tmp_path, llamafactory_source=other))
    assert "LLaMA-Factory source" not in lacking
    # A depot of before knew one, whichever was asked for.
    index["sources"] = {"llamafactory": {"version": "0.9.0", "file": file, "wanted": "x"}}
    (tmp_path / "index.json").write_text(json.dumps(index) + " ")
    assert "LLaMA-Factory source" in planned(node(bare()), settings(tmp_path, llamafactory_source=other))[1]


@pytest.mark.parametrize(
    ("name", "value", "variable"),
    [
        ("count", "eight", "ascend_card_count"),
        ("count", None, "ascend_card_count"),
        ("count", -8, "ascend_card_count"),
        ("count", "8.0", "ascend_card_count"),
        ("memory_mb", "64 GB", "ascend_card_memory_mb"),
        ("memory_mb", True, "ascend_card_memory_mb"),
        ("health_policy", "ignore", "ascend_health_policy"),
        ("health_policy", False, "ascend_health_policy"),
        ("out", "4-6", "ascend_cards_out"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_variable(tmp_path: Path, name: str, value: Any, variable: str) -> None:
    given = settings(tmp_path)
    given["cards"] = {**given["cards"], name: value}
    with pytest.raises(AscendError, match=variable):
        resolve(node(converged()), given)


@pytest.mark.parametrize("value", ["ignore", "Warn", None, True])
def test_a_policy_that_is_none_is_told(tmp_path: Path, value: Any) -> None:
    with pytest.raises(AscendError, match=r"ascend_driver_policy has an unknown value; wanted: fail, warn"):
        resolve(node(converged()), {**settings(tmp_path), "driver_policy": value})
