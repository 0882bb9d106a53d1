"""Where MNIST is found: the chosen folder, Keras's cache, and downloads from a server in this process."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from digits_helpers import _mnist, _mnist_files
from digits_helpers._mnist import load_mnist
from digits_helpers.errors import DatasetError, MnistUnavailable


@pytest.fixture(autouse=True)
def cache(nothing_of_the_user):
    return nothing_of_the_user


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """An empty folder that DIGITS_DATA_DIR names."""
    path = tmp_path / "chosen"
    path.mkdir()
    monkeypatch.setenv("DIGITS_DATA_DIR", str(path))
    return path


# --- On this machine ---


def test_the_chosen_folder_comes_first(fake, folder, cache):
    fake.write_npz(folder / "mnist.npz")
    fake.write_npz(cache / "mnist.npz")
    arrays, source = load_mnist()
    assert fake.is_in(arrays)
    assert source == str(folder / "mnist.npz")


@pytest.mark.parametrize("chosen", [None, os.path.join("~", ".keras", "datasets")])
def test_the_home_folder_is_understood(fake, monkeypatch, tmp_path, chosen):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME")  # so that Keras's cache is in the home folder
    if chosen:
        monkeypatch.setenv("DIGITS_DATA_DIR", chosen)
    path = fake.write_npz(tmp_path / ".keras" / "datasets" / "mnist.npz")
    assert load_mnist()[1] == str(path)


@pytest.mark.parametrize("content", [None, b"<html>"])
def test_nothing_else_is_tried_when_a_chosen_folder_has_no_good_copy(fake, folder, cache, content):
    fake.write_npz(cache / "mnist.npz")
    if content:
        (folder / "mnist.npz").write_bytes(content)
    with pytest.raises(DatasetError, match="web page" if content else "neither mnist.npz nor") as caught:
        load_mnist()
    assert not isinstance(caught.value, MnistUnavailable)
    assert str(folder) in str(caught.value)
    assert "unset DIGITS_DATA_DIR" in str(caught.value)


def test_a_damaged_file_in_the_cache_is_named_and_left_alone(fake, cache):
    cache.mkdir(parents=True)
    (cache / "mnist.npz").write_bytes(b"<html>")
    with pytest.warns(UserWarning, match="mnist.npz is a web page"), pytest.raises(MnistUnavailable, match="OFFLINE"):
        load_mnist()
    assert (cache / "mnist.npz").read_bytes() == b"<html>"  # with DIGITS_OFFLINE=1 there is nothing to replace it


# --- Downloads ---


class Server:
    """Answers on this machine; `files` maps a path to what is sent, or to the status of a refusal."""

    def __init__(self):
        self.files, self.requests, self.promise_more = {}, [], False
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                content = server.files.get(self.path, 404)
                status, content = (content, b"") if isinstance(content, int) else (200, content)
                server.requests.append(f"{self.command} {self.path}")
                self.send_response(status)
                self.send_header("Content-Length", str(len(content) + server.promise_more))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            do_HEAD = do_GET

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server(monkeypatch, fake, tmp_path):
    """A server in the place of both real ones, with a good file each; downloads are allowed."""
    server = Server()
    server.files["/keras/mnist.npz"] = fake.write_npz(tmp_path / "original.npz").read_bytes()
    server.files |= {f"/mirror/{name}": content for name, content in fake.idx_files().items()}
    monkeypatch.setattr(_mnist, "NPZ_ADDRESS", server.address + "keras/mnist.npz")
    monkeypatch.setattr(_mnist, "IDX_ADDRESS", server.address + "mirror/")
    monkeypatch.delenv("DIGITS_OFFLINE")
    yield server
    server.http.shutdown()
    server.http.server_close()


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("offline", [None, "", "0"])
def test_a_download_goes_to_kerass_cache(fake, server, cache, monkeypatch, offline, capfd):
    if offline is not None:
        monkeypatch.setenv("DIGITS_OFFLINE", offline)
    arrays, source = load_mnist()
    assert fake.is_in(arrays)
    assert source == server.address + "keras/mnist.npz"
    assert files_in(cache) == ["mnist.npz"]
    assert (cache / "mnist.npz").stat().st_mode & 0o444 == 0o444  # for all who share the cache
    assert load_mnist()[1] == str(cache / "mnist.npz")
    assert server.requests == ["HEAD /keras/mnist.npz", "GET /keras/mnist.npz"]
    out, err = capfd.readouterr()
    assert out == ""
    assert err.endswith(" \r")  # the line about the download is gone


def test_a_damaged_file_in_the_cache_is_replaced(fake, server, cache):
    cache.mkdir(parents=True)
    (cache / "mnist.npz").write_bytes(b"<html>")
    with pytest.warns(UserWarning, match="web page"):
        load_mnist()
    assert fake.is_in(_mnist_files.find_in_folder(cache, [])[0])


@pytest.mark.parametrize(("answer", "keyword"), [(503, "status 503"), (b"<html>", "web page"), (b"PK", "damaged")])
def test_the_mirror_is_used_where_the_first_address_fails(fake, server, cache, answer, keyword):
    server.files["/keras/mnist.npz"] = answer
    arrays, source = load_mnist()
    assert fake.is_in(arrays)
    assert source.startswith(server.address + "mirror/")
    assert files_in(cache) == [f"mnist-idx/{name}" for name in sorted(fake.idx_files())]
    server.files["/mirror/train-images-idx3-ubyte.gz"] = answer
    for path in cache.rglob("*.gz"):
        path.unlink()
    with pytest.raises(MnistUnavailable, match=f"{keyword}.*{keyword}") as caught:
        load_mnist()
    assert ".mnist-" not in str(caught.value)  # the temporary folder is nobody's concern
    assert files_in(cache) == []


def test_a_download_that_breaks_off_is_reported(server, cache):
    server.promise_more = True
    with pytest.raises(MnistUnavailable, match="could not be downloaded"):
        load_mnist()
    assert files_in(cache) == []


def test_an_unreachable_server_is_reported(server, monkeypatch):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        for name in ("NPZ_ADDRESS", "IDX_ADDRESS"):
            monkeypatch.setattr(_mnist, name, f"http://127.0.0.1:{holder.getsockname()[1]}/")
        with pytest.raises(MnistUnavailable, match="does not answer.*does not answer.*connect to the internet"):
            load_mnist()


def test_nobody_waits_longer_for_a_server_than_the_limit(server, monkeypatch):
    assert 2 * _mnist.CONNECT_TIMEOUT < 20
    monkeypatch.setattr(_mnist, "CONNECT_TIMEOUT", 0.1)

    def look_up_for_ever(*arguments, **options):
        time.sleep(2)
        raise requests.ConnectionError

    monkeypatch.setattr("requests.head", look_up_for_ever)
    began = time.monotonic()
    with pytest.raises(MnistUnavailable, match="does not answer"):
        load_mnist()
    assert time.monotonic() - began < 1.5


def test_a_server_that_cannot_prove_its_identity_is_named(server, monkeypatch):
    def refuse(*arguments, **options):
        raise requests.exceptions.SSLError("self-signed certificate")

    monkeypatch.setattr("requests.head", refuse)
    with pytest.raises(MnistUnavailable, match="identity"):
        load_mnist()


def test_a_cache_that_cannot_be_written_does_not_withhold_the_data(fake, server, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="cannot be written"):
        arrays, _ = load_mnist()
    assert fake.is_in(arrays)


LOAD = """
import json, sys, warnings
from digits_helpers import _mnist, _mnist_files
warnings.simplefilter("error")
_mnist.NPZ_ADDRESS, shapes, _mnist_files.DIGESTS = json.loads(sys.argv[1])
_mnist_files.SHAPES = {part: tuple(shape) for part, shape in shapes.items()}
_mnist.load_mnist()
"""


@pytest.mark.weekly
def test_sixteen_processes_end_with_one_good_copy(fake, server, cache):
    facts = json.dumps((_mnist.NPZ_ADDRESS, _mnist_files.SHAPES, _mnist_files.DIGESTS))
    processes = [subprocess.Popen([sys.executable, "-c", LOAD, facts]) for _ in range(16)]
    assert [process.wait(120) for process in processes] == [0] * 16
    assert files_in(cache) == ["mnist.npz"]
    assert fake.is_in(load_mnist()[0])
