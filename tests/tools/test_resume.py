"""A report that was cut short goes on, and ends as if it had not been."""

import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from html_page import Page
from report_process import DEADLINE, DRIVER, PlayedLessons, contents, start, stop, wait_for
from tiny_lessons import printed, write_lesson

from digits_helpers import resume
from digits_helpers.parameters import BACKUP_FILE
from digits_helpers.report import run_report
from digits_helpers.resume import STATE_FILE, State, input_digests, read_state
from digits_helpers.series import Interrupted, select_lessons

LESSONS = select_lessons("01-03")
ONLY_DATASET = 'dataset = "auto"'


@pytest.fixture
def played(tmp_path, monkeypatch):
    """Three lessons, of which the first has no parameter but the data set, and which are only played."""
    for lesson in LESSONS:
        parameters = {"parameters": ONLY_DATASET} if lesson.number == "01" else {}
        write_lesson(tmp_path / "notebooks", lesson.number, f"print('{lesson.number}')", **parameters)
    return PlayedLessons(monkeypatch)


@pytest.fixture
def run(tmp_path, played):
    """Make a report in the folder "report"; return it with the numbers of the lessons that ran, and what was said."""

    def make(**options):
        said = []
        played.ran.clear()
        settings = {"lessons": LESSONS, "dataset": "embedded", "say": said.append, "quiet": True, **options}
        report = run_report(output=tmp_path / "report", notebooks=tmp_path / "notebooks", **settings)
        return report, " ".join(played.ran), " ".join(said)

    return make


def test_a_complete_report_runs_nothing_and_renews_its_pages(tmp_path, run):
    first, ran, _ = run()
    assert (first.complete, ran, [lesson.kept for lesson in first.lessons]) == (True, "01 02 03", [False] * 3)
    times = [(lesson.seconds, lesson.cells) for lesson in first.lessons]
    before = contents(tmp_path / "report")
    for name in ("index.html", "02_preprocess.html", "results.json"):
        (tmp_path / "report" / name).unlink()
    again, ran, said = run(resume=True)
    assert (again.complete, ran, [lesson.kept for lesson in again.lessons]) == (True, "", [True] * 3)
    assert "nothing to resume" not in said
    assert [(lesson.seconds, lesson.cells) for lesson in again.lessons] == times  # of the run that made them
    assert [cell.source for lesson in again.lessons for cell in lesson.cells] == ['dataset = "auto"'] * 3
    after = contents(tmp_path / "report")
    assert set(after) == set(before)
    same = {name for name in after if name not in ("index.html", "results.json")}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_without_resume_the_folder_is_replaced(tmp_path, run):
    run()
    (tmp_path / "report" / "artifacts" / BACKUP_FILE).write_bytes(b"half a training")
    again, ran, _ = run()
    assert ran == "01 02 03"
    assert not any(lesson.kept for lesson in again.lessons)
    assert not (tmp_path / "report" / "artifacts" / BACKUP_FILE).exists()


def test_a_failed_report_goes_on_with_the_lesson_that_failed(tmp_path, played, run):
    def fail(artifacts):
        (artifacts / "half.txt").write_text("half", encoding="utf-8")
        (artifacts / BACKUP_FILE).write_bytes(b"half a training")
        stop("it failed.")

    played.before["02"] = fail
    first, ran, _ = run()
    assert first.failure == "Lesson 02 Preprocess the images stopped in cell 2 (dataset = \"auto\"): it failed."
    assert ran == "01 02"
    seen = {}
    played.before["02"] = lambda artifacts: seen.update(contents(artifacts))
    again, ran, _ = run(resume=True)
    assert (again.complete, ran) == (True, "02 03")
    # What lesson 02 left when it failed is gone when it runs again; the backup checks by itself whether it fits
    assert set(seen) == {"01.txt", BACKUP_FILE}
    page = Page(again.index)
    assert "not complete" not in page.text
    assert json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))["complete"] is True


def test_an_interruption_between_lessons_keeps_the_lesson_that_is_complete(tmp_path, monkeypatch, run):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("digits_helpers.report.write_page", interrupt)
        with pytest.raises(Interrupted, match="The run was interrupted"):
            run()
    assert "This report is not complete." in Page(tmp_path / "report" / "index.html").text
    again, ran, _ = run(resume=True)
    assert (again.complete, ran) == (True, "02 03")


def edit_notebook(folder):
    write_lesson(folder / "notebooks", "02", "print('another')")


