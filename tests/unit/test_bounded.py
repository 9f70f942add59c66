# SPDX-License-Identifier: Apache-2.0
"""Reading what may never answer: children with a time limit, and real file systems that hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import bounded, command, facts, system
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.in_time import in_time
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import Places
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.silence import silence
from ansible_collections.ascend.fleet.plugins.modules import ascend_record, ascend_remove
from tests import answers
from tests.hangs import no_hang
from tests.silent_mount import is_hanging, silent


def children() -> set[str]:
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())


def hang(_place: str = "") -> Any:
    signal.pause()


def test_each_place_is_read() -> None:
    looked = bounded.each(["/a", "/b"], lambda place: {"name": place, "pid": os.getpid()})
    assert (list(looked.found), looked.hung, looked.left) == (["/a", "/b"], [], [])
    assert looked.found["/b"]["name"] == "/b"
    assert looked.found["/a"]["pid"] == looked.found["/b"]["pid"] != os.getpid()


def test_a_place_that_hangs_costs_no_other_one_its_answer() -> None:
    with no_hang():
        looked = bounded.each(list("abcd"), lambda place: hang() if place == "b" else place, 0.2)
    assert (looked.found, looked.hung, looked.left) == ({"a": "a", "c": "c", "d": "d"}, ["b"], [])
    assert children() == set()


def test_places_of_a_dead_server_are_not_all_waited_for() -> None:
    places = [str(number) for number in range(500)]
    with no_hang():
        looked = bounded.each(places, hang, 0.05)
    assert (looked.found, looked.hung, len(looked.left)) == ({}, ["0", "1", "2"], 497)


def test_an_answer_may_be_long() -> None:
    assert bounded.each(["a"], lambda _place: "x" * 1_000_000).found == {"a": "x" * 1_000_000}


@pytest.mark.parametrize("crash", [lambda _place: 1 / 0, lambda _place: os.kill(os.getpid(), signal.SIGKILL)])
def test_a_defect_of_a_reader_is_no_silence(crash: Any) -> None:
    with pytest.raises(RuntimeError, match=r"ZeroDivisionError|without an answer"):
        bounded.each(["a"], crash)


def test_the_whole_is_returned() -> None:
    assert bounded.whole(lambda at: at("x") or {"a": [1, None]}, 30) == {"a": [1, None]}


def test_the_whole_says_what_it_was_at() -> None:
    with no_hang(), pytest.raises(bounded.HungError) as told:
        bounded.whole(lambda at: (at("/a", 30), at("/b", 0.1), hang()), 30)
    assert (told.value.at, told.value.seconds) == ("/b", 0.1)
    with no_hang(), pytest.raises(bounded.HungError) as told:
        bounded.whole(lambda at: (at("/a", 30), at("a tool"), hang()), 0.2)
    assert (told.value.at, told.value.seconds) == ("a tool", 0.2)
    assert children() == set()


def test_steps_that_go_on_have_the_limit_of_the_whole_all_the_same() -> None:
    def work(at: Any) -> None:
        while True:
            at("/a", 10)
            time.sleep(0.01)

    with no_hang(), pytest.raises(bounded.HungError):
        bounded.whole(work, 0.3)


def test_a_program_that_hangs_ends_with_its_reader(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    argv = ["sh", "-c", f"echo $$ > {file}; exec sleep 600"]
    with no_hang(), pytest.raises(bounded.HungError):
        bounded.whole(lambda _at: command.query(argv, 600), 1)
    until = time.monotonic() + 5
    pid = file.read_text().strip()
    while (Path("/proc") / pid).exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not (Path("/proc") / pid).exists()


def test_nobody_waits_for_the_output_of_a_child_that_hangs(tmp_path: Path) -> None:
    """A child that keeps the module's output open would keep its SSH session open."""
    program = tmp_path / "program.py"
    program.write_text(
        f"import importlib.util, signal\nspec = importlib.util.spec_from_file_location('b', {bounded.__file__!r})\n"
        "bounded = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(bounded)\n"
        "print(bounded.Child(lambda tell: signal.pause()).pid)\n"
    )
    with no_hang(), subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE) as started:
        assert started.stdout
        os.kill(int(started.stdout.read()), signal.SIGKILL)


