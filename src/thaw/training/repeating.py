"""A run trained again, with another seed or on other photos.

A repeated training does what `thaw.training.runs` does, from the pretrained weights on and by the same functions: with
the seed and the photos of the table it ends with the table's own run, to the bit.
"""

import hashlib
import math
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from thaw.base.names import PARTS
from thaw.base.quiet import keras
from thaw.networks import classifiers, forward, hdf5
from thaw.networks.classifiers import Network
from thaw.networks.descriptions import BackboneDescription
from thaw.networks.plan import plan_run, unfreeze
from thaw.networks.unfreezing import list_candidates
from thaw.records import reading, views
from thaw.store.opening import Asked, open_run
from thaw.store.place import find_unfinished
from thaw.store.prefixes import Images
from thaw.store.sources import Batches, Inputs, Pixels, Source, read_rows
from thaw.training.loop import fit
from thaw.training.racing import Tried, choose, count_epochs, open_as, race, read_tried, reset
from thaw.training.recipes import describe_training
from thaw.training.resuming import Unfinished
from thaw.training.runs import Setting, Start, find_opening
from thaw.training.sections import FinetuneRun, FrozenRun

BATCH = 32  # photos scored at a time, as `thaw.evaluation.evaluating` has it: the last bits of a score depend on it
SCORES = ("accuracy", "f1")


class Repeated(NamedTuple):
    """A run that is trained again, as params.yaml describes it."""

    name: str
    phases: Sequence[FrozenRun | FinetuneRun]  # from the pretrained weights on: the run that it starts from, and itself
    start: Start  # the pretrained backbone
    times: int  # seeds, or folds

    @property
    def races(self) -> bool:
        """Whether the run chooses its cut by a race."""
        last = self.phases[-1]
        return isinstance(last, FinetuneRun) and last.auto is not None


class Again(NamedTuple):
    """What the training of a run again made."""

    logits: list[np.ndarray]  # (m, classes) float32 for each set of scored photos
    history: pd.DataFrame  # of the run's own epochs, without what was measured in time
    states: list[Unfinished]  # of each training: kept, even when it has ended, until the caller discards it
    chosen: str | None  # the candidate that won the race, where there was one


class Rows:
    """Photos of several arrays laid end to end, read as one array of float32: the inputs of a store.sources.Source.

    `arrays` are memory-mapped (n, ...), alike but for n; `chosen` (m,) int are rows of all of them laid end to end, in
    the order in which they are to be read. `view` (n in all, 4 or 7) is that of pixels, see thaw.records.views.
    """

    def __init__(self, arrays: Sequence[Inputs], chosen: np.ndarray, view: np.ndarray | None = None) -> None:
        self.arrays, self.chosen, self.view = arrays, chosen, view
        self.starts = np.cumsum([0, *(array.shape[0] for array in arrays)])
        self.shape = (len(chosen), *arrays[0].shape[1:])
        self.nbytes = 4 * math.prod(self.shape)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        rows = self.chosen[indices]
        found = np.empty((len(rows), *self.shape[1:]), np.float32)
        which = np.searchsorted(self.starts, rows, side="right") - 1
        for number, array in enumerate(self.arrays):
            here = which == number
            found[here] = read_rows(array, rows[here] - self.starts[number])
        return found if self.view is None else views.show(found, self.view[rows]).numpy()


def place_parts(folder: pathlib.Path | str) -> dict[str, np.ndarray]:
    """Return {part: rows (n,) int} of the parts that hold photos, laid end to end, for the records at `folder`."""
    counts = reading.read_index(folder)["counts"]
    ends = np.cumsum([counts[part] for part in PARTS])
    return {part: np.arange(end - counts[part], end) for part, end in zip(PARTS, ends, strict=True) if counts[part]}


def train_again(
    repeated: Repeated,
    setting: Setting,
    train_rows: np.ndarray,
    scored_rows: Sequence[np.ndarray],
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
) -> Again:
    """Train a run from the pretrained weights on, through the frozen run that it starts from.

    `train_rows` (n,) int are the photos to train on, as rows of `place_parts`, and `scored_rows` those to score when
    training has ended, an array for each set; the history has the scores on the first. A run with a race needs
    `held_out`: the race trains on the first of them and chooses on the second. States are kept so that of several
    trainings none is done twice.
    """
    states: list[Unfinished] = []
    phases, chosen = list(repeated.phases), None
    last = phases[-1]
    if isinstance(last, FinetuneRun) and last.auto:
        assert held_out is not None
        chosen, phases[-1] = _choose(repeated, last, setting, held_out, states)
    before: list[np.ndarray] = []
    for phase in phases:
        phased = _train_phase(repeated, phase, before, setting, train_rows, scored_rows, states)
        before = phased.weights
    tail, scored = phased.tail, phased.scored
    if phases[-1].flip_test:
        tail, scored = classifiers.average_flips(phased.network.model), _read_photos(setting.records, scored_rows)
    logits = [forward.predict(tail, source.read_batches(BATCH), setting.compute) for source in scored]
    return Again(logits, phased.history.drop(columns=["seconds", "waiting"]), states, chosen)


def _choose(
    repeated: Repeated,
    run: FinetuneRun,
    setting: Setting,
    held_out: tuple[np.ndarray, np.ndarray],
    states: list[Unfinished],
) -> tuple[str, FinetuneRun]:
    """Return (name of the candidate that wins the race of `run`, the run with its cut), without any other photos."""
    assert run.auto is not None
    train_rows, validation_rows = held_out
    before: list[np.ndarray] = []
    for phase in repeated.phases[:-1]:
        before = _train_phase(repeated, phase, before, setting, train_rows, [validation_rows], states).weights

    raced = count_epochs(run, len(train_rows), setting.training.batch_size)

    def try_out(_: str, opened_run: FinetuneRun) -> Tried:
        phased = _train_phase(repeated, opened_run, before, setting, train_rows, [validation_rows], states, raced)
        return read_tried(phased.history.iloc[-1])

    candidates = list_candidates(run.auto, repeated.start.backbone["architecture"])
    chosen = choose(race(run, candidates, setting.training.seed, try_out))
    return chosen, open_as(run, candidates[chosen])


