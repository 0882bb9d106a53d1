"""Errors that are meant for the reader of a lesson."""


class DigitsError(Exception):
    """Base of every error that the series raises on purpose.

    Its message is one sentence: the value received, what is allowed, and what to do next. A notebook shows that
    sentence instead of a traceback, because a mistake in a parameter is no reason to show somebody else's code.

    Attributes:
        exit_code: what the ``digits`` command exits with; 2 means bad input.
    """

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        """Give IPython the one line that it shows."""
        return [f"{type(self).__name__}: {self}"]


class DatasetError(DigitsError):
    """The images are not available as asked: unknown name, or a folder without good data."""


class MnistUnavailable(DatasetError):
    """MNIST is not on this machine and could not be downloaded."""
