# SPDX-License-Identifier: Apache-2.0
"""Disks of a node's own: one in memory whose room can be taken, and a real file system whose power can be cut."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import image

from tests.change.fleet import of_the_node, sh

OURS = ("/opt/ascend", "/usr/local/Ascend", "/var/lib/ascend-fleet", "/var/cache/ascend-fleet")
MAKE = {"ext4": ("mkfs.ext4", "-q", "-m", "0"), "xfs": ("mkfs.xfs", "-q")}
# EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (Linux, fs/ext4/ext4.h), and XFS_IOC_GOINGDOWN with its
# XFS_FSOP_GOING_FLAGS_NOLOGFLUSH (fs/xfs/libxfs/xfs_fs.h), of the same numbers: from then on nothing comes to the disk.
CUT = """import fcntl, os, struct
fcntl.ioctl(os.open("/mnt", os.O_RDONLY), 0x8004587D, struct.pack("I", 2))"""

FILLER = """import sys, time
with open(sys.argv[1], "ab", 0) as file:
    while True:
        try:
            file.write(bytes(512))
        except OSError:
            time.sleep(0.002)"""


def mounted(node: str, *argv: str) -> None:
    of_the_node(node, "--mount", "--pid", "mount", *argv)


def in_memory(node: str, place: str) -> None:
    """Bring what is in a place onto a file system whose size can be changed while it is in use."""
    sh(node, f"cp -a {place} /tmp/content")
    mounted(node, "-t", "tmpfs", "-o", "size=30g,mode=755", "tmpfs", place)
    sh(node, f"cp -a /tmp/content/. {place} && rm -r /tmp/content")


def fill(node: str, place: str) -> None:
    """Take the room that there is, and whatever is freed."""
    used = int(sh(node, f"df --output=used -B1 {place} | tail -n 1"))
    mounted(node, "-o", f"remount,size={used}", place)
    sh(
        node,
        f"setsid python3 -c '{FILLER}' {place}/filler >/dev/null 2>&1 </dev/null & echo $! >/tmp/filler; sleep 0.5",
    )


def make_room(node: str, place: str) -> None:
    sh(node, f"kill $(cat /tmp/filler); rm {place}/filler")
    mounted(node, "-o", "remount,size=30g", place)


def on_a_disk(node: str, kind: str, folder: Path) -> Path:
    """Bring all that is ours onto one file system, ext4 or xfs; return the file of ``folder`` that it lies in."""
    disk = folder / f"{node}.disk"
    with open(disk, "wb") as stream:
        stream.truncate(60 * 2**30)
    subprocess.run([*image.as_root(), *MAKE[kind], str(disk)], check=True)
    _plug(node, disk)
    for place in OURS:
        sh(node, f"cp -a --parents {place} /mnt")
    sh(node, "sync --file-system /mnt")
    _put_in_place(node)
    return disk


def cut_power(node: str) -> None:
    """What is not on the disk is lost; what runs there finds nothing but errors, and ends with the node.

    The kernel writes in an order of its own: here all of CANN but what is largest came first.
    """
    sh(node, "find /usr/local/Ascend/ascend-toolkit -type f ! -name '*.bin' ! -name '*.o' -exec sync {} +")
    of_the_node(node, "--mount", "python3", "-c", CUT)
    image.podman("kill", node)


def start_again(node: str, disk: Path) -> None:
    image.podman("start", node)
    _plug(node, disk)
    _put_in_place(node)


def _plug(node: str, disk: Path) -> None:
    argv = [*image.as_root(), "losetup", "--find", "--show", str(disk)]
    device = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    number = os.stat(device).st_rdev
    of_the_node(node, "--mount", "mknod", "/dev/disk", "b", str(os.major(number)), str(os.minor(number)))
    mounted(node, "/dev/disk", "/mnt")
    # Of a mounted one this is for later: when it is unmounted, as the node's end does.
    subprocess.run([*image.as_root(), "losetup", "--detach", device], check=True)


def _put_in_place(node: str) -> None:
    for place in OURS:
        mounted(node, "--bind", "/mnt" + place, place)
