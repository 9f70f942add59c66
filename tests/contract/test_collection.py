# SPDX-License-Identifier: Apache-2.0
"""The tree as the collection ascend.fleet: its archive, installed where there is no checkout, and ansible-test."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import ansible_test
import pytest
import yaml
from ansible.release import __version__ as ansible_version

from tests.contract.tree import ROOT, modules

pytestmark = pytest.mark.slow

TOP = Path("ansible_collections", "ascend", "fleet")
BIN = Path(sys.executable).parent
# What the tests of ansible-test need stands in environments that it makes itself, some seconds each; these are all.
SKIPPED = {
    "import": "imports with Python alone, and packaging (which ansible-core itself needs) is not there",
    "pep8": "ruff formats the code",
    "yamllint": "tests/contract/test_style.py runs it",
    "pylint": "its rules contradict ours (no name _); ruff and mypy --strict are held",
}


def started(argv: list[str | Path], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the virtual environment in a folder outside the checkout, without the checkout's ansible.cfg."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return subprocess.run(
        [BIN / str(argv[0]), *argv[1:]],
        cwd=folder,
        env={**inherited, "ANSIBLE_NOCOLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    done = started(["ansible-galaxy", "collection", "build", "--output-path", folder], ROOT)
    assert done.returncode == 0, done.stdout
    (file,) = folder.glob("ascend-fleet-*.tar.gz")
    return file


@pytest.fixture(scope="module")
def installed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of ANSIBLE_COLLECTIONS_PATH."""
    folder = tmp_path_factory.mktemp("installed")
    done = started(["ansible-galaxy", "collection", "install", archive, "-p", folder], folder)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder but for an inventory of this machine and one that is not there."""
    local = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
    gone = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    variables = {"ascend_depot_dir": str(tmp_path / "no-depot"), "ascend_tmp_dir": f"{tmp_path}/tmp/"}
    inventory = {"ascend": {"hosts": {"here": local, "gone": gone}, "vars": variables}}
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "hosts.json").write_text(json.dumps(inventory))
    return folder


def played(installed: Path, place: Path, playbook: str, *words: str) -> subprocess.CompletedProcess[str]:
    argv: list[str | Path] = ["ansible-playbook", f"ascend.fleet.{playbook}", "-i", "hosts.json", *words]
    return started(argv, place, ANSIBLE_COLLECTIONS_PATH=str(installed))


def test_the_archive_holds_the_product_alone(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        members = {member.name: member for member in tar}
    tops = {PurePosixPath(name).parts[0] for name in members}
    assert tops == {
        *(
            "AGENTS.md",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "FILES.json",
            "LICENSE",
            "MANIFEST.json",
            "README.md",
            "README.zh-CN.md",
        ),
        *("docs", "inventory", "library", "meta", "module_utils", "playbooks", "plugins", "releases", "roles"),
    }
    assert {name for name in members if re.search(r"__pycache__|\.pyc$|/\.[^/]*$", name)} == set()
    links = {name: member.linkname for name, member in members.items() if member.issym()}
    assert links == {"plugins/modules": "../library", "plugins/module_utils": "../module_utils"}
    assert {f"library/{module.name}" for module in modules()} <= set(members)


def test_the_version_is_the_project_s() -> None:
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"] == version[1]


def test_the_action_group_holds_the_modules_that_know_the_places() -> None:
    group = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]["node"]
    assert group == [module.stem for module in modules() if "    **SPEC,\n" in module.read_text()]


def test_every_playbook_is_read_where_there_is_no_checkout(installed: Path, place: Path) -> None:
    playbooks = sorted(f"ascend.fleet.{path.stem}" for path in ROOT.glob("playbooks/*.yml"))
    argv: list[str | Path] = ["ansible-playbook", *playbooks, "-i", "hosts.json", "--syntax-check"]
    done = started(argv, place, ANSIBLE_COLLECTIONS_PATH=str(installed))
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("playbook: ") == len(playbooks), done.stdout


def test_a_drift_check_where_there_is_no_checkout(installed: Path, place: Path) -> None:
    def files() -> Iterator[str]:
        return (str(path) for path in installed.rglob("*"))

    before = sorted(files())
    done = played(installed, place, "drift")
    assert done.returncode == 2, done.stdout
    report = json.loads((place / "reports" / "latest" / "fleet.json").read_text())
    assert {node["name"]: node["state"] for node in report["nodes"]} == {"here": "drifted", "gone": "unchecked"}
    (here,) = (node for node in report["nodes"] if node["name"] == "here")
    assert "eula" in {finding["name"] for finding in here["findings"]}, "the plan was made, with its release"
    assert sorted(files()) == before
    assert sorted(path.name for path in place.iterdir()) == ["hosts.json", "reports"]


def test_the_plan_and_its_depot_where_there_is_no_checkout(installed: Path, place: Path) -> None:
    done = played(installed, place, "site", "--check", "--limit", "here,localhost")
    assert "Add every wheel of the lock for 8.0.RC1 on" in done.stdout, done.stdout
    assert "next:   read the licence" in done.stdout, done.stdout
    assert done.returncode == 2


def test_the_inventorys_places_reach_the_modules(installed: Path, place: Path) -> None:
    """They stand in no task: the plays hand them to the modules' action group."""
    dead = f"ascend-fleet-{1 << 22}-abcdefgh"  # Linux gives no process this number
    (place.parent / "tmp" / dead).mkdir(parents=True)
    done = played(installed, place, "remove", "--check", "--limit", "here")
    assert re.search(rf"remove +leftover +{dead} ", done.stdout), done.stdout
    done = played(installed, place, "remove", "--check", "--limit", "here", "-e", "ascend_root=/opt")
    assert "ascend_root is not a usable path for a node" in done.stdout, done.stdout
    assert done.returncode == 2


