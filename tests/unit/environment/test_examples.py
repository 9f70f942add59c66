# SPDX-License-Identifier: Apache-2.0
"""The examples of an environment: written whole, read as they are, and fit for the LLaMA-Factory of each release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import atomic
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import examples
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.places import examples_of

SHIPPED = Path(__file__).resolve().parents[3] / "roles/torch_npu/files/share/llamafactory"
CONTENTS = {"examples/a.yaml": "a: 1\n", "data/b.json": "[]\n"}
CURRENT = "/data/tree/env/current/share/llamafactory/"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    examples.write(str(tmp_path), CONTENTS)
    return tmp_path / examples.FOLDER


def test_what_is_written_is_read(place: Path, tmp_path: Path) -> None:
    assert (place / "examples/a.yaml").read_text() == "a: 1\n"
    assert examples.read(str(tmp_path)) == examples.digest(CONTENTS)
    assert {oct(path.stat().st_mode & 0o777) for path in place.rglob("*") if path.is_file()} == {"0o644"}


def test_none_are_read_where_none_were_written(tmp_path: Path) -> None:
    assert examples.read(str(tmp_path)) is None
    with pytest.raises(AscendError, match="belong in an environment"):
        examples.write(str(tmp_path / "gone"), CONTENTS)
    assert not (tmp_path / "gone").exists()


def edit(place: Path) -> None:
    (place / "examples/a.yaml").write_text("a: 2\n")


def lose(place: Path) -> None:
    (place / "data/b.json").unlink()


def rename(place: Path) -> None:
    (place / "data/b.json").rename(place / "data/c.json")


def empty(place: Path) -> None:
    (place / examples.LIST).write_text("")


@pytest.mark.parametrize("harm", [edit, lose, rename, empty])
def test_what_was_altered_is_another_sum_and_is_written_anew(place: Path, tmp_path: Path, harm: Any) -> None:
    harm(place)
    assert examples.read(str(tmp_path)) != examples.digest(CONTENTS)
    examples.write(str(tmp_path), CONTENTS)
    assert examples.read(str(tmp_path)) == examples.digest(CONTENTS)


def test_only_what_was_ours_goes(place: Path, tmp_path: Path) -> None:
    (place / "examples/own.yaml").write_text("")
    examples.write(str(tmp_path), {"data/b.json": "{}\n"})
    found = sorted(path.name for path in place.rglob("*") if path.is_file())
    assert found == [
        ".ascend-fleet.json",
        "b.json",
        "own.yaml",
    ]


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "a/../../b"])
def test_a_list_leads_to_nothing_outside(place: Path, tmp_path: Path, name: str) -> None:
    (place / examples.LIST).write_text(json.dumps({"files": [name, 3, "data/b.json"]}))
    assert examples.ours(str(tmp_path)) == ["data/b.json"]


@pytest.mark.parametrize("end_at", range(1, 4))
def test_an_interruption_leaves_what_the_next_run_ends(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end_at: int
) -> None:
    wanted = {"examples/a.yaml": "a: 2\n", "examples/c.yaml": "c: 3\n"}
    write, calls = atomic.write, iter(range(1, 10))

    def ended(path: str, text: str) -> None:
        if next(calls) == end_at:
            raise KeyboardInterrupt
        write(path, text)

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "write", ended)
        with pytest.raises(KeyboardInterrupt):
            examples.write(str(tmp_path), wanted)
    assert examples.read(str(tmp_path)) not in (examples.digest(CONTENTS), examples.digest(wanted))
    examples.write(str(tmp_path), wanted)
    assert examples.read(str(tmp_path)) == examples.digest(wanted)


# --- those that are shipped ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> dict[str, str]:
    return examples_of(str(SHIPPED), "/data/tree")


def test_no_other_place_is_named(shipped: dict[str, str]) -> None:
    assert not [name for name, text in shipped.items() if "/opt/ascend" in text]


def named_files(value: Any) -> list[str]:
    return [text for text in value.values() if isinstance(text, str) and text.startswith(CURRENT)]


def test_what_an_example_names_is_there(shipped: dict[str, str]) -> None:
    named = 0
    for name, text in shipped.items():
        if not name.endswith(".yaml"):
            continue
        for path in named_files(yaml.safe_load(text)):
            below = path[len(CURRENT) :]
            assert below in shipped or any(other.startswith(below + "/") for other in shipped), (name, path)
            named += 1
    assert named >= 6


def test_data_sets_are_what_the_examples_name(shipped: dict[str, str]) -> None:
    info = json.loads(shipped["data/dataset_info.json"])
    asked = {
        dataset
        for name, text in shipped.items()
        if name.startswith("examples/train")
        for dataset in yaml.safe_load(text)["dataset"].split(",")
    }
    assert asked == set(info)
    for entry in info.values():
        rows = json.loads(shipped["data/" + entry["file_name"]])
        assert len(rows) >= 10
        assert all(set(row) == {"instruction", "input", "output"} and row["output"] for row in rows)


def test_numbers_are_numbers(shipped: dict[str, str]) -> None:
    """YAML takes 1e-4 for a text; LLaMA-Factory of before 0.9.2 does so too."""
    for name, text in shipped.items():
        if name.startswith("examples/train"):
            assert isinstance(yaml.safe_load(text)["learning_rate"], float), name


def test_inference_does_not_sample(shipped: dict[str, str]) -> None:
    files = [text for name, text in shipped.items() if name.startswith("examples/inference")]
    assert len(files) == 2
    assert all(yaml.safe_load(text)["do_sample"] is False for text in files)


def test_the_readme_names_every_example(shipped: dict[str, str]) -> None:
    readme = shipped["examples/README.md"]
    for name in shipped:
        if name.startswith(("examples/train", "examples/inference")):
            assert name.removeprefix("examples/") in readme, name
