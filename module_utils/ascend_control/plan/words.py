# SPDX-License-Identifier: Apache-2.0
"""Plans and facts as lines of text for the terminal, made to be read at 3 a.m."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ascend.cann.layouts import version_of
from ...ascend.environment.distributions import DECIDING
from ...ascend.text import listed
from .documents import Document, read
from .found import Cann, Driver, Environment, Environments, Npu
from .remedies import placed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...ascend.shapes import Refusal
    from .rollback import Rollback, Target
    from .rollout import Applied

SHOWN_NODES = 8


@dataclass(frozen=True)
class _Node:
    """What of a node's facts is shown as installed."""

    npu: Npu
    driver: Driver
    cann: Cann
    environments: Environments


def of_node(remedy: str, node: str, options: str = "") -> str:
    """Return a node's remedy with NODE, its unknown own name, replaced as one types it with these options."""
    name, more = shlex.quote(node), f"{options} " if options else ""
    remedy = remedy.replace("--limit NODE", f"{more}--limit {name}")
    return remedy.replace("ansible NODE ", f"ansible {name} {more}")


def refusal_text(refusals: Sequence[Refusal], node: str = "") -> str:
    """Return one block per refusal, of a node if one is named: the problem, wanted, found, where (if given), next."""
    blocks = []
    for refusal in refusals:
        where = f"\n  where:  {refusal['where']}" if refusal.get("where") else ""
        blocks.append(
            f"{refusal['problem']}\n"
            f"  wanted: {refusal['wanted']}\n"
            f"  found:  {refusal['found']}{where}\n"
            f"  next:   {placed(of_node(refusal['remedy'], node), node) if node else refusal['remedy']}"
        )
    return "\n".join(blocks)


def stopped_text(plan: Document, node: str) -> str:
    """Return why a node must not be changed, its warnings, and the names of the remaining steps."""
    lines = [refusal_text(plan["refusals"], node), *_lines(plan.get("warnings", []), "warning")]
    if plan.get("steps"):
        lines.append(f"steps that remain once this is fixed: {', '.join(step['component'] for step in plan['steps'])}")
    return "\n".join(lines)


def fleet_plan(plans: dict[str, Applied]) -> list[str]:
    """Return the plans of many nodes (host name -> plan) as lines, and the notes beside them."""
    return _blocks(plans) + plan_notes(plans)


def _blocks(plans: dict[str, Applied]) -> list[str]:
    """Return one block for all nodes with the same plan.

    A node that must not be changed has only its problems here; the rest is shown where it fails.
    """
    alike: dict[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], list[str]] = {}
    for host, plan in sorted(plans.items()):
        steps = tuple((step["component"], f"{step['action']}: {step['reason']}") for step in plan["steps"])
        alike.setdefault((_problems(plan["refusals"]), steps), []).append(host)
    lines = []
    for (problems, steps), hosts in sorted(alike.items(), key=lambda item: (item[0][0], -len(item[0][1]), item[1])):
        if problems:
            then = "; once this is fixed, these steps remain:" if steps else ""
            lines.append(f"{_nodes(hosts)}: must not be changed: {', '.join(problems)}{then}")
        else:
            lines.append(f"{_nodes(hosts)}:{'' if steps else ' nothing to do'}")
        lines += [f"  {number}. {step_name:<11} {text}" for number, (step_name, text) in enumerate(steps, 1)]
    return lines


def plan_notes(plans: dict[str, Applied]) -> list[str]:
    """Return busy nodes, warnings and remarks as lines."""
    return _busy(plans) + _remarked(plans)


def _problems(refusals: list[Refusal]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(refusal["problem"] for refusal in refusals))


def _busy(plans: dict[str, Applied]) -> list[str]:
    """Return one line per node, because each has its own jobs."""
    lines = []
    for host, plan in sorted(plans.items()):
        refusal = plan.get("busy")
        if refusal and not plan["refusals"]:
            then = "waits for idle cards" if plan["group"] == "ascend_waiting" else "left as it is"
            lines.append(f"{host} is busy, {then}: {refusal['found']} ({refusal['remedy']})")
    return lines


def _remarked(plans: dict[str, Applied]) -> list[str]:
    """Return the plans' warnings, then their remarks, as lines; nodes with the same text share one."""
    warnings: dict[str, list[str]] = {}
    remarks: dict[str, list[str]] = {}
    for host, plan in sorted(plans.items()):
        for words in _lines(plan["warnings"], "warning"):
            warnings.setdefault(words, []).append(host)
        for words in remark_lines(plan["remarks"]):
            remarks.setdefault(words, []).append(host)
    return [f"{_nodes(hosts)}: {words}" for alike in (warnings, remarks) for words, hosts in alike.items()]


def remark_lines(remarks: Sequence[Refusal]) -> list[str]:
    """Return a node's remarks as lines."""
    return _lines(remarks, "remark")


def _lines(refusals: Sequence[Refusal], kind: str) -> list[str]:
    return [f"{kind}: {each['problem']} ({each['found']}; {each['remedy']})" for each in refusals]


