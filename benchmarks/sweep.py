"""Measure what many runs cost: runs per hour with one worker and with two, sizes, threads, and the share of dask.

    python benchmarks/sweep.py [--seeds 4] [--epochs 1] [--dataset embedded]

Everything is measured in one go, on one machine, with nothing else running. Absolute times describe the machine; the
ratios carry over to others. docs/many_runs.md calculates with these numbers. Nothing here is a test: no exit status
depends on a time.
"""

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

import psutil

from digits_tools.lessons import NOTEBOOKS, select_lessons
from digits_tools.run import run_lesson
from digits_tools.sweep import Table, run_sweep
from digits_tools.sweep.task import ONE_THREAD

LESSONS = select_lessons("04-05")


def watch_memory(peak: list[int], stop: threading.Event) -> None:
    """Note the largest resident memory of all that this process has started, in bytes."""
    while not stop.wait(0.2):
        total = 0
        for process in psutil.Process().children(recursive=True):
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        peak[0] = max(peak[0], total)


def measure(workers: int, settings: tuple[str, ...], dataset: str, folder: Path) -> tuple[float, Table]:
    """Run a sweep, print what it took, and return its runs per hour and its table."""
    peak, stop = [0], threading.Event()
    watcher = threading.Thread(target=watch_memory, args=(peak, stop))
    watcher.start()
    started = time.perf_counter()
    options = {"dataset": dataset, "workers": workers, "echo": lambda line: None}
    table = run_sweep(settings, LESSONS, folder / f"{workers}", **options)
    seconds = time.perf_counter() - started
    stop.set()
    watcher.join()
    assert not table.failed, table.failed[0].error
    one_run, runs = statistics.mean(row.seconds for row in table.rows), len(table.rows)
    print(f"{workers} worker(s): {runs} runs in {seconds:.0f} s, {3600 * runs / seconds:.1f} runs per hour")
    print(
        f"  one run: {one_run:.1f} s; outside of runs (start, end, waiting): {seconds - one_run * runs / workers:.1f} s"
    )
    print(f"  memory: {peak[0] / workers / 1e9:.2f} GB at most per worker with its kernel")
    return 3600 * runs / seconds, table


def lesson_seconds(dataset: str, epochs: int, threads: int) -> float:
    """Run lesson 04 with a number of threads, in seconds."""
    environment = dict.fromkeys(ONE_THREAD, str(threads))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "artifacts").mkdir()
        parameters = {"dataset": dataset, "epochs": epochs}
        times = run_lesson(LESSONS[0], NOTEBOOKS, folder / "04.ipynb", parameters, folder, environment=environment)
        return times.seconds


def dask_seconds(tasks: int = 1000) -> float:
    """Seconds per task that does nothing, on two workers."""
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "memory_limit": 0}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        started = time.perf_counter()
        client.gather(client.map(abs, range(tasks)))
        return (time.perf_counter() - started) / tasks


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4, help="runs per sweep")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--dataset", default="embedded", choices=["embedded", "mnist"])
    options = parser.parse_args()
    settings = (f"seed=0:{options.seeds}", f"epochs={options.epochs}")
    print(f"lessons 04-05 on {options.dataset}, {options.epochs} epoch(s), one thread per run")
    with tempfile.TemporaryDirectory() as name:
        one, table = measure(1, settings, options.dataset, Path(name))
        two, other = measure(2, settings, options.dataset, Path(name))
        equal = [row.metrics for row in table.rows] == [row.metrics for row in other.rows]
        same = "equal" if equal else "DIFFERENT"
        print(f"two workers to one: {two / one:.2f} times the runs per hour; the results are {same}")
        size = sum(path.stat().st_size for path in table.folder.path.rglob("*.ipynb")) / len(table.rows)
        row = table.csv_path.stat().st_size / (len(table.rows) + 1)
        print(f"notebooks of one run: {size / 1e6:.2f} MB; row in the CSV file: {row:.0f} bytes")
    single, double = (lesson_seconds(options.dataset, options.epochs, threads) for threads in (1, 2))
    print(f"lesson 04: {single:.1f} s with one thread, {double:.1f} s with two, factor {single / double:.2f}")
    print(f"dask: {1000 * dask_seconds():.1f} ms per task that does nothing")


if __name__ == "__main__":  # the workers' processes import this file, too
    main()
