# SPDX-License-Identifier: Apache-2.0
"""How a plan is applied to nodes in use: who is busy, what can be done beside a running job, when to stop.

A plan says what a node needs, whoever uses it, so drift is the same on a busy node as on an idle one. These functions
take a node that has a plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from ...ascend.finding import Refusal, refusal
from ...ascend.text import listed
from .asked import Wanted, wanted_of
from .components import Step, names_of
from .crossing import replaced_by
from .documents import Document, read
from .found import Found, Npu, Process, found_of
from .plan import decide
from .preconditions import repairs_cann

if TYPE_CHECKING:
    from .rollback import Rollback


class Batch(TypedDict):
    name: str
    size: int
    first: bool


Applied = TypedDict(
    "Applied",
    {
        "steps": list[Step],
        "refusals": list[Refusal],
        "warnings": list[Refusal],
        "remarks": list[Refusal],
        "group": str,
        "busy": Refusal | None,
        "stage": list[str],
        "sets_aside": bool,
        "replaces": list[str],
        "repairs_cann": bool,
        "from": str,
        "drained": bool,
    },
)

# The groups in which a run's plays find its nodes: what is done with each.
TO_CHANGE, WAITING, BUSY = "ascend_to_change", "ascend_waiting", "ascend_busy"
CONVERGED, REFUSED = "ascend_converged", "ascend_refused"
DRAINED = "ascend_drained"  # by a run that died, and not changed by this one: only to be resumed
_REMEDY = "wait for them to end: -e ascend_busy_policy=wait; --tags stage does now the part that disturbs no job"


def apply_to(facts: Document, resolved: Document, policy: str) -> Applied:
    """Return a node's plan and how it is applied.

    A node that needs nothing is processed anyway if a change on it did not end, because a run begins by cleaning that
    up.

    Besides what ``plan`` returns: ``group`` (of the playbook's plays), ``busy`` (a refusal or None),
    ``stage`` (what may be done now on a busy node), ``sets_aside`` (see ``under_current``), ``replaces`` (the versions
    of CANN that are uninstalled), ``repairs_cann`` (so that a newer one beside it stays the latest one), ``from``,
    what is current, and ``drained``, whether a run has drained it. ``policy`` is what to do with a busy node: skip,
    wait or ignore.
    """
    found, wanted = found_of(facts), wanted_of(resolved)
    plan = decide(found, wanted)
    steps = plan["steps"]
    todo = bool(steps or found.changes.running)
    busy = _in_use(found.npu, wanted.cards.out) if todo and policy != "ignore" else None
    group = {"wait": WAITING, "skip": BUSY}[policy] if busy else TO_CHANGE if todo else CONVERGED
    return {
        **plan,
        "group": REFUSED if plan["refusals"] else group,
        "busy": busy,
        "stage": stageable(found, wanted, steps),
        "sets_aside": under_current(found, wanted, names_of(steps)),
        "replaces": list(replaced_by(found, wanted)) if "cross" in names_of(steps) else [],
        "repairs_cann": repairs_cann(found, wanted, steps),
        "from": found.environments.current or "none",
        "drained": found.changes.drained is not None,
    }


def groups_of(plan: Applied | Rollback) -> list[str]:
    """Return the groups in which the run's plays find a node; a changed node is resumed at the end of its change."""
    groups = [plan["group"]] if plan["group"] in (TO_CHANGE, WAITING, BUSY) else []
    return groups + ([DRAINED] if plan.get("drained") and plan["group"] in (CONVERGED, BUSY) else [])


def _in_use(npu: Npu, out: Sequence[int]) -> Refusal | None:
    """A dead card does not report its processes; those that the inventory takes out need not do so."""
    return _busy(npu.processes, npu.process_count, [card for card in npu.unclear if card not in out])


def busy(processes: Sequence[Document], count: int, unclear: Sequence[int] = ()) -> Refusal | None:
    """Return the refusal of a node whose cards have processes (facts npu.processes and process_count), or None.

    ``unclear`` are the cards whose use is unknown, which does not count as idle.
    """
    return _busy([read(Process, process) for process in processes], count, unclear)


def _busy(processes: Sequence[Process], count: int, unclear: Sequence[int]) -> Refusal | None:
    if not count:
        return _unclear(unclear) if unclear else None
    cards = sorted({card for process in processes for card in process.cards()})
    subject = ",".join(str(card) for card in cards)
    words = [_process(process) for process in processes[:3]]
    more = count - len(words)
    found = "; ".join(words + ([f"{'and ' if words else ''}{more} more"] if more > 0 else []))
    return refusal("cards", "busy", "processes use the cards", "idle cards", found, _REMEDY, "npu-smi info", subject)


def _unclear(cards: Sequence[int]) -> Refusal:
    found = f"npu-smi info does not say whether processes use card {listed([str(card) for card in cards])}"
    remedy = "npu-smi info; fuser -v /dev/davinci*  # if nothing uses them: -e ascend_busy_policy=ignore"
    subject = ",".join(str(card) for card in cards)
    return refusal("cards", "busy", "the cards may be in use", "idle cards", found, remedy, "npu-smi info", subject)


def _process(process: Process) -> str:
    cards = listed([str(card) for card in process.cards()])
    command = process.command or process.name or "?"
    inside = f" in container {process.container}" if process.container else ""
    return f"process {process.pid} of {process.user or '?'}{inside} on card {cards}: {command}"


def stageable(found: Found, wanted: Wanted, steps: list[Step]) -> list[str]:
    """Return which steps can be done while a job runs, because they create something new that nothing uses.

    "python" and "environment" are built beside existing ones; "cache" takes the packages to install. CANN itself is
    excluded, because its installer points ``latest`` to the new version, and running jobs may read through that link.
    """
    todo = {step["component"]: step["action"] for step in steps}
    may = []
    if todo.get("python") == "install":
        may.append("python")
    if "toolkit" in todo or "kernels" in todo:
        may.append("cache")
    environments = found.environments
    name, current = wanted.environment.name, environments.current
    built = environments.all.get(name)
    # While nothing is current, an unfinished one may be what was: set aside, with a job that goes on in it.
    new = name != current and (built is None or (built.state != "complete" and current is not None))
    # One that is made with a Python that is to be repaired has to wait as well.
    if "environment" in todo and new and ("python" not in todo or "python" in may):
        may.append("environment")
    if "rights" in todo:
        may.append("rights")  # nobody loses any
    return may


def under_current(found: Found, wanted: Wanted, todo: set[str]) -> bool:
    """Whether steps change the current environment or what it needs; then the link is removed first.

    ``todo`` are the steps' names. The link points to a complete, verified environment or to none, even if the work is
    interrupted.
    """
    environments = found.environments
    name = environments.current
    if not name:
        return False
    current = environments.all.get(name)  # None where the link is dead: it would come to life half-way
    itself = name == wanted.environment.name
    cann = current is not None and current.cann_home == wanted.environment.cann_home
    python = current is not None and current.python == wanted.python.version
    replaced = current is not None and current.cann_home in [each.path for each in replaced_by(found, wanted).values()]
    stands_on = {"environment": itself, "source": itself, "python": python, "toolkit": cann, "kernels": cann}
    stands_on["cross"] = replaced
    return any(stands_on.get(name, False) for name in todo)


def stops(reached: dict[str, Batch], well: Sequence[str], most_percent: float) -> str:
    """Return why a rollout has to stop, or "".

    ``reached`` are the nodes of the batches so far, each with its batch: ``{"name", "size", "first"}``; ``well`` are
    those that neither failed nor fell silent. ``most_percent`` of a batch may fail, and none of the first batch.
    """
    failed: dict[str, list[str]] = {}
    for node in sorted(set(reached).difference(well)):
        failed.setdefault(reached[node]["name"], []).append(node)
    for nodes in failed.values():
        batch = reached[nodes[0]]
        reason = f"{len(nodes)} of {batch['size']} nodes failed ({listed(nodes)})"
        if batch["first"]:
            return reason + ", in the first batch, where none may fail"
        if 100.0 * len(nodes) / batch["size"] > most_percent:
            return reason + f", in a batch where {most_percent:g} % may fail"
    return ""
