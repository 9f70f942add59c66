# SPDX-License-Identifier: Apache-2.0
"""Write tables of npu-smi info, of every layout that was seen, from what a parser should read in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_smi import Device, Process

NAMES = ("910B3", "910B2C", "910A", "310P3", "310", "Ascend910", "Ascend 910B", "xxx", "昇腾９１０")
HEALTHS = ("OK", "OK", "OK", "Warning", "Alarm", "Critical", "UNKNOWN", "NA", "Not ready", "故障")
PROCESSES = ("python3", "", "ray worker", "a|b", "mindie | x", "VLLMWorker_TP0", "推理", "ray::RayTrainWorker")


@dataclass(frozen=True)
class Layout:
    """``second``: the column beside Chip ("Device", "Phy-ID" or ""). ``npu_id``: the Ascend 950's columns."""

    second: str = ""
    hugepages: bool = True
    hbm: bool = True
    npu_id: bool = False
    container: bool = False
    title: bool = True
    process_table: bool = True
    wide: int = 0  # more blanks in every cell
    tight: bool = False  # "64233/65536"


@dataclass(frozen=True)
class Table:
    """What a table says. ``idle``: NPU ids of its lines "No running processes"."""

    layout: Layout
    version: str
    devices: tuple[Device, ...]
    processes: tuple[Process, ...]
    idle: tuple[int, ...]

    def text(self) -> str:
        """The table, as npu-smi writes it."""
        return "\n".join(self.lines()) + "\n"

    def lines(self) -> list[str]:
        layout = self.layout
        first, second, third = 27 + layout.wide, 15 + layout.wide, 60 + layout.wide
        widths = [8, first - 9, second, third] if layout.npu_id else [first, second, third]
        dash = "+" + "+".join("-" * width for width in widths) + "+"
        double = dash.replace("-", "=")
        whole = "+" + "-" * (len(dash) - 2) + "+"
        lines = [whole, row([f"npu-smi {self.version}".ljust(33) + f"Version: {self.version}"], [len(dash) - 2]), dash]
        lines = (lines if layout.title else lines[2:]) + [row(cells, widths) for cells in headers(layout)] + [double]
        for device, following in zip(self.devices, (*self.devices[1:], None), strict=True):
            lines += [row(cells, widths) for cells in device_rows(layout, device)]
            lines.append(whole if following and following.npu_id == device.npu_id else double)
        if layout.process_table:
            lines += [dash, *self.process_lines(len(dash) - 2, double)]
        return lines

    def process_lines(self, width: int, double: str) -> list[str]:
        layout = self.layout
        number = ["NPU ID"] if layout.npu_id else ["NPU     Chip"]
        names = [*number, "Process id", "Process name", "Process memory(MB)"]
        names += ["Process id in container"] * layout.container
        widths = [26, 15, 26] + ([20, 25] if layout.container else [26])
        lines = [row(names, widths), double]
        for npu_id in dict.fromkeys(device.npu_id for device in self.devices):
            for process in self.processes:
                if process.npu_id == npu_id:
                    lines.append(row(process_cells(layout, process), widths))
            if npu_id in self.idle:
                lines.append(row([f"No running processes found in NPU {npu_id}"], [width]))
            if npu_id in self.idle or any(process.npu_id == npu_id for process in self.processes):
                lines.append(double)
        return lines


def row(cells: list[str], widths: list[int]) -> str:
    """What is too long pushes the rest to the right, as with the tool."""
    return "|" + "|".join(f" {cell}".ljust(width) for cell, width in zip(cells, widths, strict=True)) + "|"


def headers(layout: Layout) -> list[list[str]]:
    card = f"{'Power(W)':<12}{'Temp(C)':<18}{'Hugepages-Usage(page)' * layout.hugepages}"
    use = "NPU Util(%)" if layout.npu_id else "AICore(%)"
    chip = f"{use:<12}{'Memory-Usage(MB)':<18}{'HBM-Usage(MB)' * layout.hbm}"
    if layout.npu_id:
        return [["NPU ID", "Name", "Health", card], ["", "", "Bus-Id", chip]]
    return [["NPU   Name", "Health", card], [f"Chip  {layout.second}", "Bus-Id", chip]]


