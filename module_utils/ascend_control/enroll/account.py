# SPDX-License-Identifier: Apache-2.0
"""The fleet's account on a node: one program that root runs creates it and gives it its key and its rights.

It prints lines of the forms ``ascend-fleet: changed WHAT``, ``fact NAME VALUE`` or ``fail WHAT WORDS``. Everything that
it does can be killed and repeated. The account's own files are written as the account, so a link in its home cannot
mislead root, and a home on a file server that refuses root can be written to.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...ascend.errors import AscendError
from ...ascend.text import one_line, shortened
from .login import SUDO_ASKS, Initial, executed, expired, is_expired
from .target import Target

if TYPE_CHECKING:
    import paramiko

    from .login import Answer

_MARK = "ascend-fleet: "
# Names that sudoers and every useradd take as they are.
NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}")

# $1 the account, $2 the line of its public key.
_AS_THE_ACCOUNT = r"""
umask 077
cd "$1" && mkdir -p .ssh && cd .ssh && touch authorized_keys || exit 1
blob=$(printf '%s\n' "$2" | cut -d' ' -f1,2)
if ! grep -qF "$blob" authorized_keys; then
  { sed -e '$a\' authorized_keys && printf '%s\n' "$2"; } >authorized_keys.part || exit 1
  mv authorized_keys.part authorized_keys || exit 1
  echo added
fi
chmod 700 . && chmod 600 authorized_keys
"""
_AS_ROOT = r"""
account=$1 key=$2 rules=$3 inner=$4 is_new=
LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
umask 022
fail() { echo "ascend-fleet: fail $*"; exit 3; }
changed() { echo "ascend-fleet: changed $1"; }
fact() { echo "ascend-fleet: fact $*"; }
[ "$(id -u)" = 0 ] || fail root "$(id)"
for program in sudo visudo useradd chage getent runuser; do
  command -v "$program" >/dev/null || fail program "$program"
done
if ! getent passwd "$account" >/dev/null; then
  words=$(useradd --create-home --shell /bin/bash --comment 'provisions the fleet' --password '*' "$account" 2>&1)
  getent passwd "$account" >/dev/null || fail account "$words"
  changed account
  is_new=yes
fi
# One that nobody logs in to is a program's, such as the nightly check's: it is not given root.
shell=$(getent passwd "$account" | cut -d: -f7)
case ${shell##*/} in nologin | false) fail shell "its shell is $shell" ;; esac
# Rules for passwords that expire would end a login by key as well, months later.
aging=$(getent shadow "$account" | cut -d: -f4,5,7,8)
case $aging in
0:-1:-1:-1 | 0:-1:: | 0:::) ;;
?*)
  chage -m 0 -M -1 -I -1 -E -1 "$account" || fail account "chage ended with $?"
  [ -n "$is_new" ] || changed aging
  ;;
esac
home=$(getent passwd "$account" | cut -d: -f6)
[ -d "$home" ] || fail home "$home does not exist: ${words-}"
words=$(runuser -u "$account" -- sh -c "$inner" sh "$home" "$key" 2>&1) || fail home "$home: $words"
[ "$words" != added ] || changed authorized_keys
command -v restorecon >/dev/null && restorecon -R "$home/.ssh" >/dev/null 2>&1
fact home "$home" "$(stat -c '%a %U' "$home")" "$(findmnt -no FSTYPE -T "$home" 2>/dev/null)"
file=/etc/sudoers.d/ascend-fleet
part=/etc/sudoers.d/.ascend-fleet.part
if [ ! -d /etc/sudoers.d ]; then fail sudoers "there is no /etc/sudoers.d"; fi
rm -f "$part"
(umask 277; printf '%s\n' "$rules" >"$part") || fail sudoers "$part cannot be written"
if cmp -s "$part" "$file" && [ "$(stat -c '%a %U' "$file")" = '440 root' ]; then
  rm -f "$part"
else
  chmod 0440 "$part"
  words=$(visudo -cf "$part" 2>&1) || { rm -f "$part"; fail sudoers "$words"; }
  mv -f "$part" "$file" || fail sudoers "$file cannot be written"
  changed sudoers
fi
sshd -T 2>/dev/null | grep -iE '^((allow|deny)(users|groups)|authorizedkeysfile|pubkeyauthentication) ' |
  while read -r line; do fact sshd "$line"; done
