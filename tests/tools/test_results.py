"""Results of a report as data: their schema, and the results that others are compared with."""

import json

import jsonschema
import pytest
from html_page import SCHEMA, small_report, validate
from sample_results import HEADLINE, changed, sample_evaluation, sample_results

from digits_tools.errors import InputError
from digits_tools.lessons import LESSONS
from digits_tools.report import results as results_module
from digits_tools.report.record import LessonRun
from digits_tools.report.results import (
    EXPECTED,
    FORMAT,
    collect_results,
    headline,
    headline_text,
    load_expected,
    write_expected,
)
from digits_tools.report.verdict import Row


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def report(tmp_path):
    """A report of lessons 04 and 05 on MNIST, of which lesson 05 has left its evaluation."""
    report = small_report(tmp_path)
    report.dataset.update(name="mnist", title="MNIST")
    report.parameters = sample_results()["parameters"]["used"]
    (tmp_path / "artifacts").mkdir()
    write(tmp_path / "artifacts" / "evaluation.json", sample_evaluation())
    return report


def expectations(report):
    return {
        row["quantity"]: row["expected"] for row in collect_results(report)["verdict"] if row["expected"] is not None
    }


# --- results.json ---


def test_results_are_the_evaluation_and_what_the_report_adds(report):
    results = collect_results(report)
    validate(results)
    assert results | sample_evaluation() == results
    assert results["headline"] == HEADLINE
    assert results["format"] == FORMAT


def test_a_report_of_which_nothing_ran_fits_the_schema(report):
    report.lessons = [LessonRun(lesson) for lesson in LESSONS]
    results = collect_results(report)
    validate(results)
    assert results["metrics"] is results["headline"] is None  # what lies there is of an earlier run


def test_the_headline_of_four_errors_in_embedded_digits():
    assert headline(None) is headline({}) is headline({"test_accuracy": {"value": 0.9}}) is None
    # 356 of 360: the Wilson interval is 97.18–99.57 %
    found = headline({"test_accuracy": {"value": 356 / 360, "low": 0.97177, "high": 0.99566, "n": 360}})
    assert headline_text(found) == "Test accuracy 98.89 % (95 % interval 97.18–99.57 %), 4 errors of 360"


# --- The schema ---


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metrics", "test_loss", "value"), "low"),
        (("lessons", 0, "status"), "done"),
        (("dataset", "sha256", "all"), "12"),
        (("headline", "test_accuracy"), 99.17),
        (("note",), "more"),
    ],
)
def test_the_schema_refuses_what_does_not_fit(report, path, value):
    with pytest.raises(jsonschema.ValidationError):
        validate(changed(collect_results(report), value, *path))


def test_the_schema_is_one_and_describes_the_rows_as_they_are():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["row"]["required"] == list(Row.__dataclass_fields__)
    assert SCHEMA["$defs"]["format"]["const"] == FORMAT


# --- Expected results ---


def without(*path):
    """Sample results that lack something."""
    results = sample_results()
    inner = results
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return results


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "format None"),
        ({**sample_results(), "format": 1}, "format 1, but this version reads 2"),
        ({**sample_results(), "metrics": list(range(1000))}, "metrics.test_accuracy.value"),
        (without("network", "layers"), "network.layers"),
        (without("dataset", "sha256", "all"), "dataset.sha256.all"),
        (without("parameters", "used", "seed"), "parameters.used.seed"),
        (changed(sample_results(), "99 %", "metrics", "coverage", "value"), "metrics.coverage.value"),
        (changed(sample_results(), float("nan"), "metrics", "coverage", "value"), "metrics.coverage.value"),
    ],
)
def test_a_file_that_cannot_be_compared_with_is_named_with_what_is_wrong(tmp_path, content, match):
    path = write(tmp_path / "given.json", content)
    with pytest.raises(InputError, match=match) as caught:
        load_expected(path)
    assert "given.json" in str(caught.value)
    assert "complete report with lesson 05" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            load_expected(path)


def test_a_report_becomes_the_expected_one_of_its_data_set(report, tmp_path, monkeypatch):
    monkeypatch.setattr(results_module, "EXPECTED", tmp_path)
    whole = write(tmp_path / "results.json", collect_results(report))
    assert write_expected(tmp_path) == tmp_path / "mnist.json"
    assert load_expected(tmp_path / "mnist.json") == load_expected(whole)
    text = (tmp_path / "mnist.json").read_text(encoding="utf-8")
    assert not any(word in text for word in ("seconds", "machine", "versions", "commit", "lessons"))
    before = (tmp_path / "mnist.json").read_bytes()
    write(whole, changed(collect_results(report), None, "metrics"))
    with pytest.raises(InputError, match="metrics"):
        write_expected(tmp_path)
    assert (tmp_path / "mnist.json").read_bytes() == before


@pytest.mark.parametrize("name", ["mnist", "embedded"])
def test_the_expected_results_that_ship_are_complete(name):
    expected = load_expected(EXPECTED / f"{name}.json")
    assert expected["dataset"]["name"] == name
    assert expected["network"]["parameter_count"] == 2_380_938  # as calculated by hand in lesson 03
    assert len(expected["network"]["layers"]) == 8
    used = expected["parameters"]["used"]
    assert (used["epochs"], used["batch_size"], used["seed"]) == (10, 128, 0)  # those that nobody has to give


@pytest.mark.parametrize("name", [None, "epochs", "batch_size", "seed"])
def test_shipped_results_are_expected_of_the_same_training_only(report, name):
    report.expected = sample_results(weights="ef" * 32)
    if name:
        report.parameters = {**report.parameters, name: 64}
    assert expectations(report).get("test accuracy") == (None if name else 0.9917)


def test_given_results_are_expected_whatever_they_were_made_with(report):
    report.expected, report.checked = (
        changed(sample_results(weights="ef" * 32), 1, "parameters", "used", "epochs"),
        True,
    )
    report.dataset["sha256"] = report.expected["dataset"]["sha256"]
    report.results = collect_results(report)
    assert report.drifted == ["epochs"]
    report.lessons[1].status = "failed"  # nothing was measured
    report.results = collect_results(report)
    assert "test accuracy" in report.drifted
