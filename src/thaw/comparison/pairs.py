"""Runs compared with one another: paired tests on the same photos, and verdicts on how each run trained."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.comparison import inference
from thaw.comparison.results import Results, Run, rank_runs, read_metrics, read_plot
from thaw.comparison.words import say_interval, say_p, to_markdown

JUDGED = ("train", "validation")  # the parts that training itself looks at


class Pair(NamedTuple):
    """Two runs, by name, compared on the photos of the part that counts."""

    first: str
    second: str
    paired: inference.Paired
    p: float  # corrected for all the pairs of the report

    @property
    def winner(self) -> str | None:
        """The run that is better, None where the two cannot be told apart."""
        if self.p >= inference.LEVEL:
            return None
        return self.first if self.paired.first_only > self.paired.second_only else self.second


class Evidence(NamedTuple):
    """What there is to judge differences and claims by; a key of each mapping is the name of a run."""

    results: Results
    predictions: dict[str, pd.DataFrame]  # as read_predictions returns them
    histories: dict[str, pd.DataFrame]  # a row for each epoch of its own
    flops: dict[str, dict[str, int]]  # for one image: forward, prefix, training_step
    cuts: dict[str, str]  # the operation behind which the run trains, `pixels` where it trains through all
    verdicts: dict[str, inference.History]
    pairs: list[Pair]
    against: dict[str, Pair]  # the best run and every other

    @property
    def best(self) -> str:
        """The name of the run that is best on validation."""
        return rank_runs(self.results)[0]


def read_evidence(results: Results, folder: str | pathlib.Path = ".") -> Evidence:
    """Return the Evidence on `results`, from the tables and metrics below `folder`.

    Raises InputError where a stage has not run, or where two runs were scored on different photos.
    """
    folder = pathlib.Path(folder)
    predictions = {run.name: read_predictions(run.name, folder) for run in results.runs}
    _check_photos(predictions, folder)
    histories = {run.name: read_plot(folder / paths.find_history(run.name), na_values=[""]) for run in results.runs}
    files = {run.name: folder / paths.find_training(run.name) for run in results.runs}
    flops, cuts = ({name: read_metrics(file, name, key) for name, file in files.items()} for key in ("flops", "cut"))
    verdicts = judge_histories(results, histories)
    evidence = Evidence(results, predictions, histories, flops, cuts, verdicts, [], {})
    evidence = evidence._replace(pairs=compare_pairs(evidence, list_pairs(results)))
    best = evidence.best
    others = [run.name for run in results.runs if run.name != best]
    return evidence._replace(against={name: find_pair(evidence, best, name) for name in others})


def _check_photos(predictions: Mapping[str, pd.DataFrame], folder: pathlib.Path) -> None:
    """Raise InputError where two runs were scored on different photos."""
    expected = next(iter(predictions))
    for name, table in predictions.items():
        if not table.index.equals(predictions[expected].index):
            raise InputError(
                f"{folder / paths.find_predictions(name)}: must have the photos that {expected} was scored on, in "
                f"the same order (got {len(table)} and {len(predictions[expected])}): ./run dvc repro"
            )


def read_predictions(name: str, folder: str | pathlib.Path = ".") -> pd.DataFrame:
    """Return a row for each photo that run `name` was scored on, its id the index.

    Columns: part, actual, predicted, confidence (of the predicted class, in [0, 1]) and right (bool).
    """
    text = {"id": str, "part": str, "actual": str, "predicted": str}
    table = read_plot(pathlib.Path(folder) / paths.find_predictions(name), dtype=text).set_index("id")
    probabilities = table[[column for column in table if column.startswith("p_")]]
    found = table[["part", "actual", "predicted"]].copy()
    found["confidence"] = probabilities.apply(pd.to_numeric, errors="coerce").max(axis=1)
    found["right"] = found["actual"] == found["predicted"]
    return found


def list_pairs(results: Results) -> list[tuple[str, str]]:
    """Return the pairs (names) that the report tests, none twice.

    Each fine-tuned run with the frozen one that it starts from, each frozen run with the baseline, and the best on
    validation with every other.
    """
    names, best = [run.name for run in results.runs], rank_runs(results)[0]
    baseline = next((run.name for run in results.runs if run.kind == "baseline"), None)
    pairs = [(best, name) for name in names if name != best]
    pairs += [(run.name, run.start) for run in results.runs if run.start and run.start in names]
    pairs += [(run.name, baseline) for run in results.runs if run.kind == "frozen" and baseline]
    found: dict[frozenset[str], tuple[str, str]] = {}
    for pair in pairs:
        found.setdefault(frozenset(pair), pair)
    return list(found.values())


def compare_pairs(evidence: Evidence, pairs: Sequence[tuple[str, str]]) -> list[Pair]:
    """Return the Pairs of the names in `pairs` on the part that counts, as `judge_pairs` does."""
    names = {name for pair in pairs for name in pair}
    return judge_pairs(pairs, {name: find_right(evidence, name) for name in names})


def judge_pairs(pairs: Sequence[tuple[str, str]], right: Mapping[str, Any]) -> list[Pair]:
    """Return the Pairs of the names in `pairs`, the p values corrected for being so many tests.

    `right` is {run: (n,) bool, whether it has each photo right}, of the same photos for both runs of a pair.
    """
    compared = [inference.mcnemar(right[first], right[second]) for first, second in pairs]
    corrected = inference.holm([paired.p for paired in compared])
    return [Pair(*pair, paired, float(p)) for pair, paired, p in zip(pairs, compared, corrected, strict=True)]


def find_right(evidence: Evidence, name: str, part: str | None = None) -> np.ndarray:
    """Return (n,) bool: whether run `name` has each photo of `part` right; by default the part that counts."""
    table = evidence.predictions[name]
    return table.loc[table["part"] == (part or evidence.results.part), "right"].to_numpy()


def count_right(scores: Mapping[str, Any]) -> inference.Count:
    """Return (right, photos) of a run's scores on one part."""
    return round(scores["accuracy"] * scores["photos"]), scores["photos"]


