"""Fixtures that several tests share."""

from __future__ import annotations

import pytest


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
