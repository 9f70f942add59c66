# SPDX-License-Identifier: Apache-2.0
"""What a node serves, in words for the operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...ascend.masking import masked
from ...ascend.npu.symptoms import recognise
from ...ascend.text import cut, listed, one_line

SHOWN = 12  # lines of the log
WIDTH = 100


def served_text(models: Sequence[Mapping[str, Any]]) -> str:
    """Return what is served (module serve_models), one line per model, and below it why one does not answer."""
    lines = []
    for model in models:
        devices = listed([str(index) for index in model["devices"]]) or "all"
        address = f"[{model['address']}]" if ":" in model["address"] else model["address"]
        where = f"http://{address}:{model['port']}/v1"
        first = f"{model['name']}: {model['state']}, {where}, cards {devices}"
        lines.append(f"{first}, as {model['account']}, since {model['began']}")
        if model["why"]:
            lines += [f"  {line}" for line in _trouble(model)]
    return "\n".join(lines) or "serves nothing"


def loading_text(model: Mapping[str, Any], seconds: float) -> str:
    """Return the state of a model that does not answer yet, with the last line of its log."""
    last = one_line(masked(model["last"][-1])) if model["last"] else "its log is empty"
    return f"{model['name']} does not answer after {seconds:.0f} s: {cut(last, WIDTH)}"


def stopped_text(model: Mapping[str, Any], seconds: float) -> str:
    """Return why a model is not served, and what to type next."""
    ended = model["state"] == "down"
    first = "ended before it answered" if ended else f"does not answer after {seconds:.0f} s"
    more = [] if ended else ["it is still loading: playbooks/serve_status.yml; -e serve_wait_s=3600 waits longer"]
    return "\n".join([f"{model['name']} {first}", *_trouble(model), *more])


def _trouble(model: Mapping[str, Any]) -> list[str]:
    words = masked("\n".join(model["last"]))
    lines = [model["why"]]
    lines += [f"the first error: {model['error']}"] if model["error"] else []
    for known in recognise(model["error"] or words)[:1]:
        lines.append(f"{known.what} ({known.name}); next: {known.remedy}")
    return [*lines, *words.splitlines()[-SHOWN:], f"its log: {model['log']}"]
