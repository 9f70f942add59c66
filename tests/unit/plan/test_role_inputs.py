# SPDX-License-Identifier: Apache-2.0
"""What modules are given: by rollout and rollback, from a plan; and by the roles alone, from their own inputs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment.lock import digest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.places import examples_of
from tests.contract.tree import OLDEST_FIRST, ROOT, ansible_core
from tests.unit.plan.planner_nodes import wanted
from tests.unit.plan.role_run import PACKAGES, Run
from tests.unit.plan.test_failed_proof import BEGUN, GOOD, whole

pytestmark = pytest.mark.slow

Calls = list[tuple[str, dict[str, Any]]]

LOCK = "torch==2.1.0 --hash=sha256:0\n"
PROXY = "http://proxy:1"
# What an inventory says of the whole fleet, with the time limits, and where its places are.
FLEET: dict[str, Any] = {
    "ascend_users": ["ml"],
    "ascend_cards_out": [3],
    "ascend_root": "/e-root",
    "cann_root": "/c-root",
    "cann_accept_eula": True,
    "ascend_depot_proxy": PROXY,
    "cann_timeout_s": 11,
    "torch_npu_timeout_s": 12,
    "verify_timeout_s": 13,
}
PLACES = {
    "ascend_root": "/e-root",
    "cann_root": "/c-root",
    "cache_dir": "/var/cache/ascend-fleet",
    "state_dir": "/var/lib/ascend-fleet",
    "tmp_dir": "/var/tmp",
}
PLANNED = """
- hosts: all
  gather_facts: false
  module_defaults:
    group/ascend.fleet.node: "{{ ascend_places | ascend.fleet.ascend_places }}"
  tasks:
    - ansible.builtin.import_role: {name: ascend.fleet.ascend, rolespec_validate: false}
    - name: Have a plan
      ansible.builtin.set_fact:
        preflight_node: "{{ node }}"
"""
INCLUDED = "    - ansible.builtin.include_role: {name: ascend.fleet.%s, tasks_from: %s}\n"
CHOSEN = """\
    - name: Choose what is to be done
      ansible.builtin.set_fact:
        preflight_node: "{{ node | combine({'components': %s}) }}"
"""
ALONE = """
- hosts: all
  gather_facts: false
  roles:
    - ascend.fleet.%s
"""


def file(name: str, number: int, **more: Any) -> dict[str, Any]:
    """A file of the depot: as the roles take it, and with what the depot's index says besides."""
    told = {"version": f"{number}.0", "url": f"http://depot/{name}", "sha256": f"sum of {name}", "size_bytes": number}
    return {**told, **more}


def taken(name: str, number: int, prefix: str = "") -> dict[str, Any]:
    """The options of a module that takes such a file."""
    return {f"{prefix}{key}": value for key, value in file(name, number).items() if not prefix or key != "version"}


def planned(folder: Path) -> dict[str, Any]:
    """A node of which everything is to be done."""
    lock = folder / "lock.txt"
    lock.write_text(LOCK)
    python = {"path": "/p/9.0", "program": "/p/9.0/bin/python3", "bin": "/p/9.0/bin", "replaces": "8.0"}
    environment = {
        "name": "new",
        "path": "/e/new",
        "cann_home": "/c/7",
        "lock_file": str(lock),
        "lock_digest": "of the release's lock",  # the depot's has fewer sums
        "wheelhouse": "http://depot/wheels/index.html",
        "versions": {"torch": "2.1.0"},
        "source": file("source", 4, mtime_ns=1),
    }
    packages = {"component": "packages", "causes": [{"wanted": "tar"}, {"wanted": "g++"}, {"wanted": "tar"}]}
    return {
        "facts": whole(),
        "wanted": {
            **wanted(),
            "toolkit": file("toolkit", 7, mtime_ns=1, **LIES),
            "kernels": file("kernels", 8, mtime_ns=1, chip="910b", **LIES),
            "python": file("python", 9, mtime_ns=1, **python),
            "cann_shared": ["/usr/local/Ascend/ascend-toolkit"],
            "uv": file("uv", 3, mtime_ns=1),
            "environment": environment,
            "system": {"kernel_settings": {"net.a": "1-2"}, "limits": {"nofile": 8192}, "policy": "apply"},
            "deep": True,
        },
        "plan": {
            "steps": [{"component": "system", "causes": [{"wanted": "x"}]}, packages],
            "refusals": [],
            "from": "old",
            "sets_aside": False,
            "replaces": ["6.0"],
            "repairs_cann": True,
            "stage": ["python", "cache", "environment", "rights"],
            "target": {"name": "old", "path": "/e/old", "versions": {"torch": "2.0.0"}, "cann_version": "6.0"},
        },
        "components": list(CALLS),
    }


