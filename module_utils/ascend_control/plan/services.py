# SPDX-License-Identifier: Apache-2.0
"""Whether a node serves what the inventory says; playbooks/serve.yml changes that, no step of site.yml does."""

from __future__ import annotations

import os

from ...ascend.finding import Refusal, refusal
from .asked import Wanted
from .found import Found, Served

_CURE = "ansible-playbook playbooks/serve.yml --limit NODE"
_LOOK = "ansible-playbook playbooks/serve_status.yml --limit NODE"


def services_warnings(found: Found, wanted: Wanted) -> list[Refusal]:
    """Return what is not served as the inventory says, or does not answer, with one reason per model."""
    served = {each.name: each for each in found.services}
    digests = {each.name: each.digest for each in wanted.services}
    observed = [
        _warning("service-absent", name, f"{name} is not served", "a service", "none", _CURE)
        for name in digests
        if name not in served
    ]
    for name, each in served.items():
        if name not in digests:
            words = f"{name} is served, but the inventory does not name it"
            observed.append(
                _warning(
                    "service-unlisted", name, words, "no such service, or an entry in serve_models", _place(each), _CURE
                )
            )
        elif each.state != "serving":
            problem = f"{name} is not served" if each.state == "down" else f"{name} does not answer"
            observed.append(
                _warning(f"service-{each.state}", name, problem, "an answer on " + _place(each), each.why, _LOOK)
            )
        elif each.digest != digests[name] or each.altered:
            words = f"{name} is not served as the inventory says"
            differs = "a different config, address or set of cards" if each.digest != digests[name] else each.altered
            observed.append(_warning("service-altered", name, words, "what serve_models says", differs, _CURE))
        else:
            observed += _elsewhere(each, found)
    return observed


def _elsewhere(each: Served, found: Found) -> list[Refusal]:
    """A service keeps the environment in which it was started."""
    current = found.environments.current
    name = os.path.basename(each.environment)
    if not current or name == current:
        return []
    words = f"{each.name} is served in an environment that is not current"
    return [_warning("service-environment", each.name, words, current, name, _CURE)]


def _place(each: Served) -> str:
    return f"[{each.address}]:{each.port}" if ":" in each.address else f"{each.address}:{each.port}"


def _warning(check: str, name: str, problem: str, wanted: str, found: str, remedy: str) -> Refusal:
    return refusal("system", check, problem, wanted, found, remedy, "serve_models", name)
