"""Pairs of runs, on made-up right answers."""

import pathlib
import re
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from outcomes import make_params, make_results, write
from thaw.base.errors import InputError
from thaw.comparison import pairs, results


def tabulate(first_only: int, second_only: int) -> dict[str, float]:
    """Return the row of plots/pairs.csv on two runs that each have so many photos right alone."""
    first = np.repeat([True, False, True], [first_only, second_only, 5])
    second = np.repeat([False, True, True], [first_only, second_only, 5])
    found = pairs.judge_pairs([("a", "b")], {"a": first, "b": second}, "best")
    table = pairs.tabulate_pairs(SimpleNamespace(results=SimpleNamespace(part="test"), pairs=found))
    return table.iloc[0].to_dict()


def test_a_p_value_far_below_a_millionth_is_written_and_is_not_zero() -> None:
    row = tabulate(100, 0)
    assert row["p"] == row["p_holm"] == pytest.approx(2 / 2**100, rel=1e-3, abs=0)


def test_a_p_value_is_written_with_4_significant_digits() -> None:
    assert tabulate(17, 2)["p"] == 0.0007286  # 2 * (1 + 19 + 171) / 2 ** 19 = 0.00072860...


EPOCHS = 12


def read_seeds(folder: pathlib.Path, overfits: Sequence[bool], seeds: Sequence[int] = (1, 2, 3)) -> pairs.Evidence:
    """Return the Evidence where run wide, which does not overfit, was trained with more `seeds`.

    Those that overfit end with 99 % on train and 80 % on validation, the loss rising from the first epoch on.
    """
    params = make_params()
    params.replicates = {"wide": SimpleNamespace(backbone="wide", count=1 + len(overfits))}
    accuracy = {
        "train": [0.86, *(0.99 if over else 0.86 for over in overfits)],
        "validation": [0.86, *(0.8 if over else 0.86 for over in overfits)],
    }
    spreads = {part: {"mean": 0.9, "sd": 0.1, "values": values} for part, values in accuracy.items()}
    document = {"seeds": [0, *range(1, 1 + len(overfits))], "accuracy": spreads}
    write(make_results(folder) / "metrics/evaluate/replicates/wide.json", {"replicates": {"wide": document}})
    tables = []
    for seed, over in zip(seeds, overfits, strict=False):
        loss = np.linspace(0.5, 0.9, EPOCHS) if over else np.linspace(0.9, 0.5, EPOCHS)
        table = pd.DataFrame({"seed": seed, "epoch": range(1, EPOCHS + 1), "validation_loss": loss})
        tables.append(table.assign(validation_accuracy=0.86))
    (folder / "plots/history/replicates").mkdir()
    pd.concat(tables).to_csv(folder / "plots/history/replicates/wide.csv", index=False)
    return pairs.read_evidence(results.read_results(params, folder), folder)


@pytest.mark.parametrize(
    ("overfits", "says"),
    [
        ([True, True, True], "yes, 3 of 4 seeds"),
        ([True, False, True], "no, 2 of 4 seeds"),
        ([True], "no, 1 of 2 seeds"),
    ],
)
def test_a_run_overfits_where_most_of_its_seeds_do(overfits: list[bool], says: str, tmp_path: pathlib.Path) -> None:
    evidence = read_seeds(tmp_path, overfits)
    assert pairs.say_verdict(evidence, "wide", "overfitting") == says
    assert pairs.say_verdict(evidence, "wide-blocks-2", "overfitting") == "no, one seed"


def test_a_seed_without_a_history_is_one_line_that_names_the_table(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "plots/history/replicates/wide.csv"
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: must have rows for seed 2, [^\n]*$"):
        read_seeds(tmp_path, [True, False], seeds=[1, 3])


def test_scores_that_lack_a_seed_are_one_line_that_names_the_key(tmp_path: pathlib.Path) -> None:
    read_seeds(tmp_path, [True, False])
    path = tmp_path / "metrics/evaluate/replicates/wide.json"
    path.write_text(path.read_text().replace("[0.86, 0.99, 0.86]", "[0.86, 0.99]"))
    params = make_params()
    params.replicates = {"wide": SimpleNamespace(backbone="wide", count=3)}
    with pytest.raises(InputError, match=r"replicates\.wide\.accuracy\.train\.values: must be 3 numbers[^\n]*$"):
        pairs.read_evidence(results.read_results(params, tmp_path), tmp_path)
