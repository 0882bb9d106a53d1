"""The report: its folder, its pages, and what it says when a lesson stops."""

import errno
import hashlib
import json
import re

import pytest
from html_page import Page
from tiny_lessons import PARAMETERS, printed, read, write_lesson

from digits_helpers import report as report_module
from digits_helpers.data import EMBEDDED_DIGEST, MNIST_DIGESTS, load_digits
from digits_helpers.parameters import ParameterError
from digits_helpers.report import (
    LOCK,
    MARKER,
    OutputError,
    check_output,
    expected_times,
    prepare_output,
    run_report,
)
from digits_helpers.resume import STATE_FILE, LessonState, State
from digits_helpers.series import LESSONS, CellTime, LessonError, LessonTimes, select_lessons

WRITE_RESULTS = """
import json, os, pathlib
folder = pathlib.Path(os.environ["DIGITS_ARTIFACTS_DIR"])
headline = {"test_accuracy": 0.9917, "low": 0.98973, "high": 0.99331, "errors": 83, "n": 10000}
(folder / "results.json").write_text(json.dumps({"headline": headline}))
print(dataset, network, (folder / "network").exists())
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A report of lessons 04 and 05 on the embedded digits, in a folder with a blank and an umlaut."""
    folder = tmp_path_factory.mktemp("series")
    notebooks = folder / "notebooks"
    write_lesson(
        notebooks,
        "04",
        "import os, pathlib\nfolder = pathlib.Path(os.environ['DIGITS_ARTIFACTS_DIR'])\n(folder / 'network').touch()\nprint(epochs, seed)",
    )
    write_lesson(notebooks, "05", WRITE_RESULTS, parameters=PARAMETERS + '\nnetwork = "auto"')
    said = []
    report = run_report(
        select_lessons("04-05"), folder / "the übung" / "my report", notebooks, "embedded", 3, 2, 64, said.append
    )
    return report, said


def test_everything_is_there(finished):
    report, _ = finished
    assert report.complete
    assert report.failure is None
    names = {path.relative_to(report.folder).as_posix() for path in report.folder.rglob("*") if path.is_file()}
    assert names == {
        MARKER,
        LOCK,
        STATE_FILE,
        "index.html",
        "results.json",
        "04_train.html",
        "05_evaluate.html",
        "notebooks/04_train.ipynb",
        "notebooks/05_evaluate.ipynb",
        "artifacts/network",
        "artifacts/results.json",
    }


def test_lessons_receive_the_parameters_and_05_judges_the_network_of_this_report(finished):
    report, _ = finished
    assert printed(report.folder / "notebooks" / "04_train.ipynb") == "2 3\n"
    assert printed(report.folder / "notebooks" / "05_evaluate.ipynb") == "embedded own True\n"


def test_the_notice_is_said(finished):
    report, said = finished
    assert any("This is not MNIST" in line for line in said)
    assert "This is not MNIST" in Page(report.index).text
    assert "**" not in Page(report.index).text + "".join(said)


def test_the_results_as_json(finished):
    report, _ = finished
    results = json.loads((report.folder / "results.json").read_text(encoding="utf-8"))
    assert results["complete"] is True
    assert results["headline"]["errors"] == 83
    assert results["dataset"]["name"] == "embedded"
    used = {"dataset": "embedded", "seed": 3, "epochs": 2, "batch_size": 64, "network": "own"}
    assert results["parameters"]["used"] == used
    assert [(lesson["number"], lesson["status"]) for lesson in results["lessons"]] == [("04", "complete"), ("05", "complete")]
    assert all(lesson["seconds"] > 0 for lesson in results["lessons"])
    assert [cell["number"] for cell in results["lessons"][0]["cells"]] == [2, 3]  # in the stored notebook


