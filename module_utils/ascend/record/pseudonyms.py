# SPDX-License-Identifier: Apache-2.0
"""Replace what identifies a node or a person with consistent pseudonyms, so that relations between values survive.

``identities.find`` says what to replace. Pseudonyms are random and kept nowhere:

* IPv4: the first number becomes one with which no address of the texts begins. The second and third change so that
  addresses which share their first N bits still do (N up to 24). The last one stays: networks (.0), gateways (.1) and
  duplicates remain what they are. Netmasks, and what begins with 0, 127, or 224 and more, are no node's and stay.
* IPv6: each group that is not zero becomes another, the same behind the same groups. ``::``, ``::1``, a first group
  that says what kind of address it is (fe80, fd00, ff02) and small multicast groups stay.
* Hardware addresses (6 pairs and more, ``00e0-fc12-3456``, ``00e0.fc12.3456``): other digits in the same form.
* Host and user names, serial numbers, UUIDs, mail addresses: another text of the same length. Names that are words of
  the tools (``ascend``, ``root``, ``admin``), single letters and bare numbers stay: they name nobody.
* Passwords, tokens and keys become ``***`` (ascend/masking.py).
"""

from __future__ import annotations

import ipaddress
import random
import re
import string
from typing import Callable, Dict, Iterator, List, Optional, Pattern, Set, Tuple

from .. import masking
from ..errors import AscendError
from ..masking import HIDDEN
from . import identities
from .identities import KINDS, Identities, is_hardware, is_ipv6

# Shorter ones are masked behind their label, but not wherever the same characters stand.
SHORTEST_SERIAL = 8
SHORTEST_PASSWORD = 8
_ATTEMPTS = 1000
_WORD = re.compile("[A-Za-z0-9]")
_LOWER = {ord(letter): letter.lower() for letter in string.ascii_uppercase}  # keeps lengths, as str.lower does not


