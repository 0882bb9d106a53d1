"""Where MNIST is found; lessons call `data.load_digits`."""

import contextlib
import os
import sys
import tempfile
import threading
import warnings
from pathlib import Path

from digits_helpers._mnist_files import IDX_NAMES, Found, NotUsable, find_in_folder
from digits_helpers.errors import DatasetError, MnistUnavailable

# The address that Keras downloads from, and the one that torchvision uses.
NPZ_ADDRESS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
IDX_ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist/"
CONNECT_TIMEOUT = 8.0  # seconds for each of the two addresses: an offline machine knows after 16
READ_TIMEOUT = 15.0  # seconds without a byte in the middle of a download

HOW_TO_GET_MNIST = (
    "connect to the internet and run again, or put mnist.npz into a folder and set DIGITS_DATA_DIR to that folder"
)


def load_mnist() -> Found:
    """Find MNIST in $DIGITS_DATA_DIR, or else in Keras's cache or on the internet.

    A folder in DIGITS_DATA_DIR is a wish: where it holds no good copy, that is an error rather than a reason to search
    elsewhere. A damaged file in Keras's cache is nobody's wish: a warning names it and the search goes on.

    Raises:
        MnistUnavailable: there is no good copy on this machine, and none could be downloaded.
        DatasetError: DIGITS_DATA_DIR holds no good copy.
    """
    problems: list[str] = []
    if chosen := os.environ.get("DIGITS_DATA_DIR"):
        found = find_in_folder(Path(os.path.expanduser(chosen)), problems)
        if found is None:
            raise DatasetError(
                f"DIGITS_DATA_DIR is {chosen!r}, but MNIST cannot be read there "
                f"({'; '.join(problems) or 'it holds neither mnist.npz nor the four IDX files'}): "
                "put a good copy of mnist.npz there, or unset DIGITS_DATA_DIR to have MNIST found or downloaded."
            )
        return found
    cache = Path(os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras"), "datasets")
    found = find_in_folder(cache, problems)
    if found is None:
        for problem in problems:
            warnings.warn(f"{problem}; this file is not used, and MNIST is looked for elsewhere.", stacklevel=3)
        found = _download(cache, problems)
    if found is None:
        raise MnistUnavailable(
            f"MNIST is neither in Keras's cache {str(cache)!r} nor could it be downloaded "
            f"({'; '.join(problems)}): {HOW_TO_GET_MNIST}."
        )
    return found


def _download(cache: Path, problems: list[str]) -> Found | None:
    """Download MNIST from Keras's address or the mirror; append what went wrong."""
    if os.environ.get("DIGITS_OFFLINE", "") not in ("", "0"):
        problems.append("as long as DIGITS_OFFLINE is set no download is tried")
        return None
    mirror = {f"mnist-idx/{name}.gz": f"{IDX_ADDRESS}{name}.gz" for name in IDX_NAMES.values()}
    for addresses in ({"mnist.npz": NPZ_ADDRESS}, mirror):
        try:
            return _download_into(cache, addresses)
        except NotUsable as problem:
            problems.append(str(problem))
    return None


def _download_into(cache: Path, addresses: dict[str, str]) -> Found:
    """Download files into a temporary folder, verify them there, and move them into the cache.

    Other processes may do the same at this moment: each has a folder of its own, and moving replaces a file at once.
    A cache that cannot be written is no reason to withhold the data.
    """
    first = next(iter(addresses.values()))
    _check_answers(first)
    try:
        (cache / "mnist-idx").mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=".mnist-", dir=cache)
    except OSError as error:
        warnings.warn(
            f"{cache} cannot be written ({error.strerror}): the next lesson downloads MNIST again.", stacklevel=5
        )
        temporary = tempfile.TemporaryDirectory()
    with temporary as folder:
        for name, address in addresses.items():
            _fetch(address, Path(folder, name))
        problems: list[str] = []
        found = find_in_folder(Path(folder), problems)
        if found is None:
            raise NotUsable(f"{first} sent no good copy ({'; '.join(problems)})".replace(f"{folder}{os.sep}", ""))
        for name in addresses:
            with contextlib.suppress(OSError):
                os.replace(Path(folder, name), cache / name)
    return found[0], first


def _check_answers(address: str) -> None:
    """Ask a server for a file's headers, and wait for at most `CONNECT_TIMEOUT` seconds in all.

    The time limit of `requests` is for each attempt, and a name can have twenty addresses; looking up the name has no
    limit at all. So a thread asks, and nobody waits longer for it.
    """
    import requests

    errors: list[Exception] = [requests.Timeout()]

    def ask() -> None:
        try:
            requests.head(address, timeout=CONNECT_TIMEOUT, allow_redirects=True).raise_for_status()
            errors.clear()
        except Exception as error:  # whatever it is, the one who waits must know it
            errors[:] = [error]

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT)
    if errors:
        raise NotUsable(f"{address} {_explain(errors[0])}")


def _fetch(address: str, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pooch imports a progress bar, which warns where it finds no widgets
        import pooch
    pooch.get_logger().setLevel("WARNING")
    message = f"Downloading {address} ..."
    sys.stderr.write(f"{message}\r")
    downloader = pooch.HTTPDownloader(timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))
    try:
        pooch.retrieve(address, known_hash=None, fname=path.name, path=path.parent, downloader=downloader)
        path.chmod(0o644)  # pooch makes files that only their owner can read, but a cache may be shared
    except (OSError, ValueError) as error:  # those of requests are among them
        raise NotUsable(f"{address} {_explain(error)}") from error
    finally:
        sys.stderr.write(f"{' ' * len(message)}\r")


def _explain(error: Exception) -> str:
    """Say in a few words what went wrong with a download."""
    import requests

    if isinstance(error, requests.HTTPError):
        return f"answered with status {error.response.status_code}"
    if isinstance(error, requests.exceptions.SSLError):
        return "could not prove its identity (TLS)"
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return "does not answer"
    return f"could not be downloaded ({type(error).__name__}: {error})"
