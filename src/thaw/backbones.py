"""The backbones, one row each: builder, preprocessing, block boundaries and the file of ImageNet weights.

Adding a backbone is adding a row to ARCHITECTURES; the tests run over the rows.
"""

import re
from typing import Any, Callable, NamedTuple

import keras

FILES = "https://storage.googleapis.com/tensorflow/keras-applications/"


class Architecture(NamedTuple):
    """What thaw knows of one network of keras.applications, without its classifier."""

    builder: Callable[..., keras.Model]
    options: dict[str, Any]
    preprocess: Callable  # pixels (..., 3) float32 in [0, 255] -> what the network was trained on
    smallest: int  # pixels, a side: what the builder takes at least
    layers: int  # Keras layers, those without weights included, as the published reports count
    inside: str  # matches the names of operations in the residual or separable blocks, and none before them
    ends: str  # matches the name of the last operation of each block
    stages: dict[str, int]  # name -> its number of blocks, from the input on
    file: str  # of ImageNet weights, below FILES
    md5: str | None  # as keras.applications publishes it; None where it publishes none

    @property
    def blocks(self):
        return sum(self.stages.values())


_applications = keras.applications
_V3 = {
    "smallest": 32,
    "preprocess": _applications.mobilenet_v3.preprocess_input,  # hands through: the network rescales by itself
    "inside": r"expanded_conv",
    "ends": r"expanded_conv(_\d+)?_(project_bn|add)",
}
_V3_LARGE = {"stride2": 1, "stride4": 2, "stride8": 3, "stride16": 6, "stride32": 3}
_V3_SMALL = {"stride4": 1, "stride8": 2, "stride16": 5, "stride32": 3}

ARCHITECTURES = {
    "ResNet50": Architecture(
        builder=_applications.ResNet50,
        options={},
        preprocess=_applications.resnet50.preprocess_input,
        smallest=32,
        layers=175,
        inside=r"conv[2-5]_block",
        ends=r"conv[2-5]_block\d+_out",
        stages={"conv2": 3, "conv3": 4, "conv4": 6, "conv5": 3},
        file="resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        md5="4d473c1dd8becc155b73f8504c6f6626",
    ),
    "MobileNet": Architecture(
        builder=_applications.MobileNet,
        options={},
        preprocess=_applications.mobilenet.preprocess_input,
        smallest=32,
        layers=86,
        inside=r"conv_(pad|dw|pw)_",
        ends=r"conv_pw_\d+_relu",
        stages={"stride2": 1, "stride4": 2, "stride8": 2, "stride16": 6, "stride32": 2},
        file="mobilenet/mobilenet_1_0_224_tf_no_top.h5",
        md5=None,
    ),
    "MobileNetV2": Architecture(
        builder=_applications.MobileNetV2,
        options={},
        preprocess=_applications.mobilenet_v2.preprocess_input,
        smallest=32,
        layers=154,
        inside=r"(expanded_conv|block_\d+)_",
        ends=r"(expanded_conv|block_\d+)_(project_BN|add)",
        stages={"stride2": 1, "stride4": 2, "stride8": 3, "stride16": 7, "stride32": 4},
        file="mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        md5=None,
    ),
    "MobileNetV3Small": Architecture(
        builder=_applications.MobileNetV3Small,
        options={},
        layers=157,
        stages=_V3_SMALL,
        file="mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        md5="d3e8ec802a04aa4fc771ee12a9a9b836",
        **_V3,
    ),
    "MobileNetV3SmallMinimalistic": Architecture(
        builder=_applications.MobileNetV3Small,
        options={"minimalistic": True},
        layers=103,
        stages=_V3_SMALL,
        file="mobilenet_v3/weights_mobilenet_v3_small_minimalistic_224_1.0_float_no_top_v2.h5",
        md5="cde8136e733e811080d9fcd8a252f7e4",
        **_V3,
    ),
    "MobileNetV3Large": Architecture(
        builder=_applications.MobileNetV3Large,
        options={},
        layers=187,
        stages=_V3_LARGE,
        file="mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        md5="07fb09a5933dd0c8eaafa16978110389",
        **_V3,
    ),
    "MobileNetV3LargeMinimalistic": Architecture(
        builder=_applications.MobileNetV3Large,
        options={"minimalistic": True},
        layers=139,
        stages=_V3_LARGE,
        file="mobilenet_v3/weights_mobilenet_v3_large_minimalistic_224_1.0_float_no_top_v2.h5",
        md5="ec5221f64a2f6d1ef965a614bdae7973",
        **_V3,
    ),
    "Xception": Architecture(
        builder=_applications.Xception,
        options={},
        preprocess=_applications.xception.preprocess_input,
        smallest=71,
        layers=132,
        inside=r"block1_",
        ends=r"block1_conv2_act|add(_\d+)?|block14_sepconv2_act",
        stages={"entry": 4, "middle": 8, "exit": 2},
        file="xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
        md5="b0042744bf5b25fce3cb969f33bebb97",
    ),
}


