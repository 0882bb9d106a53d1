"""Run lessons once for every combination of parameters, many runs at a time, and make one table of them."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from digits_tools.errors import InputError
from digits_tools.lessons import LESSONS, NOTEBOOKS, Interrupted, Lesson, notebook_path
from digits_tools.notebook import declared_parameters, notebook_text, read_notebook
from digits_tools.run import clock, input_digests
from digits_tools.sweep.cluster import compute
from digits_tools.sweep.settings import read_settings
from digits_tools.sweep.table import Row, Table
from digits_tools.sweep.task import Task, basis_of_results

__all__ = ["Row", "Table", "run_sweep", "spread_lines"]


def run_sweep(
    settings: tuple[str, ...],
    lessons: tuple[Lesson, ...] = LESSONS[3:5],
    output: Path = Path("sweep"),
    notebooks: Path = NOTEBOOKS,
    dataset: str = "auto",
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    echo: Callable[[str], None] = print,
) -> Table:
    """Run lessons once for every combination, and write a table of the runs and their notebooks.

    The data set is resolved once, so that all runs use the same. A run that fails is in the table with its error, and
    the others go on.

    Args:
        settings: what is varied, see `read_settings`.
        lessons: which lessons a run consists of, in order.
        output: the sweep's folder; made if missing.
        notebooks: folder with the stored notebooks.
        dataset: "auto", "mnist" or "embedded".
        workers: how many runs at a time on this machine, by default one per processor.
        scheduler: address of a dask scheduler whose workers to use instead.
        resume: keep the runs in the folder that are complete and made from the same inputs, and run the others.
        echo: receives lines for people.

    Returns:
        The table of all runs in the folder.

    Raises:
        InputError: a parameter is not valid, or the folder holds something else, is in use or cannot be written.
        DatasetError, NotebookError, ClusterError: the data, a notebook or the workers cannot be used.
        Interrupted: the sweep was ended from outside; its rows are kept.
    """
    from digits_helpers.data import load_digits

    values = read_settings(settings)
    if scheduler and workers:
        raise InputError(f"workers = {workers} is not allowed with a scheduler, which has its own: leave out one.")
    texts = _lesson_texts(lessons, notebooks, values)
    digits = load_digits(dataset, verbose=False)
    echo(f"Data: {digits}. {digits.notice or ''}".rstrip())
    trained = any(lesson.number == "04" for lesson in lessons)  # then lesson 05 must judge this very network
    fixed = {"dataset": digits.name, "network": "own" if trained else "shipped"}
    table = Table(output, digits.name, input_digests(lessons, notebooks, fixed, digits.digest)[-1])
    table.folder.check()
    with table.folder.locked():
        removed = table.open(list(values), resume)
        if resume:
            echo(f"Runs reused: {len(table.rows)}; failed, or made from other inputs: {removed}.")
        basis, combinations = basis_of_results(digits.name), itertools.product(*values.values())
        tasks = [Task(dict(zip(values, chosen, strict=True)), fixed, texts, basis) for chosen in combinations]
        missing = {name: task for task in tasks if (name := Row(task.varied).name) not in table.by_name}
        _fill(table, missing, scheduler, workers, echo)
    return table


def _fill(
    table: Table, tasks: dict[str, Task], scheduler: str | None, workers: int | None, echo: Callable[[str], None]
) -> None:
    """Have the tasks computed, and enter each run in the table as it arrives."""
    from dask.system import CPU_COUNT

    echo(f"Runs to do: {len(tasks)}.")
    done, started = 0, time.monotonic()
    try:
        with closing(compute(tasks, scheduler, min(workers or CPU_COUNT, len(tasks)), echo)) as results:
            for done, (row, notebooks) in enumerate(results, start=1):
                table.add(row, notebooks)
                rest = clock((time.monotonic() - started) / done * (len(tasks) - done))
                echo(f"{done} of {len(tasks)}, about {rest} to go: {describe(row)}")
    except KeyboardInterrupt as error:
        reached = f"The sweep was interrupted after {done} of {len(tasks)} runs"
        raise Interrupted(f"{reached}: resume with the same command and --resume.") from error


def _lesson_texts(lessons: tuple[Lesson, ...], notebooks: Path, names: Iterable[str]) -> dict[str, str]:
    """Read the lessons without their outputs, which a run replaces, and check that they have what is varied."""
    texts, declared = {}, set()
    for lesson in lessons:
        notebook = read_notebook(notebook_path(lesson, notebooks))
        declared.update(declared_parameters(notebook))
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        texts[lesson.notebook] = notebook_text(notebook)
    if missing := set(names) - declared:
        numbers = ", ".join(lesson.number for lesson in lessons)
        raise InputError(f"{min(missing)} is not a parameter of lessons = {numbers}: choose others with --lessons.")
    return texts


def describe(row: Row) -> str:
    """Say in one line how a run ended."""
    accuracy = row.metrics.get("test_accuracy")
    rest = f"failed. {row.error}" if row.error else "complete"
    rest += f", test accuracy {accuracy:.2%}" if accuracy is not None and not row.error else ""
    return f"{row.name}{f' ({clock(row.seconds)})' if row.seconds else ''}: {rest}"


def spread_lines(table: Table) -> list[str]:
    """Say how the test accuracy spreads over the seeds of each setting that has several, in a line per setting.

    The standard deviation has n - 1 in its denominator.
    """
    groups: dict[str, list[float]] = {}
    for row in table.rows:
        setting = ", ".join(f"{name} {value}" for name, value in row.parameters.items() if name != "seed")
        if not row.error and row.metrics.get("test_accuracy") is not None:
            groups.setdefault(setting or "All settings as stored", []).append(row.metrics["test_accuracy"])
    return [
        f"{setting}: test accuracy {statistics.mean(values):.2%} on average over {len(values)} seeds, standard "
        f"deviation {100 * statistics.stdev(values):.2f} points, from {min(values):.2%} to {max(values):.2%}"
        for setting, values in groups.items()
        if len(values) > 1
    ]
