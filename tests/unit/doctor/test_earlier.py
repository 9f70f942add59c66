# SPDX-License-Identifier: Apache-2.0
"""Reports of earlier tests: what is missing, old, another's or damaged is said, and is never a pass."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.doctor import earlier, proofs
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.doctor.earlier import Earlier

NOW = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
INVENTORY = "-i inventory/prod"


def failure(name: str, **more: str) -> dict[str, str]:
    words = dict.fromkeys(("problem", "wanted", "found", "where"), f"of {name}")
    return {"subset": "rack", "name": name, **words, "remedy": "ansible NODE -m ping", **more}


def written(folder: Path, age: timedelta, found: dict[str, list[dict[str, str]]], **changes: Any) -> str:
    states = [{"name": name, "state": "fail" if each else "pass", "failures": each} for name, each in found.items()]
    made = (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    report = {"schema": "ascend-fleet/preflight", "version": 1, "made": made, "inventory": INVENTORY, "nodes": states}
    path = folder / "report.json"
    path.write_text(json.dumps({**report, "level": "standard", **changes}))
    return str(path)


def read(path: str, old_days: float = 7) -> Earlier:
    return earlier.read("preflight", path, INVENTORY, old_days, NOW)


def test_a_fresh_report_counts(tmp_path: Path) -> None:
    found = read(written(tmp_path, timedelta(hours=3), {"npu-1": [], "npu-2": [failure("port-taken")]}))
    assert (found.state, found.age_s, found.level) == ("fresh", 3 * 3600, "standard")
    assert [found.of(name).state for name in ("npu-1", "npu-2", "npu-3")] == ["pass", "fail", "unknown"]
    (said,) = found.of("npu-2").failures
    assert said["remedy"] == "ansible npu-2 -i inventory/prod -m ping"
    assert "not in the report" in found.of("npu-3").why


def test_an_old_pass_is_none_and_an_old_failure_is_said(tmp_path: Path) -> None:
    found = read(written(tmp_path, timedelta(days=8), {"npu-1": [], "npu-2": [failure("slow")]}))
    assert (found.state, found.of("npu-1").state, found.of("npu-2").state) == ("old", "unknown", "fail")
    assert found.of("npu-1").why == "passed 8 days ago: too old to count"
    assert found.of("npu-2").why == "failed 8 days ago"
    assert read(found.path, old_days=9).of("npu-1").state == "pass"


@pytest.mark.parametrize("name", ["cards-in-use", "being-changed", "not-proven", "no-answer"])
def test_a_node_that_was_not_tested_did_not_fail(tmp_path: Path, name: str) -> None:
    both = {"npu-1": [failure(name)], "npu-2": [failure(name), failure("clock")]}
    found = read(written(tmp_path, timedelta(), both))
    assert (found.of("npu-1").state, found.of("npu-2").state) == ("unknown", "fail")
    assert [each["name"] for each in found.of("npu-2").failures] == ["clock"]


def test_a_node_that_was_silent_did_not_fail(tmp_path: Path) -> None:
    found = read(written(tmp_path, timedelta(), {"npu-1": [failure("host-key", component="access")]}))
    assert found.of("npu-1").state == "unknown"
    assert "of host-key" in found.of("npu-1").why


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inventory": "-i inventory/lab"}, "from another inventory: -i inventory/lab"),
        ({"inventory": ""}, "from another inventory: the default one"),
        ({"version": 2}, "version 2"),
        ({"schema": "ascend-fleet/verify"}, "not a report of playbooks/preflight.yml"),
        ({"made": "2026-03-02T13:00:00Z"}, "made in the future"),
        ({"made": "yesterday"}, "cannot be read: ValueError"),
        ({"nodes": None}, "cannot be read: TypeError"),
        ({"nodes": [{"name": "npu-1"}]}, "cannot be read: KeyError"),
        ({"nodes": [{"name": "npu-1", "state": "fail", "failures": ["x"]}]}, "cannot be read: AttributeError"),
    ],
)
def test_what_cannot_count_is_no_pass_and_says_why(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    found = read(written(tmp_path, timedelta(), {"npu-1": []}, **changes))
    assert (found.state, found.of("npu-1").state, found.age_s) == ("unusable", "unknown", None)
    assert words in found.why


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema": "ascend-fleet/preflight"}'])
def test_a_damaged_file_is_no_pass(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "report.json").write_bytes(content)
    assert read(str(tmp_path / "report.json")).state == "unusable"


@pytest.mark.parametrize("path", ["nosuch/report.json", "."])
def test_what_is_missing_says_so(tmp_path: Path, path: str) -> None:
    found = read(str(tmp_path / path))
    assert (found.state, found.why) == ("missing", "no report; playbooks/preflight.yml makes one")
    assert earlier.counts(found, ["npu-1", "npu-2"]) == {"pass": 0, "fail": 0, "unknown": 2}


# What verify.yml leaves: observed, chosen cards, npu_check's answer -> state, why
CARDS = {"devices": [0, 1], "left_out": []}
PROVEN: dict[str, Any] = {
    "cards": [{"index": 0, "ok": True}, {"index": 1, "ok": True}],
    "account": {"name": "HwHiAiUser"},
}
BAD = {"failed": True, "symptom": "device-start-failed", "problem": "card 1 fails", "found": "507033", "remedy": "x"}


@pytest.mark.parametrize(
    ("observed", "cards", "answer", "state", "why"),
    [
        ({"plan": {}}, CARDS, PROVEN, "pass", ""),
        ({"plan": {}}, CARDS, BAD, "fail", ""),
        ({"plan": {}}, CARDS, {"failed": True, "msg": "boom"}, "unknown", "boom"),
        ({"plan": {}}, CARDS, {**PROVEN, "cards": PROVEN["cards"][:1]}, "unknown", "the proof did not run"),
        ({"plan": {}}, CARDS, {"skipped": True, "cards": []}, "unknown", "the proof did not run"),
        ({"plan": {}}, {"devices": []}, {"cards": []}, "unknown", "no card was proven: none was idle"),
        ({"failed": True, "msg": "a card is sick\n  wanted: x"}, {}, {}, "unknown", "a card is sick"),
        ({"unreachable": True, "msg": "Host key verification failed."}, {}, {}, "unknown",
         "the node's host key is not the one in known_hosts"),
        ({}, {}, {}, "unknown", "no result came back"),
    ],
)  # fmt: skip
def test_only_what_was_proven_passes(observed: Any, cards: Any, answer: Any, state: str, why: str) -> None:
    node = proofs.node("npu-1", observed, cards, answer)
    assert (node["state"], node["why"]) == (state, why)


def test_what_verify_leaves_is_read_again(tmp_path: Path) -> None:
    nodes = [
        proofs.node("npu-1", {}, CARDS, PROVEN),
        proofs.node("npu-2", {}, CARDS, BAD),
        proofs.node("npu-3", {}, {}, {}),
    ]
    made = NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    proofs.write(proofs.document(nodes, {"made": made, "inventory": INVENTORY, "limit": None}), tmp_path / "verify")
    found = earlier.read("verify", str(tmp_path / "verify" / "report.json"), INVENTORY, 7, NOW)
    assert earlier.counts(found, ["npu-1", "npu-2", "npu-3"]) == {"pass": 1, "fail": 1, "unknown": 1}
    assert [each["name"] for each in found.of("npu-2").failures] == ["device-start-failed"]
