# SPDX-License-Identifier: Apache-2.0
"""Where things lie on a node: the inventory's variables, and ascend-env, which knows the environments' place."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan import places, wanted

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = str(ROOT / "roles/torch_npu/files/ascend-env")
SETTINGS = {
    "ascend_root": "/data/ascend/tree",
    "cache_dir": "/data/ascend/cache",
    "state_dir": "/data/ascend/state",
    "tmp_dir": "/data/tmp",
    "cann_root": "/usr/local/Ascend",
}


def test_the_planner_s_names_of_the_places() -> None:
    assert places.places(SETTINGS) == {
        "cann": "/usr/local/Ascend",
        "tmp": "/data/tmp",
        "env": "/data/ascend/tree",
        "cache": "/data/ascend/cache",
        "state": "/data/ascend/state",
    }


def test_the_defaults_are_places() -> None:
    defaults = yaml.safe_load((ROOT / "roles/ascend/defaults/main.yml").read_text())
    names = {"ascend_root": "ascend_root", "cann_root": "cann_root", "tmp_dir": "ascend_tmp_dir"}
    names |= {"cache_dir": "ascend_cache_dir", "state_dir": "ascend_state_dir"}
    assert places.places({name: defaults[variable] for name, variable in names.items()})["tmp"] == "/var/tmp"


@pytest.mark.parametrize(
    ("name", "value", "variable"),
    [
        ("ascend_root", "opt/ascend", "ascend_root"),
        ("ascend_root", "/opt/../etc", "ascend_root"),
        ("ascend_root", "/opt/a b", "ascend_root"),
        ("ascend_root", "/opt/$(id)", "ascend_root"),
        ("ascend_root", "/opt/ascend\n", "ascend_root"),
        ("ascend_root", "/opt", "ascend_root"),
        ("cache_dir", "/var/cache", "ascend_cache_dir"),
        ("state_dir", "/var/lib", "ascend_state_dir"),
        ("state_dir", "/", "ascend_state_dir"),
        ("state_dir", "/data/ascend/cache", "ascend_"),
        ("tmp_dir", "", "ascend_tmp_dir"),
        ("cache_dir", "/data/ascend/tree/cache", "ascend_cache_dir"),
        ("ascend_root", "/data/ascend/state/tree", "ascend_root"),
        ("ascend_root", "/data/ascend", "ascend_cache_dir"),
        ("tmp_dir", "/data/ascend/state/tmp", "ascend_tmp_dir"),
        ("state_dir", "/usr/local/Ascend/state", "ascend_state_dir"),
        ("cann_root", "/usr/local//Ascend", "cann_root"),
    ],
)
def test_what_can_be_no_place_is_refused_by_the_variable_s_name(name: str, value: str, variable: str) -> None:
    with pytest.raises(AscendError) as told:
        places.places({**SETTINGS, name: value})
    assert str(told.value).startswith(variable)
    assert told.value.wanted
    assert variable in told.value.remedy


def test_places_may_lie_beside_each_other_and_where_installers_unpack() -> None:
    beside = {**SETTINGS, "tmp_dir": "/data", "cache_dir": "/data/ascend/cache-2", "state_dir": "/data/ascend/cache"}
    assert places.places(beside)["cache"] == "/data/ascend/cache-2"


def test_the_program_s_sum_follows_from_the_place() -> None:
    def sha256(root: str) -> str:
        given: Any = SimpleNamespace(ascend_env_file=PROGRAM, ascend_root=root)
        return wanted._program_sum(given)

    assert sha256("/opt/ascend") == hashlib.sha256(Path(PROGRAM).read_bytes()).hexdigest()
    elsewhere = places.ascend_env(PROGRAM, "/data/ascend/tree")
    assert sha256("/data/ascend/tree") == hashlib.sha256(elsewhere.encode()).hexdigest()
    assert "/opt/ascend" not in elsewhere


def test_the_program_goes_to_the_place(tmp_path: Path) -> None:
    program = tmp_path / "ascend-env"
    program.write_text(places.ascend_env(PROGRAM, f"{tmp_path}/tree"), encoding="utf-8")
    argv = ["bash", str(program), "true"]
    nothing = subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert nothing.returncode == 127
    assert f"{tmp_path}/tree/env/current leads nowhere" in nothing.stderr
