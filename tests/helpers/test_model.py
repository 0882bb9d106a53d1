"""Checks on the networks: shapes, parameter counts calculated by hand, and the recipe."""

import pytest

from digits_helpers import model as models
from digits_helpers.startup import quiet_startup

with quiet_startup():
    import keras


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (models.build_linear, 784 * 10 + 10),
        (models.build_mlp, 784 * 128 + 128 + 128 * 10 + 10),
        (models.build_reference, 320 + 18_496 + 2_359_552 + 2_570),
    ],
)
def test_parameters_are_as_calculated_by_hand(build, parameters):
    model = build()
    assert model.count_params() == parameters
    assert model.output_shape == (None, 10)


def test_reference_is_the_recipe_to_the_letter():
    layers = models.build_reference().layers
    described = [(type(layer).__name__, *_settings(layer)) for layer in layers]
    assert described == [
        ("Conv2D", 32, (3, 3), "relu"),
        ("Conv2D", 64, (3, 3), "relu"),
        ("MaxPooling2D", (2, 2)),
        ("Dropout", 0.25),
        ("Flatten",),
        ("Dense", 256, "relu"),
        ("Dropout", 0.5),
        ("Dense", 10, "softmax"),
    ]
    assert models.REFERENCE_PARAMETERS == 2_380_938


def _settings(layer):
    """Name what the recipe says of a layer."""
    config = layer.get_config()
    return tuple(config[key] for key in ("filters", "units", "kernel_size", "pool_size", "rate", "activation") if key in config)


def test_compiled_as_the_recipe_says():
    model = models.compile_model(models.build_linear())
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001)
    assert model.loss == "categorical_crossentropy"


@pytest.mark.parametrize("build", [models.build_linear, models.build_mlp, models.build_reference])
def test_other_inputs_and_classes_have_the_same_signature(build):
    assert build(input_shape=(20, 20, 3), classes=4).output_shape == (None, 4)


def test_layers_are_described_with_what_the_recipe_says_of_them():
    assert models.describe_layers(models.build_reference()) == [
        "Conv2D 32, 3×3, relu",
        "Conv2D 64, 3×3, relu",
        "MaxPooling2D 2×2",
        "Dropout 0.25",
        "Flatten",
        "Dense 256, relu",
        "Dropout 0.5",
        "Dense 10, softmax",
    ]
    without_activation = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    assert models.describe_layers(without_activation) == ["Dense 3"]
