"""What thaws, counted at full width, and the cut."""

import itertools
import re
from typing import Any

import keras
import pytest

from small import EACH
from thaw.architectures.table import ARCHITECTURES
from thaw.networks import backbones, classifiers, unfreezing
from thaw.networks.sections import BaselineNetwork, Head, Unfreeze

HEAD = Head(dense=[], dropout=0.0, batch_norm=False)


@pytest.fixture(scope="module")
def resnet50() -> Any:
    return classifiers.build_classifier("ResNet50", 1, 64, HEAD, 5)


# As Keras counts the trainable weights of `layers[n:]`, and 10,245 of the head. tests/test_published.py holds what can
# be asked in other ways against the published counts.
@pytest.mark.parametrize(
    "first, expected", [(56, 22_723_589), (100, 19_463_173), (120, 17_225_733), (150, 10_000_389), (170, 1_064_965)]
)
def test_resnet50_opened_from_a_layer_on_trains_that_layer_and_all_behind_it(
    first: int, expected: int, resnet50: Any
) -> None:
    opened = unfreezing.find_open_layers(resnet50.backbone, "ResNet50", Unfreeze(from_layer=first))
    unfreezing.open_up(resnet50.backbone, opened, "inference")
    assert classifiers.count_parameters(resnet50.model.trainable_weights) == expected


def test_mobilenetv2_with_a_hidden_layer_of_128_trains_164_613_parameters() -> None:
    head = Head(dense=[128], dropout=0.2, batch_norm=False)
    network = classifiers.build_classifier("MobileNetV2", 1, 64, head, 5)
    unfreezing.open_up(network.backbone, [], "inference")
    assert sum(w.numpy().size for w in network.model.trainable_weights) == 164_613


def test_the_baseline_cnn_has_11_169_605_parameters_at_224_pixels() -> None:
    convolutions = BaselineNetwork(filters=[32, 64, 128], dense=128, dropout=0.5)
    assert classifiers.build_baseline(convolutions, 224, 5).model.count_params() == 11_169_605


