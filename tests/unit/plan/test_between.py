# SPDX-License-Identifier: Apache-2.0
"""What differs between nodes: their loaded drivers, once for the fleet, in site.yml's plan and from a node's facts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.action import fleet_plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import Refusal
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.between import (
    Between,
    Peer,
    between,
    peer_of,
)
from tests.unit.plan.planner_nodes import bare, converged, wanted
from tests.unit.plan.test_node_plan import Asked, facts
from tests.unit.plan.test_wanted import settings

NOTHING: dict[str, list[Refusal]] = {"warnings": [], "remarks": []}
DIFFER = "nodes with CANN 8.0.RC1 have different drivers, and HCCL hangs between them"


def peers(cann: str = "8.0.RC1", mixed: str = "hang", **drivers: str) -> dict[str, Peer]:
    return {host: {"driver": driver, "cann": cann, "mixed": mixed} for host, driver in drivers.items()}


def compared(given: dict[str, Peer], asked: int = 0, limit: str | None = None) -> Between:
    return between(given, asked or len(given), limit, "look")


def rack(count: int, driver: str) -> dict[str, str]:
    return {f"n{number:03}": driver for number in range(count)}


def test_different_drivers_are_told_once_with_the_names_of_the_fewer() -> None:
    found = compared(peers(**{**rack(200, "24.1.rc1"), "n003": "24.1.rc2", "n150": "25.0.rc1", "n007": "24.1.rc2"}))
    assert (found["compared"], found["remarks"]) == (200, [])
    (warning,) = found["warnings"]
    assert (warning["component"], warning["check"], warning["subject"]) == ("driver", "drivers-differ", "8.0.RC1")
    assert warning["problem"] == DIFFER
    assert warning["found"] == "24.1.rc1 on 197 nodes, 24.1.rc2 on 2 nodes (n003, n007), 25.0.rc1 on 1 node (n150)"
    assert warning["where"] == "npu-smi info of 200 nodes"
    assert warning["remedy"].startswith("look  # ")


@pytest.mark.parametrize(
    ("drivers", "told"),
    [
        (["24.1.rc1"], ""),
        (["24.1.rc1", "24.1.rc1"], ""),
        # What the tools write in other letters, or without its zeros, is the same driver.
        (["25.0.rc1", "25.0.RC1"], ""),
        (["25.2", "25.2.0"], ""),
        (["custom", "custom"], ""),
        # Most are not right for being most; of as many both are named.
        (["24.1.rc1", "24.1.rc2"], "24.1.rc1 on 1 node (a), 24.1.rc2 on 1 node (b)"),
        (["25.2.3", "25.2.3.b010"], "25.2.3 on 1 node (a), 25.2.3.b010 on 1 node (b)"),
        # Whose order nobody knows, and whose names differ.
        (["24.1.rc1", "24.1.rc1-custom"], "24.1.rc1 on 1 node (a), 24.1.rc1-custom on 1 node (b)"),
        # A silent driver is none.
        (["24.1.rc1", ""], ""),
        (["", ""], ""),
    ],
)
def test_which_drivers_differ(drivers: list[str], told: str) -> None:
    found = compared(peers(**dict(zip("abcdefgh", drivers, strict=False))))
    assert [each["found"] for each in found["warnings"]] == ([told] if told else [])
    assert found["compared"] == sum(bool(driver) for driver in drivers)
    assert found["remarks"] == []


def test_many_nodes_and_many_drivers_are_counted() -> None:
    many = {f"m{number:02}": f"24.1.rc{1 + number % 2}" for number in range(20)}
    (warning,) = compared(peers(**many))["warnings"]
    assert "24.1.rc2 on 10 nodes (m01, m03, m05, m07, m09, m11, m13, m15 and 2 more)" in warning["found"]
    (warning,) = compared(peers(**{f"m{number}": f"25.{number}.0" for number in range(9)}))["warnings"]
    assert warning["found"].endswith("25.3.0 on 1 node (m3) and 5 more")


def test_where_nothing_hangs_it_is_a_remark() -> None:
    found = compared(peers("9.0.0", "", a="25.5.1", b="25.5.2"))
    assert found["warnings"] == []
    (remark,) = found["remarks"]
    assert (remark["check"], remark["problem"]) == ("drivers-not-alike", "nodes with CANN 9.0.0 have different drivers")
    assert "hang" not in str(remark)


def test_nodes_that_shall_have_another_cann_are_in_no_job_with_them() -> None:
    """A rollout to a later release brings its driver node by node."""
    older, later = peers(a="24.1.rc1", b="24.1.rc1"), peers("9.0.0", "", c="25.5.2", d="25.5.2")
    assert compared({**older, **later}) == {"compared": 4, **NOTHING}
    odd = {**later, **peers("9.0.0", "", d="25.5.1")}
    found = compared({**older, **odd, **peers(b="24.1.rc2")})
    assert [each["subject"] for each in found["warnings"]] == ["8.0.RC1"]
    assert [each["subject"] for each in found["remarks"]] == ["9.0.0"]


def test_it_says_which_nodes_were_compared() -> None:
    given = peers(a="24.1.rc1", b="24.1.rc2", c="")
    (warning,) = compared(given, asked=5)["warnings"]
    assert warning["where"] == "npu-smi info of 2 nodes; 3 nodes did not answer"
    (warning,) = compared(given, asked=3, limit="rack1")["warnings"]
    assert warning["where"].endswith("; 1 node did not answer; other nodes were not queried (--limit rack1)")


def test_what_a_node_is_compared_by() -> None:
    """The driver that runs; of a silent one nothing, since that on disk may wait for a reboot."""
    wish = wanted(driver={**wanted()["driver"], "mixed": "hang"})
    found = converged()
    found["npu"]["driver_version"], found["driver"]["version"] = "24.1.rc1", "24.1.rc2"
    assert peer_of(found, wish) == {"driver": "24.1.rc1", "cann": "8.0.RC1", "mixed": "hang"}
    found["npu"]["driver_version"] = None
    assert peer_of(found, wish)["driver"] == "24.1.rc2"
    found["npu"]["answered"] = False
    assert peer_of(found, wish)["driver"] == ""


def answered(driver: str, monkeypatch: pytest.MonkeyPatch, purpose: str = "provision") -> dict[str, Any]:
    """What node_plan says of a node with this driver."""
    npu = {**bare()["npu"], "driver_version": driver}
    return Asked(facts(npu=npu), purpose, settings(Path("/no/depot"), release="8.0.RC1"), monkeypatch).run()


def test_node_plan_tells_it_of_every_node_and_the_check_for_drift_too(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = {"driver": "24.1.rc1", "cann": "8.0.RC1", "mixed": "hang"}
    assert answered("24.1.rc1", monkeypatch)["peer"] == peer
    refused = answered("22.0.1", monkeypatch)
    assert (refused["failed"], refused["peer"]["driver"]) == (True, "22.0.1"), "it counts though it is left as it is"
    assert answered("24.1.rc1", monkeypatch, "drift")["node"]["peer"] == peer


def lines(answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch, purpose: str = "provision", **cli: Any) -> str:
    """What site.yml shows; one of these ``answers`` is empty where the node was not reached."""
    monkeypatch.setattr(ActionBase, "run", lambda *_: {})
    monkeypatch.setattr(fleet_plan, "CLIARGS", cli)
    plugin = fleet_plan.ActionModule.__new__(fleet_plan.ActionModule)
    plugin._task = SimpleNamespace(args={"answers": "answer", "purpose": purpose, "batches": [1]})
    hostvars = {name: {"answer": answer} for name, answer in answers.items()}
    hosts = list(answers)
    variables = {"hostvars": hostvars, "ansible_play_hosts_all": hosts, "ansible_play_hosts": hosts}
    return "\n".join(plugin.run(None, variables)["lines"])


def test_site_says_it_once_after_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {name: answered("24.1.rc1", monkeypatch) for name in ("npu-1", "npu-2", "npu-3")}
    assert "different drivers" not in lines(answers, monkeypatch)
    answers["npu-2"] = answered("25.0.rc1", monkeypatch)
    shown = lines({**answers, "npu-4": {}}, monkeypatch, inventory=["inventory/prod"])
    assert shown.splitlines()[-1].startswith(
        f"the fleet: warning: {DIFFER} (24.1.rc1 on 2 nodes, 25.0.rc1 on 1 node (npu-2)"
    )
    assert shown.count("different drivers, ") == 1
    assert "npu-smi info of 3 nodes; 1 node did not answer" in shown
    assert "ansible-playbook playbooks/drift.yml -i inventory/prod  # " in shown
    assert "--limit" not in shown


def test_site_with_a_limit_says_what_was_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"npu-1": answered("24.1.rc1", monkeypatch)}
    assert lines(one, monkeypatch, subset="npu-1").endswith("\n--limit npu-1: drivers compared with no other node")
    two = {**one, "npu-2": answered("24.1.rc1", monkeypatch)}
    assert lines(two, monkeypatch, subset="rack1").endswith("\n--limit rack1: drivers compared between 2 nodes")


def test_a_rollback_compares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {name: answered("24.1.rc1", monkeypatch, "rollback") for name in ("npu-1", "npu-2")}
    assert "drivers" not in lines(answers, monkeypatch, "rollback", subset="npu-1")
