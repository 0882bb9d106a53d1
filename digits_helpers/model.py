"""The networks of the series, one function each with the same signature (lessons 03 and 04)."""

from typing import Any

import keras
from keras import layers

INPUT_SHAPE = (28, 28, 1)
# 320 + 18,496 + 2,359,552 + 2,570; derived by hand in lesson 03.
REFERENCE_PARAMETERS = 2_380_938


def build_linear(input_shape: tuple[int, int, int] = INPUT_SHAPE, classes: int = 10) -> keras.Model:
    """The smallest relative: every pixel votes for every class, without a hidden layer.

    Introduced in lesson 03.

    Args:
        input_shape: height, width and channels of one image, pixels in [0, 1].
        classes: number of output units.

    Returns:
        An uncompiled model; output float32 of shape (n, classes), rows sum to 1; 7,850 parameters by default.
    """
    return keras.Sequential(
        [layers.Input(input_shape), layers.Flatten(), layers.Dense(classes, activation="softmax")], name="linear"
    )


def build_mlp(input_shape: tuple[int, int, int] = INPUT_SHAPE, classes: int = 10) -> keras.Model:
    """A multilayer perceptron: one hidden layer of 128 units.

    Introduced in lesson 03.

    Args:
        input_shape: height, width and channels of one image, pixels in [0, 1].
        classes: number of output units.

    Returns:
        An uncompiled model; output float32 of shape (n, classes), rows sum to 1; 101,770 parameters by default.
    """
    return keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ],
        name="mlp",
    )


def build_reference(input_shape: tuple[int, int, int] = INPUT_SHAPE, classes: int = 10) -> keras.Model:
    """The reference network of the series: two convolutions, one pooling, two dense layers.

    Introduced in lesson 03.

    Args:
        input_shape: height, width and channels of one image, pixels in [0, 1].
        classes: number of output units.

    Returns:
        An uncompiled model; output float32 of shape (n, classes), rows sum to 1; 2,380,938 parameters by default.
    """
    return keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(classes, activation="softmax"),
        ],
        name="reference",
    )


def describe_layers(model: keras.Model) -> list[str]:
    """Say in a few words what each layer of a network is, so that two networks can be compared line by line.

    Introduced in lesson 05.

    Args:
        model: any model made of Keras's layers.

    Returns:
        One text per layer, without the input: kind, size, activation where the kind has them, as in "Dropout 0.25".

    >>> describe_layers(build_reference())[1:4]
    ['Conv2D 64, 3×3, relu', 'MaxPooling2D 2×2', 'Dropout 0.25']
    """
    return [_describe(type(layer).__name__, layer.get_config()) for layer in model.layers]


def _describe(kind: str, config: dict[str, Any]) -> str:
    """Write a layer's kind with those settings that tell it from others of its kind."""
    sizes = [str(config[key]) for key in ("filters", "units", "rate") if key in config]
    windows = ["×".join(str(side) for side in config[key]) for key in ("kernel_size", "pool_size") if key in config]
    activations = [str(config["activation"])] if config.get("activation", "linear") != "linear" else []
    return f"{kind} {', '.join([*sizes, *windows, *activations])}".rstrip()