def judge_histories(results: Results, histories: Mapping[str, pd.DataFrame]) -> dict[str, inference.History]:
    """Return {run: its inference.History} from the history of its own epochs and its scores."""
    verdicts = {}
    for name, history in histories.items():
        train, validation = (count_right(results.scores[name][part]) for part in JUDGED)
        verdicts[name] = inference.judge_history(history, train, validation)
    return verdicts


def find_calibration(evidence: Evidence, name: str, part: str) -> tuple[float, pd.DataFrame] | None:
    """Return (error, table) of inference.calibration_error for run `name`, None where a probability is no number."""
    table = evidence.predictions[name]
    table = table[table["part"] == part]
    if table["confidence"].isna().any():
        return None
    return inference.calibration_error(table["confidence"], table["right"])


def find_frozen_share(evidence: Evidence, name: str) -> float:
    """Return the share in [0, 1] of the FLOPs of run `name`'s forward pass that lie before its cut."""
    return evidence.flops[name]["prefix"] / evidence.flops[name]["forward"]


def tabulate_pairs(evidence: Evidence) -> pd.DataFrame:
    """Return a row per pair: first, second, part, photos, what each alone has right, p, and p after the correction.

    The p values have 4 significant digits: one far below a millionth is small and not 0, which no p value is.
    """
    rows = [
        {
            "first": pair.first,
            "second": pair.second,
            "part": evidence.results.part,
            "photos": pair.paired.photos,
            "first_only": pair.paired.first_only,
            "second_only": pair.paired.second_only,
            "p": _shorten(pair.paired.p),
            "p_holm": _shorten(pair.p),
        }
        for pair in evidence.pairs
    ]
    columns = ["first", "second", "part", "photos", "first_only", "second_only", "p", "p_holm"]
    return pd.DataFrame(rows, columns=columns)


def find_equals(evidence: Evidence) -> list[str]:
    """Return the names of the runs that the best one cannot be told apart from, in the order of the table."""
    return [name for name, pair in evidence.against.items() if pair.winner is None]


def find_better(evidence: Evidence) -> list[str]:
    """Return the names of the runs that are better than the best on validation on the part that counts."""
    return [name for name, pair in evidence.against.items() if pair.winner == name]


def find_cheapest(evidence: Evidence) -> str:
    """Return the name of the run that trains least, of the best one and those it cannot be told apart from."""
    names = [evidence.best, *find_equals(evidence)]
    return min(names, key=lambda name: evidence.results.scores[name]["trainable_parameters"])


def find_pair(evidence: Evidence, first: str, second: str) -> Pair:
    """Return the Pair of two runs, by name, turned so that `first` comes first."""
    pair = next(pair for pair in evidence.pairs if {pair.first, pair.second} == {first, second})
    if pair.first == first:
        return pair
    paired = pair.paired._replace(first_only=pair.paired.second_only, second_only=pair.paired.first_only)
    return Pair(first, second, paired, pair.p)


