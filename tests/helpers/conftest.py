"""A small stand-in for MNIST, and files that hold it."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from digits_helpers import _mnist_files

NPZ_NAMES = {"train_images": "x_train", "train_labels": "y_train", "test_images": "x_test", "test_labels": "y_test"}
IDX_NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


def to_idx(array: np.ndarray) -> bytes:
    """The IDX format, written independently of the package: big-endian sizes behind a mark."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@dataclass
class Mnist:
    """Four arrays that count as MNIST, and how to write them."""

    arrays: dict[str, np.ndarray]

    def write_npz(self, path: Path, save=np.savez_compressed, **replaced) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, **({NPZ_NAMES[part]: array for part, array in self.arrays.items()} | replaced))
        return path

    def idx_files(self, pack=gzip.compress, ending=".gz") -> dict[str, bytes]:
        return {IDX_NAMES[part] + ending: pack(to_idx(array)) for part, array in self.arrays.items()}

    def write_idx(self, folder: Path, pack=gzip.compress, ending=".gz") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.idx_files(pack, ending).items():
            (folder / name).write_bytes(content)
        return folder

    def is_in(self, arrays: dict[str, np.ndarray]) -> bool:
        return all(np.array_equal(arrays[part], array) for part, array in self.arrays.items())


@pytest.fixture
def fake(monkeypatch) -> Mnist:
    """70 images of noise, which no container shrinks by much, in the place of MNIST."""
    noise = np.random.default_rng(0)
    shapes = {"train_images": (50, 28, 28), "train_labels": (50,), "test_images": (20, 28, 28), "test_labels": (20,)}
    arrays = {part: noise.integers(0, 10, shape, np.uint8) for part, shape in shapes.items()}
    monkeypatch.setattr(_mnist_files, "SHAPES", shapes)
    digests = {part: hashlib.sha256(to_idx(array)).hexdigest() for part, array in arrays.items()}
    monkeypatch.setattr(_mnist_files, "DIGESTS", digests)
    return Mnist(arrays)


@pytest.fixture
def nothing_of_the_user(monkeypatch, tmp_path) -> Path:
    """No network, and neither the user's folder nor the user's cache; returns the cache's path, not made yet."""
    monkeypatch.delenv("DIGITS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("DIGITS_OFFLINE", "1")
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "keras" / "datasets"
