"""Checks on scaling, one-hot labels, splits and the input check."""

import numpy as np
import pytest

from digits_helpers.data import load_digits
from digits_helpers.preprocess import (
    InputError,
    check_input,
    check_pairing,
    one_hot,
    prepare_test,
    prepare_training,
    scale_images,
    split_indices,
)


@pytest.fixture(scope="module")
def embedded():
    """The digits that are on every machine."""
    return load_digits("embedded")


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


def test_one_hot_refuses_a_label_out_of_range():
    with pytest.raises(IndexError):
        one_hot(np.array([10]))


def test_split_holds_every_index_once_and_is_stratified(embedded):
    training, validation = split_indices(embedded.train_labels)
    assert sorted([*training, *validation]) == list(range(len(embedded.train_labels)))
    # A tenth of 1,437 rounded up by scikit-learn; each class within one image of its tenth.
    assert len(validation) == 144
    whole = np.bincount(embedded.train_labels)
    part = np.bincount(embedded.train_labels[validation])
    assert np.abs(part - whole / 10).max() < 1


def test_split_is_the_same_every_time_and_follows_its_seed(embedded):
    first, second, other = (split_indices(embedded.train_labels, seed=seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_mnist_split_has_the_sizes_that_the_lessons_name(mnist):
    training, validation = split_indices(mnist.train_labels)
    assert (len(training), len(validation)) == (54_000, 6_000)


def test_training_data_come_from_the_training_set_alone(embedded):
    data = prepare_training(embedded)
    rows = {image.tobytes() for image in scale_images(embedded.train_images)}
    for images in (data.train_images, data.validation_images):
        assert all(image.tobytes() in rows for image in images)
    assert len(data.train_images) + len(data.validation_images) == len(embedded.train_images)


def test_images_and_labels_stay_in_pairs(embedded):
    data = prepare_training(embedded)
    label_of = {scale_images(image[np.newaxis]).tobytes(): label for image, label in zip(embedded.train_images, embedded.train_labels)}
    for images, labels in ((data.train_images, data.train_labels), (data.validation_images, data.validation_labels)):
        assert [label_of[image.tobytes()] for image in images] == labels.argmax(axis=1).tolist()


def test_test_set_is_scaled_and_its_labels_stay_integers(embedded):
    images, labels = prepare_test(embedded)
    assert images.shape == (len(embedded.test_images), 28, 28, 1)
    assert images.max() <= 1
    assert labels is embedded.test_labels


def test_right_input_passes(right):
    check_input(*right)


WRONG = {
    "no channel axis": (lambda x, y: (x[..., 0], y), "channel axis last"),
    "channel axis first": (lambda x, y: (np.moveaxis(x, -1, 1), y), "channel axis last"),
    "not scaled": (lambda x, y: (x * 255, y), "divide them by 255"),
    "negative": (lambda x, y: (x - 0.5, y), "0 to 1 is needed"),
    "scaled twice": (lambda x, y: (x / 255, y), "divided by 255 twice"),
    "integers as labels": (lambda x, y: (x, y.argmax(axis=1)), "one-hot"),
    "one label too few": (lambda x, y: (x, y[1:]), "one-hot"),
    "two ones in a row": (lambda x, y: (x, np.maximum(y, np.roll(y, 1, axis=1))), "one-hot"),
    "shuffled apart": (lambda x, y: (x, np.random.default_rng(0).permutation(y)), "same order"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_input_is_named(right, mistake):
    change, words = WRONG[mistake]
    with pytest.raises(InputError, match=words):
        check_input(*change(*right))


def test_few_images_are_not_judged_by_their_pairing(right):
    images, labels = right
    check_pairing(images[:99], np.roll(labels[:99], 1, axis=0))  # would fail if judged: the next test shows it
    with pytest.raises(InputError):
        check_pairing(images[:1000], np.random.default_rng(0).permutation(labels[:1000]))