echo 'ascend-fleet: done'
"""


@dataclass
class Made:
    """What was changed on the node, and facts that may explain a refused key."""

    changed: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)


def rules(account: str) -> str:
    """Return the fleet's sudoers file. Ansible's become is a shell, so any narrower rule would grant as much."""
    return (
        "# Written by ascend-fleet (playbooks/enroll.yml).\n"
        f"Defaults:{account} !requiretty\n"
        f"{account} ALL=(ALL:ALL) NOPASSWD: ALL"
    )


def made(transport: paramiko.Transport, target: Target, initial: Initial, account: str, key: str) -> Made:
    """Make the account on the node. Raises AscendError."""
    program = ["sh", "-c", _AS_ROOT, "ascend-fleet", account, key, rules(account), _AS_THE_ACCOUNT]
    answer = _as_root(transport, initial, program)
    where = f"{initial.user}@{target.shown}"
    if is_expired(answer.output) and _MARK not in answer.output:
        raise expired(target, initial, answer.output)
    lines = [line.partition(_MARK)[2] for line in answer.output.splitlines() if _MARK in line]
    failed = next((line.split(" ", 2) for line in lines if line.startswith("fail ")), None)
    if failed:
        raise _failed(failed[1], " ".join(failed[2:]), where, account)
    if "done" not in lines:
        raise _no_root(answer, where, initial)
    return Made(
        [line.removeprefix("changed ") for line in lines if line.startswith("changed ")],
        [line.removeprefix("fact ") for line in lines if line.startswith("fact ")],
    )


def _as_root(transport: paramiko.Transport, initial: Initial, program: list[str]) -> Answer:
    if initial.user == "root":
        return executed(transport, shlex.join(program), initial)
    # In a terminal: some sudo want one (requiretty).
    command = shlex.join(["sudo", "-p", SUDO_ASKS, "--", *program])
    return executed(transport, command, initial, terminal=True)


def _no_root(answer: Answer, where: str, initial: Initial) -> AscendError:
    words = shortened(one_line(answer.output), 300) or f"code {answer.code}"
    if set(answer.asked) - {initial.user}:
        problem, remedy = (
            f"sudo asks for the password of {answer.asked[0]} instead of {initial.user}",
            "sudo -l; grep -rE 'targetpw|rootpw|runaspw' /etc/sudoers /etc/sudoers.d  # or enroll_user: "
            f"{answer.asked[0]}",
        )
    elif len(answer.asked) > 1:
        problem, remedy = (
            "sudo rejects the password, which was tried once",
            f"passwd {initial.user}; faillock --user {initial.user}",
        )
    elif re.search(r"not in the sudoers|may not run sudo|not allowed to execute", answer.output):
        problem, remedy = (
            "the initial account is not allowed to use sudo",
            f"usermod -aG wheel {initial.user}  # on Debian the group is sudo; or set enroll_user: root",
        )
    elif re.search(r"sudo: (?:command )?not found|sudo: No such file", answer.output):
        problem, remedy = "the node has no sudo", "dnf install sudo || apt-get install sudo  # or set enroll_user: root"
    else:
        problem, remedy = "cannot create the account", "log in as the initial account and run: sudo -v; id"
    return AscendError(
        problem,
        wanted=f"a root shell with {initial.user}'s password",
        found=words,
        where=where,
        remedy=f"on the node: {remedy}",
    )


_FAILURES = {
    "root": ("the initial account is not root", "user id 0", "set enroll_user to an account that can use sudo"),
    "program": (
        "the node lacks a program that the enrolment needs",
        "sudo, visudo, useradd, chage, getent and runuser",
        "dnf install sudo shadow-utils util-linux  # Debian: apt-get install sudo passwd util-linux. site.yml "
        "needs sudo unless it logs in as root",
    ),
    "account": (
        "cannot create the account",
        "useradd and chage, with code 0",
        "useradd --create-home ACCOUNT; chage -M -1 ACCOUNT  # what do they say?",
    ),
    "shell": (
        "the account belongs to a program: nobody can log in to it",
        "a new account, or one with a login shell",
        "getent passwd ACCOUNT  # enroll another account (enroll_account and ansible_user); on a control node, the "
        "nightly check's account is also called ascend-fleet",
    ),
    "home": (
        "the account cannot write to its own home",
        "a home of its own, mode 0700 or 0755, on a writable file system",
        "findmnt -T ~ACCOUNT; ls -ld ~ACCOUNT  # on a read-only or root-squashed file server? use a local home: "
        "mkdir -p /var/local/ACCOUNT && chown ACCOUNT /var/local/ACCOUNT && usermod -d /var/local/ACCOUNT ACCOUNT",
    ),
    "sudoers": (
        "cannot give the account its sudo rights",
        "/etc/sudoers.d, and a visudo -c that passes",
        "visudo -c; ls -ld /etc/sudoers.d",
    ),
}


def _failed(what: str, words: str, where: str, account: str) -> AscendError:
    problem, wanted, remedy = _FAILURES[what]
    return AscendError(
        problem,
        wanted=wanted,
        found=shortened(one_line(words), 300),
        where=where,
        remedy=f"on the node: {remedy.replace('ACCOUNT', account)}",
    )


def reasons(facts: list[str], account: str) -> list[str]:
    """Return why sshd may refuse the account's key, as far as the node's own words show."""
    found: list[str] = []
    settings: dict[str, list[str]] = {}
    for words in (fact.split() for fact in facts):
        if words[0] == "sshd":
            settings.setdefault(words[1].lower(), []).extend(words[2:])
        elif words[0] == "home" and (int(words[2], 8) & 0o022 or words[3] not in (account, "root")):
            found.append(
                f"sshd's StrictModes refuses keys below {words[1]}, mode {int(words[2], 8):04o}, owner {words[3]}: "
                f"chown {account} {words[1]}; chmod go-w {words[1]}"
            )
    for setting, values in settings.items():
        if _keeps_out(setting, values, account):
            found.append(f"sshd_config has {setting} {' '.join(values)}")
    return found


def _keeps_out(setting: str, values: list[str], account: str) -> bool:
    if setting == "authorizedkeysfile":
        return not any(".ssh/authorized_keys" in value for value in values)
    if setting == "pubkeyauthentication":
        return values != ["yes"]
    return (account in values) == setting.startswith("deny")
