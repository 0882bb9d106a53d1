"""The images of handwritten digits that every lesson works on.

Lesson 01 introduces this module. `load_digits` gives one record of four arrays:
either MNIST, or the small set of digits that scikit-learn brings along.

MNIST comes in many containers and from many places. Here it is accepted by the
SHA-256 digests of its four arrays and by nothing else, so a damaged, outdated or
altered copy never reaches a lesson, and nothing that it contains is executed.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import secrets
import struct
import threading
import time
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from digits_helpers.errors import DigitsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DATASETS = ("auto", "mnist", "embedded")

# The four arrays, always in this order.
MNIST_SHAPES: dict[str, tuple[int, ...]] = {
    "train_images": (60_000, 28, 28),
    "train_labels": (60_000,),
    "test_images": (10_000, 28, 28),
    "test_labels": (10_000,),
}

# SHA-256 of each array's IDX form (see `idx_header`), which is the file that MNIST's makers
# publish, unpacked. Computed from a copy whose four files have the widely published MD5 digests
#   6bbc9ace898e44ae57da46a324031adb  a25bea736e30d166cdddb491f175f624
#   2646ac647ad5339dbf082846283269ea  27ae3e4e09519cfbb04c329615203637
# in the same order; a test computes both again where MNIST is present.
MNIST_DIGESTS: dict[str, str] = {
    "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train_labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# `Digits.digest` of the embedded set. A test compares it, so that a new version of scikit-learn or
# Pillow that changes a pixel is noticed before it changes the lessons.
EMBEDDED_DIGEST = "1cfc12c866adfdd0b047937f3c5075017aa43c0db79b406b4270279c58431cdb"

# Test images whose label fewer than three of five reviewers agreed with:
# index -> (label given, label that at least three of the five chose, or None).
# Source: C. G. Northcutt, A. Athalye, J. Mueller, "Pervasive Label Errors in Test Sets Destabilize
# Machine Learning Benchmarks", NeurIPS 2021 Datasets and Benchmarks, arXiv:2103.14749; the
# reviewers' answers are in mturk/mnist_mturk.json of github.com/cleanlab/label-errors.
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

# The names of the four arrays in Keras's mnist.npz, and of the four files of MNIST's makers.
_NPZ_NAMES = {
    "train_images": "x_train",
    "train_labels": "y_train",
    "test_images": "x_test",
    "test_labels": "y_test",
}
_IDX_NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}

# The address that Keras downloads from, and the one that torchvision uses.
_NPZ_ADDRESS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
_IDX_ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist/"
# So long may a server stay silent. There are two addresses: an offline machine knows after 18 s.
_PATIENCE_SECONDS = 9.0

_HOW_TO_GET_MNIST = (
    "connect to the internet and run again, or put mnist.npz into a folder "
    "and set DIGITS_DATA_DIR to that folder"
)


class DatasetError(DigitsError):
    """The images cannot be had as asked: unknown name, or a folder without good data."""


class MnistUnavailable(DatasetError):
    """MNIST is not on this machine and could not be downloaded."""


class _NotUsable(Exception):
    """What was found is not MNIST; the message finishes a sentence that begins with its name."""


@dataclass(frozen=True, eq=False, repr=False)
class Digits:
    """Images of handwritten digits, with labels, in a training and a test part.

    Attributes:
        name: "mnist" or "embedded".
        train_images: uint8, shape (n, 28, 28), 0 (background) to 255 (full ink). All four arrays
            are read-only: `images.copy()` gives an array to write into.
        train_labels: uint8, shape (n,), 0 to 9.
        test_images: As `train_images`, for the m test images.
        test_labels: As `train_labels`, for the m test images.
        source: Where the data were found: a path, an address or a package.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    source: str

    @property
    def title(self) -> str:
        """What to call the set in a sentence or a figure."""
        return "MNIST" if self.name == "mnist" else "the embedded digits"

    @property
    def notice(self) -> str | None:
        """Two sentences of Markdown to show when this is not MNIST; None when it is."""
        if self.name == "mnist":
            return None
        return (
            "**This is not MNIST: these are the embedded digits,** the "
            f"{len(self.train_labels) + len(self.test_labels):,} handwritten digits that come with "
            "scikit-learn (8×8 pixels, enlarged to 28×28), and every result differs from MNIST's. "
            f"To work on MNIST, {_HOW_TO_GET_MNIST}."
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the IDX forms of the four arrays, as 64 hexadecimal digits.

        Two records with the same digest hold the same images and labels in the same order, so
        a later lesson can tell whether a network was trained on the data at hand.
        """
        sha256 = hashlib.sha256()
        for part in MNIST_SHAPES:
            array = getattr(self, part)
            sha256.update(idx_header(array.shape))
            sha256.update(array)
        return sha256.hexdigest()

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the IDX form of each array, by its name, and `digest` under "all"."""
        arrays = {part: getattr(self, part) for part in MNIST_SHAPES}
        each = {part: hashlib.sha256(idx_header(array.shape) + array.tobytes()) for part, array in arrays.items()}
        return {**{part: sha256.hexdigest() for part, sha256 in each.items()}, "all": self.digest}

    def __repr__(self) -> str:
        return (
            f"Digits({self.name}: {len(self.train_labels):,} training and "
            f"{len(self.test_labels):,} test images of 28×28 pixels)"
        )


def load_digits(dataset: str = "auto") -> Digits:
    """Load the images of handwritten digits (lesson 01).

    MNIST is looked for in the folder that DIGITS_DATA_DIR names, then in Keras's cache, and is
    downloaded into that cache when it is in neither. Any of `mnist.npz` and the four IDX files,
    gzipped or not, will do. With DIGITS_OFFLINE=1 nothing is downloaded.

    A folder in DIGITS_DATA_DIR is a wish: where it holds no good copy that is an error, also
    with "auto", rather than a search elsewhere that nobody asked for. A damaged file in Keras's
    cache is nobody's wish: a warning names it and the search goes on.

    Args:
        dataset: "mnist", "embedded", or "auto": MNIST, and where it cannot be had the embedded
            digits, whose `notice` says so. Both parts of the embedded digits come from the same
            13 writers, so scores on their test part are optimistic.

    Returns:
        The record of the four arrays.

    Raises:
        MnistUnavailable: "mnist" was asked for, and is neither here nor to be downloaded.
        DatasetError: The name is unknown, or DIGITS_DATA_DIR holds no good copy of MNIST.
    """
    if dataset not in DATASETS:
        raise DatasetError(
            f'dataset is {dataset!r}, but only "auto", "mnist" and "embedded" exist: '
            "write one of these three."
        )
    if dataset != "embedded":
        try:
            return _load_mnist()
        except MnistUnavailable:
            if dataset == "mnist":
                raise
    return _make_embedded()


def idx_header(shape: tuple[int, ...]) -> bytes:
    """Give the bytes that precede a uint8 array of this shape in an IDX file.

    They are two zeros, 8 (the code for unsigned bytes), the number of dimensions, and each
    dimension as a big-endian 32-bit integer: 16 bytes for images, 8 for labels. The format is
    described on the MNIST page of Y. LeCun, C. Cortes and C. J. C. Burges.

    >>> idx_header((60_000,)).hex()
    '000008010000ea60'
    """
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)


