# SPDX-License-Identifier: Apache-2.0
"""What no unit test may reach: the files of this machine that a change of a node would write."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import install_record


@pytest.fixture(autouse=True)
def own_install_record(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests install into a folder of their own, whose "/" is this machine: so would the record be."""
    folder: Path | None = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    if folder and "test_install_record" not in request.node.nodeid:
        monkeypatch.setattr(install_record, "CANN_INSTALL_RECORD", str(folder / "install-record.info"))
