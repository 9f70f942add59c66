# SPDX-License-Identifier: Apache-2.0
"""Programs with a time limit: what they print, how they end, and that nothing of them stays."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import command
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import run
from tests.hangs import no_hang


def test_output_and_code() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], 10)
    assert (done.code, done.output.split(), done.timed_out) == (3, ["out", "err"], False)


def test_a_program_that_is_not_there() -> None:
    done = run(["/nowhere/npu-smi"], 10)
    assert done.code == 127
    assert "/nowhere/npu-smi" in done.output


def test_bytes_that_are_no_text() -> None:
    assert run(["printf", r"a\377b"], 10).output == "a�b"


def test_it_has_no_standard_input_and_a_known_locale() -> None:
    done = run(["sh", "-c", "cat; echo $LC_ALL; umask; echo ${HOME-none}"], 10, env={"PATH": "/usr/bin:/bin"})
    assert done.output.split() == ["C.UTF-8", "0022", "none"]


def test_a_hung_program_ends_with_its_children(tmp_path: Path) -> None:
    file = tmp_path / "child"
    done = run(["sh", "-c", f"(trap '' TERM; sleep 600) & echo $! > {file}; echo waiting; wait"], 0.5)
    assert done.timed_out
    assert done.output == "waiting\n"
    until = time.monotonic() + 5
    while alive(int(file.read_text())) and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive(int(file.read_text()))


def alive(pid: int) -> bool:
    """Whether a process is there, and not a zombie that whoever inherited it has not collected yet."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_daemon_that_it_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "daemon"
    done = run(["sh", "-c", f"sleep 600 & echo $! > {file}; echo started"], 10)
    os.kill(int(file.read_text()), signal.SIGKILL)
    assert (done.code, done.output, done.timed_out) == (0, "started\n", False)


def test_a_program_that_ignores_being_asked_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "GRACE_S", 0.2)
    done = run(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], 0.2)
    assert done.timed_out


def test_what_hangs_in_the_kernel_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof that waits for the driver, in state D: no signal reaches it."""
    asked: list[int] = []
    monkeypatch.setattr(command, "GRACE_S", 0.1)
    monkeypatch.setattr(os, "killpg", lambda pid, _number: asked.append(pid))
    with no_hang():
        result = run(["sleep", "600"], 0.2)
    os.kill(asked[0], signal.SIGKILL)
    assert (result.timed_out, len(asked)) == (True, 2)


def test_a_question_that_is_answered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LOOK_S", 0.01)
    done = command.query(["yes"], 60)
    assert (done.code, done.timed_out) == (-signal.SIGKILL, False)
    assert len(done.output) == command.MOST_ANSWER


def test_a_question_is_asked_in_locale_c() -> None:
    assert command.query(["sh", "-c", "echo $LC_ALL $LANG ${LANGUAGE:-none}"], 10).output == "C C none\n"


def test_the_last_lines() -> None:
    done = run(["sh", "-c", "for n in 1 2 3 4; do echo $n; done"], 10, cwd=os.sep)
    assert done.last_lines(2) == "3\n4"


PRELOAD = (
    "ERROR: ld.so: object '/lib64/libonion.so' from /etc/ld.so.preload cannot be preloaded"
    " (cannot open shared object file): ignored."
)


def test_a_question_s_answer_is_apart_from_what_others_say() -> None:
    done = command.query(["sh", "-c", f'echo "{PRELOAD}" >&2; echo yes; echo broken >&2'], 10)
    assert (done.output, done.answer) == ("yes\n", "yes\n")
    assert done.printed == "yes\nbroken\n"
    assert done.last_lines(1) == "broken"
    assert "ld.so" in done.errors


def test_a_question_without_an_answer_has_the_words_of_its_error() -> None:
    done = command.query(["sh", "-c", f'echo "{PRELOAD}" >&2; echo no such card >&2; exit 1'], 10)
    assert (done.output, done.answer) == ("", "no such card\n")
    assert command.query(["sh", "-c", f'echo "{PRELOAD}" >&2'], 10).answer == ""


def test_an_error_output_without_end_ends_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LOOK_S", 0.01)
    assert command.query(["sh", "-c", "yes >&2"], 60).code == -signal.SIGKILL


def test_a_program_of_another_account_has_nothing_of_roots() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")
    done = run(["sh", "-c", "id -u; id -g; id -G; umask"], 10, account=command.Account("x", 4001, 4002, (4002, 4003)))
    assert done.output.split() == ["4001", "4002", "4002", "4003", "0022"]


def test_an_account_that_cannot_be_taken_is_a_failure_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a caller who is not root; nothing runs as somebody else than was said."""

    def refuses(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setgroups", refuses)
    done = run(["echo", "ran"], 10, account=command.Account("x", 4001, 4002, (4002,)))
    assert (done.code, "ran" in done.output) == (127, False)
