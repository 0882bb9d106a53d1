"""Many runs: what may be varied, the table, resuming, and failures. The workers are threads of this process."""

import json
from concurrent.futures import CancelledError

import numpy as np
import pytest
from sweeps import results, sweep
from tiny_lessons import PARAMETERS_05, printed, write_lesson

import digits_tools.sweep
from digits_tools.errors import InputError
from digits_tools.lessons import Interrupted, LessonError
from digits_tools.sweep import Row, Table, cluster, describe, spread_lines, task
from digits_tools.sweep.cluster import ClusterError
from digits_tools.sweep.settings import read_settings
from digits_tools.sweep.task import basis_of_results, read_metrics

# Trains nothing, but leaves what a training leaves.
TRAIN = """
import json, os, pathlib
import numpy as np
value = float(np.random.default_rng([seed, epochs]).random())
pathlib.Path("artifacts/reference.json").write_text(json.dumps({"history": {"val_accuracy": [0.0, value]}}))
print(os.environ["OMP_NUM_THREADS"], os.environ["TF_NUM_INTRAOP_THREADS"], os.environ["TF_NUM_INTEROP_THREADS"])
assert seed != 9, "nine"
"""
EVALUATE = """
import json, pathlib
value = json.loads(pathlib.Path("artifacts/reference.json").read_text())["history"]["val_accuracy"][-1]
metrics = {"test_accuracy": {"value": value, "low": value / 2, "high": 1.0, "n": 360}, "test_loss": {"value": 1 - value}}
found = {"metrics": metrics, "network": {"weights_sha256": f"{round(1000 * value):064}"}}
pathlib.Path("artifacts/evaluation.json").write_text(json.dumps(found))
print(network, dataset)
"""


