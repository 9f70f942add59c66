# SPDX-License-Identifier: Apache-2.0
"""Modules: documentation and argument spec say the same, and ansible-test and ansible-doc accept them."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import ansible_test
import pytest
import yaml

from tests.contract.tree import ROOT, documentation, modules, passes, run

MODULES = modules()
NAMES = [path.stem for path in MODULES]
COLLECTION = Path("ansible_collections", "ascend", "fleet")
PACKAGE = ".".join(COLLECTION.parts)
GALAXY = """\
namespace: ascend
name: fleet
version: 0.1.0
readme: README.md
authors: []
"""
# ansible-test speaks for Ansible's own repository, which is under the GPL; this project is under Apache-2.0.
OTHER_LICENCE = "missing-gplv3-license"


def test_there_are_modules() -> None:
    assert {"ascend_facts", "cann_package", "python_env", "npu_check"} <= set(NAMES)


def validate(collection: Path, files: list[str]) -> dict[str, list[str]]:
    """Run ansible-test's validate-modules over a collection; returns what it found, by file.

    The validator is started the way `ansible-test sanity --test validate-modules` starts it. ansible-test itself would
    first download a pip of its own from a place that an air-gapped site does not reach.
    """
    validator = Path(ansible_test.__file__).parent / "_util/controller/sanity/validate-modules/validate.py"
    root = collection.parents[len(COLLECTION.parts) - 1]
    done = run(
        [sys.executable, validator, "--format", "json", "--arg-spec", "--collection", COLLECTION, *files],
        cwd=collection,
        env={"ANSIBLE_COLLECTIONS_PATH": str(root), "ANSIBLE_CONFIG": str(root / "ansible.cfg")},
    )
    assert done.returncode in (0, 3), done.stdout
    report: dict[str, dict[str, list[dict[str, str]]]] = json.loads(done.stdout[done.stdout.index("{") :])
    return {
        file: [f"{error['code']}: {error['msg']}" for error in said["errors"] if error["code"] != OTHER_LICENCE]
        for file, said in report.items()
    }


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The modules as a collection, the only form that ansible-test accepts."""
    target = tmp_path_factory.mktemp("collection") / COLLECTION
    (target / "meta").mkdir(parents=True)
    (target.parents[len(COLLECTION.parts) - 1] / "ansible.cfg").touch()
    (target / "meta" / "runtime.yml").write_text('requires_ansible: ">=2.17.0"\n')
    (target / "galaxy.yml").write_text(GALAXY)
    without_bytecode = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "module_utils", target / "plugins" / "module_utils", ignore=without_bytecode)
    (target / "plugins" / "modules").mkdir()
    for module in MODULES:
        shutil.copy(module, target / "plugins" / "modules")
    for file in target.rglob("*.py"):
        moved_imports = re.sub(r"\bansible\.(module_utils\.ascend)", rf"{PACKAGE}.plugins.\1", file.read_text())
        file.write_text(moved_imports)
    return target


@pytest.fixture(scope="module")
def findings(collection: Path) -> dict[str, list[str]]:
    files = [f"plugins/modules/{module.name}" for module in MODULES]
    return validate(collection, files)


@pytest.mark.parametrize("name", NAMES)
def test_validate_modules(name: str, findings: dict[str, list[str]]) -> None:
    assert findings[f"plugins/modules/{name}.py"] == []


def test_validate_modules_sees_a_wrong_default(collection: Path) -> None:
    """The validator really compares documentation and spec of this tree's modules."""
    folder = collection / "plugins" / "modules"
    text = (folder / "ascend_facts.py").read_text()
    bent = text.replace("module: ascend_facts", "module: bent_facts").replace(": /opt/ascend\n", ": /opt/elsewhere\n")
    (folder / "bent_facts.py").write_text(bent)
    said = validate(collection, ["plugins/modules/bent_facts.py"])["plugins/modules/bent_facts.py"]
    assert any(finding.startswith("doc-default-does-not-match-spec") for finding in said), said


@pytest.mark.parametrize("name", NAMES)
def test_ansible_doc(name: str) -> None:
    shown = json.loads(passes(["ansible-doc", "--json", "-t", "module", "-M", ROOT / "library", name]))
    entry = shown[name]
    assert entry["doc"]["short_description"]
    assert yaml.safe_load(entry["examples"]), "EXAMPLES must be YAML that shows a task"
    assert entry["return"], "RETURN says what comes back"
    assert {"check_mode", "diff_mode"} <= set(entry["doc"].get("attributes", {})), "say what check and diff mode do"


def kept(option: dict[str, Any]) -> dict[str, Any]:
    """What documentation and spec must both say of an option."""
    kind = option.get("type", "str")
    keys = {
        "type": kind,
        "elements": option.get("elements"),
        "default": option.get("default"),
        "choices": sorted(option["choices"]) if option.get("choices") else None,
        "required": bool(option.get("required", False)),
        "aliases": sorted(option.get("aliases", [])),
    }
    if nested := option.get("suboptions") or option.get("options"):
        keys["options"] = {name: kept(value) for name, value in nested.items()}
    return keys


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_documentation_equals_spec(module: Path) -> None:
    spec: dict[str, dict[str, Any]] = importlib.import_module(
        "ansible_collections.ascend.fleet.plugins.modules." + module.stem
    ).ARGUMENT_SPEC
    documented: dict[str, dict[str, Any]] = documentation(module)["options"]
    said = {name: kept(option) for name, option in documented.items()}
    assert said == {name: kept(option) for name, option in spec.items()}


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_documentation_names_the_module(module: Path) -> None:
    assert documentation(module)["module"] == module.stem
