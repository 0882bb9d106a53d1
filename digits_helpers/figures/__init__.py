"""How a figure looks and is shown, and the plots that several lessons use; the plots of one lesson have its name.

A plotting function takes data and an ``Axes``, draws, and returns the ``Axes``. It never loads, trains or seeds.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from IPython.display import Markdown, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

THEME = Path(__file__).with_name("digits.mplstyle")
SCREEN_DOTS_PER_INCH = 96

# Lines differ by style and marker as well, for greyscale and for colour-blind readers.
STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
COLOURS = tuple(f"C{place}" for place in range(7))  # those of the theme, in their order
INK = "gray_r"


def use_theme() -> None:
    """Give all figures the same look; every lesson calls it once.

    In a notebook, figures become PNG images of their full size, without matplotlib's version in them: the notebook's
    own default cuts off empty margins, so that a figure's size would depend on what it shows.
    """
    plt.style.use(["default", THEME])
    shell = get_ipython()
    if shell is not None:
        from matplotlib_inline.config import InlineBackend

        inline = InlineBackend.instance(parent=shell)
        inline.figure_formats = {"png"}
        inline.print_figure_kwargs = {"bbox_inches": None, "metadata": {"Software": None}}


def show(figure: Figure, finding: str) -> None:
    """Show a figure with its finding: as alternative text of the image, and as a caption that everybody sees.

    Args:
        figure: the finished figure; it is closed afterwards.
        finding: one sentence that says what the figure shows.
    """
    width = round(figure.get_figwidth() * SCREEN_DOTS_PER_INCH)
    display(figure, metadata={"image/png": {"alt": finding, "width": width}})
    plt.close(figure)
    display(Markdown(f"*{finding}*"))


def one_image(ax: Axes, image: NDArray, title: str = "") -> Axes:
    """Draw one greyscale image, dark ink on light paper.

    Args:
        ax: where to draw.
        image: shape (height, width), uint8 in 0 to 255 or float in [0, 1].
        title: above the image.
    """
    ax.imshow(image, cmap=INK, vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
    ax.set(title=title, xlabel="column (pixel)", ylabel="row (pixel)")
    return ax


def image_grid(ax: Axes, images: NDArray, columns: int, titles: list[str]) -> Axes:
    """Draw images in a grid, each under its title.

    Args:
        ax: where to draw.
        images: shape (n, height, width), values 0 to 255.
        columns: images per row.
        titles: n strings, of one or two lines.
    """
    height, width = images.shape[1:]
    head = round(2 + 0.6 * columns) * (1 + max(title.count("\n") for title in titles))  # pixels for a title of 9 points
    rows = -(-len(images) // columns)
    canvas = np.zeros((rows * (height + head), columns * (width + 6)))
    for place, (image, title) in enumerate(zip(images, titles, strict=True)):
        top, left = (place // columns) * (height + head) + head, (place % columns) * (width + 6) + 3
        canvas[top : top + height, left : left + width] = image
        ax.text(left + width / 2, top - 1, title, ha="center", va="bottom", fontsize=9)
    ax.imshow(canvas, cmap=INK, vmin=0, vmax=255)
    ax.set_axis_off()
    return ax


def confusion(ax: Axes, matrix: NDArray, title: str) -> Axes:
    """Draw a confusion matrix of counts; the darker a cell beside the diagonal, the more mistakes.

    Args:
        ax: where to draw.
        matrix: counts, shape (10, 10), row = true class, column = answer.
        title: above the matrix.
    """
    mistakes = matrix - np.diag(np.diag(matrix))
    ax.imshow(mistakes, cmap="Greys", vmin=0, vmax=max(1, mistakes.max() * 1.25))
    for (row, column), count in np.ndenumerate(matrix):
        if row == column:
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="#cfe8f7"))
        dark = row != column and count > 0.8 * mistakes.max()
        colour = "white" if dark else "black"
        ax.text(column, row, f"{count}" if count else "·", ha="center", va="center", fontsize=9, color=colour)
    ax.set(title=f"{title} (diagonal: right)", xlabel="answer", ylabel="true digit")
    ax.set(xticks=range(10), yticks=range(10))
    return ax
