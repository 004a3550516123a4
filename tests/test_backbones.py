"""Every backbone of the table, at small width: topology, block boundaries, published hashes."""

import inspect
import re
import sys

import keras
import numpy as np
import pytest

from small import EACH, SIZE, WIDTH
from thaw.architectures.table import ARCHITECTURES
from thaw.networks import backbones


@pytest.mark.parametrize("name", EACH)
def test_a_narrow_backbone_has_as_many_layers_as_the_published_one(
    name: str, small_backbones: dict[str, keras.Model]
) -> None:
    assert len(small_backbones[name].layers) == ARCHITECTURES[name].layers


@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV2", "Xception", "ConvNeXtTiny"])
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
    # Howard et al. 2019 tables 1 and 2 (the bneck rows), Chollet 2017 figure 5, Tan and Le 2019 table 1 (times 1.1, 1.2
    # and 1.4) and 2021 as Keras has its B0, Huang et al. 2016 table 1, Szegedy et al. 2015 table 1 with a module for
    # each reduction, Liu et al. 2022 section 2.2, Zoph et al. 2017 figure 2 with four normal cells in a row.
    [
        ("ResNet50", 16),
        ("MobileNet", 13),
        ("MobileNetV2", 17),
        ("MobileNetV3Small", 11),
        ("MobileNetV3SmallMinimalistic", 11),
        ("MobileNetV3Large", 15),
        ("MobileNetV3LargeMinimalistic", 15),
        ("Xception", 14),
        ("EfficientNetB0", 16),
        pytest.param("EfficientNetB1", 23, marks=pytest.mark.long),
        pytest.param("EfficientNetB2", 23, marks=pytest.mark.long),
        pytest.param("EfficientNetB3", 26, marks=pytest.mark.long),
        pytest.param("EfficientNetV2B0", 21, marks=pytest.mark.long),
        pytest.param("DenseNet121", 58, marks=pytest.mark.long),
        pytest.param("InceptionV3", 11, marks=pytest.mark.long),
        ("ConvNeXtTiny", 18),
        pytest.param("NASNetMobile", 16, marks=pytest.mark.long),
    ],
)
def test_a_backbone_has_the_blocks_of_its_paper(
    name: str, blocks: int, small_backbones: dict[str, keras.Model]
) -> None:
    assert len(backbones.find_blocks(small_backbones[name], name)) == blocks + 1


@pytest.mark.parametrize("name", EACH)
def test_stages_end_where_the_resolution_or_the_flow_changes(
    name: str, small_backbones: dict[str, keras.Model]
) -> None:
    """Within a stage named after a stride, all blocks have that stride."""
    row, ends = ARCHITECTURES[name], backbones.find_blocks(small_backbones[name], name)[1:]
    strides = {"conv2": 4, "conv3": 8, "conv4": 16, "conv5": 32} if name in ("ResNet50", "DenseNet121") else {}
    for stage, blocks in row.stages.items():
        stride = strides.get(stage) or (stage.startswith("stride") and int(stage.removeprefix("stride")))
        for end in ends[:blocks]:
            if stride:
                assert end.output.shape[1] in (SIZE // stride, -(-SIZE // stride))
        ends = ends[blocks:]
    assert not ends


@pytest.mark.parametrize("name", EACH)
def test_nothing_leads_around_a_single_tensor(name: str, small_backbones: dict[str, keras.Model]) -> None:
    """What the cut's output alone determines is the output of the whole: prefix and tail give it together."""
    model = small_backbones[name]
    points = backbones.find_single_tensors(model)
    images = np.random.default_rng(0).normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    whole = model(images, training=False).numpy()
    for point in points[1 : -1 : max(1, len(points) // 6)]:
        prefix, tail = keras.Model(model.input, point.output), keras.Model(point.output, model.output)
        np.testing.assert_allclose(tail(prefix(images, training=False), training=False), whole, atol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_published_digest_is_the_one_that_keras_has_for_the_file(name: str) -> None:
    row = ARCHITECTURES[name]
    source = inspect.getsource(sys.modules[getattr(keras.applications, row.builder).__module__])
    # The hashes may stand in a module that the builder's own imports.
    imported = re.findall(r"from (keras\.src\.applications) import (\w+)", source)
    sources = source + "".join(inspect.getsource(sys.modules[".".join(names)]) for names in imported)
    assert (row.published or "md5:").partition(":")[2] in sources
    assert row.published or "file_hash" not in source


# Millions of parameters with the classifier of 1,000 classes: the table of https://keras.io/api/applications/.
MILLIONS = {
    "ResNet50": 25.6, "MobileNet": 4.3, "MobileNetV2": 3.5, "Xception": 22.9, "EfficientNetB0": 5.3,
    "EfficientNetB1": 7.9, "EfficientNetB2": 9.2, "EfficientNetB3": 12.3, "EfficientNetV2B0": 7.2, "DenseNet121": 8.1,
    "InceptionV3": 23.9, "ConvNeXtTiny": 28.6, "NASNetMobile": 5.3,
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", MILLIONS)
def test_a_full_backbone_has_the_parameters_that_keras_states(name: str) -> None:
    model = backbones.build(name, 1, SIZE)
    classifier = 1000 * (model.output_shape[-1] + 1)
    assert round((model.count_params() + classifier) / 1e6, 1) == MILLIONS[name]


@pytest.mark.parametrize("name", EACH)
def test_the_row_says_whether_there_are_batch_norm_layers(name: str, small_backbones: dict[str, keras.Model]) -> None:
    layers = small_backbones[name]._flatten_layers()
    assert ARCHITECTURES[name].batch_norm == any(isinstance(x, keras.layers.BatchNormalization) for x in layers)


@pytest.mark.long
def test_the_cells_of_nasnet_have_no_single_tensor_between_them(small_backbones: dict[str, keras.Model]) -> None:
    """A cell takes the outputs of the two before it, so no cut lies between the first convolution and the last cell."""
    model = small_backbones["NASNetMobile"]
    points = [point.name for point in backbones.find_single_tensors(model)]
    assert points[1:4] == ["stem_conv1", "stem_bn1", "normal_concat_12"] and len(points) == 5


@pytest.mark.long
def test_widths_that_add_up_in_nasnet_do_at_any_width() -> None:
    for width in (0.3, 0.5, 1.5):
        backbones.build("NASNetMobile", width, SIZE)


def test_random_weights_see_the_pixels_that_published_ones_see() -> None:
    """EfficientNet standardises by itself, as keras.applications does for the weights of ImageNet alone."""
    model = backbones.build("EfficientNetB0", WIDTH, 32)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    first = keras.Model(model.input, model.get_layer("stem_conv_pad").output)(pixels).numpy()[:, :32, :32]
    np.testing.assert_allclose(first, (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], atol=1e-5)
