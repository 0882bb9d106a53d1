"""The command `digits`. Commands import what they need, so that `digits --help` answers at once."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import warnings
from collections.abc import Sized
from pathlib import Path
from typing import Any, NoReturn

import click

import digits_helpers
from digits_helpers.errors import DigitsError
from digits_tools import parameters
from digits_tools.errors import BAD_INPUT, FAILED, INTERRUPTED, WriteError
from digits_tools.lessons import LESSONS, NOTEBOOKS, PROJECT, Interrupted, select_lessons

WHOLE_SERIES = f"{LESSONS[0].number}-{LESSONS[-1].number}"
PATH = click.Path(path_type=Path)


class Commands(click.Group):
    """Commands whose errors end as one sentence on standard error: no traceback, and no usage above a wrong value."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        """Keep the command line, for the advice how to resume."""
        context.obj = list(arguments)
        return super().parse_args(context, arguments)

    def invoke(self, context: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(context)
        except click.UsageError as error:
            _stop(error.format_message(), error.exit_code)
        except DigitsError as error:
            _stop(str(error), error.exit_code)
        except KeyboardInterrupt:
            _stop("The command was interrupted.", INTERRUPTED)
        except OSError as error:
            name = f" ({error.filename})" if error.filename else ""
            _stop(f"A file cannot be read or written{name}: {error.strerror or error}.", FAILED)


def _stop(sentence: str, status: int) -> NoReturn:
    click.echo(f"Error: {sentence}", err=True)
    sys.exit(status)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Show a warning as one line, without the place in the code that gave it."""
    click.echo(f"Warning: {message}", err=True)


def _lessons(default: str) -> Any:
    """Make the option that chooses lessons; the command gets them as records."""
    return click.option(
        "--lessons",
        default=default,
        show_default=True,
        callback=lambda context, parameter, text: select_lessons(text),
        help=f"Which lessons: 02, {WHOLE_SERIES} or 01,03.",
    )


