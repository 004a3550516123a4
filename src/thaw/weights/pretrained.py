"""Where a backbone's first weights come from: ImageNet, a file, the drawn sample, or chance."""

import pathlib
from typing import Any

import numpy as np

from thaw.architectures.table import ARCHITECTURES
from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import digest_of, publish, write_json
from thaw.base.names import PRETRAINED
from thaw.base.quiet import keras
from thaw.networks import backbones
from thaw.networks.costs import count_flops
from thaw.networks.hdf5 import find_fault, fit_weights, write_weights
from thaw.photos.fetching import DOWNLOADS, fetch
from thaw.photos.places import FILE, NOTHING, find_kind, find_path
from thaw.weights.on_flowers import pretrain_on_flowers
from thaw.weights.sections import Backbone

RANDOM_SIZE = 224  # pixels; the weights of a convolutional backbone do not depend on it

# Digests of rows as they were when descriptions had none: theirs have none still, or every run would train again.
UNTOLD = {
    "ResNet50": "0476d1cf030c1140",
    "MobileNet": "c8d65d709c861c06",
    "MobileNetV2": "9462053d28fc226c",
    "MobileNetV3Small": "d6ecf35665a6c331",
    "MobileNetV3SmallMinimalistic": "daacc89d273a05c1",
    "MobileNetV3Large": "f69ffea818c2bd6f",
    "MobileNetV3LargeMinimalistic": "fd2089baf4f31aa1",
    "Xception": "ea9ad037d9b9ac7b",
}


def pretrain(name: str, backbone: Backbone) -> tuple[keras.Model, dict[str, Any]]:
    """Return (model, document): the no-top network of `backbone`, entry `name` of `backbones`, with its first weights.

    The document names their source: `official` is True where they are the file that keras.applications publishes,
    False where they are another file or were made here, None where Keras publishes no hash to compare with.

    Raises InputError where a file is missing, was downloaded and is not the published one, or does not fit.
    """
    official: bool | None = False
    file: dict[str, str] = {}
    if backbone.weights == "sample":
        model = pretrain_on_flowers(backbone)
    else:
        model = backbones.build(backbone.architecture, backbone.width, RANDOM_SIZE)
        if backbone.weights != "random":
            path, official = _find_file(name, backbone)
            _load(model, path, official, name, backbone)
            file = {"file": path.name, "file_sha256": digest_of(path)}
    return model, {
        "name": name,
        "architecture": backbone.architecture,
        "width": backbone.width,
        "weights": backbone.weights,
        "official": official,
        **file,
        **({} if backbone.preprocessing == "own" else {"preprocessing": backbone.preprocessing}),
    }


def describe_network(model: keras.Model, architecture: str) -> dict[str, Any]:
    """Return {parameters, layers, blocks} of the no-top network `model`, built for photos of any size.

    `blocks` has an entry per block: its stage, the name of its last operation, and the layers, parameters and FLOPs of
    a forward pass up to there. What comes before the first block is stage `stem`, what comes behind the last one `top`.
    """
    row, operations = ARCHITECTURES[architecture], model.operations
    ends = backbones.find_blocks(model, architecture)
    stages = ["stem", *(stage for stage, count in row.stages.items() for _ in range(count))]
    if ends[-1] is not operations[-1]:
        ends, stages = [*ends, operations[-1]], [*stages, "top"]
    layers = {id(layer) for layer in model.layers}
    blocks = []
    for stage, end in zip(stages, ends, strict=True):
        before = backbones.find_before(model, end)
        passed = [operation for operation in operations if id(operation) in before]
        inside = [operation for operation in passed if id(operation) in layers]
        parameters = sum(layer.count_params() for layer in inside)
        counts = {"layers": len(inside), "parameters": parameters, "flops": count_flops(passed)}
        blocks.append({"stage": stage, "end": end.name, **counts})
    return {"parameters": model.count_params(), "layers": len(model.layers), "blocks": blocks}


def save_pretrained(model: keras.Model, document: dict[str, Any]) -> None:
    """Write the weights of a no-top backbone to `models/pretrained`, and beside them what the network is.

    `document` is that of `pretrain`. The source of the weights is left out: the runs depend on that file, and the same
    weights must give the same one. A digest of the row of the architecture is there, so that an edit of it makes the
    runs on this backbone stale, and a row for another network none.
    """
    run = PRETRAINED + document["name"]
    with publish(paths.find_weights(run)) as path:
        write_weights(model, path)
    keys = ("name", "architecture", "width", "preprocessing")
    network = {key: document[key] for key in keys if key in document}
    architecture = document["architecture"]
    digest = ARCHITECTURES[architecture].digest
    if UNTOLD.get(architecture) != digest:
        network["row"] = digest
    write_json(paths.find_description(run), {"backbone": network})


def _find_file(name: str, backbone: Backbone) -> tuple[pathlib.Path, bool | None]:
    """Return (path, official) of the file that `weights` names."""
    row = ARCHITECTURES[backbone.architecture]
    if backbone.weights == "imagenet":
        path, official = fetch(row.url, row.published, row.mirrored, DOWNLOADS, find_fault)
        return path, None if official and row.published is None else official
    place = f"params.yaml: backbones.{name}.weights"
    path = find_path(backbone.weights, place)
    kind = find_kind(path)
    if kind == NOTHING:
        raise InputError(f"{place}: no such file (got {backbone.weights!r})")
    if kind != FILE:
        raise InputError(f"{place}: must be a file (got {backbone.weights!r}, {kind})")
    return path, False


def _load(model: keras.Model, path: pathlib.Path, official: bool | None, name: str, backbone: Backbone) -> None:
    """Give `model` the weights in the file at `path`; raises InputError where they do not fit.

    `official` is that of `_find_file`: what was downloaded and has no published hash is removed then, so that the next
    run downloads it again.
    """
    try:
        fit_weights(model, path)
        if not all(np.isfinite(weight.numpy()).all() for weight in model.weights):
            raise ValueError("it holds what is no finite number")
    except ValueError as error:
        gone = ""
        if official is None:
            path.unlink(missing_ok=True)
            gone = "; it was removed, and the next run downloads it again"
        raise InputError(
            f"{path}: must hold the weights of {backbone.architecture} without its classifier: {error} "
            f"(params.yaml: backbones.{name}.weights){gone}"
        ) from None
