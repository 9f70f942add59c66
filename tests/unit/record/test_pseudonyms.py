# SPDX-License-Identifier: Apache-2.0
"""What names a node or a person is found and replaced, the same everywhere; what only looks like it stays."""

from __future__ import annotations

import ipaddress
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.record.identities import KINDS, Identities, Text, find
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.record.pseudonyms import Mask
from tests import samples
from tests.hangs import no_hang


def mask(*texts: str, seed: int = 1, versions: bool = False, **known: Any) -> Mask:
    return Mask(find([Text(text, versions) for text in texts], **known), random.Random(seed))


def masked(text: str, **known: Any) -> str:
    """The text with everything masked, held to leak nothing."""
    one = mask(text, **known)
    done = one.apply(text)
    assert one.leaks(done) == []
    return done


STAYS = [
    "| npu-smi 23.0.6.2                 Version: 23.0.6.2                                             |",
    "Version=23.0.6.2",
    "driver_version: 23.0.6.2",
    "Firmware Version               : 7.1.0.6.220",
    "compatible_version_fw=[7.0.0,7.1.99.2]",
    "compatible_version_drv=[23.0.3.1,23.0.3.9]",
    "driver 23.0.6.2, as installed; driver 24.1.0.3 runs",
    "Ascend-hdk-910b-npu-driver_23.0.6.2_linux-aarch64.run",
    "libfoo.so.1.2.3.4 => /usr/lib64/libfoo.so.1.2.3.4",
    "kernel 5.10.0-60.18.0.50.oe2203.aarch64",
    "PCIe Bus Info                  : 0000:C1:00.0",
    "davinci 0000:c1:00.0: probe, 12:30:45, Wed Aug  2 03:09:26 2022",
    "lspci -d 19e5: and 19e5:d802 (rev 20), 0x19E5",
    "ipaddr:0.0.0.0 netmask:255.255.240.0 lo 127.0.0.1/8 255.255.255.255 ff02::1 ::1 :: fe80::",
    "Serial Number                  : NA",
    "vendor serial number : XXXXXXXXXXX",
    "VDie ID                        : 00000000 00000000 00000000",
    "mac addr: 00:00:00:00:00:00 ff:ff:ff:ff:ff:ff",
    "ge::Graph be::add std::abs(a::b)",
    "vendor org unique id : 0xac 0x4a 0x0",
    "UserName=HwHiAiUser UserGroup=root",
    "https://www.hiascend.com/document",
    "manufact date code   : 2023.6.18",
    "tokenizer_path: /x, max_tokens=512",
    "0.1.2.3 is this network, 239.1.2.3 a group",
    "memory 1024/65536, 45.5 C, 3862 MB, 12:34",
]


@pytest.mark.parametrize("text", STAYS)
def test_what_names_nobody_stays(text: str) -> None:
    assert masked(text) == text


