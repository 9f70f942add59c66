# SPDX-License-Identifier: Apache-2.0
"""A node's syslog: prints what programs send to /dev/log, until it is killed."""

from __future__ import annotations

import os
import socket
import sys


def main() -> None:
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind("/dev/log")
    os.chmod("/dev/log", 0o666)
    while True:
        sys.stdout.buffer.write(log.recv(1 << 20) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
