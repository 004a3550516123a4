"""Runs compared with one another: paired tests on the same photos, and verdicts on how each run trained."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import MADE_AGAIN
from thaw.comparison import inference
from thaw.comparison.documents import Flops, Replicated
from thaw.comparison.results import Results, Run, find_run_interval, rank_runs, read_metrics, read_plot, say_weights
from thaw.comparison.words import escape, say_p, say_points, to_markdown

JUDGED = ("train", "validation")  # the parts that training itself looks at
HISTORY = ("epoch", "validation_loss", "validation_accuracy")  # what is read of an epoch


# The questions that the report asks of pairs of runs. Each is one family of tests, whose p values are corrected
# together; a pair belongs to the first question that asks about it, and has that verdict wherever it appears.
QUESTIONS = {
    "best": "Is the best on validation better than this run?",
    "start": "Is a fine-tuned run better than the frozen one that it starts from?",
    "baseline": "Is a frozen run better than the baseline?",
    "claims": "What else do the published claims ask?",
}

Verdict = Literal["overfitting", "unstable"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

Standing = Literal["as good", "not shown to be worse", "worse"]
AS_GOOD: Final = "as good"  # it surely loses less than the margin
NOT_SHOWN: Final = "not shown to be worse"
WORSE: Final = "worse"  # the test says so


class Pair(NamedTuple):
    """Two runs, by name, compared on the photos of the part that counts."""

    first: str
    second: str
    question: str  # the key of QUESTIONS, or what else the p values are corrected for
    paired: inference.Paired
    interval: inference.Interval  # of the accuracy of the first minus that of the second, in [-1, 1]
    p: float  # corrected for all pairs of the question

    @property
    def winner(self) -> str | None:
        """The run that is better, None where the two cannot be told apart."""
        if self.p >= inference.LEVEL:
            return None
        return self.first if self.paired.first_only > self.paired.second_only else self.second

    def turn(self) -> "Pair":
        """Return the same Pair with the second run first."""
        paired, interval = self.paired.turn(), self.interval.turn()
        return self._replace(first=self.second, second=self.first, paired=paired, interval=interval)


class Evidence(NamedTuple):
    """What there is to judge differences and claims by; a key of each mapping is the name of a run."""

    results: Results
    predictions: dict[str, pd.DataFrame]  # as read_predictions returns them
    histories: dict[str, pd.DataFrame]  # a row for each epoch of its own
    flops: dict[str, dict[str, int]]  # for one image: forward, prefix, training_step
    cuts: dict[str, str]  # the operation behind which the run trains, `pixels` where it trains through all
    verdicts: dict[str, list[inference.History]]  # of the run's own training, then of those with other seeds
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
    histories = {run.name: read_history(run.name, folder) for run in results.runs}
    files = {run.name: folder / paths.find_training(run.name) for run in results.runs}
    flops = {name: read_metrics(file, name, "flops", shape=Flops) for name, file in files.items()}
    cuts = {name: read_metrics(file, name, "cut") for name, file in files.items()}
    verdicts = judge_histories(results, histories)
    for name in verdicts:
        verdicts[name] += _judge_seeds(results, name, folder)
    return answer_questions(Evidence(results, predictions, histories, flops, cuts, verdicts, [], {}))


def answer_questions(evidence: Evidence) -> Evidence:
    """Return `evidence` with the Pairs that the questions of its own runs ask about, and the best one against each."""
    pairs = judge_questions(evidence, list_questions(evidence.results))
    return evidence._replace(pairs=pairs, against={pair.second: pair for pair in pairs if pair.question == "best"})


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

    Columns: part, actual, predicted, confidence (of the predicted class, in [0, 1]), right (bool) and brier (Brier's
    score, in [0, 2]: the sum over the classes of the squared distance between probability and truth, 0 is best).
    """
    text = {"id": str, "part": str, "actual": str, "predicted": str}
    table = read_plot(pathlib.Path(folder) / paths.find_predictions(name), text, dtype=text).set_index("id")
    probabilities = table[[column for column in table if column.startswith("p_")]]
    found = table[["part", "actual", "predicted"]].copy()
    probabilities = probabilities.apply(pd.to_numeric, errors="coerce")
    found["confidence"] = probabilities.max(axis=1)
    found["right"] = found["actual"] == found["predicted"]
    truth = [[f"p_{label}" == column for column in probabilities] for label in found["actual"]]
    found["brier"] = ((probabilities - np.array(truth, float)) ** 2).sum(axis=1, skipna=False)
    return found


