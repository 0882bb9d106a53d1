"""What pytest does with the notebooks of this project: nbval runs them, nbval_tolerance compares their outputs.

With MNIST on the machine every stored output is compared (nbval's strict mode). Without it the lessons run on the
embedded digits, and only cells tagged `nbval-check-output` are compared (lax mode).
"""

import json
import os
from pathlib import Path

import pytest

CELL_SECONDS = 3600  # the reference training is one cell: 10 minutes on two cores, 40 on a slow machine
OUTPUT_SECONDS = 60  # the last output of a cell, on a machine that is busy
CHECK_TAG = "nbval-check-output"
_PROBLEM = pytest.StashKey[str]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose what nbval compares, if notebooks are among what pytest is asked to check."""
    option = config.option
    if not _notebooks(config):
        return
    # What a kernel inherits: nothing is downloaded, no progress bar is drawn, no debugger warns
    os.environ |= {"DIGITS_OFFLINE": "1", "TQDM_DISABLE": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    if os.environ.get("DIGITS_DATA_DIR"):  # kernels work in another folder
        os.environ["DIGITS_DATA_DIR"] = str(Path(os.environ["DIGITS_DATA_DIR"]).expanduser().resolve())
    if not (option.nbval or option.nbval_lax):
        config.stash[_PROBLEM] = _why_no_mnist()
        option.nbval, option.nbval_lax = not config.stash[_PROBLEM], bool(config.stash[_PROBLEM])
    option.nbval_cell_timeout = max(option.nbval_cell_timeout, CELL_SECONDS)
    # The kernel of this Python, not whichever other one is registered under the same name
    option.nbval_current_env = option.nbval_kernel_name is None


def _notebooks(config: pytest.Config) -> list[Path]:
    """The notebooks among the files and folders that pytest is asked to check."""
    found: list[Path] = []
    for argument in config.args:
        path = config.invocation_params.dir / argument.split("::")[0]
        found += sorted(path.glob("*.ipynb")) if path.is_dir() else [path] * (path.suffix == ".ipynb")
    return found


def _why_no_mnist() -> str:
    """Say what is missing where MNIST is not on this machine; an empty text where it is."""
    from digits_helpers.data import load_digits
    from digits_helpers.errors import DigitsError

    try:
        load_digits("mnist", verbose=False)
    except DigitsError as error:
        return str(error)
    return ""


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is compared on this machine."""
    notebooks = _notebooks(config)
    if not notebooks:
        return []
    if "not slow" in config.option.markexpr:
        return ["notebooks: not run, and their stored outputs not compared (-m 'not slow')"]
    if not config.option.nbval_lax:
        return ["notebooks: every stored output is compared with a new run on MNIST (strict)"]
    cells = [cell for path in notebooks for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    tags = [cell["metadata"].get("tags", []) for cell in cells if cell["cell_type"] == "code"]
    compared = sum(CHECK_TAG in cell for cell in tags)
    line = "notebooks: run on the embedded digits; compared are the outputs that do not depend on the data"
    return [f"{line}, {compared} of {len(tags)} cells", f"  {config.stash.get(_PROBLEM, '')}"]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the cells of the lessons as slow, and give their outputs time."""
    from nbval.plugin import IPyNbCell

    if isinstance(item, IPyNbCell):
        item.add_marker("slow")
        item.output_timeout = OUTPUT_SECONDS
        if item.cell.execution_count is None:  # nbval takes this for "never run" and would compare nothing
            item.cell.execution_count = 0
