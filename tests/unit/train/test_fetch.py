# SPDX-License-Identifier: Apache-2.0
"""What is fetched of a run: as its account, masked, without what is secret; and what is made of it."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train import fetch, logs
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.train import fetched, loss
from tests.contract.tree import ROOT
from tests.unit.train.accounts import ACCOUNT, open_folder, own
from tests.unit.train.test_checkpoints import checkpoint

TEMPLATES = ROOT / "roles" / "train" / "templates"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="the account that trains is another one")
TOKEN = "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"


class Place:
    """A run's files on a node."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.output = top / "output"
        (top / "out").mkdir()
        self.output.mkdir()
        self.log = self.file(top / "out/log", f"begun with --hf_token {TOKEN}\nValueError: mine\n".encode())
        self.state = self.file(self.output / "trainer_state.json", b'{"global_step": 9, "log_history": []}')
        self.steps = self.file(self.output / "trainer_log.jsonl", b'{"current_steps": 1, "loss": 2.5}\n')
        for each in (top / "out", self.output):
            own(each)
            each.chmod(0o700)

    def file(self, path: Path, content: bytes) -> Path:
        path.write_bytes(content)
        path.chmod(0o600)
        return own(path)

    def read(self, since_s: float = 0.0, rank: int = 0) -> fetch.Brought:
        return fetch.read(fetch.Run(str(self.log), str(self.output), since_s, rank), ACCOUNT)


@pytest.fixture
def place() -> Iterator[Place]:
    with open_folder() as folder:
        yield Place(folder)


def texts(brought: fetch.Brought) -> dict[str, str]:
    return {name: fetch.unpacked(packed) for name, packed in brought.files.items()}


@as_root
def test_the_files_come_masked(place: Place) -> None:
    brought = place.read()
    assert texts(brought) == {
        "log": "begun with --hf_token ***\nValueError: mine\n",
        "trainer_state.json": '{"global_step": 9, "log_history": []}',
        "trainer_log.jsonl": '{"current_steps": 1, "loss": 2.5}\n',
    }
    assert (brought.remarks, brought.error) == ([], "ValueError: mine")


@as_root
@pytest.mark.parametrize("name", ["log", "state", "steps"])
def test_no_link_is_followed_and_nothing_read_that_the_account_may_not(place: Place, name: str) -> None:
    path: Path = getattr(place, name)
    others = place.top / "others"
    others.write_text("not yours")
    for make in (path.symlink_to, path.hardlink_to):
        others.chmod(0o600)
        path.unlink()
        make(others)
        brought = place.read()
        assert path.name not in brought.files
        assert [words for words in brought.remarks if words.startswith(f"{path.name}: ")], brought.remarks
        assert len(brought.files) == 2, "the others come all the same"


@as_root
def test_a_file_that_only_the_account_may_read_comes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file server that knows no root refuses root: here root's own reading is what fails."""
    opened = logs.opened

    def as_daemon(path: str, uid: int | None = None) -> Any:
        return opened(path, uid) if os.geteuid() == ACCOUNT.uid else None

    monkeypatch.setattr(logs, "opened", as_daemon)
    assert set(place.read().files) == {"log", "trainer_state.json", "trainer_log.jsonl"}


@as_root
def test_what_is_no_text_or_no_json_is_named(place: Place) -> None:
    place.file(place.log, b"\xff\xfe begun\n")
    place.file(place.state, b'{"global_step": ')
    place.file(place.steps, b"\x80")
    brought = place.read()
    assert texts(brought)["log"] == "\ufffd\ufffd begun\n"
    assert texts(brought)["trainer_state.json"] == '{"global_step": '
    assert [words.split(" (")[0] for words in brought.remarks] == [
        "log: byte 0 is not UTF-8; such bytes are replaced",
        "trainer_state.json: it is not JSON",
        "trainer_log.jsonl: byte 0 is not UTF-8; such bytes are replaced",
    ]


@as_root
def test_what_is_missing_is_named_where_it_should_be(place: Place) -> None:
    place.state.unlink()
    place.steps.unlink()
    assert [words.split(":")[0] for words in place.read().remarks] == ["trainer_state.json", "trainer_log.jsonl"]
    assert place.read(rank=1).remarks == [], "only rank 0 writes them"
    place.log.unlink()
    assert [words.split(":")[0] for words in place.read(rank=1).remarks] == ["log"]


@as_root
def test_files_of_a_run_before_stay(place: Place) -> None:
    for path in (place.state, place.steps):
        os.utime(path, (1000, 1000))
    brought = place.read(since_s=2000)
    assert set(brought.files) == {"log"}
    assert [words.split(" (")[0].split(": ")[1] for words in brought.remarks] == ["it is from an earlier run"] * 2


