# SPDX-License-Identifier: Apache-2.0
"""What a training run does, in words; which error of its log came first; which keys a config may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.action.train_job import new_lines
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train import config, job
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.train.words import (
    devices,
    exit_words,
    training_text,
)

RUN: dict[str, Any] = {
    "name": "my",
    "state": "running",
    "account": "alice",
    "began": "2026-01-31T23:59:59Z",
    "because": "",
    "code": None,
    "error": "",
    "last": ["one", "two"],
    "log": "/log",
    "progress": {"current_steps": 5, "total_steps": 10, "loss": 1.5, "remaining_time": "0:01:00"},
}


def test_a_run_at_work() -> None:
    lines = training_text(RUN).splitlines()
    assert lines == [
        "my: running, as alice, started 2026-01-31T23:59:59Z",
        "step 5 of 10, loss 1.5, 0:01:00 left",
        "its log: /log",
    ]


def test_a_run_that_failed_shows_the_first_error_and_what_it_means() -> None:
    failed = {**RUN, "state": "failed", "code": 1, "error": "RuntimeError: EI0006: getting socket times out"}
    text = training_text(failed)
    assert "the first error: RuntimeError: EI0006" in text
    assert "next: " in text
    assert "  two" in text


def test_one_that_another_node_ended_points_there() -> None:
    text = training_text({**RUN, "state": "failed", "code": -15, "because": "rank 2 ended with code 1"})
    assert "ended, because rank 2 ended with code 1" in text
    assert "exit code" not in text


@pytest.mark.parametrize(
    ("given", "wanted"), [([], []), ("[0, 1]", [0, 1]), ("3", [3]), (2, [2]), (["1", 0], [0, 1]), ("", []), ("[]", [])]
)
def test_devices_with_e_are_text(given: Any, wanted: list[int]) -> None:
    assert devices(given) == wanted


@pytest.mark.parametrize("given", ["0-3", "all", ["x"], "1;2", {"a": 1}])
def test_what_is_no_list_of_devices_is_refused(given: Any) -> None:
    with pytest.raises(AscendError, match="train_devices"):
        devices(given)


def test_following_shows_each_line_once() -> None:
    assert new_lines(["a", "b"], []) == ["a", "b"]
    assert new_lines(["a", "b", "c"], ["a", "b"]) == ["c"]
    assert new_lines(["b", "c", "d"], ["a", "b", "c"]) == ["d"]
    assert new_lines(["x", "y"], ["a", "b"]) == ["x", "y"]
    assert new_lines(["a"], ["a"]) == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", ".x", "a b", "x" * 65, "$(id)"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(AscendError, match="train_name"):
        job.place("/state", name)


def environment(tmp_path: Path, fields: int) -> str:
    site = tmp_path / "env/lib/python3.10/site-packages"
    for name, prefix in (("llamafactory/hparams/data_args.py", "data"), ("transformers/training_args.py", "train")):
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        body = "\n".join(f"    {prefix}_{number}: int = 0" for number in range(fields))
        path.write_text(f"learning_rate: float = 1\n\nclass A:\n{body}\n    def f(self):\n        local: int = 3\n")
    (site / "transformers/training_args_seq2seq.py").write_text("class B:\n    predict: bool = False\n")
    return str(tmp_path / "env")


def test_keys_are_the_fields_of_the_classes(tmp_path: Path) -> None:
    keys = config.known_keys(environment(tmp_path, 60))
    assert keys is not None
    assert len(keys) == 121
    assert config.unknown({"data_1": 1, "predcit": 2, "zzz": 3}, keys) == {"predcit": ["predict"], "zzz": []}


def test_where_they_cannot_be_read_nothing_is_known(tmp_path: Path) -> None:
    assert config.known_keys(str(tmp_path)) is None
    assert config.known_keys(environment(tmp_path, 3)) is None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "exit code 1"),
        (-9, "exit code -9: ended by SIGKILL"),
        (137, "exit code 137: ended by SIGKILL"),
        (247, "exit code 247: ended by SIGKILL"),
        (143, "exit code 143: ended by SIGTERM"),
        (127, "exit code 127"),
        (255, "exit code 255"),
        (None, "exit code None"),
    ],
)
def test_a_code_that_tells_of_a_signal_is_read(code: Any, words: str) -> None:
    assert exit_words(code) == words
