# SPDX-License-Identifier: Apache-2.0
"""Stand-in for torch 2.1.0: one-dimensional tensors that remember the device they are on."""

from __future__ import annotations

from typing import Any, Iterable, List

__version__ = "2.1.0+standin"
npu: Any  # set by torch_npu


class Tensor:
    """A row of numbers on a device."""

    def __init__(self, values: Iterable[float], device: str = "cpu") -> None:
        self.values = [float(value) for value in values]
        self.device = device

    def npu(self) -> Tensor:
        import torch_npu  # torch knows the device only once torch_npu was imported

        return Tensor(self.values, f"npu:{torch_npu.npu.current_device()}")

    def to(self, device: Any) -> Tensor:
        return self.npu() if str(device).startswith("npu") else self.cpu()

    def cpu(self) -> Tensor:
        return Tensor(self.values)

    def tolist(self) -> List[float]:
        return list(self.values)

    def sum(self) -> Tensor:
        return Tensor([sum(self.values)])

    def item(self) -> float:
        (value,) = self.values
        return value


def ones(count: int, device: str = "cpu") -> Tensor:
    return Tensor([1.0] * count).to(device)


def arange(stop: float) -> Tensor:
    return Tensor(range(int(stop)))


def tensor(values: Iterable[float], device: str = "cpu") -> Tensor:
    return Tensor(values).to(device)


def equal(one: Tensor, other: Tensor) -> bool:
    return one.values == other.values and one.device == other.device
