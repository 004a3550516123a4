"""What a run costs in arithmetic, and whether storing the frozen prefix's output saves any of it. Pure.

FLOPs are twice the multiplications of convolutions and dense layers for one image; what lies between them (BatchNorm,
activations, padding) is not counted.
"""

import math
from typing import NamedTuple

from thaw.backbones import find_inputs

# What two cores do, seen on the machine that made the published results: forward passes of the backbones run at 1.1 to
# 1.7e11 FLOP/s, the store reads at 1 to 2e9 bytes/s. Only their ratio counts, and only near the cuts where it decides.
FLOPS_PER_SECOND = 1e11
BYTES_PER_SECOND = 1e9


def count_flops(operations):
    """Return the FLOPs of a forward pass of one image through the Keras operations."""
    total = 0
    for operation in operations:
        kernels = [w for w in getattr(operation, "weights", ()) if "kernel" in w.name]
        positions = math.prod(operation.output.shape[1:-1]) if kernels else 0
        total += sum(2 * math.prod(kernel.shape) * positions for kernel in kernels)
    return total


def count_training_flops(operations, open_layers):
    """Return the FLOPs of a training step for one image: forward through all, backward as far as anything trains.

    `operations` of one network in topological order. An open layer costs its forward pass again for the gradient of
    its kernel; each layer with something open before it costs it once more to hand the gradient on.
    """
    opened = {id(layer) for layer in open_layers}
    total, reached = 0, set()  # reached: tensors that the open layers change
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


def count_run_flops(network, cut):
    """Return the RunFlops of `network` (networks.Network), opened as it is to be trained, at `cut` of its backbone.

    `cut` is None for the baseline CNN.
    """
    if cut is None:
        layers = network.model.layers
        return RunFlops(count_flops(layers), 0, count_training_flops(layers, layers))
    operations, head = network.backbone.operations, count_flops(network.head.layers)
    opened = [layer for layer in network.backbone.layers if layer.trainable_weights]
    prefix = count_flops(operations[: operations.index(cut) + 1])
    step = count_training_flops(operations, opened) - prefix + 3 * head
    return RunFlops(count_flops(operations) + head, prefix, step)


def pays(flops, size, epochs):
    """Tell whether storing saves time: `flops` and `size` (bytes) of the prefix's output per image, over the epochs.

    Stored, the prefix runs once and its output is written once and read in each epoch; otherwise it runs in each.
    """
    compute, transfer = flops / FLOPS_PER_SECOND, size / BYTES_PER_SECOND
    return compute + (1 + epochs) * transfer < epochs * compute
