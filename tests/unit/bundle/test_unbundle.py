# SPDX-License-Identifier: Apache-2.0
"""``sh unbundle``, as a person at the other machine runs it, with a small bundle."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.bundle.made import MACHINE, SIZES, made

STUB = """#!/bin/sh
echo x >>{count}
if [ "$(wc -l <{count})" -eq {number} ]; then kill -9 $PPID; fi
exec {program} "$@"
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    made(folder / "out", folder / "work")
    return folder


class Machine:
    """The other side: a bundle on a disk, and places for what comes out of it."""

    def __init__(self, top: Path, finished: Path) -> None:
        self.depot_before = finished / "work" / "depot"
        self.disk, self.to, self.depot = top / "disk", top / "fleet", top / "depot"
        shutil.copytree(finished / "out", self.disk)

    def run(self, *options: str | Path, path: str = "") -> subprocess.CompletedProcess[str]:
        places = ["--to", self.to, "--depot", self.depot]
        argv = list(map(str, ["sh", self.disk / "unbundle", *places, *options]))
        environment = {"PATH": f"{path}:/usr/bin:/bin" if path else "/usr/bin:/bin", "HOME": str(self.disk)}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

    def stopped(self, *options: str | Path, path: str = "") -> str:
        """What it says when it stops; nothing was changed where the project and the depot go."""
        done = self.run(*options, path=path)
        assert done.returncode == 1, done.stdout + done.stderr
        assert not self.to.exists()
        return done.stderr

    def older(self) -> None:
        """Put an older project into the place of the new one, with what the operator has in it."""
        for folder in ("inventory/prod", "reports"):
            (self.to / folder).mkdir(parents=True)
        (self.to / "site.yml").write_text("older")
        (self.to / "inventory/prod/hosts.yml").write_text("mine")
        (self.to / "reports/history.sqlite").write_text("mine")

    def require_own(self) -> None:
        assert [path.name for path in (self.to / "inventory/prod").iterdir()] == ["hosts.yml"]
        assert (self.to / "inventory/prod/hosts.yml").read_text() == "mine"
        assert (self.to / "reports/history.sqlite").read_text() == "mine"
        assert (self.to / "site.yml").read_text() != "older"

    def require_whole(self) -> None:
        for name in SIZES:
            assert (self.depot / name).read_bytes() == (self.depot_before / name).read_bytes()
        assert (self.depot / "index.json").is_file()
        version = subprocess.run([self.to / ".venv/bin/ansible-playbook", "--version"], capture_output=True, text=True)
        assert version.stdout.startswith("ansible-playbook [core 9.9.9]"), version.stderr


@pytest.fixture
def machine(tmp_path: Path, finished: Path) -> Machine:
    return Machine(tmp_path, finished)


@pytest.mark.slow
def test_it_ends_with_ansible_keeps_the_inventory_and_may_run_again(machine: Machine) -> None:
    """An older project lies there, with an inventory and reports of the operator's."""
    machine.older()
    first = machine.run()
    assert first.returncode == 0, first.stdout + first.stderr
    machine.require_whole()
    assert (
        f"    cd {machine.to} && . .venv/bin/activate\n    ansible-playbook site.yml -i inventory/prod" in first.stdout
    )
    assert "ascend_depot_dir: " + str(machine.depot) in first.stdout, "the depot is not where the role looks for it"
    assert (machine.to / "collections/ansible_collections/ascend/fleet").is_symlink()
    assert not machine.to.with_name("fleet.new").exists()
    assert "inventory is left as it is" in first.stdout
    machine.require_own()
    assert (machine.to.with_name("fleet.old") / "site.yml").read_text() == "older", "the way back"
    before = (machine.to / ".venv/installed").stat().st_mtime_ns
    again = machine.run()
    assert again.returncode == 0, again.stdout + again.stderr
    assert (machine.to / ".venv/installed").stat().st_mtime_ns == before
    assert "verified" not in again.stdout, "no part is read again"
    machine.require_own()


