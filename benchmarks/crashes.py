"""Kills every stage of a small table at random moments, and compares what a rerun makes with an undisturbed run.

    ./run python benchmarks/crashes.py --kills 100

Every stage of dvc.yaml runs on drawn flowers: once undisturbed, then killed in turn. A round runs `dvc repro` of one
stage in a process group of its own, kills all of the group with SIGKILL at a moment drawn uniformly over what the stage
took, and lets `dvc repro` finish the table; DVC's run cache is off, so that nothing is served from it. In every second
round the store of activations is emptied first, so that its filling is killed too. Counted are reruns that fail,
outputs with another digest than those of the undisturbed run, and what is left of killed processes after the rerun.

Writes crashes.json and crashes.md beside this file, after every round, and exits with status 1 unless all counts are
zero. A round takes half a minute on two cores.
"""

import argparse
import os
import pathlib
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from thaw.base.errors import run_program
from thaw.base.files import write_json, write_text
from thaw.base.progress import track
from thaw.cli.workspaces import make_workspace, run_dvc
from thaw.comparison.words import to_markdown
from thaw.config.loading import read_yaml
from thaw.config.presets import read_preset

REPRO = ("-m", "dvc", "repro", "--no-run-cache")
STORE = ".thaw/activations"
SCRATCH = ".publishing-*"  # what a killed process leaves half-written


class Round(NamedTuple):
    """One kill and what came of it."""

    stage: str
    moment: float  # seconds after the start, at which it was killed
    killed: bool  # it had not ended before
    failed: bool  # the rerun did
    changed: list[str]  # outputs with another digest than undisturbed
    remains: list[str]  # what is left half-written after the rerun


def make_document() -> dict[str, Any]:
    """Return the parameters: the preset `demo` with few photos and epochs, and a run of every kind."""
    document = read_preset("demo")
    (backbone,) = document["backbones"].values()
    backbone["pretraining"] |= {"photos_per_class": 12, "epochs": 1}
    document["dataset"]["photos_per_class"] = 30
    document["split"] |= {"train": 0.5, "validation": 0.25, "test": 0.25}
    document["baseline_cnn"]["epochs"] = 3
    for section, epochs in (("frozen", 4), ("finetune", 4)):
        for run in document[section].values():
            run["epochs"] = epochs
    ((run, repeated),) = document["replicates"].items()
    document["replicates"] = {run: {**repeated, "count": 2}}
    document["folds"] = {run: {**repeated, "count": 2}}
    return document


def start(folder: pathlib.Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `dvc repro` in `folder` with `arguments`, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, *REPRO, *arguments],
        cwd=folder,
        env={**os.environ, "THAW_STORE": STORE},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str], what: str) -> None:
    """Wait for a process that must succeed; raises RuntimeError with its last lines where it does not."""
    printed, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{what} failed:\n{printed[-2000:]}")


def list_stages(folder: pathlib.Path) -> list[str]:
    """Return the names of all stages of the workspace `folder`, in the order in which they ran."""
    return list(read_yaml(folder / "dvc.lock")["stages"])


def read_digests(folder: pathlib.Path) -> dict[str, str]:
    """Return {output: digest} of the dvc.lock in `folder`, measured times apart."""
    stages = read_yaml(folder / "dvc.lock")["stages"].values()
    found = {out["path"]: out["md5"] for stage in stages for out in stage["outs"]}
    # cost.md and the pages that embed measured times tell them.
    return {path: digest for path, digest in found.items() if "timing" not in path and not path.startswith("report/")}


def kill_once(folder: pathlib.Path, stage: str, moment: float, emptied: bool, digests: dict[str, str]) -> Round:
    """Kill `stage` in the finished workspace `folder` after `moment` seconds, run the table again and compare."""
    if emptied:
        shutil.rmtree(folder / STORE, ignore_errors=True)
    process = start(folder, "--single-item", "--force", stage)
    try:
        process.wait(moment)
        killed = False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        killed = True
    process.communicate()
    # As ./run does before every `dvc repro`.
    starting = [sys.executable, "-P", "-m", "thaw.config.starting", "repro"]
    subprocess.run(starting, cwd=folder, env={**os.environ, "THAW_STORE": STORE}, check=True)
    again = start(folder)
    printed, _ = again.communicate()
    failed = again.returncode != 0
    if failed:
        print(printed[-2000:], file=sys.stderr)
    found = {} if failed else read_digests(folder)
    changed = [] if failed else sorted(path for path in digests if found.get(path) != digests[path])
    remains = sorted(str(path.relative_to(folder)) for path in folder.rglob(SCRATCH))
    return Round(stage, round(moment, 2), killed, failed, changed, remains)


def measure_stages(folder: pathlib.Path, stages: Sequence[str]) -> dict[str, float]:
    """Return {stage: seconds} of `dvc repro` of each stage alone, DVC's own start included."""
    seconds = {}
    for stage in track(stages, "undisturbed", len(stages), "stages"):
        begun = time.monotonic()
        finish(start(folder, "--single-item", "--force", stage), stage)
        seconds[stage] = time.monotonic() - begun
    return seconds


def write_result(rounds: Sequence[Round], seed: int) -> None:
    """Write crashes.json and crashes.md."""
    here = pathlib.Path(__file__)
    kinds = sorted({round.stage.partition("@")[0] for round in rounds})
    write_json(
        here.with_suffix(".json"),
        {"seed": seed, "machine": platform.machine(), "rounds": [round._asdict() for round in rounds]},
    )
    rows = []
    for kind in kinds:
        of_kind = [round for round in rounds if round.stage.partition("@")[0] == kind]
        counts = (
            len(of_kind),
            sum(round.killed for round in of_kind),
            sum(round.failed for round in of_kind),
            sum(bool(round.changed) for round in of_kind),
            sum(bool(round.remains) for round in of_kind),
        )
        rows.append([f"`{kind}`", *map(str, counts)])
    rows.append(["all", *(str(sum(int(row[column]) for row in rows)) for column in range(1, 6))])
    heads = ["Stage", "Rounds", "Killed before the end", "Reruns failed", "Digests changed", "Remains"]
    write_text(here.with_suffix(".md"), to_markdown(heads, rows) + "\n")


def main() -> None:
    """Run the table, then kill as often as asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="rounds (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="of the stages' order and the moments (default: 1)")
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="thaw-crashes-") as temporary:
        folder = pathlib.Path(temporary, "table")
        make_workspace(folder, make_document())
        finish(start(folder), "the undisturbed run")
        run_dvc(folder, "config", "--local", "core.analytics", "false")
        digests, stages = read_digests(folder), list_stages(folder)
        seconds = measure_stages(folder, stages)
        order = [
            stage for _ in range(-(-arguments.kills // len(stages))) for stage in generator.sample(stages, len(stages))
        ]
        rounds: list[Round] = []
        for number, stage in enumerate(track(order[: arguments.kills], "killed", arguments.kills, "rounds")):
            rounds.append(kill_once(folder, stage, generator.uniform(0, seconds[stage]), number % 2 == 0, digests))
            write_result(rounds, arguments.seed)
    bad = [round for round in rounds if round.failed or round.changed or round.remains]
    print(f"{len(rounds)} rounds, {sum(round.killed for round in rounds)} killed before their end, {len(bad)} bad")
    for round in bad:
        print(round)
    sys.exit(bool(bad))


if __name__ == "__main__":
    run_program(main)
