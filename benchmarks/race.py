"""Measures what a race over cuts would have chosen, and what that costs, on tables that are trained whole.

    ./run python benchmarks/race.py measure NAME PHOTOS --size 128 --train 0.2 --validation 0.2 --seed 1
    ./run python benchmarks/race.py

The first trains every candidate to its end on the photos of a folder (class folders, or `tfds` for the dataset of
params.yaml), from a head on each of three backbones, and adds a row an epoch to race.csv. The photos that neither
`--train` nor `--validation` takes score every candidate at its end: what a choice on validation is worth. It also
measures what can be known without training a candidate (race-signals.csv). It goes on where it was stopped, and takes
minutes to hours on two cores.

The second judges every rule by those rows and by the committed table of params.yaml: its regret, the accuracy that it
loses against the best candidate of the table, and its cost, the share of the FLOPs of the table. It writes race.json,
race.md and race.svg beside this file.
"""

import argparse
import math
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import InputError, run_program
from thaw.base.files import publish, read_json, write_json, write_table, write_text
from thaw.base.names import PRETRAINED
from thaw.base.progress import say
from thaw.base.quiet import tf
from thaw.cli.workspaces import make_workspace, run_dvc
from thaw.comparison.inference import compare_scores
from thaw.comparison.words import to_markdown
from thaw.config.loading import load, read_yaml
from thaw.config.presets import ROOT, read_preset
from thaw.networks.sections import Auto
from thaw.networks.unfreezing import list_candidates
from thaw.records import reading
from thaw.reporting.plotting import FAINT, INK, use_style
from thaw.store.sources import Batches, Source
from thaw.training import runs
from thaw.training.racing import STEPS, count_candidate, count_epochs, open_as
from thaw.training.repeating import Repeated, place_parts, train_again
from thaw.training.runs import Setting
from thaw.training.sections import FinetuneRun

HERE = pathlib.Path(__file__).resolve().parent
TABLE, SIGNALS = HERE / "race.csv", HERE / "race-signals.csv"
KEYS = ["photos", "backbone", "seed", "cut"]
CUTS = Auto(blocks=[0, 1, 2, 4, 8])  # and the whole backbone
BACKBONES = {"mobilenetv3small": "MobileNetV3Small", "mobilenet": "MobileNet", "mobilenetv2": "MobileNetV2"}
HEAD = {"dense": [], "dropout": 0.0, "batch_norm": False}
ADAM = {"name": "adam", "learning_rate": 1e-4}
EPOCHS = 15  # of a candidate, as in the default table
BATCH = 32  # photos
DEFAULT = f"accuracy after {STEPS} steps"  # what thaw.training.racing does
GOALS = {"cost": 0.1, "mean": 0.3, "worst": 1.2}  # at most: a share, points, points
COMMITTED = {
    "TF-Flowers": ROOT,
    "TF-Flowers, mobilenetv3-family": ROOT / "presets" / "mobilenetv3-family",
}  # one seed each


def measure(name: str, photos: str, size: int, shares: Mapping[str, float], seeds: Sequence[int]) -> None:
    """Train every candidate on the `photos`, `size` pixels a side, and add the rows to TABLE."""
    folder = ROOT / ".thaw" / "race" / name
    make_workspace(folder, make_document(photos, size, shares), ROOT)
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "THAW_STORE": str(folder / ".thaw" / "activations")}
    subprocess.run([sys.executable, "-m", "thaw.config.starting", "repro"], cwd=folder, env=variables, check=True)
    run_dvc(folder, "repro", "train_frozen", env=variables)
    for seed in seeds:
        for backbone in BACKBONES:
            # A process of its own: Keras gives back little memory.
            subprocess.run(
                [sys.executable, __file__, "train", name, backbone, str(seed)], cwd=folder, env=variables, check=True
            )


