"""Measure what the series promises: start-up, running times, memory, and the share of time that is training.

    python benchmarks/series.py [--mnist]

Everything is measured side by side in one run, on one machine, with nothing else running. Absolute times describe the
machine; the ratios beside them carry over to others. `--mnist` adds the whole series on MNIST (about a quarter of an
hour on two cores). Nothing here is a test: no exit status depends on a time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import nbformat
import psutil

PROJECT = Path(__file__).parents[1]
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
    """Note the largest resident memory of each kernel that a child process runs, by its working folder and start."""
    while not stop.wait(0.1):
        for process in psutil.Process().children(recursive=True):
            try:
                if "ipykernel_launcher" in " ".join(process.cmdline()):
                    name = f"{process.pid}"
                    peaks[name] = max(peaks.get(name, 0), process.memory_info().rss)
            except psutil.Error:
                continue


def report(dataset: str, *options: str) -> None:
    """Make a report, and print times, memory and the share of training."""
    peaks: dict[str, int] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=watch_kernels, args=(peaks, stop))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "report"
        command = [sys.executable, "-m", "digits_helpers", "report", "--dataset", dataset, "--output", str(output), *options]
        watcher.start()
        start = time.perf_counter()
        finished = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
        whole = time.perf_counter() - start
        stop.set()
        watcher.join()
        if finished.returncode:
            sys.exit(finished.stdout + finished.stderr)
        training = 0.0
        for path in sorted((output / "notebooks").glob("*.ipynb")):
            cells, inside = cell_seconds(path)
            training += inside
            print(f"  {path.stem:18} cells {cells:7.1f} s, of which training {inside:7.1f} s")
        headline = json.loads((output / "results.json").read_text(encoding="utf-8")).get("headline") or {}
    print(f"  whole report on {dataset}: {whole:.1f} s, of which training {training / whole:.0%}")
    print("  peak memory of the kernels:", ", ".join(f"{peak / 1e9:.2f} GB" for peak in peaks.values()))
    print(f"  test accuracy {headline.get('test_accuracy', float('nan')):.2%}")


def cell_seconds(path: Path) -> tuple[float, float]:
    """Add up the times that papermill noted: of all cells, and of those that train."""
    whole = training = 0.0
    for cell in nbformat.read(path, as_version=4).cells:
        duration = cell.metadata.get("papermill", {}).get("duration") or 0.0
        whole += duration
        if cell.cell_type == "code" and any(call in cell.source for call in TRAINING):
            training += duration
    return whole, training


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
    report("embedded")
    if arguments.mnist:
        print("lesson 01 on MNIST:")
        report("mnist", "--lessons", "01")
        print("MNIST:")
        report("mnist")


if __name__ == "__main__":
    main()
