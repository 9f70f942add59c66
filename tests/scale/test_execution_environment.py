# SPDX-License-Identifier: Apache-2.0
"""The execution environment: what ansible-builder makes of execution-environment.yml, and an image built of it."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible_runner
import image
import pytest
import yaml

from tests.contract.tree import ROOT, passes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFINITION: dict[str, Any] = yaml.safe_load((ROOT / "execution-environment.yml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
META = ROOT / "meta"
# What ansible.cfg says and an image says by variables. The others are of a checkout, or Ansible's own defaults.
SETTINGS = {
    "forks": "ANSIBLE_FORKS",
    "timeout": "ANSIBLE_TIMEOUT",
    "gathering": "ANSIBLE_GATHERING",
    "interpreter_python": "ANSIBLE_PYTHON_INTERPRETER",
    "inject_facts_as_vars": "ANSIBLE_INJECT_FACT_VARS",
    "stdout_callback": "ANSIBLE_STDOUT_CALLBACK",
    "callback_result_format": "ANSIBLE_CALLBACK_RESULT_FORMAT",
    "display_skipped_hosts": "ANSIBLE_DISPLAY_SKIPPED_HOSTS",
    "any_unparsed_is_failed": "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED",
    "pipelining": "ANSIBLE_PIPELINING",
    "ssh_args": "ANSIBLE_SSH_ARGS",
    "retries": "ANSIBLE_SSH_RETRIES",
}
LEFT_OUT = {"inventory", "collections_path", "host_key_checking", "retry_files_enabled"}
# Where the host keys of an operator lie: a job has a home of its own.
LEFT_OUT |= {"ssh_extra_args", "sftp_extra_args", "scp_extra_args"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the definition and, as its head says, the collection's archive beside it."""
    folder = tmp_path_factory.mktemp("environment")
    passes(["ansible-galaxy", "collection", "build", "--output-path", folder])
    shutil.copy(ROOT / "execution-environment.yml", folder)
    return folder


def created(place: Path, definition: str = "execution-environment.yml") -> tuple[Path, str]:
    context = place / f"context-{definition}"
    passes(["ansible-builder", "create", "-f", place / definition, "-c", context], cwd=place)
    return context, (context / "Containerfile").read_text()


def test_the_builder_makes_a_context_with_the_collection_inside(place: Path) -> None:
    context, text = created(place)
    (archive,) = (context / "_build" / "collection").iterdir()
    with tarfile.open(archive) as tar:
        assert {"playbooks/drift.yml", "playbooks/merge.yml", "meta/ee-requirements.txt"} <= set(tar.getnames())
    requirements = yaml.safe_load((context / "_build" / "requirements.yml").read_text())
    assert requirements == {"collections": [{"name": f"collection/{archive.name}", "type": "file"}]}
    assert 'ARG EE_BASE_IMAGE="registry.access.redhat.com/ubi9/ubi:latest"' in text
    assert 'ARG PYCMD="/usr/bin/python3.12"' in text
    # The collection brings what it needs: introspect finds it there.
    assert "introspect.py introspect" in text
    assert text.rindex("ENV ANSIBLE_STDOUT_CALLBACK=ascend.fleet.fleet") > text.rindex("AS final")


def test_it_names_the_projects_versions() -> None:
    archive = f"ascend-fleet-{PROJECT['version']}.tar.gz"
    assert [entry["src"] for entry in DEFINITION["additional_build_files"]] == [archive]
    assert DEFINITION["dependencies"]["ansible_core"]["package_pip"] in PROJECT["dependencies"]
    runner = PROJECT["optional-dependencies"]["dev"]
    assert DEFINITION["dependencies"]["ansible_runner"]["package_pip"] in runner


def test_it_has_what_a_control_node_needs() -> None:
    named = (META / "ee-requirements.txt").read_text().split("\n")[:-1]
    # ansible-core comes by itself.
    wanted = [each for each in PROJECT["dependencies"] if not each.startswith("ansible-core")]
    assert named == sorted(wanted)
    meta = yaml.safe_load((META / "execution-environment.yml").read_text())
    assert all((ROOT / path).is_file() for path in meta["dependencies"].values())


def test_the_image_is_set_as_a_checkout_is() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "ansible.cfg")
    wanted = {key: value for section in config.sections() for key, value in config[section].items()}
    assert wanted.keys() == SETTINGS.keys() | LEFT_OUT
    lines = "\n".join(DEFINITION["additional_build_steps"]["append_final"])
    found = {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|(\S+))', lines)}
    assert {name: found.get(name) for key, name in SETTINGS.items()} == {
        name: wanted[key] for key, name in SETTINGS.items()
    }


# -- an image, on Debian: what is there to build from without a registry


BASE = "localhost/ascend-ee-base:bookworm"
IMAGE = "localhost/ascend-ee-test"
LIMITS = ("--ulimit=nofile=10000:10000", "--ulimit=nproc=9000:9000")  # a container may not have more than this machine
PACKAGES = "ca-certificates,python3,python3-pip,python3-venv"


