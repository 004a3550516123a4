"""What thaws: the published counts of trainable parameters at full width, and the cut."""

import pytest

from thaw import backbones, networks, unfreezing
from thaw.unfreezing import Unfreeze

HEAD = networks.Head(dense=[], dropout=0.0, batch_norm=False)

# Trainable parameters that the reports print, head of five classes included; frozen rows have the head alone.
PUBLISHED = [
    ("ResNet50", None, 10_245),
    ("ResNet50", {"layers": 5}, 1_064_965),
    ("ResNet50", {"layers": 10}, 4_475_909),
    ("ResNet50", {"layers": 40}, 15_842_053),
    ("ResNet50", {"blocks": 2}, 8_941_573),
    ("ResNet50", {"blocks": 4}, 16_104_965),
    ("ResNet50", {"blocks": 10}, 22_375_685),
    ("ResNet50", {"stages": ["conv5"]}, 14_986_245),
    ("ResNet50", {"stages": ["conv4", "conv5"]}, 22_094_853),
    ("ResNet50", {"from_layer": 56}, 22_723_589),
    ("ResNet50", {"from_layer": 100}, 19_463_173),
    ("ResNet50", {"from_layer": 120}, 17_225_733),
    ("ResNet50", {"from_layer": 150}, 10_000_389),
    ("ResNet50", {"from_layer": 170}, 1_064_965),
    ("MobileNet", None, 5_125),
    ("MobileNet", {"layers": 5}, 1_057_797),
    ("MobileNet", {"layers": 10}, 1_593_349),
    ("MobileNet", {"layers": 30}, 2_400_773),
    ("MobileNet", {"layers": 40}, 2_937_349),
    ("MobileNet", {"layers": 50}, 3_077_893),
    ("MobileNet", {"blocks": 2}, 1_598_981),
    ("MobileNet", {"blocks": 4}, 2_136_581),
    ("MobileNet", {"blocks": 10}, 3_181_445),
]


@pytest.fixture(scope="module")
def full_networks():
    return {name: networks.build_classifier(name, 1, 64, HEAD, 5) for name in ("ResNet50", "MobileNet")}


@pytest.mark.parametrize("name, asked, published", PUBLISHED)
def test_trainable_parameters_are_the_published_ones(name, asked, published, full_networks):
    network = full_networks[name]
    opened = unfreezing.find_open_layers(network.backbone, name, asked and Unfreeze(**asked))
    unfreezing.open_up(network.backbone, opened, "inference")
    assert sum(w.numpy().size for w in network.model.trainable_weights) == published


def test_mobilenetv2_with_a_hidden_layer_of_128_trains_164_613_parameters():
    head = networks.Head(dense=[128], dropout=0.2, batch_norm=False)
    network = networks.build_classifier("MobileNetV2", 1, 64, head, 5)
    unfreezing.open_up(network.backbone, [], "inference")
    assert sum(w.numpy().size for w in network.model.trainable_weights) == 164_613


def test_the_baseline_cnn_has_11_169_605_parameters_at_224_pixels():
    convolutions = networks.BaselineNetwork(filters=[32, 64, 128], dense=128, dropout=0.5)
    assert networks.build_baseline(convolutions, 224, 5).model.count_params() == 11_169_605


@pytest.mark.parametrize("name", list(backbones.ARCHITECTURES))
def test_every_block_and_layer_count_opens_what_lies_behind_its_cut(name, small_backbones):
    """Whatever is asked: nothing open lies in the prefix, and the cut is the latest for which that holds."""
    model, row = small_backbones[name], backbones.ARCHITECTURES[name]
    place = {id(operation): i for i, operation in enumerate(model.operations)}
    points = [place[id(point)] for point in backbones.find_single_tensors(model)]
    asks = [{"blocks": n} for n in range(1, row.blocks + 1)] + [{"layers": n} for n in range(1, row.layers + 1, 7)]
    for ask in asks:
        opened = unfreezing.find_open_layers(model, name, Unfreeze(**ask))
        first = min((place[id(layer)] for layer in opened if layer.weights), default=len(model.operations))
        cut = place[id(unfreezing.find_cut(model, opened))]
        assert cut < first
        assert cut == 0 or not [point for point in points if cut < point < first]


def test_several_keys_open_their_union(small_backbones):
    model = small_backbones["ResNet50"]

    def names(**ask):
        return {layer.name for layer in unfreezing.find_open_layers(model, "ResNet50", Unfreeze(**ask))}

    assert names(stages=["conv2"], layers=2) == names(stages=["conv2"]) | names(layers=2)


def test_a_stage_in_the_middle_opens_its_own_blocks_alone(small_backbones):
    opened = unfreezing.find_open_layers(small_backbones["ResNet50"], "ResNet50", Unfreeze(stages=["conv3"]))
    assert opened and all(layer.name.startswith("conv3_") for layer in opened)


@pytest.mark.parametrize("name", list(backbones.ARCHITECTURES))
def test_all_opens_every_layer_and_leaves_no_prefix(name, small_backbones):
    model = small_backbones[name]
    opened = unfreezing.find_open_layers(model, name, Unfreeze(all=True))
    assert opened == model.layers
    assert unfreezing.find_cut(model, opened) is model.operations[0]


def test_frozen_batch_norm_leaves_gamma_and_beta_out(small_backbones):
    model = small_backbones["MobileNet"]
    opened = unfreezing.find_open_layers(model, "MobileNet", Unfreeze(blocks=1))
    norms = [layer.name for layer in opened if unfreezing.is_batch_norm(layer)]
    counts = unfreezing.count_trainable(model, opened, "frozen")
    assert norms and not set(norms) & set(counts)


def test_a_layer_that_would_not_train_as_asked_is_named(monkeypatch):
    model = backbones.build("MobileNet", 0.125, 64)
    opened = unfreezing.find_open_layers(model, "MobileNet", Unfreeze(layers=5))
    asked = dict(unfreezing.count_trainable(model, opened, "inference"), conv_pw_13=1)
    monkeypatch.setattr(unfreezing, "count_trainable", lambda *_: asked)
    with pytest.raises(RuntimeError, match="conv_pw_13"):
        unfreezing.open_up(model, opened, "inference")