def read_history(name: str, folder: str | pathlib.Path = ".") -> pd.DataFrame:
    """Return a row for each epoch that run `name` trained itself, as its stage wrote it; a loss may be no number."""
    path = pathlib.Path(folder) / paths.find_history(name)
    history = read_plot(path, numbers=HISTORY, na_values=[""])
    if history.empty:
        raise InputError(f"{path}: must have a row for each epoch (got none); {MADE_AGAIN}")
    return history


def restore_scores(evidence: Evidence) -> Evidence:
    """Return `evidence` with all digits of macro precision, recall and F1 where its predictions tell them.

    The metrics have six digits, and what prints them rounds again.
    """
    results = evidence.results
    scores = {name: dict(document) for name, document in results.scores.items()}
    for name, table in evidence.predictions.items():
        for part, rows in table.groupby("part"):
            found = score_macro(rows["actual"], rows["predicted"], list(results.download["classes"]))
            recorded = scores[name][part]
            same = {key: value for key, value in found.items() if recorded.get(key) == round(value, 6)}
            scores[name][part] = {**recorded, **same}
    return evidence._replace(results=results._replace(scores=scores))


def score_macro(actual: pd.Series, predicted: pd.Series, classes: Sequence[str]) -> dict[str, float]:
    """Return {precision, recall, f1}, each in [0, 1] the mean over the `classes`, 0 where a class has none."""
    from sklearn.metrics import precision_recall_fscore_support  # not at the top: `thaw best` has no use for it

    found = precision_recall_fscore_support(actual, predicted, labels=classes, average="macro", zero_division=0)
    return dict(zip(("precision", "recall", "f1"), map(float, found[:3]), strict=True))


def list_questions(results: Results) -> dict[str, list[tuple[str, str]]]:
    """Return {key of QUESTIONS: the pairs (names) that it asks about} for the runs of a table, no pair twice."""
    names, best = [run.name for run in results.runs], rank_runs(results)[0]
    baseline = next((run.name for run in results.runs if run.kind == "baseline"), None)
    asked = {
        "best": [(best, name) for name in names if name != best],
        "start": [(run.name, run.start) for run in results.runs if run.start and run.start in names],
        "baseline": [(run.name, baseline) for run in results.runs if run.kind == "frozen" and baseline],
    }
    return leave_out_asked(asked)


def leave_out_asked(
    questions: Mapping[str, Sequence[tuple[str, str]]], known: Sequence[Pair] = ()
) -> dict[str, list[tuple[str, str]]]:
    """Return `questions` with each pair only where it is first asked about, and those of `known` nowhere."""
    seen = {frozenset((pair.first, pair.second)) for pair in known}
    left: dict[str, list[tuple[str, str]]] = {}
    for question, pairs in questions.items():
        left[question] = []
        for pair in pairs:
            if frozenset(pair) not in seen:
                seen.add(frozenset(pair))
                left[question].append(pair)
    return left


def judge_questions(evidence: Evidence, questions: Mapping[str, Sequence[tuple[str, str]]]) -> list[Pair]:
    """Return the Pairs of all `questions` on the part that counts, the p values of each corrected together."""
    names = {name for pairs in questions.values() for pair in pairs for name in pair}
    right = {name: find_right(evidence, name) for name in names}
    return [pair for question, pairs in questions.items() for pair in judge_pairs(pairs, right, question)]


def judge_pairs(pairs: Sequence[tuple[str, str]], right: Mapping[str, Any], question: str) -> list[Pair]:
    """Return the Pairs of the names in `pairs`, the p values corrected for being so many tests.

    `right` is {run: (n,) bool, whether it has each photo right}, of the same photos for both runs of a pair.
    """
    compared = [inference.mcnemar(right[first], right[second]) for first, second in pairs]
    corrected = inference.holm([paired.p for paired in compared])
    return [
        Pair(*names, question, paired, inference.paired_interval(paired), float(p))
        for names, paired, p in zip(pairs, compared, corrected, strict=True)
    ]


def find_right(evidence: Evidence, name: str, part: str | None = None) -> np.ndarray:
    """Return (n,) bool: whether run `name` has each photo of `part` right; by default the part that counts."""
    table = evidence.predictions[name]
    return table.loc[table["part"] == (part or evidence.results.part), "right"].to_numpy()


