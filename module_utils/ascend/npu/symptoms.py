# SPDX-License-Identifier: Apache-2.0
"""Recognise what a failing tool, CANN or torch-npu says, on a terminal or in a log, even with colours or in JSON.

The symptoms themselves are data: ``symptom_table``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from .symptom_names import missing_symbols, with_names
from .symptom_table import TABLE, Row

MOST_EVIDENCE = 200  # characters of a line that are quoted
MOST_CODES = 12
MOST_NAMES = 500  # different codes, missing libraries or missing modules of one text that are looked at
_PIECE = 4000  # a longer line (a log in JSON) is looked at in pieces,
_OVERLAP = 200  # which share so many characters, for what stands at the edge

Place = Tuple[int, int]  # number of the line from 0, character in it


@dataclass(frozen=True)
class Symptom:
    """What is wrong: ``name`` is stable (docs/troubleshooting.md), ``what`` a sentence, ``remedy`` the next command.

    ``evidence`` is the line that shows it, at most MOST_EVIDENCE characters. ``codes`` are the error codes found, as in
    ``("-8005",)``, ``("507033", "EE1001", "ERR00100", "drvRetCode=7")``: the symptom's own, and for the first symptom
    also those that belong to no symptom.
    """

    name: str
    what: str
    remedy: str
    evidence: str
    codes: Tuple[str, ...]


def recognise(text: str) -> Tuple[Symptom, ...]:
    """Return what ``text``, the output of something that failed, says is wrong; the most specific first.

    Empty if nothing is known. Never raises; takes time proportional to the text's length.
    """
    output = _Output(text)
    found: Dict[str, Tuple[Row, Place]] = {}
    for number, row in enumerate(TABLE):
        if row.fallback and found:
            break
        places = output.places(number) if row.name not in found else []
        if places:
            found[row.name] = (row, min(places))
    return _symptoms(output, found)


def _symptoms(output: _Output, found: Dict[str, Tuple[Row, Place]]) -> Tuple[Symptom, ...]:
    own = [tuple(code for code in output.codes if row.name in output.names_of(code)) for row, _ in found.values()]
    others = tuple(code for code in output.codes if not any(code in codes for codes in own))
    symptoms: List[Symptom] = []
    for (row, place), codes in zip(found.values(), own):
        shown = codes if symptoms else codes + others
        remedy = with_names(row.remedy, output.lines[place[0]], place[1])
        symptoms.append(Symptom(row.name, row.what, remedy, output.evidence(place), shown[:MOST_CODES]))
    return tuple(symptoms)


class _Output:
    """A prepared text: its lines, its codes with their first offsets, and the rows that they name."""

    def __init__(self, text: str) -> None:
        self.lines = _lines(text)
        plain = "\n%s\n" % "\n".join(self.lines)
        self._plain = plain
        self._folded = plain.translate(_FOLD)
        self._stems = {stem for stem in _STEMS if stem in self._folded}
        lower = plain.translate(_LOWER)
        self.codes = dict(islice(_codes(plain, lower), MOST_NAMES))
        self._signs: Dict[int, List[int]] = {}  # row -> offsets of what names it, phrases apart
        for index, seen in (
            (_CODES, self.codes),
            (_LIBRARIES, _firsts(_missing_libraries(lower, self._folded))),
            (_MODULES, _firsts((match.group(1).rstrip("."), match.start()) for match in _MODULE.finditer(lower))),
            (_SYMBOLS, _firsts(missing_symbols(plain))),
        ):
            for name, start in seen.items():
                # A symbol belongs to one library, which is the first row's.
                for row in index.rows(name)[: 1 if index is _SYMBOLS else None]:
                    self._signs.setdefault(row, []).append(start)

    def places(self, row: int) -> List[Place]:
        """Return where the text matches the row: the first place of each of the row's signs."""
        phrases, unless = _PHRASES[row]
        places = [self._phrase(anchor, others, unless) for stem, anchor, others in phrases if stem in self._stems]
        return [place for place in places if place] + [self._place(start) for start in self._signs.get(row, ())]

    @staticmethod
    def names_of(code: str) -> Set[str]:
        """Return the names of the symptoms to which a code belongs."""
        return {TABLE[row].name for row in _CODES.rows(code)}

    def evidence(self, place: Place) -> str:
        """Return the line, or the part of a long one around the place."""
        number, column = place
        line = self.lines[number].rstrip()
        if len(line.lstrip()) <= MOST_EVIDENCE:
            return line.lstrip()
        width = MOST_EVIDENCE - 8
        start = max(0, min(column - 40, len(line) - width))
        before, after = "... " if start else "", " ..." if start + width < len(line) else ""
        return before + line[start : start + width].strip() + after

    def _place(self, start: int) -> Place:
        return self._plain.count("\n", 0, start) - 1, start - self._plain.rfind("\n", 0, start) - 1

    def _phrase(self, anchor: str, others: List[str], unless: List[str]) -> Optional[Place]:
        text = self._folded
        if any(words not in text for words in others):
            return None
        start = text.find(anchor)
        while start >= 0:
            begin = text.rfind("\n", 0, start + 1) + 1  # an anchor may itself begin with the line feed
            end = text.find("\n", begin)
            line = text[begin:end]
            if _in_order(line, others, start + len(anchor) - begin) and not any(words in line for words in unless):
                number = text.count("\n", 0, begin) - 1
                return number, _column(self.lines[number], max(0, start - begin))
            start = text.find(anchor, end)
        return None


