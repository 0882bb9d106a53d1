"""The report as a whole: what lies in its folder, what it says when a lesson stops, and what it refuses to begin."""

import json

import pytest
from html_page import Page, validate
from report_process import FakeLessons
from sample_results import HEADLINE, changed, leave, sample_evaluation
from tiny_lessons import PARAMETERS_05, printed, write_lesson

from digits_helpers.errors import DigitsError
from digits_tools import notebook
from digits_tools.errors import InputError, NotebookError
from digits_tools.lessons import LESSONS, select_lessons
from digits_tools.report import record, run_report
from digits_tools.report.results import EXPECTED

GIVEN = {"dataset": "embedded", "seed": 3, "epochs": 2, "batch_size": 64}


def run(folder, numbers, **options):
    """Make a report of tiny lessons; return it with what was echoed."""
    lines = []
    settings = {"parameters": {"dataset": "embedded"}, "echo": lines.append, **options}
    report = run_report(select_lessons(numbers), folder / "my report", folder / "notebooks", **settings)
    return report, "\n".join(lines)


def stored(report):
    """What is in the report's file, read as strictly as other languages read JSON."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads((report.folder / "results.json").read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A report of lessons 04 and 05 in a folder with a blank and an umlaut."""
    folder = tmp_path_factory.mktemp("series") / "eine übung"
    folder.mkdir()
    write_lesson(folder / "notebooks", "04", "open('artifacts/network', 'w').close()\nprint(epochs, seed)")
    seen = "import os\nprint(dataset, network, os.listdir('artifacts'))"
    write_lesson(folder / "notebooks", "05", seen, leave(sample_evaluation()), parameters=PARAMETERS_05)
    return run(folder, "04-05", parameters=GIVEN)


def test_everything_is_there_and_nothing_else(finished):
    report, text = finished
    assert report.complete
    assert report.failure is report.partial_notebook is None
    names = {path.relative_to(report.folder).as_posix() for path in report.folder.rglob("*") if path.is_file()}
    hidden = {".digits-report", ".digits-report.lock", ".state.json"}
    pages = {"index.html", "results.json", "04_train.html", "05_evaluate.html"}
    left = {"artifacts/network", "artifacts/evaluation.json"}
    assert names == hidden | pages | left | {"notebooks/04_train.ipynb", "notebooks/05_evaluate.ipynb"}
    # Lessons receive parameters, and 05 judges the network of this report
    assert printed(report.folder / "notebooks" / "04_train.ipynb") == "2 3\n"
    assert printed(report.folder / "notebooks" / "05_evaluate.ipynb") == "embedded own ['network']\n"
    data, *lessons = text.splitlines()
    assert "embedded" in data and "360 test images" in data
    assert [line.partition(": complete")[0] for line in lessons] == [f"Lesson {lesson.name}" for lesson in LESSONS[3:]]


