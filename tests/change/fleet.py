# SPDX-License-Identifier: Apache-2.0
"""A simulated fleet with stand-in wheels for two releases, its playbooks, and jobs that run on its nodes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import image

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import read_release
from tests.playbook_run import Run

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "8.0.RC1", "8.2.RC1"
LATER = "9.0.0"  # whose CANN has the other layout
RELEASES = (OLD, NEW, LATER)
# Where a change may write: what else differs afterwards, it had no business with.
OWN = (
    "/opt/ascend",
    "/usr/local/Ascend/ascend-toolkit",
    "/usr/local/Ascend/beside",
    "/usr/local/Ascend/cann",
    f"/usr/local/Ascend/cann-{LATER}",
    "/usr/local/bin/ascend-env",
    "/var/cache/ascend-fleet",
    "/var/lib/ascend-fleet",
    "/var/log/ascend_seclog",
    "/etc/Ascend",
    "/etc/sysctl.d/60-ascend-fleet.conf",
    "/etc/security/limits.d/60-ascend-fleet.conf",
)
# Private folders of installers, which the next change clears away.
PRIVATE = "/var/tmp/ascend-fleet-*"
# What the simulated hardware writes anew when its node is started.
HARDWARE = (
    *("/etc/ascend_install.info", "/etc/hccn.conf", "/usr/local/bin/npu-smi", "/etc/ssh/ssh_host_ed25519_key"),
    *("/etc/hosts", "/etc/resolv.conf", "/etc/hostname"),
    *("/usr/local/Ascend/driver", "/usr/local/Ascend/firmware", "/root/.ssh", "/home/fleet"),
)
# What a login, or the test itself, writes.
NOISE = (
    *("/proc", "/sys", "/dev", "/run", "/tmp", "/root/.ansible", "/etc/ascend-sim"),
    *("/var/log/lastlog", "/var/log/wtmp", "/var/log/btmp"),
)
# Every path with kind, mode, owner and target; but for what a login writes, and the simulator's own.
EVERYTHING = (
    r"find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root -o -path /home"
    r" -o -path /etc/ascend-sim -o -path '/var/log/*tmp' -o -path /var/log/lastlog -o -name __pycache__ \) -prune"
    r" -o -printf '%p %y %m %U (%l)\n'"
)
# A training job: every beat is a process of its own, as those of data loaders are, which opens CANN's libraries anew.
JOB = """
import pathlib, subprocess, sys, time
work = "import deepspeed, llamafactory, torch, torch_npu; torch.npu.set_device(0); "
work += "assert torch.ones(2).npu().cpu().tolist() == [1.0, 1.0]; print(torch.__version__)"
folder = pathlib.Path("/tmp/job")
while True:
    last = (folder / "stop").exists()
    said = subprocess.run([sys.executable, "-c", work], check=True, capture_output=True, text=True).stdout
    (folder / "beat").write_text(said)
    if last:
        (folder / "finished").write_text(said)
        break
    for _ in range(600):
        time.sleep(0.1)
        if (folder / "stop").exists():
            break
