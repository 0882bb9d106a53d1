"""Measure how far the lessons' numbers spread over machines and over seeds: where tests/tolerances.toml comes from.

    python benchmarks/spread.py run [--lessons 02,04,05] [--seeds 0:3] [--threads 1,2,4] [--kinds AVX2,AVX512_CORE,…]
    python benchmarks/spread.py table
    python benchmarks/spread.py ship

`run` executes lessons on MNIST in every combination of seed, threads and kind of machine. Kinds are played on one
processor: oneDNN is told to use no more than an instruction set, or not to be used at all. Every executed notebook is
kept in build/spread; a combination that is there already is not run again, so a killed measurement goes on where it
was. One run of lesson 04 takes about ten minutes on two cores.

`table` compares every number that the lessons print as `close` or `trained`, and every figure. Same seed, other
machine: what the tolerances of the check have to hold. Other seed, same machine: reported beside it, and no tolerance
is made from it.

`ship` writes what the trainings of lesson 04 ended in to digits_helpers/networks/spread.json, which lesson 05 shows.
"""

import argparse
import itertools
import json
import os
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from digits_helpers import verify
from digits_helpers.files import write_json
from digits_helpers.printed_numbers import find_numbers, quantities_of, table_rows
from digits_helpers.refresh import NETWORKS
from digits_helpers.series import LESSONS, NOTEBOOKS, kernel_environment, read_notebook, run_lesson, select_lessons
from digits_helpers.startup import quiet_startup

FOLDER = Path(__file__).parents[1] / "build" / "spread"
KINDS = {
    "AVX512_CORE": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "SSE41": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "without-oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "0"},
}
REFERENCE = "seed0-threads2-AVX512_CORE"


def run(lessons: str, seeds: range, threads: list[int], kinds: list[str]) -> None:
    """Execute the combinations that are missing, the stored seed first."""
    for seed, kind, count in itertools.product(seeds, kinds, threads):
        folder = FOLDER / f"seed{seed}-threads{count}-{kind}"
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"OMP_NUM_THREADS": str(count), "TF_NUM_INTRAOP_THREADS": str(count), **KINDS[kind]}
        for lesson in select_lessons(lessons):
            destination = folder / lesson.notebook
            if destination.is_file():
                continue
            # From lesson 05 on the shipped network is judged, whatever the seed: its own folder stays empty.
            artifacts = folder / f"artifacts-{lesson.number}"
            with kernel_environment(DIGITS_ARTIFACTS_DIR=artifacts, **settings):
                times = run_lesson(lesson, NOTEBOOKS, folder / f"new-{lesson.notebook}", _parameters(lesson, seed))
            os.replace(folder / f"new-{lesson.notebook}", destination)
            print(f"{folder.name} {lesson.number}: {times.seconds:.0f} s", flush=True)


def _parameters(lesson: Any, seed: int) -> dict[str, Any]:
    """The seed matters to lessons that train; in lesson 05 it would ask for another network than the shipped one."""
    return {"seed": seed} if lesson.number < "05" else {}


def numbers_of(path: Path) -> Iterator[tuple[tuple[str, ...], str, str, float]]:
    """Yield place, class, quantity and value of every number that a tolerant cell prints."""
    tolerances = verify.load_tolerances()
    for cell in read_notebook(path).cells:
        kind = verify.comparison_class(cell) if cell.cell_type == "code" else "exact"
        if kind not in ("close", "trained"):
            continue
        texts = [output.get("text") or output.get("data", {}).get("text/markdown", "") for output in cell.outputs]
        lines = "\n".join(texts).split("\n")
        for row, (line, cells) in enumerate(zip(lines, table_rows(lines))):
            numbers = find_numbers(line)
            for column, (number, quantity) in enumerate(zip(numbers, quantities_of(line, numbers, tolerances, cells))):
                if quantity is not None and quantity.unit != "label":
                    place = (path.name, cell["id"], str(row), str(column))
                    yield place, kind, quantity.name, float(number.value)


def code_of(path: Path) -> list[str]:
    """The sources of the code cells, without the parameters that papermill injected."""
    cells = read_notebook(path).cells
    return [c.source for c in cells if c.cell_type == "code" and verify.INJECTED_TAG not in c.metadata.get("tags", [])]


