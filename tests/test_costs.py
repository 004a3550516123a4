"""What a run costs in arithmetic, counted by hand, and when storing pays."""

from typing import Any

import keras
import pytest

from thaw.networks import backbones, costs
from thaw.networks.classifiers import Network, build_classifier
from thaw.networks.plan import Opening, plan_run, unfreeze
from thaw.networks.sections import Head, Unfreeze

layers = keras.layers

# By hand, for images of 8 x 8 x 3: 2 operations for each product of a kernel's entry, at each position of the output.
FIRST = 2 * 3 * 3 * 3 * 4 * (4 * 4)  # convolution 3 x 3, 3 to 4 channels, 4 x 4 positions
SPREAD = 2 * 3 * 3 * 4 * (4 * 4)  # depthwise 3 x 3 over 4 channels, 4 x 4 positions
POINT = 2 * 4 * 6 * (4 * 4)  # convolution 1 x 1, 4 to 6 channels
DENSE = 2 * 6 * 5


def connect(*steps: Any) -> Any:
    """Return the model that runs the layers one after the other on images of 8 x 8 x 3."""
    pixels = output = keras.Input((8, 8, 3))
    for step in steps:
        output = step(output)
    return keras.Model(pixels, output)


@pytest.fixture(scope="module")
def chain() -> Any:
    return connect(
        layers.Conv2D(4, 3, strides=2, padding="same", name="first"),
        layers.BatchNormalization(),
        layers.DepthwiseConv2D(3, padding="same", name="spread"),
        layers.Conv2D(6, 1, name="point"),
        layers.ReLU(name="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(5, name="dense"),
    )


def count(model: keras.Model, *names: Any) -> Any:
    return costs.count_training_flops(model.operations, [model.get_layer(name) for name in names])


def test_a_forward_pass_costs_two_operations_for_each_product(chain: Any) -> None:
    assert costs.count_flops(chain.operations) == FIRST + SPREAD + POINT + DENSE


def test_a_separable_convolution_costs_both_its_kernels() -> None:
    model = connect(layers.SeparableConv2D(5, 3, padding="same"))
    assert costs.count_flops(model.operations) == 2 * 3 * 3 * 3 * 64 + 2 * 3 * 5 * 64


def test_training_nothing_costs_the_forward_pass(chain: Any) -> None:
    assert count(chain) == FIRST + SPREAD + POINT + DENSE


def test_training_everything_costs_three_forward_passes_less_the_gradient_of_the_photo(chain: Any) -> None:
    assert count(chain, "first", "spread", "point", "dense") == 3 * (FIRST + SPREAD + POINT + DENSE) - FIRST


def test_training_the_last_layer_costs_its_own_gradient_alone(chain: Any) -> None:
    assert count(chain, "dense") == FIRST + SPREAD + POINT + 2 * DENSE


def test_a_closed_layer_behind_an_open_one_costs_twice(chain: Any) -> None:
    assert count(chain, "spread") == FIRST + 2 * SPREAD + 2 * POINT + 2 * DENSE


def test_an_open_layer_without_weights_opens_nothing(chain: Any) -> None:
    assert count(chain, "relu") == FIRST + SPREAD + POINT + DENSE


def test_a_parallel_branch_with_nothing_open_costs_its_forward_pass() -> None:
    pixels = keras.Input((8, 8, 3))
    left = layers.Conv2D(4, 1, name="left")(pixels)
    right = layers.Conv2D(4, 3, padding="same", name="right")(pixels)
    model = keras.Model(pixels, layers.Conv2D(2, 1, name="last")(layers.Add()([left, right])))
    one, nine, last = 2 * 3 * 4 * 64, 2 * 3 * 3 * 3 * 4 * 64, 2 * 4 * 2 * 64
    assert count(model, "left") == 2 * one + nine + 2 * last


# Multiply-adds of a forward pass at 224 pixels as published: He et al. 2016, table 1; Howard et al. 2017, table 8.
@pytest.mark.parametrize("name, published", [("ResNet50", 3.8e9), ("MobileNet", 569e6)])
def test_a_backbone_costs_what_its_authors_publish(name: str, published: float) -> None:
    model = backbones.build(name, 1, 224)
    assert costs.count_flops(model.operations) == pytest.approx(2 * published, rel=0.03)


def test_storing_pays_behind_expensive_layers_with_a_small_output() -> None:
    assert costs.pays(flops=7e9, size=8192, epochs=10)


def test_storing_does_not_pay_for_one_epoch() -> None:
    """The prefix runs once either way."""
    assert not costs.pays(flops=7e9, size=8192, epochs=1)


def test_storing_does_not_pay_where_reading_takes_longer_than_computing() -> None:
    assert not costs.pays(flops=1e6, size=100 * 2**20, epochs=10)


@pytest.mark.parametrize(("ask", "times"), [(None, 2), ({"blocks": 1}, 3)])
def test_a_head_costs_a_third_pass_only_where_the_backbone_below_it_trains(
    ask: dict[str, int] | None, times: int, small_network: Network
) -> None:
    """Forward and the gradient of its kernel; the gradient that it hands on is for what is open before it."""
    planned = plan_run(small_network, "MobileNet", Opening(Unfreeze(**ask) if ask else None, "inference", 1))
    unfreeze(small_network, planned)
    head = 2 * 128 * 3
    behind = small_network.backbone.operations[small_network.backbone.operations.index(planned.cut) + 1 :]
    body = costs.count_training_flops(behind, behind) if ask else 0
    step = costs.count_run_flops(small_network, planned.cut).training_step
    assert step == body + times * head


def test_of_a_head_with_hidden_layers_all_but_the_first_hand_a_gradient_on() -> None:
    head = Head(dense=[16], dropout=0.0, batch_norm=False)
    network = build_classifier("MobileNet", 0.125, 32, head, 3)
    network.backbone.trainable = False
    step = costs.count_run_flops(network, network.backbone.operations[-1]).training_step
    assert step == 2 * (2 * 128 * 16) + 3 * (2 * 16 * 3)
