# SPDX-License-Identifier: Apache-2.0
"""Webhooks: what each service gets, and whether it accepted that. docs/notify.md names formats, limits and sources.

Addresses of webhooks are secrets, like their signing secrets; no text for people contains them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlsplit

from .message import SHOWN, Message, lines, shown

Body = dict[str, Any]

FORMS = ("json", "feishu", "dingtalk", "wecom", "slack")
SIGNED = ("feishu", "dingtalk")
KEYS = ("form", "url", "secret", "label")
# Bytes: of the whole body, but for WeCom's, which are those of its content.
LIMITS = {"feishu": 19_500, "dingtalk": 19_500, "wecom": 2048, "slack": 39_000}
# Where a service's answer holds its code (0: it accepted the message), and the reason when it did not.
CODE_KEYS = {"feishu": ("code", "StatusCode"), "dingtalk": ("errcode",), "wecom": ("errcode",)}
REASON_KEYS = ("msg", "StatusMessage", "errmsg")
# What uri says when no answer came; the first that matches counts.
CONNECTION_FAILURES = (
    (r"timed ?out|expected time frame", "no answer within {limit} s"),
    (r"refused", "connection refused"),
    (r"name or service not known|name resolution|no address associated|not known", "unknown host"),
    (r"certificate", "its TLS certificate is not trusted"),
    (r"unreachable|no route", "unreachable"),
    (r"\bssl|\btls", "TLS error"),
    (r"reset|closed|disconnect|broken pipe|incompleteread", "the connection broke"),
)


class Receiver(NamedTuple):
    """One webhook; ``problem`` says why it cannot be notified. ``url`` and ``secret`` are never shown."""

    name: str
    form: str = ""
    url: str = ""
    secret: str = ""
    problem: str = ""


def receivers(webhooks: Any) -> list[Receiver]:
    """Return the configured webhooks in their order, also those that cannot be notified."""
    if webhooks is None:
        return []
    if not isinstance(webhooks, (list, tuple)):
        return [Receiver("notify_webhooks", problem="it is not a list of {form, url}")]
    return [_receiver(number, webhook) for number, webhook in enumerate(webhooks, start=1)]


def _receiver(number: int, webhook: Any) -> Receiver:
    name = f"webhook {number}"
    if not isinstance(webhook, Mapping):
        return Receiver(name, problem="it is not {form, url}")
    # A value that Ansible Vault encrypted alone is no str before it is converted; one piped into it ends in a new line.
    form, url, secret, label = (str(webhook[key]).strip() if webhook.get(key) is not None else "" for key in KEYS)
    name = shown(label, 60) or (f"{name} ({form})" if form in FORMS else name)
    return Receiver(name, form, url, secret, _problem(webhook, form, url, secret))


def _problem(webhook: Mapping[str, Any], form: str, url: str, secret: str) -> str:
    """Say what is wrong without quoting it, because a secret may be in any wrong place."""
    if form not in FORMS:
        return f"its form is not one of {', '.join(FORMS)}"
    if not url:
        return "it has no url"
    if not _is_url(url):
        return "its url is not https://host/..."
    if set(webhook) - set(KEYS):
        return f"it has a key other than {', '.join(KEYS)}"
    return f"only {' and '.join(SIGNED)} take a secret" if secret and form not in SIGNED else ""


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return sound and url.isascii() and url.isprintable() and " " not in url


def requests(webhooks: Any, message: Message, now: float) -> list[dict[str, Any]]:
    """Return ``{"name", "url", "body"}`` of each webhook that can be notified; ``now`` in seconds of the epoch."""
    return [_request(receiver, message, now) for receiver in receivers(webhooks) if not receiver.problem]


def _request(receiver: Receiver, message: Message, now: float) -> dict[str, Any]:
    body, url = body_for(receiver.form, message), receiver.url
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


def body_for(form: str, message: Message) -> Body:
    """Return the body for a service, with as many findings as its limit has room for."""
    if form == "json":
        return dict(message["data"])
    build: Callable[[list[str], str], Body] = _BUILDERS[form]
    url = message["data"]["report_url"]
    for findings in range(SHOWN, -1, -1):
        body = build(lines(message, findings), url)
        if _size(form, body) <= LIMITS[form]:
            return body
    return build([message["headline"]], "")


def _size(form: str, body: Body) -> int:
    """Return the bytes that the service counts; uri sends a body as ASCII."""
    return len(body["text"]["content"].encode()) if form == "wecom" else len(json.dumps(body))


def _feishu(text: list[str], url: str) -> Body:
    """A post: its text elements contain no markup, and mention nobody."""
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
    escaped = "\n".join(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": escaped, "mrkdwn": False}


_BUILDERS: dict[str, Callable[[list[str], str], Body]] = {
    "feishu": _feishu,
    "dingtalk": _dingtalk,
    "wecom": _wecom,
    "slack": _slack,
}


def rejection(receiver: Receiver, answer: Mapping[str, Any], limit_s: int) -> str:
    """Return why a receiver did not accept the message, or nothing if it did; ``answer`` is uri's result."""
    status = answer.get("status")
    if not isinstance(status, int) or status < 100:
        return _connection_failure(receiver, str(answer.get("msg") or ""), limit_s)
    content = str(answer.get("content") or "")
    code, reason = _code_and_reason(receiver.form, content)
    accepted = {"json": True, "slack": content.strip() == "ok"}.get(receiver.form, code == "0")
    if 200 <= status < 300 and accepted:
        return ""
    reason = "" if _contains_secret(receiver, reason) else shown(reason, 120)
    parts = [f"HTTP {status}" if not 200 <= status < 300 else "it answered HTTP 200 but rejected the message"]
    parts += ["redirects are not followed"] if 300 <= status < 400 else []
    return ", ".join([*parts, *([f"code {shown(code, 20)}"] if code else []), *([reason] if reason else [])])


def _code_and_reason(form: str, content: str) -> tuple[str, str]:
    """Return the code and the reason in a service's answer, empty if it has none."""
    if form == "slack":
        return "", content if re.fullmatch(r"[a-z_]{1,40}", content.strip()) else ""
    try:
        body = json.loads(content)
    except ValueError:
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    codes = [body[key] for key in CODE_KEYS.get(form, ()) if type(body.get(key)) is int]
    reasons = [body[key] for key in REASON_KEYS if form in CODE_KEYS and isinstance(body.get(key), str)]
    return str(codes[0]) if codes else "", reasons[0] if reasons else ""


def _contains_secret(receiver: Receiver, reason: str) -> bool:
    """Whether a receiver's own words contain a piece of the address or of the secret."""
    secrets, reason = f"{receiver.url}\0{receiver.secret}".lower(), reason.lower()
    pieces = (reason[start : start + 8] for start in range(max(1, len(reason) - 7)))
    return bool(reason) and any(piece in secrets for piece in pieces)


def _connection_failure(receiver: Receiver, error: str, limit_s: int) -> str:
    """The error's own words contain the address, so only their meaning is shown."""
    for secret in (receiver.url, urlsplit(receiver.url).hostname or receiver.url):
        error = error.replace(secret, "")
    return next(
        (meaning.format(limit=limit_s) for words, meaning in CONNECTION_FAILURES if re.search(words, error, re.I)),
        "the request failed",
    )
