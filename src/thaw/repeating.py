"""Runs trained again: with other seeds on the same photos, and on other parts of the set (cross-validation).

A repeated training does what `thaw.training` does, from the pretrained weights on and by the same functions: with the
seed and the photos of the table it ends with the table's own run, to the bit.
"""

import hashlib
import math
import pathlib
import tempfile
from typing import Annotated

import keras
import numpy as np
import pandas as pd
import pydantic
from sklearn.model_selection import StratifiedKFold

from thaw import activations, networks, records, scoring, training, unfreezing, views
from thaw.activations import Images, Source
from thaw.names import PARTS, PRETRAINED
from thaw.params import InputError, Section
from thaw.progress import track
from thaw.publishing import read_json, write_json, write_table
from thaw.resuming import Unfinished
from thaw.splitting import read_split

BATCH = 32  # photos scored at a time, as `thaw.evaluation` has it: the last bits of a score depend on it
SCORES = ("accuracy", "f1")


class Repetition(Section):
    """What stands under the name of a run that is to be trained again."""

    # The run's own: dvc.yaml can name the file of its first weights only if it stands here.
    backbone: str
    count: Annotated[int, pydantic.Field(ge=2, le=100)]


class Replicates(Repetition):
    """An entry of section `replicates`: `count` seeds, the table's own among them."""


class Folds(Repetition):
    """An entry of section `folds`: `count` parts of the whole set, each predicted by a training on the others."""


class Rows:
    """Photos of several arrays laid end to end, read as one array of float32: the inputs of an activations.Source.

    `arrays` are memory-mapped (n, ...), alike but for n; `chosen` (m,) int are rows of all of them laid end to end, in
    the order in which they are to be read. `boxes` (n in all, 4) are the view of pixels, see thaw.views.
    """

    def __init__(self, arrays, chosen, boxes=None):
        self.arrays, self.chosen, self.boxes = arrays, chosen, boxes
        self.starts = np.cumsum([0, *map(len, arrays)])
        self.shape = (len(chosen), *arrays[0].shape[1:])
        self.nbytes = 4 * math.prod(self.shape)

    def __getitem__(self, indices):
        rows = self.chosen[indices]
        found = np.empty((len(rows), *self.shape[1:]), np.float32)
        which = np.searchsorted(self.starts, rows, side="right") - 1
        for number, array in enumerate(self.arrays):
            here = which == number
            found[here] = activations.read_rows(array, rows[here] - self.starts[number])
        return found if self.boxes is None else views.cut_out(found, self.boxes[rows]).numpy()


def replicate(name, params, folder):
    """Train run `name` with other seeds on the records at `folder`; write how its scores vary, the table's among them.

    The seeds are those that follow `training.seed`.
    """
    own = read_json(f"metrics/evaluate/{name}.json")[name]
    rows = lay_out(folder)
    parts = [part for part in rows if part != "train"]
    labels = {part: records.read_labels(folder, part)[0] for part in parts}
    found, states = [{part: own[part] for part in parts}], []
    first, count = params.training.seed, params.replicates[name].count
    for seed in track(range(first + 1, first + count), f"{name}: other seeds", count - 1, "trainings"):
        seeded = params._replace(training=params.training.model_copy(update={"seed": seed}))
        logits, kept = train_again(name, seeded, folder, rows["train"], [rows[part] for part in parts])
        found.append({part: scoring.score(labels[part], made) for part, made in zip(parts, logits, strict=True)})
        states += kept
    document = {"seeds": list(range(first, first + count))}
    for score in SCORES:
        document[score] = {part: summarize([scores[part][score] for scores in found]) for part in reversed(parts)}
    write_json(f"metrics/evaluate/replicates/{name}.json", {"replicates": {name: document}})
    for state in states:
        state.discard()


