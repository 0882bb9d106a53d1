"""Defects to plant in stored notebooks, one function each.

Each takes the code cells of a notebook, changes the outputs (or sources) of every cell in which
its defect makes sense, and returns the ids of the cells it changed. They know nothing of the
check that has to find them: what they read, they read with expressions of their own.
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
from scipy.ndimage import binary_dilation

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


def _pictures(cells: Iterator[NotebookNode]) -> Iterator[tuple[NotebookNode, dict[str, Any]]]:
    """Each figure: its cell, and the output's data."""
    for cell in cells:
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                yield cell, output["data"]


def _decoded(data: dict[str, Any]) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB"))


def _encoded(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def shape_digit(cells: Cells) -> list[str]:
    """(60000, 28, 28) becomes (60000, 28, 29)."""
    pattern = re.compile(r"\((?:\d+, )*\d+,?\)")

    def edit(text: str) -> str:
        return pattern.sub(
            lambda match: re.sub(r"\d(?=\D*$)", lambda digit: str((int(digit[0]) + 1) % 10), match[0]), text, count=1
        )

    return _edit_text(_exact(cells), edit)


def count_off_by_one(cells: Cells) -> list[str]:
    """5,421 becomes 5,422."""

    def edit(text: str) -> str:
        def plus_one(match: re.Match) -> str:
            number = int(match[0].replace(",", "")) + 1
            return f"{number:,}" if "," in match[0] else str(number)

        return re.sub(
            r"(?<![\w.,×-])\d{1,3}(?:,\d{3})+(?![\w.,×])|(?<![\w.,×-])\d{2,}(?![\w.,×])", plus_one, text, count=1
        )

    return _edit_text(_exact(cells), edit)


def accuracy_half_a_point(cells: Cells) -> list[str]:
    """An accuracy of 99.13 % becomes 99.63 %, or one of 0.9913 becomes 0.9963."""
    pattern = re.compile(r"(accuracy[^\d\n|]{0,20})(\d+\.\d+)(?=(\s?%)?)")

    def edit(text: str) -> str:
        def plus(match: re.Match) -> str:
            places = len(match[2].partition(".")[2])
            if places < (1 if match[3] else 3):
                return match[0]  # half a point does not show at this precision
            return f"{match[1]}{float(match[2]) + (0.5 if match[3] else 0.005):.{places}f}"

        return pattern.sub(plus, text)

    return _edit_text(_checked(cells), edit)


def loss_a_fifth(cells: Cells) -> list[str]:
    """A loss of 0.0275 becomes 0.0330; below 0.01 a fifth is hardly more than what printing rounds."""
    pattern = re.compile(r"(loss[^\d\n|]{0,20})(\d+\.\d{3,})")

    def edit(text: str) -> str:
        def plus(match: re.Match) -> str:
            places = len(match[2].partition(".")[2])
            return match[0] if float(match[2]) < 0.01 else f"{match[1]}{1.2 * float(match[2]):.{places}f}"

        return pattern.sub(plus, text)

    return _edit_text(_checked(cells), edit)


def swapped_figures(cells: Cells) -> list[str]:
    """The first two figures that do not look the same change places."""
    figures = list(_pictures(_checked(cells)))
    for (cell, one), (other_cell, other) in zip(figures, figures[1:]):
        if one["image/png"] != other["image/png"]:
            one["image/png"], other["image/png"] = other["image/png"], one["image/png"]
            return list(dict.fromkeys([cell.id, other_cell.id]))
    return []


def missing_bar(cells: Cells) -> list[str]:
    """In each cell's first figure, the upright stripe with the most ink, a fifteenth of the width, becomes white."""
    changed = []
    for cell, data in _pictures(_checked(cells)):
        pixels = _decoded(data)
        top, bottom, width = len(pixels) // 8, len(pixels) * 3 // 4, pixels.shape[1] // 15
        ink = (255 - pixels[top:bottom].mean(axis=2)).sum(axis=0)
        left = int(np.convolve(ink, np.ones(width), mode="valid").argmax())
        pixels[top:bottom, left : left + width] = 255
        if cell.id not in changed:
            data["image/png"] = _encoded(pixels)
            changed.append(cell.id)
    return changed


def missing_line(cells: Cells) -> list[str]:
    """In each cell's first figure that a training drew, the line of the most frequent colour is gone.

    A frame around a row of a heat map is no line: it is lower than a tenth of the picture.
    """
    changed = []
    for cell, data in _pictures(cell for cell in _checked(cells) if "trained" in _tags(cell)):
        pixels = _decoded(data)
        coloured = pixels[np.ptp(pixels, axis=2) > 60]
        if cell.id in changed or not len(coloured):
            continue
        colours, counts = np.unique(coloured, axis=0, return_counts=True)
        line = np.abs(pixels.astype(int) - colours[counts.argmax()]).max(axis=2) < 60
        if np.ptp(np.flatnonzero(line.any(axis=1))) > len(pixels) / 10:
            pixels[binary_dilation(line, iterations=4)] = 255  # with its faint edges
            data["image/png"] = _encoded(pixels)
            changed.append(cell.id)
    return changed


def changed_axis_label(cells: Cells) -> list[str]:
    """In each cell's first figure, the lowest line with ink (the label of the x-axis) is mirrored.

    The pixels of a figure that a training drew are compared with room, in which a letter is lost. There, the words
    that are stored beside the figure change as well, as they do with every real change of a label.
    """
    changed = []
    for cell, data in _pictures(_checked(cells)):
        pixels = _decoded(data)
        rows = np.flatnonzero((pixels < 250).any(axis=(1, 2)))
        strip = slice(max(rows[-1] - len(pixels) // 25, 0), rows[-1] + 1)
        columns = np.flatnonzero((pixels[strip] < 250).any(axis=(0, 2)))
        part = pixels[strip, columns[0] : columns[-1] + 1]
        mirrored = part[:, ::-1].copy()
        if cell.id not in changed and (mirrored != part).any():
            part[:] = mirrored
            data["image/png"] = _encoded(pixels)
            changed.append(cell.id)
            for output in cell.outputs if "trained" in _tags(cell) else []:
                words = output.get("metadata", {}).get("digits", {}).get("words", [])
                words[-1:] = [word[::-1] for word in words[-1:]]
    return changed


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


def number_in_a_sentence(cells: Cells) -> list[str]:
    """In a rendered sentence, 84 becomes 984."""

    def edit(text: str) -> str:
        return text if text.startswith("|") else re.sub(r"(?<![\w.,×-])(?=\d)", "9", text, count=1)

    return _edit_text(_checked(cells), edit, kinds=("text/markdown",))


def alt_text(cells: Cells) -> list[str]:
    """One word of each figure's alt text becomes another."""
    changed = []
    for cell in _checked(cells):
        for output in cell.outputs:
            entry = output.get("metadata", {}).get("image/png", {})
            if "alt" in entry:
                entry["alt"] = re.sub(r"[A-Za-z]{3,}", "another", entry["alt"], count=1)
                changed.append(cell.id)
    return list(dict.fromkeys(changed))


DEFECTS = {
    defect.__name__: defect
    for defect in (
        shape_digit, count_off_by_one, accuracy_half_a_point, loss_a_fifth, swapped_figures, missing_bar,
        missing_line, changed_axis_label, removed_output, added_warning, number_in_a_sentence, alt_text,
    )
}  # fmt: skip
