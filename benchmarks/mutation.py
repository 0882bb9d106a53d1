"""How many realistic mistakes does the check find? Plant them one at a time, run the lesson, compare its outputs.

    python benchmarks/mutation.py run [--only NAME,...]    # goes on where an earlier call stopped
    python benchmarks/mutation.py alarms [--only WAY,...]  # unchanged lessons, computed in other ways: false alarms
    python benchmarks/mutation.py table                    # the tables, as Markdown

A mutant (mutants.toml) is a text that is replaced by another in a lesson or in `digits_helpers`. The lesson runs with
it, cell by cell, until the first cell whose outputs differ from the expected ones beyond the tolerances: the mutant is
found. One that reaches the end has survived.

Lessons run on MNIST, where they find it; lesson 04, which would take ten minutes a mutant there, on the embedded
digits. Expected are the outputs of one run of the unchanged lesson, or with `--stored` those in the notebooks (not for
lesson 04). Sources, expected outputs and results stay in build/mutation (with `--stored` in build/mutation-stored), so
that all mutants of a lesson are compared with the same: to start anew, remove the folder.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from digits_tools.lessons import LESSONS, PROJECT, select_lessons
from nbval_tolerance import compare_cell, comparison_class, load_tolerances

MUTANTS = Path(__file__).with_name("mutants.toml")
TOLERANCES = load_tolerances(PROJECT / "digits_tools" / "tolerances.toml")
COPIED = ("notebooks", "digits_helpers", "nbval_tolerance")
WAYS = {  # other ways to compute the same, none of which may be reported
    "1 thread": {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"},
    "4 threads": {"OMP_NUM_THREADS": "4", "TF_NUM_INTRAOP_THREADS": "4"},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "without oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "0"},
}


class Found(Exception):
    """The outputs of a cell differ."""


def load_mutants() -> list[dict[str, str]]:
    """Read the mutants: name, lesson, file ("lesson" or a module of digits_helpers), old, new, perhaps a reason."""
    return tomllib.loads(MUTANTS.read_text(encoding="utf-8"))["mutant"]


def lesson_path(folder: Path, number: str) -> Path:
    return folder / "notebooks" / select_lessons(number)[0].notebook


def plant(mutant: dict[str, str], folder: Path) -> None:
    """Replace the text of a mutant in a copy of the sources; ValueError if it does not stand there exactly once."""
    path = folder / "digits_helpers" / mutant["file"]
    if mutant["file"] != "lesson":
        path.write_text(_replaced(path.read_text(encoding="utf-8"), mutant), encoding="utf-8")
        return
    path = lesson_path(folder, mutant["lesson"])
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and mutant["old"] in cell.source]
    if len(cells) != 1:
        raise ValueError(f"{mutant['name']}: its text stands in {len(cells)} cells")
    cells[0].source = _replaced(cells[0].source, mutant)
    nbformat.write(notebook, path)


def _replaced(text: str, mutant: dict[str, str]) -> str:
    if text.count(mutant["old"]) != 1:
        raise ValueError(f"{mutant['name']}: its text stands there {text.count(mutant['old'])} times")
    return text.replace(mutant["old"], mutant["new"])


def copy_sources(source: Path, target: Path) -> None:
    for name in COPIED:
        shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb*"))


def execute(
    sources: Path,
    number: str,
    mutant: dict[str, str] | None = None,
    expected: NotebookNode | None = None,
    environment: dict[str, str] | None = None,
) -> tuple[NotebookNode, list[str]]:
    """Run a lesson in a copy of its sources.

    Args:
        sources: folder with the packages and the notebooks.
        number: the lesson.
        mutant: what to plant; then the first difference ends the run.
        expected: the lesson with the outputs to compare with.
        environment: more environment variables.

    Returns:
        The notebook as far as it was run, and what differs from the expected outputs.
    """
    differences: list[str] = []

    def compare(cell: NotebookNode, cell_index: int, **_: object) -> None:
        if cell.cell_type == "code" and expected is not None:
            stored = expected.cells[cell_index]
            kind = comparison_class(stored, TOLERANCES)
            found = compare_cell(stored.outputs, cell.outputs, kind, TOLERANCES)
            differences.extend(f"{cell.id}: {finding}" for finding in found)
            if differences and mutant:
                raise Found

    with tempfile.TemporaryDirectory(prefix="mutation-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        copy_sources(sources, folder)
        if mutant:
            plant(mutant, folder)
        notebook = nbformat.read(lesson_path(folder, number), as_version=4)
        for cell in notebook.cells:
            if number == "04" and "parameters" in cell.metadata.get("tags", []):
                cell.source = cell.source.replace('"auto"', '"embedded"', 1)
        profile = folder / "ipython" / "profile_default"
        profile.mkdir(parents=True)
        loads = 'c.InteractiveShellApp.extensions = ["nbval_tolerance"]\n'  # describes figures, as the check does
        (profile / "ipython_kernel_config.py").write_text(loads, encoding="utf-8")
        variables = {"PYTHONPATH": name, "IPYTHONDIR": str(folder / "ipython"), "DIGITS_OFFLINE": "1"}
        resources = {"metadata": {"path": name}}
        client = NotebookClient(notebook, timeout=1800, resources=resources, on_cell_executed=compare)
        try:
            client.execute(env={**os.environ, **variables, **(environment or {})})
        except Found:
            pass
        except CellExecutionError as error:
            differences.append(f"{error.ename}: {error.evalue}")
    return notebook, differences


def prepared(folder: Path, number: str, stored: bool) -> tuple[Path, NotebookNode]:
    """Give a lesson's sources and the notebook with the expected outputs; both are made once."""
    sources, path = folder / number, folder / f"{number}.ipynb"
    if not path.is_file():
        shutil.rmtree(sources, ignore_errors=True)
        copy_sources(PROJECT, sources)
        if stored and number != "04":
            shutil.copy(lesson_path(sources, number), path)
        else:
            notebook, errors = execute(sources, number)
            if errors:
                raise SystemExit(f"lesson {number} fails unchanged: {errors}")
            nbformat.write(notebook, path)
    return sources, nbformat.read(path, as_version=4)


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def run(folder: Path, stored: bool, only: set[str]) -> None:
    done = {record["name"] for record in records(folder / "results.jsonl")}
    for mutant in load_mutants():
        if mutant["name"] in done or (only and mutant["name"] not in only):
            continue
        sources, expected = prepared(folder, mutant["lesson"], stored)
        started = time.monotonic()
        _, found = execute(sources, mutant["lesson"], mutant, expected)
        record = {"name": mutant["name"], "lesson": mutant["lesson"], "file": mutant["file"], "found": bool(found)}
        first, seconds = " ".join(found[:1])[:300], round(time.monotonic() - started)
        append(folder / "results.jsonl", {**record, "first": first, "seconds": seconds})


