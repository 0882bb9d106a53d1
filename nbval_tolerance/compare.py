"""Compare stored outputs with new ones: text to the letter, numbers within tolerance, figures by pixels.

This is the logic of the check on the notebooks. It knows neither pytest nor nbval:
it gets lists of output dictionaries as nbformat defines them, and returns findings.
A cell's tags say how its outputs are compared:

* exact (no tag): every letter and every pixel.
* close (tag `close`): numbers that a fixed network computes; within a narrow tolerance.
* trained (tag `trained`): numbers that a training run ends in; within the spread over machines.
* ignored (tag `nbval-ignore-output`): the report on the machine.

The tolerances stand in one file, `tests/tolerances.toml`, quantity by quantity.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

from digits_helpers.printed_numbers import (
    Number,
    Row,
    allowed_difference,
    find_numbers,
    is_within,
    quantities_of,
    row_cells,
    table_rows,
)
from digits_helpers.tolerances import (
    TOLERANT_CLASSES,
    FigureTolerance,
    Quantity,
    Tolerances,
    VerifyError,
    load_tolerances,
)

IGNORE_TAG = "nbval-ignore-output"
INJECTED_TAG = "injected-parameters"
STAMP = "digits"
# 25 megapixels are 100 MB when decoded; a lesson's figure has about half a megapixel.
MAX_PIXELS = 25_000_000


# ---------------------------------------------------------------------------------------------
# What a comparison finds


@dataclass(frozen=True)
class Finding:
    """One difference between a stored output and a new one.

    Attributes:
        place: notebook, cell, output and line, as far as they are known.
        message: what differs, in one line.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message

    def within(self, place: str) -> Finding:
        """The same finding, with the place it was found in put before its own."""
        values = {**self.__dict__, "place": ", ".join(part for part in (place, self.place) if part)}
        return type(self)(**values)


@dataclass(frozen=True)
class NumberFinding(Finding):
    """A number outside its tolerance. All amounts are in the unit of the quantity.

    Attributes:
        quantity: name of the quantity, or None if no quantity stands before the number.
        stored: the number as it is printed in the stored output.
        new: the number as it is printed in the new output.
        difference: new minus stored.
        tolerance: the largest difference allowed; 0 where the number has to be equal.
        comparison_class: exact, close or trained.
        percent: whether the number is printed in percent.
    """

    quantity: str | None
    stored: str
    new: str
    difference: Decimal
    tolerance: Decimal
    comparison_class: str
    percent: bool = False


# ---------------------------------------------------------------------------------------------
# Text


def compare_text(stored: str, new: str, comparison_class: str, tolerances: Tolerances) -> list[Finding]:
    """Compare two texts: to the letter, except for numbers in the tolerant classes.

    Args:
        stored: the text that the notebook holds.
        new: the text of a new run.
        comparison_class: exact, close or trained.
        tolerances: the quantities.

    Returns:
        One finding per line that differs in its words, and one per number outside its tolerance.
    """
    if stored == new:
        return []
    stored_lines, new_lines = stored.split("\n"), new.split("\n")
    if len(stored_lines) != len(new_lines):
        counts = f"{len(stored_lines)} lines stored, {len(new_lines)} new"
        return [Finding("", f"{counts}; {_first_difference(stored, new)}")]
    findings = []
    for number, (old, fresh, row) in enumerate(zip(stored_lines, new_lines, table_rows(stored_lines)), start=1):
        place = f"line {number}" if len(stored_lines) > 1 else ""
        findings += [found.within(place) for found in _compare_line(old, fresh, row, comparison_class, tolerances)]
    return findings


def _compare_line(stored: str, new: str, row: Row, comparison_class: str, tolerances: Tolerances) -> list[Finding]:
    if stored == new:
        return []
    old_numbers, new_numbers = find_numbers(stored), find_numbers(new)
    if not _same_words(stored, old_numbers, new, new_numbers):
        return [Finding("", _first_difference(stored, new))]
    old_numbers = _with_header_unit(stored, old_numbers, row)
    new_numbers = _with_header_unit(new, new_numbers, row)
    findings: list[Finding] = []
    quantities = quantities_of(stored, old_numbers, tolerances, row)
    for old, fresh, quantity in zip(old_numbers, new_numbers, quantities):
        allowed = allowed_difference(old, quantity, comparison_class, tolerances)
        if not is_within(old, fresh, allowed):
            findings.append(_number_finding(old, fresh, quantity, allowed, comparison_class))
    return findings