class Phased(NamedTuple):
    """A phase of a repeated training after its last epoch."""

    network: Network
    weights: list[np.ndarray]  # what a file of weights holds: no states of dropout's generators
    history: pd.DataFrame
    tail: keras.Model
    scored: list[Source]


def _train_phase(
    repeated: Repeated,
    phase: FrozenRun | FinetuneRun,
    before: list[np.ndarray],
    setting: Setting,
    train_rows: np.ndarray,
    scored_rows: Sequence[np.ndarray],
    states: list[Unfinished],
    until: int | None = None,
) -> Phased:
    """Train one phase, from the weights that the one `before` left or the pretrained ones; see `train_again`, `fit`."""
    reset(setting.training.seed)
    index, backbone = reading.read_index(setting.records), repeated.start.backbone
    head = repeated.phases[0].head
    assert head is not None  # config checks that a run from pretrained/BACKBONE has one
    network = classifiers.build_described(backbone, index["size"], head.model_dump(), len(index["classes"]))
    if before:
        network.model.set_weights(before)
    else:
        hdf5.load_weights(network.backbone, repeated.start.weights)
    tail, scored, by_view = _open(network, backbone, phase, setting, train_rows, scored_rows)
    states.append(
        Unfinished(
            find_unfinished(),
            [
                repeated.name,
                backbone,
                phase.model_dump(mode="json", by_alias=True),
                setting.training.model_dump(),
                setting.compute.describe(),
                index["digest"],
                classifiers.digest_weights(network.model),
                hashlib.sha256(train_rows.tobytes()).hexdigest(),
                list(tail.input_shape[1:]),
            ],
        )
    )
    about = describe_training(network, backbone["architecture"], repeated.name, phase, setting.records)
    history = fit(tail, by_view, scored[0], phase, setting.training, states[-1], about, until)
    return Phased(network, network.model.get_weights(), history, tail, scored)


def summarize_spread(values: Sequence[float]) -> dict[str, Any]:
    """Return {mean, sd, values} of at least two numbers, to six digits; sd is that of a sample (n - 1)."""
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    return {"mean": round(mean, 6), "sd": round(sd, 6), "values": [round(value, 6) for value in values]}


def _open(
    network: Network,
    backbone: BackboneDescription,
    phase: FrozenRun | FinetuneRun,
    setting: Setting,
    train_rows: np.ndarray,
    scored_rows: Sequence[np.ndarray],
) -> tuple[keras.Model, list[Source], list[Source]]:
    """Return (tail, sources of `scored_rows`, sources of `train_rows` by view) of one phase; see `train_again`."""
    plan = plan_run(network, backbone["architecture"], find_opening(phase))
    unfreeze(network, plan)
    parts = {part: len(rows) for part, rows in place_parts(setting.records).items()}
    drawn = [
        views.draw_views(phase.augmentation, phase.epochs, setting.training.seed, count) for count in parts.values()
    ]
    images = [
        Images(setting.records, part, view)
        for by_part in zip(*drawn, strict=True)
        for part, view in zip(parts, by_part, strict=True)
    ]
    tail, opened = open_run(network, plan, images, Asked(setting.compute, setting.others))
    by_view = [opened[start : start + len(parts)] for start in range(0, len(images), len(parts))]
    labels = np.concatenate([source.labels for source in by_view[0]])
    pixels = [_map_photos(setting.records, part) for part in parts] if isinstance(opened[0], Pixels) else []

    def choose(rows: np.ndarray, held: Sequence[Batches], shown: bool = True) -> Source:
        """Return the Source of `rows` in the view that is `held`; not `shown`, as the photos are."""
        if pixels:
            found = [view for source in held if (view := cast(Pixels, source).view) is not None]
            return Source(Rows(pixels, rows, np.concatenate(found) if shown and found else None), labels[rows], held)
        return Source(Rows([cast(Source, source).inputs for source in held], rows), labels[rows], held)

    # Of stored views the first is the photos as they are; fresh ones are not stored.
    scored = [choose(rows, by_view[0], shown=False) for rows in scored_rows]
    return tail, scored, [choose(train_rows, held) for held in by_view]


def _read_photos(folder: pathlib.Path | str, chosen: Sequence[np.ndarray]) -> list[Source]:
    """Return the photos as they are, a Source for each array of rows of `place_parts`."""
    parts = place_parts(folder)
    pixels = [_map_photos(folder, part) for part in parts]
    labels = np.concatenate([reading.read_labels(folder, part)[0] for part in parts])
    return [Source(Rows(pixels, rows), labels[rows]) for rows in chosen]


def _map_photos(folder: pathlib.Path | str, part: str) -> np.ndarray:
    """Return the photos of a part as a memory-mapped array (n, h, w, 3) uint8, in a file that ends with the process."""
    index, place = reading.read_index(folder), pathlib.Path(folder).parent
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            for images, _ in reading.read_batches(folder, part, BATCH):
                # Not through the map: on a full disk the system would kill the process.
                file.write(images.numpy().astype(np.uint8).tobytes())
            file.flush()
            return np.memmap(file, np.uint8, "r", shape=(index["counts"][part], index["size"], index["size"], 3))
    except OSError as error:
        error.filename = str(place)  # the file's own name says nothing, or it has none
        raise
