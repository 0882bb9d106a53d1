"""Compare the outputs of cells, and whole notebooks. Knows neither pytest nor nbval."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbval_tolerance.describe import KEY
from nbval_tolerance.figures import compare_figures, compare_png, write_pictures
from nbval_tolerance.text import Check, Finding, compare_text, first_difference
from nbval_tolerance.tolerances import CLASSES, ToleranceError, Tolerances, parse_tolerance
from nbval_tolerance.volatile import fold

Output = Mapping[str, Any]
IGNORE_TAGS = {"nbval-ignore-output", "nbval-skip"}
INJECTED_TAG = "injected-parameters"
_IGNORE = re.compile(r"^\s*#\s*(?:NBVAL_IGNORE_OUTPUT|NBVAL_SKIP|PYTEST_VALIDATE_IGNORE_OUTPUT)\s*$", re.MULTILINE)
_TOLERANCE = re.compile(r"^\s*#\s*tolerance:(.*)$", re.MULTILINE | re.IGNORECASE)
_NOT_TEXT = ("image/", "application/pdf", "application/vnd.jupyter.widget-view+json")
_UNSTABLE = ("image/svg+xml", "application/pdf")  # matplotlib writes random names and the date into them


def comparison_class(cell: Mapping[str, Any], tolerances: Tolerances | None = None) -> str:
    """Tell how a cell's outputs are compared.

    Args:
        cell: a code cell as nbformat reads it.
        tolerances: knows the classes; without it there are close and trained.

    Returns:
        The cell's own tolerance ("rtol=0.001"), a class's name, untagged, exact or ignored.

    Raises:
        ToleranceError: if the cell has two classes, or what it says is no tolerance.
    """
    metadata, source, where = cell.get("metadata", {}), cell.get("source", ""), f"cell {cell.get('id', '?')}"
    tags = metadata.get("tags", [])
    if IGNORE_TAGS & set(tags) or _IGNORE.search(source):
        return "ignored"
    own, comment = metadata.get("nbval_tolerance"), _TOLERANCE.search(source)
    if own is not None or comment:
        text = comment[1].strip() if own is None else str(own)
        if isinstance(own, Mapping):
            text = " ".join(f"{key}={value}" for key, value in own.items())
        parse_tolerance(text, where)
        return text
    classes = [tag for tag in tags if tag in (tolerances.classes if tolerances else CLASSES)]
    if len(classes) > 1:
        raise ToleranceError(f"{where} is tagged {' and '.join(classes)}; a cell has one class, so keep one tag.")
    return classes[0] if classes else "untagged" if tolerances and tolerances.untagged else "exact"


def compare_cell(
    stored_outputs: Sequence[Output],
    new_outputs: Sequence[Output],
    comparison_class: str,
    tolerances: Tolerances,
    pictures: Path | None = None,
    every: bool = False,
) -> list[Finding]:
    """Compare the outputs of one cell.

    Args:
        stored_outputs: outputs that the notebook holds, as nbformat reads them.
        new_outputs: outputs of a new run.
        comparison_class: what the function of that name returns.
        tolerances: what may differ, and how far.
        pictures: beginning of the path of pictures to write for figures that differ.
        every: whether numbers within their tolerance are returned as well, marked as passed.
    """
    if comparison_class == "ignored":
        return []
    check = Check(comparison_class, tolerances, every, pictures)
    findings = []
    for warnings in (False, True):  # whether a warning comes before or after what is printed is chance
        sides = [join_streams(side) for side in (stored_outputs, new_outputs)]
        old, new = ([one for one in side if (one.get("name") == "stderr") is warnings] for side in sides)
        kinds = [[_kind(output) for output in side] for side in (old, new)]
        for step, i, i_end, j, j_end in difflib.SequenceMatcher(None, *kinds, autojunk=False).get_opcodes():
            if step == "equal":
                for k in range(i, i_end):
                    found = _compare_output(old[k], new[j + k - i], k + 1, check)
                    findings += [one.within("" if warnings else f"output {k + 1}") for one in found]
                continue
            findings += [Finding(f"output {k + 1}", f"missing: stored {_summary(old[k])}") for k in range(i, i_end)]
            findings += [Finding(f"output {k + 1}", f"additional: {_summary(new[k])}") for k in range(j, j_end)]
    return findings


def join_streams(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    """Join what was printed into one output per stream (where it is cut is chance), as a terminal shows it at last."""
    joined: list[dict[str, Any]] = []
    streams: dict[str, dict[str, Any]] = {}
    for output in map(dict, outputs):
        if output["output_type"] == "stream" and output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
            continue
        joined.append(output)
        if output["output_type"] == "stream":
            streams[output["name"]] = output
    for stream in streams.values():
        stream["text"] = fold(stream["text"])
    return joined


def _kind(output: Output) -> tuple[str, ...]:
    """What two outputs have in common when one can be the other's new version."""
    parts = [output["name"]] if output["output_type"] == "stream" else sorted(output.get("data", {}))
    return (output["output_type"], *parts)


