# SPDX-License-Identifier: Apache-2.0
"""Mask secrets in whatever leaves a node or the control node: facts, refusals, reports, notices, records, the journal.

A secret is recognised by the name before it (``--hub_token X``: secret/named.py), by the program whose option it is
(``mysql -pX``: secret/programs.py), by its place in an address (``://user:X@``, a webhook's path: secret/addresses.py),
or by its own form (``ghp_...``, a private key: secret/forms.py). Only the secret becomes ``***``; the text around it
stays readable. Takes linear time on any text, and masking twice changes nothing more.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Sequence, Tuple

HIDDEN = "***"

Span = Tuple[int, int]

# Where none of its hints is in a text, a part has nothing to find there, and is not even imported: most texts of a
# node hold no secret, and to compile the patterns takes longer than to look for the hints.
_KEYS = (
    "pass pw token secret cred key auth bearer cookie sig psk ak sk \u5bc6\u7801 \u53e3\u4ee4 \u5bc6\u94a5 \u4ee4\u724c"
)
_NAMES = _KEYS.split()
_ADDRESSES = ["@", "://", "%40"]
_COMMANDS = "/p: pass: <<< echo printf yes login alias sqlplus expdp impdp sqlldr rman vault poetry"
_OPTIONS = [*_COMMANDS.split(), " -", "\0-", "'-", '"-', "host add"]
_GIVEN = ["<<", "send", "echo"]
_PAIRS = ["value", "</"]
_TOKENS = """
    hf_ ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- gldt- glrt- glsa_ sk- xox akia asia agpa aroa ltai akid aiza ya29.
    npm_ dop_v1 hvs. shpat_ dckr_ nvapi- r8_ pypi- sg. eyj $1$ $5$ $6$ $y$ $2 $argon2 bearer identified masterauth
    requirepass password sha} md5} {crypt} sha256} sha384} sha512} grub. b3blbnnzac1rzxk api access secret signing
    license .login( user
"""
_FORMS = [*_TOKENS.split(), "private key"]


def masked(text: str) -> str:
    """Return the text with every secret masked. NUL may separate the words of a command line, as in /proc."""
    parts, done = [], 0
    for start, end in spans(text):
        parts += [text[done:start], HIDDEN]
        done = end
    return "".join(parts) + text[done:]


def masked_values(value: Any) -> Any:
    """Return dictionaries and lists with the secrets in their texts masked, and texts whose key names a secret."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        value = _named_by_a_field(value)
        return {key: HIDDEN if _is_named(key, part) else masked_values(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked_values(part) for part in _command(value)]
    return value


def _command(words: Sequence[Any]) -> Sequence[Any]:
    """Return the words of a command line as /proc would show them, masked; anything else as it is."""
    if not any(isinstance(word, str) and word.startswith("-") for word in words):
        return words
    if not all(isinstance(word, str) and "\0" not in word for word in words):
        return words
    return masked("\0".join(words) + "\0").split("\0")[: len(words)]


def _named_by_a_field(value: Dict[Any, Any]) -> Dict[Any, Any]:
    """Mask the value if a field beside it names a secret: ``name: HF_TOKEN, value: X``."""
    for name, field in (("name", "value"), ("Name", "Value"), ("key", "value"), ("Key", "Value")):
        if _is_named(value.get(name), value.get(field)):
            return {**value, field: HIDDEN}
    return value


def _is_named(key: Any, value: Any) -> bool:
    if not isinstance(key, str) or not isinstance(value, str) or not _any(_NAMES, key.lower()):
        return False
    from .secret import names

    return names.hides(names.kind(key), value)


def spans(text: str) -> List[Span]:
    """Return where secrets are in a text, in order and without overlaps."""
    found = sorted((start, end) for start, end in _found(text) if start < end and not text.startswith(HIDDEN, start))
    apart: List[Span] = []
    for start, end in found:
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((start, end))
    return apart


def _found(text: str) -> Iterator[Span]:
    lowered = text.lower()
    if _any(_NAMES, lowered):
        from .secret import named

        yield from named.find(text)
    if _any(_ADDRESSES, text):
        from .secret import addresses

        yield from addresses.find(text)
    if _any(_OPTIONS, lowered):
        from .secret import programs

        yield from programs.find(text)
    if _any(_GIVEN, lowered):
        from .secret import stdin

        yield from stdin.find(text)
    if _any(_PAIRS, lowered):
        from .secret import pairs

        yield from pairs.find(text)
    if _any(_FORMS, lowered):
        from .secret import forms

        yield from forms.find(text)


def _any(hints: List[str], text: str) -> bool:
    return any(hint in text for hint in hints)
