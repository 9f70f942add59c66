# SPDX-License-Identifier: Apache-2.0
"""The simulated installers of both layouts, in a container: what they leave, what they refuse, and the faults."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import image
import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann.read import read_cann
from tests.answers import names, node
from tests.conftest import ROOT
from tests.unit.cann.on_disk import COMPLETE

pytestmark = pytest.mark.slow

OLD, NEW = "8.0.RC1", "9.0.0"
OLD_TOOLKIT, OLD_KERNELS = f"Ascend-cann-toolkit_{OLD}_linux-x86_64.run", f"Ascend-cann-kernels-910b_{OLD}_linux.run"
TOOLKIT, OPS = f"Ascend-cann-toolkit_{NEW}_linux-x86_64.run", f"Ascend-cann-910b-ops_{NEW}_linux-x86_64.run"
PLACE, RECORD = "/usr/local/Ascend", "/etc/Ascend/ascend_cann_install.info"
HOME, BESIDE = f"{PLACE}/cann-{NEW}", f"{PLACE}/beside"
KERNEL = "opp/built-in/op_impl/ai_core/tbe/kernel"
# A node has pip3 by its depot's Python: unpacking is all that CANN's installers want of it.
PIP3 = """#!/usr/bin/env python3
import sys, zipfile
zipfile.ZipFile(sys.argv[-1]).extractall(sys.argv[sys.argv.index("-t") + 1])
"""
SUMS = "find {} -type f -exec sha256sum {{}} + | sort; find {} -type l -printf '%p %l\\n' | sort"
BARE = """
rm -rf /usr/local/Ascend /etc/Ascend /var/log/ascend_seclog /etc/ascend-sim/node.conf
install -d -m 0755 /usr/local/Ascend/driver /etc/ascend-sim
echo Version=25.0.rc1 >/usr/local/Ascend/driver/version.info
"""
KEEP = "tar -C / -cf /tmp/{}.tar usr/local/Ascend etc/Ascend var/log/ascend_seclog"
GIVE = "tar -C / -xpf /tmp/{}.tar"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    build = [sys.executable, "sim/cann/build.py", "--output", str(folder)]
    for options in (["--version", OLD], ["--version", NEW, "--layout", "cann"]):
        subprocess.run([*build, *options], cwd=ROOT, check=True, timeout=120)
    (folder / "pip3").write_text(PIP3, encoding="utf-8")
    return folder


class Machine:
    """A container with the packages in /packages."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, script: str, code: int = 0) -> str:
        """Run a script, which must end with that code; return what it printed."""
        done = image.run_podman("exec", self.name, "bash", "-c", script)
        said = done.stdout + done.stderr
        assert done.returncode == code, f"{script}: {done.returncode}: {said}"
        return said

    def install(self, package: str, *options: str, place: str = "", code: int = 0) -> str:
        chosen = [f"--install-path={place}"] if place else []
        words = ["bash", f"/packages/{package}", "--nox11", "--quiet", "--install-for-all", *(options or ["--install"])]
        return self.run(" ".join([*words, *chosen]), code)

    def sums(self, folder: str) -> str:
        return self.run(SUMS.format(folder, folder))

    def conf(self, *settings: str) -> None:
        self.run(f"printf '%s\\n' {' '.join(settings)} >/etc/ascend-sim/node.conf")


@pytest.fixture(scope="module")
def container(packages: Path) -> Iterator[Machine]:
    name = f"ascend-sim-installers-{uuid.uuid4().hex[:8]}"
    argv = ["run", "--detach", "--rm", "--name", name, "--network", "none", "--volume", f"{packages}:/packages:ro"]
    argv += ["--ulimit", "nofile=10000:10000", "--ulimit", "nproc=9000:9000"]
    image.podman(*argv, image.ensure_image(), "sleep", "1800")
    machine = Machine(name)
    machine.run("install -m 0755 /packages/pip3 /usr/bin/pip3")
    yield machine
    image.run_podman("rm", "--force", "--time", "0", name)


@pytest.fixture
def machine(container: Machine) -> Machine:
    """The same container, with a driver and without CANN."""
    container.run(BARE)
    return container


@pytest.fixture(scope="module")
def kept(container: Machine) -> str:
    """Install the toolkit, then ops, and keep what each left; return what both said."""
    container.run(BARE)
    said = container.install(TOOLKIT)
    container.run(KEEP.format("toolkit"))
    said += container.install(OPS)
    container.run(KEEP.format("both"))
    return said