@as_root
def test_the_state_is_that_of_the_newest_checkpoint_while_it_trains(place: Place) -> None:
    os.utime(place.state, (1000, 1000))  # of a run before
    for step in (9, 40):
        checkpoint(place.output, step)
    assert json.loads(texts(place.read(since_s=2000))["trainer_state.json"]) == {"global_step": 40}
    os.utime(place.state)
    assert json.loads(texts(place.read(since_s=2000))["trainer_state.json"])["global_step"] == 9, "written at the end"


@as_root
def test_a_large_file_is_named_and_a_large_log_shortened(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST", 1000)
    place.file(place.state, b'{"a": "%s"}' % (b"x" * 2000))
    place.file(place.log, b"begun\n" + b"x" * 5000 + b"\nended\n")
    brought = place.read()
    assert brought.remarks[0].startswith("trainer_state.json: 2009 bytes are too many; at most 1000 are fetched")
    log = texts(brought)["log"]
    assert log.startswith("begun")
    assert f"bytes are left out; all of it: {place.log}" in log
    assert log.endswith("ended\n")


# --- on the control node ------------------------------------------------------------------------------------------

RUN: dict[str, Any] = {
    "name": "my",
    "state": "failed",
    "rank": 0,
    "ended": 100.0,
    "code": 1,
    "because": "",
    "first_rank": None,
    "error": "ValueError: mine",
}


def answer(**changes: Any) -> dict[str, Any]:
    run = {**RUN, **changes}
    return {"run": run, "folder": f"/r/rank-{run['rank']}", "remarks": []}


def test_a_second_fetch_writes_the_same_files(tmp_path: Path) -> None:
    folder = tmp_path / "my" / fetched.node_folder(0, "npu/001")
    assert folder.name == "rank-0-npu_001"
    files = {"log": "a\r\nb \ufffd", "trainer_log.jsonl": "{}\n"}
    assert fetched.write(folder, RUN, files) is True
    assert fetched.write(folder, RUN, files) is False
    assert (folder / "log").read_bytes() == "a\r\nb \ufffd".encode()
    assert json.loads((folder / "train.json").read_text())["error"] == "ValueError: mine"
    assert oct(folder.parent.stat().st_mode & 0o777) == "0o700", "logs quote data"
    (folder / "mine.txt").write_text("a note")
    assert fetched.write(folder, RUN, {"log": "c"}) is True
    assert sorted(each.name for each in folder.iterdir()) == ["log", "mine.txt", "train.json"]


def test_the_first_error_is_that_of_the_rank_that_ended_first() -> None:
    answers = {
        "a": answer(ended=103.0, error="HcclError: later"),
        "b": answer(rank=1, ended=101.0),
        "c": answer(rank=2, ended=100.0, state="done"),
    }
    assert fetched.first_error(answers) == "the first error: rank 1 (b): ValueError: mine"


def test_the_runners_know_better_than_clocks() -> None:
    pointing = {"because": "rank 1 ended with code 5", "first_rank": 1, "error": "ended by a signal"}
    answers = {"a": answer(ended=90.0, **pointing), "b": answer(rank=1, ended=100.0)}
    assert fetched.first_error(answers) == "the first error: rank 1 (b): ValueError: mine"
    del answers["b"]
    assert (
        fetched.first_error(answers)
        == "the first error: rank 1 ended with code 5 (no files were fetched from its node)"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "running"}, ""),
        ({"state": "done"}, ""),
        ({"state": "stopped"}, ""),
        ({"error": ""}, "the first error: rank 0 (a): its log names none; exit code 1"),
        ({"state": "lost", "ended": None}, "the first error: rank 0 (a): ValueError: mine"),
    ],
)
def test_only_what_failed_has_a_first_error(changes: dict[str, Any], words: str) -> None:
    assert fetched.first_error({"a": answer(**changes), "b": {}}) == words


def test_the_summary_names_who_gave_nothing() -> None:
    odd = {**answer(rank=1, state="done"), "remarks": ["log: odd"]}
    answers = {"a": {"msg": "there is none\nmore", "failed": True}, "b": {}, "c": odd}
    assert fetched.lines(answers, "/r/loss.svg") == [
        "a: not fetched: there is none",
        "b: not fetched: it does not answer",
        "c: done, /r/rank-1",
        "  log: odd",
        "the loss: /r/loss.svg",
    ]
    assert fetched.folders({"x": answer(rank=10), "y": answer(rank=9), "z": {}}) == ["/r/rank-9", "/r/rank-10"]


# --- the picture --------------------------------------------------------------------------------------------------


def history(folder: Path, state: Any = None, steps: str = "") -> loss.Points:
    if state is not None:
        (folder / "trainer_state.json").write_text(state if isinstance(state, str) else json.dumps(state))
    (folder / "trainer_log.jsonl").write_text(steps)
    return loss.read(folder)


