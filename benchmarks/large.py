"""Measures how the pipeline copes with many photos and with many runs: seconds, and memory at the peak.

    ./run python benchmarks/large.py photos
    ./run python benchmarks/large.py runs

`photos` draws class folders of 10,000, 30,000 and 100,000 small JPEG files, no two the same and one in fifty a copy of
its neighbour at another quality, and runs what lies before the first training on each, in a workspace of its own: the
check of `./run` before DVC starts, twice, and the stages download, split and preprocess through `dvc repro`. What a
stage takes is told apart from what DVC takes around it, to hash what the stage reads and makes and to put it into its
cache. Beside that, DVC adds the same photos as one file, a tar. Memory is the sum of what the processes of a command
hold, the stage's and DVC's by themselves, as looked at five times a second. Photos and workspaces lie in a temporary
folder, some 5 GB at the most, and are removed.

`runs` trains one small run on drawn flowers, makes the files of 1,000 runs out of its own (their rates differ, and so
do some of their answers), and measures what is done with such a table: the check, `dvc status`, `dvc repro --dry`, the
forecast, DVC's own share of one stage, and the report.

Each writes its half of large.json and of large.md beside this file.
"""

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import PIL.Image
import psutil

from thaw.base import paths
from thaw.base.errors import run_program
from thaw.base.files import read_json, write_json, write_text
from thaw.base.machine import find_processor
from thaw.base.progress import say, track
from thaw.cli.workspaces import make_workspace
from thaw.comparison.words import to_markdown
from thaw.config.inputs import DATASET, KNOWN
from thaw.config.presets import ROOT, read_preset
from thaw.split.near_duplicates import chain_near_duplicates

COUNTS = (10_000, 30_000, 100_000)
CLASSES, SIDE = 10, 80  # of the photos, pixels
COPIES = 50  # one photo in so many is a copy of its neighbour
BITS = 8  # by which near duplicates may differ
RUNS = (100, 300, 1_000)
MOST_FOR_STATUS = 300  # runs
STAGES = ("download", "split", "preprocess")
ORIGINAL = "original"  # the run that is trained
SEARCHES = {"random": "hashes at random", "alike": "hashes that differ in 16 bits at most"}
BETWEEN = 0.2  # seconds between two looks at the processes

PYTHON = [sys.executable, "-P"]
DVC = [*PYTHON, "-m", "dvc"]
CHECK = [*PYTHON, "-m", "thaw.config.starting", "repro"]


class Watched(NamedTuple):
    """What a command took: of all its processes, and of those that run a script of stages/."""

    seconds: float
    cpu: float  # seconds, of all together
    peak: int  # MiB, of all together
    stage_seconds: float  # 0 where no stage ran
    stage_cpu: float
    stage_peak: int


class Look(NamedTuple):
    """What a process was seen to have."""

    process: int
    of_stage: bool  # it runs a script of stages/
    created: float
    memory: int  # bytes
    cpu: float  # seconds


