"""The search for a learning rate."""

import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from thaw.base.errors import InputError
from thaw.base.quiet import keras
from thaw.cli import rates as cli
from thaw.cli.rates import print_rate
from thaw.store.sources import Source
from thaw.training import rates
from thaw.training.recipes import About
from thaw.training.runs import Opened
from thaw.training.sections import Phase, Training
from tiny import change_params, git

RATES = np.geomspace(1e-6, 1, 100)
SGD = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0}


def make_table(smoothed: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"rate": RATES[: len(smoothed)], "loss": smoothed, "smoothed": smoothed})


def test_the_rate_is_the_one_at_which_the_mean_loss_falls_steepest() -> None:
    """A logistic fall around 1e-3, and a rise behind 0.1."""
    fall = 1 / (1 + np.exp(2 * np.log(RATES / 1e-3)))
    rise = np.where(RATES > 0.1, np.log(RATES / 0.1), 0)
    assert rates.suggest_rate(make_table(1 + fall + rise)) == pytest.approx(1e-3, rel=0.15)


def test_how_steep_a_loss_falls_behind_its_lowest_counts_for_nothing() -> None:
    smoothed = 2 - np.linspace(0, 1, 60) ** 2
    again = np.concatenate([smoothed, [3.0, 9.0, 1.5, 9.0]])  # it has diverged, and falls by chance
    assert rates.suggest_rate(make_table(again)) <= RATES[59]


@pytest.mark.parametrize(
    "smoothed",
    [np.linspace(1, 2, 100), np.full(100, np.nan), np.concatenate([np.linspace(1, 0.9, 10), np.linspace(1, 5, 90)])],
    ids=["rises", "is no number", "falls for ten steps"],
)
def test_where_the_loss_does_not_fall_nothing_is_suggested(smoothed: np.ndarray) -> None:
    with pytest.raises(InputError, match="^find-rate: must see the loss fall over 20 steps [^\n]*$"):
        rates.suggest_rate(make_table(smoothed))


def search(**keys: Any) -> rates.Rates:
    """Search a rate for a small network on numbers that a line parts."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)])
    inputs = np.random.default_rng(4).normal(size=(60, 6)).astype(np.float32)
    source = Source(inputs, inputs[:, :3].argmax(axis=1))
    opened = Opened(None, None, None, model, [source, source], About(), 0.0)  # type: ignore[arg-type]
    return rates.find_rate(
        opened, Phase.model_validate({"optimizer": SGD, "epochs": 1, **keys}), Training(seed=1, batch_size=20)
    )


def test_the_rates_grow_by_the_same_factor_from_a_millionth_to_one() -> None:
    table = search().table
    np.testing.assert_allclose(table["rate"], RATES[: len(table)], rtol=1e-6)
    assert table["rate"].iloc[-1] == pytest.approx(1.0) or table["smoothed"].iloc[-1] > 4 * table["smoothed"].min()


def test_the_search_takes_no_notice_of_the_rate_and_the_schedule_of_the_run() -> None:
    plain = search().table
    other = search(optimizer={**SGD, "learning_rate": 5.0}, schedule={"shape": "cosine", "warmup": 0.5}).table
    pd.testing.assert_frame_equal(plain, other)


def test_small_rates_leave_the_loss_where_it_is_and_large_ones_lower_it() -> None:
    table = search().table
    assert table["smoothed"].iloc[30] == pytest.approx(table["smoothed"].iloc[10], rel=0.1)
    assert table["smoothed"].min() < 0.9 * table["smoothed"].iloc[30]


@pytest.fixture
def table(workspace: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A finished table as the working directory; threads are pinned in a process of its own alone."""
    monkeypatch.chdir(workspace)
    monkeypatch.setattr(cli, "configure", lambda compute, seed: keras.utils.set_random_seed(seed))
    return workspace


@pytest.mark.parametrize(
    "run", ["tiny", *(pytest.param(run, marks=pytest.mark.long) for run in ("tiny-blocks-1", "baseline_cnn"))]
)
def test_the_command_writes_the_curve_and_leaves_the_table_as_it_is(
    run: str, table: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rates, "suggest_rate", lambda table: 0.0123)  # so few photos show nothing
    print_rate(run)
    printed = capsys.readouterr().out
    assert printed.startswith(f"{run}: the loss falls steepest at the rate 1.2e-02; params.yaml has 1.0e-03\n")
    assert (table / f".thaw/rates/{run}.svg").exists() and (table / f".thaw/rates/{run}.csv").exists()
    section = {"tiny": "frozen.tiny", "tiny-blocks-1": "finetune.tiny-blocks-1"}.get(run, run)
    assert f"exp run -S '{section}.optimizer.learning_rate=1.2e-02'" in printed
    assert git(table, "status", "--porcelain") == ""


def test_a_run_that_there_is_not_is_one_line_that_names_those_there_are(table: pathlib.Path) -> None:
    with pytest.raises(InputError, match="^find-rate: must be one of baseline_cnn, tiny, .* [(]got 'huge'[)]$"):
        print_rate("huge")


def test_weights_that_are_not_here_are_one_line_with_the_command_that_makes_them(table: pathlib.Path) -> None:
    (table / "models/tiny.weights.h5").unlink()
    with pytest.raises(InputError, match="^models/tiny.weights.h5: no such file; .* train_frozen@tiny makes it$"):
        print_rate("tiny-blocks-1")


def test_a_run_that_has_a_race_choose_is_one_line_that_names_it(table: pathlib.Path) -> None:
    change_params(table, lambda document: document["finetune"]["tiny-blocks-1"].update(unfreeze={"auto": {}}))
    with pytest.raises(InputError, match="^find-rate: must be a run that names what it unfreezes [(]tiny-blocks-1 "):
        print_rate("tiny-blocks-1")
