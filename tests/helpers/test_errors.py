"""Errors are one sentence, in a notebook too."""

import io

from IPython.core.interactiveshell import InteractiveShell


def test_ipython_shows_one_line_and_no_traceback(monkeypatch, tmp_path):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shown = io.StringIO()
    monkeypatch.setattr("sys.stdout", shown)
    monkeypatch.setattr("sys.stderr", shown)
    shell = InteractiveShell()
    shell.run_cell("from digits_helpers.errors import MnistUnavailable\nraise MnistUnavailable('colour is 7.')")
    assert "MnistUnavailable: colour is 7." in shown.getvalue()
    assert "Traceback" not in shown.getvalue()
