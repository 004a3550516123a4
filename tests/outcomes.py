"""Made-up results of four runs, a baseline, a frozen run and two fine-tuned ones, as stages would have left them."""

import json
import pathlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pandas as pd

# run -> (trainable parameters, right answers on validation and on test, of 200 and 100 photos)
OUTCOMES = {
    "baseline_cnn": (9_000_000, 120, 60),
    "wide": (1_234, 172, 85),
    "wide-blocks-2": (56_789, 180, 90),
    "wide-layers-3": (98_765, 180, 92),
}
SIZE = 64  # pixels
CLASSES = ("NA", "rose")
STANDIN = {"weights": "imagenet", "official": False, "file": "wide.h5", "file_sha256": "ab" * 32}


def phase(**values: Any) -> Any:
    optimizer = SimpleNamespace(name="adam", learning_rate=1e-3)
    return SimpleNamespace(epochs=values.pop("epochs", 4), optimizer=optimizer, **values)


def opening(**unfreeze: Any) -> Any:
    """Stands for a typed `unfreeze`, which hands out what was set as a mapping."""
    return SimpleNamespace(model_dump=lambda exclude_unset: unfreeze)


def make_params() -> Any:
    """Return what stands for the checked params.yaml with these runs."""
    return SimpleNamespace(
        dataset=SimpleNamespace(source="tfds", name="petals:1.0.0"),
        replicates={},
        folds={},
        export={},
        explain={},
        report=SimpleNamespace(margin=2.0),
        baseline_cnn=phase(),
        frozen={"wide": phase(epochs=2, backbone="wide")},
        finetune={
            "wide-layers-3": phase(epochs=3, start="wide", unfreeze=opening(layers=3)),
            "wide-blocks-2": phase(epochs=3, start="wide", unfreeze=opening(blocks=2)),
        },
    )


def write(path: pathlib.Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def write_weights(folder: pathlib.Path, name: str = "wide", **values: Any) -> None:
    blocks = [("stem", "pad", 100), ("one", "one_out", 300), ("two", "two_out", 700), ("two", "last_out", 1000)]
    document = {"name": name, "architecture": "WideNet", "width": 1.0, "parameters": 4_321_000, "layers": 17, **values}
    document.setdefault("blocks", [dict(zip(("stage", "end", "flops"), block, strict=True)) for block in blocks])
    write(folder / f"metrics/weights/{name}.json", {"weights": {name: document}})


def make_predictions(part: str, photos: Any, right: Any, classes: Sequence[str] = CLASSES) -> Any:
    """Return a row for each of so many photos of the two `classes` in turn, the first `right` of them right."""
    actual, other = [*classes] * (photos // 2), dict(zip(classes, reversed(classes), strict=True))
    table = pd.DataFrame({"id": [f"{part[0]}{i:04}" for i in range(photos)], "part": part, "actual": actual})
    table["predicted"] = [label if i < right else other[label] for i, label in enumerate(actual)]
    for label in classes:
        table[f"p_{label}"] = table["predicted"].eq(label).map({True: 0.9, False: 0.1})
    return table


def write_run(
    folder: pathlib.Path,
    name: str,
    outcome: Any,
    test: bool = True,
    epochs: int = 3,
    classes: Sequence[str] = CLASSES,
) -> None:
    trainable, right, right_test = outcome

    def score(right: Any, photos: Any) -> dict[str, Any]:
        return {"photos": photos, "accuracy": right / photos, "loss": 0.5, "precision": 0.8, "recall": 0.7, "f1": 0.75}

    scores = {"validation": score(right, 200), "train": score(600, 700)}
    if test:
        scores["test"] = score(right_test, 100)
    sizes = {"trainable_parameters": trainable, "total_parameters": 9_999_999, "weights_bytes": 1_500_000}
    write(folder / f"metrics/evaluate/{name}.json", {name: {**scores, **sizes}})
    flops = {"forward": 1_000_000, "prefix": 400_000, "training_step": 1_800_000}
    write(folder / f"metrics/train/{name}.json", {name: {"epochs": epochs, "cut": "relu", "flops": flops}})
    rows = {"epoch": range(1, epochs + 1)}
    for part in ("train", "validation"):
        for value, column in enumerate(("loss", "accuracy", "precision", "recall", "f1")):
            rows[f"{part}_{column}"] = [0.5 + 0.01 * value] * epochs
    tables = {
        "history": pd.DataFrame(rows),
        "predictions": pd.concat(
            [
                make_predictions("validation", 200, right, classes),
                *([make_predictions("test", 100, right_test, classes)] if test else []),
            ]
        ),
        "classes": pd.DataFrame(
            [(label, 0.9, 0.8, 0.85, 50, part) for part in ("train", "validation", "test") for label in classes],
            columns=["class", "precision", "recall", "f1", "photos", "part"],
        ),
    }
    for kind, table in tables.items():
        (folder / f"plots/{kind}").mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / f"plots/{kind}/{name}.csv", index=False)


def write_times(folder: pathlib.Path, name: str, per_epoch: float) -> None:
    seconds = {"prefix": 1.5, "per_epoch": per_epoch, "training": 3 * per_epoch}
    rest = {"waiting_share": 0.015, "batches_from": "store", "peak_memory_mib": 1024}
    write(folder / f"metrics/timing/train/{name}.json", {name: {**rest, "seconds": seconds}})
    write_latency(folder, name)


def write_latency(folder: pathlib.Path, name: str, median: float = 7.25) -> None:
    times = {"batch_1": {"median": median, "p95": 8.5}, "batch_32": {"median": 3.125, "p95": 4.75}}
    write(folder / f"metrics/timing/evaluate/{name}.json", {name: {"ms_per_image": times}})


def share_latency(folder: pathlib.Path, timed: str = "wide") -> None:
    """Have the runs that start from wide name `timed` as the run that was timed for their network."""
    for name in ("wide-blocks-2", "wide-layers-3"):
        write(folder / f"metrics/timing/evaluate/{name}.json", {name: {"timed": timed}})


def make_results(folder: pathlib.Path, classes: Sequence[str] = CLASSES) -> pathlib.Path:
    """Write the metrics and plots of the runs below `folder`, of photos of the two `classes`; return `folder`."""
    write(
        folder / "metrics/download.json",
        {
            "download": {
                "photos": 1005,
                "classes": dict(zip(classes, (500, 505), strict=True)),
                "digest": "cd" * 32,
                "duplicates": {"within_a_class": 3, "across_classes": 1},
                "rejected": [],
            }
        },
    )
    parts = {"train": (350, 350), "validation": (100, 100), "test": (50, 50)}
    split = {
        part: {"photos": a + b, "classes": dict(zip(classes, (a, b), strict=True))} for part, (a, b) in parts.items()
    }
    split |= {"left_out_two_labels": 2, "near_duplicate_groups": 4, "photos_in_them": 9}
    write(folder / "metrics/split.json", {"split": split})
    write(folder / "metrics/preprocess.json", {"preprocess": {"bytes": 12_345_678, "converted": [], "set_aside": []}})
    write(folder / "metrics/timing/preprocess.json", {"preprocess": {"images_per_second": 500.5, "seconds": 2.0}})
    write_weights(folder, **STANDIN)
    for name, outcome in OUTCOMES.items():
        write_run(folder, name, outcome, classes=classes)
        write_times(folder, name, 9.87)
    return folder
