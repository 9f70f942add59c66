# SPDX-License-Identifier: Apache-2.0
"""Make a capture: everything that the facts ask of a node and more, raw, without names of node and people.

``make`` runs the facts through a ``run`` that remembers each call, so whatever the facts ask is in the capture. It asks
the further questions of sources.py, reads the files from which the facts come, masks (pseudonyms.py), and requires that
nothing is left that names the node. ``parse`` (text.py) reads a capture back.
"""

from __future__ import annotations

import ipaddress
import json
import os
import platform
import random
import re
import socket
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from .. import facts as ascend_facts, files, times
from ..cann import receipts as cann_receipts
from ..change import origin
from ..command import Result
from ..errors import AscendError
from ..masking import masked
from ..node import Node
from ..npu import tools
from ..places import Places
from . import identities, sources as record_sources, text as record_text
from .identities import KINDS, Identities, Text
from .pseudonyms import Mask
from .sources import Query
from .text import Section

SCHEMA = 1
MOST_BYTES = 2 * 1000 * 1000  # of a whole capture, about
MOST_OUTPUT = 200 * 1000  # characters of one program's output
MOST_ERRORS = 4000  # of what it said beside it
MOST_LIMITS = 3  # a program that did not answer so often in time is asked nothing more
FINDINGS_SHOWN = 20  # at the capture's beginning
MOST_SECONDS = 300  # for the questions beyond those of the facts

parse = record_text.parse

# Sections in which four numbers with dots are versions unless the words around them say otherwise.
_VERSIONS = re.compile(
    r"(?:npu-smi|lspci|lsmod|lscpu|ldconfig|uname)(?: |$)|/etc/os-release|/proc/version|.*\.info|.*version\.cfg"
    r"|folder |distributions of |.*/manifests/"
)
# Words of the form and of the lines for people, beside those of the introduction.
_OWN_WORDS = """
    kind path mode state whole cut filtered end argv code timed_out seconds bytes sha256 left_out there full root text
    programs places made machine schema sections facts_schema note process distributions manifest exit what clock form
    masked kept found wrong problem late
"""
INTRODUCTION = """\
The raw outputs of an Ascend node for a bug report: the answers of its tools, its files, and the facts that
ascend-fleet reads from them. Read it before you send it.

Host and user names, serial numbers, addresses, UUIDs and passwords were replaced on the node, before the record left
it. The same value has the same pseudonym everywhere in this record, and another one in every other record. IPv4
addresses that shared a prefix still do; the last number is the real one. Versions, bus ids, times and sizes are real.

How to read it: "=" begins a section, "@" describes it, "|" is its content. A backslash at the end of a line means that
the line continues; \\xNN and the like are characters that a screen does not show.
"""


