"""Checks on `digits_helpers.data`: every way to the images, with good and with bad files.

Most of them work on a stand-in for MNIST, 70 images made below, whose shapes and digests take the
place of MNIST's for the length of a test. None touches the network or the user's own cache: the
"servers" run in this process. The ones that take the fixture `mnist` need the real data.
"""

from __future__ import annotations

import doctest
import gzip
import hashlib
import inspect
import json
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from digits_helpers import data
from digits_helpers.data import DatasetError, MnistUnavailable, load_digits

PARTS = ("train_images", "train_labels", "test_images", "test_labels")
# The names that the two kinds of container use, written out again so that a slip shows.
NPZ = dict(zip(PARTS, ("x_train", "y_train", "x_test", "y_test")))
IDX = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


# --- A stand-in for MNIST, and files that hold it ---


def idx_form(array):
    """The IDX format, written independently of the module: big-endian sizes behind a mark."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_npz(path, arrays, **replaced):
    path.parent.mkdir(parents=True, exist_ok=True)
    named = {NPZ[part]: array for part, array in arrays.items()} | replaced
    np.savez_compressed(path, **named)
    return path


def write_idx(folder, arrays, rename=lambda name: name, pack=lambda content: content):
    folder.mkdir(parents=True, exist_ok=True)
    for part, name in IDX.items():
        (folder / rename(name)).write_bytes(pack(idx_form(arrays[part])))
    return folder


def flip_bit(content, position):
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


@pytest.fixture(autouse=True)
def nothing_of_the_user(monkeypatch, tmp_path):
    """No network, and neither the user's folder nor the user's cache."""
    monkeypatch.delenv("DIGITS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("DIGITS_OFFLINE", "1")
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def fake(monkeypatch):
    """Arrays that count as MNIST in this test: noise, which no container shrinks by much."""
    noise = np.random.default_rng(0)
    shapes = {
        "train_images": (50, 28, 28),
        "train_labels": (50,),
        "test_images": (20, 28, 28),
        "test_labels": (20,),
    }
    arrays = {part: noise.integers(0, 10, shape, np.uint8) for part, shape in shapes.items()}
    digests = {part: hashlib.sha256(idx_form(array)).hexdigest() for part, array in arrays.items()}
    monkeypatch.setattr(data, "MNIST_SHAPES", shapes)
    monkeypatch.setattr(data, "MNIST_DIGESTS", digests)
    return arrays


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """An empty folder that DIGITS_DATA_DIR names."""
    path = tmp_path / "chosen"
    path.mkdir()
    monkeypatch.setenv("DIGITS_DATA_DIR", str(path))
    return path


@pytest.fixture
def cache(tmp_path):
    """Where Keras keeps data sets in this test; not made yet."""
    return tmp_path / "keras" / "datasets"


@pytest.fixture(scope="session")
def mnist():
    """The real MNIST, from DIGITS_DATA_DIR or Keras's cache as they are outside the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITS_OFFLINE", "1")
        try:
            return load_digits("mnist")
        except MnistUnavailable:
            pytest.skip("MNIST is neither in DIGITS_DATA_DIR nor in Keras's cache")


def assert_holds(digits, arrays, name="mnist"):
    assert digits.name == name
    for part in PARTS:
        array = getattr(digits, part)
        np.testing.assert_array_equal(array, arrays[part])
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def message_of(dataset="mnist", error=DatasetError):
    """The message of the error that loading ends in: one sentence."""
    with pytest.raises(error) as caught:
        load_digits(dataset)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


# --- Good files ---


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_in_the_chosen_folder(fake, folder, save):
    save(folder / "mnist.npz", **{NPZ[part]: array for part, array in fake.items()})
    digits = load_digits("mnist")
    assert_holds(digits, fake)
    assert digits.source == str(folder / "mnist.npz")
    assert (digits.title, digits.notice) == ("MNIST", None)


@pytest.mark.parametrize("rename", [str, lambda name: name.replace("-idx", ".idx")])
@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        ("", lambda content: content),
        (".gz", gzip.compress),
        # Browsers unpack a download and leave its name, or the other way round.
        (".gz", lambda content: content),
        ("", gzip.compress),
    ],
)
@pytest.mark.parametrize("below", [".", "mnist-idx"])
def test_idx_files_in_the_chosen_folder(fake, folder, rename, ending, pack, below):
    write_idx(folder / below, fake, lambda name: rename(name) + ending, pack)
    digits = load_digits("mnist")
    assert_holds(digits, fake)
    assert digits.source == str(folder / below)


