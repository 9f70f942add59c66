# SPDX-License-Identifier: Apache-2.0
"""A record as text: whatever it holds is read back exactly, and a record that was cut or changed says so."""

from __future__ import annotations

import re

from hypothesis import given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.record import make as record, text as record_text
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.record.text import Section

text_of_any_kind = st.text(alphabet=st.characters(codec=None, exclude_categories=()), max_size=60)


line_like = st.text(alphabet="|=@ \\\t\r\n>#ax\u00e9\u2028\x85\udc85\U0001f600", max_size=60)


sections_of_any_kind = st.lists(
    st.builds(
        Section,
        st.one_of(text_of_any_kind, line_like),
        st.dictionaries(st.sampled_from(["kind", "path", "argv"]), st.one_of(line_like, st.integers(), st.none())),
        st.one_of(
            text_of_any_kind, line_like, st.binary(max_size=60).map(lambda b: b.decode("utf-8", "surrogateescape"))
        ),
    ),
    max_size=4,
)


@settings(max_examples=400, deadline=None)
@given(sections_of_any_kind)
def test_any_content_is_read_back_exactly(sections: list[Section]) -> None:
    text = record_text.write({"schema": 1}, ["words"], sections)
    text.encode("utf-8")
    for form in (
        text,
        text.replace("\n", "\r\n"),
        text.rstrip(),
        re.sub("(?m)^", "> ", text),
        f"Hi,\n\n{text}\n-- \nme",
    ):
        read = record.parse(form)
        assert read.problems == ()
        assert list(read.sections) == sections


@settings(deadline=None)
@given(st.integers(2, 40), st.sampled_from("a \\\t\u4e2d"))
def test_long_lines_are_folded(times: int, character: str) -> None:
    sections = [Section("long", {}, (character * 99 + "b") * times)]
    text = record_text.write({}, [], sections)
    assert max(len(line.encode()) for line in text.split("\n")) < 998
    assert list(record.parse(text).sections) == sections


@settings(deadline=None)
@given(st.data())
def test_a_cut_record_says_so(data: st.DataObject) -> None:
    sections = [Section(f"s{n}", {"kind": "note"}, "one\ntwo\n" * 3) for n in range(3)]
    text = record_text.write({"schema": 1}, ["words"], sections)
    cut = data.draw(st.integers(0, text.rindex("= end") + 4))
    read = record.parse(text[:cut])
    assert any("cut" in problem for problem in read.problems)
    whole = [section for section in read.sections if section in sections]
    assert whole == sections[: len(whole)]


def test_a_changed_or_lost_line_is_told() -> None:
    sections = [Section(f"s{n}", {"kind": "note"}, "one\ntwo\n") for n in range(3)]
    text = record_text.write({"schema": 1}, [], sections)
    changed = record.parse(text.replace("| two", "| three", 1))
    assert changed.problems == ("section 1 (s0) is damaged or cut",)
    lost = record.parse(re.sub(r"(?s)= 2 s1.*?\n\n", "", text))
    assert "section 3 follows section 1" in lost.problems[0]
    assert record.parse("").problems[0].startswith("this is not a record")
    assert record.parse("no record\n").problems[0].startswith("this is not a record")


@settings(max_examples=300, deadline=None)
@given(line_like)
def test_nothing_breaks_the_reader(text: str) -> None:
    record.parse(text)
    record.parse(f"@ {{}}\n= 1 a\n@ {text}\n{text}")
