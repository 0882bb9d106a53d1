"""Fixtures that several tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """A test that leaves another environment or folder behind would decide what the notebooks after it see."""
    before = {name: value for name, value in os.environ.items() if name.startswith(("DIGITS_", "KERAS_HOME"))}
    folder = Path.cwd()
    yield
    after = {name: value for name, value in os.environ.items() if name.startswith(("DIGITS_", "KERAS_HOME"))}
    assert after == before
    assert Path.cwd() == folder


@pytest.fixture(scope="session")
def mnist():
    """MNIST as the record that `load_digits` returns; the test is skipped where MNIST is not at hand."""
    from digits_helpers.data import load_digits
    from digits_helpers.errors import DigitsError

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITS_OFFLINE", "1")  # a test downloads nothing
        try:
            return load_digits("mnist")
        except DigitsError as error:
            pytest.skip(str(error))
