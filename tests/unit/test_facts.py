# SPDX-License-Identifier: Apache-2.0
"""A whole node's facts: subsets, an empty machine, and the largest answer that a node of eight cards may give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import facts
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import journal
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import lock, read as environment_read
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import bounded, finding
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import ASCEND_ENV, ETC, Places
from tests.answers import HANGS, Programs, names, node, write

ROOT = Path(__file__).resolve().parents[2]
PLACES = Places("/usr/local/Ascend", "/opt/ascend", "/var/cache/ascend-fleet", "/var/lib/ascend-fleet", "/var/tmp")
LIMIT = 17 * 1024  # bytes of JSON, of a node on which much is wrong; a thousand of them are read in one run
HEAD = """\
| npu-smi 25.2.0                   Version: 25.2.0                                               |
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip  Phy-ID              | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
"""
CHIP = """\
| {card}     Ascend910           | OK            | 162.8       37                0    / 0             |
| {chip}     {phy:<2}                  | 0000:{phy:02X}:00.0  | 100         15567/ 15567      65536/ 65536         |
"""
PROCESS = "| {card}       {chip}                 | {pid}        | python3.10               | 65536                |\n"
BORDER = "+===========================+===============+====================================================+\n"


def table(cards: int, chips: int) -> str:
    """Cards of several chips, each with a process."""
    each = [{"card": card, "chip": chip, "phy": card * chips + chip} for card in range(cards) for chip in range(chips)]
    text = HEAD + "".join(CHIP.format(**one) for one in each) + BORDER
    text += "| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |\n"
    return text + "".join(PROCESS.format(pid=3715239 + one["phy"], **one) for one in each) + BORDER


LOCK = lock.parse((ROOT / "sim" / "locks" / "8.0.RC1-x86_64.txt").read_text(encoding="utf-8"))


def environment(root: Path, name: str, pins: dict[str, str]) -> None:
    """An environment with the distributions of a lock."""
    place = f"/opt/ascend/env/{name}"
    for distribution, version in pins.items():
        info = f"{place}/lib/python3.10/site-packages/{distribution.replace('-', '_')}-{version}.dist-info"
        write(root, f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n\n")
        write(root, f"{info}/RECORD", f"{Path(info).name}/METADATA,,\n{Path(info).name}/RECORD,,\n")
    write(root, f"{place}/pyvenv.cfg", "version_info = 3.10.13\ninclude-system-site-packages = false\n")
    record = {"schema": 1, "python": "3.10.13", "lock_digest": "0123456789ab", "distributions": pins}
    write(root, f"{place}/{environment_read.RECEIPT}", json.dumps(record))


def cann(root: Path, version: str) -> None:
    """Enough of a version to be one, with a long list of what is missing."""
    home = f"/usr/local/Ascend/ascend-toolkit/{version}"
    write(root, f"{home}/aarch64-linux/ascend_toolkit_install.info", f"version={version}\narch=aarch64\n")
    write(root, f"{home}/opp/built-in/op_impl/ai_core/tbe/kernel/config/ascend910b/binary_info_config.json", "{}")


def test_an_empty_machine_is_described_and_not_refused(tmp_path: Path) -> None:
    found = facts.collect(node(tmp_path, names=()), PLACES, ["all"], 5)
    assert set(found) == {
        "schema", "findings", "system", "npu", "driver", "network", "cann", "pythons", "system_pythons", "environments",
        "ascend_env", "changes", "closed",
    }  # fmt: skip
    assert found["changes"] == {"running": None, "last": None}
    assert found["cann"]["versions"] == {}
    places = {PLACES.cann_root, PLACES.ascend_root, PLACES.cache_dir, PLACES.tmp_dir, PLACES.state_dir}
    assert set(found["system"]["disk"]) == places | {ETC, "/usr/local/bin", *facts.WRITTEN_BY_TRAINING}
    assert json.loads(json.dumps(found)) == found
    assert names(found["findings"])[:2] == ["npu-smi-missing", "driver-missing"]
    for one in found["findings"]:
        assert all(one[key] for key in ("subset", "name", "problem", "wanted", "found", "remedy")), one


def test_what_is_changed_and_what_was(tmp_path: Path) -> None:
    state_dir = tmp_path / PLACES.state_dir.lstrip("/")
    state_dir.mkdir(parents=True)
    running = {"began": "now", "who": "ops", "control": "ctl", "run": "two", "action": "stage", "from": "a", "to": "b"}
    (state_dir / "run").write_text(json.dumps({**running, "pid": 4711, "boot": "x"}))
    for run in ("zero", "one"):
        journal.append(str(state_dir), {**dict.fromkeys(journal.KEYS, ""), "run": run})
    found = facts.collect(node(tmp_path), PLACES, ["system"], 5)["changes"]
    assert found == {"running": running, "last": {**dict.fromkeys(journal.KEYS, ""), "run": "one"}}
    drained = {key: running[key] for key in ("began", "who", "control", "run")}
    (state_dir / "drained").write_text(json.dumps({**drained, "action": "x", "pid": 4711}))
    assert facts.collect(node(tmp_path), PLACES, ["system"], 5)["changes"]["drained"] == drained
    for name in ("run", "journal.jsonl", "drained"):
        (state_dir / name).write_text("[" * 100_000)
    assert facts.collect(node(tmp_path), PLACES, ["system"], 5)["changes"] == {"running": None, "last": None}


@pytest.mark.parametrize(
    ("subset", "keys"),
    [
        ("system", {"system", "changes"}),
        ("npu", {"npu", "driver"}),
        ("network", {"npu", "driver", "network"}),
        ("links", {"npu", "driver", "network"}),
        ("cann", {"cann"}),
        ("python", {"pythons", "system_pythons", "environments", "ascend_env", "closed"}),
    ],
)
def test_a_subset_asks_for_nothing_else(tmp_path: Path, subset: str, keys: set[str]) -> None:
    programs = Programs({"npu-smi info": HANGS})
    found = facts.collect(node(tmp_path, programs, ("npu-smi",)), PLACES, [subset], 5)
    assert set(found) == {"schema", "findings"} | keys
    assert bool(programs.asked) == ("npu" in keys)


@pytest.mark.parametrize(
    ("subsets", "questions"),
    [
        (["links"], ["net_health"]),
        (["links", "network"], ["gateway", "ip", "link", "net_health"]),
        (["links", "all"], ["gateway", "ip", "link", "net_health"]),
        (["all"], ["gateway", "ip", "link", "net_health"]),
        (list(facts.FAST_SUBSETS), []),
    ],
)
def test_links_are_the_short_form_of_network(tmp_path: Path, subsets: list[str], questions: list[str]) -> None:
    answers = {"npu-smi info": table(1, 1), "hccn_tool -i 0 -net_health -g": "net health status: Success\n"}
    answers |= dict.fromkeys([f"hccn_tool -i 0 -{question} -g" for question in ("ip", "gateway", "link")], "")
    programs = Programs(answers)
    found = facts.collect(node(tmp_path, programs), PLACES, subsets, 5)
    asked = [words.split()[3].lstrip("-") for words in programs.asked if words.startswith("hccn_tool")]
    assert sorted(asked) == questions
    assert ("network" in found) == bool(questions)


def test_kernel_settings_come_with_the_system(tmp_path: Path) -> None:
    write(tmp_path, "/proc/sys/vm/swappiness", "60\n")
    found = facts.collect(node(tmp_path), PLACES, ["system"], 5, kernel_settings=["vm.swappiness"])
    assert found["system"]["kernel_settings"] == {"vm.swappiness": "60"}


@pytest.mark.parametrize(
    ("chips", "subsets", "limit"),
    [(1, list(facts.FAST_SUBSETS), LIMIT), (1, ["all"], LIMIT + 2048), (2, list(facts.FAST_SUBSETS), LIMIT + 4096)],
    ids=["910B", "910B with its network", "A3 with 16 chips"],
)
def test_a_busy_and_broken_node_of_eight_cards_stays_small(
    tmp_path: Path, chips: int, subsets: list[str], limit: int
) -> None:
    answers = {"npu-smi info": table(8, chips)}
    for number in range(8 * chips):
        ask = f"hccn_tool -i {number} "
        answers[ask + "-ip -g"] = f"ipaddr:192.0.2.{number}\nnetmask:255.255.255.0\n"
        answers[ask + "-gateway -g"] = "default gateway:192.0.2.254, Iface:eth0\n"
        answers[ask + "-link -g"] = "link status: UP\n"
        answers[ask + "-net_health -g"] = "net health status: Success\n"
        command = f"python3.10\0-m\0torch.distributed.run\0--node_rank\0{number}\0" + "some/long/path/" * 12
        write(tmp_path, f"/proc/{3715239 + number}/cmdline", command)
    for release in ("8.0.RC1", "8.1.RC1", "8.2.RC1"):
        cann(tmp_path, release)
        environment(tmp_path, f"{release}-0123456789ab", LOCK)
    (tmp_path / "opt/ascend/env/current").symlink_to("8.1.RC1-0123456789ab")
    programs = Programs(answers)
    found = facts.collect(node(tmp_path, programs), PLACES, subsets, 5)
    assert programs.all_asked() == (subsets == ["all"])
    assert (len(found["npu"]["devices"]), found["npu"]["process_count"]) == (8 * chips, 8 * chips)
    assert len(found["environments"]["all"]["8.1.RC1-0123456789ab"]["distributions"]) == len(LOCK)
    sizes = {key: len(json.dumps(value)) for key, value in found.items()}
    assert sum(sizes.values()) < limit, sizes


def test_ascend_env_is_known_by_its_sum(tmp_path: Path) -> None:
    write(tmp_path, ASCEND_ENV, "abc")
    found = facts.collect(node(tmp_path), PLACES, ["python"], 5)
    assert found["ascend_env"]["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_which_kernels_the_cards_need_is_known_when_both_are_asked_for(tmp_path: Path) -> None:
    write(tmp_path, "/usr/local/Ascend/ascend-toolkit/8.0.RC1/opp_kernel/version.info", "Version=7\n")
    cann(tmp_path, "8.0.RC1")
    (tmp_path / "usr/local/Ascend/ascend-toolkit/latest").mkdir()
    (tmp_path / "usr/local/Ascend/ascend-toolkit/latest/runtime").symlink_to("../8.0.RC1/runtime")
    write(tmp_path, "/usr/local/Ascend/ascend-toolkit/8.0.RC1/runtime/version.info", "Version=7\n")
    text = table(1, 1).replace("Ascend910", "310P3    ")
    found = facts.collect(node(tmp_path, Programs({"npu-smi info": text})), PLACES, ["npu", "cann"], 5)
    assert "cann-kernels-chip" in names(found["findings"])


def test_findings_beyond_the_room_are_named_and_counted() -> None:
    few = [finding("cann", "cann-altered", "x" * 100) for _ in range(3)]
    assert bounded(few, 1000) == few
    many = [*few, *[finding("python", "environment-leak", "y" * 1000) for _ in range(9)]]
    kept = bounded(many, 4500)
    assert names(kept) == ["cann-altered"] * 3 + ["environment-leak"] * 3 + ["findings-left-out"]
    assert kept[-1]["found"] == "6 x environment-leak"
    assert len(json.dumps(kept)) <= 4500
    assert names(bounded(many, 0)) == ["findings-left-out"]
