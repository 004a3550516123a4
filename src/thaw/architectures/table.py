"""The table of backbones, one row each. Adding a backbone is adding a row; the tests run over the rows."""

import hashlib
import json
import pathlib
import urllib.parse
from typing import Any, NamedTuple

FILES = "https://storage.googleapis.com/tensorflow/keras-applications/"


class Architecture(NamedTuple):
    """What thaw knows of one network of keras.applications, without its classifier."""

    builder: str  # its function in keras.applications
    options: dict[str, Any]
    module: str  # of keras.applications, whose `preprocess_input` makes of pixels what the network was trained on
    smallest: int  # pixels, a side: what the builder takes at least
    layers: int  # Keras layers, those without weights included, as the published reports count
    inside: str  # matches the names of operations in the residual or separable blocks, and none before them
    ends: str  # matches the name of the last operation of each block
    stages: dict[str, int]  # name -> its number of blocks, from the input on
    file: str  # of ImageNet weights, an address relative to FILES
    published: str | None  # its digest in keras.applications, `md5:HEX` or `sha256:HEX`; None where it has none
    batch_norm: bool = True  # whether it has BatchNorm layers
    onnx: bool = True  # whether tf2onnx can convert it
    alone: bool = True  # whether the output of a block's last operation alone leads on to the next block
    rescaled: bool = False  # whether Keras puts a further Rescaling behind its Normalization for ImageNet weights
    grain: int | None = None  # widths that are multiples of it add up in the network, and must when they are scaled

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return sum(self.stages.values())

    @property
    def digest(self) -> str:
        """A digest of all of the row that changes what a stage behind `weights` makes; defaults are left out."""
        without = {"smallest", "layers", "file", "published", "batch_norm", "onnx"}
        usual = self._field_defaults.items()
        told = [item for item in self._asdict().items() if item[0] not in without and item not in usual]
        return hashlib.sha256(json.dumps(sorted(told)).encode()).hexdigest()[:16]

    @property
    def url(self) -> str:
        """Where the ImageNet weights are published."""
        return urllib.parse.urljoin(FILES, self.file)

    @property
    def mirrored(self) -> str:
        """Where THAW_MIRROR has the ImageNet weights."""
        return f"weights/{pathlib.PurePosixPath(self.file).name}"


_V3: dict[str, Any] = {
    "smallest": 32,
    "module": "mobilenet_v3",  # its preprocess_input changes nothing: the network rescales by itself
    "inside": r"expanded_conv",
    "ends": r"expanded_conv(_\d+)?_(project_bn|add)",
}


_V3_LARGE = {"stride2": 1, "stride4": 2, "stride8": 3, "stride16": 6, "stride32": 3}


_V3_SMALL = {"stride4": 1, "stride8": 2, "stride16": 5, "stride32": 3}


_EFFICIENTNET: dict[str, Any] = {
    "options": {},
    "module": "efficientnet",  # its preprocess_input changes nothing: the network rescales and normalises by itself
    "smallest": 32,
    "inside": r"block\d[a-z]_",
    "ends": r"block\d[a-z]_(project_bn|add)",
    "rescaled": True,
}


