"""Pairs of runs, on made-up right answers."""

from types import SimpleNamespace

import numpy as np
import pytest

from thaw.comparison import pairs


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