# --- real file systems ---------------------------------------------------------------------------------------------


@pytest.fixture
def dead(tmp_path: Path) -> Any:
    """A folder on a file system that never answers, and the others beside it."""
    place = tmp_path / "dead"
    place.mkdir()
    with silent(place):
        assert is_hanging(place)
        yield place


def test_a_real_mount_that_hangs(dead: Path, tmp_path: Path) -> None:
    with no_hang():
        looked = bounded.each([str(dead), str(tmp_path)], os.listdir, 0.5)
    assert (looked.hung, looked.found) == ([str(dead)], {str(tmp_path): ["dead"]})


@pytest.mark.parametrize("which", ["ascend_root", "tmp_dir", "state_dir", "cann_root"])
def test_the_facts_end_and_name_the_place_that_hangs(
    dead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    monkeypatch.setattr(system, "DISK_S", 0.5)
    fields = ("cann_root", "ascend_root", "cache_dir", "state_dir", "tmp_dir")
    places = Places(**{name: str(dead if name == which else tmp_path / name) for name in fields})
    here = answers.node(tmp_path, names=())
    with no_hang(), pytest.raises(AscendError) as told:
        facts.collect_in_time(20, here._replace(root="/"), places, ["system", "cann", "python"], 5)
    assert told.value.where == str(dead)
    assert silence("n", str(told.value), True, "-i x")["name"] == "timeout", "as a drift check tells it"
    assert f"findmnt -T {dead}" in told.value.remedy


def test_facts_in_time_are_the_facts(tmp_path: Path) -> None:
    here = answers.node(tmp_path, names=())
    places = Places(*["/usr/local/Ascend"] * 5)
    what = (places, ["cann", "python"], 5)
    assert facts.collect_in_time(60, here, *what) == facts.collect(here, *what)


def test_a_wrong_question_is_refused_as_without_a_child(tmp_path: Path) -> None:
    here: Node = answers.node(tmp_path, names=())
    with pytest.raises(AscendError, match="not the name of a kernel setting"):
        facts.collect_in_time(60, here, Places(*["/x"] * 5), ["system"], 5, False, ["../x"])


@pytest.mark.parametrize("which", ["ascend_root", "cache_dir", "state_dir", "cann_root"])
@pytest.mark.parametrize("module", [ascend_remove, ascend_record])
def test_a_module_that_looks_ends_where_a_place_hangs(
    dead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, module: Any
) -> None:
    """The look of a removal, and a record."""
    places = {name: str(dead if name == which else tmp_path / name) for name in Places.__annotations__}
    monkeypatch.setattr(module, "LIMIT_S", 3.0)
    monkeypatch.setattr(module, "Node", lambda *_: answers.node(tmp_path, names=())._replace(root="/"))
    said: dict[str, Any] = {}

    class EndedError(Exception):
        """The module's exit."""

    def end(**result: Any) -> None:
        said.update(result)
        raise EndedError

    params = {name: option.get("default") for name, option in module.ARGUMENT_SPEC.items()} | places
    module_like = SimpleNamespace(params=params, check_mode=True, fail_json=end, exit_json=end, get_bin_path=None)
    monkeypatch.setattr(module, "AnsibleModule", lambda **_: module_like)
    with no_hang(), pytest.raises(EndedError):
        module.main()
    assert "did not end" in said["msg"]
    assert "found: nothing" in said["msg"]


def test_errors_of_a_reading_are_the_callers() -> None:
    with pytest.raises(AscendError, match="a disk is full"):
        in_time(30, lambda _at: (_ for _ in ()).throw(OSError(28, "No space left on device", "/x")))
