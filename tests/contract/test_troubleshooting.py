# SPDX-License-Identifier: Apache-2.0
"""docs/troubleshooting.md explains each finding that the product can make, under its name, and no other."""

from __future__ import annotations

import ast
import re

import pytest
import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.links import PAGE, link_to
from tests.contract import finding_names
from tests.contract.tree import ROOT

DOCUMENT = "docs/troubleshooting.md"
TEXT = (ROOT / DOCUMENT).read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))


def test_every_finding_has_its_heading_and_every_heading_its_finding() -> None:
    names = finding_names.of_the_product()
    assert sorted(names - set(SECTIONS)) == [], f"{DOCUMENT}: what do these mean, and what helps?"
    assert sorted(set(SECTIONS) - names) == [], f"{DOCUMENT}: no code makes these"


def test_each_says_what_it_means_and_what_helps() -> None:
    short = {name: text for name, text in SECTIONS.items() if len(text.strip().split("\n\n")) < 2}
    assert short == {}


def test_the_link_of_a_finding_leads_to_its_heading() -> None:
    """GitHub and the site make an anchor of a heading's words: a name is its own, if no other heading has it."""
    repository = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["repository"]
    assert f"{repository}/blob/main/{DOCUMENT}" == PAGE
    anchors = [
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", TEXT, re.M)
    ]
    twice = {anchor for anchor in anchors if anchors.count(anchor) > 1}
    assert twice == set()
    assert {link_to(name).partition("#")[2] for name in SECTIONS} <= set(anchors)


MAKING = """
def _told(what, name, words):
    return refusal(what, name, words, "", "", "")

def judged(found):
    _told("system", "plain", "p")
    _told("system", "one" if found else "other", "p")
    return {"name": "written-out", "problem": "p"}
"""


def test_a_name_is_found_wherever_it_is_made() -> None:
    tree = ast.parse(MAKING)
    makers = finding_names.makers_of([tree])
    found = {name.value for name in finding_names.names(tree, makers) if isinstance(name, ast.Constant)}
    assert found == {"plain", "one", "other", "written-out"}


def test_a_name_that_is_computed_has_to_be_explained() -> None:
    tree = ast.parse('def f(x):\n    return finding("npu", "card-" + x, "p")\n')
    with pytest.raises(KeyError):
        finding_names.explained(tree, "ascend/x.py", finding_names.makers_of([tree]))
