"""Many runs on workers that are processes: which table they make, and what happens when one of them is killed.

The runs use lessons of one cell that compute with NumPy. Schedulers and workers are real processes on this machine.
"""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from sweeps import results, sweep
from tiny_lessons import write_lesson

from digits_tools.sweep import cluster as cluster_module
from digits_tools.sweep.cluster import ClusterError

pytestmark = pytest.mark.weekly

# What happens in it is told through files in EVENTS: each attempt adds the number of its kernel's process to
# "attempts-SEED", and waits as long as there is a file "hold-SEED".
TRAIN = """
import json, os, pathlib, time
import numpy as np
events = pathlib.Path({events!r})
with (events / f"attempts-{{seed}}").open("a") as file:
    file.write(f"{{os.getpid()}}\\n")
while (events / f"hold-{{seed}}").exists():
    time.sleep(0.05)
value = float(np.random.default_rng(seed).random())
pathlib.Path("artifacts/reference.json").write_text(json.dumps({{"history": {{"accuracy": [value]}}}}))
assert seed != 9, "nine"
"""


@pytest.fixture
def lessons(tmp_path):
    """Lesson 04 in a folder with a blank and an umlaut; in `events` it tells what happens."""
    folder = tmp_path / "ein Ordner für Läufe"
    (folder / "events").mkdir(parents=True)
    write_lesson(folder / "notebooks", "04", TRAIN.format(events=str(folder / "events")))
    return folder


def computed(*seeds):
    """What the table must hold, by the lesson's own formula."""
    rows = [[str(seed), "complete", repr(np.random.default_rng(seed).random()), ""] for seed in seeds]
    return [["seed", "status", "accuracy", "error"], *rows]


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


# --- Workers of this machine ---


def test_one_worker_and_two_make_the_same_table(lessons):
    tables = [sweep(lessons, "seed=0:3,9", output=f"{number}", workers=number) for number in (1, 2)]
    assert results(tables[0]) == results(tables[1])
    assert results(tables[0])[:4] == computed(0, 1, 2)
    assert [row.name for row in tables[1].failed] == ["seed-9"]
    assert [len({row.worker for row in table.rows}) for table in tables] == [1, 2]


