"""Networks taken apart at a cut, and what BatchNorm does in the tail through `fit`."""

import pathlib
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from small import EACH, SIZE, USUAL_FIRST, assert_close, plain_head, scatter
from thaw.architectures.table import ARCHITECTURES
from thaw.networks import classifiers, cutting, plan, unfreezing
from thaw.networks.classifiers import Network
from thaw.networks.plan import Opening
from thaw.networks.sections import BatchNorm, Head, Unfreeze

IMAGES = np.random.default_rng(1).uniform(0, 255, (6, SIZE, SIZE, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])


class Parts(NamedTuple):
    """A network taken apart: model = tail(prefix(pixels))."""

    prefix: keras.Model | None  # None where nothing is frozen
    tail: keras.Model


def cut_apart(network: Network, cut: keras.Operation, batch_norm: BatchNorm) -> Parts:
    frozen = cut is not network.backbone.operations[0]
    prefix = cutting.build_prefixes(network, [cut]) if frozen else None
    return Parts(prefix, cutting.build_tail(network, cut, batch_norm))


def take_apart(network: Network, ask: dict[str, Any], batch_norm: BatchNorm, architecture: str = "MobileNet") -> Parts:
    planned = plan.plan_run(network, architecture, Opening(Unfreeze(**ask), batch_norm, 1))
    plan.unfreeze(network, planned)
    return cut_apart(network, planned.cut, batch_norm)


def norms_of(network: Network) -> dict[str, Any]:
    return {layer.name: layer for layer in network.backbone.layers if unfreezing.is_batch_norm(layer)}


def statistics_of(layer: Any) -> np.ndarray:
    return np.concatenate([layer.moving_mean.numpy(), layer.moving_variance.numpy()])


