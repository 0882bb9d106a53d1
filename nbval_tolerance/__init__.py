"""Compare the stored outputs of notebooks with a new run: numbers within tolerance, figures by what they draw.

A pytest plugin on top of nbval, a command (`python -m nbval_tolerance`), and an IPython extension
(`%load_ext nbval_tolerance`) that describes the figures which a notebook shows. See docs/nbval_tolerance.md.
"""

from typing import Any

from nbval_tolerance.compare import compare_cell, compare_notebooks, comparison_class, join_streams, read_notebook
from nbval_tolerance.describe import describe_figure, register
from nbval_tolerance.text import Finding
from nbval_tolerance.tolerances import ToleranceError, Tolerances, load_tolerances

__all__ = [
    "Finding", "ToleranceError", "Tolerances", "compare_cell", "compare_notebooks", "comparison_class",
    "describe_figure", "join_streams", "load_tolerances", "read_notebook",
]  # fmt: skip


def load_ipython_extension(ipython: Any) -> None:
    """Describe every matplotlib figure that this kernel shows, in its output's metadata."""
    register(ipython)
