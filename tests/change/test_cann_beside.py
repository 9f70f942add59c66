# SPDX-License-Identifier: Apache-2.0
"""A newer CANN that users put beside ours: ours is repaired, wherever that is ended, and ``latest`` stays theirs."""

from __future__ import annotations

import shlex
from pathlib import Path

import image
import pytest

from tests.change.faults import STOP
from tests.change.fleet import NEW, OLD, Fleet, sh

pytestmark = pytest.mark.faults

TOOLKITS = "/usr/local/Ascend/ascend-toolkit"
LOST = f"rm {TOOLKITS}/{OLD}/opp/content/part3.bin"
LOST_KERNELS = f"rm {TOOLKITS}/{OLD}/opp_kernel/content/part1.bin"
# What of `latest` leads where, and what its file of versions says.
LATEST = f"cd {TOOLKITS}/latest && find . -type l -printf '%p %l\\n' | sort && sort version.cfg"


@pytest.fixture(scope="module")
def node(base: Fleet) -> str:
    """A node of the older release, on which somebody has installed the newer toolkit with its own ``.run``."""
    (name,) = base.grow(1)
    (package,) = (base.cache / "standin" / "incoming").glob(f"Ascend-cann-toolkit_{NEW}_*.run")
    image.podman("cp", str(package), f"{name}:/var/tmp/newer.run")
    sh(name, "ls -d /opt/ascend/python/*/bin >/tmp/bin")
    sh(name, "PATH=$(head -n1 /tmp/bin):$PATH bash /var/tmp/newer.run --nox11 --install --quiet --install-for-all")
    sh(name, "rm /var/tmp/newer.run")
    assert f"runtime ../{NEW}/runtime" in sh(name, LATEST)
    return name


def repaired(base: Fleet, node: str, before: str) -> None:
    """The next run repairs what is left, and after it nothing is to do: for us nor for the users."""
    run = base.site("--limit", node, release=OLD)
    assert run.code == 0, run.output[-6000:]
    assert sh(node, LATEST) == before
    again = base.site("--limit", node, release=OLD)
    assert (again.code, again.recap[node]["changed"]) == (0, 0), again.output[-4000:]
    assert base.facts([node])[node]["cann"]["repairing"] is None


def test_it_is_a_remark_and_no_drift(base: Fleet, node: str, tmp_path: Path) -> None:
    run = base.playbook("playbooks/drift.yml", "--limit", node, "-e", f"drift_dir={tmp_path}", release=OLD)
    assert run.code == 0, run.output[-4000:]
    assert f"`latest` points to {NEW}" in run.output


@pytest.mark.parametrize(
    ("lost", "point"),
    [
        pytest.param(LOST, "", marks=pytest.mark.whole),
        pytest.param(LOST, "toolkit.installer-ended", marks=pytest.mark.whole),
        pytest.param(LOST, "toolkit.recorded", marks=pytest.mark.whole),
        (LOST, "latest.led-back"),
        pytest.param(LOST_KERNELS, "kernels.recorded", marks=pytest.mark.whole),
    ],
)
def test_ours_is_repaired_and_latest_leads_where_it_led(base: Fleet, node: str, lost: str, point: str) -> None:
    before = sh(node, LATEST)
    sh(node, lost)
    if point:
        sh(node, f"echo {shlex.quote(point)} kill >{STOP}")
        ended = base.site("--limit", node, release=OLD)
        assert (ended.code, "rc: 137" in ended.output) == (2, True), ended.output[-6000:]
    repaired(base, node, before)
