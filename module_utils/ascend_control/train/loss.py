# SPDX-License-Identifier: Apache-2.0
"""The loss of a training run as a picture: one SVG file that a browser shows, without a network or a script.

Made by jinja2, like the drift report, because matplotlib with numpy would put a hundred megabytes on the control node
for one line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ...ascend.train.fetch import STATE, STEPS

TEMPLATE = "loss.svg.j2"
# In CSS pixels.
WIDTH, HEIGHT = 960, 480
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 64, 56
MOST_POINTS = 1000  # of a line: there are no more pixels
MOST_LOSS, MOST_STEP = 1e9, 1e12
DOTS = 20  # points up to which each is marked
SMOOTHED = 30  # points from which on a smoothed line is worth drawing
TICKS = 6

Point = tuple[float, float]


class Points(NamedTuple):
    """Loss by step, in order; ``odd``: how many losses cannot be drawn (NaN, infinite, beyond MOST_LOSS)."""

    steps: Sequence[Point]
    evals: Sequence[Point]
    odd: int


def read(folder: Path) -> Points:
    """Return the losses in a node's folder: the trainer's state, and what trainer_log.jsonl has beyond it.

    During the run the state is that of the last checkpoint, and so behind. A file that is not JSON is ignored.
    """
    steps: dict[float, float] = {}
    evals: dict[float, float] = {}
    odd: set[float] = set()
    for entry in [*_of_steps(folder / STEPS), *_of_state(folder / STATE)]:
        step = _number(entry.get("step", entry.get("current_steps")))
        for key, found in (("loss", steps), ("eval_loss", evals)):
            loss = _number(entry.get(key))
            if step is not None and 0 <= step < MOST_STEP and loss is not None:
                if abs(loss) < MOST_LOSS:
                    found[step] = loss
                else:
                    odd.add(step)
    return Points(sorted(steps.items()), sorted(evals.items()), len(odd))


def _of_state(path: Path) -> list[Mapping[str, Any]]:
    history = next(_objects([_text(path)]), {}).get("log_history")
    return [each for each in history if isinstance(each, dict)] if isinstance(history, list) else []


def _of_steps(path: Path) -> list[Mapping[str, Any]]:
    return list(_objects(_text(path).splitlines()))


def _objects(texts: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    for text in texts:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    except OverflowError:
        return None


def draw(points: Points, name: str, templates: Path) -> str:
    """Return the SVG of a run's losses, with at least one step; the same points give the same text."""
    drawn = [*points.steps, *points.evals]
    across = _axis([step for step, _ in drawn], whole=True)
    up = _axis([loss for _, loss in drawn])
    return (
        _environment(templates)
        .get_template(TEMPLATE)
        .render(
            name=name,
            width=WIDTH,
            height=HEIGHT,
            left=LEFT,
            right=WIDTH - RIGHT,
            top=TOP,
            bottom=HEIGHT - BOTTOM,
            across=[(_x(value, across), _tick_words(value)) for value in across],
            up=[(_y(value, up), _tick_words(value)) for value in up],
            steps=_line(points.steps, across, up),
            smooth=_line(_smoothed(points.steps), across, up) if len(points.steps) >= SMOOTHED else "",
            dots=[(_x(step, across), _y(loss, up)) for step, loss in points.steps] if len(points.steps) <= DOTS else [],
            evals=[(_x(step, across), _y(loss, up)) for step, loss in _thinned(points.evals)],
            last=points.steps[-1] if points.steps else None,
            last_eval=points.evals[-1] if points.evals else None,
            odd=points.odd,
        )
    )


def _axis(values: Sequence[float], whole: bool = False) -> list[float]:
    """Return round values that span the given ones, at most TICKS apart or so."""
    low, high = min(values), max(values)
    if high - low <= 1e-9 * abs(high):
        low, high = low - (0 if whole else 0.5), high + (1 if whole else 0.5)
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    if whole:
        step = max(1.0, step)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _x(value: float, axis: Sequence[float]) -> float:
    return round(LEFT + (value - axis[0]) / (axis[-1] - axis[0]) * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, axis: Sequence[float]) -> float:
    return round(HEIGHT - BOTTOM - (value - axis[0]) / (axis[-1] - axis[0]) * (HEIGHT - TOP - BOTTOM), 1)


def _tick_words(value: float) -> str:
    """Return a tick's words: as short as they are exact."""
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e9 else f"{value:.4g}"


def _line(points: Sequence[Point], across: Sequence[float], up: Sequence[float]) -> str:
    return " ".join(f"{_x(step, across)},{_y(loss, up)}" for step, loss in _thinned(points))


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """Return the lowest and the highest of each stretch of many points, so that no peak is lost."""
    if len(points) <= MOST_POINTS:
        return points
    length = math.ceil(len(points) / (MOST_POINTS / 2))
    kept: list[Point] = []
    for start in range(0, len(points), length):
        stretch = points[start : start + length]
        ends = {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
        kept += sorted(ends)
    return kept


def _smoothed(points: Sequence[Point]) -> list[Point]:
    """Return each loss as the mean of those around it, a thirtieth of the run to either side."""
    reach = max(1, len(points) // SMOOTHED)
    sums = [0.0]
    for _, loss in points:
        sums.append(sums[-1] + loss)
    found = []
    for index, (step, _) in enumerate(points):
        start, end = max(0, index - reach), min(len(points), index + reach + 1)
        found.append((step, (sums[end] - sums[start]) / (end - start)))
    return found


@cache
def _environment(templates: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
