"""What is unfrozen: from "the last 4 blocks" to the layers that train, and the cut before which nothing does.

Pure: it looks at a network and computes; it changes and trains nothing.
"""

import math
from collections.abc import Sequence

from thaw.architectures.table import ARCHITECTURES
from thaw.base.quiet import keras
from thaw.networks.backbones import find_before, find_blocks, find_single_tensors, is_normalization
from thaw.networks.sections import Auto, BatchNorm, Unfreeze


def list_candidates(auto: Auto, architecture: str) -> dict[str, Unfreeze | None]:
    """Return {name: what it opens} of the candidates of a race, the cheapest first; None opens the head alone."""
    blocks = range(ARCHITECTURES[architecture].blocks + 1) if auto.blocks is None else sorted(auto.blocks)
    found = {f"blocks-{count}" if count else "head": Unfreeze(blocks=count) if count else None for count in blocks}
    return found | ({"all": Unfreeze(all=True)} if auto.all else {})


def find_open_layers(model: keras.Model, architecture: str, unfreeze: Unfreeze | None) -> list[keras.layers.Layer]:
    """Return the layers of the backbone `model` that `unfreeze` (an Unfreeze, or None for none) opens, in order."""
    if unfreeze is None:
        return []
    count = len(model.layers)
    opened: set[int] = set()
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


def find_cut(model: keras.Model, open_layers: Sequence[keras.layers.Layer]) -> keras.Operation:
    """Return the last operation of the frozen prefix: the latest whose output alone crosses, with nothing open before.

    The cut moves back to a single tensor where residuals would cross it; what trains does not change. An open layer
    without parameters may lie before the cut: there is nothing in it to train. Returns the input where nothing with
    parameters is frozen, and the output where nothing is open.
    """
    weighted = {id(layer) for layer in open_layers if list_parameters(layer)}
    position = {id(operation): i for i, operation in enumerate(model.operations)}
    first = min((position[identity] for identity in weighted), default=len(model.operations))
    if not any(list_parameters(operation) for operation in model.operations[:first]):
        return model.operations[0]
    return [point for point in find_single_tensors(model) if position[id(point)] < first][-1]


def count_trainable(open_layers: Sequence[keras.layers.Layer], batch_norm: BatchNorm) -> dict[str, int]:
    """Return {layer name: trainable parameters} as `open_layers` and the BatchNorm mode ask, zeros left out.

    Statistics are never counted. In mode `frozen` the gamma and beta of BatchNorm layers are not either.
    """
    counts = {}
    for layer in open_layers:
        if is_batch_norm(layer) and batch_norm == "frozen":
            continue
        count = sum(math.prod(weight.shape) for weight in list_parameters(layer))
        if count:
            counts[layer.name] = count
    return counts


def open_up(model: keras.Model, open_layers: Sequence[keras.layers.Layer], batch_norm: BatchNorm) -> None:
    """Set `trainable` layer by layer, and check what then trains against `count_trainable`.

    Layer by layer, because Keras ignores a flag set on a network that already has it. Raises RuntimeError, naming the
    layers, where Keras would train anything else than asked.
    """
    opened = {id(layer) for layer in open_layers}
    model.trainable = True
    for layer in model.layers:
        layer.trainable = id(layer) in opened and not (is_batch_norm(layer) and batch_norm == "frozen")
    asked = count_trainable(open_layers, batch_norm)
    found = {layer.name: sum(math.prod(w.shape) for w in layer.trainable_weights) for layer in model.layers}
    wrong = {name: n for name, n in found.items() if n != asked.get(name, 0)}
    if wrong:
        raise RuntimeError(f"trainable parameters differ from what the cut asks in {wrong}, asked: {asked}")


def list_parameters(operation: keras.Operation) -> list[keras.Variable]:
    """Return the weights of `operation` that train where it is open: all but statistics."""
    if is_normalization(operation):
        return []
    statistics = [operation.moving_mean, operation.moving_variance] if is_batch_norm(operation) else []
    weights = getattr(operation, "weights", ())  # an operation that is no layer has none
    return [weight for weight in weights if not any(weight is moving for moving in statistics)]


def is_batch_norm(layer: keras.Operation) -> bool:
    """Tell whether `layer` is a BatchNormalization."""
    return isinstance(layer, keras.layers.BatchNormalization)


def _between(model: keras.Model, after: keras.Operation, until: keras.Operation | None) -> set[int]:
    """Return the ids of the operations that `until` takes (None: the output) and `after` does not."""
    last = model.operations[-1] if until is None else until
    return find_before(model, last) - find_before(model, after)