class Mask:
    """Replaces what was found. ``rng`` decides the pseudonyms; by default nobody can guess them.

    Raises AscendError when there are not enough pseudonyms.
    """

    def __init__(self, found: Identities, rng: Optional[random.Random] = None) -> None:
        self._found = found
        self._rng = rng or random.SystemRandom()
        self._flips: Dict[Tuple[int, int], int] = {}
        self._groups: Dict[str, str] = {}
        self._used_groups = {group for words in found.ipv6 for group in _groups(words)}
        self._digits: Dict[str, str] = {}
        self._names: Dict[str, str] = {}
        taken = {name.lower() for name in (*found.hosts, *found.users)} | identities.WORDS
        self._number_names(found.hosts, "host", taken)
        self._number_names(found.users, "user", taken)
        self._drawn = {
            value: self._draw(value, found.of(kind))
            for kind in ("serials", "mails", "uuids")
            for value in found.of(kind)
        }
        self._firsts = self._other_firsts(found.ipv4)
        self._quads = self._mapped_quads(found.ipv4)
        self._literals = self._everywhere()

    def apply(self, content: str) -> str:
        """Return the text with everything masked. A column after a longer or shorter pseudonym stays in its place."""
        spans = _Spans(content)
        for start, end in masking.spans(content):
            spans.add(start, end, HIDDEN)
        for match in identities.SERIAL.finditer(content):
            group = 1 if match.group(1) else 2
            spans.add(match.start(group), match.end(group), self._drawn.get(match.group(group)))
        spans.add_all(identities.UUID, self._drawn.get)
        spans.add_all(identities.MAIL, self._drawn.get)
        spans.add_all(identities.PAIRS, self._hardware)
        spans.add_all(identities.GROUPS, self._ipv6)
        spans.add_all(identities.QUAD, self._quads.get)
        lowered = content.translate(_LOWER)
        for value, ignores_case, new in self._literals:
            for start in _places(lowered if ignores_case else content, value):
                spans.add(start, start + len(value), new)
        return spans.replaced()

    def leaks(self, content: str) -> List[str]:
        """Return the kinds of values that can still be read in a masked text; empty if none can."""
        lowered = content.translate(_LOWER)
        kinds = {
            words
            for kind, words in KINDS.items()
            for value in self._found.of(kind)
            if kind != "ipv4" and _is_everywhere(kind, value)
            if any(
                True for _place in _places(*(lowered, value.translate(_LOWER)) if _ignores(kind) else (content, value))
            )
        }
        if not set(self._found.ipv4).isdisjoint(identities.QUAD.findall(content)):
            kinds.add(KINDS["ipv4"])
        return sorted(kinds)

    def _everywhere(self) -> List[Tuple[str, bool, str]]:
        """Return (text, whether its case is ignored, pseudonym) of what is replaced wherever it appears as a word.

        The longest come first, so that no part of one is replaced instead.
        """
        tables: Dict[str, Dict[str, str]] = {
            "hosts": self._names,
            "users": self._names,
            "serials": self._drawn,
            "passwords": dict.fromkeys(self._found.passwords, HIDDEN),
        }
        found = [
            (value.translate(_LOWER) if _ignores(kind) else value, _ignores(kind), table[value])
            for kind, table in tables.items()
            for value in self._found.of(kind)
            if _is_everywhere(kind, value)
        ]
        return sorted(found, key=lambda literal: (-len(literal[0]), literal[0]))

    def _number_names(self, names: Tuple[str, ...], stem: str, taken: Set[str]) -> None:
        shuffled = [name for name in names if name not in self._names]  # a user may be called as the host
        self._rng.shuffle(shuffled)
        for name in shuffled:
            self._names[name] = _free_name(stem, len(name), taken, self._rng)
            taken.add(self._names[name])

    def _draw(self, value: str, others: Tuple[str, ...]) -> str:
        """Return other digits for digits, other letters for letters; hexadecimal ones if all are."""
        letters = string.ascii_lowercase if re.search("[g-zG-Z]", value) else "abcdef"
        for _attempt in range(_ATTEMPTS):
            drawn = "".join(self._character(character, letters) for character in value)
            if drawn not in others:
                break
        return drawn

    def _character(self, character: str, letters: str) -> str:
        if character.isdigit():
            return self._rng.choice(string.digits)
        if character.isalpha():
            new = self._rng.choice(letters)
            return new.upper() if character.isupper() else new
        return character

    def _hardware(self, words: str) -> Optional[str]:
        if not is_hardware(words):
            return None
        digits = re.sub("[^0-9a-f]", "", words.lower())
        if digits not in self._digits:
            first = int(digits[:2], 16) & 3 | self._rng.randrange(64) << 2  # addresses of groups stay such
            rest = "".join(self._rng.choice("0123456789abcdef") for _digit in digits[2:])
            self._digits[digits] = "%02x%s" % (first, rest)
        new = iter(self._digits[digits])
        masked = "".join(next(new) if character.isalnum() else character for character in words)
        return masked.upper() if words.upper() == words else masked

    def _ipv6(self, words: str) -> Optional[str]:
        if not is_ipv6(words):
            return None
        groups = _groups(words)
        masked = str(ipaddress.IPv6Address(":".join(self._group(groups[:n], group) for n, group in enumerate(groups))))
        return masked.upper() if words.upper() == words else masked

    def _group(self, before: List[str], group: str) -> str:
        if group == "0000" or (not before and group[0] == "f"):
            return group
        key = ":".join([*before, group])
        while key not in self._groups:
            new = "%04x" % (self._rng.randrange(0x1000, 0x10000) if before else self._rng.randrange(0x2000, 0x4000))
            if new not in self._used_groups:
                self._used_groups.add(new)
                self._groups[key] = new
        return self._groups[key]

    def _other_firsts(self, quads: Tuple[str, ...]) -> Dict[int, int]:
        real = sorted({int(quad.split(".")[0]) for quad in quads})
        two_digits = [number for number in range(11, 100) if number not in real]
        more = [number for number in range(101, 224) if number not in (*real, 127, 169, 172, 192)]
        if len(real) > len(two_digits) + len(more):
            raise AscendError(
                "the record names too many networks to be masked",
                "IPv4 addresses that begin with at most 100 different numbers",
                "%d different ones" % len(real),
            )
        unused = self._rng.sample(two_digits, len(two_digits)) + self._rng.sample(more, len(more))
        return dict(zip(real, unused))

    def _mapped_quads(self, quads: Tuple[str, ...]) -> Dict[str, str]:
        for _attempt in range(_ATTEMPTS):
            self._flips.clear()
            mapped = {quad: self._quad(quad) for quad in quads}
            if len(set(mapped.values())) == len(mapped):
                return mapped  # else a network's .0 met a host's
        raise AscendError("the record's addresses could not be masked", found="%d IPv4 addresses" % len(quads))

    def _quad(self, quad: str) -> str:
        numbers = [int(number) for number in quad.split(".")]
        new = [self._firsts[numbers[0]]]
        for place in (1, 2):
            if set(numbers[place:]) in ({0}, {255}):
                new.append(numbers[place])  # a network's or a broadcast address stays one
            else:
                before = int.from_bytes(bytes(numbers[:place]), "big")
                new.append(self._flipped(numbers[place], before, place))
        return "%d.%d.%d.%d" % (new[0], new[1], new[2], numbers[3])

    def _flipped(self, number: int, before: int, place: int) -> int:
        """Flip each bit or not, always the same after the same bits, so that common prefixes stay common."""
        new = 0
        for bit in range(7, -1, -1):
            key = (place * 8 + 7 - bit, before << (7 - bit) | number >> (bit + 1))
            if key not in self._flips:
                self._flips[key] = self._rng.randrange(2)
            new = new << 1 | (number >> bit & 1) ^ self._flips[key]
        return new


