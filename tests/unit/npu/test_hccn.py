# SPDX-License-Identifier: Apache-2.0
"""hccn_tool's answers and /etc/hccn.conf: every form, damaged ones, and real ones where they are at hand."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.hccn import (
    parse_address,
    parse_gateway,
    parse_link,
    parse_link_stat,
    parse_net_health,
    parse_ping,
    parse_tls,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.hccn_answer import read
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.hccn_conf import (
    address_of,
    netmask_of,
    parse_conf,
)
from tests import samples
from tests.hangs import no_hang

# Every value is text, as the tools print it.
EXPECTED: dict[str, Any] = samples.expected("hccn", yaml.BaseLoader)

LINK_STAT = """\
[devid 4]current time        : Sat May  4 10:00:00 2024
[devid 4]link up count       : 2
[devid 4]link change records :
[devid 4]    Sat May  4 09:59:59 2024    LINK UP
[devid 4]    Sat May  4 09:59:50 2024    LINK DOWN
"""
TABLES = """\
+------+---------+
| Port | Address |
+------+---------+
| a0   | fe80::1 |
|      | fe80::2 |
+------+---------+
| a1   | NA      |
+------+---------+
+------+
| Name |
+------+
| x    |
+------+
"""
TLS = """\
dev_id:3, tls switch[1](0:disable, 1:enable), tls preconfigured[0](0:no, 1:yes), tls alarm time threshold[30]days
dev_id:3, [pub cert] info:
         subject[/C=CN/CN=node]
         issuer[/C=CN/CN=ca]
         start_time[Mon Jan  1 00:00:00 2024 GMT]
         end_time[Tue Jan  1 00:00:00 2030 GMT]
         tls expiration status[2](0:normal, 1:near expiration, 2:has expired)
"""
PING = "device 1 PING 10.9.0.2\nrecv seq=0,time=0.500000ms\n2 packets transmitted, 1 received, 50.00% packet loss\n"
CONF = """\
# set by the installer
address_0=10.9.0.1
netmask_0=255.255.0.0
netdetect_0=10.9.255.254
gateway_0=10.9.255.254
send_arp_status_0=1
address_10 = 10.9.0.11   # the eleventh
"""


def plain(value: object) -> Any:
    """A value the way the file of expected values writes it."""
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return str(value)


class Sample:
    """Compares one sample with what is expected of it, and knows what was compared."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: tuple[str, ...] = ()

    def sections(self, wanted: list[dict[str, Any]]) -> None:
        answer = read(self.text)
        found = [
            {
                "title": section.title,
                "pairs": dict(section.pairs),
                "lines": list(section.lines),
                "tables": [[list(table.columns), *(list(row) for row in table.rows)] for table in section.tables],
            }
            for section in answer.sections
        ]
        assert found == [{"title": "", "pairs": {}, "lines": [], "tables": [], **section} for section in wanted]
        self.problems = answer.problems

    def device(self, wanted: str) -> None:
        assert str(read(self.text).device) == wanted

    def address(self, wanted: dict[str, str]) -> None:
        found = parse_address(self.text)
        assert (str(found.address), str(found.netmask), found.error) == (wanted["address"], wanted["netmask"], "")
        assert wanted.get("problem", "") in " ".join(found.problems)
        assert bool(found.problems) == ("problem" in wanted)

    def link(self, wanted: str) -> None:
        found = parse_link(self.text)
        assert (found.value, found.error, found.problems) == (wanted, "", ())

    def net_health(self, wanted: str) -> None:
        found = parse_net_health(self.text)
        assert (found.value, found.error, found.problems) == (wanted, "", ())

    def link_stat(self, wanted: dict[str, Any]) -> None:
        found = vars(parse_link_stat(self.text))
        assert found.pop("problems") == ()
        # A line's blanks may be any; in the table the device is a column.
        assert {key: plain(value) for key, value in found.items()} == wanted

    def calls(self, wanted: list[list[str]]) -> None:
        addresses = [(command, parse_address(answer)) for command, answer in samples.answers(self.text)]
        assert plain([[command, at.address, at.netmask] for command, at in addresses]) == wanted
        assert {(at.error, at.problems) for _, at in addresses} == {("", ())}

    def tls(self, wanted: dict[str, Any]) -> None:
        found = parse_tls(self.text)
        assert [plain(list(vars(part).values())) for part in found.certificates] == wanted["certificates"]
        assert plain([found.device, found.switch, found.preconfigured, found.alarm_days]) == [
            wanted[key] for key in ("device", "switch", "preconfigured", "alarm_days")
        ]
        assert found.problems == ()

    def conf(self, wanted: dict[str, Any]) -> None:
        found = parse_conf(self.text)
        assert {str(card.index): dict(card.values) for card in found.cards} == wanted
        for card in found.cards:
            told = wanted[str(card.index)]
            assert (card.address, card.netmask, card.gateway) == (told["address"], told["netmask"], told["gateway"])
        self.problems = found.problems

    def ping(self, wanted: dict[str, Any]) -> None:
        found = vars(parse_ping(self.text))
        assert found.pop("problems") == ()
        assert {key: plain(value) for key, value in found.items()} == wanted


