# SPDX-License-Identifier: Apache-2.0
"""Which names of options, variables and keys have secrets as values, and which of their values are not secret.

A name is judged by its last parts: ``--hf_hub_token``, ``PGPASSWORD`` and ``spring.datasource.password`` end in what is
secret; ``max_tokens``, ``eos_token`` and ``token_path`` do not.
"""

from __future__ import annotations

import re
from typing import List

# How much must speak for a secret before a value counts as one.
ALWAYS = "always"  # a password: whatever it looks like
LIKELY = "likely"  # a token or a key: all but numbers, paths and words of language models
RANDOM = "random"  # only what looks drawn by chance
CHOSEN = "chosen"  # only what looks drawn by chance, or like what a person takes for a password

# One of these is in every name that counts.
HINT = re.compile(
    r"(?i)pass|pw|token|secret|cred|key|auth|bearer|cookie|sig|psk|(?<![a-z])[as]k(?![a-z])"
    r"|\u5bc6\u7801|\u53e3\u4ee4|\u5bc6\u94a5|\u4ee4\u724c"
)
_PARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_.-]+")
_NUMBERED = re.compile(r"(?<=[a-z])[0-9]{1,2}$")
_PASSWORD = re.compile(r"passw(?:or)?d|passphrase|passcode|passwort|pswd")
_PASS = re.compile(r"(?<!by)(?<!com)(?<!low)(?<!high)(?<!band)(?<!sur)(?<!tres)(?<!over)(?<!under)(?<=.)pass$")
# What a name ends with that is about a secret, and is none.
_WORDS_ABOUT = """
    file files path paths dir dirs directory folder url uri uris endpoint host port type types name names id ids
    len length size sizes count counts num number limit limits max min rate ratio policy mode method algorithm alg
    version ttl expiry expires expired expiration expire days age level index idx env var field fields column
    prompt enabled disabled required change changed format encoding provider store manager helper ref label user
    username usage tries retries error errors warning exception status state kind class test check checks only bits
    alias aliases agent sock socket pid group issuer server source mount volume command cmd list interval timeout stdin
    budget budgets per second seconds parallel embedding embeddings mask loss prob probs logits weight weights
    dropout classification
"""
_ABOUT = frozenset(_WORDS_ABOUT.split())
# Tokens of language models, not of accounts.
_WORDS_MODEL_TOKENS = """
    eos bos pad unk sep cls mask special image img video audio vision speech text word sub stop end start begin
    eot eom im think thinking tool function new max min num n first last next prev prompt system user assistant
    output input prefill decode cached total avg mean per time ms placeholder additional decoder encoder forced
    suppress bad every unexpected invalid expected tik
"""
_MODEL_TOKENS = frozenset(_WORDS_MODEL_TOKENS.split())
_WORDS_SECRET_KEYS = """
    api access secret private auth account app application client master wandb swanlab openai hf huggingface
    modelscope anthropic deepseek dashscope zhipu moonshot gemini google azure aws obs oss cos s3 minio hw huawei
    huaweicloud aliyun tencent signing sign signature encryption encrypt crypt cipher aes des hmac jwt license
    licence registration subscription storage shared admin root login deploy bot webhook service send user ssh tls
    comet neptune mlflow activation
"""
_SECRET_KEYS = frozenset(_WORDS_SECRET_KEYS.split())
_WORDS_PUBLIC_KEYS = """
    public pub host known authorized primary sort foreign group partition cache dict json object prompt image
    column field row data dataset text label metric value query attention hot function shift any registry map
    lookup config state missing unexpected unique index search name
"""
_PUBLIC_KEYS = frozenset(_WORDS_PUBLIC_KEYS.split())
_LIKELY = (
    "credential",
    "credentials",
    "cred",
    "creds",
    "authorization",
    "bearer",
    "ak",
    "sk",
    "psk",
    "apikey",
    "pw",
    "pwd",
    "authtok",
)
_IDS = ("access key id", "accesskey id", "accesskeyid", "awsaccesskeyid", "ossaccesskeyid", "secret id", "secretid")
_OF_AN_ADDRESS = ("key", "sig", "sign", "signature", "auth", "credential", "ticket", "session")
_VALUES = ("value", "val", "data", "str", "string", "b64", "base64", "plain")

# Values that are none: what a program shows in place of one, a reference, a word of a message.
_WORDS_NOTHING = """
    true false yes no on off none null nil undefined default auto empty unset missing required optional invalid
    incorrect denied permission expired wrong not the a an is was are must has have can cannot could for of to in
    and or from with change changed failed failure ok error prompt ask disabled enabled file env redacted hidden
    masked bad too authentication all any amd64 arm64 aarch64 x86_64 i386 noarch can't couldn't didn't doesn't
    isn't wasn't won't unable password unchanged
"""
_NOTHING = frozenset(_WORDS_NOTHING.split())
_WORD = re.compile(r"[A-Za-z']{1,20}(?=[\s.,:;)]|\Z)")
_REFERENCE = re.compile(
    r"\$\{?[A-Z_][A-Z0-9_]*\}?|\$\{[A-Za-z_][^{}]{0,99}\}|\$\((?!echo|printf)[^()]{0,99}\)|%[sdr(].{0,99}|\{\{.{0,99}|!vault.{0,9}|//.{0,99}"
    r"|\.{2,9}|x{3,9}|-{1,9}|<[a-z _-]{1,40}>"
)
_NUMBER = re.compile(r"[-+]?[0-9]{1,8}(?:\.[0-9]{1,8})?[A-Za-z%]{0,3}")
_PATH = re.compile(
    r"(?:\$\{?\w{1,64}\}?|~\w{0,32}|\.{1,2})?(?:/[\w.+@-]+)+/?|[\w.+-]{1,128}\.(?:pem|key|crt|json|ya?ml|txt|py|sh)"
)
_OF_MODELS = re.compile(r"<[^<>\s]{1,40}>|\[[A-Z]{1,8}\]")
# A chip's name, an address in memory.
_OF_MACHINES = re.compile(r"(?i)ascend[0-9]{2,4}\w{0,8}|0x[0-9a-f]{1,16}")
_PLAIN = re.compile(r"[A-Za-z0-9+/=_~.:@!#%^*-]+")
_LETTERS, _DIGIT = re.compile("[A-Za-z]+"), re.compile("[0-9]")
_OTHER_CASE = re.compile("(?<=[a-z])[A-Z]|(?<=[A-Z])[a-z]")
_PARTS_OF_WORD = re.compile("[_./]+")
_VERSION = re.compile(r"[vV]?[0-9]+(?:[.:-][0-9A-Za-z]+)+")


