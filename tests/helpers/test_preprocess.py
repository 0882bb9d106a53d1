"""Scaling, one-hot labels, splits and the input check."""

import doctest
import hashlib

import numpy as np
import pytest

from digits_helpers import preprocess
from digits_helpers.preprocess import (
    InputError,
    check_input,
    one_hot,
    prepare_test,
    prepare_training,
    scale_images,
    split_indices,
)


@pytest.fixture(scope="module")
def right(embedded):
    """Input in the form that the networks read."""
    return scale_images(embedded.train_images), one_hot(embedded.train_labels)


def test_scaling_gives_floats_from_0_to_1_with_a_channel_axis():
    scaled = scale_images(np.arange(2 * 28 * 28).reshape(2, 28, 28).astype(np.uint8))
    assert scaled.shape == (2, 28, 28, 1)
    assert scaled.dtype == np.float32
    assert scaled.min() == 0.0
    assert scaled.max() == 1.0
    assert scaled[0, 1, 23, 0] == pytest.approx(51 / 255)  # pixel 28 + 23 = 51


def test_one_hot_agrees_with_keras(embedded):
    import keras

    labels = embedded.train_labels
    assert np.array_equal(one_hot(labels), keras.utils.to_categorical(labels, num_classes=10))
    assert one_hot(labels).dtype == np.float32


def test_split_holds_every_index_once_and_is_stratified(embedded):
    training, validation = split_indices(embedded.train_labels)
    assert sorted([*training, *validation]) == list(range(len(embedded.train_labels)))
    # A tenth of 1,437 rounded up by scikit-learn; each class within one image of its tenth.
    assert len(validation) == 144
    whole, part = np.bincount(embedded.train_labels), np.bincount(embedded.train_labels[validation])
    assert np.abs(part - whole / 10).max() < 1


# Which images are validation images decides every number from lesson 02 on, also of the network that ships.
@pytest.mark.parametrize(
    ("name", "size", "digest"),
    [
        ("embedded", 144, "e67cab38cee48c927dffa77e5b9b74e62e8b3952f06c52c7544d4bf7b8072e05"),
        ("mnist", 6000, "e36371dbccd914272d44e6f7c0a4c7d8ac6336082e278dc4224ae9cb246d2764"),
    ],
)
def test_split_is_the_one_that_the_stored_results_were_made_with(request, name, size, digest):
    _, validation = split_indices(request.getfixturevalue(name).train_labels)
    assert len(validation) == size
    assert hashlib.sha256(validation.astype("<i8").tobytes()).hexdigest() == digest


def test_training_data_are_the_training_set_in_pairs(embedded):
    data = prepare_training(embedded)
    x_train, y_train, x_val, y_val = data
    assert data.x_val is x_val
    label_of = {
        image.tobytes(): label for image, label in zip(embedded.train_images, embedded.train_labels, strict=True)
    }
    for images, labels in ((x_train, y_train), (x_val, y_val)):
        pixels = np.round(images[..., 0] * 255).astype(np.uint8)
        assert [label_of[image.tobytes()] for image in pixels] == labels.argmax(axis=1).tolist()
        check_input(images, labels)
    assert len(x_train) + len(x_val) == len(embedded.train_images)


def test_test_set_is_prepared_in_the_same_way(embedded):
    x_test, y_test = prepare_test(embedded)
    check_input(x_test, y_test)
    assert np.array_equal(y_test.argmax(axis=1), embedded.test_labels)


WRONG = {
    "no channel axis": (lambda x, y: (x[..., 0], y), "channel axis last"),
    "channel axis first": (lambda x, y: (np.moveaxis(x, -1, 1), y), "channel axis last"),
    "not scaled": (lambda x, y: (x * 255, y), "divide them by 255"),
    "negative": (lambda x, y: (x - 0.5, y), "0 to 1 is needed"),
    "scaled twice": (lambda x, y: (x / 255, y), "twice"),
    "integers as labels": (lambda x, y: (x, y.argmax(axis=1)), "one-hot"),
    "one label too few": (lambda x, y: (x, y[1:]), "one-hot"),
    "two ones in a row": (lambda x, y: (x, np.maximum(y, np.roll(y, 1, axis=1))), "one-hot"),
    "shuffled apart": (lambda x, y: (x, np.random.default_rng(0).permutation(y)), "same order"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_input_is_named(right, mistake):
    change, keyword = WRONG[mistake]
    with pytest.raises(InputError, match=keyword):
        check_input(*change(*right))


def test_examples_in_docstrings():
    results = doctest.testmod(preprocess)
    assert results.failed == 0
    assert results.attempted >= 4
