"""The hook into pytest and nbval: nbval runs the cells, this compares what they give.

What it needs of nbval is its item class with `cell`, `parent.kernel`, `compare_outputs` and `comparison_traceback`.
"""

import functools
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# name: help, kind of ini option (pytest's), default
_OPTIONS: dict[str, tuple[str, str, Any]] = {
    "file": ("TOML file with tolerances of classes and quantities", "string", ""),
    "rtol": ("relative tolerance of numbers in cells without a tag (default: they have to be equal)", "string", ""),
    "atol": ("absolute tolerance of numbers in cells without a tag", "string", ""),
    "classes": ("tolerance of cells with a tag, such as 'close: rtol=1e-4 atol=1e-8'; one per line", "linelist", []),
    "volatile": ("regular expressions for more that is never compared; one per line", "linelist", []),
    "compared": ("volatile kinds to compare nevertheless: durations, clock, addresses, paths", "args", []),
    "workdir": ("'temporary': run each notebook in a fresh folder (default: where it stands)", "string", ""),
    "pictures": ("folder for the pictures of figures that differ", "string", "build/figures"),
}
# Statements that leave no name behind, so that the notebook does not notice. A kernel that does not know this package
# raises an error that nobody sees, and its figures are compared by pixels.
_LOAD_EXTENSION = "get_ipython().run_line_magic('load_ext', 'nbval_tolerance')"
_CHANGE_FOLDER = "__import__('os').chdir({!r})"
_KERNEL_SECONDS = 60
_TOLERANCES = pytest.StashKey[Any]()
_FOLDER = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add each option twice: to the ini file as nbval_tolerance_x, to the command line as --nbval-tolerance-x."""
    group = parser.getgroup("nbval_tolerance", "comparing what nbval runs within tolerances")
    for name, (text, kind, default) in _OPTIONS.items():
        parser.addini(f"nbval_tolerance_{name}", text, kind, default)
        group.addoption(f"--nbval-tolerance-{name}", action="store" if kind == "string" else "append", help=text)


def _option(config: pytest.Config, name: str) -> Any:
    given = config.getoption(f"nbval_tolerance_{name}")
    return given if given is not None else config.getini(f"nbval_tolerance_{name}")


def _is_cell(item: pytest.Item) -> bool:
    nbval = sys.modules.get("nbval.plugin")
    return nbval is not None and isinstance(item, nbval.IPyNbCell)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Replace nbval's comparison."""
    if not _is_cell(item):
        return
    if _TOLERANCES not in item.config.stash:
        from nbval_tolerance import ToleranceError, load_tolerances

        settings = {name: _option(item.config, name) for name in ("rtol", "atol", "classes", "volatile", "compared")}
        path = _option(item.config, "file")
        try:
            tolerances = load_tolerances(item.config.rootpath / path if path else None, **settings)
        except ToleranceError as error:
            raise pytest.UsageError(str(error)) from None
        item.config.stash[_TOLERANCES] = tolerances
    item.compare_outputs = functools.partial(_compare, item)


def _compare(item: Any, new: list, stored: list) -> bool:
    """Compare a cell's outputs; leave what differs where nbval looks for it. True if nothing does."""
    from nbval_tolerance import ToleranceError, compare_cell, comparison_class
    from nbval_tolerance.compare import place_of

    notebook, tolerances = Path(item.path), item.config.stash[_TOLERANCES]
    folder = item.config.rootpath / _option(item.config, "pictures")
    if item.parent.sanitize_patterns:  # --nbval-sanitize-with
        stored, new = item.sanitize_outputs(stored, ()), item.sanitize_outputs(new, ())
    try:
        kind = comparison_class(item.cell, tolerances)
        pictures = folder / f"{notebook.stem}-{item.cell.get('id', item.cell_num)}"
        findings = compare_cell(stored, new, kind, tolerances, pictures)
        item.comparison_traceback = [str(one.within(place_of(notebook.name, item.cell))) for one in findings]
    except ToleranceError as error:
        item.comparison_traceback = [str(error)]
    return not item.comparison_traceback


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Prepare the kernel before a notebook's first cell."""
    started = not _is_cell(item) or item.parent.kernel is not None
    result = yield
    if not started:
        kernel, config = item.parent.kernel, item.config
        # With the history that a notebook has, which nbval leaves out, a semicolon at the end hides a value.
        kernel.kc.execute = functools.partial(_execute, kernel.kc.execute)
        if kernel.language in (None, "python"):
            _run_silently(kernel, _LOAD_EXTENSION)
        if kernel.language in (None, "python") and _option(config, "workdir") == "temporary":
            if _FOLDER not in config.stash:
                config.stash[_FOLDER] = Path(tempfile.mkdtemp(prefix="nbval-tolerance-"))
                config.add_cleanup(functools.partial(shutil.rmtree, config.stash[_FOLDER], ignore_errors=True))
            _run_silently(kernel, _CHANGE_FOLDER.format(tempfile.mkdtemp(dir=config.stash[_FOLDER])))
    return result


def _execute(execute: Any, code: str, silent: bool = False, **options: Any) -> str:
    return execute(code, silent=silent, **{**options, "store_history": not silent})


def _run_silently(kernel: Any, code: str) -> None:
    """Run a statement of which the notebook sees neither an output nor an error."""
    message = kernel.kc.execute(code, silent=True, allow_stdin=False)
    kernel.await_reply(message, timeout=_KERNEL_SECONDS)
    kernel.await_idle(message, timeout=_KERNEL_SECONDS)
