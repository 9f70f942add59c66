# SPDX-License-Identifier: Apache-2.0
"""What the action ``depot_swarm`` decides: who takes part, with whom, how long a node waits, and what is warned of."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.utils.display import Display

from ansible_collections.ascend.fleet.plugins.action import depot_swarm
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import process
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import seed
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.sending import Sent
from tests.unit.depot.test_swarm import CONTENTS, SUMS


class Action(depot_swarm.ActionModule):
    """The action for one node, whose module calls are answered from a list, each a dictionary."""

    def __init__(self, answers: list[dict[str, Any]], **arguments: Any) -> None:
        self._task = SimpleNamespace(args=arguments, check_mode=False)
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.sent: list[str] = []

    def _execute_module(self, _name: str, module_args: dict[str, Any], **_: Any) -> dict[str, Any]:
        self.calls.append((module_args["part"], module_args))
        return self.answers.pop(0)

    def _bring(self, files: list[Sent], _variables: Any) -> tuple[list[Sent], int]:
        self.sent += [file.path for file in files]
        return files, 0


def variables(**of_hosts: Any) -> dict[str, Any]:
    return {
        "inventory_hostname": "one",
        "ansible_play_hosts_all": ["one"],
        "ansible_play_batch": list(of_hosts),
        "hostvars": of_hosts,
    }


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda _self, text, **_: found.append(text))
    monkeypatch.setattr(depot_swarm, "has_ended", lambda: False)
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on by ten seconds with each look at it."""
    now = [0.0]

    def look() -> float:
        now[0] += 10
        return now[0]

    monkeypatch.setattr(depot_swarm, "time", SimpleNamespace(monotonic=look))
    return now


def far(done: int, alive: bool = True, **more: Any) -> dict[str, Any]:
    return {"far": {"done": done, "wanted": 900, "alive": alive, "peers": 3, **more}}


def test_it_waits_as_long_as_something_comes(warnings: list[str], clock: list[float]) -> None:
    slowly = [far(done) for done in range(0, 900, 100)]
    action = Action([*slowly, far(900, finished=True)], part="wait")
    assert action._wait(variables()) == {}
    assert (len(action.calls), warnings) == (10, [])


def test_checking_what_came_before_is_no_silence(warnings: list[str], clock: list[float]) -> None:
    action = Action([*[far(0, checking=True)] * 9, far(900, finished=True)], part="wait")
    assert action._wait(variables()) == {}
    assert warnings == []


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([far(5)] * 9, "3 peers, nothing for 30 s"),
        ([far(5, problem="No space left on device")] * 9, "3 peers, nothing for 30 s: No space left on device"),
        ([far(5), far(5, alive=False)], "its peer ended"),
    ],
)
def test_a_node_that_gets_no_more_goes_on_with_a_warning(
    warnings: list[str], clock: list[float], answers: list[dict[str, Any]], found: str
) -> None:
    assert Action(list(answers), part="wait")._wait(variables()) == {}
    assert warnings == [f"one did not get everything from the swarm, so the depot sends the rest. Found: {found}"]


@pytest.fixture
def depot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A depot with one file, which node one and node two need, and the folder of a playbook's swarm."""
    folder = tmp_path / "depot"
    (folder / "cann").mkdir(parents=True)
    (folder / "cann" / "x.run").write_bytes(CONTENTS[0])
    index = Index(folder)
    index.enter("cann/x.run")
    index.save()
    monkeypatch.setattr(depot_swarm, "_folder", lambda: tmp_path / "swarm")
    return folder


def node(depot: Path, transport: str = "swarm") -> dict[str, Any]:
    nothing = {"url": "", "sha256": "", "size_bytes": 0}
    toolkit = {"url": "ssh:/cann/x.run", "sha256": SUMS[0], "size_bytes": len(CONTENTS[0])}
    wanted = {**dict.fromkeys(("kernels", "python", "uv"), nothing), "toolkit": toolkit}
    wanted |= {"environment": {"source": {}}, "depot": {"transport": transport, "folder": str(depot), "url": "ssh:"}}
    return {"components": ["toolkit"], "plan": {"stage": []}, "wanted": wanted}


def seeded(depot: Path, monkeypatch: pytest.MonkeyPatch, **hosts: Any) -> list[Any]:
    """Run the part ``seed``; return what the depot's peer is begun with."""
    begun: list[Any] = []
    monkeypatch.setattr(seed, "begin", lambda *arguments: begun.append(arguments))
    Action([], part="seed")._seed(variables(**hosts))
    return begun


