# SPDX-License-Identifier: Apache-2.0
"""One CANN package: the exact call of its installer, and success judged by the files."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import command, manifest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    install as cann_install,
    installer_needs,
    layout as cann_layout,
    layouts as cann_layouts,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import origin
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.depot_file import DepotFile
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError

pytestmark = pytest.mark.usefixtures("no_needs")

VERSION = "8.0.RC1"
ARCH = platform.machine() + "-linux"
KERNELS = "opp/built-in/op_impl/ai_core/tbe/kernel"
Effect = Callable[[], None]


def write(path: Path, text: str = "content\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Node:
    """A node's folders, and installers that put there what the real ones do."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "Ascend"
        self.home = self.root / "ascend-toolkit" / VERSION
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        self.state = folder / "state"
        self.run_file = folder / "package.run"
        self.run_file.write_bytes(b"makeself")
        self.file = DepotFile(self.run_file.as_uri(), hashlib.sha256(b"makeself").hexdigest(), 8)

    def package(self, kind: str) -> cann_install.Package:
        return cann_install.Package(
            kind=kind,
            version=VERSION,
            chip="910b" if kind == "kernels" else None,
            root=str(self.root),
            cache_dir=str(self.root.parent / "cache"),
            state_dir=str(self.state),
            tmp_dir=str(self.tmp),
            python_bin="/opt/python/bin",
            timeout_s=7,
        )

    def put_toolkit(self) -> None:
        write(
            self.home / ARCH / "ascend_toolkit_install.info", f"package_name=Ascend-cann-toolkit\nversion={VERSION}\n"
        )
        for component in cann_layouts.PARTS:
            write(self.home / component / "version.info", f"Version=7.3\nversion_dir={VERSION}\n")
        for library in cann_layouts.LIBRARIES:
            write(self.home / ARCH / "lib64" / library)
        write(self.home / ARCH / "script" / "set_env.sh")
        write(self.root / "ascend-toolkit" / "set_env.sh")
        latest = self.root / "ascend-toolkit" / "latest"
        latest.mkdir(exist_ok=True)
        for component in cann_layouts.PARTS:
            if not (latest / component).is_symlink():
                (latest / component).symlink_to(f"../{VERSION}/{component}")
        running = [f"{component}_running_version=[7.3:{VERSION}]\n" for component in cann_layouts.PARTS]
        write(latest / "version.cfg", "".join(running))

    def put_kernels(self) -> None:
        write(self.home / "opp_kernel" / "version.info", f"version_dir={VERSION}\n")
        write(self.home / KERNELS / "config" / "ascend910b" / "binary_info_config.json", "{}")
        write(self.home / KERNELS / "ascend910b" / "add.o")


class Calls:
    """A fake ``run``: answers each expected call, in order, and fails on one too many."""

    def __init__(self, *answers: tuple[Effect | None, Result]) -> None:
        self.answers = list(answers)
        self.seen: list[tuple[list[str], float, dict[str, str]]] = []
        self.settles: Callable[[str], Result] = lambda _folder: done()

    def __call__(self, argv: list[str], timeout_s: float, env: dict[str, str] | None = None) -> Result:
        if env is None:
            assert argv[:2] == ["sync", "--file-system"]
            return self.settles(argv[2])
        assert self.answers, f"nobody expected {argv}"
        self.seen.append((argv, timeout_s, env))
        effect, result = self.answers.pop(0)
        if effect:
            effect()
        return result


def done(code: int = 0, output: str = "install success", timed_out: bool = False) -> Result:
    return Result(code, output, timed_out)


@pytest.mark.parametrize(("kind", "known"), [("toolkit", ["8.0.RC1"]), ("kernels", [])])
def test_a_toolkit_is_known_as_ours_before_its_installer_starts(node: Node, kind: str, known: list[str]) -> None:
    """One that is interrupted leaves something of ours; kernels make nobody's toolkit ours."""
    node.put_toolkit()
    seen: list[list[str]] = []
    run = Calls((lambda: seen.append(origin.read(str(node.state))["toolkits"]), done(1)))
    with suppress(AscendError):  # the kernels are absent; the toolkit is there all the same
        cann_install.install(node.package(kind), node.file, run)
    assert seen == [known]


