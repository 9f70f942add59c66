# SPDX-License-Identifier: Apache-2.0
"""CANN on disk: every layout, and every fault seen as what it is and as nothing else."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ascend.cann import cann_install, cann_layout, cann_packages, cann_tree, manifest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.answers import names, node, write

ROOT, STATE = "/usr/local/Ascend", "/var/lib/ascend-fleet"
MACHINE = platform.machine()
FOREIGN = "aarch64" if MACHINE == "x86_64" else "x86_64"
OLD, V, NEW = "8.0.RC1.alpha003", "8.0.RC1", "8.1.RC1"
NUMBER = {OLD: "7.2.T11.0.B100", V: "7.2.0.1.100", NEW: "7.7.0.1.238"}
OTHERS = ("aoe", "ncs", "opp_kernel")
KERNEL = "opp/built-in/op_impl/ai_core/tbe/kernel"
RECORD = "/etc/Ascend/ascend_cann_install.info"


class Cann:
    """A node's CANN, put there as its installers do."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.top = root / ROOT.strip("/") / "ascend-toolkit"
        self.latest = self.top / "latest"

    def home(self, version: str = V) -> Path:
        return self.top / version

    def put_version(self, home: Path, version: str, arch: str, shared: bool = False) -> None:
        place = f"/{home.relative_to(self.root)}/{arch}-linux"
        info = f"package_name=Ascend-cann-toolkit\nversion={version}\ninnerversion=V100R001C17SPC001B240\narch={arch}\n"
        write(home, f"{arch}-linux/ascend_toolkit_install.info", f"{info}os=linux\npath={place}\n")
        for library in cann_layout.LIBRARIES:
            write(home, f"{arch}-linux/lib64/{library}", f"{library} of {version}")
        for component in (*cann_layout.COMPONENTS, "aoe"):
            inside = f"share/info/{component}" if shared else component
            text = f"Version={NUMBER.get(version, version)}\nversion_dir={version}\n"
            write(home, f"{inside}/version.info", text)
            write(home, f"{component}/content/part.bin", f"{component} of {version}")

    def put_toolkit(self, version: str = V, arch: str = MACHINE) -> None:
        home = self.home(version)
        self.put_version(home, version, arch)
        write(home, f"{arch}-linux/script/set_env.sh", f"export ASCEND_HOME_PATH={version}\n")
        (home / "lib64").symlink_to(f"{arch}-linux/lib64")
        write(self.top, "set_env.sh", "export ASCEND_HOME_PATH=latest\n")
        write(self.root, RECORD, f"Toolkit_InstallPath={ROOT}\n")
        self.put_latest(version, arch)

    def put_latest(self, version: str, arch: str = MACHINE) -> None:
        shutil.rmtree(self.latest, ignore_errors=True)
        (self.latest / f"{arch}-linux").mkdir(parents=True)
        (self.latest / "tools").mkdir()
        for component in (*cann_layout.COMPONENTS, "aoe"):
            (self.latest / component).symlink_to(f"../{version}/{component}")
        (self.latest / "ops").symlink_to(f"../{version}/opp")
        (self.latest / "lib64").symlink_to(f"{arch}-linux/lib64")
        (self.latest / f"{arch}-linux/lib64").symlink_to(f"../../{version}/{arch}-linux/lib64")
        # The installers make some of them absolute.
        (self.latest / "tools/aoe").symlink_to(f"{ROOT}/ascend-toolkit/{version}/aoe")
        self.put_cfg(dict.fromkeys((*cann_layout.COMPONENTS, "aoe"), version))

    def put_cfg(self, running: dict[str, str]) -> None:
        lines = [
            f"{component}_{kind}_version=[{NUMBER[version]}:{version}]"
            for kind in ("running", "upgrade", "installed")
            for component, version in running.items()
        ]
        write(self.latest, "version.cfg", "\n".join(["# version: 1.0", *lines, ""]))

    def put_kernels(self, version: str = V, chip: str = "910b") -> None:
        home = self.home(version)
        write(home, "opp_kernel/version.info", f"Version={NUMBER[version]}\nversion_dir={version}\n")
        write(home, f"{KERNEL}/config/ascend{chip}/binary_info_config.json", "{}")
        write(home, f"{KERNEL}/ascend{chip}/add.o", "binary")
        if not (self.latest / "opp_kernel").is_symlink():
            (self.latest / "opp_kernel").symlink_to(f"../{version}/opp_kernel")

    def put_later(self, version: str = "8.5.0") -> None:
        """The layout from 8.5 on."""
        home = self.root / ROOT.strip("/") / f"cann-{version}"
        self.put_version(home, version, MACHINE, shared=True)
        write(home, "set_env.sh", "export ASCEND_HOME_PATH=cann\n")
        write(home, f"{KERNEL}/config/ascend910b/ops_legacy/binary_info_config.json", "{}")
        write(home, f"{KERNEL}/ascend910b/ops_legacy/add.o", "binary")
        link = self.root / ROOT.strip("/") / "cann"
        link.unlink(missing_ok=True)
        link.symlink_to(f"{ROOT}/cann-{version}")

    def remember(self, version: str = V, chip: str | None = "910b") -> None:
        state = str(self.root / STATE.strip("/"))
        home, tops = self.home(version), [path.name for path in self.home(version).iterdir()]
        manifest.record(str(home), tops, cann_layout.manifest_path(state, "toolkit", version), cann_layout.KERNELS)
        if chip:
            path = cann_layout.manifest_path(state, f"kernels-{chip}", version)
            manifest.record(str(home), cann_layout.kernels_tops(chip), path)

    def read(self, deep: bool = False) -> tuple[dict[str, Any], list[dict[str, str]]]:
        facts, findings = cann_tree.read_cann(node(self.root), ROOT, STATE, deep)
        assert json.loads(json.dumps(facts)) == facts
        for finding in findings:
            assert finding["subset"] == "cann"
            assert finding["problem"], finding
            assert finding["remedy"], finding
            assert str(self.root) not in json.dumps(finding), "the path is the test's, not the node's"
        return facts, findings


