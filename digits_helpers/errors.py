"""Errors that are meant for the reader of a lesson.

A mistake in a parameter or a missing file is no reason to show twenty lines of
somebody else's code. Every such error says in one sentence what was given, what
is allowed, and what to do next.
"""

from __future__ import annotations


class DigitsError(Exception):
    """Base of every error that this package raises on purpose.

    Its message is one sentence for the reader: the value received, what is
    allowed, and what to do next.
    """

    def _render_traceback_(self) -> list[str]:
        """Give IPython the one line that a notebook shows instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]