# How a text is made ready ---------------------------------------------------------------------------------------------

# The signs that tools print where the locale has its own, and the line ends of progress bars.
_LOCAL = {ord(sign): ord(plain) for sign, plain in zip("‘’“”\uff1a\uff0c\uff08\uff09\r", "''\"\":,()\n")}
_LOWER = {ord("A") + offset: ord("a") + offset for offset in range(26)}
# For phrases: no blanks, no quotes.
_FOLD: Dict[int, Any] = {**_LOWER, **{ord(sign): None for sign in " \t\v\f'\"`"}}
# Colours and window titles. ECMA-48, 5.4 and 5.6.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[()][0-9A-Za-z])|[\x00\x07\x08]")


def _lines(text: str) -> List[str]:
    """Return the distinct lines that are not blank, long ones in pieces. A repeated line adds nothing."""
    plain = (_ESCAPE.sub("", text) if any(sign in text for sign in "\x1b\x00\x07\x08") else text).translate(_LOCAL)
    plain = plain.replace("\\n", "\n").replace("\\t", " ").replace('\\"', '"')  # as JSON writes them
    lines: List[str] = []
    for line in dict.fromkeys(plain.split("\n")):
        if len(line) > _PIECE:
            lines += [line[start : start + _PIECE + _OVERLAP] for start in range(0, len(line), _PIECE)]
        elif line and not line.isspace():
            lines.append(line)
    return lines


def _folded(words: str) -> str:
    return words.translate(_FOLD)


def _in_order(line: str, others: List[str], start: int) -> bool:
    for words in others:
        start = line.find(words, start)
        if start < 0:
            return False
        start += len(words)
    return True


def _column(line: str, kept: int) -> int:
    """Return the place in ``line`` of the character that is number ``kept`` of its folded form."""
    for column, sign in enumerate(line):
        if _FOLD.get(ord(sign), sign) is not None:
            if not kept:
                return column
            kept -= 1
    return 0


def _firsts(seen: Iterable[Tuple[str, int]]) -> Dict[str, int]:
    """Return each name with its first offset, at most MOST_NAMES of them."""
    firsts: Dict[str, int] = {}
    for name, start in seen:
        if name not in firsts:
            firsts[name] = start
            if len(firsts) == MOST_NAMES:
                break
    return firsts


# The table made ready -------------------------------------------------------------------------------------------------


class _Index:
    """Which rows a name (a code, library or module) belongs to."""

    def __init__(self, patterns_of_rows: Iterable[Tuple[str, ...]]) -> None:
        self._exact: Dict[str, List[int]] = {}
        self._open: List[Tuple[str, str, int]] = []  # beginning (a quick test), pattern, row
        for number, patterns in enumerate(patterns_of_rows):
            for pattern in patterns:
                if "*" in pattern or "?" in pattern:
                    self._open.append((re.split(r"[*?[]", pattern)[0], pattern, number))
                else:
                    self._exact.setdefault(pattern, []).append(number)

    def rows(self, name: str) -> List[int]:
        """Return the numbers of the rows; "tbe.common" belongs where "tbe" does."""
        exact = self._exact.get(name) or self._exact.get(name.split(".", 1)[0], [])
        return exact + [
            number
            for beginning, pattern, number in self._open
            if name.startswith(beginning) and fnmatchcase(name, pattern)
        ]