def test_the_folder_above_another_place_is_made(node: Node, tmp_path: Path) -> None:
    """The real installers say: parent path doesn't exist, please create it first."""
    seen: list[bool] = []
    package = replace(node.package("toolkit"), root=str(tmp_path / "data" / "of ours" / "Ascend"))
    run = Calls((lambda: seen.append((tmp_path / "data" / "of ours").is_dir()), done(1)))
    with pytest.raises(AscendError):
        cann_install.install(package, node.file, run)
    assert seen == [True]
    assert not Path(package.root).exists(), "that one is the installer's to make"


BEGUN = "its installer started, and there is no record that it finished"


def test_what_is_not_on_the_disk_does_not_count(node: Node) -> None:
    """After a power cut names are there, and contents are not: a record would say that they are."""
    package = node.package("toolkit")
    folders: list[str] = []

    def fails(folder: str) -> Result:
        folders.append(folder)
        return done(1, "sync: error syncing: Input/output error")

    run = Calls((node.put_toolkit, done()))
    run.settles = fails
    with pytest.raises(AscendError, match=r"sync failed.*Input/output error"):
        cann_install.install(package, node.file, run)
    assert folders == [str(node.home)]
    found = cann_install.observe(package)
    assert (found["state"], found["problems"]) == ("half-installed", [BEGUN])


@pytest.mark.parametrize("kind", ["toolkit", "kernels"])
def test_an_installer_that_was_not_seen_to_end_left_nothing_that_counts(node: Node, kind: str) -> None:
    """Its files may all be there, and be empty after a power cut."""
    package = node.package(kind)
    put = {"toolkit": node.put_toolkit, "kernels": node.put_kernels}
    node.put_toolkit()

    def power_cut() -> None:
        put[kind]()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cann_install.install(package, node.file, Calls((power_cut, done())))
    found = cann_install.observe(package)
    assert (found["state"], found["problems"]) == ("half-installed", [BEGUN])
    cann_install.install(package, node.file, Calls((put[kind], done())))
    assert cann_install.observe(package)["state"] == "complete"


def test_the_toolkit(node: Node) -> None:
    run = Calls((node.put_toolkit, done()))
    package = node.package("toolkit")
    assert cann_install.observe(package)["state"] == "absent"
    cann_install.install(package, node.file, run)
    ((argv, timeout_s, env),) = run.seen
    cached = str(node.root.parent / "cache" / node.file.sha256[:16] / "package.run")
    assert argv == [
        "bash",
        cached,
        "--nox11",
        "--install",
        "--quiet",
        "--install-for-all",
        f"--install-path={node.root}",
    ]
    assert timeout_s == 7
    assert env["PATH"].startswith("/opt/python/bin:")
    assert Path(env["TMPDIR"]).parent == node.tmp
    assert set(env) == {"PATH", "HOME", "USER", "TMPDIR", "PIP_DISABLE_PIP_VERSION_CHECK"}
    assert list(node.tmp.iterdir()) == []
    assert cann_install.observe(package)["state"] == "complete"


def test_the_kernels_find_their_toolkit_by_its_set_env(node: Node) -> None:
    node.put_toolkit()
    run = Calls((node.put_kernels, done()))
    cann_install.install(node.package("kernels"), node.file, run)
    argv = run.seen[0][0]
    set_env = str(node.home / ARCH / "script" / "set_env.sh")
    assert (argv[:2], argv[3:5]) == (["bash", "-c"], ["ascend-fleet", set_env])
    assert argv[5] == "bash"
    assert argv[7] == "--nox11"
    assert cann_install.observe(node.package("kernels"))["state"] == "complete"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("export ASCEND_OPP_PATH=/opp\n", 0),
        ("export ASCEND_OPP_PATH=/opp\n[ -d /nowhere ]\n", 0),
        ("export ASCEND_OPP_PATH=/opp\nreturn 3\n", 0),
        ("shift 2\nset -e\nexport ASCEND_OPP_PATH=/opp\nfalse\n", 0),
        (None, 1),
    ],
)
def test_a_set_env_that_ends_badly_does_not_stop_the_kernels(node: Node, script: str | None, code: int) -> None:
    """Run for real, with an installer that wants what set_env.sh sets."""
    node.put_toolkit()
    set_env = node.home / ARCH / "script" / "set_env.sh"
    set_env.unlink() if script is None else set_env.write_text(script)
    installer = node.run_file.with_name("installer")
    installer.write_text('echo "$ASCEND_OPP_PATH $*"\n')
    argv = cann_install._argv(node.package("kernels"), str(installer))
    done = command.run(argv, 30, env={"PATH": cann_install.SYSTEM_PATH})
    assert done.code == code, done.output
    assert done.output.startswith("/opp --nox11 --install ") == (code == 0), done.output