def ask_unions(architecture: str) -> list[Any]:
    """Return questions of two keys: what a report asks, the last two layers beside its blocks; stages with a gap."""
    row = ARCHITECTURES[architecture]
    asks = [{"blocks": n, "layers": 2} for n in range(1, row.blocks + 1)]
    asks += [{"stages": [stage], "layers": 2} for stage in row.stages]
    return [Unfreeze(**ask) for ask in [*asks, {"blocks": 1, "from_layer": row.layers // 2}]]


def ask_everything(architecture: str) -> Any:
    """Return every question that one key can ask of the architecture, all pairs of stages and the unions."""
    row = ARCHITECTURES[architecture]
    asks = [{"layers": n} for n in range(1, row.layers + 1)] + [{"from_layer": n} for n in range(row.layers)]
    asks += [{"blocks": n} for n in range(1, row.blocks + 1)] + [{"stages": [stage]} for stage in row.stages]
    asks += [{"stages": list(pair)} for pair in itertools.combinations(row.stages, 2)] + [{"all": True}]
    return [Unfreeze(**ask) for ask in asks] + ask_unions(architecture)


@pytest.mark.parametrize("name", EACH)
def test_every_number_of_layers_opens_that_many_at_the_end(name: str, small_backbones: dict[str, keras.Model]) -> None:
    model, count = small_backbones[name], ARCHITECTURES[name].layers
    assert len(model.layers) == count
    for n in range(1, count + 1):
        assert unfreezing.find_open_layers(model, name, Unfreeze(layers=n)) == model.layers[count - n :]
        assert unfreezing.find_open_layers(model, name, Unfreeze(from_layer=count - n)) == model.layers[count - n :]


# Blocks of each stage of an EfficientNet, by the papers' tables; table 1 of Tan and Le 2019 times 1.1, 1.2 and 1.4.
REPEATS = {
    "EfficientNetB0": (1, 2, 2, 3, 3, 4, 1),
    "EfficientNetB1": (2, 3, 3, 4, 4, 5, 2),
    "EfficientNetB2": (2, 3, 3, 4, 4, 5, 2),
    "EfficientNetB3": (2, 3, 3, 5, 5, 6, 2),
    "EfficientNetV2B0": (1, 2, 2, 3, 5, 8),
}
NASNET = ("stem_1", "stem_2", *"0123", "reduce_4", *"5678", "reduce_8", "9", "10", "11", "12")  # in this order
# Blocks before each stage whose blocks count from one, or from zero, on.
BEFORE = {"ResNet50": (0, 3, 7, 13), "DenseNet121": (0, 6, 18, 42), "ConvNeXtTiny": (0, 3, 6, 15)}


def find_block(architecture: str, layer: Any) -> Any:
    """Return the number of the block, from 0, that the layer's name tells, or None where it tells none."""
    pattern = {
        "ResNet50": r"conv([2-5])_block(\d+)_",
        "DenseNet121": r"conv([2-5])_block(\d+)_",
        "ConvNeXtTiny": r"convnext_tiny_stage_(\d)_block_(\d)_",
        "MobileNet": r"conv_(?:pad|dw|pw)_(\d+)",
        "MobileNetV2": r"block_(\d+)_",
        "Xception": r"block(\d+)_",
        "InceptionV3": r"mixed(\d+)$",
        "NASNetMobile": r"(?:reduction|normal|separable|adjust)_.*?(stem_\d|reduce_\d|\d+)$",
        **dict.fromkeys(REPEATS, r"block(\d)([a-z])_"),
    }.get(architecture, r"expanded_conv_(\d+)_")
    found = re.match(pattern, layer.name)
    if architecture in REPEATS:
        return found and sum(REPEATS[architecture][: int(found[1]) - 1]) + ord(found[2]) - ord("a")
    if architecture in BEFORE:
        stage, block = (0, 0) if architecture == "ConvNeXtTiny" else (2, 1)  # the first
        return found and BEFORE[architecture][int(found[1]) - stage] + int(found[2]) - block
    if architecture == "NASNetMobile":
        return found and NASNET.index(found[1])
    if layer.name.startswith("expanded_conv") and not found:
        return 0
    return found and int(found[1]) - (architecture in ("MobileNet", "Xception"))


def may_train(layer: Any) -> bool:
    """Tell whether there is anything in `layer` to train: a Normalization holds statistics alone."""
    return bool(layer.weights) and not isinstance(layer, keras.layers.Normalization)


@pytest.mark.parametrize("name", EACH)
def test_every_number_of_blocks_opens_those_blocks_and_what_follows(
    name: str, small_backbones: dict[str, keras.Model]
) -> None:
    model, row = small_backbones[name], ARCHITECTURES[name]
    blocks = {id(layer): find_block(name, layer) for layer in model.layers}
    assert {block for block in blocks.values() if block is not None} == set(range(row.blocks))
    last = max(i for i, layer in enumerate(model.layers) if blocks[id(layer)] is not None)
    for n in range(1, row.blocks + 1):
        opened = {id(layer) for layer in unfreezing.find_open_layers(model, name, Unfreeze(blocks=n))}
        for i, layer in enumerate(model.layers):
            if blocks[id(layer)] is not None or i > last:
                assert (id(layer) in opened) == (i > last or blocks[id(layer)] >= row.blocks - n)


@pytest.mark.parametrize("name", EACH)
def test_every_stage_opens_its_own_blocks(name: str, small_backbones: dict[str, keras.Model]) -> None:
    model, row, start = small_backbones[name], ARCHITECTURES[name], 0
    for stage, count in row.stages.items():
        opened = unfreezing.find_open_layers(model, name, Unfreeze(stages=[stage]))
        own = [layer for layer in model.layers if find_block(name, layer) in range(start, start + count)]
        assert own and [layer for layer in opened if find_block(name, layer) is not None] == own
        start += count


@pytest.mark.parametrize("mode", ["inference", "frozen", "batch"])
@pytest.mark.parametrize("name", EACH)
def test_what_trains_is_exactly_what_is_asked(name: str, mode: str, small_backbones: dict[str, keras.Model]) -> None:
    """Whatever is asked: by the flags that Keras goes by, and by the weights that it would train."""
    model = small_backbones[name]
    for ask in ask_everything(name):
        opened = unfreezing.find_open_layers(model, name, ask)
        unfreezing.open_up(model, opened, mode)
        left_out = [layer for layer in opened if mode == "frozen" and unfreezing.is_batch_norm(layer)]
        asked = {layer.name for layer in opened if layer not in left_out and may_train(layer)}
        assert {layer.name for layer in model.layers if layer.trainable_weights} == asked
        found = {id(weight) for weight in model.trainable_weights}
        assert found == {
            id(weight)
            for layer in opened
            if layer not in left_out and may_train(layer)
            for weight in layer.weights
            if "moving" not in weight.name and "seed" not in weight.name
        }


@pytest.mark.parametrize("name", EACH)
def test_whatever_is_asked_the_cut_is_the_latest_with_nothing_open_before(
    name: str, small_backbones: dict[str, keras.Model]
) -> None:
    """An open layer without weights may stand before it: there is nothing in it to train."""
    model = small_backbones[name]
    place = {id(operation): i for i, operation in enumerate(model.operations)}
    points = [place[id(point)] for point in backbones.find_single_tensors(model)]
    for ask in ask_everything(name):
        opened = unfreezing.find_open_layers(model, name, ask)
        first = min((place[id(layer)] for layer in opened if may_train(layer)), default=len(model.operations))
        cut = place[id(unfreezing.find_cut(model, opened))]
        assert cut < first
        assert cut == 0 or not [point for point in points if cut < point < first]


# A layer inside a residual block, and what ends the block before, by the drawings of the papers.
@pytest.mark.parametrize(
    "name, layer, before",
    [
        ("ResNet50", "conv5_block3_2_conv", "conv5_block2_out"),
        ("ResNet50", "conv3_block1_2_conv", "conv2_block3_out"),
        ("MobileNetV2", "block_15_depthwise", "block_14_add"),
        ("MobileNetV2", "block_12_project", "block_11_add"),
        ("MobileNetV3Small", "expanded_conv_4_depthwise", "expanded_conv_3_project_bn"),
        ("Xception", "block14_sepconv1", None),
        ("EfficientNetB0", "block6d_dwconv", "block6c_add"),
        pytest.param("EfficientNetV2B0", "block6b_se_reduce", "block6a_project_bn", marks=pytest.mark.long),
        ("ConvNeXtTiny", "convnext_tiny_stage_3_block_1_pointwise_conv_1", None),
        pytest.param("NASNetMobile", "separable_conv_1_normal_left1_12", "stem_bn1", marks=pytest.mark.long),
    ],
)
def test_a_cut_inside_a_residual_block_moves_back_to_its_start(
    name: str, layer: str, before: str | None, small_backbones: dict[str, keras.Model]
) -> None:
    model = small_backbones[name]
    names = [each.name for each in model.layers]
    opened = unfreezing.find_open_layers(model, name, Unfreeze(from_layer=names.index(layer)))
    cut = unfreezing.find_cut(model, opened).name
    assert cut == before if before else cut.startswith("add")  # Keras numbers these


@pytest.mark.parametrize("name", EACH)
def test_several_keys_open_their_union(name: str, small_backbones: dict[str, keras.Model]) -> None:
    model = small_backbones[name]

    def find_names(ask: dict[str, Any]) -> Any:
        return {layer.name for layer in unfreezing.find_open_layers(model, name, ask)}

    for ask in ask_unions(name):
        keys = ask.model_dump(exclude_none=True)
        assert find_names(ask) == set.union(*(find_names(Unfreeze(**{key: value})) for key, value in keys.items()))


def test_a_stage_in_the_middle_opens_its_own_blocks_alone(small_backbones: dict[str, keras.Model]) -> None:
    opened = unfreezing.find_open_layers(small_backbones["ResNet50"], "ResNet50", Unfreeze(stages=["conv3"]))
    assert opened and all(layer.name.startswith("conv3_") for layer in opened)


@pytest.mark.parametrize("name", EACH)
def test_all_opens_every_layer_and_leaves_no_prefix(name: str, small_backbones: dict[str, keras.Model]) -> None:
    model = small_backbones[name]
    opened = unfreezing.find_open_layers(model, name, Unfreeze(all=True))
    assert opened == model.layers
    assert unfreezing.find_cut(model, opened) is model.operations[0]


@pytest.mark.parametrize("name", EACH)
def test_nothing_asked_opens_nothing_and_leaves_no_tail(name: str, small_backbones: dict[str, keras.Model]) -> None:
    model = small_backbones[name]
    assert unfreezing.find_open_layers(model, name, None) == []
    assert unfreezing.find_cut(model, []) is model.operations[-1]


def test_an_open_normalization_of_pixels_trains_nothing_and_a_frozen_one_is_no_prefix(
    small_backbones: dict[str, keras.Model],
) -> None:
    model = small_backbones["EfficientNetB0"]
    names = [layer.name for layer in model.layers]
    opened = unfreezing.find_open_layers(model, "EfficientNetB0", Unfreeze(from_layer=names.index("stem_conv")))
    assert unfreezing.find_cut(model, opened) is model.operations[0]
    assert "normalization" not in unfreezing.count_trainable(model.layers, "inference")


def test_frozen_batch_norm_leaves_gamma_and_beta_out(small_backbones: dict[str, keras.Model]) -> None:
    model = small_backbones["MobileNet"]
    opened = unfreezing.find_open_layers(model, "MobileNet", Unfreeze(blocks=1))
    norms = [layer.name for layer in opened if unfreezing.is_batch_norm(layer)]
    counts = unfreezing.count_trainable(opened, "frozen")
    assert norms and not set(norms) & set(counts)


def test_a_layer_that_would_not_train_as_asked_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = backbones.build("MobileNet", 0.125, 64)
    opened = unfreezing.find_open_layers(model, "MobileNet", Unfreeze(layers=5))
    asked = dict(unfreezing.count_trainable(opened, "inference"), conv_pw_13=1)
    monkeypatch.setattr(unfreezing, "count_trainable", lambda *_: asked)
    with pytest.raises(RuntimeError, match="conv_pw_13"):
        unfreezing.open_up(model, opened, "inference")
