# SPDX-License-Identifier: Apache-2.0
"""Named points of a change at which tests can stop it, to prove that it may be interrupted anywhere.

Tests write "POINT kill" or "POINT wait" into ``<state_dir>/stop-at`` of a node, which only root can; without that file
nothing ever stops. ``kill`` ends this process as kill -9 does; ``wait`` waits until the file is gone, so the test can
end the run on the control node, or the node, at that moment.
"""

from __future__ import annotations

import os
import signal
import time

from .. import files

FILE = "stop-at"
WAITING = "stopped-at"
LOOK_S = 0.05

_folder = ""


def follow(state_dir: str) -> None:
    """Look for the file in ``state_dir`` from now on."""
    global _folder
    _folder = state_dir


def reached(point: str) -> None:
    """Stop here if that was asked for."""
    path = os.path.join(_folder, FILE) if _folder else ""
    if not path or not os.path.exists(path):
        return
    asked, _, how = (files.text(path) or "").strip().partition(" ")
    if asked != point:
        return
    if how == "kill":
        os.unlink(path)  # once: the next run is to get through
        os.kill(os.getpid(), signal.SIGKILL)
    waiting = os.path.join(_folder, WAITING)
    with open(waiting, "w", encoding="utf-8") as stream:
        stream.write("%s %d\n" % (point, os.getpid()))
    while os.path.exists(path):
        time.sleep(LOOK_S)
    os.unlink(waiting)
