# SPDX-License-Identifier: Apache-2.0
"""Host keys: what the inventory and a CSV say about them, what a server shows, and whether they match."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...ascend.errors import AscendError

_FINGERPRINT = re.compile(r"SHA256:([A-Za-z0-9+/]{43})=?(?![A-Za-z0-9+/])")
_COLUMNS = ("host", "fingerprint")
# From where a key is known to be right, for the report.
INVENTORY, PINNED, FIRST_USE, AUTHORITY = "inventory", "known_hosts", "first use", "host CA"


@dataclass(frozen=True)
class HostKey:
    """A public host key: ``kind`` as known_hosts names it ("ssh-ed25519"), ``blob`` as it is sent."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` shows it: SHA256:..."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def line(self) -> str:
        """The key as in a .pub file, without a comment."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def shown(self) -> str:
        """For a person."""
        return f"{self.fingerprint} ({self.kind})"


def public_key(text: str, where: str) -> HostKey:
    """Return the key of a .pub file's line; the blob itself names its kind. Raises AscendError."""
    words = text.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
        length = int.from_bytes(blob[:4], "big")
        if blob[4 : 4 + length].decode("ascii") != words[0] or len(blob) <= 4 + length:
            raise ValueError
    except (IndexError, ValueError, binascii.Error):
        raise AscendError(
            "not a public key",
            wanted="a line such as: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5... comment",
            found=text.strip()[:80] or "nothing",
            where=where,
            remedy="cat /etc/ssh/ssh_host_ed25519_key.pub  # on the node: the whole line",
        ) from None
    return HostKey(words[0], blob)


def fingerprints(given: Any, where: str) -> list[str]:
    """Return the SHA256 fingerprints of a text or a list, in lines of ``ssh-keygen -l`` or bare.

    Raises AscendError.
    """
    found = []
    for text in _texts(given):
        match = _FINGERPRINT.search(text)
        if match is None:
            raise AscendError(
                "not a fingerprint of a host key",
                wanted="SHA256: and 43 characters, as ssh-keygen -l prints it",
                found=text[:80],
                where=where,
                remedy="ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub  # on the node's console",
            )
        found.append("SHA256:" + match[1])
    return found


def expected(variables: Mapping[str, Any], node: str) -> list[str]:
    """Return the fingerprints that a node's ``ssh_host_fingerprints`` and ``ssh_host_key`` allow.

    Raises AscendError.
    """
    found = fingerprints(variables.get("ssh_host_fingerprints"), f"ssh_host_fingerprints of {node}")
    lines = (line for text in _texts(variables.get("ssh_host_key")) for line in text.splitlines() if line.strip())
    return found + [public_key(line, f"ssh_host_key of {node}").fingerprint for line in lines]


def _texts(given: Any) -> list[str]:
    listed = [given] if isinstance(given, str) else list(given or [])
    return [str(text).strip() for text in listed if str(text).strip()]


def from_csv(path: Path) -> dict[str, list[str]]:
    """Return host -> fingerprints of a CSV file with the columns host and fingerprint. Raises AscendError, OSError."""
    found: dict[str, list[str]] = {}
    # Spreadsheets begin their files with a mark.
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream, skipinitialspace=True)
        missing = [name for name in _COLUMNS if name not in (rows.fieldnames or [])]
        if missing:
            raise AscendError(
                f"the list of fingerprints has no column {missing[0]}",
                wanted="a first line: host,fingerprint",
                found=",".join(rows.fieldnames or []) or "an empty file",
                where=str(path),
                remedy="write one line per key: npu-001,SHA256:...",
            )
        for row in rows:
            host = (row["host"] or "").strip()
            found.setdefault(host, []).extend(fingerprints(row["fingerprint"] or "-", f"{path}, line {rows.line_num}"))
    return found


def is_known(key: HostKey, allowed: Iterable[str]) -> bool:
    """Whether the key is one of those that are allowed by their fingerprints."""
    return key.fingerprint in set(allowed)


def unknown(found: Sequence[HostKey], where: str, inventory: str, complaint: str = "") -> AscendError:
    """Return the error of a node with an unknown host key; ``complaint`` is OpenSSH's about its certificate."""
    first = found[0]
    return AscendError(
        "the node's host key is unknown",
        wanted="its fingerprint in the inventory (ssh_host_fingerprints), or in a CSV (enroll_fingerprints)",
        found=", ".join([*(key.shown for key in found), *([complaint] if complaint else [])]),
        where=where,
        remedy="compare it with the node's console (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), then: "
        f'ssh_host_fingerprints: ["{first.fingerprint}"] in the inventory; or, where nobody can intercept this: '
        f"ansible-playbook playbooks/enroll.yml {inventory} -e enroll_trust_on_first_use=true",
    )


def revoked(key: HostKey, where: str, file: Path) -> AscendError:
    """Return the error of a host key that the fleet has revoked."""
    return AscendError(
        "the node's host key was revoked",
        wanted=f"a key that is not in {file}",
        found=key.shown,
        where=where,
        remedy="on its console: rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart sshd  # a new fingerprint",
    )


def mismatch(found: Sequence[HostKey], allowed: Sequence[str], where: str, source: str, replaced: str) -> AscendError:
    """Return the error of a node that shows another key; ``replaced`` is what to do if the node was reinstalled."""
    return AscendError(
        "the node's host key is not the known one: it was reinstalled, or another machine answers",
        wanted=f"{', '.join(allowed)} ({source})",
        found=", ".join(key.shown for key in found),
        where=where,
        remedy="compare it with the node's console (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub); "
        f"if the node was reinstalled: {replaced}",
    )


def cloned(key: HostKey, others: Sequence[str], where: str) -> AscendError:
    """Return the error of a host key that several nodes share: the owner of one can pretend to be the others."""
    return AscendError(
        f"several nodes have the same host key: this one and {', '.join(others)}",
        wanted="a host key of its own for each node (an image must not contain /etc/ssh/ssh_host_*)",
        found=key.shown,
        where=where,
        remedy="on each of them: rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart sshd  # then note the "
        "new fingerprints. If it is one machine with a new address or a second name, remove the other from the fleet's "
        "known_hosts (ssh-keygen -R OLD -f FILE) or from the inventory",
    )
