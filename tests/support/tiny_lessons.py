"""Notebooks of a few cells, named like the lessons, for tests of what runs and links them."""

from pathlib import Path

import nbformat

from digits_tools.lessons import LESSONS

PARAMETERS = 'dataset = "auto"\nseed = 0\nepochs = 10\nbatch_size = 128'
PARAMETERS_05 = 'dataset = "auto"\nnetwork = "shipped"'
BY_NUMBER = {lesson.number: lesson for lesson in LESSONS}


def write_lesson(folder: Path, number: str, *sources: str, parameters: str = PARAMETERS) -> Path:
    """Write one lesson: a heading, the parameters cell, then a code cell for each source."""
    lesson = BY_NUMBER[number]
    new = nbformat.v4
    cells = [
        new.new_markdown_cell(f"# {lesson.title}", id="title"),
        new.new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
        *(new.new_code_cell(source, id=f"cell-{index}") for index, source in enumerate(sources)),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = new.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    folder.mkdir(exist_ok=True)
    path = folder / lesson.notebook
    path.write_text(nbformat.writes(notebook), encoding="utf-8")
    return path


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook."""
    return nbformat.read(path, as_version=4)


def printed(path: Path) -> str:
    """Everything that the cells of a notebook print."""
    outputs = [output for cell in read(path).cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")
