# SPDX-License-Identifier: Apache-2.0
"""What the service could not read at night is said when it is installed; removing leaves what others made."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.nightly.render import Checkout, told

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look with another user's rights")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@as_root
def test_a_user_who_reads_everything_is_accepted(checkout: Checkout) -> None:
    said = checkout.part("access", nightly_user="root")
    assert said.returncode == 0, said.stdout
    assert "changed=0" in said.stdout


@as_root
@pytest.mark.parametrize("user", ["nobody", "no-such-user-yet"])
def test_a_checkout_below_a_closed_folder_is_refused(checkout: Checkout, user: str) -> None:
    checkout.folder.chmod(0o700)
    said = checkout.part("access", "--check", nightly_user=user)
    assert said.returncode == 2
    assert f"Wanted: a checkout and an inventory that {user} can read. Found: find:" in told(said.stdout)
    assert "Permission denied" in said.stdout


@as_root
def test_root_without_capabilities_reads_no_file_of_others(checkout: Checkout) -> None:
    """And variables beside an inventory file are looked at."""
    file = checkout.inventory / "group_vars" / "all.yml"
    os.chown(file, 65534, 65534)
    file.chmod(0o600)
    given = [str(checkout.inventory / "hosts.yml")]
    said = checkout.part("access", nightly_user="root", ansible_inventory_sources=given)
    assert said.returncode == 2
    assert f"Found: {file}. Where:" in told(said.stdout)


@as_root
def test_a_virtual_environment_that_does_not_start_is_refused(checkout: Checkout) -> None:
    empty = checkout.folder / "empty"
    empty.mkdir()
    said = checkout.part("access", nightly_user="root", __nightly_bin=str(empty))
    assert said.returncode == 2
    assert "Next: create the virtual environment with a Python that every user can run" in told(said.stdout)


@as_root
def test_a_depot_that_the_user_cannot_read_is_refused(checkout: Checkout) -> None:
    """By group, as the inventory has it; one that is not filled yet is told by the check itself."""
    one, other = checkout.folder / "depot", checkout.folder / "not filled yet"
    one.mkdir()
    (one / "index.json").write_text("{}")
    (checkout.inventory / "hosts.yml").write_text("ascend: {hosts: {npu-001: {}, npu-002: {}}}\n")
    for node, folder in (("npu-001", one), ("npu-002", other)):
        (checkout.inventory / "host_vars").mkdir(exist_ok=True)
        (checkout.inventory / "host_vars" / f"{node}.yml").write_text(json.dumps({"ascend_depot_dir": str(folder)}))
    said = checkout.part("depot", nightly_user="root")
    assert said.returncode == 0, said.stdout
    assert "changed=0" in said.stdout
    (one / "index.json").chmod(0o600)
    os.chown(one / "index.json", 65534, 65534)
    said = checkout.part("depot", "--check", nightly_user="root")
    assert said.returncode == 2
    assert "Wanted: a depot that root can read" in told(said.stdout)
    assert "Permission denied" in said.stdout
    assert f"namei -l {one}/index.json" in told(said.stdout)


def test_removing_keeps_keys_and_reports(checkout: Checkout) -> None:
    home = checkout.folder / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ansible").mkdir()
    (home / ".ansible" / "galaxy_token").touch()
    key = home / ".ssh" / "id_ed25519"
    key.touch()
    said = checkout.part("folders_absent", nightly_user="no-such-user")
    assert said.returncode == 0, said.stdout
    assert key.is_file()
    assert f"  {key}\n" in said.stdout
    assert not checkout.reports.exists()
    key.unlink()
    assert "changed=1" in checkout.part("folders_absent", nightly_user="no-such-user").stdout
    assert not home.exists()