@pytest.fixture
def with_toolkit(kept: str, machine: Machine) -> Machine:
    """The same container, with the toolkit of the layout cann."""
    machine.run(GIVE.format("toolkit"))
    return machine


@pytest.fixture
def with_both(kept: str, machine: Machine) -> Machine:
    """The same container, with the toolkit of the layout cann and ops."""
    machine.run(GIVE.format("both"))
    return machine


def test_the_layout_cann(kept: str, with_toolkit: Machine) -> None:
    assert "install package cann-hcomm_9.0.0_linux-x86_64.run start" in kept
    assert f"Toolkit:  Ascend-cann-toolkit_{NEW}_linux-x86_64 install success, installed in {PLACE}." in kept
    assert f"ops_910b:  Ascend-cann-910b-ops_{NEW}_linux-x86_64 install success, installed in {PLACE}." in kept
    assert kept.count(f'add "source {PLACE}/cann/set_env.sh" to /etc/profile') == 2
    machine, alone = with_toolkit, with_toolkit.sums(HOME)
    machine.run(GIVE.format("both"))
    assert set(alone.splitlines()) < set(machine.sums(HOME).splitlines()), "ops changes what is the toolkit's"
    links = machine.run(f"cd {PLACE}; readlink cann ascend-toolkit/latest ascend-toolkit/set_env.sh")
    assert links.split() == [f"cann-{NEW}", f"{PLACE}/cann", f"{PLACE}/ascend-toolkit/latest/set_env.sh"]
    for kind, name in (("toolkit", "toolkit"), ("ops", "910b-ops")):
        info = machine.run(f"cat {PLACE}/cann/x86_64-linux/ascend_{kind}_install.info")
        assert info == f"package_name=Ascend-cann-{name}\nversion={NEW}\narch=x86_64\npath={HOME}\n"
    assert machine.run(f"cat {RECORD}") == f"Toolkit_InstallPath={PLACE}\n"
    assert "Version=9.0.0\nversion_dir=cann\n" in machine.run(f"cat {HOME}/share/info/runtime/version.info")
    machine.run(
        f"cd {HOME}/{KERNEL}; ls ascend910b/ops_math/add/*.o config/ascend910b/ops_math/binary_info_config.json"
    )
    logs = machine.run("cd /var/log/ascend_seclog; stat -c '%a %n' *")
    assert logs == "640 ascend_ops_910b_install.log\n640 ascend_toolkit_install.log\n"


@pytest.mark.parametrize(("kind", "chips"), [("toolkit", {}), ("both", {"910b": COMPLETE})])
def test_our_reader_takes_it_for_complete(
    kept: str, machine: Machine, tmp_path: Path, kind: str, chips: object
) -> None:
    machine.run(GIVE.format(kind))
    for folder in ("usr/local", "etc"):
        (tmp_path / folder).mkdir(parents=True)
        image.podman("cp", f"{machine.name}:/{folder}/Ascend", str(tmp_path / folder))
    facts, findings = read_cann(node(tmp_path), PLACE, "/var/lib/ascend-fleet")
    version = facts["versions"][NEW]
    assert (version["layout"], version["toolkit"], version["kernels"]) == ("cann", COMPLETE, chips)
    assert (facts["latest"], facts["record"]) == (NEW, PLACE)
    assert names(findings) == ([] if chips else ["cann-kernels-absent"])


def test_what_torch_npu_links_comes_with_ops(with_toolkit: Machine) -> None:
    with_toolkit.run(f"ls {HOME}/lib64/libascendcl.so")
    with_toolkit.run(f"ls {HOME}/lib64/libhccl.so", code=2)
    with_toolkit.run(GIVE.format("both"))
    with_toolkit.run(f"ls {HOME}/lib64/libhccl.so {HOME}/lib64/libopapi.so")


def test_installing_it_again_leaves_the_same(with_both: Machine) -> None:
    first = with_both.sums(PLACE)
    with_both.install(OPS)
    assert with_both.sums(PLACE) == first
    with_both.install(TOOLKIT, "--upgrade")
    with_both.run(f"ls {HOME}/x86_64-linux/ascend_ops_install.info", code=2)  # an upgrade takes ops away
    with_both.install(OPS)
    assert with_both.sums(PLACE) == first


def test_ops_can_be_uninstalled_alone(with_both: Machine) -> None:
    assert "ops_910b uninstall success" in with_both.run(f"bash {HOME}/x86_64-linux/script/ops_uninstall.sh")
    left = with_both.sums(PLACE)
    with_both.run(BARE + GIVE.format("toolkit"))
    assert left == with_both.sums(PLACE)


