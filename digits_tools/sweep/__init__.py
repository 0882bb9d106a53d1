"""Run lessons once for every combination of parameters, many runs at a time, and make one table of them."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import statistics
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits_helpers.parameters import PARAMETERS, ParameterError, check_value
from digits_helpers.progress import clock
from digits_helpers.series import (
    LESSONS,
    NOTEBOOKS,
    Interrupted,
    Lesson,
    declared_parameters,
    notebook_path,
    notebook_text,
    read_notebook,
    resolve_data,
)
from digits_helpers.sweep_table import Row, Table, check_folder, locked_folder

# Seed last: the runs of one setting stand together in the table.
VARIED = tuple(sorted((name for name, parameter in PARAMETERS.items() if parameter.low is not None), key="seed".__eq__))
MOST_RUNS = 10_000  # more than that is a mistyped range, and years of computing


def read_settings(texts: Sequence[str]) -> dict[str, list[int]]:
    """Read what a sweep varies.

    >>> read_settings(["seed=0:3", "epochs=1,3"])
    {'epochs': [1, 3], 'seed': [0, 1, 2]}

    Args:
        texts: name and values, as in "seed=0:10", "seed=0:10:2" (both as Python's ranges) or "epochs=1,3".

    Returns:
        Name to values, in the order of `VARIED`, values in ascending order.

    Raises:
        ParameterError: a name or value is not allowed or comes twice, or there are no or too many combinations.
    """
    found: dict[str, list[int]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise _refused(text, "give a name with values, as in seed=0:10 or epochs=1,3.")
        if name not in VARIED:
            raise _refused(text, f"a sweep varies {', '.join(VARIED)}, and nothing else.")
        if name in found:
            raise _refused(text, f"{name} is set already, so write all its values into one.")
        found[name] = sorted(value for part in values.split(",") for value in _read_values(name, part.strip()))
        twice = [value for value, next_one in itertools.pairwise(found[name]) if value == next_one]
        if twice:
            raise _refused(text, f"{name} = {twice[0]} comes twice, so leave one out.")
    if not found:
        raise ParameterError("Nothing is set that could vary: give it with --set, for example --set seed=0:10.")
    if math.prod(map(len, found.values())) > MOST_RUNS:
        raise _refused(", ".join(texts), f"it makes more than {MOST_RUNS:,} combinations, so give fewer values.")
    return {name: found[name] for name in VARIED if name in found}


def _refused(text: str, advice: str) -> ParameterError:
    """Build the error for a setting that is not allowed."""
    return ParameterError(f"set = {text!r} is not allowed: {advice}")


def _read_values(name: str, text: str) -> list[int]:
    """Read one value, or a range with its end left out; of a range that is too long, no more than the limit can use."""
    try:
        numbers = [int(number) for number in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        return [int(check_value(name, numbers[0]))]
    if not 2 <= len(numbers) <= 3 or (len(numbers) == 3 and numbers[2] < 1):
        raise ParameterError(
            f"{name} = {text!r} is not allowed: give {PARAMETERS[name].allowed}, or first:end or first:end:step with "
            "the end left out, for example 0:10."
        )
    values = range(*numbers)
    if not values:
        raise ParameterError(f"{name} = {text!r} is empty: the end is left out, so it must be larger than the first.")
    for value in (values[0], values[-1]):
        check_value(name, value)
    return list(values[: MOST_RUNS + 1])


def run_sweep(
    settings: Sequence[str],
    lessons: tuple[Lesson, ...] = LESSONS[3:],
    output: Path = Path("sweep"),
    notebooks: Path = NOTEBOOKS,
    dataset: str = "auto",
    scheduler: str | None = None,
    workers: int | None = None,
    resume: bool = False,
    quiet: bool = False,
    say: Callable[[str], None] = print,
) -> Table:
    """Run lessons once for every combination, and write a table of the runs and their notebooks.

    Everything that can be wrong with what was given is found before anything is written or run. The data set is
    resolved once, so that all runs use the same one. A run that fails is in the table with its error, and the others
    go on. Whoever computes the runs and in whichever order they end, the table is the same but for times and workers.

    Args:
        settings: what is varied, see `read_settings`.
        lessons: which lessons a run consists of, in order.
        output: the sweep's folder; made if missing.
        notebooks: folder with the stored notebooks.
        dataset: "auto", "mnist" or "embedded".
        scheduler: address of a dask scheduler, or None for workers on this machine.
        workers: how many workers on this machine, by default one per processor; not together with `scheduler`.
        resume: keep the runs in the folder that are complete and still valid, and run the others.
        quiet: whether to say nothing.
        say: receives lines for people.

    Returns:
        The table of all runs in the folder.

    Raises:
        ParameterError: a parameter is not allowed.
        OutputError: the folder holds something else, cannot be written, or another sweep is writing there.
        DatasetError: the data cannot be had.
        LessonError: a notebook is missing.
        ClusterError: the scheduler does not answer, or its workers have other software or data.
        Interrupted: the sweep was ended from outside.
    """
    say = _say_nothing if quiet else say
    values = read_settings(settings)
    check_value("dataset", dataset)
    if scheduler and workers:
        raise ParameterError(
            f"workers = {workers} is not allowed with a scheduler, which has its own: leave one of both out."
        )
    texts = _lesson_texts(lessons, notebooks, values)
    output = check_folder(output, resume)
    plan = _make_plan(values, texts, dataset, say)
    with locked_folder(output):
        check_folder(output, resume)  # another sweep may have ended there meanwhile
        settings_of_all = {"dataset": plan.dataset, "lessons": [lesson.number for lesson in lessons]}
        table = Table(output, tuple(values), settings_of_all)
        table.read()
        _drop_outdated(table, plan.inputs, say)
        with _live_line(say, quiet) as tell:
            _compute(plan, table, scheduler, workers, tell)
    return table


def _say_nothing(line: str) -> None:
    """Take the place of what says lines for people."""


@dataclass(frozen=True)
class _Plan:
    """What is to be computed: the data set with its digest, the orders by name of run, and the digest of all inputs."""

    dataset: str
    data_digest: str
    orders: dict[str, dict[str, Any]]
    inputs: str


def _lesson_texts(lessons: tuple[Lesson, ...], notebooks: Path, values: dict[str, list[int]]) -> dict[str, str]:
    """Read the lessons without their stored outputs, which a run replaces, and check that they have what is varied."""
    texts, declared = {}, []
    for lesson in lessons:
        notebook = read_notebook(notebook_path(lesson, notebooks))
        declared += declared_parameters(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        texts[lesson.notebook] = notebook_text(notebook)
    for name in values:
        if name not in declared:
            numbers = ", ".join(lesson.number for lesson in lessons)
            raise ParameterError(
                f"{name} is not allowed with lessons = {numbers}, which do not use it: choose others with --lessons."
            )
    return texts


def _make_plan(values: dict[str, list[int]], texts: dict[str, str], dataset: str, say: Callable[[str], None]) -> _Plan:
    """Make what every run needs (see `sweep_run.perform`), and the digest that tells whether a row is still valid."""
    from digits_helpers.sweep_run import software

    digits = resolve_data(dataset, values.get("batch_size", []), say)
    used, data_digest = digits.name, digits.digest
    # Lesson 05 must judge the network of its own run where there is one, and not find out by itself.
    fixed = {"dataset": used, "network": "own" if LESSONS[3].notebook in texts else "auto"}
    common = {"lessons": texts, "software": software()}
    orders = {}
    for combination in itertools.product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        orders[run_name(chosen)] = {"parameters": {**chosen, **fixed}, **common}
    facts = json.dumps({**fixed, **common, "data": data_digest}, sort_keys=True)
    return _Plan(used, data_digest, orders, hashlib.sha256(facts.encode()).hexdigest())


def run_name(parameters: dict[str, int]) -> str:
    """Name a run by its parameters; the name is also a folder's.

    >>> run_name({"epochs": 1, "seed": 3})
    'epochs-1_seed-3'
    """
    return "_".join(f"{name}-{value}" for name, value in parameters.items())


def _drop_outdated(table: Table, inputs: str, say: Callable[[str], None]) -> None:
    """Take runs out of the table that failed, or that were made from other lessons, data or software."""
    before = len(table.rows)
    table.drop([row.name for row in table.ordered if row.status != "complete" or row.inputs != inputs])
    if before:
        dropped = before - len(table.rows)
        say(f"Kept: {count_runs(len(table.rows))}. Failed, or made from other lessons, data or software: {dropped}.")


def _compute(
    plan: _Plan, table: Table, scheduler: str | None, workers: int | None, tell: Callable[[str, int, int], None]
) -> None:
    """Have the runs computed that the table lacks, and enter each as it arrives."""
    from dask.system import CPU_COUNT

    from digits_helpers.sweep_cluster import compute

    orders = {name: order for name, order in plan.orders.items() if name not in table.rows}
    kept, total = len(table.rows), len(orders)

    def arrived(name: str, outcome: dict[str, Any]) -> None:
        facts = {key: outcome[key] for key in ("status", "metrics", "error", "seconds", "worker")}
        chosen = {key: orders[name]["parameters"][key] for key in table.names}
        table.add(Row(name, chosen, inputs=plan.inputs, **facts), outcome["notebooks"])
        tell(describe(table.rows[name]), len(table.rows) - kept, total)

    tell(f"To do: {count_runs(total)}.", 0, total)
    try:
        compute(orders, plan.data_digest, scheduler, min(workers or CPU_COUNT, total), arrived, tell)
    except KeyboardInterrupt:
        raise Interrupted(
            f"The sweep was interrupted after {len(table.rows) - kept} of {count_runs(total)}: go on with the same "
            "command and --resume."
        ) from None


def count_runs(count: int) -> str:
    """Write a number of runs.

    >>> count_runs(1), count_runs(1000)
    ('1 run', '1,000 runs')
    """
    return f"{count:,} run{'' if count == 1 else 's'}"


def describe(row: Row) -> str:
    """Say in one line how a run ended."""
    name = ", ".join(f"{name} {value}" for name, value in row.parameters.items())
    time = f" ({clock(row.seconds)})" if row.seconds is not None else ""
    if row.error:
        return f"{name}: failed{time}. {row.error}"
    accuracy = row.metrics.get("test_accuracy")
    return f"{name}: complete{time}" + (f", test accuracy {accuracy:.2%}" if accuracy is not None else "")


def spread_lines(table: Table) -> list[str]:
    """Say how the test accuracy spreads over the seeds of each setting that has several.

    Returns:
        One line per setting, with mean, standard deviation (n - 1 in the denominator), and range.
    """
    groups: dict[str, list[float]] = {}
    for row in table.ordered:
        if row.status == "complete" and row.metrics.get("test_accuracy") is not None:
            setting = ", ".join(f"{name} {value}" for name, value in row.parameters.items() if name != "seed")
            groups.setdefault(setting, []).append(row.metrics["test_accuracy"])
    return [
        f"{setting or 'All settings as stored'}: test accuracy {statistics.mean(values):.2%} on average over "
        f"{len(values)} seeds, standard deviation {100 * statistics.stdev(values):.2f} points, "
        f"from {min(values):.2%} to {max(values):.2%}"
        for setting, values in groups.items()
        if len(values) > 1
    ]


@contextlib.contextmanager
def _live_line(say: Callable[[str], None], quiet: bool) -> Iterator[Callable[..., None]]:
    """Show on a terminal how many runs have ended, with the time that the rest may take; lines appear above.

    Yields:
        What takes a line, and if something has ended, how many runs have and how many there are.
    """
    from tqdm import tqdm

    layout = "{n} of {total} runs · {elapsed}, about {remaining} to go"
    bar = tqdm(bar_format=layout, total=0, leave=False, disable=True if quiet else None, file=sys.stderr)
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(1):
            bar.refresh()

    def tell(line: str, ended: int | None = None, total: int | None = None) -> None:
        if ended is not None:
            bar.total = total
            bar.update(ended - bar.n)
        with tqdm.external_write_mode():
            say(line)

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield tell
    finally:
        stop.set()
        ticker.join()
        bar.close()
