# SPDX-License-Identifier: Apache-2.0
"""Find secrets behind a name: ``--token X``, ``TOKEN=X``, ``"token": "X"``, ``Authorization: Bearer X``."""

from __future__ import annotations

import re
from typing import Iterator, Optional, Tuple

from .names import ALWAYS, CHOSEN, HINT, LIKELY, RANDOM, hides, is_message, kind
from .values import MOST, SHORT, Value, find as find_mark, value_at

_WORD = re.compile(r"[A-Za-z_][\w.-]*|\u5bc6\u7801|\u53e3\u4ee4|\u5bc6\u94a5|\u4ee4\u724c", re.ASCII)
_SEPARATOR = re.compile(
    r"\\{0,3}[\"'`]?\]?(?:[ \t]{1,16}(?:=>|->|:=|=(?!=)|:(?!:))[ \t]{0,16}|(?:=>|:=|:(?!:)|\uff1a|\uff1d)[ \t]{0,16}"
    r"|\+?=(?!=)|%3[Dd]|[\u662f\u4e3a][ \t]?(?=[!-~]{6}))(?:%22|\\\n[ \t]{0,64})?"
)
_TAG = re.compile(r"(?:[ \t][^<>\n]{0,256})?(>)[^<>\n]{1,4096}</")
# The next word of a command line, also of one that is continued, or written as a list.
_NEXT_WORD = re.compile(r"[ \t]{0,16}\\\n[ \t]{0,64}|[ \t\n]{1,16}|\0|\\x00|\\{0,3}[\"'],[ \t\n]{0,64}(?=\\{0,3}[\"'])")
_BEHIND = re.compile(
    r"[ \t]{1,16}(?:(?:is|was|of|for user|\||[0-9]|[a-z-]{0,16}cipher|for [^:\n]{1,64}:)[: \t]{1,4})?"
    r"[\"']?(?=[\w+/=~.-]{6})"
)
_NO_VALUE = re.compile(r"\\{0,3}[\"']?--?[A-Za-z]|#|<<<|[|<>]\s")
_ALONE = re.compile(r"(?![A-Za-z_][\w.-]{0,64}[=:])[^\s<]{1,256}[ \t]{0,16}(?:\n|\Z)")  # on its line
_COOKIES = re.compile(
    r"[^\s\0\"';]{1,4096}(?:;[ \t]?(?:[\w.-]{1,64}=[^\s;\0\"']{0,4096}|(?i:httponly|secure|partitioned)\b)){0,64}"
)
# Lines of YAML that are one text.
_BLOCK = re.compile(r"[|>][+-]?[1-9]?[ \t]{0,16}\n([ \t]{1,64})((?:[^\n]*)(?:\n\1[^\n]*)*)")
# A sentence that goes on behind a colon, or an option that is talked of.
_PROSE = re.compile(r"[ \t][a-z']{1,12} [a-z']{1,12}(?: [a-z']{1,20}|[.,;)])|[ \t]-[A-Za-z]\b")
_SCHEME = re.compile(
    r"(?i)(bearer|basic|token|digest|negotiate|ntlm|api-?key|key|oauth|hawk|aws|obs|oss|sharedkey|\w{2,8}-hmac-sha\d{1,3})"
    r"[ \t\0]+"
)
_PARAMETERS = re.compile(
    r"[\w-]{1,32}=(?:\"[^\"\n]*\"|[^\s,\"'\0]+)(?:,[ \t]?[\w-]{1,32}=(?:\"[^\"\n]*\"|[^\s,\"'\0]+))+"
)
# What parts a name from its value, and an account from nothing: no blank or quote stands in an address.
_VALUE_BEHIND = re.compile(r"[ \t]{0,16}(?:\+?=|->|\uff1a|\u662f)|[ \t]{1,16}(?::|for\b)|:[\s\"']")
_USER = re.compile(r"[\w.@-]{1,64}:(?=[^\s:/]{4})")
_HEADERS = ("authorization", "cookie")


