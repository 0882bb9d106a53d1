"""The verdict: what is compared with what, how far it may be off, and how it is written."""

import re

import pytest
from sample_results import changed, sample_results

from digits_tools.report.verdict import METRICS, as_table, comparison_class, verdict_rows

OTHER = "ef" * 32


def row_of(rows, quantity):
    (found,) = [row for row in rows if row["quantity"] == quantity]
    return found


def drifted(rows):
    return [row["quantity"] for row in rows if row["ok"] is False]


# --- Planted drift: exactly the row that was changed says so ---


@pytest.mark.parametrize(
    ("quantity", "value", "path"),
    [
        ("test accuracy", 0.9917 + 0.01, ("metrics", "test_accuracy", "value")),
        ("test accuracy", 0.9917 - 0.01, ("metrics", "test_accuracy", "value")),
        ("test loss", 0.0279 / 0.4, ("metrics", "test_loss", "value")),
        ("training accuracy", 0.98, ("metrics", "training_accuracy", "value")),
        ("validation accuracy", 0.98, ("metrics", "validation_accuracy", "value")),
        ("calibration error", 0.0081, ("metrics", "calibration_error", "value")),
        ("coverage", 0.95, ("metrics", "coverage", "value")),
        ("accuracy when answered", 0.99, ("metrics", "accuracy_when_answered", "value")),
        ("parameter count", 2_380_939, ("network", "parameter_count")),
        ("dataset digest", OTHER, ("dataset", "sha256", "all")),
        ("epochs", 12, ("parameters", "used", "epochs")),
        ("batch size", 64, ("parameters", "used", "batch_size")),
        ("seed", 1, ("parameters", "used", "seed")),
    ],
)
def test_planted_drift_shows_in_its_row_and_nowhere_else(quantity, value, path):
    assert all(row["ok"] for row in verdict_rows(sample_results(), sample_results()))
    expected = changed(sample_results(weights=OTHER), value, *path)
    assert drifted(verdict_rows(sample_results(), expected)) == [quantity]


def test_another_dropout_rate_shows_as_the_layer_that_it_is():
    rows = verdict_rows(changed(sample_results(), "Dropout 0.4", "network", "layers", 3), sample_results())
    assert drifted(rows) == ["layers"]
    row = row_of(rows, "layers")
    assert (row["expected"], row["measured"]) == ("Dropout 0.25", "Dropout 0.4")
    assert "layer 4" in row["remark"]


# --- Tolerances ---


@pytest.mark.parametrize("name", METRICS)
def test_a_difference_as_large_as_the_tolerance_is_ok_and_a_larger_one_is_not(name):
    expected = sample_results(weights=OTHER)
    wanted = expected["metrics"][name]["value"]
    quantity = name.replace("_", " ")
    tolerance = row_of(verdict_rows(sample_results(), expected), quantity)["tolerance"]
    for factor, ok in ((1, True), (-1, True), (1.001, False), (-1.001, False)):
        results = changed(sample_results(), round(wanted + factor * tolerance, 8), "metrics", name, "value")
        assert row_of(verdict_rows(results, expected), quantity)["ok"] is ok, (factor, tolerance)


@pytest.mark.parametrize(
    ("ours", "theirs", "wanted"),
    [
        (("own", OTHER), ("shipped", "ab" * 32), "trained"),
        (("own", OTHER), ("own", "ab" * 32), "trained"),
        (("shipped", OTHER), ("own", "ab" * 32), "trained"),
        (("own", OTHER), ("own", OTHER), "close"),
        (("own", None), ("own", None), "trained"),
        (("shipped", OTHER), ("shipped", OTHER), "close"),
        (("shipped", OTHER), ("shipped", "ab" * 32), "close"),  # the shipped network is one and the same, or drifted
    ],
)
def test_only_weights_of_another_training_may_differ_much(ours, theirs, wanted):
    assert comparison_class(sample_results(*ours), sample_results(*theirs)) == wanted


# --- The published expectations ---


