# SPDX-License-Identifier: Apache-2.0
"""A mark is found however it is written, and half of it is; nothing else is."""

from __future__ import annotations

import base64
import gzip
import json
import lzma
from urllib.parse import quote

import pytest

from tests.leaks.finder import marks_in

MARK = "Kq7ZxP2mR9tLwE4vB8nCy1Ds"
OTHER = "Hs5JdX0aGf3UoI6kQb7MzTeV"
WRITTEN = {
    "plain": MARK.encode(),
    "its first half": MARK[:12].encode() + b"...",
    "its second half": b"***" + MARK[12:].encode(),
    "an address": f"http://fleet:{MARK}@depot/".encode(),
    "percent-encoded": quote(MARK).replace("7", "%37").replace("P", "%50").encode(),
    "in JSON": json.dumps(json.dumps({"x": f'"{MARK}'})).encode(),
    "escaped in JSON": MARK.replace("x", "\\u0078").replace("n", "\\u006e").encode(),
    "over two lines": f"{MARK[:7]}\n{MARK[7:15]}\\n{MARK[15:]}".encode(),
    "folded by YAML": f'"{MARK[:7]}\\\n    {MARK[7:]}"'.encode(),
    "over lines of base64": base64.encodebytes(b"x" * 40 + MARK.encode()),
    **{f"base64, {shift} before": base64.b64encode(b"u" * shift + MARK.encode() + b"v") for shift in range(4)},
    "base64 for addresses": base64.urlsafe_b64encode(b"a:" + MARK.encode()),
    "hexadecimal": MARK.encode().hex().encode(),
    "UTF-16": MARK.encode("utf-16"),
    "packed": gzip.compress(MARK.encode()),
    "packed tighter": lzma.compress(MARK.encode()),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_it_is_found(how: str) -> None:
    assert marks_in(b"before " + WRITTEN[how] if "packed" not in how else WRITTEN[how], {"it": MARK, "no": OTHER}) == {
        "it"
    }


def test_it_is_found_in_what_is_large() -> None:
    haystack = b"x y\n" * 300_000
    assert marks_in(haystack + base64.b64encode(MARK.encode()) + haystack, {"it": MARK, "no": OTHER}) == {"it"}


def test_nothing_else_is() -> None:
    near = f"{MARK[:11]} {MARK[::-1]} {MARK.lower()} {MARK[6:17]}"
    assert marks_in(near.encode(), {"it": MARK}) == set()
