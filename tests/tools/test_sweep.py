"""Many runs: what is refused, the table, and that it is the same whoever computes it and whatever breaks on the way.

The runs use lessons of one cell that compute with NumPy. Schedulers and workers are real processes on this machine.
"""

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from tiny_lessons import PARAMETERS, printed, write_lesson

from digits_helpers import cli, series, sweep_cluster
from digits_helpers.parameters import ParameterError
from digits_helpers.report import OutputError
from digits_helpers.series import select_lessons
from digits_helpers.sweep import describe, read_settings, run_name, run_sweep, spread_lines
from digits_helpers.sweep_cluster import ClusterError, _outcome
from digits_helpers.sweep_run import read_metrics, run_lessons, software
from digits_helpers.sweep_table import MARKER, Row, Table, check_folder, locked_folder

# Trains nothing, but leaves what a training leaves. What happens in it is told through files in EVENTS: each attempt
# adds the number of its kernel's process to "attempts-SEED", and waits as long as there is a file "hold-SEED".
TRAIN = """
import json, os, pathlib, time
import numpy as np
events = pathlib.Path({events!r})
with (events / f"attempts-{{seed}}").open("a") as file:
    file.write(f"{{os.getpid()}}\\n")
while (events / f"hold-{{seed}}").exists():
    time.sleep(0.05)
value = float(np.random.default_rng([seed, epochs]).random())
run = {{"history": {{"accuracy": [0.0, value]}}, "weights_sha256": f"{{seed:064}}"}}
(pathlib.Path(os.environ["DIGITS_ARTIFACTS_DIR"]) / "training.json").write_text(json.dumps(run))
print({names!r}, *(os.environ[name] for name in {names!r}))
assert seed != 9, "nine"
"""
EVALUATE = """
import json, os, pathlib
folder = pathlib.Path(os.environ["DIGITS_ARTIFACTS_DIR"])
value = json.loads((folder / "training.json").read_text())["history"]["accuracy"][-1]
headline = {"test_accuracy": value, "low": value / 2, "high": 1.0, "errors": seed, "n": 360}
(folder / "results.json").write_text(json.dumps({"headline": headline, "metrics": {"test_loss": {"value": 1 - value}}}))
print(network, dataset)
"""
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@pytest.fixture
def lessons(tmp_path):
    """Lessons 04 and 05 in a folder with a blank and an umlaut; in `events` they tell what happens."""
    return make_lessons(tmp_path / "ein Ordner für Läufe")


def make_lessons(folder):
    events = folder / "events"
    events.mkdir(parents=True)
    write_lesson(folder / "notebooks", "04", TRAIN.format(events=str(events), names=THREADS))
    write_lesson(folder / "notebooks", "05", EVALUATE, parameters=PARAMETERS + '\nnetwork = "auto"')
    return folder


def sweep(folder, *settings, lessons="04", output="sweep", said=None, **options):
    options = {"dataset": "embedded", "say": [].append if said is None else said.append, **options}
    return run_sweep(settings, select_lessons(lessons), folder / output, folder / "notebooks", **options)


def results(table):
    """The columns of the table that do not tell about times and workers."""
    rows = list(csv.reader(io.StringIO(table.csv_path.read_text(encoding="utf-8"))))
    assert rows[0][-2:] == ["seconds", "worker"]
    return [row[:-2] for row in rows]


def computed(seeds, epochs=10):
    """What the table of lesson 04 must hold, by the lesson's own formula."""
    values = {seed: repr(np.random.default_rng([seed, epochs]).random()) for seed in seeds}
    rows = [[str(seed), "complete", values[seed], f"{seed:064}", ""] for seed in seeds]
    return [["seed", "status", "training_accuracy", "weights_sha256", "error"], *rows]


def attempts(folder, seed):
    """The processes of the kernels that have run a seed."""
    path = folder / "events" / f"attempts-{seed}"
    return [int(line) for line in path.read_text(encoding="utf-8").split()] if path.exists() else []


