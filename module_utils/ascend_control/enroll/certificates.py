# SPDX-License-Identifier: Apache-2.0
"""The certificates of an enrolled node: its sshd gets one of the host authority, its account trusts the user authority.

Root runs two programs over the account's existing login: one looks, the other changes what differs, in steps that can
be killed anywhere. sshd tests its configuration before and after the change, and reloads it on SIGHUP, which ends no
session. The account's ``authorized_keys`` names the user authority, and not sshd's ``TrustedUserCAKeys``, with which
the authority could log in as every account of the node.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from ...ascend import atomic
from ...ascend.errors import AscendError
from ...ascend.ssh_certificate import FOLDER, HOST, PATH, USER, Certificate, parse
from ...ascend.text import one_line, shortened
from . import openssh
from .authority import Authority, signed
from .host_keys import HostKey, public_key
from .openssh import Access
from .target import HOST_NAME, Target

_MARK = "ascend-fleet: "
_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
_REVOKED = f"{FOLDER}/revoked_keys"
_COMMENT = "ascend-fleet-user-ca"

_BOTH = rf"""
LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
umask 022
dir={FOLDER} main=$(readlink -f /etc/ssh/sshd_config)
fail() {{ echo "ascend-fleet: fail $*"; exit 3; }}
fact() {{ echo "ascend-fleet: $*"; }}
[ "$(id -u)" = 0 ] || fail root "$(id)"
place() {{ sync "$1" && mv -f "$1" "$2" || fail write "$2"; }}
effective() {{ sshd -T -C user=root,host=localhost,addr=127.0.0.1 2>&1; }}
settings=$(effective) || fail config "$(printf '%s' "$settings" | tail -n 3)"
"""
# $1 the account.
_LOOK = (
    _BOTH
    + r"""
printf '%s\n' "$settings" | sed -n 's/^hostkey //p' | while read -r file; do
  fact key "$(ssh-keygen -y -P '' -f "$file" 2>/dev/null </dev/null || cat "$file.pub" 2>/dev/null)"
done
printf '%s\n' "$settings" | grep -E '^(hostcertificate|revokedkeys) ' | while read -r line; do fact "$line"; done
[ ! -f "$dir/host-cert.pub" ] || fact certificate "$(cat "$dir/host-cert.pub")"
[ ! -f "$dir/revoked_keys" ] || fact sum "$(sha256sum <"$dir/revoked_keys")"
[ ! -e "$dir/reload" ] || fact reload
home=$(getent passwd "$1" | cut -d: -f6)
# A file server may trust no root.
runuser -u "$1" -- grep -F ascend-fleet-user-ca "$home/.ssh/authorized_keys" 2>/dev/null |
  while read -r line; do fact authorized "$line"; done
fact done
"""
)
# $1 the lines for sshd, $2 the certificate or "", $3 the account, $4 its line of authorized_keys or "", $5 the program
# that the account runs. The list of revoked keys comes as the input.
_CHANGE = (
    _BOTH
    + r"""
other=$(printf '%s\n' "$settings" | sed -n 's/^revokedkeys //p' | grep -vxF -e none -e "$dir/revoked_keys")
[ -z "$other" ] || fail other "$other"
mkdir -p "$dir" && chmod 755 "$dir" || fail write "$dir"
# While it lies here, sshd has not read what is new.
: >"$dir/reload" || fail write "$dir"
# The list first: sshd takes no key at all while it cannot read the list that its configuration names.
base64 -d >"$dir/revoked_keys.part" || fail write "$dir"
place "$dir/revoked_keys.part" "$dir/revoked_keys"
if [ -n "$2" ]; then
  printf '%s\n' "$2" >"$dir/host-cert.pub.part" || fail write "$dir"
  place "$dir/host-cert.pub.part" "$dir/host-cert.pub"
