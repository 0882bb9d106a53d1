"""What goes wrong on a machine: each fault is one sentence that names lesson and cell, and what was done is kept."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest
from html_page import Page
from report_process import DEADLINE, FakeLessons, command, contents
from tiny_lessons import printed, write_lesson

from digits_helpers.errors import DigitsError
from digits_tools import folders
from digits_tools.lessons import select_lessons
from digits_tools.report import run_report

ALLOCATE = """
import resource
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, used + 2**26))
bytearray(2**30)
"""
KILL = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
FAULTS = {"dead": (KILL, None, "kernel died"), "memory": (ALLOCATE, None, "memory is full")}
FAULTS["time"] = ("import time\ntime.sleep(600)", 0.05, "longer than the 0.05 minutes.*--cell-timeout")


@pytest.mark.skipif(sys.platform != "linux", reason="the faults are made with what Linux offers")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_lesson_that_goes_wrong(tmp_path, fault):
    cell, timeout, words = FAULTS[fault]
    write_lesson(tmp_path / "notebooks", "02", "print('before')", cell, "print('after')")
    write_lesson(tmp_path / "notebooks", "03", "print('never')")
    folder, parameters = tmp_path / "report", {"dataset": "embedded"}
    report = run_report(select_lessons("02-03"), folder, tmp_path / "notebooks", parameters, cell_timeout=timeout)
    with pytest.raises(DigitsError, match=f"Lesson 02 Preprocess the images stopped in cell 4 .*{words}"):
        raise DigitsError(report.failure)
    assert printed(report.partial_notebook) == "before\n"
    assert "This report is not complete." in Page(report.index).text
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert [lesson["status"] for lesson in results["lessons"]] == ["failed", "not run"]
    assert results["lessons"][0]["cells"][-1]["number"] == 4


# --- A disk that is full or read-only ---


class Disk:
    """A disk that is full after so many files as fit; only files that are written whole count."""

    def __init__(self, monkeypatch) -> None:
        self.fits, self.writes, self.fsync = 10**6, 0, os.fsync
        monkeypatch.setattr(folders.os, "fsync", self)

    def __call__(self, handle):
        self.writes += 1
        if self.writes > self.fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.fsync(handle)


def test_whatever_cannot_be_written_is_one_sentence_and_the_report_goes_on_later(tmp_path, monkeypatch):
    lessons = select_lessons("01-02")
    for lesson in lessons:
        write_lesson(tmp_path / "notebooks", lesson.number, "1")
    fake, disk = FakeLessons(monkeypatch), Disk(monkeypatch)

    def run(resume=False):
        fake.ran.clear()
        return run_report(lessons, tmp_path / "report", tmp_path / "notebooks", {"dataset": "embedded"}, resume)

    assert run().complete
    whole = contents(tmp_path / "report" / "artifacts")
    needed = disk.writes
    assert needed > 6  # marker, first page, notebook and state of two lessons, results, pages
    for fits in range(needed):
        shutil.rmtree(tmp_path / "report")
        disk.writes, disk.fits = 0, fits
        try:
            sentence = run().failure
        except (DigitsError, OSError) as error:
            sentence = str(error)
        assert os.strerror(errno.ENOSPC) in sentence
        assert "\n" not in sentence
        done = len(fake.ran)
        disk.fits = 10**6
        assert run(resume=True).complete
        assert contents(tmp_path / "report" / "artifacts") == whole
        assert done + len(fake.ran) in (2, 3), fits  # a lesson that has ended is not run again


FILL = """
with open("artifacts/large", "wb", buffering=0) as file:
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
    report = command(folder / "notebooks", folder / "disk" / "report", "--lessons", "01-02")
    small = ["unshare", "--mount", "--map-root-user", "sh", "-c", ON_A_SMALL_DISK, "sh", options, str(folder / "disk")]
    if sys.platform != "linux" or not shutil.which("unshare"):
        pytest.skip("a small disk is made with what Linux offers")
    done = subprocess.run([*small, *report], capture_output=True, text=True, timeout=DEADLINE)
    if done.returncode == 77 or "unshare:" in done.stderr:
        pytest.skip(f"no small disk can be made here: {done.stderr}")
    return done


@pytest.mark.slow
def test_a_lesson_that_fills_the_disk(tmp_path):
    done = on_a_small_disk(tmp_path, "size=3m")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Lesson 02 Preprocess the images stopped in cell 4")
    assert "No space left on device; the disk is full" in done.stderr and done.stderr.count("\n") == 1
    report = tmp_path / "disk.copy" / "report"
    assert printed(report / "notebooks" / "01_explore_data.ipynb") == "done\n"


@pytest.mark.slow
def test_a_disk_that_is_read_only(tmp_path):
    done = on_a_small_disk(tmp_path, "size=3m,ro")
    assert done.returncode == 2
    assert "cannot be written (Read-only file system)" in done.stderr and done.stderr.count("\n") == 1
    assert contents(tmp_path / "disk.copy") == {}
