# SPDX-License-Identifier: Apache-2.0
"""The drift report as one HTML file: no network, no server; whatever nodes and tools say is shown as text.

The template draws every node and finding, so that the page is read without scripts and on paper. What only filters and
opened nodes need goes along as JSON, with equal values once.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ...ascend.times import UTC
from ..plan.between import compared_words
from . import summary
from .findings import LEVELS, start
from .merge import merge_words

Fleet = dict[str, Any]
View = dict[str, Any]

# The chart, in CSS pixels: its points are the last whole reports.
POINTS = 30
STEP, BAR, HEIGHT = 12, 8, 64


def render(fleet: Fleet, templates: Path) -> str:
    """Return the page of ``fleet`` (docs/fleet.schema.json); ``templates`` holds index.html.j2, page.css and page.js.

    The same fleet gives the same text. Raises KeyError or jinja2.UndefinedError when a field is not there.
    """
    style, script = ((templates / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    kinds = _kinds(fleet)
    nodes = _nodes(fleet)
    return (
        _environment(templates)
        .get_template("index.html.j2")
        .render(
            fleet=fleet,
            # The terminal and the mail begin with the same words.
            headline=summary.lines(fleet, "", width=1000)[0],
            duration=_duration(fleet["seconds"]),
            compared=fleet["changes"]["since"] is not None,
            chart=_chart(fleet["trend"]),
            kinds=kinds,
            remarks=_remarks(fleet),
            scope=compared_words(fleet["between"]["compared"]),
            merge=merge_words(fleet["merged"]) if "merged" in fleet else "",
            nodes=nodes,
            groups=_counted(group for node in fleet["nodes"] for group in node["groups"]),
            data=_data(fleet, nodes, kinds),
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
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    environment.filters.update(moment=_moment, day=_day, number=_number, times=_times)
    return environment


def _nodes(fleet: Fleet) -> list[View]:
    """Return what is drawn of each node, the worst first, then those with most findings, then by name."""
    made = fleet["made"]
    drawn = []
    for node in fleet["nodes"]:
        findings = [{**finding, "days": _days(finding["first_seen"], made)} for finding in node["findings"]]
        findings.sort(key=lambda finding: (LEVELS.index(finding["level"]), finding["status"] != "new"))
        cells = [(component, node["components"][component]) for component in fleet["components"]]
        drawn.append({**node, "findings": findings, "cells": cells})
    return sorted(drawn, key=_worst_first)


def _worst_first(node: View) -> tuple[int, int, str]:
    worst = LEVELS.index(node["findings"][0]["level"]) if node["findings"] else len(LEVELS)
    return worst, -len(node["findings"]), node["name"]


def _kinds(fleet: Fleet) -> list[View]:
    """Return the findings that are alike but for the details after a colon, those of most nodes first.

    ``{"key", "component", "level": the worst, "text", "nodes": number, "findings": number}`` each.
    """
    alike: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for node in fleet["nodes"]:
        for finding in node["findings"]:
            alike.setdefault(_kind(finding), []).append((node["name"], finding))
    kinds = []
    for key, found in alike.items():
        first = found[0][1]
        texts = {finding["problem"] for _, finding in found}
        kinds.append(
            {
                "key": key,
                "component": first["component"],
                "level": min((finding["level"] for _, finding in found), key=LEVELS.index),
                "text": first["problem"] if len(texts) == 1 else f"{start(first['problem'])} ...",
                "nodes": len({name for name, _ in found}),
                "findings": len(found),
            }
        )
    return sorted(kinds, key=lambda kind: (-kind["nodes"], -kind["findings"], kind["component"], kind["text"]))


def _remarks(fleet: Fleet) -> list[View]:
    """Return the remarks of the same words once, those of most nodes first: ``{"component", "problem", "nodes"}``."""
    alike: dict[tuple[str, str], set[str]] = {}
    for node in fleet["nodes"]:
        for remark in node["remarks"]:
            alike.setdefault((remark["component"], remark["problem"]), set()).add(node["name"])
    kinds = sorted(alike.items(), key=lambda kind: (-len(kind[1]), kind[0]))
    return [{"component": key[0], "problem": key[1], "nodes": len(names)} for key, names in kinds]


def _kind(finding: dict[str, str]) -> str:
    """The same in every report, so that a link to a kind of findings stays."""
    words = "\0".join((finding["component"], finding["name"], start(finding["problem"])))
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _data(fleet: Fleet, nodes: list[View], kinds: list[View]) -> View:
    """Return what the script needs, nodes in the order of their rows; groups and installed by their number."""
    groups = {name: number for number, (name, _) in enumerate(_counted(g for node in nodes for g in node["groups"]))}
    installed: dict[tuple[tuple[str, str], ...], int] = {}
    return {
        "made": fleet["made"],
        "components": fleet["components"],
        "kinds": {kind["key"]: kind["text"] for kind in kinds},
        "nodes": [
            {
                "name": node["name"],
                "state": node["state"],
                "release": node["release"],
                "groups": [groups[name] for name in node["groups"]],
                "installed": installed.setdefault(tuple(node["installed"].items()), len(installed)),
                "findings": [
                    {
                        "component": finding["component"],
                        "kind": _kind(finding),
                        "new": finding["status"] == "new",
                        "problem": finding["problem"],
                    }
                    for finding in node["findings"]
                ],
                "remarks": [remark["problem"] for remark in node["remarks"]],
            }
            for node in nodes
        ],
        "groups": list(groups),
        "installed": [list(values) for values in installed],
    }


def _chart(trend: list[View]) -> View:
    """Return the trend in pixels: a bar a report (drifted below, unchecked on top), and the findings as a line."""
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


def _counted(names: Iterable[str]) -> list[tuple[str, int]]:
    """Return each name with its number of times, by name."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return sorted(counts.items())


def _sum(text: str) -> str:
    """What the Content-Security-Policy lets run: this text and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


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
