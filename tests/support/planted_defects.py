"""Defects to plant in stored notebooks, one function each.

Each takes the code cells of a notebook, changes the outputs of every cell in which its defect makes sense, and returns
the ids of the cells it changed. They know nothing of the check that has to find them: what they read, they read with
expressions of their own.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from nbformat import NotebookNode
from nbformat.v4 import new_output
from PIL import Image

Cells = list[NotebookNode]


def _tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def _checked(cells: Cells) -> Iterator[NotebookNode]:
    return (cell for cell in cells if "nbval-ignore-output" not in _tags(cell))


def _exact(cells: Cells) -> Iterator[NotebookNode]:
    return (cell for cell in _checked(cells) if not _tags(cell) & {"close", "trained"})


def _texts(cell: NotebookNode) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each text that a cell shows: its kind, and the mapping and key that hold it."""
    for output in cell.outputs:
        if output.get("name") == "stdout":
            yield "stdout", output, "text"
        for kind in ("text/markdown", "text/plain"):
            if kind in output.get("data", {}):
                yield kind, output["data"], kind
                break  # the other one says the same in other words


def _edit_text(cells: Iterator[NotebookNode], edit: Callable[[str], str], kinds: tuple[str, ...] = ()) -> list[str]:
    """Edit the first text of each cell that `edit` changes; only texts of these kinds, if any is given."""
    changed = []
    for cell in cells:
        for kind, holder, key in _texts(cell):
            if (not kinds or kind in kinds) and edit(holder[key]) != holder[key]:
                holder[key] = edit(holder[key])
                changed.append(cell.id)
                break
    return changed


# Text


def shape_digit(cells: Cells) -> list[str]:
    """(60000, 28, 28) becomes (60000, 28, 29)."""

    def plus_one(match: re.Match) -> str:
        return re.sub(r"\d(?=\D*$)", lambda digit: str((int(digit[0]) + 1) % 10), match[0])

    return _edit_text(_exact(cells), lambda text: re.sub(r"\((?:\d+, )*\d+,?\)", plus_one, text, count=1))


def count_off_by_one(cells: Cells) -> list[str]:
    """5,421 becomes 5,422."""

    def plus_one(match: re.Match) -> str:
        number = int(match[0].replace(",", "")) + 1
        return f"{number:,}" if "," in match[0] else str(number)

    pattern = r"(?<![\w.,×-])(?:\d{1,3}(?:,\d{3})+|\d{2,})(?![\w.,×])(?! ?s\b)"
    return _edit_text(_exact(cells), lambda text: re.sub(pattern, plus_one, text, count=1))


def accuracy_half_a_point(cells: Cells) -> list[str]:
    """An accuracy of 99.13 % becomes 99.63 %, or one of 0.9913 becomes 0.9963; not that of a single epoch."""
    pattern = re.compile(r"(?<!val_)(?<!validation )(accuracy[^\d\n|]{0,20})(\d+\.\d+)(?=(\s?%)?)")

    def plus(match: re.Match) -> str:
        places = len(match[2].partition(".")[2])
        if places < (1 if match[3] else 3):
            return match[0]  # half a point does not show at this precision
        return f"{match[1]}{float(match[2]) + (0.5 if match[3] else 0.005):.{places}f}"

    return _edit_text(_checked(cells), lambda text: pattern.sub(plus, text))


def loss_a_third(cells: Cells) -> list[str]:
    """A loss of 0.0275 becomes 0.0367; not the validation loss of a single epoch, nor what is printed too coarsely."""
    pattern = re.compile(r"(?<!val_)(?<!validation )(loss[^\d\n|]{0,20})(\d+\.\d{3,})")

    def plus(match: re.Match) -> str:
        places = len(match[2].partition(".")[2])
        return match[0] if float(match[2]) < 0.01 else f"{match[1]}{4 / 3 * float(match[2]):.{places}f}"

    return _edit_text(_checked(cells), lambda text: pattern.sub(plus, text))


def number_in_a_sentence(cells: Cells) -> list[str]:
    """In a rendered sentence, 84 becomes 984."""

    def edit(text: str) -> str:
        return text if text.startswith("|") else re.sub(r"(?<![\w.,×-])(?=\d)", "9", text, count=1)

    return _edit_text(_checked(cells), edit, kinds=("text/markdown",))


def removed_output(cells: Cells) -> list[str]:
    """Each cell's last output is gone."""
    return [cell.id for cell in _checked(cells) if cell.outputs and cell.outputs.pop()]


def added_warning(cells: Cells) -> list[str]:
    """Each cell warns."""
    changed = []
    for cell in _checked(cells):
        cell.outputs.append(new_output("stream", name="stderr", text="cell.py:1: UserWarning: this is new\n"))
        changed.append(cell.id)
    return changed


# Figures


def _figures(cells: Iterator[NotebookNode]) -> Iterator[tuple[NotebookNode, NotebookNode]]:
    """Each figure: its cell and its output."""
    for cell in cells:
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                yield cell, output


