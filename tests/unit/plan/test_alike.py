# SPDX-License-Identifier: Apache-2.0
"""Hosts of which a variable comes out alike are known by raw variables; one that may differ is never among them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.plugin_utils.alike import signature

FLEET = {"ascend_locks": {"aarch64": "{{ lock_dir }}/{{ ascend_release }}.txt"}, "lock_dir": "/srv", "free": "x"}


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether the locks of two hosts with these variables beside the fleet's are taken for alike."""
    found = [signature({**FLEET, "ascend_release": "8.0", **own}, ["ascend_locks"]) for own in (first, second)]
    assert None not in found
    return found[0] == found[1]


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        ({}, {}, True),
        ({"inventory_hostname": "a"}, {"inventory_hostname": "b"}, True),  # no template names it
        ({"free": "y"}, {}, True),
        ({"ascend_release": "8.2"}, {}, False),
        ({"ascend_release": "{{ of_rack }}", "of_rack": "8.2"}, {"ascend_release": "{{ of_rack }}"}, False),
        ({"lock_dir": "/other"}, {}, False),
    ],
)
def test_hosts_are_alike_where_all_that_is_used_is(first: dict[str, Any], second: dict[str, Any], alike: bool) -> None:
    assert same(first, second) is alike


@pytest.mark.parametrize(
    ("locks", "first", "second", "alike"),
    [
        ("{{ inventory_hostname }}", {"inventory_hostname": "a"}, {"inventory_hostname": "b"}, False),
        ("{% if rack is defined %}/r{% endif %}", {"rack": 1}, {}, False),
        ("{{ groups['ascend'][0] | of_ours }}", {}, {}, True),
        ("{{ hostvars['a'].x }}", {"me": "a"}, {"me": "b"}, True),
        ("{{ hostvars[me].x }}", {"me": "a"}, {"me": "b"}, False),
        ("{{ ascend_locks }}", {}, {}, True),  # Ansible refuses it afterwards
        ({"{{ arch }}": "/l"}, {"arch": "a"}, {"arch": "b"}, False),
        (["{{ arch }}"], {"arch": "a"}, {"arch": "b"}, False),
        ("{{ by_port[8080] }}", {"by_port": {8080: 1, "x": 2, None: 3}}, {"by_port": {8080: 1, "x": 2, None: 3}}, True),
        ("{{ lookup('env', 'HOME') }}/{{ q('ansible.builtin.file', '/l')[0] }}", {"a": 1}, {}, True),
        ("{{ lookup('file', path) }}", {"path": "a"}, {"path": "b"}, False),
    ],
)
def test_what_templates_use(locks: Any, first: dict[str, Any], second: dict[str, Any], alike: bool) -> None:
    assert same({"ascend_locks": locks, **first}, {"ascend_locks": locks, **second}) is alike


@pytest.mark.parametrize(
    "text",
    [
        "{{ vars['ascend_' ~ kind] }}",
        "{{ lookup('vars', 'ascend_' ~ kind) }}",
        "{{ query('ansible.builtin.varnames', '^x') }}",
        "{{ lookup('template', 'x.j2') }}",
        "{{ lookup(plugin, 'x') }}",
        "{{ ['a'] | map('call', lookup) }}",
        "{{ lookup() }}",
        "{{ not closed",
        "{% if %}",
    ],
)
def test_what_a_template_does_not_tell_is_not_taken_for_alike(text: str) -> None:
    assert signature({**FLEET, "ascend_release": "8.0", "lock_dir": text}, ["ascend_locks"]) is None
