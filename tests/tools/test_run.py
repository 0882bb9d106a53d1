"""How one lesson is run. Each run starts a kernel (about 2 s), so a run checks several things."""

import io
import os
import signal
import sys
import threading
import time

import pytest
from tiny_lessons import BY_NUMBER, printed, read, write_lesson

from digits_tools.errors import NotebookError
from digits_tools.lessons import Interrupted, LessonError
from digits_tools.run import progress, run_lesson, show_progress


def run(folder, number, parameters=None, **options):
    """Run a lesson of the folder's notebooks; return its times and the executed notebook."""
    destination = folder / "executed.ipynb"
    times = run_lesson(BY_NUMBER[number], folder / "notebooks", destination, parameters or {}, folder, **options)
    return times, destination


def test_a_lesson_that_runs(tmp_path, monkeypatch, capfd):
    source = write_lesson(
        tmp_path / "notebooks",
        "02",
        "import os, sys\nprint(epochs, dataset, os.getcwd(), sys.executable)",
        "print(*(os.environ.get(name) for name in ['TQDM_DISABLE', 'DIGITS_DATA_DIR', 'OMP_NUM_THREADS']))",
    )
    stored, entered = source.read_bytes(), []
    work = tmp_path / "a run"
    work.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIGITS_DATA_DIR", "data")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))  # what is registered there is none of our kernels
    before = dict(os.environ)
    times = run_lesson(
        BY_NUMBER["02"],
        source.parent,
        work / "02.ipynb",
        {"epochs": 3, "network": "own"},  # this lesson has no network: papermill must not hear of it
        work,
        lambda cell, cells: entered.append((cell, cells)),
        environment={"OMP_NUM_THREADS": 1},
    )
    assert printed(work / "02.ipynb") == f"3 auto {work} {sys.executable}\n1 {tmp_path / 'data'} 1\n"
    # papermill's own cell counts as part of the parameters cell
    assert entered == [(1, 4), (2, 4), (2, 4), (3, 4), (4, 4)]
    assert [cell.number for cell in times.cells] == [2, 3, 4]
    assert times.cells[1].source == "import os, sys"
    assert 0 < sum(cell.seconds for cell in times.cells) < times.seconds < 60
    assert source.read_bytes() == stored
    assert dict(os.environ) == before  # so several threads can run lessons
    assert [path.name for path in work.iterdir()] == ["02.ipynb"]
    text = (work / "02.ipynb").read_text(encoding="utf-8")
    assert str(tmp_path / "notebooks") not in text  # papermill's record of paths is gone
    assert '"papermill"' not in text and "network" not in text
    assert '"epochs = 3\\n"' in text
    assert capfd.readouterr().err == ""  # not even the kernel's warning that it is not encrypted


def test_figures_are_described_and_the_readers_own_ipython_is_left_out(tmp_path, monkeypatch):
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "mine.py").write_text("seed = 'mine'\nmine = True", encoding="utf-8")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    plot = "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\naxes.plot([1, 2], label='a line')"
    show = "from IPython.display import display\ndisplay(figure)\nplt.close()\nprint('mine' in globals())"
    write_lesson(tmp_path / "notebooks", "02", f"{plot}\n{show}")
    _, executed = run(tmp_path, "02")
    assert printed(executed) == "False\n"
    (figure,) = [output for output in read(executed).cells[2].outputs if "image/png" in output.get("data", {})]
    assert "a line" in str(figure.metadata["nbval_tolerance"])


def test_a_cell_that_fails_is_named_and_what_was_done_is_kept(tmp_path):
    write_lesson(tmp_path / "notebooks", "03", "print('before')", "# divide\nseed / 0", "print('after')")
    with pytest.raises(LessonError) as caught:
        run(tmp_path, "03", {"seed": 1})
    # the fourth cell of the stored notebook: heading, parameters, print, divide
    assert (
        str(caught.value) == "Lesson 03 Build the CNN stopped in cell 4 (# divide): ZeroDivisionError: division by zero"
    )
    assert [cell.number for cell in caught.value.times.cells] == [2, 3, 4]
    assert printed(tmp_path / "executed.ipynb") == "before\n"
    outputs = [output for cell in read(tmp_path / "executed.ipynb").cells for output in cell.get("outputs", [])]
    assert [output.ename for output in outputs if "ename" in output] == ["ZeroDivisionError"]


def test_a_kernel_that_dies_is_named(tmp_path, capfd):
    write_lesson(tmp_path / "notebooks", "01", "print('before')", "import os\nos._exit(7)")
    with pytest.raises(LessonError, match=r"stopped in cell 4 \(import os\): the kernel died"):
        run(tmp_path, "01")
    assert printed(tmp_path / "executed.ipynb") == "before\n"
    assert capfd.readouterr().err == ""  # neither papermill nor the kernel adds to the one sentence


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT that one process can send to itself alone")
def test_an_interrupted_run_says_so_and_leaves_no_kernel(tmp_path):
    write_lesson(
        tmp_path / "notebooks", "01", "import os\nprint(os.getpid(), flush=True)", "import time\ntime.sleep(60)"
    )

    def interrupt(cell, cells):
        if cell == 4:
            threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()

    started = time.monotonic()
    with pytest.raises(Interrupted, match="stopped in cell 4.*interrupted") as caught:
        run(tmp_path, "01", on_cell=interrupt)
    assert caught.value.exit_code == 130
    assert time.monotonic() - started < 30  # the cell would sleep for 60 s
    with pytest.raises(ProcessLookupError):
        os.kill(int(printed(tmp_path / "executed.ipynb")), 0)


def test_threads_run_lessons_at_the_same_time(tmp_path):
    write_lesson(tmp_path / "notebooks", "01", "import os\nprint(seed, os.path.basename(os.getcwd()))")

    def work(seed):
        (tmp_path / f"run {seed}").mkdir()
        run_lesson(
            BY_NUMBER["01"],
            tmp_path / "notebooks",
            tmp_path / f"{seed}.ipynb",
            {"seed": seed},
            tmp_path / f"run {seed}",
        )

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [printed(tmp_path / f"{seed}.ipynb") for seed in (1, 2)] == ["1 run 1\n", "2 run 2\n"]


def test_a_damaged_notebook_stops_before_anything_is_written(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "04_train.ipynb").write_text('{"cells": [', encoding="utf-8")
    with pytest.raises(NotebookError, match="cannot be read"):
        run(tmp_path, "04")
    assert not (tmp_path / "executed.ipynb").exists()


# --- Progress ---


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_progress_is_a_bar_on_a_terminal_and_a_line_at_the_end(monkeypatch, stream):
    monkeypatch.setattr(progress.sys, "stderr", stream)
    lines = []
    with show_progress("Lesson 04", lines.append) as on_cell:
        on_cell(7, 30)
    assert ("6 of 30 cells" in stream.getvalue()) == stream.isatty()
    assert lines == ["Lesson 04: complete (0:00)"]
    with pytest.raises(LessonError), show_progress("Lesson 04", lines.append, quiet=True):
        raise LessonError("no")
    assert lines[1] == "Lesson 04: failed (0:00)"
