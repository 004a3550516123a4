"""What the runs of params.yaml ask of a backbone; apart from the check, because it needs Keras."""

from thaw.base.names import PRETRAINED
from thaw.config.checking import Params
from thaw.networks.plan import Opening
from thaw.networks.unfreezing import list_candidates


def list_openings(params: Params, backbone: str) -> list[Opening]:
    """Return what the runs of params.yaml ask of the backbone named `backbone`, in the order of the file."""
    start = PRETRAINED + backbone
    openings = [Opening(None, "inference", run.passes) for run in params.frozen.values() if run.backbone == backbone]
    architecture = params.backbones[backbone].architecture
    for name, run in params.finetune.items():
        if params.find_phases(name)[0] == start:
            asked = list_candidates(run.auto, architecture).values() if run.auto else [run.unfreeze]
            openings += [Opening(unfreeze, run.batch_norm, run.passes) for unfreeze in asked]
    return openings
