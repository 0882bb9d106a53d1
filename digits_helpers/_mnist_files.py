"""MNIST's files, in any of the containers in which it is handed on.

MNIST is accepted by the SHA-256 digests of its four arrays and by nothing else, so a damaged or altered copy never
reaches a lesson, and nothing that a file contains is executed.
"""

import gzip
import hashlib
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SHAPES: dict[str, tuple[int, ...]] = {
    "train_images": (60_000, 28, 28),
    "train_labels": (60_000,),
    "test_images": (10_000, 28, 28),
    "test_labels": (10_000,),
}
SIZE_LIMIT = 100_000_000  # bytes that an archive may claim to unpack to; MNIST has 55 million
# SHA-256 of each array as an IDX file (see `to_idx`), which is the file that MNIST's makers publish, unpacked.
DIGESTS: dict[str, str] = {
    "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train_labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
# The names of the arrays in Keras's mnist.npz, and of the files of MNIST's makers.
NPZ_NAMES = {
    "train_images": "x_train",
    "train_labels": "y_train",
    "test_images": "x_test",
    "test_labels": "y_test",
}
IDX_NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}

Found = tuple[dict[str, NDArray[np.uint8]], str]  # the four arrays, and where they are from


class NotUsable(Exception):
    """What was found is not MNIST; the message says which file or address, and why."""


def to_idx(array: NDArray[np.uint8]) -> bytes:
    """Write an array as an IDX file, the format of MNIST's makers.

    Its header is two zeros, 8 (the code for unsigned bytes), the number of dimensions, and each dimension as a
    big-endian 32-bit integer. Described on the MNIST page of Y. LeCun, C. Cortes and C. J. C. Burges.
    """
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def digest_of(array: NDArray[np.uint8]) -> str:
    """SHA-256 of an array as an IDX file, as 64 hexadecimal digits."""
    return hashlib.sha256(to_idx(array)).hexdigest()


def find_in_folder(root: Path, problems: list[str]) -> Found | None:
    """Return the first good copy of MNIST in a folder; append what is wrong with the others."""
    for folder in (root, root / "mnist-idx"):
        for read in (_read_npz, _read_idx_files):
            try:
                found = read(folder)
            except NotUsable as problem:
                problems.append(str(problem))
            else:
                if found is not None:
                    return found
    return None


def _read_npz(folder: Path) -> Found | None:
    path = folder / "mnist.npz"
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > SIZE_LIMIT:
            raise NotUsable(f"{path} would unpack to {size:,} bytes, far more than MNIST has")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {part: archive[name] for part, name in NPZ_NAMES.items()}
    except NotUsable:
        raise
    except KeyError as error:
        raise NotUsable(f"{path} lacks an array ({error.args[0]})") from error
    except Exception as error:  # damaged bytes make zipfile, zlib and NumPy raise a dozen kinds of error
        raise NotUsable(f"{path} {_what_is_wrong(path)}") from error
    return {part: _verified(array, part, path) for part, array in arrays.items()}, str(path)


def _read_idx_files(folder: Path) -> Found | None:
    paths = {}
    for part, name in IDX_NAMES.items():
        names = [stem + end for stem in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")]
        paths[part] = next((folder / name for name in names if (folder / name).is_file()), None)
    missing = [IDX_NAMES[part] for part, path in paths.items() if path is None]
    if len(missing) == len(paths):
        return None
    if missing:
        raise NotUsable(f"{folder} lacks {', '.join(missing)}")
    return {part: _verified(_read_idx(path, part), part, path) for part, path in paths.items()}, str(folder)


def _read_idx(path: Path, part: str) -> NDArray[np.uint8]:
    """Read one IDX file, gzipped or not, whatever its name ends in, and no more bytes than it should have."""
    header_size = 4 + 4 * len(SHAPES[part])
    expected = header_size + math.prod(SHAPES[part])
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_gzip else path.open("rb") as file:
            content = file.read(expected + 1)
    except Exception as error:  # as in _read_npz
        raise NotUsable(f"{path} {_what_is_wrong(path)}") from error
    if len(content) != expected:
        raise NotUsable(f"{path} {_what_is_wrong(path)}")
    return np.frombuffer(content, np.uint8, offset=header_size).reshape(SHAPES[part])


def _what_is_wrong(path: Path) -> str:
    """Tell the usual wrong files apart by their first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not start:
        return "is empty"
    if start.lstrip().startswith(b"<"):
        return "is a web page, so its download went wrong"
    return "is damaged, or no file of MNIST"


def _verified(array: NDArray, part: str, path: Path) -> NDArray[np.uint8]:
    """Return the array if, and only if, it is MNIST's."""
    if (array.shape, array.dtype) != (SHAPES[part], np.uint8):
        raise NotUsable(f"{path} holds {part} of shape {array.shape} and dtype {array.dtype} instead of {SHAPES[part]}")
    if digest_of(array) != DIGESTS[part]:
        raise NotUsable(f"{path} differs from MNIST's {part} (SHA-256)")
    return array
