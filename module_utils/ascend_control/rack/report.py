# SPDX-License-Identifier: Apache-2.0
"""What a preflight found: one document, the lines for the terminal, and the files of names for ``--limit``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...ascend import atomic
from ...ascend.finding import Finding
from ...ascend.text import cut, listed
from ..plan.remedies import placed
from . import alone, baseline as baselines, between, rates, reach, together
from .wishes import CPU, Wishes

SCHEMA = "ascend-fleet/preflight"
VERSION = 1
PASS, FAIL = "pass", "fail"
# A file without a name would be no limit for Ansible: it would take all nodes. This is a pattern of none.
NOBODY = "!all"
SHOWN_FAILING = 20

Answers = Mapping[str, Any]


class Found:
    """Everything found so far, for the nodes in their order: failures by node, remarks by node and for all."""

    def __init__(self, answers: Answers, wishes: Wishes) -> None:
        self.answers = answers
        self.wishes = wishes
        self.failures: dict[str, list[Finding]] = {}
        self.remarks = {name: alone.remarks(answer, wishes) for name, answer in answers.items()}
        self.add({name: alone.failures(answer, wishes) for name, answer in answers.items()})
        self.add(between.between(answers, wishes))

    def add(self, found: Mapping[str, Sequence[Finding]]) -> None:
        for name, failures in found.items():
            self.failures.setdefault(name, []).extend(failures)

    def passing(self) -> list[str]:
        """Return the nodes without a failure so far."""
        return [name for name in self.answers if not self.failures.get(name)]


def document(found: Found, run: Mapping[str, Any], reached: Answers, ran: Answers, baseline: Any) -> dict[str, Any]:
    """Return the report. ``reached`` and ``ran`` are what ``rack_reach`` and ``rack_run`` answered, node -> result.

    ``run``: ``made``, ``seconds``, ``inventory`` (options of commands), ``limit``. ``ran`` is in its ranks' order.
    """
    wishes, names = found.wishes, list(ran)
    found.add(reach.failures(reached))
    found.add(together.failures(ran, run["inventory"]))
    counts = [len(found.answers[name]["ranks"]) for name in names]
    size = wishes.sizes[0][-1] if wishes.network else 0
    measured = rates.pairs(names, counts, ran, size) if wishes.network else []
    of_nodes = rates.of_nodes(measured)
    marked = rates.slow(of_nodes, wishes.slow)
    for name, words in marked.items():
        remedy = (
            "hccn_tool -i N -stat -g; hccn_tool -i N -optical -g; npu-smi info  # errors, heat, a link at half speed"
        )
        wanted = f"{wishes.slow:g} of the median of at least {rates.LEAST_NODES} nodes"
        found.add(
            {
                name: [
                    alone.failure(
                        "slow", "all_reduce with both neighbours is slow", wanted, words, "all_reduce", remedy
                    )
                ]
            }
        )
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        **run,
        "level": wishes.level,
        "mode": wishes.mode,
        "device": wishes.device,
        "pings": reach.mode_words(len(reached), wishes.mode) if wishes.network else "",
        "all_reduce": rates.table(ran, sum(counts)) if ran and all(each.get("ok") for each in ran.values()) else [],
        "pairs": measured,
        "nodes": [_node(name, answer, wishes, of_nodes.get(name)) for name, answer in found.answers.items()],
    }
    report["remarks"] = between.remarks(found.answers) + reach.unasked(reached)
    report["remarks"] += [f"a slow link {words}" for words in rates.slow_links(measured, marked, wishes.slow)]
    if len(found.passing()) > len(names) and wishes.network and len(names) < 2:
        report["remarks"].append("no all_reduce between nodes: it needs two that passed everything before")
    if baseline:
        found.add(baselines.failures(report, baseline))
        report["remarks"] += baselines.remarks(report, baseline)
    for node in report["nodes"]:
        failures = found.failures.get(node["name"], [])
        node.update(state=FAIL if failures else PASS, failures=failures, remarks=found.remarks[node["name"]])
    report["counts"] = {PASS: len(found.passing()), FAIL: len(found.answers) - len(found.passing())}
    return report


def _node(name: str, answer: Any, wishes: Wishes, rate: float | None) -> dict[str, Any]:
    look = answer.get("look") or {"cards": []}
    cards = {
        str(card["device"]): {"switch_port": card["switch_port"], "link_up_count": card["link_up_count"]}
        for card in look["cards"]
    }
    smoke = answer.get("smoke") or {}
    seconds = smoke.get("seconds")
    return {
        "name": name,
        "device": wishes.device,
        "bus_gb_s": rate,
        "cards": cards,
        "smoke_s": seconds,
        "clock": answer.get("clock"),
    }


def lines(report: Mapping[str, Any], folder: str) -> list[str]:
    """Return the report for the terminal: rates, who fails and why, the next commands, where the files are."""
    text = _heading(report)
    text += _rates(report)
    failing = [node for node in report["nodes"] if node["state"] == FAIL]
    for node in failing[:SHOWN_FAILING]:
        text.append(f"FAIL {node['name']}")
        for each in node["failures"]:
            text.append(f"  {each['name']}: {each['problem']}")
            text.append(f"    found: {cut(' '.join(each['found'].split()), 300)}")
            text.append(f"    wanted: {each['wanted']}")
            remedy = each["remedy"].replace("NODE", node["name"])
            text.append(f"    next: {placed(remedy, node['name'])}")
    if len(failing) > SHOWN_FAILING:
        text.append(f"... and {len(failing) - SHOWN_FAILING} more failing nodes: {folder}/report.json")
    passing = [node["name"] for node in report["nodes"] if node["state"] == PASS]
    text += [f"PASS {listed(passing, most=20)}"] if passing else []
    text += _remarks(report)
    return [*text, *_files(report, folder)]


def _heading(report: Mapping[str, Any]) -> list[str]:
    counts = report["counts"]
    head = f"{counts[PASS]} of {len(report['nodes'])} nodes pass; level {report['level']}, {report['seconds']:.0f} s"
    text = [head + (f"; {report['pings']}" if report["pings"] else "")]
    if report["device"] == CPU:
        text.append(
            "On the CPU with gloo (preflight_device: cpu): matmul, all_reduce and rates say nothing about the cards."
        )
    return text


def _rates(report: Mapping[str, Any]) -> list[str]:
    text = []
    if report["all_reduce"]:
        text += ["all_reduce over all nodes", "        bytes      time ms   bus GB/s"]
        text += [
            f"  {row['bytes']:>11} {row['seconds'] * 1000:>12.3f} {row['bus_gb_s']:>10.4g}"
            for row in report["all_reduce"]
        ]
    if report["pairs"]:
        text.append("all_reduce between neighbours, at the largest size")
        text += [
            f"  {' - '.join(pair['nodes'])}: {pair['bus_gb_s']:.4g} GB/s" for pair in report["pairs"][:SHOWN_FAILING]
        ]
        more = len(report["pairs"]) - SHOWN_FAILING
        text += [f"  ... and {more} more pairs"] if more > 0 else []
    return text


def _remarks(report: Mapping[str, Any]) -> list[str]:
    text = [f"remark: {words}" for words in report["remarks"]]
    groups: dict[str, list[str]] = {}
    for node in report["nodes"]:
        for words in node["remarks"]:
            groups.setdefault(words, []).append(node["name"])
    return text + [f"remark: {listed(names)}: {words}" for words, names in list(groups.items())[:SHOWN_FAILING]]


def _files(report: Mapping[str, Any], folder: str) -> list[str]:
    text = [f"Report: {folder}/report.json; passing.txt and failing.txt beside it, for --limit @{folder}/passing.txt"]
    if report["counts"][FAIL]:
        options = f"{report['inventory']} --limit @{shlex.quote(folder)}/failing.txt".strip()
        text.append(f"After the repair: ansible-playbook playbooks/preflight.yml {options}")
    return text


def write(report: Mapping[str, Any], folder: Path, baseline: str) -> None:
    """Write the files, each atomically; ``baseline`` is the path of one to write, "" for none."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write(str(folder / "report.json"), json.dumps(report, indent=1, sort_keys=True) + "\n")
    by_state = {state: [node["name"] for node in report["nodes"] if node["state"] == state] for state in (PASS, FAIL)}
    write_names(folder, by_state[PASS], by_state[FAIL])
    if baseline:
        Path(baseline).parent.mkdir(parents=True, exist_ok=True)
        atomic.write(baseline, json.dumps(baselines.made_of(report), indent=1, sort_keys=True) + "\n")


def write_names(folder: Path, passing: Sequence[str], failing: Sequence[str]) -> None:
    """Write passing.txt and failing.txt, for ``--limit @FILE``. Raises OSError."""
    for name, names in (("passing.txt", passing), ("failing.txt", failing)):
        atomic.write(str(folder / name), names_file(names))


def names_file(names: Sequence[str]) -> str:
    """Return the content of a file for ``--limit @FILE``; without names, a pattern that matches nobody."""
    return "".join(f"{each}\n" for each in names or [NOBODY])


def exit_code(report: Mapping[str, Any]) -> int:
    """Return 0 if all nodes pass, else 2."""
    return 2 if report["counts"][FAIL] else 0