def append(name):
    def change(folder):
        with (folder / "report" / name).open("a", encoding="utf-8") as file:
            file.write(" ")

    return change


def remove(name):
    return lambda folder: (folder / "report" / name).unlink()


@pytest.mark.parametrize(
    ("change", "rerun"),
    [
        pytest.param(edit_notebook, "02 03", id="stored notebook"),
        pytest.param(append("notebooks/02_preprocess.ipynb"), "02 03", id="executed notebook"),
        pytest.param(remove("notebooks/03_build_cnn.ipynb"), "03", id="no executed notebook"),
        pytest.param(append("artifacts/02.txt"), "02 03", id="artifact"),
        pytest.param(remove("artifacts/01.txt"), "01 02 03", id="no artifact"),
        pytest.param(append("artifacts/stray.txt"), "", id="stray artifact"),
        pytest.param(remove(STATE_FILE), "01 02 03", id="no state"),
        pytest.param(lambda folder: (folder / "report" / STATE_FILE).write_text("[1]"), "01 02 03", id="damaged state"),
        pytest.param(append("index.html"), "", id="first page"),
    ],
)
def test_what_has_changed_runs_again_with_all_that_follows(tmp_path, run, change, rerun):
    run()
    change(tmp_path)
    again, ran, said = run(resume=True)
    assert ran == rerun
    assert again.complete
    assert ("There is nothing to resume in" in said) == (rerun == "01 02 03")
    assert set(contents(tmp_path / "report" / "artifacts")) == {"01.txt", "02.txt", "03.txt"}


def test_a_parameter_concerns_the_lessons_that_have_it(run):
    run(seed=1)
    _, ran, said = run(seed=2, resume=True)
    assert ran == "02 03"  # lesson 01 has no seed
    assert "Lesson 02 Preprocess the images cannot be kept: its notebook, parameters or data," in said
    assert "cannot be kept" not in run(seed=2, resume=True)[2]