# --- MNIST: where it is looked for ---


def _load_mnist() -> Digits:
    """Find MNIST in the user's folder, in Keras's cache or on the internet, in that order."""
    chosen = os.environ.get("DIGITS_DATA_DIR")
    if chosen:
        return _from_chosen_folder(Path(os.path.expanduser(chosen)))
    problems: list[str] = []
    cache = _keras_cache()
    found = _search(cache, problems)
    if found is None:
        for problem in problems:
            warnings.warn(
                f"{problem}; this file is not used and MNIST is looked for elsewhere.",
                stacklevel=3,
            )
        found = _download(cache, problems)
    if found is None:
        raise MnistUnavailable(
            f"MNIST is neither in Keras's cache {str(cache)!r} nor to be downloaded "
            f"({'; '.join(problems)}): {_HOW_TO_GET_MNIST}."
        )
    return found


def _from_chosen_folder(folder: Path) -> Digits:
    """Load MNIST from the folder in DIGITS_DATA_DIR, or say what is wrong with that folder."""
    if not os.path.isdir(folder):  # unlike Path.is_dir, it never raises
        raise DatasetError(
            f"DIGITS_DATA_DIR is {str(folder)!r}, which is not a folder, but must name the folder "
            "that holds mnist.npz or the four IDX files: correct it, or unset it to have MNIST "
            "found or downloaded."
        )
    problems: list[str] = []
    found = _search(folder, problems)
    if found is None:
        reason = "; ".join(problems) or "it holds neither mnist.npz nor the four IDX files"
        raise DatasetError(
            f"DIGITS_DATA_DIR is {str(folder)!r}, but MNIST cannot be read there ({reason}): "
            "put a good copy of mnist.npz there, or unset DIGITS_DATA_DIR to have MNIST found or "
            "downloaded."
        )
    return found


