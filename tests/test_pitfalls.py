"""The page on why published numbers differ."""

import shutil

from thaw import pitfalls
from thaw.kept import write_page
from thaw.presets import ROOT, read_preset


def test_every_fine_tuned_run_of_the_preset_is_on_the_page():
    told = {name for pitfall in pitfalls.PITFALLS for name in pitfall.runs} | {*pitfalls.AGES, pitfalls.SOUND}
    assert set(read_preset(pitfalls.PRESET)["finetune"]) <= told


def test_of_a_mistake_that_has_not_been_made_no_outcome_is_told(tmp_path):
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    (tmp_path / "docs").mkdir()
    (tmp_path / "presets" / pitfalls.PRESET / f"metrics/evaluate/{pitfalls.SOUND}-batch.json").unlink()
    write_page(pitfalls.PRESET, pitfalls.list_drawings, pitfalls.render_page, tmp_path)
    assert f"- `{pitfalls.SOUND}-batch`: not run yet." in (tmp_path / "docs/pitfalls.md").read_text()
