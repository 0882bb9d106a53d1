"""Show how far a run is: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from digits_helpers.series import LessonTimes

LIVE_SECONDS, PLAIN_SECONDS = 1, 60  # between two lines while a lesson runs
ENOUGH_SECONDS = 10  # of an earlier run that must be behind before this one is compared with it


def clock(seconds: float) -> str:
    """Write a duration for people.

    >>> clock(59.4), clock(312), clock(3725)
    ('0:59', '5:12', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time_left(seconds: float) -> str:
    """Write an estimate of the time to the end, no more exact than it is.

    >>> time_left(20), time_left(61), time_left(470)
    ('under a minute left', 'about 2 min left', 'about 8 min left')
    """
    return f"about {math.ceil(seconds / 60)} min left" if seconds > 60 else "under a minute left"


class Progress:
    """Which lesson, which cell, for how long, and how long still.

    On a terminal one line is rewritten every second, so that the time moves on during a training of minutes. Elsewhere
    (a log file, CI) each lesson gets a line when it starts, one per minute, and one when it ends.
    """

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        """Write to `stream`, by default standard output; nothing at all if `quiet`."""
        self.stream = stream or sys.stdout
        self.quiet = quiet
        self.live = self.stream.isatty()
        self.begun = self.lesson_begun = self.cell_begun = time.monotonic()
        self.lesson, self.cell, self.cells = "", 0, 0
        self.expected: dict[str, LessonTimes] = {}
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None
        self._width = 0

    def expect(self, times: dict[str, LessonTimes]) -> None:
        """Take what an earlier run has needed, by the names of all lessons that will be started, in their order."""
        self.expected = times

    def start(self, lesson: str) -> None:
        """Begin a lesson."""
        now = time.monotonic()
        self.begun = self.begun if self.lesson else now
        self.lesson, self.cell, self.cells = lesson, 0, 0
        self.lesson_begun = self.cell_begun = now
        if not self.live:
            self._say(f"{lesson}: started")
        if not self.quiet:
            self._stop.clear()
            self._ticker = threading.Thread(target=self._tick, daemon=True)
            self._ticker.start()

    def enter(self, cell: int, cells: int) -> None:
        """Begin cell number `cell`, from 1, of `cells`."""
        self.cell, self.cells, self.cell_begun = cell, cells, time.monotonic()

    def end(self, outcome: str) -> None:
        """End the lesson; `outcome` stays on the screen after its name."""
        if self._ticker:
            self._stop.set()
            self._ticker.join()
            self._ticker = None
            if self.live:
                self._rewrite("")
        seconds = time.monotonic() - self.lesson_begun
        self._say(f"{self.lesson}: {outcome} ({clock(seconds)})")

    def keep(self, lesson: str) -> None:
        """Say that a lesson need not run, because an earlier run has done it."""
        self._say(f"{lesson}: kept from an earlier run")

    def remaining(self, now: float) -> float | None:
        """Estimate the seconds to the end: the times of an earlier run, scaled by how this one compares with them.

        Args:
            now: the time, on the clock of `time.monotonic`.

        Returns:
            Seconds; None when nothing is known, or when the current cell takes longer than it should.
        """
        if self.lesson not in self.expected:
            return None
        names = list(self.expected)
        place, lesson = names.index(self.lesson), self.expected[self.lesson]
        done = sum(cell.seconds for cell in lesson.cells if cell.number < self.cell)
        current = sum(cell.seconds for cell in lesson.cells if cell.number == self.cell)
        inside_since = self.cell_begun
        if not lesson.cells:  # only the lesson as a whole is known
            done, current, inside_since = 0.0, lesson.seconds, self.lesson_begun
        behind = sum(self.expected[name].seconds for name in names[:place]) + done
        ahead = sum(self.expected[name].seconds for name in names[place:]) - done - current
        pace = (inside_since - self.begun) / behind if behind >= ENOUGH_SECONDS else 1.0
        rest = pace * current - (now - inside_since)
        return pace * ahead + max(rest, 0.0) if rest >= -ENOUGH_SECONDS else None

    def _tick(self) -> None:
        show, pause = (self._rewrite, LIVE_SECONDS) if self.live else (self._say, PLAIN_SECONDS)
        if self.live:
            show(self._line(time.monotonic()))
        while not self._stop.wait(pause):
            show(self._line(time.monotonic()))

    def _line(self, now: float) -> str:
        """Lesson, cell and times in one line."""
        where = f"cell {self.cell} of {self.cells}" if self.cells else "starting"
        left = self.remaining(now)
        rest = f"in all {clock(now - self.begun)}" if left is None else time_left(left)
        return f"{self.lesson}: {where} · {clock(now - self.lesson_begun)}, {rest}"

    def _rewrite(self, text: str) -> None:
        """Replace the live line; blanks instead of control codes, which not every console knows."""
        text = text[: max(20, shutil.get_terminal_size().columns - 1)]
        self.stream.write(f"\r{text.ljust(self._width)}" + ("" if text else "\r"))
        self.stream.flush()
        self._width = len(text)

    def _say(self, line: str) -> None:
        if not self.quiet:
            self.stream.write(f"{line}\n")
            self.stream.flush()
