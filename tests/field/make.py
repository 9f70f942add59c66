#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make states.json.xz (README.md) with the code of this checkout, as root, in a quarter of an hour.

``unshare --uts sh -c 'hostname control-1; .venv/bin/python tests/field/make.py FILE'``

It provisions simulated nodes with stand-in wheels, ends changes of them half-way and makes two drift reports. For an
earlier checkout copy this file there: of the project it needs the simulated fleet and tests/change alone.
"""

from __future__ import annotations

import json
import lzma
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "sim")]

import tests.conftest  # noqa: E402, F401  (after the path; it makes the rest importable)

# isort: split
import image  # noqa: E402  (after the path)

from tests.change.conftest import HARDWARE  # noqa: E402  (after the path)
from tests.change.faults import BESIDE, EXTRA, STOP  # noqa: E402  (after the path)
from tests.change.fleet import NEW, OLD, OWN, Fleet, sh  # noqa: E402  (after the path)
from tests.change.test_proof import archived, checkout  # noqa: E402  (after the path)

WORK = Path("/tmp/field-work")
WAITING = "/var/lib/ascend-fleet/stopped-at"
AT_ONCE = ("-e", "ascend_busy_policy=ignore", "-e", '{"rollout_batches": ["100%"]}')
CHECKOUT = "/srv/LLaMA-Factory.tar.gz"


class State(NamedTuple):
    """A node's fate: led to ``release``, after ``arrange``, with ``settings``; ended at ``point``, if there is one."""

    release: str = NEW
    point: str = ""
    arrange: str = ""
    settings: str = ""
    archive: str = ""

    @property
    def host(self) -> dict[str, Any]:
        return {"llamafactory_source": {"archive": self.archive}} if self.archive else {}


STATES = {
    **dict.fromkeys(("converged", "card-warning", "link-down"), State(OLD)),  # the first three: in the reports
    "previous": State(),
    "in-the-installer": State(point="toolkit.installer-ended", settings="installer=dies:opp"),
    "in-the-environment": State(point="environment.filled"),
    "in-a-repair": State(OLD, "environment.cleared", EXTRA),
    "before-the-switch": State(point="current.remembered"),
    "after-the-switch": State(point="current.switched"),
    "other-layout": State(settings="layout=other"),
    "latest-elsewhere": State(OLD, "kernels.recorded", BESIDE),
    "checkout": State(OLD, archive=CHECKOUT),
}
# Of the system and of the hardware: what is asked and looked at. Of /proc and /dev podman shows nothing outside.
HCCN = [f"/usr/local/Ascend/driver/tools/hccn_tool -i 0 -{what} -g" for what in ("ip", "gateway", "link", "net_health")]
ASKED = (
    *("/usr/local/bin/npu-smi info", "/usr/local/bin/npu-smi info -l", "/usr/local/bin/npu-smi info -m", *HCCN),
    "/usr/local/bin/timedatectl show --property=NTPSynchronized --value",
)
PROGRAMS = ("apt-get", "bash", "cut", "dd", "g++", "gzip", "head", "npu-smi", "tar", "timedatectl", "unzip")
LOOKED_AT = (
    *("/etc/ascend_install.info", "/etc/hccn.conf", "/etc/os-release", "/home"),
    *("/usr/local/Ascend/driver", "/usr/local/Ascend/firmware", "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"),
)
SHOWN = "ls /proc/sys/net/ipv4/ip_local_reserved_ports /dev/davinci* /dev/devmm_svm /dev/hisi_hdc"


def main(target: Path) -> None:
    fleet = Fleet("field", WORK / "state", WORK / "cache")
    os.environ["SUDO_USER"] = "operator"  # who the nodes are told changes them
    source = archived(Path(CHECKOUT).parent, checkout())
    fleet.command("down")
    try:
        text = json.dumps(made(fleet), ensure_ascii=False, sort_keys=True)
        target.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    finally:
        fleet.command("down")
        source.unlink()


def made(fleet: Fleet) -> dict[str, Any]:
    """Make everything; return the archive's content."""
    fleet.packages()
    up(fleet, 1, 3)
    reports = reported(fleet)
    up(fleet, 4, len(STATES))
    done(fleet, "playbooks/depot.yml")
    nodes = {name: fleet.node(number) for number, name in enumerate(STATES, 1)}
    for name, node in nodes.items():
        fleet.hosts[node] = {"ascend_release": STATES[name].release, **STATES[name].host}
    done(fleet, "playbooks/depot.yml", "-e", json.dumps(STATES["checkout"].host), release=OLD)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: led(fleet, STATES[name], nodes[name]), STATES))
    contents: dict[bytes, int] = {}
    states = {name: taken(node, STATES[name], contents) for name, node in nodes.items()}
    return {
        "nodes": states,
        "contents": [content.decode("latin-1") for content in contents],
        "depot": {name: latin(path) for name, path in kept_of_the_depot(fleet.cache)},
        "reports": reports,
    }


def up(fleet: Fleet, first: int, last: int) -> None:
    """Start nodes and provision them; none is a copy of another, since the files of a copy have other times."""
    fleet.command("up", "--nodes", str(last), "--depot", str(fleet.cache / "depot"))
    nodes = [fleet.node(number) for number in range(first, last + 1)]
    for node in nodes:
        sh(node, f"ascend-sim set {HARDWARE}")
    done(fleet, "site.yml", "--limit", ",".join(nodes), *AT_ONCE, release=OLD)


