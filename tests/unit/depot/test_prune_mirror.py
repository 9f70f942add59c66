# SPDX-License-Identifier: Apache-2.0
"""What goes from a mirror: files of ours that no node needs, once no run asked for them for long; and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import incoming, mirrored
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.incoming import Incoming
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from ansible_collections.ascend.fleet.plugins.modules import depot_files
from tests.contract.tree import ROOT

DAY_S = 24 * 60 * 60
TOOLKIT = "cann/{}/toolkit-x86_64.run"
RELEASES = ("8.0.RC1", "8.2.RC1")


def sum_of(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def aged(path: Path, days: float, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (time.time() - days * DAY_S,) * 2)
    return path


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def gone(folder: Path, needed: list[str], keep_days: int) -> list[str]:
    return [os.path.relpath(row["path"], folder) for row in mirrored.old(str(folder), needed, keep_days)]


def test_what_no_node_needs_goes_the_oldest_first(tmp_path: Path) -> None:
    needed, old, older, lately = map(sum_of, ("needed", "old", "older", "lately"))
    for name, days in ((needed, 300.0), (old, 30.1), (older, 60), (lately, 29.9)):
        aged(tmp_path / name, days)
    assert gone(tmp_path, [needed], 30) == [older, old]
    assert gone(tmp_path, [needed], 90) == []


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    """Other names, folders and links; a link leads to a file of somebody else's."""
    mine = aged(tmp_path / "mine", 99)
    mirror = tmp_path / "mirror"
    others = (
        "index.html",
        sum_of("x").upper(),
        sum_of("x")[:-1],
        sum_of("x") + "0",
        f".{sum_of('x')}",
        "incoming/block",
    )
    for name in others:
        aged(mirror / name, 99)
    aged(mirror / sum_of("folder") / sum_of("y"), 99)
    (mirror / sum_of("link")).symlink_to(mine)
    os.utime(mirror / sum_of("link"), (0, 0), follow_symlinks=False)
    assert gone(mirror, ["needed"], 0) == []


def test_what_did_not_come_to_its_end_goes_too(tmp_path: Path) -> None:
    old, lately, needed = map(sum_of, ("old", "lately", "needed"))
    for name, days in ((old, 40), (lately, 0.5), (needed, 40)):
        aged(tmp_path / incoming.FOLDER / name, days)
    assert gone(tmp_path, [needed], 30) == [f"incoming/{old}"]
    assert gone(tmp_path, [needed], 0) == [f"incoming/{old}"], "another run may be sending it"


def test_a_number_of_days_is_none_below_zero(tmp_path: Path) -> None:
    with pytest.raises(AscendError, match="depot_mirror_keep_days is not a number of days"):
        mirrored.old(str(tmp_path), ["needed"], -1)


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_run_that_asks_for_a_file_keeps_it(tmp_path: Path, check_mode: bool) -> None:
    """Also the run of another control node, or with another inventory, whose nodes the pruning does not know."""
    asked = Incoming(sum_of("asked"), sum_of("asked"), len("asked"))
    mirror = tmp_path / "mirror"
    for content in ("asked", "other"):
        aged(mirror / sum_of(content), 99, content)
    options = {"cache_dir": str(mirror), "state_dir": str(tmp_path), "uid": 0, "mirror": True, "source": ""}
    absent = Incoming(sum_of("absent"), sum_of("absent"), 1)
    depot_files.lacking([asked], options, check_mode)
    assert depot_files.lacking([asked, absent], options, True)["missing"][0]["path"] == absent.path
    expected = {sum_of("other")} | ({sum_of("asked")} if check_mode else set())
    assert set(gone(mirror, ["needed"], 30)) == expected


class Fleet:
    """A depot of two releases, and mirrors that hold all of it, and more, since long ago."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sums = self._depot()
        self.mirror = folder / "mirror"
        for digest in (*self.sums.values(), sum_of("of a release of before")):
            aged(self.mirror / digest, 40)
        aged(self.mirror / sum_of("sent lately"), 10)
        places = {"ascend_depot_dir": str(folder / "depot"), "ascend_state_dir": str(folder / "state")}
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
        common = {**places, **local, "depot_mirror_dir": str(self.mirror), "depot_architectures": ["x86_64"]}
        # A mirror's own variables are no node's.
        mirrors = {"cache-a": {"ascend_release": RELEASES[1]}, "cache-b": {}}
        nodes = {"one": {"depot_mirror": "cache-a"}, "two": {"ascend_release": RELEASES[1]}}
        groups = {"ascend": {"hosts": nodes}, "depot_mirrors": {"hosts": mirrors}}
        (folder / "hosts.json").write_text(json.dumps({"all": {"vars": common, "children": groups}}))

    def _depot(self) -> dict[str, str]:
        """Return the sum of each release's toolkit."""
        index = Index(self.folder / "depot")
        for release in RELEASES:
            aged(self.folder / "depot" / TOOLKIT.format(release), 0, release)
            index.enter(TOOLKIT.format(release))
            index["cann"][release] = {"toolkit": {"x86_64": TOOLKIT.format(release)}}
        index.save()
        return {release: index["files"][TOOLKIT.format(release)]["sha256"] for release in RELEASES}

    def prune(self, *more: str, code: int = 0) -> str:
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run(
            [program, "playbooks/prune_mirrors.yml", "-i", str(self.folder / "hosts.json"), *more],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.mark.slow
def test_a_mirror_keeps_what_the_nodes_need_that_name_it(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    before = names(fleet.mirror)
    goes = {fleet.sums[RELEASES[1]], sum_of("of a release of before")}
    shown = fleet.prune("--limit", "cache-a", "--check")
    assert {name for name in before if f"remove  {fleet.mirror}/{name}" in shown} == goes
    assert "2 to remove, which frees 0.0 MB" in shown
    assert names(fleet.mirror) == before
    other = fleet.prune("--limit", "cache-a", "--check", "-e", f"ascend_release={RELEASES[1]}")
    assert f"remove  {fleet.mirror}/{fleet.sums[RELEASES[0]]}" in other
    assert f"remove  {fleet.mirror}/{fleet.sums[RELEASES[1]]}" not in other
    assert "changed: [cache-a]" in fleet.prune("--limit", "cache-a")
    assert names(fleet.mirror) == before - goes
    again = fleet.prune("--limit", "cache-a")
    assert "nothing to remove" in again
    assert "changed: [cache-a]" not in again


@pytest.mark.slow
def test_where_nobody_knows_what_is_needed_nothing_goes(tmp_path: Path) -> None:
    """A mirror that no node names, and a depot that is not there."""
    fleet = Fleet(tmp_path)
    before = names(fleet.mirror)
    assert "no node needs a file of this mirror" in fleet.prune("--limit", "cache-b", code=2)
    (tmp_path / "depot" / "index.json").unlink()
    assert "the depot is not filled" in fleet.prune("--limit", "cache-a", code=2)
    assert names(fleet.mirror) == before
