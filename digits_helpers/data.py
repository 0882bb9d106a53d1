"""The images of handwritten digits that every lesson works on (lesson 01)."""

import hashlib
import textwrap
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from digits_helpers import _embedded, _mnist
from digits_helpers._mnist_files import digest_of, to_idx
from digits_helpers.errors import DatasetError, MnistUnavailable

DATASETS = ("auto", "mnist", "embedded")
PARTS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True, eq=False, repr=False)
class Digits:
    """Images of handwritten digits, with labels, in a training and a test part.

    Attributes:
        name: "mnist" or "embedded".
        train_images: uint8, shape (n, 28, 28), 0 (background) to 255 (full ink). All four arrays are read-only:
            ``images.copy()`` gives an array to write into.
        train_labels: uint8, shape (n,), 0 to 9.
        test_images: uint8, shape (m, 28, 28).
        test_labels: uint8, shape (m,).
        source: where the data were found: a path, an address or a package.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    source: str

    def __post_init__(self) -> None:
        for part in PARTS:
            getattr(self, part).setflags(write=False)

    def __repr__(self) -> str:
        return f"{self.title}: {len(self.train_labels):,} training and {len(self.test_labels):,} test images"

    @property
    def title(self) -> str:
        """What to call the set in a sentence or a figure."""
        return "MNIST" if self.name == "mnist" else "the embedded digits"

    @property
    def notice(self) -> str | None:
        """What a reader must know when this is not MNIST; None when it is."""
        if self.name == "mnist":
            return None
        return (
            f"This is not MNIST: these are the {len(self.train_labels) + len(self.test_labels):,} handwritten digits "
            "that come with scikit-learn (8×8 pixels, enlarged to 28×28), and every number differs from MNIST's. "
            f"To work on MNIST, {_mnist.HOW_TO_GET_MNIST}."
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the four arrays in MNIST's own file format; the same digest means the same data."""
        return hashlib.sha256(b"".join(to_idx(getattr(self, part)) for part in PARTS)).hexdigest()

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each array in MNIST's own file format, by its name, and `digest` under "all"."""
        return {**{part: digest_of(getattr(self, part)) for part in PARTS}, "all": self.digest}


def load_digits(dataset: str = "auto", verbose: bool = True) -> Digits:
    """Load the images of handwritten digits, and say which they are.

    MNIST is looked for in the folder that the environment variable DIGITS_DATA_DIR names. Without that variable it is
    looked for in Keras's cache, and downloaded into the cache if it is not there (never with DIGITS_OFFLINE=1).

    Args:
        dataset: "mnist"; "embedded": the small set of digits that comes with scikit-learn; or "auto": MNIST, and
            where it is not available the embedded digits.
        verbose: print one line about what was loaded, and several when it is not MNIST.

    Raises:
        MnistUnavailable: "mnist" was asked for, is not on this machine and could not be downloaded.
        DatasetError: the name is unknown, or DIGITS_DATA_DIR holds no good copy of MNIST.
    """
    if dataset not in DATASETS:
        raise DatasetError(f'dataset is {dataset!r}, but only "auto", "mnist" and "embedded" exist: write one of them.')
    digits = None
    if dataset != "embedded":
        try:
            arrays, source = _mnist.load_mnist()
            digits = Digits("mnist", **arrays, source=source)
        except MnistUnavailable:
            if dataset == "mnist":
                raise
    if digits is None:
        arrays, source = _embedded.make_digits()
        digits = Digits("embedded", **arrays, source=source)
    if verbose:
        print(digits)
        if digits.notice:
            print(textwrap.indent("\n" + textwrap.fill(digits.notice, 100), "*** "))
    return digits


# Test images whose label fewer than three of five reviewers agreed with:
# index -> (label given, label that at least three of the five chose, or None).
# Source: C. G. Northcutt, A. Athalye, J. Mueller, "Pervasive Label Errors in Test Sets Destabilize Machine Learning
# Benchmarks", NeurIPS 2021 Datasets and Benchmarks, arXiv:2103.14749; the reviewers' answers are in
# mturk/mnist_mturk.json of github.com/cleanlab/label-errors.
KNOWN_LABEL_ERRORS: dict[int, tuple[int, int | None]] = {
    947: (8, 9),
    1621: (0, 6),
    1901: (9, 4),
    2130: (4, None),
    2462: (2, 0),
    2597: (5, 3),
    2654: (6, None),
    3520: (6, None),
    3558: (5, 0),
    5937: (5, 3),
    6651: (0, 6),
    6783: (1, 6),
    8527: (4, None),
    9679: (6, None),
    9729: (5, 6),
}