def count_right(scores: Mapping[str, Any]) -> inference.Count:
    """Return (right, photos) of a run's scores on one part."""
    return round(scores["accuracy"] * scores["photos"]), scores["photos"]


def judge_histories(results: Results, histories: Mapping[str, pd.DataFrame]) -> dict[str, list[inference.History]]:
    """Return {run: [its inference.History]} from the history of its own epochs and its scores."""
    verdicts = {}
    for name, history in histories.items():
        train, validation = (count_right(results.scores[name][part]) for part in JUDGED)
        verdicts[name] = [inference.judge_history(history, train, validation)]
    return verdicts


def _judge_seeds(results: Results, name: str, folder: pathlib.Path) -> list[inference.History]:
    """Return the inference.History of each training of run `name` with another seed, where there are any."""
    scores, epochs = folder / paths.find_repetition("replicates", name), folder / paths.find_repeated_histories(name)
    if name not in results.replicated or not scores.exists():
        return []
    document = read_metrics(scores, "replicates", name, shape=Replicated)
    seeds, ended = document["seeds"], {}
    for part in JUDGED:
        values = document["accuracy"].get(part, {"values": []})["values"]
        ended[part] = [value for value in values if value is not None]
        if len(ended[part]) != len(seeds):
            place = f"{scores}: replicates.{name}.accuracy.{part}.values"
            raise InputError(
                f"{place}: must be {len(seeds)} numbers, one a seed (got {len(ended[part])}); {MADE_AGAIN}"
            )
    histories = read_plot(epochs, numbers=("seed", *HISTORY), na_values=[""])
    found = []
    for number, seed in enumerate(seeds[1:], 1):
        history = histories[histories["seed"] == seed]
        if history.empty:
            raise InputError(f"{epochs}: must have rows for seed {seed}, as {scores} does (got none); {MADE_AGAIN}")
        train, validation = (
            count_right({**results.scores[name][part], "accuracy": ended[part][number]}) for part in JUDGED
        )
        found.append(inference.judge_history(history, train, validation))
    return found


def count_verdicts(evidence: Evidence, name: str, key: Verdict) -> tuple[int, int]:
    """Return (of how many trainings of run `name` the verdict `key` holds, how many there are)."""
    verdicts = evidence.verdicts[name]
    return sum(verdict[key] for verdict in verdicts), len(verdicts)


def holds(evidence: Evidence, name: str, key: Verdict) -> bool:
    """Return whether the verdict `key` holds for most trainings of run `name`."""
    count, trainings = count_verdicts(evidence, name, key)
    return 2 * count > trainings


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
    """Return a row per pair: question, first, second, part, photos, what each alone has right, the difference of the
    accuracies with its interval, p, and p after the correction.

    The p values have 4 significant digits: one far below a millionth is small and not 0, which no p value is.
    """
    rows = [
        {
            "question": pair.question,
            "first": pair.first,
            "second": pair.second,
            "part": evidence.results.part,
            "photos": pair.paired.photos,
            "first_only": pair.paired.first_only,
            "second_only": pair.paired.second_only,
            "difference": round(pair.interval.difference, 6),
            "low": round(pair.interval.low, 6),
            "high": round(pair.interval.high, 6),
            "p": _shorten(pair.paired.p),
            "p_holm": _shorten(pair.p),
        }
        for pair in evidence.pairs
    ]
    columns = ["question", "first", "second", "part", "photos", "first_only", "second_only", "difference", "low"]
    return pd.DataFrame(rows, columns=[*columns, "high", "p", "p_holm"])


def find_standing(pair: Pair, margin: float) -> Standing:
    """Return how the second run of a Pair stands to the first: AS_GOOD where the interval shows that it loses less than
    `margin` of accuracy, else WORSE where the test shows that the first is better, else NOT_SHOWN.
    """
    if pair.interval.high < margin:
        return AS_GOOD
    return WORSE if pair.winner == pair.first else NOT_SHOWN


def list_standing(evidence: Evidence, standing: Standing) -> list[str]:
    """Return the names of the runs that stand so to the best one, in the order of the table."""
    margin = evidence.results.margin
    return [name for name, pair in evidence.against.items() if find_standing(pair, margin) == standing]


def find_better(evidence: Evidence) -> list[str]:
    """Return the names of the runs that are better than the best on validation on the part that counts."""
    return [name for name, pair in evidence.against.items() if pair.winner == name]


