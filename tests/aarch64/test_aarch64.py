# SPDX-License-Identifier: Apache-2.0
"""An aarch64 node from bare to verified, emulated: its own Python, real wheels. The tests run in this order."""

from __future__ import annotations

import pytest

from tests.aarch64.conftest import CARDS, RELEASE, Fleet
from tests.playbook_run import Run

pytestmark = pytest.mark.aarch64

# The node's own Python is nothing to install.
ALL_STEPS = ["system", "toolkit", "kernels", "environment", "ascend-env", "current"]
TOOLKIT = f"/usr/local/Ascend/beside/cann-{RELEASE}"
LIBRARY = "03 00 b7 00"  # e_type and e_machine of an ELF file: a shared library for aarch64


def test_the_node_is_what_it_is_called(fleet: Fleet) -> None:
    assert fleet.run("uname -m").strip() == "aarch64"


def test_a_node_whose_python_lacks_pip_is_refused_and_left_alone(fleet: Fleet) -> None:
    fleet.run("mv /usr/bin/pip3 /usr/bin/pip3.away")
    run = fleet.playbook("site.yml")
    fleet.run("mv /usr/bin/pip3.away /usr/bin/pip3")
    assert run.code != 0
    assert "CANN's installer would not find the pip3 of Python 3.11" in run.output
    assert run.changed == 0


@pytest.fixture(scope="module")
def converged(fleet: Fleet) -> Run:
    """The first real run."""
    run = fleet.playbook("site.yml")
    assert run.code == 0, run.output
    return run


def test_the_first_run_does_every_step(converged: Run) -> None:
    assert converged.steps == ALL_STEPS


@pytest.mark.usefixtures("converged")
def test_the_environment_is_made_with_the_nodes_own_python(fleet: Fleet) -> None:
    assert fleet.run("readlink -f /opt/ascend/env/current/bin/python").strip() == "/usr/bin/python3.11"
    assert fleet.run("ls -A /opt/ascend").split() == ["env"]


@pytest.mark.usefixtures("converged")
def test_what_was_installed_is_of_the_architecture(fleet: Fleet) -> None:
    torch = "/opt/ascend/env/current/lib/python3.11/site-packages/torch/lib/libtorch_cpu.so"
    for path in (f"{TOOLKIT}/aarch64-linux/lib64/libascendcl.so", torch):
        assert fleet.run(f"od -An -tx1 -j16 -N4 {path}").strip() == LIBRARY, path


@pytest.mark.usefixtures("converged")
def test_every_card_answers(fleet: Fleet) -> None:
    run = fleet.playbook("playbooks/verify.yml")
    assert run.code == 0, run.output
    for card in range(CARDS):
        assert f"npu:{card}        torch.npu.is_available() True: Ascend910B3, 65536 MB" in run.output


@pytest.mark.usefixtures("converged")
def test_users_run_the_real_thing(fleet: Fleet) -> None:
    said = fleet.run("env -i /usr/local/bin/ascend-env llamafactory-cli env")
    for words in ("`llamafactory` version: 0.9.5", "aarch64", "Python version: 3.11", "2.7.1", "NPU type: Ascend910B3"):
        assert words in said


@pytest.mark.usefixtures("converged")
def test_the_second_run_changes_nothing(fleet: Fleet) -> None:
    run = fleet.playbook("site.yml")
    assert run.code == 0, run.output
    assert (run.changed, run.steps) == (0, [])