@pytest.mark.parametrize("name", [f"python-{MACHINE}.tar.gz", "project.tar.gz", f"wheels-{MACHINE}.tar", "bundle.json"])
def test_a_damaged_file_is_named(machine: Machine, name: str) -> None:
    content = bytearray((machine.disk / name).read_bytes())
    content[len(content) // 2] ^= 1
    (machine.disk / name).write_bytes(content)
    words = machine.stopped()
    assert f"unbundle: {name} is damaged" in words
    assert f"where:  {machine.disk / name}" in words
    (machine.disk / name).unlink()
    assert f"unbundle: {name} is missing" in machine.stopped()


def test_sums_that_were_cut_off_are_named(machine: Machine) -> None:
    sums = machine.disk / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(keepends=True) if "project" not in line))
    assert "SHA256SUMS does not name project.tar.gz" in machine.stopped()
    sums.unlink()
    assert "SHA256SUMS is missing" in machine.stopped()


def test_a_damaged_part_stops_it_before_the_project_is_switched(machine: Machine) -> None:
    part = machine.disk / "depot-002.tar"
    part.write_bytes(part.read_bytes()[:-1000] + b"x" * 1000)
    words = machine.stopped()
    assert "unbundle: depot-002.tar is damaged" in words
    assert "copy depot-002.tar again" in words


@pytest.mark.whole
def test_the_command_that_it_prints_takes_the_next_disk(machine: Machine, tmp_path: Path) -> None:
    second = tmp_path / "second disk"
    second.mkdir()
    for name in ("depot-002.tar", "depot-003.tar"):
        shutil.move(machine.disk / name, second / name)
    words = machine.stopped()
    assert "wanted: depot-002.tar, depot-003.tar" in words
    (command,) = re.findall(r"next: +mount the disk that has them, then: (.*) /the/folder/of/that/disk", words)
    shutil.rmtree(machine.disk)  # the first disk is taken out
    done = subprocess.run(f"{command} '{second}'", shell=True, capture_output=True, text=True, check=False)  # noqa: S602  (as a person types it)
    assert done.returncode == 0, done.stdout + done.stderr
    machine.require_whole()