@pytest.mark.parametrize("name", EXPECTED)
def test_real_answers(name: str) -> None:
    expected = dict(EXPECTED[name])
    numbers = expected.pop("problems", [])
    sample = Sample(samples.text("hccn/" + name))
    for what, wanted in expected.items():
        getattr(sample, what)(wanted)
    assert [problem.partition(":")[0] for problem in sample.problems] == [f"line {number}" for number in numbers]


def test_expected_values_have_their_answers() -> None:
    samples.require_names("hccn", EXPECTED)


@pytest.mark.parametrize(
    ("text", "address", "netmask", "prefix"),
    [
        ("ipaddr:10.9.0.1\nnetmask:255.255.0.0\n", "10.9.0.1", "255.255.0.0", None),
        ("ipaddr : 10.9.0.1\r\nnetmask : 255.255.0.0\r\n", "10.9.0.1", "255.255.0.0", None),
        ("\x1b[1mipaddr:\t10.9.0.1\x1b[0m\nnetmask:255.255.0.0\n", "10.9.0.1", "255.255.0.0", None),
        ("ipv6_address:2001:DB8::0:1\nprefix_length:64\n", "2001:db8::1", None, 64),
        ("ipaddr:10.9.0.1/16\n", "10.9.0.1", None, 16),
        ("", None, None, None),
        ("ipaddr:\nnetmask:\n", None, None, None),
        ("ipaddr:0.0.0.0\nnetmask:0.0.0.0\n", None, None, None),
    ],
)
def test_address(text: str, address: str | None, netmask: str | None, prefix: int | None) -> None:
    found = parse_address(text)
    assert (found.address, found.netmask, found.prefix_length) == (address, netmask, prefix)
    assert (found.error, found.problems) == ("", ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ipaddr:10.9.0\nnetmask:255.255.0.0\n", "'10.9.0'"),
        ("ipaddr:10.xx.xx.7\nnetmask:255.255.0.0\n", "'10.xx.xx.7'"),
        ("ipaddr:010.9.0.1\n", "'010.9.0.1'"),
        ("ipaddr:10.9.0.1\nnetmask:255.255\n", "netmask is '255.255'"),
        ("ipaddr:10.9.0.1\nnetmask:255.0.255.0\n", "netmask is '255.0.255.0'"),
        ("ipaddr:10.9.0.1\nnetmask:0.0.0.255\n", "netmask is '0.0.0.255'"),
        ("ipaddr:10.9.0.1\nipaddr:10.9.0.2\n", "2 addresses"),
        ("ipv6_address:2001:db8::1\nprefix_length:640\n", "'640'"),
        ("ipaddr:10.9.0.1\n...\n", "line 2"),
    ],
)
def test_what_is_no_address_is_a_problem(text: str, said: str) -> None:
    assert said in " ".join(parse_address(text).problems)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("default gateway:10.9.255.254, Iface:eth0\n", "10.9.255.254"),
        ("default gateway : 10.9.255.254\n", "10.9.255.254"),
        ("gateway:10.9.255.254\n", "10.9.255.254"),
        ("Default Gateway: fe80::1 Iface: eth1", "fe80::1"),
        ("default         10.9.255.254    0.0.0.0   UG    0      0        0 eth3\n", "10.9.255.254"),
        ("default via 10.9.255.254 dev eth3\n", "10.9.255.254"),
        ("default gateway:, Iface:eth0\n", None),
        ("", None),
    ],
)
def test_gateway(text: str, address: str | None) -> None:
    found = parse_gateway(text)
    assert (found.value, found.error, found.problems) == (address, "", ())


