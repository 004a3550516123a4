"""Measures what a race over cuts would have chosen, and what that costs, on tables that are trained whole.

    ./run python benchmarks/race.py measure NAME PHOTOS --size 128
    ./run python benchmarks/race.py

The first trains every candidate to its end on the photos of a folder (class folders, or `tfds` for the dataset of
params.yaml), from a head on each of three backbones, with three seeds, and adds a row an epoch to race.csv: hours on
two cores. It goes on where it was stopped. The second judges every rule by those rows: its regret, the validation
accuracy that it loses against the best candidate of the table, and its cost, the share of the FLOPs of the table. It
writes race.json, race.md and race.svg beside this file.
"""

import argparse
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import InputError, run_program
from thaw.base.files import read_table, write_json, write_table, write_text
from thaw.base.names import PRETRAINED
from thaw.base.progress import say
from thaw.cli.workspaces import make_workspace, run_dvc
from thaw.comparison.words import to_markdown
from thaw.config.loading import load, read_yaml
from thaw.config.presets import ROOT
from thaw.networks import classifiers
from thaw.networks.plan import plan_run, unfreeze
from thaw.networks.sections import Auto
from thaw.networks.unfreezing import list_candidates
from thaw.records import reading
from thaw.training.racing import count_candidate, open_as
from thaw.training.repeating import Repeated, place_parts, train_again
from thaw.training.runs import Setting, find_opening, read_start
from thaw.training.sections import FinetuneRun, FrozenRun

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE / "race.csv"
KEYS = ["photos", "backbone", "seed", "cut"]
SEEDS = (1, 2, 3)
CUTS = Auto(blocks=[0, 1, 2, 4, 8])  # and the whole backbone
BACKBONES = {"mobilenetv3small": "MobileNetV3Small", "mobilenet": "MobileNet", "mobilenetv2": "MobileNetV2"}
HEAD = {"dense": [], "dropout": 0.0, "batch_norm": False}
EPOCHS = 15  # of a candidate, as in the default table
GOALS = {"cost": 0.1, "mean": 0.3, "worst": 1.2}  # at most: a share, points, points


def measure(name: str, photos: str, size: int) -> None:
    """Train every candidate on the `photos`, `size` pixels a side, and add the rows to TABLE."""
    folder = ROOT / ".thaw" / "race" / name
    document = make_document(photos, size)
    make_workspace(folder, document, ROOT)
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "THAW_STORE": str(folder / ".thaw" / "activations")}
    subprocess.run([sys.executable, "-m", "thaw.config.starting", "repro"], cwd=folder, env=variables, check=True)
    run_dvc(folder, "repro", "preprocess", *(f"weights@{backbone}" for backbone in BACKBONES), env=variables)
    for seed in SEEDS:
        for backbone in BACKBONES:
            # A process of its own: Keras gives back little memory.
            subprocess.run(
                [sys.executable, __file__, "train", name, backbone, str(seed)], cwd=folder, env=variables, check=True
            )


def make_document(photos: str, size: int) -> dict[str, Any]:
    """Return params.yaml with those photos, the three backbones and nothing but their heads to train."""
    document = read_yaml(ROOT / paths.PARAMS)
    if photos != "tfds":
        document["dataset"] = {"source": "folder", "path": str(pathlib.Path(photos).resolve()), "digest": None}
        document["split"] |= {"train": 0.6, "validation": 0.4, "test": 0.0}  # small sets: what counts is validation
    document["image"]["size"] = size
    document["backbones"] = {
        name: {"architecture": architecture, "width": 1.0, "weights": "imagenet"}
        for name, architecture in BACKBONES.items()
    }
    adam = {"name": "adam", "learning_rate": 1e-3}
    document["frozen"] = {name: {"backbone": name, "head": HEAD, "optimizer": adam, "epochs": 5} for name in BACKBONES}
    return document | {"finetune": {}, "replicates": {}, "folds": {}, "export": {}, "explain": {}}


