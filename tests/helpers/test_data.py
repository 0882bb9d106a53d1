"""`load_digits`: which set it gives, what it prints, and the record."""

import hashlib

import numpy as np
import pytest

from digits_helpers.data import KNOWN_LABEL_ERRORS, PARTS, load_digits
from digits_helpers.errors import DatasetError, MnistUnavailable

# A new version of scikit-learn or Pillow that changes a pixel is noticed here before it changes the lessons.
EMBEDDED_DIGEST = "1cfc12c866adfdd0b047937f3c5075017aa43c0db79b406b4270279c58431cdb"


@pytest.fixture
def fake_folder(fake, nothing_of_the_user, monkeypatch, tmp_path):
    monkeypatch.setenv("DIGITS_DATA_DIR", str(tmp_path))
    fake.write_npz(tmp_path / "mnist.npz")
    return tmp_path


@pytest.mark.parametrize("dataset", ["mnist", "auto"])
def test_mnist_where_there_is_one(fake, fake_folder, capsys, dataset):
    digits = load_digits(dataset)
    assert digits.name == "mnist"
    assert digits.notice is None
    assert fake.is_in(vars(digits))
    assert capsys.readouterr().out == "MNIST: 50 training and 20 test images\n"


def test_auto_without_mnist_is_embedded_and_says_so(nothing_of_the_user, capsys):
    digits = load_digits()
    assert digits.name == "embedded"
    printed = capsys.readouterr().out
    assert printed.startswith("the embedded digits: 1,437 training and 360 test images\n")
    assert "This is not MNIST" in printed
    assert "DIGITS_DATA_DIR" in printed
    assert str(nothing_of_the_user.parent) not in printed
    assert " ".join(printed.replace("***", "").split()).endswith(digits.notice)


def test_mnist_without_mnist_is_an_error(nothing_of_the_user):
    with pytest.raises(MnistUnavailable, match="put mnist.npz into a folder"):
        load_digits("mnist")


@pytest.mark.parametrize("dataset", ["mnist", "auto"])
def test_a_bad_chosen_folder_is_an_error_and_no_reason_for_a_substitute(fake_folder, dataset):
    (fake_folder / "mnist.npz").write_bytes(b"")
    with pytest.raises(DatasetError, match="empty"):
        load_digits(dataset)
    assert load_digits("embedded").name == "embedded"


@pytest.mark.parametrize("dataset", ["minst", "MNIST", "", None, 3, ["mnist"]])
def test_an_unknown_dataset_is_named(dataset):
    with pytest.raises(DatasetError, match='only "auto", "mnist" and "embedded"') as caught:
        load_digits(dataset)
    assert repr(dataset) in str(caught.value)


def test_nothing_is_printed_when_not_verbose(capsys):
    load_digits("embedded", verbose=False)
    assert capsys.readouterr() == ("", "")


def test_the_embedded_digits_are_the_same_on_every_machine(embedded):
    assert embedded.digest == EMBEDDED_DIGEST
    assert embedded.train_images.shape == (1437, 28, 28)  # 1,797 less 360
    assert embedded.test_images.shape == (360, 28, 28)


def test_arrays_are_bytes_and_read_only(embedded):
    for part in PARTS:
        array = getattr(embedded, part)
        assert array.dtype == np.uint8
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_digests_are_over_the_arrays_in_mnists_format(embedded):
    header = bytes([0, 0, 8, 1]) + (360).to_bytes(4, "big")
    expected = hashlib.sha256(header + embedded.test_labels.tobytes()).hexdigest()
    assert embedded.digests["test_labels"] == expected
    assert list(embedded.digests) == [*PARTS, "all"]
    assert embedded.digests["all"] == embedded.digest


def test_facts_about_mnist(mnist):
    # Shapes: MNIST's own page. 5 is the rarest class and 1 the most common: widely published.
    assert str(mnist) == "MNIST: 60,000 training and 10,000 test images"
    sizes = np.bincount(mnist.train_labels)
    assert (sizes[5], sizes[1]) == (sizes.min(), sizes.max()) == (5421, 6742)


def test_known_label_errors_quote_the_real_labels(mnist):
    assert len(KNOWN_LABEL_ERRORS) == 15  # as counted in the reviewers' published answers
    for index, (given, agreed) in KNOWN_LABEL_ERRORS.items():
        assert mnist.test_labels[index] == given
        assert agreed is None or (agreed != given and agreed in range(10))
