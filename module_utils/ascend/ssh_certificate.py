# SPDX-License-Identifier: Apache-2.0
"""Read an OpenSSH certificate, and return what a node's host certificate says.

The form is that of OpenSSH's PROTOCOL.certkeys. Signatures are not checked, because sshd and ssh do that; this only
reads dates.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import TYPE_CHECKING, List, NamedTuple, Optional

from . import files

if TYPE_CHECKING:
    from .node import Node
    from .shapes import HostCertificate, PerhapsCertified

FOLDER = "/etc/ssh/ascend-fleet"
PATH = FOLDER + "/host-cert.pub"
FOREVER = 2**64 - 1
USER, HOST = 1, 2
# How many fields the public key of a kind has, between the nonce and the serial number.
_FIELDS = {
    "ssh-rsa-cert-v01@openssh.com": 2,
    "ssh-ed25519-cert-v01@openssh.com": 1,
    "ecdsa-sha2-nistp256-cert-v01@openssh.com": 2,
    "ecdsa-sha2-nistp384-cert-v01@openssh.com": 2,
    "ecdsa-sha2-nistp521-cert-v01@openssh.com": 2,
    "sk-ssh-ed25519-cert-v01@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com": 3,
}


class Certificate(NamedTuple):
    """A certificate's content; times are seconds since 1970, ``key`` and ``signed_by`` are blobs of public keys."""

    kind: str
    key: bytes
    serial: int
    type: int
    key_id: str
    principals: List[str]
    valid_after: int
    valid_before: int
    signed_by: bytes


class _Reader:
    """The fields of a blob, one after the other. Raises ValueError if it ends too soon."""

    def __init__(self, blob: bytes) -> None:
        self.blob, self.at = blob, 0

    @property
    def is_over(self) -> bool:
        return self.at == len(self.blob)

    def take(self, count: int) -> bytes:
        if count > len(self.blob) - self.at:
            raise ValueError("it ends too soon")
        self.at += count
        return self.blob[self.at - count : self.at]

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def string(self) -> bytes:
        return self.take(self.number(">I"))


def _packed(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def parse(text: str) -> Optional[Certificate]:
    """Return the content of a line of a ``-cert.pub`` file, None if it is not a certificate."""
    words = text.split()
    try:
        blob = _Reader(base64.b64decode(words[1].encode("ascii"), validate=True))
        kind = blob.string().decode("ascii")
        if kind != words[0] or kind not in _FIELDS:
            return None
        blob.string()  # the nonce
        plain = kind.replace("-cert-v01", "") if kind.startswith("sk-") else kind.partition("-cert-v01")[0]
        key = _packed(plain.encode()) + b"".join(_packed(blob.string()) for _ in range(_FIELDS[kind]))
        serial, type_ = blob.number(">Q"), blob.number(">I")
        key_id, principals = blob.string().decode("utf-8", "replace"), _Reader(blob.string())
        names = []
        while not principals.is_over:
            names.append(principals.string().decode("utf-8", "replace"))
        after, before = blob.number(">Q"), blob.number(">Q")
        for _ in ("critical options", "extensions", "reserved"):
            blob.string()
        return Certificate(kind, key, serial, type_, key_id, names, after, before, blob.string())
    except (IndexError, ValueError, binascii.Error):
        return None


def facts(node: Node) -> PerhapsCertified:
    """Return the fact ``host_certificate``, nothing if the node has none of ours."""
    text = files.text(node.path(PATH))
    if text is None:
        return {}
    certificate = parse(text)
    dates: HostCertificate = {"path": PATH, "valid_after_s": None, "valid_before_s": None}
    if certificate and certificate.type == HOST:
        dates["valid_after_s"] = certificate.valid_after
        dates["valid_before_s"] = None if certificate.valid_before == FOREVER else certificate.valid_before
    return {"host_certificate": dates}
