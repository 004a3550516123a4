"""The workers of a cluster: what they have, whether they compute as this machine does, which has room for a stage."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from thaw.base.progress import say
from thaw.engine import errand
from thaw.engine.costs import Cost

CORES, MEMORY, GPU = "CORES", "MEMORY", "GPU"  # resources of Dask that workers declare; MEMORY in bytes

# What writes the bytes of outputs and of dvc.lock, and what must be the same at both ends of a connection.
PACKAGES = (
    "dask", "distributed", "cloudpickle", "msgpack", "tornado",
    "dvc", "dvc-data", "dvc-objects", "h5py", "keras", "numpy", "pandas", "pillow", "protobuf", "scikit-learn", "scipy",
    "tensorflow",
)  # fmt: skip


class Worker(NamedTuple):
    """A process that runs stages."""

    address: str
    resources: Mapping[str, float]  # what it declares

    def has(self, name: str) -> float:
        """Return how much of a resource it has: without limit where it declares none, but no GPU."""
        return self.resources.get(name, 0.0 if name == GPU else float("inf"))


def list_asked(cost: Cost, threads: int, gpu: bool) -> dict[str, float]:
    """Return the resources that a stage asks for: `threads` cores, the memory of its cost, one GPU if `gpu`."""
    return {CORES: float(threads), MEMORY: float(cost.memory), **({GPU: 1.0} if gpu else {})}


def find_room(
    workers: Iterable[Worker], running: Mapping[str, Sequence[Mapping[str, float]]], asked: Mapping[str, float]
) -> Worker | None:
    """Return the worker that has room for a stage and is least busy; None where none has room.

    `running` has what stages asked for that run there. A worker with nothing to do takes any stage, but for one that
    asks for a GPU which it has not; one that declares no CORES takes no second stage.
    """
    fitting = []
    for worker in workers:
        others = running.get(worker.address, [])
        used = {name: sum(other.get(name, 0.0) for other in others) for name in asked}
        fits = CORES in worker.resources and all(used[name] + asked[name] <= worker.has(name) for name in asked)
        if asked.get(GPU, 0.0) + used.get(GPU, 0.0) <= worker.has(GPU) and (fits or not others):
            share = used[CORES] / worker.has(CORES) if CORES in worker.resources else 0.0
            fitting.append((share, len(others), worker))
    return min(fitting, key=lambda each: each[:2])[2] if fitting else None


def count_slots(workers: Iterable[Worker], threads: int) -> int:
    """Return how many stages of so many threads the workers run at a time."""
    return sum(max(1, int(each.resources[CORES] // threads)) if CORES in each.resources else 1 for each in workers)


def compare_packages(versions: Mapping[str, Any], theirs: Mapping[str, Any], whose: str) -> str | None:
    """Return the line for a machine whose Python or packages are others than here, None where they are the same.

    Both are what Dask's `get_versions` says of a process.
    """
    own, other = (
        {
            "Python": ".".join(each["host"]["python"].split(".")[:2]),
            **{name: each["packages"].get(name) for name in PACKAGES},
        }
        for each in (versions, theirs)
    )
    differing = [f"{name} {other[name] or 'not at all'} (here {own[name]})" for name in own if own[name] != other[name]]
    if not differing:
        return None
    return f"--cluster: {whose} must have the packages of requirements.txt, as here (it has {', '.join(differing)})"


def compare_isa(isa: str, theirs: str, whose: str) -> str | None:
    """Return the line for a worker whose processor computes otherwise than this one; None where both do the same.

    `isa` is compute.onednn_isa, `theirs` what `errand.find_isa` found there.
    """
    own, other = (_limit(isa, found) for found in (errand.find_isa(), theirs))
    if own == other:
        return None
    return (
        f"--cluster: {whose} must compute with the instructions of this machine, {own} (it has {other}): results "
        "differ in the last bits. compute.onednn_isa sets what both have"
    )


def _limit(isa: str, found: str) -> str:
    """Return what oneDNN uses on a processor with `found` where compute.onednn_isa is `isa`."""
    order = list(errand.ISAS)
    if isa not in order or found not in order:
        return found
    return order[max(order.index(isa), order.index(found))]


def say_undeclared(workers: Iterable[Worker]) -> None:
    """Say which workers declare no CORES, and what that means."""
    silent = [worker.address for worker in workers if CORES not in worker.resources]
    if silent:
        say(f'{", ".join(silent)}: no CORES declared, so one stage at a time runs there (--resources "CORES=8")')
