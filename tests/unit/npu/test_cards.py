# SPDX-License-Identifier: Apache-2.0
"""The cards' facts: npu-smi's answer, its refusals by name, sick chips, and who uses the cards when it says nothing."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu import busy, cards, chips, processes, tools
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_smi import Device
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollout import busy as busy_refusal
from tests.answers import HANGS, NPU_SMI_HEAD, Programs, names, node, write

CARD = """\
| {card}     910B3               | {health:<13} | 93.0        38                0    / 0             |
| 0                         | 0000:C{card}:00.0  | 0           0    / 0          3300 / 65536         |
+===========================+===============+====================================================+
"""
PROCESSES = """\
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| 0       0                 | 4711          | python3                  | 1200                    |
| 1       0                 | 4711          | python3                  | 900                     |
+===========================+===============+====================================================+
"""
BORDER = "+===========================+===============+====================================================+\n"
IDLE = "| No running processes found in NPU {card}" + " " * 60 + "|\n" + BORDER


def table(*healths: str, tail: str | None = None) -> str:
    cards = "".join(CARD.format(card=number, health=health) for number, health in enumerate(healths))
    if tail is None:
        tail = PROCESSES.split("\n| 0 ", maxsplit=1)[0] + "\n"
        tail += "".join(IDLE.format(card=number) for number in range(len(healths)))
    return NPU_SMI_HEAD + cards + tail


PRELOAD = (
    "ERROR: ld.so: object '/lib64/libonion.so' from /etc/ld.so.preload cannot be preloaded"
    " (cannot open shared object file): ignored.\n"
)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busy, "WAITS_S", (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    "said",
    [
        "dcmi model initialized failed, because the device is used. ret is -8020\n",
        "Get lock failed. Please try again.\n",
        "npu-smi: Resource temporarily unavailable\n",
        "Failed to acquire the file lock, please retry later\n",
        "npu-smi is already running, please wait.\n",
        "Failed to lock /run/lock/dcmi.lock\n",
        "device 3 is in use by another process\n",
        "dcmi_init: EBUSY\n",
        "Operation not finished, retry.\n",
    ],
)
def test_an_npu_smi_that_is_busy_is_asked_again(tmp_path: Path, said: str) -> None:
    programs = Programs({"npu-smi info": [Result(1, "", False, said), Result(0, said, False), table("OK", "OK")]})
    facts, findings = cards.read_npu(node(tmp_path, programs), 5)
    assert (facts["answered"], len(facts["devices"]), findings) == (True, 2, [])
    assert programs.all_asked()


@pytest.mark.parametrize("said", ["The IP address is already in use\n", "No such device\n", "blocked by policy\n"])
def test_what_does_not_pass_is_not_asked_again(said: str) -> None:
    assert not busy.is_busy(Result(1, said, False))


def test_a_table_is_no_busy_answer_whatever_stands_in_it(tmp_path: Path) -> None:
    programs = Programs({"npu-smi info": table("OK", "OK", tail=PROCESSES.replace("python3", "busy   "))})
    assert cards.read_npu(node(tmp_path, programs), 5)[0]["answered"]


def test_noise_on_error_output_is_no_part_of_the_table(tmp_path: Path) -> None:
    programs = Programs({"npu-smi info": Result(0, table("OK", "OK"), False, PRELOAD)})
    facts, findings = cards.read_npu(node(tmp_path, programs), 5)
    assert (facts["answered"], facts["unread"], findings) == (True, [], [])
    failing = Programs({"npu-smi info": Result(3, "", False, "no such device\n" + PRELOAD)})
    _, findings = cards.read_npu(node(tmp_path, failing), 5)
    assert findings[0]["found"] == "exit code 3: no such device"


def test_two_cards_at_rest(tmp_path: Path) -> None:
    programs = Programs({"npu-smi info": table("OK", "OK")})
    facts, findings = cards.read_npu(node(tmp_path, programs), 5)
    assert findings == []
    assert (facts["answered"], facts["driver_version"], facts["unread"]) == (True, "24.1.rc1", [])
    assert (facts["processes"], facts["process_count"], facts["processes_from"]) == ([], 0, "npu-smi")
    assert facts["devices"][1] == {
        "npu_id": 1, "chip_id": 0, "name": "910B3", "health": "OK", "errors": [], "device_id": None, "phy_id": None,
        "bus_id": "0000:C1:00.0", "power_w": 93.0, "temperature_c": 38, "aicore_percent": 0, "memory_used_mb": 0,
        "memory_total_mb": 0, "hbm_used_mb": 3300, "hbm_total_mb": 65536,
    }  # fmt: skip


def test_a_process_on_two_chips_is_one_process(tmp_path: Path) -> None:
    write(tmp_path, "/proc/4711/cmdline", "python3\0--tokenizer\0llama\0--max_tokens=8\0--hub_token\0hf_abc\0")
    write(tmp_path, "/proc/4711/cgroup", f"0::/system.slice/docker-{'ab' * 32}.scope\n")
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": table("OK", "OK", tail=PROCESSES)})), 5)
    (process,) = facts["processes"]
    assert process["chips"] == [[0, 0, 1200], [1, 0, 900]]
    assert process["command"] == "python3 --tokenizer llama --max_tokens=8 --hub_token ***"
    assert process["container"] == "abababababab"
    assert process["user"] is not None


def test_sick_chips_are_asked_for_their_errors(tmp_path: Path) -> None:
    said = "\tHealth Status                  : Alarm\n\tError Code                     : A4025021 8C03A000\n"
    said += "\tError Information              : heart beat lost\n"
    programs = Programs({"npu-smi info": table("OK", "Alarm"), "npu-smi info -t health -i 1 -c 0": said})
    facts, findings = cards.read_npu(node(tmp_path, programs), 5)
    assert programs.all_asked()
    assert facts["devices"][1]["errors"] == ["A4025021", "8C03A000"]
    assert names(findings) == ["card-unhealthy"]
    assert findings[0]["found"] == "NPU 1 chip 0: Alarm (A4025021 8C03A000)"


def test_a_health_query_that_hangs_is_not_repeated(tmp_path: Path) -> None:
    programs = Programs({"npu-smi info": table("Alarm", "Alarm"), "npu-smi info -t health -i 0 -c 0": HANGS})
    facts, findings = cards.read_npu(node(tmp_path, programs), 5)
    assert [device["errors"] for device in facts["devices"]] == [[], []]
    assert findings[0]["found"] == "NPU 0 chip 0: Alarm, NPU 1 chip 0: Alarm"


@pytest.mark.parametrize(
    ("result", "name", "found"),
    [
        (HANGS, "npu-smi-hangs", "nothing within 5 s"),
        (Result(255, "dcmi model initialized failed, because the device is used. ret is -8020\n", False),
         "card-held-elsewhere", "-8020"),
        (Result(1, "dcmi module initialize failed. ret is -8005\n", False), "driver-not-answering", "-8005"),
        (Result(127, "npu-smi: error while loading shared libraries: libdrvdsmi_host.so: cannot open shared object "
                "file: No such file or directory\n", False), "driver-library-missing", "libdrvdsmi_host.so"),
        (Result(1, "Get lock failed. Please try again.\n", False), "npu-smi-busy", "Get lock failed"),
        (Result(1, "", False, "dcmi: device or resource busy\n"), "npu-smi-busy", "resource busy"),
        (Result(126, "npu-smi: Permission denied\n", False), "no-permission", "Permission denied"),
        (Result(3, "", False), "npu-smi-fails", "exit code 3: no output"),
        (Result(-11, "", False), "tool-crashed", "ended by signal 11: no output"),
        (Result(1, "\x1b]0;title\x07\x1b[2Jno\n", False), "npu-smi-fails", r"\x1b[2Jno"),
        (Result(0, "", False), "npu-smi-unreadable", "no output"),
        (Result(0, "all is well\n", False), "npu-smi-unreadable", "all is well"),
        (Result(0, NPU_SMI_HEAD[: NPU_SMI_HEAD.index("Bus-Id")], False), "npu-smi-unreadable", ""),
    ],
)  # fmt: skip
def test_why_npu_smi_says_nothing(tmp_path: Path, result: Result, name: str, found: str) -> None:
    again = [result] * (1 + len(busy.WAITS_S) * busy.is_busy(result))
    programs = Programs({"npu-smi info": [*again]})
    facts, findings = cards.read_npu(node(tmp_path, programs), 5)
    assert programs.all_asked()
    assert (facts["answered"], facts["devices"], names(findings)) == (False, [], [name])
    assert found in findings[0]["found"]
    assert findings[0]["remedy"]
    assert facts["processes_from"] == "/proc"


def test_an_answer_with_an_error_code_is_kept_and_not_trusted(tmp_path: Path) -> None:
    facts, findings = cards.read_npu(node(tmp_path, Programs({"npu-smi info": Result(1, table("OK"), False)})), 5)
    assert (facts["answered"], len(facts["devices"]), names(findings)) == (False, 1, ["npu-smi-fails"])
    assert facts["processes_from"] == "/proc"
    assert cards.fewer_visible(facts, 8) == []


def test_who_holds_the_cards_when_npu_smi_hangs(tmp_path: Path) -> None:
    folder = write(tmp_path, "/proc/77/fd/0").parent
    write(tmp_path, "/proc/77/comm", "python3\n")
    for number, target in enumerate(["/dev/davinci3", "/dev/davinci3", "/dev/davinci_manager", "/dev/davinci0"], 1):
        (folder / str(number)).symlink_to(target)
    write(tmp_path, "/proc/78/comm", "bash\n")
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": HANGS})), 5)
    (process,) = facts["processes"]
    assert (process["pid"], process["name"], process["chips"]) == (77, "python3", [[0, None, None], [3, None, None]])


def hold(root: Path, pid: int, *targets: str, group: str = "") -> None:
    """A process of the node that has files open."""
    folder = write(root, f"/proc/{pid}/fd/0").parent
    write(root, f"/proc/{pid}/comm", "python3\n")
    write(root, f"/proc/{pid}/cgroup", group)
    for number, target in enumerate(targets, 1):
        (folder / str(number)).symlink_to(target)


@pytest.mark.parametrize("target", ["/dev/davinci1", "/dev/davinci1 (deleted)", "/var/lib/x/rootfs/dev/davinci1"])
def test_a_holder_that_npu_smi_does_not_name_uses_its_card(tmp_path: Path, target: str) -> None:
    """A container's job: npu-smi calls both cards idle."""
    hold(tmp_path, 77, target, "/dev/davinci_manager", group=f"0::/docker/{'cd' * 32}\n")
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": table("OK", "OK")})), 5)
    (process,) = facts["processes"]
    assert (process["pid"], process["chips"], process["container"]) == (77, [[1, None, None]], "cdcdcdcdcdcd")
    assert (facts["process_count"], facts["processes_from"]) == (1, "npu-smi")
    told = busy_refusal(facts["processes"], facts["process_count"])
    assert told is not None
    assert "process 77" in told["found"]
    assert "on card 1" in told["found"]


