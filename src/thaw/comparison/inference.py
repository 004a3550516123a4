"""How sure a comparison is: paired tests, intervals, calibration, and the verdicts on a run's training.

The functions are pure: the same numbers give the same result.
"""

# SciPy's and statsmodels' statistics take longer to load than all else that a program of thaw needs before its work:
# `scipy.stats` is loaded where it is first used, and the functions import their part of statsmodels.

from collections.abc import Sequence
from typing import NamedTuple, TypedDict

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike

BINS = 15  # of confidence, as Guo et al. 2017 (On Calibration of Modern Neural Networks) use

LEVEL = 0.05

RESAMPLES = 2000  # of the bootstrap: the ends of a 95 % interval rest on 50 draws each

# The verdicts on a run's training; the report states these rules with these numbers.
GAP = 0.05  # of accuracy between train and validation that counts as large

RISE = 0.10  # share by which the validation loss may end above its lowest epoch

SWING = 0.02  # mean change of validation accuracy from epoch to epoch that counts as unstable

Count = tuple[int, int]  # (right, photos) of a run on one part


class Paired(NamedTuple):
    """Two runs on the same photos."""

    first_only: int  # photos that the first run alone has right
    second_only: int
    photos: int
    p: float  # McNemar's exact test, two-sided


class History(TypedDict):
    """How one run trained: the verdicts, and the numbers that they rest on."""

    overfitting: bool
    unstable: bool
    gap: float  # train minus validation accuracy of the finished run
    rise: float  # of the validation loss above its lowest epoch, as a share of that
    swing: float  # mean change of validation accuracy from epoch to epoch, over the second half


