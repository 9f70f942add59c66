# SPDX-License-Identifier: Apache-2.0
"""Find secrets that a program gets as input: ``echo X | sudo -S``, ``su <<< X``, by a here-document or expect."""

from __future__ import annotations

import re
from typing import Iterator, Tuple

from .names import ALWAYS, hides, looks_chosen
from .values import value_at

# What takes a secret from its standard input.
_TAKER = (
    r"(?:\bsudo\b[^\n|;]{0,64}[ \t\0]-\w{0,8}S|stdin\b|--with-token\b|--passphrase-fd\b"
    r"|(?:vault|wandb|swanlab|hf|auth|-cli)[ \t\0]+login\b"
    r"|(?<!/etc/)(?<![\w.-])(?:chpasswd|smbpasswd|passwd|kinit|cryptsetup|htpasswd|su)(?![\w.-]))"
)
_PIPED = r"(?=[^\n|]{1,256}\|[^\n;]{0,256}?" + _TAKER + ")"
_ACCOUNT = r"(?:[\"']?\w{1,32}:(?=[^\s:/]))?"

# As in programs.py: what stands before the secret -> the programs.
GIVEN = (
    (r"(?:(?<=echo)|(?<=yes))[ \t]+(?:-[neE]+[ \t]+)?" + _PIPED + _ACCOUNT, "echo yes"),
    (r"(?<=printf)[ \t]+(?:[\"']?%[^\s\"']{0,16}[\"']?[ \t]+)?" + _PIPED + _ACCOUNT, "printf"),
    (r"<<<[ \t]*" + _PIPED + _ACCOUNT, "cat base64 tr"),
    (r"<<<[ \t]*" + _ACCOUNT, "sudo chpasswd passwd smbpasswd kinit cryptsetup su"),
    (
        r"(?:\blogin|stdin|-token|-fd)\b[^\n;|]{0,128}?<<<[ \t]*",
        "docker podman nerdctl helm oras crane skopeo buildah gh glab vault wandb swanlab hf huggingface-cli gpg",
    ),
)
_TAKES = re.compile(_TAKER)
_DOCUMENT = re.compile(r"<<-?[ \t]?[\"']?([A-Za-z_]\w{0,31})[\"']?(?=[^\n<]{0,256}\n)")
_GROUP = re.compile(r"[({]([^(){}\n|]{1,256})[)}][ \t]*\|[^\n;]{0,256}?" + _TAKER)
_ECHOED = re.compile(r"\becho[ \t]+(?:-[neE]+[ \t]+)?" + _ACCOUNT)
_SENT = re.compile(r"\b(?:exp_)?send(?:[ \t]+-[\w-]{1,8}){0,3}[ \t]+\\{0,3}[\"{]([^\"\n\0\\]{4,128})(?:\\{1,4}[rn]|\n)")
_ASKED = re.compile(r"(?i)assw|assphrase|token|secret|\bpin\b|\u5bc6\u7801")


def find(text: str) -> Iterator[Tuple[int, int]]:
    """Yield where here-documents, the output of several echoes, and what expect sends begin and end."""
    for match in _DOCUMENT.finditer(text):
        line = text.rfind("\n", max(0, match.start() - 256), match.start()) + 1 or max(0, match.start() - 256)
        begin = text.index("\n", match.end()) + 1
        end = text.find("\n%s" % match.group(1), begin - 1, begin + 4096)
        if end > begin and _TAKES.search(text, line, begin):
            yield begin, end
    for match in _GROUP.finditer(text):
        for echoed in _ECHOED.finditer(text, *match.span(1)):
            yield value_at(text, echoed.end())[:2]
    for match in _SENT.finditer(text):
        sent = match.group(1)
        asked = " " not in sent and _ASKED.search(text, max(0, match.start() - 96), match.start())
        if looks_chosen(sent) or (asked and hides(ALWAYS, sent)):
            yield match.span(1)