_notebooks = click.option("--notebooks", type=PATH, default=NOTEBOOKS, hidden=True)  # tests run other lessons
_quiet = click.option("-q", "--quiet", is_flag=True, help="Print errors and where the results are, nothing else.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(digits_helpers.__version__, prog_name="digits")
def main() -> None:
    """Run, report and look after the digits series."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console that lacks a character shows "?", and no traceback
    warnings.showwarning = _show_warning
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the kernel ends, and one sentence is shown


@main.command()
@parameters.option("dataset")
@parameters.option("epochs")
@parameters.option("batch_size")
@parameters.option("seed")
@_lessons(WHOLE_SERIES)
@click.option("--output", type=PATH, default="report", show_default=True, metavar="DIR", help="Folder of the report.")
@click.option("--resume", is_flag=True, help="Resume an interrupted report: complete lessons stay.")
@click.option("--check", type=PATH, metavar="FILE", help="Fail where results differ from FILE.")
@click.option(
    "--cell-timeout",
    type=click.IntRange(1, 10_000),
    default=60,
    show_default=True,
    help="Time limit per cell, in minutes.",
)
@_quiet
@_notebooks
@click.pass_context
def report(context: click.Context, quiet: bool, **options: Any) -> None:
    """Run the lessons and make a report of them."""
    from digits_tools.report import as_table, headline_text, run_report

    echo = _silent if quiet else click.echo
    given = {name: options.pop(name) for name in ("dataset", "epochs", "batch_size", "seed")}
    try:
        made = run_report(parameters=given, echo=echo, quiet=quiet, **options)
    except (Interrupted, WriteError):
        click.echo(_how_to_resume(context))
        raise
    if made.results["headline"]:
        echo(headline_text(made.results["headline"]))
    click.echo(f"Report: {made.index}")
    if made.failure:
        if made.partial_notebook:
            click.echo(f"Partly executed notebook: {made.partial_notebook}")
        click.echo(_how_to_resume(context))
        _stop(made.failure, FAILED)
    if options["check"]:
        (click.echo if made.drifted else echo)(as_table(made.results["verdict"]))
        if made.drifted:
            names = ", ".join(made.drifted)
            _stop(f"The results differ from {str(options['check'])!r} in {names}: see the table above.", FAILED)


def _count(items: Sized, noun: str) -> str:
    return f"{len(items):,} {noun}{'s' * (len(items) != 1)}"


def _silent(line: str) -> None:
    pass


def _how_to_resume(context: click.Context) -> str:
    """Write the command that resumes a report: the one that was given, with --resume."""
    words = ["digits", *context.obj, *(["--resume"] if "--resume" not in context.obj else [])]
    return "Resume with: " + (subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words))


@main.command()
@click.argument("folder", type=PATH, default="report")
def expect(folder: Path) -> None:
    """Store the results of a report as expected ones.

    FOLDER holds the report; later reports on its data set are compared with it.
    """
    from digits_tools.report import write_expected

    click.echo(f"Expected results: {write_expected(folder)}")


@main.command()
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUES", help="What varies: seed=0:10 or epochs=1,3; repeat it."
)
@parameters.option("dataset")
@_lessons("04-05")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Runs at a time on this machine; one per processor."
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="Use the dask cluster at this address, as in tcp://192.0.2.1:8786."
)
@click.option(
    "--output", type=PATH, default="sweep", show_default=True, metavar="DIR", help="Folder of table and notebooks."
)
@click.option("--resume", is_flag=True, help="Run only what is missing, failed or outdated in the folder.")
@_quiet
@_notebooks
def sweep(settings: tuple[str, ...], quiet: bool, **options: Any) -> None:
    """Run lessons with many parameters, for one table."""
    from digits_tools.sweep import run_sweep, spread_lines

    table = run_sweep(settings, echo=_silent if quiet else click.echo, **options)
    for line in spread_lines(table):
        click.echo(line)
    click.echo(f"Table: {table.csv_path} ({_count(table.rows, 'run')} on {table.dataset} data)")
    if table.failed:
        first = table.failed[0]
        _stop(f"{_count(table.failed, 'run')} failed, the first of them {first.name}: {first.error}", FAILED)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def lab(options: tuple[str, ...]) -> None:
    """Open JupyterLab at lesson 01.

    OPTIONS are passed on to JupyterLab.
    """
    from digits_tools.run import absolute_folders

    os.environ.update(absolute_folders(), JUPYTER_PREFER_ENV_PATH="1")  # kernels inherit it; before Jupyter's import
    from jupyterlab.labapp import LabApp

    # The root is the project, so that the lessons' links to README, and README's to the lessons, lead somewhere
    root, first = f"--ServerApp.root_dir={PROJECT}", f"--LabApp.default_url=/lab/tree/notebooks/{LESSONS[0].notebook}"
    LabApp.launch_instance([root, first, *options])


@main.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 where something would change.")
def navigation(check: bool) -> None:
    """Write the links between the lessons.

    With README's lesson table; both come from the list of lessons.
    """
    from digits_tools.maintain.navigation import update_navigation

    changed = update_navigation(check=check)
    for path in changed:
        click.echo(f"{path.name}: {'differs from the list of lessons' if check else 'written'}")
    if check and changed:
        _stop("Run `digits navigation` and commit what it writes.", FAILED)


@main.command()
@_lessons(WHOLE_SERIES)
@_notebooks
def refresh(**options: Any) -> None:
    """Rewrite all stored outputs on MNIST.

    Lesson 04 makes the network that ships with the series.
    """
    from digits_tools.maintain.refresh import refresh

    changed = refresh(**options, echo=click.echo)
    click.echo("Changed: " + (", ".join(changed) or "nothing"))


@main.command()
@click.argument("stored", type=PATH)
@click.argument("new", type=PATH)
@click.option("--pictures", type=PATH, metavar="DIR", help="Folder for pictures of figures that differ.")
def verify(stored: Path, new: Path, pictures: Path | None) -> None:
    """Compare two executed notebooks.

    STORED and NEW are notebooks; numbers may differ within the tolerances of the series.
    """
    from digits_tools.notebook import load_series_tolerances
    from nbval_tolerance import ToleranceError, compare_notebooks

    try:
        differences = compare_notebooks(stored, new, load_series_tolerances(), pictures)
    except ToleranceError as error:
        _stop(str(error), BAD_INPUT)
    for difference in differences:
        click.echo(difference)
    if differences:
        _stop(f"{_count(differences, 'difference')} between {stored} and {new}.", FAILED)
    click.echo("No difference beyond the tolerances.")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
@click.option("--download", is_flag=True, help="Download MNIST where it is missing.")
def doctor(as_json: bool, download: bool) -> None:
    """Check whether the lessons can run here.

    And say which of their numbers should be equal to the stored ones.
    """
    from digits_tools import doctor as checks

    found = checks.examine(download)
    click.echo(checks.as_json(found) if as_json else checks.as_text(found))
    if checks.stops(found):
        sys.exit(FAILED)