fi
# Before any Match: of an sshd that knows no Include (before 8.2), or does not include that folder, in its own file.
file=$main
if awk 'tolower($1) == "match" { exit }
        tolower($1) == "include" && /[ \t"](\/etc\/ssh\/)?sshd_config\.d\/\*\.conf/ { found = 1; exit }
        END { exit !found }' "$main"; then
  file=/etc/ssh/sshd_config.d/10-ascend-fleet.conf
  mkdir -p "${file%/*}" || fail write "$file"
fi
whole=$main.ascend-fleet.part
# Its mode and owner stay.
cp -p "$main" "$whole" || fail write "$main"
{ printf '%s\n' "$1" && { printf '%s\n' "$1" | grep -vxF -f - "$main" || [ $? = 1 ]; }; } >"$whole" ||
  fail write "$whole"
words=$(sshd -t -f "$whole" 2>&1) || { rm -f "$whole"; fail config "$words"; }
if [ "$file" != "$main" ]; then
  rm -f "$whole"
  whole=$file.part
  printf '%s\n' "$1" >"$whole" || fail write "$whole"
fi
if cmp -s "$whole" "$file"; then
  rm -f "$whole"
else
  rm -f "$main.ascend-fleet.old"
  [ "$file" != "$main" ] || ln "$main" "$main.ascend-fleet.old" || fail write "$main"
  place "$whole" "$file"
  command -v restorecon >/dev/null && restorecon "$file" >/dev/null 2>&1
  if ! words=$(sshd -t 2>&1); then
    if [ "$file" = "$main" ]; then mv -f "$main.ascend-fleet.old" "$main"; else rm -f "$file"; fi
    fail config "$words"
  fi
  rm -f "$main.ascend-fleet.old"
  fact changed sshd_config
fi
now=$(effective | sed -nE 's/^(hostcertificate|revokedkeys) /\1 /p')
missing=$(printf '%s\n' "$1" | sed -n 's/^HostCertificate/hostcertificate/p; s/^RevokedKeys/revokedkeys/p' |
  while read -r line; do printf '%s\n' "$now" | grep -qxF "$line" || echo "$line"; done)
[ -z "$missing" ] || fail effect "$missing"
if [ -n "$4" ]; then
  home=$(getent passwd "$3" | cut -d: -f6)
  words=$(runuser -u "$3" -- sh -c "$5" sh "$home" "$4" '' 2>&1) || fail home "$home: $words"
fi
# The sshd that listens is an ancestor of this session. Where there is none (inetd's way) each connection reads anew.
pid=$$ listener=
while [ "$pid" -gt 1 ]; do
  pid=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status")
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = sshd ] || continue
  case $(tr '\0' ' ' <"/proc/$pid/cmdline") in
  'sshd: '*'[listener]'* | /*) listener=$pid ;;
  esac
done
[ -z "$listener" ] || kill -HUP "$listener" || fail reload "$listener"
rm -f "$dir/reload"
fact done
"""
)
# $1 the home, $2 the line of the user authority, $3 a key that goes, or "".
_AS_THE_ACCOUNT = r"""
umask 077
cd "$1" && mkdir -p .ssh && cd .ssh && touch authorized_keys || exit 1
awk -v gone="$3" 'index($0, "ascend-fleet-user-ca") || (gone != "" && index($0, gone)) { next } { print }' \
  authorized_keys >authorized_keys.part && printf '%s\n' "$2" >>authorized_keys.part || exit 1
cmp -s authorized_keys.part authorized_keys && rm authorized_keys.part && exit
mv authorized_keys.part authorized_keys && chmod 600 authorized_keys && echo changed
"""
_FAILURES = {
    "root": ("the account does not become root by sudo", "user id 0", "sudo -l"),
    "config": ("sshd rejects its own configuration", "sshd -t, with code 0", "sshd -t; sshd -T"),
    "other": (
        "sshd uses a list of revoked keys that is not the fleet's",
        f"RevokedKeys {_REVOKED}, or none",
        "grep -rn RevokedKeys /etc/ssh  # add its keys to the fleet's list (enroll_revoke), then remove the line",
    ),
    "write": ("cannot write a file of sshd", "a file that root can write", "findmnt -T /etc/ssh; lsattr /etc/ssh"),
    "effect": (
        "sshd ignores the lines for the certificates",
        "the lines of /etc/ssh/sshd_config.d/10-ascend-fleet.conf, or of sshd_config, in sshd -T",
        "sshd -T; grep -rn . /etc/ssh/sshd_config /etc/ssh/sshd_config.d",
    ),
    "home": ("the account cannot write its authorized_keys", "a home of its own", "ls -la ~ACCOUNT/.ssh"),
    "reload": ("sshd does not reload its configuration", "a listening sshd", "systemctl reload sshd"),
}


@dataclass(frozen=True)
class Certifying:
    """Which certificates the nodes get: ``revoked`` is the list's file, ``days`` how long a host's is valid.

    ``alone``: whether to remove the fleet's plain key from a node once its certificate has logged in.
    """

    host: Authority | None
    user: Authority | None
    revoked: Path
    days: int = 90
    alone: bool = False


@dataclass(frozen=True)
class Node:
    """A node's name, and the blobs of keys that known_hosts has for each name, whatever the port."""

    name: str
    pins: Mapping[str, set[bytes]]


@dataclass
class _Seen:
    keys: list[HostKey] = field(default_factory=list)
    certificate: Certificate | None = None
    facts: list[str] = field(default_factory=list)


def principals(name: str, at: Target) -> list[str]:
    """Return the names for which a node's certificate is valid: those that OpenSSH checks, which have no port.

    With a HostKeyAlias OpenSSH checks only that; otherwise the address, or the name before it was resolved.
    """
    names = [at.alias] if at.alias else [at.host, at.name]
    names += [name] if HOST_NAME.fullmatch(name) else []
    return sorted({variant for each in names for variant in (each, each.lower())})


def certify(at: Target, access: Access, wishes: Certifying, node: Node, check: bool) -> list[str]:
    """Give a node the certificates that it lacks, or only look; return what was, or would be, changed.

    Raises AscendError, OSError.
    """
    seen = _look(at, access)
    key = next((key for kind in _KINDS for key in seen.keys if key.kind == kind), None)
    if key is None:
        raise _error(at, "sshd has no host key", "an Ed25519, ECDSA or RSA key", "none", "ssh-keygen -A; sshd -T")
    names = principals(node.name, at)
    line, lines = "", _lines(wishes)
    authorized = user_line(wishes.user, access.account) if wishes.user else ""
    revoked = wishes.revoked.read_bytes() if wishes.revoked.is_file() else b""  # check mode made none
    changed = []
    if wishes.host:
        _require_own_names(at, names, seen.keys, node.pins)
    if wishes.host and not _is_right(seen.certificate, key, wishes.host, names):
        changed.append("host certificate")
        line = "" if check else signed(wishes.host, key.line, names, node.name, wishes.days, is_host=True)
    facts = [*map(_as_sshd_says, lines[1:]), f"sum {hashlib.sha256(revoked).hexdigest()}  -"]
    facts += [f"authorized {authorized}"] if authorized else []
    if "reload" in seen.facts or not set(facts) <= set(seen.facts):
        changed.append("sshd and authorized_keys")
    if check:
        return changed
    if changed:
        program = [_CHANGE, "ascend-fleet", "\n".join(lines), line, access.account, authorized, _AS_THE_ACCOUNT]
        _ran(at, access, program, base64.b64encode(revoked).decode())
    if changed or wishes.alone:
        changed += _proven(at, access, wishes, authorized)
    return changed


def _require_own_names(
    at: Target, names: Sequence[str], keys: Sequence[HostKey], pins: Mapping[str, set[bytes]]
) -> None:
    """A certificate has no port, so two sshds at one address could pretend to be each other."""
    own = {key.blob for key in keys}
    for name in names:
        if pins.get(name, set()) - own:
            raise AscendError(
                "no host certificate: another sshd is known at this address, and certificates have no port",
                wanted="an address, or a HostKeyAlias, of its own for each node",
                found=f"host keys in known_hosts for {name} that this node does not have",
                where=at.shown,
                remedy="ansible_ssh_extra_args: -o HostKeyAlias=NODE  # if the line is old: ssh-keygen -R NAME -f FILE",
            )


def _as_sshd_says(line: str) -> str:
    setting, _, value = line.partition(" ")
    return f"{setting.lower()} {value}"


def _lines(wishes: Certifying) -> list[str]:
    certificate = [f"HostCertificate {PATH}"] if wishes.host else []
    return ["# Written by ascend-fleet (playbooks/ssh_certificates.yml).", *certificate, f"RevokedKeys {_REVOKED}"]


def user_line(by: Authority, account: str) -> str:
    """Return the line of ``authorized_keys`` that accepts the authority's certificates, only for this account."""
    return f'cert-authority,principals="{account}" {by.key.line} {_COMMENT}'


def _is_right(
    certificate: Certificate | None, key: HostKey, by: Authority, names: Sequence[str], type_: int = HOST
) -> bool:
    """Whether it is the one that would be signed, with more than half of its time left."""
    now = time.time()
    return (
        certificate is not None
        and certificate.type == type_
        and (certificate.key, certificate.signed_by) == (key.blob, by.key.blob)
        and certificate.principals == list(names)
        and certificate.valid_after <= now < (certificate.valid_after + certificate.valid_before) / 2
    )


def _look(at: Target, access: Access) -> _Seen:
    seen = _Seen()
    for line in _ran(at, access, [_LOOK, "ascend-fleet", access.account], ""):
        what, _, words = line.partition(" ")
        if what == "key" and words.startswith(_KINDS):
            seen.keys.append(public_key(words, at.shown))
        elif what == "certificate":
            seen.certificate = parse(words)
        else:
            seen.facts.append(line)
    return seen


def _ran(at: Target, access: Access, program: Sequence[str], given: str) -> list[str]:
    """Return the lines of a program of ours that finished. Raises AscendError."""
    reply = openssh.run(at, access, shlex.join(["sudo", "-n", "sh", "-c", *program]), given)
    lines = [line.removeprefix(_MARK) for line in reply.output.splitlines() if line.startswith(_MARK)]
    failed = next((line.split(" ", 2) for line in lines if line.startswith("fail ")), None)
    if failed:
        problem, wanted, remedy = _FAILURES[failed[1]]
        raise _error(at, problem, wanted, " ".join(failed[2:]), remedy.replace("ACCOUNT", access.account))
    if "done" not in lines:
        words = reply.errors or reply.output or f"code {reply.code}"
        raise _error(at, "cannot inspect the certificates", "a command that finishes", words, "sudo -n id")
    return lines


def _error(at: Target, problem: str, wanted: str, found: str, remedy: str) -> AscendError:
    return AscendError(
        problem,
        wanted=wanted,
        found=shortened(one_line(found), 300),
        where=at.shown,
        remedy=f"on the node: {remedy}",
    )


def _proven(at: Target, access: Access, wishes: Certifying, authorized: str) -> list[str]:
    """Log in with only the certificates, as OpenSSH judges them; that login also removes the plain key, if wanted."""
    own = access.private_key
    command, options = "echo unchanged", []
    if wishes.user and own and _certificate_of(own).is_file():
        options += ["-o", "PubkeyAcceptedKeyTypes=*-cert-v01@openssh.com"]
        if wishes.alone:
            plain = " ".join(_public(own).split()[:2])
            command = (
                f'sh -c {shlex.quote(_AS_THE_ACCOUNT)} sh "$HOME" {shlex.join([authorized, plain])} || echo failed'
            )
    with openssh.markers_alone(access) if wishes.host else nullcontext(access) as judged:
        reply = openssh.run(at, judged, f"{command}; echo {_MARK}done", "", options, openssh.RESTARTING)
    if reply.code or f"{_MARK}done" not in reply.output or "failed" in reply.output:
        raise AscendError(
            "the certificates are on the node, but OpenSSH cannot log in with them",
            wanted="a host certificate that ssh accepts, and an account that accepts the control node's",
            found=shortened(one_line(reply.errors or reply.output), 300) or f"code {reply.code}",
            where=f"{access.account}@{at.shown}",
            remedy="on the node: date -u; journalctl -u sshd | tail; sshd -T | grep -iE 'hostcert|authorizedkeys'",
        )
    return ["plain key"] if "changed" in reply.output.split() else []


def _certificate_of(private: Path) -> Path:
    return private.with_name(f"{private.name}-cert.pub")  # where ssh looks for it


def _public(private: Path) -> str:
    return private.with_name(f"{private.name}.pub").read_text(encoding="utf-8")


def user_certificate(
    private: Path, by: Authority, account: str, days: int, revoking: Sequence[str], check: bool
) -> bool:
    """Ensure a certificate beside the private key with which the account logs in, and that is not one of ``revoking``.

    Return whether it was, or would be, created. Raises AscendError, OSError.
    """
    line, path = _public(private), _certificate_of(private)
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = parse(text)
    if found and found.signed_by != by.key.blob:
        raise AscendError(
            "a certificate from another authority is beside the private key",
            wanted=f"one of {by.public}, or none",
            found=found.key_id,
            where=str(path),
            remedy=f"ssh-keygen -L -f {path}  # move it away, or name another key: ansible_ssh_private_key_file",
        )
    if _is_right(found, public_key(line, str(private)), by, [account], USER) and text.strip() not in revoking:
        return False
    if not check:
        atomic.write(str(path), signed(by, line, [account], account, days, is_host=False) + "\n")
    return True
