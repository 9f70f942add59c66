# SPDX-License-Identifier: Apache-2.0
"""What others own: homes that never answer, network mounts that nobody looks at, and CANN in whatever place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import bounded, facts, homes
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    layout as cann_layout,
    profiles,
    read as cann_read,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import Finding
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import CANN_INSTALL_RECORD, Places
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import as_refusal, split
from tests.answers import names, node, write
from tests.hangs import no_hang
from tests.silent_mount import silent

PASSWD = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
anna:x:1000:1000::/home/anna:/bin/bash
bob:x:1001:1001:,,,:/data/people/bob:/bin/zsh
nobody:x:65534:65534:nobody:/:/usr/sbin/nologin
broken
"""
MOUNTS = "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
NFS = "36 21 0:45 / {point} rw,relatime shared:9 master:3 - {kind} server:/export rw,vers=4.2\n"


@pytest.fixture
def here(tmp_path: Path) -> Node:
    write(tmp_path, "/etc/passwd", PASSWD)
    for home in ("/root", "/home/anna", "/home/berta", "/data/people/bob"):
        write(tmp_path, home + "/.bashrc", f"# {home}\n")
        write(tmp_path, home + "/CANN/x")
    return node(tmp_path)


def mounted(here: Node, text: str) -> Node:
    write(Path(here.root), "/proc/self/mountinfo", MOUNTS + text)
    return here


def looked_at(found: homes.Homes) -> list[str]:
    return [path.rpartition("/")[0] for path, _ in found.profiles]


def test_the_homes_of_accounts_and_of_the_folder(here: Node) -> None:
    found = homes.look(here)
    assert looked_at(found) == ["/root", "/home/anna", "/data/people/bob", "/home/berta"]
    assert found.cann == ["/root/CANN", "/home/anna/CANN", "/data/people/bob/CANN", "/home/berta/CANN"]
    assert (found.hung, found.left) == ([], 0)


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "fuse.sshfs", "fuse", "lustre", "ceph", "autofs", "9p", "gpfs"]
)
def test_network_mounts_are_not_looked_at(here: Node, kind: str) -> None:
    mounted(here, NFS.format(point="/home/anna", kind=kind) + NFS.format(point="/data", kind=kind))
    assert looked_at(homes.look(here)) == ["/root", "/home/berta"]
    places = ["/home/anna", "/data/people/bob", "/data", "/home/berta", "/nowhere/x"]
    assert list(homes.each(here, places, lambda place: place).found) == ["/home/berta", "/nowhere/x"]


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "fuseblk", "zfs"])
def test_local_mounts_are(here: Node, kind: str) -> None:
    mounted(here, NFS.format(point="/home/anna", kind=kind))
    assert "/home/anna" in looked_at(homes.look(here))


def test_a_folder_of_homes_on_a_network_mount_is_not_listed(here: Node) -> None:
    mounted(here, NFS.format(point="/home", kind="nfs4") + NFS.format(point="/mnt/with\\040blank", kind="nfs"))
    assert looked_at(homes.look(here)) == ["/root", "/data/people/bob"]


@pytest.mark.parametrize("target", ["/nfs/anna", "../nfs/anna", "/x/anna", "loop"])
def test_a_link_that_leads_to_a_network_mount(here: Node, target: str) -> None:
    root = Path(here.root)
    for path in ("/nfs/anna/.bashrc", "/nfs/anna/CANN/x"):
        write(root, path, "x")
    (root / "x").symlink_to("nfs")
    (root / "home/dora").symlink_to(target if target != "loop" else "dora")
    mounted(here, NFS.format(point="/nfs", kind="nfs"))
    assert "/home/dora" not in looked_at(homes.look(here))


