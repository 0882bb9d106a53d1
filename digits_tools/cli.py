"""The command `digits`. Commands import what they need, so that `digits --help` answers at once."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

import digits_helpers
from digits_helpers.errors import DigitsError
from digits_helpers.parameters import PARAMETERS, ParameterError, check_value

if TYPE_CHECKING:
    from digits_helpers.report import Report

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


class Commands(click.Group):
    """Commands whose errors for the reader end as one sentence on standard error, without a traceback."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(context)
        except DigitsError as error:
            _stop(str(error), exit_status(error))
        except KeyboardInterrupt:
            _stop("The command was interrupted.", INTERRUPTED)
        except OSError as error:
            name = f" ({error.filename})" if error.filename else ""
            _stop(f"A file cannot be read or written{name}: {error.strerror or error}.", FAILED)


def exit_status(error: DigitsError) -> int:
    """Return 2 when the input was at fault, 130 after an interruption, and 1 when a run failed."""
    from digits_helpers.data import DatasetError
    from digits_helpers.report import OutputError
    from digits_helpers.results import ExpectedError
    from digits_helpers.series import Interrupted, SelectionError
    from digits_helpers.verify import VerifyError

    if isinstance(error, Interrupted):
        return INTERRUPTED
    bad_input = (DatasetError, ExpectedError, ParameterError, OutputError, SelectionError, VerifyError)
    return BAD_INPUT if isinstance(error, bad_input) else FAILED


def _stop(sentence: str, status: int) -> NoReturn:
    click.echo(f"Error: {sentence}", err=True)
    sys.exit(status)


def _value(context: click.Context, option: click.Parameter, text: str) -> str | int:
    """Read a lesson's parameter: a whole number where the text is one, else the text, which the check then names."""
    name = str(option.name)
    is_number = isinstance(PARAMETERS[name].default, int)
    try:
        return check_value(name, int(text) if is_number else text)
    except ValueError:
        return check_value(name, text)


def _parameter(name: str) -> Any:
    """Make the option for one of the lessons' parameters; its default and help come from their table."""
    parameter = PARAMETERS[name]
    return click.option(
        f"--{name.replace('_', '-')}",
        default=str(parameter.default),
        show_default=True,
        callback=_value,
        metavar="|".join(parameter.choices) or "N",
        help=parameter.meaning.capitalize() + ".",
    )


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(digits_helpers.__version__, prog_name="digits")
def main() -> None:
    """Run, report and look after the digits series."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console that lacks a character shows "?", and no traceback
    warnings.showwarning = _show_warning
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the kernel is ended, the report tells
    _recover()


def _recover() -> None:
    """Bring back stored files that a refresh, killed while it replaced them, left half new."""
    from digits_helpers.refresh import recover

    for name in recover():
        click.echo(f"A refresh was killed here: {name} is as before it again.", err=True)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Show a warning as one line, without the place in the code that gave it."""
    click.echo(f"Warning: {message}", err=True)


def _minutes(context: click.Context, option: click.Parameter, text: str) -> float:
    """Read a number of minutes."""
    with contextlib.suppress(ValueError):
        minutes = float(text)
        if 0 < minutes < math.inf:
            return minutes
    raise ParameterError(f"cell-timeout = {text!r} is not allowed: give minutes, a number above 0, for example 60.")


@main.command()
@_parameter("dataset")
@_parameter("epochs")
@_parameter("batch_size")
@_parameter("seed")
@click.option("--lessons", default="01-05", show_default=True, help="Which lessons: 02, 01-05 or 01,03.")
@click.option("--output", default="report", show_default=True, metavar="DIR", help="Folder of the report.")
@click.option("--resume", is_flag=True, help="Go on with a report that was cut short; what is complete stays.")
@click.option("--check", type=click.Path(path_type=Path), metavar="FILE", help="Fail where results differ from FILE.")
@click.option(
    "--cell-timeout", default="60", show_default=True, callback=_minutes, metavar="MINUTES", help="Limit for one cell."
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors and the place of the report only.")
@click.pass_context
def report(context: click.Context, lessons: str, output: str, quiet: bool, **options: Any) -> None:
    """Run the lessons in order and make a report of them."""
    from digits_helpers.report import WriteError, run_report
    from digits_helpers.series import NOTEBOOKS, Interrupted, select_lessons

    say = (lambda line: None) if quiet else click.echo
    chosen = select_lessons(lessons)
    try:
        made = run_report(chosen, Path(output), NOTEBOOKS, say=say, quiet=quiet, **options)
    except (Interrupted, WriteError):
        click.echo(_how_to_go_on(context))
        raise
    _conclude(made, say)
    if made.failure:
        if made.kept_notebook:
            click.echo(f"Partly executed notebook: {made.kept_notebook}")
        click.echo(_how_to_go_on(context))
        _stop(made.failure, FAILED)
    if made.expected:
        _check(made, say)


def _conclude(made: Report, say: Callable[[str], None]) -> None:
    """Print the headline and where the report is."""
    from digits_helpers.results import headline_text

    if made.headline:
        say(headline_text(made.headline))
    click.echo(f"Report: {made.index}")


def _how_to_go_on(context: click.Context) -> str:
    """Write the command that goes on with a report, with the options of this one."""
    words = ["digits", "report", "--resume"]
    for option in context.command.params:
        name = str(option.name)
        if name != "resume" and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            value = context.params[name]
            words += [option.opts[-1]] if value is True else [option.opts[-1], str(value)]
    return "Go on with: " + (subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words))


