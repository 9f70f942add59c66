# SPDX-License-Identifier: Apache-2.0
"""The drift report as one HTML file, without network or server; whatever nodes and tools say is shown as text.

It answers from the top down: is the fleet well, what is wrong and what do I type (causes), where (racks), which node,
what is on it. Everything is in the markup, so it can be read without scripts and on paper; the script searches and
copies.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ...ascend.times import UTC
from ..plan.between import compared_words
from ..plan.components import COMPONENTS
from ..plan.remedies import on_words
from . import causes, summary
from .findings import LEVELS
from .links import link_to
from .merge import merge_words

Fleet = dict[str, Any]
View = dict[str, Any]

# The chart, in CSS pixels: its points are the last whole reports.
POINTS = 30
STEP, BAR, HEIGHT = 12, 8, 64
OPEN = 16  # nodes of a fleet whose racks are open from the beginning
PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")


def render(fleet: Fleet, templates: Path) -> str:
    """Return the page of ``fleet`` (docs/fleet.schema.json); ``templates`` has index.html.j2, page.css and page.js.

    The same fleet gives the same text. Raises KeyError or jinja2.UndefinedError if a field is missing.
    """
    style, script = ((templates / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    together = causes.groups_of(fleet)
    installed = _installed(fleet)
    nodes = _nodes(fleet, installed)
    return (
        _environment(templates)
        .get_template("index.html.j2")
        .render(
            fleet=fleet,
            # The terminal and the mail begin with the same words.
            headline=summary.lines(fleet, "", width=1000)[0],
            worst=_worst(fleet, nodes),
            duration=_duration(fleet["seconds"]),
            compared=fleet["changes"]["since"] is not None,
            chart=_chart(fleet["trend"]),
            of_no_node=_of_no_node(fleet),
            causes=causes.causes(_found(fleet), together),
            remarks=causes.causes(_remarked(fleet), together),
            merged=merge_words(fleet["merged"]) if "merged" in fleet else "",
            gone=causes.causes(_gone(fleet), together),
            not_checked=_not_checked(fleet, together),
            racks=_racks(nodes, together),
            installed=installed,
            style=Markup(style),
            script=Markup(script),
            style_sum=_sum(style),
            script_sum=_sum(script),
        )
    )


@cache  # to read the template takes longer than to draw a rack
def _environment(templates: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(moment=_moment, day=_day, days=_days, number=_number, times=_times, anchor=_anchor)
    environment.filters.update(explained=link_to, on=_on_one)
    return environment


def _found(fleet: Fleet) -> causes.Found:
    return [(node["name"], finding) for node in fleet["nodes"] for finding in node["findings"]]


def _remarked(fleet: Fleet) -> causes.Found:
    """Remarks have no level and no history."""
    more = {"level": "remark", "first_seen": fleet["made"], "status": ""}
    return [(node["name"], {**remark, **more}) for node in fleet["nodes"] for remark in node["remarks"]]


def _gone(fleet: Fleet) -> causes.Found:
    """A finding that is gone needs no command."""
    return [(each["node"], {**each, "remedy": "", "run_on": "", "status": ""}) for each in fleet["changes"]["gone"]]


def _of_no_node(fleet: Fleet) -> list[View]:
    """Return problems and remarks of the control node and between nodes."""
    remark = {"id": "", "level": "remark", "first_seen": fleet["made"], "status": ""}
    between = fleet["between"]
    return [
        *({**finding, "of": "Control node"} for finding in fleet.get("depot", [])),
        *({**finding, "of": "The fleet"} for finding in between["findings"]),
        *({**found, **remark, "of": "The fleet"} for found in between["remarks"]),
    ]


def _worst(fleet: Fleet, nodes: list[View]) -> str:
    """Return the worst level of the whole report: "clean" if nothing is wrong, "unknown" if there is no node."""
    levels = {node["worst"] for node in nodes} | {finding["level"] for finding in _of_no_node(fleet)}
    return next((level for level in LEVELS if level in levels), "clean" if nodes else "unknown")


def _not_checked(fleet: Fleet, together: causes.Groups) -> list[str]:
    """Return what this report does not cover, one line each."""
    silent = [node["name"] for node in fleet["nodes"] if node["state"] == "unchecked"]
    lines = [_on("", silent, together)] if silent else []
    for component in fleet["components"]:
        names = [
            node["name"]
            for node in fleet["nodes"]
            if node["state"] != "unchecked" and node["components"][component] == "unknown"
        ]
        lines += [_on(f"{component} on ", names, together)] if names else []
    left_out = [component for component in COMPONENTS if component not in fleet["components"]]
    lines += [f"left out: {', '.join(left_out)}"] if left_out else []
    if fleet["limit"] is not None:
        scope = f"; {compared_words(fleet['between']['compared'])}" if "driver" in fleet["components"] else ""
        lines.append(f"nodes beyond --limit {fleet['limit']}{scope}")
    return lines + ([] if fleet["deep"] else ["every byte of the files: -e drift_deep=true reads them"])


def _on(what: str, names: list[str], together: causes.Groups) -> str:
    where = causes.where(names, together) or (", ".join(names) if len(names) <= causes.FEW else "")
    return f"{what}{_times(len(names), 'node')}{f': {where}' if where else ''}"


def _installed(fleet: Fleet) -> list[View]:
    """Return the sets of installed versions, most nodes first: ``{"items", "others": than the first, "nodes"}``."""
    counts = Counter(tuple(node["installed"].items()) for node in fleet["nodes"] if node["installed"]).most_common()
    first = set(counts[0][0]) if counts else set()
    return [
        {"items": items, "others": [item for item in items if item not in first], "nodes": nodes}
        for items, nodes in counts
    ]


def _nodes(fleet: Fleet, installed: list[View]) -> list[View]:
    """Return what is drawn for each node, with its worst and new findings first."""
    numbers = {each["items"]: number for number, each in enumerate(installed, start=1)}
    drawn = []
    for node in fleet["nodes"]:
        findings = sorted(node["findings"], key=lambda each: (LEVELS.index(each["level"]), each["status"] != "new"))
        worst = findings[0]["level"] if findings else "clean"
        number = numbers.get(tuple(node["installed"].items()), 0)
        states = [(name, node["components"][name]) for name in fleet["components"]]
        drawn.append(
            {
                **node,
                "findings": findings,
                "worst": worst,
                "installed": number,
                "components": [pair for pair in states if pair[1] in LEVELS],
                "unknown": [name for name, state in states if state == "unknown"],
            }
        )
    return drawn


def _racks(nodes: list[View], together: causes.Groups) -> list[View]:
    """Return the racks, or without them the nodes with findings and the others: ``{"name", "strip", "nodes", ...}``.

    The strip shows nodes in the order of the inventory, the list the worst first.
    """
    if any(together.racks):
        by_name = {node["name"]: node for node in nodes}
        parts = {rack or "without a rack": [by_name[name] for name in names] for rack, names in together.racks.items()}
    else:
        parts = {"With findings": [node for node in nodes if node["findings"]]}
        parts["Clean"] = [node for node in nodes if not node["findings"]]
    return [
        {
            "name": name,
            "strip": [node["worst"] for node in some] if any(together.racks) else [],
            "nodes": sorted(some, key=_worst_first),
            "words": _states(some),
            "open": len(nodes) <= OPEN,
        }
        for name, some in parts.items()
        if some
    ]


def _states(nodes: list[View]) -> str:
    counts = Counter(node["state"] for node in nodes)
    words = {"unchecked": "not checked", "drifted": "drifted"}
    bad = [f"{counts[state]:,} {how}" for state, how in words.items() if counts[state]]
    return ", ".join(bad) or f"{len(nodes):,} clean"


def _worst_first(node: View) -> tuple[int, int, str]:
    worst = LEVELS.index(node["worst"]) if node["findings"] else len(LEVELS)
    return worst, -len(node["findings"]), node["name"]


def _anchor(name: str) -> str:
    """Return a node's name in a form that an address can contain."""
    plain = PLAIN.fullmatch(name)
    return f"node-{name if plain else hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _chart(trend: list[View]) -> View:
    """Return the trend in pixels: one bar per report (drifted below, unchecked on top), and the findings as a line."""
    top = max([1, *(max(point["drifted"] + point["unchecked"], point["findings"]) for point in trend)])
    bars = []
    for number, point in enumerate(trend, start=POINTS - len(trend)):
        drifted, unchecked, findings = (
            round(point[key] / top * HEIGHT, 1) for key in ("drifted", "unchecked", "findings")
        )
        bars.append(
            {
                **point,
                "x": number * STEP,
                "drifted_height": drifted,
                "unchecked_height": unchecked,
                "line": f"{number * STEP + BAR / 2:g},{HEIGHT - findings:g}",
            }
        )
    return {"top": top, "bars": bars, "width": POINTS * STEP, "height": HEIGHT, "bar": BAR}


def _sum(text: str) -> str:
    """What the Content-Security-Policy lets run: this text and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _on_one(finding: View, node: str) -> str:
    return on_words(finding["run_on"], [node])


def _days(since: str, until: str) -> int:
    return (datetime.strptime(until, UTC) - datetime.strptime(since, UTC)).days


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def _moment(time: str) -> str:
    return f"{time[:10]} {time[11:16]} UTC"


def _day(time: str) -> str:
    return time[:10]


def _number(number: int) -> str:
    return f"{int(number):,}"


def _times(number: int, noun: str) -> str:
    """ "1 node", "1,000 nodes"."""
    return f"{int(number):,} {noun}{'' if number == 1 else 's'}"
