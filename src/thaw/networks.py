"""The networks: backbone with head, the baseline CNN, and a network taken apart at a cut."""

import hashlib
import math
from typing import Annotated, NamedTuple

import keras
import pydantic

from thaw import backbones, unfreezing
from thaw.params import Section
from thaw.publishing import read_json

Width = Annotated[int, pydantic.Field(ge=1, le=65_536)]
Dropout = Annotated[float, pydantic.Field(ge=0, lt=1)]


class Head(Section):
    """What stands on the pooled features: dense layers, then the classifier."""

    dense: list[Width]  # units of each hidden layer, ReLU
    dropout: Dropout  # after each hidden layer; after the pooling where there is none
    batch_norm: bool  # between each hidden layer and its ReLU


class BaselineNetwork(Section):
    """The baseline CNN: for each entry of `filters` a 3x3 valid convolution, ReLU and 2x2 max pooling, then dense."""

    filters: Annotated[list[Width], pydantic.Field(min_length=1)]
    dense: Width
    dropout: Dropout


class Network(NamedTuple):
    """A classifier and its parts; they share their layers, so training a part trains the whole."""

    model: keras.Model  # pixels (b, size, size, 3) float32 in [0, 255] -> logits (b, classes) float32
    preprocessing: keras.layers.Layer | None  # None, as is the backbone, for the baseline CNN
    backbone: keras.Model | None
    head: keras.Model  # pooled features (b, c) -> logits

    def save(self, path):
        """Write the weights at `path` (ends in .weights.h5): the same weights give the same bytes."""
        self.model.save_weights(path)


class Parts(NamedTuple):
    """A network taken apart: model = tail(prefix(pixels))."""

    prefix: keras.Model | None  # pixels -> activations at the cut; None where nothing is frozen
    tail: keras.Model  # activations (or pixels) -> logits


@keras.saving.register_keras_serializable("thaw")
class FixedStatistics(keras.layers.Layer):
    """Runs a network with the BatchNorm statistics it came with, in training too; gamma and beta may train.

    `network(x, training=False)` inside a functional model does not last through `fit` once the network is unfrozen;
    in a layer's own `call` it does.
    """

    def __init__(self, network, **options):
        super().__init__(**options)
        self.network = network

    def call(self, x):
        return self.network(x, training=False)

    def compute_output_shape(self, shape):
        return self.network.compute_output_shape(shape)


def build_classifier(architecture, width, size, head, classes, preprocessing="own"):
    """Return backbone, global average pooling and `head` (a Head) as a Network with random weights.

    `preprocessing` is a mode of backbones.Preprocessing.
    """
    backbone = backbones.build(architecture, width, size)
    preprocessing = backbones.Preprocessing(architecture, preprocessing, name="preprocessing")
    top = _build_head(backbone.output.shape[-1], head, classes)
    pixels = keras.Input((size, size, 3), name="pixels")
    features = keras.layers.GlobalAveragePooling2D(name="pooling")(backbone(preprocessing(pixels)))
    return Network(keras.Model(pixels, top(features)), preprocessing, backbone, top)


def find_smallest_size(settings):
    """Return the least size of image, in pixels a side, that leaves the baseline CNN's last pooling one pixel."""
    size = 1
    for _ in settings.filters:
        size = 2 * size + 2  # 2x2 pooling halves, the 3x3 valid convolution takes two
    return size


def build_baseline(settings, size, classes):
    """Return the baseline CNN as a Network: `settings` is a BaselineNetwork; pixels are scaled to [0, 1]."""
    layers = [keras.Input((size, size, 3), name="pixels"), keras.layers.Rescaling(1 / 255)]
    for filters in settings.filters:
        layers += [keras.layers.Conv2D(filters, 3, activation="relu"), keras.layers.MaxPooling2D()]
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(settings.dense, activation="relu"),
        keras.layers.Dropout(settings.dropout),
        keras.layers.Dense(classes, name="logits"),
    ]
    model = keras.Sequential(layers)
    return Network(model, None, None, model)


