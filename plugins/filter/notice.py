# SPDX-License-Identifier: Apache-2.0
"""The filters of the role notify.

``fleet | ascend_notice_due(test)``                   whether to notify: the state changed
``fleet | ascend_notice(summary, report_url, test)``  the message
``webhooks | ascend_notice_requests(message)``        what each webhook is sent; holds secrets
``message | ascend_notice_mail(to, from)``            the mail, whole; empty when it cannot be made
``webhooks | ascend_notice_outcome(answers, to, from, sendmail, limit_s)``   who was notified and who was not, and why
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from jinja2 import Undefined

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice import mail, webhooks
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice.message import Message, compose, is_due
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice.outcome import outcome_line


def _plain(value: Any) -> Any:
    """Copy out of Ansible's own containers; an undefined variable is an error here, as Ansible 2.19 and later say."""
    if isinstance(value, Undefined):
        raise AnsibleFilterError("a variable is not defined")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _safe(function: Callable[..., Any]) -> Callable[..., Any]:
    """Nodes wrote some of the words, and Ansible before 2.19 would run a template in them."""
    return lambda *arguments: wrap_var(function(*_plain(arguments)))


def _requests(hooks: Any, message: Message) -> list[dict[str, Any]]:
    return webhooks.requests(hooks, message, time.time())


def _mail(message: Message, to: Any, sender: Any) -> str:
    return mail.letter(message, to, sender, time.time())


class FilterModule:
    def filters(self) -> Mapping[str, Callable[..., Any]]:
        return {
            "ascend_notice_due": _safe(is_due),
            "ascend_notice": _safe(compose),
            "ascend_notice_requests": _safe(_requests),
            "ascend_notice_mail": _safe(_mail),
            "ascend_notice_outcome": _safe(outcome_line),
        }
