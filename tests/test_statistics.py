"""Paired tests, calibration and verdicts, on numbers worked out by hand or printed in the sources."""

import numpy as np
import pandas as pd
import pytest

from thaw import statistics


def make_runs(both, first_only, second_only, neither):
    """Return two runs (n,) bool with so many photos right in both, in one alone, in neither."""
    first = [True] * (both + first_only) + [False] * (second_only + neither)
    second = [True] * both + [False] * first_only + [True] * second_only + [False] * neither
    return np.array(first), np.array(second)


def test_the_exact_test_counts_the_photos_on_which_the_runs_disagree():
    """1 against 7: twice the chance of at most 1 head in 8 tosses, 2 * (1 + 8) / 256."""
    found = statistics.compare_paired(*make_runs(50, 1, 7, 3))
    assert (found.first_only, found.second_only, found.photos) == (1, 7, 61)
    assert found.p == pytest.approx(2 * 9 / 256)


def test_photos_on_which_the_runs_agree_change_nothing():
    p = statistics.compare_paired(*make_runs(5, 2, 9, 1)).p
    assert statistics.compare_paired(*make_runs(500, 2, 9, 100)).p == pytest.approx(p)


def test_runs_that_never_disagree_cannot_be_told_apart():
    assert statistics.compare_paired(*make_runs(5, 0, 0, 3)).p == 1


def test_runs_on_other_photos_are_an_error():
    with pytest.raises(ValueError, match="same photos"):
        statistics.compare_paired([True], [True, False])


def test_holm_multiplies_the_smallest_p_by_the_number_of_tests_and_the_next_by_one_less():
    np.testing.assert_allclose(statistics.correct([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    assert len(statistics.correct([])) == 0


def test_newcombes_interval_is_that_of_his_first_example():
    """Newcombe 1998 (Interval estimation for the difference), table II, example (a): 56/70 and 48/80, method 10."""
    difference, low, high = statistics.find_gap((56, 70), (48, 80))
    assert difference == pytest.approx(0.2)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_a_run_as_sure_as_it_is_right_has_no_calibration_error():
    confidence, right = np.repeat([0.75, 0.5], [8, 4]), np.array([1] * 6 + [0] * 2 + [1] * 2 + [0] * 2, bool)
    assert statistics.measure_calibration(confidence, right)[0] == pytest.approx(0)


def test_the_calibration_error_weighs_each_bin_by_its_photos():
    """Three photos at 0.9, all right: off by 0.1; one at 0.6, wrong: off by 0.6."""
    error, table = statistics.measure_calibration([0.9, 0.9, 0.9, 0.6], [True, True, True, False])
    assert error == pytest.approx((3 * 0.1 + 0.6) / 4)
    assert list(table.photos) == [1, 3]


def test_errors_in_opposite_directions_within_a_bin_cancel_and_across_bins_add_up():
    assert statistics.measure_calibration([0.5, 0.5], [True, False])[0] == pytest.approx(0)
    assert statistics.measure_calibration([0.9, 0.1], [False, True])[0] == pytest.approx(0.9)


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_the_ends_of_the_scale_fall_into_a_bin(confidence):
    _, table = statistics.measure_calibration([confidence], [True])
    assert table.low[0] <= confidence <= table.high[0]


def test_the_calibration_of_a_run_differs_from_its_own_by_nothing():
    run = ([0.9, 0.6, 0.7], [True, False, True])
    assert statistics.compare_calibration(run, run) == (0, 0, 0)


def test_a_run_far_surer_than_right_is_surely_the_worse_calibrated():
    right = np.array([True] * 50 + [False] * 50)
    difference, low, high = statistics.compare_calibration((np.full(100, 0.95), right), (np.full(100, 0.5), right))
    assert difference == pytest.approx(0.45) and 0 < low < difference < high


def test_a_few_photos_do_not_tell_two_calibrations_apart():
    first, second = ([0.9] * 4, [True, True, True, False]), ([0.8] * 4, [True, True, True, False])
    _, low, high = statistics.compare_calibration(first, second)
    assert low < 0 < high


def test_the_mean_gap_over_runs_has_the_width_that_their_shared_photos_give_it():
    """Two runs that are right and wrong on the same photos tell no more than one: 1.96 * sqrt(0.8 * 0.2 / 100)."""
    gap, low, high = statistics.find_mean_gap([(400, 400)] * 2, [[True] * 80 + [False] * 20] * 2)
    assert gap == pytest.approx(0.2)
    assert [high - gap, gap - low] == pytest.approx([1.96 * 0.04] * 2, rel=1e-4)


def make_history(losses, accuracies):
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
def test_overfitting_is_a_gap_and_a_rising_validation_loss(losses, train, overfitting):
    found = statistics.judge_training(make_history(losses, CALM), (train, 1000), (180, 200))
    assert found["overfitting"] == overfitting


def test_a_gap_on_few_photos_is_no_proof_of_overfitting():
    few = statistics.judge_training(make_history(RISING, CALM), (20, 20), (18, 20))
    assert few["gap"] == pytest.approx(0.1) and not few["overfitting"]


@pytest.mark.parametrize("accuracies, unstable", [(CALM, False), (JUMPING, True)])
def test_unstable_is_what_swings_in_the_second_half(accuracies, unstable):
    assert statistics.judge_training(make_history(STEADY, accuracies), (180, 200), (180, 200))["unstable"] == unstable


def test_swings_of_the_first_half_do_not_count():
    history = make_history([1.0] * 6, [0.2, 0.9, 0.1, 0.8, 0.8, 0.8])
    assert not statistics.judge_training(history, (180, 200), (160, 200))["unstable"]


def test_a_single_epoch_is_neither():
    found = statistics.judge_training(make_history([1.0], [0.5]), (50, 100), (50, 100))
    assert not found["overfitting"] and not found["unstable"]


def test_the_digits_give_away_the_number_of_photos():
    """338, 330 and 342 of 367, as printed with four digits after the point."""
    shares = [round(right / 367, 4) for right in (338, 330, 342)]
    fitting = statistics.find_denominators(shares, [4, 4, 4], 733)
    assert fitting == [367]


def test_an_accuracy_of_two_digits_fits_every_number_of_photos_from_100_on():
    assert statistics.find_denominators([0.9], [2], 200)[-101:] == list(range(100, 201))


def test_no_number_of_photos_gives_figures_that_are_no_accuracies():
    assert statistics.find_denominators([0.8791, 0.8949, 0.9079, 0.9239], [4] * 4, 600) == []
