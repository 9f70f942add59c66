# SPDX-License-Identifier: Apache-2.0
"""From CANN 8.0.RC1 to 9.0.0, whose layout is another: beside it, and in its place; killed on the way; and back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.change.fleet import LATER, NEW, OLD, Fleet, leftovers, outside, sh

pytestmark = pytest.mark.faults

ROOT = "/usr/local/Ascend"
BESIDE = f"{ROOT}/beside/cann-{LATER}"
RECORD = f"Toolkit_InstallPath={ROOT}\n"
ALL_AT_ONCE = ("-e", "rollout_batches=100%", "-e", "rollout_max_fail_percentage=100")
# How each node crosses, and the point at which its module is killed (change/fault_points.py).
KILLED = [
    ("beside", "record.named"),
    ("beside", "toolkit.installer-ended"),
    ("beside", "kernels.installer-ended"),
    ("replace", "remove.uninstalled"),
]
MORE = [
    ("replace", "toolkit.ready"),
    *(("beside", point) for point in ("record.kept", "record.settled", "toolkit.recorded", "kernels.ready")),
    *(("replace", point) for point in ("toolkit.installer-ended", "kernels.recorded", "current.prepared")),
]


@pytest.fixture(scope="module")
def nodes(base: Fleet, request: pytest.FixtureRequest) -> list[str]:
    base.hosts.clear()
    if request.config.getoption("--whole"):
        KILLED.extend(MORE)
    run = base.playbook("playbooks/depot.yml", release=LATER)
    assert run.code == 0, run.output[-4000:]
    nodes = base.grow(len(KILLED))
    # From 8.2 on some installers write another path into the record, where older ones stop.
    sh(nodes[2], "ascend-sim set record=overwrite")
    return nodes


@pytest.fixture(scope="module")
def before(base: Fleet, nodes: list[str]) -> dict[str, Any]:
    """What each node had before it crossed: its older CANN to the last byte, and all that is nobody's business."""
    return {node: (older(node), outside(node)) for node in nodes}


def older(node: str) -> str:
    """Every file of the older layout, and where its links lead."""
    return sh(node, f"find {ROOT}/ascend-toolkit -printf '%p %y %m %s %T@ (%l)\\n' | sort")


def record(node: str) -> str:
    return sh(node, "cat /etc/Ascend/ascend_cann_install.info")


def cann_of(fleet: Fleet, node: str) -> dict[str, str]:
    """The versions of a node that are whole, and where they lie."""
    versions = fleet.facts([node])[node]["cann"]["versions"]
    return {
        name: each["path"]
        for name, each in versions.items()
        if (each["toolkit"]["state"], each["kernels"]["910b"]["state"]) == ("complete", "complete")
    }


def current(node: str) -> str:
    return sh(node, "readlink /opt/ascend/env/current", check=False).partition("-")[0].strip()


def test_killed_on_the_way_and_run_again(base: Fleet, nodes: list[str], before: dict[str, Any]) -> None:
    for node, (policy, point) in zip(nodes, KILLED, strict=True):
        base.hosts[node] = {"cann_cross": policy}
        sh(node, f"echo {point} kill >/var/lib/ascend-fleet/stop-at")
    run = base.site("--limit", ",".join(nodes), *ALL_AT_ONCE, release=LATER)
    assert run.code == 2, run.output[-4000:]
    assert f"toolkit {LATER} is absent; it is installed beside {OLD}, in {BESIDE}" in run.output
    assert f"CANN {LATER} replaces {OLD} (cann_cross: replace); a rollback to it has to install it again" in run.output
    # Beside it the older one stays current; what is replaced is taken away before.
    # (The link is taken away last, once it is written down as the way back.)
    stays = [policy == "beside" or point == "current.prepared" for policy, point in KILLED]
    assert [current(node) for node in nodes] == [OLD if each else "" for each in stays]
    assert [older(node) == before[node][0] for node in nodes[:3]] == [True] * 3
    run = base.site("--limit", ",".join(nodes), *ALL_AT_ONCE, release=LATER)
    assert run.code == 0, run.output[-8000:]
    apart, replaced = {OLD: f"{ROOT}/ascend-toolkit/{OLD}", LATER: BESIDE}, {LATER: f"{ROOT}/cann-{LATER}"}
    for node, (policy, point) in zip(nodes, KILLED, strict=True):
        assert (point, cann_of(base, node)) == (point, apart if policy == "beside" else replaced)
        assert (point, current(node), record(node), leftovers(node)) == (point, LATER, RECORD, [])
        assert not (set(outside(node)) - set(before[node][1])), point
        if policy == "beside":
            assert older(node) == before[node][0]


