# SPDX-License-Identifier: Apache-2.0
"""The cards' network on simulated nodes: the simulator's hccn_tool as a program, well and with each fault."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.links import read_links
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.network import read_network
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.rack.cards import read_cards
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.rack.reach import ping_cards
from tests.unit.npu.hccn_node import devices, named

SIM = Path(__file__).resolve().parents[3] / "sim/node/bin"


def simulated(
    root: Path, monkeypatch: pytest.MonkeyPatch, reader: Any = read_network, **settings: str
) -> tuple[Any, list[Any]]:
    """What the network's facts say of a simulated node with three cards."""
    settings = {"card_count": "3", **{name.replace("__", "."): value for name, value in settings.items()}}
    conf = root / "node.conf"
    conf.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    (root / "etc").mkdir()
    if settings.get("hccn_conf") != "missing":
        hccn_conf = runpy.run_path(str(SIM / "ascend-sim"))["hccn_conf"]
        (root / "etc/hccn.conf").write_text(hccn_conf(settings, "ascend-sim-7"))
    monkeypatch.setenv("ASCEND_SIM_CONF", str(conf))
    monkeypatch.setenv("ASCEND_SIM_HCCN_CONF", str(root / "etc/hccn.conf"))

    timeout_s = 1 if settings.get("hccn") == "hang" else 30
    found: tuple[Any, list[Any]] = reader(
        Node(query, {"hccn_tool": str(SIM / "hccn_tool")}.get, str(root)), devices(3), timeout_s
    )
    return found


def test_a_simulated_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts, findings = simulated(tmp_path, monkeypatch)
    assert findings == []
    assert [found["address"] for found in facts["cards"]] == ["10.20.7.1", "10.20.7.2", "10.20.7.3"]
    assert all(found["multi_node"] and found["gateway"] == "10.20.255.254" for found in facts["cards"])


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"net_link__1": "DOWN"}, ["network-link-down", "network-unhealthy"]),
        ({"net_health__1": "Fault"}, ["network-unhealthy"]),
        ({"net_address__1": "none"}, ["network-no-address", "network-unhealthy"]),
        ({"net_address__1": "10.20.7.1"}, ["network-duplicate-address", "network-not-persistent"]),
        ({"net_gateway__1": "10.9.0.1"}, ["network-gateway-unreachable-by-mask", "network-not-persistent"]),
        ({"hccn_conf": "missing"}, ["network-no-address", "network-unhealthy"]),
        ({"hccn": "hang"}, ["hccn-tool-hangs"]),
        ({"chip_name": "310P3"}, []),
    ],
)
def test_simulated_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], names: list[str]
) -> None:
    facts, findings = simulated(tmp_path, monkeypatch, **settings)
    assert named(findings) == names
    assert facts["roce"] is {"chip_name": False, "hccn": None}.get(next(iter(settings)), True)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, []),
        ({"net_link__1": "DOWN"}, ["network-link-down", "network-unhealthy"]),
        ({"net_health__1": "Fault"}, ["network-unhealthy"]),
        ({"net_address__1": "10.20.7.1"}, []),
        ({"hccn_conf": "missing"}, ["network-no-address", "network-unhealthy"]),
        ({"hccn": "hang"}, ["hccn-tool-hangs"]),
        ({"chip_name": "310P3"}, []),
    ],
)
def test_links_of_a_simulated_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], names: list[str]
) -> None:
    facts, findings = simulated(tmp_path, monkeypatch, read_links, **settings)
    assert named(findings) == names
    assert facts["roce"] is {"chip_name": False, "hccn": None}.get(next(iter(settings), ""), True)


def test_what_is_asked_before_nodes_train_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = {"net_tls__1": "1", "net_downs__1": "4", "net_switch_port__1": "400GE9/9/9"}
    found: Any = simulated(tmp_path, monkeypatch, read_cards, **faults)
    well, sick, _ = found
    assert well == {
        "device": 0,
        "netdetect": "10.20.255.254",
        "tls": 0,
        "link_up_count": 1,
        "link_downs_of_day": 0,
        "switch_port": "400GE1/1/1:1",
        "unread": {},
    }
    assert (sick["tls"], sick["link_up_count"], sick["link_downs_of_day"]) == (1, 5, 4)
    assert sick["switch_port"] == "400GE9/9/9"


def test_cards_ping_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulated(tmp_path, monkeypatch, net_link__1="DOWN", net_unreachable="10.20.8.1,10.20.9.1")
    node = Node(query, {"hccn_tool": str(SIM / "hccn_tool")}.get, str(tmp_path))
    asked = [(0, "10.20.8.3"), (0, "10.20.9.1"), (1, "10.20.8.3")]
    pings = [{"device": device, "address": address, "to": "npu-8", "card": device} for device, address in asked]
    assert [each["ok"] for each in ping_cards(node, pings, 30, lambda: 0.0, 60)] == [True, False, False]
