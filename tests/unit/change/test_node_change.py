# SPDX-License-Identifier: Apache-2.0
"""The module ``node_change``: what begins a change, what keeps it from beginning, and its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import install_record
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import (
    drained,
    journal,
    leftovers,
    module_lock,
    origin,
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
    assert begin(options, tmp_path) == {"begun": True, "processes": [], "unclear": [], "taken_by": {}, "drained": {}}
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
    assert begin(options, tmp_path, answer) == {
        "begun": False,
        "processes": [],
        "unclear": [0],
        "taken_by": {},
        "drained": {},
    }
    assert not Path(options["state_dir"]).exists()


def test_a_card_that_is_taken_out_keeps_no_change_from_beginning(options: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path / "node", "/dev/davinci0")
    assert begin(options, tmp_path, NPU_SMI_HEAD + CARD, cards_out=[0])["begun"]


def test_a_node_may_be_begun_beside_jobs(options: dict[str, Any], tmp_path: Path) -> None:
    """Not even npu-smi is asked."""
    result = node_change.begin({**options, "idle": False}, node(tmp_path / "node"))
    assert result == {"begun": True, "processes": [], "unclear": [], "taken_by": {}, "drained": {}}


def test_another_run_has_it(options: dict[str, Any], tmp_path: Path) -> None:
    link = current(options)
    begin(options, tmp_path)
    (tmp_path / "state/x.part").touch()
    other = {**HOLDER, "run": "two"}
    result = begin(options, tmp_path, holder=other, set_aside=True)
    assert (result["begun"], result["processes"], result["taken_by"]["run"]) == (False, [], "one")
    assert link.is_symlink()
    assert (tmp_path / "state/x.part").exists()
    assert begin(options, tmp_path, holder=other, dead=["one"])["begun"]
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


def test_a_cann_with_files_of_users_is_not_replaced(options: dict[str, Any], tmp_path: Path) -> None:
    """It does not begin, so the environment that stands on it stays current."""
    link, cann = current(options), Path(options["cann_root"], "ascend-toolkit/8.0.RC1")
    (cann / "opp/vendors/mine").mkdir(parents=True)
    (cann / "opp/vendors/mine/op.so").touch()
    options["replaces"] = ["8.0.RC1"]
    with pytest.raises(AscendError, match="cannot be replaced") as raised:
        begin(options, tmp_path, set_aside=True)
    assert raised.value.where == str(cann)
    assert link.is_symlink()
    assert not run_lock.read(options["state_dir"])


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
        with pytest.raises(AscendError, match="another change is running"):
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


def test_that_a_node_is_drained_is_written_down_beside_what_was_before(options: dict[str, Any]) -> None:
    """It may be the first thing that is written on a bare node, and must not hide that the folder was not there."""
    assert node_change.drain(options) == {"taken_by": {}, "drained": {}}
    assert options["state_dir"] in origin.read(options["state_dir"])["absent"]
    found = drained.read(options["state_dir"])
    assert found is not None
    assert (found["run"], found["action"]) == ("one", "provision")


def test_begin_and_end_tell_who_drained_it(options: dict[str, Any], tmp_path: Path) -> None:
    node_change.drain(options)
    os.utime(Path(options["state_dir"], "drained"), (1, 1))
    assert begin(options, tmp_path, BUSY)["drained"]["run"] == "one"
    assert os.path.getmtime(Path(options["state_dir"], "drained")) > 1, "a sign of life of the run that waits"
    assert begin(options, tmp_path)["drained"]["run"] == "one"
    assert node_change.end(options)["drained"]["run"] == "one"
    assert node_change.resume(options)["drained"]["run"] == "one"
    node_change.resumed(options)
    assert node_change.end(options) == {"drained": {}}
    assert node_change.resume(options) == {"taken_by": {}, "drained": {}}