@pytest.fixture
def cann(tmp_path: Path) -> Cann:
    """A node with the toolkit and the 910b kernels of one version, remembered."""
    cann = Cann(tmp_path)
    cann.put_toolkit()
    cann.put_kernels()
    cann.remember()
    return cann


COMPLETE = {"state": "complete", "problems": [], "problem_count": 0}


def test_nothing_at_all(tmp_path: Path) -> None:
    facts, findings = Cann(tmp_path).read()
    assert findings == []
    assert facts == {
        "root": ROOT,
        "latest": None,
        "latest_state": "absent",
        "versions": {},
        "elsewhere": [],
        "elsewhere_count": 0,
        "record": None,
    }


@pytest.mark.parametrize("deep", [False, True])
def test_a_complete_version(cann: Cann, deep: bool) -> None:
    facts, findings = cann.read(deep)
    assert findings == []
    assert (facts["latest"], facts["latest_state"], facts["record"]) == (V, "ok", ROOT)
    assert facts["versions"] == {
        V: {
            "path": f"{ROOT}/ascend-toolkit/{V}",
            "layout": "ascend-toolkit",
            "version": V,
            "inner_version": "V100R001C17SPC001B240",
            "arch": MACHINE,
            "toolkit": COMPLETE,
            "kernels": {"910b": COMPLETE},
        }
    }
    root, state = (str(cann.root / path.strip("/")) for path in (ROOT, STATE))
    assert cann_packages.read_toolkit(root, state, V) == COMPLETE
    assert cann_packages.read_kernels(root, state, V, "910b") == COMPLETE
    assert cann_layout.read_latest(root) == V
    assert cann_packages.read_toolkit(root, state, NEW)["state"] == "absent"
    assert cann_packages.read_kernels(root, state, V, "310p")["state"] == "absent"


def test_a_full_set_of_links_as_of_8_1_rc1(cann: Cann) -> None:
    """All forms of links that are seen: relative, absolute, into latest itself, names of the series, of folders."""
    (cann.top / "8.0").symlink_to(f"./{V}")
    (cann.latest / "arm64-linux").symlink_to(f"{MACHINE}-linux")
    (cann.latest / "tools/simulator").symlink_to(f"../{MACHINE}-linux")
    (cann.home() / "arm64-linux").symlink_to(f"{MACHINE}-linux")
    (cann.home() / "test-ops").symlink_to(f"../{V}/opp/test-ops")
    facts, findings = cann.read()
    assert (findings, facts["latest_state"], list(facts["versions"])) == ([], "ok", [V])