"""


class Started(subprocess.Popen[str]):
    """A playbook that runs, and where its output goes."""

    log: Path


class Fleet:
    """The nodes of one fleet; names are those of its containers."""

    def __init__(self, name: str, state: Path, cache: Path) -> None:
        self.name = name
        self.state = state
        self.cache = cache
        self.hosts: dict[str, dict[str, Any]] = {}
        self.beside: dict[str, list[str]] = {}  # other groups, whose hosts are no nodes of the fleet
        self.tools = Path(sys.executable).parent  # whose ansible-playbook is run
        self.bare: list[str] = []  # what the first node had before the first change

    def node(self, number: int) -> str:
        return f"{self.name}-{number}"

    def address(self, name: str) -> str:
        """The address of a node."""
        nodes = json.loads((self.state / "fleet.json").read_text(encoding="utf-8"))["nodes"]
        return str(nodes[name]["address"])

    def command(self, *arguments: str) -> None:
        argv = [sys.executable, "sim/fleet.py", "--name", self.name, "--state", str(self.state), *arguments]
        subprocess.run(argv, cwd=ROOT, check=True, timeout=900)

    def grow(self, count: int) -> list[str]:
        """Start as many new nodes, which have what the first one has; return their names."""
        there = len(json.loads((self.state / "fleet.json").read_text(encoding="utf-8"))["nodes"])
        self.command("up", "--nodes", str(there + count), "--like", self.node(1))
        return [self.node(number) for number in range(there + 1, there + count + 1)]

    def packages(self) -> None:
        """Make the stand-in wheels and the simulated CANN packages of all three releases.

        A depot that an earlier version of them filled is made anew: it would tell that it is not what it was.
        """
        standin = self.cache / "standin"
        made_of = self.cache / "made-of"
        if not made_of.is_file() or made_of.read_text() != _sources():
            shutil.rmtree(self.cache / "depot", ignore_errors=True)
            shutil.rmtree(standin, ignore_errors=True)
        subprocess.run([sys.executable, "tests/standin/build.py", str(standin), *RELEASES], cwd=ROOT, check=True)
        for release in RELEASES:
            argv = [sys.executable, "sim/cann/build.py", "--output", str(standin / "incoming"), "--version", release]
            layout = read_release(str(ROOT / "releases" / release))["cann"]["layout"]
            subprocess.run([*argv, "--layout", layout], cwd=ROOT, check=True)
        (self.cache / "depot").mkdir(parents=True, exist_ok=True)
        made_of.write_text(_sources())

    def inventory(self, release: str = NEW) -> Path:
        """Write the inventory: the nodes, their own variables (``hosts``), and what all have."""
        fleet = json.loads((self.state / "fleet.json").read_text(encoding="utf-8"))
        common = {
            "ascend_depot_dir": str(self.cache / "depot"),
            "ascend_depot_url": "http://depot",
            "depot_served_by_others": False,  # a container mounts it
            "ascend_locks": {"x86_64": str(self.cache / "standin" / "lock-{{ ascend_release }}.txt")},
            "cann_accept_eula": True,
            "ascend_release": release,
        }
        local: dict[str, Any] = {"depot_architectures": ["x86_64"], "depot_make_python": True}
        local["depot_incoming"] = str(self.cache / "standin" / "incoming")
        hosts = {name: {**node["vars"], **self.hosts.get(name, {})} for name, node in fleet["nodes"].items()}
        others = {name for names in self.beside.values() for name in names}
        groups = {"ascend": [name for name in hosts if name not in others], **self.beside}
        children = {group: {"hosts": {name: hosts[name] for name in names}} for group, names in groups.items()}
        content = {"all": {"vars": {**common, **local}, "children": children}}
        path = self.state / "inventory.json"
        written = self.state / f"inventory-{threading.get_ident()}.part"  # runs may begin side by side
        written.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return written.replace(path)

    def start(self, playbook: str, *arguments: str, release: str = NEW) -> Started:
        """Start a playbook; ``Run(process.wait(), output)`` is the caller's."""
        argv = [str(self.tools / "ansible-playbook"), playbook, "-i", str(self.inventory(release))]
        number, name = tempfile.mkstemp(prefix="run-", suffix=".log", dir=self.state)
        with open(number, "w", encoding="utf-8") as output:
            process = Started(
                [*argv, *arguments],
                cwd=ROOT,
                env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.state / "ssh")},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        process.log = Path(name)
        return process

    def finish(self, process: Started, timeout_s: float = 1800) -> Run:
        code = process.wait(timeout_s)
        return Run(code, process.log.read_text(encoding="utf-8"))

    def playbook(self, playbook: str, *arguments: str, release: str = NEW) -> Run:
        return self.finish(self.start(playbook, *arguments, release=release))

    def site(self, *arguments: str, release: str = NEW) -> Run:
        return self.playbook("site.yml", *arguments, release=release)

    def ask(self, node: str, command: str) -> str:
        """What a command says that is run as Ansible runs its modules."""
        argv = [str(Path(sys.executable).with_name("ansible")), node, "-i", str(self.inventory())]
        argv += ["-m", "raw", "-a", command]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()[1].strip()

    def facts(self, nodes: list[str], deep: bool = False) -> dict[str, dict[str, Any]]:
        """The facts of nodes, as ``ansible -m ascend.fleet.ascend_facts`` gives them."""
        tree = self.state / "facts"
        argv = [str(Path(sys.executable).with_name("ansible")), ",".join(nodes), "-i", str(self.inventory())]
        argv += ["-m", "ascend.fleet.ascend_facts", "-a", f"deep={deep}", "--tree", str(tree)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return {name: json.loads((tree / name).read_text())["ansible_facts"]["ascend"] for name in nodes}


def _sources() -> str:
    """Return a sum of all that the stand-ins are made of."""
    digest = hashlib.sha256()
    for folder in (ROOT / "tests" / "standin", ROOT / "sim" / "cann"):
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def sh(node: str, script: str, check: bool = True) -> str:
    """Run a script in a node, past SSH: a node whose SSH is what fails is looked at as well."""
    done = image.run_podman("exec", node, "sh", "-c", script)
    assert not check or done.returncode == 0, f"{node}: {script}: {done.stdout}{done.stderr}"
    return done.stdout


def appears(node: str, path: str) -> bool:
    """Whether a file is there, or comes within five seconds: the node waits, for a call of podman is not cheap."""
    return bool(sh(node, f"for _ in $(seq 50); do ls {path} && break; sleep 0.1; done 2>/dev/null", check=False))


def of_the_node(node: str, *argv: str) -> None:
    """Run a program in some of the node's name spaces, with the rights that a container has not."""
    pid = image.podman("inspect", "--format", "{{.State.Pid}}", node).strip()
    subprocess.run([*image.as_root(), "nsenter", "--target", pid, *argv], check=True)


def slow(node: str, rate: str) -> None:
    """Let no more come to the node than that, "40mbit"; "" takes the limit away."""
    number = sh(node, "cat /sys/class/net/eth0/iflink").strip()
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
    link = re.findall(rf"^{number}: ([^@:]+)", links, re.MULTILINE)[0]
    shaped = ["add", "dev", link, "root", "tbf", "rate", rate, "burst", "64kb", "latency", "200ms"]
    asked = shaped if rate else ["del", "dev", link, "root"]
    subprocess.run([*image.as_root(), "tc", "qdisc", *asked], check=True)


def start_job(node: str) -> None:
    """Start a job in the node's current environment."""
    sh(node, f"mkdir -p /tmp/job && cat >/tmp/job/job.py <<'END'\n{JOB}\nEND")
    begin = "setsid ascend-env python /tmp/job/job.py >/tmp/job/log 2>&1 </dev/null & echo $! >/tmp/job/pid"
    sh(node, f"rm -f /tmp/job/stop /tmp/job/finished; {begin}")


def job_state(node: str) -> str:
    """ "runs", "finished", or the last words of a job that failed."""
    alive = 'kill -0 "$(cat /tmp/job/pid)" 2>/dev/null && echo runs'
    return sh(
        node, f"[ -e /tmp/job/finished ] && echo finished || {{ {alive}; }} || tail -n 3 /tmp/job/log", False
    ).strip()


def outside(node: str, started_again: bool = False) -> list[str]:
    """Path, mode, owner, size, time and target of every file that a change has no business with."""
    others = (*NOISE, *OWN, *(HARDWARE if started_again else ()))
    left_out = " -o ".join(f"-path '{path}'" for path in (*others, PRIVATE))
    kinds = r"-type d -printf '%p %m %U\n' -o -printf '%p %m %U %s %T@ (%l)\n'"
    script = rf"find / -xdev \( {left_out} -o -name __pycache__ \) -prune -o {kinds}"
    return sorted(sh(node, script).splitlines())


def leftovers(node: str) -> list[str]:
    """What a change leaves for a moment, and no longer: private folders, partial files, half-built things, its lock."""
    names = r"-name 'selfgz*' -o -name '*.part' -o -name '.building-*' -o -name '.partial-*' -o -name '.replaced-*'"
    names += r" -o -name '.removing-*' -o -name 'ascend-fleet-[0-9]*' -o -path '*/ascend-fleet/run'"
    found = sh(
        node, rf"find /opt/ascend /usr/local/Ascend /var/cache /var/lib /var/tmp /root /tmp \( {names} \)", False
    )
    return sorted(found.splitlines())