EXAMPLES = examples_of(str(ROOT / "roles/torch_npu/files/share/llamafactory"), "/e-root")
INSTALLER = {"python_bin": "/p/9.0/bin", "timeout_s": 11, **PLACES}
LIES = {"layout": "cann", "beside": True}
INSTALLED = {
    "depot_proxy": PROXY,
    "accept_eula": True,
    "allow_downgrade": False,
    "repair": True,
    "deep": True,
    **INSTALLER,
}
# Component of a plan -> the module that is called for it, with all that it is given.
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "packages": (PACKAGES, {"name": ["tar", "g++"], "state": "present", "update_cache": True}),
    "system": ("system_settings", {"kernel_settings": {"net.a": "1-2"}, "limits": {"nofile": 8192}, **PLACES}),
    "python": ("python_runtime", {**taken("python", 9), "depot_proxy": PROXY, "deep": True, **PLACES}),
    "cross": ("cann_package", {"package": "toolkit", "state": "absent", "version": "6.0", **INSTALLER}),
    "toolkit": ("cann_package", {"package": "toolkit", **taken("toolkit", 7), **LIES, **INSTALLED}),
    "kernels": ("cann_package", {"package": "kernels", "chip": "910b", **taken("kernels", 8), **LIES, **INSTALLED}),
    "latest": (
        "cann_package",
        {"package": "toolkit", "state": "led-back", "version": "7.0", "python_bin": "/p/9.0/bin", **PLACES},
    ),
    "environment": (
        "python_env",
        {
            "path": "/e/new",
            "release": "8.0.RC1",
            "examples": EXAMPLES,
            "python": "/p/9.0/bin/python3",
            "replace_python": True,
            "cann_home": "/c/7",
            "lock": LOCK.rstrip(),
            "lock_digest": "of the release's lock",
            "wheelhouse": "http://depot/wheels/index.html",
            **taken("uv", 3, "uv_"),
            **taken("source", 4, "source_"),
            "depot_proxy": PROXY,
            "deep": True,
            "timeout_s": 12,
            **PLACES,
        },
    ),
    "examples": ("python_env", {"path": "/e/new", "examples": EXAMPLES, **PLACES}),
    "rights": (
        "node_rights",
        {
            "paths": [
                *("/opt/ascend", "/opt/ascend/env", "/opt/ascend/python", "/usr/local/bin/ascend-env"),
                "/usr/local/Ascend/ascend-toolkit",
            ],
            "trees": ["/p/9.0", "/c/7", "/e/new"],
            **PLACES,
        },
    ),
    "users": ("device_users", {"users": ["ml"]}),
}


