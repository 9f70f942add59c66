# SPDX-License-Identifier: Apache-2.0
"""The module and the action ``node_change``: what begins a change, what keeps it from beginning, and who is asking."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import install_record
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import (
    journal,
    leftovers,
    module_lock,
    origin,
    process,
    run_lock,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.modules import node_change
from tests.answers import HANGS, NPU_SMI_HEAD, Programs, node, write
from tests.hangs import no_hang

CARD = """\
| 0     910B3               | OK            | 93.0        38                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          3300 / 65536         |
+===========================+===============+====================================================+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
"""
BUSY = NPU_SMI_HEAD + CARD + "| 0       0                 | 4711          | python3                  | 1200        |\n"
IDLE = NPU_SMI_HEAD + CARD + "| No running processes found in NPU 0" + " " * 60 + "|\n"
HOLDER = {"run": "one", "who": "ops", "control": "ctl", "machine": "m", "boot": "b", "pid": 4711, "started": 1}
FOLDERS = {name: name.partition("_")[0] for name in ("cann_root", "ascend_root", "cache_dir", "state_dir", "tmp_dir")}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module_lock, "WAIT_S", 0.1)
    with no_hang():
        yield


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the role gives the module, on a node that has nothing yet but a folder for temporary files."""
    program = str(tmp_path / "bin/ascend-env")
    monkeypatch.setattr(leftovers, "ASCEND_ENV", program)
    monkeypatch.setattr(node_change, "ASCEND_ENV", program)
    monkeypatch.setattr(node_change, "INSTALLERS", (str(tmp_path / "etc"), str(tmp_path / "log")))
    (tmp_path / "tmp").mkdir()
    spec: dict[str, dict[str, Any]] = node_change.ARGUMENT_SPEC  # type: ignore[assignment]  # mypy joins to object
    given = {name: said.get("default") for name, said in spec.items()}
    places = {name: str(tmp_path / folder) for name, folder in FOLDERS.items()}
    change = {"state": "begun", "action": "provision", "source": "none", "target": "new", "holder": dict(HOLDER)}
    return {**given, **places, **change}


def begin(options: dict[str, Any], tmp_path: Path, answer: Any = IDLE, **changes: Any) -> dict[str, Any]:
    programs = Programs({"npu-smi info": answer})
    result: dict[str, Any] = node_change.begin({**options, **changes}, node(tmp_path / "node", programs))
    return result


def current(options: dict[str, Any]) -> Path:
    folder = Path(options["ascend_root"], "env")
    (folder / "old").mkdir(parents=True)
    (folder / "current").symlink_to("old")
    return folder / "current"


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_an_idle_node_is_begun(options: dict[str, Any], tmp_path: Path) -> None:
    assert begin(options, tmp_path) == {"begun": True, "processes": [], "unclear": [], "taken_by": {}}
    there = run_lock.read(options["state_dir"])
    assert there is not None
    assert [there[key] for key in ("run", "action", "from", "to")] == ["one", "provision", "none", "new"]
    assert module_lock.at_work(options["state_dir"]) == {}


def test_a_busy_node_is_left_alone(options: dict[str, Any], tmp_path: Path) -> None:
    link = current(options)
    before = everything(tmp_path)
    result = begin(options, tmp_path, BUSY, set_aside=True)
    assert (result["begun"], result["taken_by"]) == (False, {})
    assert [(each["pid"], each["chips"]) for each in result["processes"]] == [(4711, [[0, 0, 1200]])]
    assert everything(tmp_path) == before
    assert link.is_symlink()


@pytest.mark.parametrize("answer", [NPU_SMI_HEAD + CARD, BUSY.replace("4711", "****"), HANGS])
def test_what_is_not_known_to_be_idle_is_left_alone(options: dict[str, Any], tmp_path: Path, answer: Any) -> None:
    write(tmp_path / "node", "/dev/davinci0")
    assert begin(options, tmp_path, answer) == {"begun": False, "processes": [], "unclear": [0], "taken_by": {}}
    assert not Path(options["state_dir"]).exists()


