"""The page on why published numbers differ."""

from thaw import pitfalls
from thaw.presets import read_preset


def test_every_fine_tuned_run_of_the_preset_is_on_the_page():
    told = {name for pitfall in pitfalls.PITFALLS for name in pitfall.runs} | {*pitfalls.AGES, pitfalls.SOUND}
    assert set(read_preset(pitfalls.PRESET)["finetune"]) <= told
