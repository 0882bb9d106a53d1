"""Show how far a run is: one live line on a terminal, plain lines elsewhere."""

import shutil
import sys
import threading
import time
from typing import TextIO


def clock(seconds: float) -> str:
    """Write a duration for people.

    >>> clock(59.4), clock(312), clock(3725)
    ('0:59', '5:12', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Progress:
    """Which lesson, which cell, and for how long.

    On a terminal one line is rewritten every second, so that the time moves on during a training of minutes. Elsewhere
    (a log file, CI) each lesson gets a line when it starts and one when it ends.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, by default standard output."""
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self.begun = self.lesson_begun = time.monotonic()
        self.lesson, self.cell, self.cells = "", 0, 0
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None
        self._width = 0

    def start(self, lesson: str) -> None:
        """Begin a lesson."""
        self.lesson, self.cell, self.cells = lesson, 0, 0
        self.lesson_begun = time.monotonic()
        if self.live:
            self._stop.clear()
            self._ticker = threading.Thread(target=self._tick, daemon=True)
            self._ticker.start()
        else:
            self._say(f"{lesson}: started")

    def enter(self, cell: int, cells: int) -> None:
        """Begin cell number `cell`, from 1, of `cells`."""
        self.cell, self.cells = cell, cells

    def end(self, outcome: str) -> None:
        """End the lesson; `outcome` stays on the screen after its name."""
        if self._ticker:
            self._stop.set()
            self._ticker.join()
            self._ticker = None
            self._rewrite("")
        seconds = time.monotonic() - self.lesson_begun
        self._say(f"{self.lesson}: {outcome} ({clock(seconds)})")

    def _tick(self) -> None:
        while True:
            now = time.monotonic()
            where = f"cell {self.cell} of {self.cells}" if self.cells else "starting"
            times = f"{clock(now - self.lesson_begun)}, in all {clock(now - self.begun)}"
            self._rewrite(f"{self.lesson}: {where} · {times}")
            if self._stop.wait(1):
                return

    def _rewrite(self, text: str) -> None:
        """Replace the live line; blanks instead of control codes, which not every console knows."""
        text = text[: max(20, shutil.get_terminal_size().columns - 1)]
        self.stream.write(f"\r{text.ljust(self._width)}" + ("" if text else "\r"))
        self.stream.flush()
        self._width = len(text)

    def _say(self, line: str) -> None:
        self.stream.write(f"{line}\n")
        self.stream.flush()