def make_document(photos: str, size: int, shares: Mapping[str, float]) -> dict[str, Any]:
    """Return params.yaml with those photos, the three backbones and nothing but their heads to train."""
    document = read_yaml(ROOT / paths.PARAMS)
    if photos != "tfds":
        document["dataset"] = {"source": "folder", "path": str(pathlib.Path(photos).resolve()), "digest": None}
    document["split"] |= shares
    document["image"]["size"] = size
    document["backbones"] = {
        name: {"architecture": architecture, "width": 1.0, "weights": "imagenet"}
        for name, architecture in BACKBONES.items()
    }
    adam = {**ADAM, "learning_rate": 1e-3}
    document["frozen"] = {name: {"backbone": name, "head": HEAD, "optimizer": adam, "epochs": 5} for name in BACKBONES}
    return document | {"finetune": {}, "replicates": {}, "folds": {}, "export": {}, "explain": {}}


def train(name: str, backbone: str, seed: int) -> None:
    """Train every candidate on one backbone with one seed; what TABLE and SIGNALS have is not measured again."""
    params = load()
    configure(params.compute, seed)
    setting = Setting(params.training.model_copy(update={"seed": seed}), params.compute, paths.RECORDS)
    tuned = make_run(backbone)
    cuts = {cut: open_as(tuned, opened) for cut, opened in list_candidates(CUTS, BACKBONES[backbone]).items()}
    setting = setting._replace(others=[runs.find_opening(run) for run in cuts.values()])
    add_rows(SIGNALS, [name, backbone], lambda: measure_signals(backbone, cuts, setting))
    start = runs.read_start(PRETRAINED + backbone)
    for cut, run in cuts.items():
        say(f"race: {name}, {backbone}, seed {seed}: {cut}")
        repeated = Repeated(f"race-{cut}", [params.frozen[backbone], run], start, 1)
        add_rows(TABLE, [name, backbone, seed, cut], lambda again=repeated: train_whole(again, setting))


def make_run(backbone: str) -> FinetuneRun:
    """Return the run whose cuts are the candidates on a backbone."""
    return FinetuneRun.model_validate(
        {"from": backbone, "unfreeze": {"all": True}, "optimizer": ADAM, "epochs": EPOCHS}
    )


def add_rows(path: pathlib.Path, key: list[Any], make: Callable[[], pd.DataFrame]) -> None:
    """Add to the table at `path` what `make` returns under `key`, unless it has that key."""
    names = KEYS[: len(key)]
    done = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=names)
    if (done[names].astype(str) == [str(part) for part in key]).all(axis=1).any():
        return
    found = make().assign(**dict(zip(names, key, strict=True)))
    columns = [*names, *(column for column in found.columns if column not in names)]
    write_table(path, pd.concat([done, found[columns]], ignore_index=True))


def train_whole(repeated: Repeated, setting: Setting) -> pd.DataFrame:
    """Return a row an epoch of a candidate: its scores on validation, and how right its last epoch is on other photos.

    `other_accuracy` is on the photos that no candidate is chosen by; NaN where there are none.
    """
    rows = place_parts(setting.records)
    scored = [rows[part] for part in ("validation", "test") if part in rows]
    made = train_again(repeated, setting, rows["train"], scored)
    other = float("nan")
    if "test" in rows:
        labels = reading.read_labels(setting.records, "test")[0]
        other = float((made.logits[1].argmax(axis=1) == labels).mean())
    return made.history[["epoch", "validation_loss", "validation_accuracy"]].assign(other_accuracy=other)


def measure_signals(backbone: str, cuts: Mapping[str, FinetuneRun], setting: Setting) -> pd.DataFrame:
    """Return a row for each candidate: what it costs, and what is known of it before it trains.

    `probe_loss` is the loss on validation, in nats, of a logistic regression on the pooled activations at its cut
    (G. Alain and Y. Bengio, Understanding intermediate layers using linear classifier probes, arXiv 1610.01644), NaN
    where nothing is frozen. `gradient` is the relative gradient norm of what it opens and the candidate before does not
    (Y. Lee et al., Surgical fine-tuning improves adaptation to distribution shifts, ICLR 2023): the norm of the
    gradient of the mean training loss after the head's training, over the norm of the weights.
    """
    start, rows, sizes = runs.read_start(backbone), [], []
    photos = reading.read_index(setting.records)["counts"]
    for cut, run in cuts.items():
        opened = runs.open_from(backbone, run, start, setting)
        assert opened.plan is not None  # it has a backbone
        epoch, fill = count_candidate(opened.network, opened.plan, photos, 1)
        probed = probe(opened.sources) if opened.plan.stored else float("nan")
        rows.append(
            {
                "cut": cut,
                "epoch_flops": epoch,
                "fill_flops": fill,
                "train_photos": photos["train"],
                "probe_loss": probed,
            }
        )
        sizes.append(len(opened.tail.trainable_variables))
    return pd.DataFrame(rows).assign(gradient=compare_gradients(opened, sizes))  # the last one opens everything