def test_what_watches_the_cards_does_not_use_them(tmp_path: Path) -> None:
    hold(tmp_path, 77, "/dev/davinci_manager", "/dev/hisi_hdc", "/dev/devmm_svm", "/data/davinci0.log", "socket:[1]")
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": table("OK", "OK")})), 5)
    assert (facts["processes"], facts["process_count"]) == ([], 0)


def test_a_process_that_this_node_does_not_see_uses_its_cards(tmp_path: Path) -> None:
    """npu-smi may name it by the number that it has in its container."""
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": table("OK", "OK", tail=PROCESSES)})), 5)
    (process,) = facts["processes"]
    assert (process["pid"], process["user"], process["command"], facts["process_count"]) == (4711, None, None, 1)
    told = busy_refusal(facts["processes"], facts["process_count"])
    assert told is not None
    assert "process 4711 of ? on card 0, 1: python3" in told["found"]


def test_a_process_that_both_name_is_one(tmp_path: Path) -> None:
    hold(tmp_path, 4711, "/dev/davinci0", "/dev/davinci1")
    hold(tmp_path, 4712, "/dev/davinci1")
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": table("OK", "OK", tail=PROCESSES)})), 5)
    assert [process["pid"] for process in facts["processes"]] == [4711, 4712]
    assert facts["processes"][0]["chips"] == [[0, 0, 1200], [1, 0, 900]]


