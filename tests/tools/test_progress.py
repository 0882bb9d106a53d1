"""What a run shows of itself: where it is, and how long it will still take."""

import io
import re

import pytest

from digits_helpers import progress as progress_module
from digits_helpers.progress import Progress
from digits_helpers.series import CellTime, LessonTimes


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_on_a_terminal_is_one_line_that_moves(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    progress = Progress(stream)
    progress.start("Lesson 04 Train the network")
    progress.enter(7, 30)
    progress._stop.wait(1.2)
    progress.end("complete")
    written = stream.getvalue()
    assert "cell 7 of 30 · 0:01" in written
    assert written.count("\n") == 1
    assert written.endswith("\rLesson 04 Train the network: complete (0:01)\n")
    assert all(len(line) < 60 for line in re.split(r"[\r\n]", written))


def test_progress_elsewhere_is_plain_lines():
    stream = io.StringIO()
    progress = Progress(stream)
    progress.start("Lesson 01 Explore the data")
    progress.enter(1, 2)
    progress.end("complete")
    assert stream.getvalue() == "Lesson 01 Explore the data: started\nLesson 01 Explore the data: complete (0:00)\n"


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(progress_module.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def lesson(*seconds, number=2):
    """Times of a lesson whose code cells, from number 2 on, take the given seconds."""
    return LessonTimes(sum(seconds), [CellTime(number + place, each, "") for place, each in enumerate(seconds)])


def test_time_left_follows_the_times_of_the_earlier_run_and_the_pace_of_this_one(clock):
    progress = Progress(io.StringIO(), quiet=True)
    progress.expect({"A": lesson(20, 40), "B": lesson(10, 100, 30)})
    progress.start("A")
    assert progress.remaining(clock.now) == 200  # nothing has run yet
    progress.enter(2, 3)
    assert progress.remaining(clock.now + 15) == 185
    clock.now += 40
    progress.enter(3, 3)  # 40 instead of 20 seconds: from here on everything takes twice as long
    assert progress.remaining(clock.now) == 2 * (40 + 140)
    clock.now += 20
    progress.end("complete")
    progress.start("B")
    progress.enter(2, 4)
    assert progress.remaining(clock.now) == 140  # 60 seconds instead of 60
    progress.enter(3, 4)
    clock.now += 5
    pace = (60 / 70)  # 60 seconds instead of 70, of which this cell has 5 behind it
    assert progress.remaining(clock.now) == pytest.approx(pace * 130 - 5)


def test_a_cell_that_takes_too_long_has_no_estimate(clock):
    progress = Progress(io.StringIO(), quiet=True)
    progress.expect({"A": lesson(20, 40)})
    progress.start("A")
    progress.enter(2, 3)
    assert progress.remaining(clock.now + 25) == 40  # the cell is overdue, the next one is still to come
    assert progress.remaining(clock.now + 31) is None


def test_a_lesson_of_which_only_the_whole_is_known(clock):
    progress = Progress(io.StringIO(), quiet=True)
    progress.expect({"A": LessonTimes(60.0), "B": LessonTimes(120.0)})
    progress.start("A")
    clock.now += 20
    progress.enter(5, 9)
    assert progress.remaining(clock.now) == 160


def test_nothing_is_known_of_a_first_run(clock):
    progress = Progress(io.StringIO(), quiet=True)
    progress.start("A")
    assert progress.remaining(clock.now) is None


def test_the_live_line_tells_the_time_left(clock):
    stream = Terminal()
    progress = Progress(stream)
    progress.expect({"Lesson 04": lesson(10, 470)})
    progress.start("Lesson 04")
    progress.end("complete")
    assert "Lesson 04: starting · 0:00, about 8 min left" in stream.getvalue()


def test_a_log_gets_a_line_per_interval(monkeypatch):
    monkeypatch.setattr(progress_module, "PLAIN_SECONDS", 0.01)
    stream = io.StringIO()
    progress = Progress(stream)
    progress.start("Lesson 04")
    progress.enter(7, 30)
    for _ in range(1000):
        if stream.getvalue().count("\n") < 3:
            progress._stop.wait(0.01)
    progress.end("complete")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "Lesson 04: started"
    assert lines[2] == "Lesson 04: cell 7 of 30 · 0:00, in all 0:00"


def test_quiet_is_silent(monkeypatch):
    monkeypatch.setattr(progress_module, "PLAIN_SECONDS", 0.001)
    stream = io.StringIO()
    progress = Progress(stream, quiet=True)
    progress.keep("Lesson 01")
    progress.start("Lesson 02")
    progress.enter(1, 2)
    progress.end("complete")
    assert stream.getvalue() == ""
