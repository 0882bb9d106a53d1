"""The check on notebooks must be able to fail: planted defects are found, innocent changes pass.

A small notebook with the kinds of output that lessons have is run once. Then every defect is
planted in a copy of its stored outputs, each in the cell that is named after it, and the copy is
checked by pytest with nbval, as the lessons are. The same defects are planted in copies of the
real stored notebooks and found by comparing the notebooks, without running them again.
"""

import copy
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest
from digits_helpers.verify import (
    compare_text,
    comparison_class,
    load_tolerances,
    stale_cells,
    stamp_sources,
    verify_notebooks,
)
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from planted_defects import DEFECTS

PROJECT = Path(__file__).parents[1]
LESSONS = sorted((PROJECT / "notebooks").glob("*.ipynb"))

DRAWING = """
import base64, io, os, time
from pathlib import Path
from IPython.display import Markdown, display
from matplotlib.figure import Figure

def show(heights, label, finding):
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.subplots()
    axes.bar(range(len(heights)), heights)
    axes.set(xlabel=label, ylabel="images", ylim=(0, 7))
    put(figure, finding)
    display(Markdown(f"*{finding}*"))

def two_lines(losses):
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(losses, linewidth=2, label="training")
    axes.plot([4, 3, 2.5, 2.2, 2.1], linewidth=1, label="validation")
    axes.set(xlabel="epoch", ylabel="loss", ylim=(0, 7))
    axes.legend()
    return figure

def put(figure, finding="The loss falls."):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144, metadata={"Software": None})
    image = base64.b64encode(buffer.getvalue()).decode("ascii")
    words = [axes.get_xlabel() for axes in figure.axes]
    metadata = {"image/png": {"alt": finding}, "digits": {"words": words}}
    display({"image/png": image, "text/plain": finding}, metadata=metadata, raw=True)
"""
COUNTS = "[5.9, 6.7, 6.0, 6.1, 5.8, 5.4, 5.9, 6.3, 5.9, 5.9]"
FINDING = '"5 is the rarest class (5,421), 1 the most common (6,742)"'
# id of the cell: its source and its tags. A cell with a defect's name is where this defect is planted.
CELLS = {
    "parameters": ("epochs = 10", ["parameters"]),
    "drawing": (DRAWING, []),
    "shape_digit": ('print("images", (60000, 28, 28), "uint8")', []),
    "count_off_by_one": ('display(Markdown("| digit | images |\\n| --- | --- |\\n| 1 | 6,742 |\\n| 5 | 5,421 |"))', []),
    "accuracy_half_a_point": ('print("epoch 10  training accuracy 0.9851  validation accuracy 0.9913")', ["trained"]),
    "loss_a_fifth": ('print("after 10 epochs: test loss 0.0275")', ["trained"]),
    "swapped_figures": (f'show({COUNTS}, "digit", {FINDING})\nshow([1, 2, 3], "digit", "3 is the largest one")', []),
    "missing_bar": (f'show({COUNTS}, "digit", {FINDING})', []),
    "missing_line": ('put(two_lines([5, 3, 2, 1.5, 1.2]))', ["trained"]),
    "changed_axis_label": (f'show({COUNTS}, "digit", {FINDING})', ["close"]),
    "removed_output": ('print("one")\ndisplay(Markdown("two"))', []),
    "added_warning": ('print("quiet")', []),
    "number_in_a_sentence": ('display(Markdown("The network makes **84 errors** on 10,000 images."))', ["close"]),
    "alt_text": (f'show({COUNTS}, "digit", {FINDING})', []),
    "stale_source": ("print(6 * 7)", []),
    "lost_count": ("print(6 * 8)", []),
    "noise": ('print("probability 0.500000000 with loss 0.02750000")', ["close"]),
    "training": ('print("accuracy 99.13 % with loss 0.0275")', ["trained"]),
    "training_figure": ('put(two_lines([5, 3, 2, 1.5, 1.2]))', ["trained"]),
    "training_figure_elsewhere": ('put(two_lines([4.9, 3.1, 1.9, 1.6, 1.1]))', ["trained"]),
    "machine": ('print(time.time(), Path.cwd(), os.getpid())', ["machine", "nbval-ignore-output"]),
    "folder": ('Path("note.txt").write_text("x"); print(Path("note.txt").read_text())', []),
}  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The small notebook, run once, in a folder of its own."""
    cells = [new_code_cell(source, id=name, metadata={"tags": tags}) for name, (source, tags) in CELLS.items()]
    notebook = new_notebook(cells=cells)
    folder = tmp_path_factory.mktemp("stored")
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
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
    cell_of(notebook, "stale_source").source = "print(6 * 9)"
    lost = cell_of(notebook, "lost_count")  # cleared by hand: nbval alone takes such a cell for one that never ran
    lost.outputs, lost.execution_count = [], None
    return notebook


def with_innocent_changes(stored):
    """A copy with what another machine may change: rounding noise, and how a training ends."""
    notebook = copy.deepcopy(stored)
    noise, training = (cell_of(notebook, name).outputs[0] for name in ("noise", "training"))
    # 9e-7 is the largest difference of a probability that was measured over instruction sets
    noise.text = "probability 0.500000900 with loss 0.02750001\n"
    # 84 and 89 errors of 10,000 were measured for the same seed on two kinds of machine
    training.text = "accuracy 99.08 % with loss 0.0281\n"
    cell_of(notebook, "training_figure").outputs = cell_of(stored, "training_figure_elsewhere").outputs
    return notebook


@pytest.fixture(scope="module")
def checked(stored, tmp_path_factory):
    """What pytest says about both copies: notebook -> cell id -> None, or the text of the failure."""
    folder = tmp_path_factory.mktemp("a folder with a space and an ü")
    notebooks = {"defects": with_defects(stored), "innocent": with_innocent_changes(stored)}
    for name, notebook in notebooks.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    paths = [str(PROJECT / "tests"), os.environ.get("PYTHONPATH", "")]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "nbval_tolerant", "--nbval", "--color=no", "--junitxml=report.xml", "."],
        cwd=folder, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True, timeout=300,
    )  # fmt: skip
    results = {name: {} for name in notebooks}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        notebook = next(name for name in notebooks if name in case.get("classname"))
        cell = notebooks[notebook].cells[int(case.get("name").removeprefix("Cell "))]
        failure = next((child for child in case if child.tag in ("failure", "error")), None)
        results[notebook][cell.id] = None if failure is None else failure.text
    results["folder"] = folder
    return results


# What the report has to say about the defect: enough to know what is wrong without looking
REPORTS = {
    "shape_digit": "label: stored 29, new 28, difference -1, tolerance 0, has to be equal (exact)",
    "count_off_by_one": "label: stored 6,743, new 6,742, difference -1, tolerance 0, has to be equal (exact)",
    "accuracy_half_a_point": "accuracy: stored 0.9901, new 0.9851, difference -0.005, tolerance 0.004 (trained)",
    "loss_a_fifth": "loss: stored 0.0330, new 0.0275, difference -0.0055, tolerance 0.00495 (trained)",
    "swapped_figures": "output 3, image/png: figure: difference",
    "missing_bar": "output 1, image/png: figure: difference",
    "missing_line": "output 1, image/png: figure: difference",
    "changed_axis_label": "output 1, image/png: figure: difference",
    "removed_output": "output 2: additional: display_data text/markdown, text/plain",
    "added_warning": "output 2: additional: stream stderr",
    "number_in_a_sentence": "errors: stored 984, new 84, difference -900, tolerance 0, has to be equal (close)",
    "alt_text": "alt text of image/png: text differs",
    "stale_source": "stored 42, new 54",
    "lost_count": "output 1: additional: stream stdout '48'",
}


@pytest.mark.parametrize("defect", REPORTS)
def test_nbval_finds_the_defect_and_names_it(defect, checked):
    failure = checked["defects"][defect]
    assert failure is not None, f"{defect} was not found"
    assert REPORTS[defect] in failure
    assert f"(id {defect})" in failure


def test_nbval_passes_the_cells_without_defect(checked):
    failed = {name for name, failure in checked["defects"].items() if failure is not None}
    assert failed == set(REPORTS)


def test_nbval_passes_what_is_innocent(checked):
    # rounding noise, another end of training, a wall time, another working directory
    assert checked["innocent"] == dict.fromkeys(CELLS)


def test_failed_figures_leave_pictures(checked):
    names = {path.name for path in (checked["folder"] / "build" / "figures").iterdir()}
    for kind in ("expected", "actual", "difference"):
        assert f"defects-missing_bar-output1-{kind}.png" in names
    assert (
        str(checked["folder"] / "build" / "figures" / "defects-missing_bar-output1")
        in checked["defects"]["missing_bar"]
    )


# ---------------------------------------------------------------------------------------------
# Comparing two notebooks, without a run


def found_in(stored, changed, folder):
    """Compare both ways; return the ids of cells in which both comparisons found something."""
    paths = [folder / "stored.ipynb", folder / "changed.ipynb"]
    for path, notebook in zip(paths, (stored, changed)):
        nbformat.write(notebook, path)
    tolerances = load_tolerances()
    places = [[one.place for one in verify_notebooks(*order, tolerances)] for order in (paths, paths[::-1])]
    ids = [cell.id for cell in stored.cells]
    return {one for one in ids if all(any(f"(id {one})" in place for place in found) for found in places)}


@pytest.mark.parametrize("defect", DEFECTS)
def test_comparing_finds_the_defect(defect, stored, tmp_path):
    changed = copy.deepcopy(stored)
    planted = DEFECTS[defect](changed.cells)
    assert defect in planted
    assert found_in(stored, changed, tmp_path) == set(planted)


def test_comparing_passes_what_is_innocent(stored, tmp_path):
    changed = with_innocent_changes(stored)
    cell_of(changed, "machine").outputs[0].text = "1700000000.0 /somewhere/else 1\n"
    assert found_in(stored, changed, tmp_path) == set()


def test_an_edited_source_is_stale_even_if_its_output_is_the_same(stored):
    stamped = copy.deepcopy(stored)
    stamp_sources(stamped)
    assert stale_cells(stamped) == []
    cell_of(stamped, "noise").source += "  # edited"
    assert "(id noise)" in str(stale_cells(stamped)[0])


# ---------------------------------------------------------------------------------------------
# The real lessons


def test_there_are_lessons():
    assert LESSONS, "no notebooks in notebooks/: the defects below were planted nowhere"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_equals_itself(lesson):
    assert verify_notebooks(lesson, lesson) == []


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_defect_is_found_in_every_lesson(defect, tmp_path):
    somewhere = []
    for lesson in LESSONS:
        stored = nbformat.read(lesson, as_version=4)
        changed = copy.deepcopy(stored)
        planted = DEFECTS[defect]([cell for cell in changed.cells if cell.cell_type == "code"])
        assert found_in(stored, changed, tmp_path) == set(planted), lesson.name
        somewhere += planted
    assert somewhere, f"{defect} could not be planted in any lesson"


# What to look for, how to change it in one place alone, and the only places where that may stay unseen: validation
# accuracies of single epochs, of which the mean is printed as well, and losses printed with two digits or one.
ONE_BY_ONE = {
    "half a point of accuracy": (
        r"accuracy[^\d\n|]{0,20}?(\d+\.\d{1,2})(?=%)", lambda value: value + 0.5, r"validation accuracy \d",
    ),
    "a fifth of a loss": (
        r"loss[^\d\n|]{0,20}?(\d+\.\d+)(?!\d|%)", lambda value: value * 1.2, r"loss (\d\.\d|0\.\d\d|0\.00\d)$",
    ),
}  # fmt: skip


@pytest.mark.parametrize("defect", ONE_BY_ONE)
def test_the_defect_is_found_in_every_single_place(defect):
    pattern, change, may_be_missed = ONE_BY_ONE[defect]
    tolerances = load_tolerances()
    planted, missed = 0, []
    for lesson in LESSONS:
        for cell in nbformat.read(lesson, as_version=4).cells:
            for output in cell.get("outputs", []) if "nbval-ignore-output" not in cell.metadata.get("tags", []) else []:
                text = output.get("text") or output.get("data", {}).get("text/markdown", "")
                for place in re.finditer(pattern, text):
                    number = place[1]
                    new = f"{change(float(number)):.{len(number.partition('.')[2])}f}"
                    changed = text[: place.start(1)] + new + text[place.end(1) :]
                    planted += 1
                    if not compare_text(text, changed, comparison_class(cell), tolerances):
                        missed.append(text[max(0, place.start() - 12) : place.end()].rpartition("\n")[2])
    assert planted - len(missed) > 10, "hardly any place was found to plant it"
    assert [where for where in missed if not re.search(may_be_missed, where)] == []


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_an_edited_source_of_a_lesson_is_stale(lesson):
    notebook = nbformat.read(lesson, as_version=4)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    codes[1].source += "\n# edited"
    assert {f"(id {cell.id})" in " ".join(map(str, stale_cells(notebook))) for cell in codes[1:]} == {True}