def done(fleet: Fleet, playbook: str, *arguments: str, release: str = NEW, code: int = 0) -> None:
    run = fleet.playbook(playbook, *arguments, release=release)
    assert run.code == code, run.output[-6000:]


def led(fleet: Fleet, state: State, node: str) -> None:
    """Lead a node to its state. What is ended is ended as a whole: the run on the control node, and its module."""
    sh(node, state.arrange or "true")
    if state.settings:
        sh(node, f"ascend-sim set {state.settings}")
    if state.point:
        sh(node, f"echo {state.point} wait >{STOP}")
        process = fleet.start("site.yml", "--limit", node, *AT_ONCE)
        until = time.monotonic() + 900
        while not sh(node, f"cat {WAITING}", check=False):
            assert process.poll() is None, f"{node} ended before {state.point}"
            assert time.monotonic() < until, f"{node} never came to {state.point}"
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGKILL)
        sh(node, f"kill -KILL $(cut -d ' ' -f 2 {WAITING}); sleep 1; rm -f {STOP} {WAITING}")
    elif state != State(OLD):
        done(fleet, "site.yml", "--limit", node, *AT_ONCE)
    sh(node, "ascend-sim unset installer layout >/dev/null; rm -rf /tmp/*")


def reported(fleet: Fleet) -> dict[str, str]:
    """Two reports: of two findings the first stays, the second goes, and a third one comes."""
    folder = fleet.state / "reports"
    sh(fleet.node(2), "ascend-sim set health.0=Warning")
    for settings in ("time=unsynchronised", "time=ok net_link.0=DOWN"):
        sh(fleet.node(3), f"ascend-sim set {settings}")
        done(fleet, "playbooks/drift.yml", "-e", f"drift_dir={folder}", release=OLD, code=2)  # drifted
    paths = (folder / "history.sqlite", *folder.glob("2*/fleet.json"))
    inventory = str(fleet.state / "inventory.json")
    return {str(path.relative_to(folder)): latin(path).replace(inventory, "inventory/prod") for path in paths}


def taken(node: str, state: State, contents: dict[bytes, int]) -> dict[str, Any]:
    """What a node answers and has; contents are added to those that others have."""
    commands = []
    for words in ASKED:
        answer = image.run_podman("exec", node, *words.split())
        commands.append([words.split(), answer.returncode, answer.stdout, answer.stderr])
    found = {name: sh(node, f"command -v {name}", check=False).strip() or None for name in PROGRAMS}
    tree = [
        [path, "f", 0o644, 0, contents.setdefault(sh(node, f"[ ! -f {path} ] || cat {path}").encode(), len(contents))]
        for path in sh(node, SHOWN).split()
    ]
    files = Path(image.podman("mount", node).strip())
    for place in (*LOOKED_AT, *OWN, "/var/tmp"):
        tree += [row(files, path, contents) for path in walk(files, place)]
    return {"release": state.release, "host": state.host, "commands": commands, "programs": found, "tree": tree}


def latin(path: Path) -> str:
    """Bytes as JSON can have them."""
    return path.read_bytes().decode("latin-1")


def walk(root: Path, place: str) -> Iterator[str]:
    """Yield the paths at and below a place, but for what Python compiled."""
    start = root / place[1:]
    if os.path.lexists(start):
        yield place
    for folder, folders, files in os.walk(start):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted([*folders, *files]):
            yield "/" + os.path.relpath(os.path.join(folder, name), root)


def row(root: Path, path: str, contents: dict[bytes, int]) -> list[Any]:
    """Return ``[path, kind, mode, time in ns, what]``: a link's target, a content's number, or ``[size]`` of a file
    that comes from the depot as it is.
    """
    full = root / path[1:]
    status = full.lstat()
    about = [stat.S_IMODE(status.st_mode), status.st_mtime_ns]
    if full.is_symlink():
        return [path, "l", *about, os.readlink(full)]
    if full.is_dir():
        return [path, "d", *about, ""]
    folder, name = os.path.split(path)
    if path.startswith(("/opt/ascend/python/", "/var/cache/")) and not name.startswith(".ascend-fleet"):
        return [path, "f", *about, [status.st_size]]
    content = full.read_bytes()
    if folder == "/var/lib/ascend-fleet":  # nothing names the machine that made this
        for identity in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
            word = Path(identity).read_bytes().strip()
            content = content.replace(word, b"0" * len(word)).replace(b"-%b-" % word[:8], b"-00000000-")
    return [path, "f", *about, contents.setdefault(content, len(contents))]


def kept_of_the_depot(cache: Path) -> Iterator[tuple[str, Path]]:
    """Yield the depot's table, locks, wheels and checkouts, and the release folders with the stand-ins' locks."""
    yield "depot/index.json", cache / "depot" / "index.json"
    for part in ("locks", "wheels", "sources"):
        for path in sorted((cache / "depot" / part).rglob("*")):
            if path.is_file():
                yield f"depot/{path.relative_to(cache / 'depot')}", path
    yield "releases/compatibility.yml", ROOT / "releases" / "compatibility.yml"
    for release in (OLD, NEW):
        yield f"releases/{release}/lock-x86_64.txt", cache / "standin" / f"lock-{release}.txt"
        for name in ("release.yml", "requirements.in"):
            yield f"releases/{release}/{name}", ROOT / "releases" / release / name


if __name__ == "__main__":
    if len(sys.argv) != 2 or socket.gethostname() != "control-1":
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
