"""Make nbval compare the way `digits_helpers.verify` does: the hook between the two.

nbval starts the kernels and runs the cells; this plugin replaces its comparison, says on top
of the report what is compared, and sets the environment of the kernels. What it needs of nbval
is its item class with `cell`, `parent.kernel`, `compare_outputs` and `comparison_traceback`, and its options.

* `python -m pytest` checks everything, the stored notebooks included.
* `python -m pytest -m "not slow"` leaves out what takes long: running the lessons.
* `python -m pytest notebooks/05_evaluate.ipynb` checks one lesson.

With MNIST on the machine, every output is compared (nbval's strict mode). Without it the lessons
run on the embedded digits, and only cells tagged `nbval-check-output` are compared (lax mode).
"""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

from digits_helpers import verify
from digits_helpers.errors import DigitsError
from digits_helpers.series import LESSONS, kernel_environment

CHECK_TAG = "nbval-check-output"
CELL_SECONDS = 3600  # a training of the reference recipe in one cell: 10 minutes on two cores, 40 on a slow machine
QUICK_MINUTES = 5  # all tests that are not marked as slow, on two cores
OTHER_MINUTES = 13  # all tests but the stored notebooks, on two cores
OUTPUT_SECONDS = 60  # the last output of a cell, on a machine that is busy


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of what takes long."""
    config.addinivalue_line("markers", "slow: takes minutes; leave it out with -m 'not slow'")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Choose what nbval compares, if notebooks are among what pytest is asked to check."""
    config, option = session.config, session.config.option
    if not _notebooks(config):
        return
    if not (option.nbval or option.nbval_lax):
        config.stash[_MISSING] = _why_no_mnist()
        option.nbval, option.nbval_lax = config.stash[_MISSING] is None, config.stash[_MISSING] is not None
    option.nbval_cell_timeout = max(option.nbval_cell_timeout, CELL_SECONDS)
    # The kernel of this Python, not whichever other one is registered under the same name.
    option.nbval_current_env = option.nbval_kernel_name is None
    config.stash[_ARTIFACTS] = Path(tempfile.mkdtemp(prefix="digits-artifacts-"))
    config.add_cleanup(functools.partial(shutil.rmtree, config.stash[_ARTIFACTS], ignore_errors=True))
    config.stash[_TOLERANCES] = verify.load_tolerances()
    shutil.rmtree(_figures(config), ignore_errors=True)


_MISSING = pytest.StashKey[str | None]()
_ARTIFACTS = pytest.StashKey[Path]()
_TOLERANCES = pytest.StashKey[verify.Tolerances]()


def _figures(config: pytest.Config) -> Path:
    """The folder for the pictures of figures that differ."""
    return config.rootpath / "build" / "figures"


def _notebooks(config: pytest.Config) -> list[Path]:
    """The notebooks among the files and folders that pytest is asked to check."""
    found: list[Path] = []
    for argument in config.args:
        path = config.invocation_params.dir / argument.split("::")[0]
        notebooks = sorted(path.glob("**/*.ipynb")) if path.is_dir() else [path] * (path.suffix == ".ipynb")
        found += [notebook for notebook in notebooks if ".ipynb_checkpoints" not in notebook.parts]
    return found


def _why_no_mnist() -> str | None:
    """None if MNIST is on this machine, or else the sentence that says what is missing."""
    from digits_helpers.data import load_digits

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITS_OFFLINE", "1")
        try:
            load_digits("mnist")
        except DigitsError as error:
            return str(error)
    return None


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is compared on this machine."""
    notebooks = _notebooks(config)
    if not notebooks:
        return []
    if config.option.markexpr == "not slow":
        return [f"notebooks: not run, and their stored outputs not compared (-m 'not slow'); about {QUICK_MINUTES} minutes"]
    if not config.option.nbval_lax:
        minutes = sum(lesson.running for lesson in LESSONS) + OTHER_MINUTES
        return [f"notebooks: stored outputs compared with a new run on MNIST (strict); about {minutes} minutes on two cores"]
    tags = [tags for notebook in notebooks for tags in _code_cell_tags(notebook)]
    checked = sum(CHECK_TAG in cell for cell in tags)
    return [
        "notebooks: MNIST not found: lessons run on the embedded digits; only outputs that do not depend on "
        f"the data are compared (cells tagged {CHECK_TAG}), {checked} of {len(tags)} cells; about {OTHER_MINUTES + 3} minutes",
        *([f"  {config.stash[_MISSING]}"] if config.stash.get(_MISSING, None) else []),
    ]


def _code_cell_tags(notebook: Path) -> list[list[str]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell["metadata"].get("tags", []) for cell in cells if cell["cell_type"] == "code"]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Replace nbval's comparison, and mark the cell as slow."""
    if not isinstance(item, IPyNbCell):
        return
    item.add_marker("slow")
    item.compare_outputs = functools.partial(_compare, item)
    item.output_timeout = OUTPUT_SECONDS
    if item.cell.execution_count is None:
        item.cell.execution_count = 0  # nbval takes None for "never run" and would compare nothing


def _compare(item: IPyNbCell, new: list, stored: list) -> bool:
    """Compare a cell's outputs; leave what differs where nbval looks for it. True if nothing does."""
    notebook = Path(item.path)
    pictures = _figures(item.config) / f"{notebook.stem}-{item.cell.get('id', item.cell_num)}"
    findings = verify.compare_outputs(
        stored, new, verify.comparison_class(item.cell), item.config.stash[_TOLERANCES], pictures
    )
    place = verify.place_of(notebook.name, item.cell)
    item.comparison_traceback = [str(finding.within(place)) for finding in findings]
    return not findings


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Set the environment in which nbval starts the notebook's kernel, and take it back after that."""
    if not isinstance(item, IPyNbCell) or item.parent.kernel is not None:
        return (yield)
    with kernel_environment(DIGITS_OFFLINE="1", DIGITS_ARTIFACTS_DIR=_artifacts(item)):
        return (yield)


def _artifacts(item: IPyNbCell) -> Path:
    """The folder for what lessons leave to each other.

    On MNIST each lesson has its own, so that lesson 05 evaluates the network that comes with the
    series. On the embedded digits they share one: there, lesson 05 needs what lesson 04 made.
    """
    shared = item.config.stash[_ARTIFACTS]
    folder = shared if item.config.option.nbval_lax else shared / Path(item.path).stem
    folder.mkdir(parents=True, exist_ok=True)
    return folder
