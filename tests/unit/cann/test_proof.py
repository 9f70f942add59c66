# SPDX-License-Identifier: Apache-2.0
"""CANN of a layout that nobody documented: installed once, proven, complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import atomic
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    install as cann_install,
    layout as cann_layout,
    receipts as cann_receipts,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import origin
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import REMARKS
from tests.answers import names
from tests.unit.cann.other_layout import OTHER_CONFIG, WELL, install, prove, put_other_toolkit, state, told
from tests.unit.cann.test_install import ARCH, KERNELS, VERSION, Calls, Node, done, write

pytestmark = pytest.mark.usefixtures("no_needs")


def test_another_layout_is_installed_and_unproven(node: Node) -> None:
    install(node, "toolkit")
    assert state(node)[0] == "unproven"
    assert {"missing part toolkit", "missing hccl/version.info"} <= set(state(node)[1])
    options = {"accept_eula": True, "allow_downgrade": False, "check_mode": False}
    cann_install.require_allowed(node.package("kernels"), **options)
    install(node, "kernels")
    assert state(node, "kernels")[0] == "unproven"
    version, findings = told(node)
    assert (version["toolkit"]["state"], version["kernels"]["910b"]["state"]) == ("unproven", "unproven")
    assert names(findings) == ["cann-layout-unknown"] * 2


def test_what_the_cards_proved_is_complete_and_its_layout_a_remark(node: Node) -> None:
    install(node, "toolkit", "kernels")
    assert prove(node)
    assert not prove(node), "it is news once"
    for deep in (False, True):
        version, findings = told(node, deep)
        complete = {"state": "complete", "problems": [], "problem_count": 0}
        assert (version["toolkit"], version["kernels"]) == (complete, {"910b": complete})
        assert names(findings) == ["cann-layout-unknown"] * 2
        assert set(names(findings)) <= set(REMARKS)
        assert "record.yml" in findings[0]["remedy"]
        assert "missing part toolkit" in findings[0]["found"]
        assert OTHER_CONFIG not in findings[1]["found"]
        assert "binary_info_config.json" in findings[1]["found"]


@pytest.mark.parametrize(
    ("kind", "lost"),
    [
        ("toolkit", "devkit/version.info"),
        ("toolkit", "aoe/bin/aoe"),
        ("toolkit", "runtime/version.info"),
        ("toolkit", f"{ARCH}/lib64/libascendcl.so"),
        ("toolkit", f"{ARCH}/ascend_toolkit_install.info"),
        ("toolkit", f"{ARCH}/script/set_env.sh"),
        ("toolkit", f"{OTHER_CONFIG}/binary_info_config.json"),
        ("kernels", f"{KERNELS}/ascend910b/add.o"),
        ("kernels", f"{KERNELS}/ascend910b1/mul.o"),
        ("kernels", "opp_kernel/version.info"),
    ],
)
@pytest.mark.parametrize("proven", [True, False])
def test_a_file_of_the_manifest_that_is_lost_later_is_drift_and_repaired(
    node: Node, kind: str, lost: str, proven: bool
) -> None:
    install(node, "toolkit", "kernels")
    if proven:
        prove(node)
    (node.home / lost).unlink()
    assert state(node, kind)[0] in ("altered", "half-installed")
    assert any(lost in problem for problem in state(node, kind)[1]), state(node, kind)
    install(node, *(("toolkit", "kernels") if kind == "toolkit" else ("kernels",)))
    assert state(node, kind)[0] == "unproven", "a repair is to be proven again"
    prove(node)
    assert {state(node, each)[0] for each in WELL} == {"complete"}


def test_a_changed_file_is_drift_the_first_time(proven: Node) -> None:
    write(proven.home / "aoe" / "bin" / "aoe", "longer than it was\n")
    assert state(proven) == ("altered", ["aoe/bin/aoe has 19 bytes, not 10"])


@pytest.mark.parametrize("lost", ["set_env.sh", "latest/runtime", "latest/version.cfg"])
def test_what_is_lost_outside_of_the_manifest_is_drift_as_well(proven: Node, lost: str) -> None:
    (proven.root / "ascend-toolkit" / lost).unlink()
    assert state(proven)[0] == "half-installed"
    assert any(lost in problem for problem in state(proven)[1])


@pytest.mark.parametrize("path", ["toolkit/version.info", "version.info"])
def test_what_was_missing_from_the_beginning_and_comes_is_no_drift(proven: Node, path: str) -> None:
    write(proven.home / path, f"version_dir={VERSION}\n")
    assert state(proven)[0] == "complete"


def no_info(node: Node) -> None:
    (node.home / ARCH / "ascend_toolkit_install.info").unlink()


def other_info(node: Node) -> None:
    write(node.home / ARCH / "ascend_toolkit_install.info", "package_name=x\nversion=8.1.RC1\n")


def no_set_env(node: Node) -> None:
    (node.home / ARCH / "script" / "set_env.sh").unlink()


def other_component(node: Node) -> None:
    write(node.home / "opp" / "version.info", "Version=7.7\nversion_dir=8.1.RC1\n")


@pytest.mark.parametrize("more", [no_info, other_info, no_set_env, other_component])
def test_without_its_core_nothing_is_installed(node: Node, more: Callable[[Node], None]) -> None:
    def put(node: Node) -> None:
        put_other_toolkit(node)
        more(node)

    with pytest.raises(AscendError, match="half-installed"):
        install(node, "toolkit", put={"toolkit": put})
    assert state(node)[0] == "half-installed"
    prove(node)
    assert state(node)[0] == "half-installed", "no proof makes a failed installation complete"


def test_the_environment_file_may_lie_beside(node: Node) -> None:
    def put(node: Node) -> None:
        put_other_toolkit(node)
        (node.home / ARCH / "script" / "set_env.sh").rename(node.home / "set_env.sh")

    install(node, "toolkit", put={"toolkit": put})
    prove(node)
    assert state(node)[0] == "complete"
    assert cann_layout.Tree(str(node.root), "").set_env(VERSION) == str(node.home / "set_env.sh")


@pytest.mark.parametrize(
    ("code", "output"),
    [
        (1, WELL["toolkit"]),
        (0, "CANN-runtime-8.0.RC1-linux.x86_64.run --full --quiet install success"),
        (0, WELL["kernels"]),
        (0, "[Toolkit] [ts] [ERROR] CANN-opp-8.0.RC1.run install failed\n" + WELL["toolkit"]),
        (0, ""),
    ],
)
def test_an_installer_that_did_not_end_well_left_half_of_it(node: Node, code: int, output: str) -> None:
    run = Calls((lambda: put_other_toolkit(node), done(code, output)))
    with pytest.raises(AscendError, match=r"half-installed: .*missing part toolkit"):
        cann_install.install(node.package("toolkit"), node.file, run)
    assert state(node)[0] == "half-installed"


def test_the_line_of_success_may_stand_in_the_log_of_this_run(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cann_install, "INSTALLERS_LOGS", str(node.state))
    package = node.package("toolkit")
    write(Path(package.log), WELL["toolkit"] + "\n")

    def put() -> None:
        put_other_toolkit(node)

    with pytest.raises(AscendError, match="half-installed"):
        cann_install.install(package, node.file, Calls((put, done(0, ""))))

    def put_and_log() -> None:
        with open(package.log, "a", encoding="utf-8") as stream:
            stream.write(WELL["toolkit"] + "\n")

    cann_install.install(package, node.file, Calls((put_and_log, done(0, ""))))
    assert state(node)[0] == "unproven"


def test_kernels_of_which_nothing_is_there_are_not_installed(node: Node) -> None:
    install(node, "toolkit")
    with pytest.raises(AscendError, match="installed nothing"):
        install(node, "kernels", put={"kernels": lambda _node: None})


def test_without_a_manifest_nothing_says_what_was_there(proven: Node) -> None:
    os.unlink(proven.package("toolkit").manifest)
    assert state(proven)[0] == "half-installed"


def test_a_power_cut_before_the_record_leaves_half_of_it(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def power_cut(_package: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cann_install, "_write_manifests", power_cut)
    with pytest.raises(KeyboardInterrupt):
        install(node, "toolkit")
    assert state(node)[0] == "half-installed"


def test_the_documented_layout_needs_no_proof_and_gets_no_receipt(node: Node) -> None:
    documented = {"toolkit": Node.put_toolkit, "kernels": Node.put_kernels}
    install(node, "toolkit", "kernels", put=documented)
    assert not (node.state / cann_receipts.FILE).exists()
    assert not prove(node)
    assert told(node)[1] == []


def test_a_documented_layout_after_another_forgets_the_other(proven: Node) -> None:
    shutil.rmtree(proven.home)
    documented = {"toolkit": Node.put_toolkit, "kernels": Node.put_kernels}
    install(proven, "toolkit", "kernels", put=documented)
    assert told(proven)[1] == []
    (proven.home / "hccl" / "version.info").unlink()
    assert state(proven)[0] == "half-installed"


def test_a_layout_without_latest_is_a_remark_once_proven(node: Node) -> None:
    def put(node: Node) -> None:
        node.put_toolkit()
        shutil.rmtree(node.root / "ascend-toolkit" / "latest")
        (node.root / "ascend-toolkit" / "set_env.sh").unlink()

    install(node, "toolkit", "kernels", put={"toolkit": put, "kernels": Node.put_kernels})
    prove(node)
    assert state(node)[0] == "complete"
    assert set(names(told(node)[1])) == {"cann-layout-unknown"}


def test_links_that_led_elsewhere_from_the_beginning_are_a_remark(node: Node) -> None:
    latest = node.root / "ascend-toolkit" / "latest"

    def put(node: Node) -> None:
        node.put_toolkit()
        (node.root / "tools").mkdir()
        (latest / "newtool").symlink_to("../../tools")

    install(node, "toolkit", "kernels", put={"toolkit": put, "kernels": Node.put_kernels})
    prove(node)
    assert names(told(node)[1]) == ["cann-layout-unknown"]
    (latest / "late").symlink_to("/nowhere")
    assert names(told(node)[1]) == ["cann-latest-mixed"]


# ---- the receipts ----


@pytest.mark.parametrize("text", ["", "{", "[]", '{"versions": []}', '{"versions": {"8.0.RC1": {"toolkit": 1}}}', "\0"])
def test_damaged_receipts_say_nothing(proven: Node, text: str) -> None:
    write(proven.state / cann_receipts.FILE, text)
    assert cann_receipts.read(str(proven.state), VERSION, "toolkit") == cann_receipts.Receipt()
    assert state(proven)[0] == "half-installed"
    install(proven, "toolkit")
    assert state(proven)[0] == "unproven"


def test_what_goes_takes_its_receipts_along(proven: Node) -> None:
    write(proven.home / ARCH / "script" / "uninstall.sh", "")
    cann_receipts.write(str(proven.state), "8.1.RC1", "toolkit", cann_receipts.Receipt(("x",), True))
    run = Calls((lambda: shutil.rmtree(proven.home), done()))
    cann_install.uninstall(proven.package("toolkit"), run)
    assert cann_receipts.read(str(proven.state), VERSION, "kernels-910b") == cann_receipts.Receipt()
    assert cann_receipts.read(str(proven.state), "8.1.RC1", "toolkit").proven
    assert origin.read(str(proven.state))["toolkits"] == [VERSION]


def test_receipts_that_cannot_be_written_stop_before_anything_is_changed(
    proven: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    write(proven.home / "aoe/bin/aoe", "longer than it was\n")
    monkeypatch.setattr(atomic, "write", fails)
    with pytest.raises(AscendError, match=r"cannot write.*No space left.*df -h"):
        cann_install.install(proven.package("toolkit"), proven.file, Calls())
    assert Path(proven.package("toolkit").manifest).exists()