def figures_of(path: Path) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield place, class and content of every figure that a tolerant cell shows."""
    for cell in read_notebook(path).cells:
        kind = verify.comparison_class(cell) if cell.cell_type == "code" else "exact"
        for position, output in enumerate(cell.get("outputs", []) if kind in ("close", "trained") else []):
            if "image/png" in output.get("data", {}):
                yield (path.name, cell["id"], str(position)), kind, output["data"]["image/png"]


def table() -> None:
    """Print n, standard deviation and largest difference per class and quantity."""
    tolerances = verify.load_tolerances()
    differences: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    relative: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for lesson in LESSONS:
        reference = FOLDER / REFERENCE / lesson.notebook
        if not reference.is_file():
            continue
        old = {place: (kind, name, value) for place, kind, name, value in numbers_of(reference)}
        pictures = {place: (kind, content) for place, kind, content in figures_of(reference)}
        for path in sorted(FOLDER.glob(f"*/{lesson.notebook}")):
            over = "machines" if path.parent.name.startswith("seed0-") else "seeds"
            if path == reference or (over == "seeds" and not path.parent.name.endswith("threads2-AVX512_CORE")):
                continue
            if code_of(path) != code_of(reference):
                print(f"{path.parent.name} {lesson.number}: left out, made by other code than {REFERENCE}")
                continue
            for place, _, _, value in numbers_of(path):
                kind, name, stored = old[place]
                differences[over, kind, name].append(value - stored)
                relative[over, kind, name].append(abs(value - stored) / abs(stored) if stored else 0.0)
            for place, _, content in figures_of(path):
                kind, stored_content = pictures[place]
                old_picture, new_picture = verify.decode_png(stored_content), verify.decode_png(content)
                difference = verify.figure_difference(old_picture, new_picture, tolerances.figures[kind].room)
                differences[over, kind, "figures (grey levels)"].append(difference)
                relative[over, kind, "figures (grey levels)"].append(0.0)
    print("| over | class | quantity | n | standard deviation | largest difference | largest relative difference |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for key in sorted(differences):
        values = differences[key]
        spread = statistics.pstdev(values)
        largest = max(abs(value) for value in values)
        print(f"| {' | '.join(key)} | {len(values)} | {spread:.2g} | {largest:.3g} | {max(relative[key]):.1%} |")


def ship() -> None:
    """Write the results of the finished trainings for lesson 05: one seed on all kinds of machine, all seeds on one."""
    with quiet_startup():
        from digits_helpers.train import SPREAD_FILE

    runs, recipes = [], []
    for path in sorted(FOLDER.glob("*/artifacts-04/training.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        seed, threads, kind = path.parents[1].name.split("-", 2)
        runs.append({
            "seed": int(seed.removeprefix("seed")), "threads": int(threads.removeprefix("threads")), "kind": kind,
            "validation_loss": record["history"]["val_loss"][-1],
            "validation_accuracy": record["history"]["val_accuracy"][-1],
            "validation_images": round(60_000 * record["recipe"]["validation_fraction"]),
        })  # fmt: skip
        recipes.append({name: value for name, value in record["recipe"].items() if name != "seed"})
    if not all(recipe == recipes[0] for recipe in recipes):
        raise SystemExit(f"The runs in {FOLDER} were not all made by one recipe: remove the folder and run again.")
    groups = {
        "one seed, several kinds of machine": [run for run in runs if run["seed"] == 0],
        "several seeds, one kind of machine": [
            run for run in runs if f"seed0-threads{run['threads']}-{run['kind']}" == REFERENCE
        ],
    }
    write_json(NETWORKS / SPREAD_FILE, {"recipe": recipes[0], "groups": groups})
    print({name: len(group) for name, group in groups.items()})


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["run", "table", "ship"])
    parser.add_argument("--lessons", default="02,04,05")
    parser.add_argument("--seeds", default="0:3", help="first:end, as in Python")
    parser.add_argument("--threads", default="2,1,4")
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args()
    if options.action == "table":
        table()
        return
    if options.action == "ship":
        ship()
        return
    first, end = (int(number) for number in options.seeds.split(":"))
    threads = [int(number) for number in options.threads.split(",")]
    run(options.lessons, range(first, end), threads, options.kinds.split(","))


if __name__ == "__main__":
    main()
