"""One run of a sweep, where it is computed: the task that a dask worker executes, and the process that it starts.

    python -m digits_helpers.sweep_run FOLDER

papermill runs in one process share a working directory, and TensorFlow keeps threads and memory, so every run gets a
process of its own. That process ends when its standard input does: whatever happens to the worker, nothing goes on
behind it. This module is imported by every worker and stays light.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from digits_helpers.errors import DigitsError
from digits_helpers.files import read_record, write_json, write_whole
from digits_helpers.series import LESSONS, LessonError, kernel_environment, run_lesson

# The order in which numbers are added depends on the number of threads, and training magnifies the rounding. One
# thread per run, always, makes a table independent of how many runs share a machine.
ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    )
}
# What a lesson computes depends on these besides this package.
LIBRARIES = ("tensorflow", "keras", "numpy", "scikit-learn", "pillow")
ORDER_FILE, OUTCOME_FILE, COMPLAINTS_FILE = "order.json", "outcome.json", "complaints.txt"
PATIENCE_SECONDS = 10.0  # so long may a run take to end after its standard input was closed
# Names in a table, and what they are called in the record of a training run
TRAINING_METRICS = {
    "training_accuracy": "accuracy",
    "training_loss": "loss",
    "validation_accuracy": "val_accuracy",
    "validation_loss": "val_loss",
}


def software() -> dict[str, str]:
    """Describe what computes the lessons: two machines with equal descriptions run the same code.

    Returns:
        SHA-256 of this package's sources and networks, and the versions of Python and the libraries.
    """
    from digits_helpers.doctor import installed_version

    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted([*package.glob("*.py"), *package.glob("networks/*")]):
        content = path.read_bytes()
        if path.suffix in (".py", ".json"):
            content = content.replace(b"\r\n", b"\n")  # git on Windows writes other line ends
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    versions = {name: installed_version(name) or "missing" for name in LIBRARIES}
    return {"digits_helpers": digest.hexdigest(), "python": ".".join(platform.python_version_tuple()[:2]), **versions}


def examine_worker(dataset: str) -> dict[str, Any]:
    """Tell what a worker computes with and on; runs on every worker before a sweep.

    Args:
        dataset: "mnist" or "embedded".

    Returns:
        `software`, and `data`: the digest of the images there, or the sentence that says why there are none.
    """
    from digits_helpers.data import load_digits

    try:
        data = load_digits(dataset).digest
    except DigitsError as error:
        data = str(error)
    return {"software": software(), "data": data}


# --- In the worker ---


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C to the process that the terminal belongs to; local workers load this module when they start."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def perform(order: dict[str, Any]) -> dict[str, Any]:
    """Execute one run in a process and a temporary folder of its own; this is the task that dask schedules.

    Args:
        order: `lessons` (file name to the notebook's text, in order), `parameters`, and the `software` that must run.

    Returns:
        The outcome as `run_lessons` gives it, with the `worker` that computed it.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="digits-run-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        write_json(folder / ORDER_FILE, order)
        process = _start(folder)
        try:
            while process.poll() is None and _is_wanted(worker, key):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1)
        finally:
            status = _end(process)
        outcome = read_record(folder / OUTCOME_FILE) or _failed(_last_words(folder, status))
    return {**outcome, "seconds": round(time.monotonic() - begun, 1), "worker": f"{platform.node()} {worker.address}"}


def _start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the process of a run, away from the terminal's Ctrl-C."""
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    with (folder / COMPLAINTS_FILE).open("wb") as complaints:
        return subprocess.Popen(
            [sys.executable, "-m", "digits_helpers.sweep_run", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints,
            env={**os.environ, **ONE_THREAD}, **apart,
        )  # fmt: skip


def _is_wanted(worker: Any, key: Any) -> bool:
    """Tell whether somebody still waits for a task: dask forgets a cancelled one, but cannot end its thread."""
    task = worker.state.tasks.get(key)
    return task is not None and task.state != "cancelled"


def _end(process: subprocess.Popen[bytes]) -> int:
    """Have a run's process end, if it has not, and return its exit status."""
    if process.stdin:
        process.stdin.close()
    try:
        return process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _last_words(folder: Path, status: int) -> str:
    """Say how a process ended that has left no outcome."""
    lines = (folder / COMPLAINTS_FILE).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    said = f" after saying {lines[-1]!r}" if lines else ""
    return f"The process of the run ended with status {status}{said}; run it again with --resume."


# --- In the run's own process ---


def run_lessons(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run the lessons of an order, each in a fresh kernel, until one stops.

    Args:
        order: see `perform`.
        folder: an empty folder for notebooks and artifacts.

    Returns:
        `status` ("complete" or "failed"), `error` (one sentence or None), `metrics`, and `notebooks`, which maps file
        names to the text of the executed notebooks.
    """
    different = [name for name, value in software().items() if order["software"].get(name) != value]
    if different:
        names = ", ".join(different)
        return _failed(f"The worker has another version of {names}: install the same there and use --resume.")
    source, executed, artifacts = folder / "source", folder / "notebooks", folder / "artifacts"
    for each in (source, executed, artifacts):
        each.mkdir()
    error = None
    try:
        with kernel_environment(DIGITS_ARTIFACTS_DIR=artifacts, **ONE_THREAD):
            for lesson in (lesson for lesson in LESSONS if lesson.notebook in order["lessons"]):
                write_whole(source / lesson.notebook, order["lessons"][lesson.notebook])
                run_lesson(lesson, source, executed / lesson.notebook, order["parameters"])
    except LessonError as stop:
        error = str(stop)
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(executed.glob("[0-9]*.ipynb"))}
    outcome = {"status": "failed", "error": error} if error else {"status": "complete", "error": None}
    return {**outcome, "metrics": read_metrics(artifacts), "notebooks": texts}


def read_metrics(artifacts: Path) -> dict[str, Any]:
    """Collect the numbers that lessons 04 and 05 have left.

    Returns:
        Name to number, as far as they are there; `weights_sha256` identifies the network. A number that is not finite,
        as after a training that diverged, is None.
    """
    results, run = read_record(artifacts / "results.json"), read_record(artifacts / "training.json")
    metrics = dict(results.get("headline") or {})
    metrics |= {name: metric["value"] for name, metric in (results.get("metrics") or {}).items()}
    history = run.get("history") or {}
    for name, key in TRAINING_METRICS.items():
        if history.get(key):
            metrics.setdefault(name, history[key][-1])
    digest = results.get("weights_sha256") or run.get("weights_sha256")
    finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    return {**finite, "weights_sha256": digest} if digest else finite


def _failed(error: str) -> dict[str, Any]:
    """Make the outcome of a run that has left nothing but a sentence."""
    return {"status": "failed", "error": error, "metrics": {}, "notebooks": {}}


def _end_with_parent(folder: Path) -> None:
    """Wait until standard input ends, then end this run with its kernel and without a trace."""
    import psutil

    while os.read(0, 1024):  # sys.stdin has a lock, which this thread would still hold when the process ends well
        pass
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def main() -> None:
    """Run the order that lies in the folder named on the command line, and leave the outcome there."""
    folder = Path(sys.argv[1])
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    order = json.loads((folder / ORDER_FILE).read_text(encoding="utf-8"))
    write_json(folder / OUTCOME_FILE, run_lessons(order, folder))


if __name__ == "__main__":
    main()
