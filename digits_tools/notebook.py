"""Notebooks as files: read, cleaned of what running adds, written."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits_tools.errors import InputError, NotebookError
from digits_tools.folders import atomic_write

if TYPE_CHECKING:
    from nbformat import NotebookNode  # slow to import: functions do so when they need it

    from nbval_tolerance import Tolerances

TOLERANCES = Path(__file__).with_name("tolerances.toml")


def load_series_tolerances() -> Tolerances:
    """Load how far the numbers of the series may move; InputError where the file is missing or wrong."""
    from nbval_tolerance import ToleranceError, load_tolerances

    try:
        return load_tolerances(TOLERANCES)
    except ToleranceError as error:
        raise InputError(str(error)) from error


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook.

    Raises:
        NotebookError: the file is missing or damaged.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, AttributeError, KeyError, nbformat.ValidationError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NotebookError(f"The notebook {path.name} cannot be read ({reason}): get a fresh copy of it.") from error


def notebook_text(notebook: NotebookNode) -> str:
    """Turn a notebook into the text of its file, always in the same form, with a line end at the end."""
    import nbformat

    return nbformat.writes(notebook).rstrip("\n") + "\n"


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all; OSError where the folder cannot be written."""
    atomic_write(path, notebook_text(notebook))


def has_tag(cell: NotebookNode, tag: str) -> bool:
    """Tell whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def figure_text(output: NotebookNode) -> str | None:
    """Return the alternative text of a cell's output; None for an output that is no figure."""
    about = output.get("metadata", {}).get("image/png", {})
    return about.get("alt") if "image/png" in output.get("data", {}) else None


def declared_parameters(notebook: NotebookNode) -> list[str]:
    """List the names that the notebook's cell tagged `parameters` assigns, in order."""
    source = "\n".join(cell.source for cell in notebook.cells if has_tag(cell, "parameters"))
    try:
        assignments = [line for line in ast.parse(source).body if isinstance(line, ast.Assign)]
    except SyntaxError:  # the lesson will stop there and say it
        return []
    return [target.id for line in assignments for target in line.targets if isinstance(target, ast.Name)]


def given_parameters(notebook: NotebookNode, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Choose, of the parameters of a run, those that the notebook declares; papermill only warns about others."""
    declared = declared_parameters(notebook)
    return {name: value for name, value in parameters.items() if name in declared}


def clean_notebook(notebook: NotebookNode) -> NotebookNode:
    """Remove, in place, what running adds and nobody reads: papermill's records (with paths), times, versions, widgets."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]  # papermill gives every cell an empty list
        if cell.cell_type == "code":
            cell.outputs = _join_streams(cell.outputs)
    return notebook


def _join_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join text outputs that follow each other: how a kernel cuts its text into messages is a matter of timing."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined
