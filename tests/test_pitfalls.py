"""The page on why published numbers differ."""

from thaw.cli import pitfalls
from thaw.config.presets import ROOT, read_preset


def test_every_fine_tuned_run_of_the_preset_is_on_the_page() -> None:
    shown = {name for pitfall in pitfalls.PITFALLS.values() for name in pitfall.runs} | {*pitfalls.AGES, pitfalls.SOUND}
    assert set(read_preset(pitfalls.PRESET)["finetune"]) <= shown


def test_every_pitfall_has_a_section_on_the_page() -> None:
    lines = (ROOT / f"docs/{pitfalls.PRESET}.md").read_text().splitlines()
    assert {f"## {pitfall.title}" for pitfall in pitfalls.PITFALLS.values()} <= set(lines)
