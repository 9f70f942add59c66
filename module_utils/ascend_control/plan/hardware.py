# SPDX-License-Identifier: Apache-2.0
"""What forbids a change because of the hardware: driver, firmware, cards."""

from __future__ import annotations

from collections import Counter

from ...ascend.errors import AscendError
from ...ascend.finding import Refusal, refusal
from ...ascend.npu.chips import chip_family
from ...ascend.text import listed
from ...ascend.versions import compare_driver, same, same_branch
from .asked import Wanted
from .components import Step, as_refusal
from .found import Device, Found

Devices = list[Device]
_TABLE = "npu-smi info"
_SAYS_MORE = ("firmware-incompatible", "driver-reboot-pending")
_MOST_CARD = 15  # the highest id of a 910B server, which has eight cards or sixteen


def hardware(found: Found, wanted: Wanted, steps: list[Step]) -> tuple[list[Refusal], list[Refusal]]:
    """Return (refusals, warnings and remarks)."""
    npu = found.npu
    sick: list[Refusal] = []
    if not npu.answered:
        refusals = [as_refusal(finding) for finding in found.findings if finding["subset"] == "npu"][:1]
    elif not npu.devices:
        refusals = [_no_card()]
    else:
        devices = in_use(npu.devices, wanted)
        refusals = _chips(devices, wanted) + _count(npu.devices, wanted) + _memory(devices, wanted)
        refusals += _unknown_out(npu.devices, wanted)
        refusals += [] if devices else [_every_card_out(wanted)]
        sick = _health(devices)
    old, warnings = _driver(found, wanted, bool(steps))
    for group, policy in ((sick, wanted.cards.health_policy), (old, wanted.driver.policy)):
        (warnings if policy == "warn" else refusals).extend(group)
    return refusals, warnings


def in_use(devices: Devices, wanted: Wanted) -> Devices:
    """Return the chips of the cards that the inventory does not take out."""
    return [device for device in devices if device.npu_id not in wanted.cards.out]


def of_cards_out(name: str, found: Found, wanted: Wanted) -> bool:
    """Whether a finding that counts npu-smi's chips and device files is only about cards that are out."""
    devices, files = found.npu.devices, found.driver.device_nodes
    out, shown = set(wanted.cards.out), Counter(device.npu_id for device in devices)
    if not out:
        return False
    if name == "fewer-chips-visible":
        return bool(files - len(devices) <= len(out.difference(shown)) * max(shown.values(), default=1))
    return bool(name == "device-files-missing" and len(devices) - files <= sum(shown[card] for card in out))


def _no_card() -> Refusal:
    remedy = "npu-smi info -l; lspci | grep -i d802  # are the cards seated and bound to the driver?"
    return refusal("cards", "card", "npu-smi shows no card", "at least one card", "none", remedy, _TABLE)


def _unknown_out(devices: Devices, wanted: Wanted) -> list[Refusal]:
    """A card that is out may have fallen off the bus and not be shown; one beyond the node's cards is a mistake."""
    shown = sorted({int(device.npu_id) for device in devices})
    most = max(shown[-1], wanted.cards.count - 1, _MOST_CARD)
    unknown = [card for card in wanted.cards.out if card > most]
    if not unknown:
        return []
    return [
        refusal(
            "cards",
            "cards-out-unknown",
            "ascend_cards_out names a card that the node does not have",
            f"ids of npu-smi, here of {', '.join(str(card) for card in shown)}",
            ", ".join(str(card) for card in unknown),
            "npu-smi info -l  # shows the ids; then correct ascend_cards_out in the inventory, such as [4, 6]",
            "the inventory",
        )
    ]


def _every_card_out(wanted: Wanted) -> Refusal:
    out = ", ".join(str(card) for card in wanted.cards.out)
    remedy = "remove the node from the inventory, or a healthy card from ascend_cards_out"
    return refusal("cards", "card", "ascend_cards_out excludes every card", "a card to train on", out, remedy, _TABLE)


def _chips(devices: Devices, wanted: Wanted) -> list[Refusal]:
    names = sorted({str(device.name) for device in devices})
    supported = ", ".join(sorted(family for family, chip in wanted.chips.items() if chip.supported))
    refusals = []
    for name in names:
        family = chip_family(name, {family: chip.names for family, chip in wanted.chips.items()})
        chip = wanted.chips.get(family or "")
        if chip and chip.supported:
            continue
        why = chip.reason if chip else f"release {wanted.release} does not know it"
        refusals.append(
            refusal(
                "cards",
                "chip",
                f"chip {name} is not supported: {why}",
                f"cards of {supported}",
                f"{name} ({family or 'unknown'})",
                "remove the node from the inventory, or give it a release that supports the chip",
                _TABLE,
                name,
            )
        )
    return refusals


def _health(devices: Devices) -> list[Refusal]:
    """One refusal per card, so that a second sick card is a new finding."""
    sick: dict[int, list[str]] = {}
    for device in devices:
        if device.health != "OK":
            sick.setdefault(device.npu_id, []).append("NPU {} chip {}: {}".format(*_sickness(device)))
    return [
        refusal(
            "cards",
            "health",
            f"card {card} is not healthy",
            "health OK",
            ", ".join(words),
            f"npu-smi info -t health -i {card}  # then the vendor's service; until then ascend_cards_out: [{card}]",
            _TABLE,
            str(card),
        )
        for card, words in sick.items()
    ]


def _sickness(device: Device) -> tuple[int, int | None, str]:
    words = (device.health or "unread") + "".join(" " + code for code in device.errors)
    return device.npu_id, device.chip_id, words


