"""How sure a comparison is: paired tests, calibration, and the verdicts on a run's training. Pure."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

BINS = 15  # of confidence, as Guo et al. 2017 (On Calibration of Modern Neural Networks) use
LEVEL = 0.05

# The verdicts on a run's training; the report states these rules with these numbers.
GAP = 0.05  # of accuracy between train and validation that counts as large
RISE = 0.10  # share by which the validation loss may end above its lowest epoch
SWING = 0.02  # mean change of validation accuracy from epoch to epoch that counts as unstable


class Paired(NamedTuple):
    """Two runs on the same photos."""

    first_only: int  # photos that the first run alone has right
    second_only: int
    photos: int
    p: float  # McNemar's exact test, two-sided


def compare_paired(first, second):
    """Return the Paired comparison of two runs: `first` and `second` (n,) bool, whether each photo was right.

    McNemar's exact test: of the photos on which the runs disagree, each is as likely to favour either run, if the runs
    are equally good (McNemar 1947; a binomial test with 1/2). p is 1 where they never disagree.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape:
        raise ValueError(f"both runs must have scored the same photos (got {first.size} and {second.size})")
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    p = scipy.stats.binomtest(b, b + c).pvalue if b + c else 1.0
    return Paired(b, c, first.size, float(p))


def correct(ps):
    """Return the p values (n,) adjusted for being n tests, by Holm's step-down method (1979)."""
    return multipletests(ps, alpha=LEVEL, method="holm")[1] if len(ps) else np.array([])


def find_gap(first, second):
    """Return (difference, low, high) of two accuracies on different photos: each (right, photos); Newcombe's 95 % interval.

    Newcombe 1998, hybrid score, as statsmodels computes it.
    """
    low, high = confint_proportions_2indep(*first, *second, method="newcomb", alpha=LEVEL)
    return first[0] / first[1] - second[0] / second[1], float(low), float(high)


def measure_calibration(confidence, right):
    """Return (error, table): the expected calibration error, and what it is made of.

    `confidence` (n,) in [0, 1], the probability of the predicted class; `right` (n,) bool. The error is the mean, over
    photos, of the distance between confidence and accuracy within a bin (Naeini et al. 2015; equal widths). The table
    has a row per bin that holds photos: low, high, photos, confidence, accuracy.
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, bool)
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
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
    table = pd.DataFrame(rows)
    error = (table.photos * (table.confidence - table.accuracy).abs()).sum() / len(confidence)
    return float(error), table


def judge_training(history, train, validation):
    """Return {"overfitting": bool, "unstable": bool, "gap", "rise", "swing"} of one run.

    `history` is the DataFrame of its own epochs; `train` and `validation` are the (right, photos) of the finished run.
    Overfitting: the gap between train and validation accuracy is surely above GAP (the low end of its 95 % interval),
    and the validation loss ended more than RISE above its lowest epoch. Unstable: over the second half of the epochs,
    validation accuracy changed by more than SWING from one to the next, on average.
    """
    gap, low, _ = find_gap(train, validation)
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


def find_denominators(shares, digits, most):
    """Return the n up to `most` of which every share, as printed, can be a fraction.

    `shares` in [0, 1] are accuracies as a report prints them, `digits` how many digits after the point each has. An
    accuracy is a whole number of photos over n: n fits where some whole number over n rounds to each printed share.
    """
    fitting = []
    for n in range(1, most + 1):
        if all(abs(round(share * n) / n - share) <= 0.5 * 10.0**-d + 1e-12 for share, d in zip(shares, digits, strict=True)):
            fitting.append(n)
    return fitting