def test_back_and_forward_without_an_installation(base: Fleet, nodes: list[str], before: dict[str, Any]) -> None:
    node = nodes[0]
    newer = sh(node, f"find {ROOT}/beside -printf '%p %y %m %s %T@ (%l)\\n' | sort")
    for release in (OLD, LATER):
        run = base.playbook("playbooks/rollback.yml", "--limit", node, "-e", f"rollback_to={release}", release=release)
        assert run.code == 0, run.output[-4000:]
        assert current(node) == release
        drift = base.playbook("playbooks/drift.yml", "--limit", node, release=release)
        assert drift.code == 0, drift.output[-4000:]
    assert older(node) == before[node][0]
    assert sh(node, f"find {ROOT}/beside -printf '%p %y %m %s %T@ (%l)\\n' | sort") == newer


@pytest.mark.whole  # the record: tests/unit/cann/test_install_record.py; a repair beside another: test_cann_beside.py
def test_each_is_repaired_where_it_lies(base: Fleet, nodes: list[str], before: dict[str, Any]) -> None:
    node = nodes[1]
    lost = f"{BESIDE}/share/info/runtime/content/part1.bin"
    sh(node, f"rm {lost}")
    run = base.site("--limit", node, release=LATER)
    assert run.code == 0, run.output[-4000:]
    assert (older(node), record(node)) == (before[node][0], RECORD)
    sh(node, f"rm {ROOT}/ascend-toolkit/{OLD}/runtime/content/part1.bin; touch /tmp/then")
    run = base.site("--limit", node, "-e", "cann_allow_downgrade=true", release=OLD)
    assert run.code == 0, run.output[-4000:]
    assert (current(node), record(node)) == (OLD, RECORD)
    assert sh(node, f"find {ROOT}/beside -newer /tmp/then") == ""
    assert set(cann_of(base, node)) == {OLD, LATER}


@pytest.mark.whole
def test_what_stays_keeps_its_record_and_its_links(base: Fleet, nodes: list[str]) -> None:
    """The older one is removed from one node, the later one from another."""
    first, second = nodes[0], nodes[2]
    run = base.playbook("playbooks/remove.yml", "--limit", first, "-e", f"remove_release={OLD}", release=LATER)
    assert run.code == 0, run.output[-4000:]
    assert (set(cann_of(base, first)), record(first)) == ({LATER}, f"Toolkit_InstallPath={ROOT}/beside\n")
    back = base.playbook("playbooks/rollback.yml", "--limit", second, release=OLD)
    assert back.code == 0, back.output[-4000:]
    run = base.playbook("playbooks/remove.yml", "--limit", second, "-e", f"remove_release={LATER}", release=OLD)
    assert run.code == 0, run.output[-4000:]
    assert (set(cann_of(base, second)), record(second)) == ({OLD}, RECORD)
    assert sh(second, f"ls {ROOT}") == "ascend-toolkit\ndriver\nfirmware\n"
    for node, release in ((first, LATER), (second, OLD)):
        drift = base.playbook("playbooks/drift.yml", "--limit", node, release=release)
        assert drift.code == 0, drift.output[-4000:]


@pytest.mark.whole
def test_the_older_one_is_installed_again_where_the_later_one_stayed(base: Fleet, nodes: list[str]) -> None:
    node = nodes[0]
    run = base.site("--limit", node, "-e", "cann_allow_downgrade=true", release=OLD)
    assert run.code == 0, run.output[-4000:]
    assert (current(node), set(cann_of(base, node))) == (OLD, {OLD, LATER})
    assert record(node) == f"Toolkit_InstallPath={ROOT}/beside\n"
    pruned = base.playbook("playbooks/remove.yml", "--limit", node, "-e", "ascend_keep=0", release=OLD)
    assert pruned.code == 0, pruned.output[-4000:]
    assert (set(cann_of(base, node)), record(node)) == ({OLD}, RECORD)


@pytest.mark.whole
def test_back_from_what_replaced_it_is_an_installation(base: Fleet, nodes: list[str]) -> None:
    node = nodes[3]
    refused = base.playbook("playbooks/rollback.yml", "--limit", node, release=OLD)
    assert refused.code == 2, refused.output[-4000:]
    again = f"-e ascend_release={OLD} -e cann_allow_downgrade=true -e cann_cross=replace"
    assert f"site.yml {again}  # installs it again" in refused.output
    assert current(node) == LATER
    run = base.site("--limit", node, *again.split(), release=OLD)
    assert run.code == 0, run.output[-8000:]
    assert (current(node), record(node)) == (OLD, RECORD)
    assert cann_of(base, node) == {OLD: f"{ROOT}/ascend-toolkit/{OLD}"}
    # The newer of the older layout as ever: beside it, in the same folder.
    run = base.site("--limit", node, release=NEW)
    assert run.code == 0, run.output[-4000:]
    assert set(cann_of(base, node)) == {OLD, NEW}
