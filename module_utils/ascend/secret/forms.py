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
    r"(?i:bearer)[ \t\0]+((?=[a-z]{0,64}[^a-z\s])[A-Za-z0-9._~+/=-]{6,})",
    r"(?i:identified(?: with [^\s]{1,40})? (?:by|as)[ \t]+[\"']|(?:requirepass|masterauth)[ \t]+[\"']?)([^\s\"';]+)",
    r"(?:login|user|account)[ \t]+[^\s]{1,64}[ \t]+password[ \t]+([^\s]+)",
)
_FORM = re.compile("|".join(_FORMS))


def find(text: str) -> Iterator[Tuple[int, int]]:
    """Give where secrets begin and end, none within a longer word."""
    for match in _FORM.finditer(text):
        before = text[match.start() - 1 : match.start()]
        if not (before.isalnum() or before == "_") or before == "" or text[match.start()] in "-$":
            yield match.span(match.lastindex or 0)
