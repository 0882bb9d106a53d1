"""How many realistic mistakes does the check find? Plant them one at a time, run the lesson, compare its outputs.

    python benchmarks/mutation.py run [--only NAME,...]   # appends to build/mutation/results.jsonl what is missing there
    python benchmarks/mutation.py alarms                   # unchanged lessons, computed in other ways: false alarms
    python benchmarks/mutation.py table                    # the table, as Markdown

A mutant is a text that is replaced by another in a lesson or in `digits_helpers` (mutants.toml). It runs in a copy of
both, cell by cell, until the first cell whose new outputs differ from the stored ones beyond the tolerances, or that
raises an error: then it is found. A mutant that reaches the end has survived.

Lessons 01 to 03 and 05 run on MNIST against their stored outputs. Lesson 04 would take ten minutes a mutant there, so
it runs on the embedded digits, against a run of the unchanged lesson with the same number of threads.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from digits_tools.lessons import LESSONS, NOTEBOOKS, PROJECT, select_lessons
from digits_tools.parameters import TOLERANCES
from nbval_tolerance.compare import compare_cell, comparison_class
from nbval_tolerance.tolerances import load_tolerances

FOLDER = PROJECT / "build" / "mutation"
RESULTS = FOLDER / "results.jsonl"
ALARMS = FOLDER / "alarms.jsonl"
MUTANTS = Path(__file__).with_name("mutants.toml")
WAYS = {  # other ways to compute the same, none of which may be reported
    "1 thread": {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"},
    "4 threads": {"OMP_NUM_THREADS": "4", "TF_NUM_INTRAOP_THREADS": "4"},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "without oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "0"},
}


class Found(Exception):
    """A cell's outputs differ."""


def load_mutants() -> list[dict[str, str]]:
    """Read the mutants: name, lesson, file ("lesson" or a module of digits_helpers), old, new."""
    return tomllib.loads(MUTANTS.read_text(encoding="utf-8"))["mutant"]


def plant(mutant: dict[str, str], folder: Path) -> None:
    """Replace the text of a mutant in a copy of the notebooks and the package; it must stand there exactly once."""
    (lesson,) = select_lessons(mutant["lesson"])
    if mutant["file"] != "lesson":
        path = folder / "digits_helpers" / mutant["file"]
        path.write_text(replaced(path.read_text(encoding="utf-8"), mutant), encoding="utf-8")
        return
    path = folder / "notebooks" / lesson.notebook
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and mutant["old"] in cell.source]
    assert len(cells) == 1, f"{mutant['name']}: stands in {len(cells)} cells"
    cells[0].source = replaced(cells[0].source, mutant)
    nbformat.write(notebook, path)


def replaced(text: str, mutant: dict[str, str]) -> str:
    assert text.count(mutant["old"]) == 1, f"{mutant['name']}: stands there {text.count(mutant['old'])} times"
    return text.replace(mutant["old"], mutant["new"])


def copy_sources(folder: Path) -> None:
    shutil.copytree(NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns("artifacts", ".ipynb*"))
    shutil.copytree(PROJECT / "digits_helpers", folder / "digits_helpers", ignore=shutil.ignore_patterns("__pycache__"))


def execute(
    folder: Path, number: str, stored: nbformat.NotebookNode, environment: dict[str, str], stop: bool
) -> list[str]:
    """Run a lesson's copy, and return what differs from the stored outputs; with `stop`, the first difference ends it."""
    (lesson,) = select_lessons(number)
    notebook = nbformat.read(folder / "notebooks" / lesson.notebook, as_version=4)
    if number == "04":
        use_embedded(notebook)
    tolerances = load_tolerances(TOLERANCES)
    differences: list[str] = []

    def compare(cell: nbformat.NotebookNode, cell_index: int, **_: object) -> None:
        if cell.cell_type != "code":
            return
        old = stored.cells[cell_index]
        found = compare_cell(old.outputs, cell.outputs, comparison_class(old), tolerances)
        differences.extend(f"{cell.id}: {finding}" for finding in found)
        if differences and stop:
            raise Found

    configure_ipython(folder / "ipython")
    variables = {"PYTHONPATH": str(folder), "IPYTHONDIR": str(folder / "ipython"), "DIGITS_OFFLINE": "1", **environment}
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=1800, resources=resources, on_cell_executed=compare)
    try:
        client.execute(env={**os.environ, **variables})
    except Found:
        pass
    except CellExecutionError as error:
        differences.append(f"{error.ename}: {error.evalue.splitlines()[0] if error.evalue else ''}")
    return differences


