"""The command `digits`. Commands import what they need, so that `digits --help` answers at once."""

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

import click

import digits_helpers
from digits_helpers.errors import DigitsError
from digits_helpers.parameters import PARAMETERS, check_value

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


class Commands(click.Group):
    """Commands whose errors for the reader end as one sentence on standard error, without a traceback."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(context)
        except DigitsError as error:
            _stop(str(error), exit_status(error))
        except OSError as error:
            name = f" ({error.filename})" if error.filename else ""
            _stop(f"A file cannot be read or written{name}: {error.strerror or error}.", FAILED)


def exit_status(error: DigitsError) -> int:
    """Return 2 when the input was at fault, 130 after an interruption, and 1 when a run failed."""
    from digits_helpers.data import DatasetError
    from digits_helpers.parameters import ParameterError
    from digits_helpers.report import OutputError
    from digits_helpers.series import Interrupted, SelectionError
    from digits_helpers.verify import VerifyError

    if isinstance(error, Interrupted):
        return INTERRUPTED
    bad_input = (DatasetError, ParameterError, OutputError, SelectionError, VerifyError)
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


@main.command()
@_parameter("dataset")
@_parameter("epochs")
@_parameter("batch_size")
@_parameter("seed")
@click.option("--lessons", default="01-05", show_default=True, help="Which lessons: 02, 01-05 or 01,03.")
@click.option("--output", default="report", show_default=True, metavar="DIR", help="Folder of the report.")
def report(lessons: str, output: str, **parameters: Any) -> None:
    """Run the lessons in order and make a report of them."""
    from digits_helpers.report import run_report
    from digits_helpers.results import headline_text
    from digits_helpers.series import NOTEBOOKS, select_lessons

    made = run_report(select_lessons(lessons), Path(output), NOTEBOOKS, say=click.echo, **parameters)
    if made.headline:
        click.echo(headline_text(made.headline))
    click.echo(f"Report: {made.index}")
    if made.failure:
        if made.kept_notebook:
            click.echo(f"Partly executed notebook: {made.kept_notebook}")
        _stop(made.failure, FAILED)


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
