"""The structure of the stored notebooks: what can be checked without running them."""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from digits_tools.lessons import LESSONS
from nbval_tolerance.compare import comparison_class

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
KNOWN_TAGS = {
    "headline-figure",
    "parameters",
    "navigation",
    "close",
    "trained",
    "machine",
    "nbval-ignore-output",
    "nbval-check-output",
}
# Comments and tags by which nbval leaves something out
ESCAPES = re.compile(r"NBVAL_|PYTEST_VALIDATE|nbval-(?!ignore-output|check-output)|raises-exception", re.IGNORECASE)
# A path of a machine: a root folder or a drive, and something in it
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:root|home|Users|work|tmp|var|usr|opt|mnt|private)/\w|\b[A-Z]:\\+\w|~/")
MEGABYTE = 1_000_000

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    """Each output with the id of its cell."""
    return [(cell.id, output) for cell in code_cells(notebook) for output in cell.outputs]


def tags(cell):
    return cell.metadata.get("tags", [])


def texts(output):
    """Everything in an output that is text."""
    shown = [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return [*shown, output.get("text", ""), str(output.get("metadata", ""))]


def test_every_lesson_is_there():
    assert [path.name for path in NOTEBOOKS] == [lesson.notebook for lesson in LESSONS]


@every_notebook
def test_no_output_is_rewritten_after_it_was_shown(path):
    # nbval takes no notice of these messages, so it would compare the first version with the last
    for cell in code_cells(read(path)):
        assert not re.search(r"clear_output|display_id|update_display", cell.source), cell.id


def test_one_cell_of_the_series_escapes_comparison():
    escaped = [cell for path in NOTEBOOKS for cell in code_cells(read(path)) if "nbval-ignore-output" in tags(cell)]
    assert len(escaped) == 1
    assert set(tags(escaped[0])) == {"machine", "nbval-ignore-output"}


@every_notebook
def test_no_other_mark_leaves_a_cell_out(path):
    found = [
        cell.id for cell in read(path).cells if ESCAPES.search(cell.source) or ESCAPES.search(" ".join(tags(cell)))
    ]
    assert found == []


@every_notebook
def test_the_notebook_is_valid_and_has_unique_ids(path):
    notebook = read(path)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)


@every_notebook
def test_one_cell_holds_the_parameters(path):
    assert sum("parameters" in tags(cell) for cell in code_cells(read(path))) == 1


@every_notebook
def test_tags_are_known_and_give_one_class(path):
    for cell in read(path).cells:
        assert set(tags(cell)) <= KNOWN_TAGS, cell.id
        comparison_class(cell)  # raises if a cell has two


@every_notebook
def test_outputs_are_of_one_run_from_the_top(path):
    counts = [cell.execution_count for cell in code_cells(read(path))]
    assert counts == list(range(1, len(counts) + 1))


@every_notebook
def test_no_error_and_no_warning_is_stored(path):
    found = [
        name for name, output in outputs(read(path)) if output.output_type == "error" or output.get("name") == "stderr"
    ]
    assert found == []


@every_notebook
def test_no_output_shows_a_path_of_a_machine(path):
    found = [
        (name, match[0])
        for name, output in outputs(read(path))
        for text in texts(output)
        if (match := MACHINE_PATH.search(text))
    ]
    assert found == []


@every_notebook
def test_every_figure_has_alt_text_and_a_caption(path):
    for cell in code_cells(read(path)):
        # What follows each output; after the last comes nothing
        for output, following in pairwise([*cell.outputs, nbformat.from_dict({})]):
            if "image/png" not in output.get("data", {}):
                continue
            alt = output.metadata.get("image/png", {}).get("alt", "")
            assert len(alt) >= 20, f"{cell.id}: {alt!r}"
            assert following.get("data", {}).get("text/markdown"), f"{cell.id}: no caption after the figure"


@every_notebook
def test_only_png_figures_are_stored(path):
    # Other formats would be compared letter by letter. The HTML is the empty one that a summary of Keras leaves.
    kinds = {kind for _, output in outputs(read(path)) for kind in output.get("data", {})}
    assert kinds <= {"image/png", "text/plain", "text/markdown", "text/html"}


@every_notebook
def test_every_figure_says_what_it_draws(path):
    for name, output in outputs(read(path)):
        if "image/png" in output.get("data", {}):
            assert output.metadata.get("nbval_tolerance"), f"{name}: run digits refresh"


@every_notebook
def test_the_file_is_small(path):
    assert path.stat().st_size < 1.5 * MEGABYTE


@every_notebook
def test_no_volatile_metadata_are_stored(path):
    notebook = read(path)
    assert not {"papermill", "widgets"} & set(notebook.metadata)
    assert [cell.id for cell in notebook.cells if {"papermill", "execution"} & set(cell.metadata)] == []


@every_notebook
def test_links_to_files_lead_somewhere(path):
    links = [
        link
        for cell in read(path).cells
        if cell.cell_type == "markdown"
        for link in re.findall(r"\]\(([^)\s]+)\)", cell.source)
    ]
    local = [link.split("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    assert [link for link in local if not (FOLDER / link).exists()] == []
    assert local, "no navigation"


def test_figures_and_texts_are_there_to_be_checked():
    # The checks above pass on notebooks without outputs; these bounds are far below what five lessons show
    everything = [output for path in NOTEBOOKS for _, output in outputs(read(path))]
    assert sum("image/png" in output.get("data", {}) for output in everything) >= 10
    assert sum(output.output_type == "stream" for output in everything) >= 20
