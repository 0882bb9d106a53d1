"""A report that was cut short goes on, and ends as if it had not been."""

import json
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
from report_process import DEADLINE, FakeLessons, contents, start, wait_for
from sample_results import leave, sample_evaluation
from tiny_lessons import PARAMETERS_05, printed, write_lesson

import digits_tools.report
from digits_tools.lessons import Interrupted, LessonError, select_lessons
from digits_tools.report import run_report
from digits_tools.run import cache
from digits_tools.run.cache import STATE_FILE, input_digests, write_state

LESSONS = select_lessons("01-03")
UNIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that one process can send to another")


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Three lessons, of which the first has no parameter but the data set, and which need no kernel."""
    for lesson in LESSONS:
        parameters = {"parameters": 'dataset = "auto"'} if lesson.number == "01" else {}
        write_lesson(tmp_path / "notebooks", lesson.number, f"print('{lesson.number}')", **parameters)
    return FakeLessons(monkeypatch)


@pytest.fixture
def run(tmp_path, fake):
    """Make a report in the folder "report"; return it with the numbers of the lessons that ran, and what was echoed."""

    def make(lessons=LESSONS, resume=False, **parameters):
        lines = []
        fake.ran.clear()
        report = run_report(
            lessons,
            tmp_path / "report",
            tmp_path / "notebooks",
            {"dataset": "embedded", **parameters},
            resume=resume,
            echo=lines.append,
        )
        return report, " ".join(fake.ran), "\n".join(lines)

    return make


def fail(*names):
    """What a lesson does that leaves files and fails."""

    def stop(artifacts):
        for name in names:
            (artifacts / name).write_text("half", encoding="utf-8")
        raise LessonError("it failed.")

    return stop


def test_a_complete_report_runs_nothing_and_renews_its_pages(tmp_path, run):
    first, ran, _ = run()
    assert (first.complete, ran, [lesson.reused for lesson in first.lessons]) == (True, "01 02 03", [False] * 3)
    times = [(lesson.seconds, lesson.cells) for lesson in first.lessons]
    before = contents(tmp_path / "report")
    for name in ("index.html", "results.json"):
        (tmp_path / "report" / name).unlink()
    again, ran, text = run(resume=True)
    assert (again.complete, ran, [lesson.reused for lesson in again.lessons]) == (True, "", [True] * 3)
    assert text.count("reused") == 3
    assert [(lesson.seconds, lesson.cells) for lesson in again.lessons] == times  # of the run that made them
    after = contents(tmp_path / "report")
    assert set(after) == set(before)
    same = {name for name in after if name not in ("index.html", "results.json")}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert run()[1] == "01 02 03"  # without --resume


def test_a_failed_report_goes_on_with_the_lesson_that_failed(tmp_path, fake, run):
    fake.before["02"] = fail("half.txt")
    first, ran, _ = run()
    assert (first.failure, ran) == ("it failed.", "01 02")
    seen = {}
    fake.before["02"] = lambda artifacts: seen.update(contents(artifacts))
    again, ran, _ = run(resume=True)
    assert (again.complete, ran) == (True, "02 03")
    assert set(seen) == {"01.txt"}  # what lesson 02 left when it failed is gone when it runs again
    assert "not complete" not in Page(again.index).text
    assert json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))["complete"] is True


def test_an_interruption_between_lessons_keeps_the_lesson_that_is_complete(tmp_path, monkeypatch, run):
    def write_and_interrupt(folder, states):
        write_state(folder, states)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(digits_tools.report, "write_state", write_and_interrupt)
        with pytest.raises(Interrupted, match="interrupted"):
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
    again, ran, text = run(resume=True)
    assert ran == rerun
    assert again.complete
    assert ("cannot be reused" in text) == bool(rerun)
    assert set(contents(tmp_path / "report" / "artifacts")) == {"01.txt", "02.txt", "03.txt"}


def test_a_parameter_concerns_the_lessons_that_have_it(run):
    run(seed=1)
    _, ran, text = run(seed=2, resume=True)
    assert ran == "02 03"  # lesson 01 has no seed
    assert "Lesson 02 Preprocess the images cannot be reused" in text and "has changed" in text
    assert "cannot be reused" not in run(seed=2, resume=True)[2]


def test_a_change_of_package_data_or_libraries_runs_everything_again(tmp_path, monkeypatch, run):
    package = tmp_path / "package"
    shutil.copytree(cache.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "*.keras"))
    monkeypatch.setattr(cache, "PACKAGE", package)
    run()
    assert run(resume=True)[1] == ""
    for changed in (package / "model.py", package / "figures" / "__init__.py", package / "networks" / "reference.json"):
        with changed.open("a", encoding="utf-8") as file:
            file.write(" ")
        assert run(resume=True)[1] == "01 02 03", changed.name
    one, other = (input_digests(LESSONS, tmp_path / "notebooks", {}, data) for data in ("a", "b"))
    assert not set(one) & set(other)
    monkeypatch.setattr(cache, "package_versions", lambda names: dict.fromkeys(names, "1"))
    assert run(resume=True)[1] == "01 02 03"


def test_a_lesson_whose_artifact_was_replaced_by_a_later_one_makes_it_again(fake, run):
    def replace(artifacts):
        (artifacts / "02.txt").write_text("by 03", encoding="utf-8")

    fake.before["03"] = replace
    assert run()[0].complete
    assert run(resume=True)[1] == ""
    fake.before["03"] = fail("02.txt")
    run()
    fake.before["03"] = replace
    assert run(resume=True)[1] == "02 03"


def test_a_shorter_report_goes_on_without_the_lessons_that_it_lacks(tmp_path, run):
    run()
    report, ran, _ = run(resume=True, lessons=LESSONS[:2])
    assert (ran, report.complete) == ("", True)
    assert not [name for name in contents(tmp_path / "report") if "03" in name]


# --- Processes that are killed ---


@pytest.fixture
def waiting(tmp_path):
    """Lesson 01 leaves the number of its process, and works until the file "go" is there."""
    wait = f"""
