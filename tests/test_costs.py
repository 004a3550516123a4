"""What a run costs in arithmetic, counted by hand, and when storing pays."""

import keras
import pytest

from thaw import backbones, costs

layers = keras.layers

# By hand, for images of 8 x 8 x 3: 2 operations for each product of a kernel's entry, at each position of the output.
FIRST = 2 * 3 * 3 * 3 * 4 * (4 * 4)  # convolution 3 x 3, 3 to 4 channels, 4 x 4 positions
SPREAD = 2 * 3 * 3 * 4 * (4 * 4)  # depthwise 3 x 3 over 4 channels, 4 x 4 positions
POINT = 2 * 4 * 6 * (4 * 4)  # convolution 1 x 1, 4 to 6 channels
DENSE = 2 * 6 * 5


def connect(*steps):
    """Return the model that runs the layers one after the other on images of 8 x 8 x 3."""
    pixels = output = keras.Input((8, 8, 3))
    for step in steps:
        output = step(output)
    return keras.Model(pixels, output)


@pytest.fixture(scope="module")
def chain():
    return connect(
        layers.Conv2D(4, 3, strides=2, padding="same", name="first"),
        layers.BatchNormalization(),
        layers.DepthwiseConv2D(3, padding="same", name="spread"),
        layers.Conv2D(6, 1, name="point"),
        layers.ReLU(name="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(5, name="dense"),
    )


def count(model, *names):
    return costs.count_training_flops(model.operations, [model.get_layer(name) for name in names])


def test_a_forward_pass_costs_two_operations_for_each_product(chain):
    assert costs.count_flops(chain.operations) == FIRST + SPREAD + POINT + DENSE


def test_a_separable_convolution_costs_both_its_kernels():
    model = connect(layers.SeparableConv2D(5, 3, padding="same"))
    assert costs.count_flops(model.operations) == 2 * 3 * 3 * 3 * 64 + 2 * 3 * 5 * 64


def test_training_nothing_costs_the_forward_pass(chain):
    assert count(chain) == FIRST + SPREAD + POINT + DENSE


def test_training_everything_costs_three_forward_passes_less_the_gradient_of_the_photo(chain):
    assert count(chain, "first", "spread", "point", "dense") == 3 * (FIRST + SPREAD + POINT + DENSE) - FIRST


def test_training_the_last_layer_costs_its_own_gradient_alone(chain):
    assert count(chain, "dense") == FIRST + SPREAD + POINT + 2 * DENSE


def test_a_closed_layer_behind_an_open_one_costs_twice(chain):
    assert count(chain, "spread") == FIRST + 2 * SPREAD + 2 * POINT + 2 * DENSE


def test_an_open_layer_without_weights_opens_nothing(chain):
    assert count(chain, "relu") == FIRST + SPREAD + POINT + DENSE


def test_a_parallel_branch_with_nothing_open_costs_its_forward_pass():
    pixels = keras.Input((8, 8, 3))
    left = layers.Conv2D(4, 1, name="left")(pixels)
    right = layers.Conv2D(4, 3, padding="same", name="right")(pixels)
    model = keras.Model(pixels, layers.Conv2D(2, 1, name="last")(layers.Add()([left, right])))
    one, nine, last = 2 * 3 * 4 * 64, 2 * 3 * 3 * 3 * 4 * 64, 2 * 4 * 2 * 64
    assert count(model, "left") == 2 * one + nine + 2 * last


# Multiply-adds of a forward pass at 224 pixels as published: He et al. 2016, table 1; Howard et al. 2017, table 8.
@pytest.mark.parametrize("name, published", [("ResNet50", 3.8e9), ("MobileNet", 569e6)])
def test_a_backbone_costs_what_its_authors_publish(name, published):
    model = backbones.build(name, 1, 224)
    assert costs.count_flops(model.operations) == pytest.approx(2 * published, rel=0.03)


def test_storing_pays_behind_expensive_layers_with_a_small_output():
    assert costs.pays(flops=7e9, size=8192, epochs=10)


def test_storing_does_not_pay_for_one_epoch():
    """The prefix runs once either way."""
    assert not costs.pays(flops=7e9, size=8192, epochs=1)


def test_storing_does_not_pay_where_reading_takes_longer_than_computing():
    assert not costs.pays(flops=1e6, size=100 * 2**20, epochs=10)