def train(name: str, backbone: str, seed: int) -> None:
    """Train every candidate on one backbone with one seed; one that TABLE has is not trained again."""
    params = load()
    configure(params.compute, seed)
    setting = Setting(params.training.model_copy(update={"seed": seed}), params.compute, paths.RECORDS)
    frozen, rows = params.frozen[backbone], place_parts(paths.RECORDS)
    tuned = FinetuneRun.model_validate(
        {
            "from": backbone,
            "unfreeze": {"all": True},
            "optimizer": {"name": "adam", "learning_rate": 1e-4},
            "epochs": EPOCHS,
        }
    )
    start = read_start(PRETRAINED + backbone)
    for cut, opened in list_candidates(CUTS, BACKBONES[backbone]).items():
        key = [name, backbone, seed, cut]
        done = read_table(TABLE) if TABLE.exists() else pd.DataFrame(columns=KEYS)
        if (done[KEYS].astype(str) == [str(part) for part in key]).all(axis=1).any():
            continue
        run = open_as(tuned, opened)
        setting = setting._replace(
            others=[
                find_opening(open_as(tuned, other)) for other in list_candidates(CUTS, BACKBONES[backbone]).values()
            ]
        )
        say(f"race: {name}, {backbone}, seed {seed}: {cut}")
        made = train_again(
            Repeated(f"race-{cut}", [frozen, run], start, 1), setting, rows["train"], [rows["validation"]]
        )
        epoch, fill = count_costs(start, frozen, run, BACKBONES[backbone])
        found = made.history[["epoch", "validation_loss", "validation_accuracy"]].assign(
            photos=name, backbone=backbone, seed=seed, cut=cut, epoch_flops=epoch, fill_flops=fill
        )
        found = found[[*KEYS, "epoch", "validation_loss", "validation_accuracy", "epoch_flops", "fill_flops"]]
        write_table(TABLE, pd.concat([done, found], ignore_index=True))


def count_costs(start: Any, frozen: FrozenRun, run: FinetuneRun, architecture: str) -> tuple[float, float]:
    """Return (FLOPs of an epoch with validation, FLOPs of filling the store for it) of a run."""
    index = reading.read_index(paths.RECORDS)
    network = classifiers.build_described(
        start.backbone, index["size"], frozen.head.model_dump(), len(index["classes"])
    )
    plan = plan_run(network, architecture, find_opening(run))
    unfreeze(network, plan)
    return count_candidate(network, plan, index["counts"], 1)


class Candidate(NamedTuple):
    """A row of a table that was trained whole: a cut."""

    losses: list[float]  # on validation, after each epoch
    accuracies: list[float]
    epoch: float  # FLOPs of an epoch


class Choice(NamedTuple):
    """What a rule did with a table."""

    cut: str
    epochs: dict[str, int]  # that each candidate was trained for


def take_lowest_loss(table: Mapping[str, Candidate], epochs: int = 1) -> Choice:
    """Train every candidate for so many epochs and take the one with the lowest loss."""
    cut = min(table, key=lambda name: table[name].losses[epochs - 1])
    return Choice(cut, dict.fromkeys(table, epochs))


def take_highest_accuracy(table: Mapping[str, Candidate], epochs: int = 1) -> Choice:
    """The same by accuracy; of equals the cheaper."""
    cut = max(table, key=lambda name: table[name].accuracies[epochs - 1])
    return Choice(cut, dict.fromkeys(table, epochs))


