"""The page on why published numbers differ."""

import re
import shutil

from thaw import pitfalls
from thaw.presets import ROOT, read_preset

KEPT = ROOT / "presets" / pitfalls.PRESET


def test_the_page_and_its_figures_are_what_the_kept_results_give(tmp_path):
    for name in ("params.yaml", "presets"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile)(ROOT / name, tmp_path / name)
    (tmp_path / "docs").mkdir()
    pitfalls.write_page(tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in (tmp_path / "docs").rglob("*.*"))
    assert len(made) == 7
    for path in made:
        assert (tmp_path / path).read_bytes() == (ROOT / path).read_bytes(), path


def test_every_fine_tuned_run_of_the_preset_is_on_the_page():
    told = {name for pitfall in pitfalls.PITFALLS for name in pitfall.runs} | {*pitfalls.AGES, pitfalls.SOUND}
    assert set(read_preset(pitfalls.PRESET)["finetune"]) <= told


def test_every_accuracy_on_the_page_is_in_the_kept_metrics():
    text = "".join(path.read_text() for path in sorted((KEPT / "metrics/evaluate").glob("*.json")))
    known = {f"{100 * float(value):.2f}" for value in re.findall(r'"accuracy": ([\d.]+)', text)}
    page = (ROOT / "docs/pitfalls.md").read_text()
    told = set(re.findall(r"\b(\d\d\.\d\d)\b", page))
    assert told and told <= known


def test_a_mistake_that_has_not_been_run_says_so(tmp_path):
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    (tmp_path / "presets" / pitfalls.PRESET / f"metrics/evaluate/{pitfalls.SOUND}-batch.json").unlink()
    pitfalls.write_page(tmp_path)
    assert f"- `{pitfalls.SOUND}-batch`: not run yet." in (tmp_path / "docs/pitfalls.md").read_text()
