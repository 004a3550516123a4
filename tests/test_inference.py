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


def test_the_paired_interval_is_that_of_newcombes_examples() -> None:
    """Newcombe 1998 (Statistics in Medicine 17: 2635-2650), table III, method 10, example (a): 20, 12, 2 and 16."""
    found = inference.paired_interval(inference.Paired(20, 12, 2, 50, p=0.0))
    assert found.difference == pytest.approx(0.2)
    assert [round(limit, 4) for limit in found[1:]] == [0.0562, 0.3292]


def test_the_paired_interval_of_the_runs_turned_round_is_its_mirror_image() -> None:
    paired = inference.Paired(328, 20, 6, 368, p=0.0)
    there, back = inference.paired_interval(paired), inference.paired_interval(paired.turn())
    assert list(back) == pytest.approx([-there.difference, -there.high, -there.low])
    assert list(there.turn()) == pytest.approx(list(back))


@pytest.mark.parametrize("shares", [(0.88, 0.06, 0.02), (0.9, 0.03, 0.03), (0.6, 0.2, 0.1)])
def test_the_paired_interval_holds_the_true_difference_in_95_of_100_tables(shares: tuple[float, ...]) -> None:
    """Both right, first alone, second alone, of 368 photos; 1,000 tables: 95 % give or take three errors of 0.7 %."""
    drawn = np.random.default_rng(1).multinomial(368, [*shares, 1 - sum(shares)], 1000)
    intervals = [inference.paired_interval(inference.Paired(*map(int, row[:3]), 368, p=0.0)) for row in drawn]
    held = np.mean([found.low <= shares[1] - shares[2] <= found.high for found in intervals])
    assert 0.929 < held < 0.971


@pytest.mark.parametrize("both, photos", [(10, 10), (0, 10)])
def test_runs_that_always_agree_have_an_interval_about_0(both: int, photos: int) -> None:
    found = inference.paired_interval(inference.Paired(both, 0, 0, photos, p=1.0))
    assert found.difference == 0 and found.low < 0 < found.high and math.isclose(found.low, -found.high)


