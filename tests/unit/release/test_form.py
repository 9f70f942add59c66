# SPDX-License-Identifier: Apache-2.0
"""release.yml is held to its JSON Schema: by our reader, with line and remedy, as by jsonschema."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann.layouts import LAYOUTS
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release import form
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import read_release
from tests.contract.tree import ROOT

RELEASES = sorted((ROOT / "releases").glob("*/release.yml"))
SCHEMA = json.loads(form.SCHEMA.read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
TEXT = (ROOT / "releases" / "8.2.RC1" / "release.yml").read_text()
RELEASE = yaml.safe_load(TEXT)


def places(document: Any) -> set[tuple[Any, ...]]:
    """Where jsonschema sees something wrong. It names a key that it does not know at the mapping, we at the key."""
    return {tuple(error.absolute_path) for error in VALIDATOR.iter_errors(document)}


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["cann"]["properties"]["layout"]["enum"] == list(LAYOUTS)


def test_our_reader_knows_every_word_of_the_schema() -> None:
    def words(schema: Any) -> Iterator[str]:
        yield from schema
        for word, part in schema.items():
            if word in ("properties", "$defs"):
                for each in part.values():
                    yield from words(each)
            elif word == "allOf":
                for each in part:
                    yield from words(each)
            elif isinstance(part, dict) and word != "dependentRequired":
                yield from words(part)

    others = {"type", "then", "$ref", "$defs", "$schema", "$id", "title"}
    assert set(words(SCHEMA)) - set(form._CHECKS) - others == set()


@pytest.mark.parametrize("path", RELEASES, ids=lambda path: path.parent.name)
def test_every_release_is_in_its_form(path: Path) -> None:
    release = yaml.safe_load(path.read_text())
    assert places(release) == set()
    assert list(form.problems(release)) == []


SHA = "b102eaf865eb715aa98a8a2ef19037b6cc3ae7dfd4a632802650f29de635aa13"
MISTAKES = [
    # (in the text of 8.2.RC1, in its place, words of the error, what stands in the line that it names)
    ("  depot: ", "  depto: ", "python.depto: no such key; did you mean depot?", "  depto: "),
    ("\nlocks:", "\nlock:", "lock: no such key; did you mean locks?", "lock:"),
    (
        'tested_maximum: "0.9.3"',
        'tested_max: "0.9.3"',
        "tested_max: no such key; did you mean tested_maximum?",
        "llamafactory",
    ),
    ("zip_sha256: c938", "zip_sha_256: c938", "zip_sha_256: no such key; did you mean zip_sha256?", "zip_sha_256"),
    (
        'series: "3.11"',
        "series: 3.11",
        'python.series: expected text in quotes, found 3.11 without quotes: write "3.11"',
        "series",
    ),
    ('depot: "3.11.7"', "depot: 3.11", 'found 3.11 without quotes: write "3.11"', "depot"),
    (
        'release: "8.2.RC1"',
        "release: 8.2",
        'release: expected text in quotes, found 8.2 without quotes: write "8.2"',
        "release",
    ),
    (SHA, SHA[:-1], "63 characters", SHA[:-1]),
    (SHA, SHA.upper(), "expected ^[0-9a-f]{64}$", SHA.upper()),
    (
        "    aarch64:\n      file: Ascend-cann-toolkit",
        "    arm64:\n      file: Ascend-cann-toolkit",
        "packages.toolkit: aarch64 is missing",
        "toolkit:",
    ),
    (
        "      x86_64:\n        file: Ascend-cann-kernels",
        "      x86-64:\n        file: Ascend-cann-kernels",
        "packages.kernels.910b.x86-64: no such key; did you mean x86_64?",
        "x86-64",
    ),
    (
        "locks:\n  aarch64: lock-aarch64.txt\n  x86_64: lock-x86_64.txt",
        "locks: {}",
        "locks: expected at least one",
        "locks: {}",
    ),
    (
        "  layout: ascend-toolkit",
        "  layout: later",
        "cann.layout: expected ascend-toolkit or cann, found 'later'",
        "layout: later",
    ),
    (
        "  layout: ascend-toolkit",
        "  layout:",
        "cann.layout: expected ascend-toolkit or cann, found nothing",
        "layout:",
    ),
    ("    supported: true", '    supported: "true"', "expected true or false, found 'true'", 'supported: "true"'),
    ("    supported: true", "    supported: false", "chips.910b: reason is missing", '"910b"'),
    ("  cache: 8000", '  cache: "8000"', "disk_mb.cache: expected a whole number", "cache:"),
    ("  cache: 8000", "  cache: -1", "expected 0 or more", "cache:"),
    ("  cache: 8000\n", "", "disk_mb: cache is missing", "disk_mb"),
    ("https://ascend-repo", "htp://ascend-repo", ", found 'htp:", "htp:"),
    ("lock-aarch64.txt", "../lock-aarch64.txt", "found '../lock-aarch64.txt'", "../lock"),
]


@pytest.mark.parametrize(("right", "wrong", "words", "line"), MISTAKES, ids=[wrong[:30] for _, wrong, _, _ in MISTAKES])
def test_a_mistake_is_refused_with_its_line(right: str, wrong: str, words: str, line: str, tmp_path: Path) -> None:
    assert right in TEXT
    mistaken = TEXT.replace(right, wrong, 1)
    assert places(yaml.safe_load(mistaken)), "by the schema"
    path = tmp_path / "mine" / "release.yml"
    path.parent.mkdir()
    path.write_text(mistaken)
    with pytest.raises(AscendError, match="does not match its schema") as raised:
        read_release(str(path.parent))
    assert words in raised.value.found, raised.value.found
    named = {mistaken.splitlines()[int(number) - 1] for number in re.findall(r"line (\d+),", raised.value.found)}
    assert any(line in each for each in named), named
    assert re.fullmatch(re.escape(str(path)) + r":\d+", raised.value.where)


def test_what_is_no_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "release.yml").write_text('release: "8.2\ncann: {')
    with pytest.raises(AscendError, match=r"release\.yml is not YAML; .*line 1") as raised:
        read_release(str(tmp_path))
    assert raised.value.where == str(tmp_path / "release.yml")


@pytest.mark.parametrize("document", [None, [], "8.2.RC1", 8.2, {}], ids=str)
def test_what_is_no_release_at_all(document: Any, tmp_path: Path) -> None:
    (tmp_path / "release.yml").write_text(yaml.safe_dump(document))
    with pytest.raises(AscendError, match="does not match its schema"):
        read_release(str(tmp_path))


def test_a_number_as_a_key_is_to_be_quoted() -> None:
    """JSON has no such keys, so jsonschema does not look at them."""
    release = copy.deepcopy(RELEASE)
    release["packages"]["kernels"][910] = release["packages"]["kernels"].pop("910b")
    assert [str(problem) for problem in form.problems(release)] == [
        'packages.kernels.910: a key is text in quotes: write "910"'
    ]


def spots(node: Any, keys: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = [spot for key, each in node.items() for spot in spots(each, (*keys, key))] if isinstance(node, dict) else []
    return [keys, *below] if keys else below


SPOTS = spots(RELEASE)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 9),
    st.floats(0.1, 9.9).filter(lambda number: number % 1 != 0),
    st.text(max_size=6),
    st.just({}),
    st.just([]),
    st.sampled_from(["3.11", "8.0", "a" * 64, "cann", "https://x.test/a", RELEASE["locks"], RELEASE["python"]]),
)

CHANGE = st.tuples(st.sampled_from(SPOTS), st.sampled_from(["set", "drop", "rename"]), VALUES, st.text(max_size=5))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(SPOTS), st.sampled_from(["set", "drop", "rename"]), VALUES, st.text(max_size=5)),
        max_size=3,
    )
)
def test_our_reader_and_jsonschema_agree(changes: list[tuple[tuple[str, ...], str, Any, str]]) -> None:
    release = copy.deepcopy(RELEASE)
    for keys, change, value, name in changes:
        part = release
        for key in keys[:-1]:
            part = part[key] if isinstance(part, dict) and isinstance(part.get(key), dict) else {}
        if change == "set":
            part[keys[-1]] = copy.deepcopy(value)
        elif keys[-1] in part:
            kept = part.pop(keys[-1])
            if change == "rename":
                part[keys[-1] + name] = kept
    if "\n" in json.dumps(release, ensure_ascii=False) or "\\n" in json.dumps(release):
        return  # "$" of a pattern takes a line's end at the end of a text; ours does not
    ours = {problem.keys for problem in form.problems(release)}
    theirs = places(release)
    assert bool(ours) == bool(theirs)
    assert theirs <= ours | {keys[:-1] for keys in ours}