def test_the_short_form_looks_for_no_holders(tmp_path: Path) -> None:
    hold(tmp_path, 77, "/dev/davinci1")
    programs = Programs({"npu-smi info": table("OK", "OK")})
    assert cards.read_npu(node(tmp_path, programs), 5, file_users=False)[0]["processes"] == []
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": HANGS})), 5, file_users=False)
    assert facts["process_count"] == 1, "npu-smi said nothing"


def test_a_table_that_speaks_of_some_cards_alone_is_not_believed_to_be_idle(tmp_path: Path) -> None:
    tail = PROCESSES.split("\n| 0 ", maxsplit=1)[0] + "\n" + IDLE.format(card=0)
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": table("OK", "OK", tail=tail)})), 5)
    assert (facts["processes_from"], facts["unclear"]) == ("/proc", [1])


HEADER = PROCESSES.split("\n| 0 ", maxsplit=1)[0] + "\n"
IDLE_0, IDLE_1 = IDLE.format(card=0), IDLE.format(card=1)


@pytest.mark.parametrize(
    ("tail", "unclear"),
    [
        (IDLE_0 + IDLE_1, []),
        ("| No running processes found" + " " * 60 + "|\n" + BORDER, []),
        (IDLE_0 + "| 1       0                 | 4711          | python3      | 900      |\n", []),
        (IDLE_0 + "| 1       0                 | N/A           | python3      | 900      |\n", [1]),
        (IDLE_0 + "| 1       0                 | ****          | python3      | 900      |\n", [1]),
        (IDLE_0 + "| 1       0                 | 47*11         | python3      | 900      |\n", [1]),
        (IDLE_0 + "| 1       0                 |               | python3      | 900      |\n", [1]),
        (IDLE_0 + "| 1       0                 | 47", [1]),
        (IDLE_0 + "| 1", [0, 1]),
        (IDLE_0 + "| 1       0                 | 4711          | python3 | x | 900 | y | z\n", []),
        ("", [0, 1]),
        (IDLE_0, [1]),
        (IDLE_0 + "| No running processes found in NPU", [1]),
        # Of a card that is called idle, too, and of one that cannot be: where the process is is not known.
        (IDLE_0 + IDLE_1 + "| 1       0                 | N/A           | python3      | 900      |\n", [1]),
        (IDLE_0 + IDLE_1 + "| *       0                 | 4711          | python3      | 900      |\n", [0, 1]),
        (IDLE_0 + IDLE_1 + "| 7       0                 | 4711          | python3      | 900      |\n", [0, 1]),
        (IDLE_0 + IDLE_1 + "| 1       5                 | 4711          | python3      | 900      |\n", [0, 1]),
        (IDLE_0 + IDLE_1 + "| 7       0                 | N/A           | python3      | 900      |\n", [0, 1]),
        (IDLE_0 + IDLE_1 + "1       0                 | 4711          | python3      | 900      |\n", [0, 1]),
        (IDLE_0 + "| No running processes found" + " " * 60 + "|\n", [1]),
    ],
)
def test_what_is_not_known_is_not_idle(tmp_path: Path, tail: str, unclear: list[int]) -> None:
    answer = table("OK", "OK", tail=HEADER + tail)
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": answer})), 5)
    assert facts["answered"]
    assert (facts["unclear"], facts["processes_from"]) == (unclear, "/proc" if unclear else "npu-smi")
    told = busy_refusal(facts["processes"], facts["process_count"], facts["unclear"])
    assert (told is None) == (not facts["processes"] and not unclear)


