"""The digits that scikit-learn ships, at MNIST's size."""

import numpy as np

from digits_helpers._embedded import _enlarge, make_digits


def centres(images):
    """Row and column of the centre of mass of each image."""
    ink, places = images.astype(float), np.arange(28)
    mass = ink.sum(axis=(1, 2))
    return np.stack([ink.sum(axis=2) @ places / mass, ink.sum(axis=1) @ places / mass])


def test_the_split_is_stratified():
    arrays, source = make_digits()
    train, test = (np.bincount(arrays[f"{part}_labels"]) for part in ("train", "test"))
    # The class sizes are in UCI's description of the set (optdigits.names, testing part).
    sizes = np.array([178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert (train + test).tolist() == sizes.tolist()
    assert np.abs(test - sizes * 360 / 1797).max() < 1
    assert source.startswith("scikit-learn ")


def test_centres_of_mass_are_where_mnists_are(embedded):
    for images in (embedded.train_images, embedded.test_images):
        assert np.abs(centres(images) - 14).max() <= 0.5  # the rounding to whole pixels; the same holds for MNIST


def test_an_enlarged_digit_fills_twenty_by_twenty_pixels():
    field = _enlarge(np.full((8, 8), 255, dtype=np.uint8))
    rows, columns = np.nonzero(field)
    # A full square has its centre of mass at 9.5 of 20; moved by 4.5, rounded up to 5, to 14.5.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 24, 5, 24)
    assert field.sum() == 20 * 20 * 255


def test_an_enlarged_digit_stays_inside_the_field():
    corner = np.zeros((8, 8), dtype=np.uint8)
    corner[0, 7] = 255
    rows, columns = np.nonzero(_enlarge(corner))
    # The ink would have to move by 13 pixels to reach the centre; the box has room for 8.
    assert rows.min() == 8
    assert columns.max() == 19