def test_auto_is_mnist_where_there_is_one(fake, folder):
    write_npz(folder / "mnist.npz", fake)
    assert_holds(load_digits(), fake)


def test_chosen_folder_may_begin_with_a_tilde(fake, monkeypatch, tmp_path):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("DIGITS_DATA_DIR", "~/chosen")
    write_npz(tmp_path / "chosen" / "mnist.npz", fake)
    assert_holds(load_digits("mnist"), fake)


def test_kerass_cache_comes_after_the_chosen_folder(fake, cache, tmp_path, monkeypatch):
    write_npz(cache / "mnist.npz", fake)
    assert load_digits("mnist").source == str(cache / "mnist.npz")
    chosen = write_npz(tmp_path / "chosen" / "mnist.npz", fake)
    monkeypatch.setenv("DIGITS_DATA_DIR", str(chosen.parent))
    assert load_digits("mnist").source == str(chosen)


def test_kerass_cache_is_in_the_home_folder_by_default(fake, monkeypatch, tmp_path):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.delenv("KERAS_HOME")
    write_npz(tmp_path / ".keras" / "datasets" / "mnist.npz", fake)
    assert_holds(load_digits("mnist"), fake)


def test_idx_files_are_used_where_the_npz_beside_them_is_damaged(fake, folder):
    (folder / "mnist.npz").write_bytes(b"")
    write_idx(folder, fake)
    assert_holds(load_digits("mnist"), fake)


# --- Bad names and bad files ---


@pytest.mark.parametrize("dataset", ["minst", "MNIST", "", None, 3, ["mnist"]])
def test_unknown_dataset(dataset):
    message = message_of(dataset)
    assert f"dataset is {dataset!r}" in message
    for allowed in ("auto", "mnist", "embedded"):
        assert f'"{allowed}"' in message