@pytest.mark.parametrize("tail", ["", HEADER.replace("| NPU     Chip ", "| N*U     C**p ").replace("Process", "Pr")])
def test_a_table_without_its_processes_calls_nothing_idle(tmp_path: Path, tail: str) -> None:
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": table("OK", "OK", tail=tail)})), 5)
    assert (facts["answered"], facts["unclear"], facts["processes"]) == (True, [0, 1], [])


@pytest.mark.parametrize("answer", [HANGS, Result(1, "", False, "no\n"), Result(1, table("OK", "OK"), False)])
def test_an_npu_smi_that_says_nothing_calls_nothing_idle(tmp_path: Path, answer: Result) -> None:
    for number in (0, 1):
        write(tmp_path, f"/dev/davinci{number}")
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": answer})), 5)
    assert (facts["unclear"], facts["processes"]) == ([0, 1], [])


def test_a_container_gives_a_card_another_name(tmp_path: Path) -> None:
    """docker run --device /dev/davinci1:/dev/davinci0; these are real devices, so that the kernel tells them apart."""
    for number, device in enumerate(["/dev/tty", "/dev/ptmx", "/dev/null"]):
        write(tmp_path, "/dev/davinci_manager").with_name(f"davinci{number}").symlink_to(device)
    hold(tmp_path, 77)
    (tmp_path / "proc/77/fd/3").symlink_to("/dev/ptmx")  # of a container's process the link says "/dev/davinci0"
    hold(tmp_path, 78, "/dev/null")
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": table("OK", "OK")})), 5)
    (process,) = facts["processes"]
    assert (process["pid"], process["chips"], facts["unclear"]) == (77, [[1, None, None]], [])


