"""The command `digits report` with tiny lessons: as a process that can be killed, and with lessons that are played."""

import functools
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

from digits_helpers import data, series
from digits_helpers import report as report_module

load_once = functools.cache(data.load_digits)  # the embedded digits take half a second
DEADLINE = 120  # seconds; only what hangs needs them
DRIVER = """
import sys
from pathlib import Path
from digits_helpers import cli, series
series.NOTEBOOKS = Path(sys.argv[1])
cli.main(sys.argv[2:], prog_name="digits")
"""


def start(notebooks: Path, output: Path, *arguments: str, **options) -> subprocess.Popen:
    """Start `digits report` on the embedded digits, with the lessons of a folder."""
    command = [sys.executable, "-c", DRIVER, str(notebooks), "report", "--dataset", "embedded", "--output", str(output)]
    environment = {**os.environ, "PYTHONUTF8": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    return subprocess.Popen([*command, *arguments], env=environment, **{**pipes, **options})


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


class PlayedLessons:
    """Stands in for papermill: every lesson comes to its end at once and leaves an artifact, and no kernel is started.

    Attributes:
        ran: numbers of the lessons that were played, in order.
        before: what to do, by lesson number, before the lesson ends: `stop` it, or write more artifacts.
    """

    def __init__(self, monkeypatch) -> None:
        self.ran, self.before = [], {}
        monkeypatch.setattr(series, "_run_papermill", self)
        monkeypatch.setattr(series, "_memory", series._Memory)
        monkeypatch.setattr(data, "load_digits", load_once)
        monkeypatch.setattr(report_module, "write_page", self.write_page)  # a real one takes a second to import

    def __call__(self, name, folder, parameters, position, cell_timeout):
        number = name.removeprefix(series.MEMORY)[:2]
        self.ran.append(number)
        position.enter(None, 1)
        position.begin(None, 1)
        self.before.get(number, lambda artifacts: None)(folder.parent / "artifacts")
        try:
            series.write_whole(folder.parent / "artifacts" / f"{number}.txt", f"made by {number}\n")
        except OSError as error:
            stop(series._cell_error("OSError", str(error)))
        position.leave()

    @staticmethod
    def write_page(lesson, notebook, report):
        series.write_whole(report.folder / lesson.page, f"<p>{lesson.name}: {notebook.stat().st_size} bytes")


def stop(message: str) -> None:
    """End a played lesson as an error in a cell does."""
    raise series._Stopped(message)