class Recorder:
    """A node's ``run`` and ``find``, remembered; safe to call from several threads at once."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self.calls: List[Tuple[List[str], Result, float]] = []
        self.programs: Dict[str, Optional[str]] = {}

    def run(self, argv: List[str], timeout_s: float) -> Result:
        started = time.monotonic()
        result = self._node.run(argv, timeout_s)
        seconds = time.monotonic() - started
        with self._lock:
            self.calls.append(([_own(self._node, argv[0]), *argv[1:]], result, seconds))
        return result

    def find(self, name: str) -> Optional[str]:
        path = self._node.find(name)
        with self._lock:
            self.programs[name] = path
        return path

    def node(self) -> Node:
        return self._node._replace(run=self.run, find=self.find)

    def ask(self, queries: Iterable[Query], tools: Dict[str, Optional[str]], timeout_s: float) -> Iterator[str]:
        """Ask what was not asked yet; yield a line for each question that was not asked, and why.

        ``tools`` are the programs that may not be on PATH, by name.
        """
        deadline = time.monotonic() + MOST_SECONDS
        asked = [argv for argv, _result, _seconds in self.calls]
        late = Counter(argv[0] for argv, result, _seconds in self.calls if result.timed_out)
        for query in queries:
            words = " ".join(query.argv)
            path = tools[query.argv[0]] if query.argv[0] in tools else self._node.find(query.argv[0])
            own = _own(self._node, path or "")
            if path is None:
                yield "%s   (no such program)" % words
            elif [own, *query.argv[1:]] in asked:
                continue
            elif late[own] >= MOST_LIMITS:
                yield "%s   (not run: this program has timed out before)" % words
            elif time.monotonic() >= deadline:
                yield "%s   (not run: the time limit for all queries was reached)" % words
            else:
                result = self.run([path, *query.argv[1:]], timeout_s)
                late[own] += result.timed_out
                argv, result, seconds = self.calls[-1]
                self.calls[-1] = (argv, replace(result, output=record_sources.kept(query, result.output)), seconds)


def make(
    node: Node,
    places: Places,
    timeout_s: float,
    names: Sequence[str] = (),
    rng: Optional[random.Random] = None,
) -> str:
    """Return the capture of a node as text.

    ``timeout_s`` is the longest time of each call. ``names`` are further words to mask: the node's names and addresses
    in the inventory. ``rng`` decides the pseudonyms, for tests. Raises AscendError if the finished text still contains
    something that should be masked.
    """
    recorder = Recorder(node)
    facts: Any = ascend_facts.collect(recorder.node(), places, ["all"], timeout_s)
    programs = {"npu-smi": tools.find(node, "npu-smi"), "hccn_tool": facts["network"]["tool"]}
    unasked = list(recorder.ask(_queries(facts), programs, timeout_s))
    if node.root != "/":
        facts = json.loads(json.dumps(facts).replace(json.dumps(node.root.rstrip("/") + "/")[1:-1], "/"))
    sections = _sections(node, places, facts, recorder, unasked)
    found = identities.find(_texts(sections, facts), *_known(node, names), words=_words(places))
    mask = Mask(found, rng)
    facts = _masked_values(mask, facts)
    masked = _bounded([_masked(mask, section) for section in sections] + [_facts_section(facts)])
    about = {
        "schema": SCHEMA,
        "facts_schema": ascend_facts.SCHEMA,
        "made": times.now(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "programs": _masked_values(mask, recorder.programs),
        "places": _masked_values(mask, vars(places)),
    }
    text = record_text.write(about, [*_introduction(about, found, facts["findings"]), *_contents(masked)], masked)
    _require_masked(mask, text)
    return text


def _own(node: Node, path: str) -> str:
    """Return a path as the node has it, without the folder in which a test keeps the node's files."""
    root = node.root.rstrip("/")
    return path[len(root) :] if root and path.startswith(root + "/") else path


def _queries(facts: Dict[str, Any]) -> List[Query]:
    devices = facts["npu"]["devices"]
    numbers = [card["device"] for card in facts["network"]["cards"]] or range(facts["driver"]["device_nodes"])
    return record_sources.queries(devices, numbers)


# --- what is recorded ----------------------------------------------------------------------------------------------


def _sections(
    node: Node, places: Places, facts: Dict[str, Any], recorder: Recorder, unasked: List[str]
) -> List[Section]:
    found = [_command_section(*call) for call in recorder.calls]
    if unasked:
        found.append(Section("not asked", {"kind": "note"}, "\n".join(unasked) + "\n"))
    root = files.pairs(files.text(node.path(record_sources.FILES[0]))).get("Driver_Install_Path_Param", "")
    roots = dict.fromkeys([root, places.cann_root] if os.path.isabs(root) else [places.cann_root])
    paths = list(record_sources.FILES)
    paths += [os.path.join(root, part, "version.info") for root in roots for part in ("driver", "firmware")]
    read = [record_sources.file_section(node, path) for path in paths]
    read += [record_sources.file_section(node, path, pattern) for path, pattern in record_sources.FILTERED]
    for name in (cann_receipts.FILE, origin.FILE):
        read.append(record_sources.file_section(node, os.path.join(places.state_dir, name)))
    found += [section for section in read if section]
    missing = [path for path, section in zip(paths, read) if section is None]
    if missing:
        found.append(Section("missing files", {"kind": "note"}, "\n".join(missing) + "\n"))
    found += record_sources.log_sections(node)
    found += record_sources.process_sections(node, facts["npu"]["processes"])
    found += record_sources.manifest_sections(node, places.state_dir)
    found += record_sources.distribution_sections(node, places.ascend_root)
    found += record_sources.example_sections(node, places.ascend_root)
    known = {section.about.get("path") for section in found if section.about["kind"] == "file"}
    return found + [s for s in record_sources.tree_sections(node, places) if s.about.get("path") not in known
                    or s.about["kind"] != "file"]  # fmt: skip


