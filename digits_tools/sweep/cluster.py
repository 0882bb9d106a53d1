"""Have the runs of a sweep computed by dask: on workers of this machine, or on a cluster that is there already."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from digits_helpers.errors import DigitsError
from digits_helpers.parameters import ParameterError
from digits_helpers.sweep_run import examine_worker, perform

if TYPE_CHECKING:
    from distributed import Client, Future  # slow to import: about a second

CONNECT_SECONDS = 10.0  # so long may a scheduler take to answer at the start
RETURN_SECONDS = 600.0  # so long does a sweep wait for a scheduler that went away


class ClusterError(DigitsError):
    """The scheduler does not answer, or its workers cannot run the lessons."""


def compute(
    orders: dict[str, dict[str, Any]],
    data_digest: str,
    scheduler: str | None,
    workers: int,
    arrived: Callable[[str, dict[str, Any]], None],
    say: Callable[[str], None],
) -> None:
    """Have runs computed and hand over each outcome as it arrives, each exactly once.

    A run whose worker dies is computed again by another one. When the connection to the scheduler is lost, the runs
    that have not arrived are given to the scheduler that answers at the same address next.

    Args:
        orders: what `perform` takes, by the name of the run.
        data_digest: digest of the images that the workers must have.
        scheduler: address of a dask scheduler, or None for workers on this machine.
        workers: how many of those, each for one run at a time.
        arrived: receives name and outcome.
        say: receives lines for people.

    Raises:
        ParameterError: the address is none.
        ClusterError: no scheduler answers, or a worker has other software or data.
    """
    waiting = dict(orders)
    patience = CONNECT_SECONDS
    while waiting:
        with _quiet_logs(), _connect(scheduler, workers, patience) as client:
            if scheduler:
                _check_workers(client, scheduler, next(iter(waiting.values())), data_digest, say)
            _collect(client, waiting, arrived)
        if waiting:
            patience = RETURN_SECONDS
            say(
                "The connection to the scheduler was lost. What has not arrived "
                f"({len(waiting)} of the runs) goes to the next scheduler that answers at "
                f"{scheduler or 'this machine'} within {patience / 60:g} minutes."
            )


@contextlib.contextmanager
def _connect(scheduler: str | None, workers: int, patience: float) -> Iterator[Client]:
    """Connect to a scheduler, or start one with workers on this machine; both end with the block."""
    import dask
    from distributed import Client, LocalCluster

    if scheduler:
        with _open_client(scheduler, patience) as client:
            yield client
        return
    # Runs last minutes: a worker that holds a second one while it computes would keep it from an idle one.
    with (
        dask.config.set({"distributed.scheduler.worker-saturation": 1.0}),
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", memory_limit=0,
            silence_logs=logging.CRITICAL, preload=["digits_helpers.sweep_run"],
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):  # fmt: skip
        yield client


def _open_client(scheduler: str, patience: float) -> Client:
    """Connect to a scheduler by its address, and try again for `patience` seconds."""
    from distributed import Client

    try:
        return Client(scheduler, timeout=patience, set_as_default=False)
    except ValueError as error:
        raise ParameterError(
            f"scheduler = {scheduler!r} is not allowed: give the address that `dask scheduler` prints, for example "
            "'tcp://192.0.2.1:8786'."
        ) from error
    except OSError as error:
        raise ClusterError(
            f"No scheduler has answered at {scheduler} for {patience:g} seconds: start one there with `dask "
            "scheduler` and give the same command again; if runs are there already, with --resume."
        ) from error


def _check_workers(
    client: Client, scheduler: str, order: dict[str, Any], data_digest: str, say: Callable[[str], None]
) -> None:
    """Refuse workers that would compute something else; one that joins later is checked by each of its runs."""
    answers = client.run(examine_worker, order["parameters"]["dataset"], on_error="return")
    for address, answer in answers.items():
        if isinstance(answer, OSError):
            continue  # it went away meanwhile
        if isinstance(answer, Exception):  # dask passes a failed import on as an error without a kind
            raise ClusterError(
                f"The worker {address} cannot run the lessons ({answer}): install this project there as here."
            )
        different = [name for name, value in answer["software"].items() if value != order["software"][name]]
        if different:
            names = ", ".join(different)
            raise ClusterError(f"The worker {address} has another version of {names}: install the same there.")
        if answer["data"] != data_digest:
            raise ClusterError(f"The worker {address} has other data than this machine ({answer['data']}).")
    if answers:
        say(f"Scheduler {scheduler}: {len(answers)} worker{'' if len(answers) == 1 else 's'}.")
    else:
        say(f"Scheduler {scheduler}: no worker yet; start some with `dask worker {scheduler} --nthreads 1`.")


def _collect(
    client: Client, waiting: dict[str, dict[str, Any]], arrived: Callable[[str, dict[str, Any]], None]
) -> None:
    """Submit the runs, and take each out of `waiting` when its outcome is here; end early when it is cut off."""
    from distributed import as_completed

    # Keys of another client, or of an earlier connection, must not be taken for these: dask would mix up the results.
    batch = f"digits-run-{uuid.uuid4().hex}"
    names = {(batch, name): name for name in waiting}
    futures = client.map(perform, list(waiting.values()), key=list(names), pure=False)
    for future in as_completed(futures, loop=client.loop):
        outcome = _outcome(future)
        if outcome is None:
            return
        name = names[future.key]
        future.release()  # otherwise dask repeats the run when the worker with its outcome dies
        del waiting[name]
        arrived(name, outcome)


def _outcome(future: Future) -> dict[str, Any] | None:
    """Fetch the outcome of a run; None when the connection was lost first."""
    from distributed.scheduler import KilledWorker

    if future.cancelled():
        return None
    try:
        return future.result()
    except OSError:  # while it was fetched
        return None
    except KilledWorker as error:
        times = f"{error.allowed_failures + 1} workers were killed while they computed it"
        return _failed(f"{times}: look for the reason on the machines, for example full memory, then use --resume.")
    except Exception as error:  # whatever a worker raises that cannot load or start the run
        if future.cancelled():
            return None
        reason = f"{type(error).__name__}: {error}"
        return _failed(f"The worker could not start it ({reason}): correct that and use --resume.")


def _failed(error: str) -> dict[str, Any]:
    return {"status": "failed", "error": error, "metrics": {}, "notebooks": {}, "seconds": None, "worker": None}


@contextlib.contextmanager
def _quiet_logs() -> Iterator[None]:
    """Keep the log of dask off the terminal: what matters is said in sentences, once."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
