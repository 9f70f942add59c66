# SPDX-License-Identifier: Apache-2.0
"""What CANN's installers say in their output and logs: whether they succeeded, and why they failed."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from .. import files
from ..command import Result
from ..errors import AscendError, disk_remedy
from ..places import INSTALLERS_LOGS
from . import packages as cann_packages

if TYPE_CHECKING:
    from ..shapes import Package as PackageFact
    from .install import Package

MOST_LOG = 4 * 1024 * 1024
# "Ascend-cann-toolkit_8.0.RC1_linux-aarch64 install success, installed in ...", "Ascend-cann-910b-ops_9.0.0_..."
SUCCESS = r"Ascend-cann-%s_\S+_linux\S* (?:install|upgrade) success"


def failure(package: Package, path: str, result: Result, found: PackageFact, wanted: str, lacking: str) -> AscendError:
    """Return the message for a failed installer; ``lacking`` is what it would also have needed, or ""."""
    what = "ended with code %d" % result.code
    if result.timed_out:
        what = "did not end within %d s" % package.timeout_s
    elif result.code == 0 and found["state"] == "absent":
        what = "ended with code 0 and installed nothing"
    reason = _last_error(result.output) or result.last_lines(8)
    if not reason:
        # The log is of all runs: what stands last in it may be an older one's.
        error = _last_error(files.text(package.log) or "")
        reason = "none; the last error in its log: %s" % error if error else "none"
    return AscendError(
        "the installer of %s %s %s" % (package.name, package.version, what),
        wanted=wanted,
        found="%s: %s" % (found["state"], _left(package, found, lacking)),
        where="%s; its output: %s" % (path, reason),
        remedy=_remedy(package, path, result.output),
    )


def _left(package: Package, found: PackageFact, lacking: str) -> str:
    """Return what is wrong with the files, and what else may have caused it."""
    words = [", ".join(found["problems"]) or "none of its files"]
    if package.kind == "kernels":
        others = [chip for chip in cann_packages.chips_of(package.tree, package.version) if chip != package.chip]
        words += ["kernels for another chip are installed: %s" % ", ".join(others)] if others else []
    return "; ".join(words + ([lacking] if lacking else []))


def _remedy(package: Package, path: str, output: str) -> str:
    disk = disk_remedy(output, package.tmp_dir if package.tmp_dir in output else package.place.base)
    if disk:
        return disk
    if "No packages to install" in output:
        return (
            "uname -m; bash %s --list | head -n 20  # for another architecture? put the right one into the depot" % path
        )
    if os.path.exists(package.log):
        return "less %s  # on the node; then run site.yml again" % package.log
    look = "bash %s --nox11 --check; " % path if path.endswith(".run") else ""
    return "%sls -la %s  # on the node; then run site.yml again" % (look, INSTALLERS_LOGS)


def ended_well(package: Package, result: Result, log_bytes: int) -> bool:
    """Whether the installer reports success in every way: code 0, its line of success, no error in its output."""
    output = result.output
    with suppress(OSError), open(package.log, encoding="utf-8", errors="replace") as stream:
        stream.seek(log_bytes)  # the log is of all runs
        output += "\n" + stream.read(MOST_LOG)
    success = re.search(SUCCESS % re.escape(package.product), output)
    return result.code == 0 and not result.timed_out and bool(success) and not _last_error(output)


def _last_error(text: str) -> str:
    errors = [line.strip() for line in text.splitlines() if "[ERROR]" in line]
    return errors[-1] if errors else ""
