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
from thaw.networks import classifiers, hdf5
from thaw.networks.classifiers import Network
from thaw.networks.descriptions import BackboneDescription
from thaw.networks.plan import plan_run, unfreeze
from thaw.records import reading, views
from thaw.store.opening import Asked, open_run
from thaw.store.place import find_unfinished
from thaw.store.prefixes import Images
from thaw.store.sources import Inputs, Pixels, Source, read_rows
from thaw.training.loop import fit
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


class Again(NamedTuple):
    """What the training of a run again made."""

    logits: list[np.ndarray]  # (m, classes) float32 for each set of scored photos
    history: pd.DataFrame  # of the run's own epochs, without what was measured in time
    states: list[Unfinished]  # of each training: kept, even when it has ended, until the caller discards it


class Rows:
    """Photos of several arrays laid end to end, read as one array of float32: the inputs of a store.sources.Source.

    `arrays` are memory-mapped (n, ...), alike but for n; `chosen` (m,) int are rows of all of them laid end to end, in
    the order in which they are to be read. `boxes` (n in all, 4) are the view of pixels, see thaw.records.views.
    """

    def __init__(self, arrays: Sequence[Inputs], chosen: np.ndarray, boxes: np.ndarray | None = None) -> None:
        self.arrays, self.chosen, self.boxes = arrays, chosen, boxes
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
        return found if self.boxes is None else views.cut_out(found, self.boxes[rows]).numpy()


def place_parts(folder: pathlib.Path | str) -> dict[str, np.ndarray]:
    """Return {part: rows (n,) int} of the parts that hold photos, laid end to end, for the records at `folder`."""
    counts = reading.read_index(folder)["counts"]
    ends = np.cumsum([counts[part] for part in PARTS])
    return {part: np.arange(end - counts[part], end) for part, end in zip(PARTS, ends, strict=True) if counts[part]}


def train_again(
    repeated: Repeated, setting: Setting, train_rows: np.ndarray, scored_rows: Sequence[np.ndarray]
) -> Again:
    """Train a run from the pretrained weights on, through the frozen run that it starts from.

    `train_rows` (n,) int are the photos to train on, as rows of `place_parts`, and `scored_rows` those to score when
    training has ended, an array for each set; the history has the scores on the first. States are kept so that of
    several trainings none is done twice.
    """
    index, states = reading.read_index(setting.records), []
    backbone = repeated.start.backbone
    head = repeated.phases[0].head
    assert head is not None  # config checks that a run from pretrained/BACKBONE has one
    before: list[np.ndarray] = []
    for phase in repeated.phases:
        # As a process of its own would start: names of layers count from one again, and so do random numbers.
        keras.utils.clear_session()
        keras.utils.set_random_seed(setting.training.seed)
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
                    setting.compute.model_dump(),
                    index["digest"],
                    classifiers.digest_weights(network.model),
                    hashlib.sha256(train_rows.tobytes()).hexdigest(),
                    list(tail.input_shape[1:]),
                ],
            )
        )
        about = describe_training(network, backbone["architecture"], repeated.name, phase, setting.records)
        history = fit(tail, by_view, scored[0], phase, setting.training, states[-1], about)
        before = network.model.get_weights()  # what a file of weights holds: no states of dropout's generators
    logits = [tail.predict(source.read_batches(BATCH), verbose=0) for source in scored]
    return Again(logits, history.drop(columns=["seconds", "waiting"]), states)


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
    images = [
        Images(setting.records, part, views.draw_boxes(phase.augmentation, view, count))
        for view in range(phase.views)
        for part, count in parts.items()
    ]
    tail, opened = open_run(network, plan, images, Asked(setting.compute, setting.others))
    by_view = [opened[start : start + len(parts)] for start in range(0, len(images), len(parts))]
    labels = np.concatenate([source.labels for source in by_view[0]])
    pixels = [_map_photos(setting.records, part) for part in parts] if isinstance(opened[0], Pixels) else []

    def choose(rows: np.ndarray, view: int = 0) -> Source:
        held = by_view[view]
        if pixels:
            boxes = np.concatenate([cast(Pixels, source).boxes for source in held]) if view else None
            return Source(Rows(pixels, rows, boxes), labels[rows], held)
        return Source(Rows([cast(Source, source).inputs for source in held], rows), labels[rows], held)

    return tail, [choose(rows) for rows in scored_rows], [choose(train_rows, view) for view in range(phase.views)]


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