def test_a_gateway_that_is_no_address() -> None:
    assert parse_gateway("default gateway:10.9.x.x, Iface:eth0").problems == ("gateway is '10.9.x.x'",)


def test_single_words() -> None:
    assert parse_link("Link Status : up\n").value == "UP"
    assert parse_link("link status: U").problems == ("link status is 'U'",)
    assert parse_net_health("net health status: receive timeout\n").value == "Receive timeout"
    broken = parse_net_health("net health status: Suc")
    assert (broken.value, broken.problems) == ("Suc", ("net health status is 'Suc'",))


@pytest.mark.parametrize("parse", [parse_address, parse_gateway, parse_link, parse_net_health])
def test_words_instead_of_a_value(parse: Any) -> None:
    found = parse("This device does not support the command.\nAsk somebody.\n")
    assert found.error == "This device does not support the command. Ask somebody."
    assert parse("[ERROR] ret: -5").error == "[ERROR] ret: -5"
    assert parse("").error == ""


def test_link_stat() -> None:
    found = parse_link_stat(LINK_STAT)
    assert (found.device, found.now, found.up_count) == (4, "Sat May  4 10:00:00 2024", 2)
    assert found.changes == (("Sat May  4 09:59:59 2024", "UP"), ("Sat May  4 09:59:50 2024", "DOWN"))
    assert found.problems == ()
    assert parse_link_stat(LINK_STAT.replace("[devid 4]", "[device 4]")) == found
    assert parse_link_stat(LINK_STAT[:-5]).problems == ("not understood: 'Sat May 4 09:59:50 2024 LINK'",)


def test_lines_of_two_devices() -> None:
    answer = read(LINK_STAT + LINK_STAT.replace("devid 4", "devid 5"))
    assert (answer.device, answer.problems) == (None, ("lines of 2 devices",))


def test_tables() -> None:
    (section,) = read(TABLES).sections
    assert [table.columns for table in section.tables] == [("Port", "Address"), ("Name",)]
    assert section.tables[0].rows == (("a0", "fe80::1\nfe80::2"), ("a1", "NA"))
    assert section.tables[1].rows == (("x",),)


def test_a_cut_row_is_a_problem() -> None:
    answer = read(TABLES[: TABLES.index("NA ")])
    assert answer.sections[0].tables[0].rows == (("a0", "fe80::1\nfe80::2"),)
    assert answer.problems == ("line 7: 1 cells for 2 columns",)


def test_a_row_without_its_end_is_a_problem() -> None:
    answer = read(TABLES[: TABLES.index("NA ") + 1])
    assert answer.sections[0].tables[0].rows == (("a0", "fe80::1\nfe80::2"),)
    assert answer.problems == ("line 7: a row without its end",)


def test_a_deeper_line_goes_on() -> None:
    assert dict(read("packet statistics:\nrx:5\nnames: a\n   b\n").pairs) == {"rx": "5", "names": "a\nb"}


def test_rulers_and_titles() -> None:
    text = "port_id: 0x1\n==== UB ====\nfec: on\n===\nx: 1\npacket statistics:\nrx:5\nipv6_address:fe80::\n"
    assert [(part.title, dict(part.pairs)) for part in read(text).sections] == [
        ("", {"port_id": "0x1"}),
        ("UB", {"fec": "on", "x": "1"}),
        ("packet statistics", {"rx": "5", "ipv6_address": "fe80::"}),
    ]


