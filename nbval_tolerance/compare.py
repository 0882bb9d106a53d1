"""Compare the outputs of cells, and whole notebooks. Knows neither pytest nor nbval."""

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

Output = Mapping[str, Any]  # a cell's output as nbformat reads it
IGNORE_TAGS = {"nbval-ignore-output", "nbval-skip"}
INJECTED_TAG = "injected-parameters"
_IGNORE = re.compile(r"^\s*#\s*(?:NBVAL_IGNORE_OUTPUT|NBVAL_SKIP|PYTEST_VALIDATE_IGNORE_OUTPUT)\s*$", re.MULTILINE)
_TOLERANCE = re.compile(r"^\s*#\s*tolerance:(.*)$", re.MULTILINE | re.IGNORECASE)
_NOT_TEXT = ("image/", "application/pdf", "application/vnd.jupyter.widget-view+json")
_UNSTABLE = ("image/svg+xml", "application/pdf")  # matplotlib writes random names and the date into them


def comparison_class(cell: Mapping[str, Any], tolerances: Tolerances | None = None) -> str:
    """Tell how a code cell is compared: its own tolerance ("rtol=0.001"), a class, untagged, exact or ignored.

    Without `tolerances` the classes are close and trained. ToleranceError if it has two, or one that is no tolerance.
    """
    metadata, source, where = cell.get("metadata", {}), cell.get("source", ""), f"cell {cell.get('id', '?')}"
    tags = metadata.get("tags", [])
    if IGNORE_TAGS & set(tags) or _IGNORE.search(source):
        return "ignored"
    own, comment = metadata.get("nbval_tolerance"), _TOLERANCE.search(source)
    if own is not None or comment:
        pairs = own.items() if isinstance(own, Mapping) else []
        text = comment[1].strip() if own is None else " ".join(f"{key}={value}" for key, value in pairs) or str(own)
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
    """Compare the outputs that a cell holds with those of a new run, as its class says.

    `pictures` is the beginning of the path of pictures to write for figures that differ; `every` asks for numbers
    within their tolerance as well, marked as passed.
    """
    findings: list[Finding] = []
    if comparison_class == "ignored":
        return findings
    check = Check(comparison_class, tolerances, every, pictures)
    sides = [join_streams(side) for side in (stored_outputs, new_outputs)]
    for warnings in (False, True):  # whether a warning comes before or after what is printed is chance
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
        if output.get("name") in streams:
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
    return (output["output_type"], output.get("name", ""), *sorted(output.get("data", {})))


def _summary(output: Output) -> str:
    text = " ".join(str(output.get("text") or output.get("data", {}).get("text/plain", "")).split())
    return f"{' '.join(filter(None, _kind(output)))} {text[:60]!r}"


def _compare_output(stored: Output, new: Output, number: int, check: Check) -> list[Finding]:
    """Compare two outputs of the same kind."""
    if stored["output_type"] == "stream":
        return [one.within(stored["name"]) for one in compare_text(stored["text"], new["text"], check)]
    if stored["output_type"] == "error":
        texts = [f"{output['ename']}: {output['evalue']}" for output in (stored, new)]
        return [one.within("error") for one in compare_text(*texts, check)]
    findings = _compare_figure(stored, new, check)
    if check.pictures and "image/png" in stored["data"] and not all(one.passed for one in findings):
        path = check.pictures.with_name(f"{check.pictures.name}-output{number}")
        note = write_pictures(path, stored["data"]["image/png"], new["data"]["image/png"])
        findings[-1] = Finding(findings[-1].place, findings[-1].message + note)
    for kind in sorted(stored["data"]):
        entries = [output.get("metadata", {}).get(kind) for output in (stored, new)]
        texts = [entry.get("alt", "") if isinstance(entry, Mapping) else "" for entry in entries]
        findings += [one.within(f"alt text of {kind}") for one in compare_text(*texts, check)]
    # A table is stored as plain text and as HTML; what differs in both is reported once.
    for kind in sorted(stored["data"], key=lambda kind: kind != "text/plain"):
        if not kind.startswith(_NOT_TEXT):
            values = [output["data"][kind] for output in (stored, new)]
            # Of JSON, one line per leaf, so that a number stands behind its name
            texts = [one if isinstance(one, str) else json.dumps(one, indent=0, sort_keys=True) for one in values]
            if found := compare_text(*texts, check):
                return [*findings, *(one.within(kind) for one in found)]
    return findings


