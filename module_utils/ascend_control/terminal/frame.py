# SPDX-License-Identifier: Apache-2.0
"""A run as lines for a terminal, by rich: as many as fit."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ...ascend.text import cut, one_line
from ..depot.progress import size_text, time_text
from .watch import BUSY, DONE, FAILED, STATES, WAITING, WORK, Node, Watch
from .words import times

STYLES = {DONE: "green", FAILED: "bold red", BUSY: "yellow", WORK: "cyan", WAITING: "bright_black"}
SLOW_S = 600.0  # a task's time is shown in another colour from here on

# A node's bytes: how many it takes, how many it has, and how many come in a second.
Bytes = tuple[int, int, float]


class Frame:
    """Draws a watch. ``bytes_of`` returns the progress of a node's files, or None; ``ascii_only``: for the terminal."""

    def __init__(
        self, watch: Watch, bytes_of: Callable[[Node], Bytes | None], colour: bool = True, ascii_only: bool = False
    ) -> None:
        self._watch, self._bytes_of, self._ascii = watch, bytes_of, ascii_only
        system = "auto" if colour else None
        self._console = Console(file=io.StringIO(), force_terminal=True, color_system=system, legacy_windows=False)  # type: ignore[arg-type]  # a literal

    def draw(self, width: int, height: int) -> list[str]:
        """Return at most ``height`` lines of at most ``width`` cells, with their colours."""
        lines = self.lines(width, height)
        self._console.width = width
        with self._console.capture() as captured:
            for line in lines:
                self._console.print(self._cut(line, width), no_wrap=True, overflow="ignore", crop=False)
        return captured.get().splitlines()

    def lines(self, width: int, height: int) -> list[Text]:
        """Return the same as texts of rich."""
        watch = self._watch
        if not watch.play or height < 1:
            return []
        head = [self._title(width)]
        if list(watch.nodes) == ["localhost"]:
            return [*head, *self._alone()][:height]
        counts = watch.count()
        if len(watch.nodes) > 1:
            head.append(self._bar(counts, width))
        head.append(self._counts(counts))
        if watch.of_task > 1:
            head.append(Text(f"{_plain(watch.task)}: {min(watch.ended_task, watch.of_task)} of {watch.of_task} nodes"))
        if watch.note:
            head.append(Text(_plain(watch.note)))
        room = height - len(head)
        failed = [self._failure(node) for node in watch.failed()[-max(1, room // 5) :]] if room > 1 else []
        return [*head, *self._nodes(width, room - len(failed)), *failed][:height]

    def _title(self, width: int) -> Text:
        watch = self._watch
        batches = len(watch.sizes)
        after = f", batch {watch.batch} of {batches}" if batches > 1 else ""
        spent = times(watch)
        room = width - len(after) - len(spent) - 2
        text = self._cut(Text(_plain(watch.play)), max(1, room))
        line = Text.assemble(text, after, " " * max(2, room + 2 - text.cell_len), spent)
        line.stylize("bold")
        return line

    def _alone(self) -> list[Text]:
        node = next(iter(self._watch.nodes.values()))
        words = [Text(_plain(self._watch.note))] if self._watch.note else []
        if node.since is not None:
            return [Text(f"{_plain(node.task)}  {time_text(self._watch.clock() - node.since)}"), *words]
        return words

    def _bar(self, counts: Mapping[str, int], width: int) -> Text:
        bar, at, total = Text(), 0.0, sum(counts.values()) or 1
        for state in STATES:
            begin, at = at, at + counts[state] * width / total
            sign = ("#" if state == DONE else "x" if state == FAILED else "-") if self._ascii else "━"
            bar.append(sign * (round(at) - round(begin)), style=STYLES[state])
        return bar

    @staticmethod
    def _counts(counts: Mapping[str, int]) -> Text:
        shown = [(f"{counts[state]:,} {state}", STYLES[state]) for state in STATES]
        return Text("   ").join(Text(words, style=style) for words, style in shown)

    def _nodes(self, width: int, room: int) -> list[Text]:
        """Return one line per node, the slowest first; what does not fit in one line."""
        nodes = self._watch.at_work()
        if room < 1 or not nodes:
            return []
        shown = nodes if len(nodes) <= room else nodes[: room - 1]
        rows = [(node, self._bytes_of(node)) for node in shown]
        name_width = min(_widest(node.name for node in shown), max(8, width // 3))
        far_width = max((len(_far(far)) for _, far in rows), default=0)
        room_for_task = max(8, width - name_width - far_width - 9 - 2 - (2 if far_width else 0) - 2)
        task_width = min(_widest(node.task for node in shown), room_for_task)
        lines = [self._node(node, far, name_width, task_width, far_width) for node, far in rows]
        if len(nodes) > len(shown):
            lines.append(Text(f"  and {len(nodes) - len(shown)} more: {_tasks(nodes[len(shown) :])}", style="dim"))
        return lines

    def _node(self, node: Node, far: Bytes | None, name_width: int, task_width: int, far_width: int) -> Text:
        spent = self._watch.clock() - (node.since or 0)
        cells = [self._cell(node.name, name_width), self._cell(node.task, task_width)]
        time = Text(f"{time_text(spent):>9}", style="yellow" if spent >= SLOW_S else "")
        line = Text.assemble("  ", cells[0], "  ", cells[1], time)
        return line.append(f"  {_far(far):>{far_width}}") if far_width else line

    def _cell(self, words: str, width: int) -> Text:
        return self._cut(Text(_plain(words)), width, pad=True)

    def _cut(self, text: Text, width: int, pad: bool = False) -> Text:
        text.truncate(width, overflow="crop" if self._ascii else "ellipsis", pad=pad)
        return text

    @staticmethod
    def _failure(node: Node) -> Text:
        reason = ": ".join(words for words in (_plain(node.task), one_line(node.reason)) if words)
        return Text.assemble(("  failed ", STYLES[FAILED]), f"{_plain(node.name)}  {reason}")


def _widest(words: Iterable[str]) -> int:
    return max((cell_len(_plain(each)) for each in words), default=0)


def _tasks(nodes: Sequence[Node]) -> str:
    return ", ".join(f"{_plain(task)} {count}" for task, count in Counter(node.task for node in nodes).most_common())


def _far(far: Bytes | None) -> str:
    if not far:
        return ""
    total, done, rate = far
    if done >= total:
        return f"all of {size_text(total)}"
    return f"{size_text(done)} of {size_text(total)}, {size_text(rate)}/s"


def _plain(words: str) -> str:
    return cut(one_line(words), 300)
