# SPDX-License-Identifier: Apache-2.0
"""A removal on a node of real folders: what goes, and what stays untouched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import manifest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import origin
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import checkout_manifest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove import apply, in_use, survey
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove.cann import Uninstallers
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove.chosen import Asked
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove.replaced import require_nobodys
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.settings import drop_ins
from tests.unit.remove.removal_machine import (
    ABSENT,
    DIGEST,
    NEW,
    OLD,
    OTHERS,
    PLACES,
    PYTHON,
    STATE,
    TOOLKITS,
    UNINSTALLER,
    Machine,
    names,
    write,
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def gone(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert {path: text for path, text in after.items() if before.get(path) != text} == {}, "neither new nor altered"
    return set(before) - set(after)


def below(tree: dict[str, str], *tops: str) -> set[str]:
    return {path for path in tree if any(path == top or path.startswith(top + "/") for top in tops)}


def test_a_release_goes_and_nothing_else(machine: Machine) -> None:
    before = machine.tree()
    assert machine.remove(Asked(release=OLD)) == []
    assert gone(before, machine.tree()) == below(
        before,
        f"opt/ascend/env/{OLD}-{DIGEST[OLD]}",
        "opt/ascend/env/previous",
        f"opt/ascend/python/{PYTHON[OLD]}",
        f"{TOOLKITS}/{OLD}",
        f"{TOOLKITS}/8.0",
        f"{STATE}/manifests/toolkit-{OLD}.json",
        f"var/cache/ascend-fleet/{DIGEST[OLD]}0000",
        f"var/cache/ascend-fleet/{(PYTHON[OLD].replace('.', '') * 16)[:16]}",
        f"var/cache/ascend-fleet/wheels/{OLD}-{DIGEST[OLD]}-aarch64",
    )
    assert machine.uninstalled == [OLD]
    assert machine.selection(Asked(release=OLD))["remove"] == []


def test_what_two_releases_share_stays(machine: Machine) -> None:
    write(machine.env(NEW) / ".cann_home", f"/usr/local/Ascend/ascend-toolkit/{OLD}\n")
    shutil.rmtree(machine.root / "opt/ascend/python" / PYTHON[NEW])
    program = machine.env(NEW) / "bin/python"
    program.unlink()
    program.symlink_to(f"/opt/ascend/python/{PYTHON[OLD]}/bin/python3.10")
    machine.remove(Asked(release=OLD))
    assert not machine.env(OLD).exists()
    assert machine.cann(OLD).is_dir()
    assert (machine.root / "opt/ascend/python" / PYTHON[OLD]).is_dir()
    assert machine.uninstalled == []


def test_the_current_release_is_refused_and_goes_when_forced(machine: Machine) -> None:
    before = machine.tree()
    (refused,) = machine.selection(Asked(release=NEW))["refusals"]
    assert (refused["check"], refused["subject"]) == ("current", f"{NEW}-{DIGEST[NEW]}")
    with pytest.raises(AscendError, match="it is current"):
        machine.remove(Asked(release=NEW))
    assert machine.tree() == before
    notes = machine.remove(Asked(release=NEW, force=True))
    assert notes == [f"CANN's latest now points to {OLD}"]
    assert not (machine.root / "opt/ascend/env/current").is_symlink()
    assert os.readlink(machine.root / TOOLKITS / "latest/runtime") == f"../{OLD}/runtime"
    assert machine.env(OLD).is_dir()


def test_latest_that_nothing_leads_back_is_told(machine: Machine) -> None:
    (machine.cann(OLD) / "create_version_softlink.sh").unlink()
    (note,) = machine.remove(Asked(release=NEW, force=True))
    assert "now points to no version" in note
    assert "create_version_softlink.sh" in note


def test_pruning_keeps_by_number(machine: Machine) -> None:
    assert machine.selection(Asked())["remove"] == []
    chosen = machine.selection(Asked(keep=0))
    assert ("environment", f"{OLD}-{DIGEST[OLD]}") in names(chosen["remove"])
    assert ("environment", f"{NEW}-{DIGEST[NEW]}") in names(chosen["keep"])
    machine.remove(Asked(keep=0))
    assert not machine.env(OLD).exists()
    assert machine.env(NEW).is_dir()
    assert machine.cann(NEW).is_dir()
    assert machine.uninstalled == [OLD]


def test_everything_goes_and_others_stay(machine: Machine) -> None:
    write(machine.root / "var/cache/ascend-fleet/incoming" / ("0" * 64))
    before = machine.tree()
    machine.remove(Asked(everything=True, force=True))
    after = machine.tree()
    gone(before, after)
    assert {path for path, text in after.items() if text != "/"} == set(OTHERS)
    for folder in ("etc/Ascend", "var/log/ascend_seclog", STATE, TOOLKITS):
        assert not (machine.root / folder).exists(), folder
    assert (machine.root / "usr/local/Ascend").is_dir(), "it was there before"


def test_everything_of_a_node_of_ours_alone(machine: Machine) -> None:
    for path in ("opt/ascend/ml-team", "opt/ascend/env/notes", "opt/ascend/python/my-build"):
        shutil.rmtree(machine.root / path)
    for name in ("movies", "wheels/of-mine"):
        shutil.rmtree(machine.root / "var/cache/ascend-fleet" / name)
    machine.remove(Asked(everything=True, force=True))
    assert not (machine.root / "opt/ascend").exists()
    assert not (machine.root / "var/cache/ascend-fleet").exists()
    assert machine.selection(Asked(everything=True)) == {
        "remove": [],
        "keep": [],
        "refusals": [],
    }


def test_what_the_system_was_set_to_is_taken_back_with_everything_alone(machine: Machine) -> None:
    running = machine.root / "proc/sys/net/x"
    write(running, "8080,60000-60015\n")
    kernel = drop_ins.Kernel({"net.x": "8080,60000-60015"}, {"net.x": "8080"})
    ours = {drop_ins.SYSCTL: drop_ins.kernel_text(kernel), drop_ins.LIMITS: "* - nofile 8192\n"}
    for path, text in ours.items():
        write(machine.root / path.lstrip("/"), text)
    write(machine.root / "etc/sysctl.d/60-others.conf", "a = 1\n")
    machine.remove(Asked(release=OLD))
    assert running.read_text() == "8080,60000-60015\n"
    assert (machine.root / drop_ins.LIMITS.lstrip("/")).exists()
    assert "net.x is 8080 again" in machine.remove(Asked(everything=True, force=True))
    assert running.read_text() == "8080\n"
    assert os.listdir(machine.root / "etc/sysctl.d") == ["60-others.conf"]
    assert os.listdir(machine.root / "etc/security/limits.d") == []


def test_what_was_there_before_us_stays(machine: Machine) -> None:
    (machine.root / STATE / "origin.json").unlink()
    machine.remove(Asked(everything=True, force=True))
    for path in (f"{TOOLKITS}/set_env.sh", "etc/Ascend/ascend_cann_install.info", "opt/ascend"):
        assert (machine.root / path).exists(), path
    assert (machine.root / "var/log/ascend_seclog/ascend_toolkit_install.log").exists()
    assert not (machine.root / "usr/local/bin/ascend-env").exists()


def test_somebody_elses_cann_is_never_touched(machine: Machine) -> None:
    machine.add_cann("7.0.0", recorded=False)
    before = machine.tree()
    chosen = machine.selection(Asked(everything=True, force=True))
    kept = {row["name"]: row["reason"] for row in chosen["keep"] if row["kind"] == "CANN"}
    assert kept == {"7.0.0": "was not installed by this project"}
    machine.remove(Asked(everything=True, force=True))
    stays = below(before, f"{TOOLKITS}/7.0.0", f"{TOOLKITS}/latest", f"{TOOLKITS}/set_env.sh", f"{TOOLKITS}/7.0")
    assert {path: before[path] for path in stays}.items() <= machine.tree().items()


def test_a_manifest_of_a_cann_that_was_there_before_does_not_make_it_ours(machine: Machine) -> None:
    """The kernels that are put beside it have both recorded."""
    machine.write_origin({"schema": 1, "absent": [], "cann": {OLD: []}, "toolkits": [OLD, NEW]})
    write(machine.cann(OLD) / "opp_kernel/script" / UNINSTALLER, OLD)
    state = machine.root / STATE / "manifests" / f"kernels-910b-{OLD}.json"
    manifest.write(str(machine.cann(OLD)), ["opp_kernel"], str(state))
    chosen = machine.selection(Asked(everything=True, force=True))
    assert ("kernels", f"{OLD} 910b") in names(chosen["remove"])
    assert ("CANN", OLD) in names(chosen["keep"])


def test_a_toolkit_that_somebody_else_installed_later_is_not_ours(machine: Machine) -> None:
    """Only its kernels are: putting them beside it recorded both."""
    machine.write_origin({"schema": 1, "absent": ABSENT, "cann": {}, "toolkits": [NEW]})
    write(machine.cann(OLD) / "opp_kernel/script" / UNINSTALLER, OLD)
    state = machine.root / STATE / "manifests" / f"kernels-910b-{OLD}.json"
    manifest.write(str(machine.cann(OLD)), ["opp_kernel"], str(state))
    chosen = machine.selection(Asked(everything=True, force=True))
    assert ("kernels", f"{OLD} 910b") in names(chosen["remove"])
    assert ("CANN", OLD) in names(chosen["keep"])
    machine.remove(Asked(everything=True, force=True))
    assert sorted(machine.uninstalled) == sorted([OLD, NEW])


def test_a_toolkit_that_was_removed_is_not_remembered_as_ours(machine: Machine) -> None:
    machine.remove(Asked(release=OLD))
    assert origin.read(str(machine.root / STATE))["toolkits"] == [NEW]


def test_what_users_edited_is_not_thrown_away(machine: Machine) -> None:
    checkout = machine.env(OLD) / "src/LLaMA-Factory"
    write(checkout / "src/train.py")
    recorded = checkout_manifest.Manifest("a" * 64, None, checkout_manifest.taken(str(checkout)))
    checkout_manifest.write(str(machine.env(OLD) / ".ascend-fleet-source-llamafactory.json"), recorded)
    assert machine.selection(Asked(release=OLD))["refusals"] == []
    write(checkout / "saves/week-long/model.bin")
    write(machine.env(OLD) / "edited/20260101T000000Z/src/train.py")
    (refused,) = machine.selection(Asked(release=OLD))["refusals"]
    assert refused["check"] == "users-files"
    assert "src/LLaMA-Factory/saves" in refused["found"]
    assert "edited" in refused["found"]
    kept = {row["name"]: row["reason"] for row in machine.selection(Asked(keep=0))["keep"]}
    assert "it contains users' files" in kept[f"{OLD}-{DIGEST[OLD]}"]
    assert machine.selection(Asked(release=OLD, force=True))["refusals"] == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda env: write(env / "src/LLaMA-Factory/src/train.py", "other"), "src/LLaMA-Factory/src/train.py"),
        (lambda env: (env / "src/LLaMA-Factory/mine").symlink_to("/data"), "src/LLaMA-Factory/mine"),
        (lambda env: write(env / "src/LLaMA-Factory/.git/HEAD", "a" * 40), "src/LLaMA-Factory/.git"),
        (lambda env: write(env / "src/other/file"), "src/other"),
        (lambda env: write(env / "results/deep/file"), "results"),
        (lambda env: (env / ".ascend-fleet-source-llamafactory.json").unlink(), "src/LLaMA-Factory/."),
        (lambda env: (env / "empty/folder").mkdir(parents=True), ""),
        (lambda env: write(env / "src/LLaMA-Factory/src/__pycache__/train.pyc"), ""),
        (lambda env: write(env / ".cann_home.part"), ""),
    ],
)
def test_what_counts_as_users(machine: Machine, change: Callable[[Path], None], found: str) -> None:
    checkout = machine.env(OLD) / "src/LLaMA-Factory"
    write(checkout / "src/train.py")
    recorded = checkout_manifest.Manifest("a" * 64, None, checkout_manifest.taken(str(checkout)))
    checkout_manifest.write(str(machine.env(OLD) / ".ascend-fleet-source-llamafactory.json"), recorded)
    change(machine.env(OLD))
    there = survey.read(machine.node, PLACES)
    assert there["environments"][f"{OLD}-{DIGEST[OLD]}"]["belongings"] == ([found] if found else [])


def test_custom_operators_in_cann_are_users(machine: Machine) -> None:
    write(machine.cann(OLD) / "opp/vendors/customize/op.so")
    write(machine.cann(OLD) / "python/__pycache__/te.pyc")
    (refused,) = machine.selection(Asked(release=OLD))["refusals"]
    assert (refused["check"], refused["component"]) == ("users-files", "cann")
    assert "opp/vendors" in refused["found"]
    (machine.root / STATE / f"manifests/toolkit-{OLD}.json").write_text("{")
    (refused,) = machine.selection(Asked(release=OLD))["refusals"]
    assert refused["found"].startswith(". in ")


def test_an_uninstaller_that_fails_or_is_gone(machine: Machine) -> None:
    (machine.cann(OLD) / "aarch64-linux/script" / UNINSTALLER).unlink()
    shutil.rmtree(machine.cann(OLD) / "runtime")
    (note,) = machine.remove(Asked(release=OLD))
    assert "has no uninstaller" in note
    assert not machine.cann(OLD).exists()
    assert not (machine.root / STATE / f"manifests/toolkit-{OLD}.json").exists()


def test_a_disk_mounted_in_an_environment_is_never_emptied(machine: Machine) -> None:
    saves = machine.env(OLD) / "lib/saves"
    write(saves / "model.bin")
    write(machine.root / "proc/self/mountinfo", f"1 0 8:1 / / rw - x x rw\n2 1 0:99 / {saves} rw - nfs x rw\n")
    before = machine.tree()
    for asked in (Asked(release=OLD, force=True), Asked(everything=True, force=True)):
        (refused,) = machine.selection(asked)["refusals"]
        assert refused["check"] == "mounted"
        with pytest.raises(AscendError, match="mounted"):
            machine.remove(asked)
    assert ("environment", f"{OLD}-{DIGEST[OLD]}") in names(machine.selection(Asked(keep=0, force=True))["keep"])
    with pytest.raises(AscendError, match="mounted"):
        apply.delete(machine.node, f"/opt/ascend/env/{OLD}-{DIGEST[OLD]}")
    row = {"kind": "environment", "name": "x", "path": f"/opt/ascend/env/{OLD}-{DIGEST[OLD]}"}
    with pytest.raises(AscendError, match="mounted"):
        apply._set_aside(machine.node, row, force=True)
    assert machine.tree() == before


def test_who_starts_in_an_environment_meanwhile_keeps_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = machine.tree()
    process = {"pid": 7, "user": "ml", "name": "python", "command": "python train.py", "how": "cwd"}

    def users(node: Node, folders: list[str]) -> dict[str, Any]:
        """Nobody while the node is surveyed; then somebody, once the folder has its new name."""
        return {path: [process] for path in folders if survey.REMOVING in path and os.path.isdir(node.path(path))}

    monkeypatch.setattr(in_use, "users", users)
    with pytest.raises(AscendError, match="has just come into use"):
        machine.remove(Asked(release=OLD))
    assert below(machine.tree(), "opt/ascend/env") == below(before, "opt/ascend/env") - {"opt/ascend/env/previous"}


def test_leftovers_of_interrupted_runs_go(machine: Machine) -> None:
    left = [
        "opt/ascend/env/.removing-8.0.RC2-0123456789ab/bin/python",
        "opt/ascend/env/.building-8.0.RC2-0123456789ab/cache/x",
        "opt/ascend/python/.removing-3.9.1/bin/python3",
        f"{TOOLKITS}/.removing-8.0.RC2/runtime/x",
        f"{STATE}/manifests/toolkit-8.0.RC2.json",
        f"var/cache/ascend-fleet/{DIGEST[NEW]}0000/x.part",
    ]
    before = machine.tree()
    for path in left:
        write(machine.root / path)
    rows = machine.selection(Asked())["remove"]
    assert {row["kind"] for row in rows} == {"leftover"}
    assert len(rows) == len(left)
    machine.remove(Asked())
    assert machine.tree() == before


def test_a_half_built_environment_is_pruned(machine: Machine) -> None:
    (machine.env(OLD) / ".ascend-fleet.json").unlink()
    rows = machine.selection(Asked())["remove"]
    assert rows[-3:][0]["reason"] == "not current, and not finished"


@pytest.mark.parametrize(
    ("stuck", "problem"),
    [
        (f"{TOOLKITS}/.removing-{OLD}", "cannot remove what CANN's uninstaller left"),
        (
            f"opt/ascend/env/.removing-{OLD}-{DIGEST[OLD]}",
            f"cannot remove /opt/ascend/env/.removing-{OLD}-{DIGEST[OLD]}",
        ),
    ],
)
def test_what_cannot_be_removed_is_said(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, stuck: str, problem: str
) -> None:
    rmtree = shutil.rmtree

    def busy(path: str) -> None:
        if path == str(machine.root / stuck):
            raise OSError(16, "Device or resource busy", path)
        rmtree(path)

    (machine.cann(OLD) / "aarch64-linux/script" / UNINSTALLER).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", busy)
        with pytest.raises(AscendError, match=problem) as raised:
            machine.remove(Asked(release=OLD))
    error = raised.value
    assert "Device or resource busy" in error.found
    assert str(machine.root) not in error.where, "a node's own name for it"
    assert error.remedy.startswith(f"ls -la {error.where}; ")


def test_what_is_replaced_must_be_nobodys(machine: Machine) -> None:
    """A crossing asks nobody about users' files: it stops at them."""
    tree = Uninstallers(machine.node, PLACES, "", machine.run, 7).tree
    require_nobodys(machine.node, tree, OLD)
    mine = machine.cann(OLD) / "opp/vendors/mine/op.so"
    write(mine)
    with pytest.raises(AscendError, match="files of users"):
        require_nobodys(machine.node, tree, OLD)
    assert mine.is_file()


