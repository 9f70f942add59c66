# SPDX-License-Identifier: Apache-2.0
"""Other people's readers on the node that test_main_job.py left converged: they say of it what our facts say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import image
import pytest

from tests.e2e.conftest import NODE, ROOT, Fleet
from tests.readers.reading import READERS, Readers, gpustack_runtime, installed, sourced

pytestmark = pytest.mark.e2e

SUBSETS = "gather_subset=npu,network,cann,python,system"
LATER, PLACE = "9.0.0", "/opt/later"
RECORD = "/etc/Ascend/ascend_cann_install.info"
# Another node than the usual one in every respect that a reader tells of; {job} is a process of it.
OTHER = (
    "chip_name=910B4 hbm_total_mb=32768 card_count=5 driver_version=25.2.0 health.1=Warning health.4=Critical"
    " process.2={job}:sleep:1200 net_address.3=10.20.77.4 net_gateway.3=10.20.77.254"
)


@pytest.fixture(scope="module")
def readers(fleet: Fleet, cache_dir: Path) -> Iterator[Readers]:
    run = fleet.site()
    assert run.code == 0, run.output
    in_node = Readers(NODE)
    in_node.put(installed(cache_dir))
    yield in_node
    in_node.remove()


@pytest.fixture(scope="module", params=["usual", "other"])
def facts(request: pytest.FixtureRequest, readers: Readers, fleet: Fleet, node: Any) -> Iterator[dict[str, Any]]:
    """The facts of a node, while it is as they say."""
    if request.param == "usual":
        yield fleet.facts(SUBSETS)
        return
    before = node.check_output("ascend-sim show")
    job = node.check_output("sleep 600 >/dev/null 2>&1 & echo $!")
    settings = OTHER.format(job=job)
    node.check_output(f"ascend-sim set {settings}")
    yield fleet.facts(SUBSETS)
    keys = " ".join(word.partition("=")[0] for word in settings.split())
    node.check_output(f"kill {job}; ascend-sim unset {keys}; ascend-sim set {' '.join(before.splitlines())}")
    assert node.check_output("ascend-sim show") == before


@pytest.mark.parametrize("name", READERS)
def test_it_says_what_our_facts_say(readers: Readers, facts: dict[str, Any], name: str) -> None:
    says, of = READERS[name]
    assert says(readers) == of(facts)


@pytest.mark.parametrize("name", READERS)
def test_by_the_guides_way_they_find_latest(readers: Readers, facts: dict[str, Any], name: str) -> None:
    says, of = READERS[name]
    session = {key: value for key, value in facts.items() if key != "environments"}
    assert says(readers.started(sourced("/usr/local/Ascend/ascend-toolkit/set_env.sh"))) == of(session)


def test_a_driver_that_does_not_answer_has_no_cards(readers: Readers, fleet: Fleet, node: Any) -> None:
    node.check_output("ascend-sim set 'npu_smi=fail:dcmi module initialize failed. ret is -8005'")
    try:
        assert gpustack_runtime(readers) == {}
        assert fleet.facts("gather_subset=npu")["npu"]["devices"] == []
    finally:
        node.check_output("ascend-sim unset npu_smi")


@pytest.fixture(scope="module")
def later(readers: Readers, node: Any, cache_dir: Path) -> Iterator[Readers]:
    """An administrator's CANN of the later layout, put into a place of its own by its own installers."""
    packages = cache_dir / "later"
    argv = [sys.executable, "sim/cann/build.py", "--output", str(packages), "--version", LATER, "--layout", "cann"]
    subprocess.run(argv, cwd=ROOT, check=True, timeout=120)
    image.podman("cp", str(packages), f"{NODE}:/tmp/later")
    node.check_output(f"mv {RECORD} {RECORD}.away")  # both layouts' installers insist on the place that it names
    for kind in ("toolkit", "ops"):
        options = f"--quiet --install --install-for-all --install-path={PLACE}"
        node.check_output(f"PATH=$(echo /opt/ascend/python/*/bin):$PATH bash /tmp/later/*-{kind}_{LATER}_* {options}")
    yield readers.started(sourced(f"{PLACE}/cann/set_env.sh"))
    node.check_output(f"rm -rf {PLACE} /tmp/later; mv {RECORD}.away {RECORD}")


@pytest.fixture(scope="module")
def facts_of_later(later: Readers, fleet: Fleet) -> dict[str, Any]:
    return fleet.facts(f"{SUBSETS.replace('python,', '')} cann_root={PLACE}")


@pytest.mark.parametrize("name", READERS)
def test_of_the_later_layout_they_say_so_too(later: Readers, facts_of_later: dict[str, Any], name: str) -> None:
    says, of = READERS[name]
    assert facts_of_later["cann"]["versions"][LATER]["layout"] == "cann"
    assert says(later) == of(facts_of_later)
