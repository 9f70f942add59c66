# SPDX-License-Identifier: Apache-2.0
"""The whole way through an air gap: a bundle is made here, and unpacked in a minimal Debian without a route.

The control node's wheels are the real ones. The depot has stand-ins of the release's wheels and packages. CPython is
compiled once, in a Debian 11, as the archives of python-build-standalone cannot be downloaded everywhere.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import image
import pytest
import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from tests.standin import build as standin
from tests.unit.bundle.test_unbundle import gpg
from tests.unit.depot.test_makeself import made, packed

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[2]
RELEASE = "8.0.RC1"
# Debian 11 has Python 3.9, as openEuler 22.03 has; Debian 12's smallest form has none.
SYSTEMS = {"bullseye": ("python3-minimal",), "bookworm": ()}
BUILDERS = "gcc,libc6-dev,make,zlib1g-dev,libssl-dev,libffi-dev,libbz2-dev,liblzma-dev,libsqlite3-dev"
STEP_S = 0.05


def run(*argv: str | Path) -> str:
    """Run a program that has to end well; return its output."""
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def debian(suite: str, target: Path | str, *options: str) -> None:
    run(*image.as_root(), "mmdebstrap", "--quiet", "--variant=minbase", *options, suite, target)


@pytest.fixture(scope="module")
def cpython(cache_dir: Path) -> Path:
    """A relocatable CPython that needs glibc 2.31 and no other library; made once, in some minutes."""
    script = Path(__file__).with_name("build-cpython")
    kept = cache_dir / "airgap" / "cpython-3.11.2-linux-x86_64.tar.gz"
    if not kept.is_file() or kept.stat().st_mtime < script.stat().st_mtime:
        kept.parent.mkdir(exist_ok=True)
        # Debian 12's sources beside Debian 11's packages; apt checks both against Debian's signatures.
        sources = "sed -n '/^deb .* bullseye main/{s/^deb/deb-src/;s/ bullseye / bookworm /;p}' $1/etc/apt/sources.list"
        apt = "APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --quiet=2"
        fetch = f"mkdir $1/src && cd $1/src && {apt} update && {apt} source --download-only python3.11"
        hooks = [
            f"{sources} >$1/etc/apt/sources.list.d/sources.list",
            fetch,
            f"copy-in {script} /",
            "chroot $1 sh /build-cpython >/dev/null 2>&1",
        ]
        hooks.append(f"copy-out /cpython.tar.gz {kept.parent}")
        options = [f"--include={BUILDERS}", "--format=null", *(f"--customize-hook={hook}" for hook in hooks)]
        debian("bullseye", "-", *options)
        (kept.parent / "cpython.tar.gz").replace(kept)
    return kept


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the online machine has: a depot that its inventory filled, out of files of the operator's."""
    top = tmp_path_factory.mktemp("site")
    standin.build(top / "own", RELEASE)
    incoming = top / "own" / "incoming"
    made(incoming / "Ascend-cann-toolkit_8.0.RC1_linux-x86_64.run", packed(["x/CANN-runtime-7.3-linux.x86_64.run"]))
    kernels = packed(["x/Ascend910B-opp_kernel-7.3-linux.x86_64.run"])
    # Of several parts, which are smaller here than any disk.
    made(incoming / "Ascend-cann-kernels-910b_8.0.RC1_linux.run", kernels, os.urandom(50_000_000))
    depot = top / "depot"
    (depot / "uv").mkdir(parents=True)
    (depot / "uv/uv-0.9.9-x86_64").write_bytes(b"a stand-in")
    index = Index(depot)
    index.enter("uv/uv-0.9.9-x86_64")
    index.save()
    inventory(top / "inventory", depot, top / "own", str(incoming))
    playbook = Path(sys.executable).with_name("ansible-playbook")
    argv = [str(playbook), "playbooks/depot.yml", "-i", str(top / "inventory")]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    return top