@pytest.fixture(scope="module")
def sane(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed collection with folders for its links: ansible-test follows none, and would test no module."""
    top = tmp_path_factory.mktemp("sanity") / TOP
    shutil.copytree(installed / TOP, top)
    for folder in ("library", "module_utils"):
        shutil.rmtree(top / folder)
    (top / "tests" / "sanity").mkdir(parents=True)
    version = ".".join(ansible_version.split(".")[:2])
    shutil.copy(ROOT / "tests" / "sanity" / "ignore.txt", top / "tests" / "sanity" / f"ignore-{version}.txt")
    return top


def sanity(top: Path, cache_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ansible-test sanity. Its environments are kept in the cache; their pip is Python's own."""
    home = cache_dir / "ansible-test"
    known = home / ".ansible" / "test" / "cache"
    known.mkdir(parents=True, exist_ok=True)
    code = (Path(ansible_test.__file__).parent / "_internal" / "python_requirements.py").read_text()
    (pip,) = re.findall(r"\bpip='([0-9.]+)'", code)
    (known / f"get_pip_{pip.replace('.', '_')}.py").write_text("import ensurepip\n\nensurepip.bootstrap()\n")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return started(["ansible-test", "sanity", "--python", python, *words], top, HOME=str(home))


@pytest.mark.lint
def test_ansible_test_sanity(sane: Path, cache_dir: Path) -> None:
    done = sanity(sane, cache_dir, *(word for name in SKIPPED for word in ("--skip-test", name)))
    assert done.returncode == 0, done.stdout


@pytest.mark.lint
def test_ansible_test_sees_a_wrong_default(sane: Path, cache_dir: Path) -> None:
    """It really compares the fragment and the modules' spec."""
    fragment = sane / "plugins" / "doc_fragments" / "places.py"
    text = fragment.read_text()
    fragment.write_text(text.replace("default: /opt/ascend\n", "default: /opt/elsewhere\n"))
    try:
        done = sanity(sane, cache_dir, "--test", "validate-modules", "plugins/modules/ascend_facts.py")
    finally:
        fragment.write_text(text)
    assert "ascend_facts.py" in done.stdout
    assert "doc-default-does-not-match-spec" in done.stdout, done.stdout