_CODES = _Index(row.codes for row in TABLE)
_LIBRARIES = _Index(row.libraries for row in TABLE)
_MODULES = _Index(row.modules for row in TABLE)
_SYMBOLS = _Index(row.symbols for row in TABLE)


# Words of many phrases, the rarer first: where the text lacks one, it has none of the phrases with it either.
_STEMS = tuple(_folded(stem) for stem in (
    "cannot", "symbol", "suchfile", "invalid", "failed", "fault", "error", "found", "required", "exceed",
    "mismatch", "inconsistent", "permi", "support", "expect", "kernel", "install", "device", "memory", "time",
    "process", "module", "package", "torch", "sour", "tion", "sion", "not", "no", "",
))  # fmt: skip


def _ready(phrase: str) -> Tuple[str, str, List[str]]:
    anchor, *others = [_folded(words) for words in phrase.split(" .. ")]
    return next(stem for stem in _STEMS if stem in anchor), anchor, others


_PHRASES = [([_ready(phrase) for phrase in row.phrases], [_folded(words) for words in row.unless]) for row in TABLE]

# Error codes ----------------------------------------------------------------------------------------------------------

# A number counts only behind a word that says it is a code; the Chinese ones say error code, return code, return value.
# No number of pieces, bytes or seconds.
_WORDS = ("code", "result", "returned", "returns", "return", "ret", "errno", "error", "err", "failed", "fail")
_NUMBER = re.compile(
    "(?P<word>%s|\u9519\u8bef\u7801|\u8fd4\u56de\u7801|\u8fd4\u56de\u503c?)"
    "(?P<sign>[ \t:=(\\[{#,>\"']{0,6}(?:is|was|\u4e3a)?[ \t:=(\\[{\"']{0,6})"
    "(?P<number>-[89][02][0-9]{2}|[1-5][0468][0-9]{4})"
    "(?![0-9a-z_]|[.,:/-][0-9]|%%"
    "| ?(?:[munk]?s\\b|[kmgt]i?b\\b|bytes|tokens|samples|rows|records|steps|items|files|it/s|/))" % "|".join(_WORDS)
)
# What may stand directly before such a word; "barcode" and "secret" are no words for a code.
_BEFORE: Dict[str, Tuple[str, ...]] = {
    "code": ("err", "error", "ret", "return", "status", "acl", "exit"),
    "ret": ("drv", "acl", "rt", "hccl", "dcmi", "dsmi", "ge", "ts"),
    "result": (),
    "err": (),
    "fail": (),
}
# -80xx DCMI, -90xx npu-smi; 10xxxx arguments, 20xxxx resources, 30xxxx state, 50xxxx internal: ACL (00), runtime (07),
# graph engine (45), profiling (48), operators (61).
_FAMILIES = re.compile(
    r"-[89](?:0[0-9]{2}|25[56])|[125]0(?:00[0-4]|7[0-9]{2})[0-9]|30000[0-9]|[1-5](?:45|48|61)[0-9]{3}"
)
_ROUND = re.compile(r"[1235]00[0-9]{3}|[1-5](?:45|48|61)[0-9]{3}")  # too usual as numbers to count behind "failed:"
# The driver's codes (drvError_t), as its callers print them; CANN's adx_dsmi.cpp: "Get physical device number failed,
# err: 87".
_DRIVER = re.compile(
    r"(?:drv ?(?:ret|err|error) ?(?:code)?"
    r"|(?:\b(?:drv|hal)[a-z]{3,40}|physical device (?:num(?:ber)?|count|ids?))[^\n]{0,20} fail(?:ed)?[ ,.:;!]{1,3}"
    r"(?:ret|error|err|errno|result)(?: ?code)?) ?[:=] ?(-?[0-9]{1,5})\b"
)
_INNER = re.compile(r"ret ?code ?[:=] ?(0x[0-9a-f]{5,8})\b")
_NAMED = re.compile(r"[Ee](?<![A-Za-z0-9_].)(?:[A-Za-z][0-9]{3,4}|[1-9][0-9]{4}|[Rr]{2}[0-9]{5})(?![0-9A-Za-z_])")
_NAMED_BEFORE = re.compile(r"(?:code|error|failed|\u9519\u8bef\u7801)[ \t:=(\[]{0,4}$")
_INSTALLER = re.compile(r"err_no ?: ?(0x[0-9a-f]{4})")
_MODULE = re.compile(r"no module named ['\"]?([a-z0-9_.]+)")


