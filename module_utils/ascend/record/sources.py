# SPDX-License-Identifier: Apache-2.0
"""What a capture contains beside the facts' own questions: further questions to the tools, files, and folders' content.

Everything here only reads. Everything has a maximum length, and what was left out is reported.
"""

from __future__ import annotations

import glob
import json
import os
import re
import stat
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from .. import files, homes, manifest
from ..cann.layout import Tree
from ..environment import examples
from ..node import Node
from ..npu import ports, processes, tools
from ..places import CANN_INSTALL_RECORD, INSTALLERS_LOGS, Places
from .text import Section

DEFAULT_ROOT = "/usr/local/Ascend"
MOST_CARDS = 16
MOST_FILE_BYTES = 64 * 1024
MOST_FILES = 400  # whose content is kept
MOST_ENTRIES = 8000  # of all folders
MOST_IN_FOLDER = 600
MOST_HOMES = 20
MOST_PROCESSES = 64
DEPTH = 4  # of folders below CANN's root: ascend-toolkit/<version>/<part>/<file>


@dataclass(frozen=True)
class Query:
    """A question; ``argv`` begins with a program's name.

    The last ``most`` of the lines that match ``keep`` are kept.
    """

    argv: Tuple[str, ...]
    keep: str = ""
    most: int = 500


_KERNEL_WORDS = r"(?i)davinci|drv_|ascend|\bnpu|hisi|devmm|hdcdrv|\bhns|19e5|pcieport|\boom\b|mce:|edac"
ONCE = (
    Query(("npu-smi", "-v")),
    Query(("npu-smi", "info")),
    Query(("npu-smi", "info", "-l")),
    Query(("npu-smi", "info", "-m")),
    Query(("npu-smi", "info", "-t", "topo")),
    Query(("uname", "-a")),
    Query(("lscpu",), r"^(?!Vulnerability|Flags)"),
    Query(("lspci", "-d", "19e5:")),
    Query(("lsmod",), _KERNEL_WORDS),
    Query(("dmesg",), _KERNEL_WORDS, 400),
    Query(("df", "-kP"), r"^(?!overlay |shm |tmpfs |devtmpfs )", 100),
    Query(("mount",), r"^/dev/|^\S+:/|Ascend| on / | type (?:nfs|ceph|lustre|fuse|xfs|ext4)", 100),
    Query(("ldconfig", "-p"), r"(?i)ascend|hccl|dcmi|drvdsmi|libge_|libgraph|acl_|libc\.so|stdc\+\+", 200),
    Query(("id", "HwHiAiUser")),
)
NPU_SMI_TYPES = ("board", "common", "usages", "memory", "ecc", "health", "proc-mem")
HCCN_QUESTIONS = (
    "ip", "gateway", "link", "net_health", "netdetect", "link_stat", "optical", "lldp", "fec", "tls", "route", "mac",
    "mtu", "speed", "stat",
)  # fmt: skip
# Files that say what the node is; below the driver's and CANN's folders, see trees().
FILES = (
    tools.INSTALL_INFO,
    ports.CONF,
    "/etc/os-release",
    CANN_INSTALL_RECORD,
    "/proc/version",
    "/proc/cmdline",
    "/proc/uptime",
    "/proc/1/cgroup",
    "/etc/ld.so.conf.d/ascend.conf",
    "/etc/ld.so.conf.d/ascend_driver_so.conf",
)
# Of these only the lines that matter: (path, pattern).
FILTERED = (("/proc/modules", _KERNEL_WORDS), ("/proc/meminfo", r"^(?:Mem|Swap|Huge)"))
# What the installers of driver and CANN wrote: the end of each log.
LOG_BYTES = 16 * 1024
DEVICES = re.compile(r"davinci|devmm|hisi|dvpp|svm|ummu|uburma|infiniband")
# Files of CANN and of the driver whose content is kept.
_READ = re.compile(
    r".*\.info|version\.cfg|install\.conf|.*set_env\.sh|platform\.ini|pyvenv\.cfg|\.ascend-fleet\.json|\.cann_home"
)
KERNEL = "opp/built-in/op_impl/ai_core/tbe/kernel"
# Folders deeper than DEPTH, below a version's own, that CANN's reader looks into.
DEEPER = (
    "*-linux/lib64",
    "*-linux/script",
    "share/info/*",
    KERNEL,
    KERNEL + "/config",
    KERNEL + "/config/ascend*",
    KERNEL + "/config/ascend*/*",
    KERNEL + "/ascend*",
)


