"""Results of a report as data: what they say, their schema, and the results that others are compared with."""

import json
import math
import subprocess
import sys

import pytest
from sample_results import LAYERS, LESSON_05_PARAMETERS, WEIGHTS, leave, sample_evaluation, sample_results
from tiny_lessons import PARAMETERS, write_lesson

from digits_helpers import results as results_module
from digits_helpers.errors import DigitsError
from digits_helpers.report import LessonRun, Report, run_report
from digits_helpers.results import (
    EXPECTED,
    FORMAT,
    SCHEMA,
    ExpectedError,
    ResultsError,
    collect_results,
    expected_from,
    headline_text,
    judge,
    keep_report,
    load_expected,
    read_evaluation,
    read_headline,
    validate_results,
    write_expected,
)
from digits_helpers.series import LESSONS, select_lessons
from digits_helpers.verdict import Row

RUN = {"seconds": 468.04, "weights_sha256": WEIGHTS}


def run_tiny(folder, *last_05, **options):
    """Run two lessons of one cell each on the embedded digits; 05 can end in another cell."""
    write_lesson(folder / "notebooks", "04", leave("training.json", RUN))
    sources = (leave("results.json", sample_evaluation()), *last_05)
    write_lesson(folder / "notebooks", "05", *sources, parameters=LESSON_05_PARAMETERS)
    options = {"dataset": "embedded", "say": lambda line: None, "seed": 3, "epochs": 2, **options}
    return run_report(select_lessons("04-05"), folder / "my report", folder / "notebooks", **options)


def stored(report):
    """What is in the report's file, read as strictly as other languages read JSON."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads((report.folder / "results.json").read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A complete report of two tiny lessons, in a folder with a blank and an umlaut."""
    folder = tmp_path_factory.mktemp("series") / "eine übung"
    folder.mkdir()
    return run_tiny(folder)


# --- What results.json says ---


def test_a_complete_report_fits_the_schema(finished):
    validate_results(stored(finished))


def test_what_lesson_05_left_is_there(finished):
    results = stored(finished)
    assert results["format"] == FORMAT
    assert results["complete"] is True
    assert results["headline"] == sample_evaluation()["headline"]
    assert results["metrics"] == sample_evaluation()["metrics"]
    assert results["network"] == {
        "origin": "own",
        "weights_sha256": WEIGHTS,
        "layers": LAYERS,
        "parameter_count": 2_380_938,
        "training_seconds": 468.04,
    }


def test_what_repeats_the_run_is_there(finished):
    from digits_helpers.data import load_digits

    results = stored(finished)
    given = {"dataset": "embedded", "seed": 3, "epochs": 2, "batch_size": 128}
    assert results["parameters"] == {"given": given, "used": {**given, "network": "own"}}
    assert results["seed"] == 3
    assert (results["dataset"]["name"], results["dataset"]["title"]) == ("embedded", finished.dataset_title)
    assert results["dataset"]["sha256"]["all"] == load_digits("embedded").digest
    assert set(results["dataset"]["sha256"]) == {"train_images", "train_labels", "test_images", "test_labels", "all"}
    assert results["versions"]["tensorflow"]
    assert results["machine"]["threads"] >= 1


def test_times_of_lessons_and_cells_are_there(finished):
    results = stored(finished)
    assert [(lesson["number"], lesson["status"]) for lesson in results["lessons"]] == [
        ("04", "complete"),
        ("05", "complete"),
    ]
    assert results["seconds"] == pytest.approx(sum(lesson["seconds"] for lesson in results["lessons"]))
    sources = [[cell["source"] for cell in lesson["cells"]] for lesson in results["lessons"]]
    assert sources == [['dataset = "auto"', "import os, pathlib"]] * 2


def test_a_report_that_failed_fits_the_schema_and_claims_nothing(tmp_path):
    # the second lesson leaves its results and then stops, so nobody knows whether they are meant
    report = run_tiny(tmp_path, "raise ValueError('no')")
    results = stored(report)
    validate_results(results)
    assert results["complete"] is False
    assert results["headline"] is results["metrics"] is results["network"] is None
    assert "ValueError: no" in results["lessons"][1]["error"]
    assert all(row["ok"] is None for row in results["verdict"])


def test_a_report_of_which_nothing_ran_fits_the_schema(tmp_path):
    lessons = [LessonRun(lesson.number, lesson.slug, lesson.title) for lesson in LESSONS]
    report = Report(tmp_path / "nowhere", "mnist", "MNIST", None, {"dataset": "mnist"}, lessons)
    results = collect_results(report)
    validate_results(json.loads(json.dumps(results)))
    assert results["seconds"] == 0
    assert results["seed"] is results["metrics"] is None


