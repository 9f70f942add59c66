# SPDX-License-Identifier: Apache-2.0
"""What a node serves, held to the inventory: told every night, cured by serve.yml and by no step of site.yml."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from tests.unit.plan.planner_nodes import NAME, converged, wanted

LISTED = [{"name": "llama3", "digest": "d1"}]


def served(**changes: Any) -> dict[str, Any]:
    each = {"name": "llama3", "address": "127.0.0.1", "port": 8000, "digest": "d1", "state": "serving", "why": ""}
    return {**each, "environment": f"/opt/ascend/env/{NAME}", "account": "ascend-serve", "devices": [], **changes}


def warned(services: Any, listed: Any = None) -> list[Any]:
    found = {**converged(), **({"services": services} if services is not None else {})}
    result = plan(found, wanted(services=LISTED if listed is None else listed))
    assert (result["steps"], result["refusals"]) == ([], [])
    return list(result["warnings"])


def test_a_node_that_serves_what_it_shall_has_nothing_to_tell() -> None:
    assert warned([served()]) == []
    assert warned(None, []) == []


@pytest.mark.parametrize(
    ("services", "listed", "check", "found"),
    [
        (None, None, "service-absent", "none"),
        ([], None, "service-absent", "none"),
        ([served()], [], "service-unlisted", "127.0.0.1:8000"),
        ([served(address="::1")], [], "service-unlisted", "[::1]:8000"),
        ([served(state="down", why="its program has ended")], None, "service-down", "its program has ended"),
        (
            [served(state="silent", why="it does not answer: refused")],
            None,
            "service-silent",
            "it does not answer: refused",
        ),
        ([served(digest="d0")], None, "service-altered", "a different config, address or set of cards"),
        ([served(altered="its unit was changed")], None, "service-altered", "its unit was changed"),
        ([served(environment="/opt/ascend/env/old")], None, "service-environment", "old"),
    ],
)
def test_what_differs_is_told_by_the_model_s_name(services: Any, listed: Any, check: str, found: str) -> None:
    (warning,) = warned(services, listed)
    assert (warning["component"], warning["check"], warning["subject"]) == ("system", check, "llama3")
    assert warning["found"] == found
    assert "--limit NODE" in warning["remedy"]


def test_one_reason_a_model() -> None:
    assert len(warned([served(state="down", digest="d0", environment="/old")])) == 1
    both = [{"name": "a", "digest": "1"}, {"name": "b", "digest": "2"}]
    assert [each["subject"] for each in warned([served(name="b", digest="0")], both)] == ["a", "b"]
