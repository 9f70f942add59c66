# SPDX-License-Identifier: Apache-2.0
"""The images of simulated nodes: Debian with sshd and Python, and the stand-ins for the NPU's tools."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NODE = ROOT / "sim" / "node"
# What is kept between runs, and never needed.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ascend-fleet"
# Before podman makes /proc/sys read-only, /proc/sys/net of a node becomes a mount of its own, which stays writable.
HOOKS = ROOT / "sim" / "hooks"
REPOSITORY = "localhost/ascend-sim-node"
# The systems that a node may have. Debian 11 has Python 3.9 and glibc 2.31, Debian 13 has Python 3.13 and glibc 2.41.
SUITES = {"debian11": "bullseye", "debian12": "bookworm", "debian13": "trixie"}
SYSTEM = "debian12"
DEBIAN = {"aarch64": "arm64", "x86_64": "amd64"}
# In the image of a named architecture, whose nodes may have to use Debian's own Python: CANN's installer calls pip3.
OWN_PYTHON = ("python3-pip",)
SYSTEMD = "systemd"  # a profile, whose image has systemd, journald and logind


def say(text: str) -> None:
    print(f"    {text}", flush=True)


def run_podman(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run podman, however it ends."""
    # runc, because crun needs a cgroup layout that hosts without systemd do not have.
    argv = [*as_root(), "podman", "--runtime", "runc", "--hooks-dir", str(HOOKS), *arguments]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def podman(*arguments: str) -> str:
    """Run podman and return its output; stop the program with podman's words when it fails."""
    done = run_podman(*arguments)
    if done.returncode:
        sys.exit(f"podman {' '.join(arguments[:3])} ...: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


@contextmanager
def alone() -> Iterator[None]:
    """Keep out other fleets that start at the same moment, which would build the same image and take the same range."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "sim.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo"]


def ensure_image(architecture: str = "", system: str = SYSTEM, profile: str = "") -> str:
    """Return the image's name; it is built on first use and whenever its content changed.

    ``architecture`` ("aarch64") is this machine's by default; another one is emulated. ``system`` is one of SUITES.
    Of the profiles only SYSTEMD has an image of its own.
    """
    suite = SUITES[system]
    booted = profile == SYSTEMD
    repository = "-".join([REPOSITORY, system, *filter(None, [architecture, SYSTEMD if booted else ""])])
    packages = [*_packages("common"), *_packages(suite), *(OWN_PYTHON if architecture else ())]
    packages += _packages(SYSTEMD) if booted else []
    name = f"{repository}:{_digest(suite, packages)}"
    emulated = architecture not in ("", platform.machine())
    if emulated:
        require_emulated(architecture)
    if podman("images", "--quiet", name).strip():
        return name
    started = time.monotonic()
    expected = f"for {architecture}, emulated: about five minutes" if emulated else "about half a minute"
    say(f"building the node image from the packages of {suite} ({expected}, kept afterwards)")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "rootfs.tar"
        library = _compiled(Path(folder), architecture)
        argv = [*as_root(), "mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"]
        argv += [f"--architectures={DEBIAN[architecture]}"] if architecture else []
        argv += [f"--customize-hook=copy-in {NODE / 'bin'} /opt", "--customize-hook=mv $1/opt/bin $1/opt/ascend-sim"]
        argv += [f"--customize-hook=copy-in {library} /opt/ascend-sim"]
        argv += ["--customize-hook=chroot $1 /opt/ascend-sim/prepare-image"]
        argv += ["--customize-hook=chroot $1 /opt/ascend-sim/prepare-systemd"] if booted else []
        argv += [suite, str(archive)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(f"mmdebstrap: {done.stderr.strip()[-2000:]}")
        podman("import", "--quiet", *platform_option(architecture), str(archive), name)
    say(f"built {name} in {time.monotonic() - started:.0f} s")
    for older in podman("images", "--format", "{{.Repository}}:{{.Tag}}", repository).split():
        if older != name:
            run_podman("rmi", older)  # one that a node still runs on is refused, and stays
    return name


def _compiled(folder: Path, architecture: str) -> Path:
    """Compile the driver's library of a node; another architecture's compiler is Debian's cross compiler."""
    target = folder / "libdcmi.so"
    gcc = "gcc" if architecture in ("", platform.machine()) else f"{architecture}-linux-gnu-gcc"
    argv = [gcc, "-O1", "-fPIC", "-shared", f"-Wl,-soname,{target.name}", "-o", str(target), str(NODE / "dcmi.c")]
    subprocess.run(argv, check=True)
    return target


def platform_option(architecture: str) -> list[str]:
    """Return podman's option for an architecture; none if no architecture was named."""
    return ["--arch", DEBIAN[architecture]] if architecture else []


def require_emulated(architecture: str) -> None:
    """Stop the program unless this machine can run programs of that architecture."""
    problem = "arch-test is not installed"
    if shutil.which("arch-test"):
        argv = ["arch-test", DEBIAN[architecture]]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        problem = (done.stdout + done.stderr).strip()
    sys.exit(
        f"fleet: this machine ({platform.machine()}) cannot run programs of {architecture}: {problem}\n"
        f"  next:  scripts/emulate-{architecture}  # qemu-user-static, registered with the kernel (binfmt_misc)"
    )


def _packages(name: str) -> list[str]:
    """Return the names in a list of packages: what every node has, or what a suite's nodes have besides."""
    return (NODE / "packages" / f"{name}.txt").read_text(encoding="utf-8").split()


def _digest(suite: str, packages: list[str]) -> str:
    """Return a name that depends on everything in the image, so that a change makes another image."""
    digest = hashlib.sha256(f"{suite} {packages}".encode())
    for path in [*sorted((NODE / "bin").iterdir()), NODE / "dcmi.c", Path(__file__)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
