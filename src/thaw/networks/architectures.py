"""The table of backbones, one row each. Adding a backbone is adding a row; the tests run over the rows."""

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
    file: str  # of ImageNet weights, below FILES
    md5: str | None  # as keras.applications publishes it; None where it publishes none

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return sum(self.stages.values())


_V3: dict[str, Any] = {
    "smallest": 32,
    "module": "mobilenet_v3",  # its preprocess_input changes nothing: the network rescales by itself
    "inside": r"expanded_conv",
    "ends": r"expanded_conv(_\d+)?_(project_bn|add)",
}


_V3_LARGE = {"stride2": 1, "stride4": 2, "stride8": 3, "stride16": 6, "stride32": 3}


_V3_SMALL = {"stride4": 1, "stride8": 2, "stride16": 5, "stride32": 3}


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
        md5="4d473c1dd8becc155b73f8504c6f6626",
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
        md5=None,
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
        md5=None,
    ),
    "MobileNetV3Small": Architecture(
        builder="MobileNetV3Small",
        options={},
        layers=157,
        stages=_V3_SMALL,
        file="mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        md5="d3e8ec802a04aa4fc771ee12a9a9b836",
        **_V3,
    ),
    "MobileNetV3SmallMinimalistic": Architecture(
        builder="MobileNetV3Small",
        options={"minimalistic": True},
        layers=103,
        stages=_V3_SMALL,
        file="mobilenet_v3/weights_mobilenet_v3_small_minimalistic_224_1.0_float_no_top_v2.h5",
        md5="cde8136e733e811080d9fcd8a252f7e4",
        **_V3,
    ),
    "MobileNetV3Large": Architecture(
        builder="MobileNetV3Large",
        options={},
        layers=187,
        stages=_V3_LARGE,
        file="mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        md5="07fb09a5933dd0c8eaafa16978110389",
        **_V3,
    ),
    "MobileNetV3LargeMinimalistic": Architecture(
        builder="MobileNetV3Large",
        options={"minimalistic": True},
        layers=139,
        stages=_V3_LARGE,
        file="mobilenet_v3/weights_mobilenet_v3_large_minimalistic_224_1.0_float_no_top_v2.h5",
        md5="ec5221f64a2f6d1ef965a614bdae7973",
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
        md5="b0042744bf5b25fce3cb969f33bebb97",
    ),
}