def test_alphas_and_several_versions_side_by_side(cann: Cann) -> None:
    for version in (OLD, NEW):
        cann.put_toolkit(version)
    facts, findings = cann.read()
    assert list(facts["versions"]) == [V, OLD, NEW]
    assert facts["latest"] == NEW
    assert all(version["toolkit"] == COMPLETE for version in facts["versions"].values())
    assert [facts["versions"][version]["version"] for version in (V, OLD, NEW)] == [V, OLD, NEW]
    # Kernels are there, but those of an older toolkit.
    assert names(findings) == ["cann-kernels-version"]
    assert findings[0]["found"] == f"910b {V}"


def test_the_environment_file_of_all_versions_is_missed_once(cann: Cann) -> None:
    for version in (OLD, NEW):
        cann.put_toolkit(version)
    (cann.top / "set_env.sh").unlink()
    _, findings = cann.read()
    (found,) = [finding for finding in findings if finding["name"] == "cann-set-env-missing"]
    assert found["where"] == f"{ROOT}/ascend-toolkit/set_env.sh"
    assert found["found"] == "missing ascend-toolkit/set_env.sh"


Fault = Callable[[Cann], Any]


def in_turn(*faults: Fault) -> Fault:
    def fault(cann: Cann) -> None:
        for step in faults:
            step(cann)

    return fault


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def lose(*paths: str) -> Fault:
    return in_turn(*(lambda cann, path=path: remove(cann.top / path) for path in paths))


def put(path: str, text: str) -> Fault:
    return lambda cann: write(cann.top, path, text)


def lead(link: str, target: str) -> Fault:
    def fault(cann: Cann) -> None:
        remove(cann.top / link)
        (cann.top / link).symlink_to(target)

    return fault


ARCH = f"{V}/{MACHINE}-linux"
INFO = f"{ARCH}/ascend_toolkit_install.info"
HALF, ALTERED, WHOLE = "half-installed", "altered", "complete"
MANY = dict.fromkeys(cann_layout.COMPONENTS, V)


def cfg(**changes: str) -> Fault:
    return lambda cann: cann.put_cfg({**MANY, "aoe": V, **changes})


