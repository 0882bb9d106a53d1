"""What a report says as data: the headline, and everything in `results.json`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digits_helpers.report import Report

def read_headline(artifacts: Path) -> dict[str, Any] | None:
    """Read the headline result that lesson 05 left.

    Returns:
        `test_accuracy`, `low` and `high` (0 to 1), `errors` and `n`; None when it is not there or not complete.
    """
    try:
        headline = json.loads((artifacts / "results.json").read_text(encoding="utf-8"))["headline"]
        return {name: headline[name] for name in ("test_accuracy", "low", "high", "errors", "n")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def headline_text(headline: dict[str, Any]) -> str:
    """Write the headline result in one line.

    >>> headline_text({"test_accuracy": 0.9917, "low": 0.98973, "high": 0.99331, "errors": 83, "n": 10000})
    'Test accuracy 99.17 % (95 % interval 98.97–99.33 %), 83 errors of 10,000'
    """
    accuracy, low, high = (f"{100 * headline[name]:.2f}" for name in ("test_accuracy", "low", "high"))
    counts = f"{headline['errors']:,} errors of {headline['n']:,}"
    return f"Test accuracy {accuracy} % (95 % interval {low}–{high} %), {counts}"


def collect_results(report: Report) -> dict[str, Any]:
    """Collect what `results.json` of a report says."""
    return {
        "complete": report.complete,
        "headline": report.headline,
        "dataset": report.dataset,
        "parameters": report.parameters,
        "lessons": [asdict(lesson) for lesson in report.lessons],
    }
