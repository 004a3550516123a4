"""What a run costs in arithmetic, and whether storing the frozen prefix's output saves any of it. Pure.

FLOPs are twice the multiplications of convolutions and dense layers for one image; what lies between them (BatchNorm,
activations, padding) is not counted.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from thaw.base.quiet import keras
from thaw.networks.backbones import find_inputs
from thaw.networks.classifiers import Network

# What two cores do, seen on the machine that made the published results: forward passes of the backbones run at 1.1 to
# 1.7e11 FLOP/s, the store reads at 1 to 2e9 bytes/s. Only their ratio counts, and only near the cuts where it decides.
FLOPS_PER_SECOND = 1e11


BYTES_PER_SECOND = 1e9


def count_flops(operations: Sequence[keras.Operation]) -> int:
    """Return the FLOPs of a forward pass of one image through the Keras operations."""
    total = 0
    for operation in operations:
        kernels = [w for w in getattr(operation, "weights", ()) if "kernel" in w.name]
        positions = math.prod(operation.output.shape[1:-1]) if kernels else 0
        total += sum(2 * math.prod(kernel.shape) * positions for kernel in kernels)
    return total


def count_training_flops(
    operations: Sequence[keras.Operation], open_layers: Sequence[keras.layers.Layer], open_before: bool = False
) -> int:
    """Return the FLOPs of a training step for one image: forward through all, backward as far as anything trains.

    `operations` of one network in topological order; `open_before` says that something trains before the first of
    them. An open layer costs its forward pass again for the gradient of its kernel; each layer with something open
    before it costs it once more to hand the gradient on.
    """
    opened = {id(layer) for layer in open_layers}
    total = 0
    reached: set[int] = set()  # tensors that the open layers change
    if open_before:
        reached |= {id(tensor) for tensor in find_inputs(operations[0])}
    for operation in operations:
        forward = count_flops([operation])
        behind = any(id(tensor) in reached for tensor in find_inputs(operation))
        total += forward * (1 + (id(operation) in opened) + behind)
        if behind or (id(operation) in opened and operation.weights):
            reached.add(id(operation.output))
    return total


class RunFlops(NamedTuple):
    """FLOPs for one image of a run."""

    forward: int  # of the whole network
    prefix: int  # of its frozen part, up to the cut
    training_step: int  # forward and backward through what is behind the cut


def count_run_flops(network: Network, cut: keras.Operation | None) -> RunFlops:
    """Return the RunFlops of `network`, unfrozen as it is to be trained, at `cut` of its backbone.

    `cut` is None for the baseline CNN.
    """
    if cut is None:
        layers = network.model.layers
        return RunFlops(count_flops(layers), 0, count_training_flops(layers, layers))
    operations, head = network.backbone.operations, network.head.layers
    opened = [layer for layer in network.backbone.layers if layer.trainable_weights]
    prefix = count_flops(operations[: operations.index(cut) + 1])
    step = count_training_flops(operations, opened) - prefix + count_training_flops(head, head, bool(opened))
    return RunFlops(count_flops(operations) + count_flops(head), prefix, step)


def pays(flops: float, size: float, epochs: float) -> bool:
    """Tell whether storing saves time: `flops` and `size` (bytes) of the prefix's output per image, over the epochs.

    Stored, the prefix runs once and its output is written once and read in each epoch; otherwise it runs in each.
    """
    compute, transfer = flops / FLOPS_PER_SECOND, size / BYTES_PER_SECOND
    return compute + (1 + epochs) * transfer < epochs * compute