def test_the_log_of_steps_goes_on_where_the_checkpoint_ends(tmp_path: Path) -> None:
    entries = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}, {"step": 2, "eval_loss": 1.5}, {"train_loss": 1}]
    steps = '{"current_steps": 2, "loss": 7}\n{"current_steps": 3, "loss": 0.5, "eval_loss": null}\n{"current_st'
    found = history(tmp_path, {"log_history": entries}, steps)
    assert found == loss.Points([(1.0, 2.0), (2.0, 1.0), (3.0, 0.5)], [(2.0, 1.5)], 0)


@pytest.mark.parametrize(
    "state", ["", "[", "[" * 5000, "3", {"log_history": {"a": 1}}, {"log_history": [1, None, {"step": "x", "loss": 1}]}]
)
def test_what_is_no_history_has_no_points(tmp_path: Path, state: Any) -> None:
    assert history(tmp_path, state) == loss.Points([], [], 0)


def test_losses_that_are_no_numbers_are_counted(tmp_path: Path) -> None:
    steps = "".join(f'{{"current_steps": {step}, "loss": {value}}}\n' for step, value in enumerate(("NaN", "1e999", 1)))
    found = history(tmp_path, None, steps + '{"current_steps": 4, "loss": 1e300}\n{"current_steps": 1e20, "loss": 1}\n')
    assert found == loss.Points([(2.0, 1.0)], [], 3)


NOISY = [(float(step), 2.0 + (step % 7) / 10) for step in range(1, 5001)]


@pytest.mark.parametrize(
    ("steps", "evals", "odd"),
    [
        ([(1.0, 2.5)], [], 0),
        ([(1.0, 2.5), (2.0, 2.5)], [(2.0, 2.5)], 1),
        (NOISY, [(1000.0, 3.0), (5000.0, 1.0)], 2),
        ([(0.0, 0.0), (1.0, 1e-12)], [], 0),
        ([(1.0, 1e8), (2.0, 1e8 + 1e-4)], [], 0),
        ([(5e11, -3.0), (9e11, 4e8)], [], 0),
    ],
)
def test_every_point_is_within_the_axes(steps: list[loss.Point], evals: list[loss.Point], odd: int) -> None:
    text = loss.draw(loss.Points(steps, evals, odd), "my <&\"'> run", TEMPLATES)
    top = ElementTree.fromstring(text)
    svg = "{http://www.w3.org/2000/svg}"
    lines = [line.get("points", "").split() for line in top.iter(f"{svg}polyline")]
    places = [tuple(map(float, pair.split(","))) for line in lines for pair in line]
    places += [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in top.iter(f"{svg}circle")]
    assert places
    assert all(loss.LEFT <= x <= loss.WIDTH - loss.RIGHT for x, _ in places)
    assert all(loss.TOP <= y <= loss.HEIGHT - loss.BOTTOM for _, y in places)
    words = ["".join(each.itertext()).strip() for each in top.iter(f"{svg}text")]
    assert words[0] == "my <&\"'> run"
    assert ("not a number" in words[1]) == (odd > 0)
    assert ("evaluation loss" in words) == bool(evals)
    assert len(text) < 100_000


def test_the_same_points_give_the_same_text() -> None:
    points = loss.Points(NOISY, [], 0)
    assert loss.draw(points, "my", TEMPLATES) == loss.draw(points, "my", TEMPLATES)


def test_a_peak_and_a_hollow_among_many_points_is_drawn() -> None:
    steps = [(step, 1.0) for step, _ in NOISY]
    steps[3333] = (3334.0, 9.0)
    steps[3335] = (3336.0, 0.0)
    text = loss.draw(loss.Points(steps, [], 0), "my", TEMPLATES)
    top = ElementTree.fromstring(text)
    lines = [line.get("points", "") for line in top.iter("{http://www.w3.org/2000/svg}polyline")]
    heights = [float(pair.split(",")[1]) for pair in lines[0].split()]
    assert (min(heights), max(heights)) == (loss._y(9, loss._axis([0, 9])), loss.HEIGHT - loss.BOTTOM)


@pytest.mark.parametrize(
    ("values", "whole", "ticks"),
    [
        ([1, 50], True, [0, 10, 20, 30, 40, 50]),
        ([1, 2], True, [1, 2]),
        ([3], True, [3, 4]),
        ([0.31, 3.15], False, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]),
        ([2.5], False, [2, 2.2, 2.4, 2.6, 2.8, 3]),
    ],
)
def test_ticks_are_round_and_span_the_values(values: list[float], whole: bool, ticks: list[float]) -> None:
    assert loss._axis(values, whole) == pytest.approx(ticks)
