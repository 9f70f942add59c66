# SPDX-License-Identifier: Apache-2.0
"""The fleet's key pair: the operator's own if one is named, else one that is created once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ...ascend.errors import AscendError
from ...ascend.text import one_line
from .host_keys import public_key

_TEXT = ("ssh-", "ecdsa-", "sk-")


def line_of(given: str) -> str:
    """Return the one line of a public key, given as text or as the path of a .pub file. Raises AscendError."""
    text, where = given.strip(), "enroll_public_key"
    if not text.startswith(_TEXT):
        path = Path(text).expanduser()
        where = str(path)
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise AscendError(
                "cannot read the fleet's public key",
                wanted="a line such as ssh-ed25519 AAAA..., or the path of a file with it",
                found=str(error),
                where=where,
                remedy=f"ssh-keygen -y -f {str(path).removesuffix('.pub')} > {path}  # if the private key exists",
            ) from None
    key = public_key(text, where)
    comment = one_line(" ".join(text.splitlines()[0].split()[2:]))
    return f"{key.line} {comment}".strip()


def made(path: Path, check: bool, comment: str = "ascend-fleet") -> tuple[str, bool]:
    """Return the public key's line of a pair ("" if check mode does not create it), and whether it had to be created.

    Raises AscendError, OSError.
    """
    public = path.with_name(f"{path.name}.pub")
    if path.is_file() and public.is_file():
        return line_of(str(public)), False
    if check:
        return "", True
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.is_file():
        public.write_text(_keygen("-y", "-P", "", "-f", str(path)), encoding="utf-8")
        return line_of(str(public)), True
    part = path.with_name(f"{path.name}.part")
    for leftover in (part, Path(f"{part}.pub")):
        leftover.unlink(missing_ok=True)
    _keygen("-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(part))
    os.replace(f"{part}.pub", public)
    os.replace(part, path)
    return line_of(str(public)), True


def _keygen(*arguments: str) -> str:
    done = subprocess.run(
        ["ssh-keygen", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AscendError(
            "cannot create the fleet's key pair",
            wanted="ssh-keygen, with code 0",
            found=one_line(done.stderr or done.stdout),
            where=arguments[-1],
            remedy="ssh-keygen " + " ".join(arguments),
        )
    return done.stdout
