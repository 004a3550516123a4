"""Measures `thaw repro` with independent runs side by side against `dvc repro`, which runs them one after the other.

    ./run python benchmarks/parallel.py --turns 3
    ./run python benchmarks/parallel.py cluster
    ./run python benchmarks/parallel.py project

Eight shallow runs (a head on a small frozen MobileNetV3, each with a learning rate of its own) on drawn flowers, one
thread each (`compute.threads: 1`). Photos, records and first weights are made once; then the runs and their
evaluations are made in turns by `dvc repro` and by `thaw repro --jobs N`, each in a copy of that workspace, with a
cache and a store of activations of its own. A turn counts everything from the start of the command to its end. The
dvc.lock of both sides must be the same in every turn, digests of measured times apart, or the benchmark fails.

On the table that is finished then, `thaw repro` and `dvc repro` take turns with nothing to do.

With `cluster` the same table is made once each by `dvc repro`, by `thaw repro --jobs N`, on a cluster of three workers
on this machine, and on one of which a worker is killed a second after the first training has begun; Dask starts another
in its place. Photos, records and first weights lie in a remote, a folder. Each worker has a folder of its own. Wall
time is that of the command, CPU time that of all processes, those of the cluster too and the killed one's training not.

With `project` nothing is measured: the table of params.yaml is scheduled by the times that metrics/timing has of its
stages, a stage that is ready and has most behind it first, on so many places as there are jobs at a time.

Writes parallel.json and parallel.md beside this file, with `cluster` parallel-cluster.json and .md, with `project`
parallel-project.json and .md. It needs an otherwise idle machine, and some twenty minutes on two cores.
"""

import argparse
import contextlib
import heapq
import math
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psutil

from thaw.base import paths
from thaw.base.errors import run_program
from thaw.base.files import write_json, write_text
from thaw.base.progress import track
from thaw.cli.forecast import count_repeats
from thaw.cli.workspaces import CODE, make_workspace
from thaw.comparison.words import to_markdown
from thaw.config.loading import load, read_yaml
from thaw.config.presets import ROOT, read_preset
from thaw.engine.costs import SECONDS, Cost, find_chains, read_costs
from thaw.engine.pipeline import Step, open_pipeline

RUNS = 8
WORKERS = 3
SENT = 15.0  # seconds, assumed for a stage on a cluster: 1.7 GB at a gigabit a second
SHARED = ("preprocess", "weights")  # what is made before the clock starts
TARGETS = ("train_frozen", "evaluate_frozen")
TIMED = re.compile(r"timing")  # in the path of an output whose digest is of measured times


def make_document(runs: int, photos: int, epochs: int) -> dict[str, Any]:
    """Return the parameters: `runs` heads of so many epochs on the backbone of the demo, `photos` of each class."""
    document = read_preset("demo")
    document["compute"]["threads"] = 1
    document["dataset"]["photos_per_class"] = photos
    document["split"] |= {"train": 0.5, "validation": 0.25, "test": 0.25}
    (backbone,) = document["backbones"].values()
    backbone["pretraining"] |= {"photos_per_class": 12, "epochs": 1}  # how good the weights are takes no time
    ((name, run),) = document["frozen"].items()
    rates = {f"{name}-{number}": 1e-3 * 1.5**number for number in range(runs)}
    document["frozen"] = {
        key: {**run, "optimizer": {"name": "adam", "learning_rate": rate}, "epochs": epochs}
        for key, rate in rates.items()
    }
    document |= {"finetune": {}, "replicates": {}, "folds": {}, "export": {}, "explain": {}}
    return document


def list_command(side: str, jobs: int) -> list[str]:
    """Return the command of a side without its targets."""
    if side == "sequential":
        return [sys.executable, "-P", "-m", "dvc", "repro"]
    return [sys.executable, "-P", "-m", "thaw", "repro", "--jobs", str(jobs)]