ARCHITECTURES: dict[str, Architecture] = {
    "ResNet50": Architecture(
        builder="ResNet50",
        options={},
        module="resnet50",
        smallest=32,
        layers=175,
        inside=r"conv[2-5]_block",
        ends=r"conv[2-5]_block\d+_out",
        stages={"conv2": 3, "conv3": 4, "conv4": 6, "conv5": 3},
        file="resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        published="md5:4d473c1dd8becc155b73f8504c6f6626",
    ),
    "MobileNet": Architecture(
        builder="MobileNet",
        options={},
        module="mobilenet",
        smallest=32,
        layers=86,
        inside=r"conv_(pad|dw|pw)_",
        ends=r"conv_pw_\d+_relu",
        stages={"stride2": 1, "stride4": 2, "stride8": 2, "stride16": 6, "stride32": 2},
        file="mobilenet/mobilenet_1_0_224_tf_no_top.h5",
        published=None,
    ),
    "MobileNetV2": Architecture(
        builder="MobileNetV2",
        options={},
        module="mobilenet_v2",
        smallest=32,
        layers=154,
        inside=r"(expanded_conv|block_\d+)_",
        ends=r"(expanded_conv|block_\d+)_(project_BN|add)",
        stages={"stride2": 1, "stride4": 2, "stride8": 3, "stride16": 7, "stride32": 4},
        file="mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        published=None,
    ),
    "MobileNetV3Small": Architecture(
        builder="MobileNetV3Small",
        options={},
        layers=157,
        stages=_V3_SMALL,
        file="mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        published="md5:d3e8ec802a04aa4fc771ee12a9a9b836",
        **_V3,
    ),
    "MobileNetV3SmallMinimalistic": Architecture(
        builder="MobileNetV3Small",
        options={"minimalistic": True},
        layers=103,
        stages=_V3_SMALL,
        file="mobilenet_v3/weights_mobilenet_v3_small_minimalistic_224_1.0_float_no_top_v2.h5",
        published="md5:cde8136e733e811080d9fcd8a252f7e4",
        **_V3,
    ),
    "MobileNetV3Large": Architecture(
        builder="MobileNetV3Large",
        options={},
        layers=187,
        stages=_V3_LARGE,
        file="mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        published="md5:07fb09a5933dd0c8eaafa16978110389",
        **_V3,
    ),
    "MobileNetV3LargeMinimalistic": Architecture(
        builder="MobileNetV3Large",
        options={"minimalistic": True},
        layers=139,
        stages=_V3_LARGE,
        file="mobilenet_v3/weights_mobilenet_v3_large_minimalistic_224_1.0_float_no_top_v2.h5",
        published="md5:ec5221f64a2f6d1ef965a614bdae7973",
        **_V3,
    ),
    "Xception": Architecture(
        builder="Xception",
        options={},
        module="xception",
        smallest=71,
        layers=132,
        inside=r"block1_",
        ends=r"block1_conv2_act|add(_\d+)?|block14_sepconv2_act",
        stages={"entry": 4, "middle": 8, "exit": 2},
        file="xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
        published="md5:b0042744bf5b25fce3cb969f33bebb97",
    ),
    "EfficientNetB0": Architecture(
        builder="EfficientNetB0",
        layers=238,
        stages={"stride2": 1, "stride4": 2, "stride8": 2, "stride16": 6, "stride32": 5},
        file="/keras-applications/efficientnetb0_notop.h5",
        published="md5:50bc09e76180e00e4465e1a485ddc09d",
        **_EFFICIENTNET,
    ),
    "EfficientNetB1": Architecture(
        builder="EfficientNetB1",
        layers=340,
        stages={"stride2": 2, "stride4": 3, "stride8": 3, "stride16": 8, "stride32": 7},
        file="/keras-applications/efficientnetb1_notop.h5",
        published="md5:74c4e6b3e1f6a1eea24c589628592432",
        **_EFFICIENTNET,
    ),
    "EfficientNetB2": Architecture(
        builder="EfficientNetB2",
        layers=340,
        stages={"stride2": 2, "stride4": 3, "stride8": 3, "stride16": 8, "stride32": 7},
        file="/keras-applications/efficientnetb2_notop.h5",
        published="md5:111f8e2ac8aa800a7a99e3239f7bfb39",
        **_EFFICIENTNET,
    ),
    "EfficientNetB3": Architecture(
        builder="EfficientNetB3",
        layers=385,
        stages={"stride2": 2, "stride4": 3, "stride8": 3, "stride16": 10, "stride32": 8},
        file="/keras-applications/efficientnetb3_notop.h5",
        published="md5:af6d107764bb5b1abb91932881670226",
        **_EFFICIENTNET,
    ),
    "EfficientNetV2B0": Architecture(
        builder="EfficientNetV2B0",
        options={},
        module="efficientnet_v2",  # as of EfficientNet
        smallest=32,
        layers=270,
        inside=r"block\d[a-z]_",
        ends=r"block1a_project_activation|block[2-6][a-z]_(project_bn|add)",
        stages={"stride2": 1, "stride4": 2, "stride8": 2, "stride16": 8, "stride32": 8},
        file="efficientnet_v2/efficientnetv2-b0_notop.h5",
        published="md5:893217f2bb855e2983157299931e43ff",
    ),
    "DenseNet121": Architecture(
        builder="DenseNet121",
        options={},
        module="densenet",
        smallest=32,
        layers=427,
        inside=r"conv[2-5]_block",
        ends=r"conv[2-5]_block\d+_concat",
        stages={"conv2": 6, "conv3": 12, "conv4": 24, "conv5": 16},
        file="densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        published="md5:30ee3e1110167f948a6b9946edeeb738",
    ),
    "InceptionV3": Architecture(
        builder="InceptionV3",
        options={},
        module="inception_v3",
        smallest=75,
        layers=311,
        inside=r"mixed0",  # of the operations in a block Keras names the last one alone
        ends=r"mixed\d+",
        stages={"grid35": 3, "grid17": 5, "grid8": 3},  # as the paper calls them, by their sides for 299 pixels
        file="inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        published="md5:bcbd6486424b2319ff4ef7d526e38f63",
    ),
    "ConvNeXtTiny": Architecture(
        builder="ConvNeXtTiny",
        options={},
        module="convnext",  # as of EfficientNet
        smallest=32,
        layers=133,
        inside=r"convnext_tiny_stage_\d_block_\d_",
        ends=r"add(_\d+)?",
        stages={"stride4": 3, "stride8": 3, "stride16": 9, "stride32": 3},
        file="convnext/convnext_tiny_notop.h5",
        published="sha256:d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        batch_norm=False,
        onnx=False,  # neither the function of its GELU nor grouped convolutions, which Keras compiles by XLA
    ),
    "NASNetMobile": Architecture(
        builder="NASNetMobile",
        options={},
        module="nasnet",
        smallest=32,
        layers=769,
        inside=r"(reduction|normal|separable|adjust)_",
        ends=r"(reduction|normal)_concat_.+",
        stages={"stride4": 1, "stride8": 5, "stride16": 5, "stride32": 5},
        file="nasnet/NASNet-mobile-no-top.h5",
        published="md5:1ed92395b5b598bdda52abe5c0dbfd63",
        alone=False,  # a cell takes the outputs of the two before it
        grain=11,  # half the filters of a cell from each of two convolutions
    ),
}