def _same_words(stored: str, old_numbers: Sequence[Number], new: str, new_numbers: Sequence[Number]) -> bool:
    """Whether the text around the numbers is the same.

    Blanks next to a number may differ where its length does: "errors:  84" and "errors: 101".
    """
    if len(old_numbers) != len(new_numbers):
        return False
    old_words, new_words = _words(stored, old_numbers), _words(new, new_numbers)
    same_length = [True, *(len(a.raw) == len(b.raw) for a, b in zip(old_numbers, new_numbers)), True]
    for index, (old, fresh) in enumerate(zip(old_words, new_words)):
        if old != fresh and (
            (same_length[index] and same_length[index + 1])
            or re.sub(r"^ +| +$", " ", old) != re.sub(r"^ +| +$", " ", fresh)
        ):
            return False
    return True


def _words(line: str, numbers: Sequence[Number]) -> list[str]:
    """The pieces of text before, between and after the numbers."""
    ends = [0, *(number.end for number in numbers)]
    starts = [*(number.start for number in numbers), len(line)]
    return [line[end:start] for end, start in zip(ends, starts)]


def _with_header_unit(line: str, numbers: Sequence[Number], row: Row) -> list[Number]:
    """Numbers under a header such as "accuracy (%)" are in percent."""
    if not row.header:
        return list(numbers)
    result = []
    for number in numbers:
        column = len(row_cells(line[: number.start])) - 1
        percent = column < len(row.header) and "%" in row.header[column]
        result.append(Number(number.raw, number.start, number.end, number.percent or percent))
    return result


def _number_finding(
    old: Number, new: Number, quantity: Quantity | None, allowed: Decimal, comparison_class: str
) -> NumberFinding:
    name = quantity.name if quantity else None
    difference = new.value - old.value
    sign = ", sign changed" if old.sign != new.sign else ""
    limit = f"{float(allowed):g}" if allowed else "0, has to be equal"
    percent = " %" if old.percent else ""
    message = (
        f"{name or 'number without a quantity'}: stored {old.raw}{percent}, new {new.raw}{percent}, "
        f"difference {float(difference):+g}{sign}, tolerance {limit} ({comparison_class})"
    )
    return NumberFinding("", message, name, old.raw, new.raw, difference, allowed, comparison_class, old.percent)


def _first_difference(stored: str, new: str, around: int = 30) -> str:
    """Both texts around the first character that differs, short enough for one line."""
    first = next((i for i, (a, b) in enumerate(zip(stored, new)) if a != b), min(len(stored), len(new)))

    def excerpt(text: str) -> str:
        start, end = max(0, first - around), first + around
        return f"{'…' * (start > 0)}{text[start:end]}{'…' * (end < len(text))}"

    return f"text differs: stored {excerpt(stored)!r}, new {excerpt(new)!r}"


# ---------------------------------------------------------------------------------------------
# Figures


def figure_difference(stored: Any, new: Any, room: int = 0) -> float:
    """Compute the root-mean-square difference between two pictures, with room for lines to move.

    Without room, the formula is that of matplotlib.testing.compare.calculate_rms: the root of the mean, over
    pixels and channels, of the squared differences. A line that has moved by its own width then differs as much as
    one that is missing. With room, a pixel differs by as much as it is darker than the darkest or lighter than the
    lightest pixel in its neighbourhood in the other picture: the square of 2 · room + 1 pixels around it, channel by
    channel. So a line may move by `room` pixels and not count, but it may not be missing, and none may come.

    Args:
        stored: (height, width, channels) uint8.
        new: the same shape and type.
        room: pixels.

    Returns:
        The difference in grey levels, from 0 (equal) to 255; the larger one of stored to new and new to stored.
    """
    import numpy as np
    from scipy.ndimage import maximum_filter, minimum_filter

    if np.array_equal(stored, new):
        return 0.0
    if stored.shape[-1] == new.shape[-1] == 4 and (stored[..., 3] == 255).all() and (new[..., 3] == 255).all():
        stored, new = stored[..., :3], new[..., :3]  # opacity that is equal everywhere would dilute the mean
    neighbourhood = (2 * room + 1, 2 * room + 1, 1)

    def outside(one: Any, other: Any) -> float:
        darkest = minimum_filter(other, neighbourhood, mode="nearest").astype(float)
        lightest = maximum_filter(other, neighbourhood, mode="nearest").astype(float)
        return float(np.sqrt(((one - np.clip(one, darkest, lightest)) ** 2).mean()))

    return max(outside(stored, new), outside(new, stored))