def test_the_batch_is_given_what_its_nodes_need(
    depot: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = {
        name: {"ansible_host": f"127.0.0.{number}", "preflight_node": node(depot)}
        for number, name in ((1, "one"), (2, "two"))
    }
    other = {"ansible_host": "127.0.0.3", "preflight_node": node(depot, "ssh")}
    idle = {"ansible_host": "127.0.0.4"}
    ((_, files, addresses, port, folder, pid),) = seeded(depot, monkeypatch, **hosts, three=other, four=idle)
    assert [(file.source, file.sha256) for file in files] == [(f"{depot}/cann/x.run", SUMS[0])]
    assert (addresses, port, folder) == ({"one": "127.0.0.1", "two": "127.0.0.2"}, 6881, str(depot))
    assert process.started(pid) is not None
    assert warnings == []


def test_a_batch_of_one_needs_no_swarm(depot: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"ansible_host": "127.0.0.1", "preflight_node": node(depot)}
    unknown = {"ansible_host": "no such name.invalid", "preflight_node": node(depot)}
    assert seeded(depot, monkeypatch, one=one) == []
    assert warnings == []
    assert seeded(depot, monkeypatch, one=one, two=unknown) == []
    assert [warning.partition(":")[0] for warning in warnings] == [
        "two does not join the swarm, and gets everything from the depot"
    ]


def test_a_control_node_that_cannot_give_is_told_of_once(depot: Path, warnings: list[str]) -> None:
    hosts = {
        name: {"ansible_host": f"127.0.0.{number}", "preflight_node": node(depot)}
        for number, name in ((1, "one"), (2, "two"))
    }
    assert Action([], part="seed")._seed(variables(**hosts)) == {}
    assert [warning.partition(";")[0] for warning in warnings] == [
        "No swarm, so the depot sends everything. the control node has no libtorrent"
    ]
    action = Action([], part="join", steps=["toolkit"], wanted=node(depot)["wanted"])
    assert action._join(variables()) == {"joined": False}
    assert action.calls == [], "nobody asks the nodes then"


@pytest.fixture
def batch(depot: Path, tmp_path: Path) -> Path:
    """A swarm of two nodes that has begun, and a wheel for their Python."""
    (depot / "swarm").mkdir()
    (depot / "swarm" / "libtorrent-x.whl").write_bytes(b"a wheel")
    index = Index(depot)
    index.enter("swarm/libtorrent-x.whl")
    index["swarm"]["cp39-aarch64"] = "swarm/libtorrent-x.whl"
    index.save()
    (tmp_path / "swarm").mkdir()
    (tmp_path / "swarm" / "torrent").write_bytes(b"torrent")
    known = {
        "nodes": {"one": "10.0.0.1", "two": "10.0.0.2"},
        "depot": {"one": "10.0.0.9", "two": "10.1.0.9"},
        "port": 7,
    }
    (tmp_path / "swarm" / "batch.json").write_text(json.dumps(known))
    return depot


def joining(batch: Path, *answers: dict[str, Any]) -> Action:
    return Action(list(answers), part="join", steps=["toolkit"], wanted=node(batch)["wanted"], cache_dir="/c")


MISSES = {"missing": [{"path": f"{SUMS[0][:16]}/x.run"}]}


def test_a_node_is_told_of_its_batch_and_of_nobody_else(batch: Path, warnings: list[str]) -> None:
    action = joining(batch, {**MISSES, "tag": "cp39-aarch64"}, {"joined": True})
    assert action._join(variables()) == {"joined": True}
    part, given = action.calls[1]
    assert (part, given["cache_dir"], base64.b64decode(given["torrent"])) == ("join", "/c", b"torrent")
    assert given["job"] == {"port": 7, "peers": ["10.0.0.2"], "allowed": ["10.0.0.2", "10.0.0.9"]}
    assert [file["sha256"] for file in given["files"]] == [SUMS[0]]
    assert action.sent == [given["wheel"]]
    assert given["wheel_sha256"] == hashlib.sha256(b"a wheel").hexdigest()
    assert warnings == []


@pytest.mark.parametrize(
    ("answers", "warned"),
    [
        ([{"missing": [], "tag": "cp39-aarch64"}], ""),
        (
            [{**MISSES, "tag": "cp37-aarch64"}],
            "one does not join the swarm: no libtorrent for cp37-aarch64; the depot",
        ),
        (
            [{**MISSES, "tag": "cp39-aarch64"}, {"failed": True, "msg": "it does not begin"}],
            "one does not join the swarm, and gets everything from the depot: it does not begin",
        ),
    ],
)
def test_a_node_that_cannot_join_is_left_to_the_depot(
    batch: Path, warnings: list[str], answers: list[dict[str, Any]], warned: str
) -> None:
    assert joining(batch, *answers)._join(variables()) == {"joined": False}
    assert [text.startswith(warned) for text in warnings] == ([True] if warned else [])
