# SPDX-License-Identifier: Apache-2.0
"""What a node needs of its distribution: seen by programs and files, refused or remarked on, or installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import needs
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan import policies
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import STEPS, Plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.packages import CHECK, INSTALL
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from tests.answers import node, write
from tests.unit.plan.planner_nodes import bare, converged, wanted

PROGRAMS = ("bash", "tar", "gzip", "head", "dd", "cut", "unzip", "g++")
NAMES = policies.packages(CHECK)["names"]


def complete(root: Path) -> None:
    write(root, "/usr/include/c++/12/type_traits")
    write(root, "/usr/include/libaio.h")
    write(root, "/usr/lib/x86_64-linux-gnu/libstdc++.so.6")


def test_a_bare_machine_lacks_everything_and_a_complete_one_nothing(tmp_path: Path) -> None:
    assert needs.lacking(node(tmp_path)) == [need.name for need in needs.NEEDS]
    complete(tmp_path)
    assert needs.lacking(node(tmp_path, names=PROGRAMS)) == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_is_looked_for(tmp_path: Path, program: str) -> None:
    complete(tmp_path)
    (lacking,) = needs.lacking(node(tmp_path, names=tuple(name for name in PROGRAMS if name != program)))
    assert lacking == ("coreutils" if program in ("head", "dd", "cut") else program)


@pytest.mark.parametrize(
    ("path", "name"), [("/usr/include/c++/12/type_traits", "g++"), ("/usr/include/libaio.h", "libaio")]
)
def test_a_compiler_without_headers_is_none(tmp_path: Path, path: str, name: str) -> None:
    complete(tmp_path)
    (tmp_path / path.lstrip("/")).unlink()
    assert needs.lacking(node(tmp_path, names=PROGRAMS)) == [name]


def test_a_library_is_found_by_the_loaders_cache_or_where_it_lies(tmp_path: Path) -> None:
    complete(tmp_path)
    (tmp_path / "usr/lib/x86_64-linux-gnu/libstdc++.so.6").unlink()
    assert needs.lacking(node(tmp_path, names=PROGRAMS)) == ["libstdc++"]
    write(tmp_path, "/etc/ld.so.cache", "glibc-ld.so.cache1.1\0libstdc++.so.6.bak\0/x\0")
    assert needs.lacking(node(tmp_path, names=PROGRAMS)) == ["libstdc++"]
    write(
        tmp_path, "/etc/ld.so.cache", "glibc-ld.so.cache1.1\0\x03libz.so.1\0libstdc++.so.6\0/opt/lib/libstdc++.so.6\0"
    )
    assert needs.lacking(node(tmp_path, names=PROGRAMS)) == []


@pytest.mark.parametrize(
    ("programs", "manager"),
    [(("apt-get",), "apt-get"), (("yum", "dnf"), "dnf"), (("yum",), "yum"), (("zypper",), None)],
)
def test_who_installs_packages(tmp_path: Path, programs: tuple[str, ...], manager: str | None) -> None:
    assert needs.manager(node(tmp_path, names=programs)) == manager


def test_the_table_names_a_package_of_everybody_for_everything() -> None:
    assert set(NAMES) == set(needs.MANAGERS)
    for manager, names in NAMES.items():
        assert set(names) == {need.name for need in needs.NEEDS}, manager
    for need in needs.NEEDS:
        assert set(need.steps) <= set(STEPS), need.name
        assert need.programs or need.headers or need.library, need.name


def without(found: dict[str, Any], *names: str, manager: str | None = "apt-get") -> dict[str, Any]:
    found["system"] |= {"lacking": list(names), "package_manager": manager}
    return found


def planned(found: dict[str, Any], policy: str = CHECK) -> Plan:
    return plan(found, wanted(packages={"policy": policy, "names": NAMES}))


@pytest.mark.parametrize("need", needs.NEEDS, ids=lambda need: need.name)
def test_a_new_node_is_refused_what_installing_needs_and_told_what_training_may_need(need: needs.Need) -> None:
    result: Any = planned(without(bare(), need.name))
    told, other = ("refusals", "remarks") if need.steps else ("remarks", "refusals")
    assert result[other] == []
    (refusal,) = result[told]
    assert refusal["check"] == ("package-missing" if need.steps else "packages-for-training")
    assert refusal["subject"] == need.name
    assert need.why in refusal["problem"]
    assert refusal["remedy"].startswith(f"apt-get install {NAMES['apt-get'][need.name]}  #")
    assert result["warnings"] == []


@pytest.mark.parametrize(
    ("manager", "command"), [("dnf", "dnf install gcc-c++ libaio-devel"), ("yum", "yum install gcc")]
)
def test_the_command_is_the_distributions_own(manager: str, command: str) -> None:
    (remark,) = planned(without(bare(), "g++", "libaio", manager=manager))["remarks"]
    assert remark["remedy"].startswith(command)
    assert remark["subject"] == "g++, libaio"


def test_a_distribution_that_nobody_knows_gets_no_command_that_does_not_work() -> None:
    for policy in (CHECK, INSTALL):
        result = planned(without(bare(), "tar", manager=None), policy)
        assert "packages" not in [step["component"] for step in result["steps"]]
        (refusal,) = result["refusals"]
        assert refusal["remedy"] == "install tar with the distribution's package manager"


def test_a_converged_node_needs_nothing_to_install_with() -> None:
    result = planned(without(converged(), "tar", "gzip", "libstdc++"))
    assert (result["steps"], result["refusals"], result["warnings"], result["remarks"]) == ([], [], [], [])


def test_installing_is_the_first_step_and_names_each() -> None:
    result = planned(without(bare(), "tar", "g++", manager="dnf"), INSTALL)
    assert (result["refusals"], result["remarks"]) == ([], [])
    step = result["steps"][0]
    assert (step["component"], step["reason"]) == ("packages", "packages are missing: tar, gcc-c++")
    assert [(cause["subject"], cause["wanted"]) for cause in step["causes"]] == [("tar", "tar"), ("g++", "gcc-c++")]
    assert [each["component"] for each in planned(without(converged(), "g++"), INSTALL)["steps"]] == ["packages"]
    assert planned(without(converged()), INSTALL)["steps"] == []


@pytest.mark.parametrize(("variable", "value"), [("ascend_system_packages", "yes"), ("ascend_system_settings", "aply")])
def test_a_policy_that_is_none_is_refused(variable: str, value: str) -> None:
    with pytest.raises(AscendError, match=variable):
        policies.one_of(variable, value)