def decode_png(encoded: str) -> Any:
    """Decode a PNG output.

    Args:
        encoded: the base64 text that a notebook stores.

    Returns:
        (height, width, 4) uint8, red, green, blue and opacity.

    Raises:
        VerifyError: if it is not a PNG, or has more than `MAX_PIXELS` pixels.
    """
    import numpy as np
    from PIL import Image

    try:
        # Opening reads the size only, so that a huge picture is refused before it takes memory.
        with Image.open(BytesIO(base64.b64decode(encoded)), formats=["PNG"]) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise VerifyError(
                    f"The figure has {width} × {height} pixels; at most {MAX_PIXELS:,} are compared: draw it smaller."
                )
            return np.asarray(picture.convert("RGBA"))
    except (OSError, SyntaxError, ValueError, binascii.Error, Image.DecompressionBombError) as error:
        raise VerifyError(f"The figure is not a readable PNG ({error}); run the lesson again.") from None


def compare_png(
    stored: str, new: str, comparison_class: str, tolerances: Tolerances, pictures: Path | None = None
) -> list[Finding]:
    """Compare two PNG outputs as pictures.

    Args:
        stored: base64 text from the notebook.
        new: base64 text from a new run.
        comparison_class: exact (every pixel), close or trained (within the class's tolerance).
        tolerances: the tolerance of figures.
        pictures: where to write the expected, the actual and the difference picture if they
            differ; a path whose name is the beginning of the three file names.

    Returns:
        No finding, or one.
    """
    try:
        old, fresh = decode_png(stored), decode_png(new)
    except VerifyError as error:
        return [Finding("", str(error))]
    if old.shape != fresh.shape:
        sizes = [f"{a.shape[1]} × {a.shape[0]}" for a in (old, fresh)]
        message = f"figure: stored {sizes[0]} pixels, new {sizes[1]}"
        return [Finding("", message + _write_pictures(pictures, old, fresh))]
    limit = tolerances.figures.get(comparison_class, FigureTolerance())
    difference = figure_difference(old, fresh, limit.room)
    if difference <= limit.difference:
        return []
    room = f", {limit.room} pixels of room" if limit.room else ""
    message = (
        f"figure: difference {difference:.3g}, tolerance {limit.difference:g} "
        f"(root mean square of 255{room}, {comparison_class})"
    )
    return [Finding("", message + _write_pictures(pictures, old, fresh))]


def _write_pictures(pictures: Path | None, stored: Any, new: Any) -> str:
    """Write the pictures of a failed comparison and say where."""
    if pictures is None:
        return ""
    import numpy as np
    from PIL import Image

    images = {"expected": stored, "actual": new}
    if stored.shape == new.shape:
        # Ten times the difference, as matplotlib draws it: faint differences become visible.
        difference = np.abs(stored[..., :3].astype(int) - new[..., :3].astype(int))
        images["difference"] = np.clip(difference * 10, 0, 255).astype(np.uint8)
    try:
        pictures.parent.mkdir(parents=True, exist_ok=True)
        for name, image in images.items():
            Image.fromarray(image).save(pictures.with_name(f"{pictures.name}-{name}.png"))
    except OSError as error:
        return f"; the pictures could not be written: {error}"
    return f"; see {pictures.parent / pictures.name}-{{{','.join(images)}}}.png"


# ---------------------------------------------------------------------------------------------
# The outputs of a cell


