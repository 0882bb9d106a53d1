"""Compare a report's results with the recipe's published expectations and with the results of another run."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from digits_tools.notebook import load_series_tolerances

if TYPE_CHECKING:
    from nbval_tolerance import Tolerances
    from nbval_tolerance.tolerances import Tolerance

# What the reference recipe, which is widely used, says of itself.
PUBLISHED = {"training accuracy": (0.95, 0.98), "test accuracy": (0.98, 0.99)}
PUBLISHED_FOR = {"dataset": "mnist", "epochs": 10, "batch_size": 128}

# Metric of results.json -> the quantity of tolerances.toml that it is one of.
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
WIDTHS = (22, 9, 20, 23, 9, 7)  # with two spaces in between 100 columns
NONE = "–"
OK_WORDS = {True: "ok", False: "DRIFT", None: NONE}


@dataclass(frozen=True)
class Row:
    """One line of the verdict; `schemas/results.schema.json` says what each field means."""

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


def verdict_rows(
    results: Mapping[str, Any], expected: Mapping[str, Any] | None = None, tolerances: Tolerances | None = None
) -> list[dict[str, Any]]:
    """Compare results, quantity by quantity.

    Expected results judge wherever there are some, within the tolerances of `tolerances.toml`; what has none has to be
    equal. Elsewhere the published range judges, but only a run of the recipe as it was published (MNIST, 10 epochs,
    batches of 128). Below the range is a failure. Above it is none: the ranges are modest, and lesson 05 says what has
    to be checked then.

    Args:
        results: content of a report's `results.json`; what is missing in it counts as not measured.
        expected: results of another run, as `results.load_expected` returns them.
        tolerances: by default those of the series, read now.

    Returns:
        One dictionary per quantity with the names of `Row`; where `ok` is False, the results have drifted.
    """
    tolerances, kind = tolerances or load_series_tolerances(), comparison_class(results, expected)
    quantities = {name: tolerances.quantities[of] for name, of in METRICS.items()}
    rows = [
        _metric_row(name, results, expected, of.unit, tolerances.tolerance(kind, of)) for name, of in quantities.items()
    ]
    rows += [
        _equal_row("parameter count", "count", ("network", "parameter_count"), results, expected),
        _layers_row(results, expected),
        _equal_row("dataset digest", "text", ("dataset", "sha256", "all"), results, expected),
    ]
    for name in PARAMETERS:
        rows.append(_equal_row(name.replace("_", " "), "count", ("parameters", "used", name), results, expected))
    return [asdict(row) for row in rows]


def comparison_class(results: Mapping[str, Any], expected: Mapping[str, Any] | None) -> str:
    """Choose the class of tolerances that applies, in the words of `tolerances.toml`.

    Returns:
        "trained" where one of the two runs trained its network and the weights differ, else "close": the same weights
        give the same numbers to about six digits everywhere, and so must the network that ships with the series.
    """
    origins = {look_up(document, "network", "origin") for document in (results, expected)}
    ours, theirs = (look_up(document, "network", "weights_sha256") for document in (results, expected))
    return "trained" if "own" in origins and (ours is None or ours != theirs) else "close"


def look_up(document: Any, *keys: str) -> Any:
    """Look up a value by its path; None where the path ends early."""
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _metric_row(
    name: str, results: Mapping[str, Any], expected: Mapping[str, Any] | None, unit: str, allowed: Tolerance
) -> Row:
    """Compare one metric."""
    quantity = name.replace("_", " ")
    measured, low, high = (look_up(results, "metrics", name, key) for key in ("value", "low", "high"))
    wanted = look_up(expected, "metrics", name, "value")
    used = (look_up(results, "parameters", "used") or {}) | {"dataset": look_up(results, "dataset", "name")}
    published = PUBLISHED.get(quantity) if PUBLISHED_FOR.items() <= used.items() else None
    low_end, high_end = published or (0, 1)
    tolerance, ok, remark = None, None, None
    if wanted is not None:
        wanted_exactly = Decimal(str(wanted))  # so that 0.99 and 0.994 are 0.004 apart and not a little more
        tolerance = max(allowed.atol, allowed.rtol * abs(wanted_exactly))
        ok = measured is not None and abs(Decimal(str(measured)) - wanted_exactly) <= tolerance
        tolerance = float(tolerance)
    elif published and look_up(results, "metrics") is not None:  # a report without lesson 05 measures nothing
        ok = measured is not None and measured >= low_end
    if measured is None:
        remark = "not measured" if ok is False else None
    elif published and not low_end <= measured <= high_end:
        above = measured > high_end
        remark = "above the published range, which is no failure" if above else "below the published range"
    text = published and f"{100 * low_end:.0f}–{100 * high_end:.0f} %"
    return Row(quantity, unit, text, wanted, measured, low, high, tolerance, ok, remark)


def _equal_row(
    quantity: str, unit: str, path: tuple[str, ...], results: Mapping[str, Any], expected: Mapping[str, Any] | None
) -> Row:
    """Compare what has to be equal."""
    wanted, measured = look_up(expected, *path), look_up(results, *path)
    if wanted is None:
        return Row(quantity, unit, measured=measured)
    return Row(quantity, unit, expected=wanted, measured=measured, tolerance=0, ok=measured == wanted)


def _layers_row(results: Mapping[str, Any], expected: Mapping[str, Any] | None) -> Row:
    """Compare the layers; where they differ, show the first that does."""
    wanted, measured = look_up(expected, "network", "layers"), look_up(results, "network", "layers")
    theirs, ours = (None if layers is None else f"{len(layers)} layers" for layers in (wanted, measured))
    if wanted is None or measured is None:
        return Row("layers", "text", expected=theirs, measured=ours, ok=None if wanted is None else False)
    for place, (one, other) in enumerate(zip_longest(wanted, measured, fillvalue="no layer"), start=1):
        if one != other:
            remark = f"layer {place} is the first that differs"
            return Row("layers", "text", expected=one, measured=other, tolerance=0, ok=False, remark=remark)
    return Row("layers", "text", expected=theirs, measured=ours, tolerance=0, ok=True)


def as_table(rows: list[dict[str, Any]]) -> str:
    """Write a verdict as aligned text of at most 100 columns; remarks follow below the table."""
    lines = [HEADINGS, *(row_texts(row) for row in rows)]
    table = ["  ".join(map(_fitted, line, WIDTHS)).rstrip() for line in lines]
    remarks = [f"{row['quantity']}: {row['remark']}" for row in rows if row["remark"]]
    wrapped = [line for remark in remarks for line in textwrap.wrap(remark, 100, subsequent_indent="  ")]
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
    if row["low"] is not None and row["high"] is not None and digits == 2:  # beside more digits there is no space
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
    if not tolerance:
        return NONE if tolerance is None else "exact"
    scale, sign = (100, " %") if unit == "fraction" else (1, "")
    return f"±{Decimal(f'{scale * tolerance:.2g}'):f}{sign}"  # Decimal, for 0.000002 instead of 2e-06
