# SPDX-License-Identifier: Apache-2.0
"""Read a node's system settings, and write or remove our two drop-in files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from .. import atomic, files
from ..errors import AscendError
from ..node import Node
from . import drop_ins

if TYPE_CHECKING:
    from ..shapes import NodeSettings

LIMITS_CONF = "/etc/security/limits.conf"
MOST_OF_A_SETTING = 64 * 1024
MOST_FILES = 100  # of limits.d that are read
_POLICY = "or leave it to others: ascend_system_settings: check in the inventory"


def read(node: Node) -> NodeSettings:
    """Return the facts: ``drop_ins`` (what our two files say) and ``limits_elsewhere`` (what others' files say)."""
    return {
        "drop_ins": {"kernel_settings": _our_kernel(node).values, "limits": _our_limits(node)},
        "limits_elsewhere": _others_limits(node),
    }


def kernel_setting(node: Node, name: str) -> Optional[str]:
    """Return a setting's value, several numbers separated by one blank; None if the kernel has no such setting."""
    # Asked for as much as of other files, the kernel answers that it has not so much memory.
    value = files.text(node.path(_proc(name)), MOST_OF_A_SETTING)
    return None if value is None else " ".join(value.split())


def _proc(name: str) -> str:
    return "/proc/sys/" + name.replace(".", "/")


def _our_kernel(node: Node) -> drop_ins.Kernel:
    return drop_ins.read_kernel(files.text(node.path(drop_ins.SYSCTL)))


def _our_limits(node: Node) -> drop_ins.Limits:
    return drop_ins.read_limits(files.text(node.path(drop_ins.LIMITS)))


def _others_limits(node: Node) -> drop_ins.Limits:
    """If several files set one limit, the last one counts, as for PAM: limits.conf, then limits.d by name."""
    folder, mine = os.path.split(drop_ins.LIMITS)
    names = [name for name in files.names(node.path(folder)) if name.endswith(".conf") and name != mine]
    found: drop_ins.Limits = {}
    for path in [LIMITS_CONF, *(os.path.join(folder, name) for name in names[:MOST_FILES])]:
        for limit, values in drop_ins.read_limits(files.text(node.path(path))).items():
            found.setdefault(limit, {}).update(values)
    return found


class Change:
    """The present and the wanted content of the two files, and the kernel's values to set."""

    def __init__(
        self, node: Node, session: Dict[str, List[int]], kernel: Dict[str, Any], limits: Dict[str, int]
    ) -> None:
        self.node = node
        self.in_kernel = {name: kernel_setting(node, name) for name in kernel}
        self.before = {path: files.text(node.path(path)) or "" for path in (drop_ins.SYSCTL, drop_ins.LIMITS)}
        shall = drop_ins.kernel(self.in_kernel, _our_kernel(node), kernel)
        shall_limits = drop_ins.limits(session, _others_limits(node), _our_limits(node), limits)
        self.after = dict(self.before)
        # What somebody wrote beside our lines is no reason to write the file anew.
        if shall.values != _our_kernel(node).values:
            self.after[drop_ins.SYSCTL] = drop_ins.kernel_text(shall)
        if shall_limits != _our_limits(node):
            self.after[drop_ins.LIMITS] = drop_ins.limits_text(shall_limits)
        unset = [name for name, have in self.in_kernel.items() if have is not None and name in shall.values]
        self.set = {
            name: shall.values[name]
            for name in unset
            if not drop_ins.fulfils(str(self.in_kernel[name]), str(kernel[name]))
        }

    @property
    def changed(self) -> bool:
        return bool(self.set) or self.before != self.after

    def diff(self) -> Dict[str, str]:
        """Return the state before and after, including the kernel's own values."""
        in_kernel = {name: str(self.in_kernel[name]) for name in self.set}
        return {"before": _shown(self.before, in_kernel), "after": _shown(self.after, self.set)}

    def apply(self) -> None:
        """Write the files first: they record the old values even if the rest is interrupted. Raises AscendError."""
        for path in (drop_ins.SYSCTL, drop_ins.LIMITS):
            if self.after[path] != self.before[path]:
                os.makedirs(self.node.path(os.path.dirname(path)), mode=0o755, exist_ok=True)
                atomic.write(self.node.path(path), self.after[path])
        for name, value in sorted(self.set.items()):
            _set(self.node, name, value)


def _shown(texts: Dict[str, str], in_kernel: Dict[str, str]) -> str:
    files_shown = ["%s\n%s" % (path, text) for path, text in sorted(texts.items()) if text]
    return "".join(files_shown + ["running: %s = %s\n" % pair for pair in sorted(in_kernel.items())])


def _set(node: Node, name: str, value: str) -> None:
    remedy = "sysctl -w %s='%s'  # in a container, set it on the host; %s" % (name, value, _POLICY)
    _write(node, name, value, remedy)
    have = kernel_setting(node, name)
    if have is None or not drop_ins.fulfils(have, value):
        raise AscendError(
            "the kernel accepted a setting but did not apply it",
            wanted="%s = %s" % (name, value),
            found=str(have),
            where=_proc(name),
            remedy=remedy,
        )


def _write(node: Node, name: str, value: str, remedy: str) -> None:
    try:
        with open(node.path(_proc(name)), "w", encoding="ascii") as stream:
            stream.write(value + "\n")
    except OSError as error:
        raise AscendError(
            "the kernel refused a setting",
            wanted="%s = %s" % (name, value),
            found=str(error),
            where=_proc(name),
            remedy=remedy,
        ) from error


def restore(node: Node) -> List[str]:
    """Restore the kernel's values from before our file, if our values are still active; return notes.

    Raises AscendError. The caller removes the file itself.
    """
    ours, notes = _our_kernel(node), []
    for name, value in sorted(ours.values.items()):
        have = kernel_setting(node, name)
        if have == value and name in ours.was:
            _write(node, name, ours.was[name], "sysctl -w %s='%s'  # then run it again" % (name, ours.was[name]))
            notes.append("%s is %s again" % (name, ours.was[name] or "empty"))
        elif have is not None:
            notes.append("%s stays %s, because somebody else has changed it since" % (name, have or "empty"))
    return notes