class Bomb:
    """What a pickle can do to whoever loads it: this one leaves a file behind."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def bad_npz(case, folder, arrays):
    """Write one kind of bad mnist.npz."""
    path = write_npz(folder / "mnist.npz", arrays)
    good = path.read_bytes()
    if case == "shape":
        write_npz(path, arrays, x_train=arrays["train_images"][:, :27])
    elif case == "dtype":
        write_npz(path, arrays, x_train=arrays["train_images"].astype(np.float32))
    elif case == "fortran":
        write_npz(path, arrays, x_train=np.asfortranarray(arrays["train_images"]))
    elif case == "one pixel":
        changed = arrays["test_images"].copy()
        changed[3, 14, 14] ^= 1
        write_npz(path, arrays, x_test=changed)
    elif case == "swapped labels":
        write_npz(path, arrays, y_test=arrays["test_labels"][::-1])
    elif case == "missing array":
        np.savez(path, x_train=arrays["train_images"])
    elif case == "format version":
        with zipfile.ZipFile(path, "w") as archive, archive.open("x_train.npy", "w") as member:
            np.lib.format.write_array(member, arrays["train_images"], version=(2, 0))
    elif case == "shorter than its header":
        header = np.lib.format.header_data_from_array_1_0(arrays["train_images"])
        with zipfile.ZipFile(path, "w") as archive, archive.open("x_train.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, header)
            member.write(b"\0" * 100)
    elif case == "too large":
        path.write_bytes(good + b"\0" * 2**21)
    else:
        contents = {
            "empty": b"",
            "web page": b"\n<!DOCTYPE html><html>Please log in</html>",
            "truncated": good[: len(good) // 2],
            "bit flip": flip_bit(good, len(good) // 2),
            "something else": b"version https://git-lfs.github.com/spec/v1",
            "not a .npy inside": None,
        }
        if contents[case] is None:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("x_train.npy", "words, words, words")
        else:
            path.write_bytes(contents[case])


BAD_NPZ = {
    "empty": "is empty",
    "web page": "is a web page",
    "truncated": "is truncated or damaged",
    "bit flip": "is truncated or damaged",
    "something else": "is not an npz archive",
    "not a .npy inside": "is truncated or damaged",
    "shape": "has shape (50, 27, 28) and dtype uint8 instead of (50, 28, 28) and uint8",
    "dtype": "has shape (50, 28, 28) and dtype float32 instead of",
    "fortran": "column by column",
    "one pixel": "x_test in",
    "swapped labels": "differs from MNIST's test_labels",
    "missing array": "holds no array y_train",
    "format version": "version 1.0",
    "shorter than its header": "is shorter than MNIST's train_images",
    "too large": "is larger than MNIST in any form",
}


@pytest.mark.parametrize("dataset", ["mnist", "auto"])
@pytest.mark.parametrize("case", BAD_NPZ)
def test_bad_npz_in_the_chosen_folder_is_an_error(fake, folder, case, dataset):
    bad_npz(case, folder, fake)
    message = message_of(dataset)
    assert f"DIGITS_DATA_DIR is {str(folder)!r}" in message
    assert str(folder / "mnist.npz") in message
    assert BAD_NPZ[case] in message
    assert "put a good copy of mnist.npz there, or unset DIGITS_DATA_DIR" in message


def test_every_flipped_bit_is_noticed(fake, folder):
    path = write_npz(folder / "mnist.npz", fake)
    good = path.read_bytes()
    for position in range(0, len(good), len(good) // 200):
        path.write_bytes(flip_bit(good, position))
        try:
            digits = load_digits("mnist")
        except DatasetError:
            continue
        # Some bits of a zip file, dates for example, do not touch what it holds.
        assert_holds(digits, fake)


def test_pickled_objects_in_an_npz_are_not_loaded(fake, folder, tmp_path):
    trace = tmp_path / "trace"
    objects = np.array([Bomb(trace)], dtype=object)
    path = write_npz(folder / "mnist.npz", fake, x_train=objects)
    assert "holds pickled Python objects, which are never loaded" in message_of()
    assert not trace.exists()
    np.load(path, allow_pickle=True)["x_train"]  # the file is as dangerous as it is meant to be
    assert trace.exists()


def test_a_pickle_named_npz_is_not_loaded(fake, folder, tmp_path):
    trace = tmp_path / "trace"
    (folder / "mnist.npz").write_bytes(pickle.dumps(Bomb(trace)))
    assert "is a Python pickle, which is never loaded" in message_of()
    assert not trace.exists()


def peak_memory_of_loading():
    """Bytes that Python and NumPy allocate at most while loading fails."""
    tracemalloc.start()
    try:
        message = message_of()
        return message, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_small_npz_that_unpacks_to_much_does_not_fill_the_memory(fake, folder):
    header = np.lib.format.header_data_from_array_1_0(fake["train_images"])
    with zipfile.ZipFile(folder / "mnist.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x_train.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, header)
            member.write(b"\0" * 50_000_000)
    message, peak = peak_memory_of_loading()
    assert "is longer than MNIST's train_images" in message
    assert peak < 5_000_000  # the stand-in has 55,000 bytes, the file unpacks to 50 million


def test_a_small_gzip_that_unpacks_to_much_does_not_fill_the_memory(fake, folder):
    write_idx(folder, fake)
    content = idx_form(fake["train_images"]) + b"\0" * 50_000_000
    (folder / IDX["train_images"]).write_bytes(gzip.compress(content))
    message, peak = peak_memory_of_loading()
    assert "is longer than MNIST's train_images" in message
    assert peak < 5_000_000  # as above


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda good: b"", "is empty"),
        (lambda good: b"<html>404</html>", "is a web page"),
        (lambda good: good[:-1], "is shorter than MNIST's train_images"),
        (lambda good: good + b"\0", "is longer than MNIST's train_images"),
        (lambda good: flip_bit(good, 3), "is not the IDX file of MNIST's train_images"),
        (lambda good: flip_bit(good, 5000), "differs from MNIST's train_images (SHA-256)"),
        (lambda good: gzip.compress(good)[:-1000], "is truncated or damaged"),
        (lambda good: flip_bit(gzip.compress(good), 5000), "is truncated or damaged"),
        (lambda good: gzip.compress(b"<html>"), "is a web page"),
    ],
)
def test_bad_idx_file_in_the_chosen_folder_is_an_error(fake, folder, change, reason):
    write_idx(folder, fake)
    path = folder / IDX["train_images"]
    path.write_bytes(change(path.read_bytes()))
    message = message_of()
    assert f"{path} {reason}" in message


def test_missing_idx_files_are_named(fake, folder):
    write_idx(folder, fake)
    (folder / IDX["train_labels"]).unlink()
    (folder / IDX["test_images"]).unlink()
    assert f"{folder} lacks {IDX['train_labels']}, {IDX['test_images']}" in message_of()


@pytest.mark.parametrize("dataset", ["mnist", "auto"])
def test_empty_chosen_folder_is_an_error(folder, dataset):
    message = message_of(dataset)
    assert "it holds neither mnist.npz nor the four IDX files" in message


@pytest.mark.parametrize("dataset", ["mnist", "auto"])
def test_chosen_folder_that_is_none(tmp_path, monkeypatch, dataset):
    file = tmp_path / "mnist.npz"
    file.write_bytes(b"")
    for path in (file, tmp_path / "nowhere"):
        monkeypatch.setenv("DIGITS_DATA_DIR", str(path))
        message = message_of(dataset)
        assert f"DIGITS_DATA_DIR is {str(path)!r}, which is not a folder" in message


def test_chosen_folder_does_not_concern_the_embedded_digits(folder):
    assert load_digits("embedded").name == "embedded"


def test_file_that_cannot_be_opened(fake, folder, monkeypatch):
    path = write_npz(folder / "mnist.npz", fake)

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")  # root can open everything

    monkeypatch.setattr(Path, "open", refuse)
    assert f"{path} cannot be read (Permission denied)" in message_of()


# --- No MNIST on the machine ---


def test_mnist_without_file_and_network_is_an_error():
    message = message_of(error=MnistUnavailable)
    assert "as long as DIGITS_OFFLINE is set no download is tried" in message
    assert "connect to the internet" in message
    assert "set DIGITS_DATA_DIR" in message


def test_auto_without_file_and_network_is_embedded(capsys):
    digits = load_digits()
    assert digits.name == "embedded"
    assert digits.title == "the embedded digits"
    assert digits.notice.startswith("**This is not MNIST")
    assert "1,797" in digits.notice
    assert "DIGITS_DATA_DIR" in digits.notice
    assert digits.notice.count(". ") == 1  # two sentences
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("dataset", ["mnist", "auto"])
def test_damaged_file_in_kerass_cache_is_named_and_left_alone(fake, cache, dataset):
    cache.mkdir(parents=True)
    (cache / "mnist.npz").write_bytes(b"<html>")
    with pytest.warns(UserWarning, match="is a web page.* this file is not used") as caught:
        if dataset == "auto":
            assert load_digits().name == "embedded"
        else:
            assert f"{cache / 'mnist.npz'} is a web page" in message_of()
    warned = next(one for one in caught if str(cache / "mnist.npz") in str(one.message))
    assert warned.filename == __file__  # the warning points at the reader's line
    assert (cache / "mnist.npz").read_bytes() == b"<html>"


# --- Downloads, from a server in this process ---


class Server:
    """Answers on this machine and keeps what was asked for.

    Attributes:
        address: Where it listens, ending in a slash.
        answers: path -> function that is given the request handler and answers.
        requests: The paths asked for so far.
    """

    def __init__(self):
        self.answers, self.requests = {}, []
        self.closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append(self.path)
                server.answers.get(self.path, status(404))(self)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def serve_npz(self, answer):
        self.answers["/keras/mnist.npz"] = answer

    def serve_idx(self, arrays):
        for part, name in IDX.items():
            content = gzip.compress(idx_form(arrays[part]))
            self.answers[f"/mirror/{name}.gz"] = send(content)


def send(content, promised=None, before_second_half=None):
    """Answer with `content`, after saying that `promised` bytes will come."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(promised or len(content)))
        handler.end_headers()
        half = len(content) // 2
        handler.wfile.write(content[:half])
        if before_second_half:
            before_second_half()
        try:
            handler.wfile.write(content[half:])
        except OSError:
            pass  # the other side has given up, as it should

    return answer