def test_the_toolkit_takes_ops_away_and_the_record(with_both: Machine) -> None:
    assert "Toolkit uninstall success" in with_both.run(f"bash {HOME}/x86_64-linux/script/uninstall.sh")
    left = with_both.run(f"find {PLACE} -mindepth 1 -maxdepth 1 ! -name driver; find /etc/Ascend -type f")
    assert left == ""


def test_ops_wants_its_toolkit(machine: Machine) -> None:
    assert "Please install toolkit version 9.0.0" in machine.install(OPS, code=1)
    machine.install(TOOLKIT, place=BESIDE)
    assert "is different from" in machine.install(OPS, code=1)
    machine.install(OPS, place=BESIDE)
    # No full mode: its usage, and a good end with nothing done.
    machine.run(f"bash {BESIDE}/cann/x86_64-linux/script/ops_uninstall.sh")
    assert "Usage" in machine.install(OPS, "--full", place=BESIDE)
    machine.run(f"ls {BESIDE}/cann/x86_64-linux/ascend_ops_install.info", code=2)


def test_both_insist_on_the_recorded_path(machine: Machine) -> None:
    machine.install(OLD_TOOLKIT)
    before = machine.sums(PLACE)
    refusal = f"the install path {BESIDE} is different from {PLACE} in {RECORD}."
    assert refusal in machine.install(TOOLKIT, place=BESIDE, code=1)
    assert machine.sums(PLACE) == before
    machine.run(f"rm {RECORD}")
    machine.install(TOOLKIT, place=BESIDE)
    assert f"the install path {PLACE} is different from {BESIDE}" in machine.install(OLD_TOOLKIT, code=1)
    assert f"the install path {PLACE} is different from {BESIDE}" in machine.install(OLD_KERNELS, code=1)


def test_a_newer_installer_may_overwrite_the_record(machine: Machine) -> None:
    machine.install(OLD_TOOLKIT)
    machine.conf("record=overwrite")
    machine.install(TOOLKIT, place=BESIDE)
    assert machine.run(f"cat {RECORD}; cat {RECORD}.2*") == (
        f"Toolkit_InstallPath={BESIDE}\nToolkit_InstallPath={PLACE}\n"
    )


def test_in_one_place_the_last_one_has_the_common_names(machine: Machine) -> None:
    leads = (
        f"source {PLACE}/ascend-toolkit/set_env.sh; echo $ASCEND_HOME_PATH; readlink -f {PLACE}/ascend-toolkit/latest"
    )
    machine.install(OLD_TOOLKIT)
    older = machine.sums(f"{PLACE}/ascend-toolkit/{OLD}")
    machine.install(TOOLKIT)
    later = machine.sums(HOME)
    assert machine.run(leads).split() == [HOME, HOME]
    machine.install(OLD_TOOLKIT)
    assert machine.run(leads).split() == [f"{PLACE}/ascend-toolkit/latest"] * 2
    # Neither wrote through the other's links.
    assert (machine.sums(f"{PLACE}/ascend-toolkit/{OLD}"), machine.sums(HOME)) == (older, later)


@pytest.mark.parametrize("name", ["cann", f"cann-{NEW}", "ascend-toolkit", "ascend-toolkit/latest"])
def test_its_environment(with_toolkit: Machine, name: str) -> None:
    machine = with_toolkit
    script = f"{PLACE}/{name}/set_env.sh"
    lists = 'printf "%s\\n" "$PATH" "$PYTHONPATH"'
    # What an older CANN added, and one of this layout that lies elsewhere, stay; another one of the same place goes.
    given = f"export PYTHONPATH={PLACE}/ascend-toolkit/latest/x:/opt/A/cann-9.1.0/x:{PLACE}/cann-9.1.0/x"
    once, twice = (
        machine.run(f"{given}; {sourced}; {lists}") for sourced in (f"source {script}", f". {script}; . {script}")
    )
    assert once == twice
    assert once.split()[1] == ":".join(
        (
            f"{HOME}/python/site-packages",
            f"{HOME}/opp/built-in/op_impl/ai_core/tbe",
            f"{PLACE}/ascend-toolkit/latest/x",
            "/opt/A/cann-9.1.0/x",
        )
    )
    names = ["HOME_PATH", "TOOLKIT_HOME", "AICPU_PATH", "OPP_PATH"]
    values = machine.run(f". {script}; echo {' '.join(f'$ASCEND_{each}' for each in names)} $TOOLCHAIN_HOME")
    assert values.split() == [HOME, HOME, HOME, f"{HOME}/opp", f"{HOME}/toolkit"]
    assert "unbound variable" in machine.run(f"unset PYTHONPATH; set -u; source {script}; true", code=127)


