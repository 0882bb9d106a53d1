"""Measure what the series promises: start-up, running times, memory, and the share of time that is training.

    python benchmarks/series.py [--mnist]

Everything is measured side by side in one run, on one machine, with nothing else running. Absolute times describe the
machine; the ratios beside them carry over to others. `--mnist` adds the whole series on MNIST (about a quarter of an
hour on two cores). Nothing here is a test: no exit status depends on a time.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from digits_helpers.series import NOTEBOOKS, LessonTimes, kernel_environment, read_notebook, run_lesson, select_lessons

# A cell counts as training if it calls one of these.
TRAINING = (".fit(", "train_small(\n", "train_baseline(build, run_seed)", "train_on_few(build_")


def seconds_of(code: str, runs: int = 5) -> float:
    """Time a fresh Python that executes `code`; the median of several runs, in seconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def watch_kernels(peaks: dict[str, int], stop: threading.Event) -> None:
    """Note the largest resident memory of each kernel that runs below this process, in the order of their starts."""
    while not stop.wait(0.1):
        for process in psutil.Process().children(recursive=True):
            try:
                if "ipykernel_launcher" in " ".join(process.cmdline()):
                    name = f"{process.pid}"
                    peaks[name] = max(peaks.get(name, 0), process.memory_info().rss)
            except psutil.Error:
                continue


def run(dataset: str, lessons: str = "01-05") -> None:
    """Run lessons as a report does, and print times, memory and the share of training."""
    peaks: dict[str, int] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=watch_kernels, args=(peaks, stop))
    watcher.start()
    whole = training = 0.0
    with tempfile.TemporaryDirectory() as folder, kernel_environment(DIGITS_ARTIFACTS_DIR=Path(folder) / "artifacts"):
        for lesson in select_lessons(lessons):
            times = run_lesson(lesson, NOTEBOOKS, Path(folder) / lesson.notebook, {"dataset": dataset})
            inside = training_seconds(NOTEBOOKS / lesson.notebook, times)
            print(f"  {lesson.slug:18} {times.seconds:7.1f} s, of which training {inside:7.1f} s")
            whole, training = whole + times.seconds, training + inside
    stop.set()
    watcher.join()
    print(f"  all lessons on {dataset}: {whole:.1f} s, of which training {training / whole:.0%}")
    print("  peak memory of the kernels:", ", ".join(f"{peak / 1e9:.2f} GB" for peak in peaks.values()))


def training_seconds(notebook: Path, times: LessonTimes) -> float:
    """Add up the times of the cells that train."""
    cells = read_notebook(notebook).cells
    return sum(
        cell.seconds for cell in times.cells if any(call in cells[cell.number - 1].source for call in TRAINING)
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", action="store_true", help="also run the whole series on MNIST")
    arguments = parser.parse_args()
    nothing, package, tensorflow = (
        seconds_of(code) for code in ("pass", "import digits_helpers", "import tensorflow")
    )
    print(f"start-up: Python {nothing:.2f} s, with digits_helpers {package:.2f} s, with TensorFlow {tensorflow:.2f} s")
    print(f"  importing digits_helpers costs {package - nothing:.2f} s, {(package - nothing) / tensorflow:.1%} of TensorFlow")
    print("embedded digits:")
    run("embedded")
    if arguments.mnist:
        print("MNIST:")
        run("mnist")


if __name__ == "__main__":
    main()
