"""What thaws: from "the last 4 blocks" to the layers that train, and the cut before which nothing does.

Pure: it looks at a network and computes; it changes and trains nothing.
"""

import math
from typing import Annotated, Literal

import keras
import pydantic

from thaw.backbones import ARCHITECTURES, find_blocks, find_single_tensors
from thaw.params import Section

BatchNorm = Literal["frozen", "inference", "batch"]


class Unfreeze(Section):
    """What is trained of a backbone; several keys together mean their union. The head always trains.

    Layers are Keras layers as `model.layers` lists them, those without weights included: the published reports count
    so. What follows the last block (the closing convolution of the MobileNetV2 and V3 families) opens with that block.
    """

    layers: Annotated[int, pydantic.Field(ge=1)] | None = None  # the last n
    from_layer: Annotated[int, pydantic.Field(ge=0)] | None = None  # all but the first n
    blocks: Annotated[int, pydantic.Field(ge=1)] | None = None  # the last n
    stages: Annotated[list[str], pydantic.Field(min_length=1)] | None = None  # by name
    all: Literal[True] | None = None

    @pydantic.model_validator(mode="after")
    def _something(self):
        if not self.model_dump(exclude_none=True):
            raise ValueError("must have at least one of layers, from_layer, blocks, stages, all")
        return self


def find_faults(unfreeze, architecture, name):
    """Return (key, message, value) for each value of `unfreeze` that the architecture does not have.

    `name` is what the message calls the backbone.
    """
    row = ARCHITECTURES[architecture]
    faults = []
    for key, low, high in (("layers", 1, row.layers), ("from_layer", 0, row.layers - 1), ("blocks", 1, row.blocks)):
        value = getattr(unfreeze, key)
        if value is not None and not low <= value <= high:
            faults.append((key, f"must be {low} to {high} for {name}", value))
    for stage in unfreeze.stages or []:
        if stage not in row.stages:
            faults.append(("stages", f"must be of {', '.join(row.stages)} for {name}", stage))
    return faults


def find_open_layers(model, architecture, unfreeze):
    """Return the layers of the backbone `model` that `unfreeze` (an Unfreeze, or None for none) opens, in order."""
    if unfreeze is None:
        return []
    count = len(model.layers)
    opened = set()
    if unfreeze.layers:
        opened |= {id(layer) for layer in model.layers[-unfreeze.layers :]}
    if unfreeze.from_layer is not None:
        opened |= {id(layer) for layer in model.layers[unfreeze.from_layer : count]}
    if unfreeze.all:
        opened |= {id(layer) for layer in model.layers}
    if unfreeze.blocks:
        ends = find_blocks(model, architecture)
        opened |= _between(model, ends[-1 - unfreeze.blocks], None)
    if unfreeze.stages:
        ends, start = find_blocks(model, architecture), 0
        for stage, blocks in ARCHITECTURES[architecture].stages.items():
            if stage in unfreeze.stages:
                last = start + blocks == len(ends) - 1
                opened |= _between(model, ends[start], None if last else ends[start + blocks])
            start += blocks
    return [layer for layer in model.layers if id(layer) in opened]


def find_cut(model, open_layers):
    """Return the last operation of the frozen prefix: the latest whose output alone crosses, with nothing open before.

    The cut moves back to a single tensor where residuals would cross it; what trains does not change. An open layer
    without weights may lie before the cut: there is nothing in it to train. Returns the input where nothing with weights
    is frozen, and the output where nothing is open.
    """
    weighted = {id(layer) for layer in open_layers if layer.weights}
    position = {id(operation): i for i, operation in enumerate(model.operations)}
    first = min((position[identity] for identity in weighted), default=len(model.operations))
    if not any(getattr(operation, "weights", ()) for operation in model.operations[:first]):
        return model.operations[0]
    return [point for point in find_single_tensors(model) if position[id(point)] < first][-1]


def count_trainable(model, open_layers, batch_norm):
    """Return {layer name: trainable parameters} as `open_layers` and the BatchNorm mode ask, zeros left out.

    Moving statistics are never counted. In mode `frozen` the gamma and beta of BatchNorm layers are not either.
    """
    counts = {}
    for layer in open_layers:
        statistics = [layer.moving_mean, layer.moving_variance] if is_batch_norm(layer) else []
        if is_batch_norm(layer) and batch_norm == "frozen":
            continue
        count = sum(math.prod(w.shape) for w in layer.weights if not any(w is moving for moving in statistics))
        if count:
            counts[layer.name] = count
    return counts


def open_up(model, open_layers, batch_norm):
    """Set `trainable` layer by layer, and check what then trains against `count_trainable`.

    Layer by layer, because Keras ignores a flag set on a network that already has it. Raises RuntimeError, naming the
    layers, where Keras would train anything else than asked.
    """
    opened = {id(layer) for layer in open_layers}
    model.trainable = True
    for layer in model.layers:
        layer.trainable = id(layer) in opened and not (is_batch_norm(layer) and batch_norm == "frozen")
    asked = count_trainable(model, open_layers, batch_norm)
    found = {layer.name: sum(math.prod(w.shape) for w in layer.trainable_weights) for layer in model.layers}
    wrong = {name: n for name, n in found.items() if n != asked.get(name, 0)}
    if wrong:
        raise RuntimeError(f"trainable parameters differ from what the cut asks in {wrong}, asked: {asked}")


def is_batch_norm(layer):
    """Tell whether `layer` is a BatchNormalization."""
    return isinstance(layer, keras.layers.BatchNormalization)


def _between(model, after, until):
    """Return the ids of the operations behind `after`, up to and with `until` (None: the end)."""
    operations = model.operations
    start = operations.index(after) + 1
    stop = len(operations) if until is None else operations.index(until) + 1
    return {id(operation) for operation in operations[start:stop]}