@pytest.fixture(scope="module")
def scheduler():
    """Address of a scheduler with two workers, all in this process."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as made:
        yield made.scheduler_address


@pytest.fixture
def lessons(tmp_path):
    """Lessons 04 and 05 in a folder with a blank and an umlaut."""
    folder = tmp_path / "ein Ordner für Läufe"
    folder.mkdir()
    write_lesson(folder / "notebooks", "04", TRAIN)
    write_lesson(folder / "notebooks", "05", EVALUATE, parameters=PARAMETERS_05)
    return folder


class FakeRuns:
    """Stands in for `run_lesson`: needs no kernel, and computes as the lessons above do.

    Attributes:
        seeds: of the runs, in order.
        broken: seeds whose run fails, with what to raise.
    """

    def __init__(self, monkeypatch):
        self.seeds, self.broken = [], {}
        monkeypatch.setattr(task, "run_lesson", self)

    def __call__(self, lesson, notebooks, destination, parameters, cwd, environment):
        self.seeds.append(parameters["seed"])
        destination.write_text(f"{lesson.number} {parameters}", encoding="utf-8")
        if parameters["seed"] in self.broken:
            raise self.broken[parameters["seed"]]
        value = float(np.random.default_rng(parameters["seed"]).random())
        found = {"metrics": {"test_accuracy": {"value": value}}}
        (cwd / "artifacts" / "evaluation.json").write_text(json.dumps(found), encoding="utf-8")


@pytest.fixture
def runs(monkeypatch):
    return FakeRuns(monkeypatch)


def computed(*seeds):
    """What the table of fake runs must hold."""
    rows = [[str(seed), "complete", repr(np.random.default_rng(seed).random()), ""] for seed in seeds]
    return [["seed", "status", "test_accuracy", "error"], *rows]


# --- What is varied ---


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["seed=0:3"], {"seed": [0, 1, 2]}),
        (["seed=0:7:3"], {"seed": [0, 3, 6]}),
        (["seed=3", "epochs=5,1"], {"epochs": [1, 5], "seed": [3]}),  # always in the same order
        (["seed=9,0:2"], {"seed": [0, 1, 9]}),
        (["seed=1,0:3", "seed=2:4"], {"seed": [0, 1, 2, 3]}),  # each once
        (["batch-size=32, 64"], {"batch_size": [32, 64]}),
        (["epochs=999:1001"], {"epochs": [999, 1000]}),  # the end itself need not be allowed
        (["seed=0:10000"], {"seed": list(range(10000))}),
    ],
)
def test_settings(texts, values):
    assert read_settings(texts) == values
    assert list(read_settings(texts)) == list(values)


@pytest.mark.parametrize(
    ("texts", "keyword"),
    [
        ([], "--set seed=0:10"),
        (["seed"], "'seed' is not valid"),
        (["sead=1"], "'sead=1' is not valid: give epochs, batch_size or seed"),
        (["network=own"], "'network=own' is not valid"),
        (["epochs=0"], "epochs = '0'"),
        (["epochs=1:2000"], "epochs = '1999'"),
        (["seed=-1:2"], "seed = '-1'"),
        (["seed=5:5"], "empty"),
        (["seed=1.5"], "seed = '1.5'"),
        (["seed=1,"], "seed = ''"),
        (["seed=0:9:0"], "'0:9:0'"),
        (["seed=0:1:2:3"], "'0:1:2:3'"),
        (["seed=0:10001"], "more than 10,000"),
        (["seed=0:2147483647"], "more than 10,000"),
        (["seed=0:5001", "epochs=1,2"], "more than 10,000"),
    ],
)
def test_settings_that_are_refused(texts, keyword):
    with pytest.raises(InputError, match=keyword):
        read_settings(texts)


@pytest.mark.parametrize(
    ("settings", "options", "keyword"),
    [
        ("seed=1", {"workers": 2, "scheduler": "tcp://x:1"}, "workers = 2 is not allowed with a scheduler"),
        ("epochs=1", {"lessons": "05"}, "epochs is not a parameter of lessons = 05"),
        ("seed=1", {"output": "taken"}, "is a file"),
        ("seed=1", {"scheduler": "nowhere://x"}, "nowhere://x"),
        ("seed=1", {"output": "other"}, "thesis.txt"),
        ("seed=1", {"output": "busy"}, "already running"),
    ],
)
def test_what_else_is_refused_before_anything_runs(lessons, runs, settings, options, keyword):
    (lessons / "taken").write_text("mine", encoding="utf-8")
    (lessons / "other").mkdir()
    (lessons / "other" / "thesis.txt").touch()
    with Table(lessons / "busy", "embedded", "").folder.locked(), pytest.raises(InputError, match=keyword):
        sweep(lessons, settings, **options)
    assert not runs.seeds


# --- The folder and the table ---


def filled_table(folder, seeds=(10, 9, 2), names=("seed",)):
    table = Table(folder, "embedded", "inputs")
    table.open(list(names), resume=False)
    for seed in seeds:
        row = Row({"seed": seed}, None, {"test_accuracy": seed / 10}, 1.5, "here")
        table.add(row, {"04_train.ipynb": f"{seed}"})
    return table


def test_the_order_of_arrival_does_not_show(tmp_path):
    one, other = filled_table(tmp_path / "a", (10, 9, 2)), filled_table(tmp_path / "b", (2, 10, 9))
    assert one.csv_path.read_bytes() == other.csv_path.read_bytes()
    lines = ["seed,status,test_accuracy,error,seconds,worker"]
    lines += [f"{seed},complete,{seed / 10},,1.5,here" for seed in (2, 9, 10)]  # as numbers, not as text
    assert one.csv_path.read_text(encoding="utf-8").splitlines() == lines


def test_a_table_is_read_again(tmp_path):
    table = filled_table(tmp_path)
    before = table.csv_path.read_bytes()
    table.csv_path.unlink()
    again = Table(tmp_path, "embedded", "inputs")
    assert again.open(["seed"], resume=True) == 0
    assert again.rows == table.rows
    assert again.csv_path.read_bytes() == before
    assert (tmp_path / "runs" / "seed-9" / "04_train.ipynb").read_text(encoding="utf-8") == "9"


def test_runs_that_failed_are_damaged_or_made_from_other_inputs_go(tmp_path):
    table = filled_table(tmp_path, (1, 2))
    table.add(Row({"seed": 3}, "no"), {})
    (tmp_path / "runs" / "seed-1" / "run.json").write_text("[", encoding="utf-8")
    assert [row.name for row in table.failed] == ["seed-3"]
    again = Table(tmp_path, "embedded", "inputs")
    assert again.open(["seed"], resume=True) == 2
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["seed-2"]
    assert Table(tmp_path, "embedded", "others").open(["seed"], resume=True) == 1
    assert list((tmp_path / "runs").iterdir()) == []
    filled_table(tmp_path, (1,))
    (tmp_path / "runs" / "seed-1" / "run.json").unlink()  # as a killed sweep leaves it
    assert filled_table(tmp_path, (2,)).rows
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["seed-2"]


def test_a_finished_sweep_is_not_thrown_away(tmp_path):
    before = filled_table(tmp_path).rows
    with pytest.raises(InputError, match="--resume"):
        filled_table(tmp_path)
    again = Table(tmp_path, "embedded", "inputs")
    with pytest.raises(InputError, match="holds a sweep of seed"):
        again.open(["epochs", "seed"], resume=True)
    again.open(["seed"], resume=True)
    assert again.rows == before


# --- Small parts ---


def test_metrics_of_both_lessons(tmp_path):
    assert read_metrics(tmp_path / "nowhere") == {}
    history = {"accuracy": [0.5, 0.75], "loss": [2, float("nan")], "val_accuracy": []}
    (tmp_path / "reference.json").write_text(json.dumps({"history": history}), encoding="utf-8")
    assert read_metrics(tmp_path) == {"accuracy": 0.75, "loss": None}
    given = {"metrics": {"test_accuracy": {"value": 0.9, "low": 0.7}}, "network": {"weights_sha256": "used"}}
    (tmp_path / "evaluation.json").write_text(json.dumps(given), encoding="utf-8")
    expected = {"test_accuracy": 0.9, "accuracy": 0.75, "loss": None, "weights_sha256": "used"}
    assert list(read_metrics(tmp_path).items()) == list(expected.items())


def test_the_lines_about_runs_and_seeds(tmp_path):
    table = filled_table(tmp_path / "sweep", (1, 2, 6))
    assert describe(table.by_name["seed-2"]).endswith("0:01): complete, test accuracy 20.00%")
    assert describe(Row({"epochs": 1, "seed": 2}, "No.")) == "epochs-1_seed-2: failed. No."
    # 0.1, 0.2, 0.6: mean 0.3, squared deviations 0.04 + 0.01 + 0.09 = 0.14, half of it 0.07, its root 0.264575
    (line,) = spread_lines(table)
    assert "30.00% on average over 3 seeds" in line
    assert "26.46 points, from 10.00% to 60.00%" in line
    assert spread_lines(filled_table(tmp_path / "one", (1,))) == []


class FakeFuture:
    """A future that has no result."""

    def __init__(self, status, error):
        self.status, self.error = status, error

    def result(self):
        raise self.error


def test_how_a_run_can_end_without_a_result():
    given = task.Task({"seed": 1}, {}, {}, {})
    assert cluster._result(FakeFuture("cancelled", CancelledError()), given) is None
    assert cluster._result(FakeFuture("lost", ConnectionError("gone")), given) is None
    row, notebooks = cluster._result(FakeFuture("error", OSError(28, "No space left on device")), given)
    assert (row.name, notebooks) == ("seed-1", {})
    assert "No space left on device" in row.error


# --- Runs ---


def test_runs_of_two_lessons_in_kernels(lessons, scheduler):
    table = sweep(lessons, "seed=1,9", "epochs=2", lessons="04-05", scheduler=scheduler)
    header, complete, failed = results(table)
    names = ["test_accuracy", "test_loss", "val_accuracy", "weights_sha256"]
    assert header == ["epochs", "seed", "status", *names, "error"]
    value = float(np.random.default_rng([1, 2]).random())
    assert complete == ["2", "1", "complete", *map(repr, (value, 1 - value, value)), f"{round(1000 * value):064}", ""]
    # The run that fails has what the lesson left before it stopped, and the cell's number in the stored notebook
    assert failed[:5] == ["2", "9", "failed", "", ""]
    assert "Train the network stopped in cell 3 (import json, os, pathlib)" in failed[-1]
    assert failed[-1].endswith("AssertionError: nine")
    folder = table.folder.path / "runs"
    assert printed(folder / "epochs-2_seed-1" / "05_evaluate.ipynb") == "own embedded\n"
    assert printed(folder / "epochs-2_seed-1" / "04_train.ipynb") == "1 1 1\n"
    left = sorted(path.name for path in (folder / "epochs-2_seed-9").iterdir())
    assert left == ["04_train.ipynb", "run.json"]


def test_a_run_that_fails_does_not_stop_the_others(lessons, runs, scheduler):
    runs.broken = {1: LessonError("it stopped"), 3: RuntimeError("a worker's own error")}
    said = []
    table = sweep(lessons, "seed=0:5", scheduler=scheduler, said=said)
    assert sorted(runs.seeds) == [0, 1, 2, 3, 4]
    assert [row.name for row in table.failed] == ["seed-1", "seed-3"]
    assert table.rows[1].error == "it stopped"
    assert "RuntimeError: a worker's own error" in table.rows[3].error
    assert any("not MNIST" in line for line in said)
    assert any("seed-1" in line and "it stopped" in line for line in said)
    assert any(line.startswith("5 of 5, about ") for line in said)


def test_resuming_runs_what_is_missing_failed_or_outdated(lessons, runs, scheduler):
    runs.broken = {1: LessonError("it stopped")}
    sweep(lessons, "seed=0:2", scheduler=scheduler)
    runs.broken, runs.seeds = {}, []
    table = sweep(lessons, "seed=1:3", scheduler=scheduler, resume=True)
    assert sorted(runs.seeds) == [1, 2]
    assert results(table) == computed(0, 1, 2)  # what the folder held already is in the table, too

    write_lesson(lessons / "notebooks", "04", "another = 1")
    runs.seeds, said = [], []
    table = sweep(lessons, "seed=0", scheduler=scheduler, resume=True, said=said)
    assert runs.seeds == [0]
    assert results(table) == computed(0)
    assert any("reused: 0;" in line and line.endswith("inputs: 3.") for line in said)


def test_an_interrupted_sweep_keeps_its_rows(lessons, runs, scheduler, monkeypatch):
    kept = []

    def interrupt(row):
        kept.append(row.name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(digits_tools.sweep, "describe", interrupt)
        with pytest.raises(Interrupted, match="after 1 of 3 runs.*--resume"):
            sweep(lessons, "seed=0:3", scheduler=scheduler)
    assert [path.name for path in (lessons / "sweep" / "runs").iterdir()] == kept
    runs.seeds.clear()
    assert results(sweep(lessons, "seed=0:3", scheduler=scheduler, resume=True)) == computed(0, 1, 2)
    assert kept[0] not in [f"seed-{seed}" for seed in runs.seeds]


def test_a_full_disk_here_is_not_taken_for_a_lost_connection(lessons, runs, scheduler, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Table, "add", fail)
    with pytest.raises(OSError, match="No space"):
        sweep(lessons, "seed=0:2", scheduler=scheduler)


def test_a_worker_that_differs_is_named_before_anything_runs(lessons, runs, scheduler, monkeypatch):
    here = {**basis_of_results("embedded"), "keras": "1.0"}
    monkeypatch.setattr(digits_tools.sweep, "basis_of_results", lambda dataset: here)
    with pytest.raises(ClusterError, match=r"differs from this machine in keras \(3"):
        sweep(lessons, "seed=0", scheduler=scheduler)
    # A worker that joins later meets the same check in each of its runs
    monkeypatch.setattr(cluster, "_check_workers", lambda *_: None)
    table = sweep(lessons, "seed=0", scheduler=scheduler, resume=True)
    assert "differs in keras" in table.failed[0].error
    assert not runs.seeds


def test_no_scheduler_is_one_sentence(lessons, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_TIMEOUT", 0.5)
    with pytest.raises(ClusterError, match="No scheduler has answered at tcp://127.0.0.1:9 for 0.5 seconds"):
        sweep(lessons, "seed=0", scheduler="tcp://127.0.0.1:9")
