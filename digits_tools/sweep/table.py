"""The folder and the table of a sweep: one row per run, as CSV and as JSON, and the executed notebooks."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from digits_helpers.files import reason, write_json, write_whole
from digits_helpers.report import OutputError

MARKER = ".digits-sweep"
MARKER_TEXT = "`digits sweep` made this folder and adds to it with --resume.\n"
LOCK = ".digits-sweep.lock"
CSV_FILE, JSON_FILE, RUNS_FOLDER = "runs.csv", "runs.json", "runs"
# What a sweep consists of, with the traces of one that was killed while it wrote.
SWEEP_FILES = re.compile(
    r"\.digits-sweep(\.lock)?|runs|runs\.(csv|json)|\.runs\.(csv|json)-\w+|\.\.digits-sweep-\w+"
    r"|\.ipynb_checkpoints|\.DS_Store"
)
ABOUT_THE_RUN = ("seconds", "worker")  # columns that two sweeps with the same results do not share


@dataclass(frozen=True)
class Row:
    """One run in the table.

    Attributes:
        name: its key and the name of its folder, as in "epochs-1_seed-3".
        parameters: value by name of what the sweep varies.
        status: "complete" or "failed".
        metrics: number by name; a run that failed has those that it came to.
        error: one sentence, when it failed.
        inputs: digest of everything that the results depend on besides the parameters.
        seconds: how long the run took.
        worker: machine and address of what computed it.
    """

    name: str
    parameters: dict[str, int]
    status: str
    metrics: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    inputs: str = ""
    seconds: float | None = None
    worker: str | None = None


class Table:
    """The runs of a sweep that have ended, in a folder; every change is written at once, whole or not at all."""

    def __init__(self, folder: Path, names: tuple[str, ...], settings: dict[str, Any]) -> None:
        """Begin without rows.

        Args:
            folder: where the files go.
            names: the parameters that the sweep varies.
            settings: what all runs have in common, for the readers of the JSON file.
        """
        self.folder, self.names, self.settings = folder, names, settings
        self.rows: dict[str, Row] = {}

    @property
    def ordered(self) -> list[Row]:
        """All rows, sorted by their parameters and not by when they ended."""
        return sorted(self.rows.values(), key=lambda row: tuple(row.parameters[name] for name in self.names))

    @property
    def failed(self) -> list[Row]:
        """The rows of runs that failed."""
        return [row for row in self.ordered if row.status == "failed"]

    @property
    def csv_path(self) -> Path:
        """Where the table is."""
        return self.folder / CSV_FILE

    def add(self, row: Row, notebooks: dict[str, str]) -> None:
        """Write what a run has left: first its notebooks, then the table with its row.

        Args:
            row: the run; an older row of the same name is replaced.
            notebooks: file name to text.

        Raises:
            OSError: the folder cannot be written.
        """
        folder = self.folder / RUNS_FOLDER / row.name
        if folder.exists():
            shutil.rmtree(folder)  # a sweep that was killed can have left something without a row
        folder.mkdir(parents=True)
        for name, text in notebooks.items():
            write_whole(folder / name, text)
        self.rows[row.name] = row
        self.write()

    def drop(self, names: list[str]) -> None:
        """Remove runs from the table, and then their notebooks.

        Raises:
            OSError: the folder cannot be written.
        """
        self.rows = {name: row for name, row in self.rows.items() if name not in names}
        self.write()
        for name in names:
            shutil.rmtree(self.folder / RUNS_FOLDER / name, ignore_errors=True)

    def write(self) -> None:
        """Write the table in both forms."""
        rows = [asdict(row) for row in self.ordered]
        write_json(self.folder / JSON_FILE, {"format": 1, "varied": list(self.names), **self.settings, "runs": rows})
        write_whole(self.csv_path, self.as_csv())

    def as_csv(self) -> str:
        """Write the table as CSV: what a repetition gives again comes first, times and workers last."""
        metrics = list(dict.fromkeys(name for row in self.ordered for name in row.metrics))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*self.names, "status", *metrics, "error", *ABOUT_THE_RUN])
        for row in self.ordered:
            values = [*(row.parameters[name] for name in self.names), row.status]
            values += [row.metrics.get(name) for name in metrics]
            writer.writerow([*values, row.error, *(getattr(row, name) for name in ABOUT_THE_RUN)])
        return text.getvalue()

    def read(self) -> None:
        """Read the rows that an earlier sweep has left in the folder; there may be none.

        Raises:
            OutputError: the file is damaged, or the sweep varied other parameters.
        """
        path = self.folder / JSON_FILE
        if not path.is_file():
            return
        advice = "choose another folder with --output."
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            names, rows = content["varied"], [Row(**row) for row in content["runs"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutputError(f"The table {str(path)!r} cannot be read ({type(error).__name__}): {advice}") from error
        if tuple(names) != self.names:
            raise OutputError(
                f"The sweep in {str(self.folder)!r} varies {', '.join(names)}, not {', '.join(self.names)}: "
                f"give the same names with --set, or {advice}"
            )
        self.rows = {row.name: row for row in rows}


def check_folder(output: Path, resume: bool) -> Path:
    """Check, without changing anything, that a sweep may be written to a folder.

    Args:
        output: the folder, which need not exist.
        resume: whether the sweep in it shall go on.

    Returns:
        Its absolute path.

    Raises:
        OutputError: there is a file, something that is no sweep, a sweep that shall not go on, or no right to write.
    """
    output = output.expanduser().absolute()
    advice = "choose another folder with --output, or move what is there."
    if output.exists() and not output.is_dir():
        raise OutputError(f"The output {str(output)!r} is a file, but a sweep needs a folder: {advice}")
    with _as_output_error(output):
        inside = sorted(path.name for path in output.iterdir()) if output.exists() else []
        strangers = [name for name in inside if not SWEEP_FILES.fullmatch(name)]
        if strangers or (inside and MARKER not in inside):
            raise OutputError(
                f"The output folder {str(output)!r} holds something that is no sweep ({(strangers or inside)[0]!r}): "
                f"{advice}"
            )
        nearest = next(path for path in (output, *output.parents) if path.exists())
        tempfile.TemporaryFile(dir=nearest).close()  # os.access knows nothing of read-only or full disks
    if JSON_FILE in inside and not resume:
        raise OutputError(
            f"The output folder {str(output)!r} holds a sweep, which is not thrown away: go on with it with --resume, "
            "or choose another folder with --output."
        )
    return output


@contextlib.contextmanager
def locked_folder(output: Path) -> Iterator[None]:
    """Make the folder of a sweep where it is missing, and keep other sweeps out of it for the time of the block.

    Args:
        output: a folder that `check_folder` has passed.

    Raises:
        OutputError: another sweep is writing there, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(output / LOCK)
    with _as_output_error(output):
        output.mkdir(parents=True, exist_ok=True)
        write_whole(output / MARKER, MARKER_TEXT)  # first: what is half made must stay ours
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(
                f"Another sweep is writing to {str(output)!r}: wait until it has ended, or choose another folder with "
                "--output."
            ) from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _as_output_error(output: Path) -> Iterator[None]:
    """Turn what the system says about a folder into one sentence."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The output folder {str(output)!r} cannot be written ({reason(error)}): choose another folder with "
            "--output."
        ) from error
