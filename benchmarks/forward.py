"""Measures how fast the store is filled by each engine of forward passes on this machine, and what that costs.

    ./run python benchmarks/forward.py
    ./run python benchmarks/forward.py accuracy

The networks are MobileNet, MobileNetV2 and ResNet50 at 224 pixels with random weights, whole up to their pooled
features, and the photos are drawn: nothing has to run before but the installation of OpenVINO (docs/forward.md). The
engines take turns, each of which fills an empty store twice: with one batch, and with twenty more. The second takes
longer by those batches, which gives the rate; the first is mostly the time in which the pass is made ready. The medians
of five turns count. Writes forward.json and forward.md beside itself. It needs an otherwise idle machine, and some ten
minutes on two cores.

With `accuracy` the frozen runs of params.yaml are trained by each engine, from the features that it stores, and scored
by it on validation and test, which are compared with Keras photo by photo (McNemar's exact test). It needs the records
and the pretrained weights of the real job, and writes forward-accuracy.json and forward-accuracy.md.
"""

import argparse
import os
import pathlib
import platform
import shutil
import statistics
import tempfile
import time
from typing import Any

import numpy as np
import pandas as pd
from predict import describe_machine

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.engines import import_openvino, list_capabilities
from thaw.base.errors import InputError, run_program
from thaw.base.files import write_json, write_text
from thaw.base.names import PRETRAINED
from thaw.base.progress import track
from thaw.base.quiet import keras, tf
from thaw.base.sections import Compute, Forward
from thaw.comparison.inference import mcnemar
from thaw.comparison.words import to_markdown
from thaw.config.checking import Params
from thaw.config.loading import load
from thaw.config.presets import ROOT
from thaw.drawn.flowers import FLOWERS, draw
from thaw.networks.classifiers import Network, build_classifier
from thaw.networks.sections import Head
from thaw.records import reading
from thaw.records.sections import Image
from thaw.records.writing import write_records
from thaw.store.filling import open_part
from thaw.store.prefixes import FILL_BATCH, Images, Prefix
from thaw.training.repeating import Repeated, place_parts, train_again
from thaw.training.runs import Setting, read_start

HERE = pathlib.Path(__file__).resolve().parent
NETWORKS, SIZE = ("MobileNet", "MobileNetV2", "ResNet50"), 224
SIDE = 288  # pixels of a photo
DRAWN = 40  # photos, of which each is in the records several times
KERAS = "keras, float32"
ENGINES = {KERAS: Forward(), "openvino, float32": Forward(engine="openvino")}
BFLOAT16 = {"openvino, bfloat16": Forward(engine="openvino", precision="bfloat16")}
TO_REACH = {"openvino, float32": 1.25, "openvino, bfloat16": 2.2}  # times the rate of Keras


