# SPDX-License-Identifier: Apache-2.0
"""How an action fails: with what the operator must know, and no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ansible.errors import AnsibleActionFail

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure


@contextmanager
def failing_in_words() -> Iterator[None]:
    """Let the task fail with an error's words, as the modules do."""
    try:
        yield
    except REPORTED as error:
        raise AnsibleActionFail(failure(error)["msg"]) from None
