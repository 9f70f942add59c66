# SPDX-License-Identifier: Apache-2.0
"""A record: what is in it, that it only asks, that it names nobody, and that it is read and replayed exactly."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import random
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import manifest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import layouts as cann_layouts
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import Places
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.record import (
    make as capture,
    sources as record_sources,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.record.pseudonyms import Mask
from tests import replay
from tests.answers import write

ROOT, STATE, V = "/usr/local/Ascend", "/var/lib/ascend-fleet", "8.0.RC1"
PLACES = Places(ROOT, "/opt/ascend", "/var/cache/ascend-fleet", STATE, "/var/tmp")
HCCN = f"{ROOT}/driver/tools/hccn_tool"
HOME = "/home/" + "zhangsan"
ARCH = platform.machine()
CONTAINER = "ab" * 32
TABLE = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 23.0.6.2                 Version: 23.0.6.2                                             |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B3               | OK            | 93.0        38                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          3300 / 65536         |
+===========================+===============+====================================================+
| 1     910B3               | Alarm         | 91.5        37                0    / 0             |
| 0                         | 0000:C2:00.0  | 0           0    / 0          3301 / 65536         |
+===========================+===============+====================================================+
+---------------------------+---------------+----------------------------------------------------+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| 0       0                 | 4242          | python                   | 3000                    |
+===========================+===============+====================================================+
| No running processes found in NPU 1                                                            |
+===========================+===============+====================================================+
"""
# What names the node or somebody, and must not be in any record of it.
SECRETS = (
    "npu-017", "corp.test", "10.77.145.17", "10.77.145.18", "10.77.145.1", "192.168.7.9", "00:e0:fc:12:34:56",
    "fe80::2e0:fcff:fe12:3456", "2102313LNR10K5000123", "1D21C00C", "zhangsan", "hf_abcd1234", "geheim99",
    "0123456789abcdef0123456789abcdef", "spine-17",
)  # fmt: skip