def _keras_cache() -> Path:
    """Give the folder in which Keras keeps data sets: it obeys KERAS_HOME, and so do we."""
    home = os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
    return Path(os.path.expanduser(home), "datasets")


def _search(root: Path, problems: list[str]) -> Digits | None:
    """Return the first good copy of MNIST in a folder; append what is wrong with the others."""
    for folder in (root, root / "mnist-idx"):
        try:
            npz = folder / "mnist.npz"
            if os.path.isfile(npz):
                return _record(_read_npz(_read_bounded(npz), str(npz)), str(npz))
        except _NotUsable as problem:
            problems.append(str(problem))
        try:
            files = _find_idx_files(folder)
            if files:
                arrays = {
                    part: _read_idx(_read_bounded(path), part, str(path))
                    for part, path in files.items()
                }
                return _record(arrays, str(folder))
        except _NotUsable as problem:
            problems.append(str(problem))
    return None


def _find_idx_files(folder: Path) -> dict[str, Path]:
    """Find the four IDX files in a folder; none is an empty answer, some are a problem."""
    found = {}
    for part, name in _IDX_NAMES.items():
        names = (name, name.replace("-idx", ".idx"))
        for candidate in (folder / (n + end) for n in names for end in ("", ".gz")):
            if os.path.isfile(candidate):
                found[part] = candidate
                break
    missing = [name for part, name in _IDX_NAMES.items() if part not in found]
    if found and missing:
        raise _NotUsable(f"{folder} lacks {', '.join(missing)}")
    return found


def _record(arrays: Mapping[str, NDArray[np.uint8]], source: str) -> Digits:
    return Digits(name="mnist", source=source, **arrays)


# --- MNIST: how a container is read ---


def _size_limit() -> int:
    """Bytes that no container of MNIST exceeds: all arrays unpacked, and room for headers."""
    return sum(math.prod(shape) for shape in MNIST_SHAPES.values()) + 2**20


def _read_bounded(path: Path) -> bytes:
    """Read a whole file that is no larger than MNIST can be."""
    try:
        with path.open("rb") as file:
            content = file.read(_size_limit() + 1)
    except OSError as error:
        raise _NotUsable(f"{path} cannot be read ({error.strerror})") from error
    if len(content) > _size_limit():
        raise _NotUsable(f"{path} is larger than MNIST in any form")
    return content


def _read_npz(content: bytes, name: str) -> dict[str, NDArray[np.uint8]]:
    """Read and verify the four arrays of an npz archive (a zip of .npy files).

    NumPy's own reader would unpack whatever the archive claims to hold. This one asks for the
    expected number of bytes, so a crafted file cannot fill the memory, and never unpickles.
    """
    _refuse_other_formats(content, name, b"PK", "an npz archive")
    arrays = {}
    for part, key in _NPZ_NAMES.items():
        try:
            with (
                zipfile.ZipFile(io.BytesIO(content)) as archive,
                archive.open(f"{key}.npy") as member,
            ):
                _check_npy_header(member, part, f"{key} in {name}")
                values = member.read(math.prod(MNIST_SHAPES[part]) + 1)
        except _NotUsable:
            raise
        except KeyError as error:
            raise _NotUsable(f"{name} holds no array {key}") from error
        except Exception as error:  # see _damaged
            raise _damaged(name) from error
        arrays[part] = _verified(values, part, f"{key} in {name}")
    return arrays


def _check_npy_header(member: BinaryIO, part: str, name: str) -> None:
    """Read the header of a .npy file and refuse all but the expected shape and dtype."""
    if np.lib.format.read_magic(member) != (1, 0):
        raise _NotUsable(f"{name} is not in version 1.0 of NumPy's format")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(member)
    if dtype.hasobject:
        raise _NotUsable(f"{name} holds pickled Python objects, which are never loaded")
    if fortran_order:
        raise _NotUsable(f"{name} is stored column by column instead of row by row")
    if (shape, dtype) != (MNIST_SHAPES[part], np.uint8):
        raise _NotUsable(
            f"{name} has shape {shape} and dtype {dtype} instead of {MNIST_SHAPES[part]} and uint8"
        )


def _read_idx(content: bytes, part: str, name: str) -> NDArray[np.uint8]:
    """Read and verify one IDX file, gzipped or not, whatever its name ends in."""
    header = idx_header(MNIST_SHAPES[part])
    expected = len(header) + math.prod(MNIST_SHAPES[part])
    if content.startswith(b"\x1f\x8b"):  # gzip's mark
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                content = file.read(expected + 1)
        except Exception as error:  # see _damaged
            raise _damaged(name) from error
    _refuse_other_formats(content, name, header, f"the IDX file of MNIST's {part}")
    return _verified(content, part, name, offset=len(header))


