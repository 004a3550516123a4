"""Which runs of the table a published claim is about."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from thaw.comparison import published
from thaw.comparison.pairs import Evidence, find_frozen_share
from thaw.comparison.results import Run


class Pick(NamedTuple):
    """Some runs of one architecture."""

    architecture: str
    words: str  # what they are called in a sentence
    where: Callable[[Run], bool] = lambda run: True

    def find(self, evidence: Evidence) -> list[Run]:
        """Return the Runs, the best on validation first."""
        return published.find_runs(evidence.results, self.architecture, self.where)


BASELINE = Pick(published.BASELINE, "baseline")


def find_asked(run: Run, *keys: str) -> Any:
    """Return the value of the one key that the Run's `unfreeze` has, where it is one of `keys`; else None.

    Several keys together open a union, which no published row does.
    """
    asked = {key: value for key, value in (run.unfreeze or {}).items() if value is not None}
    return next(iter(asked.values())) if len(asked) == 1 and set(asked) <= set(keys) else None


def is_frozen(run: Run) -> bool:
    """Return whether the Run trains a head alone."""
    return run.kind == "frozen"


def is_finetuned(run: Run) -> bool:
    """Return whether the Run opens part of a backbone."""
    return run.kind == "finetuned"


def opens_layers(run: Run) -> bool:
    """Return whether the Run opens layers by their number, from the end or from the start."""
    return find_asked(run, "layers", "from_layer") is not None


def opens_last_layers(run: Run) -> bool:
    """Return whether the Run opens a fixed number of layers at the end."""
    return find_asked(run, "layers") is not None


def opens_blocks(run: Run, low: int = 1, high: int = 1000) -> bool:
    """Return whether the Run opens `low` to `high` blocks."""
    return low <= (find_asked(run, "blocks") or 0) <= high


def opens_from(run: Run, low: int, high: int) -> bool:
    """Return whether the first layer that the Run opens is number `low` to `high`, both included."""
    first = find_asked(run, "from_layer")
    return first is not None and low <= first <= high


def pick(architecture: str, words: str, where: Callable[[Run], bool]) -> Pick:
    """Return the Pick of the runs of an architecture for which `where` holds."""
    return Pick(architecture, f"{words} run of {architecture}", where)


def pick_all(architecture: str) -> Pick:
    """Return the Pick of all runs of an architecture."""
    return Pick(architecture, f"run of {architecture}")


def pick_frozen(architecture: str) -> Pick:
    """Return the Pick of the runs that train a head alone."""
    return pick(architecture, "frozen", is_frozen)


def pick_finetuned(architecture: str) -> Pick:
    """Return the Pick of the runs that open part of the backbone."""
    return pick(architecture, "fine-tuned", is_finetuned)


def pick_blocks(architecture: str, low: int, high: int = 1000) -> Pick:
    """Return the Pick of the runs that open `low` to `high` blocks."""
    words = f"{low}-block" if low == high else f"{low}- to {high}-block" if high < 1000 else "block-wise"
    return pick(architecture, words, functools.partial(opens_blocks, low=low, high=high))


def pick_layers_from(architecture: str, low: int, high: int) -> Pick:
    """Return the Pick of the runs whose first open layer is number `low` to `high`, both included."""
    return pick(architecture, "from-layer", functools.partial(opens_from, low=low, high=high))


def list_names(*picks: Pick) -> Callable[[Evidence], list[str]]:
    """Return the function that maps the evidence to the names of the runs of `picks`."""
    return lambda evidence: [run.name for one in picks for run in one.find(evidence)]


def list_deep(evidence: Evidence) -> list[str]:
    """Return the names of the fine-tuned runs that open lower layers.

    Less than half of the FLOPs of their forward pass lie in the frozen prefix.
    """
    return [name for name, share in _find_frozen_shares(evidence).items() if share < 0.5]


def list_shallow(evidence: Evidence) -> list[str]:
    """Return the names of the fine-tuned runs that open upper layers alone: the others."""
    return [name for name, share in _find_frozen_shares(evidence).items() if share >= 0.5]


def rank_architectures(evidence: Evidence) -> list[str]:
    """Return the architectures of the runs, that of the best on validation first."""

    def key(run: Run) -> float:
        return -evidence.results.scores[run.name]["validation"]["accuracy"]

    ranked = sorted(evidence.results.runs, key=key)
    names = [published.name_architecture(evidence.results, run) for run in ranked if run.backbone]
    return [name for name in dict.fromkeys(names) if name]


def pair_settings(evidence: Evidence, first: str, second: str) -> list[tuple[str, str]]:
    """Return the pairs of runs, by name, of two architectures that open the same."""
    return [
        (run.name, rival.name)
        for run in published.find_runs(evidence.results, first)
        for rival in published.find_runs(evidence.results, second)
        if rival.unfrozen == run.unfrozen
    ]


def _find_frozen_shares(evidence: Evidence) -> dict[str, float]:
    """Return {fine-tuned run: the share of the FLOPs of its forward pass that lie before its cut}."""
    return {run.name: find_frozen_share(evidence, run.name) for run in evidence.results.runs if is_finetuned(run)}
