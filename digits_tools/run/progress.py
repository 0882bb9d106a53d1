"""Show how far a lesson is: a bar on a terminal, a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

BAR = "{desc}: {n_fmt} of {total_fmt} cells |{bar}| {elapsed}"


def clock(seconds: float) -> str:
    """Write a duration for people.

    >>> clock(59.4), clock(312), clock(3725)
    ('0:59', '5:12', '1:02:05')
    """
    return tqdm.format_interval(seconds).removeprefix("0")


@contextmanager
def show_progress(
    name: str, echo: Callable[[str], None] = print, quiet: bool = False
) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the block runs, unless `quiet`, then echo a line; yields what `run_lesson` calls as `on_cell`."""
    started, outcome = time.monotonic(), "failed"
    hidden = quiet or not sys.stderr.isatty()
    with tqdm(desc=name, total=0, bar_format=BAR, leave=False, disable=hidden) as bar:

        def on_cell(cell: int, cells: int) -> None:
            bar.total, bar.n = cells, cell - 1
            bar.refresh()

        try:
            yield on_cell
            outcome = "complete"
        finally:
            bar.close()
            echo(f"{name}: {outcome} ({clock(time.monotonic() - started)})")
