"""Have the runs of a sweep computed by dask: by workers on this machine, or by a cluster that is there already."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from digits_helpers.errors import DigitsError
from digits_tools.errors import FAILED, InputError
from digits_tools.sweep.table import Row
from digits_tools.sweep.task import Task, differences, run_task

if TYPE_CHECKING:
    from distributed import Client, Future  # slow to import: about a second

Result = tuple[Row, dict[str, str]]  # and the executed notebooks: text by file name

NO_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # it is for the process of the terminal
CONNECT_TIMEOUT = 10.0  # seconds in which a scheduler must answer at the start
RETURN_TIMEOUT = 600.0  # seconds that a sweep waits for a scheduler that went away


class ClusterError(DigitsError):
    """The scheduler does not answer, or its workers cannot run the lessons."""

    exit_code = FAILED


def compute(
    tasks: dict[str, Task], scheduler: str | None, workers: int, echo: Callable[[str], None]
) -> Iterator[Result]:
    """Have tasks (by the name of their run) computed, and yield each result as it arrives, each exactly once.

    dask computes a run again whose worker has died. When the connection to the scheduler is lost, the tasks without
    result go to the scheduler that answers at the same address next. For the other arguments, see `run_sweep`.

    Raises:
        InputError: the address is invalid.
        ClusterError: no scheduler answers, or a worker has other software or data.
    """
    waiting, timeout = dict(tasks), CONNECT_TIMEOUT
    while waiting:
        with _connect(scheduler, workers, timeout) as client:
            if scheduler:
                _check_workers(client, scheduler, next(iter(waiting.values())), echo)
            yield from _collect(client, waiting)
        if waiting:
            timeout = RETURN_TIMEOUT
            echo(
                f"The connection to the scheduler was lost. The runs that are missing ({len(waiting)}) go to the next "
                f"that answers at {scheduler or 'this machine'} within {timeout / 60:g} minutes."
            )


@contextlib.contextmanager
def _connect(scheduler: str | None, workers: int, timeout: float) -> Iterator[Client]:
    """Connect to a scheduler, or start one with workers on this machine; both end with the block."""
    import dask
    from distributed import Client, LocalCluster

    with contextlib.ExitStack() as stack:
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)  # what matters in dask's log is said in sentences, once
        if not scheduler:
            # Runs last minutes: a worker that holds a second one while it computes would keep it from an idle one
            stack.enter_context(dask.config.set({"distributed.scheduler.worker-saturation": 1.0}))
            local = {"dashboard_address": "127.0.0.1:0", "memory_limit": 0, "silence_logs": logging.CRITICAL}
            cluster = stack.enter_context(
                LocalCluster(n_workers=workers, threads_per_worker=1, preload=[NO_CTRL_C], **local)
            )
        try:
            client = stack.enter_context(Client(scheduler or cluster, timeout=timeout, set_as_default=False))
        except ValueError as error:
            advice = "give the address that `dask scheduler` prints, for example 'tcp://192.0.2.1:8786'."
            raise InputError(f"scheduler = {scheduler!r} is not valid: {advice}") from error
        except OSError as error:
            raise ClusterError(
                f"No scheduler has answered at {scheduler} for {timeout:g} seconds: start one there with `dask "
                "scheduler` and give the same command again; if runs are there already, with --resume."
            ) from error
        yield client


def _check_workers(client: Client, scheduler: str, task: Task, echo: Callable[[str], None]) -> None:
    """Refuse workers that would compute something else; one that joins later is checked by each of its runs."""
    answers = client.run(differences, task, on_error="return")
    for address, answer in answers.items():
        if isinstance(answer, OSError):
            continue  # it went away meanwhile
        if isinstance(answer, Exception):  # dask passes a failed import on as an error without a kind
            raise ClusterError(f"The worker {address} cannot run the lessons ({answer}): install this project there.")
        if answer:
            raise ClusterError(f"The worker {address} differs from this machine in {answer}: install the same.")
    advice = "" if answers else f"; start some with `dask worker {scheduler} --nthreads 1`"
    echo(f"Workers of {scheduler}: {len(answers) or 'none yet'}{advice}.")


def _collect(client: Client, waiting: dict[str, Task]) -> Iterator[Result]:
    """Submit the tasks, and take each out of `waiting` when its result is here; end early when it is cut off."""
    from distributed import as_completed

    # Keys of another client, or of an earlier connection, must not be taken for these: dask would mix up the results
    batch = f"digits-run-{uuid.uuid4().hex}"
    names = {(batch, name): name for name in waiting}
    futures = client.map(run_task, list(waiting.values()), key=list(names), pure=False)
    for future in as_completed(futures, loop=client.loop):
        name = names[future.key]
        result = _result(future, waiting[name])
        if result is None:
            return
        future.release()  # otherwise dask repeats the run when the worker with its result dies
        del waiting[name]
        yield result


def _result(future: Future, task: Task) -> Result | None:
    """Fetch the result of a task; None when the connection was lost first."""
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        reason = f"{error.allowed_failures + 1} workers were killed while they computed it, perhaps by full memory"
    except Exception as error:  # whatever a worker raises that cannot load or start the run
        if future.status != "error":  # the task has not raised it
            return None
        reason = f"The worker could not run it ({type(error).__name__}: {error})"
    return Row(task.varied, f"{reason}: correct that and use --resume."), {}
