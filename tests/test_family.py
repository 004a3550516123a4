"""The page on MobileNetV3 against ResNet50."""

from thaw import family
from thaw.presets import read_preset


def test_every_backbone_of_the_preset_but_resnet50_stands_in_for_mobilenetv3():
    architectures = {backbone["architecture"] for backbone in read_preset(family.PRESET)["backbones"].values()}
    assert architectures == {*family.RELATIVES, "ResNet50"}
