"""What a report says as data: results.json, its headline, and the results that others are compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from digits_tools.errors import InputError
from digits_tools.folders import read_json, reason, write_json
from digits_tools.report.record import LessonRun, Report
from digits_tools.report.verdict import METRICS, PARAMETERS, look_up, verdict_rows

FORMAT = 2  # of results.json and of the files with expected results; raise it when older readers would misread the file
EXPECTED = Path(__file__).resolve().parent / "expected"  # one file per data set, named like it
EVALUATION = ("metrics", "network", "confusion_matrix")  # what lesson 05 leaves
NEEDED = {  # what expected results must have, and of which type
    **{("dataset", key): str for key in ("name", "title")},
    ("dataset", "sha256", "all"): str,
    **{("parameters", "used", name): int for name in PARAMETERS},
    **{("metrics", name, "value"): (int, float) for name in METRICS},
    **{("network", key): kind for key, kind in (("origin", str), ("layers", list), ("parameter_count", int))},
    ("network", "weights_sha256"): str,
}


def read_evaluation(artifacts: Path) -> dict[str, Any]:
    """Read what lesson 05 has left, by the names in `EVALUATION`; None for what is missing."""
    found = read_json(artifacts / "evaluation.json")
    return {name: found.get(name) for name in EVALUATION}


def headline(metrics: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Choose the headline result, shares from 0 to 1; None when part of it was not measured."""
    accuracy = (metrics or {}).get("test_accuracy") or {}
    value, low, high, n = (accuracy.get(name) for name in ("value", "low", "high", "n"))
    if None in (value, low, high, n):
        return None
    return {"test_accuracy": value, "low": low, "high": high, "errors": n - round(n * value), "n": n}


def headline_text(headline: Mapping[str, Any]) -> str:
    """Write the headline result in one line.

    >>> headline_text({"test_accuracy": 0.9917, "low": 0.98973, "high": 0.99331, "errors": 83, "n": 10000})
    'Test accuracy 99.17 % (95 % interval 98.97–99.33 %), 83 errors of 10,000'
    """
    accuracy, low, high = (f"{100 * headline[name]:.2f}" for name in ("test_accuracy", "low", "high"))
    counts = f"{headline['errors']:,} errors of {headline['n']:,}"
    return f"Test accuracy {accuracy} % (95 % interval {low}–{high} %), {counts}"


def collect_results(report: Report) -> dict[str, Any]:
    """Collect the content of `results.json`, which `schemas/results.schema.json` describes, of a report in any state."""
    evaluated = any(run.lesson.number == "05" and run.status == "complete" for run in report.lessons)
    evaluation = read_evaluation(report.folder / "artifacts") if evaluated else dict.fromkeys(EVALUATION)
    results = {
        "format": FORMAT,
        "complete": report.complete,
        "headline": headline(evaluation["metrics"]),
        **evaluation,
        "dataset": report.dataset,
        "parameters": {"used": report.parameters},
        "lessons": [_lesson_facts(run) for run in report.lessons],
        **report.origin,
    }
    used = report.expected and report.expected["parameters"]["used"]
    comparable = report.checked or (evaluated and used and all(report.parameters.get(p) == used[p] for p in PARAMETERS))
    return results | {"verdict": verdict_rows(results, report.expected if comparable else None, report.tolerances)}


def _lesson_facts(run: LessonRun) -> dict[str, Any]:
    """Describe a lesson for results.json."""
    facts = asdict(run)
    del facts["lesson"]
    return {"number": run.lesson.number, "slug": run.lesson.slug, "title": run.lesson.title, **facts}


def load_expected(path: Path) -> dict[str, Any]:
    """Read expected results: `results.json` of a report with lesson 05, or the smaller form that `write_expected` makes.

    Returns:
        The smaller form, which says nothing of the machine or of times.

    Raises:
        InputError: the file cannot be read, has another format, or lacks what is compared.
    """
    name, advice = f"The file {str(path)!r}", "take results.json of a complete report with lesson 05"
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except OSError as error:
        raise InputError(f"{name} with expected results cannot be read ({reason(error)}): {advice}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} with expected results is not JSON ({error}): {advice}.") from None
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise InputError(f"{name} has the format {found!r}, but this version reads {FORMAT}: {advice} that it made.")
    expected = {key: content.get(key) for key in ("format", "dataset", "parameters", "metrics", "network")}
    for place, kind in NEEDED.items():
        if not isinstance(look_up(expected, *place), kind):
            raise InputError(f"{name} cannot be compared with, because of {'.'.join(place)}: {advice}.")
    return expected | {"parameters": {"used": expected["parameters"]["used"]}}


def write_expected(folder: Path) -> Path:
    """Make the results of the report in a folder the expected ones that ship for its data set (`digits expect`).

    Returns:
        The file that was written, `expected/mnist.json` or `expected/embedded.json`.

    Raises:
        InputError: the folder holds no report with lesson 05.
    """
    expected = load_expected(folder / "results.json")
    path = EXPECTED / f"{expected['dataset']['name']}.json"
    write_json(path, expected)
    return path
