# SPDX-License-Identifier: Apache-2.0
"""How a training run is launched: by LLaMA-Factory's own command, which calls torchrun, or by accelerate (FSDP)."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

LLAMAFACTORY = ("llamafactory-cli", "train")
# What LLaMA-Factory's command has torchrun start.
MODULE = "llamafactory.launcher"


def argv(config: str, accelerate: str, ranks: int, peers: Optional[Mapping[str, Any]]) -> List[str]:
    """Return the command for ``ascend-env``; ``accelerate`` is the file of accelerate's config, "" for none.

    ``ranks`` is how many this node starts; ``peers``: service/runner.py. They override the file.
    """
    if not accelerate:
        return [*LLAMAFACTORY, config]
    nodes = int(peers["count"]) if peers else 1
    words = ["accelerate", "launch", "--config_file", accelerate, "--num_processes", str(ranks * nodes)]
    words += ["--num_machines", str(nodes)]
    if peers:
        words += ["--machine_rank", str(peers["rank"]), "--main_process_ip", str(peers["address"])]
        words += ["--main_process_port", str(int(peers["port"]) - 1)]
    return [*words, "-m", MODULE, config]