def without(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def calls_of(component: str) -> list[tuple[str, dict[str, Any]]]:
    """What is called for a component; packages are in the cache before what they replace is uninstalled."""
    taken_first = ("toolkit", "kernels") if component == "cross" else ()
    return [*(cached(name) for name in taken_first), CALLS[component]]


def cached(package: str) -> tuple[str, dict[str, Any]]:
    installing = ("layout", "beside", "accept_eula", "allow_downgrade", "repair", "deep", "python_bin", "timeout_s")
    return "cann_package", {**without(CALLS[package][1], *installing), "state": "cached"}


def proof(environment: str, torch: str) -> tuple[str, dict[str, Any]]:
    asked = {"environment": environment, "ascend_env": "/usr/local/bin/ascend-env", "expected_devices": 8}
    asked |= {"devices": [0, 1, 2, 4, 5, 6, 7], "expected_versions": {"torch": torch}, "users": ["ml"], "timeout_s": 13}
    return "npu_check", {**asked, **PLACES}


def current(environment: str, idle: bool = True) -> tuple[str, dict[str, Any]]:
    return "python_env", {"path": environment, "current": True, "idle": idle, "cards_out": [3], **PLACES}


def played(folder: Path, play: str, variables: dict[str, Any], *words: str, tools: Path | None = None) -> Run:
    looks = [{"changed": False, "ansible_facts": {"ascend": whole()}}]
    answers = {"ascend_facts": looks, "npu_check": [GOOD], "node_change": [BEGUN]}
    return Run(folder, play, {**FLEET, **variables}, answers, *words, tools=tools)


def of_plan(folder: Path, node: dict[str, Any], *tasks: tuple[str, str]) -> Run:
    run = played(folder, PLANNED + "".join(INCLUDED % each for each in tasks), {"node": node})
    assert run.code == 0, run.output
    return run


def test_a_rollout_gives_the_modules_what_the_plan_says(tmp_path: Path) -> None:
    run = of_plan(tmp_path, planned(tmp_path), ("rollout", "steps"))
    assert run.calls == [call for name in CALLS for call in calls_of(name)]


def test_each_component_alone_is_what_the_plan_names(tmp_path: Path) -> None:
    """In the order in which the plan would not have them: what is asked for, and nothing that belongs to it."""
    names = [*reversed(CALLS), "source"]
    tasks = "".join(CHOSEN % [name] + INCLUDED % ("rollout", "steps") for name in names)
    run = played(tmp_path, PLANNED + tasks, {"node": planned(tmp_path)})
    assert run.code == 0, run.output
    assert run.calls == [call for name in names for call in calls_of("environment" if name == "source" else name)]


PROVEN = (("rollout", "prove"), ("rollout", "current"))


def test_the_proof_the_note_and_the_switch(tmp_path: Path) -> None:
    node = planned(tmp_path)
    run = of_plan(tmp_path, {**node, "components": ["current"]}, *PROVEN)
    proven = {"package": "toolkit", "state": "proven", "version": "7.0", **PLACES}
    assert run.calls == [proof("/e/new", "2.1.0"), ("cann_package", proven), current("/e/new")]
    assert "changed=2 " in run.output, "the note, and the switch"


def test_a_link_that_comes_back_after_a_repair_is_no_change(tmp_path: Path) -> None:
    node = planned(tmp_path)
    node["plan"]["sets_aside"] = True
    run = of_plan(tmp_path, {**node, "components": ["environment"]}, *PROVEN)
    # Without it the node has no environment at all: it comes back whoever uses the cards.
    assert run.calls[-1] == current("/e/new", idle=False)
    assert "changed=1 " in run.output, "the note alone"


def test_an_environment_that_stays_current_is_not_switched(tmp_path: Path) -> None:
    run = of_plan(tmp_path, {**planned(tmp_path), "components": ["users"]}, *PROVEN)
    assert [name for name, _ in run.calls] == ["npu_check", "cann_package"]


def test_a_rollback_proves_and_switches(tmp_path: Path) -> None:
    run = of_plan(tmp_path, planned(tmp_path), ("rollback", "apply"))
    running = {"package": "toolkit", "state": "running", "version": "6.0", **PLACES}
    assert run.calls == [proof("/e/old", "2.0.0"), current("/e/old"), ("cann_package", running)]


def test_staging_takes_the_same_and_installs_no_cann(tmp_path: Path) -> None:
    run = of_plan(tmp_path, planned(tmp_path), ("rollout", "stage"))
    cached = {"state": "cached", "depot_proxy": PROXY, **PLACES}
    assert [call for call in run.calls if call[0] != "node_change"] == [
        CALLS["python"],
        ("cann_package", {"package": "toolkit", **taken("toolkit", 7), **cached}),
        ("cann_package", {"package": "kernels", "chip": "910b", **taken("kernels", 8), **cached}),
        CALLS["environment"],
        CALLS["rights"],
    ]
    begin, end = (given for name, given in run.calls if name == "node_change")
    assert (begin["action"], begin["source"], begin["target"], begin["idle"]) == ("stage", "old", "new", False)
    assert (end["state"], end["result"]) == ("ended", "done")


def program(run: Run) -> dict[str, Any]:
    (given,) = run.given("copy")
    shipped = (ROOT / "roles" / "torch_npu" / "files" / "ascend-env").read_text()
    assert given.pop("content") == shipped.replace("/opt/ascend/env/current", "/e-root/env/current")
    return given


ASCEND_ENV = {"dest": "/usr/local/bin/ascend-env", "owner": "root", "group": "root", "mode": "0755"}


def test_ascend_env_is_written_for_the_fleets_places(tmp_path: Path) -> None:
    node = {**planned(tmp_path), "components": ["ascend-env"]}
    run = played(tmp_path, PLANNED + INCLUDED % ("rollout", "steps"), {"node": node}, "--check")
    assert [name for name, _ in run.calls] == ["copy"], run.output
    assert program(run) == ASCEND_ENV


# --- alone: no preflight, no rollout, no module_defaults of the play ----------------------------------------------


def alone(folder: Path, role: str, inputs: dict[str, Any], *words: str) -> Run:
    return played(folder, ALONE % role, inputs, *words)


def test_python_alone(tmp_path: Path) -> None:
    run = alone(tmp_path, "python", {"python_archive": file("python", 9)})
    assert run.calls == [("python_runtime", {**CALLS["python"][1], "deep": False})], run.output


def test_cann_alone(tmp_path: Path) -> None:
    packages = {"cann_toolkit": file("toolkit", 7), "cann_kernels": file("kernels", 8, chip="910b")}
    run = alone(tmp_path, "cann", {**packages, "cann_python_bin": "/p/9.0/bin"})
    expected = [{**CALLS[name][1], "repair": False, "deep": False} for name in ("toolkit", "kernels")]
    assert run.calls == [("cann_package", without(each, *LIES)) for each in expected], run.output


def test_the_kernels_alone_with_the_systems_python(tmp_path: Path) -> None:
    run = alone(tmp_path, "cann", {"cann_kernels": file("kernels", 8, chip="910b"), "ascend_deep": True})
    expected = without(CALLS["kernels"][1], "python_bin", *LIES)
    assert run.calls == [("cann_package", {**expected, "repair": False})], run.output


def test_system_alone(tmp_path: Path) -> None:
    inputs = {"system_distribution_packages": ["tar", "g++"], "system_kernel_settings": {"net.a": "1-2"}}
    run = alone(tmp_path, "system", {**inputs, "system_limits": {"nofile": 8192}})
    assert run.calls == [CALLS["packages"], CALLS["system"]], run.output


def test_torch_npu_alone(tmp_path: Path) -> None:
    """With the least that it needs: the rest has defaults, and the environment the name that a plan would give it."""
    (tmp_path / "lock.txt").write_text(LOCK)
    inputs = {"torch_npu_lock": str(tmp_path / "lock.txt"), "torch_npu_python": "/p/9.0/bin/python3"}
    inputs["torch_npu_wheelhouse"] = "http://depot/wheels/index.html"
    run = alone(tmp_path, "torch_npu", {**inputs, "torch_npu_uv": file("uv", 3)}, "--check")
    expected = {name: value for name, value in CALLS["environment"][1].items() if not name.startswith("source_")}
    expected |= {
        "lock_digest": "",
        "path": f"/e-root/env/8.0.RC1-{digest(LOCK)}",
        "cann_home": "/c-root/ascend-toolkit/8.0.RC1",
    }
    assert run.calls[0] == ("python_env", {**expected, "replace_python": False, "deep": False}), run.output
    assert program(run) == ASCEND_ENV


def test_torch_npu_alone_with_a_checkout(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text(LOCK)
    inputs = {"torch_npu_lock": str(tmp_path / "lock.txt"), "torch_npu_python": "/p/9.0/bin/python3"}
    inputs["torch_npu_wheelhouse"] = "http://depot/wheels/index.html"
    source = file("source", 4, sha256=hashlib.sha256(b"").hexdigest())
    more = {"torch_npu_uv": file("uv", 3), "torch_npu_source": source, "torch_npu_release": "9"}
    run = alone(tmp_path, "torch_npu", {**inputs, **more}, "--check")
    (given,) = run.given("python_env")
    assert given["path"] == f"/e-root/env/9-{digest(LOCK)}-e3b0c442"
    assert given["cann_home"] == "/c-root/ascend-toolkit/9"
    assert (given["source_url"], given["source_sha256"]) == (source["url"], source["sha256"])


def test_verify_alone_asks_the_node_for_its_cards(tmp_path: Path) -> None:
    run = alone(tmp_path, "verify", {"verify_versions": {"torch": "2.1.0"}})
    assert [name for name, _ in run.calls] == ["ascend_facts", "npu_check"], run.output
    assert run.calls[0][1] == {"gather_subset": ["npu"], "timeout_s": 100, **PLACES}
    assert run.calls[1] == proof("/e-root/env/current", "2.1.0")


def test_verify_alone_spares_what_is_busy(tmp_path: Path) -> None:
    facts = whole()
    job = {"pid": 7, "name": "python", "user": "ml", "command": "train", "container": None, "chips": [[0, 0, 1]]}
    facts["npu"] |= {"processes": [job], "process_count": 1}
    run = alone(tmp_path, "verify", {"verify_facts": facts, "verify_spares_busy": True, "verify_environment": "/e/1"})
    (given,) = run.given("npu_check")
    assert (given["environment"], given["devices"]) == ("/e/1", [1, 2, 4, 5, 6, 7])


@pytest.mark.parametrize("role", ["python", "cann", "system"])
def test_where_nothing_is_asked_for_nothing_is_done(tmp_path: Path, role: str) -> None:
    run = alone(tmp_path, role, {})
    assert (run.code, run.calls) == (0, []), run.output


@pytest.mark.parametrize(
    ("role", "inputs", "words"),
    [
        ("cann", {"cann_toolkit": file("toolkit", 7, sha265="x")}, "cann_toolkit.sha265"),
        ("cann", {"cann_kernels": file("kernels", 8)}, "required together: chip, version, url, sha256, size_bytes"),
        ("python", {"python_archive": {"version": "9.0"}}, "required together: version, url, sha256, size_bytes"),
        ("system", {"system_limits": {"nofile": "many"}}, "nofile"),
        ("torch_npu", {}, "torch_npu_lock, torch_npu_python, torch_npu_uv, torch_npu_wheelhouse"),
    ],
)
def test_a_wrong_input_is_refused_before_anything_is_done(
    tmp_path: Path, role: str, inputs: dict[str, Any], words: str
) -> None:
    run = alone(tmp_path, role, inputs)
    assert (run.code, run.calls) == (2, [])
    assert words in " ".join(run.output.split())


@pytest.mark.parametrize("core", OLDEST_FIRST)
def test_by_the_oldest_and_the_newest_ansible(core: str, tmp_path: Path, cache_dir: Path) -> None:
    """They differ in whose variables a role sees, and in what becomes of a dictionary in a template."""
    tools = ansible_core(core, cache_dir)
    plan, role = tmp_path / "plan", tmp_path / "role"
    for folder in (plan, role):
        folder.mkdir()
    run = played(plan, PLANNED + INCLUDED % ("rollout", "steps"), {"node": planned(plan)}, tools=tools)
    assert [name for name, _ in run.calls] == [name for each in CALLS for name, _ in calls_of(each)], run.output
    assert [given["sha256"] for _, given in run.calls if "sha256" in given] == [
        f"sum of {name}" for name in ("python", "toolkit", "kernels", "toolkit", "kernels")
    ]
    (role / "lock.txt").write_text(LOCK)
    inputs = {"torch_npu_lock": str(role / "lock.txt"), "torch_npu_python": "/p", "torch_npu_wheelhouse": "http://w"}
    run = played(role, ALONE % "torch_npu", {**inputs, "torch_npu_uv": file("uv", 3)}, "--check", tools=tools)
    (given,) = run.given("python_env")
    assert given["path"] == f"/e-root/env/8.0.RC1-{digest(LOCK)}"
    assert {name: given[name] for name in PLACES} == PLACES
    assert len(run.given("copy")) == 1


def test_the_examples_of_the_roles_are_plays() -> None:
    """They name inputs that there are, and all that a role requires."""
    for role in ("cann", "python", "system", "torch_npu", "verify"):
        text = (ROOT / "roles" / role / "README.md").read_text()
        (play,) = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
        spec = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())
        options = spec["argument_specs"]["main"]["options"]
        assert play["roles"] == [f"ascend.fleet.{role}"]
        given = {name: value for name, value in play["vars"].items() if name.startswith(f"{role}_")}
        fleet = yaml.safe_load((ROOT / "roles" / "ascend" / "defaults" / "main.yml").read_text())
        assert set(given) <= {*options, *fleet}, json.dumps(sorted(given))
        assert {name for name, option in options.items() if option.get("required")} <= set(given)
        for name, value in given.items():
            if isinstance(value, dict) and "options" in options.get(name, {}):
                assert set(value) <= set(options[name]["options"]), name
