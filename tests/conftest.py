"""Fixtures that several rooms share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("DIGITS_", "KERAS_HOME"))}


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """A test that leaves another environment or folder behind would decide what the notebooks after it see."""
    environment, folder = _environment(), Path.cwd()
    yield
    assert _environment() == environment
    assert Path.cwd() == folder


@pytest.fixture(scope="session")
def mnist():
    """MNIST as `load_digits` returns it; the test is skipped where MNIST is not at hand."""
    from digits_helpers.data import load_digits
    from digits_helpers.errors import DigitsError

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITS_OFFLINE", "1")  # a test downloads nothing
        try:
            return load_digits("mnist", verbose=False)
        except DigitsError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def embedded():
    """The digits that are on every machine."""
    from digits_helpers.data import load_digits

    return load_digits("embedded", verbose=False)