def _groups(words: str) -> List[str]:
    return ipaddress.IPv6Address(words).exploded.split(":")


def _is_everywhere(kind: str, value: str) -> bool:
    """Whether a value is so long that the same characters elsewhere mean the same."""
    if kind == "passwords":
        return len(value) >= SHORTEST_PASSWORD and any(character.isdigit() for character in value) and "/" not in value
    return kind != "serials" or len(value) >= SHORTEST_SERIAL


def _ignores(kind: str) -> bool:
    """Whether upper and lower case make no difference."""
    return kind not in ("users", "passwords")


def _places(content: str, value: str) -> Iterator[int]:
    """Yield where a value is in a text, unless it is part of a longer word."""
    start = content.find(value)
    while start >= 0:
        end = start + len(value)
        if not (_WORD.match(content, start - 1, start) if start else None) and not _WORD.match(content, end, end + 1):
            yield start
        start = content.find(value, start + 1)


def _free_name(stem: str, length: int, taken: Set[str], rng: random.Random) -> str:
    """Return an unused name of that length: host001, hostxx001, h01; random letters if these run out."""
    for number in range(1, 10000):
        digits = str(number).zfill(min(3, length - 1))
        name = stem.ljust(length - len(digits), "x")[: length - len(digits)] + digits
        if len(digits) >= length:
            break
        if name not in taken:
            return name
    while True:
        name = "".join(rng.choice(string.ascii_lowercase + string.digits) for _character in range(max(length, 4)))
        if name not in taken:
            return name


class _Spans:
    """Replacements in a text that do not overlap; the first that claims a place gets it."""

    def __init__(self, content: str) -> None:
        self._content = content
        self._taken = bytearray(len(content))
        self._found: List[Tuple[int, int, str]] = []

    def add_all(self, pattern: Pattern[str], new: Callable[[str], Optional[str]]) -> None:
        for match in pattern.finditer(self._content):
            self.add(match.start(), match.end(), new(match.group()))

    def add(self, start: int, end: int, new: Optional[str]) -> None:
        if new is not None and not any(self._taken[start:end]):
            self._taken[start:end] = b"\1" * (end - start)
            self._found.append((start, end, new))

    def replaced(self) -> str:
        parts = []
        done = 0
        for start, end, new in sorted(self._found):
            parts += [self._content[done:start], new]
            done = end
            blanks = 0
            while self._content.startswith(" ", end + blanks):
                blanks += 1
            if blanks >= 2 and len(new) != end - start:
                parts.append(" " * max(1, blanks + end - start - len(new)))
                done = end + blanks
        return "".join(parts) + self._content[done:]
