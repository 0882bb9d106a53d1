"""The networks of the series, not yet compiled, as lesson 03 builds them; images are (28, 28, 1), pixels in [0, 1]."""

from typing import Any

import keras


def build_linear() -> keras.Sequential:
    """Every pixel counts for every digit, without a hidden layer; 7,850 parameters."""
    return keras.Sequential(
        [
            keras.layers.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ],
        name="linear",
    )


def build_mlp() -> keras.Sequential:
    """A multilayer perceptron with one hidden layer of 128 units; 101,770 parameters."""
    return keras.Sequential(
        [
            keras.layers.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ],
        name="mlp",
    )


def build_reference() -> keras.Sequential:
    """The reference network: two convolutions, one pooling, two dense layers; 2,380,938 parameters."""
    return keras.Sequential(
        [
            keras.layers.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Dropout(0.25),
            keras.layers.Flatten(),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10, activation="softmax"),
        ],
        name="reference",
    )


def describe_layers(model: keras.Model) -> list[str]:
    """Say in a few words what each layer of a network is, without the input; used in lesson 05.

    Returns:
        One text per layer: kind, size, activation where the kind has them.

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
