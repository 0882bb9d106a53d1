"""Measure what many runs cost: runs per hour with one worker and with two, memory, sizes, and the share of dask.

    python benchmarks/sweep.py [--seeds 4] [--epochs 1] [--dataset embedded]

Everything is measured in one go, on one machine, with nothing else running. Absolute times describe the machine; the
ratios beside them carry over to others. docs/many_runs.md calculates with these numbers. Nothing here is a test: no
exit status depends on a time.
"""

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

import psutil
from digits_helpers.series import NOTEBOOKS, kernel_environment, run_lesson, select_lessons
from digits_helpers.sweep import run_sweep
from digits_helpers.sweep_run import ONE_THREAD
from digits_helpers.sweep_table import RUNS_FOLDER, Table

LESSONS = select_lessons("04-05")


def memory_of(process: psutil.Process) -> int:
    """Resident memory of a process and all that it has started, in bytes."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_info().rss
        except psutil.Error:
            continue
    return total


def watch(peaks: dict[str, dict[int, int]], stop: threading.Event) -> None:
    """Note the largest resident memory of every run, with its kernel, and of everything below this process."""
    while not stop.wait(0.2):
        everything = 0
        for process in psutil.Process().children(recursive=True):
            try:
                is_run = "digits_helpers.sweep_run" in process.cmdline()
                everything += process.memory_info().rss
            except psutil.Error:
                continue
            if is_run:
                peaks["run"][process.pid] = max(peaks["run"].get(process.pid, 0), memory_of(process))
        peaks["all"][0] = max(peaks["all"].get(0, 0), everything)


def measure(workers: int, settings: list[str], dataset: str, folder: Path) -> tuple[float, Table]:
    """Run a sweep, print what it took, and return its runs per hour and its table."""
    peaks: dict[str, dict[int, int]] = {"run": {}, "all": {}}
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(peaks, stop))
    watcher.start()
    begun = time.perf_counter()
    table = run_sweep(
        settings, LESSONS, folder / f"{workers}", NOTEBOOKS, dataset, workers=workers, quiet=True, say=lambda line: None
    )
    seconds = time.perf_counter() - begun
    stop.set()
    watcher.join()
    assert not table.failed, table.failed[0].error
    one_run = statistics.mean(row.seconds or 0 for row in table.ordered)
    runs = len(table.rows)
    print(f"{workers} worker(s): {runs} runs in {seconds:.0f} s, {3600 * runs / seconds:.1f} runs per hour")
    outside = seconds - one_run * runs / workers
    print(f"  one run: {one_run:.1f} s; outside of runs (start, end, waiting): {outside:.1f} s")
    print(f"  memory: {max(peaks['run'].values()) / 1e9:.2f} GB at most per run, {peaks['all'][0] / 1e9:.2f} GB in all")
    return 3600 * runs / seconds, table


def lesson_seconds(dataset: str, epochs: int, threads: int) -> float:
    """Run lesson 04 with a number of threads, in seconds."""
    settings = {name: str(threads) for name in ONE_THREAD}
    parameters = {"dataset": dataset, "epochs": epochs}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with kernel_environment(DIGITS_ARTIFACTS_DIR=folder / "artifacts", **settings):
            return run_lesson(LESSONS[0], NOTEBOOKS, folder / "04.ipynb", parameters).seconds


def dask_seconds(tasks: int = 1000) -> float:
    """Seconds per task that does nothing, on two workers."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", memory_limit=0) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        begun = time.perf_counter()
        client.gather(client.map(abs, range(tasks)))
        return (time.perf_counter() - begun) / tasks


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4, help="runs per sweep")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--dataset", default="embedded", choices=["embedded", "mnist"])
    options = parser.parse_args()
    settings = [f"seed=0:{options.seeds}", f"epochs={options.epochs}"]
    print(f"lessons 04-05 on {options.dataset}, {options.epochs} epoch(s), one thread per run")
    with tempfile.TemporaryDirectory() as name:
        one, table = measure(1, settings, options.dataset, Path(name))
        two, other = measure(2, settings, options.dataset, Path(name))
        equal = all(row.metrics == other.rows[row.name].metrics for row in table.ordered)
        same = "equal" if equal else "DIFFERENT"
        print(f"two workers to one: {two / one:.2f} times the runs per hour; the results are {same}")
        sizes = [
            sum(path.stat().st_size for path in folder.iterdir()) for folder in (table.folder / RUNS_FOLDER).iterdir()
        ]
        print(f"notebooks of one run: {statistics.mean(sizes) / 1e6:.2f} MB; row in the CSV file: "
              f"{table.csv_path.stat().st_size / (len(table.rows) + 1):.0f} bytes")  # fmt: skip
    single, double = (lesson_seconds(options.dataset, options.epochs, threads) for threads in (1, 2))
    print(f"lesson 04: {single:.1f} s with one thread, {double:.1f} s with two, factor {single / double:.2f}")
    print(f"dask: {1000 * dask_seconds():.1f} ms per task that does nothing")


if __name__ == "__main__":  # the workers' processes import this file, too
    main()
