"""How sure a comparison is: paired tests, intervals, calibration, and the verdicts on a run's training.

The functions are pure: the same numbers give the same result.
"""

# SciPy's and statsmodels' statistics take longer to load than all else that a program of thaw needs before its work:
# `scipy.stats` is loaded where it is first used, and the functions import their part of statsmodels.

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple, TypedDict

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike

BINS = 15  # of confidence, as Guo et al. 2017 (On Calibration of Modern Neural Networks) use

LEVEL = 0.05

DRAWS = 10_000  # of simulated trainings and of the bootstrap: a share of 5 % is known to 0.4 points (two errors)

EXACT = 2000  # photos of a bin up to which the error of a calibrated run is summed and not approximated

# The verdicts on a run's training; the report states these rules with these numbers.
GAP = 0.05  # of accuracy between train and validation that counts as large

RISE = 0.10  # share by which the validation loss may end above its lowest epoch

SWING = 0.02  # mean change of validation accuracy from epoch to epoch that counts as unstable

Count = tuple[int, int]  # (right, photos) of a run on one part


class Paired(NamedTuple):
    """Two runs on the same photos."""

    both: int  # photos that both runs have right
    first_only: int  # photos that the first run alone has right
    second_only: int
    photos: int
    p: float  # McNemar's exact test, two-sided

    def turn(self) -> "Paired":
        """Return the same comparison with the second run first."""
        return self._replace(first_only=self.second_only, second_only=self.first_only)


class Interval(NamedTuple):
    """A difference and its 95 % interval."""

    difference: float
    low: float
    high: float

    def turn(self) -> "Interval":
        """Return that of the second minus the first."""
        return Interval(-self.difference, -self.high, -self.low)


class History(TypedDict):
    """How one run trained: the verdicts, and the numbers that they rest on."""

    overfitting: bool
    unstable: bool
    gap: float  # train minus validation accuracy of the finished run
    rise: float  # of the validation loss above its lowest epoch, as a share of that
    swing: float  # mean change of validation accuracy from epoch to epoch, over the second half
    chance: float  # the swing that chance exceeds in one training of twenty


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
    return Paired(agreeing, first_only, second_only, right.size, float(found.pvalue))


def paired_interval(paired: Paired) -> Interval:
    """Return the Interval of the accuracy of the first run minus that of the second, on the same photos.

    Newcombe's score interval for paired proportions (1998, Statistics in Medicine 17: 2635-2650, method 10): the Wilson
    intervals of both accuracies, put together with the correlation of the two runs.
    """
    both, first, second, photos = paired.both, paired.first_only, paired.second_only, paired.photos
    neither = photos - both - first - second
    shares = [(both + first) / photos, (both + second) / photos]
    limits = [wilson_interval(share, photos) for share in shares]
    below = [share - low for share, (low, _) in zip(shares, limits, strict=True)]
    above = [high - share for share, (_, high) in zip(shares, limits, strict=True)]
    margins = math.sqrt((both + first) * (second + neither) * (both + second) * (first + neither))
    cross = both * neither - first * second
    correlation = (max(cross - photos / 2, 0) if cross > 0 else cross) / margins if margins else 0.0

    def combine(one: float, other: float) -> float:
        return math.sqrt(max(one**2 - 2 * correlation * one * other + other**2, 0))

    difference = (first - second) / photos
    return Interval(difference, difference - combine(below[0], above[1]), difference + combine(above[0], below[1]))


def compare_scores(first: ArrayLike, second: ArrayLike) -> Interval:
    """Return the Interval of the mean of `first` minus that of `second`, (n,) scores of two runs photo by photo.

    Student's interval of the mean of the differences; for n of some dozens or more, whatever their distribution.
    """
    return _student(np.asarray(first, float) - np.asarray(second, float))