def test_a_run_that_kills_its_worker_again_and_again_ends(lessons):
    import dask

    kill = "import psutil, time\nif seed == 0:\n    psutil.Process().parent().kill()\n    time.sleep(600)"
    write_lesson(lessons / "notebooks", "04", kill)
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        table = sweep(lessons, "seed=0:2", workers=2)
    killed, other = table.rows
    assert other.error is None
    assert "2 workers were killed" in killed.error


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that one process can send to another alone")
@pytest.mark.parametrize("where", ["here", "cluster"])
def test_an_interrupted_sweep_leaves_no_process_and_goes_on(lessons, cluster, where):
    (lessons / "events" / "hold-1").touch()
    options = ["--dataset", "embedded", "--notebooks", str(lessons / "notebooks"), "--lessons", "04"]
    if where == "cluster":
        options += ["--scheduler", cluster.start_scheduler()]
        worker = cluster.start_worker()
    else:
        options += ["--workers", "1"]
    command = [sys.executable, "-m", "digits_tools", "sweep", "--set", "seed=0:2", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = subprocess.Popen(command, cwd=lessons, **pipes, start_new_session=True)
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
    assert errors.startswith("Error: The sweep was interrupted after 1 of 2 runs") and errors.count("\n") == 1
    (kernel,) = attempts(lessons, 1)
    wait_for(lambda: is_gone(kernel))  # also where the worker lives on
    if where == "cluster":
        assert not is_gone(worker.pid)
    (lessons / "events" / "hold-1").unlink()
    table = sweep(lessons, "seed=0:2", resume=True, workers=1)
    assert results(table) == computed(0, 1)
    assert len(attempts(lessons, 0)) == 1


# --- A cluster ---


class LocalProcesses:
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
    processes = LocalProcesses(tmp_path / "cluster")
    yield processes
    processes.close()


@pytest.fixture
def aside():
    """Run something while the test goes on."""
    with ThreadPoolExecutor(1) as executor:
        yield executor.submit


@pytest.fixture
def held(lessons, cluster, aside):
    """A sweep over three seeds on a cluster with one worker, which is in the middle of seed 1; and what it says."""
    (lessons / "events" / "hold-1").touch()
    said, address = [], cluster.start_scheduler()
    cluster.start_worker()
    running = aside(sweep, lessons, "seed=0:3", scheduler=address, said=said)
    wait_for(lambda: attempts(lessons, 1), running)
    return running, said


def test_a_killed_worker_and_a_late_one(lessons, cluster, aside):
    (lessons / "events" / "hold-1").touch()
    address = cluster.start_scheduler()
    said = []
    running = aside(sweep, lessons, "seed=0:4", scheduler=address, said=said)
    wait_for(lambda: any("none yet; start some with `dask worker" in line for line in said), running)
    worker = cluster.start_worker()
    wait_for(lambda: attempts(lessons, 1), running)  # it is in the middle of seed 1, and would be for ever
    cluster.start_worker()
    wait_for(lambda: attempts(lessons, 3), running)  # a worker that came late does what is left

    (kernel,) = attempts(lessons, 1)
    assert psutil.Process(kernel).ppid() == worker.pid
    worker.kill()
    wait_for(lambda: is_gone(kernel), running)  # nothing goes on behind a worker
    (lessons / "events" / "hold-1").unlink()
    table = running.result()
    assert results(table) == computed(0, 1, 2, 3)
    assert [len(attempts(lessons, seed)) for seed in range(4)] == [1, 2, 1, 1]
    assert len({row.worker for row in table.rows}) == 2
    cluster.start_worker()
    scratch = cluster.folder / "dask-scratch-space"
    wait_for(lambda: not list(scratch.glob("*/run-*")))  # what the killed run has left is removed by dask


def test_a_scheduler_that_comes_back(lessons, cluster, held):
    running, said = held
    cluster.scheduler.kill()
    wait_for(lambda: any("connection to the scheduler was lost" in line for line in said), running)
    (kernel,) = attempts(lessons, 1)
    wait_for(lambda: is_gone(kernel), running)
    (lessons / "events" / "hold-1").unlink()
    cluster.start_scheduler()
    cluster.start_worker()
    assert results(running.result()) == computed(0, 1, 2)
    assert [len(attempts(lessons, seed)) for seed in range(3)] == [1, 2, 1]  # what had arrived is not run again


def test_a_scheduler_that_stays_away(lessons, cluster, held, monkeypatch):
    monkeypatch.setattr(cluster_module, "RETURN_TIMEOUT", 1.0)
    cluster.scheduler.kill()
    with pytest.raises(ClusterError, match="No scheduler has answered .* --resume"):
        held[0].result()
    (lessons / "events" / "hold-1").unlink()
    table = sweep(lessons, "seed=0:3", resume=True, workers=1)
    assert results(table) == computed(0, 1, 2)
    assert len(attempts(lessons, 0)) == 1


def test_a_worker_without_this_project_is_named(lessons, cluster, monkeypatch):
    address = cluster.start_scheduler()
    # What Python imports first when it starts hides the package from this worker
    hide = "import sys\nsys.modules['digits_tools'] = None\n"
    (cluster.folder / "sitecustomize.py").write_text(hide, encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(cluster.folder), prepend=os.pathsep)
        cluster.start_worker()
    wait_for(lambda: has_worker(address))
    with pytest.raises(ClusterError, match="The worker tcp://.* cannot run the lessons .*digits_tools"):
        sweep(lessons, "seed=0", scheduler=address)


def has_worker(address):
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return bool(client.scheduler_info()["workers"])