GOES = [
    ("ipaddr:10.9.0.17", "10.9.0.17"),
    ("address_0=10.9.0.17", "10.9.0.17"),
    ("default         10.9.0.1         0.0.0.0  UG", "10.9.0.1"),
    ("10.9.3.4:/export on /data type nfs4 (rw,addr=10.9.3.4)", "10.9.3.4"),
    ("python train.py --master_addr 10.9.3.4", "10.9.3.4"),
    ("python train.py 10.9.3.4", "10.9.3.4"),
    ("rdzv=10.9.3.4:29500", "10.9.3.4"),
    ("http://10.9.3.4/depot", "10.9.3.4"),
    ("version of the server at 10.9.3.4", "10.9.3.4"),
    ("driver: cannot connect to 10.9.3.4.", "10.9.3.4"),
    ("::ffff:10.9.3.4", "10.9.3.4"),
    ("IPv4: 10.9.3.4", "10.9.3.4"),
    ("routes 10.9.0.0/16 via 10.9.0.1", "10.9.0.0"),
    ("range 10.9.3.4-10.9.3.9", "10.9.3.9"),
    ("inet6 fe80::2e0:fcff:fe12:3456/64", "2e0:fcff:fe12:3456"),
    ("ipv6 addr:2001:db8:1:2::17", "2001:db8:1:2::17"),
    ("[fd12:3456:789a::1]:8080", "fd12:3456:789a::1"),
    ("mac addr: 00:E0:FC:12:34:56", "00:E0:FC:12:34:56"),
    ("mac:00:e0:fc:12:34:56", "00:e0:fc:12:34:56"),
    ("Chassis 00e0-fc12-3456", "00e0-fc12-3456"),
    ("00-E0-FC-12-34-56", "00-E0-FC-12-34-56"),
    ("guid 00:e0:fc:12:34:56:78:9a", "00:e0:fc:12:34:56:78:9a"),
    ("Serial Number                  : 2102313LNR10K5000123", "2102313LNR10K5000123"),
    ("vendor serial number : H51A0012345", "H51A0012345"),
    ("SN: 033ABC10N7000011", "033ABC10N7000011"),
    ("VDie ID   : 1D21C00C 20E0A0F4 4B04C00A 0D1A2C10 4D1001D3", "1D21C00C 20E0A0F4"),
    ('"serial_number": "2102313LNR10K5000123"', "2102313LNR10K5000123"),
    ("root=UUID=4b1f0a3e-1234-4cde-8f01-0123456789ab ro", "4b1f0a3e-1234-4cde-8f01-0123456789ab"),
    ("/home/" + "zhangsan/train.py", "zhangsan"),
    ("Install_UserName=zhangsan", "zhangsan"),
    ("by zhang.san@example.com", "zhang.san@example.com"),
    ("http://user7:geheim99@proxy.corp.local:3128", "geheim99"),
    ("http://user7:geheim99@proxy.corp.local:3128", "proxy"),
    ("WANDB_API_KEY=0123abcd", "0123abcd"),
    ("--token hf_abcd1234", "hf_abcd1234"),
    ("python\0--hub_token\0hf_abcd1234\0", "hf_abcd1234"),
    ("Authorization: Bearer abcdefgh1234", "abcdefgh1234"),
    ("password: geheim99", "geheim99"),
    ("--hub_token geheim", "geheim"),
    ("System Name TLV\n\tspine-17-b", "spine-17-b"),
    ("nas-4.corp:/vol1 on /data type nfs4 (rw)", "nas-4"),
    ("subject[/C=CN/O=Acme Works/CN=www.acme.test]", "Acme Works"),
]


@pytest.mark.parametrize(("text", "secret"), GOES)
def test_what_names_somebody_goes(text: str, secret: str) -> None:
    done = masked(text)
    assert secret.lower() not in done.lower()
    assert len(done.split()) == len(text.split()) or " " in secret


def test_known_names_go_wherever_they_stand() -> None:
    text = "NPU-017 npu-017.cluster.corp.test:/x log_npu-017_1.txt plog-npu-017.log wang's /data/wang wangfu npu-0171"
    done = masked(text, hosts=["npu-017.cluster.corp.test"], users=["wang"])
    assert not re.search(r"(?i)npu-017\b(?!1)|corp|\bwang\b", done)
    assert done.endswith("wangfu npu-0171")
    assert len(done) == len(text)


def test_names_of_the_inventory_may_be_addresses() -> None:
    done = masked("node-a 10.9.3.4 fe80::17:1", hosts=["node-a", "10.9.3.4", "fe80::17:1"])
    assert not re.search("node-a|10.9.3.4|fe80::17:1", done)


@pytest.mark.parametrize("name", ["ascend", "npu", "root", "a", "17", "localhost"])
def test_names_that_are_words_of_the_tools_stay_and_are_told(name: str) -> None:
    found = find([Text("npu ascend root a 17")], hosts=[name])
    assert (found.hosts, found.kept) == ((), (name,))


