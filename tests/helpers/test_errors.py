"""Checks on `digits_helpers.errors`."""

from __future__ import annotations

import os
import subprocess
import sys

from digits_helpers.errors import DigitsError


class ColourError(DigitsError):
    """An error as another module would define it."""


def test_one_line_stands_for_the_traceback():
    assert ColourError("colour is 7.")._render_traceback_() == ["ColourError: colour is 7."]


def test_ipython_shows_that_line_and_no_traceback(tmp_path):
    code = "from tests.test_errors import ColourError\nraise ColourError('colour is 7.')"
    shown = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", code],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "IPYTHONDIR": str(tmp_path), "PYTHONPATH": os.getcwd()},
        timeout=60,
    )
    output = shown.stdout + shown.stderr
    assert "ColourError: colour is 7." in output
    assert "Traceback" not in output
