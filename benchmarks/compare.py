"""Compares thaw with the naive loop; see README.md in this folder.

    ./run python benchmarks/compare.py [GROUP ...]

A GROUP is a key of GROUPS or the name of a row; without one, all groups are measured.
"""

import concurrent.futures
import functools
import json
import multiprocessing
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import PIL.Image
from matplotlib.figure import Figure
from rows import BATCH, CLASSES, ROWS, Row

from thaw.base import paths
from thaw.base.errors import InputError, run_program
from thaw.base.files import publish, read_json, read_table, write_json, write_text
from thaw.base.names import PRETRAINED
from thaw.base.progress import track
from thaw.base.quiet import keras, tf
from thaw.comparison.words import to_markdown
from thaw.config.loading import load
from thaw.records import reading
from thaw.records.writing import write_records
from thaw.reporting.plotting import FAINT, INK, LOOKS, use_style

HERE = pathlib.Path(__file__).resolve().parent
TURNS = 7  # measured ones of each side, after a first one that traces
FILLS = 3  # passes that fill a store, of which the middle one counts
SHORT = 60  # seconds; a pass that fills the store in more is measured once
BACKBONES = dict.fromkeys(row.backbone for row in ROWS)
NEEDED = (
    f"{paths.RECORDS}/{reading.INDEX}",
    paths.RAW,
    *(paths.find_description(PRETRAINED + backbone) for backbone in BACKBONES),
)

Result = dict[str, Any]  # a row of results.json
Groups = dict[str, Callable[[], Iterator[Result]]]  # what measures them, by name


class Side:
    """A worker process, and what its turns took."""

    def __init__(self, name: str, row: Row, store: pathlib.Path) -> None:
        self.name = name
        environment = {**os.environ, "THAW_STORE": str(store)}
        command = [sys.executable, str(HERE / "worker.py"), name, row.name]
        with tempfile.NamedTemporaryFile(delete=False) as log:
            self.log = pathlib.Path(log.name)
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
            )
        self.read()

    def read(self) -> dict[str, Any]:
        """Return the worker's next reply; raises InputError, with the end of its log, where it has stopped."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise InputError(f"the {self.name} side stopped:\n{self.log.read_text()[-2000:]}")
        return json.loads(line)

    def take_turn(self, word: str = "turn") -> dict[str, Any]:
        """Send the worker `word` and return its reply."""
        assert self.process.stdin
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.read()

    def stop(self) -> None:
        """End the worker, which waits for a word, and delete its log."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()
        self.log.unlink()


def main() -> None:
    """Measure the groups and rows that the command line names, or all groups."""
    groups: Groups = {**GROUPS, **{row.name: functools.partial(compare_rows, [row]) for row in ROWS}}
    chosen = sys.argv[1:] or list(GROUPS)
    for group in chosen:
        if group not in groups:
            raise InputError(f"benchmarks: must be one of {'; '.join(groups)} (got {group!r})")
    missing = [path for path in NEEDED if not pathlib.Path(path).exists()]
    if missing:
        raise InputError(f"{missing[0]}: not there; ./run dvc repro preprocess weights makes what the benchmark needs")
    file = HERE / "results.json"
    results = {result["row"]: result for result in (read_json(file) if file.exists() else [])}
    try:
        for group in chosen:
            for result in groups[group]():
                print(json.dumps(result), file=sys.stderr, flush=True)
                results[result["row"]] = result
                write_json(file, list(results.values()))
    finally:
        if results:
            show(list(results.values()))


def show(results: Sequence[Result]) -> None:
    """Print the results and write them as a page with its figure."""
    print(render(results))
    write_text(HERE / "results.md", write_page(results))
    figure = draw([result for result in results if result["ratio"]])
    with publish(HERE / "results.svg") as path, use_style():
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None, "Creator": None})


def compare_rows(rows: Sequence[Row]) -> Iterator[Result]:
    """Yield the results of `rows`, in order.

    A row that finds the store filled comes right behind the one that fills it.
    """
    counts = reading.read_index(paths.RECORDS)["counts"]
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=".thaw") as folder:
        for row in track(rows, "benchmark", len(rows), "rows"):
            yield compare_row(row, counts, pathlib.Path(folder) / row.store)