def _command_section(argv: List[str], result: Result, seconds: float) -> Section:
    about: Dict[str, Any] = {
        "kind": "command",
        "argv": argv,
        "code": result.code,
        "timed_out": result.timed_out,
        "seconds": round(seconds, 2),
    }
    if result.errors:
        about["errors"] = result.errors[-MOST_ERRORS:]
    output = result.output
    if len(output) > MOST_OUTPUT:
        about["cut"] = len(output)
        output = masked(output)  # half of a secret is none any more that anybody could know
        output = output[: MOST_OUTPUT // 2] + "\n[cut here]\n" + output[-MOST_OUTPUT // 2 :]
    return Section(" ".join([os.path.basename(argv[0]), *argv[1:]]), about, output)


def _bounded(sections: List[Section]) -> List[Section]:
    """Return the sections; later ones that would make the capture too long lose their content.

    The facts come last and are kept, because they are short.
    """
    room = MOST_BYTES - len(sections[-1].content)
    kept = []
    for section in sections[:-1]:
        room -= len(section.content)
        if room < 0:
            section = Section(section.title, dict(section.about, full=True), "")
        kept.append(section)
    return [*kept, sections[-1]]


# --- masking -------------------------------------------------------------------------------------------------------


def _texts(sections: List[Section], facts: Dict[str, Any]) -> Iterator[Text]:
    """Yield all texts of the capture, with the meaning of numbers with dots in each."""
    for section in sections:
        versions = bool(_VERSIONS.match(section.title))
        yield Text(section.content, versions)
        yield from (Text(words, versions) for words in _strings(section.about))
        yield Text(section.title, versions)
    for key, value in facts.items():
        if key == "findings":
            for finding in value:
                yield from (Text(words, finding["subset"] != "network") for words in finding.values())
        elif key == "npu":
            yield from (Text(words) for words in _strings(value["processes"]))
            yield from (Text(words, True) for words in _strings({**value, "processes": []}))
        else:
            yield from (Text(words, key != "network") for words in _strings(value))


def _strings(value: Any, key: str = "") -> Iterator[str]:
    """Yield each text of a structure after its key, and the keys."""
    if isinstance(value, dict):
        for inner, part in value.items():
            yield inner
            yield from _strings(part, inner)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part, key)
    elif isinstance(value, str):
        yield "%s: %s" % (key, value)


def _masked(mask: Mask, section: Section) -> Section:
    return Section(mask.apply(section.title), _masked_values(mask, section.about), mask.apply(section.content))


def _masked_values(mask: Mask, value: Any) -> Any:
    if isinstance(value, dict):
        return {mask.apply(key): part if key == "kind" else _masked_values(mask, part) for key, part in value.items()}
    if isinstance(value, list):
        return [_masked_values(mask, part) for part in value]
    return mask.apply(value) if isinstance(value, str) else value


