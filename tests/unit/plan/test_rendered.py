# SPDX-License-Identifier: Apache-2.0
"""A setting that is another variable's value needs no template; all others do, whatever is in them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.plugin_utils.rendered import rendered

VARIABLES = {"release": "8.0", "dir": "{{ base }}/x", "cards": {"count": "{{ n }}"}, "base": "/b", "n": 8, "none": None}


@pytest.mark.parametrize(
    ("value", "templates"),
    [
        ("{{ release }}", ["8.0"]),
        ("{{ dir }}", ["{{ base }}/x"]),
        ("{{ cards }}", [{"count": "{{ n }}"}]),
        ("{{ none }}", [None]),
        ("{{ undefined }}", ["{{ undefined }}"]),  # Ansible says that it is
        ("{{ cards.count }}", ["{{ cards.count }}"]),
        ("{{ release }}{{ n }}", ["{{ release }}{{ n }}"]),
        ("{{ release | upper }}", ["{{ release | upper }}"]),
        ("text", ["text"]),
        (8, [8]),
        ({"a": "{{ release }}", "b": {"c": "{{ n }}"}}, ["8.0", 8]),
    ],
)
def test_what_is_rendered(value: Any, templates: list[Any]) -> None:
    asked: list[Any] = []
    rendered(SimpleNamespace(template=asked.append), VARIABLES, value)
    assert asked == templates