def crossvalidate(name, params, folder, split):
    """Cross-validate run `name` over all the records at `folder`: each photo is scored by a training without it.

    `split` is the CSV file of thaw.splitting, which tells near duplicates. Writes the scores and every prediction.
    Raises InputError where a class has too few photos.
    """
    classes, parts = records.read_index(folder)["classes"], lay_out(folder)
    labels, ids = (np.concatenate(both) for both in zip(*(records.read_labels(folder, part) for part in parts)))
    groups = read_split(split).set_index("id").loc[ids, "group"].to_numpy()
    count = params.folds[name].count
    folds = deal_folds(labels, groups, count, params.split.seed, classes, f"params.yaml: folds.{name}.count")
    logits, states = np.empty((len(labels), len(classes)), np.float32), []
    for fold in track(range(count), f"{name}: folds", count, "trainings"):
        held = np.flatnonzero(folds == fold)
        made, kept = train_again(name, params, folder, np.flatnonzero(folds != fold), [held])
        logits[held] = made[0]
        states += kept
    pooled = scoring.score(labels, logits)
    by_fold = [scoring.score(labels[folds == fold], logits[folds == fold]) for fold in range(count)]
    document = {"photos": len(labels)}
    for score in SCORES:
        spread = summarize([scores[score] for scores in by_fold])
        document[score] = {"pooled": round(pooled[score], 6), **spread}
    named = np.array(classes)
    table = {"id": ids, "fold": folds + 1, "actual": named[labels], "predicted": named[logits.argmax(axis=1)]}
    write_table(f"plots/predictions/folds/{name}.csv", pd.DataFrame(table).sort_values("id"))
    write_json(f"metrics/evaluate/folds/{name}.json", {"folds": {name: document}})
    for state in states:
        state.discard()


def lay_out(folder):
    """Return {part: rows (n,) int} of the parts that hold photos, laid end to end, for the records at `folder`."""
    counts = records.read_index(folder)["counts"]
    ends = np.cumsum([counts[part] for part in PARTS])
    return {part: np.arange(end - counts[part], end) for part, end in zip(PARTS, ends, strict=True) if counts[part]}


def deal_folds(labels, groups, count, seed, classes, place):
    """Return (n,) int, the fold of each photo from 0 on: every class spread evenly, near duplicates in one fold.

    `labels` (n,) int and `groups` (n,) str are those of each photo. As for the split, a group counts as one photo, of
    its first one's class: scikit-learn's StratifiedGroupKFold may leave a fold empty (its issue 34828). Raises
    InputError at `place`, the key of `count`, where a class has fewer groups than folds.
    """
    first, inverse = np.unique(groups, return_index=True, return_inverse=True)[1:]
    sizes = np.bincount(labels[first], minlength=len(classes))
    if sizes.min() < count:
        raise InputError(
            f"{place}: must be at most {sizes.min()}, the photos of '{classes[sizes.argmin()]}', near duplicates "
            f"counted once (got {count})"
        )
    folds = np.empty(len(first), int)
    dealt = StratifiedKFold(count, shuffle=True, random_state=seed).split(first, labels[first])
    for fold, (_, held) in enumerate(dealt):
        folds[held] = fold
    return folds[inverse]