class Live:
    """A node with two cards, one of them sick, CANN with lost and short libraries, and a job of zhangsan's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[list[str]] = []
        self.answers: dict[str, str] = {
            "npu-smi info": TABLE,
            "npu-smi info -l": "Total Count : 2\n\nNPU ID : 0\nSerial Number : 2102313LNR10K5000123\n",
            "npu-smi info -t board -i 0 -c 0": "VDie ID : 1D21C00C 20E0A0F4 4B04C00A 0D1A2C10 4D1001D3\n",
            "npu-smi info -t health -i 1 -c 0": "Health Status : Alarm\nError Code : 80C98000\n",
            "uname -a": "Linux npu-017 5.10.0-60.18.0.50.oe2203.aarch64 #1 SMP aarch64 GNU/Linux\n",
            "df -kP": "Filesystem 1024-blocks Used Available Capacity Mounted on\nnas.corp.test:/vol 9 1 8 12% /home\n",
            "hccn_tool -i 0 -lldp -g": "System Name TLV\n\tspine-17\nManagement Address TLV\n\tIPv4: 192.168.7.9\n",
            "hccn_tool -i 1 -mac -g": "mac addr: 00:e0:fc:12:34:56\ninet6:fe80::2e0:fcff:fe12:3456\n",
            "dmesg": "[1.0] eth0: up\n" * 9 + "[2.0] davinci 0000:c1:00.0: probe of npu-017 at 10.77.145.17\n",
            "hostname -f": "npu-017.corp.test\n",
        }
        for card in (0, 1):
            self.answers[f"hccn_tool -i {card} -ip -g"] = f"ipaddr:10.77.145.{17 + card}\nnetmask:255.255.240.0\n"
            self.answers[f"hccn_tool -i {card} -gateway -g"] = f"default gateway:10.77.145.1, Iface:eth{card}\n"
            self.answers[f"hccn_tool -i {card} -link -g"] = "link status: UP\n"
            self.answers[f"hccn_tool -i {card} -net_health -g"] = "net health status: Success\n"
        self.put_system()
        self.put_driver()
        self.put_cann()
        self.put_job()

    def put_system(self) -> None:
        write(self.root, "/etc/hostname", "npu-017\n")
        write(self.root, "/etc/hosts", "127.0.0.1 localhost\n10.77.145.17 npu-017.corp.test npu-017\n")
        write(
            self.root, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nzhangsan:x:1001:1001::X:/bin/sh\n".replace("X", HOME)
        )
        write(self.root, "/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        write(self.root, "/etc/os-release", 'ID="openEuler"\nVERSION_ID="22.03"\n')
        write(self.root, "/proc/cmdline", "root=/dev/sda1 ks=http://user7:geheim99@10.77.145.18/ks.cfg\n")
        write(self.root, "/proc/net/fib_trie", "Main:\n  |-- 10.77.145.17\n     /32 host LOCAL\n")
        write(self.root, "/sys/class/net/eth0/address", "00:e0:fc:12:34:56\n")
        write(self.root, f"{HOME}/Ascend/ascend-toolkit/7.0.0/version.info", "Version=7.0.0\n")

    def put_driver(self) -> None:
        info = f"UserName=HwHiAiUser\nDriver_Install_Type=full\nDriver_Install_Path_Param={ROOT}\n"
        write(self.root, "/etc/ascend_install.info", info)
        write(self.root, f"{ROOT}/driver/version.info", "Version=23.0.6.2\ncompatible_version_fw=[7.0.0,7.2.99]\n")
        write(self.root, f"{ROOT}/firmware/version.info", "Version=7.1.0.6.220\n")
        write(self.root, f"{ROOT}/driver/lib64/libdrv.so", "x")
        write(self.root, HCCN).chmod(0o755)
        for name in ("davinci0", "davinci1", "davinci_manager", "null"):
            write(self.root, f"/dev/{name}")
        write(self.root, "/proc/modules", "drv_vascend 1 0 - Live 0x0\next4 1 0 - Live 0x0\n")
        conf = [f"address_{n}=10.77.145.{17 + n}\nnetmask_{n}=255.255.240.0\ngateway_{n}=10.77.145.1\n" for n in (0, 1)]
        write(self.root, "/etc/hccn.conf", "".join(conf))

    def put_cann(self) -> None:
        home = f"{ROOT}/ascend-toolkit/{V}"
        info = f"package_name=Ascend-cann-toolkit\nversion={V}\narch={ARCH}\nos=linux\npath={home}/{ARCH}-linux\n"
        write(self.root, f"{home}/{ARCH}-linux/ascend_toolkit_install.info", info)
        for library in cann_layouts.LIBRARIES:
            # Deeper than folders are listed.
            write(self.root, f"{home}/runtime/lib64/{library}", "library")
            link = self.root / f"{home}/{ARCH}-linux/lib64/{library}".lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"../../runtime/lib64/{library}")
        # Other names of the same folders, as installers make them.
        (self.root / f"{ROOT}/ascend-toolkit/{V[:3]}".lstrip("/")).symlink_to(V)
        (self.root / f"{home}/arm64-linux".lstrip("/")).symlink_to(f"{ARCH}-linux")
        write(self.root, f"{home}/{ARCH}-linux/script/set_env.sh", "export X=1\n")
        write(self.root, f"{ROOT}/ascend-toolkit/set_env.sh", "export X=1\n")
        for component in (*cann_layouts.PARTS, "opp_kernel"):
            write(self.root, f"{home}/{component}/version.info", f"Version=7.2.0.1.100\nversion_dir={V}\n")
            link = write(self.root, f"{ROOT}/ascend-toolkit/latest/.keep").parent / component
            link.symlink_to(f"../{V}/{component}")
        write(self.root, f"{home}/{record_sources.KERNEL}/config/ascend910b/conv/binary_info_config.json", "{}")
        write(self.root, f"{home}/{record_sources.KERNEL}/ascend910b/conv/a.o", "o")
        lines = [f"{name}_running_version=[7.2.0.1.100:{V}]\n" for name in cann_layouts.PARTS]
        write(self.root, f"{ROOT}/ascend-toolkit/latest/version.cfg", "# version: 1.0\n" + "".join(lines))
        write(self.root, "/etc/Ascend/ascend_cann_install.info", f"Toolkit_InstallPath={ROOT}\n")
        deep = f"{home}/runtime/deep/er/still"
        for name in ("kept.so", "short.so", "lost.so"):
            write(self.root, f"{deep}/{name}", name * 9)
        where = self.root / home.lstrip("/")
        path = self.root / STATE.lstrip("/") / f"manifests/toolkit-{V}.json"
        manifest.write(str(where), sorted(entry.name for entry in where.iterdir()), str(path), ())
        path.write_text(self.as_on_the_node(path.read_text()))
        (self.root / deep.lstrip("/") / "lost.so").unlink()
        (self.root / deep.lstrip("/") / "short.so").write_text("s")

    def as_on_the_node(self, text: str) -> str:
        """A manifest as if it had been written with the node's own paths."""
        _header, body = text.splitlines()
        body = body.replace(str(self.root), "") + "\n"
        return json.dumps({"schema": 2, "sha256": hashlib.sha256(body.encode()).hexdigest()}) + f"\n{body}"

    def put_job(self) -> None:
        write(
            self.root,
            "/proc/4242/cmdline",
            f"python\0{HOME}/t.py\0--master\x0010.77.145.18\0--token\0hf_abcd1234\0",
        )
        write(self.root, "/proc/4242/comm", "python\n")
        write(self.root, "/proc/4242/cgroup", f"0::/docker/{CONTAINER}\n")
        (self.root / "proc/4242/fd").mkdir()
        (self.root / "proc/4242/fd/7").symlink_to("/dev/davinci0")
        write(self.root, "/opt/ascend/env/e1/pyvenv.cfg", "home = /opt/ascend/python/3.10.13/bin\n")
        site = "/opt/ascend/env/e1/lib/python3.10/site-packages"
        write(
            self.root,
            f"{site}/opencv_python-4.8.1.78.dist-info/METADATA",
            "Name: opencv-python\nVersion: 4.8.1.78\n\nx",
        )

    def run(self, argv: list[str], timeout_s: float) -> Result:
        assert timeout_s in (5, 5.0)
        self.asked.append(argv)
        words = " ".join([Path(argv[0]).name, *argv[1:]])
        return Result(0, self.answers[words], False) if words in self.answers else Result(3, "not supported\n", False)

    def find(self, name: str) -> str | None:
        known = ("npu-smi", "uname", "df", "dmesg", "hostname")
        return f"/usr/bin/{name}" if name in known else None

    def make(self, **more: Any) -> str:
        return capture.make(Node(self.run, self.find, str(self.root)), PLACES, 5, **more)


