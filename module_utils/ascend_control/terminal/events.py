# SPDX-License-Identifier: Apache-2.0
"""What a run does, for machines: one JSON object per line (docs/events.schema.json), added to a file."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from typing import Any

from ...ascend.errors import AscendError
from ...ascend.masking import masked_values

SCHEMA = 1


class Events:
    """Writes each event at once, for whoever follows the file. Raises AscendError if it cannot begin."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            # What a run says of its nodes is for whoever starts it.
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AscendError(
                "the events of the run cannot be written",
                wanted="a file that can be written, named by ASCEND_FLEET_EVENTS or events_path of ansible.cfg",
                found=error.strerror or str(error),
                where=path,
                remedy=f"mkdir -p {os.path.dirname(os.path.abspath(path))}; or name another file",
            ) from error

    def write(self, event: str, **values: Any) -> str:
        """Write one event; if that fails, return what is wrong, and write none from then on."""
        if self._file < 0:
            return ""
        made = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"schema": SCHEMA, "event": event, "time": made, **masked_values(values)}) + "\n"
        try:
            os.write(self._file, line.encode())
        except OSError as error:
            os.close(self._file)
            self._file = -1
            return f"No more events are written to {self._path}: {error.strerror}"
        return ""