@keras.saving.register_keras_serializable("thaw")
class Preprocessing(keras.layers.Layer):
    """Pixels (b, h, w, 3) float32 in [0, 255] -> what the architecture was trained on, same shape.

    `mode` other than `own` makes a mistake that published runs made, to show what it does: `rescaled` divides by 255
    before, the name of another architecture takes that one's preprocessing.
    """

    def __init__(self, architecture, mode="own", **options):
        super().__init__(**options)
        self.architecture, self.mode = architecture, mode

    def call(self, pixels):
        if self.mode == "rescaled":
            pixels = pixels / 255
        chosen = self.mode if self.mode in ARCHITECTURES else self.architecture
        return ARCHITECTURES[chosen].preprocess(pixels)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "architecture": self.architecture, "mode": self.mode}


def build(architecture, width, size):
    """Return the no-top backbone with random weights: (b, size, size, 3) preprocessed pixels -> feature maps.

    `width` scales the number of filters of every convolution. Topology and layer names do not depend on it, so a
    narrow network cuts where the full one does (the `alpha` of keras.applications drops and adds residuals).
    """
    row = ARCHITECTURES[architecture]
    model = row.builder(include_top=False, weights=None, input_shape=(size, size, 3), **row.options)
    if width == 1:
        return model
    config = model.get_config()
    for layer in config["layers"]:
        layer.pop("build_config", None)  # the shapes it was built with: of the full width
        if "filters" in layer["config"]:
            layer["config"]["filters"] = max(1, round(layer["config"]["filters"] * width))
    return keras.Model.from_config(config)


def find_blocks(model, architecture):
    """Return the boundaries of the blocks in `model`: the operation before the first, then the last of each.

    A boundary is an operation whose output alone leads on, so nothing crosses it: block i is what lies between
    boundaries i - 1 and i. Returns a list of `ARCHITECTURES[architecture].blocks + 1` operations.
    """
    row = ARCHITECTURES[architecture]
    first = next(i for i, operation in enumerate(model.operations) if re.match(row.inside, operation.name))
    position = {id(operation): i for i, operation in enumerate(model.operations)}
    points = find_single_tensors(model)
    before = [point for point in points if position[id(point)] < first][-1]
    ends = [point for point in points if re.fullmatch(row.ends, point.name)]
    if len(ends) != row.blocks:
        raise ValueError(f"{architecture}: found {len(ends)} blocks, expected {row.blocks}")
    return [before, *ends]


def find_single_tensors(model):
    """Return, from the input to the output, the operations whose output alone crosses to the rest of the network.

    Walks the graph of operations, so a residual that leads around an operation rules it out.
    """
    last_use = {}
    for i, operation in enumerate(model.operations):
        for tensor in find_inputs(operation):
            last_use[id(tensor)] = i
    last_use[id(model.outputs[0])] = len(model.operations)
    alive, points = set(), []
    for i, operation in enumerate(model.operations):
        alive = {tensor for tensor in alive | {id(operation.output)} if last_use[tensor] > i}
        if alive == {id(operation.output)}:
            points.append(operation)
    return points


def find_inputs(operation):
    """Return the tensors that the operation takes in."""
    return [tensor for node in operation._inbound_nodes[:1] for tensor in node.input_tensors]
