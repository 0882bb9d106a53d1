"""From raw pixels to what a network reads: scale, reshape, one-hot, split, check (lesson 02)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digits_helpers.data import Digits
from digits_helpers.errors import DigitsError

CLASSES = 10
VALIDATION_FRACTION = 0.1
# The split has a seed of its own: runs with different training seeds see the same validation images.
SPLIT_SEED = 0


class InputError(DigitsError, ValueError):
    """Images or labels are not in the form that the networks of this series read."""


class TrainingData(NamedTuple):
    """What training may look at: a training part and a validation part, both from the training set.

    Images are float32 in [0, 1], shape (n, 28, 28, 1); labels are float32 one-hot, shape (n, 10).
    """

    x_train: NDArray[np.float32]
    y_train: NDArray[np.float32]
    x_val: NDArray[np.float32]
    y_val: NDArray[np.float32]


def scale_images(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale pixels to [0, 1] and add the channel axis.

    Args:
        images: uint8, shape (n, 28, 28), values 0 to 255.

    Returns:
        float32, shape (n, 28, 28, 1), values 0.0 to 1.0.

    >>> scale_images(np.full((2, 28, 28), 255, np.uint8)).shape
    (2, 28, 28, 1)
    """
    return images[..., np.newaxis].astype("float32") / 255


def one_hot(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn each label into a row of ten with a 1 in the label's column.

    Args:
        labels: integers, shape (n,), values 0 to 9.

    Returns:
        float32, shape (n, 10); every row sums to 1.

    Raises:
        IndexError: a label is larger than 9.
    """
    return np.eye(10, dtype="float32")[labels]


def split_indices(
    labels: NDArray[np.uint8], fraction: float = VALIDATION_FRACTION, seed: int = SPLIT_SEED
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split the training set into a training and a validation part with the same class shares.

    Stratified by scikit-learn.

    Args:
        labels: integers, shape (n,).
        fraction: share of the images that goes to validation, between 0 and 1.
        seed: which of the possible splits; the same seed gives the same split on every machine.

    Returns:
        Two sorted index arrays without common elements, which together hold every index once.
    """
    from sklearn.model_selection import train_test_split

    training, validation = train_test_split(
        np.arange(len(labels)), test_size=fraction, stratify=labels, random_state=seed
    )
    return np.sort(training), np.sort(validation)


def prepare_training(digits: Digits) -> TrainingData:
    """Split, scale and one-hot encode the training set, as lesson 02 does step by step.

    >>> from digits_helpers.data import load_digits
    >>> x_train, y_train, x_val, y_val = prepare_training(load_digits("embedded", verbose=False))
    >>> x_train.shape, y_val.shape
    ((1293, 28, 28, 1), (144, 10))
    """
    training, validation = split_indices(digits.train_labels)
    return TrainingData(
        scale_images(digits.train_images[training]),
        one_hot(digits.train_labels[training]),
        scale_images(digits.train_images[validation]),
        one_hot(digits.train_labels[validation]),
    )


def prepare_test(digits: Digits) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scale and one-hot encode the test set; called once, in lesson 05.

    Returns:
        Images as float32 in [0, 1] of shape (n, 28, 28, 1), and one-hot labels as float32 of shape (n, 10).
    """
    return scale_images(digits.test_images), one_hot(digits.test_labels)


def check_input(images: NDArray, labels: NDArray, classes: int = CLASSES) -> None:
    """Catch the usual mistakes before a training run hides them behind a poor accuracy.

    Args:
        images: what is about to be given to a network; right is float in [0, 1], shape (n, 28, 28, 1).
        labels: what is about to be given to the loss; right is one-hot, shape (n, classes).
        classes: number of classes.

    Raises:
        InputError: wrong axes, wrong range, scaled twice, labels not one-hot, counts that differ, or labels that
            do not belong to their images. The message says what was found and what to do.
    """
    if images.ndim != 4 or images.shape[1:] != (28, 28, 1):
        raise InputError(
            f"The images have shape {images.shape}, but (n, 28, 28, 1) is needed: "
            "put the channel axis last, with images[..., np.newaxis]."
        )
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        raise InputError(f"The pixels go from {low:g} to {high:g}, but 0 to 1 is needed: divide them by 255, once.")
    if high <= 2 / 255:
        raise InputError(f"The largest pixel is {high:.4f}, as if divided by 255 twice: scale the raw images once.")
    is_one_hot = labels.shape == (len(images), classes) and np.isin(labels, (0, 1)).all() and (labels.sum(1) == 1).all()
    if not is_one_hot:
        raise InputError(
            f"The labels have shape {labels.shape}, but one one-hot row per image is needed, "
            f"{(len(images), classes)}: use one_hot(labels)."
        )
    _check_pairing(images, labels)


def _check_pairing(images: NDArray, labels: NDArray) -> None:
    """Check that images and labels are still in the same order, with the nearest class mean as the judge.

    Class means are taken from one half of the images and tried on the other. Right labels give about 80% on MNIST,
    labels shuffled apart from their images about 10%; the border, 30%, is far from both. With fewer than 100 images
    the answer would be a matter of luck, and nothing is checked.
    """
    if len(images) < 100:
        return
    flat, classes = images[:4000].reshape(-1, 28 * 28), labels[:4000].argmax(axis=1)
    half = len(flat) // 2
    present = np.unique(classes[:half])
    means = np.stack([flat[:half][classes[:half] == digit].mean(axis=0) for digit in present])
    distances = (means**2).sum(axis=1) - 2 * flat[half:] @ means.T
    accuracy = float(np.mean(present[distances.argmin(axis=1)] == classes[half:]))
    if accuracy < 0.3:
        raise InputError(
            f"A nearest-class-mean check gets only {accuracy:.0%} of the labels right, where about 80% is usual: "
            "images and labels are probably not in the same order; shuffle both with the same index array."
        )