def measure(folder: pathlib.Path, command: Sequence[str], targets: Sequence[str] = ()) -> float:
    """Return the seconds that `command` takes in the workspace `folder`; raises RuntimeError where it fails."""
    if "dvc" in command:  # as `./run dvc repro` has it, and as `thaw repro` does itself
        targets_of_check = ["-m", "thaw.config.starting", "repro", *targets]
        checked = [[sys.executable, "-P", *targets_of_check], [*command, *targets]]
    else:
        checked = [[*command, *targets]]
    variables = {"PYTHONPATH": str(ROOT / "src"), "THAW_STORE": str(folder / ".thaw" / "activations")}
    begun = time.monotonic()
    for words in checked:
        done = subprocess.run(words, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return time.monotonic() - begun


def read_lock(folder: pathlib.Path) -> list[Any]:
    """Return the stages of dvc.lock in their order, without the digests of measured times."""
    stages = read_yaml(folder / "dvc.lock")["stages"]
    for stage in stages.values():
        stage["outs"] = [out for out in stage["outs"] if not TIMED.search(out["path"])]
    return list(stages.items())


def share(folder: pathlib.Path) -> None:
    """Put the workspace `folder` under git, which workers get, with a remote beside it that has what is made."""
    remote = folder.with_name(f"{folder.name}-remote")
    shutil.rmtree(remote, ignore_errors=True)
    identity = ["-c", "user.name=parallel", "-c", "user.email=parallel@example.org"]
    dvc, git = [sys.executable, "-m", "dvc"], ["git", *identity]
    for words in (
        [*dvc, "remote", "add", "--force", "--default", "storage", str(remote)],
        [*dvc, "push"],
        [*git, "init", "--quiet"],
        [*git, "add", *CODE, paths.PARAMS, ".dvc/config"],
        [*git, "commit", "--quiet", "--message", "Code and parameters"],
    ):
        subprocess.run(words, cwd=folder, check=True, capture_output=True)


def kill_in_training(pids: Sequence[int], ended: threading.Event) -> None:
    """Kill the first of these processes in which a training has run for a second."""
    while not ended.wait(0.1):
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                started = psutil.Process(pid).children(recursive=True)
                if any("stages/train_frozen.py" in child.cmdline() for child in started):
                    time.sleep(1)
                    os.kill(pid, signal.SIGKILL)
                    return


def measure_on_cluster(folder: pathlib.Path, kill: bool) -> float:
    """Return the seconds that the table takes on three workers; one of them is killed if `kill`."""
    import distributed

    share(folder)
    local, ended = folder.with_name(f"{folder.name}-workers"), threading.Event()
    with distributed.LocalCluster(
        n_workers=WORKERS,
        threads_per_worker=1,
        resources={"CORES": 1},
        dashboard_address=None,
        local_directory=str(local),
    ) as cluster:
        killing = threading.Thread(
            target=kill_in_training, args=([each.pid for each in cluster.workers.values()], ended)
        )
        if kill:
            killing.start()
        command = [sys.executable, "-P", "-m", "thaw", "repro", "--cluster", cluster.scheduler_address]
        seconds = measure(folder, command, TARGETS)
        ended.set()
        if kill:
            killing.join()
    return seconds


def read_cpu() -> float:
    """Return the CPU seconds of this process and of those it started that have ended."""
    return sum(os.times()[:4])


def run_cluster(temporary: pathlib.Path, shared: pathlib.Path, jobs: int) -> list[dict[str, Any]]:
    """Return a row for each way to make the table; raises RuntimeError where one leaves another dvc.lock."""
    ways: dict[str, Callable[[pathlib.Path], float]] = {
        "dvc repro": lambda folder: measure(folder, list_command("sequential", 1), TARGETS),
        f"thaw repro --jobs {jobs}": lambda folder: measure(folder, list_command("parallel", jobs), TARGETS),
        f"cluster of {WORKERS} workers": lambda folder: measure_on_cluster(folder, False),
        "the same, one worker killed": lambda folder: measure_on_cluster(folder, True),
    }
    rows: list[dict[str, Any]] = []
    locks = []
    for way, run in track(ways.items(), "parallel", len(ways), "ways"):
        folder = temporary / f"way-{len(rows)}"
        shutil.copytree(shared, folder, symlinks=True)
        before = read_cpu()
        seconds = run(folder)
        rows.append({"way": way, "seconds": round(seconds, 1), "cpu_seconds": round(read_cpu() - before, 1)})
        locks.append(read_lock(folder))
        rows[-1]["equal_lock"] = locks[-1] == locks[0]
    if not all(row["equal_lock"] for row in rows):
        raise RuntimeError(f"another dvc.lock: {[row['way'] for row in rows if not row['equal_lock']]}")
    return rows


def describe_cluster(result: Mapping[str, Any]) -> str:
    """Return those rows as a table in Markdown."""
    rows = [
        [
            f"`{row['way']}`" if "repro" in row["way"] else row["way"],
            f"{row['seconds']:.0f}",
            f"{row['cpu_seconds']:.0f}",
            "yes",
        ]
        for row in result["ways"]
    ]
    told = (
        f"{result['machine']}; {result['runs']} shallow runs of {result['threads']} thread each and their evaluations."
    )
    return f"{to_markdown(['', 'wall, s', 'CPU, s', 'equal dvc.lock'], rows)}\n\n{told}\n"


def schedule(steps: Sequence[Step], costs: Mapping[str, Cost], jobs: int, added: float) -> float:
    """Return the seconds until the last of `steps` has ended, `jobs` at a time; each takes `added` more than its cost.

    `steps` has what is read first. Of those that are ready the one with the longest chain behind it starts first.
    """
    chains, ended = find_chains(steps, costs), dict.fromkeys((step.name for step in steps), math.inf)
    waiting, running, now = {step.name: step for step in steps}, list[tuple[float, str]](), 0.0
    while waiting or running:
        ready = [name for name, step in waiting.items() if all(ended[before] <= now for before in step.upstream)]
        for name in sorted(ready, key=lambda name: -chains[name])[: jobs - len(running)]:
            heapq.heappush(running, (now + costs[name].seconds + added, waiting.pop(name).name))
        now, name = heapq.heappop(running)
        ended[name] = now
    return now


def project() -> dict[str, Any]:
    """Return the hours of the table of params.yaml one stage after the other, side by side, and on a cluster."""
    with open_pipeline() as pipeline:
        steps = pipeline.read_steps([], True)
    params = load()
    costs = count_repeats(read_costs(steps), params)
    ways = {
        f"one after the other, {params.compute.threads} cores": (1, 0.0),
        f"`thaw repro` on 16 cores: {16 // params.compute.threads} stages at a time": (
            16 // params.compute.threads,
            0.0,
        ),
        f"8 workers of {params.compute.threads} cores": (8, SENT),
    }
    longest = max(find_chains(steps, costs).values())
    rows = [
        {"way": way, "hours": round(schedule(steps, costs, jobs, added) / 3600, 2)}
        for way, (jobs, added) in ways.items()
    ]
    return {"stages": len(steps), "threads": params.compute.threads, "longest": round(longest / 3600, 2), "ways": rows}


def describe_projection(result: Mapping[str, Any]) -> str:
    """Return those hours as a table in Markdown, with what they assume."""
    first = result["ways"][0]["hours"]
    rows = [[row["way"], f"{row['hours']:.1f}", f"{first / row['hours']:.1f}"] for row in result["ways"]]
    told = (
        f"A projection for the {result['stages']} stages of params.yaml, nothing cached. Assumed: a stage takes what "
        "metrics/timing says of it, on every machine and beside any other; seeds and folds take what as many trainings "
        f"of the run took; a stage that measures no time takes {SECONDS:.0f} s; memory is enough; on a cluster every "
        f"stage takes {SENT:.0f} s more, for what is pulled and pushed. A store of activations that one run filled for "
        "others is filled by each worker again, which is not counted. The longest chain of stages, which no number of "
        f"machines shortens, takes {result['longest']:.1f} hours."
    )
    return f"{to_markdown(['', 'hours', 'times as fast'], rows)}\n\n{told}\n"


def describe(result: Mapping[str, Any]) -> str:
    """Return the result as a table in Markdown."""
    rows = []
    for name in ("table", "warm"):
        measured = result[name]
        sides = [statistics.median(measured[side]) for side in ("sequential", "parallel")]
        rows.append([measured["of"], *(f"{seconds:.1f}" for seconds in sides), f"{sides[0] / sides[1]:.2f}"])
    heads = ["", "`dvc repro`, s", f"`thaw repro --jobs {result['jobs']}`, s", "ratio"]
    told = f"{result['machine']}; the middle one of {result['turns']} turns of each side."
    return f"{to_markdown(heads, rows)}\n\n{told}\n"


def main() -> None:
    """Make what both sides share, measure them in turns, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="?", choices=["machine", "cluster", "project"], default="machine")
    parser.add_argument("--turns", type=int, default=3, help="of each side (default: 3)")
    parser.add_argument("--jobs", type=int, default=2, help="of thaw repro (default: 2)")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"in the table (default: {RUNS})")
    parser.add_argument("--photos", type=int, default=300, help="of each class (default: 300)")
    parser.add_argument("--epochs", type=int, default=400, help="of each run (default: 400)")
    parser.add_argument(
        "--results", type=pathlib.Path, default=pathlib.Path(__file__).parent, help="folder to write to"
    )
    arguments = parser.parse_args()
    if arguments.what == "project":
        write(arguments.results / "parallel-project", project(), describe_projection)
        return
    seconds: dict[str, dict[str, list[float]]] = {
        name: {"sequential": [], "parallel": []} for name in ("table", "warm")
    }
    with tempfile.TemporaryDirectory(prefix="thaw-parallel-") as temporary:
        shared = pathlib.Path(temporary, "shared")
        make_workspace(shared, make_document(arguments.runs, arguments.photos, arguments.epochs))
        measure(shared, list_command("sequential", 1), SHARED)
        common = {"machine": f"{os.cpu_count()} cores ({platform.machine()})", "threads": 1}
        if arguments.what == "cluster":
            common |= {name: getattr(arguments, name) for name in ("jobs", "runs", "photos", "epochs")}
            ways = run_cluster(pathlib.Path(temporary), shared, arguments.jobs)
            write(arguments.results / "parallel-cluster", {**common, "ways": ways}, describe_cluster)
            return
        for turn in track(range(arguments.turns), "parallel", arguments.turns, "turns"):
            sides = ("sequential", "parallel") if turn % 2 == 0 else ("parallel", "sequential")
            locks = []
            for side in sides:
                folder = pathlib.Path(temporary, side)
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(shared, folder, symlinks=True)
                command = list_command(side, arguments.jobs)
                seconds["table"][side].append(round(measure(folder, command, TARGETS), 2))
                locks.append(read_lock(folder))
                seconds["warm"][side].append(round(measure(folder, command, TARGETS), 2))
            if locks[0] != locks[1]:
                raise RuntimeError("the two sides left another dvc.lock")
    result = {
        **common,
        **{name: getattr(arguments, name) for name in ("jobs", "turns", "runs", "photos", "epochs")},
        "table": {"of": f"{arguments.runs} shallow runs and their evaluations", **seconds["table"]},
        "warm": {"of": "the same with nothing to do", **seconds["warm"]},
    }
    write(arguments.results / "parallel", result, describe)


def write(path: pathlib.Path, result: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], str]) -> None:
    """Write a result as PATH.json and, as `tell` tells it, as PATH.md, and print that."""
    write_json(path.with_suffix(".json"), result)
    write_text(path.with_suffix(".md"), tell(result))
    print(tell(result))


if __name__ == "__main__":
    run_program(main)
