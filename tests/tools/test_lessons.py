"""The list of the lessons, and how they are chosen."""

import subprocess
import sys

import pytest

from digits_tools.errors import InputError, NotebookError
from digits_tools.lessons import LESSONS, notebook_path, select_lessons


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
    with pytest.raises(InputError, match="from 01 to 05") as caught:
        select_lessons(text)
    assert repr(text) in str(caught.value)
    assert caught.value.exit_code == 2


def test_numbers_follow_each_other():
    assert [lesson.number for lesson in LESSONS] == [f"{position:02}" for position in range(1, len(LESSONS) + 1)]


def test_a_missing_notebook_is_named(tmp_path):
    with pytest.raises(NotebookError, match="04_train.ipynb is not in"):
        notebook_path(LESSONS[3], tmp_path)


def test_importing_starts_nothing_heavy():
    modules = [
        "parameters",
        "lessons",
        "notebook",
        "folders",
        "machine",
        "run",
        "report",
        "maintain",
        "cli",
        "sweep.cluster",
        "sweep.task",
    ]
    heavy = [
        "tensorflow",
        "keras",
        "matplotlib",
        "sklearn",
        "papermill",
        "nbconvert",
        "nbformat",
        "jsonschema",
        "dask",
        "distributed",
    ]
    imports = ", ".join(f"digits_tools.{module}" for module in modules)
    code = f"import sys, digits_tools.cli; assert 'numpy' not in sys.modules  # for digits --help\nimport {imports}\n"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