def _codes(plain: str, lower: str) -> Iterator[Tuple[str, int]]:
    """Yield every error code with its offset, in the form of ``Symptom.codes``, in the order of the text."""
    seen = list(_numbers(lower).items())
    seen += _firsts(("drvRetCode=" + found.group(1), found.start()) for found in _DRIVER.finditer(lower)).items()
    seen += _firsts((found.group(1), found.start()) for found in _INNER.finditer(lower)).items()
    seen += _firsts(("ERR_NO:" + found.group(1), found.start()) for found in _INSTALLER.finditer(lower)).items()
    seen += _firsts(_names(plain)).items()
    return iter(sorted((one for one in seen if one[0] != "drvRetCode=0"), key=lambda one: one[1]))


def _numbers(lower: str) -> Dict[str, int]:
    seen: Dict[str, int] = {}
    for found in _NUMBER.finditer(lower):
        number = found.group("number")
        if number in seen:
            continue
        if len(seen) == MOST_NAMES:
            break
        if _FAMILIES.fullmatch(number) and _is_a_code(lower, found, number):
            seen.setdefault(number, found.start("number"))
    return seen


def _is_a_code(lower: str, found: Any, number: str) -> bool:
    word, sign = found.group("word", "sign")
    if word in _BEFORE:
        before = lower[max(0, found.start() - 8) : found.start()]
        if "a" <= before[-1:] <= "z" and not before.endswith(_BEFORE[word]):
            return False
    if word in ("code", "ret", "errno") or word[0] > "z":
        return True
    marked = any(mark in sign for mark in (":", "=", "(", "[", "is", "was"))
    if word == "result":
        return marked
    return (marked or word == "error" or number[0] == "-") and not _ROUND.fullmatch(number)


def _names(plain: str) -> Iterator[Tuple[str, int]]:
    """Codes such as EI0006 and ERR00100: before a colon, in brackets, or after a word that says so."""
    for found in _NAMED.finditer(plain):
        written = found.group()
        code = written.upper()
        if code.startswith("ERR") or (_looks_like_a_name(plain, found) and (written.isupper() or code[1] in "HIJLZ")):
            yield code, found.start()


def _looks_like_a_name(plain: str, found: Any) -> bool:
    if plain[found.end() : found.end() + 2].lstrip(" ")[:1] in (":", ")", "]"):
        return True
    return bool(_NAMED_BEFORE.search(plain[max(0, found.start() - 12) : found.start()].translate(_LOWER)))


# Missing libraries ----------------------------------------------------------------------------------------------------

_LIBRARY = re.compile(r"lib[a-z0-9_+-]{1,60}\.so")
_MISSING = ("cannot open", "can not open", "error while loading shared libraries", "not found", "No such file",
            "failed to load", "could not load", "cannot load library")  # fmt: skip
_MISSING_FOLDED = tuple(_folded(words) for words in _MISSING)
# "aclnnX not in libopapi.so, or libopapi.so not found": it is there, but old. ld.so says "cannot be preloaded ...:
# ignored" on stderr of every program. "version `GLIBC_2.34' not found (required by libtorch.so)": that one asks.
_NOT_MISSING = (_folded("not in lib"), _folded("cannot be preloaded"), _folded("not found (required by"))


def _missing_libraries(lower: str, folded: str) -> Iterator[Tuple[str, int]]:
    """Yield the shared objects on lines that say they were not found, with their offset."""
    if not any(words in folded for words in _MISSING_FOLDED):
        return
    end, missing = 0, False
    for found in _LIBRARY.finditer(lower):
        if found.start() >= end:  # the first on its line
            begin = lower.rfind("\n", 0, found.start()) + 1
            end = lower.find("\n", begin)
            line = _folded(lower[begin:end])
            missing = any(words in line for words in _MISSING_FOLDED)
            missing = missing and not any(words in line for words in _NOT_MISSING)
        if missing:
            yield found.group(), found.start()
