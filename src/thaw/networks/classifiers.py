"""Classifiers: backbone with head, and the baseline CNN."""

import hashlib
import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from thaw.base.quiet import keras
from thaw.networks import backbones
from thaw.networks.descriptions import BackboneDescription, RunDescription
from thaw.networks.hdf5 import write_weights
from thaw.networks.sections import BaselineNetwork, Head


class Network(NamedTuple):
    """A classifier and its parts; they share their layers, so training a part trains the whole."""

    model: keras.Model  # pixels (b, size, size, 3) float32 in [0, 255] -> logits (b, classes) float32
    preprocessing: Any  # a keras.layers.Layer; None, as is the backbone, for the baseline CNN
    backbone: Any  # a keras.Model: preprocessed pixels -> feature maps
    head: keras.Model  # pooled features (b, c) -> logits

    def save_weights(self, path: pathlib.Path | str) -> None:
        """Write the weights at `path` (ends in .weights.h5): the same weights give the same bytes."""
        write_weights(self.model, path)


def build_classifier(
    architecture: str, width: float, size: int, head: Head, classes: int, preprocessing: str = "own"
) -> Network:
    """Return backbone, global average pooling and `head` (a Head) as a Network with random weights.

    `preprocessing` is a mode of backbones.Preprocessing. Where the policy of Keras is a mixed one, that, the mean over
    all places and the logits are calculated in float32.
    """
    backbone = backbones.build(architecture, width, size)
    prepare = backbones.Preprocessing(architecture, preprocessing, name="preprocessing")
    top = _build_head(backbone.output.shape[-1], head, classes)
    pixels = keras.Input((size, size, 3), name="pixels")
    features = keras.layers.GlobalAveragePooling2D(name="pooling", dtype="float32")(backbone(prepare(pixels)))
    return Network(keras.Model(pixels, top(features)), prepare, backbone, top)


def build_baseline(settings: BaselineNetwork, size: int, classes: int) -> Network:
    """Return the baseline CNN as a Network: `settings` is a BaselineNetwork; pixels are scaled to [0, 1]."""
    layers = [keras.Input((size, size, 3), name="pixels"), keras.layers.Rescaling(1 / 255)]
    for filters in settings.filters:
        layers += [keras.layers.Conv2D(filters, 3, activation="relu"), keras.layers.MaxPooling2D()]
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(settings.dense, activation="relu"),
        keras.layers.Dropout(settings.dropout),
        keras.layers.Dense(classes, name="logits", dtype="float32"),
    ]
    model = keras.Sequential(layers)
    return Network(model, None, None, model)


def rebuild(description: RunDescription) -> Network:
    """Return the Network that a training stage described (see `thaw.training.runs`), with random weights.

    `description` is the JSON document beside the weights.
    """
    size, classes = description["size"], len(description["classes"])
    if description["backbone"] is None:
        return build_baseline(BaselineNetwork(**description["network"]), size, classes)
    return build_described(description["backbone"], size, description["head"], classes)


def build_described(backbone: BackboneDescription, size: int, head: dict[str, Any], classes: int) -> Network:
    """Return the Network with random weights of a backbone and a head as the documents beside weights describe them."""
    mode = backbone.get("preprocessing", "own")
    return build_classifier(backbone["architecture"], backbone["width"], size, Head(**head), classes, mode)


def find_answering(network: Network, description: RunDescription) -> keras.Model:
    """Return the model, pixels -> logits, that answers for the trained run that `description` is of."""
    return average_flips(network.model) if description.get("flip_test") else network.model


def average_flips(model: keras.Model) -> keras.Model:
    """Return a model like `model` (pixels -> logits) that averages the probabilities of a photo and its mirror image.

    Its logits (b, classes) float32 are the logarithms of the mean probabilities, in nats. As Krizhevsky et al. 2012,
    ImageNet classification with deep convolutional neural networks, section 4.1, without the crops.
    """
    pixels = keras.Input(model.input_shape[1:], name="pixels")
    one, other = (keras.ops.log_softmax(model(images)) for images in (pixels, mirror(pixels)))
    return keras.Model(pixels, keras.ops.logaddexp(one, other) - math.log(2))


def mirror(images: Any) -> Any:
    """Return images (b, h, w, c), a tensor of Keras, with left and right exchanged."""
    return keras.ops.flip(images, axis=2)


def count_parameters(weights: Sequence[keras.Variable]) -> int:
    """Return how many numbers the weights hold."""
    return sum(math.prod(weight.shape) for weight in weights)


def digest_weights(model: keras.Model) -> str:
    """Return the sha256 over the values of the model's weights, in their order, in hex."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


def _build_head(features: int, head: Head, classes: int) -> keras.Model:
    """Return the head as a model: pooled features (b, features) -> logits (b, classes)."""
    layers = [keras.Input((features,), name="pooled")]
    for units in head.dense:
        layers.append(keras.layers.Dense(units))
        if head.batch_norm:
            layers.append(keras.layers.BatchNormalization())
        layers += [keras.layers.ReLU(), keras.layers.Dropout(head.dropout)]
    if not head.dense:
        layers.append(keras.layers.Dropout(head.dropout))
    layers.append(keras.layers.Dense(classes, name="logits", dtype="float32"))
    return keras.Sequential(layers, name="head")
