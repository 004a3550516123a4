"""Every backbone of the table, at small width: topology, block boundaries, published hashes."""

import keras
import numpy as np
import pytest
from keras.src.applications import mobilenet_v3, resnet

from small import SIZE, WIDTH
from thaw.networks import architectures, backbones

NAMES = list(architectures.ARCHITECTURES)


@pytest.mark.parametrize("name", NAMES)
def test_a_narrow_backbone_has_as_many_layers_as_the_published_one(
    name: str, small_backbones: dict[str, keras.Model]
) -> None:
    assert len(small_backbones[name].layers) == architectures.ARCHITECTURES[name].layers


@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV2", "Xception"])
def test_a_narrow_backbone_has_the_layer_kinds_of_the_full_one_in_the_same_order(
    name: str, small_backbones: dict[str, keras.Model]
) -> None:
    full = backbones.build(name, 1, SIZE)
    assert [type(layer) for layer in small_backbones[name].layers] == [type(layer) for layer in full.layers]


def test_width_scales_the_filters(small_backbones: dict[str, keras.Model]) -> None:
    assert small_backbones["ResNet50"].output_shape[-1] == 2048 * WIDTH


@pytest.mark.parametrize(
    "name, blocks",
    # Blocks as the papers count them: He et al. 2015 table 1, Howard et al. 2017 table 1, Sandler et al. 2018 table 2,
    # Howard et al. 2019 tables 1 and 2 (the bneck rows), Chollet 2017 figure 5.
    [
        ("ResNet50", 16),
        ("MobileNet", 13),
        ("MobileNetV2", 17),
        ("MobileNetV3Small", 11),
        ("MobileNetV3SmallMinimalistic", 11),
        ("MobileNetV3Large", 15),
        ("MobileNetV3LargeMinimalistic", 15),
        ("Xception", 14),
    ],
)
def test_a_backbone_has_the_blocks_of_its_paper(
    name: str, blocks: int, small_backbones: dict[str, keras.Model]
) -> None:
    assert len(backbones.find_blocks(small_backbones[name], name)) == blocks + 1


@pytest.mark.parametrize("name", NAMES)
def test_stages_end_where_the_resolution_or_the_flow_changes(
    name: str, small_backbones: dict[str, keras.Model]
) -> None:
    """Within a stage named after a stride, all blocks have that stride."""
    row, ends = architectures.ARCHITECTURES[name], backbones.find_blocks(small_backbones[name], name)[1:]
    strides = {"conv2": 4, "conv3": 8, "conv4": 16, "conv5": 32}
    for stage, blocks in row.stages.items():
        stride = strides.get(stage) or (stage.startswith("stride") and int(stage.removeprefix("stride")))
        for end in ends[:blocks]:
            if stride:
                assert end.output.shape[1] in (SIZE // stride, -(-SIZE // stride))
        ends = ends[blocks:]
    assert not ends


@pytest.mark.parametrize("name", NAMES)
def test_nothing_leads_around_a_single_tensor(name: str, small_backbones: dict[str, keras.Model]) -> None:
    """What the cut's output alone determines is the output of the whole: prefix and tail give it together."""
    import keras

    model = small_backbones[name]
    points = backbones.find_single_tensors(model)
    images = np.random.default_rng(0).normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    whole = model(images, training=False).numpy()
    for point in points[1 : -1 : max(1, len(points) // 6)]:
        prefix, tail = keras.Model(model.input, point.output), keras.Model(point.output, model.output)
        np.testing.assert_allclose(tail(prefix(images, training=False), training=False), whole, atol=1e-5)


def test_published_hashes_are_those_of_keras() -> None:
    rows = architectures.ARCHITECTURES
    assert rows["ResNet50"].md5 == resnet.WEIGHTS_HASHES["resnet50"][1]
    for name, published in (
        ("MobileNetV3Small", "small_224_1.0_float"),
        ("MobileNetV3SmallMinimalistic", "small_minimalistic_224_1.0_float"),
        ("MobileNetV3Large", "large_224_1.0_float"),
        ("MobileNetV3LargeMinimalistic", "large_minimalistic_224_1.0_float"),
    ):
        assert rows[name].md5 == mobilenet_v3.WEIGHTS_HASHES[published][1]
