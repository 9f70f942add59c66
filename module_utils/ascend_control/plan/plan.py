# SPDX-License-Identifier: Apache-2.0
"""Decide what a node needs: ``plan(found, wanted)`` is the project's one definition of "right".

``found`` is what the module ``ascend_facts`` returned for a node, ``wanted`` what the control node resolved for it
(wanted.py). The result depends on nothing else; the function changes nothing and never raises because of what a node
says:

``{"steps": [...], "refusals": [...], "warnings": [...], "remarks": [...]}`` (components.py)

* steps are in the order in which they are applied;
* a refusal forbids changing the node until it is cured;
* a warning stops nothing: ``site.yml`` does not cure it, and the operator should know;
* a remark is shown and is no drift: what is unknown, or busy at this moment, is not wrong.

Drift is what this function returns, and ``site.yml`` applies what this function returns: they cannot disagree.
"""

from __future__ import annotations

from .asked import Wanted, wanted_of
from .components import Plan, names_of, split
from .documents import Document
from .found import Found, found_of
from .hardware import hardware
from .preconditions import preconditions
from .steps import steps
from .system_python import python_refusals
from .users import users_refusals
from .warnings import warnings


def plan(facts: Document, wanted: Document) -> Plan:
    """Return the steps, refusals, warnings and remarks for one node (see the module's description for their form)."""
    return decide(found_of(facts), wanted_of(wanted))


def decide(found: Found, wanted: Wanted) -> Plan:
    """Return the plan, within the planner."""
    todo = steps(found, wanted)
    refusals, tolerated = hardware(found, wanted, todo)
    refusals += users_refusals(found)
    refusals += python_refusals(found.system_pythons, wanted.python, wanted.release, names_of(todo))
    serious, remarks = split(tolerated + warnings(found, wanted, todo))
    return {
        "steps": todo,
        "refusals": refusals + preconditions(found, wanted, todo),
        "warnings": serious,
        "remarks": remarks,
    }