def test_the_last_9_that_stays_beside_another_gets_the_link(machine: Machine) -> None:
    place = machine.root / "usr/local/Ascend/beside"
    for version in ("9.0.0", "9.1.0"):
        write(place / f"cann-{version}" / "set_env.sh")
    uninstallers = Uninstallers(machine.node, PLACES, "", machine.run, 7)
    uninstallers.lead_latest("/usr/local/Ascend/beside/cann-9.0.0")
    assert (place / "cann").readlink() == Path("cann-9.0.0")
    shutil.rmtree(place / "cann-9.0.0")
    uninstallers.lead_latest(None)
    assert (place / "cann").readlink() == Path("cann-9.1.0")
    shutil.rmtree(place / "cann-9.1.0")
    uninstallers.lead_latest(None)
    assert not place.exists()


def test_a_place_beside_that_is_a_link_stays(machine: Machine) -> None:
    disk = machine.root / "disk"
    disk.mkdir()
    place = machine.root / "usr/local/Ascend/beside"
    place.symlink_to(disk)
    Uninstallers(machine.node, PLACES, "", machine.run, 7).lead_latest(None)
    assert place.is_symlink()


def test_an_environment_that_a_service_names_stays_also_while_it_does_not_run(machine: Machine) -> None:
    """systemd may begin it again at any moment."""
    name = f"{OLD}-{DIGEST[OLD]}"
    served = {"name": "llama3", "account": "ascend-serve", "environment": f"/opt/ascend/env/{name}"}
    write(machine.root / STATE / "serve/llama3/serve.json", json.dumps(served))
    before = machine.tree()
    machine.remove(Asked(keep=0))
    assert (machine.env(OLD).is_dir(), machine.cann(OLD).is_dir()) == (True, True)
    with pytest.raises(AscendError, match="processes use it"):
        machine.remove(Asked(everything=True))
    assert before == machine.tree()
    machine.remove(Asked(everything=True, force=True))
    assert not (machine.root / STATE).exists()
