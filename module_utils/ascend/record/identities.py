# SPDX-License-Identifier: Apache-2.0
"""Find in texts what identifies a node or a person: addresses, names, serial numbers. pseudonyms.py replaces it.

Secrets (passwords, tokens) are found as everywhere, by ascend/masking.py.

``23.0.6.2`` is an address or a driver. The text around it decides, in this order: ``://`` or ``@`` before, a port or
the length of a prefix behind; the nearest word before it on the line (``address``, ``server`` ...: an address;
``version``, ``driver`` ...: a version); being a part of a longer word (``so.1.2.3.4``, ``1.2.3.4-linux``: a version).
If nothing decides, it is a version in texts about versions, elsewhere an address, unless the same number is called a
version in another place. What is an address once is one everywhere.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import AbstractSet, Dict, Iterable, Iterator, Set, Tuple

from ..masking import HIDDEN, spans

# Names that are also words of the tools, or everybody's.
_WORDS = """
    root localhost localdomain hwhiaiuser hwdmuser hwbasewww nobody admin administrator user users test guest none null
    unknown true false yes no on off all any default host hostname node server linux ubuntu debian centos openeuler
    euler kylin ascend npu davinci huawei hisilicon atlas cann hccl hccn driver firmware toolkit kernel kernels info
    board card chip health version python python3 pip conda env opt usr local home data lib lib64 bin etc var tmp dev
    proc run sys mnt srv docker kubernetes pod service ip addr address port link up down ok error warning file folder
    command current latest complete install path name value total free used size ib eth lo com net org cn the for and
    with not train model work app