def installed(facts: Document) -> dict[str, str]:
    """Return what is installed on a node, one line per component, from its facts."""
    node = read(_Node, facts)
    npu, driver, cann, environments = node.npu, node.driver, node.cann, node.environments
    kinds = sorted({f"{device.name} {device.hbm_total_mb or 0} MB" for device in npu.devices})
    current = environments.all.get(environments.current or "", Environment())
    # That of the environment; where there is none, the one that sessions find.
    version = version_of(current.cann_home or cann.latest or "")
    installed_cann = cann.of(version)
    packages = [f"kernels-{chip} {package.state}" for chip, package in sorted(installed_cann.kernels.items())]
    return {
        "cards": f"{len(npu.devices)} x {', '.join(kinds) or 'none'}",
        "driver": npu.driver_version or driver.version or "absent",
        "firmware": driver.firmware_version or "unknown",
        "CANN": f"{version or 'absent'}: {', '.join([f'toolkit {installed_cann.toolkit.state}', *packages])}",
        "Python": current.python or "absent",
        "environment": environments.current or "absent",
        **{name: current.versions.get(name, "absent") for name in DECIDING},
    }


def installed_lines(facts: Document) -> list[str]:
    """Return the same as lines of text."""
    return [f"{what:<12} {is_there}" for what, is_there in installed(facts).items()]


def proof_lines(result: dict[str, Any], left_out: list[dict[str, Any]]) -> list[str]:
    """Return what the module ``npu_check`` found on each card, which ones were left out, and as whom it was proven."""
    lines = []
    cards, account = result["cards"], result["account"]
    for card in cards:
        answer = f"{card['name']}, {card['memory_total_mb']} MB" if card["ok"] else card["error"]
        lines.append(f"npu:{card['index']:<8} torch.npu.is_available() {card['ok']}: {answer}")
    training = (
        f", and LLaMA-Factory {result['llamafactory']} works with its libraries" if result.get("llamafactory") else ""
    )
    count = len(cards)
    proven = f"{count} card{'s' if count > 1 else ''}" if count else "no card, imports only"
    return [*lines, *left_out_lines(left_out), f"proven as    {account['name']} ({account['why']}): {proven}{training}"]


def left_out_lines(left_out: list[dict[str, Any]]) -> list[str]:
    """Return the cards on which nothing was proven, as lines."""
    return [f"npu:{each['index']:<8} left out: card {each['card']}, {each['why']}" for each in left_out]


def rollback_lines(plans: dict[str, Rollback], wanted: dict[str, str]) -> list[str]:
    """Return what each node is rolled back to, as lines; nodes with the same target share one.

    ``plans`` are those of ascend.plan.rollback, ``wanted`` the releases of the inventory: host name -> plan, release.
    """
    alike: dict[str, list[str]] = {}
    releases = {}
    for host, plan in sorted(plans.items()):
        target = plan["target"]
        alike.setdefault(_way(plan, target), []).append(host)
        if target:
            releases[host] = target["release"]
    lines = [f"{_nodes(hosts)}: {way}" for way, hosts in alike.items()]
    for release in sorted({release for host, release in releases.items() if release != wanted[host]}):
        hosts = sorted(host for host in releases if releases[host] == release != wanted[host])
        lines.append(
            f'{_nodes(hosts)}: set ascend_release: "{release}" in the inventory, or site.yml moves them forward again'
        )
    return lines


def _way(plan: Rollback, target: Target | None) -> str:
    if plan["refusals"] or not target:
        return f"cannot go back: {', '.join(_problems(plan['refusals']))}"
    if target["switch"]:
        return f"from {plan['from']} back to {target['name']}"
    then = f"point CANN's latest to {target['cann_version']}" if target["lead_latest"] else "nothing to do"
    return f"{target['name']} is current: {then}"


def rollout_lines(groups: dict[str, list[str]], failed: list[str]) -> list[str]:
    """Return the results of a rollout's nodes: one line for each kind of result.

    ``groups`` are ``ascend``, those of rollout.py and of roles/rollout; ``failed`` are the hosts with a failed task, or
    silent.
    """
    fleet = set(groups["ascend"])
    names = ("ascend_done", "ascend_busy", "ascend_built", "ascend_reached")
    done, busy, built, reached = (fleet & set(groups[name]) for name in names)
    chosen = fleet & set(groups["ascend_to_change"] + groups["ascend_waiting"])
    lost = fleet & set(failed)
    fates = {
        "changed and verified": done - lost,
        "failed before the change was complete": lost & reached,
        "refused or unreachable, left as they were": lost - reached,
        "busy, left as they are": busy - lost - done - built,
        "became busy during the change, built but not yet current": built - lost - done,
        "not reached, left as they were": (chosen | reached) - done - lost - busy - built,
    }
    return [f"{fate}: {_nodes(sorted(hosts))}" for fate, hosts in fates.items() if hosts]


def nodes_text(count: int, hosts: Sequence[str] = ()) -> str:
    """Return "3 nodes", with the first of their names if given: "3 nodes (a, b, c)"."""
    text = f"{count} node{'' if count == 1 else 's'}"
    return f"{text} ({listed(list(hosts), count, SHOWN_NODES)})" if hosts else text


def _nodes(hosts: list[str]) -> str:
    return nodes_text(len(hosts), hosts)
