# SPDX-License-Identifier: Apache-2.0
"""The mail of a notification, and whether sendmail accepted it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from .message import SHOWN, Message, lines, shown

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+(?:@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)?")


def letter(message: Message, to: Any, sender: Any, now: float) -> str:
    """Return a whole mail (RFC 5322, ASCII, lines end in LF) for sendmail -t; nothing if it cannot be made."""
    good, _ = _addresses(to)
    if not good or not ADDRESS.fullmatch(str(sender or "")):
        return ""
    # Ansible's workers load every filter plugin; this is needed for a mail alone.
    from email.message import EmailMessage
    from email.utils import format_datetime, make_msgid

    mail = EmailMessage()
    mail["From"] = str(sender)
    mail["To"] = ", ".join(good)
    mail["Subject"] = message["headline"]
    mail["Date"] = format_datetime(datetime.fromtimestamp(now, timezone.utc))
    mail["Message-ID"] = make_msgid(domain=str(sender).partition("@")[2] or "localhost")
    mail["Auto-Submitted"] = "auto-generated"
    summary = "\n".join(shown(line, 200) for line in message["data"]["summary"].splitlines())
    mail.set_content("\n".join([*lines(message, SHOWN), "", summary, ""]), cte="quoted-printable")
    return mail.as_string()


def results(to: Any, sender: Any, sendmail: Mapping[str, Any], limit_s: int) -> Iterator[tuple[str, str]]:
    """Yield ("mail", why it was not sent, or nothing), also for wrong addresses; ``sendmail`` is its task's result."""
    good, problems = _addresses(to)
    yield from (("mail", problem) for problem in problems)
    if good and not ADDRESS.fullmatch(str(sender or "")):
        yield "mail", "notify_mail_from is not name@host"
    elif good and sendmail.get("rc") in (124, 137):  # timeout(1): the time was over; and its --kill-after was needed
        yield "mail", f"sendmail took longer than {limit_s} s"
    elif good:
        error = shown(sendmail.get("stderr") or sendmail.get("msg") or "", 160)
        yield "mail", "" if sendmail.get("rc") == 0 else f"sendmail, exit code {sendmail.get('rc')}: {error}"


def _addresses(to: Any) -> tuple[list[str], list[str]]:
    """Return the mail addresses, and what is wrong with the others."""
    if to is not None and not isinstance(to, (str, list, tuple)):
        return [], ["cannot read notify_mail_to or notify_mail_from"]
    addresses = [str(address).strip() for address in ([to] if isinstance(to, str) else to or [])]
    good = [address for address in addresses if ADDRESS.fullmatch(address)]
    wrong = [number for number, address in enumerate(addresses, 1) if not ADDRESS.fullmatch(address)]
    return good, [f"address {number} of notify_mail_to is not name@host" for number in wrong]
