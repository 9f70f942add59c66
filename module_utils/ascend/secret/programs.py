# SPDX-License-Identifier: Apache-2.0
"""Find secrets behind options whose names do not show it: ``mysql -pX``, ``curl -u user:X``."""

from __future__ import annotations

import re
from typing import Dict, Iterator, Optional, Set, Tuple

from .names import ALWAYS, hides
from .stdin import GIVEN
from .values import value_at

_START = r"(?<=[\s\0])"
_GAP = r"(?:[ \t\0]+|=)"
_USER = r"[\"']?[^\s:\"'\0/-][^\s:\"'\0]{0,128}:"

# What stands before the secret -> the programs; those that end in * begin so.
_OPTIONS = (
    (_START + r"-p(?=[^\s\0])", "mysql* mariadb* mycli"),
    (_START + r"-p[ \t\0]*", "sshpass"),
    (
        _START + r"(?:-[A-Za-z]{0,6}[uUaAE]|--user|--proxy-user|--auth|--cert|--creds)" + _GAP + "?" + _USER,
        "curl etcdctl http https ab hey wrk aria2c wget",
    ),
    (_START + r"(?:-b|--cookie)" + _GAP + r"[\"']?(?=[\w.-]{1,64}=)", "curl"),
    (
        r"\blogin\b[^\n|;]{0,256}?" + _START + r"-[pkt]" + _GAP + "?",
        "docker podman nerdctl helm oras crane skopeo buildah regctl oc az modelscope swanlab cloudctl",
    ),
    (_START + r"--(?:src-|dest-)?creds" + _GAP + _USER, "skopeo buildah podman"),
    (_START + r"(?:-u|--user)" + _GAP + _USER, "crictl ctr nerdctl"),
    (_START + r"-a[ \t\0]+", "redis-* valkey-* keydb-*"),
    (
        _START + r"-p[ \t\0]*(?=[^\s\0-])",
        "mongo* racadm ipmipower ipmi-* useradd usermod ncftp* clickhouse-client twine rdesktop redfishtool",
    ),
    (_START + r"-[wy][ \t\0]*(?=[^\s\0-])", "ldap*"),
    (_START + r"(?:-U|--user)" + _GAP + r"?[\"']?[^\s%\0]{1,128}%", "smbclient rpcclient smbget smbmap"),
    (
        _START + r"-[PN][ \t\0]*(?=[^\s\0-])",
        "ipmitool zip unzip sqlcmd bcp mosquitto_* ssh-keygen fence_*",
    ),
    (_START + r"-[cAX][ \t\0]*(?=[^\s\0-])", "snmp*"),
    (_START + r"-h?p(?=[^\s\0])", "7z 7za 7zr rar unrar"),
    (_START + r"-u[ \t\0]*[^\s,\0]{1,128},", "lftp"),
    (r"\bpass:|" + _START + r"-[kK][ \t\0]+", "openssl"),
    (_START + r"-[ikt]" + _GAP, "obsutil ossutil* coscli bcecmd tosutil"),
    (r"(?:alias set|config host add)(?:[ \t\0]+[^\s\0]{1,256}){2}[ \t\0]+", "mc"),
    (r"(?:alias set|config host add)(?:[ \t\0]+[^\s\0]{1,256}){3}[ \t\0]+", "mc"),
    (
        r"\blogin(?:[ \t\0]+--?[\w-]{1,32}(?:=[^\s\0]{0,256})?)*[ \t\0]+(?=\w[\w.-]{7,}(?:[\s\0\"'`,;)]|$))",
        "wandb comet swanlab vault",
    ),
    (_START + r"(?!(?:username|user|role|ttl|policies|path|type|url|host|method)=)[A-Za-z_][\w-]{0,63}=", "vault"),
    (r"--from-literal(?:=|[ \t\0]+)[\w.-]{1,64}=", "kubectl oc k3s"),
    (r"\bpypi-token\.[\w.-]{1,64}[ \t\0]+", "poetry"),
    (r"\bhttp-basic\.[\w.-]{1,64}[ \t\0]+[^\s\0]{1,128}[ \t\0]+", "poetry"),
    (r"\.password(?:_in)?[ \t\0]+-v[ \t\0]+", "iscsiadm"),
    (_START + r"-\w{0,5}b\w{0,5}(?:[ \t\0]+[^\s\0]{1,256}){2}[ \t\0]+", "htpasswd"),
    (_START + r"[\w.-]{1,64}/(?=[^\s@/]{1,128}(?:@|[\s\0]|$))", "sqlplus expdp impdp sqlldr rman"),
    (r"/p:", "xfreerdp* wlfreerdp"),
    *GIVEN,
)
# What separates the words of a command that is shown as a list.
_LISTED = re.compile(r"\\{0,3}[\"'](?:,[ \t]{0,4}\\{0,3}[\"']|[\])}])")
_OPTION_LISTED = re.compile(r"[\"'],[ \t]{0,4}\\{0,3}[\"']-")
_PROGRAM = re.compile(r"(?<![\w.-])[A-Za-z0-9][\w-]*", re.ASCII)
# The rest of a command; quotes hold what would end it. A pipe does not end it, since echo's text goes through one.
_COMMAND = re.compile(r"(?:[^\n;&\"']|\"[^\"\n]{0,512}\"|'[^'\n]{0,512}'|[;&](?![\s;&])|[\"'])*")
_EXACT: Dict[str, Tuple[int, ...]] = {}
_BEGINNINGS: Dict[str, int] = {}
for _number, (_, _names) in enumerate(_OPTIONS):
    for _name in _names.split():
        if _name.endswith("*"):
            _BEGINNINGS[_name[:-1]] = _number
        else:
            _EXACT[_name] = (*_EXACT.get(_name, ()), _number)
_STARTS = tuple(_BEGINNINGS)


def find(text: str) -> Iterator[Tuple[int, int]]:
    """Yield where secrets begin and end; a program's options reach to the end of its command."""
    yield from _in_commands(text)
    if _OPTION_LISTED.search(text):
        yield from _in_commands(_LISTED.sub(lambda match: "\0" * len(match.group()), text))


def _in_commands(text: str) -> Iterator[Tuple[int, int]]:
    done: Set[Tuple[int, int]] = set()
    end = -1
    for word in _PROGRAM.finditer(text):
        name = word.group()
        numbers = _EXACT.get(name)
        if numbers is None:
            numbers = _by_beginning(name)
        if not numbers:
            continue
        end = end if word.end() <= end else _end_of_command(text, word.end())
        for number in numbers:
            if (number, end) not in done:
                done.add((number, end))
                yield from _options(text, _OPTIONS[number][0], word.end(), end)


def _end_of_command(text: str, start: int) -> int:
    match = _COMMAND.match(text, start)
    return match.end() if match else start


def _by_beginning(name: str) -> Optional[Tuple[int, ...]]:
    if not name.startswith(_STARTS):
        return None
    return tuple(number for start, number in _BEGINNINGS.items() if name.startswith(start))


def _options(text: str, before: str, start: int, end: int) -> Iterator[Tuple[int, int]]:
    for match in re.compile(before).finditer(text, start, end):
        value = value_at(text, match.end())
        if hides(ALWAYS, text[value.start : value.end]):
            yield value.start, value.end