def test_a_change_of_package_or_libraries_runs_everything_again(tmp_path, monkeypatch, run):
    package = tmp_path / "package"
    shutil.copytree(resume.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(resume, "PACKAGE", package)
    run()
    with (package / "templates" / "index.html.j2").open("a", encoding="utf-8") as file:
        file.write(" ")
    assert run(resume=True)[1] == ""  # how pages look does not matter to lessons
    for changed in (package / "model.py", package / "networks" / "reference.json"):
        with changed.open("a", encoding="utf-8") as file:
            file.write(" ")
        assert run(resume=True)[1] == "01 02 03", changed.name
    monkeypatch.setattr("digits_helpers.doctor.installed_version", lambda name: "0.1" if name == "numpy" else "1")
    assert run(resume=True)[1] == "01 02 03"
    monkeypatch.setattr("digits_helpers.resume.platform.python_version", lambda: "3.99.0")
    assert run(resume=True)[1] == "01 02 03"
    assert run(resume=True)[1] == ""


def test_other_data_run_everything_again(tmp_path, played):
    one, other = (input_digests(LESSONS, tmp_path / "notebooks", {"dataset": "mnist"}, data) for data in ("a", "b"))
    assert not set(one) & set(other)


def test_a_lesson_whose_artifact_was_replaced_by_a_later_one_makes_it_again(played, run):
    def replace(artifacts):
        (artifacts / "02.txt").write_text("by 03", encoding="utf-8")

    def replace_and_fail(artifacts):
        replace(artifacts)
        stop("it failed.")

    played.before["03"] = replace
    assert run()[0].complete
    assert run(resume=True)[1] == ""
    played.before["03"] = replace_and_fail
    run()
    played.before["03"] = replace
    assert run(resume=True)[1] == "02 03"


def test_a_shorter_report_goes_on_without_the_lessons_that_it_lacks(tmp_path, run):
    run()
    report, ran, _ = run(resume=True, lessons=LESSONS[:2])
    assert (ran, report.complete) == ("", True)
    assert not [name for name in contents(tmp_path / "report") if "03" in name]


def test_nothing_to_resume_is_said(tmp_path, run):
    report, ran, said = run(resume=True)
    assert (ran, report.complete) == ("01 02 03", True)
    assert f"There is nothing to resume in {str(tmp_path / 'report')!r}: the report starts at its beginning." in said


def test_a_state_survives_writing_and_reading(tmp_path, run):
    run()
    state = read_state(tmp_path / "report")
    assert state.parameters["dataset"] == "embedded"
    assert set(state.lessons) == {lesson.slug for lesson in LESSONS}
    resume.write_state(tmp_path, state)
    assert read_state(tmp_path) == state
    assert read_state(tmp_path / "nowhere") == State()


# --- Kills ---


@pytest.fixture
def waiting(tmp_path):
    """Lesson 01 leaves the number of its process, and works until the file "go" is there; so does no later lesson."""
    wait = f"""
import os, pathlib, time
folder = pathlib.Path(os.environ["DIGITS_ARTIFACTS_DIR"])
(folder / "pid.txt").write_text(str(os.getpid()))
while not pathlib.Path({str(tmp_path / "go")!r}).exists():
    (folder / "alive.txt").write_text(str(time.time()))
    time.sleep(0.02)
"""
    write_lesson(tmp_path / "notebooks", "01", wait)
    write_lesson(tmp_path / "notebooks", "02", "print('done')")
    return tmp_path


def begin(waiting, *options):
    """Start a report, and wait until its lesson 01 works; return both processes."""
    process = start(waiting / "notebooks", waiting / "report", "--lessons", "01-02", *options)
    return process, psutil.Process(int(wait_for(waiting / "report" / "artifacts" / "pid.txt", process)))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that one process can send to another alone")
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interrupted_report_ends_its_kernel_and_says_how_to_go_on(waiting, number):
    process, kernel = begin(waiting, "--epochs", "2")
    process.send_signal(getattr(signal, number))
    out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert not kernel.is_running()
    assert err.startswith("Error: Lesson 01 Explore the data stopped in cell 3 (import os, pathlib, time): ")
    assert err.count("\n") == 1
    report = str(waiting / "report")
    options = ["--dataset", "embedded", "--epochs", "2", "--lessons", "01-02", "--output", report]
    assert out.splitlines()[-1] == f"Go on with: {shlex.join(['digits', 'report', '--resume', *options])}"
    assert "This report is not complete." in Page(waiting / "report" / "index.html").text


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows ends kernels together with their parent")
def test_a_kernel_ends_soon_after_a_killed_report(waiting):
    process, kernel = begin(waiting)
    process.kill()
    kernel.wait(DEADLINE)  # ipykernel looks once a second whether its parent lives


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows ends kernels together with their parent")
def test_a_kernel_that_outlives_a_killed_report_is_ended_before_the_next(waiting):
    process, kernel = begin(waiting)
    kernel.suspend()  # so that it cannot notice by itself that its parent is gone
    process.kill()
    process.wait(DEADLINE)
    assert kernel.is_running()
    (waiting / "go").touch()
    again = start(waiting / "notebooks", waiting / "report", "--lessons", "01-02", "--resume")
    out, err = again.communicate(timeout=DEADLINE)
    assert (again.returncode, err) == (0, "")
    assert not kernel.is_running()
    assert (waiting / "report" / "artifacts" / "pid.txt").read_text(encoding="utf-8") != str(kernel.pid)


def test_two_reports_in_one_folder(waiting):
    process, kernel = begin(waiting)
    kernel.suspend()
    before = contents(waiting / "report")
    options = ["--lessons", "01-02"], ["--lessons", "01-02", "--resume"]
    for second in [start(waiting / "notebooks", waiting / "report", *more) for more in options]:
        _, err = second.communicate(timeout=DEADLINE)
        assert second.returncode == 2
        assert err == (
            f"Error: Another `digits report` is at work in {str(waiting / 'report')!r}: wait for its end, or choose "
            "another folder with --output.\n"
        )
    assert contents(waiting / "report") == before
    kernel.resume()
    (waiting / "go").touch()
    assert process.wait(DEADLINE) == 0


TRAIN = """
import json, os, time
from pathlib import Path
import keras, numpy as np
from digits_helpers.checkpoint import ShuffledBatches, TrainingBackup
from digits_helpers.train import weights_digest

folder = Path(os.environ["DIGITS_ARTIFACTS_DIR"])
random = np.random.default_rng(0)
images = random.random((400, 28, 28, 1), dtype=np.float32)
labels = np.eye(10, dtype=np.float32)[random.integers(0, 10, 400)]
keras.utils.set_random_seed(seed)
model = keras.Sequential([
    keras.layers.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(16, activation="relu"),
    keras.layers.Dropout(0.5), keras.layers.Dense(10, activation="softmax"),
])
model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
""", """
batches = ShuffledBatches(images, labels, 16, seed)
backup = TrainingBackup(folder, model, batches, {"seed": seed})
def note(epochs):
    with open(os.environ["DIGITS_TEST_LOG"], "a") as log:
        print(epochs, time.monotonic(), file=log)

note(backup.epochs_done)
history = model.fit(
    batches, epochs=20, initial_epoch=backup.epochs_done, shuffle=False, verbose=0, callbacks=[backup]
).history
note(20)
""", """
backup.path.unlink()
(folder / "run.json").write_text(json.dumps({"weights": weights_digest(model), "history": history}))
"""
JUDGE = """
import json, os
from pathlib import Path
folder = Path(os.environ["DIGITS_ARTIFACTS_DIR"])
run = json.loads((folder / "run.json").read_text())
accuracy = run["history"]["accuracy"][-1]
headline = {"test_accuracy": accuracy, "low": 0.0, "high": 1.0, "errors": 0, "n": 400}
(folder / "results.json").write_text(json.dumps({"headline": headline, "weights_sha256": run["weights"]}))
print(accuracy, run["weights"])
"""


def outcome(report):
    """Everything in a report that must not depend on how often it was killed."""
    results = json.loads((report / "results.json").read_text(encoding="utf-8"))
    lessons = [(lesson["number"], lesson["status"]) for lesson in results["lessons"]]
    notebooks = {path.name: printed(path) for path in sorted((report / "notebooks").glob("*.ipynb"))}
    return results["complete"], results["headline"], lessons, contents(report / "artifacts"), notebooks


def start_training(folder, *options):
    """Start a report of a lesson that trains, with one before and one after it."""
    command = [sys.executable, "-c", DRIVER, str(folder / "notebooks"), "report", "--dataset", "embedded"]
    command += ["--lessons", "01,04,05", "--output", str(folder / "the report"), *options]
    environment = {**os.environ, "DIGITS_TEST_LOG": str(folder / "log.txt")}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def noted(folder):
    """What trainings have noted when they began and ended: epochs behind them, and the time."""
    lines = (folder / "log.txt").read_text(encoding="utf-8").splitlines()
    return [(int(epochs), float(moment)) for epochs, moment in (line.split() for line in lines)]


def kill(process, moment, moments):
    """Kill a process after so many seconds; tell whether that was in time, and what it said of errors."""
    number = signal.SIGKILL if moments.random() < 0.7 else moments.choice([signal.SIGTERM, signal.SIGINT])
    try:
        return False, process.communicate(timeout=moment)[1]
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        _, err = process.communicate(timeout=DEADLINE)
        return process.returncode != 0, err


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no signals for one process alone")
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(tmp_path):
    """Twenty kills of reports that train; each report goes on after its kills and ends in the same bits."""
    write_lesson(tmp_path / "notebooks", "01", "print(dataset)")
    write_lesson(tmp_path / "notebooks", "04", *TRAIN)
    write_lesson(tmp_path / "notebooks", "05", JUDGE)
    begun = time.monotonic()
    assert start_training(tmp_path).wait(DEADLINE) == 0
    whole = time.monotonic() - begun
    training = noted(tmp_path)[1][1] - noted(tmp_path)[0][1]
    expected = outcome(tmp_path / "the report")
    assert expected[0]
    assert set(expected[3]) == {"run.json", "results.json"}

    moments, kills, completed, options = random.Random(20), 0, 0, ()
    while kills < 20 or options:
        before, process = len(noted(tmp_path)), start_training(tmp_path, *options)
        in_training = kills % 2 == 1  # every other kill, however long the start takes on this machine
        while in_training and len(noted(tmp_path)) == before and process.poll() is None:
            time.sleep(0.01)
        # Two reports have to reach their end: one half-way through the kills, one after them.
        spare = kills >= 20 or (kills >= 10 and not completed)
        # In its first half second Python itself starts, and no report is there to be killed.
        moment = moments.uniform(0, training) if in_training else moments.uniform(0.5, whole)
        moment = DEADLINE if spare else moment
        hit, err = kill(process, moment, moments)
        kills += hit
        assert "Traceback" not in err, err
        print(f"kills {kills}: exit {process.returncode}, {noted(tmp_path)[-1][0]} epochs")
        options = ("--resume",)
        if process.returncode == 0:
            assert outcome(tmp_path / "the report") == expected
            completed, options = completed + 1, ()
    assert completed >= 2
    assert any(0 < epochs < 20 for epochs, _ in noted(tmp_path))  # else no training was taken up in its middle
