# SPDX-License-Identifier: Apache-2.0
"""One node's plan as findings: what site.yml would change, refuse, or warn about.

Remarks are not findings: they make no node drifted, and have no history.

The forms of findings and nodes are those of docs/fleet.schema.json, except what the history adds to a finding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from ...ascend.finding import Refusal, cause as cause_of
from ...ascend.masking import masked
from ..plan.components import COMPONENTS, NOT_KNOWN, STEPS, Plan, Step
from ..plan.remedies import run_on
from ..plan.words import of_node

Finding = dict[str, str]
# Worst first: a component's state is that of its worst finding.
LEVELS = ("unchecked", "refusal", "change", "warning")
# What a refusal, a warning and a remark say in the same words as the finding.
_WORDS = ("component", "subject", "problem", "wanted", "found", "where", "remedy")


def findings(node: str, plan: Plan, repair: str) -> list[Finding]:
    """Return the findings of a plan; ``repair`` is the command that applies its steps."""
    found = [*_refused(plan["refusals"], "refusal"), *_changes(plan["steps"], repair)]
    found += _refused(plan["warnings"], "warning")
    return identified(node, [_typed(each, node, repair) for each in found])


def _typed(each: Finding, node: str, repair: str) -> Finding:
    """Give a finding its node's name in the next command, and the inventory that ``repair`` has."""
    options = repair.partition(" site.yml ")[2].partition("--limit")[0].strip()
    return {**each, "remedy": of_node(each["remedy"], node, options)}


def _placed(each: Finding, node: str) -> Finding:
    return {**each, "run_on": run_on(each["remedy"], node)}


def remarks(plan: Plan, node: str = "NODE", repair: str = "") -> list[Finding]:
    """Return the remarks of a plan, in the order of components."""
    found = [{key: _writable(word) for key, word in _words(each).items()} for each in plan["remarks"]]
    found = [_placed(_typed(each, node, repair), node) for each in found]
    return sorted(found, key=lambda remark: COMPONENTS.index(remark["component"]))


def identified(node: str, found: Iterable[Finding]) -> list[Finding]:
    """Give each finding its id, in the order of components; two of one name and subject differ in where or problem."""
    by_id: dict[str, Finding] = {}
    for odd in sorted(found, key=lambda finding: COMPONENTS.index(finding["component"])):
        finding = {key: _writable(words) for key, words in odd.items()}
        for subject in (finding["subject"], finding["where"], finding["problem"]):
            number = identity(node, finding["component"], finding["name"], subject)
            if number not in by_id:
                by_id[number] = {"id": number, **_placed(finding, node), "subject": subject}
                break
    return list(by_id.values())


def identity(node: str, component: str, name: str, subject: str) -> str:
    """Return a finding's id: the same in every report, whatever the words."""
    return hashlib.sha256("\0".join((node, component, name, subject)).encode()).hexdigest()[:16]


def _writable(words: str) -> str:
    """Return text that may be written: without secrets, as UTF-8 (a file's name may be in another encoding)."""
    return masked(words).encode("utf-8", "backslashreplace").decode("utf-8")


def start(problem: str) -> str:
    """Return the part of a problem that several nodes share: everything before the details after a colon."""
    return problem.partition(": ")[0]


def states(found: list[Finding], looked_at: Iterable[str], unknown: Iterable[str]) -> dict[str, str]:
    """Return the state of each inspected component; the facts could not show that of the ``unknown`` ones."""
    components = {}
    for component in looked_at:
        levels = {finding["level"] for finding in found if finding["component"] == component}
        nothing = "unknown" if component in unknown else "clean"
        components[component] = next((level for level in LEVELS if level in levels), nothing)
    return components


def unknown(facts: dict[str, Any]) -> tuple[str, ...]:
    """Return the components that these facts cannot show: a silent driver shows no cards, a busy tool no links."""
    busy = any(finding["name"] == "network-busy" for finding in facts["findings"])
    return ("cards", "network") if not facts["npu"]["answered"] else ("network",) if busy else ()


def _changes(steps: list[Step], repair: str) -> Iterator[Finding]:
    """A step is one finding, or one for each cause."""
    for step in steps:
        whole = cause_of(step["component"], step["reason"])
        for cause in step["causes"] or [whole]:
            yield {
                "component": STEPS[step["component"]],
                "level": "change",
                "name": cause["name"],
                "subject": cause["subject"],
                "problem": cause["problem"],
                "wanted": cause["wanted"] or step["wanted"],
                "found": cause["found"] or step["found"],
                "where": step["where"],
                "remedy": repair,
            }


def _refused(refusals: list[Refusal], level: str) -> Iterator[Finding]:
    for refusal in refusals:
        its_level = "unchecked" if refusal["check"] in NOT_KNOWN else level
        yield {"level": its_level, **_words(refusal)}


def _words(refusal: Refusal) -> Finding:
    words = {key: str(word) for key, word in refusal.items() if key in _WORDS}
    return {"name": refusal["check"], **words}
