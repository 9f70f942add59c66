# SPDX-License-Identifier: Apache-2.0
"""Roles and playbooks: public variables are documented, and local modules get the arguments they have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.version import Version

from tests.contract.tree import ROOT, documentation, modules, roles, yaml_files

ROLES = roles()
NAMES = [role.name for role in ROLES]
# Variables of the whole fleet, not of one role.
FLEET_WIDE = (
    "ascend_",
    "cann_",
    "llamafactory_",
    "depot_transport",
    "depot_mirror",
    "depot_nodes_at_once",
    "depot_swarm_port",
    "rollout_drain_command",
    "ssh_host_",
    "rollout_resume_command",
    "train_interface",
    "train_master_port",
    "serve_models",
)
# The variables of a role that is not called like the playbook that it is for.
OF_PLAYBOOK = {"rack": "preflight_"}
SPECS: dict[str, dict[str, Any]] = {
    f"ascend.fleet.{module.stem}": documentation(module)["options"] for module in modules()
}
TASK_FILES = yaml_files("roles", "playbooks", "molecule")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def options(role: Path) -> dict[str, dict[str, Any]]:
    """The options of a role's entry point `main`."""
    file = role / "meta" / "argument_specs.yml"
    if not file.is_file():
        return {}  # a role without variables of its own
    return dict(load(file)["argument_specs"]["main"].get("options", {}))


def defaults(role: Path) -> dict[str, Any]:
    file = role / "defaults" / "main.yml"
    return dict(load(file) or {}) if file.is_file() else {}


def test_the_two_roles_the_project_is_named_for() -> None:
    assert {"cann", "torch_npu"} <= set(NAMES)


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_defaults_and_argument_specs_name_the_same(role: Path) -> None:
    optional = {name for name, option in options(role).items() if not option.get("required")}
    assert set(defaults(role)) == optional


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_defaults_and_argument_specs_say_the_same(role: Path) -> None:
    given = defaults(role)
    for name, option in options(role).items():
        assert option.get("description"), f"{name} has no description"
        assert option.get("type"), f"{name} has no type"
        if "default" in option:
            assert option["default"] == given[name], name


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_every_default_has_its_sentence(role: Path) -> None:
    file = role / "defaults" / "main.yml"
    lines = file.read_text().splitlines() if file.is_file() else []
    bare = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if line[:1].isalpha() and not before.startswith("# ")
    ]
    assert bare == [], "no comment above these"


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_names_of_variables(role: Path) -> None:
    names = {*defaults(role), *options(role)}
    prefix = OF_PLAYBOOK.get(role.name, f"{role.name}_")
    assert [name for name in sorted(names) if not name.startswith((prefix, *FLEET_WIDE))] == []


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_main_is_a_table_of_contents(role: Path) -> None:
    """A role's tasks/main.yml is short; what it does lies in one file a phase."""
    file = role / "tasks" / "main.yml"
    assert not file.is_file() or len(file.read_text().splitlines()) <= 80


def calls(node: Any) -> Iterator[tuple[str, Any]]:
    """Every call of a local module below a YAML node, as (module, arguments)."""
    if isinstance(node, list):
        for entry in node:
            yield from calls(entry)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in SPECS and key != "name":
                yield key, value
            else:
                yield from calls(value)


def faults(module: str, arguments: Any) -> Iterator[str]:
    """What is wrong with the arguments of one call, as far as they are literal."""
    if arguments is None:
        arguments = {}
    if isinstance(arguments, str):  # "{{ a_mapping }}"
        return
    spec = SPECS[module]
    for name in sorted(set(arguments) - set(spec)):
        yield f"{module} has no option {name}"
    for name, option in spec.items():
        if option.get("required") and name not in arguments:
            yield f"{module} needs {name}"
        value = arguments.get(name)
        if option.get("choices") and isinstance(value, str) and "{{" not in value and value not in option["choices"]:
            yield f"{module}: {name}={value} is none of {option['choices']}"


CALLS = [(path, *call) for path in TASK_FILES for call in calls(load(path))]


def test_local_modules_are_called() -> None:
    """Nothing would be checked below if a change of layout hid the calls."""
    assert {module.removeprefix("ascend.fleet.") for _, module, _ in CALLS} >= {
        "ascend_facts",
        "cann_package",
        "python_env",
        "npu_check",
    }


@pytest.mark.parametrize("path", TASK_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arguments_of_local_modules(path: Path) -> None:
    wrong = [fault for file, module, given in CALLS if file == path for fault in faults(module, given)]
    assert wrong == []


def test_a_wrong_argument_is_seen() -> None:
    assert list(faults("ascend.fleet.ascend_facts", {"gather_subsets": ["all"]})) == [
        "ascend.fleet.ascend_facts has no option gather_subsets"
    ]
    assert "ascend.fleet.cann_package needs package" in list(
        faults("ascend.fleet.cann_package", {"version": "8.0.RC1"})
    )
    assert any(
        "is none of" in fault for fault in faults("ascend.fleet.cann_package", {"package": "toolkits", "version": "8"})
    )


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_meta_says_the_oldest_ansible(role: Path) -> None:
    assert Version(str(load(role / "meta" / "main.yml")["galaxy_info"]["min_ansible_version"])) == Version("2.17")


# What these do happens on the control node, or not at all.
OF_THE_CONTROL_NODE = {
    f"ansible.builtin.{name}"
    for name in (
        "add_host", "assert", "debug", "fail", "group_by", "import_role", "import_tasks", "include_role",
        "include_tasks", "meta", "set_fact",
    )
}  # fmt: skip
OF_THE_CONTROL_NODES_ACTIONS = {
    f"ascend.fleet.{name}"
    for name in (
        "drift_report",
        "drift_merge",
        "inventory_check",
        "rack_plan",
        "rack_report",
        "train_report",
        "doctor_report",
        "verify_report",
    )
}
OF_LOCALHOST = ("depot", "nightly", "notify")  # roles


def _remote(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        if task.get("delegate_to") == "localhost":
            continue
        for part in ("block", "rescue", "always"):
            yield from _remote(task.get(part, []))
        if (
            "block" not in task
            and not OF_THE_CONTROL_NODE.intersection(task)
            and not OF_THE_CONTROL_NODES_ACTIONS.intersection(task)
        ):
            yield task


def test_each_task_of_a_node_has_a_time_limit() -> None:
    """With one node that hangs in a task without, the whole run waits for ever."""
    files = [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")]
    lists = [load(file) for file in files if file.parent.parent.name not in OF_LOCALHOST]
    plays = [play for part in lists for play in part or [] if "hosts" in play]
    tasks = [*(play.get("tasks", []) for play in plays if play["hosts"] != "localhost")]
    tasks += [part for part in lists if part and not any("hosts" in each for each in part)]
    remote = [task for part in tasks for task in _remote(part)]
    assert len(remote) > 20
    assert [task["name"] for task in remote if "timeout" not in task and "import_playbook" not in task] == []
