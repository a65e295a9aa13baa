"""Progress over cases: a bar on a terminal, a plain line a case in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def progress(what: str, count: int) -> Iterator[Callable[[str], None]]:
    """Yield a function to call with the name of each finished item.

    Args:
        what: what is done with an item, for example "prepared".
        count: items in all.
    """
    done = 0
    if not sys.stderr.isatty():

        def say(name: str) -> None:
            nonlocal done
            done += 1
            print(f"wssamnet: {what} {name} ({done} of {count})", file=sys.stderr, flush=True)

        yield say
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=count)
        yield lambda name: bar.update(task, advance=1, description=f"{what} {name}")


def each(items: Sequence[Item], what: str, name: Callable[[Item], str]) -> Iterator[Item]:
    """Yield the items one by one, telling when each is done."""
    with progress(what, len(items)) as say:
        for item in items:
            yield item
            say(name(item))
