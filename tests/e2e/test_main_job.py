# SPDX-License-Identifier: Apache-2.0
"""The main job with the real wheels: look, do, do again, damage and repair. The tests run in this order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import paramiko
import pytest

from tests.e2e import learning
from tests.e2e.conftest import Fleet, connect, files
from tests.e2e.learning import NO_CARD, losses, train
from tests.playbook_run import Run

pytestmark = pytest.mark.e2e

TOOLKIT = "/usr/local/Ascend/ascend-toolkit/8.0.RC1"
SITE_PACKAGES = "/opt/ascend/env/current/lib/python3.10/site-packages"
ALL_STEPS = ["system", "python", "toolkit", "kernels", "environment", "ascend-env", "current"]
ENVIRONMENT = "Build the locked environment"
TOOLKIT_TASK = "Install the CANN toolkit 8.0.RC1"
KERNELS_TASK = "Install the CANN kernels for 910b"


def test_an_unknown_host_key_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    nobody = tmp_path / "known_hosts"
    nobody.touch()
    with pytest.raises(paramiko.SSHException, match="not found in known_hosts"):
        connect(fleet, nobody)


def test_check_of_an_untouched_node_lists_the_steps_and_changes_nothing(fleet: Fleet, node: Any) -> None:
    # The depot lies on the control node and is filled first: check mode would plan without it.
    assert fleet.playbook("playbooks/depot.yml").code == 0
    before = files(node)
    run = fleet.site("--check", "--diff")
    assert run.code == 0, run.output
    assert run.steps == ALL_STEPS
    assert run.changed == len(ALL_STEPS)
    assert files(node) == before


def test_check_with_an_empty_depot_lists_the_same_steps(fleet: Fleet, tmp_path: Path) -> None:
    run = fleet.site("--check", "--diff", "-e", f"ascend_depot_dir={tmp_path / 'depot'}")
    assert run.code == 0, run.output
    assert run.steps == ALL_STEPS
    assert not (tmp_path / "depot").exists()


@pytest.fixture(scope="module")
def converged(fleet: Fleet) -> Run:
    """The first real run."""
    run = fleet.site()
    assert run.code == 0, run.output
    return run


def test_the_first_run_does_every_step(converged: Run) -> None:
    assert converged.steps == ALL_STEPS
    assert converged.changed == len(ALL_STEPS)


@pytest.mark.usefixtures("converged")
def test_the_second_run_changes_nothing(fleet: Fleet, node: Any) -> None:
    before = files(node)
    run = fleet.site()
    assert run.code == 0, run.output
    assert (run.changed, run.steps) == (0, [])
    assert files(node) == before


@pytest.mark.usefixtures("converged")
def test_check_of_a_converged_node_lists_nothing(fleet: Fleet) -> None:
    run = fleet.site("--check", "--diff")
    assert run.code == 0, run.output
    assert (run.changed, run.steps) == (0, [])


@pytest.fixture(scope="module")
def alice(converged: Run, node: Any) -> str:
    assert converged.code == 0
    return learning.alice(node)


def test_the_guides_last_command_starts(alice: str, node: Any) -> None:
    """On the cards 0 and 1, to the letter but for the model. The stub libraries compute nothing of worth."""
    script = "ASCEND_RT_VISIBLE_DEVICES=0,1 ascend-env llamafactory-cli train examples/tiny/tiny_lora_sft.yaml"
    done = node.run("runuser -l %s -c %s", alice, f"{script} >log 2>&1; cat log; rm --recursive saves")
    assert "Initializing distributed tasks" in done.stdout
    assert done.stdout.count("Setting ds_accelerator to npu") == 3, "the command and a rank a card"
    assert "***** train metrics *****" in done.stdout


def test_training_learns_and_goes_on_where_it_was(fleet: Fleet, tmp_path: Path, alice: str, node: Any) -> None:
    """The real LLaMA-Factory on the CPU: without a card in sight it computes."""
    run = train(fleet, tmp_path, 40, NO_CARD, train_follow=True)
    assert run.code == 0, run.output
    output = f"/home/{alice}/saves/tiny/lora/sft"
    lost = losses(node)
    assert lost[-1] < 0.7 * lost[0], lost
    assert node.file(f"{output}/adapter_model.safetensors").size > 100_000
    broken = f"{output}/checkpoint-41"
    assert (
        node.run(f"cp --archive {output}/checkpoint-40 {broken} && truncate --size 100 {broken}/optimizer.pt").rc == 0
    )
    again = train(fleet, tmp_path, 60, NO_CARD, train_follow=True, train_resume=True)
    assert again.code == 0, again.output
    assert "checkpoint-41 is skipped: trainer_state.json is from step 40" in " ".join(again.output.split())
    state = json.loads(node.file(f"{output}/trainer_state.json").content_string)
    assert (state["global_step"], state["log_history"][-2]["loss"] < lost[-1]) == (60, True)
    shown = fleet.playbook("playbooks/train_status.yml", "-i", "inventory/sim", "-e", "train_name=tiny")
    assert "tiny: done, as alice" in shown.output


def test_a_run_makes_its_node_busy_until_it_is_stopped(fleet: Fleet, tmp_path: Path, alice: str) -> None:
    begun = train(fleet, tmp_path, 100_000, NO_CARD, train_devices="0,1")
    assert begun.code == 0, begun.output
    twice = train(fleet, tmp_path, 10, NO_CARD)
    assert twice.code != 0
    assert "training tiny" in twice.output
    assert f"of {alice}" in twice.output
    node_facts = fleet.facts("gather_subset=npu")
    assert [each["name"] for each in node_facts["npu"]["processes"]] == ["training tiny"]
    stopped = fleet.playbook("playbooks/train_stop.yml", "-i", "inventory/sim", "-e", "train_name=tiny")
    assert "tiny: stopped, as alice" in stopped.output, stopped.output
    assert fleet.facts("gather_subset=npu")["npu"]["processes"] == []


@pytest.mark.whole  # proves what the first run proved
@pytest.mark.usefixtures("converged")
def test_every_card_answers(fleet: Fleet) -> None:
    run = fleet.playbook("playbooks/verify.yml")
    assert run.code == 0, run.output
    for card in range(8):
        assert f"npu:{card}        torch.npu.is_available() True: Ascend910B3, 65536 MB" in run.output


@pytest.mark.usefixtures("converged")
def test_users_run_the_real_thing(node: Any) -> None:
    said = node.run("env -i /usr/local/bin/ascend-env llamafactory-cli env")
    assert said.rc == 0, said.stderr
    for words in ("`llamafactory` version: 0.9.1", "PyTorch version: 2.1.0", "(NPU)", "NPU type: Ascend910B3"):
        assert words in said.stdout
    sums = "import torch, torch_npu; print(torch.ones(3).npu().cpu().sum().item(), torch.npu.device_count())"
    few = node.run(f"ASCEND_RT_VISIBLE_DEVICES=0,1 ascend-env python -c '{sums}'")
    assert few.stdout.split() == ["3.0", "2"], few.stderr


# damage -> the task that repairs it, and it alone
DAMAGE = {
    "a lost file of the toolkit": (f"rm {TOOLKIT}/runtime/lib64/libascendcl.so", [TOOLKIT_TASK, KERNELS_TASK]),
    "lost kernels": (f"bash {TOOLKIT}/opp_kernel/script/uninstall.sh", [KERNELS_TASK]),
    "an uninstalled distribution": (f"rm -r {SITE_PACKAGES}/deepspeed {SITE_PACKAGES}/deepspeed-*", [ENVIRONMENT]),
    "another version of a distribution": (
        f"cd {SITE_PACKAGES} && mv fire-0.7.0.dist-info fire-0.6.0.dist-info"
        " && sed -i 's/^Version: .*/Version: 0.6.0/' fire-0.6.0.dist-info/METADATA"
        " && sed -i 's/fire-0.7.0/fire-0.6.0/' fire-0.6.0.dist-info/RECORD",
        [ENVIRONMENT],
    ),
    "a distribution that the lock does not name": (
        f"mkdir {SITE_PACKAGES}/leftover-1.0.dist-info && cd {SITE_PACKAGES}/leftover-1.0.dist-info"
        " && printf 'Metadata-Version: 2.1\\nName: leftover\\nVersion: 1.0\\n' > METADATA && echo uv > INSTALLER"
        " && printf 'leftover-1.0.dist-info/METADATA,,\\nleftover-1.0.dist-info/RECORD,,\\n' > RECORD",
        [ENVIRONMENT],
    ),
}

USUAL = ["a lost file of the toolkit", "an uninstalled distribution"]  # what is repaired is proven anew, half a minute


@pytest.mark.usefixtures("converged")
@pytest.mark.parametrize(
    "names", [USUAL, *(pytest.param([name], marks=pytest.mark.whole) for name in DAMAGE)], ids=", ".join
)
def test_damage_is_repaired_alone(fleet: Fleet, node: Any, names: list[str]) -> None:
    for name in names:
        done = node.run(DAMAGE[name][0])
        assert done.rc == 0, done.stderr
    repairs = [repair for name in names for repair in DAMAGE[name][1]]
    run = fleet.site()
    assert run.code == 0, run.output
    changed = run.changed_tasks
    assert len(changed) == len(repairs), run.output
    assert all(task.startswith(repair) for task, repair in zip(changed, repairs, strict=True)), changed
    assert fleet.site("--check").changed == 0


@pytest.mark.whole  # tests/change has it with stand-in wheels
@pytest.mark.usefixtures("converged")
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("silent", "a complete kernels-910b"),
        ("hang", "did not end within 5 s"),
        ("exit:3", "ended with code 3"),
        ("dies:opp_kernel", "ended with code 137"),
    ],
)
def test_an_installer_is_judged_by_its_files(fleet: Fleet, node: Any, fault: str, words: str) -> None:
    node.run_test(f"bash {TOOLKIT}/opp_kernel/script/uninstall.sh; ascend-sim set installer={fault}")
    run = fleet.site("-e", "cann_timeout_s=5")
    node.run_test("ascend-sim set installer=ok")
    assert run.code == 2, run.output
    assert words in " ".join(run.output.split()), run.output
    assert node.run("ls -A /var/tmp").stdout == "", "an installer's folder is left"


@pytest.mark.whole  # tests/change/test_proof.py has it with stand-in wheels
@pytest.mark.usefixtures("converged")
def test_an_environment_that_fails_on_a_card_does_not_become_current(fleet: Fleet, node: Any) -> None:
    # The run repairs what the installers above left behind, and proves it.
    node.run_test("ascend-sim set device_error.3=507033; rm /opt/ascend/env/current")
    run = fleet.site()
    link = node.file("/opt/ascend/env/current")
    assert run.code == 2, run.output
    assert "driver and CANN do not match" in run.output
    assert "card 3" in run.output
    assert not link.exists
    node.run_test("ascend-sim unset device_error.3")
    again = fleet.site()
    assert (again.code, again.changed_tasks) == (0, ["Make the verified environment current"]), again.output
    assert link.is_symlink
    assert fleet.site("--check").changed == 0