def configure_ipython(folder: Path) -> None:
    """Load the description of figures into the kernel, as the check and the engine do."""
    profile = folder / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    text = 'c.InteractiveShellApp.extensions = ["nbval_tolerance"]\n'
    (profile / "ipython_kernel_config.py").write_text(text, encoding="utf-8")


def use_embedded(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = cell.source.replace('"auto"', '"embedded"', 1)


def stored_notebook(number: str) -> nbformat.NotebookNode:
    """Read a lesson with the outputs to compare with; those of lesson 04 are made once, on the embedded digits."""
    (lesson,) = select_lessons(number)
    if number != "04":
        return nbformat.read(NOTEBOOKS / lesson.notebook, as_version=4)
    path = FOLDER / "04_embedded.ipynb"
    if not path.is_file():
        with tempfile.TemporaryDirectory(prefix="mutation-") as name:
            folder = Path(name)
            copy_sources(folder)
            notebook = nbformat.read(folder / "notebooks" / lesson.notebook, as_version=4)
            use_embedded(notebook)
            configure_ipython(folder / "ipython")
            variables = {"PYTHONPATH": str(folder), "IPYTHONDIR": str(folder / "ipython"), "DIGITS_OFFLINE": "1"}
            client = NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(folder)}})
            client.execute(env={**os.environ, **variables})
            nbformat.write(notebook, path)
    return nbformat.read(path, as_version=4)


def append(path: Path, record: dict) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")
    print(record, flush=True)


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def run(only: set[str]) -> None:
    done = {record["name"] for record in records(RESULTS)}
    for mutant in load_mutants():
        if mutant["name"] in done or (only and mutant["name"] not in only):
            continue
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="mutation-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            copy_sources(folder)
            plant(mutant, folder)
            found = execute(folder, mutant["lesson"], stored_notebook(mutant["lesson"]), {}, stop=True)
        record = {"name": mutant["name"], "lesson": mutant["lesson"], "file": mutant["file"]}
        first = found[0][:200] if found else ""
        append(RESULTS, {**record, "found": bool(found), "first": first, "seconds": round(time.monotonic() - started)})


def alarms() -> None:
    done = {(record["way"], record["lesson"]) for record in records(ALARMS)}
    for way, environment in WAYS.items():
        for lesson in LESSONS:
            if (way, lesson.number) in done:
                continue
            with tempfile.TemporaryDirectory(prefix="mutation-", ignore_cleanup_errors=True) as name:
                folder = Path(name)
                copy_sources(folder)
                found = execute(folder, lesson.number, stored_notebook(lesson.number), environment, stop=False)
            machine = [text for text in found if not text.startswith("machine")]
            append(ALARMS, {"way": way, "lesson": lesson.number, "alarms": len(machine), "texts": machine[:5]})


def table() -> None:
    mutants = {mutant["name"]: mutant for mutant in load_mutants()}
    results = [record for record in records(RESULTS) if record["name"] in mutants]
    print("| lesson | mutants | found |\n| --- | ---: | ---: |")
    total = Counter(record["lesson"] for record in results)
    found = Counter(record["lesson"] for record in results if record["found"])
    for lesson in sorted(total):
        print(f"| {lesson} | {total[lesson]} | {found[lesson]} |")
    print(f"| all | {total.total()} | {found.total()} ({found.total() / total.total():.0%}) |\n")
    for record in results:
        if not record["found"]:
            print(
                f"- survived: {record['name']} ({record['lesson']}): {mutants[record['name']].get('reason', 'no reason given')}"
            )
    print("\n| way to compute | lesson | false alarms |\n| --- | --- | ---: |")
    for record in records(ALARMS):
        print(f"| {record['way']} | {record['lesson']} | {record['alarms']} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "alarms", "table"])
    parser.add_argument("--only", default="", help="names of mutants, with commas between them")
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if arguments.command == "run":
        run(set(filter(None, arguments.only.split(","))))
    else:
        {"alarms": alarms, "table": table}[arguments.command]()
    sys.exit(0)