def queries(devices: List[Dict[str, Any]], numbers: Iterable[int]) -> List[Query]:
    """Return all questions: once for the node, then card by card. ``numbers`` are hccn_tool's of the cards."""
    found = list(ONCE)
    cards = list(dict.fromkeys(device["npu_id"] for device in devices))[:MOST_CARDS]
    for card in cards:
        found += [Query(("npu-smi", "info", "-t", kind, "-i", str(card))) for kind in NPU_SMI_TYPES]
        chips = [device["chip_id"] for device in devices if device["npu_id"] == card and device["chip_id"] is not None]
        found += [Query(("npu-smi", "info", "-t", "board", "-i", str(card), "-c", str(chip))) for chip in chips]
    for number in list(numbers)[:MOST_CARDS]:
        found += [Query(("hccn_tool", "-i", str(number), "-" + question, "-g")) for question in HCCN_QUESTIONS]
    return found


def kept(query: Query, output: str) -> str:
    """Return those lines of an output that the query keeps, and a last line with their total number."""
    lines = output.splitlines(True)
    matching = [line for line in lines if re.search(query.keep, line)] if query.keep else lines
    last = matching[-query.most :]
    if len(last) == len(lines):
        return output
    return "".join(last) + "[%d of %d lines]\n" % (len(last), len(lines))


