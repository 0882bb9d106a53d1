"""Compare a report's results with the recipe's published expectations and with the results of another run."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from digits_helpers.tolerances import Tolerance, Tolerances, load_tolerances


@dataclass(frozen=True)
class Published:
    """A range that the recipe promises.

    Attributes:
        low: its lower end, in the unit of the quantity.
        high: its upper end.
        text: how it is written.
    """

    low: float
    high: float
    text: str


# What the reference recipe, which is widely used, says of itself. Minutes are for "modern hardware".
PUBLISHED = {
    "training accuracy": Published(0.95, 0.98, "95–98 %"),
    "test accuracy": Published(0.98, 0.99, "98–99 %"),
    "training minutes": Published(2, 3, "2–3"),
}
PUBLISHED_FOR = {"dataset": "mnist", "epochs": 10, "batch_size": 128}

# Metric of results.json -> the quantity of tests/tolerances.toml that it is one of.
METRICS = {
    "test_accuracy": "accuracy",
    "test_loss": "loss",
    "training_accuracy": "accuracy",
    "validation_accuracy": "accuracy",
    "calibration_error": "calibration error",
    "coverage": "coverage",
    "accuracy_when_answered": "accuracy",
}
PARAMETERS = ("epochs", "batch_size", "seed")  # those that decide what a network becomes

HEADINGS = ("quantity", "published", "expected", "measured", "tolerance", "verdict")
WIDTHS = (22, 9, 20, 23, 9, 7)  # with two blanks in between 100 columns
NONE = "–"
OK_WORDS = {True: "ok", False: "DRIFT", None: NONE}


@dataclass(frozen=True)
class Row:
    """One line of the verdict.

    Attributes:
        quantity: what is compared, in words.
        unit: "fraction" (0 to 1), "number", "count" or "text".
        published: what the recipe promises; None where it promises nothing for this run.
        expected: what the other run had; None without one.
        measured: what this run has; None where it has nothing, or no finite number.
        low: lower end of the 95 % interval of what is measured.
        high: its upper end.
        tolerance: largest difference that is allowed, in the unit of the quantity; 0 where it has to be equal.
        ok: whether this run is as it should be; None where there is nothing to compare it with.
        remark: what else is to be said, for people.
    """

    quantity: str
    unit: str
    published: str | None = None
    expected: float | str | None = None
    measured: float | str | None = None
    low: float | None = None
    high: float | None = None
    tolerance: float | None = None
    ok: bool | None = None
    remark: str | None = None


def verdict_rows(results: Mapping[str, Any], expected: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Compare results, quantity by quantity.

    Expected results judge wherever they have something to say. Where they do not, the published range judges, but only
    a run of the recipe as it was published (MNIST, 10 epochs, batches of 128): for other data or a shorter training
    nobody promised anything. Below the range is a failure. Above it is none: the ranges are modest, the shipped network
    is above both, and lesson 05 says what has to be checked then. Minutes depend on the machine and judge nothing.
    Numbers may differ by the tolerances of `tests/tolerances.toml`, everything else has to be equal.

    Args:
        results: content of a report's `results.json`; what is missing in it counts as not measured.
        expected: content of `results.json` of another run, or its smaller form, as `results.load_expected` returns it.

    Returns:
        One dictionary per quantity with the names of `Row`. Results have drifted if one of them has `ok` False.

    Raises:
        VerifyError: the file with the tolerances is missing or damaged.
    """
    tolerances, kind = load_tolerances(), comparison_class(results, expected)
    rows = [_metric_row(name, results, expected, tolerances, kind) for name in METRICS]
    rows += [
        _equal_row("parameter count", "count", ("network", "parameter_count"), results, expected),
        _layers_row(results, expected),
        _minutes_row(results),
        _equal_row("dataset digest", "text", ("dataset", "sha256", "all"), results, expected),
    ]
    for name in PARAMETERS:
        rows.append(_equal_row(name.replace("_", " "), "count", ("parameters", "used", name), results, expected))
    return [asdict(row) for row in rows]


def refusal_row(reason: str) -> dict[str, Any]:
    """Make the row that says why the expected results could not be used: a comparison not made is not passed."""
    return asdict(Row("expected results", "text", measured="not compared", ok=False, remark=reason))


def comparison_class(results: Mapping[str, Any], expected: Mapping[str, Any] | None) -> str:
    """Tell which class of tolerances applies, in the words of `tests/tolerances.toml`.

    Returns:
        "trained" where one of the two runs trained its network and the weights differ, else "close": the same weights
        give the same numbers to about six digits everywhere, and so must the network that ships with the series.
    """
    origins = {_get(document, "network", "origin") for document in (results, expected)}
    ours, theirs = (_get(document, "network", "weights_sha256") for document in (results, expected))
    return "trained" if "own" in origins and (ours is None or ours != theirs) else "close"