def compare_fold_scores(first: ArrayLike, second: ArrayLike) -> tuple[Interval, float]:
    """Return (Interval, p) of the mean of `first` minus that of `second`, (k,) accuracies of two runs fold by fold.

    The corrected resampled t-test (Nadeau and Bengio 2003, Machine Learning 52: 239-281) with k - 1 degrees of freedom.
    The trainings of a cross-validation share most of their photos: the variance of the mean is taken as
    (1 / k + test photos / training photos) times that of the differences, and the second term is 1 / (k - 1) here. It
    assumes that the differences scatter normally and is approximate: no estimate from one cross-validation is unbiased
    (Bengio and Grandvalet 2004). p is 1 where all differences are 0.
    """
    differences = np.asarray(first, float) - np.asarray(second, float)
    folds = len(differences)
    found = _student(differences, 1 / folds + 1 / (folds - 1))
    error = differences.std(ddof=1) * math.sqrt(1 / folds + 1 / (folds - 1))
    if error == 0:
        return found, float(found.difference == 0)
    return found, float(2 * scipy.stats.t.sf(abs(found.difference) / error, folds - 1))


def holm(ps: Sequence[float]) -> np.ndarray:
    """Return the p values (n,) adjusted for being n tests, by Holm's step-down method (1979)."""
    from statsmodels.stats import multitest

    return multitest.multipletests(ps, alpha=LEVEL, method="holm")[1] if len(ps) else np.array([])


def newcombe_interval(first: Count, second: Count) -> tuple[float, float, float]:
    """Return (difference, low, high) of two accuracies on different photos, each (right, photos).

    The 95 % interval is Newcombe's hybrid score interval (1998, Statistics in Medicine 17: 873-890, method 10), as
    statsmodels computes it.
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
    runs share their photos, so what varies is the photos of validation and not the runs: a normal interval over these.
    The training photos are no sample: a run is right on so many of just those that it was trained on.
    """
    right, photos = np.asarray(train, float).T
    accuracy, shares = (right / photos).mean(), np.asarray(validation, float).mean(axis=0)
    gap = accuracy - shares.mean()
    half = scipy.stats.norm.ppf(1 - LEVEL / 2) * np.sqrt(shares.var() / len(shares))
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


def expected_calibration_error(confidence: ArrayLike) -> float:
    """Return the calibration error that a perfectly calibrated run with these confidences (n,) has on average.

    Not 0: of few photos in a bin, the share that is right differs from their confidence by chance. For each bin the
    mean distance of a sum of Bernoulli variables from its mean, exactly for up to EXACT photos, else for a normal sum.
    """
    confidence = np.asarray(confidence, float)
    bins, _ = _split_error(confidence, np.zeros(len(confidence), bool))
    distances = [_find_mean_distance(confidence[bins == number]) for number in np.unique(bins)]
    return float(sum(distances) / len(confidence))