def test_kernels_that_are_lost_leave_the_toolkit_complete(node: Node) -> None:
    cann_install.install(node.package("toolkit"), node.file, Calls((node.put_toolkit, done())))
    cann_install.install(node.package("kernels"), node.file, Calls((node.put_kernels, done())))
    for path in sorted(node.home.rglob("*"), reverse=True):
        if KERNELS in str(path) or "opp_kernel" in str(path):
            path.unlink() if path.is_file() else path.rmdir()
    assert cann_install.observe(node.package("toolkit"))["state"] == "complete"
    assert cann_install.observe(node.package("kernels"))["state"] == "absent"


def test_a_file_lost_after_the_installation_is_seen(node: Node) -> None:
    def put() -> None:
        node.put_toolkit()
        write(node.home / "aoe" / "bin" / "aoe")

    cann_install.install(node.package("toolkit"), node.file, Calls((put, done())))
    (node.home / "aoe" / "bin" / "aoe").unlink()
    found = cann_install.observe(node.package("toolkit"))
    assert (found["state"], found["problems"]) == ("altered", ["missing aoe/bin/aoe"])
    write(node.home / "aoe" / "bin" / "aoe", "longer than it was\n")
    assert "bytes, not" in cann_install.observe(node.package("toolkit"))["problems"][0]
    cann_install.install(node.package("toolkit"), node.file, Calls((put, done())))
    assert cann_install.observe(node.package("toolkit"))["state"] == "complete"


def test_a_changed_toolkit_forgets_its_kernels(node: Node) -> None:
    cann_install.install(node.package("toolkit"), node.file, Calls((node.put_toolkit, done())))
    cann_install.install(node.package("kernels"), node.file, Calls((node.put_kernels, done())))
    assert cann_layout.recorded_chips(str(node.state), VERSION) == ["910b"]
    cann_install.install(node.package("toolkit"), node.file, Calls((node.put_toolkit, done())))
    assert cann_layout.recorded_chips(str(node.state), VERSION) == []


def test_installed_files_that_cannot_be_read_are_said(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: Any, **_more: Any) -> int:
        raise OSError(5, "Input/output error", "libascendcl.so")

    monkeypatch.setattr(manifest, "write", fails)
    with pytest.raises(AscendError, match=r"cannot record the installed files.*Input/output error"):
        cann_install.install(node.package("toolkit"), node.file, Calls((node.put_toolkit, done())))


@pytest.mark.parametrize(
    ("effect", "result", "words"),
    [
        (None, done(), "found: absent: none of its files"),
        (None, done(3, "no space left"), "ended with code 3.*no space left"),
        ("half", done(), "half-installed: .*missing"),
        ("all", done(-9, "", True), "did not end within 7 s"),
    ],
)
def test_its_words_are_not_believed(node: Node, effect: str | None, result: Result, words: str) -> None:
    def half() -> None:
        write(node.home / "runtime" / "version.info", f"version_dir={VERSION}\n")

    effects: dict[str, Effect] = {"half": half, "all": node.put_toolkit}
    with pytest.raises(AscendError, match=words):
        cann_install.install(node.package("toolkit"), node.file, Calls((effects.get(effect or ""), result)))
    assert list(node.tmp.iterdir()) == []
    assert not os.path.exists(node.package("toolkit").manifest)


def test_files_decide_also_when_the_code_is_not_zero(node: Node) -> None:
    """CANN's installers warn with a code of their own where all is there."""
    cann_install.install(node.package("toolkit"), node.file, Calls((node.put_toolkit, done(1, "warning"))))
    assert cann_install.observe(node.package("toolkit"))["state"] == "complete"


def test_another_file_is_never_run(node: Node) -> None:
    wrong = DepotFile(node.file.url, "0" * 64, 8)
    with pytest.raises(AscendError, match="differs from the control node's"):
        cann_install.install(node.package("toolkit"), wrong, Calls())


