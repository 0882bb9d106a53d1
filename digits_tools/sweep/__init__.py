"""Run lessons once for every combination of parameters, many runs at a time, and make one table of them."""

from __future__ import annotations

import itertools
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from digits_tools.errors import InputError
from digits_tools.lessons import LESSONS, NOTEBOOKS, Interrupted, Lesson, notebook_path
from digits_tools.notebook import declared_parameters, notebook_text, read_notebook
from digits_tools.parameters import check_batch_size
from digits_tools.run import clock, input_digests
from digits_tools.sweep.settings import read_settings
from digits_tools.sweep.table import Row, Table
from digits_tools.sweep.task import Task, basis_of_results

__all__ = ["Row", "Table", "run_sweep", "spread_lines"]

BAR = "{n} of {total} runs · {elapsed}, about {remaining} to go"


def run_sweep(
    settings: tuple[str, ...],
    lessons: tuple[Lesson, ...] = LESSONS[3:5],
    output: Path = Path("sweep"),
    notebooks: Path = NOTEBOOKS,
    dataset: str = "auto",
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    quiet: bool = False,
    echo: Callable[[str], None] = print,
) -> Table:
    """Run lessons once for every combination, and write a table of the runs and their notebooks.

    Everything that can be wrong with what was given is found before anything runs. The data set is resolved once, so
    that all runs use the same one. A run that fails is in the table with its error, and the others go on.

    Args:
        settings: what is varied, see `read_settings`.
        lessons: which lessons a run consists of, in order.
        output: the sweep's folder; made if missing.
        notebooks: folder with the stored notebooks.
        dataset: "auto", "mnist" or "embedded".
        workers: how many workers on this machine, by default one per processor; not together with `scheduler`.
        scheduler: address of a dask scheduler, or None for workers on this machine.
        resume: keep the runs in the folder that are complete and made from the same inputs, and run the others.
        quiet: whether to show no progress.
        echo: receives lines for people.

    Returns:
        The table of all runs in the folder.

    Raises:
        InputError: a parameter is not allowed, or the folder holds something else, is in use or cannot be written.
        DatasetError: the data are not available.
        NotebookError: a notebook is missing or damaged.
        ClusterError: the scheduler does not answer, or its workers have other software or data.
        Interrupted: the sweep was ended from outside; its rows are kept.
    """
    values = read_settings(settings)
    if scheduler and workers:
        raise InputError(f"workers = {workers} is not allowed with a scheduler, which has its own: leave out one.")
    texts = _lesson_texts(lessons, notebooks, values)
    dataset = _find_data(dataset, values.get("batch_size", [1]), echo)
    # Lesson 05 must judge the network of its own run where there is one
    fixed = {"dataset": dataset, "network": "own" if LESSONS[3] in lessons else "shipped"}
    basis = basis_of_results(dataset)
    table = Table(output, dataset, input_digests(lessons, notebooks, fixed, basis["data"] or "")[-1])
    table.folder.check()
    with table.folder.locked():
        removed = table.open(list(values), resume)
        if resume:
            echo(f"Runs reused: {len(table.rows)}; failed, or made from other inputs: {removed}.")
        combinations = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
        tasks = {Row(varied).name: Task(varied, fixed, texts, basis) for varied in combinations}
        missing = {name: task for name, task in tasks.items() if name not in table.by_name}
        _compute(missing, table, scheduler, workers, quiet, echo)
    return table


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


def _find_data(dataset: str, batch_sizes: list[int], echo: Callable[[str], None]) -> str:
    """Load the data once, so that all runs use the same; return which they are."""
    from digits_helpers.data import load_digits
    from digits_helpers.preprocess import split_indices

    digits = load_digits(dataset, verbose=False)
    check_batch_size(max(batch_sizes), len(split_indices(digits.train_labels)[0]))
    echo(f"Data: {digits}.{f' {digits.notice}' if digits.notice else ''}")
    return digits.name


def _compute(
    tasks: dict[str, Task],
    table: Table,
    scheduler: str | None,
    workers: int | None,
    quiet: bool,
    echo: Callable[[str], None],
) -> None:
    """Have the tasks computed, and enter each run in the table as it arrives."""
    from dask.system import CPU_COUNT
    from tqdm import tqdm

    from digits_tools.sweep.cluster import compute

    with tqdm(total=len(tasks), bar_format=BAR, leave=False, disable=quiet or not sys.stderr.isatty()) as bar:

        def say(line: str) -> None:
            with tqdm.external_write_mode():  # above the bar
                echo(line)

        def on_result(row: Row, notebooks: dict[str, str]) -> None:
            table.add(row, notebooks)
            say(describe(row))
            bar.update()

        say(f"Runs to do: {len(tasks)}.")
        before = len(table.rows)
        try:
            compute(tasks, scheduler, min(workers or CPU_COUNT, len(tasks)), on_result, say)
        except KeyboardInterrupt as error:
            done = f"{len(table.rows) - before} of {len(tasks)} runs"
            raise Interrupted(
                f"The sweep was interrupted after {done}: go on with the same command and --resume."
            ) from error


def describe(row: Row) -> str:
    """Say in one line how a run ended."""
    accuracy = row.metrics.get("test_accuracy")
    rest = f"failed. {row.error}" if row.error else "complete"
    rest += f", test accuracy {accuracy:.2%}" if accuracy is not None and not row.error else ""
    return f"{row.name}{f' ({clock(row.seconds)})' if row.seconds else ''}: {rest}"


def spread_lines(table: Table) -> list[str]:
    """Say how the test accuracy spreads over the seeds of each setting that has several.

    Returns:
        One line per setting, with mean, standard deviation (n - 1 in the denominator), and range.
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