def probe(sources: Sequence[Batches]) -> float:
    """Return the validation loss of a linear probe on pooled activations, standardised by those of training."""
    parts = []
    for source in (sources[0], sources[-1]):
        assert isinstance(source, Source)
        pooled = [
            inputs.numpy().mean(axis=tuple(range(1, inputs.ndim - 1))) for inputs, _ in source.read_batches(BATCH)
        ]
        parts.append(np.concatenate(pooled))
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(parts[0], sources[0].labels)
    return float(log_loss(sources[-1].labels, fitted.predict_proba(parts[1]), labels=fitted.classes_))


def compare_gradients(opened: runs.Opened, sizes: Sequence[int]) -> list[float]:
    """Return the relative gradient norm of each candidate's own share of `opened`, which opens everything.

    `sizes` has how many variables each candidate trains: the last ones, head included, of those that `opened` trains.
    """
    weights = [variable.value for variable in opened.tail.trainable_variables]
    total = [np.zeros(variable.shape) for variable in weights]
    for inputs, labels in opened.sources[0].read_batches(BATCH):
        with tf.GradientTape() as tape:
            logits = opened.tail(inputs, training=False)
            loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        for added, gradient in zip(total, tape.gradient(loss, weights), strict=True):
            added += np.asarray(gradient) / len(opened.sources[0].labels)
    shares, end = [], len(weights)
    for size in sizes:
        start, own = len(weights) - size, slice(len(weights) - size, end)
        over, under = (sum(float(np.square(part).sum()) for part in parts[own]) for parts in (total, weights))
        shares.append((over / under) ** 0.5)
        end = start
    return shares


class Candidate(NamedTuple):
    """A row of a table that was trained whole: a cut."""

    losses: list[float]  # on validation, after each epoch
    accuracies: list[float]
    other: float  # accuracy on photos that chose nothing, after the last epoch; NaN where there are none
    epoch: float  # FLOPs of an epoch
    fill: float  # FLOPs of the pass that fills the store for it
    raced: int  # epochs that the race of the pipeline takes on these photos
    probe: float = math.nan
    gradient: float = math.nan


Candidates = Mapping[str, Candidate]  # by name, the cheapest first


class Choice(NamedTuple):
    """What a rule did with a table."""

    cut: str
    epochs: dict[str, int]  # that each candidate was trained for
    looks: bool = False  # whether it computed something else over the photos, which takes the deepest one's epoch


def take_lowest_loss(table: Candidates, epochs: int = 1) -> Choice:
    """Train every candidate for so many epochs and take the one with the lowest loss."""
    cut = min(table, key=lambda name: table[name].losses[epochs - 1])
    return Choice(cut, dict.fromkeys(table, epochs))


def count_race(table: Candidates) -> int:
    """Return how many epochs the race of the pipeline takes, the same for all candidates."""
    return next(iter(table.values())).raced


def take_highest_accuracy(table: Candidates, epochs: int = 1) -> Choice:
    """The same by accuracy; of equals the cheaper."""
    cut = max(table, key=lambda name: table[name].accuracies[epochs - 1])
    return Choice(cut, dict.fromkeys(table, epochs))


def halve(table: Candidates, keep: int = 2) -> Choice:
    """Keep the best half, or one in `keep`, by loss after 1, 2, 4 … epochs.

    K. Jamieson and A. Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, AISTATS 2016.
    """
    left, trained, epochs = list(table), dict.fromkeys(table, 0), 1
    while len(left) > 1:
        trained |= dict.fromkeys(left, epochs)
        left = sorted(left, key=lambda name: table[name].losses[epochs - 1])[: math.ceil(len(left) / keep)]
        epochs = min(2 * epochs, len(table[left[0]].losses))
    return Choice(left[0], trained)


