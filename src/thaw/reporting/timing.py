"""What was measured in time and memory, as the report reads it, and the machine that this process runs on."""

import importlib.metadata
import pathlib
import platform
from collections.abc import Mapping
from typing import Any, NamedTuple

import psutil

from thaw.base import paths
from thaw.base.machine import find_processor
from thaw.comparison.results import Results, read_metrics
from thaw.comparison.words import escape


class Latency(NamedTuple):
    """The inference time of a run's network."""

    run: str  # that was timed: the runs of one backbone and head are the same forward pass
    milliseconds: dict[str, dict[str, float]] | None  # an image, as `evaluation.latency.measure_latency` has it


def read_training_time(name: str, folder: str | pathlib.Path = ".") -> dict[str, Any]:
    """Return what was measured while run `name` trained; raises InputError where it was not."""
    return read_metrics(pathlib.Path(folder) / paths.find_training_time(name), name)


def read_minutes(results: Results, folder: str | pathlib.Path = ".") -> dict[str, float]:
    """Return {run: minutes} that the training of every run took, that of the frozen run it starts from included.

    Raises InputError where it was not measured.
    """
    took = {run.name: read_training_time(run.name, folder)["seconds"] for run in results.runs}
    own = {name: seconds["prefix"] + seconds["training"] for name, seconds in took.items()}
    return {run.name: (own[run.name] + own.get(run.start or "", 0.0)) / 60 for run in results.runs}


def read_latencies(results: Results, folder: str | pathlib.Path = ".") -> dict[str, Latency]:
    """Return {run: its Latency} of every run, from the files below `folder`.

    A file holds the milliseconds of its run, or the name of the run that was timed in its place. There are none where
    that one has none. Raises InputError where a run has no file.
    """
    return {run.name: _read_latency(run.name, pathlib.Path(folder)) for run in results.runs}


def _read_latency(name: str, folder: pathlib.Path) -> Latency:
    timed = read_metrics(folder / paths.find_evaluation_time(name), name).get("timed", name)
    file = folder / paths.find_evaluation_time(timed)
    if timed == name:
        return Latency(name, read_metrics(file, name, "ms_per_image"))
    return Latency(timed, read_metrics(file, timed).get("ms_per_image") if file.exists() else None)


def describe_machine() -> list[str]:
    """Return lines of Markdown about this machine: processor, cores, memory, Python, and what computes."""
    return [
        f"Processor: {escape(find_processor())}, {psutil.cpu_count()} cores",
        f"Memory: {psutil.virtual_memory().total / 2**30:.1f} GiB",
        f"System: {platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}, TensorFlow {importlib.metadata.version('tensorflow')}, "
        f"Keras {importlib.metadata.version('keras')}",
    ]


def describe_recorded(processor: Mapping[str, Any] | None) -> str:
    """Return as Markdown what a training recorded of its processor (`base.machine.describe_processor`)."""
    if not processor:
        return "not recorded"
    numbers = [f"{key} {processor[key]}" for key in ("family", "model") if processor[key] is not None]
    sets = " ".join(processor["instruction_sets"])
    return escape(processor["name"]) + "".join(f", {part}" for part in [*numbers, sets] if part)
