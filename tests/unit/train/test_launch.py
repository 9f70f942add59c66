# SPDX-License-Identifier: Apache-2.0
"""The command that launches a run: LLaMA-Factory's own, or accelerate's, as its own parser reads it."""

from __future__ import annotations

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train.launch import argv

PEERS = {"rank": 1, "count": 3, "address": "192.0.2.7", "port": 29501, "token": "t"}


def test_llamafactory_calls_torchrun_itself() -> None:
    assert argv("/c.yaml", "", 8, None) == ["llamafactory-cli", "train", "/c.yaml"]
    assert argv("/c.yaml", "", 8, PEERS) == ["llamafactory-cli", "train", "/c.yaml"]


def test_accelerate_is_told_what_the_fleet_knows() -> None:
    words = argv("/c.yaml", "/a.yaml", 8, PEERS)
    assert words[:4] == ["accelerate", "launch", "--config_file", "/a.yaml"]
    said = dict(zip(words[4:-3:2], words[5:-3:2], strict=True))
    assert said == {
        "--num_processes": "24",
        "--num_machines": "3",
        "--machine_rank": "1",
        "--main_process_ip": "192.0.2.7",
        "--main_process_port": "29500",
    }
    assert words[-3:] == ["-m", "llamafactory.launcher", "/c.yaml"]


def test_on_one_node_there_is_nobody_to_meet() -> None:
    words = argv("/c.yaml", "/a.yaml", 2, None)
    assert words[4:-3] == ["--num_processes", "2", "--num_machines", "1"]