def wait_for(condition, running=None):
    """Wait until something has happened; fail when it does not, or when what should make it happen has ended."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        if running is not None and running.done():
            running.result()  # shows its error, if that is why it has ended
            assert condition()
        time.sleep(0.05)


def is_gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


# --- What is varied ---


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["seed=0:3"], {"seed": [0, 1, 2]}),
        (["seed=0:7:3"], {"seed": [0, 3, 6]}),
        (["seed=3", "epochs=5,1"], {"epochs": [1, 5], "seed": [3]}),  # always in the same order
        (["seed=9,0:2"], {"seed": [0, 1, 9]}),
        (["batch-size=32, 64"], {"batch_size": [32, 64]}),
        (["seed=0:10000"], {"seed": list(range(10000))}),
    ],
)
def test_settings(texts, values):
    assert read_settings(texts) == values
    assert list(read_settings(texts)) == list(values)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["seed"], "set = 'seed' is not allowed: give a name with values, as in seed=0:10 or epochs=1,3."),
        (["sead=1"], "set = 'sead=1' is not allowed: a sweep varies epochs, batch_size, seed, and nothing else."),
        (["network=own"], "set = 'network=own' is not allowed: a sweep varies epochs, batch_size, seed, and nothing"),
        (["seed=1", "seed=2"], "set = 'seed=2' is not allowed: seed is set already, so write all its values into one."),
        (["seed=1,0:3"], "set = 'seed=1,0:3' is not allowed: seed = 1 comes twice, so leave one out."),
        (["epochs=0"], "epochs = 0 is not allowed: give a whole number from 1 to 1000, for example 10."),
        (["epochs=1:2000"], "epochs = 1999 is not allowed: give a whole number from 1 to 1000, for example 10."),
        (["seed=-1:2"], "seed = -1 is not allowed: give a whole number from 0 to 2147483647, for example 0."),
        (["seed=5:5"], "seed = '5:5' is empty: the end is left out, so it must be larger than the first."),
        (["seed=1.5"], "seed = '1.5' is not allowed: give a whole number from 0 to 2147483647, or first:end or"),
        (["seed=1,"], "seed = '' is not allowed: give"),
        (["seed=0:9:0"], "seed = '0:9:0' is not allowed: give"),
        (["seed=0:1:2:3"], "seed = '0:1:2:3' is not allowed: give"),
        (["seed=0:10001"], "set = 'seed=0:10001' is not allowed: it makes more than 10,000 combinations, so"),
        (["seed=0:2147483647"], "set = 'seed=0:2147483647' is not allowed: it makes more than 10,000"),
        (["seed=0:5001", "epochs=1,2"], "set = 'seed=0:5001, epochs=1,2' is not allowed: it makes more"),
        ([], "Nothing is set that could vary: give it with --set, for example --set seed=0:10."),
    ],
)
def test_settings_that_are_refused(texts, sentence):
    with pytest.raises(ParameterError) as caught:
        read_settings(texts)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--set", "sead=1"], "set = 'sead=1' is not allowed: a sweep varies epochs, batch_size, seed, and nothing"),
        (["--set", "seed=1", "--workers", "2", "--scheduler", "tcp://x:1"], "workers = 2 is not allowed with a"),
        (["--set", "seed=1", "--workers", "0"], "Invalid value for '--workers'"),
        (["--set", "batch_size=1,9999"], "batch_size = 9999 is larger than the training set of"),
        (["--set", "epochs=1", "--lessons", "03"], "epochs is not allowed with lessons = 03, which do not use it"),
        (["--set", "seed=1", "--output", "taken"], "is a file, but a sweep needs a folder"),
        (["--set", "seed=1", "--scheduler", "nowhere://x"], "scheduler = 'nowhere://x' is not allowed: give the"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_status_2(lessons, monkeypatch, options, sentence):
    write_lesson(lessons / "notebooks", "03", "1", parameters="seed = 0")
    monkeypatch.setattr(series, "NOTEBOOKS", lessons / "notebooks")
    monkeypatch.chdir(lessons)
    (lessons / "taken").write_text("mine", encoding="utf-8")
    result = CliRunner().invoke(cli.main, ["sweep", "--dataset", "embedded", *options])
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert not list(lessons.glob("sweep/runs/*"))


# --- The folder and the table ---


def filled_table(folder, seeds=(10, 9, 2), names=("seed",)):
    folder.mkdir(exist_ok=True)
    (folder / MARKER).touch()
    table = Table(folder, names, {"dataset": "embedded"})
    for seed in seeds:
        row = Row(f"seed-{seed}", {"seed": seed}, "complete", {"test_accuracy": seed / 10}, None, "x", 1.5, "here")
        table.add(row, {"04_train.ipynb": f"{seed}"})
    return table


def test_the_order_of_arrival_does_not_show(tmp_path):
    one, other = filled_table(tmp_path / "a", (10, 9, 2)), filled_table(tmp_path / "b", (2, 10, 9))
    assert one.csv_path.read_bytes() == other.csv_path.read_bytes()
    assert (tmp_path / "a" / "runs.json").read_bytes() == (tmp_path / "b" / "runs.json").read_bytes()
    lines = ["seed,status,test_accuracy,error,seconds,worker"]
    lines += [f"{seed},complete,{seed / 10},,1.5,here" for seed in (2, 9, 10)]  # as numbers, not as text
    assert one.csv_path.read_text(encoding="utf-8").splitlines() == lines


def test_a_table_is_read_again(tmp_path):
    table = filled_table(tmp_path / "sweep")
    again = Table(tmp_path / "sweep", ("seed",), {})
    again.read()
    assert again.rows == table.rows
    again.drop(["seed-9"])
    assert sorted(path.name for path in (tmp_path / "sweep" / "runs").iterdir()) == ["seed-10", "seed-2"]
    assert len(json.loads((tmp_path / "sweep" / "runs.json").read_text(encoding="utf-8"))["runs"]) == 2


def test_what_an_earlier_attempt_left_goes(tmp_path):
    table = filled_table(tmp_path / "sweep", (1,))
    table.add(Row("seed-1", {"seed": 1}, "failed", error="no"), {"05_evaluate.ipynb": ""})
    assert [path.name for path in (tmp_path / "sweep" / "runs" / "seed-1").iterdir()] == ["05_evaluate.ipynb"]
    assert [row.name for row in table.failed] == ["seed-1"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"varied": ["seed"], "runs": [{"name": "x"}]}'])
def test_a_damaged_table_is_one_sentence(tmp_path, content):
    (tmp_path / "runs.json").write_text(content, encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be read .*: choose another folder with --output"):
        Table(tmp_path, ("seed",), {}).read()


def test_a_table_of_other_parameters_is_left_alone(tmp_path):
    filled_table(tmp_path / "sweep")
    with pytest.raises(OutputError, match="varies seed, not epochs, seed: give the same names with --set, or choose"):
        Table(tmp_path / "sweep", ("epochs", "seed"), {}).read()


def test_a_finished_sweep_is_not_thrown_away(tmp_path):
    filled_table(tmp_path / "sweep")
    with pytest.raises(OutputError, match="holds a sweep, which is not thrown away: go on with it with --resume"):
        check_folder(tmp_path / "sweep", resume=False)
    assert check_folder(tmp_path / "sweep", resume=True) == tmp_path / "sweep"


@pytest.mark.parametrize("name", ["thesis.txt", "runs.csv.bak", "index.html"])
def test_a_folder_with_something_else_is_left_alone(tmp_path, name):
    filled_table(tmp_path)
    (tmp_path / name).touch()
    with pytest.raises(OutputError, match=f"holds something that is no sweep .'{name}'.: choose"):
        check_folder(tmp_path, resume=True)


def test_a_folder_without_the_mark_is_not_ours(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(OutputError, match="holds something that is no sweep"):
        check_folder(tmp_path, resume=True)


def test_two_sweeps_do_not_write_into_one_folder(tmp_path):
    with locked_folder(tmp_path / "new"), pytest.raises(OutputError, match="Another sweep is writing to"):
        with locked_folder(tmp_path / "new"):
            pass
    with locked_folder(tmp_path / "new"):  # free again
        assert check_folder(tmp_path / "new", resume=False)


# --- Small parts ---


def test_names_of_runs():
    assert run_name({"epochs": 1, "batch_size": 64, "seed": 3}) == "epochs-1_batch_size-64_seed-3"


def test_metrics_of_both_lessons(tmp_path):
    run = {"history": {"accuracy": [0.5, 0.75], "loss": [2, float("nan")], "val_accuracy": []}, "weights_sha256": "old"}
    given = {"headline": {"test_accuracy": 0.9, "n": 10}, "metrics": {"training_accuracy": {"value": 0.8, "low": 0.7}}}
    (tmp_path / "training.json").write_text(json.dumps(run), encoding="utf-8")
    assert read_metrics(tmp_path) == {"training_accuracy": 0.75, "training_loss": None, "weights_sha256": "old"}
    (tmp_path / "results.json").write_text(json.dumps({**given, "weights_sha256": "used"}), encoding="utf-8")
    expected = {"test_accuracy": 0.9, "n": 10, "training_accuracy": 0.8, "training_loss": None}
    expected |= {"weights_sha256": "used"}
    assert read_metrics(tmp_path) == expected
    assert list(read_metrics(tmp_path)) == list(expected)
    assert read_metrics(tmp_path / "nowhere") == {}


def test_other_software_is_refused(tmp_path):
    order = {"software": {**software(), "keras": "1.0"}, "lessons": {}, "parameters": {}}
    outcome = run_lessons(order, tmp_path)
    assert outcome["status"] == "failed"
    assert outcome["error"].startswith("The worker has another version of keras: install the same there")
    assert list(tmp_path.iterdir()) == []


def test_the_lines_about_runs_and_seeds(tmp_path):
    table = filled_table(tmp_path / "sweep", (1, 2, 6))
    assert describe(table.rows["seed-2"]) == "seed 2: complete (0:01), test accuracy 20.00%"
    assert describe(Row("x", {"epochs": 1, "seed": 2}, "failed", error="No.")) == "epochs 1, seed 2: failed. No."
    # 0.1, 0.2, 0.6: mean 0.3, squared deviations 0.04 + 0.01 + 0.09 = 0.14, half of it 0.07, its root 0.264575
    assert spread_lines(table) == [
        "All settings as stored: test accuracy 30.00% on average over 3 seeds, standard deviation 26.46 points, "
        "from 10.00% to 60.00%"
    ]
    assert spread_lines(filled_table(tmp_path / "one", (1,))) == []


class PlayedFuture:
    """A future that has ended with an error."""

    def __init__(self, error, cancelled=False):
        self.error, self.is_cancelled = error, cancelled

    def cancelled(self):
        return self.is_cancelled

    def result(self):
        raise self.error


def test_how_a_run_can_end_without_an_outcome():
    assert _outcome(PlayedFuture(ValueError(), cancelled=True)) is None
    assert _outcome(PlayedFuture(ConnectionError("gone"))) is None
    outcome = _outcome(PlayedFuture(ModuleNotFoundError("No module named 'digits_helpers'")))
    assert outcome["status"] == "failed"
    assert "could not start it (ModuleNotFoundError: No module named 'digits_helpers')" in outcome["error"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_no_scheduler_is_one_sentence(lessons, monkeypatch):
    monkeypatch.setattr(sweep_cluster, "CONNECT_SECONDS", 0.5)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(ClusterError, match=f"No scheduler has answered at {address} for 0.5 seconds: start one"):
        sweep(lessons, "seed=0", scheduler=address)


@pytest.mark.parametrize("module", ["sweep", "sweep_cluster", "sweep_run", "sweep_table"])
def test_importing_starts_nothing_heavy(module):
    heavy = "tensorflow keras matplotlib sklearn papermill nbconvert nbformat distributed dask".split()
    code = f"import sys, digits_helpers.{module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- Runs on this machine ---


@pytest.mark.slow
def test_one_worker_and_two_make_the_same_table(lessons):
    tables = [sweep(lessons, "seed=1,9", "epochs=1,2", lessons="04-05", output=f"{n}", workers=n) for n in (1, 2)]
    assert results(tables[0]) == results(tables[1])
    header, *rows = results(tables[0])
    assert header == [
        "epochs", "seed", "status", "test_accuracy", "low", "high", "errors", "n", "test_loss", "training_accuracy",
        "weights_sha256", "error",
    ]  # fmt: skip
    value = float(np.random.default_rng([1, 2]).random())
    numbers = [value, value / 2, 1.0, 1, 360, 1 - value, value]
    assert rows[2] == ["2", "1", "complete", *map(repr, numbers), f"{1:064}", ""]
    # The run that fails has what the lesson left before it stopped, and the cell's number in the stored notebook.
    assert rows[3][:3] == ["2", "9", "failed"]
    where = "Lesson 04 Train the network stopped in cell 3 (import json, os, pathlib, time)"
    assert rows[3][-1] == f"{where}: AssertionError: nine"
    folder = lessons / "2" / "runs" / "epochs-2_seed-1"
    assert printed(folder / "05_evaluate.ipynb") == "own embedded\n"
    assert printed(folder / "04_train.ipynb").endswith(") 1 1 1\n")
    assert [path.name for path in (lessons / "1" / "runs" / "epochs-1_seed-9").iterdir()] == ["04_train.ipynb"]


@pytest.mark.slow
def test_resuming_runs_what_is_missing_failed_or_outdated(lessons, monkeypatch):
    monkeypatch.setattr(series, "NOTEBOOKS", lessons / "notebooks")
    monkeypatch.chdir(lessons)
    command = ["sweep", "--dataset", "embedded", "--lessons", "04", "--workers", "2", "--resume", "--set"]
    first = CliRunner().invoke(cli.main, [*command, "seed=0,9"])
    assert first.exit_code == 1
    assert "Error: 1 run failed, the first of them seed-9: Lesson 04 Train the network stopped" in first.stderr
    assert "seed 0: complete" in first.stdout

    again = CliRunner().invoke(cli.main, [*command, "seed=0,1,9", "-q"])
    assert again.exit_code == 1
    assert again.stdout == f"Table: {lessons / 'sweep' / 'runs.csv'} (3 runs on embedded data)\n"  # quiet
    assert [len(attempts(lessons, seed)) for seed in (0, 1, 9)] == [1, 1, 2]

    write_lesson(lessons / "notebooks", "04", TRAIN.format(events=str(lessons / "events"), names=()))
    said = []
    sweep(lessons, "seed=0", resume=True, said=said, workers=1)
    assert any("This is not MNIST" in line for line in said)
    assert "Kept: 0 runs. Failed, or made from other lessons, data or software: 3." in said
    assert len(attempts(lessons, 0)) == 2


@pytest.mark.slow
def test_a_run_that_kills_its_worker_again_and_again_ends(lessons):
    import dask

    # From kernel to run to worker; what comes after it is never reached, because the run ends with the worker.
    kill = "import psutil, time\nif seed == 0:\n    psutil.Process().parent().parent().kill()\n    time.sleep(600)"
    write_lesson(lessons / "notebooks", "04", kill)
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        table = sweep(lessons, "seed=0:2", workers=2)
    killed, other = table.ordered
    assert (killed.status, other.status) == ("failed", "complete")
    assert killed.error.startswith("2 workers were killed while they computed it: look for the reason on the machines")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that one process can send to another alone")
@pytest.mark.parametrize("where", ["here", "cluster"])
def test_an_interrupted_sweep_leaves_no_process_and_goes_on(lessons, cluster, where):
    (lessons / "events" / "hold-1").touch()
    code = (
        f"import pathlib\nfrom digits_helpers import cli, series\nif __name__ == '__main__':\n"
        f"    series.NOTEBOOKS = pathlib.Path({str(lessons / 'notebooks')!r})\n    cli.main()\n"
    )
    (lessons / "digits.py").write_text(code, encoding="utf-8")
    options = ["--dataset", "embedded", "--workers", "1"]
    if where == "cluster":
        options[2:] = ["--scheduler", cluster.start_scheduler()]
        cluster.start_worker()
    command = [sys.executable, "digits.py", "sweep", "--set", "seed=0:2", "--lessons", "04", *options]
    running = subprocess.Popen(
        command, cwd=lessons, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        wait_for(lambda: attempts(lessons, 1) or running.poll() is not None)
        if where == "here":
            os.killpg(running.pid, signal.SIGINT)  # Ctrl-C reaches all processes of the terminal
        else:
            running.terminate()
        output, errors = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130, output + errors
    assert errors == "Error: The sweep was interrupted after 1 of 2 runs: go on with the same command and --resume.\n"
    (kernel,) = attempts(lessons, 1)
    wait_for(lambda: is_gone(kernel))  # also where the worker lives on
    (lessons / "events" / "hold-1").unlink()
    table = sweep(lessons, "seed=0:2", resume=True, workers=1)
    assert results(table) == computed([0, 1])
    assert len(attempts(lessons, 0)) == 1


# --- Runs on a cluster ---


class PlayedCluster:
    """A scheduler and workers as a cluster has them: processes of their own that know each other by an address."""

    def __init__(self, folder):
        self.folder, self.processes, self.address = folder, [], ""

    def _start(self, module, *options):
        here = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
        command = [sys.executable, "-m", f"distributed.cli.{module}", *options, *here]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes.append(subprocess.Popen(command, cwd=self.folder, **quiet))
        return self.processes[-1]

    def start_scheduler(self):
        """Start a scheduler, at the address of the earlier one if there was one, and wait until it can be reached."""
        port = self.address.rpartition(":")[2] or "0"
        told = self.folder / f"scheduler-{len(self.processes)}.json"
        self.scheduler = self._start("dask_scheduler", "--port", port, "--scheduler-file", str(told))
        wait_for(lambda: told.is_file() and told.read_text(encoding="utf-8").endswith("}"))
        self.address = json.loads(told.read_text(encoding="utf-8"))["address"]
        return self.address

    def start_worker(self):
        """Start a worker for one run at a time; nothing brings it back when it is killed."""
        options = ("--nthreads", "1", "--no-nanny", "--local-directory", str(self.folder))
        return self._start("dask_worker", self.address, *options)

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    (tmp_path / "cluster").mkdir()
    played = PlayedCluster(tmp_path / "cluster")
    yield played
    played.close()


@pytest.fixture
def aside():
    """Run something while the test goes on."""
    with ThreadPoolExecutor(1) as executor:
        yield executor.submit


@pytest.mark.slow
def test_a_killed_worker_and_a_late_one(lessons, cluster, aside):
    (lessons / "events" / "hold-1").touch()
    address = cluster.start_scheduler()
    said = []
    running = aside(sweep, lessons, "seed=0:4", scheduler=address, said=said)
    wait_for(lambda: any("no worker yet; start some with `dask worker" in line for line in said), running)
    worker = cluster.start_worker()
    wait_for(lambda: attempts(lessons, 1), running)  # it is in the middle of seed 1, and would be for ever
    cluster.start_worker()
    wait_for(lambda: attempts(lessons, 3), running)  # a worker that came late does what is left

    (kernel,) = attempts(lessons, 1)
    assert worker.pid in [process.pid for process in psutil.Process(kernel).parents()]
    worker.kill()
    wait_for(lambda: is_gone(kernel), running)  # nothing goes on behind a worker
    (lessons / "events" / "hold-1").unlink()
    table = running.result()
    assert results(table) == computed([0, 1, 2, 3])
    assert [len(attempts(lessons, seed)) for seed in range(4)] == [1, 2, 1, 1]
    assert len({row.worker for row in table.ordered}) == 2


@pytest.mark.slow
def test_a_scheduler_that_comes_back(lessons, cluster, aside):
    (lessons / "events" / "hold-1").touch()
    said = []
    address = cluster.start_scheduler()
    cluster.start_worker()
    running = aside(sweep, lessons, "seed=0:3", scheduler=address, said=said)
    wait_for(lambda: attempts(lessons, 1), running)
    cluster.scheduler.kill()
    lost = "The connection to the scheduler was lost. What has not arrived (2 of the runs) goes to the next scheduler"
    wait_for(lambda: any(line.startswith(lost) for line in said), running)
    (kernel,) = attempts(lessons, 1)
    wait_for(lambda: is_gone(kernel), running)
    (lessons / "events" / "hold-1").unlink()
    cluster.start_scheduler()
    cluster.start_worker()
    assert results(running.result()) == computed([0, 1, 2])
    assert [len(attempts(lessons, seed)) for seed in range(3)] == [1, 2, 1]  # what had arrived is not run again


@pytest.mark.slow
def test_a_scheduler_that_stays_away(lessons, cluster, aside, monkeypatch):
    monkeypatch.setattr(sweep_cluster, "RETURN_SECONDS", 1.0)
    (lessons / "events" / "hold-1").touch()
    address = cluster.start_scheduler()
    cluster.start_worker()
    running = aside(sweep, lessons, "seed=0:2", scheduler=address)
    wait_for(lambda: attempts(lessons, 1), running)
    cluster.scheduler.kill()
    with pytest.raises(ClusterError, match="No scheduler has answered at .* for 1 seconds: .* with --resume"):
        running.result()
    (lessons / "events" / "hold-1").unlink()
    table = sweep(lessons, "seed=0:2", resume=True, workers=1)
    assert results(table) == computed([0, 1])
    assert len(attempts(lessons, 0)) == 1


@pytest.mark.slow
def test_a_worker_with_other_software_is_named_before_anything_runs(lessons, cluster, monkeypatch):
    address = cluster.start_scheduler()
    cluster.start_worker()
    with monkeypatch.context() as patch:
        here = {**software(), "keras": "1.0"}
        patch.setattr("digits_helpers.sweep_run.software", lambda: here)
        wait_for(lambda: has_worker(address))
        with pytest.raises(ClusterError, match="The worker tcp://.* has another version of keras: install"):
            sweep(lessons, "seed=0", scheduler=address)
    assert not attempts(lessons, 0)


@pytest.mark.slow
def test_a_worker_without_this_project_is_named(lessons, cluster, monkeypatch):
    address = cluster.start_scheduler()
    # What Python imports first when it starts hides the package from this worker.
    hide = "import sys\nsys.modules['digits_helpers'] = None\n"
    (cluster.folder / "sitecustomize.py").write_text(hide, encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(cluster.folder), prepend=os.pathsep)
        cluster.start_worker()
    wait_for(lambda: has_worker(address))
    with pytest.raises(ClusterError, match="The worker tcp://.* cannot run the lessons .*digits_helpers.*: install"):
        sweep(lessons, "seed=0", scheduler=address)


def has_worker(address):
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return bool(client.scheduler_info()["workers"])