def _summary(output: Output) -> str:
    kind, *parts = _kind(output)
    texts = [output.get("text"), output.get("data", {}).get("text/plain"), output.get("evalue")]
    text = " ".join(next((text for text in texts if isinstance(text, str)), "").split())
    return f"{kind} {', '.join(parts)} {text[:60] + '…' * (len(text) > 60)!r}"


def _compare_output(stored: Output, new: Output, number: int, check: Check) -> list[Finding]:
    """Compare two outputs of the same kind."""
    if stored["output_type"] == "stream":
        return [one.within(stored["name"]) for one in compare_text(stored["text"], new["text"], check)]
    if stored["output_type"] == "error":
        texts = [f"{output['ename']}: {output['evalue']}" for output in (stored, new)]
        return [one.within("error") for one in compare_text(*texts, check)]
    figures = _compare_pictures(stored, new, check)
    if check.pictures and "image/png" in stored["data"] and not all(one.passed for one in figures):
        path = check.pictures.with_name(f"{check.pictures.name}-output{number}")
        note = write_pictures(path, stored["data"]["image/png"], new["data"]["image/png"])
        figures[-1] = Finding(figures[-1].place, figures[-1].message + note)
    return _compare_texts(stored["data"], new["data"], check) + figures + _compare_alt(stored, new, check)


def _compare_texts(stored: Mapping[str, Any], new: Mapping[str, Any], check: Check) -> list[Finding]:
    """Compare what is not a picture. A table is stored as plain text and as HTML; what differs is reported once."""
    for kind in sorted(stored, key=lambda kind: kind != "text/plain"):
        if not kind.startswith(_NOT_TEXT):
            values = [data[kind] for data in (stored, new)]
            texts = [value if isinstance(value, str) else "\n".join(json_lines(value)) for value in values]
            if found := compare_text(*texts, check):
                return [one.within(kind) for one in found]
    return []


def _compare_pictures(stored: Output, new: Output, check: Check) -> list[Finding]:
    """Compare figures by what they draw, and by pixels if the cell is exact or a description is missing."""
    descriptions = {name: one.get("metadata", {}).get(KEY) for name, one in (("stored", stored), ("new", new))}
    missing = " and the ".join(name for name, description in descriptions.items() if not description)
    findings = []
    if not missing:
        findings = [one.within("figure") for one in compare_figures(*descriptions.values(), check)]
    for kind in [kind for kind in stored["data"] if kind.startswith("image/") or kind in _UNSTABLE]:
        if not missing and (check.tolerant or kind in _UNSTABLE):
            continue
        pair = stored["data"][kind], new["data"][kind]
        found = compare_png(*pair, check) if kind == "image/png" else []
        if kind != "image/png" and pair[0] != pair[1]:
            found = [Finding("", "the pictures differ")]
        reason = (
            f"; compared by pixels because the {missing} figure has no description"
            if missing and check.tolerant
            else ""
        )
        findings += [Finding(kind, one.message + reason) for one in found]
    return findings


def _compare_alt(stored: Output, new: Output, check: Check) -> list[Finding]:
    findings = []
    for kind in stored["data"]:
        entries = [output.get("metadata", {}).get(kind) for output in (stored, new)]
        texts = [entry.get("alt", "") if isinstance(entry, Mapping) else "" for entry in entries]
        findings += [one.within(f"alt text of {kind}") for one in compare_text(*texts, check)]
    return findings