def comparison_class(cell: Mapping[str, Any]) -> str:
    """Tell how a cell's outputs are compared.

    Args:
        cell: a code cell as nbformat reads it.

    Returns:
        exact, close, trained or ignored.

    Raises:
        VerifyError: if the cell has the tags of two classes.
    """
    tags = cell.get("metadata", {}).get("tags", [])
    classes = [name for name in TOLERANT_CLASSES if name in tags] + ["ignored"] * (IGNORE_TAG in tags)
    if len(classes) > 1:
        raise VerifyError(
            f"Cell {cell.get('id', '?')} is tagged {' and '.join(classes)}; a cell has one class, so keep one tag."
        )
    return classes[0] if classes else "exact"


def compare_outputs(
    stored: Sequence[Mapping[str, Any]],
    new: Sequence[Mapping[str, Any]],
    comparison_class: str,
    tolerances: Tolerances,
    pictures: Path | None = None,
) -> list[Finding]:
    """Compare the outputs of one cell.

    Args:
        stored: outputs that the notebook holds, as nbformat reads them.
        new: outputs of a new run.
        comparison_class: exact, close, trained or ignored.
        tolerances: quantities and figures.
        pictures: beginning of the path of pictures to write for figures that differ.

    Returns:
        Every difference; an empty list if the new outputs are as they should be.
    """
    if comparison_class == "ignored":
        return []
    old, fresh = _joined_streams(stored), _joined_streams(new)
    kinds = [[_kind(output) for output in outputs] for outputs in (old, fresh)]
    findings: list[Finding] = []
    for step, i, i_end, j, j_end in difflib.SequenceMatcher(None, *kinds, autojunk=False).get_opcodes():
        if step == "equal":
            for k in range(i_end - i):
                picture = pictures and pictures.with_name(f"{pictures.name}-output{i + k + 1}")
                found = _compare_output(old[i + k], fresh[j + k], comparison_class, tolerances, picture)
                findings += [one.within(f"output {i + k + 1}") for one in found]
            continue
        findings += [Finding(f"output {k + 1}", f"missing: stored {_description(old[k])}") for k in range(i, i_end)]
        findings += [Finding(f"output {k + 1}", f"additional: {_description(fresh[k])}") for k in range(j, j_end)]
    return findings