def train_again(name, params, folder, trained, scored):
    """Train run `name` as `params` (a schema.Params) says; return (logits, states).

    It begins with the pretrained weights: a fine-tuned run goes through the frozen run that it starts from. `trained`
    (n,) int are the photos to train on, as rows of `lay_out`, and `scored` a list of those to score when training has
    ended; the log of the epochs shows the scores on the first. `logits` are (m, classes) float32 for each of `scored`,
    `states` the resuming.Unfinished of each training: kept, even when it has ended, until the caller discards it, so
    that of several trainings none is done twice.
    """
    run = params.frozen.get(name) or params.finetune[name]
    phases = [run]
    if name in params.finetune and run.start in params.frozen:
        phases.insert(0, params.frozen[run.start])
    first = phases[0]
    start = PRETRAINED + first.backbone if isinstance(first, training.FrozenRun) else first.start
    index, described, states = records.read_index(folder), read_json(f"models/{start}.json")["backbone"], []
    with tempfile.TemporaryDirectory() as scratch:
        for number, phase in enumerate(phases):
            # As a process of its own would start: names of layers count from one again, and so do random numbers.
            keras.utils.clear_session()
            keras.utils.set_random_seed(params.training.seed)
            head, classes = first.head.model_dump(), len(index["classes"])
            network = networks.build_described(described, index["size"], head, classes)
            if number:
                network.model.load_weights(f"{scratch}/before.weights.h5")
            else:
                network.backbone.load_weights(f"models/{start}.weights.h5")
            tail, sources, trained_by_view = _open(network, described, phase, params, folder, trained, scored)
            states.append(
                Unfinished(
                    activations.find_unfinished(),
                    [
                        name,
                        described,
                        phase.model_dump(mode="json", by_alias=True),
                        params.training.model_dump(),
                        params.compute.model_dump(),
                        index["digest"],
                        networks.digest_weights(network.model),
                        hashlib.sha256(trained.tobytes()).hexdigest(),
                        list(tail.input_shape[1:]),
                    ],
                )
            )
            training.fit(tail, trained_by_view, sources[0], phase, params.training, states[-1])
            network.save(f"{scratch}/before.weights.h5")
    return [tail.predict(source.read_batches(BATCH), verbose=0) for source in sources], states


def _open(network, described, phase, params, folder, trained, scored):
    """Return (tail, sources of `scored`, sources of `trained` by view) of one phase of a run; see `train_again`."""
    tuned = isinstance(phase, training.FinetuneRun)
    unfreeze, batch_norm = (phase.unfreeze, phase.batch_norm) if tuned else (None, "inference")
    opened = unfreezing.find_open_layers(network.backbone, described["architecture"], unfreeze)
    unfreezing.open_up(network.backbone, opened, batch_norm)
    cut = unfreezing.find_cut(network.backbone, opened)
    stored = activations.is_worth_storing(network, cut, phase.epochs / phase.views)
    parts = {part: len(rows) for part, rows in lay_out(folder).items()}
    images = [
        Images(folder, part, views.draw_boxes(phase.augmentation, view, count))
        for view in range(phase.views)
        for part, count in parts.items()
    ]
    description = {"backbone": described, "batch_norm": batch_norm, "stored": stored}
    tail, opened_parts = activations.open_run(network, description, cut, images, params)
    by_view = [opened_parts[start : start + len(parts)] for start in range(0, len(images), len(parts))]
    if not isinstance(opened_parts[0], Source):
        pixels = [_map_photos(folder, part) for part in parts]
    labels = np.concatenate([source.labels for source in by_view[0]])

    def choose(rows, view=0):
        held = by_view[view]
        if isinstance(held[0], Source):
            inputs = Rows([source.inputs for source in held], rows)
        else:
            boxes = np.concatenate([source.boxes for source in held]) if view else None
            inputs = Rows(pixels, rows, boxes)
        return Source(inputs, labels[rows], held)

    return tail, [choose(rows) for rows in scored], [choose(trained, view) for view in range(phase.views)]


def _map_photos(folder, part):
    """Return the photos of a part as a memory-mapped array (n, h, w, 3) uint8, in a file that ends with the process."""
    index, start = records.read_index(folder), 0
    with tempfile.TemporaryFile(dir=pathlib.Path(folder).parent) as file:
        photos = np.memmap(file, np.uint8, "w+", shape=(index["counts"][part], index["size"], index["size"], 3))
    for images, _ in records.read_batches(folder, part, BATCH):
        photos[start : start + len(images)] = images
        start += len(images)
    return photos


def summarize(values):
    """Return {mean, sd, values} of at least two numbers, to six digits; sd is that of a sample (n - 1)."""
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    return {"mean": round(mean, 6), "sd": round(sd, 6), "values": [round(value, 6) for value in values]}