def test_another_architecture_is_refused(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uname").write_text("#!/bin/sh\necho riscv64\n")
    (tmp_path / "bin/uname").chmod(0o755)
    words = machine.stopped(path=str(tmp_path / "bin"))
    assert "not for a control node of this architecture" in words
    assert f"wanted: riscv64\n  found:  python-{MACHINE}.tar.gz" in words
    assert "make bundle CONTROL=riscv64" in words


def test_what_is_not_the_project_is_left_alone(machine: Machine) -> None:
    machine.to.mkdir()
    (machine.to / "letters").write_text("mine")
    done = machine.run()
    assert done.returncode == 1
    assert "something else is where the project goes" in done.stderr
    assert [path.name for path in machine.to.iterdir()] == ["letters"]
    assert not machine.depot.exists(), "that is said before anything is unpacked"


@pytest.mark.whole
@pytest.mark.parametrize("program", ["cp", "mkdir", "mv", "rm", "sha256sum", "tar"])
def test_it_may_be_killed_anywhere(machine: Machine, tmp_path: Path, program: str) -> None:
    """An older project lies there; each run is killed when it begins one more such program than the run before."""
    machine.older()
    stub, count = tmp_path / "bin" / program, tmp_path / "count"
    stub.parent.mkdir()
    for number in range(1, 40):
        count.unlink(missing_ok=True)
        stub.write_text(STUB.format(count=count, number=number, program=shutil.which(program)))
        stub.chmod(0o755)
        done = machine.run(path=str(stub.parent))
        if done.returncode == 0:
            break
        # What a subshell ran ends it as the shell says it.
        assert done.returncode in (-9, 137), done.stdout + done.stderr
        # Before, between, after: the operator's inventory is in one of the two places.
        assert any(
            (place / "inventory/prod/hosts.yml").is_file() for place in (machine.to, machine.to.with_name("fleet.old"))
        )
    assert number > 2, f"{program} was not reached"
    machine.require_whole()
    machine.require_own()


@pytest.mark.whole
def test_an_inventory_that_the_old_project_alone_has_is_kept(machine: Machine) -> None:
    """As it is after a run that was killed between the two moves, where another bundle came then."""
    machine.older()
    machine.to.rename(machine.to.with_name("fleet.old"))
    done = machine.run()
    assert done.returncode == 0, done.stdout + done.stderr
    machine.require_own()


def minisign(disk: Path, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["minisign", "-GWp", folder / "key.pub", "-s", folder / "key"], check=True, capture_output=True)
    subprocess.run(["minisign", "-Sm", disk / "SHA256SUMS", "-s", folder / "key"], check=True, capture_output=True)
    return folder / "key.pub"


def gpg(disk: Path, folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    program = ["gpg", "--homedir", str(folder), "--batch", "--quiet", "--yes"]
    try:
        subprocess.run(
            [*program, "--passphrase", "", "--quick-generate-key", "site", "ed25519", "sign", "1d"], check=True
        )
        subprocess.run([*program, "--armor", "--detach-sign", str(disk / "SHA256SUMS")], check=True)
        subprocess.run([*program, "--output", str(folder / "key.gpg"), "--export", "site"], check=True)
        subprocess.run([*program, "--armor", "--output", str(folder / "key.asc"), "--export", "site"], check=True)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(folder), "--kill", "all"], check=True)
    return folder / "key.gpg"


@pytest.mark.parametrize(("signed", "suffix"), [(minisign, "minisig"), (gpg, "asc")], ids=["minisign", "gpg"])
def test_with_a_key_only_what_it_signed_is_unpacked(
    machine: Machine, tmp_path: Path, signed: Callable[[Path, Path], Path], suffix: str
) -> None:
    key = signed(machine.disk, tmp_path / "keys")
    other = signed(shutil.copytree(machine.disk, tmp_path / "other"), tmp_path / "other keys")
    assert "SHA256SUMS is not signed with the key" in machine.stopped("--key", other)
    sums = machine.disk / "SHA256SUMS"
    text = sums.read_text()
    sums.write_text(text + "\n")
    assert "trust nothing in this bundle" in machine.stopped("--key", key)
    sums.write_text(text)
    signature = sums.with_name(f"SHA256SUMS.{suffix}")
    signature.rename(tmp_path / "signature")
    assert f"wanted: SHA256SUMS.{suffix}, made with the key in {key}" in machine.stopped("--key", key)
    assert "the key does not exist" in machine.stopped("--key", tmp_path / "no.pub")
    shutil.copy(tmp_path / "signature", signature)
    # The signature holds, so the next thing that is wrong is named.
    (machine.disk / "project.tar.gz").write_bytes(b"")
    for each in [key, *key.parent.glob("key.asc")]:
        assert "project.tar.gz is damaged" in machine.stopped("--key", each)


@pytest.mark.whole
def test_the_signature_travels_for_the_next_disk(machine: Machine, tmp_path: Path) -> None:
    key = minisign(machine.disk, tmp_path / "keys")
    (machine.disk / "depot-001.tar").rename(tmp_path / "depot-001.tar")
    assert f"--key {key} /the/folder" in machine.stopped("--key", key)
    done = subprocess.run(
        [
            "sh",
            f"{machine.to}.new/.bundle/unbundle",
            "--to",
            machine.to,
            "--depot",
            machine.depot,
            "--key",
            key,
            tmp_path,
        ],
        env={**os.environ, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "depot-001.tar" in done.stdout, done.stdout + done.stderr
