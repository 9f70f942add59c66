# SPDX-License-Identifier: Apache-2.0
"""A run on several nodes, looked at on one: the interface, of this machine, and the ports of the first node."""

from __future__ import annotations

import os
import shutil
import socket
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train.together import check

NODE = Node(query, shutil.which)


def peers(**changes: Any) -> dict[str, Any]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {"rank": 0, "count": 2, "address": "127.0.0.1", "port": port, "token": "t", "interface": "=lo", **changes}


def test_the_whole_name_is_told_to_all_that_ask() -> None:
    problems, variables = check(NODE, peers(interface="lo"))
    assert problems == []
    assert variables == {"HCCL_SOCKET_IFNAME": "=lo", "GLOO_SOCKET_IFNAME": "lo", "TP_SOCKET_IFNAME": "lo"}


@pytest.mark.parametrize("asked", ["=eth77", "no-such", "^l,e,w,d,b,v,t,i,c,p"])
def test_an_interface_that_is_not_there_is_told_with_those_that_are(asked: str) -> None:
    (problem,), variables = check(NODE, peers(interface=asked))
    assert (problem.where, variables) == ("train_interface", {})
    assert asked in problem.problem
    assert sorted(os.listdir("/sys/class/net"))[0] in problem.found


@pytest.mark.parametrize("beside", [0, -1])
def test_a_port_that_is_taken_is_told_on_the_first_node_alone(beside: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (problem,), _ = check(NODE, peers(port=port - beside))
        assert problem.problem == f"port {port} of the first node is taken"
        if os.geteuid() == 0:
            assert f"process {os.getpid()} of" in problem.found
        assert check(NODE, peers(port=port - beside, rank=1))[0] == []
