"""The plan of a run on a backbone: what is unfrozen, where the cut lies, whether storing the prefix saves time."""

import math
from typing import NamedTuple

from thaw.base.quiet import keras
from thaw.networks import costs, cutting, unfreezing
from thaw.networks.classifiers import Network
from thaw.networks.descriptions import RunDescription
from thaw.networks.sections import BatchNorm, Unfreeze


class Opening(NamedTuple):
    """What a run asks of its backbone."""

    unfreeze: Unfreeze | None  # None: the head alone trains
    batch_norm: BatchNorm
    passes: float  # how often the run sees each image: its epochs over the views that it rotates


class Plan(NamedTuple):
    """What follows from an Opening for one network. Training, seeds, folds, evaluation and benchmark share it."""

    architecture: str
    opening: Opening
    open_layers: tuple[keras.layers.Layer, ...]  # of the backbone, in order
    cut: keras.Operation  # the last operation of the frozen prefix; the backbone's input where nothing is frozen
    cut_name: str  # what metrics call it
    stored: bool  # whether the prefix's output is computed once and stored

    @property
    def batch_norm(self) -> BatchNorm:
        """The mode of the BatchNorm layers behind the cut."""
        return self.opening.batch_norm


def plan_run(network: Network, architecture: str, opening: Opening) -> Plan:
    """Return the Plan of a run on `network`, whose backbone is a network of `architecture`; changes nothing."""
    layers = unfreezing.find_open_layers(network.backbone, architecture, opening.unfreeze)
    cut = unfreezing.find_cut(network.backbone, layers)
    stored = is_worth_storing(network, cut, opening.passes)
    return Plan(architecture, opening, tuple(layers), cut, cutting.name_cut(network, cut), stored)


def plan_trained(network: Network, description: RunDescription) -> Plan | None:
    """Return the Plan that a trained run had, from the document beside its weights; None for the baseline CNN."""
    backbone = description["backbone"]
    if backbone is None:
        return None
    unfreeze = description["unfreeze"] and Unfreeze(**description["unfreeze"])
    found = plan_run(network, backbone["architecture"], Opening(unfreeze or None, description["batch_norm"], 1))
    return found._replace(stored=description["stored"])  # by the passes of the training


def unfreeze(network: Network, plan: Plan) -> None:
    """Set what trains of the backbone of `network` as `plan` says; raises RuntimeError as `unfreezing.open_up` does."""
    unfreezing.open_up(network.backbone, plan.open_layers, plan.batch_norm)


def is_worth_storing(network: Network, cut: keras.Operation, passes: float) -> bool:
    """Tell whether storing what lies before `cut` of the backbone saves time where each image passes so often."""
    operations = network.backbone.operations
    if cut is operations[0]:
        return False
    pooled = cut is operations[-1]
    size = 4 * math.prod(cut.output.shape[-1:] if pooled else cut.output.shape[1:])  # bytes of float32
    return costs.pays(costs.count_flops(operations[: operations.index(cut) + 1]), size, passes)