def swapped_figures(cells: Cells) -> list[str]:
    """The first two figures that do not look the same change places, with all that is stored about them."""
    figures = list(_figures(_checked(cells)))
    for (cell, one), (other_cell, other) in zip(figures, figures[1:], strict=False):
        if one.data["image/png"] != other.data["image/png"]:
            one.data, other.data = other.data, one.data
            one.metadata, other.metadata = other.metadata, one.metadata
            return list(dict.fromkeys([cell.id, other_cell.id]))
    return []


def white_stripe(cells: Cells) -> list[str]:
    """In each exact cell's first figure, a stripe of its pixels becomes white, and nothing else changes."""
    changed = []
    for cell, output in _figures(_exact(cells)):
        picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).convert("RGB")
        pixels = np.array(picture)
        column = int((255 - pixels.mean(axis=2)).sum(axis=0).argmax())
        pixels[:, column] = 255
        if cell.id not in changed:
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, format="png")
            output.data["image/png"] = base64.b64encode(buffer.getvalue()).decode("ascii")
            changed.append(cell.id)
    return changed


def _edit_axes(cells: Cells, edit: Callable[[dict], bool]) -> list[str]:
    """Edit the first axes of each cell that `edit` changes, as the new figure's description would read."""
    changed = []
    for cell, output in _figures(_checked(cells)):
        for axes in output.metadata.get("nbval_tolerance", {}).get("axes", []):
            if cell.id not in changed and edit(axes):
                changed.append(cell.id)
    return changed


def _drawn(axes: dict, *kinds: str) -> list[dict]:
    """The artists of these kinds with more than two values: not a straight line that only guides the eye."""
    artists = [artist for artist in axes.get("artists", []) if artist["kind"] in kinds]
    return [artist for artist in artists if len(artist.get("data", {}).get("y", "").split()) > 2]


def _shift(artist: dict, places: int) -> None:
    values = artist["data"]["y"].split()
    artist["data"]["y"] = " ".join(values[-places:] + values[:-places])


def changed_axis_label(cells: Cells) -> list[str]:
    """A label, or the title, is another one."""

    def edit(axes: dict) -> bool:
        key = next((key for key in ("xlabel", "ylabel", "title") if axes.get(key)), None)
        axes.update({key: axes[key][::-1]} if key else {})
        return key is not None

    return _edit_axes(cells, edit)


def missing_line(cells: Cells) -> list[str]:
    """The last line is gone."""

    def edit(axes: dict) -> bool:
        lines = _drawn(axes, "line")
        axes["artists"] = [artist for artist in axes.get("artists", []) if not lines or artist is not lines[-1]]
        return bool(lines)

    return _edit_axes(cells, edit)


def missing_bar(cells: Cells) -> list[str]:
    """The last bar of a bar chart is gone."""

    def edit(axes: dict) -> bool:
        for bars in _drawn(axes, "bars")[:1]:
            bars["data"] = {key: values.rpartition(" ")[0] for key, values in bars["data"].items()}
            return True
        return False

    return _edit_axes(cells, edit)


def recoloured_lines(cells: Cells) -> list[str]:
    """Two lines are repainted in each other's colour."""

    def edit(axes: dict) -> bool:
        lines = _drawn(axes, "line")[:2]
        if len(lines) < 2 or lines[0]["color"] == lines[1]["color"]:
            return False
        lines[0]["color"], lines[1]["color"] = lines[1]["color"], lines[0]["color"]
        return True

    return _edit_axes(cells, edit)


def relabelled_line(cells: Cells) -> list[str]:
    """A line has another label."""

    def edit(axes: dict) -> bool:
        lines = [artist for artist in _drawn(axes, "line") if "label" in artist]
        for line in lines[:1]:
            line["label"] = "another"
        return bool(lines)

    return _edit_axes(cells, edit)


def cut_line(cells: Cells) -> list[str]:
    """A line lacks its last point."""

    def edit(axes: dict) -> bool:
        for line in _drawn(axes, "line")[:1]:
            line["data"] = {key: values.rpartition(" ")[0] for key, values in line["data"].items()}
            return True
        return False

    return _edit_axes(cells, edit)


def shifted_line(cells: Cells) -> list[str]:
    """The values of a line that is no straight one stand one place further to the right."""

    def edit(axes: dict) -> bool:
        for line in _drawn(axes, "line"):
            if len(set(line["data"]["y"].split())) > 2:
                _shift(line, 1)
                return True
        return False

    return _edit_axes(cells, edit)


def alt_text(cells: Cells) -> list[str]:
    """One word of each figure's alt text becomes another."""
    changed = []
    for cell, output in _figures(_checked(cells)):
        entry = output.metadata.get("image/png", {})
        if "alt" in entry:
            entry["alt"] = re.sub(r"[A-Za-z]{3,}", "another", entry["alt"], count=1)
            changed.append(cell.id)
    return list(dict.fromkeys(changed))


DEFECTS = {
    defect.__name__: defect
    for defect in (
        shape_digit, count_off_by_one, accuracy_half_a_point, loss_a_third, number_in_a_sentence, removed_output,
        added_warning, swapped_figures, white_stripe, changed_axis_label, missing_line, missing_bar, recoloured_lines,
        relabelled_line, cut_line, shifted_line, alt_text,
    )
}  # fmt: skip
