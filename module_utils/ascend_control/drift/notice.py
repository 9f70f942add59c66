# SPDX-License-Identifier: Apache-2.0
"""Telling webhooks and mail that the fleet's state changed: when, in which words, and whether they took it.

The services' formats and limits, with their sources, stand in docs/notify.md.
Addresses of webhooks are secrets, as their signing secrets are: no text that is made here for a person holds them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlsplit

from ansible.module_utils.ascend.masking import masked

Fleet = dict[str, Any]
Message = dict[str, Any]
Body = dict[str, Any]

FORMS = ("json", "feishu", "dingtalk", "wecom", "slack")
SIGNED = ("feishu", "dingtalk")
KEYS = ("form", "url", "secret", "label")
SHOWN = 10  # findings of a kind in a text
LISTED = 50  # and in the JSON of form json
# Bytes: of the whole body, but for WeCom's, which are those of its content.
LIMITS = {"feishu": 19_500, "dingtalk": 19_500, "wecom": 2048, "slack": 39_000}
# Where a service says in its body whether it took the message: 0, and words when it did not.
CODES = {"feishu": ("code", "StatusCode"), "dingtalk": ("errcode",), "wecom": ("errcode",)}
WORDS = ("msg", "StatusMessage", "errmsg")
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+(?:@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)?")
# What uri says when no answer came; the first that fits counts.
SILENCE = (
    (r"timed ?out|expected time frame", "no answer within {limit} s"),
    (r"refused", "connection refused"),
    (r"name or service not known|name resolution|no address associated|not known", "unknown host"),
    (r"certificate", "its TLS certificate is not trusted"),
    (r"unreachable|no route", "unreachable"),
    (r"\bssl|\btls", "TLS error"),
    (r"reset|closed|disconnect|broken pipe|incompleteread", "the connection broke"),
)


class Receiver(NamedTuple):
    """One webhook; ``wrong`` says why it cannot be told, or nothing. ``url`` and ``secret`` are shown to nobody."""

    name: str
    form: str = ""
    url: str = ""
    secret: str = ""
    wrong: str = ""


def due(fleet: Fleet, test: bool) -> bool:
    """Return whether to tell: the state changed, or what changed is not known. A look at a few nodes is not told."""
    if test:
        return True
    if fleet["partial"]:
        return False
    if fleet["history"] is not None:
        return bool(fleet["counts"]["findings"])
    return bool(_news(fleet) or fleet["changes"]["gone"]) or state(fleet["counts"]) != _state_before(fleet)


def state(counts: Mapping[str, Any]) -> str:
    """Return clean, drifted or unchecked: what the check's exit code says."""
    return "unchecked" if counts["unchecked"] else "drifted" if counts["drifted"] else "clean"


def _state_before(fleet: Fleet) -> str:
    """A fleet without an earlier report counts as clean: a first report tells what it found."""
    before = [point for point in fleet["trend"] if point["made"] != fleet["made"]]
    return state(before[-1]) if before else "clean"


def _news(fleet: Fleet) -> list[dict[str, str]]:
    """Return what nobody was told of: findings that the last whole report did not have.

    A look at a few nodes may have seen them first: for the history they are not new any more.
    """
    before = [point["made"] for point in fleet["trend"] if point["made"] != fleet["made"]]
    keys = ("id", "component", "level", "name", "subject", "problem", "first_seen")
    seen_since = [
        {"node": node["name"], **{key: finding[key] for key in keys}, "last_seen": fleet["made"]}
        for node in fleet["nodes"]
        for finding in node["findings"]
        if before and finding["status"] == "still" and finding["first_seen"] > before[-1]
    ]
    return [*fleet["changes"]["new"], *seen_since]


def message(fleet: Fleet, summary: str, report_url: str, test: bool) -> Message:
    """Return what is told.

    ``{"headline", "note", "new", "gone": lines, at most 10 each, "data": the JSON of form json}``.
    """
    changes, news = fleet["changes"], _news(fleet)
    data = {
        "schema": 1,
        "source": "ascend-fleet",
        "test": test,
        "made": fleet["made"],
        "counts": dict(fleet["counts"]),
        "changes": {
            "since": changes["since"],
            "new": news[:LISTED],
            "new_count": len(news),
            "gone": changes["gone"][:LISTED],
            "gone_count": len(changes["gone"]),
            "still": changes["still"] + len(changes["new"]) - len(news),
        },
        "history": fleet["history"],
        "summary": masked(summary),
        "report_url": _line(report_url, 1000),
    }
    return {
        "headline": _headline(fleet, test),
        "note": _line(f"history: {fleet['history']}", 500) if fleet["history"] is not None else "",
        "new": [_mentioned(finding) for finding in news[:SHOWN]],
        "gone": [_mentioned(finding) for finding in changes["gone"][:SHOWN]],
        "data": data,
    }


def _headline(fleet: Fleet, test: bool) -> str:
    counts, changes = fleet["counts"], fleet["changes"]
    now, before = state(counts), _state_before(fleet)
    was = f" (was {before})" if now != before and fleet["history"] is None else ""
    parts = [f"{counts['clean']:,} of {counts['nodes']:,} nodes clean"]
    parts += [f"{counts[name]:,} {name}" for name in ("drifted", "unchecked") if counts[name]]
    news = f"{len(_news(fleet)):,} new, {len(changes['gone']):,} gone"
    start = "ascend-fleet: this is a test:" if test else "ascend-fleet:"
    return f"{start} {now}{was}: {news}; {', '.join(parts)}"


def _mentioned(finding: Mapping[str, str]) -> str:
    return f"{_line(finding['node'], 60)} {finding['component']}: {_line(finding['problem'], 120)}"


def _line(text: str, most: int) -> str:
    """Return at most that many characters on one line, all of them shown, and no secret."""
    shown = " ".join("".join(char if char.isprintable() else " " for char in masked(str(text))).split())
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def lines(told: Message, most: int) -> list[str]:
    """Return the text that a person reads, with at most that many findings of a kind."""
    changes, url = told["data"]["changes"], told["data"]["report_url"]
    text = [told["headline"], *([told["note"]] if told["note"] else [])]
    for kind in ("new", "gone"):
        shown = told[kind][:most]
        left = changes[f"{kind}_count"] - len(shown)
        text += [f"{kind}: {line}" for line in shown]
        text += [f"{kind}: {left:,} more in the report"] if left else []
    text += [f"still there: {changes['still']:,}"] if changes["still"] else []
    return text + ([f"report: {url}"] if url else [])


def receivers(webhooks: Any) -> list[Receiver]:
    """Return the configured webhooks, also those that cannot be told, in their order."""
    if webhooks is None:
        return []
    if not isinstance(webhooks, (list, tuple)):
        return [Receiver("notify_webhooks", wrong="it cannot be read as a list of {form, url}")]
    return [_receiver(number, webhook) for number, webhook in enumerate(webhooks, start=1)]


def _receiver(number: int, webhook: Any) -> Receiver:
    name = f"webhook {number}"
    if not isinstance(webhook, Mapping):
        return Receiver(name, wrong="it is not {form, url}")
    # A value that Ansible Vault encrypted alone is no str before it is asked for; one piped into it ends in a new line.
    form, url, secret, label = (str(webhook[key]).strip() if webhook.get(key) is not None else "" for key in KEYS)
    name = _line(label, 60) or (f"{name} ({form})" if form in FORMS else name)
    return Receiver(name, form, url, secret, _wrong(webhook, form, url, secret))


def _wrong(webhook: Mapping[str, Any], form: str, url: str, secret: str) -> str:
    """Say what is wrong without repeating it: a secret may stand in any wrong place."""
    if form not in FORMS:
        return f"its form is none of {', '.join(FORMS)}"
    if not url:
        return "it has no url"
    if not _is_address(url):
        return "its url is not https://host/..."
    if set(webhook) - set(KEYS):
        return f"it has a key that is none of {', '.join(KEYS)}"
    return f"a secret is for {' and '.join(SIGNED)} alone" if secret and form not in SIGNED else ""


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return sound and url.isascii() and url.isprintable() and " " not in url


def requests(webhooks: Any, told: Message, now: float) -> list[dict[str, Any]]:
    """Return ``{"name", "url", "body"}`` of each webhook that can be told; ``now`` in seconds of the epoch."""
    return [_request(receiver, told, now) for receiver in receivers(webhooks) if not receiver.wrong]