def alarms(folder: Path, stored: bool, only: set[str]) -> None:
    done = {(record["way"], record["lesson"]) for record in records(folder / "alarms.jsonl")}
    for way in [way for way in WAYS if not only or way in only]:
        for lesson in LESSONS:
            if (way, lesson.number) not in done:
                sources, expected = prepared(folder, lesson.number, stored)
                _, found = execute(sources, lesson.number, expected=expected, environment=WAYS[way])
                append(folder / "alarms.jsonl", {"way": way, "lesson": lesson.number, "texts": found})


def append(path: Path, record: dict) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")
    print(record, flush=True)


def table(folder: Path) -> None:
    mutants = {mutant["name"]: mutant for mutant in load_mutants()}
    results = [record for record in records(folder / "results.jsonl") if record["name"] in mutants]
    total = Counter(record["lesson"] for record in results)
    found = Counter(record["lesson"] for record in results if record["found"])
    print("| lesson | mutants | found |\n| --- | ---: | ---: |")
    for lesson in sorted(total):
        print(f"| {lesson} | {total[lesson]} | {found[lesson]} |")
    print(f"| all | {total.total()} | {found.total()} ({found.total() / max(1, total.total()):.0%}) |\n")
    for record in results:
        if not record["found"]:
            reason = mutants[record["name"]].get("reason", "no reason is given")
            print(f"- Survived: {record['name']} (lesson {record['lesson']}, {record['file']}): {reason}")
    print("\n| way to compute | lesson | false alarms |\n| --- | --- | ---: |")
    for record in records(folder / "alarms.jsonl"):
        print(f"| {record['way']} | {record['lesson']} | {len(record['texts'])} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "alarms", "table"])
    parser.add_argument("--only", default="", help="names of mutants or of ways to compute, with commas between them")
    parser.add_argument("--stored", action="store_true", help="compare with the outputs in the notebooks")
    arguments = parser.parse_args()
    results_folder = PROJECT / "build" / ("mutation-stored" if arguments.stored else "mutation")
    results_folder.mkdir(parents=True, exist_ok=True)
    if arguments.command == "table":
        table(results_folder)
    else:
        chosen = set(filter(None, arguments.only.split(",")))
        {"run": run, "alarms": alarms}[arguments.command](results_folder, arguments.stored, chosen)