def status(code, **headers):
    def answer(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@contextmanager
def closed_port():
    """A port on which nothing listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        yield holder.getsockname()[1]


@pytest.fixture
def server(monkeypatch):
    """A server in the place of both real ones; downloads are allowed."""
    server = Server()
    monkeypatch.setattr(data, "_NPZ_ADDRESS", server.address + "keras/mnist.npz")
    monkeypatch.setattr(data, "_IDX_ADDRESS", server.address + "mirror/")
    monkeypatch.delenv("DIGITS_OFFLINE")
    yield server
    server.close()


@pytest.fixture
def npz_bytes(fake, tmp_path):
    return write_npz(tmp_path / "original.npz", fake).read_bytes()


def test_real_addresses_are_kerass_own_and_torchvisions_over_tls():
    # tensorflow/tf-keras-datasets is what keras.datasets.mnist downloads from; the bucket is the
    # one in torchvision.datasets.MNIST.mirrors.
    addresses = (data._NPZ_ADDRESS, data._IDX_ADDRESS)
    assert addresses == (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    )


def test_offline_machine_is_told_within_twenty_seconds():
    assert 2 * data._PATIENCE_SECONDS < 20  # two addresses


@pytest.mark.parametrize("offline", [None, "", "0"])
def test_download_goes_to_kerass_cache(fake, server, npz_bytes, cache, monkeypatch, offline):
    if offline is not None:
        monkeypatch.setenv("DIGITS_OFFLINE", offline)
    server.serve_npz(send(npz_bytes))
    digits = load_digits("mnist")
    assert_holds(digits, fake)
    assert digits.source == data._NPZ_ADDRESS
    assert [path.name for path in cache.iterdir()] == ["mnist.npz"]  # and nothing half done
    assert (cache / "mnist.npz").read_bytes() == npz_bytes
    assert load_digits("mnist").source == str(cache / "mnist.npz")
    assert server.requests == ["/keras/mnist.npz"]  # once


def test_offline_variable_is_obeyed(fake, server, npz_bytes, monkeypatch):
    server.serve_npz(send(npz_bytes))
    monkeypatch.setenv("DIGITS_OFFLINE", "1")
    assert load_digits().name == "embedded"
    assert server.requests == []


def test_new_files_in_the_cache_can_be_read_by_those_who_could_read_any(
    fake, server, npz_bytes, cache
):
    ordinary = cache.parent / "ordinary"
    ordinary.parent.mkdir()
    ordinary.touch()
    server.serve_npz(send(npz_bytes))
    load_digits("mnist")
    assert (cache / "mnist.npz").stat().st_mode == ordinary.stat().st_mode


def test_damaged_file_in_the_cache_is_replaced_by_a_good_one(fake, server, npz_bytes, cache):
    cache.mkdir(parents=True)
    (cache / "mnist.npz").write_bytes(npz_bytes[:1000])
    server.serve_npz(send(npz_bytes))
    with pytest.warns(UserWarning, match="truncated or damaged"):
        assert_holds(load_digits("mnist"), fake)
    assert (cache / "mnist.npz").read_bytes() == npz_bytes


def redirect(server, content):
    server.answers["/elsewhere"] = send(content)
    return status(302, Location=server.address + "elsewhere")


FIRST_ADDRESS_FAILS = {
    "404": (lambda server, good: status(404), "answered with status 404"),
    "503": (lambda server, good: status(503), "answered with status 503"),
    "redirection": (redirect, "is empty"),
    "web page": (lambda server, good: send(b"<html>Welcome to the hotel</html>"), "is a web page"),
    "truncated": (lambda server, good: send(good[:9000]), "is truncated or damaged"),
    "broken off": (lambda server, good: send(good[:9000], len(good)), "broke off the download"),
    "bit flip": (lambda server, good: send(flip_bit(good, 9000)), "is truncated or damaged"),
    "endless": (lambda server, good: send(good + b"\0" * 2**21), "sent more bytes than MNIST has"),
    "silent": (lambda server, good: lambda handler: server.closing.wait(5), "was silent for 0.6"),
    "stalled": (
        lambda server, good: send(good, before_second_half=lambda: server.closing.wait(5)),
        "was silent for 0.6 seconds",
    ),
}


@pytest.mark.parametrize("case", FIRST_ADDRESS_FAILS)
def test_mirror_is_used_where_the_first_address_fails(
    fake, server, npz_bytes, cache, monkeypatch, case
):
    if case in ("silent", "stalled"):
        monkeypatch.setattr(data, "_PATIENCE_SECONDS", 0.6)
    answer, reason = FIRST_ADDRESS_FAILS[case]
    server.serve_npz(answer(server, npz_bytes))
    assert f"{data._NPZ_ADDRESS} {reason}" in message_of(error=MnistUnavailable)
    assert not cache.exists()  # nothing that was not verified is kept

    server.serve_idx(fake)
    digits = load_digits("mnist")
    assert_holds(digits, fake)
    assert digits.source == data._IDX_ADDRESS
    assert "/elsewhere" not in server.requests
    names = {path.relative_to(cache).as_posix() for path in cache.rglob("*.gz")}
    assert names == {f"mnist-idx/{name}.gz" for name in IDX.values()}
    assert load_digits("mnist").source == str(cache / "mnist-idx")


def test_a_bad_file_on_the_mirror_leaves_the_cache_as_it_was(fake, server, cache):
    server.serve_idx(fake)
    server.answers[f"/mirror/{IDX['test_labels']}.gz"] = send(gzip.compress(b"no labels"))
    message = message_of(error=MnistUnavailable)
    assert f"{IDX['test_labels']}.gz is not the IDX file of MNIST's test_labels" in message
    assert not cache.exists()


def test_unreachable_server(server, monkeypatch):
    with closed_port() as port:
        monkeypatch.setattr(data, "_NPZ_ADDRESS", f"http://127.0.0.1:{port}/mnist.npz")
        assert "mnist.npz cannot be reached" in message_of(error=MnistUnavailable)


def test_server_that_cannot_prove_its_identity(server, monkeypatch):
    address = server.address.replace("http:", "https:") + "keras/mnist.npz"  # it speaks no TLS
    monkeypatch.setattr(data, "_NPZ_ADDRESS", address)
    assert "could not prove its identity (TLS)" in message_of(error=MnistUnavailable)


def test_certificates_are_always_checked(server, npz_bytes, fake, monkeypatch):
    import pooch

    given = {}

    class Spy(pooch.HTTPDownloader):
        def __init__(self, **settings):
            given.update(settings)
            super().__init__(**settings)

    monkeypatch.setattr(pooch, "HTTPDownloader", Spy)
    server.serve_npz(send(npz_bytes))
    load_digits("mnist")
    assert given["verify"] is True
    assert 0 < given["timeout"] < 60  # seconds; without one, a thread could wait for ever


def test_other_failures_are_reported_by_their_name(server, monkeypatch):
    monkeypatch.setattr(data, "_NPZ_ADDRESS", "gopher://127.0.0.1/mnist.npz")
    assert "failed with InvalidSchema" in message_of(error=MnistUnavailable)


def test_a_host_name_that_takes_for_ever_to_look_up(server, monkeypatch):
    # Time-outs of a socket do not count while a name is looked up.
    monkeypatch.setattr(data, "_PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: server.closing.wait(5))
    begun = time.monotonic()
    assert "was silent for 0.3 seconds" in message_of(error=MnistUnavailable)
    assert time.monotonic() - begun < 3  # two addresses at 0.3 s, and time to import pooch


def test_cache_that_cannot_be_made_does_not_withhold_the_data(
    fake, server, npz_bytes, tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    server.serve_npz(send(npz_bytes))
    with pytest.warns(UserWarning, match="cannot be kept") as caught:
        assert_holds(load_digits("mnist"), fake)
    # Others may be caught as well: what the garbage collector finds unclosed, it warns of wherever it happens to run.
    (warned,) = (one for one in caught if "cannot be kept" in str(one.message))
    assert warned.filename == __file__


def test_cache_that_cannot_be_written_does_not_withhold_the_data(
    fake, server, npz_bytes, cache, monkeypatch
):
    def refuse(source, target):
        raise PermissionError(13, "Permission denied")  # root can write everywhere

    monkeypatch.setattr(os, "replace", refuse)
    server.serve_npz(send(npz_bytes))
    with pytest.warns(UserWarning, match="cannot be kept in .*Permission denied"):
        assert_holds(load_digits("mnist"), fake)
    assert list(cache.iterdir()) == []  # the file in passing is gone


def start_download(server, **variables):
    """Load the stand-in in a process of its own, which prints the digest of what it got."""
    settings = {
        "MNIST_SHAPES": data.MNIST_SHAPES,
        "MNIST_DIGESTS": data.MNIST_DIGESTS,
        "_NPZ_ADDRESS": data._NPZ_ADDRESS,
        "_IDX_ADDRESS": data._IDX_ADDRESS,
    }
    code = (
        "import json, sys; from digits_helpers import data\n"
        "for name, value in json.loads(sys.argv[1]).items():\n"
        "    setattr(data, name, value)\n"
        "data.MNIST_SHAPES = {part: tuple(s) for part, s in data.MNIST_SHAPES.items()}\n"
        "print(data.load_digits('mnist').digest)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, **variables},
    )


def test_two_processes_may_download_at_once(fake, server, npz_bytes, cache):
    together = threading.Barrier(2, timeout=30)
    server.serve_npz(send(npz_bytes, before_second_half=together.wait))
    processes = [start_download(server) for _ in range(2)]
    results = [process.communicate(timeout=60) for process in processes]
    expected = hashlib.sha256(b"".join(idx_form(fake[part]) for part in PARTS)).hexdigest()
    assert [output.strip() for output, _ in results] == [expected] * 2
    assert server.requests == ["/keras/mnist.npz"] * 2
    assert [path.name for path in cache.iterdir()] == ["mnist.npz"]
    assert (cache / "mnist.npz").read_bytes() == npz_bytes


@pytest.mark.parametrize("disable", ["", "1"])
def test_progress_bar(fake, server, npz_bytes, disable):
    server.serve_npz(send(npz_bytes, before_second_half=lambda: time.sleep(0.6)))
    process = start_download(server, TQDM_DISABLE=disable)
    output, errors = process.communicate(timeout=60)
    assert len(output.strip()) == 64
    if disable:
        assert errors == ""
    else:
        assert "Downloading MNIST" in errors


# --- The record ---


def test_idx_header_is_the_one_that_mnists_makers_describe():
    # Magic numbers 2051 and 2049, then the sizes, as 32-bit integers, the most significant first.
    images = np.frombuffer(data.idx_header((60_000, 28, 28)), ">i4")
    labels = np.frombuffer(data.idx_header((10_000,)), ">i4")
    assert images.tolist() == [2051, 60_000, 28, 28]
    assert labels.tolist() == [2049, 10_000]


def test_examples_in_docstrings():
    results = doctest.testmod(data)
    assert (results.failed, results.attempted) == (0, 1)


def test_digest_is_over_the_four_arrays_in_order(fake, folder):
    write_npz(folder / "mnist.npz", fake)
    digits = load_digits("mnist")
    expected = hashlib.sha256(b"".join(idx_form(fake[part]) for part in PARTS)).hexdigest()
    assert digits.digest == expected


def test_record_shows_its_size_and_no_path(fake, folder):
    write_npz(folder / "mnist.npz", fake)
    shown = repr(load_digits("mnist"))
    assert shown == "Digits(mnist: 50 training and 20 test images of 28×28 pixels)"


def test_import_is_light():
    code = "import sys, digits_helpers.data; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    heavy = {"tensorflow", "keras", "matplotlib", "sklearn", "PIL", "pooch", "requests", "tqdm"}
    assert "numpy" in loaded.stdout.split()
    assert heavy.isdisjoint(loaded.stdout.split())


# --- The embedded digits ---


@pytest.fixture(scope="module")
def embedded():
    return load_digits("embedded")


def test_embedded_digits_are_the_same_on_every_machine(embedded):
    assert embedded.digest == data.EMBEDDED_DIGEST
    assert load_digits("embedded").digest == data.EMBEDDED_DIGEST


def test_embedded_arrays(embedded):
    assert_holds(embedded, {part: getattr(embedded, part) for part in PARTS}, "embedded")
    assert embedded.train_images.shape == (1437, 28, 28)  # 1,797 less 360
    assert embedded.test_images.shape == (360, 28, 28)
    assert embedded.source.startswith("scikit-learn ")


def test_embedded_split_is_stratified(embedded):
    # The class sizes are in UCI's description of the set (optdigits.names, testing part).
    sizes = np.array([178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    train = np.bincount(embedded.train_labels)
    test = np.bincount(embedded.test_labels)
    assert (train + test).tolist() == sizes.tolist()
    assert np.abs(test - sizes * 360 / 1797).max() < 1


def test_embedded_parts_hold_each_image_of_scikit_learn_once(embedded):
    """Labels and ink of each part, in order, are those of the originals that belong there."""
    from sklearn.datasets import load_digits as originals

    bunch = originals()
    in_test = np.zeros(1797, dtype=bool)
    in_test[np.argsort(bunch.target, kind="stable")[::5]] = True
    for chosen, images, labels in (
        (~in_test, embedded.train_images, embedded.train_labels),
        (in_test, embedded.test_images, embedded.test_labels),
    ):
        np.testing.assert_array_equal(bunch.target[chosen], labels)
        ink = images.sum(axis=(1, 2)) / 255 * 16 / 2.5**2  # 20 / 8 in each direction
        # Enlarging keeps the ink to within what is cut off at the box's edge and clipped at 0.
        np.testing.assert_allclose(ink, bunch.images[chosen].sum(axis=(1, 2)), rtol=0.1)


def centres(images):
    """Row and column of the centre of mass of each image."""
    ink, places = images.astype(float), np.arange(28)
    mass = ink.sum(axis=(1, 2))
    return np.stack([ink.sum(axis=2) @ places / mass, ink.sum(axis=1) @ places / mass])


def test_embedded_centres_of_mass_are_where_mnists_are(embedded):
    # Within half a pixel of (14, 14), the rounding to whole pixels: the same holds for MNIST.
    for images in (embedded.train_images, embedded.test_images):
        assert np.abs(centres(images) - 14).max() <= 0.5


def test_enlarged_digit_fills_twenty_by_twenty_pixels():
    field = data._enlarge(np.full((8, 8), 255, dtype=np.uint8))
    rows, columns = np.nonzero(field)
    # A full square has its centre of mass at 9.5 of 20; moved by 4.5, rounded up to 5, to 14.5.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 24, 5, 24)
    assert field.sum() == 20 * 20 * 255


def test_enlarged_digit_stays_inside_the_field():
    corner = np.zeros((8, 8), dtype=np.uint8)
    corner[0, 7] = 255
    rows, columns = np.nonzero(data._enlarge(corner))
    # The ink would have to move by 13 pixels to reach the centre; the box has room for 8 down
    # and, on the other axis, stays at 0.
    assert rows.min() == 8
    assert columns.max() == 19


def test_docstring_says_that_scores_on_the_embedded_digits_are_optimistic():
    assert "optimistic" in inspect.getdoc(load_digits)


# --- The real MNIST ---


def test_digests_belong_to_the_files_with_the_published_md5(mnist):
    # The MD5 of MNIST's four files, unpacked, as widely published.
    published = {
        "train_images": "6bbc9ace898e44ae57da46a324031adb",
        "train_labels": "a25bea736e30d166cdddb491f175f624",
        "test_images": "2646ac647ad5339dbf082846283269ea",
        "test_labels": "27ae3e4e09519cfbb04c329615203637",
    }
    for part in PARTS:
        content = idx_form(getattr(mnist, part))
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == published[part]
        assert hashlib.sha256(content).hexdigest() == data.MNIST_DIGESTS[part]


def test_facts_about_mnist(mnist):
    assert_holds(mnist, {part: getattr(mnist, part) for part in PARTS})
    # Shapes: MNIST's own page. 5 is the rarest class and 1 the most common: widely published.
    assert mnist.train_images.shape == (60_000, 28, 28)
    assert mnist.test_images.shape == (10_000, 28, 28)
    sizes = np.bincount(mnist.train_labels)
    assert (sizes[5], sizes[1]) == (sizes.min(), sizes.max()) == (5421, 6742)
    assert np.abs(centres(mnist.train_images) - 14).max() < 0.52  # what `_enlarge` imitates


def test_known_label_errors_quote_the_real_labels(mnist):
    assert len(data.KNOWN_LABEL_ERRORS) == 15  # as counted in the reviewers' published answers
    for index, (given, agreed) in data.KNOWN_LABEL_ERRORS.items():
        assert mnist.test_labels[index] == given
        assert agreed is None or (agreed != given and agreed in range(10))


def test_real_mnist_in_all_containers(mnist, folder):
    arrays = {part: getattr(mnist, part) for part in PARTS}
    write_idx(folder, arrays)
    assert load_digits("mnist").digest == mnist.digest
    np.savez(folder / "mnist.npz", **{NPZ[part]: array for part, array in arrays.items()})
    assert load_digits("mnist").source == str(folder / "mnist.npz")