def draw_probabilities(generator: np.random.Generator, photos: int, sureness: float) -> np.ndarray:
    """Return (photos, 5) probabilities of a run, the surer the larger `sureness`."""
    logits = generator.normal(0, sureness, (photos, 5))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def score_brier(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return ((probabilities - np.eye(5)[labels]) ** 2).sum(axis=1)


def test_two_runs_with_equal_scores_in_truth_are_told_apart_in_one_table_of_twenty() -> None:
    """Labels drawn from the mean of both runs' probabilities give both the same expected score, photo by photo.

    500 tables: 5 % give or take three errors of 1 %.
    """
    generator = np.random.default_rng(3)
    rejected = 0
    for _ in range(500):
        first, second = (draw_probabilities(generator, 368, sureness) for sureness in (2.0, 4.0))
        bounds = ((first + second) / 2).cumsum(axis=1)
        labels = (generator.uniform(size=(368, 1)) > bounds).sum(axis=1).clip(max=4)
        found = inference.compare_scores(score_brier(first, labels), score_brier(second, labels))
        rejected += not found.low <= 0 <= found.high
    assert 0.02 <= rejected / 500 <= 0.08


def test_a_run_far_surer_than_right_has_the_worse_score() -> None:
    generator = np.random.default_rng(4)
    honest = draw_probabilities(generator, 368, 2.0)
    labels = (generator.uniform(size=(368, 1)) > honest.cumsum(axis=1)).sum(axis=1).clip(max=4)
    surer = honest**6 / (honest**6).sum(axis=1, keepdims=True)
    assert inference.compare_scores(score_brier(surer, labels), score_brier(honest, labels)).low > 0


@pytest.mark.parametrize("photos", [40, 368, inference.EXACT + 1000])
def test_a_perfectly_calibrated_run_has_on_average_the_calibration_error_that_is_expected(photos: int) -> None:
    """The mean error of 400 draws of what is right from the confidences, within four of its own errors."""
    generator = np.random.default_rng(5)
    confidence = generator.beta(8, 1, photos)
    errors = [
        inference.calibration_error(confidence, generator.uniform(size=photos) < confidence)[0] for _ in range(400)
    ]
    expected = inference.expected_calibration_error(confidence)
    assert abs(np.mean(errors) - expected) < 4 * np.std(errors) / 20


def test_the_expected_calibration_error_of_one_photo_is_its_mean_distance() -> None:
    """Right with 0.9: off by 0.1; wrong with 0.1: off by 0.9."""
    assert inference.expected_calibration_error([0.9]) == pytest.approx(0.9 * 0.1 + 0.1 * 0.9)


def test_the_test_over_folds_is_students_with_the_variance_of_nadeau_and_bengio() -> None:
    """Differences 1, 2, 3, 4 and 5 points: mean 3, sd 1.5811, error 1.5811 * sqrt(1/5 + 1/4), 4 degrees of freedom."""
    found, p = inference.compare_fold_scores([0.91, 0.92, 0.93, 0.94, 0.95], [0.9] * 5)
    error = 0.015811388 * math.sqrt(0.45)
    assert found.difference == pytest.approx(0.03)
    assert found.high - found.difference == pytest.approx(2.776445 * error, rel=1e-5)  # t table: 0.975, 4
    assert 0.04 < p < 0.05  # t = 2.8284: between 2.776 (0.05) and 2.999 (0.04)


def cross_validate(generator: np.random.Generator, photos: int, folds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the accuracies (folds,) of two classifiers that are equally good in truth, cross-validated for real.

    Nearest class mean on one of two features, which carry the same signal: what each learns depends on its training
    photos, and folds share these.
    """
    labels = generator.integers(0, 2, photos)
    features = labels[:, None] * 0.8 + generator.normal(size=(photos, 2))
    dealt = generator.permutation(photos) % folds
    scores = np.empty((2, folds))
    for which in range(2):
        for fold in range(folds):
            train, held = dealt != fold, dealt == fold
            middles = [features[train & (labels == label), which].mean() for label in (0, 1)]
            nearer = abs(features[held, which] - middles[1]) < abs(features[held, which] - middles[0])
            scores[which, fold] = (nearer == labels[held]).mean()
    return scores[0], scores[1]


def test_over_folds_two_equally_good_runs_are_told_apart_in_less_than_one_of_twenty_cross_validations() -> None:
    """The corrected test is conservative here: 5 % and three errors of 1 % at most."""
    generator = np.random.default_rng(6)
    ps = [inference.compare_fold_scores(*cross_validate(generator, 150, 5))[1] for _ in range(500)]
    assert np.mean(np.array(ps) < 0.05) < 0.08


def test_over_folds_a_better_run_is_found() -> None:
    found, p = inference.compare_fold_scores([0.93, 0.94, 0.92, 0.935, 0.93], [0.9, 0.905, 0.9, 0.9, 0.895])
    assert found.low > 0 and p < 0.01


def predict(generator: np.random.Generator, actual: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Return what a run predicts: class i right with probability `shares[i]`, else the next class."""
    right = generator.uniform(size=len(actual)) < np.array(shares)[actual]
    return np.where(right, actual, (actual + 1) % len(shares))


def test_classes_that_gain_most_by_chance_alone_are_not_the_ones_that_gain_most() -> None:
    """No class gains: which two of five come out first is one draw of ten, and surely (95 %) so in one of twenty."""
    generator = np.random.default_rng(7)
    actual = np.repeat(np.arange(5), 70)
    shares = []
    for _ in range(60):
        runs = (predict(generator, actual, [0.9] * 5) for _ in range(2))
        shares.append(inference.rank_class_gains(actual, *runs, [2, 4])[1])
    assert np.mean(np.array(shares) >= 0.95) <= 0.1


def test_classes_that_gain_far_more_are_the_ones_that_gain_most_in_nearly_every_draw() -> None:
    generator = np.random.default_rng(8)
    actual = np.repeat(np.arange(5), 70)
    before, after = (predict(generator, actual, shares) for shares in ([0.9, 0.9, 0.4, 0.9, 0.4], [0.9] * 5))
    gains, share, _ = inference.rank_class_gains(actual, before, after, [2, 4])
    assert set(list(gains)[:2]) == {2, 4} and share > 0.95


def test_one_photo_more_in_another_class_speaks_against_no_class() -> None:
    gained = inference.rank_class_gains([0, 0, 1, 1, 2, 2], [1, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], [2])
    assert gained[1] == 0 and 0 < gained[2] < 0.95


def test_the_gain_of_a_class_is_the_difference_of_its_f1() -> None:
    """Class 0 before: 1 of 2 right, none wrongly: F1 2/3; after: both: 1. Class 1 before: 2 right, 1 wrongly: 4/5."""
    gains, _, _ = inference.rank_class_gains([0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], [0])
    assert gains == pytest.approx({0: 1 / 3, 1: 1 / 5})


def test_the_mean_gap_over_runs_has_the_width_that_their_shared_photos_give_it() -> None:
    """Two runs that are right and wrong on the same photos prove no more than one: 1.96 * sqrt(0.8 * 0.2 / 100)."""
    gap, low, high = inference.mean_gap_interval([(400, 400)] * 2, [[True] * 80 + [False] * 20] * 2)
    assert gap == pytest.approx(0.2)
    assert [high - gap, gap - low] == pytest.approx([1.96 * 0.04] * 2, rel=1e-4)


def make_history(losses: Sequence[float], accuracies: Sequence[float]) -> pd.DataFrame:
    return pd.DataFrame({"validation_loss": losses, "validation_accuracy": accuracies})


STEADY = [1.0, 0.5, 0.45, 0.42, 0.4, 0.41, 0.4, 0.39, 0.4, 0.41, 0.39, 0.4]
RISING = [1.0, 0.4, 0.38, 0.4, 0.41, 0.43, 0.45, 0.46, 0.5, 0.53, 0.55, 0.6]
CALM = [0.6, 0.8, 0.85, 0.88, 0.9, 0.9, 0.9, 0.91, 0.9, 0.905, 0.9, 0.9]
JUMPING = [*CALM[:6], 0.9, 0.7, 0.9, 0.7, 0.9, 0.7]


@pytest.mark.parametrize(
    "losses, train, overfitting",
    [
        (RISING, 1000, True),
        (STEADY, 1000, False),  # a gap alone is none
        (RISING, 910, False),  # nor is a rising loss
        ([*RISING[:-1], float("nan")], 1000, True),
        ([*STEADY[:-1], 0.6], 1000, False),  # one bad epoch at the end is no trend
    ],
)
def test_overfitting_is_a_gap_and_a_rising_validation_loss(
    losses: Sequence[float], train: int, overfitting: bool
) -> None:
    found = inference.judge_history(make_history(losses, CALM), (train, 1000), (180, 200))
    assert found["overfitting"] == overfitting


def test_a_loss_that_scatters_about_its_level_is_rarely_taken_for_a_rising_one() -> None:
    """Noise of 10 % about a constant: 5 % and three errors of 1 % of 500 trainings at most."""
    generator = np.random.default_rng(9)
    losses = 0.3 + generator.normal(0, 0.03, (500, 15))
    found = [inference.judge_history(make_history(row, [0.9] * 15), (1000, 1000), (450, 550)) for row in losses]
    assert np.mean([verdict["overfitting"] for verdict in found]) < 0.08


def test_a_gap_on_few_photos_is_no_proof_of_overfitting() -> None:
    few = inference.judge_history(make_history(RISING, CALM), (20, 20), (18, 20))
    assert few["gap"] == pytest.approx(0.1) and not few["overfitting"]


def test_the_training_photos_are_no_sample() -> None:
    """However few they are, the gap's interval is that of the validation accuracy: 0.9 of 1,000 against 1 of 10."""
    assert inference.judge_history(make_history(RISING, CALM), (10, 10), (900, 1000))["overfitting"]


@pytest.mark.parametrize("accuracies, unstable", [(CALM, False), (JUMPING, True)])
def test_unstable_is_what_swings_in_the_second_half(accuracies: Sequence[float], unstable: bool) -> None:
    assert inference.judge_history(make_history(STEADY, accuracies), (180, 200), (180, 200))["unstable"] == unstable


def test_on_few_photos_a_swing_of_one_photo_is_chance() -> None:
    """Of 40 photos one that flips in every epoch moves the accuracy by 2.5 points."""
    accuracies = [0.9, 0.925] * 6
    assert not inference.judge_history(make_history(STEADY, accuracies), (36, 40), (36, 40))["unstable"]
    assert inference.judge_history(make_history(STEADY, accuracies), (3600, 4000), (3600, 4000))["unstable"]


def test_chance_exceeds_the_swing_of_chance_in_one_training_of_twenty() -> None:
    """Accuracies of 100 photos drawn anew in each epoch; 2,000 trainings: 5 % give or take three errors of 0.5 %."""
    drawn = np.random.default_rng(10).binomial(100, 0.9, (2000, 8)) / 100
    swings = np.abs(np.diff(drawn, axis=1)).mean(axis=1)
    assert np.mean(swings > inference.find_chance_swing(0.9, 100, 8)) == pytest.approx(0.05, abs=0.015)


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