@pytest.fixture
def live(tmp_path: Path) -> Live:
    return Live(tmp_path / "live")


def own(facts: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: facts[key] for key in keys}


# --- what is in it -------------------------------------------------------------------------------------------------


def test_a_replay_gives_the_same_facts(live: Live, tmp_path: Path) -> None:
    text = live.make()
    one = replay.replayed(text, tmp_path / "replay")
    found = one.collect(["npu", "network", "cann"])
    keys = ("npu", "driver", "network", "cann")
    assert own(found, *keys) == own(one.recorded, *keys)
    of = [finding for finding in one.recorded["findings"] if finding["subset"] in keys]
    assert [finding for finding in found["findings"] if finding["subset"] in keys] == of
    # It is no empty node that was replayed.
    assert one.recorded["npu"]["devices"][1]["errors"] == ["80C98000"]
    assert one.recorded["npu"]["processes"][0]["container"] == CONTAINER[:12]
    toolkit = one.recorded["cann"]["versions"][V]["toolkit"]
    assert toolkit["state"] == "altered"
    assert toolkit["problem_count"] == 2
    assert "910b" in one.recorded["cann"]["versions"][V]["kernels"]
    assert one.recorded["cann"]["elsewhere_count"] == 1
    assert (
        one.recorded["network"]["cards"][0]["configured"]["address"] == one.recorded["network"]["cards"][0]["address"]
    )


@pytest.mark.parametrize(("place", "leads"), [(ROOT, "latest"), (f"{ROOT}/beside", "latest_beside")])
def test_a_replay_of_the_later_layout(live: Live, tmp_path: Path, place: str, leads: str) -> None:
    home = f"{place}/cann-8.5.0"
    info = f"version=8.5.0\narch={ARCH}\npath={home}/{ARCH}-linux\n"
    write(live.root, f"{home}/{ARCH}-linux/ascend_toolkit_install.info", info)
    for component in cann_layouts.LATER.parts:
        write(live.root, f"{home}/share/info/{component}/version.info", "Version=8.5.0\nversion_dir=cann-8.5.0\n")
    (live.root / f"{place}/cann".lstrip("/")).symlink_to("cann-8.5.0")
    name = "8.5.0" if place == ROOT else "beside/8.5.0"
    write(live.root, "/var/lib/ascend-fleet/origin.json", json.dumps({"schema": 1, "toolkits": [name]}))
    one = replay.replayed(live.make(), tmp_path / "replay")
    assert one.collect(["cann"])["cann"] == one.recorded["cann"]
    assert one.recorded["cann"][leads] == "8.5.0"
    assert one.recorded["cann"]["versions"]["8.5.0"]["ours"]


