"""Measures `thaw predict` on this machine: the time to the first prediction, and its rate beside the bare forward pass.

    ./run python benchmarks/predict.py [TURNS]

The network is MobileNet at 224 pixels with random weights, and the photos are drawn, as large as those of TF-Flowers:
nothing has to run before. Turns of the bare pass and of thaw alternate; the medians of TURNS (9) each count. Writes
predict.json and predict.md beside itself.
"""

import itertools
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import InputError, run_program
from thaw.base.files import write_json, write_text
from thaw.base.machine import find_processor
from thaw.base.progress import track
from thaw.base.quiet import keras, tf
from thaw.base.sections import Compute
from thaw.comparison.words import to_markdown
from thaw.config.loading import load
from thaw.config.presets import ROOT
from thaw.drawn.flowers import FLOWERS, draw
from thaw.networks.classifiers import build_classifier
from thaw.networks.sections import Head
from thaw.prediction.models import Predictor, load_run
from thaw.prediction.predicting import BATCH, predict

HERE = pathlib.Path(__file__).resolve().parent
RUN, ARCHITECTURE, SIZE = "mobilenet", "MobileNet", 224
SIDE = 288  # pixels of a photo: as many in all as the middle one of TF-Flowers has
DRAWN = 40  # photos, of which each is scored several times in a turn
BATCHES = 20  # of a turn
TURNS = 9
# At most, and at least: what thaw is to reach.
SECONDS, SHARE = 5.0, 0.9


def main() -> None:
    """Measure both, print the page and write the two files."""
    turns = _read_turns(sys.argv[1:])
    params = load(ROOT / paths.PARAMS)
    configure(params.compute, params.training.seed)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        folder = pathlib.Path(scratch)
        photos = make_table(folder)
        first = [time_first(folder, photos[0]) for _ in track(range(turns), "start", turns, "starts")]
        rates = compare_rates(load_run(RUN, folder), photos, turns)
    result = {
        "network": f"{ARCHITECTURE}, {SIZE} px, random weights",
        "first_prediction_s": {"median": round(statistics.median(first), 2), "all": [round(s, 2) for s in first]},
        "batch": BATCH,
        "images_per_second": {side: round(statistics.median(found), 1) for side, found in rates.items()},
        "share": round(statistics.median(rates["thaw"]) / statistics.median(rates["bare"]), 3),
        "turns": {side: [round(rate, 1) for rate in found] for side, found in rates.items()},
        "machine": describe_machine(params.compute),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }
    write_json(HERE / "predict.json", result)
    write_text(HERE / "predict.md", write_page(result))
    print(write_page(result))


def describe_machine(compute: Compute) -> dict[str, Any]:
    """Return what a benchmark writes of the machine, and of what `compute` has it use."""
    return {
        "system": platform.system(),
        "processor": find_processor(),
        "cores": os.cpu_count(),
        "threads": compute.threads,
        "onednn_isa": compute.onednn_isa,
    }


def make_table(folder: pathlib.Path) -> list[str]:
    """Make at `folder` what `thaw predict` reads of a table with one run, and photos; return their paths."""
    head = Head(dense=[], dropout=0.0, batch_norm=False)
    network = build_classifier(ARCHITECTURE, 1.0, SIZE, head, len(FLOWERS))
    (folder / "models").mkdir()
    network.save_weights(folder / paths.find_weights(RUN))
    backbone = {"name": RUN, "architecture": ARCHITECTURE, "width": 1.0}
    described = {"run": RUN, "size": SIZE, "classes": list(FLOWERS), "backbone": backbone, "head": head.model_dump()}
    write_json(folder / paths.find_description(RUN), described)
    write_text(folder / paths.PARAMS, (ROOT / paths.PARAMS).read_text(encoding="utf-8"))
    photos = []
    for index, name in zip(range(DRAWN), itertools.cycle(FLOWERS)):
        path = folder / f"{index:02d}.jpg"
        path.write_bytes(draw(1, "flowers", name, index, SIDE))
        photos.append(str(path))
    return photos


def time_first(folder: pathlib.Path, photo: str) -> float:
    """Return the seconds from the start of `thaw predict` to the line of its first prediction."""
    command = [sys.executable, "-P", "-m", "thaw", "predict", "--run", RUN, "--json", photo]
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, env=_find_environment()) as process:
        assert process.stdout
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
    if not line or not json.loads(line)["predictions"]:
        raise InputError("thaw predict: must print a prediction (got nothing)")
    return seconds


def compare_rates(predictor: Predictor, photos: list[str], turns: int) -> dict[str, list[float]]:
    """Return {side: images per second in each turn} of the bare forward pass and of photos from files."""
    assert predictor.network
    model = predictor.network.model
    forward = tf.function(lambda pixels: model(pixels, training=False))
    pixels = tf.constant(np.random.default_rng(0).uniform(0, 255, (BATCH, SIZE, SIZE, 3)).astype(np.float32))
    count = BATCH * BATCHES
    chosen = list(itertools.islice(itertools.cycle(photos), count))

    def bare() -> None:
        for _ in range(BATCHES):
            forward(pixels).numpy()

    def from_files() -> None:
        if any(found.reason for found in predict(predictor, chosen)):
            raise InputError("benchmarks: a photo that was drawn cannot be read")

    sides: dict[str, Callable[[], None]] = {"bare": bare, "thaw": from_files}
    for work in sides.values():
        work()  # traces
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for _ in track(range(turns), "rate", turns, "turns"):
        for side, work in sides.items():
            start = time.perf_counter()
            work()
            rates[side].append(count / (time.perf_counter() - start))
    return rates


def write_page(result: dict[str, Any]) -> str:
    """Return the result as a page in Markdown."""
    first, rate, machine = result["first_prediction_s"]["median"], result["images_per_second"], result["machine"]
    rows = [
        ["First prediction, seconds from the start of the process", f"{first:.2f}", f"at most {SECONDS:g}"],
        [f"Bare forward pass, batch {result['batch']}, images a second", f"{rate['bare']:.1f}", ""],
        ["Photos from files, decoded and scored, images a second", f"{rate['thaw']:.1f}", ""],
        ["Share of the bare pass", f"{100 * result['share']:.1f} %", f"at least {100 * SHARE:g} %"],
    ]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    table = to_markdown(["", "Measured", "To reach"], rows)
    return (
        f"# thaw predict\n\n{result['network']}. Medians of {len(result['turns']['thaw'])} alternating turns; the "
        "first prediction is that of as many processes. Written by `predict.py`.\n\n"
        f"{table}\n\n{machine['system']}, {machine['processor']}, {machine['cores']} cores, {machine['threads']} "
        f"threads, {machine['onednn_isa']}; {versions}.\n"
    )


def _read_turns(arguments: list[str]) -> int:
    """Return TURNS, or what the command line has in its place."""
    if not arguments:
        return TURNS
    if len(arguments) > 1 or not arguments[0].isdigit() or not int(arguments[0]):
        raise InputError(f"benchmarks: must be a whole number of turns from 1 on (got {' '.join(arguments)!r})")
    return int(arguments[0])


def _find_environment() -> dict[str, str]:
    """Return the environment of a user's `./run thaw` in the table that is measured."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUTF8": "1"}
    environment.pop("THAW_CALLED_FROM", None)
    return environment


if __name__ == "__main__":
    run_program(main)
