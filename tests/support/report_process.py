"""Reports of tiny lessons: as a process that can be killed, and of fake lessons that need no kernel."""

import functools
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tiny_lessons import read

import digits_helpers.data
import digits_tools.report
from digits_tools.lessons import CellTime, LessonTimes, notebook_path
from digits_tools.notebook import write_notebook

load_once = functools.cache(digits_helpers.data.load_digits)  # the embedded digits take half a second
DEADLINE = 120  # seconds; only what hangs needs them


def command(notebooks: Path, output: Path, *arguments: str) -> list[str]:
    """The command `digits report` on the embedded digits, with the lessons of a folder."""
    start = [sys.executable, "-m", "digits_tools", "report", "--dataset", "embedded"]
    return [*start, "--notebooks", str(notebooks), "--output", str(output), *arguments]


def start(notebooks: Path, output: Path, *arguments: str) -> subprocess.Popen:
    """Start that command."""
    environment = {**os.environ, "PYTHONUTF8": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    # A shell that runs the tests in the background has SIGINT ignored, and children inherit that
    interruptible = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL) if os.name == "posix" else None
    return subprocess.Popen(command(notebooks, output, *arguments), env=environment, preexec_fn=interruptible, **pipes)


def wait_for(path: Path, process: subprocess.Popen) -> str:
    """Wait until a file is there and has content, and return it; the process that writes it must live."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if path.is_file() and (text := path.read_text(encoding="utf-8")):
            return text
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise AssertionError(f"{path.name} did not come")


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder, by relative path; a lock is empty, and Windows lets nobody read it."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class FakeLessons:
    """Stands in for `run_lesson`: every lesson comes to its end at once and leaves an artifact; no kernel is started.

    Attributes:
        ran: numbers of the lessons that ran, in order.
        before: what to do with the artifacts folder, by lesson number, before the lesson ends; it may raise an error.
    """

    def __init__(self, monkeypatch) -> None:
        self.ran, self.before = [], {}
        monkeypatch.setattr(digits_helpers.data, "load_digits", load_once)
        monkeypatch.setattr(digits_tools.report, "run_lesson", self)
        monkeypatch.setattr(
            digits_tools.report, "write_pages", lambda report: digits_tools.report.write_index(report, [], [])
        )

    def __call__(self, lesson, notebooks, destination, parameters, cwd, on_cell, cell_timeout):
        self.ran.append(lesson.number)
        write_notebook(read(notebook_path(lesson, notebooks)), destination)
        self.before.get(lesson.number, lambda artifacts: None)(cwd / "artifacts")
        (cwd / "artifacts" / f"{lesson.number}.txt").write_text(f"made by {lesson.number}\n", encoding="utf-8")
        return LessonTimes(1.5, [CellTime(2, 1.25, "dataset")])
