"""What a training says while it runs: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_EVERY = 5.0  # seconds between two lines of a log


def describe(losses: dict[str, float]) -> str:
    """``loss -0.4102 (lncc -0.4500, smoothness 0.0398)``"""
    parts = ", ".join(f"{name} {value:.4f}" for name, value in losses.items() if name != "total")
    return f"loss {losses['total']:.4f} ({parts})"


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.2f} steps/s" if task.speed else "")


class TrainingProgress:
    """Shows the progress of one training on standard error.

    Args:
        name: what is trained.
        steps: steps in all.
        done: steps that an earlier, interrupted run has taken.
        shown: False in all but one of the processes that train together.
    """

    def __init__(self, name: str, steps: int, done: int = 0, *, shown: bool = True) -> None:
        self.silent = not shown
        self.name, self.steps, self.first = name, steps, done
        self.begin = self.shown = time.monotonic()
        console = Console(stderr=True)
        self.bar: Progress | None = None
        if shown and console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                _Rate(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[losses]}"),
                console=console,
            )
            self.task = self.bar.add_task(name, total=steps, completed=done, losses="")

    def __enter__(self) -> Self:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def update(self, done: int, losses: dict[str, float]) -> None:
        """Tell that `done` steps are complete, and their latest losses."""
        if self.bar is not None:
            self.bar.update(self.task, completed=done, losses=describe(losses))
            return
        now = time.monotonic()
        if self.silent or (now - self.shown < _EVERY and done != self.steps):
            return
        self.shown = now
        rate = (done - self.first) / max(now - self.begin, 1e-9)
        minutes, seconds = divmod(round((self.steps - done) / rate), 60)
        print(
            f"{self.name}: step {done} of {self.steps}, {rate:.2f} steps/s, {minutes}:{seconds:02d} left, "
            f"{describe(losses)}",
            file=sys.stderr,
            flush=True,
        )
