# SPDX-License-Identifier: Apache-2.0
"""Editable checkouts in an environment: their commit, edits of their files, and ones that nobody recorded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests import environment_tree as tree
from tests.unit.environment.environment_facts import ROOT, editable, names, one, read, record, site, whole, words


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return whole(tmp_path)


def test_an_editable_checkout_and_its_commit(place: Path, tmp_path: Path) -> None:
    source = f"{ROOT}/{tree.NAME}/src/LLaMA Factory"
    editable(place, source.replace(" ", "%20"))
    record(place, editable={"fire": source}, cann_home=tree.HOME)
    assert words(one(tmp_path)) == [f"fire: its source {source} is missing"]
    git = tmp_path / source.lstrip("/") / ".git"
    git.mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# pack-refs with: peeled\n" + "a" * 40 + " refs/heads/main\n")
    found = one(tmp_path)
    assert (found["editable"], found["commit"]) == ({"fire": source}, {"fire": "a" * 40})


def test_an_egg_link(place: Path, tmp_path: Path) -> None:
    source = tmp_path / "src/tool"
    (source / "tool.egg-info").mkdir(parents=True)
    (source / "tool.egg-info/PKG-INFO").write_text("Name: tool\nVersion: 3\n")
    (site(place) / "tool.egg-link").write_text("/src/tool\n.")
    (site(place) / "easy-install.pth").write_text("/src/tool\n./inside\n")
    found = one(tmp_path)
    assert found["editable"] == {"tool": "/src/tool"}
    assert found["difference"]["extra"] == {"tool": "3"}
    assert words(found) == ["tool.egg-link points to /src/tool", "tool is an editable checkout of /src/tool"]


SOURCE = f"{ROOT}/{tree.NAME}/src/LLaMA-Factory"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The checkout in an environment that was built with one."""
    tree.python(tmp_path)
    files = {f"src/llamafactory/part{number}.py": "x = 1\n" for number in range(9)}
    place = tree.environment(tmp_path, {**tree.PINS, "llamafactory": "0.9.1"})
    return tree.checkout(tmp_path, place, files)


def test_a_checkout_as_it_was_unpacked(checkout: Path, tmp_path: Path) -> None:
    (checkout / "saves").mkdir()
    (checkout / "saves/result.json").touch()
    for deep in (False, True):
        facts, findings = read(tmp_path, deep)
        assert findings == []
        assert facts["all"][tree.NAME]["sources"] == {
            "llamafactory": {
                "path": SOURCE,
                "commit": None,
                "recorded_commit": None,
                "archive": "0" * 64,
                "recorded": True,
                "edited": [],
                "edited_count": 0,
            }
        }
        assert facts["all"][tree.NAME]["problems"] == []


def test_edits_are_a_finding_and_no_problem_of_the_environment(checkout: Path, tmp_path: Path) -> None:
    for number in range(7):
        (checkout / f"src/llamafactory/part{number}.py").write_text("mine")
    found, findings = read(tmp_path)
    source = found["all"][tree.NAME]["sources"]["llamafactory"]
    files = [f"src/llamafactory/part{number}.py" for number in range(5)]
    assert (source["edited"], source["edited_count"]) == (files, 7)
    assert (found["all"][tree.NAME]["problems"], found["all"][tree.NAME]["difference_count"]) == ([], 0)
    (finding,) = findings
    assert (finding["name"], finding["where"]) == ("environment-source-edited", SOURCE)
    assert finding["found"] == ", ".join(files) + " and 2 more"


def test_only_the_deep_form_reads_a_checkout_in_full(checkout: Path, tmp_path: Path) -> None:
    path = checkout / "src/llamafactory/part0.py"
    before = path.stat()
    path.write_text("x = 2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert names(tmp_path) == []
    assert names(tmp_path, True) == ["environment-source-edited"]


def test_another_commit_is_a_finding_and_no_problem_of_the_environment(checkout: Path, tmp_path: Path) -> None:
    (checkout / ".git").mkdir()
    (checkout / ".git/HEAD").write_text("a" * 40)
    found, findings = read(tmp_path)
    source = found["all"][tree.NAME]["sources"]["llamafactory"]
    assert (source["commit"], source["recorded_commit"], source["edited_count"]) == ("a" * 40, None, 0)
    assert found["all"][tree.NAME]["problems"] == []
    (finding,) = findings
    assert (finding["name"], finding["where"]) == ("environment-source-commit", SOURCE)


@pytest.mark.parametrize("text", [None, "", '{"files"'])
def test_a_checkout_that_nobody_recorded(checkout: Path, tmp_path: Path, text: str | None) -> None:
    manifest = checkout.parents[1] / ".ascend-fleet-source-llamafactory.json"
    manifest.unlink()
    if text is not None:
        manifest.write_text(text)
    found = one(tmp_path)
    assert words(found) == ["llamafactory: its checkout has no manifest"]
    assert found["sources"]["llamafactory"]["recorded"] is False
    assert names(tmp_path) == ["environment-half-installed"]


def test_a_checkout_that_is_gone_is_said_once(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout)
    assert names(tmp_path) == ["environment-editable-missing"]
    assert one(tmp_path)["sources"] == {}
