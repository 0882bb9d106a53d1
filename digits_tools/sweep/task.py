"""One run of a sweep: the task that a dask worker executes. Every worker imports this module, so it stays light."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits_helpers.errors import DigitsError
from digits_tools.folders import atomic_write, read_json
from digits_tools.lessons import LESSONS, LessonError
from digits_tools.machine import OUTPUT_AFFECTING_PACKAGES, package_versions
from digits_tools.run import end_kernels, package_digest, run_lesson
from digits_tools.sweep.table import Row

# The order in which numbers are added depends on the number of threads, and training magnifies the rounding. One
# thread per run, always, makes a table independent of how many runs share a machine.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
    "1",
)


@dataclass(frozen=True)
class Task:
    """What a worker needs for one run.

    Attributes:
        varied: value by name of what the sweep varies.
        fixed: the other parameters: dataset and network.
        notebooks: text of the lessons by file name.
        basis: what the run has to be made with, from `basis_of_results`.
    """

    varied: dict[str, int]
    fixed: dict[str, str]
    notebooks: dict[str, str]
    basis: dict[str, str | None]


def basis_of_results(dataset: str) -> dict[str, str | None]:
    """Describe what decides the results of a lesson on this machine, besides the lesson and its parameters.

    Returns:
        Versions of Python and the libraries, and digests of `digits_helpers` and of the data, or why there are none.
    """
    from digits_helpers.data import load_digits

    try:
        data = load_digits(dataset, verbose=False).digest
    except DigitsError as error:
        data = str(error)
    return {**package_versions(OUTPUT_AFFECTING_PACKAGES), "digits_helpers": package_digest(), "data": data}


def differences(task: Task) -> str:
    """Say what this machine has other than a task asks for, as in "keras (3.12.0)"; empty where nothing differs."""
    found = basis_of_results(task.fixed["dataset"])
    return ", ".join(f"{name} ({found[name]})" for name in task.basis if found[name] != task.basis[name])


def run_task(task: Task) -> tuple[Row, dict[str, str]]:
    """Run a task in a temporary folder; return the row and the executed notebooks, text by file name."""
    from distributed import get_worker

    worker, started = get_worker(), time.monotonic()
    # The folder is the worker's, because dask removes the folders of workers that were killed
    with tempfile.TemporaryDirectory(prefix="run-", dir=worker.local_directory, ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        if different := differences(task):
            error = f"The worker differs in {different}: install the same there as here, and use --resume."
        else:
            with _ended_when_cancelled(folder):
                error = _run_lessons(task, folder)
        notebooks = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("executed/*.ipynb"))}
        metrics = read_metrics(folder / "artifacts")
    return Row(task.varied, error, metrics, round(time.monotonic() - started, 1), worker.address), notebooks


@contextlib.contextmanager
def _ended_when_cancelled(folder: Path) -> Iterator[None]:
    """End the kernels of a run that nobody waits for any more: dask forgets such a task, but its thread goes on."""
    from distributed.worker import WORKER_ANY_RUNNING, get_worker

    worker, key, done = get_worker(), get_worker().get_current_task(), threading.Event()

    def watch() -> None:
        while not done.wait(1):
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled" or worker.status not in WORKER_ANY_RUNNING:
                end_kernels(folder)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _run_lessons(task: Task, folder: Path) -> str | None:
    """Run the lessons of a task, each in a fresh kernel, until one stops; return what stopped it."""
    for name in ("stored", "executed", "artifacts"):
        (folder / name).mkdir()
    for lesson in (lesson for lesson in LESSONS if lesson.notebook in task.notebooks):
        atomic_write(folder / "stored" / lesson.notebook, task.notebooks[lesson.notebook])
        destination, parameters = folder / "executed" / lesson.notebook, {**task.fixed, **task.varied}
        try:
            run_lesson(lesson, folder / "stored", destination, parameters, folder, environment=ONE_THREAD)
        except LessonError as error:
            return str(error)
    return None


def read_metrics(artifacts: Path) -> dict[str, Any]:
    """Collect what lessons 05 and 04 have left: metrics, Keras's numbers of the last epoch, the digest of the weights.

    A number that is not finite, as after a training that diverged, is None.
    """
    evaluation, record = read_json(artifacts / "evaluation.json"), read_json(artifacts / "reference.json")
    metrics = {name: metric["value"] for name, metric in evaluation.get("metrics", {}).items()}
    metrics |= {name: values[-1] for name, values in record.get("history", {}).items() if values}
    weights = evaluation.get("network", {}).get("weights_sha256")
    return metrics | ({"weights_sha256": weights} if weights else {})
