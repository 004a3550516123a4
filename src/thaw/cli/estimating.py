"""What a table costs in arithmetic, before any of it has run. Each function loads TensorFlow."""

from thaw.base.names import PRETRAINED
from thaw.config.checking import Params
from thaw.training.sections import BaselineRun, FinetuneRun

USUAL = {"train": 0.75, "validation": 0.15}  # shares


def count_flops(params: Params) -> float:
    """Return the FLOPs of all trainings of a table, and of what they store, for each photo of the set.

    Trainings with other seeds, and folds, count as the run that they repeat.
    """
    flops = {name: count_run_flops(name, params) for name in (*params.frozen, *params.finetune)}
    seeds = sum((repeated.count - 1) * flops[name] for name, repeated in params.replicates.items())
    # A fold trains on the photos of all parts but its own.
    train = _list_shares(params)["train"]
    folds = sum((dealt.count - 1) * flops[name] / train for name, dealt in params.folds.items())
    scratch = _count_baseline(params.baseline_cnn, params) if params.baseline_cnn else 0.0
    return scratch + sum(flops.values()) + seeds + folds


def count_run_flops(name: str, params: Params) -> float:
    """Return the FLOPs of the training of run `name` and of what it stores, for each photo of the set.

    Of the candidates of a race, the one that costs most is taken for the winner.
    """
    from thaw.networks.classifiers import build_classifier
    from thaw.networks.plan import plan_run, unfreeze
    from thaw.networks.unfreezing import list_candidates
    from thaw.training.racing import count_candidate, open_as
    from thaw.training.runs import find_opening

    start, phases = params.find_phases(name)
    backbone, run = params.backbones[start.removeprefix(PRETRAINED)], phases[-1]
    head = phases[0].head
    assert head is not None  # config checks it
    network = build_classifier(backbone.architecture, backbone.width, params.image.size, head, 2)
    candidates = [run]
    if isinstance(run, FinetuneRun) and run.auto is not None:
        candidates = [open_as(run, opened) for opened in list_candidates(run.auto, backbone.architecture).values()]
    epochs, fills = [], []
    for candidate in candidates:
        plan = plan_run(network, backbone.architecture, find_opening(candidate))
        unfreeze(network, plan)
        epoch, fill = count_candidate(network, plan, _list_shares(params), 1)
        epochs.append(epoch)
        fills.append(fill)
    raced = len(candidates) > 1  # for one epoch: of so few photos that it is more, the start of each stage costs most
    return max(fills) + raced * sum(epochs) + (run.epochs - raced) * max(epochs)


def _count_baseline(run: BaselineRun, params: Params) -> float:
    """Return the FLOPs of the training of the baseline CNN for each photo of the set."""
    from thaw.networks.classifiers import build_baseline
    from thaw.networks.costs import count_run_flops as count_network

    network = build_baseline(run.network, params.image.size, 2)
    flops, shares = count_network(network, None), _list_shares(params)
    return run.epochs * (shares["train"] * flops.training_step + shares["validation"] * flops.forward)


def _list_shares(params: Params) -> dict[str, float]:
    """Return the shares of the parts that a training reads, usual ones where the parts come with the photos."""
    return {part: getattr(params.split, part) or usual for part, usual in USUAL.items()}
