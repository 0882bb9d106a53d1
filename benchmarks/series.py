"""Measure what the series promises: start-up, running times, memory, and the share of time that is training.

    python benchmarks/series.py [--mnist]

Everything is measured in one run, on one machine, with nothing else running. Absolute times describe the machine; the
ratios beside them carry over to others. `--mnist` adds the whole series on MNIST (about a quarter of an hour on two
cores). Nothing here is a test: no exit status depends on a time.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from digits_tools.lessons import LESSONS, NOTEBOOKS, LessonTimes
from digits_tools.notebook import read_notebook
from digits_tools.run import run_lesson

START_UPS = {
    "Python": ["-c", "pass"],
    "digits_helpers": ["-c", "import digits_helpers"],
    "TensorFlow": ["-c", "import tensorflow"],
    "digits --help": ["-m", "digits_tools", "--help"],
}


def seconds_of(arguments: list[str], runs: int = 5) -> float:
    """Time a fresh Python; the median of several runs, in seconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def watch_kernels(peaks: dict[int, int], stop: threading.Event) -> None:
    """Note the largest resident memory of each kernel that runs below this process, in the order of their starts."""
    while not stop.wait(0.1):
        for process in psutil.Process().children(recursive=True):
            try:
                if "ipykernel_launcher" in " ".join(process.cmdline()):
                    peaks[process.pid] = max(peaks.get(process.pid, 0), process.memory_info().rss)
            except psutil.Error:
                continue


def run(dataset: str) -> None:
    """Run all lessons as a report does, and print times, memory and the share of training."""
    peaks: dict[int, int] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=watch_kernels, args=(peaks, stop))
    watcher.start()
    whole = training = 0.0
    try:
        with tempfile.TemporaryDirectory() as folder:
            for lesson in LESSONS:
                parameters = {"dataset": dataset, "network": "own"}
                times = run_lesson(lesson, NOTEBOOKS, Path(folder) / lesson.notebook, parameters, Path(folder))
                inside = training_seconds(NOTEBOOKS / lesson.notebook, times)
                print(f"  {lesson.slug:18} {times.seconds:7.1f} s, of which training {inside:7.1f} s")
                whole, training = whole + times.seconds, training + inside
    finally:
        stop.set()
        watcher.join()
    print(f"  all lessons on {dataset}: {whole:.1f} s, of which training {training / whole:.0%}")
    print("  peak memory of the kernels:", ", ".join(f"{peak / 1e9:.2f} GB" for peak in peaks.values()))


def training_seconds(notebook: Path, times: LessonTimes) -> float:
    """Add up the times of the cells that call `fit`, themselves or in a function that the lesson defines."""
    sources = [cell.source for cell in read_notebook(notebook).cells]
    functions = re.findall(r"^def (\w+)", "\n".join(source for source in sources if ".fit(" in source), re.MULTILINE)
    calls = [".fit(", *(f"{name}(" for name in functions)]
    return sum(cell.seconds for cell in times.cells if any(call in sources[cell.number - 1] for call in calls))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", action="store_true", help="also run the whole series on MNIST")
    arguments = parser.parse_args()
    print("start-up:", ", ".join(f"{name} {seconds_of(command):.2f} s" for name, command in START_UPS.items()))
    for dataset in ["embedded", *(["mnist"] if arguments.mnist else [])]:
        print(f"{dataset}:")
        run(dataset)


if __name__ == "__main__":
    main()
