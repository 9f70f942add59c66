# SPDX-License-Identifier: Apache-2.0
"""A release's CANN on a node that has one of another layout: beside it or in its place (``cann_cross``).

Huawei requires that every CANN before 8.5 is uninstalled before 8.5 or later is installed, and the other way round,
because they use links and environment files of the same name. Below ``beside/`` in CANN's root each has its own, and a
rollback needs no installation.
"""

from __future__ import annotations

from ...ascend.cann.layouts import LAYOUTS, Place, place_of
from ...ascend.finding import Refusal, cause, refusal
from ...ascend.text import listed
from .asked import CannRelease, Wanted
from .components import Step, names_of, step
from .found import Cann, CannVersion, Found

BESIDE, REPLACE = "beside", "replace"


def place_for(cann: Cann, release: CannRelease, root: str, policy: str) -> Place:
    """Return the place for a release's CANN; one that is already on the node stays where it is."""
    installed = cann.of(release.version)
    if installed.toolkit.state != "absent":
        return place_of(root, installed.layout, cann.is_beside(installed.path))
    return place_of(root, release.layout, LAYOUTS[release.layout].apart and policy == BESIDE)


def replaced_by(found: Found, wanted: Wanted) -> dict[str, CannVersion]:
    """Return the versions that are uninstalled before the wanted one is installed."""
    return found.cann.others_in_place(wanted.environment.cann_home) if wanted.cann_cross == REPLACE else {}


def cross_step(found: Found, wanted: Wanted, toolkit: list[Step]) -> list[Step]:
    """Return the step that uninstalls what the toolkit's installation must not meet, if that was requested."""
    replaced = replaced_by(found, wanted) if toolkit else {}
    if not replaced:
        return []
    version, names = wanted.toolkit.version, listed(list(replaced))
    causes = [
        cause("cann-replaced", f"CANN {name} is uninstalled", f"no CANN in {each.path}", "", name)
        for name, each in replaced.items()
    ]
    reason = f"CANN {version} replaces {names} (cann_cross: replace); a rollback to it has to install it again"
    return [step("cross", "uninstall", reason, names, version, wanted.places.cann, causes)]


def beside_words(found: Found, wanted: Wanted) -> str:
    """Return the plan's reason for putting a CANN beside others; "" if there are none, or it joins them."""
    others = [
        name
        for name, each in found.cann.versions.items()
        if each.layout != wanted.toolkit.layout and each.toolkit.state != "absent"
    ]
    if not others or not wanted.toolkit.beside:
        return ""
    return f"; it is installed beside {listed(sorted(others))}, in {wanted.environment.cann_home}"


def cross_refusals(found: Found, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """Return why a CANN must not be installed into a place with another layout."""
    if "toolkit" not in names_of(steps):
        return []
    version, root = wanted.toolkit.version, wanted.places.cann
    others = found.cann.others_in_place(wanted.environment.cann_home)
    if others and wanted.cann_cross != REPLACE:
        return [
            refusal(
                "cann",
                "cann-cross",
                f"CANN {version} would take over the links and environment files of the installed CANN",
                f"no CANN of a different layout in {root}",
                f"CANN {listed(list(others))}",
                "-e cann_cross=replace  # uninstalls it first; a rollback to it then has to install it again",
                root,
            )
        ]
    foreign = {name: each for name, each in others.items() if not each.ours}
    if not foreign:
        return []
    first = next(iter(foreign.values()))
    return [
        refusal(
            "cann",
            "cann-cross-foreign",
            f"CANN {listed(list(foreign))} was installed by somebody else, and this plan would replace it",
            "a CANN that this project installed",
            listed([each.path for each in foreign.values()]),
            f"ask who owns it; then bash {first.path}/*-linux/script/uninstall.sh on the node, or cann_cross: beside",
            first.path,
        )
    ]