"""
WORDS = frozenset(_WORDS.split())

QUAD = re.compile(r"(?<![0-9])(?<![0-9]\.)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\.?[0-9])")
GROUPS = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{0,4}:){2,8}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:]|\.[0-9])")
PAIRS = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5,63}|(?:-[0-9A-Fa-f]{2}){5,63})(?![0-9A-Za-z:-])"
    r"|(?<![-.])[0-9A-Fa-f]{4}(?:(?:-[0-9A-Fa-f]{4}){2}|(?:\.[0-9A-Fa-f]{4}){2})(?![0-9A-Za-z-]|\.[0-9A-Za-z]))"
)
UUID = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])")
MAIL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
# Group 1: a serial number of one word; group 2: an id of a die, words of hexadecimal digits.
SERIAL = re.compile(
    r"(?i)(?<![a-z])(?:(?:serial(?:[ _-]?(?:numbers?|num|no\.?|id))?|s/?n|uuid|guid|(?:machine|product|system)[ _-]id"
    r"|asset[ _-]?tag|bar[ _-]?code)[ \t]*[\"']?[ \t]*[:=][ \t]*[\"']?([^\s|,;\"']+)"
    r"|[vnd]?_?die[ _-]?id[ \t]*[\"']?[ \t]*[:=][ \t]*[\"']?([0-9a-fx]+(?:[ -][0-9a-fx]+)*))"
)
_HOME = re.compile(r"/home/([A-Za-z0-9_][A-Za-z0-9._-]{0,63})")
_USER = re.compile(
    r"(?i)(?<![a-z])(?:user(?:[ _-]?name)?|user[ _-]?group|logname|owner)[ \t]*[:=][ \t]*([a-z0-9_][a-z0-9._-]*)"
)
_ACCOUNT = re.compile(r"(?<=://)([A-Za-z0-9_][A-Za-z0-9._-]{0,63})(?=:[^\s/@\"']{1,256}@)")
_SYSTEM = re.compile(r"(?i)system name(?: TLV)?[ \t]*:?[ \t]*\n?[ \t]*([A-Za-z0-9][A-Za-z0-9._-]*)")
_SUBJECT = re.compile(r"/(?:CN|O|OU|L|ST)=([^/\]\n]{2,128})")
_EXPORT = re.compile(
    r"(?m)^[ \t]*([A-Za-z][A-Za-z0-9.-]*):/[^\s]*(?=[ \t]+(?:on /|[0-9]+[ \t]+[0-9]|/[^\s]*[ \t]+(?:nfs|ceph|cifs)))"
)
_URL = re.compile(
    r"(?i)(?<![a-z0-9])[a-z][a-z0-9+.-]{1,15}://(?:[^\s/@\"']{1,256}@)?([a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*)"
)
# Sites of products, which tell nothing of who uses them.
_PUBLIC = re.compile(
    r"(?:^|\.)(?:hiascend|huawei|huaweicloud|myhuaweicloud|github|gitee|gnu|python|kernel|openeuler|ubuntu|debian|redhat"
    r"|apache|pytorch|w3|kylinos)\.(?:com|cn|org|net)(?:\.cn)?$"
)
_BEFORE = re.compile(r"(?:://|@|(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}-)$")
_BEHIND = re.compile(r":[0-9]{1,5}(?![0-9:.A-Za-z])|:/|/[0-9]{1,2}(?![0-9.])|-[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_LABEL = re.compile(
    r"(?i)(?P<address>(?<![a-z])(?:ip(?:v4)?(?:_?addr(?:ess)?)?|addr(?:ess)?(?:es)?|inet|gateway|netdetect|host(?:name)?s?"
    r"|servers?|peer|ping|via|src|dst|source|destination|nameserver|dns|ntp|proxy|endpoint|route|connect[a-z]*"
    r"|listen[a-z]*|bind|bound)(?![a-z]))"
    r"|(?P<version>version|firmware|(?<![a-z])(?:ver|rev|driver|software|release|npu-smi|cann|toolkit|package|hdk|bios"
    r"|cpld|mcu|vrd|vrp|build|glibc)(?![a-z]))"
)
_ADDRESS, _VERSION, _UNSAID, _PART = "address", "version", "unsaid", "part"

# Kind -> the words that an operator reads.
KINDS = {
    "hosts": "host names",
    "users": "user names",
    "serials": "serial numbers",
    "mails": "mail addresses",
    "uuids": "UUIDs",
    "ipv4": "IPv4 addresses",
    "ipv6": "IPv6 addresses",
    "hardware": "hardware addresses",
    "passwords": "passwords or keys",
}


@dataclass(frozen=True)
class Text:
    """A text to search; ``versions``: undecided texts that look like addresses are versions here."""

    content: str
    versions: bool = False


@dataclass(frozen=True)
class Identities:
    """What must be hidden, by kind. ``kept`` are host names that are also words of the tools, and stay."""

    hosts: Tuple[str, ...] = ()
    users: Tuple[str, ...] = ()
    serials: Tuple[str, ...] = ()
    mails: Tuple[str, ...] = ()
    uuids: Tuple[str, ...] = ()
    ipv4: Tuple[str, ...] = ()
    ipv6: Tuple[str, ...] = ()
    hardware: Tuple[str, ...] = ()
    passwords: Tuple[str, ...] = ()
    kept: Tuple[str, ...] = ()

    def of(self, kind: str) -> Tuple[str, ...]:
        found: Tuple[str, ...] = getattr(self, kind)
        return found


_Found = Dict[str, Set[str]]


def find(
    texts: Iterable[Text],
    hosts: Iterable[str] = (),
    users: Iterable[str] = (),
    others: Iterable[str] = (),
    words: Iterable[str] = (),
) -> Identities:
    """Return what to mask in the texts, with what is known beforehand: names, and ``others``, which are addresses and
    serial numbers. ``words`` are further names to keep, like WORDS. Never raises.
    """
    found: _Found = {name: set() for name in (*KINDS, "kept")}
    stay = WORDS | {word.lower() for word in words}
    names: _Found = {"hosts": set(), "users": set()}
    votes: _Found = {_ADDRESS: found["ipv4"], _VERSION: set(), _UNSAID: set(), _PART: set()}
    for text in texts:
        _look_through(text.content, found, names)
        for quad, called in _quads(text):
            votes[called].add(quad)
    found["ipv4"] |= votes[_UNSAID] - votes[_VERSION]
    for word in others:
        _add_by_form(found, word)
    for name in hosts:
        _add_host(found, name, stay, 2)
    for name in sorted(names["hosts"]):
        _add_host(found, name, stay, 3)
    for name in users:
        _add_name(found["users"], name, stay, 2)
    for name in sorted(names["users"]):
        _add_name(found["users"], name, stay, 3)
    return Identities(**{name: tuple(sorted(values)) for name, values in found.items()})


def says_something(value: str) -> bool:
    """Whether a serial number is meaningful: "NA", zeros and "XXXX" are not."""
    plain = re.sub("[^0-9a-z]", "", value.lower())
    return len(set(plain)) > 1 and plain not in ("na", "none", "null", "unknown", "0x0")


def is_host(quad: str) -> bool:
    """Whether four numbers are the address of a host or a network, and not a netmask, loopback or multicast group."""
    numbers = [int(number) for number in quad.split(".")]
    if max(numbers) > 255 or numbers[0] in (0, 127) or numbers[0] >= 224:
        return False
    inverted = int.from_bytes(bytes(numbers), "big") ^ 0xFFFFFFFF
    return bool(inverted & (inverted + 1))  # else ones, then zeros


def is_ipv6(word: str) -> bool:
    """Whether a word is an IPv6 address of a host or a network, and not a C++ name such as ``be::add``."""
    try:
        address = ipaddress.IPv6Address(word)
    except ValueError:
        return False
    behind_first = int(address) & ((1 << 112) - 1)
    if behind_first == 0 or int(address) == 1 or (address.is_multicast and behind_first < 0x10000):
        return False  # a prefix like fe80:: or 19e5:: names nobody
    return any(character.isdigit() for character in word) or word.count(":") > 2


def is_hardware(word: str) -> bool:
    """Whether digits in the form of a hardware address are one: not all the same, and not a date with dots."""
    digits = re.sub("[^0-9a-f]", "", word.lower())
    return len(set(digits)) > 1 and not ("." in word and digits.isdigit())


def _look_through(content: str, found: _Found, names: _Found) -> None:
    for kind, pattern, is_one in (
        ("hardware", PAIRS, is_hardware),
        ("ipv6", GROUPS, is_ipv6),
        ("uuids", UUID, says_something),
        ("mails", MAIL, says_something),
    ):
        found[kind].update(match.group() for match in pattern.finditer(content) if is_one(match.group()))
    for match in SERIAL.finditer(content):
        value = match.group(1) or match.group(2)
        if says_something(value) and value != HIDDEN:
            found["serials"].add(value)
    found["passwords"].update(content[start:end] for start, end in spans(content))
    for pattern in (_HOME, _USER, _ACCOUNT):
        names["users"].update(match.group(1) for match in pattern.finditer(content))
    for pattern in (_SYSTEM, _SUBJECT, _EXPORT, _URL):
        names["hosts"].update(match.group(1) for match in pattern.finditer(content))


def _add_by_form(found: _Found, word: str) -> None:
    """Classify something that the node says about itself: an address of some form, else a serial number."""
    if QUAD.fullmatch(word):
        found["ipv4"].update([word] if is_host(word) else [])
    elif PAIRS.fullmatch(word):
        found["hardware"].update([word] if is_hardware(word) else [])
    elif ":" in word:
        found["ipv6"].update([word] if is_ipv6(word) else [])
    elif says_something(word):
        found["serials"].add(word)


def _add_host(found: _Found, name: str, stay: AbstractSet[str], shortest: int) -> None:
    """A name with a domain is two names, because either part may appear alone."""
    name = name.strip().rstrip(".").lower()
    if QUAD.fullmatch(name) or ":" in name:
        _add_by_form(found, name)
    elif name and not _PUBLIC.search(name):
        short, _, domain = name.partition(".")
        if not _add_name(found["hosts"], short, stay, shortest):
            found["kept"].add(short)
        _add_name(found["hosts"], domain, stay, shortest)


def _add_name(found: Set[str], name: str, stay: AbstractSet[str], shortest: int) -> bool:
    name = name.strip()
    if len(name) < shortest or name.lower() in stay or name.isdigit():
        return False
    found.add(name)
    return True


def _quads(text: Text) -> Iterator[Tuple[str, str]]:
    """Yield what looks like the IPv4 address of a host or network, and what the text around it calls it."""
    for line in text.content.split("\n"):
        for match in QUAD.finditer(line):
            if is_host(match.group()):
                called = _called(line[max(0, match.start() - 60) : match.start()], line[match.end() : match.end() + 24])
                yield match.group(), _PART if called == _UNSAID and text.versions else called


def _called(before: str, behind: str) -> str:
    if _BEFORE.search(before) or _BEHIND.match(behind):
        return _ADDRESS
    labels = list(_LABEL.finditer(before))
    if labels:
        return labels[-1].lastgroup or _UNSAID
    if re.search(r"(?:[A-Za-z_.-]|[=<>~!]=|[<>])$", before) or re.match(r"[A-Za-z_]|[-.][A-Za-z0-9_]", behind):
        return _PART
    return _UNSAID