def wilson_interval(accuracy: float, photos: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return (low, high) of Wilson's score interval (1927) for an accuracy in [0, 1] over so many photos."""
    test = scipy.stats.binomtest(round(accuracy * photos), photos)
    interval = test.proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(first: ArrayLike, second: ArrayLike) -> Paired:
    """Return the Paired comparison of two runs: `first` and `second` (n,) bool, whether each photo was right.

    McNemar's exact test: of the photos on which the runs disagree, each is as likely to favour either run, if the runs
    are equally good (McNemar 1947; a binomial test with 1/2). p is 1 where they never disagree. Raises ValueError where
    the two have different lengths.
    """
    from statsmodels.stats import contingency_tables

    right, other = np.asarray(first, bool), np.asarray(second, bool)
    if right.shape != other.shape:
        raise ValueError(f"both runs must have scored the same photos (got {right.size} and {other.size})")
    agreeing, first_only = int((right & other).sum()), int((right & ~other).sum())
    second_only = int((~right & other).sum())
    neither = right.size - agreeing - first_only - second_only
    found = contingency_tables.mcnemar([[agreeing, first_only], [second_only, neither]], exact=True)
    return Paired(first_only, second_only, right.size, float(found.pvalue))


def holm(ps: Sequence[float]) -> np.ndarray:
    """Return the p values (n,) adjusted for being n tests, by Holm's step-down method (1979)."""
    from statsmodels.stats import multitest

    return multitest.multipletests(ps, alpha=LEVEL, method="holm")[1] if len(ps) else np.array([])


def newcombe_interval(first: Count, second: Count) -> tuple[float, float, float]:
    """Return (difference, low, high) of two accuracies on different photos, each (right, photos).

    The 95 % interval is Newcombe's hybrid score interval (1998), as statsmodels computes it.
    """
    from statsmodels.stats import proportion

    low, high = proportion.confint_proportions_2indep(*first, *second, method="newcomb", alpha=LEVEL)
    return first[0] / first[1] - second[0] / second[1], float(low), float(high)


def sd_interval(sd: float, count: int) -> tuple[float, float]:
    """Return (low, high): the 95 % interval of a standard deviation that `count` values, 2 or more, gave.

    From the chi-squared distribution of the variance of values that scatter normally (Snedecor and Cochran 1989).
    """
    freedom = count - 1
    low, high = (sd * np.sqrt(freedom / scipy.stats.chi2.ppf(q, freedom)) for q in (1 - LEVEL / 2, LEVEL / 2))
    return float(low), float(high)


def mean_gap_interval(train: Sequence[Count], validation: ArrayLike) -> tuple[float, float, float]:
    """Return (gap, low, high): the mean of train minus validation accuracy over several runs, with its 95 % interval.

    `train` is the (right, photos) of each run; `validation` (runs, n) bool, whether each run had each photo right. The
    runs share their photos, so what varies is the photos and not the runs: a normal interval over photos.
    """
    right, photos = np.asarray(train, float).T
    accuracy, shares = (right / photos).mean(), np.asarray(validation, float).mean(axis=0)
    gap = accuracy - shares.mean()
    variance = shares.var() / len(shares) + accuracy * (1 - accuracy) / photos.min()
    half = scipy.stats.norm.ppf(1 - LEVEL / 2) * np.sqrt(variance)
    return float(gap), float(gap - half), float(gap + half)


def calibration_error(confidence: ArrayLike, right: ArrayLike) -> tuple[float, pd.DataFrame]:
    """Return (error, table): the expected calibration error, and what it is made of.

    `confidence` (n,) in [0, 1], the probability of the predicted class; `right` (n,) bool. The error is the mean, over
    photos, of the distance between confidence and accuracy within a bin (Naeini et al. 2015; equal widths). The table
    has a row per bin that holds photos: low, high, photos, confidence, accuracy.
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, bool)
    bins, surplus = _split_error(confidence, right)
    rows = []
    for number in np.unique(bins):
        inside = bins == number
        rows.append(
            {
                "low": number / BINS,
                "high": (number + 1) / BINS,
                "photos": int(inside.sum()),
                "confidence": confidence[inside].mean(),
                "accuracy": right[inside].mean(),
            }
        )
    return _sum_error(bins, surplus), pd.DataFrame(rows)


def compare_calibration_errors(
    first: tuple[ArrayLike, ArrayLike], second: tuple[ArrayLike, ArrayLike]
) -> tuple[float, float, float]:
    """Return (difference, low, high): the calibration error of the first run minus that of the second.

    Each run is (confidence, right) as `calibration_error` takes them, over the same photos in the same order. The 95 %
    interval is that of the bootstrap's percentiles (Efron 1979) over RESAMPLES draws of the photos from one seed.
    """
    parts = [_split_error(*run) for run in (first, second)]
    photos = len(parts[0][0])

    def find_errors(chosen: np.ndarray) -> list[float]:
        return [_sum_error(bins[chosen], surplus[chosen]) for bins, surplus in parts]

    generator = np.random.default_rng(0)
    draws = np.array([find_errors(generator.integers(photos, size=photos)) for _ in range(RESAMPLES)])
    low, high = np.quantile(draws[:, 0] - draws[:, 1], [LEVEL / 2, 1 - LEVEL / 2])
    before, after = find_errors(np.arange(photos))
    return before - after, float(low), float(high)


def judge_history(history: pd.DataFrame, train: Count, validation: Count) -> History:
    """Return the History of one run.

    `history` has a row per epoch of its own; `train` and `validation` are the (right, photos) of the finished run.
    Overfitting: the gap between train and validation accuracy is surely above GAP (the low end of its 95 % interval),
    and the validation loss ended more than RISE above its lowest epoch. Unstable: over the second half of the epochs,
    validation accuracy changed by more than SWING from one to the next, on average.
    """
    gap, low, _ = newcombe_interval(train, validation)
    losses, accuracies = history["validation_loss"], history["validation_accuracy"]
    rise = float(losses.iloc[-1] / losses.min() - 1)
    later = accuracies.iloc[len(accuracies) // 2 :]
    swing = float(later.diff().abs().mean()) if len(later) > 1 else 0.0
    return {
        "overfitting": bool(low > GAP and not rise <= RISE),  # a loss that is no number has risen
        "unstable": bool(swing > SWING),
        "gap": gap,
        "rise": rise,
        "swing": swing,
    }


def find_denominators(shares: Sequence[float], digits: Sequence[int], most: int) -> list[int]:
    """Return the n up to `most` of which every share, as printed, can be a fraction.

    `shares` in [0, 1] are accuracies as a report prints them, `digits` how many digits after the point each has. An
    accuracy is a whole number of photos over n: n fits where some whole number over n rounds to each printed share.
    """
    printed = list(zip(shares, digits, strict=True))

    def fits(n: int) -> bool:
        return all(abs(round(share * n) / n - share) <= 0.5 * 10.0**-d + 1e-12 for share, d in printed)

    return [n for n in range(1, most + 1) if fits(n)]


def _split_error(confidence: ArrayLike, right: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return (bins, surplus): the bin of each photo's confidence, and how far that lies above 1 (right) or 0 (wrong).

    Within a bin, photos times the distance between confidence and accuracy is the sum of the surplus.
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, bool)
    return np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1), confidence - right


def _sum_error(bins: np.ndarray, surplus: np.ndarray) -> float:
    """Return the calibration error of photos with these bins and this surplus, both (n,)."""
    return float(np.abs(np.bincount(bins, surplus)).sum() / len(bins))
