# SPDX-License-Identifier: Apache-2.0
"""A password that no error, debugger or log shows."""

from __future__ import annotations

from ...ascend.errors import AscendError
from ...ascend.masking import HIDDEN


class Password:
    """A secret text; ``reveal`` is called only where it is sent."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._text)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def without(self, words: str) -> str:
        """Return what a node said, without the password in it."""
        return words.replace(self._text, HIDDEN) if self._text else words


def password_of(given: object, where: str) -> Password:
    """Return a variable's value as a password. Raises AscendError, which does not contain the value."""
    text = "" if given is None else str(given)
    if any(char in "\n\r\0" or "\ud800" <= char <= "\udfff" for char in text):
        raise AscendError(
            "nobody can type this password",
            wanted="one line of UTF-8",
            found="a line break, a NUL, or bytes that are not UTF-8",
            where=where,
            remedy="ansible-vault edit FILE  # the file that sets it: no | or > before the value",
        )
    return Password(text)
