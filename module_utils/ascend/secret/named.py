# SPDX-License-Identifier: Apache-2.0
"""Find secrets behind a name: ``--token X``, ``TOKEN=X``, ``"token": "X"``, ``Authorization: Bearer X``."""

from __future__ import annotations

import re
from typing import Iterator, Optional, Tuple

from ansible.module_utils.ascend.secret.names import ALWAYS, HINT, LIKELY, RANDOM, hides, is_message, kind
from ansible.module_utils.ascend.secret.values import MOST, SHORT, Value, rest_of_line, value_at
from ansible.module_utils.ascend.secret.values import find as find_mark

_WORD = re.compile(r"[A-Za-z_][\w.-]*|\u5bc6\u7801|\u53e3\u4ee4|\u5bc6\u94a5|\u4ee4\u724c", re.ASCII)
_SEPARATOR = re.compile(
    r"\\{0,3}[\"'`]?\]?(?:[ \t]{1,16}(?:=>|:=|=(?!=)|:(?!:))[ \t]{0,16}|(?:=>|:=|:(?!:)|\uff1a|\uff1d)[ \t]{0,16}"
    r"|=(?!=)|%3[Dd])(?:%22)?"
)
_TAG = re.compile(r">[^<>\n]{1,4096}</")
_NEXT_WORD = re.compile(r"[ \t\n]{1,16}|\0|\\x00")
_BEHIND = re.compile(r"[ \t]{1,16}(?:(?:is|was|of|for user)[: \t]{1,4})?[\"']?(?=[\w+/=~.-]{8})")
_NO_VALUE = re.compile(r"--?[A-Za-z]|#")
# A sentence that goes on behind a colon, or an option that is talked of.
_PROSE = re.compile(r"[ \t][a-z']{1,12} [a-z']{1,12}(?: [a-z']{1,20}|[.,;)])|[ \t]-[A-Za-z]\b")
_SCHEME = re.compile(
    r"(?i)(bearer|basic|token|digest|negotiate|ntlm|api-?key|key|oauth|hawk|aws4-hmac-sha256|sdk-hmac-sha256)[ \t\0]+"
)
_HEADERS = ("authorization", "cookie")


def find(text: str) -> Iterator[Tuple[int, int]]:
    """Give where secrets begin and end; some may overlap."""
    done = 0
    for word in _WORD.finditer(text):
        if word.start() < done or not HINT.search(word.group()):
            continue
        if text.startswith("://", word.start() - 3) and text[word.end() : word.end() + 1] != "=":
            continue  # behind :// stands an account, or a host
        name, begin = word.group(), _begin(text, word.start(), word.end())
        before = text[word.start() - 1 : word.start()]
        is_header = name.lower().endswith(_HEADERS)
        is_pass = name == "pass" and before == "-"  # and no "pass: 3 of 4"
        how = LIKELY if is_header or is_pass else kind(name, before in ("?", "&"))
        if begin is None and how in (ALWAYS, LIKELY):
            # No sign between them: only what looks drawn by chance, as in "password X" and "the token is X".
            behind = _BEHIND.match(text, word.end())
            begin, how = (behind.end(), RANDOM) if behind else (None, "")
        if begin is None or not how or before + text[word.start() : word.end() + 2] == '"%s:"' % name:
            continue
        value = value_at(text, begin, SHORT if how == RANDOM else MOST)
        if not value.quoted and (is_message(text, begin) or (name.isalpha() and _PROSE.match(text, begin - 1))):
            continue
        if text[begin - 1] == ">":
            value = Value(begin, find_mark(text, "<", begin, MOST), True)
        if is_header:
            value = _in_header(text, name.lower(), value)
        if hides(how, text[value.start : value.end]):
            value = value_at(text, begin) if how == RANDOM else value
            yield value.start, value.end
            done = value.end


def _begin(text: str, start: int, end: int) -> Optional[int]:
    """Return where the value of a name begins; None where the name stands alone."""
    separator = _SEPARATOR.match(text, end)
    if separator:
        return separator.end()
    before = text[start - 1 : start]
    if before == "<" and _TAG.match(text, end):
        return end + 1
    next_word = _NEXT_WORD.match(text, end)
    if before != "-" or text[start - 2 : start - 1].isalnum() or not next_word:
        return None
    return None if _NO_VALUE.match(text, next_word.end()) else next_word.end()


def _in_header(text: str, name: str, value: Value) -> Value:
    """What says the scheme stays; cookies go to the end of the header."""
    scheme = _SCHEME.match(text, value.start)
    start = scheme.end() if scheme else value.start
    if value.quoted:
        return Value(start, max(start, value.end), True)
    if name.endswith("cookie"):
        return Value(start, rest_of_line(text, start), False)
    return value_at(text, start)