def inventory(folder: Path, depot: Path | str, lock: Path | str, incoming: str) -> None:
    folder.mkdir()
    variables = {
        "ascend_release": RELEASE,
        "ascend_depot_dir": str(depot),
        "ascend_python": "system",
        "ascend_locks": {"x86_64": f"{lock}/lock-{RELEASE}.txt"},
        "depot_architectures": ["x86_64"],
        "depot_incoming": incoming,
    }
    group = {"ascend": {"hosts": {"node-1": {"ansible_host": "192.0.2.1"}}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": group, "vars": variables}}))


@pytest.fixture(scope="module")
def bundle(site: Path, cpython: Path) -> Path:
    out = site / "bundle"
    script = ROOT / "scripts/bundle.py"
    options = ("--part-mb", "20", "--control", "x86_64", "--control-python", cpython)
    words = run(sys.executable, script, "--depot", site / "depot", "--out", out, *options)
    assert "ansible-core" in words
    assert "paramiko" not in words, "it is the tests' alone"
    assert len(list(out.glob("depot-*.tar"))) >= 3
    named = {path.name for path in out.iterdir()}
    # FAT32 knows no two names that differ in case alone, and a browser or Windows may have carried them.
    assert len({name.lower() for name in named}) == len(named)
    assert all(re.fullmatch(r"[\w-]+(\.[\w-]+)*", name) for name in named), named
    run("sh", "-c", f"cd {out} && sha256sum -c SHA256SUMS")
    gpg(out, site / "keys")
    return out


class Machine:
    """A minimal Debian: its programs run in a network namespace of their own, in which no interface is up."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def argv(self, *command: str) -> list[str]:
        # The pid namespace: what is killed leaves nothing behind, as a machine that is switched off.
        mounts = f"mount -t proc proc {self.root}/proc && mount --bind /dev {self.root}/dev"
        enter = f'{mounts} && exec chroot {self.root} "$@"'
        space = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
        return [*image.as_root(), *clean, *space, "sh", "-c", enter, "sh", *command]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.argv(*command), capture_output=True, text=True, check=False)

    def killed_at(self, pattern: str, *command: str) -> bool:
        """Kill a command as soon as such a path is there; return whether it was killed before it ended."""
        process = subprocess.Popen(self.argv(*command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not any(self.root.glob(pattern)):
            time.sleep(STEP_S)
        process.kill()
        return process.wait() == -signal.SIGKILL


@pytest.fixture(params=["bullseye", "bookworm"])
def machine(request: pytest.FixtureRequest, bundle: Path, site: Path, tmp_path: Path) -> Iterator[Machine]:
    root = tmp_path / "root"
    include = ",".join(SYSTEMS[request.param])
    debian(request.param, root, *([f"--include={include}"] if include else []))
    shutil.copytree(bundle, root / "media/disk1")
    shutil.copy(site / "keys/key.asc", root / "media/disk1")
    (root / "media/disk2").mkdir()
    (root / "media/disk1/depot-003.tar").rename(root / "media/disk2/depot-003.tar")
    shutil.copy(site / "own" / f"lock-{RELEASE}.txt", root / "media")
    inventory(root / "media/inventory", "/srv/ascend-depot", "/media", "")
    yield Machine(root)
    run(*image.as_root(), "rm", "-rf", "--one-file-system", root)


def test_a_minimal_machine_without_a_network_becomes_a_control_node(machine: Machine, bundle: Path, site: Path) -> None:
    routes = machine.run("sh", "-c", "cat /proc/net/route; command -v gcc cc; python3 --version")
    assert len(routes.stdout.splitlines()) <= 2, "a head without a route, no compiler, and an old Python or none"
    assert "Python 3.1" not in routes.stdout
    command = ("sh", "/media/disk1/unbundle", "--key", "/media/disk1/key.asc")
    # Killed while the project is unpacked, and while a part is.
    for pattern in ("opt/ascend-fleet.new/.wheels", "srv/ascend-depot/**/*.part"):
        assert machine.killed_at(pattern, *command), pattern
        assert not (machine.root / "opt/ascend-fleet").exists()
    # A part is damaged and one is on another disk: both are named, and the rest is taken.
    damaged = machine.root / "media/disk1/depot-002.tar"
    with damaged.open("r+b") as part:
        part.seek(1_000_000)
        part.write(b"damaged")
    done = machine.run(*command)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "unbundle: depot-002.tar is damaged" in done.stderr
    assert "wanted: depot-003.tar" in done.stderr
    shutil.copy(bundle / "depot-002.tar", damaged)
    assert machine.killed_at("opt/ascend-fleet/.venv/bin", *command, "/media/disk2")
    done = machine.run(*command, "/media/disk2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cd /opt/ascend-fleet && . .venv/bin/activate" in done.stdout
    for path in (site / "depot").rglob("*"):
        if path.is_file() and path.name not in ("index.json", ".lock"):
            other = machine.root / "srv/ascend-depot" / path.relative_to(site / "depot")
            assert other.read_bytes() == path.read_bytes(), path
    playbook = "cd /opt/ascend-fleet && . .venv/bin/activate && ansible-playbook"
    filled = machine.run("sh", "-c", f"{playbook} playbooks/depot.yml -i /media/inventory")
    assert filled.returncode == 0, filled.stdout + filled.stderr
    assert "changed=0" in filled.stdout, "the depot has all that the inventory needs"
    # A disk that goes bad later: it is named, and the parts bring it again.
    wheel = next((machine.root / "srv/ascend-depot").rglob("torch_npu-*.whl"))
    status, content = wheel.stat(), wheel.read_bytes()
    wheel.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(wheel, ns=(status.st_atime_ns, status.st_mtime_ns))
    checked = machine.run("sh", "-c", "cd /opt/ascend-fleet && .venv/bin/python scripts/depot_check.py")
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert wheel.name in checked.stdout
    (again,) = (line for line in checked.stdout.splitlines() if line.endswith(" /the/folder/of/the/parts"))
    done = machine.run("sh", "-c", again.replace("/the/folder/of/the/parts", "/media/disk1 /media/disk2"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert wheel.read_bytes() == content