def test_one_number_is_a_version_here_and_an_address_there() -> None:
    texts = ["Version: 23.0.6.2", "something 23.0.6.2"]
    assert find([Text(text) for text in texts]).ipv4 == ()
    assert find([Text(texts[1])]).ipv4 == ("23.0.6.2",)
    assert find([Text(texts[1], versions=True)]).ipv4 == ()
    # Called an address once, it is one everywhere: rather a version too many is masked.
    one = mask(*texts, "ipaddr:23.0.6.2")
    assert "23.0.6.2" not in one.apply("\n".join(texts))


def test_the_same_value_has_the_same_pseudonym() -> None:
    text = "address_0=10.9.3.4\nipaddr:10.9.3.4\nmac 00:e0:fc:12:34:56\nmac 00E0-FC12-3456\nSN: AB12CD34EF\nAB12CD34EF"
    lines = masked(text).split("\n")
    assert lines[0].split("=")[1] == lines[1].split(":")[1]
    assert re.sub("[^0-9a-f]", "", lines[2][4:]) == re.sub("[^0-9a-f]", "", lines[3][4:].lower())
    assert lines[4].split()[1] == lines[5]


def test_another_record_has_other_pseudonyms() -> None:
    text = "ipaddr:10.9.3.4 SN: AB12CD34EF"
    assert len({mask(text, seed=seed).apply(text) for seed in range(20)}) > 15
    assert len({Mask(find([Text(text)])).apply(text) for _ in range(5)}) > 1


addresses = st.builds(
    "{}.{}.{}.{}".format, st.sampled_from([10, 172, 192, 11, 23, 58]), *[st.integers(0, 255) for _ in range(3)]
)  # fmt: skip


def prefix(one: str, other: str) -> int:
    """How many bits two addresses share."""
    return 32 - (int(ipaddress.IPv4Address(one)) ^ int(ipaddress.IPv4Address(other))).bit_length()


@given(st.lists(addresses, min_size=1, max_size=40, unique=True), st.integers())
def test_prefixes_survive(quads: list[str], seed: int) -> None:
    text = "\n".join(f"ipaddr:{quad}" for quad in quads)
    new = [line.split(":")[1] for line in mask(text, seed=seed).apply(text).split("\n")]
    assert len(set(new)) == len(quads)
    assert not set(new) & set(quads)
    for old_a, new_a in zip(quads, new, strict=True):
        assert old_a.split(".")[3] == new_a.split(".")[3]
        assert not ipaddress.IPv4Address(new_a).is_multicast
        for old_b, new_b in zip(quads, new, strict=True):
            networks = [quad for quad in (old_a, old_b) if re.search(r"\.(?:0\.0|255\.255)$", quad)]
            if not networks and old_a.split(".")[0] == old_b.split(".")[0]:
                assert min(prefix(old_a, old_b), 24) == min(prefix(new_a, new_b), 24)


@pytest.mark.parametrize("length", [8, 12, 16, 20, 24, 26, 28])
def test_a_gateway_stays_in_its_subnet(length: int) -> None:
    network = ipaddress.IPv4Interface(f"10.77.145.200/{length}").network
    gateway = str(network.broadcast_address - 1)
    text = f"ipaddr:10.77.145.200\nnetmask:{network.netmask}\ngateway:{gateway}\n"
    for seed in range(20):
        address, netmask, other = re.findall(r":(\S+)", mask(text, seed=seed).apply(text))
        assert netmask == str(network.netmask)
        assert ipaddress.IPv4Address(other) in ipaddress.IPv4Interface(f"{address}/{length}").network


def test_networks_and_broadcasts_stay_what_they_are() -> None:
    done = masked("ipaddr:10.9.0.0 ipaddr:10.9.255.255 ipaddr:10.9.3.0 ipaddr:10.9.3.255 ipaddr:10.9.3.1")
    assert re.fullmatch(
        r"ipaddr:(\d+\.\d+)\.0\.0 ipaddr:\1\.255\.255 ipaddr:(\1\.\d+)\.0 ipaddr:\2\.255 ipaddr:\2\.1", done
    )


