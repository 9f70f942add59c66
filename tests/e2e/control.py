# SPDX-License-Identifier: Apache-2.0
"""A booted node as a control node: a checkout, an environment with Ansible, and an inventory of that node alone."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import image
import yaml
from packaging.requirements import Requirement

from tests.e2e.booted import NODE, sh
from tests.e2e.conftest import ROOT, Fleet

CHECKOUT = "/opt/ascend-fleet"
VENV = "/opt/venv"
INVENTORY = "/opt/inventory"
DEPOT = "/srv/ascend-depot"
KEY = "/root/fleet-key"
SCRIPT = f"#!{VENV}/bin/python\nimport sys\nfrom ansible.cli.playbook import main\nsys.exit(main())\n"


def furnish(fleet: Fleet) -> None:
    """Put all that on the node. Its Python has to be of this one's version, whose wheels it gets."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = [name for name in listed.split("\0") if name and not name.startswith(("tests/", "sim/", "docs/zh/"))]
    _unpack(CHECKOUT, [(name, ROOT / name) for name in names])
    sh(f"python3 -m venv --without-pip {VENV}")
    _unpack(sh(f"{VENV}/bin/python -c 'import site; print(site.getsitepackages()[0])'").strip(), list(_wheels()))
    _write(f"{VENV}/bin/ansible-playbook", SCRIPT, "755")
    (described,) = json.loads((fleet.state / "fleet.json").read_text(encoding="utf-8"))["nodes"].values()
    hosts = {NODE: {"ansible_host": described["address"], "ansible_user": "root"}}
    _write(f"{INVENTORY}/hosts.yml", yaml.safe_dump({"ascend": {"hosts": hosts}}))
    given = {"ascend_depot_dir": DEPOT, "ascend_card_count": 8, "cann_accept_eula": True}
    _write(f"{INVENTORY}/group_vars/all.yml", yaml.safe_dump(given))
    _write("/etc/ssh/ssh_known_hosts", (fleet.state / "known_hosts").read_text(encoding="utf-8"))
    _write(KEY, (fleet.state / "id_ed25519").read_text(encoding="utf-8"), "600")


def play(name: str, *words: str) -> str:
    """Run a playbook as its operator does: in the checkout, with the environment active; return what it prints."""
    given = " ".join(f"'{word}'" for word in words)
    lines = f"cd {CHECKOUT} && . {VENV}/bin/activate && export ANSIBLE_NOCOLOR=1 LANG=C.UTF-8"
    return sh(f"{lines} && ansible-playbook playbooks/{name}.yml -i {INVENTORY} {given} 2>&1")


def _wheels() -> Iterator[tuple[str, Path]]:
    """The files of what pyproject.toml has a control node run with, but for uv, which fills depots."""
    todo, seen = [Requirement(each) for each in ("ansible-core", "paramiko", "rich", "urllib3")], set()
    while todo:
        requirement = todo.pop()
        if requirement.name in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(requirement.name)
        found = distribution(requirement.name)
        todo += [Requirement(each) for each in found.requires or []]
        for file in found.files or []:
            if ".." not in file.parts and file.suffix != ".pyc":
                yield str(file), Path(str(file.locate()))


def _unpack(folder: str, files: list[tuple[str, Path]]) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, path in files:
            archive.add(path, name, recursive=False, filter=_roots)
    argv = [*image.as_root(), "podman", "exec", "--interactive", NODE, "sh", "-c"]
    argv.append(f"umask 022; mkdir -p {folder}; tar --extract --directory {folder}")
    subprocess.run(argv, input=packed.getvalue(), check=True, capture_output=True, timeout=300)


def _roots(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid, member.gid, member.uname, member.gname = 0, 0, "", ""
    return member


def _write(path: str, text: str, mode: str = "644") -> None:
    sh(f"mkdir -p $(dirname {path}); cat >{path}; chmod {mode} {path}", text)
