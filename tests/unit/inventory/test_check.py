# SPDX-License-Identifier: Apache-2.0
"""Every playbook refuses a misspelt inventory before it touches anything: with ansible-playbook itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.contract.tree import ROOT
from tests.playbook_run import Run

# Those that others import, after theirs has looked.
INNER = {"inventory", "nodes", "mirrors", "provision", "resume", "stage", "site"}
PLAYBOOKS = sorted(path for path in (ROOT / "playbooks").glob("*.yml") if path.stem not in INNER)
HOSTS = """
ascend:
  hosts:
    npu-001:
      ansible_host: 127.0.0.1
      ansible_connection: local
      ascend_rack: A1
    npu-002:
      ascend_room: B
  vars:
    train_team: vision
"""


def play(folder: Path, playbook: str, *words: str) -> Run:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), str(ROOT / playbook), "-i", str(folder), *words],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    folder = tmp_path / "inventory"
    for name in ("group_vars", "host_vars"):
        (folder / name).mkdir(parents=True)
    (folder / "hosts.yml").write_text(HOSTS)
    return folder


def test_an_inventory_of_names_of_ones_own_passes(inventory: Path) -> None:
    (inventory / "group_vars" / "all.yml").write_text('ascend_release: "8.0.RC1"\nascend_users: ["{{ admin }}"]\n')
    run = play(inventory, "playbooks/inventory.yml", "-e", "ticket=CHG-1", "--limit", "npu-002")
    assert run.code == 0, run.output
    assert run.recap["npu-002"]["ok"] == 1


def test_every_place_of_an_inventory_is_looked_at(inventory: Path, tmp_path: Path) -> None:
    (inventory / "group_vars" / "ascend").mkdir()
    (inventory / "group_vars" / "ascend" / "depot.yml").write_text("---\n# depot_incomming\ndepot_incomming: /srv\n")
    (inventory / "host_vars" / "npu-002.yml").write_text('ascend_deep: ture\nascend_release: 8.0\n"ascend-users": []\n')
    (inventory / "extra.ini").write_text("[ascend]\nnpu-003 ascend_card_cuont=8\n")
    (tmp_path / "more.yml").write_text("train_nmae: x\n")
    # The limit does not leave out a node whose group is wrong, too.
    run = play(inventory, "site.yml", "--limit", "npu-001", "-e", f"@{tmp_path}/more.yml", "-e", "rollout_batchs=1")
    assert run.code == 2, run.output
    words = " ".join(run.output.split())
    for expected in (
        f"depot_incomming ({inventory}/group_vars/ascend/depot.yml:3): no such variable, did you mean depot_incoming?",
        f"ascend_deep ({inventory}/host_vars/npu-002.yml:1): expected true or false, found 'ture'",
        f"ascend_release ({inventory}/host_vars/npu-002.yml:2): expected text, found 8.0 without quotes",
        f"ascend-users ({inventory}/host_vars/npu-002.yml:3): no such variable, did you mean ascend_users?",
        f"ascend_card_cuont ({inventory}/extra.ini:2): no such variable, did you mean ascend_card_count?",
        f"train_nmae ({tmp_path}/more.yml:1): no such variable, did you mean train_name?",
        "rollout_batchs (-e): no such variable, did you mean rollout_batches?",
    ):
        assert expected in words, (expected, words)
    assert "ascend_rack" not in words
    assert run.output.count("PLAY [") == 1, "nothing was touched"


@pytest.mark.slow
@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_every_playbook_looks_first(playbook: Path, inventory: Path) -> None:
    first = yaml.safe_load(playbook.read_text())[0]
    assert first.get("import_playbook") == "inventory.yml"
    if playbook.stem not in ("drift", "train", "nightly"):
        return  # the same first play; these stand for all
    run = play(inventory, f"playbooks/{playbook.name}", "-e", "ascend_relase=8.0.0", "--limit", "npu-002")
    assert run.code == (3 if playbook.stem == "drift" else 2), run.output
    assert run.output.count("PLAY [") == 1, run.output
    assert "did you mean ascend_release?" in run.output


def test_of_several_playbooks_in_a_run_one_looks(inventory: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.yml"
    both.write_text(yaml.safe_dump([{"import_playbook": str(ROOT / "playbooks" / "inventory.yml")}] * 2))
    run = play(inventory, str(both))
    assert run.code == 0, run.output
    assert run.output.count("TASK [Check the inventory's variables]") == 1, run.output