FAULTS: dict[str, tuple[Fault, str, str, list[str]]] = {
    # fault: (what happens, state of the toolkit, one of its problems, names of the findings)
    "info lost": (lose(INFO), HALF, f"missing {MACHINE}-linux/ascend", ["cann-half-installed"]),
    "info empty": (put(INFO, ""), HALF, f"empty {MACHINE}-linux/ascend", ["cann-half-installed"]),
    "info of another version": (
        put(INFO, f"version={NEW}\narch={MACHINE}\n"),
        HALF,
        f"says version {NEW}",
        ["cann-version-mismatch"],
    ),
    "info torn": (
        put(INFO, "version=8.0.R"),
        HALF,
        "says version 8.0.R",
        ["cann-version-mismatch"],
    ),
    "info without a version": (put(INFO, "\0\0\0\0\n"), HALF, "line 1: bytes that are no text",
                               ["cann-half-installed", "cann-version-mismatch"]),
    "info says another machine": (
        put(INFO, f"version={V}\narch={FOREIGN}\n"),
        HALF,
        f"is for {FOREIGN}, this machine is {MACHINE}",
        ["cann-architecture"],
    ),
    "component lost": (
        lose(f"{V}/hccl"),
        HALF,
        "missing component hccl",
        ["cann-half-installed"],
    ),
    "component's version.info empty": (
        put(f"{V}/opp/version.info", ""),
        HALF,
        "empty opp/version.info",
        ["cann-half-installed"],
    ),
    "component of another version": (
        put(f"{V}/opp/version.info", f"Version={NUMBER[V]}\nversion_dir={NEW}\n"),
        HALF,
        f"opp/version.info says version {NEW}",
        ["cann-version-mismatch"],
    ),
    "component of another build": (
        put(f"{V}/opp/version.info", f"Version=7.2.0.1.099\nversion_dir={V}\n"),
        HALF,
        f"says that opp is {NUMBER[V]}, its version.info 7.2.0.1.099",
        ["cann-version-mismatch"],
    ),
    "library lost": (
        lose(f"{ARCH}/lib64/libhccl.so"),
        HALF,
        f"missing {MACHINE}-linux/lib64/libhccl.so",
        ["cann-half-installed"],
    ),
    "library empty": (
        put(f"{ARCH}/lib64/libhccl.so", ""),
        HALF,
        f"empty {MACHINE}-linux/lib64/libhccl.so",
        ["cann-half-installed"],
    ),
    "own set_env.sh lost": (
        lose(f"{ARCH}/script/set_env.sh"),
        HALF,
        f"missing {MACHINE}-linux/script/set_env.sh",
        ["cann-set-env-missing"],
    ),
    "top set_env.sh lost": (lose("set_env.sh"), HALF, "missing ascend-toolkit/set_env.sh", ["cann-set-env-missing"]),
    "top set_env.sh empty": (put("set_env.sh", ""), HALF, "empty ascend-toolkit/set_env.sh", ["cann-set-env-missing"]),
    "arch folder lost": (
        lose(ARCH),
        HALF,
        f"missing {MACHINE}-linux",
        ["cann-half-installed"],
    ),
    "version.cfg lost": (lose("latest/version.cfg"), HALF, "missing ascend-toolkit/latest/version.cfg",
                         ["cann-half-installed"]),
    "version.cfg empty": (put("latest/version.cfg", ""), HALF, "empty ascend-toolkit/latest/version.cfg",
                          ["cann-half-installed"]),
    "version.cfg torn": (
        put("latest/version.cfg", f"runtime_running_version=[{NUMBER[V]}:{V}]\ncompiler_runn"),
        HALF,
        "line 2: no key=value: compiler_runn",
        ["cann-half-installed"],
    ),
    "version.cfg of another version": (
        cfg(**dict.fromkeys(MANY, NEW)), HALF, f"says that hccl is of {NEW}", ["cann-version-mismatch"],
    ),
    "version.cfg mixed": (cfg(opp=NEW), HALF, f"says that opp is of {NEW}", ["cann-version-mismatch"]),
    "latest lost": (lose("latest"), HALF, "missing ascend-toolkit/latest", ["cann-latest-absent"]),
    "latest/opp lost": (lose("latest/opp"), HALF, "missing ascend-toolkit/latest/opp", ["cann-half-installed"]),
    "latest a link": (lead("latest", V), WHOLE, "", []),
    "latest a link to nothing": (
        lead("latest", NEW),
        HALF,
        f"leads to no version that is there ({NEW}: latest)",
        ["cann-latest-dangling"],
    ),
    "latest's version is gone": (
        in_turn(lambda cann: cann.put_toolkit(NEW), lose(NEW)),
        HALF,
        "leads to no version that is there (8.1.RC1: ",
        ["cann-latest-dangling"],
    ),
    "latest/aoe leads to nothing": (lead("latest/aoe", f"../{V}/none"), WHOLE, "", ["cann-latest-dangling"]),
    "latest/aoe of another version": (lead("latest/aoe", f"../{NEW}/aoe"), WHOLE, "", ["cann-latest-mixed"]),
    "latest/opp of another version": (
        lead("latest/opp", f"../{NEW}/opp"),
        HALF,
        "ascend-toolkit/latest is mixed: ",
        ["cann-latest-mixed"],
    ),
    "file lost": (lose(f"{V}/aoe/content/part.bin"), ALTERED, "missing aoe/content/part.bin", ["cann-altered"]),
    "file shortened": (put(f"{V}/aoe/content/part.bin", "x"), ALTERED, "has 1 bytes, not", ["cann-altered"]),
    "small file that decides": (
        lambda cann: rewrite(cann.home() / "aoe/version.info"),
        ALTERED,
        "aoe/version.info has another content",
        ["cann-altered"],
    ),
    "link leads elsewhere": (
        lead(f"{V}/lib64", "elsewhere"),
        ALTERED,
        f"lib64 leads to elsewhere, not {MACHINE}-linux/lib64",
        ["cann-altered"],
    ),
    "record of another root": (
        put("../../../../etc/Ascend/ascend_cann_install.info", "Toolkit_InstallPath=/usr/local\n"),
        WHOLE,
        "",
        ["cann-record-stale"],
    ),
    "record of a lost root": (
        lambda cann: write(cann.root, RECORD, "Toolkit_InstallPath=/data/Ascend\n"),
        WHOLE,
        "",
        ["cann-record-stale"],
    ),
    "record empty": (lambda cann: write(cann.root, RECORD, ""), WHOLE, "", ["cann-record-stale"]),
    "record of another product": (
        lambda cann: write(cann.root, RECORD, "Nnae_InstallPath=/opt\n"), WHOLE, "", [],
    ),
}  # fmt: skip