def _check(made: Report, say: Callable[[str], None]) -> None:
    """Print how the results compare with the expected ones; stop where one of them has drifted."""
    from digits_helpers.verdict import as_table

    rows = json.loads((made.folder / "results.json").read_text(encoding="utf-8"))["verdict"]
    drifted = [row["quantity"] for row in rows if row["ok"] is False]
    (click.echo if drifted else say)(as_table(rows))
    if drifted:
        _stop(f"The results differ from {str(made.expected)!r} in {', '.join(drifted)}: see the table above.", FAILED)


@main.command()
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUES", help="What varies: seed=0:10 or epochs=1,3; repeat it.")
@_parameter("dataset")
@click.option("--lessons", default="04-05", show_default=True, help="Which lessons a run consists of: 04-05 or 02,04.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Runs at a time on this machine; one per processor.")
@click.option("--scheduler", metavar="ADDRESS", help="Use the dask cluster at this address, as in tcp://192.0.2.1:8786.")
@click.option("--output", default="sweep", show_default=True, metavar="DIR", help="Folder of the table and the notebooks.")
@click.option("--resume", is_flag=True, help="Run only what is missing, failed or outdated in the folder.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but the end.")
def sweep(lessons: str, output: str, settings: tuple[str, ...], **options: Any) -> None:
    """Run lessons once for every combination of parameters, many at a time, and make one table."""
    from digits_helpers.series import NOTEBOOKS, select_lessons
    from digits_helpers.sweep import count_runs, run_sweep, spread_lines

    table = run_sweep(settings, select_lessons(lessons), Path(output), NOTEBOOKS, say=click.echo, **options)
    for line in spread_lines(table):
        click.echo(line)
    click.echo(f"Table: {table.csv_path} ({count_runs(len(table.rows))} on {table.settings['dataset']} data)")
    if table.failed:
        first = table.failed[0]
        _stop(f"{count_runs(len(table.failed))} failed, the first of them {first.name}: {first.error}", FAILED)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def lab(options: tuple[str, ...]) -> None:
    """Open JupyterLab at lesson 01; OPTIONS are passed on to it."""
    from digits_helpers.series import LESSONS, NOTEBOOKS, PROJECT, absolute_folders, notebook_path

    first = notebook_path(LESSONS[0], NOTEBOOKS).relative_to(PROJECT)
    command = [sys.executable, "-m", "jupyterlab", str(first), *options]
    environment = {**os.environ, "JUPYTER_PREFER_ENV_PATH": "1", **absolute_folders()}
    try:
        sys.exit(subprocess.call(command, cwd=PROJECT, env=environment))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@main.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 where something would change.")
def navigation(check: bool) -> None:
    """Write the links between the lessons and README's lesson table from the list of lessons."""
    from digits_helpers.navigation import update_navigation

    changed = update_navigation(check=check)
    for path in changed:
        click.echo(f"{path.name}: {'not in line with the list of lessons' if check else 'written'}")
    if check and changed:
        _stop("Run `digits navigation` and commit what it writes.", FAILED)


@main.command()
@click.option("--lessons", default="01-05", show_default=True, help="Which lessons: 02, 01-05 or 01,03.")
def refresh(lessons: str) -> None:
    """Rewrite all stored outputs and the shipped network from a real run on MNIST."""
    from digits_helpers.refresh import refresh as refresh_outputs
    from digits_helpers.series import select_lessons

    changed = refresh_outputs(select_lessons(lessons), say=click.echo)
    click.echo("Changed: " + (", ".join(changed) or "nothing"))


@main.command()
@click.argument("stored", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--pictures", type=click.Path(path_type=Path), help="Folder for pictures of figures that differ.")
def verify(stored: Path, new: Path, pictures: Path | None) -> None:
    """Compare two executed notebooks: text to the letter, numbers within tolerance, figures by pixels."""
    from digits_helpers.verify import verify_notebooks

    findings = verify_notebooks(stored, new, pictures=pictures)
    for finding in findings:
        click.echo(finding)
    if findings:
        _stop(f"{len(findings)} difference{'s' if len(findings) > 1 else ''} between {stored} and {new}.", FAILED)
    click.echo("No difference beyond the tolerances.")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
@click.option("--download", is_flag=True, help="Download MNIST where it is missing.")
def doctor(as_json: bool, download: bool) -> None:
    """Say whether the lessons can run here, and which of their numbers should be equal."""
    from digits_helpers import doctor as examination

    findings = examination.diagnose(download)
    click.echo(examination.as_json(findings) if as_json else examination.as_text(findings))
    if examination.stops(findings):
        sys.exit(FAILED)