def compare_row(row: Row, counts: dict[str, int], store: pathlib.Path) -> Result:
    """Return the result of a row: whole runs, from alternating turns of both sides, of which the middle one counts."""
    if row.filled and not store.exists():
        raise InputError(f"benchmarks: {row.name!r} finds what another row stored: ask for all of {row.architecture}")
    sides = {name: Side(name, row, store) for name in ("naive", "thaw")}
    first = {"naive": sides["naive"].take_turn()}
    opened = [sides["thaw"].take_turn()]
    while len(opened) < FILLS and opened[0]["stored"] and opened[0]["wall"] < SHORT:
        opened.append(sides["thaw"].take_turn("again"))
    first["thaw"] = sides["thaw"].take_turn()
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for _ in range(TURNS):
        for name, side in sides.items():
            turns[name].append(side.take_turn())
    for side in sides.values():
        side.stop()
    whole: dict[str, dict[str, float]] = {name: {} for name in turns}
    for name, taken in turns.items():
        # Photos of validation stand in a turn in the same proportion to those of train as in an epoch.
        scale = (counts["train"] + counts["validation"]) / (taken[0]["train"] + taken[0]["validation"])
        for clock in ("wall", "cpu"):
            middle = statistics.median(turn[clock] for turn in taken)
            # Once for each epoch, however long: reading what the first batch is shuffled from.
            start = statistics.median(turn["first"][clock] for turn in taken) if name == "thaw" else 0
            epoch = (middle - start) * scale + start
            whole[name][clock] = row.epochs * epoch + max(0, first[name][clock] - middle)
    fill = {clock: statistics.median(turn[clock] for turn in opened) for clock in ("wall", "cpu")}
    kept = row.epochs * statistics.median(turn["kept"] for turn in turns["thaw"])
    whole["thaw"]["wall"] += fill["wall"] + kept
    whole["thaw"]["cpu"] += fill["cpu"]
    peaks = {name: taken[-1]["peak_mib"] for name, taken in turns.items()}
    return {
        "row": row.name,
        "epochs": row.epochs,
        "naive_s": round(whole["naive"]["wall"], 2),
        "thaw_s": round(whole["thaw"]["wall"], 2),
        "ratio": round(whole["naive"]["wall"] / whole["thaw"]["wall"], 2),
        "limit": round(opened[0]["limit"], 2),
        "cpu_ratio": round(whole["naive"]["cpu"] / whole["thaw"]["cpu"], 2),
        "memory_ratio": round(peaks["naive"] / peaks["thaw"], 2),
        "naive_peak_mib": peaks["naive"],
        "thaw_peak_mib": peaks["thaw"],
        "fill_s": round(fill["wall"], 2),
        "state_s": round(kept, 2),
        "batches_from": "store" if opened[0]["stored"] else "records",
        "turns_s": {name: [round(turn["wall"], 2) for turn in taken] for name, taken in turns.items()},
    }


def compare_preprocessing() -> Iterator[Result]:
    """Yield the rows of preprocessing against a loop with Pillow in one process: wall time, and per core-second.

    Their limits are measured: what that loop itself gains in a process per core, the photos dealt out to them.
    """
    rows, image, cores = read_table(paths.SPLIT, numbers=("label",)), load().image, os.cpu_count() or 1
    dealt = [rows.iloc[core::cores] for core in range(cores)]
    sides: dict[str, list[tuple[float, float]]] = {"naive": [], "thaw": [], "dealt": []}
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-", dir=".thaw") as folder,
        concurrent.futures.ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool,
    ):
        for turn in range(TURNS + 1):
            sides["naive"].append(time_loop(rows, image.size))
            sides["thaw"].append(measure(functools.partial(write_records, rows, paths.RAW, image, f"{folder}/{turn}")))
            start = time.perf_counter()
            shares = list(pool.map(time_loop, dealt, [image.size] * cores))
            sides["dealt"].append((time.perf_counter() - start, sum(cpu for _, cpu in shares)))
    for name, clock in (("wall time", 0), ("core-seconds", 1)):
        # Without the first turn, which starts the processes.
        middle = {side: statistics.median(turn[clock] for turn in turns[1:]) for side, turns in sides.items()}
        yield {
            "row": f"preprocess, {name}, against one process",
            "naive_s": round(middle["naive"], 2),
            "thaw_s": round(middle["thaw"], 2),
            "ratio": round(middle["naive"] / middle["thaw"], 2),
            "limit": round(middle["naive"] / middle["dealt"], 2),
        }


def loop_over_photos(rows: pd.DataFrame, size: int) -> None:
    """Decode and resize every photo, one after the other, and write the pixels to a file, which is on the disk then.

    Records are on the disk, too, when the stage ends (thaw.base.files).
    """
    with tempfile.TemporaryFile(dir=".thaw") as file:
        for name in rows.file:
            with PIL.Image.open(pathlib.Path(paths.RAW) / name) as photo:
                pixels = np.asarray(photo.convert("RGB").resize((size, size), PIL.Image.Resampling.BILINEAR))
            file.write(pixels.tobytes())
        file.flush()
        os.fsync(file.fileno())


def time_loop(rows: pd.DataFrame, size: int) -> tuple[float, float]:
    """Return (wall seconds, CPU seconds of this process) of the loop."""
    return measure(lambda: loop_over_photos(rows, size))


