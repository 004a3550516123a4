"""Paired tests, intervals, calibration and verdicts, on numbers worked out by hand or printed in the sources."""

import math
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from thaw.comparison import inference


def make_runs(both: int, first_only: int, second_only: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two runs (n,) bool with so many photos right in both, in one alone, in neither."""
    first = [True] * (both + first_only) + [False] * (second_only + neither)
    second = [True] * both + [False] * first_only + [True] * second_only + [False] * neither
    return np.array(first), np.array(second)


def test_the_exact_test_counts_the_photos_on_which_the_runs_disagree() -> None:
    """1 against 7: twice the chance of at most 1 head in 8 tosses, 2 * (1 + 8) / 256."""
    found = inference.mcnemar(*make_runs(50, 1, 7, 3))
    assert (found.first_only, found.second_only, found.photos) == (1, 7, 61)
    assert found.p == pytest.approx(2 * 9 / 256)


@pytest.mark.parametrize("first_only, second_only", [(0, 0), (1, 0), (1, 1), (4, 9), (9, 4), (20, 20), (3, 120)])
def test_the_exact_test_is_twice_the_tail_of_a_fair_coin_and_at_most_1(first_only: int, second_only: int) -> None:
    tosses = first_only + second_only
    tail = sum(math.comb(tosses, k) for k in range(min(first_only, second_only) + 1))
    expected = float(min(Fraction(2 * tail, 2**tosses), 1))
    assert inference.mcnemar(*make_runs(2, first_only, second_only, 1)).p == pytest.approx(expected, rel=1e-10, abs=0)


def test_photos_on_which_the_runs_agree_change_nothing() -> None:
    p = inference.mcnemar(*make_runs(5, 2, 9, 1)).p
    assert inference.mcnemar(*make_runs(500, 2, 9, 100)).p == pytest.approx(p)


def test_runs_that_never_disagree_cannot_be_told_apart() -> None:
    assert inference.mcnemar(*make_runs(5, 0, 0, 3)).p == 1


def test_runs_on_other_photos_are_an_error() -> None:
    with pytest.raises(ValueError, match="same photos"):
        inference.mcnemar([True], [True, False])


def test_holm_multiplies_the_smallest_p_by_the_number_of_tests_and_the_next_by_one_less() -> None:
    np.testing.assert_allclose(inference.holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    assert len(inference.holm([])) == 0


def test_the_interval_of_one_accuracy_is_wilsons() -> None:
    """Newcombe 1998, table I: 81 of 263, score method without continuity correction: 0.2553 to 0.3662."""
    low, high = inference.wilson_interval(81 / 263, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_the_interval_of_a_perfect_score_stays_below_one() -> None:
    low, high = inference.wilson_interval(1.0, 10)
    assert 0.72 < low < 0.73 and high == 1.0  # Newcombe 1998: n / (n + z^2) = 10 / 13.84


def test_newcombes_interval_is_that_of_his_first_example() -> None:
    """Newcombe 1998 (Interval estimation for the difference), table II, example (a): 56/70 and 48/80, method 10."""
    difference, low, high = inference.newcombe_interval((56, 70), (48, 80))
    assert difference == pytest.approx(0.2)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_a_run_as_sure_as_it_is_right_has_no_calibration_error() -> None:
    confidence, right = np.repeat([0.75, 0.5], [8, 4]), np.array([1] * 6 + [0] * 2 + [1] * 2 + [0] * 2, bool)
    assert inference.calibration_error(confidence, right)[0] == pytest.approx(0)


def test_the_calibration_error_weighs_each_bin_by_its_photos() -> None:
    """Three photos at 0.9, all right: off by 0.1; one at 0.6, wrong: off by 0.6."""
    error, table = inference.calibration_error([0.9, 0.9, 0.9, 0.6], [True, True, True, False])
    assert error == pytest.approx((3 * 0.1 + 0.6) / 4)
    assert list(table.photos) == [1, 3]


def test_errors_in_opposite_directions_within_a_bin_cancel_and_across_bins_add_up() -> None:
    assert inference.calibration_error([0.5, 0.5], [True, False])[0] == pytest.approx(0)
    assert inference.calibration_error([0.9, 0.1], [False, True])[0] == pytest.approx(0.9)


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_the_ends_of_the_scale_fall_into_a_bin(confidence: float) -> None:
    _, table = inference.calibration_error([confidence], [True])
    assert table.low[0] <= confidence <= table.high[0]


def test_the_calibration_of_a_run_differs_from_its_own_by_nothing() -> None:
    run = ([0.9, 0.6, 0.7], [True, False, True])
    assert inference.compare_calibration_errors(run, run) == (0, 0, 0)


def test_a_run_far_surer_than_right_is_surely_the_worse_calibrated() -> None:
    right = np.array([True] * 50 + [False] * 50)
    difference, low, high = inference.compare_calibration_errors(
        (np.full(100, 0.95), right), (np.full(100, 0.5), right)
    )
    assert difference == pytest.approx(0.45) and 0 < low < difference < high


def test_a_few_photos_do_not_tell_two_calibrations_apart() -> None:
    first, second = ([0.9] * 4, [True, True, True, False]), ([0.8] * 4, [True, True, True, False])
    _, low, high = inference.compare_calibration_errors(first, second)
    assert low < 0 < high


def test_the_mean_gap_over_runs_has_the_width_that_their_shared_photos_give_it() -> None:
    """Two runs that are right and wrong on the same photos prove no more than one: 1.96 * sqrt(0.8 * 0.2 / 100)."""
    gap, low, high = inference.mean_gap_interval([(400, 400)] * 2, [[True] * 80 + [False] * 20] * 2)
    assert gap == pytest.approx(0.2)
    assert [high - gap, gap - low] == pytest.approx([1.96 * 0.04] * 2, rel=1e-4)


def make_history(losses: Sequence[float], accuracies: Sequence[float]) -> pd.DataFrame:
    return pd.DataFrame({"validation_loss": losses, "validation_accuracy": accuracies})


STEADY, RISING = [1.0, 0.5, 0.4, 0.39], [1.0, 0.4, 0.5, 0.6]
CALM, JUMPING = [0.6, 0.8, 0.9, 0.91], [0.6, 0.8, 0.9, 0.7]


@pytest.mark.parametrize(
    "losses, train, overfitting",
    [
        (RISING, 1000, True),
        (STEADY, 1000, False),  # a gap alone is none
        (RISING, 910, False),  # nor is a rising loss
        ([1.0, 0.4, 0.5, float("nan")], 1000, True),
    ],
)
def test_overfitting_is_a_gap_and_a_rising_validation_loss(
    losses: Sequence[float], train: int, overfitting: bool
) -> None:
    found = inference.judge_history(make_history(losses, CALM), (train, 1000), (180, 200))
    assert found["overfitting"] == overfitting


def test_a_gap_on_few_photos_is_no_proof_of_overfitting() -> None:
    few = inference.judge_history(make_history(RISING, CALM), (20, 20), (18, 20))
    assert few["gap"] == pytest.approx(0.1) and not few["overfitting"]


@pytest.mark.parametrize("accuracies, unstable", [(CALM, False), (JUMPING, True)])
def test_unstable_is_what_swings_in_the_second_half(accuracies: Sequence[float], unstable: bool) -> None:
    assert inference.judge_history(make_history(STEADY, accuracies), (180, 200), (180, 200))["unstable"] == unstable


def test_swings_of_the_first_half_do_not_count() -> None:
    history = make_history([1.0] * 6, [0.2, 0.9, 0.1, 0.8, 0.8, 0.8])
    assert not inference.judge_history(history, (180, 200), (160, 200))["unstable"]


def test_a_single_epoch_is_neither() -> None:
    found = inference.judge_history(make_history([1.0], [0.5]), (50, 100), (50, 100))
    assert not found["overfitting"] and not found["unstable"]


def test_the_digits_determine_the_number_of_photos() -> None:
    """338, 330 and 342 of 367, as printed with four digits after the point."""
    shares = [round(right / 367, 4) for right in (338, 330, 342)]
    fitting = inference.find_denominators(shares, [4, 4, 4], 733)
    assert fitting == [367]


def test_an_accuracy_of_two_digits_fits_every_number_of_photos_from_100_on() -> None:
    assert inference.find_denominators([0.9], [2], 200)[-101:] == list(range(100, 201))


def test_no_number_of_photos_gives_figures_that_are_no_accuracies() -> None:
    assert inference.find_denominators([0.8791, 0.8949, 0.9079, 0.9239], [4] * 4, 600) == []


def test_comparing_loads_no_library_of_statistics_before_the_first_test() -> None:
    """They take longer to load than all else: a command that only reads results does without."""
    names = ("scipy.stats", "statsmodels", "sklearn", "keras", "tensorflow")
    program = f"import sys, thaw.comparison.claims; print([name for name in {names} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found == "[]\n"
