"""The networks: shapes, parameter counts calculated by hand, and the recipe."""

import keras
import pytest

from digits_helpers import model as models


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
    assert not model.compiled


def test_the_reference_network_is_the_recipe_to_the_letter():
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


def test_a_layer_without_an_activation_is_described_without_one():
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    assert models.describe_layers(model) == ["Dense 3"]
