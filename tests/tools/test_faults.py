"""What goes wrong on a machine: each fault is one sentence that names lesson and cell, and what was done is kept."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner
from html_page import Page
from report_process import DEADLINE, DRIVER, PlayedLessons, contents
from tiny_lessons import printed, write_lesson

from digits_helpers import cli, files, series
from digits_helpers.errors import DigitsError
from digits_helpers.report import run_report
from digits_helpers.series import select_lessons

ALLOCATE = """
import resource
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, used + 2**26))
bytearray(2**30)
"""
FAULTS = {
    "dead": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        [],
        "(import os, signal): the kernel died; it was ended from outside or ran out of memory, so close other programs "
        "and run again.",
    ),
    "memory": (
        ALLOCATE,
        [],
        "(import resource): MemoryError; the memory is full, so close other programs and run again.",
    ),
    "time": (
        "import time\ntime.sleep(600)",
        ["--cell-timeout", "0.05"],
        "(import time): it took longer than the 0.05 minutes that a cell may take; give more with --cell-timeout.",
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the faults are made with what Linux offers")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_lesson_that_goes_wrong(tmp_path, monkeypatch, fault):
    cell, options, sentence = FAULTS[fault]
    write_lesson(tmp_path / "notebooks", "01", "print('done')")
    write_lesson(tmp_path / "notebooks", "02", "print('before')", cell, "print('after')")
    write_lesson(tmp_path / "notebooks", "03", "print('never')")
    monkeypatch.setattr(series, "NOTEBOOKS", tmp_path / "notebooks")
    report = tmp_path / "report"
    arguments = ["report", "--dataset", "embedded", "--lessons", "01-03", "--output", str(report), *options]
    result = CliRunner().invoke(cli.main, arguments)
    assert result.exit_code == 1
    assert result.stderr == f"Error: Lesson 02 Preprocess the images stopped in cell 4 {sentence}\n"
    assert "Go on with: digits report --resume --dataset embedded --lessons 01-03 --output" in result.stdout
    # what was done is kept
    assert printed(report / "notebooks" / "01_explore_data.ipynb") == "done\n"
    assert printed(report / "notebooks" / "02_preprocess.ipynb") == "before\n"
    page = Page(report / "index.html")
    assert "This report is not complete." in page.text
    assert "01_explore_data.html" in page.values("href")
    results = json.loads((report / "results.json").read_text(encoding="utf-8"))
    assert [lesson["status"] for lesson in results["lessons"]] == ["complete", "failed", "not run"]
    assert results["lessons"][1]["cells"][-1]["number"] == 4


# --- A disk that is full or read-only ---


class Disk:
    """A disk that is full after so many files as there is room for; only files that are written whole count."""

    def __init__(self, monkeypatch) -> None:
        self.room, self.writes = 10**6, 0
        self.write = files.tempfile.mkstemp
        monkeypatch.setattr(files.tempfile, "mkstemp", self)

    def __call__(self, **options):
        self.writes += 1
        if self.writes > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(options["dir"]))
        return self.write(**options)


# What is written for a lesson: its artifact, notebook, state, page, and the first page
LESSON = ["stopped in cell 2", "but its notebook", *["but its results"] * 3]
PARTS = {"The output folder", "The first page", *LESSON}


def test_whatever_cannot_be_written_is_one_sentence_and_the_report_goes_on_later(tmp_path, monkeypatch):
    lessons = select_lessons("01-02")
    for lesson in lessons:
        write_lesson(tmp_path / "notebooks", lesson.number, "1")
    played, disk = PlayedLessons(monkeypatch), Disk(monkeypatch)

    def run(**options):
        played.ran.clear()
        settings = {"dataset": "embedded", "say": lambda line: None, "quiet": True, **options}
        return run_report(lessons, tmp_path / "report", tmp_path / "notebooks", **settings)

    assert run().complete
    whole = contents(tmp_path / "report" / "artifacts")
    needed, disk.writes = disk.writes, 0
    sentences = []
    for room in range(needed):
        shutil.rmtree(tmp_path / "report")
        disk.writes, disk.room = 0, room
        try:
            sentence = run().failure
        except DigitsError as error:
            sentence = str(error)
        assert os.strerror(errno.ENOSPC) in sentence
        assert "\n" not in sentence
        sentences.append(sentence)
        done = len(played.ran)
        disk.room = 10**6
        assert run(resume=True).complete
        assert contents(tmp_path / "report" / "artifacts") == whole
        assert done + len(played.ran) in (2, 3), room  # a lesson that has ended is not run again
    assert [next(part for part in PARTS if part in sentence) for sentence in sentences] == [
        "The output folder", *["The first page"] * 2, *LESSON, *LESSON, *["The first page"] * 2
    ]  # fmt: skip


FILL = """
import os, pathlib
folder = pathlib.Path(os.environ["DIGITS_ARTIFACTS_DIR"])
with open(folder / "large", "wb", buffering=0) as file:
    while True:
        file.write(bytes(2**16))
"""
# In a name space of its own, where nothing else sees the small disk; what is on it at the end is copied to a real one.
ON_A_SMALL_DISK = """
mount -t tmpfs -o "$1" tmpfs "$2" || exit 77
shift; disk=$1; shift
"$@"; status=$?
cp -r "$disk" "$disk.copy"
exit $status
"""


def on_a_small_disk(folder, options):
    """Make a report of two lessons, of which the second writes without end, on a disk of its own."""
    write_lesson(folder / "notebooks", "01", "print('done')")
    write_lesson(folder / "notebooks", "02", "print('before')", FILL)
    (folder / "disk").mkdir()
    report = ["report", "--dataset", "embedded", "--lessons", "01-02", "--output", str(folder / "disk" / "report")]
    command = [sys.executable, "-c", DRIVER, str(folder / "notebooks"), *report]
    small = ["unshare", "--mount", "--map-root-user", "sh", "-c", ON_A_SMALL_DISK, "sh", options, str(folder / "disk")]
    if sys.platform != "linux" or not shutil.which("unshare"):
        pytest.skip("a small disk is made with what Linux offers")
    done = subprocess.run([*small, *command], capture_output=True, text=True, timeout=DEADLINE)
    if done.returncode == 77 or "unshare:" in done.stderr:
        pytest.skip(f"no small disk can be made here: {done.stderr}")
    return done


def test_a_lesson_that_fills_the_disk(tmp_path):
    done = on_a_small_disk(tmp_path, "size=3m")
    assert done.returncode == 1
    assert done.stderr == (
        "Error: Lesson 02 Preprocess the images stopped in cell 4 (import os, pathlib): OSError: [Errno 28] No space "
        "left on device; the disk is full, so make room and run again.\n"
    )
    report = tmp_path / "disk.copy" / "report"
    assert printed(report / "notebooks" / "01_explore_data.ipynb") == "done\n"
    page = Page(report / "index.html")
    assert "This report is not complete." in page.text
    assert "01_explore_data.html" in page.values("href")
    assert json.loads((report / "results.json").read_text(encoding="utf-8"))["complete"] is False


def test_a_disk_that_is_read_only(tmp_path):
    done = on_a_small_disk(tmp_path, "size=3m,ro")
    assert done.returncode == 2
    assert done.stderr == (
        f"Error: The output folder {str(tmp_path / 'disk' / 'report')!r} cannot be written (Read-only file system): "
        "choose another folder with --output.\n"
    )
    assert contents(tmp_path / "disk.copy") == {}
