# SPDX-License-Identifier: Apache-2.0
"""Nodes unlike Debian 12: other releases of Debian with another Python and C library, and a hardened one.

The wheels are small stand-ins. Debian 11 takes its own Python 3.9, because the depot's CPython was built for a newer C
library here; so its release names that series. Its user needs no password for sudo, that of the hardened node does.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.change.fleet import OLD, Fleet, sh
from tests.playbook_run import Run
from tests.systems import apt_source

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
OLDEST, NEWEST, STRICT = "ascend-systems-1", "ascend-systems-2", "ascend-systems-3"
NODES = (OLDEST, NEWEST, STRICT)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Fleet]:
    """Three bare nodes of three systems."""
    state = tmp_path_factory.mktemp("systems") / "state"
    fleet = Fleet("ascend-systems", state, cache_dir / "systems")
    fleet.command("down")
    fleet.packages()
    fleet.command("up", "--nodes", "1", "--depot", str(fleet.cache / "depot"), "--system", "debian11")
    fleet.command("up", "--nodes", "2", "--system", "debian13")
    fleet.command("up", "--nodes", "3", "--profile", "hardened")
    own = {"ascend_python": "system", "ascend_releases_dir": str(of_python_3_9(state / "releases"))}
    fleet.hosts[OLDEST] = {**own, "ansible_user": "fleet"}
    for node in (OLDEST, STRICT):  # whose accounts have no rights of root
        fleet.hosts.setdefault(node, {})["ascend_depot_url"] = ""  # so the files come through SSH
    yield fleet
    fleet.command("down")


def of_python_3_9(folder: Path) -> Path:
    """Copy the releases; the older one is for Python 3.9 there, for which there are wheels of its torch-npu, too."""
    shutil.copytree(ROOT / "releases", folder)
    file = folder / OLD / "release.yml"
    text = file.read_text(encoding="utf-8")
    assert 'series: "3.10"' in text
    file.write_text(text.replace('series: "3.10"', 'series: "3.9"'), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def provisioned(fleet: Fleet) -> Run:
    """The first run. The inventory of a hardened node names another place than /var/tmp to unpack in."""
    return fleet.site(release=OLD)


def test_a_place_that_runs_no_programs_is_refused_before_anything_is_changed(fleet: Fleet) -> None:
    before = sh(STRICT, "find /opt /usr/local /var/lib /var/cache /var/tmp /etc -printf '%p %m %s %T@\n'")
    run = fleet.site("--limit", STRICT, "-e", "ascend_tmp_dir=/var/tmp", release=OLD)
    assert run.code == 2, run.output[-4000:]
    told = run.told(STRICT)
    assert "/var/tmp" in told, told
    assert "noexec" in told, told
    assert "ascend_tmp_dir" in told, told
    assert sh(STRICT, "find /opt /usr/local /var/lib /var/cache /var/tmp /etc -printf '%p %m %s %T@\n'") == before


@pytest.mark.parametrize("node", NODES)
def test_the_main_job_ends_well(provisioned: Run, node: str) -> None:
    numbers = provisioned.recap[node]
    assert numbers["failed"] == numbers["unreachable"] == 0, provisioned.told(node) or provisioned.output[-4000:]
    assert numbers["changed"] > 0


def test_a_second_run_changes_nothing(fleet: Fleet, provisioned: Run) -> None:
    assert provisioned.code == 0, provisioned.output[-4000:]
    run = fleet.site(release=OLD)
    assert run.code == 0, run.output[-4000:]
    assert {node: run.recap[node]["changed"] for node in NODES} == dict.fromkeys(NODES, 0)


def test_the_drift_check_is_clean(fleet: Fleet, provisioned: Run, tmp_path: Path) -> None:
    run = fleet.playbook("playbooks/drift.yml", "-e", f"drift_dir={tmp_path}", release=OLD)
    assert run.code == 0, run.output[-4000:]


def test_every_card_is_proven(fleet: Fleet, provisioned: Run) -> None:
    run = fleet.playbook("playbooks/verify.yml", release=OLD)
    assert run.code == 0, run.output[-4000:]
    words = " ".join(run.output.split())  # lines are folded
    assert words.count("torch.npu.is_available() True") == 8 * len(NODES), run.output[-4000:]


def test_packages_come_from_the_distributions_sources(fleet: Fleet, provisioned: Run, tmp_path: Path) -> None:
    """Asked for by one variable: what trainings need, as well. Real apt, through the sudo of a hardened node."""
    assert provisioned.recap[STRICT]["failed"] == 0
    install = ("--limit", STRICT, "-e", "ascend_system_packages=install")
    apt_source.give(STRICT, tmp_path / "another", ["tar-of-the-site"])
    run = fleet.site(*install, release=OLD)
    assert run.code == 2, run.output[-4000:]
    assert "No package matching 'g++' is available" in run.told(STRICT), run.output[-4000:]
    apt_source.give(STRICT, tmp_path / "packages")
    run = fleet.site(*install, release=OLD)
    assert run.code == 0, run.output[-4000:]
    assert "libaio" in sh(STRICT, "dpkg-query --show --showformat '${Package}\n' | grep -x -e g++ -e libaio-dev")
    assert sh(STRICT, "dpkg-query --show tar-of-the-site", check=False) == ""
    run = fleet.site(*install, release=OLD)
    assert (run.code, run.recap[STRICT]["changed"]) == (0, 0), run.output[-4000:]
    assert "libaio" not in run.output


@pytest.mark.parametrize("node", NODES)
def test_somebody_who_is_not_root_can_use_it_with_a_bare_path(provisioned: Run, node: str) -> None:
    """As cron and sudo start programs: their PATH has no /usr/local/bin. The device files are those of a group."""
    assert provisioned.recap[node]["failed"] == 0
    work = "import torch, torch_npu; print(torch.npu.is_available())"
    argv = f'env -i PATH=/usr/bin:/bin HOME=/tmp /usr/local/bin/ascend-env python -c "{work}"'
    assert sh(node, f"setpriv --reuid=HwHiAiUser --regid=HwHiAiUser --init-groups {argv}").split()[-1:] == ["True"]
