# SPDX-License-Identifier: Apache-2.0
"""Playbooks on a real terminal: what is drawn, what stays, who has the terminal; and plain lines everywhere else."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import rich

from tests.contract.tree import ROOT, SUPPORTED, ansible_core
from tests.unit.terminal.screen import Terminal

pytestmark = pytest.mark.slow

PLAY = """
- name: Ask
  hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.pause: {{prompt: Go on}}
      when: {asks}
- name: Change the nodes
  hosts: ascend
  gather_facts: false
  serial: [1, 100]
  {prompt}
  tasks:
    - name: Show what is kept
      ansible.builtin.debug: {{msg: "the plan of {{{{ ansible_play_batch | length }}}}"}}
      run_once: true
    - name: Install the toolkit
      ansible.builtin.raw: sleep {seconds}
      changed_when: true
    - name: Loop
      ansible.builtin.set_fact: {{x: "{{{{ item }}}}"}}
      loop: [1, 2]
    - name: Prove it
      ansible.builtin.assert:
        that: inventory_hostname != 'npu-3'
        fail_msg: card 3 does not answer, --sk Zq7xK9m4rk
        quiet: true
      throttle: 1  # so that some are well before one is not
    - name: Skip it
      ansible.builtin.debug: {{}}
      when: false
"""
PROMPT = "vars_prompt: [{name: who, prompt: Who are you, private: false}]"
UP = re.compile(rb"\x1b\[\d+A")  # what is drawn over begins so


class Folder:
    def __init__(self, path: Path, nodes: int = 4, seconds: float = 1, asks: bool = False) -> None:
        self.path = path
        here = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
        names = [f"npu-{number} {here}" for number in range(1, nodes + 1)]
        (path / "hosts").write_text("\n".join(["[ascend]", *names, ""]))
        play = PLAY.format(prompt=PROMPT if asks else "", asks=str(asks).lower(), seconds=seconds)
        (path / "play.yml").write_text(play)

    def argv(self, *words: str, tools: Path | None = None) -> list[str]:
        program = (tools or Path(sys.executable).parent) / "ansible-playbook"
        return [str(program), "-i", str(self.path / "hosts"), str(self.path / "play.yml"), *words]

    def environment(self, name: str, more: Mapping[str, str]) -> dict[str, str]:
        known = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR", "COLUMNS", "LINES")}
        log = {"ANSIBLE_LOG_PATH": str(self.path / f"{name}.log")} if name else {}
        return {**known, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **log, **more}

    def terminal(
        self, *words: str, tools: Path | None = None, name: str = "", more: Mapping[str, str] | None = None
    ) -> Terminal:
        return Terminal(self.argv(*words, tools=tools), 80, 24, self.environment(name, more or {}), ROOT)

    def piped(self, *words: str, name: str = "") -> tuple[int, str]:
        done = subprocess.run(
            self.argv(*words), cwd=ROOT, env=self.environment(name, {}), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def log(self, name: str) -> Counter[str]:
        """The lines of a log, without their time."""
        lines = (self.path / f"{name}.log").read_text().splitlines()
        return Counter(re.sub(r"^.*? p=\d+ u=\S+ n=\S+ (\w+\| )?", "", line).rstrip("* ") for line in lines)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.path / name).read_text().splitlines()]


@pytest.fixture(params=["own", *(pytest.param(version, marks=pytest.mark.whole) for version in SUPPORTED)])
def tools(request: pytest.FixtureRequest, tmp_path: Path, cache_dir: Path) -> tuple[Path | None, dict[str, str]]:
    """The programs of an ansible-core, and an environment in which it finds rich."""
    if request.param == "own":
        return None, {}
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    (libraries / "rich").symlink_to(Path(rich.__file__).parent)
    return ansible_core(request.param, cache_dir), {"PYTHONPATH": str(libraries)}


def test_a_run_is_drawn_and_what_matters_stays(tmp_path: Path, tools: tuple[Path | None, dict[str, str]]) -> None:
    folder = Folder(tmp_path, asks=True)
    programs, environment = tools
    events = {"ASCEND_FLEET_EVENTS": str(tmp_path / "events")}
    run = folder.terminal(tools=programs, name="drawn", more={**environment, **events})
    answer_prompts(run)
    run.until(lambda run: "Change the nodes, batch 2 of 2" in "\n".join(run.lines()))
    run.until(lambda run: "1 done   0 failed   0 busy   3 in progress   0 waiting" in run.lines())
    run.until(lambda run: any(re.match(r"  npu-2  Install the toolkit +0:0\d$", line) for line in run.lines()))
    assert run.ends() == 2
    text = "\n".join(run.history())
    kept = [
        "the plan of 1",
        "the plan of 3",
        "card 3 does not answer, --sk ***",
        ", 3 done, 1 failed",
    ]
    assert [words for words in kept if words not in text] == []
    assert [
        words for words in ("in progress", "changed: [", "skipping: ", "Zq7xK9m4rk", "TASK [Loop]") if words in text
    ] == []
    assert text.count("TASK [Prove it] ***") == 1
    assert "npu-3                      : ok=" in text, "the recap"
    happened = folder.events("events")
    jsonschema.Draft202012Validator(json.loads((ROOT / "docs/events.schema.json").read_text())).validate(happened[0])
    for event in happened:
        jsonschema.validate(event, json.loads((ROOT / "docs/events.schema.json").read_text()))
    assert [event["event"] for event in happened if event["event"] != "node"] == ["run_begin", *["play"] * 3, "run_end"]
    assert {(event["node"], event["message"]) for event in happened if event.get("outcome") == "failed"} == {
        ("npu-3", "card 3 does not answer, --sk ***")
    }


def answer_prompts(run: Terminal) -> None:
    for words, answer in (("Go on:", "\r"), ("Who are you: ", "me\r")):
        run.until(lambda run, words=words: words in run.seen.decode())  # type: ignore[misc]  # as it is now
        before = len(run.seen)
        run.wait(1.2)
        assert not UP.search(run.seen[before:]), f"something is drawn beside {words}"
        run.type(answer)


def test_the_log_has_every_line_of_before(tmp_path: Path) -> None:
    folder = Folder(tmp_path, nodes=3, seconds=0)
    drawn = folder.terminal(name="drawn")
    assert drawn.ends() == 2
    code, plain = folder.piped(name="plain")
    assert code == 2
    assert folder.log("plain") - folder.log("drawn") == Counter()
    assert "changed: [npu-2]" in plain
    assert "changed: [npu-2]" in folder.log("drawn")
    assert not UP.search(plain.encode())


@pytest.mark.whole
@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["-v"], {}),
        ([], {"CI": "true"}),
        ([], {"TERM": "dumb"}),
        ([], {"ASCEND_FLEET_VIEW": "plain"}),
        ([], {"ANSIBLE_ENABLE_TASK_DEBUGGER": "false", "AWX_ISOLATED_DATA_DIR": "/nowhere"}),
    ],
)
def test_plain_lines_where_nobody_wants_it_drawn(tmp_path: Path, words: list[str], environment: dict[str, str]) -> None:
    run = Folder(tmp_path, nodes=3).terminal(*words, more=environment)
    assert run.ends() == 2
    assert not UP.search(run.seen)
    assert "changed: [npu-2]" in run.seen.decode()


@pytest.mark.whole
def test_without_rich_it_is_plain_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "libraries" / "rich").mkdir(parents=True)
    (tmp_path / "libraries" / "rich" / "__init__.py").write_text("raise ImportError('no rich')\n")
    run = Folder(tmp_path, nodes=3).terminal(more={"PYTHONPATH": str(tmp_path / "libraries")})
    assert run.ends() == 2
    assert not UP.search(run.seen)
    assert "Traceback" not in run.seen.decode()
    assert "changed: [npu-2]" in run.seen.decode()


def at_work(run: Terminal) -> bool:
    return any("npu-2  Install the toolkit" in line for line in run.lines())


@pytest.mark.whole
def test_interrupted_it_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    run = Folder(tmp_path, seconds=3).terminal()
    run.until(at_work)
    run.type("\x03")
    assert run.ends() == 99
    assert "in progress" not in "\n".join(run.history())
    assert "interrupted" in "\n".join(run.history())
    assert not run.screen.cursor.hidden


@pytest.mark.whole
def test_after_a_stop_it_draws_below(tmp_path: Path) -> None:
    run = Folder(tmp_path, seconds=3).terminal()
    run.until(at_work)
    os.kill(run.process, signal.SIGSTOP)
    run.wait(0.5)
    run.stream.feed(b"[1]+ Stopped\r\n$ fg\r\n")
    os.kill(run.process, signal.SIGCONT)
    assert run.ends() == 2
    assert "$ fg" in run.history()


@pytest.mark.whole
def test_a_terminal_that_is_made_narrow_is_drawn_anew(tmp_path: Path) -> None:
    run = Folder(tmp_path, seconds=4).terminal()
    run.until(at_work)
    run.resize(50, 20)
    run.until(lambda run: any(line.startswith("━") and len(line) == 49 for line in run.lines()))
    assert run.ends() == 2


@pytest.mark.whole
def test_two_hundred_forks_end(tmp_path: Path) -> None:
    run = Folder(tmp_path, nodes=200, seconds=0).terminal(
        "-f", "200", more={"ASCEND_FLEET_EVENTS": str(tmp_path / "events")}
    )
    assert run.ends(most_s=900) == 2
    assert "201 hosts: ok " in "\n".join(run.history())


@pytest.mark.whole
def test_a_pipe_has_a_line_when_nothing_is_shown_for_long(tmp_path: Path) -> None:
    code, said = Folder(tmp_path, nodes=1, seconds=22).piped()
    assert code == 0
    assert re.search(
        r"^Change the nodes: 1 in progress; 0:\d\d, time left unknown; Install the toolkit; slowest: npu-1", said, re.M
    )
