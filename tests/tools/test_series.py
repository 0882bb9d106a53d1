"""The list of lessons, and how one lesson is run. Each run starts a kernel (about 2 s), so a run checks several things."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from tiny_lessons import printed, read, write_lesson

from digits_helpers.series import (
    LESSONS,
    Interrupted,
    LessonError,
    SelectionError,
    clean_notebook,
    declared_parameters,
    join_streams,
    kernel_environment,
    read_notebook,
    run_lesson,
    select_lessons,
)

BY_NUMBER = {lesson.number: lesson for lesson in LESSONS}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("02", "02"),
        ("2", "02"),
        ("01-05", "01 02 03 04 05"),
        ("01,03", "01 03"),
        ("03, 01", "01 03"),  # always in the order of the series
        ("01-02,02-03", "01 02 03"),  # each once
    ],
)
def test_lessons_are_selected_by_number(text, numbers):
    assert [lesson.number for lesson in select_lessons(text)] == numbers.split()


@pytest.mark.parametrize("text", ["09", "00", "banana", "", "05-01", "01-09", "01-", "-02", "01,,02", "1.5", "001"])
def test_an_unknown_lesson_is_named_with_what_is_allowed(text):
    with pytest.raises(SelectionError) as caught:
        select_lessons(text)
    assert f"lessons = {text!r} is not allowed: give numbers from 01 to 05" in str(caught.value)


def test_numbers_follow_each_other():
    assert [lesson.number for lesson in LESSONS] == [f"{position:02}" for position in range(1, len(LESSONS) + 1)]


def test_a_lesson_that_runs(tmp_path, monkeypatch):
    source = write_lesson(
        tmp_path / "notebooks",
        "02",
        "import os, pathlib\nprint(epochs, dataset)",
        "print(os.environ['TQDM_DISABLE'], os.environ['DIGITS_DATA_DIR'])\nprint(pathlib.Path.cwd().name)",
    )
    stored = source.read_bytes()
    (tmp_path / "a run").mkdir()
    destination = tmp_path / "a run" / "02_preprocess.ipynb"
    entered = []

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIGITS_DATA_DIR", "data")
    with kernel_environment():
        times = run_lesson(
            BY_NUMBER["02"],
            source.parent,
            destination,
            {"epochs": 3, "network": "own"},  # this lesson has no network: papermill must not hear of it
            lambda cell, cells: entered.append((cell, cells)),
        )

    assert printed(destination) == f"3 auto\n1 {tmp_path / 'data'}\na run\n"
    # papermill's own cell counts as part of the parameters cell
    assert entered == [(1, 4), (2, 4), (2, 4), (3, 4), (4, 4)]
    assert [(cell.number, cell.source) for cell in times.cells] == [
        (2, 'dataset = "auto"'), (3, "import os, pathlib"), (4, "print(os.environ['TQDM_DISABLE'], os.environ['DIGITS_DATA_DIR'])"),
    ]  # fmt: skip
    assert 0 < sum(cell.seconds for cell in times.cells) < times.seconds < 60
    assert source.read_bytes() == stored
    assert [path.name for path in (tmp_path / "a run").iterdir()] == ["02_preprocess.ipynb"]
    text = destination.read_text(encoding="utf-8")
    assert str(tmp_path / "notebooks") not in text  # papermill's record of paths is gone
    assert '"papermill"' not in text
    assert '"epochs = 3\\n"' in text
    assert "network" not in text


def test_a_cell_that_fails_is_named_and_what_was_done_is_kept(tmp_path):
    source = write_lesson(tmp_path / "notebooks", "03", "print('before')", "# divide\nseed / 0", "print('after')")
    destination = tmp_path / "03_build_cnn.ipynb"
    with kernel_environment(), pytest.raises(LessonError) as caught:
        run_lesson(BY_NUMBER["03"], source.parent, destination, {"seed": 1})
    # the fourth cell of the stored notebook: heading, parameters, print, divide
    assert str(caught.value) == "Lesson 03 Build the CNN stopped in cell 4 (# divide): ZeroDivisionError: division by zero"
    assert printed(destination) == "before\n"
    assert [output.ename for cell in read(destination).cells for output in cell.get("outputs", []) if "ename" in output] == [
        "ZeroDivisionError"
    ]


def test_a_kernel_that_dies_is_named(tmp_path, capfd):
    source = write_lesson(tmp_path / "notebooks", "01", "print('before')", "import os\nos._exit(7)")
    destination = tmp_path / "01_explore_data.ipynb"
    with kernel_environment(), pytest.raises(LessonError) as caught:
        run_lesson(BY_NUMBER["01"], source.parent, destination, {})
    message = str(caught.value)
    assert message.startswith("Lesson 01 Explore the data stopped in cell 4 (import os): the kernel died;")
    assert "run again" in message
    assert printed(destination) == "before\n"
    assert capfd.readouterr().err == ""  # neither papermill nor the kernel adds to the one sentence


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT that one process can send to itself alone")
def test_an_interrupted_run_says_so_and_leaves_no_kernel(tmp_path):
    source = write_lesson(tmp_path / "notebooks", "01", "import os\nprint(os.getpid(), flush=True)", "import time\ntime.sleep(60)")
    destination = tmp_path / "01_explore_data.ipynb"

    def interrupt(cell, cells):
        if cell == 4:
            threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()

    started = time.monotonic()
    with kernel_environment(), pytest.raises(Interrupted, match="stopped in cell 4.*interrupted"):
        run_lesson(BY_NUMBER["01"], source.parent, destination, {}, interrupt)
    assert time.monotonic() - started < 30  # the cell would sleep for 60 s
    with pytest.raises(ProcessLookupError):
        os.kill(int(printed(destination)), 0)


def test_a_missing_notebook_is_one_sentence(tmp_path):
    with pytest.raises(LessonError, match="04_train.ipynb is not in .*complete copy of the project"):
        run_lesson(BY_NUMBER["04"], tmp_path, tmp_path / "x.ipynb", {})


def test_a_damaged_notebook_is_one_sentence(tmp_path):
    (tmp_path / "04_train.ipynb").write_text('{"cells": [', encoding="utf-8")
    with pytest.raises(LessonError, match="04_train.ipynb cannot be read") as caught:
        run_lesson(BY_NUMBER["04"], tmp_path, tmp_path / "x.ipynb", {})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x.ipynb").exists()


def test_declared_parameters(tmp_path):
    path = write_lesson(tmp_path, "01", "later = 1", parameters='dataset = "auto"\nseed: int = 0')
    assert declared_parameters(read_notebook(path)) == ["dataset", "seed"]


def test_the_environment_is_given_back(monkeypatch):
    monkeypatch.setenv("DIGITS_NETWORKS_DIR", "mine")
    monkeypatch.delenv("DIGITS_ARTIFACTS_DIR", raising=False)
    before = dict(os.environ)
    with pytest.raises(RuntimeError), kernel_environment(DIGITS_ARTIFACTS_DIR="there", DIGITS_NETWORKS_DIR=None):
        assert os.environ["DIGITS_ARTIFACTS_DIR"] == "there"
        assert "DIGITS_NETWORKS_DIR" not in os.environ
        assert os.environ["IPYTHONDIR"] != before.get("IPYTHONDIR")
        raise RuntimeError
    assert dict(os.environ) == before


def test_text_that_follows_text_is_joined():
    from nbformat.v4 import new_output

    def text(name, text):
        return new_output("stream", name=name, text=text)

    figure = new_output("display_data", data={"text/plain": "figure"})
    outputs = [text("stdout", "a"), text("stdout", "b"), text("stderr", "c"), figure, text("stderr", "d"), text("stderr", "e")]
    joined = join_streams(outputs)
    assert [output.get("text", "figure") for output in joined] == ["ab", "c", "figure", "de"]


def test_cleaning_keeps_what_the_author_wrote(tmp_path):
    notebook = read(write_lesson(tmp_path, "01", "1"))
    notebook.metadata |= {"papermill": {"input_path": "x"}, "widgets": {}, "language_info": {"name": "python", "version": "3"}}
    notebook.cells[2].metadata = {"papermill": {}, "execution": {}, "tags": []}
    cleaned = clean_notebook(notebook)
    assert set(cleaned.metadata) == {"kernelspec", "language_info"}
    assert cleaned.metadata.language_info == {"name": "python"}
    assert cleaned.cells[1].metadata.tags == ["parameters"]
    assert cleaned.cells[2].metadata == {}


@pytest.mark.parametrize("module", ["", ".parameters", ".series", ".report", ".refresh", ".navigation", ".cli"])
def test_importing_starts_nothing_heavy(module):
    heavy = "tensorflow keras matplotlib sklearn papermill nbconvert nbformat".split()
    code = f"import sys, digits_helpers{module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
