# SPDX-License-Identifier: Apache-2.0
"""Text for a terminal, a mail and a notification: on one line, of a bounded length."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Return the text on one line, without what a terminal obeys or does not show."""
    shown = (char if char.isprintable() else " " if char.isspace() else "?" for char in text)
    return " ".join("".join(shown).split())


def cut(text: str, width: int) -> str:
    """Return at most ``width`` characters, the last three of them dots where something was cut off."""
    text = text.rstrip()
    return text if len(text) <= width else text[: max(0, width - 3)] + "..."[:width]