def test_a_card_that_is_taken_out_keeps_no_change_from_beginning(options: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path / "node", "/dev/davinci0")
    assert begin(options, tmp_path, NPU_SMI_HEAD + CARD, cards_out=[0])["begun"]


def test_a_node_may_be_begun_beside_jobs(options: dict[str, Any], tmp_path: Path) -> None:
    """Not even npu-smi is asked."""
    result = node_change.begin({**options, "idle": False}, node(tmp_path / "node"))
    assert result == {"begun": True, "processes": [], "unclear": [], "taken_by": {}}


def test_another_run_has_it(options: dict[str, Any], tmp_path: Path) -> None:
    link = current(options)
    begin(options, tmp_path)
    (tmp_path / "state/x.part").touch()
    other = {**HOLDER, "run": "two"}
    result = begin(options, tmp_path, holder=other, set_aside=True)
    assert (result["begun"], result["processes"], result["taken_by"]["run"]) == (False, [], "one")
    assert link.is_symlink()
    assert (tmp_path / "state/x.part").exists()
    assert begin(options, tmp_path, holder=other, dead="one")["begun"]
    assert [entry["result"] for entry in journal.entries(options["state_dir"])] == ["interrupted"]


def test_the_link_is_taken_away_when_asked(options: dict[str, Any], tmp_path: Path) -> None:
    link = current(options)
    assert begin(options, tmp_path)["begun"]
    assert os.readlink(link) == "old"
    assert begin(options, tmp_path, set_aside=True)["begun"]
    assert not link.is_symlink()
    assert (link.parent / "old").is_dir()
    assert os.readlink(link.parent / "previous") == "old", "another is to be current: this is the way back"
    assert begin(options, tmp_path, set_aside=True)["begun"], "nor is it missed"
    assert os.readlink(link.parent / "previous") == "old"


def test_what_is_repaired_itself_is_not_its_own_way_back(options: dict[str, Any], tmp_path: Path) -> None:
    link = current(options)
    assert begin(options, tmp_path, set_aside=True, target="old")["begun"]
    assert not link.is_symlink()
    assert not (link.parent / "previous").is_symlink()