def _request(receiver: Receiver, told: Message, now: float) -> dict[str, Any]:
    body, url = fitted(receiver.form, told), receiver.url
    if receiver.secret and receiver.form == "feishu":
        body = {"timestamp": str(int(now)), "sign": feishu_sign(receiver.secret, int(now)), **body}
    elif receiver.secret:
        stamp = int(now * 1000)
        bare = url.partition("#")[0]
        sign = quote_plus(dingtalk_sign(receiver.secret, stamp))
        url = f"{bare}{'&' if urlsplit(bare).query else '?'}timestamp={stamp}&sign={sign}"
    return {"name": receiver.name, "url": url, "body": body}


def feishu_sign(secret: str, timestamp_s: int) -> str:
    """Feishu signs nothing, with the time and the secret as the key."""
    return _base64_hmac(f"{timestamp_s}\n{secret}", "")


def dingtalk_sign(secret: str, timestamp_ms: int) -> str:
    """DingTalk signs the time and the secret, with the secret as the key."""
    return _base64_hmac(secret, f"{timestamp_ms}\n{secret}")


def _base64_hmac(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def fitted(form: str, told: Message) -> Body:
    """Return the body for a service, with as many findings as its limit has room for."""
    if form == "json":
        return dict(told["data"])
    build: Callable[[list[str], str], Body] = _BODIES[form]
    url = told["data"]["report_url"]
    for most in range(SHOWN, -1, -1):
        body = build(lines(told, most), url)
        if size(form, body) <= LIMITS[form]:
            return body
    return build([told["headline"]], "")


def size(form: str, body: Body) -> int:
    """Return the bytes that the service counts; uri sends a body as ASCII."""
    return len(body["text"]["content"].encode()) if form == "wecom" else len(json.dumps(body))


def _feishu(text: list[str], url: str) -> Body:
    """A post: what stands in its text elements is no markup, and mentions nobody."""
    rows = [[{"tag": "text", "text": line}] for line in text]
    if url.startswith(("https://", "http://")):
        rows[-1] = [{"tag": "a", "text": text[-1], "href": url}]
    return {"msg_type": "post", "content": {"post": {"zh_cn": {"title": "ascend-fleet drift check", "content": rows}}}}


def _dingtalk(text: list[str], _: str) -> Body:
    return {"msgtype": "text", "text": {"content": "\n".join(text)}}


def _wecom(text: list[str], _: str) -> Body:
    # <@name> would mention somebody.
    return {"msgtype": "text", "text": {"content": "\n".join(text).replace("<@", "< @")}}


def _slack(text: list[str], _: str) -> Body:
    words = "\n".join(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": words, "mrkdwn": False}


_BODIES: dict[str, Callable[[list[str], str], Body]] = {
    "feishu": _feishu,
    "dingtalk": _dingtalk,
    "wecom": _wecom,
    "slack": _slack,
}


def refusal(receiver: Receiver, answer: Mapping[str, Any], limit_s: int) -> str:
    """Return why a receiver did not take the message, or nothing when it did; ``answer`` is uri's result."""
    status = answer.get("status")
    if not isinstance(status, int) or status < 100:
        return _silence(receiver, str(answer.get("msg") or ""), limit_s)
    content = str(answer.get("content") or "")
    code, words = _answered(receiver.form, content)
    taken = {"json": True, "slack": content.strip() == "ok"}.get(receiver.form, code == "0")
    if 200 <= status < 300 and taken:
        return ""
    words = "" if _holds_secret(receiver, words) else _line(words, 120)
    parts = [f"HTTP {status}" if not 200 <= status < 300 else "it answered HTTP 200 but did not take it"]
    parts += ["redirects are not followed"] if 300 <= status < 400 else []
    return ", ".join([*parts, *([f"code {_line(code, 20)}"] if code else []), *([words] if words else [])])


def _answered(form: str, content: str) -> tuple[str, str]:
    """Return the code and the words that a service's body holds, empty where it has none."""
    if form == "slack":
        return "", content if re.fullmatch(r"[a-z_]{1,40}", content.strip()) else ""
    try:
        body = json.loads(content)
    except ValueError:
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    codes = [body[key] for key in CODES.get(form, ()) if type(body.get(key)) is int]
    words = [body[key] for key in WORDS if form in CODES and isinstance(body.get(key), str)]
    return str(codes[0]) if codes else "", words[0] if words else ""


def _holds_secret(receiver: Receiver, words: str) -> bool:
    """Whether a piece of the address or of the secret stands in a receiver's own words."""
    hidden = f"{receiver.url}\0{receiver.secret}".lower()
    said = words.lower()
    return any(said[start : start + 8] in hidden for start in range(max(1, len(said) - 7))) if said else False


def _silence(receiver: Receiver, said: str, limit_s: int) -> str:
    """The error's own words hold the address: only what they mean is told."""
    for hidden in (receiver.url, urlsplit(receiver.url).hostname or receiver.url):
        said = said.replace(hidden, "")
    return next(
        (meaning.format(limit=limit_s) for words, meaning in SILENCE if re.search(words, said, re.IGNORECASE)),
        "the request failed",
    )


def addresses(to: Any) -> tuple[list[str], list[str]]:
    """Return the mail addresses, and what is wrong with the others."""
    if to is not None and not isinstance(to, (str, list, tuple)):
        return [], ["notify_mail_to or notify_mail_from cannot be read"]
    named = [str(address).strip() for address in ([to] if isinstance(to, str) else to or [])]
    sound = [bool(ADDRESS.fullmatch(name)) for name in named]
    wrong = [f"address {number} of notify_mail_to is not name@host" for number, fine in enumerate(sound, 1) if not fine]
    return [name for name, fine in zip(named, sound, strict=True) if fine], wrong


def mail(told: Message, to: Any, sender: Any, now: float) -> str:
    """Return a whole message (RFC 5322, ASCII, lines end in LF) for sendmail -t; nothing when it cannot be made."""
    good, _ = addresses(to)
    if not good or not ADDRESS.fullmatch(str(sender or "")):
        return ""
    # Ansible's workers load every filter plugin; this is needed for a mail alone.
    from email.message import EmailMessage
    from email.utils import format_datetime, make_msgid

    letter = EmailMessage()
    letter["From"] = str(sender)
    letter["To"] = ", ".join(good)
    letter["Subject"] = told["headline"]
    letter["Date"] = format_datetime(datetime.fromtimestamp(now, timezone.utc))
    letter["Message-ID"] = make_msgid(domain=str(sender).partition("@")[2] or "localhost")
    letter["Auto-Submitted"] = "auto-generated"
    summary = "\n".join(_line(line, 200) for line in told["data"]["summary"].splitlines())
    letter.set_content("\n".join([*lines(told, SHOWN), "", summary, ""]), cte="quoted-printable")
    return letter.as_string()


def outcome(
    webhooks: Any, answers: list[Mapping[str, Any]], to: Any, sender: Any, mailed: Mapping[str, Any], limit_s: int
) -> str:
    """Return the line that says who was told and who was not, and why; ``answers`` are those of the requests."""
    left = iter(answers)
    judged = [(each.name, each.wrong or refusal(each, next(left, {}), limit_s)) for each in receivers(webhooks)]
    judged += _mail_outcome(to, sender, mailed, limit_s)
    told = ", ".join(name for name, why in judged if not why)
    parts = [f"told {told}"] if told else []
    parts += [f"NOT told {name}: {why}" for name, why in judged if why]
    return f"notifications: {'; '.join(parts) or 'nobody is to be told'}"


def _mail_outcome(to: Any, sender: Any, mailed: Mapping[str, Any], limit_s: int) -> Iterator[tuple[str, str]]:
    good, wrong = addresses(to)
    yield from (("mail", why) for why in wrong)
    if good and not ADDRESS.fullmatch(str(sender or "")):
        yield "mail", "notify_mail_from is not name@host"
    elif good and mailed.get("rc") in (124, 137):  # timeout(1): the time was over; and its --kill-after was needed
        yield "mail", f"sendmail took longer than {limit_s} s"
    elif good:
        said = _line(mailed.get("stderr") or mailed.get("msg") or "", 160)
        yield "mail", "" if mailed.get("rc") == 0 else f"sendmail, exit code {mailed.get('rc')}: {said}"