def take_apart(network, cut, batch_norm):
    """Return the Parts of `network` at the operation `cut` of its backbone, as `unfreezing.find_cut` gives it.

    At the backbone's output the pooling goes to the prefix: only the head is left to train. `batch_norm` is the mode
    of the tail: with `batch`, open BatchNorm layers normalise by the batch and move their statistics in training.
    """
    frozen = cut is not network.backbone.operations[0]
    return Parts(build_prefixes(network, [cut]) if frozen else None, build_tail(network, cut, batch_norm))


def build_tail(network, cut, batch_norm):
    """Return the model from the activations at `cut` (pixels, where that is the input) to the logits; see take_apart."""
    backbone = network.backbone
    if cut is backbone.operations[-1]:
        return network.head
    if cut is backbone.operations[0]:
        inputs = keras.Input(network.model.input_shape[1:], name="pixels")
        features, rest = network.preprocessing(inputs), backbone
    else:
        inputs = features = keras.Input(cut.output.shape[1:], name="activations")
        rest = keras.Model(cut.output, backbone.output)
    features = rest(features) if batch_norm == "batch" else FixedStatistics(rest)(features)
    return keras.Model(inputs, network.head(network.model.get_layer("pooling")(features)))


def build_prefixes(network, cuts):
    """Return the model pixels -> activations at each of `cuts`, operations of the backbone: one array, or a list.

    At the backbone's output they are the pooled features (b, c).
    """
    pixels = keras.Input(network.model.input_shape[1:], name="pixels")
    before = keras.Model(network.backbone.input, [cut.output for cut in cuts])
    outputs = before(network.preprocessing(pixels), training=False)
    last, pooling = network.backbone.operations[-1], network.model.get_layer("pooling")
    outputs = [pooling(output) if cut is last else output for cut, output in zip(cuts, outputs, strict=True)]
    return keras.Model(pixels, outputs if len(outputs) > 1 else outputs[0])


def name_cut(network, cut):
    """Return what metrics call the operation `cut`: its name, `pixels` for the input, `pooling` for the output."""
    names = {id(network.backbone.operations[0]): "pixels", id(network.backbone.operations[-1]): "pooling"}
    return names.get(id(cut), cut.name)


def load(name):
    """Return (Network, description) of the trained run `name` below `models`."""
    description = read_json(f"models/{name}.json")
    network = rebuild(description)
    network.model.load_weights(f"models/{name}.weights.h5")
    return network, description


def rebuild(description):
    """Return the Network that a training stage described (see `thaw.training`), with random weights.

    `description` is the JSON document beside the weights.
    """
    size, classes = description["size"], len(description["classes"])
    if description["backbone"] is None:
        return build_baseline(BaselineNetwork(**description["network"]), size, classes)
    return build_described(description["backbone"], size, description["head"], classes)


def build_described(backbone, size, head, classes):
    """Return the Network with random weights of a backbone and a head as the documents beside weights describe them."""
    mode = backbone.get("preprocessing", "own")
    return build_classifier(backbone["architecture"], backbone["width"], size, Head(**head), classes, mode)


def find_cut(network, description):
    """Return the operation of the backbone at which the described run's network is taken apart."""
    asked = description["unfreeze"] and unfreezing.Unfreeze(**description["unfreeze"])
    opened = unfreezing.find_open_layers(network.backbone, description["backbone"]["architecture"], asked)
    return unfreezing.find_cut(network.backbone, opened)


def count_parameters(weights):
    """Return how many numbers the weights hold."""
    return sum(math.prod(weight.shape) for weight in weights)


def digest_weights(model):
    """Return the sha256 over the values of the model's weights, in their order, in hex."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


def _build_head(features, head, classes):
    """Return the head as a model: pooled features (b, features) -> logits (b, classes)."""
    layers = [keras.Input((features,), name="pooled")]
    for units in head.dense:
        layers.append(keras.layers.Dense(units))
        if head.batch_norm:
            layers.append(keras.layers.BatchNormalization())
        layers += [keras.layers.ReLU(), keras.layers.Dropout(head.dropout)]
    if not head.dense:
        layers.append(keras.layers.Dropout(head.dropout))
    layers.append(keras.layers.Dense(classes, name="logits"))
    return keras.Sequential(layers, name="head")
