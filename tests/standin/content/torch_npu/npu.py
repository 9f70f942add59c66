# SPDX-License-Identifier: Apache-2.0
"""What torch.npu offers, answered by the node's libascendcl.so."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Optional, Tuple

_HBM = 1  # ACL_HBM_MEM of acl_rt.h

ctypes.CDLL("libhccl.so")
_acl = ctypes.CDLL("libascendcl.so")
_acl.aclrtGetSocName.restype = ctypes.c_char_p
_current = 0


@dataclass(frozen=True)
class DeviceProperties:
    name: str
    total_memory: int  # bytes


def device_count() -> int:
    count = ctypes.c_uint32(0)
    return count.value if _acl.aclrtGetDeviceCount(ctypes.byref(count)) == 0 else 0


def is_available() -> bool:
    return device_count() > 0


def init() -> None:
    if not is_available():
        raise RuntimeError(
            "Initialize:torch_npu/csrc/core/npu/sys_ctrl/npu_sys_ctrl.cpp NPU error, error code is 507899"
        )


def set_device(device: int) -> None:
    global _current
    index = int(str(device).rpartition(":")[2])
    error = _acl.aclrtSetDevice(ctypes.c_int32(index))
    if error or index >= device_count():
        raise RuntimeError(
            f"SetDevice:torch_npu/csrc/core/npu/NPUFunctions.cpp NPU error, error code is {error or 107001}"
        )
    _current = index


def current_device() -> int:
    return _current


def get_device_name(device: Optional[int] = None) -> str:
    name = _acl.aclrtGetSocName()
    return name.decode() if name else ""


def mem_get_info(device: Optional[int] = None) -> Tuple[int, int]:
    """Return (free, total) bytes of the device's HBM."""
    before = _current
    set_device(before if device is None else device)
    free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
    error = _acl.aclrtGetMemInfo(ctypes.c_int(_HBM), ctypes.byref(free), ctypes.byref(total))
    set_device(before)
    if error:
        raise RuntimeError(f"aclrtGetMemInfo: NPU error, error code is {error}")
    return free.value, total.value


def get_device_properties(device: Optional[int] = None) -> DeviceProperties:
    return DeviceProperties(get_device_name(device), mem_get_info(device)[1])


def synchronize(device: Optional[int] = None) -> None:
    """Nothing runs asynchronously here."""


def empty_cache() -> None:
    """Nothing is cached here."""