def _refuse_other_formats(content: bytes, name: str, magic: bytes, expected: str) -> None:
    """Tell the usual wrong files apart by their first bytes."""
    if content.startswith(magic):
        return
    if not content:
        what = "is empty"
    elif content[:64].lstrip().startswith(b"<"):
        what = "is a web page, so its download went wrong"
    elif content.startswith(b"\x80"):
        what = "is a Python pickle, which is never loaded"
    else:
        what = f"is not {expected}"
    raise _NotUsable(f"{name} {what}")


def _damaged(name: str) -> _NotUsable:
    """Damaged bytes make zipfile, zlib and NumPy raise a dozen errors; all mean this."""
    return _NotUsable(f"{name} is truncated or damaged")


def _verified(content: bytes, part: str, name: str, offset: int = 0) -> NDArray[np.uint8]:
    """Make an array of the bytes behind `offset` if, and only if, they are MNIST's.

    The array refers to the bytes, which makes it read-only for good and saves a copy.
    """
    shape = MNIST_SHAPES[part]
    if len(content) - offset != math.prod(shape):
        longer = len(content) - offset > math.prod(shape)
        raise _NotUsable(f"{name} is {'longer' if longer else 'shorter'} than MNIST's {part}")
    sha256 = hashlib.sha256(idx_header(shape))
    sha256.update(memoryview(content)[offset:])
    if sha256.hexdigest() != MNIST_DIGESTS[part]:
        raise _NotUsable(f"{name} differs from MNIST's {part} (SHA-256)")
    return np.frombuffer(content, np.uint8, offset=offset).reshape(shape)


# --- MNIST: how it is downloaded ---


def _download(cache: Path, problems: list[str]) -> Digits | None:
    """Download MNIST from Keras's address or the mirror, verify it and put it into the cache."""
    if os.environ.get("DIGITS_OFFLINE", "") not in ("", "0"):
        problems.append("as long as DIGITS_OFFLINE is set no download is tried")
        return None
    try:
        npz = _fetch(_NPZ_ADDRESS)
        found = _record(_read_npz(npz, _NPZ_ADDRESS), _NPZ_ADDRESS)
        _place({cache / "mnist.npz": npz})
        return found
    except _NotUsable as problem:
        problems.append(str(problem))
    try:
        files, arrays = {}, {}
        for part, name in _IDX_NAMES.items():
            address = f"{_IDX_ADDRESS}{name}.gz"
            content = files[cache / "mnist-idx" / f"{name}.gz"] = _fetch(address)
            arrays[part] = _read_idx(content, part, address)
        _place(files)
        return _record(arrays, _IDX_ADDRESS)
    except _NotUsable as problem:
        problems.append(str(problem))
    return None