def describe_differences(evidence: Evidence) -> str:
    """Return the section that says, in a sentence per pair, which differences are more than chance."""
    results, best = evidence.results, evidence.best
    if not evidence.pairs:
        return "There is one run: nothing to compare it with."
    photos = evidence.pairs[0].paired.photos
    tests = f"The {len(evidence.pairs)} p values of this section"
    rules = (
        f"Two runs see the same {photos:,} photos of {results.part}, so what counts is the photos that one of them "
        "alone has right (McNemar's exact test). “21 against 5”: the run named first has 21 of these, the other 5. "
        f"{tests} are corrected together by Holm's method, and below {inference.LEVEL} a difference counts as "
        f"real. The table of them is `{paths.PAIRS}`."
        + ("" if results.part == "test" else " The best run was chosen on the same photos, which favours it.")
    )
    sentences = _compare_best(evidence)
    sentences += [say_pair(pair, photos) for pair in evidence.pairs if best not in (pair.first, pair.second)]
    return "\n\n".join([rules, "\n".join(f"- {sentence}" for sentence in sentences)])


def _compare_best(evidence: Evidence) -> list[str]:
    """Return the sentences on the best run: what it is no better than, better than, and worse than."""
    best, sentences = evidence.best, []
    for winner, words in ((None, "cannot be told apart from"), (best, "is better than"), ("", "is worse than")):
        pairs = [pair for pair in evidence.against.values() if _side(pair, best) == winner]
        if pairs:
            listed = _join([f"{pair.second} ({say_counts(pair)})" for pair in pairs])
            sentences.append(f"The best on validation, **{best}**, {words} {listed}.")
    return sentences


def describe_trainings(evidence: Evidence) -> str:
    """Return the section on how the runs trained: gap, verdicts and calibration, and the rules behind them."""
    parts = list(dict.fromkeys(("validation", evidence.results.part)))
    header = ["Run", "Train − validation, points", "95 % interval", "Loss rose by %", "Swing, points"]
    header += ["Overfitting", "Unstable", *(f"ECE on {part} %" for part in parts)]
    rows = [_list_training(evidence, run, parts) for run in evidence.results.runs]
    rules = (
        "**Overfitting**: the gap between train and validation accuracy of the finished run is surely above "
        f"{100 * inference.GAP:.0f} points (the low end of its 95 % interval, Newcombe's), and the validation loss "
        f"ended more than {100 * inference.RISE:.0f} % above its lowest epoch. **Unstable**: over the second half of "
        "its own epochs, validation accuracy changed from one to the next by more than "
        f"{100 * inference.SWING:.0f} points on average (the swing). ECE is the expected calibration error in "
        f"{inference.BINS} bins of equal width: how far, on average, the confidence of a prediction lies from the "
        "share that is right."
    )
    return to_markdown(header, rows) + "\n\n" + rules


def _list_training(evidence: Evidence, run: Run, parts: Sequence[str]) -> list[str]:
    """Return the cells of the table of `describe_trainings` for one Run."""
    history, scores = evidence.verdicts[run.name], evidence.results.scores[run.name]
    gap, low, high = inference.newcombe_interval(*(count_right(scores[part]) for part in JUDGED))
    row = [run.name + evidence.results.marks[run.name], f"{100 * gap:.1f}", say_interval(low, high)]
    row.append(f"{100 * history['rise']:.1f}" if math.isfinite(history["rise"]) else "no number")
    row.append(f"{100 * history['swing']:.1f}")
    row += ["yes" if held else "no" for held in (history["overfitting"], history["unstable"])]
    calibrations = [find_calibration(evidence, run.name, part) for part in parts]
    return [*row, *("–" if found is None else f"{100 * found[0]:.1f}" for found in calibrations)]


def say_pair(pair: Pair, photos: int) -> str:
    """Return the sentence about a Pair."""
    counts = say_counts(pair)
    if pair.winner is None:
        return f"{pair.first} and {pair.second} cannot be told apart on {photos:,} photos: {counts}."
    words = "is better than" if pair.winner == pair.first else "is worse than"
    return f"{pair.first} {words} {pair.second}: {counts}."


def say_counts(pair: Pair) -> str:
    """Return what a Pair rests on, as in ``21 against 5, p = 0.002``."""
    return f"{pair.paired.first_only} against {pair.paired.second_only}, {say_p(pair.p)}"


def _shorten(p: float) -> float:
    """Return a p value with 4 significant digits."""
    return float(f"{p:.4g}")


def _side(pair: Pair, best: str) -> str | None:
    """Return None for a Pair that cannot be told apart, `best` where that is better, else nothing."""
    return None if pair.winner is None else best if pair.winner == best else ""


def _join(words: Sequence[str]) -> str:
    """Return the words as an enumeration, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