@pytest.mark.parametrize(
    ("value", "ok", "remark"),
    [
        (0.9799, False, "below the published range"),
        (0.98, True, None),
        (0.99, True, None),
        (0.9917, True, "above the published range, which is no failure"),
    ],
)
def test_without_expected_results_the_published_range_judges(value, ok, remark):
    rows = verdict_rows(changed(sample_results(), value, "metrics", "test_accuracy", "value"))
    row = row_of(rows, "test accuracy")
    assert (row["published"], row["ok"], row["remark"]) == ("98–99 %", ok, remark)
    assert row["expected"] is row["tolerance"] is None
    assert {row["quantity"] for row in rows if row["ok"] is not None} == {"test accuracy", "training accuracy"}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("embedded", ("dataset", "name")),
        (1, ("parameters", "used", "epochs")),
        (64, ("parameters", "used", "batch_size")),
    ],
)
def test_nothing_is_published_for_other_data_or_another_training(value, path):
    rows = verdict_rows(changed(sample_results(), value, *path))
    assert all(row["published"] is None and row["ok"] is None for row in rows)


def test_expected_results_judge_before_published_ones():
    # below the published range, as the other run was: no drift, and the remark still tells
    low = changed(sample_results(), 0.975, "metrics", "test_accuracy", "value")
    row = row_of(verdict_rows(low, low), "test accuracy")
    assert (row["ok"], row["published"], row["remark"]) == (True, "98–99 %", "below the published range")


# --- What is missing, or no number ---


@pytest.mark.parametrize("expected", [None, sample_results(weights=OTHER)])
def test_a_metric_that_is_no_number_is_not_ok(expected):
    rows = verdict_rows(changed(sample_results(), None, "metrics", "test_accuracy", "value"), expected)
    row = row_of(rows, "test accuracy")
    assert (row["ok"], row["measured"]) == (False, None)
    assert drifted(rows) == ["test accuracy"]
    assert "DRIFT" in as_table(rows)


def test_a_report_that_measured_nothing_has_no_verdict_of_its_own_but_fails_a_comparison():
    for nothing in ({}, {"metrics": None, "network": None}, {**sample_results(), "metrics": None, "network": None}):
        assert drifted(verdict_rows(nothing)) == []
        missing = drifted(verdict_rows(nothing, sample_results()))
        assert {name.replace("_", " ") for name in METRICS} | {"layers", "parameter count"} <= set(missing)
        as_table(verdict_rows(nothing, sample_results()))


# --- As text ---


def test_the_table_is_aligned_and_fits_a_terminal():
    long = "Dropout 0.4, with words that are longer than a column"
    expected = changed(sample_results(weights=OTHER), long, "network", "layers", 3)
    expected = changed(expected, 0.97, "metrics", "test_accuracy", "value")
    lines = as_table(verdict_rows(sample_results(), expected)).splitlines()
    assert max(map(len, lines)) <= 100
    assert all(line == line.rstrip() for line in lines)
    table = lines[: lines.index("")]
    starts = {name: table[0].index(name) for name in ("published", "expected", "measured", "tolerance")}
    for line in table[1:]:
        assert all(line[start - 2 : start] == "  " and line[start] != " " for start in starts.values()), line
    accuracy = next(line for line in table if line.startswith("test accuracy"))
    assert accuracy.split("  ")[0] == "test accuracy"
    for part in ("98–99 %", "97.00 %", "99.17 % (98.97–99.33 %)", "±0.4 %", "DRIFT"):
        assert part in accuracy
    by_name = {line.split("  ")[0]: line.split() for line in table}
    assert by_name["epochs"] == ["epochs", "–", "10", "10", "exact", "ok"]
    assert "test accuracy: above the published range, which is no failure" in lines
    assert "layers: layer 4 is the first that differs" in lines


@pytest.mark.parametrize(
    ("name", "value", "cells"),
    [
        ("calibration_error", 0.0021004, ["calibration error", "–", "0.210000 %", "0.210040 %", "±0.0002 %", "ok"]),
        ("test_loss", 0.027901, ["test loss", "–", "0.0279", "0.027901", "±0.000002", "ok"]),
        ("coverage", 0.97104, ["coverage", "–", "97.1000 %", "97.1040 %", "exact", "DRIFT"]),
    ],
)
def test_numbers_that_differ_do_not_look_the_same(name, value, cells):
    table = as_table(verdict_rows(changed(sample_results(), value, "metrics", name, "value"), sample_results()))
    assert [re.split(" {2,}", line) for line in table.splitlines() if line.startswith(cells[0])] == [cells]