def on_debian(place: Path) -> Path:
    """The same definition on a Debian base: another package manager, Debian's Python, and pip from its packages."""
    definition = yaml.safe_load((ROOT / "execution-environment.yml").read_text())
    definition["images"] = {"base_image": {"name": BASE}}
    definition["dependencies"]["python_interpreter"] = {"python_path": "/usr/bin/python3"}
    # ensurepip is not there, and `apt-get clean all`, as the builder ends with, is none of apt-get's commands.
    definition["options"] = {"package_manager_path": "/usr/local/bin/pkg", "skip_pip_install": True}
    definition["additional_build_steps"]["prepend_base"] = [
        "RUN printf '%s\\n' '#!/bin/sh' '[ \"$1\" = clean ] || exec apt-get \"$@\"' > /usr/local/bin/pkg"
        " && chmod 755 /usr/local/bin/pkg && apt-get update"
    ]
    file = place / "on-debian.yml"
    file.write_text(yaml.safe_dump(definition))
    return file


def base(folder: Path) -> None:
    archive = folder / "rootfs.tar"
    argv = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(archive)]
    subprocess.run([*image.as_root(), *argv], check=True, stdin=subprocess.DEVNULL)
    image.podman("import", "--quiet", str(archive), BASE)
    archive.unlink()


def reachable() -> list[str]:
    """podman's options with which pip finds, within, the package index as it finds it here."""
    files = [path for path in map(Path, ("/etc/pip.conf", "/etc/xdg/pip", "/etc/hosts")) if path.exists()]
    told = passes(["pip", "config", "list"])
    folders = [Path(path) for path in re.findall(r"(?:file://)?(/[\w/.-]+)", told)]
    certificates = [path for path in folders if path.is_file() or path.is_dir()]
    options = [f"--volume={path}:{path}:ro" for path in dict.fromkeys([*files, *certificates])]
    variables = [f"--env={name}" for name in os.environ if name.startswith("PIP_")]
    return ["--network=host", "--isolation=chroot", "--layers=false", *options, *variables]


@pytest.fixture(scope="module")
def built(place: Path) -> Iterator[str]:
    if not shutil.which("podman") or not shutil.which("mmdebstrap"):
        pytest.skip("podman and mmdebstrap are not here: scripts/system-packages")
    base(place)
    context = created(place, on_debian(place).name)[0]
    image.podman("build", *reachable(), "--tag", IMAGE, "-f", str(context / "Containerfile"), str(context))
    yield IMAGE
    for name in (IMAGE, BASE):
        image.run_podman("rmi", "--force", name)


def inside(built: str, place: Path, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = [f"--env={name}={value}" for name, value in environment.items()]
    volume = f"--volume={place}:/runner/here"
    options = ["--rm", "--network=none", *LIMITS, *variables, volume, "--workdir=/runner/here"]
    return image.run_podman("run", *options, built, *argv)


def local(folder: Path) -> Path:
    """Make an inventory of the container itself in a folder that its user may write; return the folder."""
    (folder / "inventory").mkdir()
    here = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": "/usr/bin/python3"}
    (folder / "inventory" / "hosts.json").write_text(json.dumps({"ascend": {"hosts": {"here": here}}}))
    folder.chmod(0o777)
    return folder


@pytest.mark.whole
@pytest.mark.slow
def test_an_image_checks_nodes_from_the_inside(built: str, tmp_path: Path) -> None:
    """The whole of it: the collection, its requirements, Ansible and ansible-runner, with no network at all."""
    listed = inside(built, tmp_path, "ansible-galaxy", "collection", "list", "ascend.fleet")
    assert re.search(rf"ascend.fleet +{PROJECT['version']}", listed.stdout), listed.stderr
    for argv in (["uv", "--version"], ["ssh", "-V"], ["git", "--version"], ["ansible-runner", "--version"]):
        assert inside(built, tmp_path, *argv).returncode == 0, argv
    done = inside(built, local(tmp_path), "ansible-playbook", "ascend.fleet.drift", "-i", "inventory")
    assert (done.returncode, "1 of 1 node drifted." in done.stdout) == (2, True), done.stdout + done.stderr
    (report,) = (tmp_path / "reports").glob("*Z/fleet.json")
    assert json.loads(report.read_text())["counts"]["drifted"] == 1


@pytest.mark.whole
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="root's podman has the image")
def test_ansible_runner_starts_the_image(built: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an execution node of AWX does: ansible-runner outside, and the image around each job."""
    (tmp_path / "containers.conf").write_text('[engine]\nruntime = "runc"\n')
    monkeypatch.setenv("CONTAINERS_CONF", str(tmp_path / "containers.conf"))
    run = ansible_runner.run(
        private_data_dir=str(local(tmp_path)),
        playbook="ascend.fleet.drift",
        process_isolation=True,
        process_isolation_executable="podman",
        container_image=built,
        # These containers are root's, and so is what they write.
        container_options=["--network=none", *LIMITS, "--user=0"],
        quiet=True,
        cancel_callback=lambda: False,  # else it keeps a handler for SIGTERM
    )
    output = (tmp_path / "artifacts" / run.config.ident / "stdout").read_text()
    # Our own output, which gives the exit code 3 too: the image names it to ansible-runner's.
    assert (run.rc, "nodes checked: 1 of 1; with findings: 1" in output) == (2, True), output
