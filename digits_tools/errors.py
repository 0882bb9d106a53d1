"""Errors of the `digits` command; each knows the exit code that the command ends with."""

from digits_helpers.errors import DigitsError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class InputError(DigitsError):
    """What was given on the command line cannot be used: lessons, parameters, files or folders."""

    exit_code = BAD_INPUT


class NotebookError(DigitsError):
    """A notebook is missing or damaged."""

    exit_code = FAILED


class WriteError(DigitsError):
    """A command ran to its end, but its results cannot be written."""

    exit_code = FAILED