def file_section(node: Node, path: str, pattern: str = "") -> Optional[Section]:
    """Return a file, None if there is none. Content that is not text, or too long, is left out and counted."""
    place = node.path(path)
    about: Dict[str, Any] = {"kind": "file", "path": path}
    try:
        status = os.stat(place)
        if not stat.S_ISREG(status.st_mode):
            return Section(path, dict(about, state="not a regular file"), "")
        with open(place, "rb") as stream:
            content = stream.read(MOST_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Section(path, dict(about, state="cannot be read: %s" % error.strerror), "")
    about.update(mode="%04o" % stat.S_IMODE(status.st_mode), size=status.st_size, state="whole")
    if b"\0" in content:
        return Section(path, dict(about, state="not text"), "")
    text = content[:MOST_FILE_BYTES].decode("utf-8", "surrogateescape")
    if len(content) > MOST_FILE_BYTES:
        about["state"] = "cut"
    if pattern:
        about["state"] = "filtered"
        text = "".join(line for line in text.splitlines(True) if re.search(pattern, line))
    return Section(path, about, text)


def log_sections(node: Node) -> Iterator[Section]:
    """Yield the end of each of the installers' logs, from the first whole line on."""
    for name in files.names(node.path(INSTALLERS_LOGS)):
        path = os.path.join(INSTALLERS_LOGS, name)
        place = node.path(path)
        if not name.endswith(".log") or os.path.islink(place) or not os.path.isfile(place):
            continue
        about: Dict[str, Any] = {"kind": "file", "path": path, "size": os.path.getsize(place), "state": "end"}
        try:
            with open(place, "rb") as stream:
                stream.seek(max(0, about["size"] - LOG_BYTES))
                content = stream.read(LOG_BYTES).decode("utf-8", "surrogateescape")
        except OSError as error:
            yield Section(path, dict(about, state="cannot be read: %s" % error.strerror), "")
            continue
        yield Section(path, about, content.partition("\n")[2] if about["size"] > LOG_BYTES else content)


def process_sections(node: Node, found: Iterable[Dict[str, Any]]) -> Iterator[Section]:
    """Yield the processes that the facts name or that use a card: command line, owner, control group, devices."""
    known = {process["pid"]: process for process in [*processes.read_file_users(node), *found]}
    for pid in sorted(known)[:MOST_PROCESSES]:
        place = node.path("/proc/%d" % pid)
        opened = (files.link(os.path.join(place, "fd", name)) for name in files.names(os.path.join(place, "fd")))
        about = {
            "kind": "process",
            "pid": pid,
            "user": known[pid]["user"],
            "comm": files.text(os.path.join(place, "comm")),
            "cgroup": files.text(os.path.join(place, "cgroup")),
            "devices": sorted({path for path in opened if path and path.startswith("/dev/davinci")}),
        }
        yield Section("process %d" % pid, about, (files.text(os.path.join(place, "cmdline")) or "")[:MOST_FILE_BYTES])


def manifest_sections(node: Node, state_dir: str) -> Iterator[Section]:
    """Yield the manifests of what was installed, reduced to the entries that differ."""
    folder = os.path.join(state_dir, "manifests")
    for name in files.names(node.path(folder)):
        path = os.path.join(folder, name)
        place = node.path(path)
        try:
            with open(place, encoding="utf-8") as stream:
                body = dict(json.loads(stream.readlines()[1]))
            root = node.path(body["root"])
            differing = {difference.path for difference in manifest.verify(place, root=root)}
            reduced, left_out = _reduced(body, differing)
            present = {path: _kind(os.path.join(root, path)) for path in sorted(differing) if path}
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
            section = file_section(node, path)
            if section:
                yield Section(
                    path, dict(section.about, why="not as this project writes it: %s" % error), section.content
                )
            continue
        about = {"kind": "manifest", "path": path, "root": body["root"], "left_out": left_out, "there": present}
        yield Section("%s, what differs" % path, about, json.dumps(reduced, indent=1, sort_keys=True) + "\n")


def _kind(place: str) -> Any:
    """Return what is at a path: a link's target, else [size, mode] of a file, else None."""
    try:
        status = os.lstat(place)
    except OSError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return files.link(place)
    return [status.st_size, "%04o" % stat.S_IMODE(status.st_mode)] if stat.S_ISREG(status.st_mode) else None


def _reduced(body: Dict[str, Any], paths: Set[str]) -> Tuple[Dict[str, Any], int]:
    folders: Dict[str, List[List[Any]]] = {}
    digests = ""
    number = 0
    for folder, columns in body["folders"].items():
        for row in zip(*columns):
            digest = body["sha256"][number * 64 : number * 64 + 64]
            number += 1
            if os.path.join(folder, row[0]) in paths:
                digests += digest
                for column, value in zip(folders.setdefault(folder, [[], [], [], []]), row):
                    column.append(value)
    links = {path: target for path, target in body["links"].items() if path in paths}
    left_out = number + len(body["links"]) - len(digests) // 64 - len(links)
    return dict(body, folders=folders, links=links, sha256=digests), left_out


def distribution_sections(node: Node, ascend_root: str) -> Iterator[Section]:
    """Yield the distributions of each environment, only by name and version."""
    folder = os.path.join(ascend_root, "env")
    for name in files.names(node.path(folder)):
        path = os.path.join(folder, name)
        infos = sorted(glob.glob(os.path.join(glob.escape(node.path(path)), "lib/python3*/site-packages/*.dist-info")))
        if infos and not os.path.islink(node.path(path)):
            lines = ["%s  %s\n" % (_named(info), os.path.basename(info)) for info in infos[:MOST_IN_FOLDER]]
            yield Section("distributions of %s" % path, {"kind": "distributions", "path": path}, "".join(lines))


def example_sections(node: Node, ascend_root: str) -> Iterator[Section]:
    """Yield the examples of each environment: the facts read them."""
    folder = os.path.join(ascend_root, "env")
    for name in files.names(node.path(folder)):
        path = os.path.join(folder, name)
        names = [] if os.path.islink(node.path(path)) else examples.ours(node.path(path))
        for each in [examples.LIST, *names] if names else ():
            section = file_section(node, os.path.join(path, examples.FOLDER, each))
            if section:
                yield section


def _named(info: str) -> str:
    found = {"Name": "?", "Version": "?"}
    for line in (files.text(os.path.join(info, "METADATA")) or "").split("\n\n", 1)[0].splitlines():
        key, _, value = line.partition(":")
        if found.get(key) == "?":
            found[key] = value.strip()
    return "Name: %(Name)s  Version: %(Version)s" % found


class Trees:
    """Folders, their entries with kind, size and mode, and the small files in them that say what they are."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._entries = 0
        self._listed: Set[str] = set()
        self.files: List[Section] = []

    def section(self, top: str, depth: int, pattern: str = "", read: bool = True) -> Optional[Section]:
        """Return the folders below ``top``, None if there is none; nothing is listed twice."""
        lines: List[str] = []
        level = [top]
        for _ in range(depth):
            level = [
                os.path.join(folder, name)
                for folder in level
                for name, is_folder in self._list(folder, pattern, read, lines)
                if is_folder
            ]
        for folder in self._deeper(top) if read else ():
            self._list(folder, "", True, lines)
        return Section("folder %s" % top, {"kind": "folder", "path": top}, "".join(lines)) if lines else None

    def _deeper(self, top: str) -> Iterator[str]:
        """Yield the deeper folders to look into, by their own names, without any behind a link."""
        real = os.path.realpath(self._node.path(top))
        for home in [each.home("*") for each in Tree(top, "").places()]:
            for place in DEEPER:
                for path in sorted(glob.glob(os.path.join(self._node.path(home), place)))[:MOST_IN_FOLDER]:
                    below = os.path.relpath(path, self._node.path(top))
                    if os.path.realpath(path) != os.path.join(real, below):
                        continue
                    yield path if self._node.root == "/" else path[len(self._node.root.rstrip("/")) :]

    def _list(self, folder: str, pattern: str, read: bool, lines: List[str]) -> List[Tuple[str, bool]]:
        place = self._node.path(folder)
        if folder in self._listed or not os.path.isdir(place) or self._entries >= MOST_ENTRIES:
            return []
        self._listed.add(folder)
        names = [name for name in files.names(place) if re.search(pattern, name)]
        lines.append("%s:\n" % quoted(folder))
        found = []
        for name in names[:MOST_IN_FOLDER]:
            line, is_folder = self._entry(os.path.join(place, name), name)
            lines.append("  %s\n" % line)
            found.append((name, is_folder))
            if read and _READ.fullmatch(name) and len(self.files) < MOST_FILES:
                self._keep(os.path.join(folder, name))
        if len(names) > MOST_IN_FOLDER:
            lines.append("  ... %d more\n" % (len(names) - MOST_IN_FOLDER))
        self._entries += len(names[:MOST_IN_FOLDER])
        return found

    def _entry(self, place: str, name: str) -> Tuple[str, bool]:
        try:
            status = os.lstat(place)
        except OSError as error:
            return "? %s %s" % (quoted(name), error.strerror), False
        if stat.S_ISLNK(status.st_mode):
            return "l %s -> %s%s" % (quoted(name), quoted(files.link(place) or ""), _led_to(place)), False
        mode = "%04o" % stat.S_IMODE(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            return "d %s %s" % (mode, quoted(name)), True
        if stat.S_ISREG(status.st_mode):
            return "f %s %d %s" % (mode, status.st_size, quoted(name)), False
        return "o %s %s" % (mode, quoted(name)), False

    def _keep(self, path: str) -> None:
        section = None if os.path.islink(self._node.path(path)) else file_section(self._node, path)
        if section:
            self.files.append(section)


def _led_to(place: str) -> str:
    """Return the size of a link's target, which may be too deep in the tree to be listed itself."""
    try:
        status = os.stat(place)
    except OSError:
        return ""
    return " %d" % status.st_size if stat.S_ISREG(status.st_mode) else ""


def quoted(name: str) -> str:
    """Return a name as one word, as a JSON string if it would otherwise be several words or none."""
    return json.dumps(name, ensure_ascii=False) if not name or re.search(r"[\s\"\\]", name) else name


def tree_sections(node: Node, places: Places) -> List[Section]:
    """Return the folders of driver, CANN and environments, and before them the small files in them."""
    trees = Trees(node)
    others = homes.look(node).cann[:MOST_HOMES]
    answering = homes.each(node, ["/home", *others], lambda path: os.path.isdir(node.path(path))).found
    found = [trees.section("/dev", 1, DEVICES.pattern, False)]
    found += [trees.section("/home", 1, "", False)] if answering.get("/home") else []
    roots = [places.cann_root, DEFAULT_ROOT, *[path for path in others if answering.get(path)]]
    found += [trees.section(root, DEPTH) for root in dict.fromkeys(roots)]
    found += [trees.section(os.path.join(places.ascend_root, "python"), 2)]
    found += [trees.section(os.path.join(places.ascend_root, "env"), 2)]
    found += [trees.section(places.state_dir, 2, "", False)]
    return trees.files + [section for section in found if section]
