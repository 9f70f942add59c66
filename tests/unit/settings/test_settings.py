# SPDX-License-Identifier: Apache-2.0
"""Drop-in files with what a release wants of the system: their text, what they shall say, and how they come and go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.settings import drop_ins, node_settings
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.settings.drop_ins import (
    Kernel,
    fulfils,
    kernel,
    limits,
    merged,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import Plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.system import APPLY, CHECK, IGNORE
from tests.answers import node, write
from tests.unit.plan.planner_nodes import converged, wanted

PORTS = "net.ipv4.ip_local_reserved_ports"
BOTH = {"*": 8192, "root": 8192}
SESSION = {"nofile": [1024, 4096], "nproc": [-1, -1], "memlock": [65536, 65536], "stack": [8388608, -1]}


@pytest.mark.parametrize(
    ("have", "want", "both"),
    [
        ("", "60000-60015", "60000-60015"),
        ("8080", "60000-60015", "8080,60000-60015"),
        ("60010-60020,22", "60000-60015", "22,60000-60020"),
        ("59999", "60000-60015", "59999-60015"),
        ("60000-60015", "60000-60031", "60000-60031"),
        ("60000-60031", "60000-60015", "60000-60031"),
        ("65530", "262144", "262144"),
        ("262144", "65530", "262144"),
        ("always [madvise] never", "always", "always"),
        ("1,2-", "60000-60015", "1,60000-60015"),
        ("9" * 30, "60000-60015", "60000-60015"),
    ],
)
def test_what_others_set_is_kept(have: str, want: str, both: str) -> None:
    assert merged(have, want) == both
    assert fulfils(both, want)
    assert merged(both, want) == both


def test_our_kernel_file_says_what_runs_and_what_was() -> None:
    first = kernel({PORTS: "8080", "vm.x": "9", "no.such": None}, Kernel({}, {}), {PORTS: "60000-60015", "vm.x": 5})
    assert first == Kernel({PORTS: "8080,60000-60015"}, {PORTS: "8080"}), "what is right is not ours"
    assert drop_ins.read_kernel(drop_ins.kernel_text(first)) == first
    again = kernel({PORTS: "8080,60000-60015"}, first, {PORTS: "60000-60015"})
    assert again == first
    more = kernel({PORTS: "8080,60000-60015"}, first, {PORTS: "60000-60031"})
    assert more == Kernel({PORTS: "8080,60000-60031"}, {PORTS: "8080"}), "what was before us is not forgotten"
    other = kernel({PORTS: "22"}, first, {PORTS: "60000-60015"})
    assert other == Kernel({PORTS: "22,60000-60015"}, {PORTS: "22"}), "somebody has set it anew"
    empty = kernel({PORTS: ""}, Kernel({}, {}), {PORTS: "60000-60015"})
    assert drop_ins.read_kernel(drop_ins.kernel_text(empty)) == empty
    assert drop_ins.kernel_text(Kernel({}, {})) == ""


@pytest.mark.parametrize("text", ["", "\0\0", "= =\n# was:\n# was: x\nfoo\n;bar = 1", "a = 1\n" * 3, "- a/b=2 # c"])
def test_odd_kernel_files_are_read(text: str) -> None:
    found = drop_ins.read_kernel(text)
    assert drop_ins.read_kernel(drop_ins.kernel_text(found)).values == found.values


def test_limits_of_a_file() -> None:
    text = """
    # * hard nofile 1
    * hard nofile 4096   # everybody
    * soft nofile 10
    root - nofile unlimited
    @users hard nofile 7
    alice hard nofile 7
    * hard memlock 64
    * hard nproc many
    * hard stack
    """
    assert drop_ins.read_limits(text) == {"nofile": {"*": 4096, "root": -1}, "memlock": {"*": 65536}}


@pytest.mark.parametrize(
    ("session", "others", "ours", "shall"),
    [
        ({"nofile": [1024, 4096]}, {}, {}, {"*": 8192, "root": 8192}),
        ({"nofile": [1024, 524288]}, {}, {}, None),
        ({"nofile": [-1, -1]}, {}, {}, None),
        ({}, {}, {}, None),
        # root's session says nothing of everybody's limit.
        ({"nofile": [1024, 524288]}, {"nofile": {"*": 4096}}, {}, {"*": 8192, "root": 8192}),
        # A number of others that is higher stays.
        ({"nofile": [1024, 4096]}, {"nofile": {"*": 65536, "root": 4096}}, {}, {"*": 65536, "root": 8192}),
        ({"nofile": [1024, 4096]}, {"nofile": {"*": -1}}, {}, {"*": -1, "root": 8192}),
        # Ours is there and holds: it stays.
        ({"nofile": [8192, 8192]}, {"nofile": {"*": 4096}}, {"nofile": dict(BOTH)}, BOTH),
        # Others have gone higher since.
        ({"nofile": [8192, 8192]}, {"nofile": {"*": 9999}}, {"nofile": dict(BOTH)}, {"*": 9999, "root": 8192}),
    ],
)  # fmt: skip
def test_limits_that_our_file_shall_have(
    session: dict[str, list[int]], others: dict[str, Any], ours: dict[str, Any], shall: dict[str, int] | None
) -> None:
    found = limits(session, others, ours, {"nofile": 8192})
    assert found == ({"nofile": shall} if shall else {})
    assert drop_ins.read_limits(drop_ins.limits_text(found)) == found
    assert limits(session, others, found, {"nofile": 8192}) == found, "once is enough"


def test_limits_in_bytes_are_written_in_kilobytes() -> None:
    found = limits(SESSION, {}, {}, {"memlock": 100_000, "stack": 1})
    assert "*     - memlock 98\n" in drop_ins.limits_text(found)
    assert "stack" not in found


def machine(root: Path, ports: str | None = "8080") -> Any:
    if ports is not None:
        write(root, "/proc/sys/net/ipv4/ip_local_reserved_ports", ports + "\n")
    write(root, "/etc/security/limits.conf", "* hard nofile 4096\n")
    write(root, "/etc/security/limits.d/20-nproc.conf", "* soft nproc 4096\n* hard nofile 5000\n")
    write(root, "/etc/security/limits.d/README", "* hard nofile 1\n")
    return node(root)


def change(there: Any, **wish: Any) -> node_settings.Change:
    return node_settings.Change(there, SESSION, wish.get("kernel", {PORTS: "60000-60015"}), {"nofile": 8192})


def test_a_change_and_its_way_back(tmp_path: Path) -> None:
    there = machine(tmp_path)
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    first = change(there)
    assert first.changed
    assert first.set == {PORTS: "8080,60000-60015"}
    assert "running: net.ipv4.ip_local_reserved_ports = 8080\n" in first.diff()["before"]
    assert "*     - nofile 8192\n" in first.diff()["after"]
    assert {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == before, (
        "nothing is written yet"
    )
    first.apply()
    assert node_settings.kernel_setting(there, PORTS) == "8080,60000-60015"
    assert (tmp_path / drop_ins.SYSCTL.lstrip("/")).stat().st_mode & 0o777 == 0o644
    assert not change(there).changed
    facts = node_settings.read(there)
    assert facts == {
        "drop_ins": {
            "kernel_settings": {PORTS: "8080,60000-60015"},
            "limits": {"nofile": {"*": 8192, "root": 8192}},
        },
        "limits_elsewhere": {"nofile": {"*": 5000}},
    }
    assert node_settings.restore(there) == [f"{PORTS} is 8080 again"]
    assert node_settings.kernel_setting(there, PORTS) == "8080"


def test_what_somebody_else_has_set_since_is_not_taken_back(tmp_path: Path) -> None:
    there = machine(tmp_path)
    change(there).apply()
    write(tmp_path, "/proc/sys/net/ipv4/ip_local_reserved_ports", "22,60000-60015\n")
    assert not change(there).changed, "it is as wished"
    assert node_settings.restore(there) == [f"{PORTS} stays 22,60000-60015, because somebody else has changed it since"]
    assert node_settings.kernel_setting(there, PORTS) == "22,60000-60015"


def test_a_setting_that_was_lost_is_set_again(tmp_path: Path) -> None:
    there = machine(tmp_path)
    change(there).apply()
    write(tmp_path, "/proc/sys/net/ipv4/ip_local_reserved_ports", "8080\n")
    again = change(there)
    assert (again.set, again.before == again.after) == ({PORTS: "8080,60000-60015"}, True)


def test_a_kernel_that_takes_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = machine(tmp_path)
    opened = open

    def read_only(path: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
        if "proc/sys" in str(path) and "w" in mode:
            raise OSError(30, "Read-only file system", str(path))
        return opened(path, mode, *more, **named)

    monkeypatch.setattr("builtins.open", read_only)
    with pytest.raises(AscendError) as told:
        change(there).apply()
    assert "Read-only file system" in told.value.found
    assert "sysctl -w net.ipv4.ip_local_reserved_ports='8080,60000-60015'" in told.value.remedy
    assert "ascend_system_settings: check" in told.value.remedy


# --- the plan ----------------------------------------------------------------------------------------------------


def asked(found: dict[str, Any], policy: str, **system: Any) -> Plan:
    wish: dict[str, Any] = {"limits": {"nofile": 8192}, "kernel_settings": {PORTS: "60000-60015"}, "policy": policy}
    return plan(found, wanted(system={**wish, **system}))


def delivered(ports: str | None = "8080", hard: int = 4096, **ours: Any) -> dict[str, Any]:
    found = converged()
    found["system"]["kernel_settings"] = {PORTS: ports}
    found["system"]["limits"] = {"nofile": [1024, hard]}
    found["system"]["drop_ins"] = {"kernel_settings": {}, "limits": {}, **ours}
    found["system"]["limits_elsewhere"] = {}
    return found


OURS = {"kernel_settings": {PORTS: "8080,60000-60015"}, "limits": {"nofile": {"*": 8192, "root": 8192}}}


def test_apply_is_a_step_that_names_each() -> None:
    result = asked(delivered(), APPLY)
    (step,) = result["steps"]
    assert (step["component"], step["action"]) == ("system", "set")
    assert step["reason"].endswith(f"{PORTS} is 8080, not 8080,60000-60015, the limit nofile is 4096, not 8192"), step[
        "reason"
    ]
    assert [(each["name"], each["subject"]) for each in step["causes"]] == [
        ("kernel-setting", PORTS),
        ("limit", "nofile"),
    ]
    assert step["where"] == f"{drop_ins.LIMITS}, {drop_ins.SYSCTL}"
    assert (result["warnings"], result["remarks"]) == ([], [])


def test_check_warns_and_ignore_says_nothing() -> None:
    result = asked(delivered(), CHECK)
    assert result["steps"] == []
    assert [(each["check"], each["subject"]) for each in result["warnings"]] == [
        ("kernel-setting", PORTS),
        ("limit", "nofile"),
    ]
    assert "= 8080,60000-60015'" in result["warnings"][0]["remedy"], "its remedy keeps the port of others"
    assert r"root hard nofile 8192\n" in result["warnings"][1]["remedy"]
    nothing = asked(delivered(), IGNORE)
    assert (nothing["steps"], nothing["warnings"], nothing["remarks"]) == ([], [], [])


def test_what_is_applied_leaves_nothing_to_do() -> None:
    after = delivered("8080,60000-60015", 8192, **OURS)
    for policy in (APPLY, CHECK, IGNORE):
        result = asked(after, policy)
        assert (result["steps"], result["warnings"], result["remarks"]) == ([], [], []), policy
    fine = delivered("60000-60015", 524288)
    assert asked(fine, APPLY)["steps"] == [], "without us, too"


def test_a_session_that_is_older_than_the_file_is_a_remark() -> None:
    result = asked(delivered("8080,60000-60015", 4096, **OURS), APPLY)
    assert (result["steps"], result["warnings"]) == ([], [])
    (remark,) = result["remarks"]
    assert (remark["check"], remark["subject"], remark["found"]) == ("limit-of-session", "nofile", "4096")
    assert "UsePAM" in remark["remedy"]


def test_a_setting_that_was_lost_is_drift_though_our_file_has_it() -> None:
    (step,) = asked(delivered("8080", 8192, **OURS), APPLY)["steps"]
    assert [each["subject"] for each in step["causes"]] == [PORTS]


def test_a_setting_that_the_kernel_does_not_have_is_a_warning_and_no_step() -> None:
    result = asked(delivered(None, 8192, **OURS), APPLY)
    assert (result["steps"], [each["check"] for each in result["warnings"]]) == ([], ["kernel-setting"])
