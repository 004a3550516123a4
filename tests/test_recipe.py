"""The page on what the ingredients of a training recipe add."""

from typing import Any

from thaw.cli import recipe
from thaw.comparison.results import list_runs
from thaw.config.checking import check
from thaw.config.presets import read_preset

PARAMS = check(read_preset(recipe.PRESET), recipe.PRESET)
RUNS = [run for run in list_runs(PARAMS) if run.name in PARAMS.folds]


def read_section(name: str) -> dict[str, Any]:
    """Return what the preset sets of run `name`."""
    return PARAMS.finetune[name].model_dump(by_alias=True, exclude_unset=True)


def list_changes(name: str) -> dict[str, Any]:
    """Return {key: value} of what run `name` sets otherwise than its plain run, but for the learning rate."""
    plain = read_section(recipe.find_plain(next(run for run in RUNS if run.name == name), RUNS).name)
    changed = {key: value for key, value in read_section(name).items() if plain.get(key) != value}
    if "optimizer" in changed:
        changed["optimizer"] = {k: v for k, v in changed["optimizer"].items() if k != "learning_rate"}
    return {key: value for key, value in changed.items() if value != {"name": "adam"}}


def test_every_fine_tuned_run_of_the_preset_is_cross_validated() -> None:
    assert list(PARAMS.folds) == list(PARAMS.finetune)


def test_a_run_is_compared_with_a_plain_one_that_opens_the_same_and_has_no_ingredient() -> None:
    keys = ("from", "unfreeze", "batch_norm", "optimizer", "epochs")
    for run in RUNS:
        plain = recipe.find_plain(run, RUNS).name
        assert run.name == plain or run.name.startswith(f"{plain}-")
        assert read_section(plain).keys() == {*keys}
        assert all(read_section(run.name)[key] == read_section(plain)[key] for key in keys if key != "optimizer")


def test_a_run_of_one_ingredient_differs_from_the_plain_run_in_one_key() -> None:
    alone = [run.name for run in RUNS if recipe.find_plain(run, RUNS) == RUNS[0] and run != RUNS[0]]
    alone = [name for name in alone if not name.endswith(recipe.TOGETHER)]
    assert len(alone) == 9
    assert [len(list_changes(name)) for name in alone] == [1] * len(alone)


def test_all_ingredients_together_are_those_of_the_runs_of_one_ingredient() -> None:
    alone: dict[str, Any] = {}
    for run in RUNS:
        if not run.name.endswith(recipe.TOGETHER):
            alone |= list_changes(run.name)
    together = [run.name for run in RUNS if run.name.endswith(recipe.TOGETHER)]
    assert len(together) == 5
    for name in together:
        assert list_changes(name) == alone