def judge_history(history: pd.DataFrame, train: Count, validation: Count) -> History:
    """Return the History of one training.

    `history` has a row per epoch of its own; `train` and `validation` are the (right, photos) of the finished run.
    Overfitting: the gap between train and validation accuracy is surely above GAP; the validation loss ended more than
    RISE above its lowest epoch; and over the second half of the epochs it rose, by Kendall's rank correlation with the
    epoch (one-sided; Mann 1945, Econometrica 13: 245-259), more than losses in any order would by chance. The training
    photos are all there are of their kind, so that the gap's interval is that of the validation accuracy alone
    (Wilson's). Unstable: over the second half, validation accuracy changed by more than SWING from one epoch to the
    next, on average, and by more than chance does on so many photos.
    """
    accuracy, reached = train[0] / train[1], validation[0] / validation[1]
    low = accuracy - wilson_interval(reached, validation[1])[1]
    losses = history["validation_loss"]
    later = history.iloc[len(history) // 2 :]
    climb, lowest = losses.iloc[-1] - losses.min(), losses.min()
    risen = not climb <= RISE * lowest and _find_trend(later["validation_loss"]) < LEVEL
    swing = float(later["validation_accuracy"].diff().abs().mean()) if len(later) > 1 else 0.0
    chance = find_chance_swing(float(later["validation_accuracy"].mean()), validation[1], len(later))
    return {
        "overfitting": bool(low > GAP and risen),
        "unstable": bool(swing > max(SWING, chance)),
        "gap": accuracy - reached,
        "rise": float(climb / lowest),
        "swing": swing,
        "chance": chance,
    }


@functools.lru_cache
def find_chance_swing(accuracy: float, photos: int, epochs: int) -> float:
    """Return the mean change of accuracy from epoch to epoch that chance exceeds in one training of twenty.

    Chance is that each of the `epochs` draws `photos` of its own and gets each right with probability `accuracy`:
    more than the same photos do in every epoch. From DRAWS simulated trainings, always the same ones.
    """
    if epochs < 2 or not 0 <= accuracy <= 1:
        return 0.0
    drawn = np.random.default_rng(0).binomial(photos, accuracy, (DRAWS, epochs)) / photos
    return float(np.quantile(np.abs(np.diff(drawn, axis=1)).mean(axis=1), 1 - LEVEL))


def rank_class_gains(
    actual: ArrayLike, before: ArrayLike, after: ArrayLike, classes: Sequence[str]
) -> tuple[dict[str, float], float, float]:
    """Return ({class: F1 after minus F1 before}, share for, share against), the largest gain first.

    `actual`, `before` and `after` (n,) are the class of each photo and what two runs predict. The shares in [0, 1] are
    those of DRAWS bootstrap draws of the photos (Efron 1979), always the same ones: in which each of `classes` gains
    more than all others, and in which another gains more than one of them. A class that a draw lacks gains nothing.
    """
    table = pd.DataFrame({"actual": np.asarray(actual), "before": np.asarray(before), "after": np.asarray(after)})
    kinds = table.value_counts(sort=False).reset_index(name="photos")
    labels = sorted(set(table["actual"]))
    actually = kinds["actual"].to_numpy()[:, None] == np.array(labels)

    def score(counts: np.ndarray) -> np.ndarray:
        """Return the gains (m, classes) of `counts` (m, kinds) photos of each kind."""
        scores = []
        for column in ("after", "before"):
            predicted = kinds[column].to_numpy()[:, None] == np.array(labels)
            both = 2 * counts @ (actually & predicted)
            all_ = counts @ actually + counts @ predicted
            scores.append(np.divide(both, all_, out=np.zeros(both.shape), where=all_ > 0))
        return scores[0] - scores[1]

    photos = kinds["photos"].to_numpy()
    gains = dict(zip(labels, score(photos[None, :].astype(float))[0].tolist(), strict=True))
    drawn = np.random.default_rng(0).multinomial(len(table), photos / len(table), DRAWS).astype(float)
    inside = np.isin(labels, list(classes))
    found = score(drawn)
    least = found[:, inside].min(axis=1, initial=math.inf if inside.any() else 0.0)
    most = found[:, ~inside].max(axis=1, initial=-math.inf)
    ranked = dict(sorted(gains.items(), key=lambda item: (-item[1], item[0])))
    return ranked, float((least > most).mean()), float((most > least).mean())


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


def _find_trend(losses: pd.Series) -> float:
    """Return the p of no rising trend in `losses` (n,); 0 where the last is no number: it has risen beyond any."""
    if not math.isfinite(losses.iloc[-1]):
        return 0.0
    if len(losses) < 2:
        return 1.0
    p = float(scipy.stats.kendalltau(np.arange(len(losses)), losses, alternative="greater").pvalue)
    return p if math.isfinite(p) else 1.0  # all of them equal


def _find_mean_distance(chances: np.ndarray) -> float:
    """Return E|S - E S| of S, the number of successes with the probabilities `chances` (n,), each independent."""
    mean, variance = chances.sum(), (chances * (1 - chances)).sum()
    if len(chances) > EXACT:
        return float(math.sqrt(2 * variance / math.pi))
    distribution = np.ones(1)  # of S: the probability of 0, 1, ... successes
    for chance in chances:
        distribution = np.append(distribution * (1 - chance), 0) + np.append(0, distribution * chance)
    return float((distribution * np.abs(np.arange(len(distribution)) - mean)).sum())


def _student(differences: np.ndarray, share: float | None = None) -> Interval:
    """Return Student's Interval of the mean of `differences` (n,), its variance `share` (1 / n) times theirs."""
    count = len(differences)
    error = float(differences.std(ddof=1)) * math.sqrt(share or 1 / count)
    half = float(scipy.stats.t.ppf(1 - LEVEL / 2, count - 1)) * error
    mean = float(differences.mean())
    return Interval(mean, mean - half, mean + half)
