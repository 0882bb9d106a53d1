"""Checks that what a lesson shows in full is what the package does, and that lessons and list agree."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import digits_helpers
from digits_tools.lessons import LESSONS
from digits_tools.report.verdict import PUBLISHED

PROJECT = Path(__file__).parents[2]
# Functions that a lesson shows in full and the package holds for later lessons: lesson -> module -> names.
SHOWN = [
    ("02", "preprocess", "scale_images"),
    ("02", "preprocess", "one_hot"),
    ("03", "model", "build_linear"),
    ("03", "model", "build_mlp"),
    ("03", "model", "build_reference"),
    ("05", "evaluate", "wilson_interval"),
]


def notebook(number):
    (path,) = (PROJECT / "notebooks").glob(f"{number}_*.ipynb")
    return nbformat.read(path, as_version=4)


def function(source, name):
    """Find a function's definition, and strip what a lesson leaves out: docstring, annotations, checks that raise."""
    (found,) = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef) and node.name == name)
    if isinstance(found.body[0], ast.Expr) and isinstance(found.body[0].value, ast.Constant):
        found.body = found.body[1:]
    found.returns = None
    for argument in found.args.args:
        argument.annotation = None
    found.body = [line for line in found.body if not (isinstance(line, ast.If) and isinstance(line.body[0], ast.Raise))]
    return ast.unparse(found)


@pytest.mark.parametrize(("number", "module", "name"), SHOWN)
def test_a_function_shown_in_a_lesson_is_the_one_in_the_package(number, module, name):
    cells = [
        cell.source for cell in notebook(number).cells if cell.cell_type == "code" and f"def {name}(" in cell.source
    ]
    source = (Path(digits_helpers.__file__).parent / f"{module}.py").read_text(encoding="utf-8")
    assert function("\n".join(cells), name) == function(source, name)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.number)
def test_the_times_in_a_lesson_are_those_of_the_list(lesson):
    text = "\n".join(cell.source for cell in notebook(lesson.number).cells if cell.cell_type == "markdown")
    (line,) = re.findall(r"^\*\*Time\.\*\* .*$", text, flags=re.M)
    numbers = [int(number) for number in re.findall(r"(\d+) minutes? of", line)]
    assert numbers == [lesson.reading, lesson.running, lesson.exercises]


# Percentages in the prose that no cell of the lesson prints: what was computed for an exercise, comes from a source, or
# is an example to compute with. The rest has to stand in an output, so that a refresh which changes it is noticed.
OTHER_PERCENTAGES = {
    "01": {"75.8%", "81.9%", "88.8%", "91.8%"},
    "02": {"80.6%", "84.6%", "90.2%", "90.5%"},
    "03": set(),
    "04": set(),
    "05": {"98.8%", "99.0%", "99.2%", "0.9%"},
}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.number)
def test_a_result_in_the_prose_is_one_that_a_cell_shows(lesson):
    cells = notebook(lesson.number).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    shown = [output.get("text", "") + output.get("data", {}).get("text/markdown", "") for output in outputs]
    written = {text.replace(" ", "") for text in re.findall(r"\d+\.\d+ ?%", prose)}
    printed = {text.replace(" ", "") for text in re.findall(r"\d+\.\d+ ?%", "\n".join(shown))}
    assert written - OTHER_PERCENTAGES[lesson.number] <= printed


def test_progress_bars_leave_nothing_behind():
    for lesson in LESSONS:
        for cell in notebook(lesson.number).cells:
            for output in cell.get("outputs", []):
                assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
                assert "%|" not in output.get("text", "") + output.get("data", {}).get("text/plain", "")


def test_only_lesson_05_opens_the_test_set():
    """Before lesson 05 test images are counted, searched for duplicates and shown, but no network sees them."""
    for lesson in LESSONS:
        code = "\n".join(cell.source for cell in notebook(lesson.number).cells if cell.cell_type == "code")
        if lesson.number in ("02", "03", "04"):
            assert "test_images" not in code
            assert "test_labels" not in code
            assert "prepare_test" not in code
        if lesson.number == "05":
            assert code.count("prepare_test(") == 1
            assert code.count("evaluate(x_test") == 1


def test_lesson_and_readme_promise_what_the_report_judges_by():
    lesson = "\n".join(cell.source for cell in notebook("05").cells)
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    for quantity, (low, high) in PUBLISHED.items():
        assert f"{quantity} of {low * 100:.0f} to {high:.0%}" in lesson
        assert f"{quantity} {low * 100:.0f}–{high:.0%}" in readme


def test_the_expected_results_are_those_of_the_shipped_network():
    files = ["digits_tools/report/expected/mnist.json", "digits_helpers/networks/reference.json"]
    expected, shipped = (json.loads((PROJECT / path).read_text(encoding="utf-8")) for path in files)
    assert expected["network"]["weights_sha256"] == shipped["weights_sha256"]


@pytest.mark.slow
def test_one_epoch_on_the_embedded_digits_reaches_the_end(tmp_path):
    """README recommends one epoch to classes. After it, on few images, no answer is 99% sure, and the lessons hold."""
    command = [sys.executable, "-m", "digits_tools", "report", "--lessons", "04-05", "--dataset", "embedded"]
    done = subprocess.run(
        [*command, "--epochs", "1", "--output", str(tmp_path / "report")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert results["complete"] is True
    assert results["metrics"]["test_accuracy"]["n"] == 360
