# SPDX-License-Identifier: Apache-2.0
"""Find secrets by their place in an address: ``://user:X@host``, ``https://X@host``, the path of a webhook."""

from __future__ import annotations

import re
from typing import Iterator, Tuple

from .names import looks_random

# Accounts that everybody knows, where no password stands behind them.
_KNOWN = r"(?!(?:git|oauth2|anonymous|guest|root|admin|user)@)"
_ACCOUNT = re.compile(
    # ://user:X@host, where X may hold @, and / where nothing else ends in one; not ://host:port/...@
    r"://[^\s/@:\"'\[\]\0]{0,256}:(?![0-9]{1,5}(?:[/?#\s\"'\0]|\Z))"
    r"([^\s\"'\0/]{1,256}|[^\s\"'\0/?#]{1,256}(?:/[^\s\"'\0@/]{0,64}){1,2})@(?=[\w\[/\s\"'\0;,)>]|\Z)"
    # https://X@host
    r"|(?:(?<=[Tt][Tt][Pp]://)|(?<=[Tt][Tt][Pp][Ss]://))" + _KNOWN + r"([^\s/@:\"'\0]{3,256})@"
    # user:X@host:port or host.domain without a scheme, and what Python says of such a host
    r"|(?<![\w.:/@-])[\w.+-]{1,64}:([^\s@/:\"'\0]{1,128})@(?!sha(?:256|512):)[A-Za-z0-9][\w.-]{0,128}"
    r"(?=[:/][0-9]{2}|\.[a-z]{2,8}\b|\()"
    r"|(?<=nonnumeric port: ')([^'@]{1,256})@"
    # the same within another address, and as Oracle writes it
    r"|%3[Aa]%2[Ff]%2[Ff][^\s/@:%]{0,256}%3[Aa]([^\s%&]{1,256})%40"
    r"|(?<=jdbc:oracle:thin:)[^\s/@:\"'\0]{1,64}/([^\s/@\"'\0]{1,256})@"
)
_MAIL = re.compile(r"(?i)(?:mail|mailto|from|to|cc|contact|author|maintainer):")
_REFERENCE = re.compile(r"\$\{?\w+\}?")
_SEGMENT = re.compile(r"[^/]+")
_HOOK_HOSTS = (
    r"(?i:[\w.-]{0,64}(?:feishu|larksuite|dingtalk|weixin|slack|discord(?:app)?|office|telegram)\.[\w.-]{1,32}"
    r"(?::[0-9]{1,5})?)"
)
# Group 1: all of it; group 2: what of it looks drawn by chance.
_HOOK = re.compile(
    r"://" + _HOOK_HOSTS + r"(?:/[\w.-]{1,40}){0,6}?/(?:[\w-]{0,32}hooks?|webhookb2|services|workflows|triggers)/"
    r"([^\s\"'\0?#<>\\]{6,512})"
    r"|://[\w.:-]{1,128}(?:/[\w.-]{1,40}){0,6}?/(?:hooks?|webhooks?|webhookb2)/(?P<some>[^\s\"'\0?#<>\\]{6,512})"
    r"|://[\w.:-]{1,128}/bot([0-9]{3,16}:[\w-]{8,64})"
    r"|://[^\s\"'\0?#]{1,256}/t/([a-z]{2}-[\w.-]{12,128})/|://[\w.-]{0,64}conda[\w.:-]{0,64}/(?:[\w.-]{1,40}/){0,3}t/([\w.-]{8,128})/"
    r"|://(?:sctapi\.ftqq\.com|api\.day\.app|www\.pushplus\.plus/send|maker\.ifttt\.com/[^\s/]{1,64}/with/key)/([\w-]{8,128})"
)


def find(text: str) -> Iterator[Tuple[int, int]]:
    """Yield where secrets begin and end; some may overlap."""
    for match in _ACCOUNT.finditer(text):
        start, end = match.span(match.lastindex or 0)
        if not _REFERENCE.fullmatch(text, start, end) and not _MAIL.fullmatch(text, match.start(), start):
            yield start, end
    for match in _HOOK.finditer(text):
        start, end = match.span(match.lastindex or 0)
        if match.lastgroup != "some":
            yield start, end
            continue
        for part in _SEGMENT.finditer(text, start, end):
            if looks_random(part.group()):
                yield part.span()
