# SPDX-License-Identifier: Apache-2.0
"""Read the site-packages folders of an environment: its distributions, the editable ones' sources, and problems."""

from __future__ import annotations

import os
from typing import Callable, Dict, List, Optional, Tuple

from .. import files
from . import checkout, distributions, findings as environment_findings, leaks, virtualenv
from .distributions import Distribution, Problem, shown
from .record_file import Corrections

Place = Callable[[str], str]


def read(
    path: str, place: Place, series: Optional[str], deep: bool, corrected: Optional[Corrections]
) -> Tuple[List[Distribution], Dict[str, str], List[Problem]]:
    """Return the distributions of the environment's own Python, name -> source of the editable ones, and problems."""
    here = place(path)
    found: List[Distribution] = []
    editable: Dict[str, str] = {}
    listings, problems = _listings(here, series)
    for site, names in listings:
        installed, wrong = distributions.read(site, names, deep, corrected)
        problems += wrong
        for distribution in installed:
            source = checkout.editable_path(distribution.info)
            if source is not None:
                editable[distribution.name] = source
        for distribution, source in _linked(site, names, place):
            installed.append(distribution)
            editable[distribution.name] = source
        found += installed
    own = [path, here, *editable.values()]
    for site, names in listings:
        problems += leaks.site_leaks(site, names, own)
    return found, editable, problems


def _listings(here: str, series: Optional[str]) -> Tuple[List[Tuple[str, List[str]]], List[Problem]]:
    """Return the site-packages folders of the environment's Python, and the names in each."""
    listings: List[Tuple[str, List[str]]] = []
    problems: List[Problem] = []
    for site in distributions.sites(here):
        of = os.path.basename(os.path.dirname(site))
        if series and of != "python" + series:
            words = "lib/%s belongs to a Python other than %s" % (of, series)
            problems.append(Problem(virtualenv.INTERPRETER, shown(words), os.path.dirname(site), "lib/%s" % of))
            continue
        try:
            listings.append((site, sorted(os.listdir(site))))
        except OSError as error:
            folder = os.path.relpath(site, here)
            words = "%s: %s" % (folder, error.strerror)
            problems.append(Problem(environment_findings.UNREADABLE, shown(words), subject=folder))
    return listings, problems


def _linked(site: str, names: List[str], place: Place) -> List[Tuple[Distribution, str]]:
    """Return the distributions that egg-link files point to, with their sources."""
    found = []
    for source in [checkout.linked_path(os.path.join(site, name)) for name in names if name.endswith(".egg-link")]:
        for name in files.names(place(source)) if source else []:
            info = os.path.join(place(str(source)), name)
            egg, version = distributions.name_version(os.path.join(info, "PKG-INFO"))
            if egg and name.endswith(".egg-info"):
                found.append((Distribution(egg, version, info), str(source)))
    return found
