"""docs/pitfalls.md: what published mistakes do to a run, told from the kept results of preset `pitfalls`.

    ./run python -m thaw.pitfalls

No sentence on the page says more than a test found: outcomes are worked out of presets/pitfalls/, never written by hand.
"""

import functools
import pathlib
from typing import NamedTuple

import pandas as pd

from thaw import plotting
from thaw.kept import show, write_page
from thaw.params import run
from thaw.reporting.comparison import compare_pairs, say_pair
from thaw.reporting.figures import Drawing, tabulate_runs
from thaw.reporting.tables import NOT_RUN, interval, list_rows, percent, say_count, to_markdown

PRESET = "pitfalls"
SOUND, FROZEN = "mobilenet-blocks-2", "mobilenet"  # the runs that make no mistake
AGES = [f"{SOUND}-epochs-{epochs}" for epochs in range(2, 15, 2)]


class Pitfall(NamedTuple):
    """A mistake: the runs that make it, each with the one that does not, and how it happens."""

    title: str
    runs: dict[str, str]
    story: str


PITFALLS = (
    Pitfall(
        "BatchNorm statistics that move",
        {f"{SOUND}-batch": SOUND},
        "`layer.trainable = True` on a block opens its BatchNorm layers too. In Keras they then normalise by the mean "
        "and variance of each batch of 32 during training, and drag their stored statistics, made on ImageNet, after "
        "those of the photos; validation and test use the stored ones, which lag behind while the weights move. It is "
        "suspected behind the published ResNet50 rows that fall below their frozen one ([presets](presets.md)), which "
        "open up to the whole network. Here the layers of two blocks move theirs. To keep them, the pretrained network "
        "has to be called with `training=False`, which is what `batch_norm: inference` does.",
    ),
    Pitfall(
        "Another network's preprocessing",
        {"mobilenet-as-resnet50": FROZEN, "mobilenet-as-resnet50-blocks-2": SOUND},
        "MobileNet was trained on pixels between −1 and 1, ResNet50 on pixels of 0 to 255 in the order blue, green, red, "
        "less the mean of each channel. Shapes and types agree, so nothing fails when a script that compares both feeds "
        "them alike. Here MobileNet gets what ResNet50 expects.",
    ),
    Pitfall(
        "Photos rescaled twice",
        {"mobilenet-rescaled": FROZEN, "mobilenet-rescaled-blocks-2": SOUND},
        "A `Rescaling(1/255)` layer in front of a model that already scales its input, or an image generator with "
        "`rescale=1/255` in front of `preprocess_input`: every photo arrives almost black. Networks of "
        "`keras.applications` differ in which of them scale by themselves (MobileNetV3 does, MobileNet does not), which "
        "is how one script gets it right for one and wrong for the other.",
    ),
    Pitfall(
        "The head's rate on pretrained layers",
        {f"{SOUND}-rate-1e-3": SOUND, f"{SOUND}-rate-1e-2": SOUND},
        "A rate of 1e-3 suits a head that starts from random numbers. Kept on when layers thaw, it makes steps that are "
        "large against what those layers know. The sound run has a tenth of it; here are that rate and ten times more.",
    ),
)


def render_page(evidence, drawings):
    """Return the page in Markdown, told from `evidence` (comparison.Evidence) of the preset's runs."""
    results = evidence.results
    measured = [(name, sound) for pitfall in PITFALLS for name, sound in pitfall.runs.items()]
    done = {run.name for run in results.runs}
    pairs = compare_pairs(evidence, [pair for pair in measured if done.issuperset(pair)])
    found = {pair.first: pair for pair in pairs}
    photos = results.scores[results.runs[0].name][results.part]["photos"]
    parts = [
        "# Why published numbers differ",
        "Five published tables for this task contradict one another. Part of that is chance: a test set of a few hundred "
        "photos cannot rank runs that lie close together ([reading the report](reading-the-report.md)). The rest needs a "
        "cause. Here the usual ones are made on purpose, one at a time, in runs of MobileNet on "
        f"{results.dataset} ({photos:,} photos of {results.part}) that are otherwise those of the main table: "
        f"`{SOUND}`, with its last two blocks open, and the frozen `{FROZEN}` where it starts.",
        "`./run preset pitfalls` runs them, `./run preset pitfalls keep` keeps what they gave in "
        "[presets/pitfalls](../presets/pitfalls/), and `./run python -m thaw.pitfalls` writes this page from that. Each "
        "run has one seed. Differences are McNemar's exact tests on the same photos, the p values of this page corrected "
        "together by Holm's method; “3 against 20” are the photos that one of the two alone has right.",
        _summarize(pairs, results),
        show(PRESET, drawings[0]),
        _tabulate(evidence, found),
        *(f"{note}." for note in results.notes),
    ]
    for pitfall in PITFALLS:
        parts += [f"## {pitfall.title}", pitfall.story]
        parts.append("\n".join(f"- {_say_outcome(evidence, found, *pair)}" for pair in pitfall.runs.items()))
    parts += [show(PRESET, drawings[1]), *_tell_ages(evidence, drawings[2])]
    return "\n\n".join(parts) + "\n"