def test_a_lesson_that_fails_ends_the_run_and_the_first_page_says_so(tmp_path):
    for number in ("01", "02", "03"):
        write_lesson(tmp_path / "notebooks", number, "print('done')" if number == "01" else "raise ValueError('<no>\\nmore')")
    report = run_report(select_lessons("01-03"), tmp_path / "report", tmp_path / "notebooks", "embedded", say=lambda line: None)
    assert not report.complete
    assert [lesson.status for lesson in report.lessons] == ["complete", "failed", "not run"]
    assert report.failure.startswith("Lesson 02 Preprocess the images stopped in cell 3 (raise ValueError")
    assert report.failure.endswith("ValueError: <no>")
    page = Page(report.index)
    assert "This report is not complete." in page.text
    assert report.failure in page.text  # as text: its < is no tag
    assert "02_preprocess.html" in page.values("href")
    assert "03_build_cnn.html" not in page.values("href")
    assert report.kept_notebook == report.folder / "notebooks" / "02_preprocess.ipynb"
    assert json.loads((report.folder / "results.json").read_text(encoding="utf-8"))["complete"] is False
    assert report.headline is None


def test_05_without_04_takes_the_network_that_it_finds_best(tmp_path):
    write_lesson(tmp_path / "notebooks", "05", WRITE_RESULTS, parameters=PARAMETERS + '\nnetwork = "auto"')
    report = run_report(select_lessons("05"), tmp_path / "report", tmp_path / "notebooks", "embedded", say=lambda line: None)
    assert printed(report.folder / "notebooks" / "05_evaluate.ipynb") == "embedded auto False\n"


def test_auto_is_resolved_once_for_all_lessons(tmp_path, monkeypatch):
    # MNIST can be had when the run starts and no longer afterwards: all lessons must still agree on one data set
    monkeypatch.setenv("DIGITS_OFFLINE", "1")
    monkeypatch.delenv("DIGITS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "no cache"))
    for number in ("01", "02"):
        write_lesson(tmp_path / "notebooks", number, "print(dataset)")
    report = run_report(select_lessons("01-02"), tmp_path / "report", tmp_path / "notebooks", "auto", say=lambda line: None)
    assert report.parameters["dataset"] == "embedded"
    assert [printed(path) for path in sorted((report.folder / "notebooks").iterdir())] == ["embedded\n"] * 2


# --- Bad input: found before anything is written ---


def run_badly(tmp_path, error, match, **arguments):
    for lesson in LESSONS:
        write_lesson(tmp_path / "notebooks", lesson.number, "1")
    arguments = {"dataset": "embedded", "output": tmp_path / "report", **arguments}
    with pytest.raises(error, match=match):
        run_report(notebooks=tmp_path / "notebooks", say=lambda line: None, **arguments)
    assert not (tmp_path / "report" / MARKER).exists()


def test_a_batch_larger_than_the_training_part(tmp_path):
    # 1,797 embedded digits: 1,437 for training, of which the validation part takes some; lesson 04 sees the rest
    run_badly(tmp_path, ParameterError, r"batch_size = 1437 is larger than the training set of 1[0-3]\d\d images", batch_size=1437)
    assert not (tmp_path / "report").exists()


def test_a_wrong_parameter(tmp_path):
    run_badly(tmp_path, ParameterError, "epochs = 0 is not allowed", epochs=0)
    run_badly(tmp_path, ParameterError, "dataset = 'fashion' is not allowed", dataset="fashion")
    assert not (tmp_path / "report").exists()


def test_a_missing_lesson(tmp_path):
    with pytest.raises(LessonError, match="01_explore_data.ipynb is not in"):
        run_report(output=tmp_path / "report", notebooks=tmp_path, dataset="embedded", say=lambda line: None)
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("stranger", ["notes.txt", "index.html", ".git", "notebooks"])
def test_a_folder_with_something_else_is_refused_untouched(tmp_path, stranger):
    output = tmp_path / "report"
    output.mkdir()
    (output / stranger).write_text("mine", encoding="utf-8")
    run_badly(tmp_path, OutputError, f"holds something that is no report .'{stranger}'.*another folder with --output")
    assert [path.name for path in output.iterdir()] == [stranger]
    assert (output / stranger).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("stranger", ["notes.txt", "notebooks/my own.ipynb", ".git"])
def test_an_older_report_with_something_else_in_it_is_refused_untouched(tmp_path, stranger):
    prepare_output(tmp_path / "report")
    (tmp_path / "report" / stranger).write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=re.escape(stranger)):
        check_output(tmp_path / "report")
    assert (tmp_path / "report" / stranger).read_text(encoding="utf-8") == "mine"


