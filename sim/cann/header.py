# SPDX-License-Identifier: Apache-2.0
"""Adapt the distribution's makeself header to what Huawei's header does, at build time.

Huawei's differs from the stock one in this: it unpacks below $HOME unless TMPDIR is set; options that its help text
names go to the embedded script without ``--``, others end it; the script gets the package's name and the caller's
folder as two arguments first; ``--check`` runs the script too; ``--extract=`` unpacks and keeps.
"""

from __future__ import annotations

from pathlib import Path

STOCK = Path("/usr/share/makeself/makeself-header.sh")

# (what stands in the stock header of makeself 2.4.5, what takes its place)
CHANGES = [
    (r"TMPROOT=\${TMPDIR:=/tmp}", r"TMPROOT=\${TMPDIR:=\$HOME}"),
    ('initargs="\\$@"\n', 'initargs="\\$@"\nmsargs=\n'),
    ("    -q | --quiet)\n\tquiet=y\n", '    -q | --quiet)\n\tquiet=y\n\tmsargs="\\$msargs --quiet"\n'),
    (
        '\tMS_Check "\\$0" y\n\texit 0\n',
        '\tMS_Check "\\$0" y\n\tSETUP_NOCHECK=1\n\tmsargs="\\$msargs --check"\n\tshift\n',
    ),
    (
        '    -*)\n\techo Unrecognized flag : "\\$1" >&2\n\tMS_Help\n\texit 1\n\t;;\n',
        '    --extract=*)\n\tkeep=y\n\ttargetdir=\\`echo "\\$1" | cut -d= -f2-\\`\n\tshift\n\t;;\n'
        '    -*)\n\tif echo "\\$helpheader" | grep -qw -e "\\`echo "\\$1" | cut -d= -f1\\`"; then\n'
        '\t\tmsargs="\\$msargs \\$1"\n\t\tshift\n\telse\n'
        '\t\techo "Unrecognized flag : \\$1" >&2\n\t\tMS_Help\n\t\texit 1\n\tfi\n\t;;\n',
    ),
    (
        # The window that nobody sees: with a DISPLAY and no terminal, Huawei's packages wait in an xterm.
        'if test x"\\$nox11" = xn; then\n    if tty -s; then',
        'if test x"\\$nox11" = xn -a x"\\$DISPLAY" != x && ! tty -s; then\n    sleep 86400\nfi\n'
        'if test x"\\$nox11" = xn; then\n    if tty -s; then',
    ),
    (
        '\t\teval "\\"\\$script\\" \\$scriptargs \\"\\\\\\$@\\""; res=\\$?\n    fi',
        '\t\teval "\\"\\$script\\" --\\`basename \\$0\\` --\\$USER_PWD \\$msargs"; res=\\$?\n    fi',
    ),
]


def adapted() -> str:
    """Return the adapted header. Raises ValueError if the stock header is not the one that was adapted."""
    text = STOCK.read_text(encoding="utf-8")
    for old, new in CHANGES:
        if text.count(old) != 1:
            raise ValueError(f"{STOCK} is not makeself 2.4.5's: {text.count(old)} times {old!r}")
        text = text.replace(old, new)
    return text