def test_numbers_that_are_none_become_null(tmp_path):
    left = sample_evaluation()
    left["metrics"]["test_loss"]["value"] = math.nan
    left["metrics"]["coverage"] = {"value": math.inf, "low": "0.9", "n": True}
    left["headline"]["low"] = math.nan
    write_lesson(tmp_path / "notebooks", "05", leave("results.json", left), parameters=LESSON_05_PARAMETERS)
    report = run_report(
        select_lessons("05"), tmp_path / "report", tmp_path / "notebooks", "embedded", say=lambda line: None
    )
    results = stored(report)  # json.dumps would write NaN, which no other language reads
    validate_results(results)
    assert results["metrics"]["test_loss"] == {"value": None}
    assert results["metrics"]["coverage"] == {"value": None, "low": None, "n": None}
    assert results["headline"] is None


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"metrics": 1, "network": null}', '{"metrics": {"loss": 3}}'])
def test_a_lesson_that_left_something_else(tmp_path, content):
    (tmp_path / "results.json").write_text(content, encoding="utf-8")
    assert read_evaluation(tmp_path) == {"metrics": None, "network": None}
    assert read_evaluation(tmp_path / "nowhere") == {"metrics": None, "network": None}


@pytest.mark.parametrize("run", [None, {}, {**RUN, "weights_sha256": "ef" * 32}, {**RUN, "seconds": "long"}])
def test_the_training_time_of_other_weights_is_not_this_ones(tmp_path, run):
    (tmp_path / "results.json").write_text(json.dumps(sample_evaluation()), encoding="utf-8")
    if run is not None:
        (tmp_path / "training.json").write_text(json.dumps(run), encoding="utf-8")
    assert read_evaluation(tmp_path)["network"]["training_seconds"] is None


# --- The headline ---


@pytest.mark.parametrize(
    "content",
    ["", "{}", '{"headline": null}', '{"headline": {"errors": 1}}', '{"headline": {}}', "[1]"],
)
def test_a_headline_that_is_not_there(tmp_path, content):
    (tmp_path / "results.json").write_text(content, encoding="utf-8")
    assert read_headline(tmp_path) is None
    assert read_headline(tmp_path / "nowhere") is None


def test_headline_of_four_errors_in_embedded_digits():
    # 356 of 360: the Wilson interval is 97.18–99.57 %
    headline = {"test_accuracy": 356 / 360, "low": 0.97177, "high": 0.99566, "errors": 4, "n": 360}
    assert headline_text(headline) == "Test accuracy 98.89 % (95 % interval 97.18–99.57 %), 4 errors of 360"


# --- The schema ---


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("metrics", "test_loss", "value"), "low", "$.metrics.test_loss.value"),
        (("lessons", 0, "status"), "done", "$.lessons[0].status"),
        (("dataset", "sha256", "all"), "12", "$.dataset.sha256.all"),
        (("format",), 2, "$.format"),
        (("machine", "threads"), 0, "$.machine.threads"),
        (("headline", "test_accuracy"), 99.17, "$.headline.test_accuracy"),
        (("note",), "more", "$ (Additional properties"),
    ],
)
def test_what_does_not_fit_the_schema_is_named(finished, path, value, named):
    results = stored(finished)
    inner = results
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ResultsError) as caught:
        validate_results(results)
    assert f"results.schema.json at {named}" in str(caught.value)
    assert isinstance(caught.value, DigitsError)
    assert isinstance(caught.value, ValueError)


def test_what_is_missing_in_the_schema_is_named(finished):
    results = stored(finished)
    del results["git"]
    with pytest.raises(ResultsError, match="'git' is a required property"):
        validate_results(results)
    with pytest.raises(ResultsError, match="not of type 'object'"):
        validate_results([])


def test_the_schema_is_one_and_describes_the_rows_as_they_are():
    import jsonschema

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$defs"]["row"]["required"] == list(schema["$defs"]["row"]["properties"])
    assert sorted(schema["$defs"]["row"]["required"]) == sorted(Row.__dataclass_fields__)
    assert schema["$defs"]["format"]["const"] == FORMAT


# --- Expected results ---


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def without(*path):
    """Sample results that lack something."""
    results = sample_results()
    inner = results
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return results