def test_results_json_fits_its_schema_and_repeats_the_run(finished):
    report, _ = finished
    results = stored(report)
    validate(results)
    assert results == json.loads(json.dumps(report.results))
    assert results["complete"] is True
    assert results["headline"] == HEADLINE
    assert {name: results[name] for name in ("metrics", "network", "confusion_matrix")} == sample_evaluation()
    assert results["parameters"] == {"used": {**GIVEN, "network": "own"}}
    assert set(results["dataset"]["sha256"]) > {"all", "test_labels"}
    assert [(lesson["number"], lesson["status"]) for lesson in results["lessons"]] == [
        ("04", "complete"),
        ("05", "complete"),
    ]
    assert all(lesson["seconds"] > 0 for lesson in results["lessons"])
    assert [cell["number"] for cell in results["lessons"][0]["cells"]] == [2, 3]  # in the stored notebook


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Lessons that need no kernel; set what lesson 05 leaves."""
    write_lesson(tmp_path / "notebooks", "05", "1", parameters=PARAMETERS_05)
    lessons = FakeLessons(monkeypatch)

    def leave(evaluation):
        text = json.dumps(evaluation)
        lessons.before["05"] = lambda artifacts: (artifacts / "evaluation.json").write_text(text, encoding="utf-8")

    return leave


def test_the_commit_is_that_of_the_start(tmp_path, monkeypatch, fake):
    ended = tmp_path / "my report" / "artifacts" / "05.txt"
    monkeypatch.setattr(record, "git_facts", lambda: {"commit": 40 * ("b" if ended.exists() else "a"), "dirty": False})
    assert run(tmp_path, "05")[0].results["git"]["commit"] == 40 * "a"


def test_a_lesson_that_fails_ends_the_run_and_the_pages_say_so(tmp_path):
    for number in ("01", "02", "03"):
        write_lesson(
            tmp_path / "notebooks", number, "print(1)" if number == "01" else "raise ValueError('<no>\\nmore')"
        )
    report, text = run(tmp_path, "01-03")
    assert [lesson.status for lesson in report.lessons] == ["complete", "failed", "not run"]
    assert report.failure.startswith("Lesson 02 Preprocess the images stopped in cell 3 (raise ValueError")
    assert report.failure.endswith("ValueError: <no>")
    assert "Lesson 02 Preprocess the images: failed" in text
    page = Page(report.index)
    assert "This report is not complete." in page.text
    assert report.failure in page.text  # as text: its < is no tag
    assert "02_preprocess.html" in page.values("href")
    assert "03_build_cnn.html" not in page.values("href")
    failed = Page(report.folder / "02_preprocess.html")
    assert "This lesson is not complete." in failed.text
    assert "03_build_cnn.html" not in failed.values("href")
    assert report.partial_notebook == report.folder / "notebooks" / "02_preprocess.ipynb"
    results = stored(report)
    validate(results)
    assert results["complete"] is False
    assert results["headline"] is results["metrics"] is results["network"] is None
    assert all(row["ok"] is None for row in results["verdict"])


def test_what_05_left_before_it_failed_is_no_result(tmp_path):
    write_lesson(tmp_path / "notebooks", "05", leave(sample_evaluation()), "1 / 0", parameters=PARAMETERS_05)
    report, _ = run(tmp_path, "05")
    assert report.results["headline"] is None
    assert 'network = "shipped"' in report.notebook(LESSONS[4]).read_text(encoding="utf-8").replace("\\", "")


def test_numbers_that_are_none_become_null(tmp_path, fake):
    fake(changed(sample_evaluation(), float("nan"), "metrics", "test_accuracy", "value"))
    results = stored(run(tmp_path, "05")[0])  # json.dumps would write NaN, which no other language reads
    validate(results)
    assert results["metrics"]["test_accuracy"]["value"] is results["headline"] is None


def test_auto_is_resolved_once_for_all_lessons(tmp_path, monkeypatch):
    # MNIST may be there when the run starts and gone afterwards: all lessons must still agree on one data set
    monkeypatch.setenv("DIGITS_OFFLINE", "1")
    monkeypatch.delenv("DIGITS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "no cache"))
    write_lesson(tmp_path / "notebooks", "01", "print(dataset)")
    report, text = run(tmp_path, "01", parameters={"dataset": "auto"})
    assert report.parameters["dataset"] == "embedded"
    assert printed(report.notebook(LESSONS[0])) == "embedded\n"
    assert "MNIST" in text  # the notice


def test_a_check_names_what_drifted(tmp_path, fake):
    fake(sample_evaluation())
    expected = changed(run(tmp_path, "05")[0].results, "Dropout 0.4", "network", "layers", 3)
    (tmp_path / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    report, _ = run(tmp_path, "05", check=tmp_path / "expected.json")
    assert report.drifted == ["layers"]
    (row,) = [row for row in report.verdict if row["ok"] is False]
    assert (row["expected"], row["measured"]) == ("Dropout 0.4", "Dropout 0.25")


# --- Bad input: found before anything is written ---


@pytest.mark.parametrize(
    ("error", "match", "options"),
    [
        (DigitsError, "fashion", {"parameters": {**GIVEN, "dataset": "fashion"}}),
        (InputError, "cannot be read", {"check": "nowhere.json"}),
        (NotebookError, "02_preprocess.ipynb is not in", {"numbers": "02"}),
        (InputError, "No tolerances at", {"tolerances": "nowhere.toml"}),
    ],
)
def test_bad_input(tmp_path, monkeypatch, error, match, options):
    write_lesson(tmp_path / "notebooks", "01", "1")
    if "tolerances" in options:
        monkeypatch.setattr(notebook, "TOLERANCES", tmp_path / options.pop("tolerances"))
    if "check" in options:
        options = {"check": tmp_path / options["check"]}
    with pytest.raises(error, match=match):
        run(tmp_path, **{"numbers": "01", **options})
    assert not (tmp_path / "my report").exists()


@pytest.mark.parametrize(
    ("numbers", "name", "match"), [("01", "embedded", "lesson 05"), ("05", "mnist", "expected results are for")]
)
def test_a_check_that_cannot_be_made_is_refused_at_once(tmp_path, fake, numbers, name, match):
    fake(sample_evaluation())
    for number in ("01", "05"):
        write_lesson(tmp_path / "notebooks", number, "1")
    file = EXPECTED / f"{name}.json"
    with pytest.raises(InputError, match=match):
        run(tmp_path, numbers, check=file)
    assert not (tmp_path / "my report").exists()