def rewrite(path: Path) -> None:
    """Another content of the same size, with the same time."""
    status, text = path.stat(), path.read_bytes()
    path.write_bytes(bytes((text[0] ^ 1,)) + text[1:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_is_seen_as_what_it_is(cann: Cann, name: str) -> None:
    fault, state, words, expected = FAULTS[name]
    fault(cann)
    facts, findings = cann.read()
    toolkit = facts["versions"][V]["toolkit"]
    assert (toolkit["state"], names(findings)) == (state, expected), (toolkit, findings)
    assert any(words in problem for problem in toolkit["problems"]) or not words, toolkit["problems"]
    assert toolkit["problem_count"] >= len(toolkit["problems"])
    real = cann_packages.read_toolkit(str(cann.root / ROOT.strip("/")), str(cann.root / STATE.strip("/")), V)
    # One way to read: what the module cann_package sees is what the facts say.
    assert real["state"] == state or "latest" in name


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_without_a_manifest_the_files_are_held_to_each_other(cann: Cann, name: str) -> None:
    fault, state, _words, expected = FAULTS[name]
    shutil.rmtree(cann.root / STATE.strip("/"))
    fault(cann)
    facts, findings = cann.read()
    assert facts["versions"][V]["toolkit"]["state"] == (WHOLE if state == ALTERED else state)
    assert names(findings) == [found for found in expected if found != "cann-altered"]


KERNEL_FAULTS: dict[str, tuple[Fault, str, list[str]]] = {
    "index lost": (
        lose(f"{V}/{KERNEL}/config/ascend910b/binary_info_config.json"), HALF, ["cann-half-installed"],
    ),
    "index empty": (
        put(f"{V}/{KERNEL}/config/ascend910b/binary_info_config.json", ""),
        HALF,
        ["cann-half-installed"],
    ),
    "binaries lost": (lose(f"{V}/{KERNEL}/ascend910b"), HALF, ["cann-half-installed"]),
    "a binary lost": (
        in_turn(
            put(f"{V}/{KERNEL}/ascend910b/mul.o", "b"),
            lambda cann: cann.remember(),
            lose(f"{V}/{KERNEL}/ascend910b/mul.o"),
        ),
        ALTERED,
        ["cann-altered"],
    ),
    "component lost": (
        lose(f"{V}/opp_kernel"), HALF, ["cann-half-installed"],
    ),
    "of another version": (
        put(f"{V}/opp_kernel/version.info", f"Version={NUMBER[NEW]}\nversion_dir={NEW}\n"),
        HALF,
        ["cann-kernels-version"],
    ),
    "version.cfg says another version": (cfg(opp_kernel=NEW), HALF, ["cann-kernels-version"]),
    "link to those of another version": (
        lead("latest/opp_kernel", f"../{NEW}/opp_kernel"),
        HALF,
        ["cann-kernels-version", "cann-latest-dangling"],
    ),
    "none but config": (
        lose(f"{V}/{KERNEL}/config/ascend910b"), HALF, ["cann-half-installed"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(KERNEL_FAULTS))
def test_a_fault_of_the_kernels_is_not_the_toolkits(cann: Cann, name: str) -> None:
    fault, state, expected = KERNEL_FAULTS[name]
    fault(cann)
    facts, findings = cann.read()
    version = facts["versions"][V]
    assert version["toolkit"] == COMPLETE
    assert (version["kernels"]["910b"]["state"], names(findings)) == (state, expected), version


def test_kernels_of_other_chips(cann: Cann) -> None:
    for folder in (cann.home() / KERNEL, cann.home() / "opp_kernel", cann.root / STATE.strip("/")):
        shutil.rmtree(folder)
    (cann.latest / "opp_kernel").unlink()
    facts, findings = cann.read()
    assert names(findings) == ["cann-kernels-absent"]
    assert cann_tree.kernels_chip_findings(facts, "910b") == []
    cann.put_kernels(chip="310p")
    cann.put_kernels(chip="910_93")
    facts, findings = cann.read()
    assert findings == []
    assert list(facts["versions"][V]["kernels"]) == ["310p", "910_93"]
    assert cann_tree.kernels_chip_findings(facts, "310p") == []
    (found,) = cann_tree.kernels_chip_findings(facts, "910b")
    assert (found["name"], found["wanted"], found["found"]) == ("cann-kernels-chip", "910b", "310p, 910_93")


def test_mixed_links_name_the_components(cann: Cann) -> None:
    cann.put_toolkit(NEW)
    cann.put_kernels(NEW)
    lead("latest/opp_kernel", f"../{NEW}/opp_kernel")(cann)
    for component in ("opp", "hccl"):
        lead(f"latest/{component}", f"../{V}/{component}")(cann)
    facts, findings = cann.read()
    assert (facts["latest"], facts["latest_state"]) == (NEW, "mixed")
    assert names(findings) == ["cann-latest-mixed"]
    assert f"{V}: hccl, opp" in findings[0]["found"]
    for version in (V, NEW):
        (problem,) = facts["versions"][version]["toolkit"]["problems"]
        assert f"hccl, opp to {V}" in problem
        assert f"compiler, runtime, toolkit to {NEW}" in problem


def test_a_toolkit_for_another_machine(tmp_path: Path) -> None:
    cann = Cann(tmp_path)
    cann.put_toolkit(arch=FOREIGN)
    cann.put_kernels()
    facts, findings = cann.read()
    assert names(findings) == ["cann-architecture"]
    assert facts["versions"][V]["arch"] == FOREIGN
    assert facts["versions"][V]["toolkit"] == {
        "state": HALF,
        "problems": [
            f"it is for {FOREIGN}, this machine is {MACHINE}",
            f"{FOREIGN}-linux/ascend_toolkit_install.info is for {FOREIGN}, this machine is {MACHINE}",
        ],
        "problem_count": 2,
    }


def test_the_machines_own_folder_comes_first(cann: Cann) -> None:
    """A heterogeneous toolkit has the libraries of the other machine beside."""
    write(cann.home(), f"{FOREIGN}-linux/devlib/libascendcl.so", "stub")
    assert cann.read()[1] == []


def test_the_layout_from_8_5_on(tmp_path: Path) -> None:
    cann = Cann(tmp_path)
    cann.put_later()
    (cann.top).mkdir()
    (cann.top / "latest").symlink_to(f"{ROOT}/cann")
    facts, findings = cann.read()
    assert findings == []
    assert (facts["latest"], facts["latest_state"]) == ("8.5.0", "ok")
    version = facts["versions"]["8.5.0"]
    assert (version["path"], version["layout"]) == (f"{ROOT}/cann-8.5.0", "cann")
    assert (version["toolkit"], version["kernels"]) == (COMPLETE, {"910b": COMPLETE})


def test_both_layouts_side_by_side(cann: Cann) -> None:
    cann.put_later("9.0.0-beta.1")
    cann.put_later("8.5.0")
    facts, findings = cann.read()
    assert (findings, facts["latest"]) == ([], "8.5.0")
    assert {name: version["layout"] for name, version in facts["versions"].items()} == {
        V: "ascend-toolkit",
        "8.5.0": "cann",
        "9.0.0-beta.1": "cann",
    }
    assert all(version["toolkit"] == COMPLETE for version in facts["versions"].values())


@pytest.mark.parametrize(
    ("fault", "latest", "expected"),
    [
        (lose("../cann"), V, ["cann-latest-absent"]),
        (lead("../cann", "cann-9.9.9"), V, ["cann-latest-dangling"]),
        (lose("../cann-8.5.0/set_env.sh"), "8.5.0", ["cann-set-env-missing"]),
        (lose("../cann-8.5.0/share/info/hccl"), "8.5.0", ["cann-half-installed"]),
        (lose(f"../cann-8.5.0/{KERNEL}/ascend910b"), "8.5.0", ["cann-half-installed"]),
        (lose(f"../cann-8.5.0/{KERNEL}"), "8.5.0", ["cann-kernels-version"]),
        (lose("../cann", "../cann-8.5.0"), V, []),
    ],
)
def test_faults_of_the_later_layout(cann: Cann, fault: Fault, latest: str, expected: list[str]) -> None:
    cann.put_later()
    fault(cann)
    facts, findings = cann.read()
    assert (facts["latest"], names(findings)) == (latest, expected)
    assert facts["versions"][V]["toolkit"] == COMPLETE


def test_an_empty_folder_is_what_the_uninstaller_leaves(cann: Cann) -> None:
    cann.home(NEW).mkdir()
    facts, findings = cann.read()
    assert findings == []
    assert facts["versions"][NEW]["toolkit"]["state"] == "absent"
    remove(cann.home())
    remove(cann.latest)
    remove(cann.top / "set_env.sh")
    facts, findings = cann.read()
    assert (findings, facts["latest"], facts["latest_state"]) == ([], None, "absent")


def test_a_moved_version(cann: Cann) -> None:
    home = cann.home()
    text = (home / f"{MACHINE}-linux/ascend_toolkit_install.info").read_text().replace(ROOT, "/opt/Ascend")
    write(home, f"{MACHINE}-linux/ascend_toolkit_install.info", text)
    cann.remember()
    facts, findings = cann.read()
    assert names(findings) == ["cann-moved"]
    assert facts["versions"][V]["toolkit"] == COMPLETE


def test_elsewhere(cann: Cann) -> None:
    for home, version in (("root/Ascend", NEW), ("home/anna/Ascend", OLD)):
        other = Cann(cann.root)
        other.top = cann.root / home / "ascend-toolkit"
        other.put_version(other.home(version), version, FOREIGN)
    other.put_version(cann.root / "home/berta/Ascend/cann-8.5.0", "8.5.0", MACHINE, shared=True)
    write(
        cann.root, f"{ROOT}/nnae/8.0.RC3/ascend_nnae_install.info", "package_name=Ascend-cann-nnae\nversion=8.0.RC3\n"
    )
    (cann.root / ROOT.strip("/") / "nnae/latest").symlink_to("8.0.RC3")
    (cann.root / "home/carl").mkdir()
    (cann.root / "home/carl/Ascend").symlink_to(cann.top.parent)  # the same one
    facts, findings = cann.read()
    assert facts["elsewhere"] == [
        {"path": f"{ROOT}/nnae/8.0.RC3", "version": "8.0.RC3", "why": "the product nnae"},
        {"path": f"/root/Ascend/ascend-toolkit/{NEW}", "version": NEW, "why": "a user's own"},
        {"path": f"/home/anna/Ascend/ascend-toolkit/{OLD}", "version": OLD, "why": "a user's own"},
        {"path": "/home/berta/Ascend/cann-8.5.0", "version": "8.5.0", "why": "a user's own"},
    ]
    assert names(findings) == ["cann-elsewhere"]
    assert list(facts["versions"]) == [V]


def test_many_other_places_are_counted(cann: Cann) -> None:
    for number in range(30):
        write(cann.root, f"/home/user{number:02}/Ascend/nnrt/8.0.RC3/x", "x")
    facts, findings = cann.read()
    assert (len(facts["elsewhere"]), facts["elsewhere_count"]) == (cann_layout.SHOWN, 30)
    assert names(findings) == ["cann-elsewhere"]
    assert len(json.dumps([facts, findings])) < 4000


def test_what_may_not_be_read_is_not_called_missing(cann: Cann, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = str(cann.home() / "opp")
    for module, name in ((os, "stat"), (os, "lstat"), (os, "listdir")):
        real = getattr(module, name)

        def guarded(path: Any, *args: Any, real: Any = real, **more: Any) -> Any:
            if str(path).startswith(closed):
                raise PermissionError(13, "Permission denied")
            return real(path, *args, **more)

        monkeypatch.setattr(module, name, guarded)
    facts, findings = cann.read()
    toolkit = facts["versions"][V]["toolkit"]
    assert "opp/version.info: cannot be read: Permission denied" in toolkit["problems"]
    assert not [problem for problem in toolkit["problems"] if "missing" in problem]
    assert names(findings)[0] == "cann-unreadable"
    closed = str(cann.home())
    facts, findings = cann.read()
    assert facts["versions"][V]["toolkit"]["problems"] == [
        f"{ROOT}/ascend-toolkit/{V} cannot be read: Permission denied"
    ]
    closed = str(cann.top)
    facts, findings = cann.read()
    assert names(findings)[:1] == ["cann-unreadable"]


def test_deep_reads_what_nobody_touched(cann: Cann) -> None:
    rewrite(cann.home() / "aoe/content/part.bin")
    write(cann.home(), "opp/vendors/mine/op.so", "x")
    write(cann.home(), "python/__pycache__/x.pyc", "x")
    assert cann.read()[1] == []
    facts, findings = cann.read(deep=True)
    assert names(findings) == ["cann-altered", "cann-extra"]
    assert facts["versions"][V]["toolkit"]["problems"] == ["aoe/content/part.bin has another content"]
    assert findings[1]["found"] == "opp/vendors/mine/op.so was added"


def test_more_new_times_than_the_fast_form_reads(cann: Cann, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MOST_TOUCHED", 3)
    for path in cann.home().rglob("*.bin"):
        os.utime(path)
    facts, findings = cann.read()
    assert names(findings) == ["cann-unverified"]
    assert facts["versions"][V]["toolkit"] == COMPLETE
    assert cann.read(deep=True)[1] == []


def test_a_manifest_of_another_root_accuses_nobody(cann: Cann) -> None:
    path = Path(cann_layout.manifest_path(str(cann.root / STATE.strip("/")), "toolkit", V))
    manifest.record(str(cann.top), [V], str(path))
    remove(cann.home() / "aoe/content/part.bin")
    assert cann.read()[1] == []


def test_problems_are_bounded(cann: Cann) -> None:
    for path in cann.home().rglob("*"):
        if path.is_file():
            path.unlink()
    facts, _findings = cann.read()
    toolkit = facts["versions"][V]["toolkit"]
    assert len(toolkit["problems"]) == cann_layout.SHOWN
    assert toolkit["problem_count"] > 15


EVERY_FILE = sorted(
    [f"{component}/content/part.bin" for component in (*cann_layout.COMPONENTS, "aoe")]
    + [f"{component}/version.info" for component in (*cann_layout.COMPONENTS, "aoe", "opp_kernel")]
    + [f"{MACHINE}-linux/lib64/{library}" for library in cann_layout.LIBRARIES]
    + [f"{MACHINE}-linux/script/set_env.sh", f"{KERNEL}/ascend910b/add.o"]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(EVERY_FILE), st.sampled_from(["lost", "cut", "longer", "flipped", "hidden"]), min_size=1
    )
)
def test_whatever_happens_to_files_is_seen(tmp_path_factory: pytest.TempPathFactory, damage: dict[str, str]) -> None:
    cann = Cann(tmp_path_factory.mktemp("node"))
    cann.put_toolkit()
    cann.put_kernels()
    cann.remember()
    for name, kind in damage.items():
        path = cann.home() / name
        content = path.read_bytes()
        if kind == "lost":
            path.unlink()
        elif kind == "cut":
            path.write_bytes(content[:-1])
        elif kind == "longer":
            path.write_bytes(content + b"x")
        elif kind == "flipped":
            path.write_bytes(bytes((content[0] ^ 1,)) + content[1:])
            os.utime(path, ns=(0, 0))
        else:
            rewrite(path)
    for deep in (True, False):
        facts, findings = cann.read(deep)
        version = facts["versions"][V]
        seen = {"toolkit": version["toolkit"], "kernels": version["kernels"].get("910b", {"state": "absent"})}
        expected = {
            "kernels" if KERNEL in name or "opp_kernel" in name else "toolkit"
            for name, kind in damage.items()
            if deep or kind != "hidden" or name.endswith((".info", ".sh"))
        }
        assert {name for name, package in seen.items() if package["state"] != "complete"} == expected, (damage, facts)
        assert bool(findings) == bool(expected)


def test_the_installers_module_reads_the_same_tree(cann: Cann) -> None:
    root, state = (str(cann.root / path.strip("/")) for path in (ROOT, STATE))
    package = cann_install.Package("toolkit", V, None, root, "", state, "", None, 1)
    assert cann_install.observe(package) == COMPLETE
    rewrite(cann.home() / "aoe/version.info")
    assert cann_install.observe(package)["state"] == ALTERED
