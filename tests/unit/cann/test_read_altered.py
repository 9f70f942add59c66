# SPDX-License-Identifier: Apache-2.0
"""CANN's files held to what was installed: lost, altered, added or closed to the reader, read fast and deep."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import manifest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    install as cann_install,
    layout as cann_layout,
    layouts as cann_layouts,
)
from tests.answers import names, write
from tests.unit.cann.on_disk import ALTERED, COMPLETE, KERNEL, MACHINE, ROOT, STATE, Cann, V, remove, rewrite


def test_what_may_not_be_read_is_not_called_missing(cann: Cann, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = str(cann.home() / "opp")
    for module, name in ((os, "stat"), (os, "lstat"), (os, "listdir")):
        real = getattr(module, name)

        def guarded(path: Any, *args: Any, real: Any = real, **more: Any) -> Any:
            if str(path).startswith(closed):
                raise PermissionError(13, "Permission denied")
            return real(path, *args, **more)

        monkeypatch.setattr(module, name, guarded)
    facts, findings = cann.read()
    toolkit = facts["versions"][V]["toolkit"]
    assert "opp/version.info: cannot be read: Permission denied" in toolkit["problems"]
    assert not [problem for problem in toolkit["problems"] if "missing" in problem]
    assert names(findings)[0] == "cann-unreadable"
    closed = str(cann.home())
    facts, findings = cann.read()
    assert facts["versions"][V]["toolkit"]["problems"] == [
        f"{ROOT}/ascend-toolkit/{V} cannot be read: Permission denied"
    ]
    closed = str(cann.top)
    facts, findings = cann.read()
    assert names(findings)[:1] == ["cann-unreadable"]


def test_deep_reads_what_nobody_touched(cann: Cann) -> None:
    rewrite(cann.home() / "aoe/content/part.bin")
    write(cann.home(), "opp/vendors/mine/op.so", "x")
    write(cann.home(), "python/__pycache__/x.pyc", "x")
    assert cann.read()[1] == []
    facts, findings = cann.read(deep=True)
    assert names(findings) == ["cann-altered", "cann-extra"]
    assert facts["versions"][V]["toolkit"]["problems"] == ["aoe/content/part.bin has different content"]
    assert findings[1]["found"] == "opp/vendors/mine/op.so was added"


LIB64 = f"ascend-toolkit/{V}/{MACHINE}-linux/lib64"
CLOSED = [
    ("ascend-toolkit", "ascend-toolkit (0700)"),
    ("ascend-toolkit/set_env.sh", "ascend-toolkit/set_env.sh (0600)"),
    ("ascend-toolkit/latest", "ascend-toolkit/latest (0700)"),
    ("ascend-toolkit/latest/version.cfg", "ascend-toolkit/latest/version.cfg (0600)"),
    (f"ascend-toolkit/{V}", "itself (0700)"),
    (LIB64, f"{MACHINE}-linux/lib64 (0700)"),
    (f"{LIB64}/libascendcl.so", f"{MACHINE}-linux/lib64/libascendcl.so (0600)"),
    (f"ascend-toolkit/{V}/{MACHINE}-linux/script/set_env.sh", f"{MACHINE}-linux/script/set_env.sh (0600)"),
    (f"ascend-toolkit/{V}/aoe/content", "aoe/content (0700)"),
    (f"ascend-toolkit/{V}/aoe/content/part.bin", "aoe/content/part.bin (0600)"),
]


@pytest.mark.parametrize(("path", "words"), CLOSED)
def test_what_others_cannot_use_is_complete_and_closed(cann: Cann, path: str, words: str) -> None:
    closed = cann.root / ROOT.strip("/") / path
    before = closed.stat().st_mode & 0o777
    closed.chmod(before & 0o700)
    facts, findings = cann.read()
    assert facts["versions"][V]["toolkit"] == {**COMPLETE, "closed": words}
    assert names(findings) == ["closed-to-others"]
    assert findings[0]["found"] == words
    closed.chmod(before)
    assert cann.read()[1] == []


def test_closed_kernels(cann: Cann) -> None:
    (cann.home() / KERNEL / "ascend910b").chmod(0o750)
    facts, findings = cann.read()
    assert facts["versions"][V]["kernels"]["910b"]["closed"] == f"{KERNEL}/ascend910b (0750)"
    assert facts["versions"][V]["kernels"]["910b"]["state"] == "complete"
    assert names(findings) == ["closed-to-others"]


def test_what_is_closed_and_altered_is_both(cann: Cann) -> None:
    library = cann.home() / f"{MACHINE}-linux/lib64/libascendcl.so"
    library.write_text("another")
    library.chmod(0o600)
    toolkit = cann.read()[0]["versions"][V]["toolkit"]
    assert (toolkit["state"], "libascendcl.so (0600)" in toolkit.get("closed", "")) == (ALTERED, True)


def test_more_new_times_than_the_fast_form_reads(cann: Cann, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MOST_TOUCHED", 3)
    for path in cann.home().rglob("*.bin"):
        os.utime(path)
    facts, findings = cann.read()
    assert names(findings) == ["cann-unverified"]
    assert facts["versions"][V]["toolkit"] == COMPLETE
    assert cann.read(deep=True)[1] == []


def test_a_manifest_of_another_root_accuses_nobody(cann: Cann) -> None:
    path = Path(cann_layout.manifest_path(str(cann.root / STATE.strip("/")), "toolkit", V))
    manifest.write(str(cann.top), [V], str(path))
    remove(cann.home() / "aoe/content/part.bin")
    assert cann.read()[1] == []


def test_problems_are_bounded(cann: Cann) -> None:
    for path in cann.home().rglob("*"):
        if path.is_file():
            path.unlink()
    facts, _findings = cann.read()
    toolkit = facts["versions"][V]["toolkit"]
    assert len(toolkit["problems"]) == cann_layout.SHOWN
    assert toolkit["problem_count"] > 15


EVERY_FILE = sorted(
    [f"{component}/content/part.bin" for component in (*cann_layouts.PARTS, "aoe")]
    + [f"{component}/version.info" for component in (*cann_layouts.PARTS, "aoe", "opp_kernel")]
    + [f"{MACHINE}-linux/lib64/{library}" for library in cann_layouts.LIBRARIES]
    + [f"{MACHINE}-linux/script/set_env.sh", f"{KERNEL}/ascend910b/add.o"]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(EVERY_FILE), st.sampled_from(["lost", "cut", "longer", "flipped", "hidden"]), min_size=1
    )
)
def test_whatever_happens_to_files_is_seen(tmp_path_factory: pytest.TempPathFactory, damage: dict[str, str]) -> None:
    cann = Cann(tmp_path_factory.mktemp("node"))
    cann.put_toolkit()
    cann.put_kernels()
    cann.remember()
    for name, kind in damage.items():
        path = cann.home() / name
        content = path.read_bytes()
        if kind == "lost":
            path.unlink()
        elif kind == "cut":
            path.write_bytes(content[:-1])
        elif kind == "longer":
            path.write_bytes(content + b"x")
        elif kind == "flipped":
            path.write_bytes(bytes((content[0] ^ 1,)) + content[1:])
            os.utime(path, ns=(0, 0))
        else:
            rewrite(path)
    for deep in (True, False):
        facts, findings = cann.read(deep)
        version = facts["versions"][V]
        seen = {"toolkit": version["toolkit"], "kernels": version["kernels"].get("910b", {"state": "absent"})}
        expected = {
            "kernels" if KERNEL in name or "opp_kernel" in name else "toolkit"
            for name, kind in damage.items()
            if deep or kind != "hidden" or name.endswith((".info", ".sh"))
        }
        assert {name for name, package in seen.items() if package["state"] != "complete"} == expected, (damage, facts)
        assert bool(findings) == bool(expected)


def test_the_installers_module_reads_the_same_tree(cann: Cann) -> None:
    root, state = (str(cann.root / path.strip("/")) for path in (ROOT, STATE))
    package = cann_install.Package("toolkit", V, None, root, "", state, "", None, 1)
    assert cann_install.observe(package) == COMPLETE
    rewrite(cann.home() / "aoe/version.info")
    assert cann_install.observe(package)["state"] == ALTERED