def watch(words: Sequence[str], folder: pathlib.Path) -> Watched:
    """Run a command in `folder` and return what it took; raises RuntimeError, with its last words, where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "THAW_STORE": str(folder / ".thaw/store")}
    peak = stage_peak = 0
    seen: dict[int, Look] = {}
    last, begun = 0.0, time.time()
    with tempfile.TemporaryFile("w+") as output:
        process = psutil.Popen(words, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None:
            looks = look_at(process)
            seen |= {look.process: look for look in looks}
            peak = max(peak, sum(look.memory for look in looks))
            if any(look.of_stage for look in looks):
                last = time.time()
                stage_peak = max(stage_peak, sum(look.memory for look in looks if look.of_stage))
            time.sleep(BETWEEN)
        seconds = time.time() - begun
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(words)} failed:\n{output.read()[-2000:]}")
    stage = [look for look in seen.values() if look.of_stage]
    took = last - min((look.created for look in stage), default=last)
    cpu = sum(look.cpu for look in seen.values())
    return Watched(seconds, cpu, peak >> 20, took, sum(look.cpu for look in stage), stage_peak >> 20)


def look_at(process: psutil.Process) -> list[Look]:
    """Return a Look at a process and at each that it started."""
    found = []
    for each in [process, *process.children(recursive=True)]:
        try:
            with each.oneshot():
                of_stage = any(word.startswith("stages/") for word in each.cmdline())
                cpu = sum(each.cpu_times()[:2])
                found.append(Look(each.pid, of_stage, each.create_time(), each.memory_info().rss, cpu))
        except psutil.Error:  # it has just ended
            continue
    return found


def draw_photo(place: tuple[pathlib.Path, int]) -> None:
    """Write photo number `place[1]` below the folder `place[0]`: eight by eight colours at random, enlarged."""
    folder, number = place
    copied = number % COPIES == COPIES - 1
    colours = np.random.default_rng(number - copied).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    photo = PIL.Image.fromarray(colours).resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC)
    file = folder / f"class{number // COPIES % CLASSES}" / f"{number:07d}.jpg"
    file.parent.mkdir(parents=True, exist_ok=True)
    photo.save(file, quality=75 if copied else 85)


def draw_photos(folder: pathlib.Path, start: int, stop: int) -> None:
    """Write the photos from number `start` to before `stop`, a process on each core."""
    places = ((folder, number) for number in range(start, stop))
    with multiprocessing.Pool() as pool:
        for _ in track(pool.imap_unordered(draw_photo, places, 500), "large", stop - start, "photos drawn"):
            pass


def make_document(photos: pathlib.Path) -> dict[str, Any]:
    """Return the parameters of a table on a folder of photos; none of its runs is trained."""
    document = read_preset("demo")
    document["dataset"] = {"source": "folder", "path": str(photos), "digest": None}
    document["split"] |= {"train": 0.75, "validation": 0.15, "test": 0.1, "near_duplicate_bits": BITS}
    document["image"] = {"size": 64, "shards": 4}
    return {**document, "finetune": {}, "replicates": {}, "folds": {}, "export": {}, "explain": {}}


def measure_photos(photos: pathlib.Path, count: int, folder: pathlib.Path) -> dict[str, Any]:
    """Return what `count` photos take in the workspace `folder`, which is made and removed."""
    make_workspace(folder, make_document(photos))
    checks = [watch(CHECK, folder) for _ in range(2)]
    row: dict[str, Any] = {"photos": count, "check": [tell(check) for check in checks]}
    row["listing_bytes"] = (folder / DATASET).stat().st_size
    row["digests_bytes"] = (folder / KNOWN).stat().st_size if (folder / KNOWN).exists() else 0
    for stage in STAGES:
        say(f"large: {count:,} photos: {stage}")
        row[stage] = tell(watch([*DVC, "repro", "--single-item", stage], folder))
    row["unchanged"] = tell(watch([*DVC, "status", *STAGES], folder))
    hashes = np.random.default_rng(0).integers(0, 2**64, count, dtype=np.uint64)
    row["search"] = {"random": time_search(hashes), "alike": time_search(hashes & np.uint64(0xFFFF))}
    row["near_duplicate_groups"] = read_json(folder / paths.SPLIT_COUNTS)["split"]["near_duplicate_groups"]
    say(f"large: {count:,} photos: as one file")
    with tarfile.open(folder / "packed.tar", "w") as packed:
        packed.add(folder / paths.RAW, "raw")
    row["packed"] = tell(watch([*DVC, "add", "--quiet", "packed.tar"], folder))
    shutil.rmtree(folder)
    return row


def time_search(hashes: np.ndarray) -> float:
    """Return the CPU seconds in which hashes (n,) uint64 are searched for chains of near duplicates."""
    begun = time.process_time()
    chain_near_duplicates(hashes.tolist(), BITS)
    return round(time.process_time() - begun, 2)


def tell(watched: Watched) -> dict[str, float]:
    """Return what was Watched as JSON has it."""
    told = {"seconds": round(watched.seconds, 1), "cpu_seconds": round(watched.cpu, 1), "peak_mib": watched.peak}
    if watched.stage_seconds:
        told |= {"stage_seconds": round(watched.stage_seconds, 1), "stage_cpu_seconds": round(watched.stage_cpu, 1)}
        told["stage_peak_mib"] = watched.stage_peak
    return told


def find_exponent(rows: Sequence[Mapping[str, Any]], stage: str, key: str) -> float | None:
    """Return b where the time grows like photos ** b between the last two of `rows`: 1 is linear, 2 quadratic."""
    if len(rows) < 2:
        return None
    before, after = rows[-2:]
    grown = after[stage][key] / max(before[stage][key], 0.1)
    return math.log(grown) / math.log(after["photos"] / before["photos"])


def describe_photos(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the half of the page on photos."""
    header = ["", *(f"{row['photos']:,} photos" for row in rows), "grows like photos to the power of"]
    lines: list[list[str]] = []

    def add(words: str, values: Sequence[str], exponent: float | None = None) -> None:
        lines.append([words, *values, "–" if exponent is None else f"{exponent:.2f}"])

    for number, words in enumerate(("the check, photos read", "the check again")):
        add(f"{words}, s", [f"{row['check'][number]['seconds']:.1f}" for row in rows])
    for stage in STAGES:
        own = [row[stage]["stage_seconds"] for row in rows]
        add(f"`{stage}`, s", [f"{seconds:.1f}" for seconds in own], find_exponent(rows, stage, "stage_seconds"))
        cpu = [row[stage]["stage_cpu_seconds"] for row in rows]
        add(f"`{stage}`, CPU s", [f"{seconds:.1f}" for seconds in cpu], find_exponent(rows, stage, "stage_cpu_seconds"))
        rates = [row["photos"] / seconds for row, seconds in zip(rows, own, strict=True)]
        add(f"`{stage}`, photos/s", [f"{rate:,.0f}" for rate in rates])
        add(f"`{stage}`, MiB at the peak", [f"{row[stage]['stage_peak_mib']:,}" for row in rows])
        around = [row[stage]["seconds"] - row[stage]["stage_seconds"] for row in rows]
        add(f"DVC around `{stage}`, s", [f"{seconds:.1f}" for seconds in around])
        around = [row[stage]["cpu_seconds"] - row[stage]["stage_cpu_seconds"] for row in rows]
        add(f"DVC around `{stage}`, CPU s", [f"{seconds:.1f}" for seconds in around])
        add(f"DVC and `{stage}`, MiB at the peak", [f"{row[stage]['peak_mib']:,}" for row in rows])
    for kind, words in SEARCHES.items():
        add(f"search among as many {words}, CPU s", [f"{row['search'][kind]:.2f}" for row in rows])
    add("`dvc status` of the three, s", [f"{row['unchanged']['seconds']:.1f}" for row in rows])
    add("`dvc add` of the photos as one tar, s", [f"{row['packed']['seconds']:.1f}" for row in rows])
    add("digests that the check keeps, MB", [f"{row['digests_bytes'] / 1e6:.1f}" for row in rows])
    return to_markdown(header, lines)


