# SPDX-License-Identifier: Apache-2.0
"""Depots of tests are not brought to the disk before they are used: that waits for what others write there, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import index


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The depots that would have been brought to the disk, each with whether its table was there by then."""
    called: list[tuple[str, bool]] = []

    def settle(folder: str, _run: object) -> None:
        called.append((folder, (Path(folder) / "index.json").exists()))

    monkeypatch.setattr(index, "settle", settle)
    return called