def compare_feeding() -> Iterator[Result]:
    """Yield the row of one frozen epoch fed from NumPy arrays in memory against the same from the records."""
    network = keras.applications.MobileNet(include_top=False, weights=None, pooling="avg")
    network.trainable = False
    model = keras.Sequential([network, keras.layers.Dense(CLASSES)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    count = 640
    batches = reading.read_batches(paths.RECORDS, "train", BATCH).take(count // BATCH).cache()
    images = np.concatenate([of_batch for of_batch, _ in batches])
    labels = np.concatenate([of_batch for _, of_batch in batches])

    def from_arrays() -> None:
        model.fit(images, labels, batch_size=BATCH, verbose=0)

    def from_records() -> None:
        model.fit(reading.read_batches(paths.RECORDS, "train", BATCH, order=1).take(count // BATCH), verbose=0)

    measure(from_arrays), measure(from_records)  # trace
    turns = [(measure(from_arrays)[0], measure(from_records)[0]) for _ in range(TURNS)]
    naive_s, thaw_s = (statistics.median(seconds) for seconds in zip(*turns, strict=True))
    photos = reading.read_index(paths.RECORDS)["counts"]["train"]
    scale = photos / count
    yield {
        "row": "MobileNet, an epoch fed from records, against NumPy arrays in memory",
        "naive_s": round(naive_s * scale, 2),
        "thaw_s": round(thaw_s * scale, 2),
        "ratio": round(naive_s / thaw_s, 2),
        "limit": 1.0,
        "naive_arrays_mib": round(photos * images[0].nbytes / 2**20),
    }


def time_warm_repro() -> Iterator[Result]:
    """Yield the row of a `dvc repro` of the whole table that finds nothing to do."""
    if subprocess.run(["./run", "dvc", "status", "--quiet"], check=False).returncode:
        raise InputError("dvc repro would have something to do: run it first (./run dvc status says what)")
    seconds, _ = measure(lambda: subprocess.run(["./run", "dvc", "repro", "--quiet"], check=True))
    name = "dvc repro with nothing to do, seconds"
    yield {"row": name, "naive_s": None, "thaw_s": round(seconds, 2), "ratio": None, "limit": 15}


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Return (wall seconds, CPU seconds of this process) that calling `work` takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def render(results: Sequence[Result]) -> str:
    """Return the results as a table for a terminal."""
    table = pd.DataFrame(results).set_index("row")
    columns = ["naive_s", "thaw_s", "ratio", "limit", "cpu_ratio", "memory_ratio"]
    return table.reindex(columns=columns).to_string(na_rep="")


def write_page(results: Sequence[Result]) -> str:
    """Return the results as a page in Markdown: a table of the compared rows, what else was timed, and the machine."""
    header = ["Row", "Naive s", "thaw s", "Ratio", "Limit", "CPU ratio", "Memory ratio", "thaw peak MiB", "Fill s"]
    keys = ["naive_s", "thaw_s", "ratio", "limit", "cpu_ratio", "memory_ratio", "thaw_peak_mib", "fill_s"]
    rows = [
        [result["row"], *("–" if result.get(key) is None else f"{result[key]:,}" for key in keys)] for result in results
    ]
    machine = f"{os.cpu_count()} cores ({platform.machine()}), TensorFlow {tf.__version__}, Keras {keras.__version__}"
    return (
        "# What was measured\n\nWhole runs on TF-Flowers, in seconds; [README.md](README.md) says how, and what the "
        "limit is. Written by `compare.py`.\n\n![ratios and their limits](results.svg)\n\n"
        f"{to_markdown(header, rows, left=1)}\n\nThe last row that was measured ran on {machine}.\n"
    )


def draw(results: Sequence[Result]) -> Figure:
    """Return a Figure of each row's ratio as a bar, with a tick at what arithmetic allows, on a logarithmic axis."""
    with use_style():
        figure = Figure(figsize=(8, 0.32 * len(results) + 1))
        axes = figure.add_subplot()
        places = np.arange(len(results))[::-1]
        colours = {row.name: LOOKS[row.architecture].colour for row in ROWS}
        ratios = [result["ratio"] for result in results]
        looks = [colours.get(result["row"], FAINT) for result in results]
        axes.barh(places, [ratio - 0.5 for ratio in ratios], left=0.5, height=0.6, color=looks)
        limits = [result["limit"] for result in results]
        axes.scatter(limits, places, marker="|", s=200, color=INK, label="what arithmetic allows")
        axes.axvline(1, color=FAINT, linewidth=1)
        for place, ratio in zip(places, ratios, strict=True):
            axes.annotate(f"{ratio:g}×", (ratio, place), (4, 0), textcoords="offset points", va="center")
        axes.set(xscale="log", xlim=(0.5, None), yticks=places, yticklabels=[result["row"] for result in results])
        axes.set_title("Time of the naive loop over time of thaw, whole runs")
        axes.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axes.legend(loc="lower right")
    return figure


GROUPS: Groups = {  # what can be asked for by name
    "preprocess": compare_preprocessing,
    "feeding": compare_feeding,
    **{
        architecture: functools.partial(compare_rows, [row for row in ROWS if row.architecture == architecture])
        for architecture in dict.fromkeys(row.architecture for row in ROWS)
    },
    "repro": time_warm_repro,
}


if __name__ == "__main__":
    run_program(main)