def make_table(folder: pathlib.Path) -> dict[str, Any]:
    """Make at `folder` a table of one small run that has run, and return its parameters."""
    document = read_preset("demo")
    document["dataset"] |= {"photos_per_class": 60, "size": 32}
    document["image"] = {"size": 32, "shards": 1}
    document["split"] |= {"train": 0.4, "validation": 0.3, "test": 0.3}
    document["baseline_cnn"] |= {"network": {"filters": [4], "dense": 4, "dropout": 0.1}, "epochs": 5}
    (backbone,) = document["backbones"].values()
    backbone["pretraining"] |= {"photos_per_class": 4, "size": 32, "epochs": 1}
    (run,) = document["frozen"].values()
    document["frozen"] = {ORIGINAL: {**run, "epochs": 5}}
    document |= {"finetune": {}, "replicates": {}, "folds": {}, "export": {}, "explain": {}}
    make_workspace(folder, document)
    watch(CHECK, folder)
    watch([*DVC, "repro"], folder)
    return document


def multiply(folder: pathlib.Path, document: dict[str, Any], count: int) -> None:
    """Have the table at `folder` list `count` runs more, each with files of its own and an entry in dvc.lock."""
    run, lock = document["frozen"][ORIGINAL], (folder / "dvc.lock").read_text(encoding="utf-8")
    rate = run["optimizer"]["learning_rate"]
    entries = [cut_entry(lock, f"{stage}@{ORIGINAL}") for stage in ("train_frozen", "evaluate_frozen")]
    frozen, added = {ORIGINAL: run}, []
    generator = np.random.default_rng(0)
    for number in track(range(count), "large", count, "runs made"):
        name, own = f"run-{number:05d}", round(rate * (1 + (number + 1) / count), 9)
        frozen[name] = {**run, "optimizer": {**run["optimizer"], "learning_rate": own}}
        changed = copy_files(folder, name, generator)
        for entry in entries:
            text = entry.replace(ORIGINAL, name).replace(f"learning_rate: {rate!r}", f"learning_rate: {own!r}")
            added.append(replace_digests(text, changed))
    make_workspace(folder, {**document, "frozen": frozen})
    write_text(folder / "dvc.lock", lock + "".join(added))