def open_while_better(table: Candidates) -> Choice:
    """Open from the head on, an epoch for each cut, until one has no lower loss than the one before."""
    best, trained = None, {}
    for name, candidate in table.items():
        trained[name] = 1
        if best is not None and candidate.losses[0] >= table[best].losses[0]:
            break
        best = name
    assert best is not None
    return Choice(best, trained | {name: 0 for name in table if name not in trained})


def take_place(table: Candidates, place: int) -> Choice:
    """Take the candidate at a place of the table, whatever the photos."""
    return Choice(list(table)[place], dict.fromkeys(table, 0))


def take_best_probe(table: Candidates) -> Choice | None:
    """Open what lies behind the activations that a linear probe reads best; None where that was not measured."""
    probed = {name: each.probe for name, each in table.items() if not math.isnan(each.probe)}
    return Choice(min(probed, key=lambda name: probed[name]), dict.fromkeys(table, 0), True) if probed else None


def take_largest_gradient(table: Candidates) -> Choice | None:
    """Open up to the blocks with the largest relative gradient norm; None where that was not measured."""
    known = {name: each.gradient for name, each in table.items() if name != "head" and not math.isnan(each.gradient)}
    return Choice(max(known, key=lambda name: known[name]), dict.fromkeys(table, 0), True) if known else None