def _count(devices: Devices, wanted: Wanted) -> list[Refusal]:
    """The inventory's number of cards; 0 if it sets none. One that is out may be gone or still present."""
    shown, want = {device.npu_id for device in devices}, wanted.cards.count
    count = len(shown)
    if not want or want in (count, len(shown.union(wanted.cards.out))):
        return []
    problem = f"there are {count} cards, not {want}"
    remedy = "lspci | grep -i d802; dmesg | grep -i davinci  # did a card fall off the bus? else set ascend_card_count"
    return [refusal("cards", "card-count", problem, f"{want} cards", f"{count} cards", remedy, _TABLE)]


def _memory(devices: Devices, wanted: Wanted) -> list[Refusal]:
    """The inventory's memory of each chip in MB; 0 if it sets none. A size that the table lacks is not judged."""
    want = wanted.cards.memory_mb
    sizes = Counter(device.hbm_total_mb or device.memory_total_mb or want for device in devices)
    others = [f"{count} x {size} MB" for size, count in sorted(sizes.items()) if size != want]
    if not want or not others:
        return []
    remedy = "npu-smi info  # a different model? if not, correct ascend_card_memory_mb"
    problem = "the chips' memory size differs from the inventory's"
    return [refusal("cards", "card-memory", problem, f"{want} MB on each chip", ", ".join(others), remedy, _TABLE)]


def _driver(found: Found, wanted: Wanted, changes: bool) -> tuple[list[Refusal], list[Refusal]]:
    """Return (what is older than the release needs, what is unknown) of the loaded driver and its firmware."""
    # Not the driver on disk, which may wait for a reboot.
    version = str(found.npu.driver_version or found.driver.version or "")
    if not found.npu.answered and not version:
        return [], []  # already refused for npu-smi
    minimum = wanted.driver.minimum
    try:
        newer = compare_driver(version, minimum) >= 0
    except AscendError:
        return [], [_order_unknown("driver", version, minimum, wanted, changes)]
    if not newer:
        return [_old_driver(version, wanted)], []
    return _firmware(found, version, wanted, changes)


def _old_driver(version: str, wanted: Wanted) -> Refusal:
    minimum = wanted.driver.minimum
    return refusal(
        "driver",
        "driver",
        f"the driver is older than release {wanted.release} needs",
        f"driver {minimum} or newer (firmware {wanted.driver.firmware})",
        version,
        f"install Ascend HDK {minimum} or newer, reboot; to continue regardless: -e ascend_driver_policy=warn",
        _TABLE,
    )


def _firmware(found: Found, driver: str, wanted: Wanted, changes: bool) -> tuple[list[Refusal], list[Refusal]]:
    """Each line of drivers numbers its own firmware, so the release's number says nothing about another line's.

    23.0.7 has 7.1.0.11.220 and 24.1.rc1, which is newer, 7.1.0.6.220. Whether the two on a node go together, the
    driver's own files say (npu/driver.py). Firmware that no file names is not judged, because a container sees none.
    """
    version, minimum = str(found.driver.firmware_version or ""), wanted.driver.firmware
    if not version:
        return [], []
    if not same_branch(driver, wanted.driver.minimum):
        return [], _of_another_driver(found, driver, version, wanted)
    try:
        newer = compare_driver(version, minimum) >= 0
    except AscendError:
        return [], [_order_unknown("firmware", version, minimum, wanted, changes)]
    if newer:
        return [], _of_another_driver(found, driver, version, wanted)
    old = refusal(
        "driver",
        "firmware",
        f"the firmware is older than release {wanted.release} needs",
        f"firmware {minimum} or newer",
        version,
        f"install the firmware of Ascend HDK {driver}, the same as the driver's, reboot; to continue regardless:"
        " -e ascend_driver_policy=warn",
        "firmware/version.info",
    )
    return [old], []


def _of_another_driver(found: Found, driver: str, version: str, wanted: Wanted) -> list[Refusal]:
    """A remark if the table knows the driver's firmware, and this is an older one, or that of another driver.

    An upgrade, which needs both, may have stopped half-way. If the driver's own file says that they do not match, or
    the driver waits for a reboot, that finding is enough.
    """
    own = _firmware_of(driver, wanted)
    others = [other for other, firmware in wanted.driver.firmwares.items() if same(firmware, version)]
    if not own or same(own, version) or any(each["name"] in _SAYS_MORE for each in found.findings):
        return []
    if not others and not _older(version, own):
        return []
    whose = f", that of driver {listed(others)}" if others else ""
    return [
        refusal(
            "driver",
            "firmware-of-another-driver",
            "the firmware is not the one that comes with the driver",
            f"firmware {own}, as in Ascend HDK {driver}",
            f"{version}{whose}",
            f"install driver and firmware of one Ascend HDK, such as the firmware of {driver}, and reboot",
            "firmware/version.info",
        )
    ]


def _firmware_of(driver: str, wanted: Wanted) -> str:
    """Return the firmware of a driver's own Ascend HDK; "" if the table has no row for exactly this driver."""
    return next((firmware for other, firmware in wanted.driver.firmwares.items() if same(other, driver)), "")


def _older(one: str, other: str) -> bool:
    try:
        return compare_driver(one, other) < 0
    except AscendError:
        return False


def _order_unknown(what: str, version: str, minimum: str, wanted: Wanted, changes: bool) -> Refusal:
    """The operator must know it before a change. A node that needs none has proven its versions on its cards."""
    return refusal(
        "driver",
        what + ("-order-unknown" if changes else "-unordered"),
        f"cannot tell whether the {what} is new enough for release {wanted.release}",
        f"{what} {minimum} or newer",
        f"{version}, which cannot be compared" if version else "no version",
        "ansible-playbook playbooks/verify.yml --limit NODE  # if every card works, it is new enough",
        _TABLE if what == "driver" else "firmware/version.info",
    )