def test_ipv6_networks_survive() -> None:
    text = "2001:db8:5:17:a::4 2001:db8:5:17:b::4 2001:db8:5:18:a::4 fe80::4:1"
    one, same_net, other_net, local = (ipaddress.IPv6Address(word).exploded[:19] for word in masked(text).split())
    assert one == same_net
    assert one[:15] == other_net[:15]
    assert one != other_net
    assert local == "fe80:0000:0000:0000"


def test_columns_stay_in_their_place() -> None:
    table = "Destination     Gateway         Genmask\n10.9.0.0        10.9.0.1        255.255.0.0     U\n"
    for seed in range(30):
        _header, row, _end = mask(table, seed=seed).apply(table).split("\n")
        assert [match.start() for match in re.finditer(r"\S+", row)] == [0, 16, 32, 48]


def test_a_whole_fleet_is_masked() -> None:
    hosts = "".join(f"10.{n // 250}.{n % 250}.7 train-{n:04d} train-{n:04d}.corp.test\n" for n in range(1000))
    text = hosts + "x" * 1_500_000
    with no_hang():
        one = mask(text, hosts=[f"train-{n:04d}" for n in range(1000)])
        assert one.leaks(one.apply(text)) == []


@pytest.mark.parametrize(
    "piece", ["1.", "a@", "00:", ":", "fe80:", "--token", "//", "a-", "user=", "0 ", "/home/", "SN:"]
)
def test_no_text_takes_for_ever(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    with no_hang():
        mask(text).apply(text)


@settings(max_examples=200)
@given(st.text(alphabet="0123456789abcdefxyzSN:./-@ \n\0=|_\u4e2d", max_size=200))
def test_no_text_breaks_it_and_nothing_found_is_left(text: str) -> None:
    one = mask(text)
    assert one.leaks(one.apply(text)) == []


def test_leaks_are_seen() -> None:
    text = (
        "npu-017 /home/zhangsan SN: AB12CD34EF ipaddr:10.9.3.4 fe80::17:1 00:e0:fc:12:34:56 z.s@example.com "
        "4b1f0a3e-1234-4cde-8f01-0123456789ab --token hf_abcd1234"
    )
    one = mask(text, hosts=["npu-017"])
    assert one.leaks(text) == sorted(KINDS.values())
    assert one.leaks("10.9.3.44 110.9.3.4 10.9.3.4.5 xAB12CD34EF") == []


def test_what_was_found_is_counted_by_kind() -> None:
    assert set(KINDS) == set(Identities.__annotations__) - {"kept"}


# Folders in which nobody's address stands, and what looks like one is a version.
FOLDERS = ("npu-smi-info", "npu-smi-sub", "version-files")


@pytest.mark.parametrize("folder", FOLDERS)
def test_real_outputs_keep_their_versions_and_bus_ids(folder: str) -> None:
    for path in samples.kind(folder):
        text = path.read_text(errors="surrogateescape")
        assert find([Text(text)]).ipv4 == (), path.name
        done = mask(text).apply(text)
        ours = re.compile(r"(?i)serial number|die id|user|uuid|/home/|subject|issuer|token")
        for before, after in zip(text.split("\n"), done.split("\n"), strict=True):
            assert before == after or ours.search(before), path.name


def test_real_addresses_go() -> None:
    for path in samples.kind("hccn"):
        text = path.read_text(errors="surrogateescape")
        addresses = set(re.findall(r"(?:ipaddr:|address_\d+=|gateway_\d+=|PING )(\d+\.\d+\.\d+\.\d+)", text))
        done = mask(text).apply(text)
        assert not [address for address in addresses if re.search(rf"(?<![\d.]){re.escape(address)}(?![\d.])", done)], (
            path
        )
