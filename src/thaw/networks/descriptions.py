"""The JSON documents beside weights: what the network is that they belong to."""

from typing import Any, NotRequired, TypedDict

from thaw.networks.sections import BatchNorm


class BackboneDescription(TypedDict):
    """A backbone, without where its weights come from."""

    name: str  # an entry of `backbones`
    architecture: str  # a row of ARCHITECTURES
    width: float
    preprocessing: NotRequired[str]  # a mode of backbones.Preprocessing; left out where it is the network's own
    row: NotRequired[str]  # the digest of the row; left out of those that are older than it


# The document beside the weights of a trained run. Written as a call, because `from` is no name in Python.
RunDescription = TypedDict(
    "RunDescription",
    {
        "run": str,
        "size": int,  # pixels, a side
        "classes": list[str],
        "trainable_parameters": int,
        "total_parameters": int,
        "flip_test": NotRequired[bool],  # given where it is true
        "backbone": BackboneDescription | None,  # None for the baseline CNN
        "network": NotRequired[dict[str, Any]],  # a sections.BaselineNetwork, for the baseline CNN alone
        # What follows is of runs with a backbone.
        "head": NotRequired[dict[str, Any]],  # a sections.Head
        "from": NotRequired[str],  # the run that it starts from, or pretrained/BACKBONE
        "unfreeze": NotRequired[dict[str, Any] | None],  # what was set of sections.Unfreeze
        "batch_norm": NotRequired[BatchNorm],
        "cut": NotRequired[str],  # the operation behind which the run trains
        "stored": NotRequired[bool],  # whether storing the activations at the cut saves time
    },
)


class PretrainedDescription(TypedDict):
    """The document beside the first weights of a backbone."""

    backbone: BackboneDescription
