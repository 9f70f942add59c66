# SPDX-License-Identifier: Apache-2.0
"""The inventory's values, checked for their kind before anything uses them.

Values passed with ``-e`` are text, which works for yes, no, true and false, but not for a list or a mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ...ascend.errors import AscendError

# The planner's settings (roles/ascend/vars) and the variables that they are made of.
_FLAGS = {"deep": "ascend_deep", "accept_eula": "cann_accept_eula", "allow_downgrade": "cann_allow_downgrade"}
_TEXTS = {
    "release": "ascend_release",
    "releases_dir": "ascend_releases_dir",
    "depot_dir": "ascend_depot_dir",
    "cann_root": "cann_root",
    "ascend_root": "ascend_root",
    "cache_dir": "ascend_cache_dir",
    "state_dir": "ascend_state_dir",
    "tmp_dir": "ascend_tmp_dir",
}
_MAPPINGS = {
    "locks": ("ascend_locks", "{aarch64: /path/of/a/lock.txt}"),
    "llamafactory_source": ("llamafactory_source", "{url: ..., version: ...} or {archive: path}"),
}


def understood(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the planner's settings with its flags as booleans. Raises AscendError for a value of another kind."""
    for name, variable in _TEXTS.items():
        value = settings[name]
        if not isinstance(value, str) or not value:
            raise _wrong(variable, "is not text", 'text, in quotes if it looks like a number ("8.0")', value)
    if not isinstance(settings["depot_url"], str):
        raise _wrong("ascend_depot_url", "is not text", 'an address, or nothing: ""', settings["depot_url"])
    for name, (variable, form) in _MAPPINGS.items():
        if not isinstance(settings[name], Mapping):
            raise _wrong(variable, "is not a mapping", f"{form}; {{}} for none", settings[name])
    return {**settings, **{name: flag(variable, settings[name]) for name, variable in _FLAGS.items()}}


def flag(variable: str, value: Any) -> bool:
    """Return a true or false value of the inventory. Raises AscendError for anything else."""
    try:
        return bool(boolean(value))
    except TypeError:
        raise _wrong(variable, "is neither true nor false", "true or false", value) from None


def _wrong(variable: str, problem: str, wanted: str, found: Any) -> AscendError:
    return AscendError(
        f"{variable} {problem}",
        wanted=wanted,
        found=repr(found),
        where="the inventory, or -e",
        remedy=f"correct {variable} where it is set: grep -rn {variable} inventory/",
    )