def main() -> None:
    """Measure all engines, print the page and write the two files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="?", choices=["rate", "accuracy"], default="rate")
    parser.add_argument("--turns", type=int, default=5, help="of each engine (default: 5)")
    parser.add_argument("--batches", type=int, default=20, help="that a turn is measured over (default: 20)")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS, help="(default: all)")
    parser.add_argument("--results", type=pathlib.Path, default=HERE, help="folder to write to")
    arguments = parser.parse_args()
    turns, batches, results = arguments.turns, arguments.batches, arguments.results.absolute()
    params = load(ROOT / paths.PARAMS)
    engines = ENGINES | (BFLOAT16 if "BF16" in list_capabilities() else {})
    configure(params.compute, params.training.seed)
    versions = {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "openvino": import_openvino().__version__,
    }
    machine = {**describe_machine(params.compute), "calculates_in": list_capabilities()}
    if arguments.what == "accuracy":
        chosen = {name for name, backbone in params.backbones.items() if backbone.architecture in arguments.networks}
        scored = {
            name: compare_accuracies(name, engines, params)
            for name, run in params.frozen.items()
            if run.backbone in chosen
        }
        result = {"runs": scored, "machine": machine, "versions": versions}
        write_json(results / "forward-accuracy.json", result)
        write_text(results / "forward-accuracy.md", write_accuracies(result))
        print(write_accuracies(result))
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        os.chdir(scratch)
        write_photos(batches)
        measured = {name: measure(name, engines, params.compute, turns, batches) for name in arguments.networks}
    result = {
        "networks": measured,
        "batch": FILL_BATCH,
        "photos": FILL_BATCH * batches,
        "turns": turns,
        "machine": machine,
        "versions": versions,
    }
    write_json(results / "forward.json", result)
    write_text(results / "forward.md", write_page(result))
    print(write_page(result))


def write_photos(batches: int) -> None:
    """Write records of drawn photos: a batch as the part validation, so many `batches` more as the part train."""
    folder, names = pathlib.Path("photos"), list(FLOWERS)
    folder.mkdir()
    for index in range(DRAWN):
        (folder / f"{index}.jpg").write_bytes(draw(1, "flowers", names[index % len(names)], index, SIDE))
    rows = []
    for index in range(FILL_BATCH * (batches + 2)):
        label = index % len(names)
        part = "validation" if index < FILL_BATCH else "train"
        rows.append((f"{index:016x}", names[label], label, f"{index % DRAWN}.jpg", part))
    table = pd.DataFrame(rows, columns=["id", "class", "label", "file", "part"])
    write_records(table, folder, Image(size=SIZE, shards=1), paths.RECORDS)


def measure(name: str, engines: dict[str, Forward], compute: Compute, turns: int, batches: int) -> dict[str, Any]:
    """Return what the engines do with a network: {engine: rates, seconds until the first batch, difference}."""
    network = build_classifier(name, 1.0, SIZE, Head(dense=[], dropout=0.0, batch_norm=False), len(FLOWERS))
    asked = {engine: compute.model_copy(update={"forward": forward}) for engine, forward in engines.items()}
    values = {engine: fill(name, network, chosen, "validation")[1] for engine, chosen in asked.items()}  # warms up
    rates: dict[str, list[float]] = {engine: [] for engine in engines}
    ready: dict[str, list[float]] = {engine: [] for engine in engines}
    for _ in track(range(turns), name, turns, "turns"):
        for engine, chosen in asked.items():
            few, many = (fill(name, network, chosen, part)[0] for part in ("validation", "train"))
            rates[engine].append(FILL_BATCH * batches / (many - few))
            ready[engine].append(few)
    own = statistics.median(rates[KERAS])
    return {
        engine: {
            "images_per_second": round(statistics.median(found), 1),
            "ratio": round(statistics.median(found) / own, 2),
            "first_batch_s": round(statistics.median(ready[engine]), 2),
            # Of the largest value that Keras has.
            "difference": float(f"{np.abs(values[engine] - values[KERAS]).max() / np.abs(values[KERAS]).max():.1e}"),
            "turns": [round(rate, 1) for rate in found],
        }
        for engine, found in rates.items()
    }


def fill(name: str, network: Network, compute: Compute, part: str) -> tuple[float, np.ndarray]:
    """Fill an empty store with the pooled features of a part; return (seconds, features (n, c))."""
    os.environ["THAW_STORE"] = "store"
    shutil.rmtree("store", ignore_errors=True)
    prefix = Prefix(network, network.backbone.operations[-1], name, compute)
    images = Images(paths.RECORDS, part)
    start = time.perf_counter()
    source = open_part(prefix, images)
    seconds = time.perf_counter() - start
    if source is None:
        raise InputError(f"benchmarks: {tempfile.gettempdir()} must have room for the store")
    return seconds, np.array(source.inputs)


def compare_accuracies(name: str, engines: dict[str, Forward], params: Params) -> dict[str, Any]:
    """Return how right a frozen run is by each engine on validation and test together, and against Keras."""
    run, rows = params.frozen[name], place_parts(paths.RECORDS)
    labels = np.concatenate([reading.read_labels(paths.RECORDS, part)[0] for part in ("validation", "test")])
    repeated = Repeated(name, [run], read_start(PRETRAINED + run.backbone), 1)
    found: dict[str, Any] = {}
    right: dict[str, np.ndarray] = {}
    for engine, forward in track(engines.items(), name, len(engines), "engines"):
        setting = Setting(params.training, params.compute.model_copy(update={"forward": forward}), paths.RECORDS)
        again = train_again(repeated, setting, rows["train"], [rows["validation"], rows["test"]])
        right[engine] = np.concatenate(again.logits).argmax(axis=1) == labels
        paired = mcnemar(right[engine], right[KERAS])
        found[engine] = {
            "photos": len(labels),
            "right": int(right[engine].sum()),
            "gained": paired.first_only,
            "lost": paired.second_only,
            "p": round(paired.p, 4),
        }
    return found


def write_accuracies(result: dict[str, Any]) -> str:
    """Return those as a page in Markdown."""
    rows = [
        [
            run,
            engine,
            f"{100 * found['right'] / found['photos']:.2f}",
            *([str(found["gained"]), str(found["lost"]), f"{found['p']:.2f}"] if engine != KERAS else ["", "", ""]),
        ]
        for run, engines in result["runs"].items()
        for engine, found in engines.items()
    ]
    photos = next(iter(next(iter(result["runs"].values())).values()))["photos"]
    return (
        f"# What an engine costs in accuracy\n\nFrozen runs of params.yaml, trained and scored by each engine: "
        f"{photos} photos of validation and test. Gained and lost: photos that it alone, or Keras alone, has right; "
        "p by McNemar's exact test. Written by `forward.py accuracy`.\n\n"
        f"{to_markdown(['Run', 'Engine', 'Accuracy, %', 'Gained', 'Lost', 'p'], rows)}\n\n"
        f"{result['machine']['processor']}, {result['machine']['threads']} threads.\n"
    )


def write_page(result: dict[str, Any]) -> str:
    """Return the result as a page in Markdown."""
    rows = [
        [
            name,
            engine,
            f"{found['images_per_second']:.1f}",
            f"{found['ratio']:.2f}",
            f"at least {TO_REACH[engine]:g}" if engine in TO_REACH else "",
            f"{found['first_batch_s']:.1f}",
            f"{found['difference']:.1e}" if found["difference"] else "",
        ]
        for name, engines in result["networks"].items()
        for engine, found in engines.items()
    ]
    columns = ["Network", "Engine", "Images a second", "Times Keras", "To reach", "First batch, s", "Differs by"]
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"# Filling the store\n\n{SIZE} px, batches of {result['batch']}, random weights, pooled features. Medians of "
        f"{result['turns']} alternating turns of {result['photos']} photos. The first batch is that of an empty store, "
        "with all that makes the pass ready; the difference is the largest one, as a share of the largest value by "
        f"Keras. Written by `forward.py`.\n\n{to_markdown(columns, rows)}\n\n{machine['system']}, "
        f"{machine['processor']} ({', '.join(machine['calculates_in'])}), {machine['cores']} cores, "
        f"{machine['threads']} threads, {machine['onednn_isa']} in TensorFlow; {versions}.\n"
    )


if __name__ == "__main__":
    run_program(main)