def list_drawings(evidence):
    """Return the Drawings of the page: accuracies, validation curves, accuracy by the age of one training."""
    results, part = evidence.results, evidence.results.part
    runs = tabulate_runs(evidence)
    runs = runs[~runs["run"].isin(AGES) & (runs["kind"] != "baseline")].reset_index(drop=True)
    runs["thaws"] = [_name_mistake(name) for name in runs["run"]]
    curves = [(name + results.marks[name], evidence.histories[name]) for name in runs["run"] if name.startswith(SOUND)]
    table = curves[0][1][["epoch"]].copy()
    for name, history in curves:
        table[name] = history["validation_accuracy"]
    ages = _tabulate_ages(evidence)
    return [
        Drawing(
            "accuracies",
            f"{part} accuracy of {len(runs)} runs, each with its 95 % interval: the two that make no mistake, and those that do",
            runs[["run", "thaws", "part", "accuracy", "low", "high"]],
            functools.partial(plotting.draw_overview, runs.assign(group=""), part, SOUND, results.notes, "the sound run"),
        ),
        Drawing(
            "curves",
            "validation accuracy by epoch of the runs that open the last two blocks",
            table,
            functools.partial(plotting.draw_histories, curves, results.notes),
        ),
        Drawing(
            "ages",
            f"accuracy on validation and {part} of one training by the number of its epochs",
            ages,
            functools.partial(plotting.draw_ages, ages, part, results.notes),
        ),
    ]


def _summarize(pairs, results):
    """Return the sentence on how many mistakes showed: those of `pairs`, the mistake first."""
    counts = {
        "worse than the run that does not make it": sum(pair.winner == pair.second for pair in pairs),
        "better than that": sum(pair.winner == pair.first for pair in pairs),
        f"not to be told apart from it on these photos of {results.part}": sum(pair.winner is None for pair in pairs),
    }
    told = ", ".join(f"{count} {'is' if count == 1 else 'are'} {words}" for words, count in counts.items() if count)
    return f"Of {say_count(len(pairs), 'run')} with a mistake, {told}."


def _tabulate(evidence, found):
    results = evidence.results
    runs = [run for run in results.listed if run.name not in AGES and run.kind != "baseline"]
    header = ["Run", "Mistake", "Validation %", f"{results.part.capitalize()} %", "95 % interval", "Against the sound run"]

    def measure(run, scores):
        pair = found.get(run.name)
        accuracies = [percent(scores[part]["accuracy"]) for part in ("validation", results.part)]
        words = "–" if pair is None else f"{pair.paired.first_only} against {pair.paired.second_only}"
        return [*accuracies, interval(scores, results.part), words]

    rows = list_rows(results, runs, len(header), lambda run: [run.name, _name_mistake(run.name)], measure)
    return to_markdown(header, rows, left=2)


def _name_mistake(name):
    return next((pitfall.title for pitfall in PITFALLS if name in pitfall.runs), "none")


def _say_outcome(evidence, found, name, sound):
    results = evidence.results
    if name not in found:
        return f"`{name}`: {NOT_RUN}."
    reached = [percent(results.scores[entry][results.part]["accuracy"]) for entry in (name, sound)]
    verdict = evidence.verdicts[name]
    words = [word for word in ("overfitting", "unstable") if verdict[word]]
    said = f" Its training is judged {' and '.join(words)}." if words else ""
    photos = found[name].paired.photos
    return f"{reached[0]} % on {results.part} in place of {reached[1]} %: {say_pair(found[name], photos)}{said}"


def _tabulate_ages(evidence):
    results, rows = evidence.results, []
    for entry in results.runs:
        if entry.name in [*AGES, SOUND]:
            scores = results.scores[entry.name]
            rows.append((entry.epochs[-1], *(scores[part]["accuracy"] for part in ("validation", results.part))))
    return pd.DataFrame(sorted(rows), columns=["epochs", "validation", results.part])


def _tell_ages(evidence, drawing):
    part, table = evidence.results.part, drawing.table
    last, by_test = table.iloc[-1], table.loc[table[part].idxmax()]
    by_validation = table.loc[table["validation"].idxmax()]
    rows = [[f"{row.epochs:.0f}", percent(row.validation), percent(row[part])] for _, row in table.iterrows()]
    gain = 100 * (by_test[part] - last[part])
    return [
        "## Choosing the epoch on the test set",
        "Many scripts pass the test set to `fit` as validation data and report the best epoch. That asks test which of "
        "several weights it likes, and tells the answer as if it had been asked once. Training repeats to the bit, so "
        "the same run stopped earlier is the same training at an earlier age:",
        to_markdown(["Epochs", "Validation %", f"{part.capitalize()} %"], rows, left=0),
        show(PRESET, drawing),
        f"At its end, epoch {last.epochs:.0f}, the run has {percent(last[part])} % on {part}; at the age that is best on "
        f"{part}, epoch {by_test.epochs:.0f}, {percent(by_test[part])} %, which adds {gain:.1f} points and no knowledge; "
        f"at the age that is best on validation, epoch {by_validation.epochs:.0f}, {percent(by_validation[part])} %. "
        f"Between ages {part} moves by {100 * (table[part].max() - table[part].min()):.1f} points. thaw chooses no "
        "epoch: the schedule ends where `params.yaml` says.",
    ]


if __name__ == "__main__":
    run(lambda: write_page(PRESET, list_drawings, render_page, pathlib.Path.cwd()))