def test_a_home_that_never_answers(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount whose type tells nothing: the time limit alone helps."""
    monkeypatch.setattr(bounded, "PLACE_S", 0.5)
    with silent(Path(here.root) / "home/anna"), no_hang():
        found = homes.look(here)
    assert looked_at(found) == ["/root", "/data/people/bob", "/home/berta"]
    assert found.hung == ["/home/anna"]
    (told,) = homes.hung_findings(found)
    assert (told["name"], told["found"]) == ("place-hangs", "/home/anna")
    assert split([as_refusal(told)])[0] == [], "it is no drift"
    assert as_refusal(told)["component"] == "system"


@pytest.mark.parametrize(
    ("hangs", "told"),
    [(path, path) for path in ("home/anna", "home", "root", "opt/Ascend")] + [("home/berta/CANN", "home/berta")],
)
def test_the_facts_end_whatever_hangs(here: Node, hangs: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "PLACE_S", 0.5)
    place = Path(here.root) / hangs
    place.mkdir(parents=True, exist_ok=True)
    places = Places("/usr/local/Ascend", "/opt/ascend", "/var/cache/x", "/var/lib/x", "/var/tmp")
    with silent(place), no_hang():
        found = facts.collect_in_time(60, here, places, ["cann", "python"], 5)
    named = [finding["found"] for finding in found["findings"] if finding["name"] == "place-hangs"]
    assert named == ["/" + told]


# --- CANN in other places ------------------------------------------------------------------------------------------


def installed(root: Path, place: str) -> None:
    text = "package_name=Ascend-cann-toolkit\nversion=9.0.0\n"
    write(root, f"{place}/cann-9.0.0/{cann_layout.this_machine()}-linux/ascend_toolkit_install.info", text)


def read(here: Node) -> tuple[list[tuple[str, str | None, str]], list[Finding]]:
    found, findings = cann_read.read_cann(here, "/usr/local/Ascend", "/var/lib/x")
    return [(item["path"], item["version"], item["why"]) for item in found["elsewhere"]], findings


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("/home/anna/CANN", "a user's installation"),
        ("/data/people/bob/Ascend", "a user's installation"),
        ("/root/cann9", "a user's installation"),
        ("/usr/local/CANN9.0.0", "another root"),
        ("/opt/Ascend", "another root"),
    ],
)
def test_places_with_a_name_like_cann_s(here: Node, place: str, why: str) -> None:
    installed(Path(here.root), place)
    found, findings = read(here)
    assert found == [(f"{place}/cann-9.0.0", "9.0.0", why)]
    assert "cann-elsewhere" in names(findings)


def test_the_place_in_the_record(here: Node) -> None:
    installed(Path(here.root), "/data/tools")
    write(Path(here.root), CANN_INSTALL_RECORD, "[Toolkit]\nToolkit_InstallPath=/data/tools\n")
    assert read(here)[0] == [("/data/tools/cann-9.0.0", "9.0.0", "named by the record in /etc/Ascend")]


@pytest.mark.parametrize("script", ["cann-9.0.0/set_env.sh", "cann/set_env.sh"])
@pytest.mark.parametrize("profile", ["/etc/profile.d/x.sh", "/home/anna/.bashrc"])
def test_what_profiles_source(here: Node, script: str, profile: str) -> None:
    root = Path(here.root)
    installed(root, "/srv/my-Ascend")
    write(root, "/srv/my-Ascend/cann-9.0.0/set_env.sh")
    (root / "srv/my-Ascend/cann").symlink_to("cann-9.0.0")
    write(root, profile, f"source /srv/my-Ascend/{script}\n")
    assert read(here)[0] == [("/srv/my-Ascend/cann-9.0.0", "9.0.0", f"sourced by {profile}")]


def test_a_copy_that_is_laid_out_otherwise(here: Node) -> None:
    root = Path(here.root)
    write(root, "/srv/ascend-copy/set_env.sh")
    write(root, "/root/.bashrc", ". /srv/ascend-copy/set_env.sh\n")
    assert read(here)[0] == [("/srv/ascend-copy", None, "sourced by /root/.bashrc")]


def test_what_is_ours_or_none_is_not_elsewhere(here: Node) -> None:
    root = Path(here.root)
    installed(root, "/usr/local/Ascend")
    write(root, "/home/anna/ascend/log/x")
    write(root, "/opt/ascend/env/x")
    write(root, "/root/.bashrc", "source /usr/local/Ascend/cann/set_env.sh\nsource /gone/Ascend/set_env.sh\n")
    write(root, CANN_INSTALL_RECORD, "Toolkit_InstallPath=/usr/local/Ascend\n")
    (root / "opt/Ascend").symlink_to("/usr/local/Ascend")
    (root / "home/anna/Ascend").symlink_to(root / "usr/local/Ascend")
    assert read(here)[0] == []


@pytest.fixture
def homes_of_nobody() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's own, with a home of nobody's and files of root's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "home").mkdir()
        (folder / "home" / ".bashrc").symlink_to(folder / "secret")
        (folder / "home" / ".profile").write_text("export PYTHONPATH=/own\n")
        (folder / "home" / ".config").symlink_to(folder / "closed")
        (folder / "closed" / "environment.d").mkdir(parents=True)
        (folder / "closed" / "environment.d" / "x.conf").write_text("PYTHONPATH=/closed\n")
        (folder / "closed").chmod(0o700)
        (folder / "secret").write_text("export PYTHONPATH=/secret\n")
        (folder / "secret").chmod(0o600)
        for path in (folder / "home", *(folder / "home").iterdir()):
            os.chown(path, *homes.NOBODY, follow_symlinks=False)
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can read as somebody else")
def test_a_link_in_a_home_leads_root_to_nothing_that_its_owner_cannot_read(homes_of_nobody: Path) -> None:
    of_this_machine = Node(lambda _argv, _timeout_s: Result(0, "", False), lambda _name: None)
    place = str(homes_of_nobody / "home")
    for account in (homes.NOBODY, None):
        found = homes._home(of_this_machine, place, account)
        assert found["profiles"] == [[f"{place}/.profile", "export PYTHONPATH=/own\n"]]
        assert found["owner"] == homes.NOBODY
    sessions = homes.Homes([], [], [], 0, {place: homes.NOBODY})
    secret = str(homes_of_nobody / "secret")
    assert profiles._sourced_by(of_this_machine, {secret: f"{place}/.profile"}, sessions) == ([], [])
    assert profiles._sourced_by(of_this_machine, {secret: "/etc/profile"}, sessions)[0] == [
        (secret, "export PYTHONPATH=/secret\n")
    ]
    assert (os.geteuid(), os.getegid()) == (0, 0)
