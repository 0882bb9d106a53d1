"""The digits that scikit-learn ships, brought to 28×28 pixels as MNIST's makers did with theirs."""

import numpy as np
from numpy.typing import NDArray


def make_digits() -> tuple[dict[str, NDArray[np.uint8]], str]:
    """Make a training and a test part of scikit-learn's 1,797 digits.

    They are the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998, UCI Machine
    Learning Repository): 8×8 images from 13 writers, values 0 to 16.

    The split is fixed: of the images sorted by class, every fifth is a test image, which makes 360 of them with the
    classes in proportion. The data do not say who wrote which digit, so the same writers are in both parts, and scores
    on this test part are optimistic: a network has seen other digits by the same hands.

    Returns:
        The four arrays by name (uint8; images of shape (n, 28, 28), labels of shape (n,)), and where they are from.
    """
    import sklearn
    from sklearn import datasets

    bunch = datasets.load_digits()
    # 0…16 to 0…255 in whole numbers: no machine rounds these differently.
    small = ((bunch.images.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)
    images = np.stack([_enlarge(image) for image in small])
    labels = bunch.target.astype(np.uint8)
    in_test = np.zeros(len(labels), dtype=bool)
    in_test[np.argsort(labels, kind="stable")[::5]] = True
    arrays = {
        "train_images": images[~in_test],
        "train_labels": labels[~in_test],
        "test_images": images[in_test],
        "test_labels": labels[in_test],
    }
    return arrays, f"scikit-learn {sklearn.__version__}"


def _enlarge(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge a digit to 20×20 and put its centre of mass on pixel (14, 14) of a 28×28 field.

    MNIST's makers fitted each digit into 20×20 pixels with anti-aliasing and moved its centre of mass to the centre of
    a 28×28 field (described on the MNIST page of Y. LeCun, C. Cortes and C. J. C. Burges). In MNIST itself that centre
    lies within half a pixel of row 14, column 14, counted from 0. All arithmetic is on integers, and so is Pillow's on
    8-bit images.

    Args:
        image: uint8, shape (height, width), with some ink.

    Returns:
        uint8, shape (28, 28), 0 to 255.
    """
    from PIL import Image

    box = np.asarray(Image.fromarray(image).resize((20, 20), Image.Resampling.BICUBIC), dtype=np.int64)
    mass, places = int(box.sum()), np.arange(20)
    # Rounds 14 - centre to the nearest whole number; the box must stay inside the field.
    top, left = (
        min(max((28 * mass - 2 * int(ink @ places) + mass) // (2 * mass), 0), 8)
        for ink in (box.sum(axis=1), box.sum(axis=0))
    )
    field = np.zeros((28, 28), dtype=np.uint8)
    field[top : top + 20, left : left + 20] = box
    return field
