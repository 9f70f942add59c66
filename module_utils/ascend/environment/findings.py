# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with an environment: the findings' names, which are stable, and their texts."""

from __future__ import annotations

from typing import Dict, List, Tuple

from ..finding import Finding, finding
from ..text import listed
from . import distributions, known_traps, leaks, virtualenv
from .distributions import shown

NAMED = 5  # how many problems a finding names

HALF = "environment-half-installed"
DIFFERS = "environment-differs"
EDITABLE = "environment-editable"
EDITABLE_MISSING = "environment-editable-missing"
UNREADABLE = "environment-unreadable"
HOME_ALTERED = "environment-cann-home"
CHECKOUT_EDITED = "environment-source-edited"
CHECKOUT_COMMIT = "environment-source-commit"

_RESTORE = "ansible-playbook site.yml  # restores it; edited files are kept in the environment's folder edited"
_REPAIR = "ansible-playbook site.yml  # repairs the release's environment; any other: rm -r"
# Finding -> what is wrong, what is wanted, the remedy.
MEANING: Dict[str, Tuple[str, str, str]] = {
    HALF: (
        "is not finished",
        "its receipt %s, written last" % virtualenv.RECEIPT,
        "ansible-playbook site.yml  # finishes the release's environment; any other: rm -r",
    ),
    DIFFERS: ("has missing, different or added distributions", "those in its receipt", _REPAIR),
    virtualenv.INTERPRETER: (
        "has a broken or different interpreter",
        "the Python it was built with",
        _REPAIR,
    ),
    distributions.BROKEN: ("has broken distributions", "one readable METADATA and RECORD for each", _REPAIR),
    distributions.ALTERED: ("has missing or altered files", "every file as in RECORD", _REPAIR),
    distributions.LEFT: ("has leftovers from an interrupted pip", "no such folder", _REPAIR),
    UNREADABLE: ("cannot be read", "folders that can be listed", "ls -l  # there; a disk fault? dmesg | tail"),
    EDITABLE: ("has a distribution that was installed in another way", "as it was built", _REPAIR),
    EDITABLE_MISSING: ("lacks the source of an editable distribution", "the checkout", _REPAIR),
    leaks.LEAK: ("imports modules from outside", "only its own site-packages", _REPAIR),
    CHECKOUT_EDITED: ("has an edited checkout", "the files that were unpacked", _RESTORE),
    CHECKOUT_COMMIT: ("has a checkout at a different commit", "the commit that was unpacked", _RESTORE),
    HOME_ALTERED: ("does not name the CANN it was built for", "the CANN of its receipt in .cann_home", _REPAIR),
    known_traps.NUMPY: (
        "has a numpy that does not work with CANN's operators",
        "numpy < 2",
        "pin numpy==1.26.4 in the lock, then: ansible-playbook site.yml",
    ),
    known_traps.SETUPTOOLS: (
        "has no pkg_resources that torch 2.1 and torch-npu can use",
        "setuptools < 81, not 70.0.0",
        "pin setuptools==75.6.0 in the lock, then: ansible-playbook site.yml",
    ),
    known_traps.PAIR: (
        "has versions of torch and torch-npu that do not match",
        "torch of torch-npu's version",
        "pin the pair of the release in the lock, then: ansible-playbook site.yml",
    ),
}


def say(name: str, path: str, words: Dict[str, List[str]]) -> List[Finding]:
    """Return a finding for each kind of problem (name -> words of each) of an environment, however many there are."""
    found = []
    for kind in sorted(words):
        what, wanted, remedy = MEANING[kind]
        text = listed(words[kind], most=NAMED) or "no receipt"
        title = "environment %s %s" % (shown(name), what)
        found.append(finding("python", kind, title, wanted, text, path, remedy))
    return found