def _get(document: Any, *keys: str) -> Any:
    """Look up a value by its path; None where the path ends early."""
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def finite(value: Any) -> float | None:
    """Take a finite number, and nothing else: JSON has no NaN, and nothing can be compared with one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and math.isfinite(value) else None


def _published(quantity: str, results: Mapping[str, Any]) -> Published | None:
    """Find what is published for a quantity of this run; None where this run is not what was published."""
    used = {**(_get(results, "parameters", "used") or {}), "dataset": _get(results, "dataset", "name")}
    as_published = all(used.get(name) == value for name, value in PUBLISHED_FOR.items())
    return PUBLISHED.get(quantity) if as_published else None


def _metric_row(
    name: str, results: Mapping[str, Any], expected: Mapping[str, Any] | None, tolerances: Tolerances, kind: str
) -> Row:
    """Compare one metric."""
    quantity, of = name.replace("_", " "), tolerances.quantities[METRICS[name]]
    measured, low, high = (finite(_get(results, "metrics", name, key)) for key in ("value", "low", "high"))
    wanted = finite(_get(expected, "metrics", name, "value"))
    published = _published(quantity, results)
    tolerance, ok = None, None
    if wanted is not None:
        allowed = of.tolerances.get(kind, Tolerance()).at(_decimal(wanted))
        tolerance, ok = float(allowed), measured is not None and abs(_decimal(measured) - _decimal(wanted)) <= allowed
    elif published and _get(results, "metrics") is not None:  # a report without lesson 05 measures nothing
        ok = measured is not None and measured >= published.low
    promise, remark = published and published.text, _remark(measured, published, ok)
    return Row(quantity, of.unit, promise, wanted, measured, low, high, tolerance, ok, remark)


def _decimal(value: float) -> Decimal:
    """Turn a number into what is written of it, so that 0.99 and 0.994 are 0.004 apart and not a little more."""
    return Decimal(str(value))


def _remark(measured: float | None, published: Published | None, ok: bool | None) -> str | None:
    """Say where a measurement lies that is not in the published range, or that there is none."""
    if measured is None:
        return "no finite number was measured" if ok is False else None
    if published is not None and measured > published.high:
        return "above the published range, which is no failure"
    return "below the published range" if published is not None and measured < published.low else None


def _equal_row(
    quantity: str, unit: str, path: tuple[str, ...], results: Mapping[str, Any], expected: Mapping[str, Any] | None
) -> Row:
    """Compare what has to be equal."""
    wanted, measured = _get(expected, *path), _get(results, *path)
    if wanted is None:
        return Row(quantity, unit, measured=measured)
    return Row(quantity, unit, expected=wanted, measured=measured, tolerance=0, ok=measured == wanted)


def _layers_row(results: Mapping[str, Any], expected: Mapping[str, Any] | None) -> Row:
    """Compare the layers; where they differ, show the first that does."""
    wanted, measured = _get(expected, "network", "layers"), _get(results, "network", "layers")
    theirs, ours = (None if layers is None else f"{len(layers)} layers" for layers in (wanted, measured))
    if wanted is None or measured is None:
        return Row("layers", "text", expected=theirs, measured=ours, ok=None if wanted is None else False)
    for place, (one, other) in enumerate(zip_longest(wanted, measured, fillvalue="no layer"), start=1):
        if one != other:
            remark = f"layer {place} is the first that differs"
            return Row("layers", "text", expected=one, measured=other, tolerance=0, ok=False, remark=remark)
    return Row("layers", "text", expected=theirs, measured=ours, tolerance=0, ok=True)


def _minutes_row(results: Mapping[str, Any]) -> Row:
    """Show how long the training took, where it happened in this report."""
    seconds = finite(_get(results, "network", "training_seconds"))
    published = _published("training minutes", results)
    remark = "published for modern hardware, and judges nothing" if published and seconds is not None else None
    minutes = None if seconds is None else round(seconds / 60, 1)
    return Row("training minutes", "number", published and published.text, measured=minutes, remark=remark)


def as_table(rows: list[dict[str, Any]]) -> str:
    """Write a verdict as aligned text of at most 100 columns; remarks follow below the table."""
    lines = [HEADINGS, *(row_texts(row) for row in rows)]
    table = ["  ".join(map(_fitted, line, WIDTHS)).rstrip() for line in lines]
    remarks = [f"{row['quantity']}: {row['remark']}" for row in rows if row["remark"]]
    options = {"subsequent_indent": "  ", "break_long_words": False, "break_on_hyphens": False}  # a path stays whole
    wrapped = [line for remark in remarks for line in textwrap.wrap(remark, 100, **options)]
    return "\n".join(table + ([""] + wrapped if wrapped else []))


def _fitted(text: str, width: int) -> str:
    """Pad or cut a text to a width."""
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


def row_texts(row: Mapping[str, Any]) -> list[str]:
    """Write a row for people: a text for each of `HEADINGS`."""
    expected, measured = row["expected"], row["measured"]
    texts = [NONE, NONE]
    for digits in (2, 4, 6, 8):  # more, where two numbers that differ would look the same
        texts = [_written(value, row["unit"], digits) for value in (expected, measured)]
        if texts[0] != texts[1] or expected == measured:
            break
    if row["low"] is not None and row["high"] is not None and digits == 2:  # beside more digits there is no room
        texts[1] += f" ({100 * row['low']:.2f}–{100 * row['high']:.2f} %)"
    tolerance = _allowed(row["tolerance"], row["unit"])
    return [row["quantity"], row["published"] or NONE, *texts, tolerance, OK_WORDS[row["ok"]]]


def _written(value: float | str | None, unit: str, digits: int) -> str:
    """Write one value: a fraction in %, a digest by its first digits."""
    if value is None:
        return NONE
    if isinstance(value, str):
        return f"{value[:12]}…" if re.fullmatch("[0-9a-f]{64}", value) else value
    if unit == "fraction":
        return f"{100 * value:.{digits}f} %"
    return f"{value:,}" if unit == "count" else f"{value:.{digits + 2}g}"


def _allowed(tolerance: float | None, unit: str) -> str:
    """Write a tolerance in the unit of its row."""
    if tolerance is None:
        return NONE
    if tolerance == 0:
        return "exact"
    scale, sign = (100, " %") if unit == "fraction" else (1, "")
    return f"±{Decimal(f'{scale * tolerance:.2g}'):f}{sign}"  # Decimal, for 0.000002 instead of 2e-06