def _facts_section(facts: Dict[str, Any]) -> Section:
    return Section("facts", {"kind": "facts"}, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def _require_masked(mask: Mask, text: str) -> None:
    """Raise if something that should be masked can be read in the finished text."""
    joined = re.sub(r"\\\n[|@=] ", "", text)
    leaks = mask.leaks(joined)
    if leaks:
        raise AscendError(
            "the record would still identify the node or a person, so it was withheld",
            "no host name, user name, address or serial number in the record",
            ", ".join(leaks),
            remedy="run ascend_facts alone, and report this with the kind that was found",
        )


def _words(places: Places) -> Set[str]:
    """The capture's own words, which do not count as a node's name even if it has such a name."""
    own = [INTRODUCTION, *vars(places).values(), *record_sources.FILES, *KINDS.values()]
    own += [" ".join(query.argv) for query in record_sources.queries([{"npu_id": 0, "chip_id": 0}], [0])]
    text = " ".join([*own, _OWN_WORDS]).lower().replace("_", " ")
    # Whole ones, too: an account that we made is called ascend-fleet.
    return set(re.findall("[a-z][a-z0-9]+", text)) | set(re.findall("[a-z][a-z0-9]*(?:-[a-z0-9]+)+", text))


def _known(node: Node, names: Sequence[str]) -> Tuple[List[str], List[str], List[str]]:
    """Return (host names, user names, addresses and serial numbers) that the node says about itself."""
    hosts = [name for name in names if name]
    users: List[str] = []
    others: List[str] = []
    for path in ("/etc/hostname", "/proc/sys/kernel/hostname"):
        hosts += (files.text(node.path(path)) or "").split()
    if node.root == "/":
        hosts.append(socket.gethostname())
        users += [os.environ.get(name, "") for name in ("SUDO_USER", "LOGNAME", "USER")]
    program = node.find("hostname")
    if program:
        full = node.run([program, "-f"], 5)  # may ask a name server
        hosts += full.output.split() if full.code == 0 else []
    for line in (files.text(node.path("/etc/hosts")) or "").splitlines():
        address, *aliases = line.partition("#")[0].split() or [""]
        others.append(address)
        hosts += [alias for alias in aliases if not alias.startswith(("localhost", "ip6-"))]
    for line in (files.text(node.path("/etc/resolv.conf")) or "").splitlines():
        key, *values = line.split() or [""]
        hosts += values if key in ("search", "domain") else []
        others += values if key == "nameserver" else []
    for line in (files.text(node.path("/etc/passwd")) or "").splitlines():
        fields = line.split(":")
        if len(fields) > 5 and fields[2].isdigit() and 1000 <= int(fields[2]) < 65534:
            users += [fields[0], os.path.basename(fields[5])]
    return hosts, users + files.names(node.path("/home")), [word for word in others + list(_hardware(node)) if word]


def _hardware(node: Node) -> Iterator[str]:
    """Yield the node's own addresses and serial numbers, which may not appear in any answer of a tool."""
    yield from re.findall(r"\|-- ([0-9.]+)", files.text(node.path("/proc/net/fib_trie")) or "")
    for line in (files.text(node.path("/proc/net/if_inet6")) or "").splitlines():
        if re.match("[0-9a-f]{32} ", line):
            yield str(ipaddress.IPv6Address(int(line[:32], 16)))
    for name in files.names(node.path("/sys/class/net")):
        yield (files.text(node.path("/sys/class/net/%s/address" % name)) or "").strip()
    for name in ("product_serial", "board_serial", "chassis_serial", "product_uuid"):
        yield _serial(files.text(node.path("/sys/class/dmi/id/" + name)))
    yield _serial(files.text(node.path("/etc/machine-id")))


def _serial(text: Optional[str]) -> str:
    """Return a serial number; a text of several words is a maker's "To be filled by O.E.M."."""
    words = (text or "").split()
    return words[0] if len(words) == 1 and re.search("[0-9]", words[0]) and len(words[0]) >= 4 else ""


# --- for people ----------------------------------------------------------------------------------------------------


def _introduction(about: Dict[str, Any], found: Identities, findings: List[Dict[str, str]]) -> List[str]:
    counts = ["%s %d" % (words, len(found.of(kind))) for kind, words in KINDS.items() if found.of(kind)]
    lines = [*INTRODUCTION.splitlines(), ""]
    lines.append("made      %s (clock of the node), Python %s, %s" % (about["made"], about["python"], about["machine"]))
    lines.append("form      record %d, facts %d" % (SCHEMA, ascend_facts.SCHEMA))
    lines.append("masked    %s" % (", ".join(counts) or "nothing: nothing was found that names the node"))
    if found.kept:
        lines.append("kept      host names that are words of the tools: %s" % ", ".join(found.kept))
    lines += ["", "What the facts find wrong: %s" % (len(findings) or "nothing")]
    for finding in findings[:FINDINGS_SHOWN]:
        words = " ".join(("%(name)s: %(problem)s; found: %(found)s" % finding).split())
        lines.append("  " + record_text.escape(words if len(words) <= 116 else words[:113] + "..."))
    return lines + ["  and more, see the section facts"] * (len(findings) > FINDINGS_SHOWN)


def _contents(sections: List[Section]) -> List[str]:
    """Return the table of contents: a line a section."""
    lines = ["", "  no  exit  seconds    bytes  what"]
    for number, section in enumerate(sections, 1):
        about = section.about
        code = "late" if about.get("timed_out") else str(about.get("code", ""))
        seconds = "%.2f" % about["seconds"] if "seconds" in about else ""
        size = len(section.content.encode("utf-8", "surrogatepass"))
        note = "   (left out: the record has reached its maximum length)" if about.get("full") else ""
        title = record_text.escape(section.title)
        lines.append("%4d  %4s  %7s  %7d  %s%s" % (number, code, seconds, size, title, note))
    return lines