import os, pathlib, time
pathlib.Path("artifacts/pid.txt").write_text(str(os.getpid()))
while not pathlib.Path({str(tmp_path / "go")!r}).exists():
    time.sleep(0.02)
"""
    write_lesson(tmp_path / "notebooks", "01", wait)
    write_lesson(tmp_path / "notebooks", "02", "print('done')")
    return tmp_path


def begin(waiting, *options):
    """Start a report, and wait until its lesson 01 works; return both processes."""
    process = start(waiting / "notebooks", waiting / "report", "--lessons", "01-02", *options)
    return process, psutil.Process(int(wait_for(waiting / "report" / "artifacts" / "pid.txt", process)))


@UNIX
@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interrupted_report_ends_its_kernel_and_says_how_to_go_on(waiting, number):
    process, kernel = begin(waiting, "--epochs", "2")
    process.send_signal(getattr(signal, number))
    out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert not kernel.is_running()
    assert err.startswith("Error: Lesson 01 Explore the data stopped in cell 3 (import os, pathlib, time): ")
    assert err.count("\n") == 1
    command = shlex.split(out.splitlines()[-1].partition("Resume with: ")[2])
    assert command[:2] == ["digits", "report"] and {"--resume", "--epochs"} <= set(command)
    assert "This report is not complete." in Page(waiting / "report" / "index.html").text


@UNIX
@pytest.mark.slow
def test_a_killed_report_goes_on_and_its_kernel_is_ended_before(waiting):
    process, kernel = begin(waiting)
    kernel.suspend()  # so that it cannot notice by itself that its parent is gone
    process.kill()
    process.wait(DEADLINE)
    assert kernel.is_running()
    (waiting / "go").touch()
    again = start(waiting / "notebooks", waiting / "report", "--lessons", "01-02", "--resume")
    _, err = again.communicate(timeout=DEADLINE)
    assert (again.returncode, err) == (0, "")
    assert not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE
    assert (waiting / "report" / "artifacts" / "pid.txt").read_text(encoding="utf-8") != str(kernel.pid)


def outcome(report):
    """Everything in a report that must not depend on how often it was killed."""
    results = json.loads((report / "results.json").read_text(encoding="utf-8"))
    notebooks = {path.name: printed(path) for path in sorted((report / "notebooks").glob("*.ipynb"))}
    return results["complete"], results["headline"], contents(report / "artifacts"), notebooks


@UNIX
@pytest.mark.weekly
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(tmp_path):
    """Ten kills; the report goes on after each and ends with the same files."""
    work = "import time\ntime.sleep(1)\npath = 'artifacts/{}.txt'\nopen(path, 'a').write('once')\ntime.sleep(1)"
    write_lesson(tmp_path / "notebooks", "01", work.format("01"))
    write_lesson(tmp_path / "notebooks", "04", work.format("04"))
    write_lesson(tmp_path / "notebooks", "05", work.format("05"), leave(sample_evaluation()), parameters=PARAMETERS_05)

    def begin(*options):
        return start(tmp_path / "notebooks", tmp_path / "the report", "--lessons", "01,04,05", *options)

    begun = time.monotonic()
    process = begin()
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    whole, expected = time.monotonic() - begun, outcome(tmp_path / "the report")
    moments, kills, options = random.Random(20), 0, ()
    while kills < 10 or process.returncode != 0:
        process = begin(*options)
        try:
            _, err = process.communicate(timeout=DEADLINE if kills >= 10 else moments.uniform(0.5, whole))
        except subprocess.TimeoutExpired:
            process.send_signal(moments.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
            _, err = process.communicate(timeout=DEADLINE)
            kills += 1
        assert "Traceback" not in err or "KeyboardInterrupt" in err, err  # that is Python itself, while it starts
        options = () if process.returncode == 0 else ("--resume",)
    assert outcome(tmp_path / "the report") == expected
