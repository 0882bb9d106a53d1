"""The digits that scikit-learn ships, at MNIST's size."""

import numpy as np

from digits_helpers._embedded import enlarge, make_digits


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


def test_each_image_of_scikit_learn_is_there_once(embedded):
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


def test_centres_of_mass_are_where_mnists_are(embedded):
    for images in (embedded.train_images, embedded.test_images):
        assert np.abs(centres(images) - 14).max() <= 0.5  # the rounding to whole pixels


def test_the_centres_of_mnist_are_what_enlarge_imitates(mnist):
    assert np.abs(centres(mnist.train_images) - 14).max() < 0.52


def test_an_enlarged_digit_fills_twenty_by_twenty_pixels():
    field = enlarge(np.full((8, 8), 255, dtype=np.uint8))
    rows, columns = np.nonzero(field)
    # A full square has its centre of mass at 9.5 of 20; moved by 4.5, rounded up to 5, to 14.5.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 24, 5, 24)
    assert field.sum() == 20 * 20 * 255


def test_an_enlarged_digit_stays_inside_the_field():
    corner = np.zeros((8, 8), dtype=np.uint8)
    corner[0, 7] = 255
    rows, columns = np.nonzero(enlarge(corner))
    # The ink would have to move by 13 pixels to reach the centre; the box has room for 8.
    assert rows.min() == 8
    assert columns.max() == 19
