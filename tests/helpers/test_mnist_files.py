"""MNIST's files: every container, and every way in which one can be bad."""

import gzip
import hashlib
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from digits_helpers import _mnist_files
from digits_helpers._mnist_files import digest_of, find_in_folder, to_idx


def found(folder):
    """Arrays and problems of a folder."""
    problems = []
    result = find_in_folder(folder, problems)
    return (result[0] if result else None), "; ".join(problems)


def flip_bit(content, position):
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def test_to_idx_writes_the_header_that_mnists_makers_describe():
    # Magic numbers 2051 and 2049, then the sizes, as 32-bit integers, the most significant first.
    images = np.frombuffer(to_idx(np.zeros((2, 28, 28), np.uint8))[:16], ">i4")
    labels = np.frombuffer(to_idx(np.zeros(3, np.uint8))[:8], ">i4")
    assert images.tolist() == [2051, 2, 28, 28]
    assert labels.tolist() == [2049, 3]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(fake, tmp_path, save):
    fake.write_npz(tmp_path / "mnist.npz", save)
    arrays, problems = found(tmp_path)
    assert fake.is_in(arrays)
    assert problems == ""


@pytest.mark.parametrize("rename", [str, lambda name: name.replace("-idx", ".idx")])
@pytest.mark.parametrize("below", [".", "mnist-idx"])
@pytest.mark.parametrize(("pack", "ending"), [(gzip.compress, ".gz"), (bytes, ""), (bytes, ".gz"), (gzip.compress, "")])
def test_idx_files(fake, tmp_path, pack, ending, below, rename):
    for path in fake.write_idx(tmp_path / below, pack, ending).iterdir():
        path.rename(path.with_name(rename(path.name)))
    assert fake.is_in(found(tmp_path)[0])


def test_an_empty_folder_is_no_problem(tmp_path):
    assert found(tmp_path) == found(tmp_path / "missing") == (None, "")


def test_idx_files_are_used_where_the_npz_beside_them_is_damaged(fake, tmp_path):
    fake.write_idx(tmp_path)
    (tmp_path / "mnist.npz").write_bytes(b"<html>")
    arrays, problems = found(tmp_path)
    assert fake.is_in(arrays)
    assert "mnist.npz is a web page" in problems


BAD_CONTENTS = {
    "empty": (lambda good: b"", "empty"),
    "web page": (lambda good: b"\n<!DOCTYPE html><html>Please log in</html>", "web page"),
    "truncated": (lambda good: good[: len(good) // 2], "damaged"),
    "bit flipped": (lambda good: flip_bit(good, len(good) // 2), "damaged|differs"),
    "pointer": (lambda good: b"version https://git-lfs.github.com/spec/v1", "damaged, or no file of MNIST"),
}


@pytest.mark.parametrize("case", BAD_CONTENTS)
@pytest.mark.parametrize("container", ["npz", "gzip", "plain"])
def test_bad_bytes_are_named(fake, tmp_path, container, case):
    change, keyword = BAD_CONTENTS[case]
    if container == "npz":
        path = fake.write_npz(tmp_path / "mnist.npz")
    else:
        path = fake.write_idx(tmp_path, gzip.compress if container == "gzip" else bytes, "") / "t10k-images-idx3-ubyte"
    path.write_bytes(change(path.read_bytes()))
    arrays, problems = found(tmp_path)
    assert arrays is None
    assert problems.startswith(str(path))
    assert any(word in problems for word in keyword.split("|"))


BAD_ARRAYS = {
    "shape": (lambda arrays: {"x_train": arrays["train_images"][:, :27]}, "shape (50, 27, 28)"),
    "dtype": (lambda arrays: {"x_train": arrays["train_images"].astype(np.float32)}, "float32"),
    "one pixel": (lambda arrays: {"x_test": arrays["test_images"] ^ np.eye(28, dtype=np.uint8)}, "test_images (SHA"),
    "labels reversed": (lambda arrays: {"y_test": arrays["test_labels"][::-1]}, "test_labels (SHA"),
    "sets exchanged": (lambda arrays: {"y_train": arrays["test_labels"]}, "shape (20,)"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_other_arrays_are_named(fake, tmp_path, case):
    change, keyword = BAD_ARRAYS[case]
    fake.write_npz(tmp_path / "mnist.npz", **change(fake.arrays))
    arrays, problems = found(tmp_path)
    assert arrays is None
    assert keyword in problems


def test_a_missing_array_is_named(fake, tmp_path):
    np.savez(tmp_path / "mnist.npz", x_train=fake.arrays["train_images"])
    assert "y_train" in found(tmp_path)[1]


def test_missing_idx_files_are_named(fake, tmp_path):
    (fake.write_idx(tmp_path) / "train-labels-idx1-ubyte.gz").unlink()
    arrays, problems = found(tmp_path)
    assert arrays is None
    assert "lacks train-labels-idx1-ubyte" in problems


def test_a_byte_on_top_is_noticed(fake, tmp_path):
    path = fake.write_idx(tmp_path, bytes, "") / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes() + b"\0")
    assert "damaged" in found(tmp_path)[1]


def test_a_file_that_cannot_be_opened_is_named(fake, tmp_path, monkeypatch):
    fake.write_npz(tmp_path / "mnist.npz")

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(zipfile, "ZipFile", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    assert "cannot be read (Permission denied)" in found(tmp_path)[1]


class Bomb:
    """What a pickle can do to whoever loads it: this one leaves a file behind."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_pickles_are_not_loaded(fake, tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "mnist.npz"
    fake.write_npz(path, x_train=np.array([Bomb(trace)], dtype=object))
    assert found(tmp_path)[0] is None
    path.write_bytes(pickle.dumps(Bomb(trace)))
    assert found(tmp_path)[0] is None
    assert not trace.exists()
    pickle.loads(path.read_bytes())  # the file is as dangerous as it is meant to be
    assert trace.exists()


def test_a_small_file_that_unpacks_to_much_does_not_fill_the_memory(fake, tmp_path):
    zeros = bytes(2**24)
    with zipfile.ZipFile(tmp_path / "mnist.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for _ in range(8):
            archive.writestr(f"x_train{_}.npy", zeros)
    (fake.write_idx(tmp_path) / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(zeros * 8))
    tracemalloc.start()
    arrays, problems = found(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert arrays is None
    assert "unpack to 134,217,728 bytes" in problems
    assert peak < 2**22


def test_digests_belong_to_the_files_with_the_published_md5(mnist):
    # The MD5 of MNIST's four files, unpacked, as widely published.
    published = {
        "train_images": "6bbc9ace898e44ae57da46a324031adb",
        "train_labels": "a25bea736e30d166cdddb491f175f624",
        "test_images": "2646ac647ad5339dbf082846283269ea",
        "test_labels": "27ae3e4e09519cfbb04c329615203637",
    }
    for part, md5 in published.items():
        array = getattr(mnist, part)
        assert hashlib.md5(to_idx(array), usedforsecurity=False).hexdigest() == md5
        assert digest_of(array) == _mnist_files.DIGESTS[part]
