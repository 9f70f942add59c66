# SPDX-License-Identifier: Apache-2.0
"""The runtime's part of pyACL: what a function finds comes first, its error code last."""

from __future__ import annotations

import ctypes

from acl._library import call


def get_device_count() -> tuple[int, int]:
    count = ctypes.c_uint32()
    code = call("aclrtGetDeviceCount", ctypes.byref(count))
    return count.value, code


def set_device(device_id: int) -> int:
    return call("aclrtSetDevice", ctypes.c_int32(device_id))


def get_device() -> tuple[int, int]:
    device = ctypes.c_int32()
    code = call("aclrtGetDevice", ctypes.byref(device))
    return device.value, code


def reset_device(device_id: int) -> int:
    return call("aclrtResetDevice", ctypes.c_int32(device_id))


def get_mem_info(attr: int) -> tuple[int, int, int]:
    """Return free and whole memory of the device in bytes; ``attr`` 1 is HBM."""
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    code = call("aclrtGetMemInfo", ctypes.c_int(attr), ctypes.byref(free), ctypes.byref(total))
    return free.value, total.value, code