def find(text: str) -> Iterator[Tuple[int, int]]:
    """Yield where secrets begin and end; some may overlap."""
    done = 0
    for word in _WORD.finditer(text):
        if word.start() < done or not HINT.search(word.group()):
            continue
        if text.startswith("://", word.start() - 3) and not _VALUE_BEHIND.match(text, word.end()):
            continue  # behind :// stands an account, or a host
        if _is_about(text, word.start(), word.end()):
            continue
        name, begin = word.group(), _begin(text, word.start(), word.end())
        before = text[word.start() - 1 : word.start()]
        is_header = name.lower().endswith(_HEADERS)
        is_pass = name == "pass" and before == "-"  # and no "pass: 3 of 4"
        how = LIKELY if is_header or is_pass else kind(name, before in ("?", "&"))
        if begin is None and how in (ALWAYS, LIKELY):
            # No sign between them: only what looks drawn by chance, as in "password X" and "the token is X".
            behind = _BEHIND.match(text, word.end())
            begin, how = (behind.end(), CHOSEN if how == ALWAYS else RANDOM) if behind else (None, "")
        if begin is None or not how or before + text[word.start() : word.end() + 2] == '"%s:"' % name:
            continue
        value = _block(text, begin) or value_at(text, begin, SHORT if how in (RANDOM, CHOSEN) else MOST)
        if not value.quoted and (is_message(text, begin) or (name.isalpha() and _PROSE.match(text, begin - 1))):
            continue
        if text[begin - 1] == ">":
            value = Value(begin, find_mark(text, "<", begin, MOST), True)
        if is_header:
            value = _in_header(text, name.lower(), value)
        if name.lower().endswith("auth") and _USER.match(text, value.start):
            value, how = Value(text.index(":", value.start) + 1, value.end, True), CHOSEN
        if hides(how, text[value.start : value.end]):
            value = value_at(text, value.start) if how in (RANDOM, CHOSEN) and not value.quoted else value
            yield value.start, value.end
            done = value.end


def _begin(text: str, start: int, end: int) -> Optional[int]:
    """Return where the value of a name begins; None if the name has no value."""
    separator = _SEPARATOR.match(text, end)
    if separator:
        return separator.end()
    before = text[start - 1 : start]
    tag = _TAG.match(text, end) if before in ("<", ":") else None
    if tag:
        return tag.end(1)
    next_word = _NEXT_WORD.match(text, end)
    if before != "-" or text[start - 2 : start - 1].isalnum() or not next_word:
        return None
    is_on_next_line = "\n" in next_word.group() and "\\" not in next_word.group()
    if is_on_next_line and not _ALONE.match(text, next_word.end()):
        return None
    return None if _NO_VALUE.match(text, next_word.end()) else next_word.end()


def _is_about(text: str, start: int, end: int) -> bool:
    """Whether the text is about a file ("/etc/passwd: ...") or a parser's word ("unexpected token: ...")."""
    in_path = (
        text[start - 1 : start] == "/" and text[end : end + 1] == ":" and text[start - 2 : start - 1] not in ("/", ":")
    )
    return in_path or text[max(0, start - 11) : start].lower() == "unexpected "


def _block(text: str, begin: int) -> Optional[Value]:
    block = _BLOCK.match(text, begin, begin + MOST)
    return Value(block.start(2), block.end(2), True) if block else None


def _in_header(text: str, name: str, value: Value) -> Value:
    """The scheme stays; cookies reach to the end of the header."""
    scheme = _SCHEME.match(text, value.start)
    start = scheme.end() if scheme else value.start
    parameters = _PARAMETERS.match(text, start)
    if parameters:
        return Value(start, parameters.end(), True)
    if value.quoted:
        return Value(start, max(start, value.end), True)
    if name.endswith("cookie"):
        cookies = _COOKIES.match(text, start)
        return Value(start, cookies.end() if cookies else start, True)
    return value_at(text, start)