def test_the_card_of_a_device_file_that_the_table_does_not_number(tmp_path: Path) -> None:
    """A virtual card, or one of two chips a card: which card it is part of is not known."""
    hold(tmp_path, 77, "/dev/vdavinci101")
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": table("OK", "OK")})), 5)
    assert (facts["process_count"], facts["unclear"]) == (1, [0, 1])
    two = [
        Device(card, chip, "910", "OK", phy_id=phy) for card, chip, phy in [(0, 0, None), (0, 1, None), (1, 0, None)]
    ]
    assert processes.by_device(two) == {}
    numbered = [replace(device, phy_id=number) for number, device in enumerate(two)]
    assert processes.by_device(numbered) == {0: 0, 1: 0, 2: 1}
    assert processes.with_cards([{"chips": [[2, None, None]]}], {0: 0, 1: 0, 2: 1}) == [{"chips": [[1, None, None]]}]


def test_a_process_uses_what_it_has_open_whatever_npu_smi_says_of_it(tmp_path: Path) -> None:
    hold(tmp_path, 4711, "/dev/davinci0", "/dev/davinci1")
    row = "| 0       0                 | 4711          | python3                  | 1200                    |\n"
    answer = table("OK", "OK", tail=HEADER + row + IDLE_1)
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": answer})), 5)
    assert [process["chips"] for process in facts["processes"]] == [[[0, 0, 1200], [1, None, None]]]


def test_unread_lines_are_a_finding_and_keep_the_rest(tmp_path: Path) -> None:
    broken = table("OK", "OK").replace("| 0000:C1:00.0  | 0 ", "| 0000:C1:00.0  0 ")
    facts, findings = cards.read_npu(node(tmp_path, Programs({"npu-smi info": broken})), 5)
    assert facts["answered"]
    assert facts["devices"][0]["hbm_total_mb"] == 65536
    assert names(findings) == ["npu-smi-unread"]
    assert facts["unread"]
    assert "line 11" in findings[0]["found"]


def test_a_node_without_npu_smi(tmp_path: Path) -> None:
    facts, findings = cards.read_npu(node(tmp_path, names=()), 5)
    assert (facts["answered"], names(findings)) == (False, ["npu-smi-missing"])


def test_a_program_where_path_does_not_lead(tmp_path: Path) -> None:
    place = write(tmp_path, "/usr/local/sbin/npu-smi")
    place.chmod(0o755)
    assert tools.find(node(tmp_path, names=()), "npu-smi") == str(place)
    write(tmp_path, "/etc/ascend_install.info", "Driver_Install_Path_Param=/data/Ascend\n")
    elsewhere = write(tmp_path, "/data/Ascend/driver/tools/npu-smi")
    assert tools.find(node(tmp_path, names=()), "npu-smi") == str(place)  # it cannot be run
    elsewhere.chmod(0o755)
    assert tools.find(node(tmp_path, names=()), "npu-smi") == str(elsewhere)


@pytest.mark.parametrize(
    ("device_nodes", "found"), [(0, []), (2, []), (8, ["fewer-chips-visible"]), (1, ["device-files-missing"])]
)
def test_counts_of_chips(tmp_path: Path, device_nodes: int, found: list[str]) -> None:
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": table("OK", "OK")})), 5)
    findings = cards.fewer_visible(facts, device_nodes)
    assert names(findings) == found
    assert all("2 chips in npu-smi" in finding["found"] for finding in findings)


def test_many_processes_are_counted_and_not_all_listed(tmp_path: Path) -> None:
    head = PROCESSES.split("\n| 0 ", maxsplit=1)[0] + "\n"
    rows = "".join(f"| 0       0                 | {pid}          | p{pid}  | 1  |\n" for pid in range(5000, 5100))
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": table("OK", tail=head + rows)})), 5)
    assert (len(facts["processes"]), facts["process_count"]) == (32, 100)


def test_an_owner_without_a_name(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    place = write(tmp_path, "/proc/4711/cmdline", "x" * 500).parent
    os.chown(place, 54321, 54321)
    facts, _ = cards.read_npu(node(tmp_path, Programs({"npu-smi info": table("OK", "OK", tail=PROCESSES)})), 5)
    (process,) = facts["processes"]
    assert process["user"] == "54321"
    assert len(process["command"] or "") == 100


@pytest.mark.parametrize(
    ("names_in_table", "families"),
    [
        (["910B3", "910B2C"], ["910b"]),
        (["310P3", "310B4"], ["310b", "310p"]),
        (["Ascend910", "910A", "910B", "xxx"], []),
        (["Ascend910B1"], ["910b"]),
    ],
)  # fmt: skip
def test_which_kernels_the_chips_need(names_in_table: list[str], families: list[str]) -> None:
    assert chips.kernels_families(names_in_table) == families
