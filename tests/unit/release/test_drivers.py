# SPDX-License-Identifier: Apache-2.0
"""What the table says of drivers: their firmware, and with which CANN nodes with different drivers hang."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.versions import compare_cann
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release import drivers
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.drivers import drivers_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import read_matrix

RELEASES = str(Path(__file__).resolve().parents[3] / "releases")
ROW = 'driver: "24.1.rc2", firmware: "7.3.0.1.231", kernels: k, torch-npu: []'


def test_every_row_of_cann_says_whether_different_drivers_hang() -> None:
    """CANN's release notes of 9.0.0: HCCL's reduce no longer hangs where a cluster has two versions of the driver."""
    rows = read_matrix(RELEASES)["cann"]
    hang = {version for version, row in rows.items() if row.get("mixed_drivers") == "hang"}
    assert hang == {version for version in rows if compare_cann(version, "9.0.0") < 0}
    assert hang


def test_what_is_known_of_a_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert drivers_of(RELEASES, "8.0.RC1")["mixed"] == "hang"
    assert drivers_of(RELEASES, "7.0.0")["mixed"] == "", "a CANN without a row is refused elsewhere"
    (tmp_path / "compatibility.yml").write_text(
        'cann: {"8.0.RC1": {' + ROW + '}, "8.0.9": {' + ROW + ", mixed_drivers: hang}}"
    )
    assert drivers_of(str(tmp_path), "8.0.RC1")["mixed"] == "", "a row of yours replaces the project's"
    assert drivers_of(str(tmp_path), "8.0.9")["mixed"] == "hang"
    matrix = {"cann": {}, "driver": {"25.2.3": {"firmware": "7.7.0.10.220"}}}
    monkeypatch.setattr(drivers, "read_matrix", lambda _: matrix)
    assert drivers_of(RELEASES, "8.0.RC1")["firmwares"] == {"25.2.3": "7.7.0.10.220"}


def test_another_word_than_the_known_ones_is_refused(tmp_path: Path) -> None:
    (tmp_path / "compatibility.yml").write_text('cann: {"8.0.9": {' + ROW + ", mixed_drivers: hangs}}")
    with pytest.raises(AscendError, match="does not match its schema") as raised:
        drivers_of(str(tmp_path), "8.0.9")
    assert "cann '8.0.9': mixed_drivers: 'hangs'" in raised.value.found
