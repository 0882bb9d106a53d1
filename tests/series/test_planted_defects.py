"""The check on notebooks must be able to fail: planted defects are found, innocent changes pass.

A small notebook with the kinds of output that lessons have is run once. Then every defect is planted in a copy of its
stored outputs, each in the cell that is named after it, and the copy is checked by pytest with nbval, as the lessons
are. The same defects are planted in copies of the real stored notebooks, and found by comparing the notebooks without
running them again.
"""

import copy
import functools
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from planted_defects import DEFECTS

from nbval_tolerance import compare_cell, compare_notebooks, comparison_class, load_tolerances

PROJECT = Path(__file__).parents[2]
LESSONS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
TOLERANCES = PROJECT / "digits_tools" / "tolerances.toml"

DRAWING = """%matplotlib inline
import os, time
from pathlib import Path
from IPython.display import Markdown, display
from matplotlib.figure import Figure

def bars(heights, label="digit", finding="1 is the most common class (6,742 images)"):
    figure = Figure(figsize=(4, 3))
    figure.subplots().bar(range(len(heights)), heights)
    figure.axes[0].set(xlabel=label, ylabel="images")
    display(figure, metadata={"image/png": {"alt": finding}})
    display(Markdown(f"*{finding}*"))

def curves(training=(0.9, 0.5, 0.3, 0.2), validation=(0.95, 0.7, 0.55, 0.5)):
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.plot([1, 2, 3, 4], training, label="training")
    axes.plot([1, 2, 3, 4], validation, label="validation")
    axes.set(xlabel="epoch", ylabel="loss")
    axes.legend()
    return figure
"""
LOG = "422/422 - {}s - {}ms/step - accuracy: 0.98{} - loss: 0.0{} - val_accuracy: 0.99{} - val_loss: 0.03{}"
# id of the cell: its source and its tags. A cell with a defect's name is where this defect is planted.
CELLS = {
    "drawing": (DRAWING, []),
    "shape_digit": ('print("images", (60000, 28, 28), "uint8")', []),
    "count_off_by_one": ('display(Markdown("| digit | images |\\n| --- | --- |\\n| 1 | 6,742 |\\n| 5 | 5,421 |"))', []),
    "accuracy_half_a_point": ('print("epoch 10  training accuracy 0.9851")', ["trained"]),
    "loss_a_third": ('print("after 10 epochs: test loss 0.0275")', ["trained"]),
    "number_in_a_sentence": ('display(Markdown("The network makes **84 errors** on 10,000 images."))', ["close"]),
    "removed_output": ('print("one")\ndisplay(Markdown("two"))', []),
    "added_warning": ('print("quiet")', []),
    "swapped_figures": ("bars([5, 6, 7])\nbars([1, 2, 3])", []),
    "white_stripe": ("bars([5, 6, 7])", []),
    "changed_axis_label": ("bars([5, 6, 7])", ["close"]),
    "missing_line": ("curves()", ["trained"]),
    "missing_bar": ("bars([5, 6, 7])", ["trained"]),
    "recoloured_lines": ("curves()", ["trained"]),
    "relabelled_line": ("curves()", ["trained"]),
    "cut_line": ("curves()", ["trained"]),
    "shifted_line": ("curves()", ["trained"]),
    "alt_text": ("bars([5, 6, 7])", []),
    "other_source": ("print(6 * 7)", []),
    "noise": ('print("probability 0.500000000 with loss 0.02750000")', ["close"]),
    "training": ('print("accuracy 99.13 % with loss 0.0275")', ["trained"]),
    "log": (f'print("{LOG.format(36, 85, 51, 31, 13, 33)}")', ["trained"]),
    "training_figure": ("curves()", ["trained"]),
    "training_figure_elsewhere": ("curves((0.91, 0.48, 0.31, 0.22), (0.97, 0.8, 0.5, 0.52))", ["trained"]),
    "duration": ('print(f"trained in {time.perf_counter():.1f} s"); object()', []),
    "machine": ("print(time.time(), Path.cwd(), os.getpid())", ["machine", "nbval-ignore-output"]),
    "folder": ('print(os.listdir()); Path("note.txt").write_text("x");', []),
}  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The small notebook, run once, in a folder of its own."""
    cells = [new_code_cell(source, id=name, metadata={"tags": tags}) for name, (source, tags) in CELLS.items()]
    notebook = new_notebook(cells=cells)
    NotebookClient(
        notebook,
        kernel_name="python3",
        extra_arguments=["--InteractiveShellApp.extensions=nbval_tolerance"],
        resources={"metadata": {"path": str(tmp_path_factory.mktemp("stored"))}},
    ).execute()
    return notebook


def cell_of(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def with_defects(stored):
    """A copy with each defect planted in the cell of its name."""
    notebook = copy.deepcopy(stored)
    for name, plant in DEFECTS.items():
        if name == "added_warning":  # a warning that the new run brings: the stored outputs have none
            cell_of(notebook, name).source += '\nimport warnings; warnings.warn("this is new")'
        else:
            assert plant([cell_of(notebook, name)]) == [name]
    cell_of(notebook, "other_source").source = "print(6 * 9)"
    return notebook


def with_innocent_changes(stored):
    """A copy with what another machine may change: rounding noise, how a training ends, how long it takes."""
    notebook = copy.deepcopy(stored)
    texts = {
        # 9e-7 is the largest difference of a probability that was measured over instruction sets
        "noise": "probability 0.500000900 with loss 0.02750001",
        # 84 and 89 errors of 10,000 were measured for the same seed on two kinds of machine
        "training": "accuracy 99.08 % with loss 0.0281",
        "log": LOG.format(121, 286, 55, 33, 10, 41),
    }
    for name, text in texts.items():
        cell_of(notebook, name).outputs[0].text = text + "\n"
    cell_of(notebook, "training_figure").outputs = cell_of(stored, "training_figure_elsewhere").outputs
    return notebook


@pytest.fixture(scope="module")
def checked(stored, tmp_path_factory):
    """What pytest says about both copies: notebook -> cell id -> None, or the text of the failure."""
    folder = tmp_path_factory.mktemp("a folder with a space and an ü")
    notebooks = {"defects": with_defects(stored), "innocent": with_innocent_changes(stored)}
    for name, notebook in notebooks.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    settings = f"[pytest]\nnbval_tolerance_file = {TOLERANCES}\nnbval_tolerance_workdir = temporary\n"
    (folder / "pytest.ini").write_text(settings, encoding="utf-8")
    options = ["--nbval", "--color=no", "--junitxml=report.xml", "-p", "no:cacheprovider", "."]
    subprocess.run([sys.executable, "-m", "pytest", *options], cwd=folder, capture_output=True, timeout=300)
    results = {name: {} for name in notebooks}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        notebook = next(name for name in notebooks if name in case.get("classname"))
        cell = notebooks[notebook].cells[int(case.get("name").removeprefix("Cell "))]
        failure = next((child for child in case if child.tag in ("failure", "error")), None)
        results[notebook][cell.id] = None if failure is None else failure.text
    return {**results, "folder": folder}


# What the report has to say about the defect: enough to know what is wrong without looking
REPORTS = {
    "shape_digit": "label: stored 29, new 28, difference -1, tolerance 0, has to be equal (exact)",
    "count_off_by_one": "label: stored 6,743, new 6,742, difference -1, tolerance 0, has to be equal (exact)",
    "accuracy_half_a_point": "accuracy: stored 0.9901, new 0.9851, difference -0.005, tolerance 0.004 (trained)",
    "loss_a_third": "loss: stored 0.0367, new 0.0275, difference -0.0092, tolerance 0.00734 (trained)",
    "number_in_a_sentence": "errors: stored 984, new 84, difference -900, tolerance 0, has to be equal (close)",
    "removed_output": "output 2: additional: display_data text/markdown text/plain",
    "added_warning": "output 1: additional: stream stderr",
    "swapped_figures": "output 3, figure, bars, y, value 1 of 3: label: stored 5, new 1",
    "white_stripe": "pixels differ between columns",
    "changed_axis_label": "figure, xlabel: text differs: stored 'tigid', new 'digit'",
    "missing_line": "figure: line 'validation' is additional",
    "missing_bar": "figure, bars, x: 2 values stored, 3 new",
    "recoloured_lines": "figure, line 'training', color: stored #ff7f0e, new #1f77b4",
    "relabelled_line": "figure, line 'another', label: text differs: stored 'another', new 'training'",
    "cut_line": "figure, line 'training', x: 3 values stored, 4 new",
    "shifted_line": "figure, line 'training', y, value 1 of 4: loss: stored 0.2, new 0.9",
    "alt_text": "alt text of image/png: text differs",
    "other_source": "stored 42, new 54",
}


@pytest.mark.parametrize("defect", REPORTS)
def test_nbval_finds_the_defect_and_names_it(defect, checked):
    failure = checked["defects"][defect]
    assert failure is not None, f"{defect} was not found"
    assert REPORTS[defect] in failure
    assert f"(id {defect})" in failure


def test_nbval_passes_the_cells_without_defect(checked):
    assert {name for name, failure in checked["defects"].items() if failure is not None} == set(REPORTS)


def test_nbval_passes_what_is_innocent(checked):
    assert checked["innocent"] == dict.fromkeys(CELLS)


def test_failed_figures_leave_pictures(checked):
    folder = checked["folder"] / "build" / "figures"
    for kind in ("expected", "actual", "difference"):
        assert (folder / f"defects-white_stripe-output1-{kind}.png").is_file()
    assert str(folder / "defects-white_stripe-output1") in checked["defects"]["white_stripe"]


# Comparing two notebooks, without a run


def found_in(stored, changed):
    """Compare both ways; return the ids of cells in which both comparisons found something."""
    tolerances = load_tolerances(TOLERANCES)
    found = set()
    for pair in zip(stored.cells, changed.cells, strict=True):
        if pair[0].cell_type == "code" and pair[0].outputs != pair[1].outputs:
            kind = comparison_class(pair[0], tolerances)
            orders = [[cell.outputs for cell in order] for order in (pair, pair[::-1])]
            found |= {pair[0].id} if all(compare_cell(*order, kind, tolerances) for order in orders) else set()
    return found


@pytest.mark.parametrize("defect", DEFECTS)
def test_comparing_finds_the_defect_wherever_it_is_planted(defect, stored):
    changed = copy.deepcopy(stored)
    planted = DEFECTS[defect](changed.cells)
    assert defect in planted
    assert found_in(stored, changed) == set(planted)


def test_comparing_passes_what_is_innocent(stored):
    changed = with_innocent_changes(stored)
    cell_of(changed, "machine").outputs[0].text = "1700000000.0 /somewhere/else 1\n"
    assert found_in(stored, changed) == set()


# The real lessons


@functools.cache
def notebooks():
    return {lesson: nbformat.read(lesson, as_version=4) for lesson in LESSONS}


def test_there_are_lessons():
    assert LESSONS, "no notebooks in notebooks/: the defects below were planted nowhere"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_equals_itself(lesson):
    assert compare_notebooks(lesson, lesson, load_tolerances(TOLERANCES)) == []


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_defect_is_found_in_every_lesson(defect):
    somewhere = []
    for lesson, stored in notebooks().items():
        changed = copy.deepcopy(stored)
        planted = DEFECTS[defect]([cell for cell in changed.cells if cell.cell_type == "code"])
        assert found_in(stored, changed) == set(planted), lesson.name
        somewhere += planted
    assert somewhere, f"{defect} could not be planted in any lesson"


# What to look for and how to change it, in one place at a time. The results of single epochs have wider tolerances.
ONE_BY_ONE = {
    "half a point of accuracy": (
        r"(?<!val_)(?<!validation )accuracy[^\d\n|]{0,20}?(\d+\.\d{1,2})(?=%)",
        lambda value: value + 0.5,
    ),
    "a third of a loss": (
        r"(?<!val_)(?<!validation )loss[^\d\n|]{0,20}?(?!0\.00)(\d+\.\d{3,})(?!%)",
        lambda value: value * 4 / 3,
    ),
}


@pytest.mark.parametrize("defect", ONE_BY_ONE)
def test_the_defect_is_found_in_every_single_place(defect):
    pattern, change = ONE_BY_ONE[defect]
    tolerances = load_tolerances(TOLERANCES)
    planted, missed = 0, []
    for lesson in LESSONS:
        for cell in notebooks()[lesson].cells:
            for output in cell.get("outputs", []) if "nbval-ignore-output" not in cell.metadata.get("tags", []) else []:
                holder, key = (output, "text") if "text" in output else (output.get("data", {}), "text/markdown")
                text = holder.get(key, "")
                for place in re.finditer(pattern, text):
                    new = f"{change(float(place[1])):.{len(place[1].partition('.')[2])}f}"
                    changed = copy.deepcopy(output)
                    (changed if "text" in output else changed.data)[key] = (
                        text[: place.start(1)] + new + text[place.end(1) :]
                    )
                    planted += 1
                    if not compare_cell([output], [changed], comparison_class(cell), tolerances):
                        missed.append(text[max(0, place.start() - 12) : place.end()].rpartition("\n")[2])
    assert planted > 10, "hardly any place was found to plant it"
    assert missed == []