def find_cheapest(evidence: Evidence) -> str:
    """Return the name of the run that trains fewest parameters, of the best one and those that are as good."""
    names = [evidence.best, *list_standing(evidence, AS_GOOD)]
    return min(names, key=lambda name: evidence.results.scores[name]["trainable_parameters"])


def find_cheaper(evidence: Evidence) -> list[str]:
    """Return the names of the runs that train fewer parameters than the best one, those that lose least first.

    What a run loses is the high end of the interval of the best one's accuracy minus its own.
    """
    scores, against = evidence.results.scores, evidence.against
    limit = scores[evidence.best]["trainable_parameters"]
    names = [name for name in against if scores[name]["trainable_parameters"] < limit]
    return sorted(names, key=lambda name: against[name].interval.high)


def find_pair(evidence: Evidence, first: str, second: str) -> Pair:
    """Return the Pair of two runs, by name, turned so that `first` comes first."""
    pair = next(pair for pair in evidence.pairs if {pair.first, pair.second} == {first, second})
    return pair if pair.first == first else pair.turn()


def describe_differences(evidence: Evidence) -> str:
    """Return the section that says which differences are more than chance, and which runs are as good as the best."""
    results, best = evidence.results, evidence.best
    if not evidence.pairs:
        return "There is one run: nothing to compare it with."
    photos, margin = evidence.pairs[0].paired.photos, 100 * results.margin
    shown = {run.name for run in results.shown}
    paragraphs = [
        f"Two runs see the same {photos:,} photos of {results.part}. The difference of their accuracies stands with "
        "its 95 % interval, Newcombe's for paired proportions. “Alone right” are the photos that one of the two "
        "alone has right, the run named first before the other; p is of McNemar's exact test on these. The p values "
        f"of a question are corrected together by Holm's method, and below {inference.LEVEL} a difference counts as "
        f"real. The table of all pairs is `{paths.PAIRS}`; [docs/statistics.md](../docs/statistics.md) says what each "
        "test assumes."
        + ("" if results.part == "test" else " The best run was chosen on the same photos, which favours it."),
        f"**{QUESTIONS['best']}** The best is **{escape(best)}**{results.marks[best]}{say_weights(results, [best])}. "
        f"Another run is *as good* where the whole interval lies below {margin:g} points (`report.margin`), *worse* "
        "where the test says so, and else *not shown to be worse*; the intervals are not corrected for being many.",
        tabulate_best(evidence),
    ]
    for question in ("start", "baseline"):
        pairs = [pair for pair in evidence.pairs if pair.question == question and {pair.first, pair.second} <= shown]
        if pairs:
            paragraphs += [f"**{QUESTIONS[question]}**", _tabulate_pairs(evidence, pairs)]
    return "\n\n".join(paragraphs)


def tabulate_best(evidence: Evidence) -> str:
    """Return the table of the best run against every other that is shown, in the order of the comparison."""
    results, against = evidence.results, evidence.against
    header = ["Run", "Best − run, points", "95 % interval", "Alone right", "p", "Run is"]
    rows = [
        [
            escape(run.name) + results.marks[run.name],
            *_list_pair(against[run.name]),
            find_standing(against[run.name], results.margin),
        ]
        for run in results.shown
        if run.name in against
    ]
    return to_markdown(header, rows)


def _tabulate_pairs(evidence: Evidence, pairs: Sequence[Pair]) -> str:
    """Return the table of some Pairs."""
    marks = evidence.results.marks
    header = ["First", "Second", "First − second, points", "95 % interval", "Alone right", "p", "First is"]
    rows = [
        [
            *(escape(name) + marks[name] for name in (pair.first, pair.second)),
            *_list_pair(pair),
            "not told apart" if pair.winner is None else "better" if pair.winner == pair.first else "worse",
        ]
        for pair in pairs
    ]
    return to_markdown(header, rows, left=2)


def _list_pair(pair: Pair) -> list[str]:
    """Return the cells of a Pair: difference, interval, photos that one alone has right, p."""
    difference, low, high = map(say_points, pair.interval)
    counts = f"{pair.paired.first_only} : {pair.paired.second_only}"
    return [difference, f"{low} to {high}", counts, say_p(pair.p).removeprefix("p ").removeprefix("= ")]


