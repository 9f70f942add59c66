# SPDX-License-Identifier: Apache-2.0
"""What the role notify tells, and to whom.

``fleet | ascend_notice_due(test)``                            whether the state changed, so that somebody is to be told
``fleet | ascend_notice(summary, report_url, test)``           what is told: a message
``webhooks | ascend_notice_requests(message)``                 what each webhook is sent; holds secrets
``message | ascend_notice_mail(to, from)``                     the mail, whole; empty when it cannot be made
``webhooks | ascend_notice_outcome(answers, to, from, mailed, limit_s)``   who was told and who was not, and why
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from jinja2 import Undefined

# Ansible offers module_utils/ to modules only; filters are imported by the control node's own Python.
_MODULE_UTILS = str(Path(__file__).resolve().parent.parent / "module_utils")
if _MODULE_UTILS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_MODULE_UTILS)

from ansible.module_utils.ascend_control.drift import notice  # noqa: E402  (after the path above)


def _plain(value: Any) -> Any:
    """Copy out of Ansible's own containers; an undefined variable is an error here, as Ansible 2.19 and later say."""
    if isinstance(value, Undefined):
        raise AnsibleFilterError("a variable is not defined")
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def _safe(function: Callable[..., Any]) -> Callable[..., Any]:
    """Nodes wrote some of the words: Ansible before 2.19 would run a template that stands in them."""
    return lambda *arguments: wrap_var(function(*_plain(arguments)))


def _requests(webhooks: Any, message: notice.Message) -> list[dict[str, Any]]:
    return notice.requests(webhooks, message, time.time())


def _mail(message: notice.Message, to: Any, sender: Any) -> str:
    return notice.mail(message, to, sender, time.time())


class FilterModule:
    def filters(self) -> Mapping[str, Callable[..., Any]]:
        return {
            "ascend_notice_due": _safe(notice.due),
            "ascend_notice": _safe(notice.message),
            "ascend_notice_requests": _safe(_requests),
            "ascend_notice_mail": _safe(_mail),
            "ascend_notice_outcome": _safe(notice.outcome),
        }
