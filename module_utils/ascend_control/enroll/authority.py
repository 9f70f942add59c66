# SPDX-License-Identifier: Apache-2.0
"""The fleet's certificate authorities and its list of revoked keys, using only ssh-keygen.

An authority's private key is a file, or in an agent (with a passphrase, a card, an HSM through PKCS#11).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...ascend.errors import AscendError
from ...ascend.text import one_line
from . import keypair
from .host_keys import HostKey, public_key

REVOKED = "revoked_keys"
# Clocks of nodes and control nodes differ; who signs today means no certificate of tomorrow.
_BEFORE = "-1h"
_CLEAR = ("-O", "clear", "-O", "permit-pty")  # no forwarding of agents, ports or displays, and no ~/.ssh/rc
_SIGN_S = 60


@dataclass(frozen=True)
class Authority:
    """A signer: ``key`` is its public key, ``path`` the file of its private one."""

    path: Path
    key: HostKey
    in_agent: bool

    @property
    def public(self) -> Path:
        return _public(self.path)


def _public(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")


def authority(path: Path) -> Authority | None:
    """Return the authority of this place, None if none was made. Raises AscendError."""
    public = _public(path)
    if not public.is_file():
        return None
    key = public_key(public.read_text(encoding="utf-8"), str(public))
    loaded = keygen("ssh-add", "-L").stdout if "SSH_AUTH_SOCK" in os.environ else ""
    return Authority(path, key, key.line in loaded)


def made(path: Path, name: str, check: bool) -> bool:
    """Create the authority if there is none; never replace one. Return whether it was created. Raises AscendError."""
    return not _public(path).is_file() and keypair.made(path, check, name)[1]


def signed(by: Authority, line: str, names: Sequence[str], key_id: str, days: int, is_host: bool) -> str:
    """Return the line of a certificate for a public key, valid for ``days`` as these names. Raises AscendError."""
    if not names or any("," in name or not name.strip() for name in names):
        # A host certificate without a name is valid for every host.
        raise AscendError("no name to sign for", wanted="names without commas", found=repr(list(names)), where=key_id)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "key.pub"
        file.write_text(f"{line}\n", encoding="utf-8")
        argv = ["ssh-keygen", "-q", *(("-h",) if is_host else _CLEAR), "-I", key_id, "-n", ",".join(names)]
        argv += ["-z", str(time.time_ns()), "-V", f"{_BEFORE}:+{days}d"]
        argv += ["-Us", str(by.public)] if by.in_agent else ["-s", str(by.path)]
        done = keygen(*argv, str(file))
        certificate = Path(folder) / "key-cert.pub"
        if done.returncode or not certificate.is_file():
            raise AscendError(
                "the certificate authority did not sign",
                wanted="ssh-keygen -s, with code 0",
                found=one_line(done.stderr or done.stdout) or f"code {done.returncode}",
                where=str(by.path),
                remedy=f"ssh-add {by.path}  # if it has a passphrase; ssh-add -s LIBRARY.so if it is on a card",
            )
        return certificate.read_text(encoding="utf-8").strip()


def keygen(*argv: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program of OpenSSH that asks no questions; one that waits too long for an agent or a card gets code 255."""
    try:
        return subprocess.run(
            argv,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SIGN_S,
            check=False,
            env={**os.environ, "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"},
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 255, "", f"not finished within {_SIGN_S} s: does the agent answer?")


def is_revoked(path: Path, line: str) -> bool:
    """Whether the list revokes a public key or a certificate; one that cannot be read revokes all, as for sshd."""
    return (
        path.is_file() and keygen("ssh-keygen", "-Q", "-f", str(path), "/dev/stdin", given=f"{line}\n").returncode != 0
    )


def revoke(path: Path, lines: Sequence[str], own: Sequence[str]) -> bool:
    """Add keys and certificates to the list, which is created if necessary; return whether it changed.

    Refuses to lock the fleet itself out (``own``: what it logs in with). Raises AscendError, OSError.
    """
    new = [line for line in lines if not path.is_file() or not is_revoked(path, line)]
    if path.is_file() and not new:
        return False
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    update = []
    if path.is_file():
        shutil.copyfile(path, part)
        update = ["-u"]
    text = "".join(f"{line}\n" for line in new)
    done = keygen(
        "ssh-keygen", "-k", "-q", *update, "-f", str(part), "-z", str(time.time_ns()), "/dev/stdin", given=text
    )
    locked_out = [line for line in own if done.returncode == 0 and is_revoked(part, line)]
    if done.returncode or locked_out:
        raise AscendError(
            "the fleet would lock itself out" if locked_out else "cannot create the list of revoked keys",
            wanted="public keys and certificates other than those that the control node logs in with",
            found=", ".join(locked_out) or one_line(done.stderr or done.stdout),
            where=str(path),
            remedy="mv id_ed25519 old; mv id_ed25519.pub old.pub  # the playbook creates another; then revoke it"
            if locked_out
            else f"ssh-keygen -Q -l -f {path}",
        )
    os.replace(part, path)
    return True