def copy_files(folder: pathlib.Path, name: str, generator: np.random.Generator) -> dict[str, bytes]:
    """Write the files of run `name` out of those of ORIGINAL; return {path: content} of all of them.

    Some of its answers on validation and test are others, and its scores fit them.
    """
    predictions, scores = change_answers(folder, name, generator)
    finders = (
        paths.find_weights, paths.find_description, paths.find_training, paths.find_training_time, paths.find_history,
        paths.find_evaluation, paths.find_headline, paths.find_evaluation_time, paths.find_predictions,
        paths.find_class_scores,
    )  # fmt: skip
    written = {}
    for find in finders:
        content = (folder / find(ORIGINAL)).read_bytes()
        if find == paths.find_predictions:
            content = predictions.to_csv(index=False, lineterminator="\n").encode()
        elif find == paths.find_evaluation:
            content = json.dumps({name: scores}, indent=2).encode()
        elif find(name).endswith(".json"):
            content = content.replace(f'"{ORIGINAL}"'.encode(), f'"{name}"'.encode())
        (folder / find(name)).write_bytes(content)
        written[find(name)] = content
    return written


def change_answers(
    folder: pathlib.Path, name: str, generator: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return (predictions, scores) of run `name`: those of ORIGINAL, but up to a fifth of the answers are changed."""
    table = pd.read_csv(folder / paths.find_predictions(ORIGINAL), dtype={"id": str})
    scores = read_json(folder / paths.find_evaluation(ORIGINAL))[ORIGINAL]
    columns = [column for column in table if column.startswith("p_")]
    chosen = generator.random(len(table)) < generator.uniform(0, 0.2)
    # The probabilities move on by a class, and the answer with them.
    table.loc[chosen, columns] = np.roll(table.loc[chosen, columns].to_numpy(), 1, axis=1)
    table.loc[chosen, "predicted"] = table.loc[chosen, columns].idxmax(axis=1).str.removeprefix("p_")
    right = (table["actual"] == table["predicted"]).groupby(table["part"]).mean()
    return table, {
        key: {**value, "accuracy": round(float(right[key]), 6)} if key in right else value
        for key, value in scores.items()
    }


def cut_entry(lock: str, stage: str) -> str:
    """Return the lines of a stage in the text of a dvc.lock."""
    found = re.search(rf"^  {re.escape(stage)}:\n(?:    .*\n)+", lock, re.MULTILINE)
    assert found is not None, stage
    return found[0]


def replace_digests(entry: str, files: Mapping[str, bytes]) -> str:
    """Return an entry of dvc.lock with the digest and the size of each of `files` (path: content) in it."""

    def put(found: re.Match[str]) -> str:
        content = files.get(found[2])
        if content is None:
            return found[0]
        return f"{found[1]}      md5: {hashlib.md5(content).hexdigest()}\n      size: {len(content)}\n"

    return re.sub(r"(    - path: (.+)\n      hash: md5\n)      md5: \w+\n      size: \d+\n", put, entry)


def measure_runs(count: int, folder: pathlib.Path) -> dict[str, Any]:
    """Return what a table of `count` runs more than one takes, in the workspace `folder`."""
    say("large: the run that the others are made of")
    document = make_table(folder)
    multiply(folder, document, count)
    last = f"evaluate_frozen@run-{count - 1:05d}"
    commands = {
        "the check": CHECK,
        "the check again": CHECK,
        "stage `report`": [*PYTHON, "stages/report.py"],
        "`dvc repro --single-item` of a stage, unchanged": [*DVC, "repro", "--single-item", last],
        "`dvc commit` of a stage, which writes dvc.lock": [*DVC, "commit", "--force", last],
        "the forecast": [*PYTHON, "-m", "thaw.cli.forecast", "repro"],
    }
    if count <= MOST_FOR_STATUS:
        # With --quiet its exit status is 1 where there is something to do, as the report is here.
        commands["`dvc status`"] = ["sh", "-c", '"$@" || [ $? -eq 1 ]', "sh", *DVC, "status", "--quiet"]
    rows = {}
    for words, command in commands.items():
        say(f"large: {count:,} runs: {words}")
        rows[words] = tell(watch(command, folder))
    sizes = {
        "params.yaml": folder / paths.PARAMS,
        "dvc.lock": folder / "dvc.lock",
        "report.md": folder / paths.REPORT / "report.md",
        "report.html": folder / paths.REPORT / "report.html",
        "cost.md": folder / paths.REPORT / "cost.md",
    }
    figures = list((folder / paths.REPORT / "figures").glob("*.svg"))
    return {
        "runs": count,
        "commands": rows,
        "bytes": {name: file.stat().st_size for name, file in sizes.items()},
        "figures": len(figures),
    }


def describe_runs(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the half of the page on runs."""
    units = {"seconds": "s", "cpu_seconds": "CPU s", "peak_mib": "MiB at the peak"}
    rows = []
    for words in results[0]["commands"]:
        for key, unit in units.items():
            found = [result["commands"].get(words) for result in results]
            shown = ["–" if took is None else f"{took[key]:,.{0 if key == 'peak_mib' else 1}f}" for took in found]
            rows.append([f"{words}, {unit}", *shown])
    for name in results[0]["bytes"]:
        rows.append([f"{name}, MB", *(f"{result['bytes'][name] / 1e6:.2f}" for result in results)])
    rows.append(["figures of the report", *(str(result["figures"]) for result in results)])
    return to_markdown(["", *(f"{result['runs']:,} runs" for result in results)], rows)


def write(place: pathlib.Path, half: str, result: Any) -> None:
    """Write a half of PLACE.json and of PLACE.md, beside the other one that is there, and print the page."""
    file = place.with_suffix(".json")
    document = read_json(file) if file.exists() else {}
    machine = f"{find_processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB"
    document[half] = {"machine": f"{machine}, {platform.system()}", "measured": result}
    write_json(file, document)
    tells = {"photos": describe_photos, "runs": describe_runs}
    halves = {key: document[key] for key in tells if key in document}
    parts = [f"{tells[key](part['measured'])}\n\n{part['machine']}." for key, part in halves.items()]
    page = "\n\n".join(["Written by `large.py`.", *parts]) + "\n"
    write_text(place.with_suffix(".md"), page)
    print(page)


def main() -> None:
    """Measure what the command line asks for, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["photos", "runs"])
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="of photos, ascending")
    parser.add_argument("--runs", type=int, nargs="+", default=RUNS, help="in the table, ascending")
    parser.add_argument(
        "--results", type=pathlib.Path, default=pathlib.Path(__file__).parent, help="folder to write to"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="thaw-large-") as temporary:
        folder = pathlib.Path(temporary)
        rows: list[dict[str, Any]] = []
        if arguments.what == "runs":
            for count in arguments.runs:
                rows.append(measure_runs(count, folder / str(count)))
                write(arguments.results / "large", "runs", rows)
            return
        for start, count in zip([0, *arguments.counts], arguments.counts, strict=False):
            draw_photos(folder / "photos", start, count)
            rows.append(measure_photos(folder / "photos", count, folder / "workspace"))
            write(arguments.results / "large", "photos", rows)


if __name__ == "__main__":
    run_program(main)