@pytest.mark.parametrize("secret", SECRETS)
def test_it_names_nobody(live: Live, secret: str) -> None:
    files = [path.read_text() for path in live.root.rglob("*") if path.is_file() and "proc/4242/fd" not in str(path)]
    assert secret in "".join([*files, *live.answers.values()]), "the node has no such secret: nothing is tested"
    text = live.make()
    read = capture.parse(text)
    everything = text + "".join(
        section.title + section.content + json.dumps(section.about) for section in read.sections
    )
    assert not re.search(rf"(?i)(?<![0-9a-z]){re.escape(secret)}(?![0-9a-z])", everything)


def test_what_must_stay_stays(live: Live) -> None:
    text = live.make()
    for words in ("Version: 23.0.6.2", "0000:C1:00.0", "255.255.240.0", "7.1.0.6.220", "60.18.0.50.oe2203", "4.8.1.78",
                  V, "davinci0", CONTAINER, "HwHiAiUser"):  # fmt: skip
        assert words in text


def test_the_account_of_our_own_making_is_no_leak(live: Live) -> None:
    """enroll.yml makes it; its name begins the record."""
    write(live.root, "/etc/profile", "export LD_LIBRARY_PATH=/home/ascend-fleet/lib\n")
    assert live.make(names=["ascend-fleet"]).startswith("ascend-fleet record")


def test_relations_survive(live: Live) -> None:
    conf = next(s.content for s in replay.sections(live.make(), "file") if s.title == "/etc/hccn.conf")
    (one, gateway), (other, second) = (
        re.findall(rf"(?:address|gateway)_{n}=(\S+)", conf) for n in (0, 1)
    )  # fmt: skip
    assert one.rpartition(".")[0] == other.rpartition(".")[0] == gateway.rpartition(".")[0]
    assert gateway == second
    assert one.endswith(".17")


def test_every_question_of_the_facts_is_in_it(live: Live) -> None:
    recorded = {section.title for section in replay.sections(live.make(), "command")}
    asked = {" ".join([Path(argv[0]).name, *argv[1:]]) for argv in live.asked} - {"hostname -f"}
    assert len(asked) > 40
    assert recorded == asked
    assert len(live.asked) == len(asked) + 1, "a question was asked twice"


def test_what_is_missing_is_said(live: Live) -> None:
    notes = {section.title: section.content for section in replay.sections(live.make(), "note")}
    assert "lspci -d 19e5:   (no such program)" in notes["not asked"]
    assert "/etc/ld.so.conf.d/ascend.conf" in notes["missing files"]


def test_the_ends_of_the_installers_logs_are_in_it(live: Live) -> None:
    path = "/var/log/ascend_seclog/ascend_toolkit_install.log"
    write(live.root, path, "[Toolkit] [INFO] old\n" * 9000 + "[Toolkit] [ERROR] pip3 is missing on npu-017\n")
    section = next(section for section in replay.sections(live.make(), "file") if section.title == path)
    assert len(section.content) < 20_000
    assert section.content.startswith("[Toolkit] [INFO] old\n")
    assert re.search(r"pip3 is missing on host\d{3}\n$", section.content)


def test_a_bare_machine_gives_a_record(tmp_path: Path) -> None:
    node = Node(lambda _argv, _timeout_s: Result(127, "no", False), lambda _name: None, str(tmp_path))
    text = capture.make(node, PLACES, 5)
    assert capture.parse(text).problems == ()
    assert "npu-smi-missing: npu-smi is missing" in text


def test_a_hung_tool_is_not_waited_for_again_and_again(live: Live) -> None:
    def hangs(argv: list[str], timeout_s: float) -> Result:
        live.asked.append(argv)
        return Result(-9, "", True) if argv[0].endswith("npu-smi") else Result(0, "", False)

    text = capture.make(Node(hangs, live.find, str(live.root)), PLACES, 5)
    assert sum(argv[0].endswith("npu-smi") for argv in live.asked) == capture.MOST_LIMITS
    assert "(not run: this program has timed out before)" in text
    assert re.search(r"late +[0-9.]+ +0  npu-smi info\n", text)


