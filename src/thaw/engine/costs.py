"""What a stage is expected to take: the seconds and the memory that it took before, from metrics/timing."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from thaw.base.errors import DamagedFile
from thaw.base.files import read_json
from thaw.engine.pipeline import Step

TIMING = "metrics/timing/"
SECONDS = 10.0  # of a stage that has measured none: mostly the start of TensorFlow
MEMORY = 3 * 2**30  # bytes, of a stage that has measured none: more than any training of the table takes


class Cost(NamedTuple):
    """What a stage takes."""

    seconds: float
    memory: int  # bytes, at its peak


def read_costs(steps: Sequence[Step]) -> dict[str, Cost]:
    """Return {step: Cost}, as metrics/timing has it of the last time; DVC deletes the file when the stage runs."""
    return {step.name: _read_cost(step) for step in steps}


def _read_cost(step: Step) -> Cost:
    seconds, memory = SECONDS, MEMORY
    for path in step.outs:
        if path.startswith(TIMING):
            with contextlib.suppress(OSError, DamagedFile):
                seconds, memory = _find_cost(read_json(path), seconds, memory)
    return Cost(seconds, memory)


def _find_cost(document: Any, seconds: float, memory: int) -> tuple[float, int]:
    """Return (seconds, bytes) as a document of metrics/timing has them, of one stage; else those given."""
    for measured in document.values() if isinstance(document, Mapping) else ():
        if not isinstance(measured, Mapping):
            continue
        took = measured.get("seconds")
        if isinstance(took, Mapping):  # of a training
            took = sum(took[part] for part in ("prefix", "training") if isinstance(took.get(part), int | float))
        if isinstance(took, int | float):
            seconds = SECONDS + took
        peak = measured.get("peak_memory_mib")
        if isinstance(peak, int | float):
            memory = round(peak * 2**20)
    return seconds, memory


def find_chains(steps: Sequence[Step], costs: Mapping[str, Cost]) -> dict[str, float]:
    """Return {step: seconds of the longest chain of stages that begins with it}; `steps` has what is read first."""
    behind = {step.name: 0.0 for step in steps}
    chains = {}
    for step in reversed(steps):
        chains[step.name] = costs[step.name].seconds + behind[step.name]
        for name in step.upstream:
            behind[name] = max(behind[name], chains[step.name])
    return chains