def halve(table: Mapping[str, Candidate]) -> Choice:
    """Drop the worse half by loss after 1, 2, 4 … epochs (Jamieson and Talwalkar 2016, arXiv 1502.07943)."""
    left, trained, epochs = list(table), dict.fromkeys(table, 0), 1
    while len(left) > 1:
        trained |= dict.fromkeys(left, epochs)
        left = sorted(left, key=lambda name: table[name].losses[epochs - 1])[: (len(left) + 1) // 2]
        epochs = min(2 * epochs, len(table[left[0]].losses))
    return Choice(left[0], trained)


def open_while_better(table: Mapping[str, Candidate]) -> Choice:
    """Open from the head on, an epoch for each cut, until one has no lower loss than the one before."""
    best, trained = None, {}
    for name, candidate in table.items():
        trained[name] = 1
        if best is not None and candidate.losses[0] >= table[best].losses[0]:
            break
        best = name
    assert best is not None
    return Choice(best, trained | {name: 0 for name in table if name not in trained})


def take_head(table: Mapping[str, Candidate]) -> Choice:
    """Open nothing."""
    return Choice(next(iter(table)), dict.fromkeys(table, 0))


def take_all(table: Mapping[str, Candidate]) -> Choice:
    """Open everything."""
    return Choice(list(table)[-1], dict.fromkeys(table, 0))


RULES: dict[str, Callable[[Mapping[str, Candidate]], Choice]] = {
    "the head alone": take_head,
    "everything": take_all,
    "loss after 1 epoch": take_lowest_loss,
    "loss after 2 epochs": lambda table: take_lowest_loss(table, 2),
    "loss after 3 epochs": lambda table: take_lowest_loss(table, 3),
    "accuracy after 1 epoch": take_highest_accuracy,
    "accuracy after 3 epochs": lambda table: take_highest_accuracy(table, 3),
    "successive halving by loss": halve,
    "open while the loss gets lower": open_while_better,
}


def judge(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each rule and table: its choice, its regret in points, and its cost as a share of the table.

    `cost` is that of choosing, `cost_trained` with the rest of the training of the choice; both count the filling of
    the store once.
    """
    found = []
    for (photos, backbone, seed), of_table in rows.groupby(["photos", "backbone", "seed"], sort=False):
        table = {
            cut: Candidate(
                list(part["validation_loss"]), list(part["validation_accuracy"]), part["epoch_flops"].iloc[0]
            )
            for cut, part in of_table.groupby("cut", sort=False)
        }
        if len(table) < len(list_candidates(CUTS, BACKBONES[backbone])):
            continue  # not trained whole yet
        best = max(candidate.accuracies[-1] for candidate in table.values())
        fill = of_table["fill_flops"].max()
        whole = fill + sum(EPOCHS * candidate.epoch for candidate in table.values())
        for rule, choose in RULES.items():
            cut, epochs = choose(table)
            spent = sum(epochs[name] * table[name].epoch for name in table)
            spent += fill if spent else 0
            rest = (EPOCHS - epochs[cut]) * table[cut].epoch
            regret = 100 * (best - table[cut].accuracies[-1])
            row = [photos, backbone, seed, rule, cut, regret, spent / whole, (spent + rest) / whole]
            found.append(row)
    columns = ["photos", "backbone", "seed", "rule", "cut", "regret", "cost", "cost_trained"]
    return pd.DataFrame(found, columns=columns)


def report() -> None:
    """Judge the rules by the rows of TABLE; write what came of it."""
    if not TABLE.exists():
        raise InputError(f"{TABLE}: no such file; the command `measure` of this program makes it")
    judged = judge(read_table(TABLE))
    sets = list(dict.fromkeys(judged["photos"]))
    document, lines = {}, []
    for rule, of_rule in judged.groupby("rule", sort=False):
        by_set = {name: of_rule[of_rule["photos"] == name]["regret"] for name in sets}
        document[rule] = {
            "tables": len(of_rule),
            "mean_regret": round(float(of_rule["regret"].mean()), 3),
            "worst_regret": round(float(of_rule["regret"].max()), 3),
            "cost": round(float(of_rule["cost"].mean()), 4),
            "cost_trained": round(float(of_rule["cost_trained"].mean()), 4),
            "mean_regret_by_photos": {name: round(float(values.mean()), 3) for name, values in by_set.items()},
        }
        of_mean = [f"{values.mean():.2f}" for values in by_set.values()]
        shares = [f"{100 * of_rule[key].mean():.1f}" for key in ("cost", "cost_trained")]
        lines.append([rule, f"{of_rule['regret'].mean():.2f}", f"{of_rule['regret'].max():.2f}", *shares, *of_mean])
    write_json(HERE / "race.json", {"goals": GOALS, "rules": document})
    header = ["Rule", "Mean regret", "Worst", "Cost %", "Cost with the winner %", *(f"Mean on {name}" for name in sets)]
    tables = judged[["photos", "backbone", "seed"]].drop_duplicates()
    text = (
        "# Which race\n\nMade by `benchmarks/race.py` from race.csv: "
        f"{len(tables)} tables of {len(CUTS.blocks or []) + 1} cuts, each trained for {EPOCHS} epochs. Regret is in "
        "points of validation accuracy against the best cut of the table, cost in percent of the floating-point "
        "operations of the table.\n\n"
    )
    write_text(HERE / "race.md", text + to_markdown(header, lines) + "\n")
    print((HERE / "race.md").read_text())


def main() -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command")
    measured = commands.add_parser("measure")
    measured.add_argument("name")
    measured.add_argument("photos")
    measured.add_argument("--size", type=int, default=128)
    one = commands.add_parser("train")
    one.add_argument("name")
    one.add_argument("backbone")
    one.add_argument("seed", type=int)
    arguments = parser.parse_args()
    if arguments.command == "measure":
        measure(arguments.name, arguments.photos, arguments.size)
    elif arguments.command == "train":
        train(arguments.name, arguments.backbone, arguments.seed)
    else:
        report()


if __name__ == "__main__":
    run_program(main)
