# SPDX-License-Identifier: Apache-2.0
"""Find secrets by their own form: tokens of services, private keys, hashes of passwords; or after fixed words."""

from __future__ import annotations

import re
from typing import Iterator, Tuple

_TOKENS = (
    r"hf_[A-Za-z0-9]{16,}",
    r"hf_(?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9]{8,}",
    r"gh[opsru]_[A-Za-z0-9]{12,}",
    r"github_pat_\w{12,}",
    r"gl[a-z]{2,4}-(?=[a-z_-]{0,40}[0-9A-Z])[\w-]{16,}",
    r"sk-(?=[a-z_-]{0,40}[0-9A-Z])[\w-]{12,}",
    r"sk-[A-Za-z0-9]{24,}",
    r"(?:AKIA|ASIA|AGPA|AROA)[A-Z0-9]{12,}",
    r"LTAI[A-Za-z0-9]{12,}",
    r"AKID[A-Za-z0-9]{16,}",
    r"AIza[\w-]{20,}",
    r"ya29\.[\w-]{12,}",
    r"xox[abeoprs]-[\w-]{8,}",
    r"(?:npm|dop_v1|hvs|shpat|dckr_pat|glsa|nvapi|r8)[_.-](?=[a-z_-]{0,40}[0-9A-Z])[A-Za-z0-9_-]{20,}",
    r"pypi-(?=[a-z_-]{0,40}[0-9A-Z])[\w-]{16,}",
    r"SG\.[\w-]{8,}\.[\w-]{8,}",
    r"eyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*){0,3}",
)
_FORMS = (
    # Behind its first letters, since a search for these is quick.
    r"(?:%s)" % "|".join(_TOKENS),
    r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY(?: BLOCK)?-----((?:[^-]|-(?!----END )){1,16384})",
    r"\$(?:[156y]|2[abxy]|argon2[id]{1,2})\$([./\w$=,+-]{8,})",
    r"\{(?:S?SHA|S?MD5|CRYPT|S?SHA(?:256|384|512))\}([\w+/=$.-]{8,})",
    r"grub\.pbkdf2\.sha512\.[0-9]{1,8}\.([\w.-]{8,})",
    # OpenSSH's private keys, wherever their beginning is lost
    r"b3BlbnNzaC1rZXktdjE[A-Za-z0-9+/=]{1,16384}(?:(?:\s|\\n){1,4}[A-Za-z0-9+/=]{40,128}){0,256}",
    r"(?i:bearer)[ \t\0]+(?!realm=)((?=[a-z]{0,64}[^a-z\s])[A-Za-z0-9._~+/=-]{6,})",
    r"(?i:identified(?: with [^\s]{1,40})? (?:by|as)(?: password)?[ \t]+[\"'])([^\s\"';]+)",
    r"(?i:(?:requirepass|masterauth)[ \t]+[\"']?)([^\s\"';]+)",
    r"(?:login|user|account)\s{1,16}[^\s]{1,64}\s{1,16}password[ \t]+([^\s]+)",
    r"(?:machine[ \t]+[^\s]{1,128}|default)\s{1,16}password[ \t]+([^\s]+)",
    r"(?i:password\(|(?:create|alter)[ \t]+(?:user|role)[ \t][^;\n']{1,128}\bpassword[ \t]+)'([^'\n]+)",
    r"(?i:(?:api|access|secret|signing|license)[ ]key(?:[ ](?:provided|is|was))?[ \t]{0,4}:?[ \t]{1,4})[\"']?"
    r"((?=[A-Za-z_-]{0,64}[0-9])[\w~+/=-]{8,})",
    r"\.login\((?:[^()\n]{0,64},[ \t]*)?[\"']([^\"'\n]{8,128})[\"']",
    r"\buser(?:name)?=[^\s%,=]{1,64}%([^\s,]{1,128})",
)
_FORM = re.compile("|".join(_FORMS))
_END_OF_KEY = re.compile(r"-----END [A-Z ]{0,32}PRIVATE KEY")
_LINE_OF_KEY = re.compile(r"[A-Za-z0-9+/=]{1,128}[ \t\r]{0,4}")


def find(text: str) -> Iterator[Tuple[int, int]]:
    """Yield where secrets begin and end, none within a longer word."""
    for match in _FORM.finditer(text):
        before = text[match.start() - 1 : match.start()]
        if not (before.isalnum() or before == "_") or before == "" or not text[match.start()].isalnum():
            yield match.span(match.lastindex or 0)
    for match in _END_OF_KEY.finditer(text):
        begin = _begin_of_key(text, match.start())
        if begin < match.start():
            yield begin, match.start()


def _begin_of_key(text: str, end: int) -> int:
    """Return where the lines of a private key begin if its first line is lost."""
    mark = "\\n" if text.endswith("\\n", 0, end) else "\n"
    begin = end
    while end - begin < 16384 and text.endswith(mark, 0, begin):
        last = begin - len(mark)
        line = max(text.rfind(mark, max(0, last - 256), last) + len(mark), max(0, last - 256))
        if not _LINE_OF_KEY.fullmatch(text, line, last):
            break
        begin = line
        if line == 0:
            break
    return begin