def test_a_whole_results_json_and_its_smaller_form_are_expected_alike(finished, tmp_path):
    whole = load_expected(finished.folder / "results.json")
    write_expected(stored(finished), tmp_path / "small.json")
    assert load_expected(tmp_path / "small.json") == whole == expected_from(stored(finished))
    text = (tmp_path / "small.json").read_text(encoding="utf-8")
    assert not any(word in text for word in ("seconds", "machine", "versions", "commit", "lessons"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "has the format None, but this version reads 1"),
        ({**sample_results(), "format": 2}, "has the format 2, but this version reads 1"),
        ({**sample_results(), "metrics": None}, r"\$\.metrics"),
        ({**sample_results(), "metrics": list(range(1000))}, r"\$\.metrics \(….*is not of type 'object'"),
        ({**sample_results(), "parameters": 3}, r"\$\.parameters"),
        (without("network", "layers"), r"\$\.network\.layers"),
        (without("dataset", "sha256", "all"), r"\$\.dataset\.sha256 \('all' is a required property\)"),
        (without("parameters", "used", "seed"), r"\$\.parameters\.used \('seed' is a required property\)"),
        (without("metrics", "coverage"), r"\$\.metrics \('coverage' is a required property\)"),
        (without("metrics", "coverage", "value"), r"\$\.metrics\.coverage \('value' is a required property\)"),
    ],
)
def test_a_file_that_cannot_be_compared_with_is_named_with_what_is_wrong(tmp_path, content, said):
    path = write(tmp_path / "given.json", content)
    with pytest.raises(ExpectedError, match=said) as caught:
        load_expected(path)
    assert "given.json" in str(caught.value)
    assert "take results.json of a complete report with lesson 05" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ExpectedError, match="cannot be read"):
            load_expected(path)


def test_results_that_lack_something_are_not_kept(tmp_path):
    path = write(tmp_path / "kept.json", "before")
    with pytest.raises(ResultsError, match=r"\$\.metrics"):
        write_expected({**sample_results(), "metrics": None}, path)
    assert path.read_text(encoding="utf-8") == "before"


def test_a_report_becomes_the_expected_one_of_its_data_set(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(results_module, "EXPECTED", tmp_path)
    assert keep_report(finished.folder) == tmp_path / "embedded.json"
    assert load_expected(tmp_path / "embedded.json")["dataset"]["name"] == "embedded"


def test_the_command_that_keeps_results_ends_in_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "digits_helpers.results", str(tmp_path)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The file ") and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("name", ["mnist", "embedded"])
def test_the_expected_results_that_ship_are_complete(name):
    expected = load_expected(EXPECTED / f"{name}.json")
    assert expected["dataset"]["name"] == name
    assert expected["network"]["parameter_count"] == 2_380_938  # as calculated by hand in lesson 03
    assert len(expected["network"]["layers"]) == 8
    used = expected["parameters"]["used"]
    assert (used["epochs"], used["batch_size"], used["seed"]) == (10, 128, 0)  # those that nobody has to give


# --- Which expected results a report is compared with ---


def expectations(rows):
    return {row["quantity"]: row["expected"] for row in rows if row["expected"] is not None}


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Sample results as those that ship for MNIST."""
    monkeypatch.setattr(results_module, "EXPECTED", tmp_path)
    write_expected(sample_results(weights="ef" * 32), tmp_path / "mnist.json")


def test_the_shipped_results_are_expected_of_the_same_training(shipped):
    assert expectations(judge(sample_results(), None))["test accuracy"] == 0.9917


@pytest.mark.parametrize(("name", "value"), [("epochs", 1), ("batch_size", 64), ("seed", 1)])
def test_the_shipped_results_are_not_expected_of_another_training(shipped, name, value):
    results = sample_results()
    results["parameters"]["used"][name] = value
    assert expectations(judge(results, None)) == {}


def test_nothing_is_expected_without_a_file_for_the_data_or_without_metrics(shipped):
    results = sample_results()
    results["dataset"]["name"] = "embedded"
    assert expectations(judge(results, None)) == {}
    assert expectations(judge({**sample_results(), "metrics": None}, None)) == {}


def test_a_file_that_is_given_is_expected_whatever_it_was_made_with(shipped, tmp_path):
    given = sample_results()
    given["parameters"]["used"]["epochs"] = 1
    given["metrics"]["test_accuracy"]["value"] = 0.98
    rows = judge(sample_results(), write(tmp_path / "given.json", given))
    assert [row["quantity"] for row in rows if row["ok"] is False] == ["test accuracy", "epochs"]


def test_a_file_that_is_gone_when_the_run_ends_is_no_passed_check(tmp_path):
    rows = judge(sample_results(), tmp_path / "gone.json")
    assert rows[0]["ok"] is False
    assert "gone.json" in rows[0]["remark"]
    assert len(rows) > 10  # the rest is told all the same


def test_a_report_with_a_check_says_where_it_drifted(finished, tmp_path):
    expected = stored(finished)
    expected["network"]["layers"][3] = "Dropout 0.4"
    report = run_tiny(tmp_path, check=write(tmp_path / "expected.json", expected))
    results = stored(report)
    validate_results(results)
    (row,) = [row for row in results["verdict"] if row["ok"] is False]
    assert (row["quantity"], row["expected"], row["measured"]) == ("layers", "Dropout 0.4", "Dropout 0.25")
