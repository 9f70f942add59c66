# SPDX-License-Identifier: Apache-2.0
"""Certificates as ssh-keygen writes them, read as it reads them, and damaged ones."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import ssh_certificate
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.ssh_certificate import FOREVER, parse
from tests.answers import node


def keygen(*argv: str) -> str:
    return subprocess.run(["ssh-keygen", *argv], check=True, capture_output=True, text=True).stdout


def made(folder: Path, kind: str, bits: str, *options: str) -> str:
    key = folder / "key"
    keygen("-q", "-t", "ed25519", "-N", "", "-f", str(folder / "ca"))
    keygen("-q", "-t", kind, "-b", bits, "-N", "", "-f", str(key))
    keygen("-q", "-s", str(folder / "ca"), "-I", "an id, ümlaut", *options, f"{key}.pub")
    return (folder / "key-cert.pub").read_text()


@pytest.mark.parametrize(
    ("kind", "bits", "options"),
    [
        ("ed25519", "256", ["-h", "-n", "a,b.example,::1", "-z", "7", "-V", "20260101000000Z:20270101000000Z"]),
        ("rsa", "2048", ["-h", "-n", "a"]),
        ("ecdsa", "256", ["-n", "ascend-fleet", "-V", "-1h:+1d"]),
        ("ecdsa", "384", ["-h"]),
        ("ecdsa", "521", ["-n", "x", "-O", "force-command=id"]),
    ],
)
def test_it_is_read_as_ssh_keygen_reads_it(tmp_path: Path, kind: str, bits: str, options: list[str]) -> None:
    found = parse(made(tmp_path, kind, bits, *options))
    assert found
    text = keygen("-L", "-f", str(tmp_path / "key-cert.pub"))
    names = re.search(r"Principals: (.*?)Critical", text, re.DOTALL)
    assert names
    assert found.principals == [name for name in names[1].split() if name != "(none)"]
    assert f"Serial: {found.serial}\n" in text
    assert f'ID: "{found.key_id}"' in text or "\\" in text
    assert ("host certificate" in text) == (found.type == ssh_certificate.HOST)
    assert (found.valid_before == FOREVER) == ("Valid: forever" in text)
    plain, ca = ((tmp_path / name).read_text().split()[1] for name in ("key.pub", "ca.pub"))
    assert (base64.b64encode(found.key).decode(), base64.b64encode(found.signed_by).decode()) == (plain, ca)


def test_dates_are_seconds_since_1970(tmp_path: Path) -> None:
    line = made(tmp_path, "ed25519", "256", "-h", "-n", "a", "-V", "20260101000000Z:20270101000000Z")
    found = parse(line)
    assert found
    assert (found.valid_after, found.valid_before) == (1767225600, 1798761600)
    place = tmp_path / "root" / ssh_certificate.PATH.lstrip("/")
    here = node(tmp_path / "root")
    assert ssh_certificate.facts(here) == {}
    place.parent.mkdir(parents=True)
    dates = {"path": ssh_certificate.PATH, "valid_after_s": 1767225600, "valid_before_s": 1798761600}
    for text, expected in (
        (line, dates),
        (line[:200], {**dates, "valid_after_s": None, "valid_before_s": None}),
        ((tmp_path / "key.pub").read_text(), {**dates, "valid_after_s": None, "valid_before_s": None}),
    ):
        place.write_text(text)
        assert ssh_certificate.facts(here) == {"host_certificate": expected}


@pytest.fixture(scope="module")
def blob(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return base64.b64decode(made(tmp_path_factory.mktemp("blob"), "ed25519", "256", "-h", "-n", "a,b").split()[1])


@settings(max_examples=400, deadline=None)
@given(at=strategies.integers(0, 500), damage=strategies.binary(max_size=8), cut=strategies.integers(0, 8))
def test_damage_of_the_blob_raises_nothing(blob: bytes, at: int, damage: bytes, cut: int) -> None:
    """The base64 of the fuzz run's damaged lines seldom survives: so the bytes below it are damaged here."""
    damaged = blob[:at] + damage + blob[at + cut :]
    found = parse(f"ssh-ed25519-cert-v01@openssh.com {base64.b64encode(damaged).decode()}")
    assert found is None or found.kind == "ssh-ed25519-cert-v01@openssh.com"


def test_many_empty_names_take_no_time(blob: bytes) -> None:
    head, names = blob.split(b"\x00\x00\x00\x0a\x00\x00\x00\x01a\x00\x00\x00\x01b")
    many = head + (400_000).to_bytes(4, "big") + bytes(400_000) + names
    found = parse(f"ssh-ed25519-cert-v01@openssh.com {base64.b64encode(many).decode()}")
    assert found
    assert found.principals == [""] * 100_000
