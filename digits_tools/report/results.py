"""What a report says as data: the headline, everything in `results.json`, and the results that others are held against.

`python -m digits_helpers.results FOLDER` keeps the results of the report in a folder as those that ship for its data
set.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits_helpers.errors import DigitsError
from digits_helpers.files import read_record, reason, write_json
from digits_helpers.provenance import git_facts, machine_facts, package_versions
from digits_helpers.verdict import PARAMETERS, finite, refusal_row, verdict_rows

if TYPE_CHECKING:
    from digits_helpers.report import Report

FORMAT = 1  # of results.json and of the files with expected results; changes when a reader of the old one would err
SCHEMA = Path(__file__).resolve().parent / "schemas" / "results.schema.json"
EXPECTED = Path(__file__).resolve().parent / "expected"  # one file per data set, named like it
HEADLINE = ("test_accuracy", "low", "high", "errors", "n")
NETWORK = ("origin", "weights_sha256", "layers", "parameter_count")  # what a network is compared by


class ResultsError(DigitsError, ValueError):
    """Results are not what `results.schema.json` says."""


class ExpectedError(DigitsError):
    """A file with expected results cannot be used."""


# --- What lesson 05 left ---


def read_headline(artifacts: Path) -> dict[str, Any] | None:
    """Read the headline result that lesson 05 left.

    Returns:
        `test_accuracy`, `low` and `high` (0 to 1), `errors` and `n`; None when one of them is not there or no number.
    """
    found = read_record(artifacts / "results.json").get("headline")
    headline = {name: finite(found.get(name)) for name in HEADLINE} if isinstance(found, dict) else {}
    return headline if headline and None not in headline.values() else None


def headline_text(headline: dict[str, Any]) -> str:
    """Write the headline result in one line.

    >>> headline_text({"test_accuracy": 0.9917, "low": 0.98973, "high": 0.99331, "errors": 83, "n": 10000})
    'Test accuracy 99.17 % (95 % interval 98.97–99.33 %), 83 errors of 10,000'
    """
    accuracy, low, high = (f"{100 * headline[name]:.2f}" for name in ("test_accuracy", "low", "high"))
    counts = f"{headline['errors']:,} errors of {headline['n']:,}"
    return f"Test accuracy {accuracy} % (95 % interval {low}–{high} %), {counts}"


def read_evaluation(artifacts: Path) -> dict[str, Any]:
    """Read what lesson 05 left about the network and its metrics.

    Args:
        artifacts: the folder that the lessons leave their files in.

    Returns:
        "metrics" (name -> value, low, high, n; a number that is not finite is None) and "network" (origin,
        weights_sha256, layers, parameter_count, training_seconds), in the form of `results.json`; None where lesson 05
        left none.
    """
    found = read_record(artifacts / "results.json")
    metrics, layers, weights = (found.get(name) for name in ("metrics", "layers", "weights_sha256"))
    entries = metrics.items() if isinstance(metrics, dict) else ()
    numbers = {
        name: {key: finite(value) for key, value in entry.items()} for name, entry in entries if isinstance(entry, dict)
    }
    network = {
        "origin": found.get("network"),
        "weights_sha256": weights,
        "layers": layers if isinstance(layers, list) else None,
        "parameter_count": finite(found.get("parameter_count")),
        "training_seconds": _training_seconds(artifacts, weights),
    }
    return {"metrics": numbers or None, "network": network if network["origin"] else None}


def _training_seconds(artifacts: Path, weights: str | None) -> float | None:
    """Read how long the training of these very weights took; None where they were not trained here."""
    run = read_record(artifacts / "training.json")
    return finite(run.get("seconds")) if weights and run.get("weights_sha256") == weights else None


# --- results.json ---


def collect_results(report: Report) -> dict[str, Any]:
    """Collect what `results.json` of a report says; `schemas/results.schema.json` describes it.

    Args:
        report: a report in any state; what it does not have yet, or never gets, is None.

    Returns:
        What JSON can hold: results with their verdict, and everything that is needed to repeat them.
    """
    evaluated = any(lesson.number == "05" and lesson.status == "complete" for lesson in report.lessons)
    evaluation = read_evaluation(report.folder / "artifacts") if evaluated else {"metrics": None, "network": None}
    results = {
        "format": FORMAT,
        "complete": report.complete,
        "headline": report.headline,
        **evaluation,
        "verdict": [],
        "dataset": {"name": report.dataset, "title": report.dataset_title, "sha256": report.digests},
        "parameters": {"given": report.given, "used": report.parameters},
        "seed": report.parameters.get("seed"),
        "lessons": [asdict(lesson) for lesson in report.lessons],
        "seconds": round(sum(lesson.seconds or 0.0 for lesson in report.lessons), 1),
        "versions": package_versions(),
        "machine": machine_facts(),
        "git": git_facts(),
    }
    results["verdict"] = judge(results, report.expected)
    return results


def judge(results: Mapping[str, Any], check: Path | None) -> list[dict[str, Any]]:
    """Compare results with a file of expected ones, or with those that ship for their data set.

    Args:
        results: content of `results.json`.
        check: the file; without it, the shipped one is used if it was made with the same epochs, batch size and seed.

    Returns:
        Rows as `verdict.verdict_rows` makes them; a file that cannot be used is a row with `ok` False.
    """
    path = check or EXPECTED / f"{results['dataset']['name']}.json"
    if check is None and (results["metrics"] is None or not path.is_file()):
        return verdict_rows(results)
    try:
        expected = load_expected(path)
    except ExpectedError as error:
        return [refusal_row(str(error)), *verdict_rows(results)]
    used, theirs = results["parameters"]["used"], expected["parameters"]["used"]
    comparable = all(used.get(name) == theirs[name] for name in PARAMETERS)
    return verdict_rows(results, expected if check or comparable else None)


def validate_results(results: Any) -> None:
    """Check that results are what `results.schema.json` says.

    Args:
        results: content of `results.json`.

    Raises:
        ResultsError: they are not; the place in the document is named.
    """
    problem = _problem(results, "results")
    if problem:
        raise ResultsError(f"The results do not fit {SCHEMA.name} at {problem}: run `digits report` to make others.")


def _problem(content: Any, definition: str) -> str | None:
    """Say where and why content does not fit a definition of the schema; None where it does."""
    import jsonschema  # slow: about a second

    schema = json.loads(SCHEMA.read_text(encoding="utf-8")) | {"$ref": f"#/$defs/{definition}"}
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(content))
    if error is None:
        return None
    # What is wrong stands at the end, behind the value, which can be the whole document
    message = error.message if len(error.message) <= 120 else f"…{error.message[-120:]}"
    return f"{error.json_path} ({message})"


# --- Expected results ---


def expected_from(results: Mapping[str, Any]) -> dict[str, Any]:
    """Choose, of the content of `results.json`, what other results are compared with.

    Args:
        results: content of `results.json`; "format", "dataset", "parameters", "metrics" and "network" are enough.

    Returns:
        The smaller form, which says nothing of the machine or of times.
    """
    network, parameters = results.get("network"), results.get("parameters")
    return {
        "format": results.get("format"),
        "dataset": results.get("dataset"),
        "parameters": {"used": parameters.get("used")} if isinstance(parameters, dict) else None,
        "metrics": results.get("metrics"),
        "network": {name: network.get(name) for name in NETWORK} if isinstance(network, dict) else None,
    }


def write_expected(results: Mapping[str, Any], path: Path) -> None:
    """Keep results as the expected ones.

    Args:
        results: as for `expected_from`.
        path: the file, which is written whole or not at all.

    Raises:
        ResultsError: something that is compared is missing; the file is as before.
        OSError: the file cannot be written.
    """
    expected = expected_from(results)
    problem = _problem(expected, "expected")
    if problem:
        raise ResultsError(f"These results cannot be expected of others, because of {problem}: run lesson 05 again.")
    write_json(path, expected)


def load_expected(path: Path) -> dict[str, Any]:
    """Read expected results.

    Args:
        path: `results.json` of a report with lesson 05, or the smaller form that `write_expected` makes.

    Returns:
        The smaller form.

    Raises:
        ExpectedError: the file cannot be read, has another format, or lacks what is compared.
    """
    name, advice = f"The file {str(path)!r}", "take results.json of a complete report with lesson 05"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExpectedError(f"{name} with expected results cannot be read ({reason(error)}): {advice}.") from error
    except (ValueError, RecursionError) as error:
        raise ExpectedError(f"{name} with expected results is not JSON ({error}): {advice}.") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise ExpectedError(f"{name} has the format {found!r}, but this version reads {FORMAT}: {advice} that it made.")
    expected = expected_from(content)
    problem = _problem(expected, "expected")
    if problem:
        raise ExpectedError(f"{name} cannot be compared with, because of {problem}: {advice}.")
    return expected


def keep_report(folder: Path) -> Path:
    """Keep a report's results as the expected ones that ship for its data set.

    Args:
        folder: the report's folder.

    Returns:
        The file that was written, `expected/mnist.json` or `expected/embedded.json`.

    Raises:
        ExpectedError: the folder holds no report with lesson 05.
    """
    expected = load_expected(folder / "results.json")
    path = EXPECTED / f"{expected['dataset']['name']}.json"
    write_expected(expected, path)
    return path


if __name__ == "__main__":
    try:
        for folder in sys.argv[1:] or ["report"]:
            print(f"Written: {keep_report(Path(folder))}")
    except DigitsError as error:
        sys.exit(f"Error: {error}")