def describe_trainings(evidence: Evidence) -> str:
    """Return the section on how the runs trained: gap, verdicts and calibration, and the rules behind them."""
    parts = list(dict.fromkeys(("validation", evidence.results.part)))
    header = [
        "Run",
        "Train − validation, points",
        "95 % interval",
        "Loss rose by %",
        "Swing, points",
        "By chance up to",
    ]
    header += ["Overfitting", "Unstable"]
    for part in parts:
        header += [f"Brier on {part}", f"ECE on {part} %", "If calibrated"]
    results = evidence.results
    rows = [_list_training(evidence, run, parts) for run in results.shown if results.has(run)]
    rules = (
        "**Overfitting**: the gap between train and validation accuracy of the finished run is surely above "
        f"{100 * inference.GAP:.0f} points (the low end of its 95 % interval: that of the validation accuracy, "
        "Wilson's, because the training photos are all there are of their kind), the validation loss ended more than "
        f"{100 * inference.RISE:.0f} % above its lowest epoch, and over the second half of its own epochs it rose by "
        "more than chance (Kendall's rank correlation with the epoch). **Unstable**: over that half, validation "
        f"accuracy changed from one to the next by more than {100 * inference.SWING:.0f} points on average (the "
        "swing), and by more than it would by chance in one training of twenty if each epoch drew as many other "
        "photos. Both are judged for every seed that a run was trained with (`replicates`), and hold for the run "
        "where they hold for most of its seeds; gap, loss and swing are those of the table's own seed. Brier is "
        "Brier's score, the mean squared distance of the probabilities from the truth, 0 at best. ECE is the "
        f"expected calibration error in {inference.BINS} bins of equal width: how far, on average, the confidence of "
        "a prediction lies from the share that is right. It is not 0 for a run that is calibrated perfectly: “if "
        "calibrated” is what such a run with the same confidences has on average on so many photos."
    )
    return to_markdown(header, rows) + "\n\n" + rules


def _list_training(evidence: Evidence, run: Run, parts: Sequence[str]) -> list[str]:
    """Return the cells of the table of `describe_trainings` for one Run."""
    history, scores = evidence.verdicts[run.name][0], evidence.results.scores[run.name]
    accuracy = scores["train"]["accuracy"]
    low, high = (accuracy - limit for limit in reversed(find_run_interval(scores, "validation")))
    row = [
        escape(run.name) + evidence.results.marks[run.name],
        f"{100 * history['gap']:.1f}",
        f"{100 * low:.1f} – {100 * high:.1f}",
    ]
    row.append(f"{100 * history['rise']:.1f}" if math.isfinite(history["rise"]) else "no number")
    row += [f"{100 * history[key]:.1f}" for key in ("swing", "chance")]
    row += [say_verdict(evidence, run.name, key) for key in VERDICTS]
    for part in parts:
        table = evidence.predictions[run.name]
        table = table[table["part"] == part]
        found = find_calibration(evidence, run.name, part)
        if found is None:
            row += ["–"] * 3
            continue
        expected = inference.expected_calibration_error(table["confidence"])
        row += [f"{table['brier'].mean():.3f}", f"{100 * found[0]:.1f}", f"{100 * expected:.1f}"]
    return row


def say_verdict(evidence: Evidence, name: str, key: Verdict) -> str:
    """Return whether the verdict `key` holds for run `name`: ``yes, one seed`` or ``no, 1 of 5 seeds``."""
    count, trainings = count_verdicts(evidence, name, key)
    word = "yes" if holds(evidence, name, key) else "no"
    return f"{word}, one seed" if trainings == 1 else f"{word}, {count} of {trainings} seeds"


def say_pair(pair: Pair, photos: int) -> str:
    """Return the sentence about a Pair, in Markdown."""
    first, second, counts = escape(pair.first), escape(pair.second), say_counts(pair)
    if pair.winner is None:
        return f"{first} and {second} cannot be told apart on {photos:,} photos: {counts}."
    words = "is better than" if pair.winner == pair.first else "is worse than"
    return f"{first} {words} {second}: {counts}."


def say_counts(pair: Pair) -> str:
    """Return what a Pair rests on, as in ``21 against 5, p = 0.002``."""
    return f"{pair.paired.first_only} against {pair.paired.second_only}, {say_p(pair.p)}"


def _shorten(p: float) -> float:
    """Return a p value with 4 significant digits."""
    return float(f"{p:.4g}")
