# SPDX-License-Identifier: Apache-2.0
"""Whatever leaves a node or the control node is masked: secrets are planted at every place, and none comes out."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import facts
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import install as cann_install
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import journal
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.depot_file import DepotFile, take
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import build as environment
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import cause, finding, refusal
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_probe import ProbeError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.processes import MOST_CHARACTERS, described
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.record import make as capture
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index, source_key
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import (
    findings as told,
    fleet as fleets,
    history,
    outputs,
    page,
    silence,
    summary,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice import mail, webhooks
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice.message import compose
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice.outcome import outcome_line
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan import components as forms
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.words import fleet_plan, refusal_text
from tests.answers import node, write
from tests.contract.tree import ROOT
from tests.secrets import FORMS, SECRETS, planted
from tests.unit.record.test_make import PLACES, Live

REPAIR = "ansible-playbook site.yml --limit n"
ENTRY = dict.fromkeys(journal.KEYS, "x")
often = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
now_and_then = settings(max_examples=6, deadline=None)

# Forms that a shell starts as a program.
STARTED = re.compile(r"(?:curl|mysql\w*|python|docker|sshpass|x|git|serve|redis-cli|ipmitool|zip|7z|mongosh) [^|'\"]*$")
# What is before a secret may push it anywhere where words are shortened.
long = st.integers(0, 700).map(lambda size: "word " * (size // 5))


@often
@given(planted(), long)
def test_findings_errors_and_plans(plant: tuple[str, str], before: str) -> None:
    text, secret = before + plant[0], plant[1]
    error = AscendError(text, text, text, text, text)
    probe = ProbeError("x", "y", [{"index": 0, "error": text}], found=text)
    every: list[Any] = [
        finding("npu", "x", text, text, text, text, text),
        str(error),
        error.args,
        error.as_dict(),
        failure(error),
        failure(probe),
        failure(OSError(5, "no", text.replace("\0", " "))),
        Result(1, text, False).last_lines(),
        refusal("cann", "x", text, text, text, text, text, text),
        forms.step("toolkit", "install", text, text, text, text, [cause("x", text, text, text, text)]),
        silence.silence("npu-1", text, True, ""),
        silence.silence("npu-1", f"sudo: a password is required\n{text}", False, ""),
    ]
    assert secret not in json.dumps(every, ensure_ascii=False).replace("\\\\", "\\")


@often
@given(planted(), long)
def test_command_lines(plant: tuple[str, str], before: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        write(Path(root), "/proc/7/cmdline", f"{before}{plant[0]}".replace(" ", "\0") + "\0")
        write(Path(root), "/proc/8/cmdline", f"bash\0-c\0{before[:MOST_CHARACTERS]}{plant[0]}\0")
        write(Path(root), "/proc/9/cmdline", f"{before[:MOST_CHARACTERS]}{plant[0]}")
        for pid in (8, 9):
            assert plant[1] not in str(described(node(Path(root)), pid))


@pytest.mark.parametrize("form", [form for form in FORMS if STARTED.match(form)])
def test_words_of_command_lines(form: str, tmp_path: Path) -> None:
    """As /proc shows what a shell started: a NUL between words."""
    for secret in SECRETS:
        write(tmp_path, "/proc/7/cmdline", form.replace("PLANT", secret).replace(" ", "\0") + "\0")
        assert secret not in str(described(node(tmp_path), 7))


def test_a_quoted_word_of_a_command_line_with_blanks_is_masked_whole(tmp_path: Path) -> None:
    write(tmp_path, "/proc/7/cmdline", "x\0--password\0three secret words\0--model\0/data/m\0-c\0a b\0")
    assert described(node(tmp_path), 7)["command"] == "x --password *** --model /data/m -c a b"


@often
@given(planted(), long)
def test_the_journal(plant: tuple[str, str], before: str) -> None:
    with tempfile.TemporaryDirectory() as state:
        journal.append(state, {**ENTRY, "problem": before + plant[0], "to": plant[0]})
        assert plant[1] not in (Path(state) / journal.FILE).read_text()


@now_and_then
@given(planted(), planted())
def test_facts_and_records(plant: tuple[str, str], other: tuple[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        live = Live(root)
        text = plant[0].replace("\0", " ").replace("\n", " ")
        write(root, "/root/.bashrc", f"export PYTHONPATH=/data/x; {text}\n{other[0]}; export PYTHONPATH=/data/y\n")
        write(root, "/proc/4242/cmdline", f"python\0x.py\0{other[0]}\0")
        write(root, f"{PLACES.state_dir}/journal.jsonl", json.dumps({**ENTRY, "problem": text}) + "\n")
        live.answers["npu-smi info -t health -i 1 -c 0"] = f"ERROR: {text}\n"
        live.answers["hccn_tool -i 0 -ip -g"] = f"failed: {text}\n"
        live.answers["dmesg"] = f"davinci {other[0]}\n" * 5000
        live.answers["npu-smi info -l"] = f"{text}\n{other[0]}\n"
        found = facts.collect(Node(live.run, live.find, str(live.root)), PLACES, ["all"], 5)
        made = capture.make(Node(live.run, live.find, str(live.root)), PLACES, 5)
        plain = capture.parse(made)
        for secret in (plant[1], other[1]):
            assert secret not in json.dumps(found, ensure_ascii=False)
            assert not [section.title for section in plain.sections if secret in section.content]
            assert secret not in made.replace("\\\n| ", "")
        assert "PYTHONPATH=/data/x" in json.dumps(found)


@now_and_then
@given(planted())
def test_installers_and_uv_that_fail(plant: tuple[str, str]) -> None:
    def run(argv: list[str], timeout_s: float, **_: Any) -> Result:
        return Result(1, f"ERROR: cannot go on\nERROR: {plant[0]}\n", False)

    with tempfile.TemporaryDirectory() as folder:
        uv = DepotFile(f"http://depot/{plant[0]}", "0" * 64, 1)
        wanted = environment.Wanted(folder, "8", "/python", "/cann", "", "0", f"http://{plant[0]}", uv, None, folder, 5)
        package = cann_install.Package("toolkit", "8.0.RC1", None, folder, folder, folder, folder, None, 5)
        found = cann_install.observe(package)
        errors = [cann_install._failure(package, "/x.run", run([], 1), found, "a toolkit")]
        with pytest.raises(AscendError) as caught:
            environment._uv(wanted, run, ["uv"])
        errors.append(caught.value)
    assert plant[1] not in " ".join(str(failure(error)) for error in errors)


@pytest.mark.parametrize("secret", SECRETS)
def test_the_depot(secret: str, tmp_path: Path) -> None:
    for url in (
        f"http://fleet:{secret}@127.0.0.1:9/x",
        f"http://127.0.0.1:9/x?token={secret}",
        f"file:///x/{secret}@/y",
    ):
        with pytest.raises(AscendError) as caught:
            take(DepotFile(url, "0" * 64, 1, f"http://alice:{secret}@127.0.0.1:9"), str(tmp_path))
        assert secret not in str(caught.value).replace(f"file:///x/{secret}", "").replace(f"/x/{secret}@", "")
    source = {"url": f"https://oauth2:{secret}@git.corp.test/a.git", "version": "v0.9.1"}
    assert source_key(source) == "url=https://git.corp.test/a.git version=v0.9.1"
    assert Index(tmp_path).content["schema"]


@often
@given(planted(), planted())
def test_the_drift_checks_report_and_notices(plant: tuple[str, str], other: tuple[str, str]) -> None:
    text = f"{plant[0]} {other[0]}"
    plan: Any = {
        "steps": [forms.step("toolkit", "install", text, text, text, text)],
        "refusals": [{**refusal("cards", "x", "", "", "", ""), "problem": text, "found": text, "remedy": text}],
        "warnings": [{**refusal("system", "y", "", "", "", ""), "problem": text, "where": text}],
    }
    planned: Any = {**plan, "refusals": [], "warnings": [], "remarks": [], "busy": None, "group": ""}
    components = fleets.chosen(None)
    drifted = {
        **fleets.unchecked("npu-1", text, True, {}, components, ""),
        "findings": told.findings("npu-1", plan, REPAIR),
        "groups": ["ascend"],
        "seconds": 1.0,
    }
    silent = {**fleets.unchecked("npu-2", text, False, {}, components, ""), "groups": ["ascend"], "seconds": None}
    run = {"made": "2026-03-02T01:30:00Z", "seconds": 1.0, "inventory": [], "limit": None, "deep": False}
    report = fleets.fleet([drifted, silent], {**run, "components": components})
    with tempfile.TemporaryDirectory() as folder:
        history.update(Path(folder) / "history.sqlite", report)
        kept = (Path(folder) / "history.sqlite").read_bytes().decode("utf-8", "replace")
    lines = summary.lines(report, "/reports")
    message = compose(report, "\n".join([*lines, text]), "https://u:geheim99x@reports.corp.test/", False)
    hooks = [{"form": form, "url": "https://x/y"} for form in webhooks.FORMS]
    every = [
        kept,
        outputs.fleet_json(report),
        outputs.junit(report),
        outputs.prometheus(report),
        page.render(report, ROOT / "roles/drift/templates"),
        *lines,
        str(webhooks.requests(hooks, message, 0)),
        mail.letter(message, "a@example.com", "b@example.com", 0),
        outcome_line(hooks, [{"msg": text, "status": -1}], "a@x", "b@x", {"rc": 1, "stderr": text}, 5),
        *fleet_plan({"npu-1": planned}),
        refusal_text([refusal("cards", "x", text, text, text, text)]),
    ]
    for secret in (plant[1], other[1], "geheim99x"):
        assert not [piece[:200] for piece in every if secret in piece]


def test_a_secret_that_is_cut_in_two_is_masked_before() -> None:
    secret = "Zq7xK9m4rkW2Zq7xK9m4rkW2"
    head = f"{'a' * capture.MOST_OUTPUT} --token {secret} "
    text = head + "b" * (capture.MOST_OUTPUT // 2 - len(secret) // 2)
    section = capture._command_section(["npu-smi"], Result(0, text, False), 0.0)
    assert section.about["cut"] > capture.MOST_OUTPUT
    assert secret[-8:] not in section.content