def train(parts: Any) -> None:
    inputs = IMAGES if parts.prefix is None else parts.prefix.predict(IMAGES, verbose=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    parts.tail.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
    parts.tail.fit(inputs, LABELS, epochs=2, verbose=0)


def find_cuts(network: Network, architecture: str) -> Any:
    """Return each operation at which some number of last layers cuts the backbone, once, the last first."""
    cuts = {}
    for layers in range(ARCHITECTURES[architecture].layers + 1):
        asked = Unfreeze(layers=layers) if layers else None
        opened = unfreezing.find_open_layers(network.backbone, architecture, asked)
        cut = unfreezing.find_cut(network.backbone, opened)
        cuts[cut.name] = cut
    return list(cuts.values())


def find_backbone(model: keras.Model) -> Any:
    """Return the network of backbone operations inside a prefix or a tail; None where there is none."""
    for layer in model.layers:
        if isinstance(layer, cutting.TrainedPart):
            return layer.network
        if isinstance(layer, keras.Model) and len(layer.outputs[0].shape) == 4:
            return layer
    return None


@pytest.mark.parametrize("name", USUAL_FIRST)
def test_prefix_and_tail_give_what_the_whole_network_gives_at_every_cut(
    name: str, small_networks: dict[str, Network]
) -> None:
    network = small_networks[name]
    cuts = find_cuts(network, name)
    assert cuts[0] is network.backbone.operations[-1] and cuts[-1] is network.backbone.operations[0]
    whole = network.model(IMAGES, training=False)
    for cut, values in zip(cuts, cutting.build_prefixes(network, cuts)(IMAGES, training=False), strict=True):
        parts = cut_apart(network, cut, "inference")
        inputs = IMAGES if parts.prefix is None else values
        assert_close(parts.tail(inputs, training=False), whole)


@pytest.mark.parametrize("name", EACH)
def test_prefix_and_tail_share_out_the_operations_at_every_cut(name: str, small_networks: dict[str, Network]) -> None:
    """Each operation of the backbone is in one of them, and in one alone."""
    network = small_networks[name]
    for cut in find_cuts(network, name):
        parts = cut_apart(network, cut, "batch")
        inside = [find_backbone(part) for part in parts if part]
        found = [operation.name for part in inside if part for operation in part.operations[1:]]  # [0] takes the input
        assert sorted(found) == sorted(operation.name for operation in network.backbone.operations[1:])


@pytest.mark.parametrize("mode", ["inference", "frozen", "batch"])
def test_in_use_every_batch_norm_mode_gives_what_the_whole_network_gives(mode: str, small_network: Network) -> None:
    parts = take_apart(small_network, {"blocks": 4}, mode)
    whole = small_network.model(IMAGES, training=False)
    assert_close(parts.tail(parts.prefix(IMAGES, training=False), training=False), whole)


def test_prefixes_at_several_cuts_give_what_each_gives(small_networks: dict[str, Network]) -> None:
    network = small_networks["MobileNetV2"]
    cuts = find_cuts(network, "MobileNetV2")[:40:13]
    together = cutting.build_prefixes(network, cuts)(IMAGES, training=False)
    for cut, values in zip(cuts, together, strict=True):
        assert_close(values, cutting.build_prefixes(network, [cut])(IMAGES, training=False))


def test_training_the_tail_trains_the_whole_network(small_network: Network) -> None:
    before = small_network.model(IMAGES, training=False).numpy()
    parts = take_apart(small_network, {"blocks": 2}, "inference")
    train(parts)
    inputs = parts.prefix(IMAGES, training=False)
    after = small_network.model(IMAGES, training=False).numpy()
    assert abs(after - before).max() > 1e-3 * abs(before).max()
    assert_close(parts.tail(inputs, training=False), after)


@pytest.mark.parametrize("mode", ["inference", "frozen"])
def test_batch_norm_statistics_stay_through_fit(mode: str, small_network: Network) -> None:
    before = {name: statistics_of(norm) for name, norm in norms_of(small_network).items()}
    train(take_apart(small_network, {"all": True}, mode))
    for name, norm in norms_of(small_network).items():
        np.testing.assert_array_equal(statistics_of(norm), before[name])


def test_batch_mode_moves_the_statistics_of_open_layers_alone(small_network: Network) -> None:
    before = {name: statistics_of(norm) for name, norm in norms_of(small_network).items()}
    train(take_apart(small_network, {"blocks": 2}, "batch"))
    moved = {name for name, norm in norms_of(small_network).items() if (statistics_of(norm) != before[name]).any()}
    assert moved == {"conv_dw_12_bn", "conv_pw_12_bn", "conv_dw_13_bn", "conv_pw_13_bn"}


def test_batch_mode_leaves_frozen_statistics_behind_the_cut() -> None:
    """In a residual block the cut lies before layers that stay frozen."""
    network = classifiers.build_classifier("ResNet50", 0.125, SIZE, plain_head(), 3)
    before = {name: statistics_of(norm) for name, norm in norms_of(network).items()}
    parts = take_apart(network, {"layers": 7}, "batch", "ResNet50")
    behind = {layer.name for layer in find_backbone(parts.tail).layers}
    train(parts)
    moved = {name for name, norm in norms_of(network).items() if (statistics_of(norm) != before[name]).any()}
    assert moved == {"conv5_block3_2_bn", "conv5_block3_3_bn"} and "conv5_block3_1_bn" in behind


@pytest.mark.parametrize("mode, trains", [("batch", True), ("inference", True), ("frozen", False)])
def test_gamma_and_beta_train_unless_they_are_frozen(mode: str, trains: bool, small_network: Network) -> None:
    norm = norms_of(small_network)["conv_pw_13_bn"]
    before = norm.gamma.numpy(), norm.beta.numpy()
    train(take_apart(small_network, {"blocks": 1}, mode))
    for values, earlier in zip((norm.gamma.numpy(), norm.beta.numpy()), before, strict=True):
        assert (values != earlier).any() == trains


def make_efficient(seed: int) -> Network:
    """Return a small EfficientNet, whose residual blocks have dropout; its weights are the same for every seed."""
    keras.utils.set_random_seed(seed)
    network = classifiers.build_classifier("EfficientNetV2B0", 0.125, SIZE, plain_head(), 3)
    scatter(network.model)
    return network


@pytest.mark.parametrize(
    "mode", ["inference", *(pytest.param(mode, marks=pytest.mark.long) for mode in ("frozen", "batch"))]
)
def test_dropout_of_closed_layers_is_off_in_training(mode: str) -> None:
    """Of an open stage without dropout, all that follows lies behind the cut, and is closed."""
    parts = take_apart(make_efficient(1), {"stages": ["stride2"]}, mode, "EfficientNetV2B0")
    inputs = parts.prefix(IMAGES, training=False)
    assert any(isinstance(layer, keras.layers.Dropout) for layer in find_backbone(parts.tail).layers)
    one, other = (parts.tail(inputs, training=True) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["inference", "frozen", "batch"])
def test_dropout_of_open_layers_acts_in_training_and_follows_the_seed(mode: str) -> None:
    found = []
    for seed in (1, 1, 2):
        parts = take_apart(make_efficient(seed), {"blocks": 8}, mode, "EfficientNetV2B0")
        inputs = parts.prefix(IMAGES, training=False)
        found.append([parts.tail(inputs, training=training).numpy() for training in (False, True, True)])
    (in_use, first, second), again, other = found
    assert (first != second).any() and (first != in_use).any()
    np.testing.assert_array_equal([in_use, first, second], again)
    assert (first != other[1]).any()
    np.testing.assert_array_equal(in_use, other[0])


def test_layers_before_the_cut_keep_their_weights(small_network: Network) -> None:
    before = [weight.numpy() for weight in small_network.backbone.get_layer("conv_pw_11").weights]
    train(take_apart(small_network, {"blocks": 2}, "inference"))
    for weight, old in zip(small_network.backbone.get_layer("conv_pw_11").weights, before, strict=False):
        np.testing.assert_array_equal(weight.numpy(), old)


def test_a_head_has_its_hidden_layers_batch_norm_and_dropout() -> None:
    head = Head(dense=[16, 8], dropout=0.3, batch_norm=True)
    kinds = [
        type(layer).__name__ for layer in classifiers.build_classifier("MobileNet", 0.125, SIZE, head, 3).head.layers
    ]
    hidden = ["Dense", "BatchNormalization", "ReLU", "Dropout"]
    assert kinds == [*hidden, *hidden, "Dense"]


def test_the_same_weights_are_saved_as_the_same_bytes(tmp_path: pathlib.Path) -> None:
    def build() -> Any:
        keras.utils.clear_session()  # as in a new process: Keras numbers what it names
        return classifiers.build_classifier("MobileNet", 0.125, SIZE, plain_head(), 3)

    build().save_weights(tmp_path / "a.weights.h5")
    again = build()
    again.model.load_weights(tmp_path / "a.weights.h5")
    again.save_weights(tmp_path / "b.weights.h5")
    assert (tmp_path / "a.weights.h5").read_bytes() == (tmp_path / "b.weights.h5").read_bytes()


def test_a_description_rebuilds_the_network(small_network: Network) -> None:
    description = {
        "size": SIZE,
        "classes": ["a", "b", "c"],
        "backbone": {"architecture": "MobileNet", "width": 0.125},
        "head": {"dense": [], "dropout": 0.0, "batch_norm": False},
    }
    again = classifiers.rebuild(description)
    assert [w.shape for w in again.model.weights] == [w.shape for w in small_network.model.weights]