def test_a_node_that_lacks_what_the_installer_needs_keeps_what_it_has(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacks(*_arguments: Any) -> None:
        raise AscendError("pip3 is missing, which CANN's installer needs")

    node.put_toolkit()
    cann_install._write_manifests(node.package("toolkit"))
    before = sorted(path for path in node.state.rglob("*"))
    monkeypatch.setattr(installer_needs, "require", lacks)
    with pytest.raises(AscendError, match="pip3"):
        cann_install.install(node.package("toolkit"), node.file, Calls())
    assert sorted(path for path in node.state.rglob("*")) == before


def hold(node: Node, kind: str = "toolkit", **changes: Any) -> None:
    options = {"accept_eula": True, "allow_downgrade": False, "check_mode": False, **changes}
    cann_install.require_allowed(node.package(kind), **options)


def test_what_is_not_allowed(node: Node) -> None:
    hold(node)
    with pytest.raises(AscendError, match="licence"):
        hold(node, accept_eula=False)
    with pytest.raises(AscendError, match="kernels need the toolkit"):
        hold(node, "kernels")
    node.put_toolkit()
    hold(node, "kernels")
    write(node.root / "ascend-toolkit" / "8.0.0" / "runtime" / "version.info")
    latest = node.root / "ascend-toolkit" / "latest" / "runtime"
    latest.unlink()
    latest.symlink_to("../8.0.0/runtime")
    with pytest.raises(AscendError, match="a newer CANN is installed"):
        hold(node)
    hold(node, allow_downgrade=True)


def test_an_uninstaller_that_leaves_something_is_not_believed(node: Node) -> None:
    node.put_toolkit()
    script = node.home / ARCH / "script" / "uninstall.sh"
    write(script)
    believed = Calls((None, done(output="[INFO] Ascend-cann-toolkit uninstall success")))
    with pytest.raises(AscendError) as told:
        cann_install.uninstall(node.package("toolkit"), believed)
    assert told.value.wanted == "no files of toolkit"
    assert str(script) in str(believed.seen)


def test_an_uninstaller_that_leaves_nothing_is_believed_whatever_its_code(node: Node) -> None:
    node.put_toolkit()
    write(node.home / ARCH / "script" / "uninstall.sh")
    cann_install.uninstall(node.package("toolkit"), Calls((lambda: shutil.rmtree(node.home), done(1))))
    assert cann_install.observe(node.package("toolkit"))["state"] == "absent"


@pytest.mark.parametrize("kind", ["toolkit", "kernels"])
def test_what_an_installer_leaves_closed_is_opened(node: Node, kind: str) -> None:
    """As one does that sets a strict umask of its own."""

    def strict() -> None:
        node.put_toolkit()
        if kind == "kernels":
            node.put_kernels()
        for path in (node.root / "ascend-toolkit", *(node.root / "ascend-toolkit").rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o700)

    if kind == "kernels":
        node.put_toolkit()
    package = node.package(kind)
    cann_install.install(package, node.file, Calls((strict, done())))
    assert cann_install.observe(package) == {"state": "complete", "problems": [], "problem_count": 0}
    assert (node.home / ARCH / "lib64" / "libhccl.so").stat().st_mode & 0o777 == 0o644


def beside(node: Node, version: str = "8.2.RC1", script: bool = True) -> Path:
    """A newer CANN of the users', to which `latest` leads."""
    home = node.root / "ascend-toolkit" / version
    latest = node.root / "ascend-toolkit" / "latest"
    latest.mkdir(parents=True)
    for component in cann_layouts.PARTS:
        write(home / component / "version.info", f"Version=7.7\nversion_dir={version}\n")
        (latest / component).symlink_to(f"../{version}/{component}")
    if script:
        write(home / cann_install.RELINK)
    return latest


def lead(latest: Path, version: str) -> None:
    for component in cann_layouts.PARTS:
        (latest / component).unlink()
        (latest / component).symlink_to(f"../{version}/{component}")


def test_a_cann_whose_order_is_not_known_is_not_replaced_without_being_asked(node: Node) -> None:
    beside(node, "8.0.RC1-custom")
    with pytest.raises(AscendError, match="a newer CANN is installed"):
        hold(node)
    hold(node, allow_downgrade=True)