def _compare_figure(stored: Output, new: Output, check: Check) -> list[Finding]:
    """Compare figures by what they draw, and by pixels if the cell is exact or a description is missing."""
    descriptions = {name: one.get("metadata", {}).get(KEY) for name, one in (("stored", stored), ("new", new))}
    missing = " and the ".join(name for name, description in descriptions.items() if not description)
    reason = (
        f"; compared by pixels because the {missing} figure has no description" if missing and check.tolerant else ""
    )
    found = [] if missing else compare_figures(*descriptions.values(), check)
    findings = [one.within("figure") for one in found]
    for kind in [kind for kind in stored["data"] if kind.startswith("image/") or kind in _UNSTABLE]:
        pair = stored["data"][kind], new["data"][kind]
        if pair[0] != pair[1] and (missing or not (check.tolerant or kind in _UNSTABLE)):
            found = compare_png(*pair, check) if kind == "image/png" else [Finding("", "the pictures differ")]
            findings += [Finding(kind, one.message + reason) for one in found]
    return findings


def compare_notebooks(
    stored: Path | str,
    new: Path | str,
    tolerances: Tolerances | None = None,
    pictures: Path | None = None,
    every: bool = False,
) -> list[Finding]:
    """Compare two executed notebooks, cell by cell: sources, classes and outputs; not the cells papermill injected.

    `pictures` is a folder. ToleranceError if a file cannot be read as a notebook, or a cell's class is wrong.
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
        one, other, found = old[key], fresh[key], []
        if (one["cell_type"], one["source"]) != (other["cell_type"], other["source"]):
            texts = [f"{cell['cell_type']} cell: {cell['source']}" for cell in (one, other)]
            found = [Finding("source", first_difference(*texts))]
        if one["cell_type"] == other["cell_type"] == "code":
            kind, new_kind = comparison_class(one, tolerances), comparison_class(other, tolerances)
            found += [Finding("tags", f"stored as {kind}, new as {new_kind}")] if kind != new_kind else []
            picture = pictures and Path(pictures) / f"{Path(stored).stem}-{key}"
            found += compare_cell(one["outputs"], other["outputs"], kind, tolerances, picture, every)
        findings += [finding.within(place_of(name, one)) for finding in found]
    return findings


def place_of(notebook: str, cell: Mapping[str, Any]) -> str:
    """Name a cell as JupyterLab shows it: `train.ipynb, In [7] (id 3f2a)`."""
    count = cell.get("execution_count")
    label = f"In [{count}]" if count else "text cell" if cell["cell_type"] != "code" else "code cell"
    return f"{notebook}, {label}" + (f" (id {cell['id']})" if "id" in cell else "")


def read_notebook(path: Path | str) -> Any:
    """Read a notebook in nbformat 4; ToleranceError if the file is missing or is no notebook."""
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat meets other files with errors of every kind, TypeError included
        problem = f"No notebook at {path}" if isinstance(error, FileNotFoundError) else f"{path} is not a notebook"
        raise ToleranceError(f"{problem}; give the path of an executed .ipynb file.") from None


def _cells(path: Path | str) -> dict[Any, Any]:
    """The cells of a notebook by their ids; by their positions if they have none."""
    cells = [cell for cell in read_notebook(path).cells if INJECTED_TAG not in cell.metadata.get("tags", [])]
    return {cell.get("id") or f"position-{index}": cell for index, cell in enumerate(cells)}