def _joined_streams(outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Outputs with what was printed joined into one output per stream: where a stream is cut is chance."""
    joined: list[dict[str, Any]] = []
    streams: dict[str, dict[str, Any]] = {}
    for output in outputs:
        if output["output_type"] != "stream":
            joined.append(dict(output))
        elif output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
        else:
            streams[output["name"]] = dict(output)
            joined.append(streams[output["name"]])
    return joined


def _kind(output: Mapping[str, Any]) -> tuple[str, ...]:
    """What two outputs have in common when one can be the other's new version."""
    if output["output_type"] == "stream":
        return ("stream", output["name"])
    return (output["output_type"], *sorted(output.get("data", {})))


def _description(output: Mapping[str, Any]) -> str:
    """An output in a few words."""
    kind, *parts = _kind(output)
    texts = [output.get("text"), output.get("data", {}).get("text/plain"), output.get("evalue")]
    text = " ".join(next((text for text in texts if isinstance(text, str)), "").split())
    short = text[:60] + "…" * (len(text) > 60)
    return f"{' '.join([kind, ', '.join(parts)]).strip()} {short!r}"


def _compare_output(
    stored: Mapping[str, Any],
    new: Mapping[str, Any],
    comparison_class: str,
    tolerances: Tolerances,
    pictures: Path | None,
) -> list[Finding]:
    """Compare two outputs of the same kind."""
    if stored["output_type"] == "stream":
        # A warning is never a result: on stderr, every letter counts.
        own_class = "exact" if stored["name"] == "stderr" else comparison_class
        found = compare_text(stored["text"], new["text"], own_class, tolerances)
        return [one.within(stored["name"]) for one in found]
    if stored["output_type"] == "error":
        texts = [f"{output['ename']}: {output['evalue']}" for output in (stored, new)]
        return [one.within("error") for one in compare_text(*texts, comparison_class, tolerances)]
    findings: list[Finding] = []
    for kind, value in stored["data"].items():
        found = _compare_data(kind, value, new["data"][kind], comparison_class, tolerances, pictures)
        findings += [one.within(kind) for one in found]
    return findings + _compare_metadata(stored["metadata"], new["metadata"], comparison_class, tolerances)


def _compare_data(
    kind: str, stored: Any, new: Any, comparison_class: str, tolerances: Tolerances, pictures: Path | None
) -> list[Finding]:
    if kind == "image/png":
        return compare_png(stored, new, comparison_class, tolerances, pictures)
    if isinstance(stored, str) and isinstance(new, str):
        own_class = comparison_class if kind.startswith("text/") else "exact"
        return compare_text(stored, new, own_class, tolerances)
    texts = ["\n".join(json_lines(value)) for value in (stored, new)]
    return compare_text(*texts, comparison_class, tolerances)


def _compare_metadata(stored: Any, new: Any, comparison_class: str, tolerances: Tolerances) -> list[Finding]:
    """Compare alt text and the words of a figure like the cell's other text, and all other metadata exactly."""
    (old_texts, old_rest), (new_texts, new_rest) = _without_texts(stored), _without_texts(new)
    findings = []
    for name in sorted({*old_texts, *new_texts}):
        found = compare_text(old_texts.get(name, ""), new_texts.get(name, ""), comparison_class, tolerances)
        findings += [one.within(name) for one in found]
    texts = ["\n".join(json_lines(rest)) for rest in (old_rest, new_rest)]
    return findings + [one.within("metadata") for one in compare_text(*texts, "exact", tolerances)]


def _without_texts(metadata: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Alt texts and the words of a figure, by what they are, and the metadata that remain."""
    texts, rest = {}, {}
    for kind, entry in metadata.items():
        rest[kind] = dict(entry) if isinstance(entry, Mapping) else entry
        if isinstance(entry, Mapping) and isinstance(entry.get("alt"), str):
            texts[f"alt text of {kind}"] = rest[kind].pop("alt")
        if isinstance(entry, Mapping) and isinstance(entry.get("words"), list):
            texts["words of the figure"] = "\n".join(map(str, rest[kind].pop("words")))
    return texts, rest


def json_lines(value: Any, path: str = "") -> list[str]:
    """Write a JSON value as text with one line per leaf, so that each number stands behind its keys.

    Args:
        value: what json.loads returns.
        path: the keys that lead to it.

    Returns:
        Lines such as "metrics test_accuracy: 0.9916", keys sorted.
    """
    if isinstance(value, Mapping) and value:
        return [line for key in sorted(value) for line in json_lines(value[key], f"{path} {key}".strip())]
    if isinstance(value, list) and value:
        return [line for item in value for line in json_lines(item, path)]
    return [f"{path}: {json.dumps(value, ensure_ascii=False)}"]


# ---------------------------------------------------------------------------------------------
# Two notebooks


def verify_notebooks(
    stored_path: Path | str, new_path: Path | str, tolerances: Tolerances | None = None, pictures: Path | None = None
) -> list[Finding]:
    """Compare two executed notebooks, cell by cell.

    Cells that papermill injected are left out: a run is compared, not its parameters.

    Args:
        stored_path: the notebook to compare with.
        new_path: the notebook of a new run.
        tolerances: quantities and figures; without them, those of this checkout.
        pictures: a folder for the pictures of figures that differ.

    Returns:
        Every difference in cells, their sources, their classes and their outputs.

    Raises:
        VerifyError: if a file cannot be read as a notebook, or a cell has two classes.
    """
    tolerances = tolerances or load_tolerances()
    stored, new = _keyed_cells(stored_path), _keyed_cells(new_path)
    name = Path(stored_path).name
    findings = [Finding(place_of(name, cell), "cell is missing") for key, cell in stored.items() if key not in new]
    findings += [Finding(place_of(name, cell), "additional cell") for key, cell in new.items() if key not in stored]
    common = [key for key in stored if key in new]
    if common != [key for key in new if key in stored]:
        findings.append(Finding(name, "the cells are in another order"))
    for key in common:
        picture = pictures and Path(pictures) / f"{Path(stored_path).stem}-{key}"
        found = _compare_cell(stored[key], new[key], tolerances, picture)
        findings += [one.within(place_of(name, stored[key])) for one in found]
    return findings


def place_of(notebook: str, cell: Mapping[str, Any]) -> str:
    """Name a cell as JupyterLab shows it: `04_train.ipynb, In [7] (id 3f2a)`."""
    count = cell.get("execution_count")
    label = f"In [{count}]" if count else "text cell" if cell["cell_type"] != "code" else "code cell"
    return f"{notebook}, {label} (id {cell.get('id', '?')})"


def read_notebook(path: Path | str) -> Any:
    """Read a notebook in nbformat 4, with a sentence for the reader if that fails.

    Raises:
        VerifyError: if the file is missing or is no notebook.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise VerifyError(f"No notebook at {path}; give the path of an executed .ipynb file.") from None
    except Exception:  # nbformat meets other files with errors of every kind, TypeError included
        raise VerifyError(f"{path} is not a notebook; give the path of an executed .ipynb file.") from None


def _keyed_cells(path: Path | str) -> dict[str, Any]:
    """The cells of a notebook by their ids; by their positions if they have none."""
    cells = [cell for cell in read_notebook(path).cells if INJECTED_TAG not in cell.metadata.get("tags", [])]
    return {cell.get("id") or f"position-{index}": cell for index, cell in enumerate(cells)}


def _compare_cell(
    stored: Mapping[str, Any], new: Mapping[str, Any], tolerances: Tolerances, pictures: Path | None
) -> list[Finding]:
    findings = []
    if stored["cell_type"] != new["cell_type"]:
        return [Finding("", f"stored as a {stored['cell_type']} cell, new as a {new['cell_type']} cell")]
    if stored["source"] != new["source"]:
        findings.append(Finding("source", _first_difference(stored["source"], new["source"])))
    if stored["cell_type"] != "code":
        return findings
    classes = comparison_class(stored), comparison_class(new)
    if classes[0] != classes[1]:
        findings.append(Finding("tags", f"stored as {classes[0]}, new as {classes[1]}"))
    return findings + compare_outputs(stored["outputs"], new["outputs"], classes[0], tolerances, pictures)


# ---------------------------------------------------------------------------------------------
# Outputs that are older than their source


def _digests(notebook: Any) -> Iterator[tuple[Any, dict[str, str]]]:
    """Each code cell with the digest of all code up to it and the digest of its outputs."""
    code = hashlib.sha256()
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        # The length keeps "a", "bc" apart from "ab", "c".
        code.update(f"{len(cell['source'])}:{cell['source']}".encode())
        outputs = json.dumps(cell["outputs"], sort_keys=True, ensure_ascii=False).encode()
        yield cell, {"source_sha256": code.hexdigest(), "outputs_sha256": hashlib.sha256(outputs).hexdigest()}


def stamp_sources(notebook: Any) -> None:
    """Write into each code cell's metadata what its outputs were made from.

    To be called after a run, as the last step before the notebook is stored. A cell's digest
    covers its source and that of all code cells before it, since they decide what it computes.

    Args:
        notebook: an executed notebook in nbformat 4; its cells are changed.
    """
    for cell, digests in _digests(notebook):
        cell["metadata"][STAMP] = digests


def stale_cells(notebook: Any) -> list[Finding]:
    """Find code cells whose outputs do not belong to their source.

    Args:
        notebook: a notebook in nbformat 4 with the digests of `stamp_sources`.

    Returns:
        One finding per cell without digests, with code that was edited since the run (or code
        before it), or with outputs that were changed since the run.
    """
    findings = []
    for cell, digests in _digests(notebook):
        stamp = cell["metadata"].get(STAMP, {})
        if "source_sha256" not in stamp or "outputs_sha256" not in stamp:
            message = "no digests: its outputs were not written by a refresh"
        elif stamp["source_sha256"] != digests["source_sha256"]:
            message = "stale: its source, or code before it, was edited after its outputs were made"
        elif stamp["outputs_sha256"] != digests["outputs_sha256"]:
            message = "its outputs were changed after they were made"
        else:
            continue
        findings.append(Finding(place_of("", cell).lstrip(", "), message))
    return findings