class _Download(io.BytesIO):
    """What a download is written into: it knows a largest size and when bytes last came."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = _size_limit()
        self.last_write = time.monotonic()
        self.finished = threading.Event()
        self.error: Exception | None = None

    def write(self, chunk: Any) -> int:
        if self.tell() + len(chunk) > self.limit:
            raise _NotUsable("sent more bytes than MNIST has")
        self.last_write = time.monotonic()
        return super().write(chunk)


def _fetch(address: str) -> bytes:
    """Download one file into memory, with a progress bar, and give up when nothing comes.

    A time-out of a socket counts for each attempt, and a name can have twenty addresses; looking
    up the name has no time-out at all. So the download runs in a thread, and this one watches
    when bytes last came.
    """
    with warnings.catch_warnings():
        # pooch imports the progress bar for notebooks, which warns where it finds no widgets.
        warnings.simplefilter("ignore")
        import pooch  # here and not in the thread: warning filters are global
    download = _Download()
    threading.Thread(target=_run_download, args=(address, download), daemon=True).start()
    try:
        while not download.finished.wait(0.05):
            if time.monotonic() - download.last_write > _PATIENCE_SECONDS:
                raise _NotUsable(f"{address} was silent for {_PATIENCE_SECONDS:g} seconds")
    finally:
        download.limit = 0  # ends the thread should anything still come
    if download.error is not None:
        raise _NotUsable(f"{address} {_explain(download.error)}") from download.error
    return download.getvalue()


def _run_download(address: str, download: _Download) -> None:
    """Let pooch download `address`; runs in a thread, so an error is kept and not raised."""
    try:
        import pooch
        from tqdm import tqdm

        # pooch sets the total once it is known, but ignores a bar without any until then. The
        # delay keeps the bar away from attempts that fail at once.
        with tqdm(
            desc="Downloading MNIST", total=1, unit="B", unit_scale=True, leave=False, delay=0.3
        ) as bar:
            # A redirection could lead away from https, and neither address needs one.
            fetch = pooch.HTTPDownloader(
                progressbar=bar,
                chunk_size=2**16,
                timeout=2 * _PATIENCE_SECONDS,  # ends the thread; `_fetch` gives up earlier
                verify=True,
                allow_redirects=False,
            )
            fetch(address, download, None)
    except Exception as error:  # whatever it is, the waiting thread must know it
        download.error = error
    finally:
        download.finished.set()


def _explain(error: Exception) -> str:
    """Say in a few words what went wrong with a download."""
    import requests

    if isinstance(error, _NotUsable):
        return str(error)
    if isinstance(error, requests.HTTPError):
        return f"answered with status {error.response.status_code}"
    if isinstance(error, requests.exceptions.SSLError):
        return "could not prove its identity (TLS)"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "broke off the download"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached"
    return f"failed with {type(error).__name__}"


def _place(files: Mapping[Path, bytes]) -> None:
    """Put verified files into the cache, each at once and whole.

    Another process can read or write the same files at any time: each is written under a name of
    its own beside its target and renamed over it. A cache that cannot be written is no reason to
    withhold the data.
    """
    for target, content in files.items():
        passing = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                passing.write_bytes(content)
                os.replace(passing, target)
            finally:
                passing.unlink(missing_ok=True)
        except OSError as error:
            warnings.warn(
                f"MNIST was downloaded but cannot be kept in {target.parent} ({error.strerror}), "
                "so the next lesson downloads it again.",
                stacklevel=5,
            )
            return


# --- The embedded digits ---


def _make_embedded() -> Digits:
    """Bring scikit-learn's 1,797 digits to 28×28, as MNIST's makers did with theirs.

    The digits are the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin,
    C. Kaynak, 1998, UCI Machine Learning Repository): 8×8 images from 13 writers, 0 to 16.

    The split is fixed: of the images sorted by class, every fifth is a test image, which makes
    360 of them with the classes in proportion. The data do not say who wrote which digit, so the
    same writers are in both parts, and scores on this test part are optimistic: a network has
    seen other digits by the same hands.
    """
    import sklearn
    from sklearn import datasets

    bunch = datasets.load_digits()
    # 0…16 to 0…255 in whole numbers: no machine rounds these differently.
    small = ((bunch.images.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)
    images = np.stack([_enlarge(image) for image in small])
    labels = bunch.target.astype(np.uint8)
    in_test = np.zeros(len(labels), dtype=bool)
    in_test[np.argsort(labels, kind="stable")[::5]] = True
    arrays = {
        "train_images": images[~in_test],
        "train_labels": labels[~in_test],
        "test_images": images[in_test],
        "test_labels": labels[in_test],
    }
    for array in arrays.values():
        array.setflags(write=False)
    return Digits(name="embedded", source=f"scikit-learn {sklearn.__version__}", **arrays)


def _enlarge(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge a digit to 20×20 and put its centre of mass on pixel (14, 14) of a 28×28 field.

    MNIST's makers fitted each digit into 20×20 pixels with anti-aliasing and moved its centre of
    mass to the centre of a 28×28 field (described on the MNIST page of Y. LeCun, C. Cortes and
    C. J. C. Burges). In MNIST itself that centre lies within half a pixel of row 14, column 14,
    counted from 0. All arithmetic is on integers, and so is Pillow's on 8-bit images.

    Args:
        image: uint8, shape (height, width), with some ink.

    Returns:
        uint8, shape (28, 28), 0 to 255.
    """
    from PIL import Image

    box = np.asarray(
        Image.fromarray(image).resize((20, 20), Image.Resampling.BICUBIC), dtype=np.int64
    )
    mass, places = int(box.sum()), np.arange(20)
    # Rounds 14 - centre to the nearest whole number; the box must stay inside the field.
    top, left = (
        min(max((28 * mass - 2 * int(ink @ places) + mass) // (2 * mass), 0), 8)
        for ink in (box.sum(axis=1), box.sum(axis=0))
    )
    field = np.zeros((28, 28), dtype=np.uint8)
    field[top : top + 20, left : left + 20] = box
    return field