def test_an_older_report_is_replaced_whatever_state_it_is_in(tmp_path):
    output = tmp_path / "report"
    prepare_output(output)
    leftovers = "index.html 01_explore_data.html results.json notebooks/02_preprocess.ipynb notebooks/.04_train.ipynb-x1_y notebooks/.kernel.json"
    for name in [*leftovers.split(), "artifacts/reference.keras", ".index.html-x1_y", ".DS_Store"]:
        (output / name).write_text("old", encoding="utf-8")
    (output / "notebooks" / ".ipynb_checkpoints").mkdir()
    prepare_output(check_output(output))
    assert sorted(path.relative_to(output).as_posix() for path in output.rglob("*")) == [MARKER, "artifacts", "notebooks"]


def test_an_empty_folder_is_welcome(tmp_path):
    assert check_output(tmp_path) == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_refused_untouched(tmp_path):
    (tmp_path / "report").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="is a file, but a report needs a folder: choose another"):
        check_output(tmp_path / "report")
    with pytest.raises(OutputError, match="cannot be written"):
        check_output(tmp_path / "report" / "below")
    assert (tmp_path / "report").read_text(encoding="utf-8") == "mine"


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    # Tests may run as root, whom no file mode stops: the refusal is played
    def refuse(**_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(report_module.tempfile, "TemporaryFile", refuse)
    with pytest.raises(OutputError, match=r"cannot be written \(Permission denied\): choose another folder with --output"):
        check_output(tmp_path / "report")
    assert not (tmp_path / "report").exists()


# --- Small parts ---


def test_the_kept_notebook_can_be_opened(finished):
    report, _ = finished
    assert [cell.cell_type for cell in read(report.folder / "notebooks" / "05_evaluate.ipynb").cells][:2] == ["markdown", "code"]


def test_the_digests_are_those_of_the_idx_files():
    digits = load_digits("embedded")
    digests = digits.digests
    assert digests["all"] == EMBEDDED_DIGEST
    # magic number (unsigned bytes, one dimension) and the number of labels, then the labels: the form of MNIST's files
    file = b"\x00\x00\x08\x01" + (360).to_bytes(4, "big") + bytes(digits.test_labels.tolist())
    assert digests["test_labels"] == hashlib.sha256(file).hexdigest()
    assert set(digests) == {*MNIST_DIGESTS, "all"}


REFERENCE = {"dataset": "mnist", "seed": 3, "epochs": 10, "batch_size": 128, "network": "own"}


def test_how_long_lessons_should_take():
    lessons = select_lessons("04-05")
    minutes = {f"Lesson {lesson.name}": 60 * lesson.running for lesson in lessons}
    measured = expected_times(lessons, State(), REFERENCE)
    assert {name: times.seconds for name, times in measured.items()} == minutes  # README's times are of this recipe
    assert expected_times(lessons, State(), {**REFERENCE, "epochs": 3}) == {}
    assert expected_times(lessons, State(), {**REFERENCE, "dataset": "embedded"}) == {}

    times = LessonTimes(7.0, [CellTime(2, 6.5, "")])
    earlier = State({**REFERENCE, "seed": 0}, {"05_evaluate": LessonState("", "", {}, times)})
    assert expected_times(lessons, earlier, REFERENCE)["Lesson 05 Evaluate the network"] == times
    earlier.parameters["epochs"] = 3
    assert expected_times(lessons, earlier, REFERENCE) == measured
    assert expected_times(lessons, earlier, {**REFERENCE, "epochs": 3}) == {}  # nothing is known of lesson 04