RULES: dict[str, Callable[[Candidates], Choice | None]] = {
    "the shallowest": lambda table: take_place(table, 0),
    "the one in the middle": lambda table: take_place(table, len(table) // 2),
    "the deepest": lambda table: take_place(table, -1),
    "best linear probe": take_best_probe,
    "largest relative gradient": take_largest_gradient,
    "open while the loss gets lower": open_while_better,
    "loss after 1 epoch": take_lowest_loss,
    "loss after 2 epochs": lambda table: take_lowest_loss(table, 2),
    "loss after 3 epochs": lambda table: take_lowest_loss(table, 3),
    "accuracy after 1 epoch": take_highest_accuracy,
    "accuracy after 2 epochs": lambda table: take_highest_accuracy(table, 2),
    "accuracy after 3 epochs": lambda table: take_highest_accuracy(table, 3),
    f"loss after {STEPS} steps": lambda table: take_lowest_loss(table, count_race(table)),
    DEFAULT: lambda table: take_highest_accuracy(table, count_race(table)),
    "successive halving by loss": halve,
    "halving, a third kept": lambda table: halve(table, 3),
    "all epochs of all": lambda table: take_highest_accuracy(table, EPOCHS),
}


class Table(NamedTuple):
    """Candidates that were all trained whole, from one head with one seed."""

    photos: str
    backbone: str
    seed: int
    candidates: Candidates


def read_measured() -> list[Table]:
    """Return the tables of TABLE that are whole."""
    if not TABLE.exists():
        raise InputError(f"{TABLE}: no such file; the command `measure` of this program makes it")
    signals = pd.read_csv(SIGNALS).set_index(["photos", "backbone", "cut"])
    found = []
    for (photos, backbone, seed), rows in pd.read_csv(TABLE).groupby(["photos", "backbone", "seed"], sort=False):
        candidates, cuts = {}, list_candidates(CUTS, BACKBONES[backbone])
        for cut in cuts:
            of_cut = rows[rows["cut"] == cut]
            if len(of_cut):
                known = signals.loc[(photos, backbone, cut)]
                candidates[cut] = Candidate(
                    list(of_cut["validation_loss"]),
                    list(of_cut["validation_accuracy"]),
                    of_cut["other_accuracy"].iloc[-1],
                    *known[["epoch_flops", "fill_flops"]],
                    count_epochs(make_run(backbone), known["train_photos"], BATCH),
                    *known[["probe_loss", "gradient"]],
                )
        if len(candidates) == len(cuts):
            found.append(Table(photos, backbone, seed, candidates))
    return found


def read_committed() -> list[Table]:
    """Return the tables among the committed results: five runs or more that open one backbone, by their FLOPs."""
    found = []
    for name, folder in COMMITTED.items():
        document = read_yaml(ROOT / paths.PARAMS) if folder == ROOT else read_preset(folder.name)
        photos = read_json(folder / "metrics" / "split.json")["split"]
        tables: dict[str, dict[str, Candidate]] = {}
        for run, settings in document["finetune"].items():
            history = pd.read_csv(folder / "plots" / "history" / f"{run}.csv")
            scores = read_json(folder / "metrics" / "evaluate" / f"{run}.json")[run]
            flops = read_json(folder / "metrics" / "train" / f"{run}.json")[run]["flops"]
            train, validation = (photos[part]["photos"] for part in ("train", "validation"))
            tables.setdefault(settings["from"], {})[run] = Candidate(
                list(history["validation_loss"]),
                list(history["validation_accuracy"]),
                scores["test"]["accuracy"],
                train * flops["training_step"] + validation * (flops["forward"] - flops["prefix"]),
                (train + validation) * flops["prefix"],
                count_epochs(FinetuneRun.model_validate(settings), train, document["training"]["batch_size"]),
            )
        for backbone, candidates in tables.items():
            if len(candidates) >= 5:
                ordered = dict(sorted(candidates.items(), key=lambda item: item[1].epoch))
                found.append(Table(name, backbone, document["training"]["seed"], ordered))
    return found


def judge(tables: Sequence[Table]) -> pd.DataFrame:
    """Return a row for each rule and table: its choice, its regret in points, and its cost as a share of the table.

    `regret` is on validation, against the best candidate there; `other_regret` is on the photos that chose nothing,
    against the best candidate on them, and `other_gain` against the one that is best on validation. `cost` is that of
    choosing, `cost_trained` with the rest of the training of the choice; both count the filling of the store once.
    """
    found = []
    for photos, backbone, seed, table in tables:
        ends = {cut: candidate.accuracies[-1] for cut, candidate in table.items()}
        others = {cut: candidate.other for cut, candidate in table.items()}
        best = take_highest_accuracy(table, EPOCHS).cut
        fill = max(candidate.fill for candidate in table.values())
        whole = fill + sum(EPOCHS * candidate.epoch for candidate in table.values())
        for rule, choose in RULES.items():
            if (choice := choose(table)) is None:
                continue
            spent = sum(choice.epochs[name] * table[name].epoch for name in table)
            spent += max(candidate.epoch for candidate in table.values()) if choice.looks else 0
            spent += fill if spent else 0
            rest = (EPOCHS - choice.epochs[choice.cut]) * table[choice.cut].epoch
            found.append(
                {
                    "photos": photos,
                    "backbone": backbone,
                    "seed": seed,
                    "rule": rule,
                    "cut": choice.cut,
                    "regret": 100 * (max(ends.values()) - ends[choice.cut]),
                    "other_regret": 100 * (max(others.values()) - others[choice.cut]),
                    "other_gain": 100 * (others[choice.cut] - others[best]),
                    "cost": spent / whole,
                    "cost_trained": (spent + rest) / whole,
                }
            )
    return pd.DataFrame(found)


def summarize(judged: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return, for each rule, its regrets and costs over the tables that it could be tried on."""
    document = {}
    for rule, rows in judged.groupby("rule", sort=False):
        scored = rows["other_gain"].dropna()
        gain = compare_scores(scored, np.zeros(len(scored)))  # takes tables for independent
        document[str(rule)] = {
            "tables": len(rows),
            "mean_regret": round(float(rows["regret"].mean()), 3),
            "worst_regret": round(float(rows["regret"].max()), 3),
            "other_tables": int(rows["other_regret"].notna().sum()),
            "mean_other_regret": round(float(rows["other_regret"].mean()), 3),
            "worst_other_regret": round(float(rows["other_regret"].max()), 3),
            "mean_other_gain": round(gain.difference, 3),
            "other_gain_interval": [round(gain.low, 3), round(gain.high, 3)],
            "cost": round(float(rows["cost"].mean()), 4),
            "cost_trained": round(float(rows["cost_trained"].mean()), 4),
            "mean_regret_by_photos": {
                name: round(float(part["regret"].mean()), 3) for name, part in rows.groupby("photos", sort=False)
            },
        }
    return document


def report() -> None:
    """Judge the rules by all tables; write what came of it."""
    tables = [*read_measured(), *read_committed()]
    document = summarize(judge(tables))
    sets: dict[str, int] = {}
    for table in tables:
        sets[table.photos] = sets.get(table.photos, 0) + 1
    write_json(HERE / "race.json", {"goals": GOALS, "tables": sets, "rules": document})
    lines = []
    for rule, found in document.items():
        by_set = [found["mean_regret_by_photos"].get(name) for name in sets]
        lines.append(
            [
                rule,
                str(found["tables"]),
                *(f"{found[key]:.2f}" for key in ("mean_regret", "worst_regret")),
                *(f"{found[key]:.2f}" for key in ("mean_other_regret", "worst_other_regret")),
                "{:+.2f} ({:+.2f} – {:+.2f})".format(found["mean_other_gain"], *found["other_gain_interval"]),
                *(f"{100 * found[key]:.1f}" for key in ("cost", "cost_trained")),
                *("–" if value is None else f"{value:.2f}" for value in by_set),
            ]
        )
    header = ["Rule", "Tables", "Mean regret", "Worst", "Mean on other photos", "Worst on other photos"]
    header += ["Against training all, on other photos"]
    header += ["Cost, %", "Cost with the winner, %", *(f"Mean on {name}" for name in sets)]
    counted = ", ".join(f"{count} of {name}" for name, count in sets.items())
    text = (
        "# Which race\n\nMade by `benchmarks/race.py` from race.csv, race-signals.csv and the committed results: "
        f"{len(tables)} tables ({counted}), each candidate trained for {EPOCHS} epochs.\n\nRegret is in points of "
        "accuracy after the last epoch, against the best candidate of the table: on validation, by which rules choose "
        "and the best is found, and on the photos that chose nothing, against the best there. The best of several is "
        "partly luck, so even what trains everything has a regret on other photos. The column after that compares each "
        "rule's choice with the choice of training everything, on the photos that chose neither: its mean with a 95 % "
        "interval over the tables, which takes them for independent. Cost is in percent of the floating-point "
        "operations of the table.\n\n![regret against cost](race.svg)\n\n"
    )
    write_text(HERE / "race.md", text + to_markdown(header, lines) + "\n")
    with use_style(), publish(HERE / "race.svg") as path:
        draw(document).savefig(path, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    print((HERE / "race.md").read_text())


def draw(document: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Return the figure: a row for each rule, the cheapest first, with its cost and with its mean regrets."""
    rules = sorted(document, key=lambda rule: document[rule]["cost"], reverse=True)
    figure = Figure(figsize=(9, 0.3 * len(rules) + 1), layout="constrained")
    costs, regrets = figure.subplots(1, 2, sharey=True, width_ratios=[2, 3])
    costs.barh(rules, [100 * document[rule]["cost"] for rule in rules], color=FAINT, height=0.5)
    costs.set_xlabel("cost of choosing, % of the table's FLOPs")
    for rule in rules:
        found = document[rule]
        regrets.plot([found["mean_regret"], found["mean_other_regret"]], [rule, rule], color=FAINT, linewidth=1)
    for key, fill, label in (
        ("mean_other_regret", INK, "on photos that chose nothing"),
        ("mean_regret", "white", "on validation"),
    ):
        values = [document[rule][key] for rule in rules]
        regrets.plot(values, rules, "o", color=INK, markerfacecolor=fill, markersize=5, label=label)
    regrets.set_xlim(left=-0.2)
    regrets.set_xlabel("mean regret, points of accuracy")
    regrets.legend(frameon=False)
    for text in costs.get_yticklabels():
        text.set_fontweight("bold" if text.get_text() == DEFAULT else "normal")
    return figure


def main() -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command")
    measured = commands.add_parser("measure")
    measured.add_argument("name")
    measured.add_argument("photos")
    measured.add_argument("--size", type=int, default=128)
    measured.add_argument("--train", type=float, default=0.6)
    measured.add_argument("--validation", type=float, default=0.4)
    measured.add_argument("--seed", type=int, action="append")
    one = commands.add_parser("train")
    one.add_argument("name")
    one.add_argument("backbone")
    one.add_argument("seed", type=int)
    arguments = parser.parse_args()
    if arguments.command == "measure":
        shares = {"train": arguments.train, "validation": arguments.validation}
        shares["test"] = round(1 - sum(shares.values()), 6)
        measure(arguments.name, arguments.photos, arguments.size, shares, arguments.seed or [1, 2, 3])
    elif arguments.command == "train":
        train(arguments.name, arguments.backbone, arguments.seed)
    else:
        report()


if __name__ == "__main__":
    run_program(main)