def test_the_time_for_all_questions_has_an_end(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MOST_SECONDS", 0)
    assert "npu-smi info -t topo   (not run: the time limit for all queries was reached)" in live.make()


def test_long_outputs_and_long_records_are_bounded(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    live.answers["npu-smi info -m"] = "line\n" * 300_000
    live.answers["npu-smi info"] += "junk\n" * 300_000
    text = live.make()
    assert len(text) < 500_000
    assert "of 300000 lines]" in text
    assert "| [cut here]" in text
    monkeypatch.setattr(capture, "MOST_BYTES", 20_000)
    read = capture.parse(live.make())
    assert read.problems == ()
    assert json.loads(read.sections[-1].content)["schema"]
    assert [section.title for section in read.sections if section.about.get("full")]


def test_contents_and_findings_stand_at_the_beginning(live: Live) -> None:
    head = live.make().split("\n= 1 ")[0]
    assert "card-unhealthy: cards are not healthy" in head
    assert re.search(r"\n +1 +0 +[0-9.]+ +[0-9]+  npu-smi info\n", head)
    assert re.search(r"masked +host names \d+, user names \d+", head)


def test_the_same_names_in_the_inventory_are_masked(live: Live) -> None:
    live.answers["npu-smi -v"] = "npu-smi version: 1 on rack4-slot2"
    assert "rack4-slot2" in live.make()
    assert "rack4-slot2" not in live.make(names=["rack4-slot2"])


def test_a_record_that_leaks_is_not_handed_out(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mask, "apply", lambda _self, content: content)
    with pytest.raises(AscendError) as raised:
        live.make()
    assert "host names" in raised.value.found
    assert "npu-017" not in str(raised.value)


def test_dmesg_keeps_the_lines_that_matter(live: Live) -> None:
    content = next(section.content for section in replay.sections(live.make(), "command") if section.title == "dmesg")
    assert content.startswith("[2.0] davinci 0000:c1:00.0")
    assert content.endswith("[1 of 10 lines]\n")


# --- it only asks --------------------------------------------------------------------------------------------------

READS = (
    r"npu-smi -v",
    r"npu-smi info",
    r"npu-smi info -[lm]",
    r"npu-smi info -t topo",
    r"npu-smi info -t (board|common|usages|memory|ecc|health|proc-mem) -i [0-9]+",
    r"npu-smi info -t board -i [0-9]+ -c [0-9]+",
    r"hccn_tool -i [0-9]+ -(ip|gateway|link|net_health|netdetect|link_stat|optical|lldp|fec|tls|route) -g",
    r"hccn_tool -i [0-9]+ -(mac|mtu|speed|stat) -g",
    r"uname -a|lscpu|lspci -d 19e5:|lsmod|dmesg|df -kP|mount|ldconfig -p|id HwHiAiUser",
)


def test_every_query_only_reads() -> None:
    devices = [{"npu_id": npu, "chip_id": chip} for npu in range(40) for chip in (0, 1)]
    found = record_sources.queries(devices, range(80))
    assert len({query.argv for query in found}) == len(found) < 600
    strange = [query.argv for query in found if not any(re.fullmatch(form, " ".join(query.argv)) for form in READS)]
    assert strange == []


@pytest.mark.parametrize(
    "words",
    [
        "npu-smi set -t reset -i 0 -c 0",
        "npu-smi upgrade -b mcu -i 0",
        "hccn_tool -i 0 -ip -s address 192.0.2.1",
        "dmesg -C",
    ],
)
def test_what_changes_something_is_no_form_of_reading(words: str) -> None:
    assert not any(re.fullmatch(form, words) for form in READS)


def test_a_record_changes_no_file(live: Live) -> None:
    before = {path: (os.lstat(path).st_mtime_ns, os.lstat(path).st_size) for path in live.root.rglob("*")}
    live.make()
    assert {path: (os.lstat(path).st_mtime_ns, os.lstat(path).st_size) for path in live.root.rglob("*")} == before


def test_pseudonyms_are_random(live: Live) -> None:
    assert live.make(rng=random.Random(1)) != live.make(rng=random.Random(2))