def device_rows(layout: Layout, device: Device) -> list[list[str]]:
    card = f"{power(device.power_w):<12}{said(device.temperature_c):<18}"
    card += pair(layout, device.hugepages_used, device.hugepages_total) * layout.hugepages
    chip = f"{said(device.aicore_percent):<12}{pair(layout, device.memory_used_mb, device.memory_total_mb):<18}"
    chip += f"{pair(layout, device.hbm_used_mb, device.hbm_total_mb)}" * layout.hbm
    bus = said(device.bus_id)
    if layout.npu_id:
        return [[str(device.npu_id), device.name, device.health, card], ["", "", bus, chip]]
    second = {"Device": device.device_id, "Phy-ID": device.phy_id, "": None}[layout.second]
    number = f"{said(device.chip_id):<6}" + said(second) * bool(layout.second)
    return [[f"{device.npu_id:<5} {device.name}", device.health, card], [number, bus, chip]]


def process_cells(layout: Layout, process: Process) -> list[str]:
    number = str(process.npu_id) if layout.npu_id else f"{process.npu_id:<7} {said(process.chip_id)}"
    cells = [number, str(process.pid), process.name, said(process.memory_mb)]
    return cells + [said(process.container_pid)] * layout.container


def said(value: Any) -> str:
    return "NA" if value is None else str(value)


def power(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def pair(layout: Layout, used: int | None, total: int | None) -> str:
    return f"{said(used)}/{said(total)}" if layout.tight else f"{said(used):<5}/ {said(total)}"


def any_layout(random: Random) -> Layout:
    npu_id = random.random() < 0.2
    return Layout(
        second="" if npu_id else random.choice(("", "Device", "Phy-ID")),
        hugepages=npu_id or random.random() < 0.8,
        hbm=npu_id or random.random() < 0.7,
        npu_id=npu_id,
        container=random.random() < 0.3,
        title=random.random() < 0.9,
        process_table=random.random() < 0.8,
        wide=random.choice((0, 0, 4)),
        tight=random.random() < 0.2,
    )


def any_table(random: Random, most_cards: int = 4) -> Table:
    """A table that says what no other one of its cards says, as far as there are values enough."""
    layout = any_layout(random)
    chips = 1 if layout.npu_id else random.choice((1, 1, 2, 4))
    npu_ids = random.sample((*range(70), 2144, 32768), random.randint(1, most_cards))
    name = random.choice(NAMES)
    numbers = [(npu_id, chip_id) for npu_id in npu_ids for chip_id in range(chips)]
    devices = tuple(any_device(random, layout, name, *number, i) for i, number in enumerate(numbers))
    if layout.npu_id:
        devices = tuple(replace(device, chip_id=None) for device in devices)
    processes: list[Process] = []
    if layout.process_table:
        for device in devices:
            for _ in range(random.choice((0, 0, 1, 2))):
                processes.append(any_process(random, layout, device, len(processes)))
    held = {process.npu_id for process in processes}
    idle = tuple(npu_id for npu_id in npu_ids if layout.process_table and npu_id not in held)
    return Table(layout, random.choice(("24.1.rc2", "23.0.6.2", "xxx")), devices, tuple(processes), idle)


def any_device(random: Random, layout: Layout, name: str, npu_id: int, chip_id: int, logic_id: int) -> Device:
    memory_total, hbm_total, pages = random.choice((0, 15137)), random.choice((32768, 65536)), random.randint(0, 1400)
    return Device(
        npu_id,
        chip_id,
        name,
        # "| 0  310 | NA | - NA |" may be a card's row as well as a chip's: what nobody can tell, nobody is asked.
        random.choice([health for health in HEALTHS if health != "NA" or not name.isdigit()]),
        device_id=logic_id if layout.second == "Device" else None,
        phy_id=logic_id if layout.second == "Phy-ID" else None,
        bus_id=random.choice((None, *[f"0000:{random.randint(0, 255):02X}:00.0"] * 4)),
        power_w=random.choice((None, 0.0, *[random.randint(100, 4000) / 10] * 3)),
        temperature_c=random.choice((None, random.randint(-9, 120))),
        aicore_percent=random.choice((None, random.randint(0, 100))),
        memory_used_mb=random.choice((None, random.randint(0, memory_total))),
        memory_total_mb=memory_total,
        hbm_used_mb=random.randint(0, hbm_total) if layout.hbm else None,
        hbm_total_mb=hbm_total if layout.hbm else None,
        hugepages_used=random.randint(0, pages) if layout.hugepages else None,
        hugepages_total=pages if layout.hugepages else None,
    )


def any_process(random: Random, layout: Layout, device: Device, number: int) -> Process:
    return Process(
        device.npu_id,
        device.chip_id,
        1000 * number + random.randint(1, 999),
        random.choice(PROCESSES),
        random.choice((None, random.randint(0, 60000))),
        random.choice((None, random.randint(1, 9999))) if layout.container else None,
    )
