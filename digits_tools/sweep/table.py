"""The table of a sweep: a row per run in runs.csv; in the run's folder, the executed notebooks and the row as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from digits_tools.errors import InputError
from digits_tools.folders import OutputFolder, atomic_write, read_json, write_json

CSV_FILE, RUNS, ROW_FILE = "runs.csv", "runs", "run.json"


@dataclass(frozen=True)
class Row:
    """One run in the table.

    Attributes:
        parameters: value by name of what the sweep varies.
        error: one sentence; None when the run is complete.
        metrics: number by name; a run that failed has those that it came to.
        seconds: how long the run took.
        worker: address of the dask worker that computed it.
    """

    parameters: dict[str, int]
    error: str | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    worker: str | None = None

    @property
    def name(self) -> str:
        """Name of the run's folder, as in "epochs-1_seed-3"."""
        return "_".join(f"{name}-{value}" for name, value in self.parameters.items())


class Table:
    """The runs of a sweep on a dataset that have ended; every change is written at once.

    `inputs` is a digest of what all runs are made from, besides their parameters.
    """

    def __init__(self, output: Path, dataset: str, inputs: str) -> None:
        self.folder = OutputFolder(output, "sweep", [CSV_FILE, f"{RUNS}/"])
        self.dataset, self.inputs = dataset, inputs
        self.by_name: dict[str, Row] = {}

    @property
    def rows(self) -> list[Row]:
        """All rows, in the order of their parameters and not of their ends."""
        return sorted(self.by_name.values(), key=lambda row: tuple(row.parameters.values()))

    @property
    def failed(self) -> list[Row]:
        """The rows of runs that failed."""
        return [row for row in self.rows if row.error]

    @property
    def csv_path(self) -> Path:
        """Where the table is."""
        return self.folder.path / CSV_FILE

    def open(self, names: list[str], resume: bool) -> int:
        """Make the folder ready, with the runs of an earlier sweep that are complete and made from the same inputs.

        Returns:
            How many runs were removed.

        Raises:
            InputError: there is a sweep that must not be continued, or that varies other parameters than these names.
        """
        paths = sorted((self.folder.path / RUNS).glob(f"*/{ROW_FILE}"))
        there, reused = f"The output folder {str(self.folder.path)!r} holds a sweep", []
        if paths and not resume:
            raise InputError(f"{there}: resume it with --resume, or choose another folder with --output.")
        for path in paths:
            facts = read_json(path)
            varied = list(facts.get("parameters", names))
            if varied != names:
                raise InputError(f"{there} of {', '.join(varied)}: vary these, or choose another folder with --output.")
            if facts.pop("inputs", None) == self.inputs and not facts["error"]:
                row = Row(**facts)
                self.by_name[row.name] = row
                reused += [file.relative_to(self.folder.path).as_posix() for file in path.parent.iterdir()]
        self.folder.prepare(reused)
        self._write()
        return len(paths) - len(self.by_name)

    def add(self, row: Row, notebooks: Mapping[str, str]) -> None:
        """Write a run's notebooks (text by file name), then its row, then the table; OSError where that fails."""
        folder = self.folder.path / RUNS / row.name
        folder.mkdir(exist_ok=True)
        for name, text in notebooks.items():
            atomic_write(folder / name, text)
        write_json(folder / ROW_FILE, {**asdict(row), "inputs": self.inputs})
        self.by_name[row.name] = row
        self._write()

    def _write(self) -> None:
        """Write the table: what a repetition gives again comes first, times and workers last."""
        rows = self.rows
        names = list(rows[0].parameters) if rows else []
        metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*names, "status", *metrics, "error", "seconds", "worker"])
        for row in rows:
            results = map(row.metrics.get, metrics)
            status = "failed" if row.error else "complete"
            writer.writerow([*row.parameters.values(), status, *results, row.error, row.seconds, row.worker])
        atomic_write(self.csv_path, text.getvalue())