@pytest.mark.parametrize(("package", "kernels"), [(OLD_TOOLKIT, OLD_KERNELS), (TOOLKIT, OPS)])
def test_pyacl_answers_by_both_layouts(machine: Machine, package: str, kernels: str) -> None:
    machine.conf("card_count=4", "chip_name=910B4", "hbm_total_mb=32768", "device_error.2=507033")
    machine.install(package)
    machine.install(kernels)
    asked = "acl.init(), acl.get_soc_name(), acl.rt.get_device_count(), [acl.rt.set_device(n) for n in (0, 2, 4)]"
    asked += ", acl.rt.get_mem_info(1)[1:], acl.rt.reset_device(0), acl.finalize()"
    said = machine.run(f"source {PLACE}/ascend-toolkit/set_env.sh; python3 -c 'import acl, te; print({asked})'")
    assert said == f"0 Ascend910B4 (4, 0) [0, 507033, 107001] ({32768 << 20}, 0) 0 0\n"
    assert "libascendcl.so" in machine.run(
        f"PYTHONPATH=$(echo {PLACE}/ascend-toolkit/latest/python/site-packages) python3 -c 'import acl'", code=1
    )


def test_without_a_driver_only_the_full_mode_has_pyacl(machine: Machine) -> None:
    machine.run(f"rm -r {PLACE}/driver")
    assert "Driver:   Not installed." in machine.install(TOOLKIT)
    machine.run(f"ls {HOME}/python/site-packages/acl", code=2)
    machine.install(TOOLKIT, "--full")
    machine.run(f"ls {HOME}/python/site-packages/acl/__init__.py")


@pytest.mark.parametrize("package", [TOOLKIT, OPS])
def test_what_is_refused(kept: str, machine: Machine, package: str) -> None:
    if package == OPS:
        machine.run(GIVE.format("toolkit"))
    before = machine.sums(PLACE)
    other = "mkdir -p /tmp/other; printf '#!/bin/sh\\necho aarch64\\n' >/tmp/other/uname; chmod 0755 /tmp/other/uname"
    said = machine.run(f"{other}; PATH=/tmp/other:$PATH bash /packages/{package} --install --quiet --nox11", code=1)
    assert "The current OS is aarch64" in said
    assert "No packages to install !" in said
    assert "Do you accept the EULA to install CANN?[Y/N]" in machine.run(
        f"bash /packages/{package} --install --nox11 </dev/null", code=1
    )
    machine.run("mkdir -m 0700 /opt/closed")
    assert "permission is invalid" in machine.install(package, place="/opt/closed/Ascend", code=1)
    machine.run("rmdir /opt/closed")
    machine.run(f"head -c -100 /packages/{package} >/tmp/cut.run; bash /tmp/cut.run --check", code=2)
    assert "SHA256 checksums are OK" in machine.run(f"bash /packages/{package} --check")
    assert machine.sums(PLACE) == before


@pytest.mark.parametrize(
    ("fault", "package", "code", "left"),
    [
        ("installer=silent", TOOLKIT, 0, ""),
        ("installer=exit:7", TOOLKIT, 7, ""),
        ("installer=dies:hcomm", TOOLKIT, 137, "hcomm"),
        ("installer=dies:hccl", OPS, 137, "hccl"),
        ("layout=other", TOOLKIT, 0, "other-hcomm"),
    ],
)
def test_faults(kept: str, machine: Machine, fault: str, package: str, code: int, left: str) -> None:
    if package == OPS:
        machine.run(GIVE.format("toolkit"))
    machine.conf(fault)
    machine.install(package, code=code)
    info = f"{HOME}/share/info"
    if left:
        machine.run(f"ls -d {info}/{left}")
    else:
        machine.run(f"ls -d {HOME}", code=2)
    if "dies" in fault:  # a part that is begun, and no word of success
        assert machine.run(f"stat -c %s {info}/{left}/version.info") == "0\n"
        name = "ops" if package == OPS else "toolkit"
        machine.run(f"ls {HOME}/x86_64-linux/ascend_{name}_install.info", code=2)
