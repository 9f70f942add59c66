# SPDX-License-Identifier: Apache-2.0
"""What the operating system's errors are to the operator."""

from __future__ import annotations

import errno
import os

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import (
    AscendError,
    disk_remedy,
    failure,
    from_os_error,
)


@pytest.mark.parametrize(
    ("number", "problem", "command"),
    [
        (errno.ENOSPC, "a disk is full", "df -h /; df -i /"),
        (errno.EDQUOT, "a disk is full", "df -h"),
        (errno.EROFS, "a file system is read-only", "findmnt"),
        (errno.EIO, "a disk or its file system returned an error", "dmesg"),
        (errno.EUCLEAN, "a disk or its file system returned an error", "dmesg"),
        (errno.ESTALE, "a disk or its file system returned an error", "dmesg"),
        (errno.EACCES, "no permission to change a file or folder", "lsattr -d /;"),
        (errno.EPERM, "no permission to change a file or folder", "become"),
        (errno.EMFILE, "the system call failed", "dmesg"),
    ],
)
def test_errors_have_a_next_command(number: int, problem: str, command: str) -> None:
    told = failure(OSError(number, os.strerror(number), "/nowhere/x"))
    assert told["problem"] == problem
    assert os.strerror(number) in told["found"]
    assert told["where"] == "/nowhere/x"
    assert command in told["remedy"]
    assert told["msg"].startswith(problem + "; wanted: ")
    assert all(told.values())


def test_an_error_that_names_no_file_is_told_with_the_place_that_was_worked_on() -> None:
    told = from_os_error(OSError(errno.ENOSPC, "No space left on device"), "/usr/nowhere")
    assert (told.where, "df -h /usr;" in told.remedy) == ("/usr/nowhere", True)
    assert from_os_error(OSError(3, "No such process", 7)).where == "/"


def test_an_error_of_ours_stays_as_it_is() -> None:
    ours = AscendError("problem", "wanted", "found", "where", "remedy")
    assert failure(ours) == {**ours.as_dict(), "msg": str(ours)}


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("error: failed to write: No space left on device (os error 28)", "df -h /opt"),
        ("Not enough space left in /root/selfgz (1 KB) to decompress x (9 KB)", "df -h /opt"),
        ("cp: cannot create 'x': Read-only file system", "findmnt -no TARGET,OPTIONS -T /opt"),
        ("Input/output error", "dmesg"),
        ("permission denied", ""),
        ("", ""),
    ],
)
def test_words_of_programs_that_blame_the_disk(words: str, command: str) -> None:
    remedy = disk_remedy(words, "/opt")
    assert remedy.startswith(command)
    assert bool(remedy) == bool(command)