def test_tls() -> None:
    found = parse_tls(TLS)
    assert (found.device, found.switch, found.preconfigured, found.alarm_days, found.problems) == (3, 1, 0, 30, ())
    (certificate,) = found.certificates
    assert (certificate.name, certificate.end, certificate.status) == ("pub cert", "Tue Jan  1 00:00:00 2030 GMT", 2)
    assert parse_tls("tls is off").problems == ("line 1: not understood: 'tls is off'", "no tls switch")


def test_ping() -> None:
    found = parse_ping(PING)
    assert (found.device, found.address, found.sent, found.received) == (1, "10.9.0.2", 2, 1)
    assert (found.loss_percent, found.times_ms, found.problems) == (50.0, (0.5,), ())
    assert parse_ping(PING[:-60]).problems[-1] == "no count of packets"


def test_conf() -> None:
    conf = parse_conf(CONF)
    assert [(card.index, card.address, card.netmask, card.gateway) for card in conf.cards] == [
        (0, "10.9.0.1", "255.255.0.0", "10.9.255.254"),
        (10, "10.9.0.11", None, None),
    ]
    assert ("send_arp_status", "1") in conf.cards[0].values
    assert conf.problems == ()
    assert parse_conf(CONF.replace("\n", "\r\n")) == conf


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("address_0=10.9.0.2", "address_0 has 2 values"),
        ("gateway_10=10.9.x.x", "gateway_10 is '10.9.x.x'"),
        ("netmask_10=255.255.", "netmask_10 is '255.255.'"),
        ("...", "lines were left out"),
        ("address_1", "not NAME_CARD=VALUE"),
    ],
)
def test_damage_in_the_conf_is_a_problem(line: str, said: str) -> None:
    conf = parse_conf(CONF + line + "\n")
    assert said in " ".join(conf.problems)
    first = conf.cards[0]
    assert first.address == (None if line.startswith("address_0") else "10.9.0.1")


def test_ipv6_in_the_conf() -> None:
    (card,) = parse_conf("ipv6_address_2=2001:db8::7\nipv6_prefix_2=64\n").cards
    assert (card.index, card.address, card.ipv6_address) == (2, None, "2001:db8::7")


def test_addresses() -> None:
    assert [address_of(text) for text in ("10.0.0.1", "1", "10.0.0.256", "fe80::1%eth0", "FE80::1", "x")] == [
        "10.0.0.1", None, None, None, "fe80::1", None,
    ]  # fmt: skip
    assert [netmask_of(text) for text in ("255.255.255.0", "24", "0.0.0.255", "255.0.255.0", "x")] == [
        "255.255.255.0", None, None, None, None,
    ]  # fmt: skip


PARSERS = (
    read, parse_address, parse_gateway, parse_link, parse_net_health, parse_link_stat, parse_tls, parse_ping,
    parse_conf,
)  # fmt: skip
WHOLE = LINK_STAT + TABLES + TLS + PING + CONF + "ipaddr:10.9.0.1\ndefault gateway:10.9.0.9, Iface:eth0\n"


@given(st.integers(0, len(WHOLE)), st.integers(0, len(WHOLE)))
def test_a_cut_never_raises(start: int, end: int) -> None:
    for parse in PARSERS:
        parse(WHOLE[start:end])


@given(st.permutations(WHOLE.splitlines()))
def test_shuffled_lines_never_raise(lines: list[str]) -> None:
    for parse in PARSERS:
        parse("\n".join(lines))


@given(st.text(alphabet=" \t\n:-0129adevi[]|+={}._#$%,\x1b", max_size=300))
def test_no_text_raises(text: str) -> None:
    for parse in PARSERS:
        parse(text)


@pytest.mark.parametrize(
    "line", ["# ", "a/", "a ", "LINK ", "| ", "+-", "a_1=", "dev_id:1, tls", "[devid 1]", "default "]
)
def test_no_line_takes_for_ever(line: str) -> None:
    for text in (line * 10_000, (line + "\n") * 10_000, "label   : 1\n" + f"   {line}\n" * 10_000):
        for parse in PARSERS:
            with no_hang():
                parse(text)