def kind(name: str, in_address: bool = False) -> str:
    """Return how a name's value is judged, ALWAYS, LIKELY or RANDOM; empty for a name without secrets.

    ``in_address``: the name is in the query of a URL.
    """
    if not name.isascii():
        return LIKELY
    parts = [_NUMBERED.sub("", part.lower()) for part in _PARTS.split(name) if part]
    if not parts or parts[0] in ("ask", "no", "without"):
        return ""
    if " ".join(parts).endswith(_IDS):
        return LIKELY
    if parts[-1] in _ABOUT or parts[-1] == "nopasswd":
        return ""
    if any(_PASSWORD.search(part) for part in parts):
        return ALWAYS
    if any(part in ("secrets", "secretkey") or part.endswith("secret") for part in parts):
        return LIKELY
    if parts[-1] in _VALUES and len(parts) > 1:
        parts.pop()
    return _kind_of_last(parts[-1], parts[-2] if len(parts) > 1 else "", in_address)


def _kind_of_last(last: str, before: str, in_address: bool) -> str:
    if last.endswith("token"):
        of_a_model = before in _MODEL_TOKENS or last[: -len("token")] in _MODEL_TOKENS
        return "" if of_a_model else LIKELY
    if last in _LIKELY or last.endswith(("pwd", "pw")) or _PASS.search(last) or (last == "pass" and before):
        return LIKELY
    if in_address and last in _OF_AN_ADDRESS:
        return LIKELY
    if last in ("key", "keys") and before:
        return LIKELY if before in _SECRET_KEYS else "" if before in _PUBLIC_KEYS else RANDOM
    if last.endswith("key") and last[:-3] in _SECRET_KEYS:
        return LIKELY
    return RANDOM if last in ("auth", "sig", "signature", "sign", "cookie", "key", "pass") else ""


def is_message(text: str, start: int) -> bool:
    """Whether a message's word is in the value's place: "password: not given"."""
    word = _WORD.match(text, start)
    return word is not None and word.group().lower() in _NOTHING


def hides(how: str, value: str) -> bool:
    """Whether a value of a name of that kind is a secret."""
    plain = value.strip()
    if not how or not plain or plain.startswith("***") or _REFERENCE.fullmatch(plain):
        return False
    if plain.lower().rstrip(".,:;") in _NOTHING:
        return False
    if how == ALWAYS:
        return True
    if _NUMBER.fullmatch(plain) or _is_path(plain) or _OF_MODELS.fullmatch(plain):
        return False
    return how == LIKELY or (looks_chosen(plain) if how == CHOSEN else looks_random(plain))


def _is_path(word: str) -> bool:
    """Base64 has slashes, too, but no folder has a name that looks like a secret."""
    return bool(_PATH.fullmatch(word)) and not any(len(part) > 24 and looks_random(part) for part in word.split("/"))


def looks_random(word: str) -> bool:
    """Whether a word looks drawn by chance: letters and digits, or both cases, and not like a path or a version."""
    if len(word) < 8 or not _PLAIN.fullmatch(word) or _PATH.fullmatch(word) or _VERSION.fullmatch(word):
        return False
    if _OF_MACHINES.fullmatch(word) or all(part.isdigit() or part.islower() for part in _identifier(word)):
        return False
    letters = "".join(_LETTERS.findall(word))
    digits = len(_DIGIT.findall(word))
    # CamelCase changes its case less often.
    changes = len(_OTHER_CASE.findall(letters))
    return bool(letters) and ((digits >= 2 and len(word) >= 10) or changes >= max(3, len(letters) / 4))


def looks_chosen(word: str) -> bool:
    """Whether a word looks like what a person takes for a password: a digit among letters, or a capital within."""
    if len(word) < 6 or not _PLAIN.fullmatch(word) or _PATH.fullmatch(word) or _VERSION.fullmatch(word):
        return False
    has_digit = bool(_DIGIT.search(word)) and bool(_LETTERS.search(word))
    return looks_random(word) or (has_digit and "." not in word and "/" not in word)


def _identifier(word: str) -> List[str]:
    """Return the parts of an identifier with at least two signs between them; one empty text for another word."""
    parts = [part for part in _PARTS_OF_WORD.split(word) if part]
    plain = len(parts) > 2 and all(part.isdigit() or part.isalpha() for part in parts)
    return parts if plain else [""]
