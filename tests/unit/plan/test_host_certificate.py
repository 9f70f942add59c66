# SPDX-License-Identifier: Apache-2.0
"""The dates of a node's host certificate, judged by the control node's clock."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from tests.unit.plan.planner_nodes import converged, wanted

DAY_S = 86400
NOW_S = 20_000 * DAY_S
PATH = "/etc/ssh/ascend-fleet/host-cert.pub"


@pytest.mark.parametrize(
    ("after", "before", "level", "check"),
    [
        (-1, 90, None, None),
        (-60, 30, None, None),
        (-68, 22, "warnings", "host-certificate-expires"),
        (-90, 1, "warnings", "host-certificate-expires"),
        (-90, 0, "refusals", "host-certificate-expired"),
        (-90, -10, "refusals", "host-certificate-expired"),
        (1, 90, "refusals", "host-certificate-not-yet"),
        (-900, None, None, None),
        (None, None, "warnings", "host-certificate-unreadable"),
    ],
)
def test_its_dates(after: int | None, before: int | None, level: str | None, check: str | None) -> None:
    found = converged()
    dates = [None if days is None else NOW_S + days * DAY_S for days in (after, before)]
    found["system"].update(
        time_s=NOW_S, host_certificate={"path": PATH, "valid_after_s": dates[0], "valid_before_s": dates[1]}
    )
    result: Any = plan(found, wanted(now_s=NOW_S))
    shown = [(kind, each["check"]) for kind in ("refusals", "warnings") for each in result[kind]]
    assert shown == ([(level, check)] if level else [])
    for each in result["refusals"] + result["warnings"]:
        assert each["where"] == PATH
        assert each["remedy"] == "ansible-playbook playbooks/ssh_certificates.yml --limit NODE"


def test_the_nodes_own_clock_does_not_count() -> None:
    found = converged()
    certificate = {"path": PATH, "valid_after_s": NOW_S - 80 * DAY_S, "valid_before_s": NOW_S + 60}
    found["system"].update(time_s=NOW_S + 3600, host_certificate=certificate)
    result = plan(found, wanted(now_s=NOW_S))
    assert [each["check"] for each in result["warnings"]] == ["host-certificate-expires"]
    assert not result["refusals"]
    result = plan(found, wanted())
    assert [each["check"] for each in result["refusals"]] == ["host-certificate-expired"]
