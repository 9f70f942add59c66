# SPDX-License-Identifier: Apache-2.0
"""CANN on disk: every layout, versions side by side, where the links lead, and what lies elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    layout as cann_layout,
    packages as cann_packages,
    read as cann_read,
)
from tests.answers import names, write
from tests.unit.cann.on_disk import (
    COMPLETE,
    FOREIGN,
    HALF,
    KERNEL,
    MACHINE,
    NEW,
    OLD,
    ROOT,
    STATE,
    Cann,
    Fault,
    V,
    lead,
    lose,
    read_toolkit,
    remove,
)


def test_nothing_at_all(tmp_path: Path) -> None:
    facts, findings = Cann(tmp_path).read()
    assert findings == []
    assert facts == {
        "root": ROOT,
        "latest": None,
        "latest_state": "absent",
        "latest_beside": None,
        "repairing": None,
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
            "ours": False,
            "version": V,
            "inner_version": "V100R001C17SPC001B240",
            "arch": MACHINE,
            "toolkit": COMPLETE,
            "kernels": {"910b": COMPLETE},
        }
    }
    root, state = (str(cann.root / path.strip("/")) for path in (ROOT, STATE))
    assert read_toolkit(root, state, V) == COMPLETE
    assert cann_layout.read_latest(root) == V
    assert read_toolkit(root, state, NEW)["state"] == "absent"
    assert cann_packages.kernels_problems(cann_layout.Tree(root, state), V, "310p", deep) is None


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


def test_kernels_of_other_chips(cann: Cann) -> None:
    for folder in (cann.home() / KERNEL, cann.home() / "opp_kernel", cann.root / STATE.strip("/")):
        shutil.rmtree(folder)
    (cann.latest / "opp_kernel").unlink()
    facts, findings = cann.read()
    assert names(findings) == ["cann-kernels-absent"]
    assert cann_read.kernels_chip_findings(facts, "910b") == []
    cann.put_kernels(chip="310p")
    cann.put_kernels(chip="910_93")
    facts, findings = cann.read()
    assert findings == []
    assert list(facts["versions"][V]["kernels"]) == ["310p", "910_93"]
    assert cann_read.kernels_chip_findings(facts, "310p") == []
    (found,) = cann_read.kernels_chip_findings(facts, "910b")
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
    (problem,) = facts["versions"][NEW]["toolkit"]["problems"]
    assert f"hccl, opp to {V}" in problem
    assert f"compiler, runtime, toolkit to {NEW}" in problem
    # What was installed whole is not installed again for it: that would take the links, and lead them back as mixed.
    assert facts["versions"][V]["toolkit"] == COMPLETE


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
            f"the package is for {FOREIGN}, this machine is {MACHINE}",
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
        (lose("../cann-8.5.0/share/info/runtime"), "8.5.0", ["cann-half-installed"]),
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
        {"path": f"/root/Ascend/ascend-toolkit/{NEW}", "version": NEW, "why": "a user's installation"},
        {"path": f"/home/anna/Ascend/ascend-toolkit/{OLD}", "version": OLD, "why": "a user's installation"},
        {"path": "/home/berta/Ascend/cann-8.5.0", "version": "8.5.0", "why": "a user's installation"},
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


def test_a_latest_that_leads_to_another_root_makes_ours_no_half_installed(cann: Cann) -> None:
    """A CANN on a larger disk, linked there by hand: ours was installed whole, and would be again every night."""
    (cann.root / "data/CANN").mkdir(parents=True)
    lead("latest", "/data/CANN")(cann)
    facts, findings = cann.read()
    assert (facts["latest"], facts["versions"][V]["toolkit"], findings) == (None, COMPLETE, [])
    shutil.rmtree(cann.root / STATE.strip("/"))
    assert cann.read()[0]["versions"][V]["toolkit"]["state"] == "half-installed", "nothing says that it was whole"
