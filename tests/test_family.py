"""The page on MobileNetV3 against ResNet50."""

from thaw.cli import family
from thaw.config.presets import ROOT, read_preset


def test_every_backbone_of_the_preset_but_resnet50_stands_in_for_mobilenetv3() -> None:
    architectures = {backbone["architecture"] for backbone in read_preset(family.PRESET)["backbones"].values()}
    assert architectures == {*family.RELATIVES, "ResNet50"}


def test_every_relative_has_a_section_on_the_page() -> None:
    lines = (ROOT / f"docs/{family.PRESET}.md").read_text().splitlines()
    assert {f"## {relative} in MobileNetV3's place" for relative in family.RELATIVES} <= set(lines)