def json_lines(value: Any, path: str = "") -> list[str]:
    """Write a JSON value as one line per leaf, such as "metrics accuracy: 0.99", so that numbers stand behind names."""
    if isinstance(value, Mapping) and value:
        return [line for key in sorted(value) for line in json_lines(value[key], f"{path} {key}".strip())]
    if isinstance(value, list) and value:
        return [line for item in value for line in json_lines(item, path)]
    return [f"{path}: {json.dumps(value, ensure_ascii=False)}"]


def compare_notebooks(
    stored: Path | str,
    new: Path | str,
    tolerances: Tolerances | None = None,
    pictures: Path | None = None,
    every: bool = False,
) -> list[Finding]:
    """Compare two executed notebooks, cell by cell: sources, classes and outputs; not the cells papermill injected.

    Args:
        stored: the notebook to compare with.
        new: the notebook of a new run.
        tolerances: what may differ, and how far.
        pictures: a folder for the pictures of figures that differ.
        every: whether numbers within their tolerance are returned as well, marked as passed.

    Raises:
        ToleranceError: if a file cannot be read as a notebook, or a cell's class is wrong.
    """
    tolerances, name = tolerances or Tolerances(), Path(stored).name
    old, fresh = _cells(stored), _cells(new)
    if not set(old) & set(fresh):  # ids that a program made up while it wrote the file: go by position
        old, fresh = (dict(enumerate(cells.values())) for cells in (old, fresh))
    findings = [Finding(place_of(name, cell), "cell is missing") for key, cell in old.items() if key not in fresh]
    findings += [Finding(place_of(name, cell), "additional cell") for key, cell in fresh.items() if key not in old]
    common = [key for key in old if key in fresh]
    if common != [key for key in fresh if key in old]:
        findings.append(Finding(name, "the cells are in another order"))
    for key in common:
        picture = pictures and Path(pictures) / f"{Path(stored).stem}-{key}"
        found = _compare_cells(old[key], fresh[key], tolerances, picture, every)
        findings += [one.within(place_of(name, old[key])) for one in found]
    return findings


def place_of(notebook: str, cell: Mapping[str, Any]) -> str:
    """Name a cell as JupyterLab shows it: `train.ipynb, In [7] (id 3f2a)`."""
    count = cell.get("execution_count")
    label = f"In [{count}]" if count else "text cell" if cell["cell_type"] != "code" else "code cell"
    return f"{notebook}, {label} (id {cell.get('id', '?')})"


def read_notebook(path: Path | str) -> Any:
    """Read a notebook in nbformat 4; ToleranceError if the file is missing or is no notebook."""
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise ToleranceError(f"No notebook at {path}; give the path of an executed .ipynb file.") from None
    except Exception:  # nbformat meets other files with errors of every kind, TypeError included
        raise ToleranceError(f"{path} is not a notebook; give the path of an executed .ipynb file.") from None


def _cells(path: Path | str) -> dict[Any, Any]:
    """The cells of a notebook by their ids; by their positions if they have none."""
    cells = [cell for cell in read_notebook(path).cells if INJECTED_TAG not in cell.metadata.get("tags", [])]
    return {cell.get("id") or f"position-{index}": cell for index, cell in enumerate(cells)}


def _compare_cells(stored: Any, new: Any, tolerances: Tolerances, pictures: Path | None, every: bool) -> list[Finding]:
    if stored["cell_type"] != new["cell_type"]:
        return [Finding("", f"stored as a {stored['cell_type']} cell, new as a {new['cell_type']} cell")]
    findings = []
    if stored["source"] != new["source"]:
        findings = [Finding("source", first_difference(stored["source"], new["source"]))]
    if stored["cell_type"] != "code":
        return findings
    kind, new_kind = comparison_class(stored, tolerances), comparison_class(new, tolerances)
    if kind != new_kind:
        findings.append(Finding("tags", f"stored as {kind}, new as {new_kind}"))
    return findings + compare_cell(stored["outputs"], new["outputs"], kind, tolerances, pictures, every)