def test_what_cann_s_record_said_is_given_back(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was killed while an installer of another place was at work (cann/install_record.py)."""
    state, record = Path(options["state_dir"]), tmp_path / "etc" / "install.info"
    monkeypatch.setattr(install_record, "CANN_INSTALL_RECORD", str(record))
    state.mkdir()
    kept = {"schema": 1, "text": "Toolkit_InstallPath=/usr/local/Ascend\n", "base": "/usr/local/Ascend/beside"}
    (state / "cann-record.json").write_text(json.dumps(kept))
    assert begin(options, tmp_path)["begun"]
    assert record.read_text() == kept["text"]
    assert not (state / "cann-record.json").exists()


def test_a_folder_in_the_links_place_stays(options: dict[str, Any], tmp_path: Path) -> None:
    place = Path(options["ascend_root"], "env/current/file")
    place.parent.mkdir(parents=True)
    place.touch()
    assert begin(options, tmp_path, set_aside=True)["begun"]
    assert place.exists()


def test_what_dead_runs_left_is_cleared_away(options: dict[str, Any], tmp_path: Path) -> None:
    left = ["env/.building-x/a", "python/.partial-3.10.13/a"]
    for name in left:
        Path(options["ascend_root"], name).mkdir(parents=True)
    begin(options, tmp_path)
    assert everything(Path(options["ascend_root"])) == {"env", "python"}


def test_what_was_not_there_is_remembered_once(options: dict[str, Any], tmp_path: Path) -> None:
    cann = Path(options["cann_root"])
    kernels = cann / "ascend-toolkit/8.0.0/opp/built-in/op_impl/ai_core/tbe/kernel/config/ascend310p"
    kernels.mkdir(parents=True)
    (tmp_path / "etc").symlink_to("nowhere")
    begin(options, tmp_path)
    remembered = Path(options["state_dir"], origin.FILE)
    absent = [str(tmp_path / name) for name in ("log", "ascend", "cache", "state")]
    assert json.loads(remembered.read_text()) == {
        "schema": 1,
        "absent": [*absent, str(tmp_path / "bin/ascend-env")],
        "cann": {"8.0.0": ["310p"]},
        "toolkits": [],
    }
    for path in absent:
        Path(path).mkdir(exist_ok=True)
    before = remembered.read_bytes()
    begin(options, tmp_path)
    assert remembered.read_bytes() == before


def test_a_toolkit_that_is_gone_is_forgotten(options: dict[str, Any], tmp_path: Path) -> None:
    """Unless another run is at work: that may be about to install it."""
    state = options["state_dir"]
    (Path(options["cann_root"]) / "ascend-toolkit/8.0.0").mkdir(parents=True)
    begin(options, tmp_path)
    for version in ("8.0.0", "8.2.RC1"):
        origin.installs(state, version)
    assert not begin(options, tmp_path, holder={**HOLDER, "run": "two"})["begun"]
    assert origin.read(state)["toolkits"] == ["8.0.0", "8.2.RC1"]
    begin(options, tmp_path)
    assert origin.read(state)["toolkits"] == ["8.0.0"]


def test_of_two_that_remember_the_first_is_right(options: dict[str, Any], tmp_path: Path) -> None:
    """The second one looked when the first had made the state folder."""
    state, place = Path(options["state_dir"]), str(tmp_path / "state")
    with module_lock.alone(options["state_dir"]):
        child = os.fork()
        if not child:
            origin.remember(options["state_dir"], [place], {})
            os._exit(0)
        # One that it has from here, and one of its own.
        while [os.path.realpath(link) for link in Path(f"/proc/{child}/fd").iterdir()].count(place) < 2:
            time.sleep(0.01)
        (state / "origin.json").write_text("first")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (state / "origin.json").read_text() == "first"


def test_the_end_writes_the_journal(options: dict[str, Any], tmp_path: Path) -> None:
    begin(options, tmp_path)
    node_change.end({**options, "result": "failed", "problem": "why"})
    last = journal.last(options["state_dir"])
    assert last is not None
    assert [last[key] for key in ("run", "result", "problem", "to")] == ["one", "failed", "why", "new"]
    assert run_lock.read(options["state_dir"]) is None


def test_one_that_never_began_has_no_end(options: dict[str, Any], tmp_path: Path) -> None:
    """It does not wait for the one that has the node either, nor call that a second failure."""
    node_change.end(options)
    assert not Path(options["state_dir"]).exists()
    begin(options, tmp_path)
    with module_lock.taken(options["state_dir"], "toolkit"):
        node_change.end({**options, "holder": {**HOLDER, "run": "two"}})
        with pytest.raises(AscendError, match="another change is at work"):
            node_change.end(options)
    assert run_lock.read(options["state_dir"]) is not None


def module(options: dict[str, Any], root: Path, **more: Any) -> dict[str, Any]:
    """Run the module as Ansible does."""
    code = "import runpy, sys\nsys.path.insert(0, sys.argv[1])\n"
    code += "sys.argv = sys.argv[2:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    file = Path(options["tmp_dir"], "arguments")
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {**options, **more}}))
    argv = [sys.executable, "-c", code, str(root / "collections"), str(root / "library/node_change.py"), str(file)]
    said: dict[str, Any] = json.loads(subprocess.run(argv, capture_output=True, text=True, check=False).stdout)
    return said


@pytest.mark.parametrize("state", ["begun", "ended"])
def test_check_mode_writes_nothing(options: dict[str, Any], tmp_path: Path, root: Path, state: str) -> None:
    link = current(options)
    before = everything(tmp_path)
    said = module(options, root, state=state, set_aside=True, _ansible_check_mode=True)
    assert (said["changed"], said["begun"], said["processes"], said["taken_by"]) == (False, True, [], {})
    assert everything(tmp_path) - before == {"tmp/arguments"}
    assert link.is_symlink()


def test_the_module_from_its_beginning_to_its_end(options: dict[str, Any], tmp_path: Path, root: Path) -> None:
    said = module(options, root, idle=False)
    assert (said["changed"], said["begun"]) == (False, True)
    assert not module(options, root, state="ended").get("failed")
    assert [entry["result"] for entry in journal.entries(options["state_dir"])] == ["done"]
    (tmp_path / "file").touch()
    said = module(options, root, idle=False, state_dir=str(tmp_path / "file"))
    assert (said["failed"], "Traceback" in said["msg"]) == (True, False)
    assert said["remedy"]


# --- the action ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def action(root: Path) -> ModuleType:
    path = root / "plugins/action/node_change.py"
    spec = importlib.util.spec_from_file_location("node_change_action", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def lives(action: ModuleType, pid: int) -> dict[str, Any]:
    there = {"machine": action.machine(), "boot": process.kernel_boot(), "pid": pid, "started": process.started(pid)}
    return {**HOLDER, **there}


def test_a_process_that_ended_is_dead(action: ModuleType) -> None:
    child = subprocess.Popen(["sleep", "600"])
    there = lives(action, child.pid)
    assert not action.dead(there)
    child.kill()
    child.wait()
    assert action.dead(there)


def test_its_number_may_be_anothers_by_now(action: ModuleType) -> None:
    there = lives(action, os.getpid())
    assert not action.dead(there)
    assert action.dead({**there, "started": there["started"] - 1})
    assert action.dead({**there, "boot": "another"})


def test_of_another_machine_nothing_is_known(action: ModuleType) -> None:
    there = lives(action, os.getpid())
    assert not action.dead({**there, "machine": "another", "boot": "another", "pid": 2**22 + 1})
    assert not action.dead({})
    for pid in (None, "4711", 1.5):
        assert not action.dead({**there, "pid": pid, "boot": "another"})


def test_a_process_that_is_hidden_may_be_alive(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    there = lives(action, os.getpid())
    monkeypatch.setattr(process, "started", lambda _pid: None)
    assert action.dead(there)
    monkeypatch.setattr(process, "hidden", lambda _pid: True)
    assert not action.dead(there)


def test_a_machine_has_a_name_of_its_own(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers of one image have one machine-id, clones of one machine one host name."""
    one = action.machine()
    monkeypatch.setattr(action.socket, "gethostname", lambda: "another")
    two = action.machine()
    monkeypatch.setattr(action.files, "text", lambda _path: "0123\n")
    three = action.machine()
    monkeypatch.setattr(action.files, "text", lambda _path: None)
    assert len({one, two, three, action.machine()}) == 4
    assert action.machine().strip()


def test_the_holder_is_the_playbooks_process(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ops")
    queue: multiprocessing.Queue[tuple[str, dict[str, Any]]] = multiprocessing.get_context("fork").Queue()
    workers = [
        multiprocessing.get_context("fork").Process(target=lambda: queue.put(("", action.holder()))) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    one, two = (queue.get()[1] for _ in workers)
    for worker in workers:
        worker.join()
    assert one == two, "all actions of a run are of one run"
    assert (one["pid"], one["started"], one["who"]) == (os.getpid(), process.started(os.getpid()), "ops")
    assert not action.dead(one)
    assert set(one) == set(HOLDER)
    here = action.holder()
    monkeypatch.setattr(process, "started", lambda _pid: 1)
    assert action.holder()["run"] != here["run"]


class Action:
    """An action whose module answers what the test says; ``given`` are the arguments of its calls."""

    def __init__(self, action: ModuleType, answers: list[dict[str, Any]]) -> None:
        self.given: list[dict[str, Any]] = []
        self.plugin = action.ActionModule.__new__(action.ActionModule)
        self.plugin._task = SimpleNamespace(args={"state": "begun"}, async_val=0, check_mode=False)
        self.plugin._connection = SimpleNamespace(has_pipelining=True, _shell=None)
        self.plugin._supports_check_mode = self.plugin._supports_async = True

        def execute(module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
            self.given.append(dict(module_args))
            return answers.pop(0)

        self.plugin._execute_module = execute

    def run(self, action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setattr(action.ActionBase, "run", lambda *_: {})
        result: dict[str, Any] = self.plugin.run(None, {})
        return result


BEGUN = {"changed": False, "begun": True, "processes": [], "unclear": [], "taken_by": {}}


def test_a_free_node_is_asked_once(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Action(action, [BEGUN])
    assert asked.run(action, monkeypatch) == BEGUN
    assert asked.given == [{"state": "begun", "holder": action.holder()}]


def test_the_lock_of_a_dead_run_is_asked_for_again(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {**lives(action, os.getpid()), "started": 1, "run": "old"}
    asked = Action(action, [{**BEGUN, "begun": False, "taken_by": there}, BEGUN])
    assert asked.run(action, monkeypatch) == BEGUN
    assert [given.get("dead") for given in asked.given] == [None, "old"]


def test_an_alive_run_is_said(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {**lives(action, os.getpid()), "action": "provision", "began": "2026-01-31T23:59:59Z"}
    asked = Action(action, [{**BEGUN, "begun": False, "taken_by": there}])
    result = asked.run(action, monkeypatch)
    assert (result["failed"], result["begun"], len(asked.given)) == (True, False, 1)
    assert "provision, started by ops, since 2026-01-31T23:59:59Z" in result["msg"]
    assert f"kill {os.getpid()}" in result["remedy"]


def test_a_failed_module_stays_one(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Action(action, [{"failed": True, "msg": "why"}])
    assert asked.run(action, monkeypatch) == {"failed": True, "msg": "why"}


def test_an_action_whose_playbook_was_killed_changes_nothing(
    action: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Action(action, [])
    monkeypatch.setattr(action.os, "getppid", lambda: 1)
    monkeypatch.setattr(action.multiprocessing, "parent_process", lambda: SimpleNamespace(pid=4711))
    with pytest.raises(AnsibleActionFail, match="has ended"):
        asked.run(action, monkeypatch)
    assert asked.given == []


class Clock:
    """Time that passes while it is slept."""

    def __init__(self, action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept: list[float] = []
        monkeypatch.setattr(action, "time", SimpleNamespace(monotonic=lambda: sum(self.slept), sleep=self.slept.append))


IN_USE = {**BEGUN, "begun": False, "processes": [{"pid": 4711}]}
UNCLEAR = {**BEGUN, "begun": False, "unclear": [3]}


@pytest.mark.parametrize("left", [IN_USE, UNCLEAR])
@pytest.mark.parametrize(("looks", "begun"), [(0, True), (2, True), (9, False)])
def test_a_node_may_be_waited_for(
    action: ModuleType, monkeypatch: pytest.MonkeyPatch, looks: int, begun: bool, left: dict[str, Any]
) -> None:
    clock = Clock(action, monkeypatch)
    asked = Action(action, [left] * looks + [BEGUN])
    asked.plugin._task.args["wait_s"] = 70
    assert asked.run(action, monkeypatch)["begun"] is begun
    assert clock.slept == ([action.LOOK_S] * looks if begun else [30.0, 30.0, 10.0])
    assert len(asked.given) == len(clock.slept) + 1


def test_a_run_that_dies_while_it_waits_begins_nothing(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(action, monkeypatch)
    asked = Action(action, [IN_USE, BEGUN])
    asked.plugin._task.args["wait_s"] = 70
    parents = iter([4711, 1])
    monkeypatch.setattr(action.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(action, "playbook", lambda: 4711)
    monkeypatch.setattr(action, "holder", lambda: dict(HOLDER))
    assert asked.run(action, monkeypatch)["begun"] is False
    assert len(asked.given) == 1
