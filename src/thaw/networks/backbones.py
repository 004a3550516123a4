"""Backbones as Keras models: how they are built, their preprocessing, and where their blocks end."""

import math
import re
from typing import Any

import numpy as np

from thaw.architectures.table import ARCHITECTURES
from thaw.base.quiet import keras, tf

# Of the photos of ImageNet, by channel, pixels in [0, 1], as keras.applications has them in efficientnet_v2.py. The
# files of EfficientNet hold the deviation where a Normalization looks for the variance, by whose root it divides; a
# Rescaling behind it, which efficientnet.py builds for these files alone, divides by the root once more.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


class Preprocessing(keras.layers.Layer):
    """Pixels (b, h, w, 3) float32 in [0, 255] -> what the architecture was trained on, same shape.

    `mode` other than `own` makes a mistake that published runs made, to show what it does: `rescaled` divides by 255
    before, the name of another architecture takes that one's preprocessing.
    """

    def __init__(self, architecture: str, mode: str = "own", **options: Any) -> None:
        super().__init__(dtype="float32", **options)  # with any policy of Keras: it subtracts means of a hundred
        self.architecture, self.mode = architecture, mode

    def call(self, pixels: tf.Tensor) -> tf.Tensor:
        """Return the preprocessed pixels."""
        if self.mode == "rescaled":
            pixels = pixels / 255
        chosen = self.mode if self.mode in ARCHITECTURES else self.architecture
        return getattr(keras.applications, ARCHITECTURES[chosen].module).preprocess_input(pixels)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the preprocessed pixels: that of the pixels."""
        return shape


def build(architecture: str, width: float, size: int) -> keras.Model:
    """Return the no-top backbone with random weights: (b, size, size, 3) preprocessed pixels -> feature maps.

    `width` scales the number of filters of every convolution. Topology and layer names do not depend on it, so a
    narrow network cuts where the full one does (the `alpha` of keras.applications drops and adds residuals).
    """
    row = ARCHITECTURES[architecture]
    builder = getattr(keras.applications, row.builder)
    model = builder(include_top=False, weights=None, input_shape=(size, size, 3), **row.options)
    if row.rescaled:
        model = keras.models.clone_model(model, call_function=_call_and_rescale)
    if width != 1:
        config = model.get_config()
        _scale(config["layers"], width, row.grain)
        model = keras.Model.from_config(config)
    for layer in model.layers:
        if is_normalization(layer) and layer.weights:
            layer.set_weights([np.array(MEAN), np.array(DEVIATION), layer.count])
            layer.finalize_state()
    return model


def _call_and_rescale(layer: keras.Operation, *inputs: Any, **options: Any) -> Any:
    """Return what `layer` makes of its inputs, and if that is normalised pixels, divided by the root of DEVIATION."""
    outputs = layer(*inputs, **options)
    if is_normalization(layer):
        outputs = keras.layers.Rescaling([1 / math.sqrt(deviation) for deviation in DEVIATION])(outputs)
    return outputs


def _scale(layers: list[dict[str, Any]], width: float, grain: int | None) -> None:
    """Scale the number of filters in the configurations of `layers`, those of nested networks too, by `width`.

    Numbers that are multiples of `grain` are scaled together, so that what adds up still does.
    """

    def scale(filters: int) -> int:
        unit = grain if grain and filters % grain == 0 else filters
        return filters // unit * max(1, round(unit * width))

    for layer in layers:
        layer.pop("build_config", None)  # the shapes it was built with: of the full width
        config = layer["config"]
        for key in ("filters", "units", "projection_dim"):  # of convolutions, dense layers and LayerScale
            if key in config:
                config[key] = scale(config[key])
        if config.get("groups", 1) > 1:  # of a depthwise convolution
            config["groups"] = scale(config["groups"])
        if "target_shape" in config:  # behind the pooling of squeeze and excitation
            config["target_shape"] = [*config["target_shape"][:-1], scale(config["target_shape"][-1])]
        if "layers" in config:
            config.pop("build_input_shape", None)
            config["layers"] = [inner for inner in config["layers"] if inner["class_name"] != "InputLayer"]
            _scale(config["layers"], width, grain)


def is_normalization(layer: keras.Operation) -> bool:
    """Tell whether `layer` is a Normalization: of pixels, by statistics that no training moves."""
    return isinstance(layer, keras.layers.Normalization)


def find_blocks(model: keras.Model, architecture: str) -> list[keras.Operation]:
    """Return the boundaries of the blocks in `model`: the operation before the first, then the last of each.

    Block i is what boundary i takes and boundary i - 1 does not (`find_before`). The output of a boundary alone leads
    on, so nothing crosses it; in a network whose row says otherwise, that of the block before may lead on beside it.
    Returns a list of `ARCHITECTURES[architecture].blocks + 1` operations.
    """
    row = ARCHITECTURES[architecture]
    first = next(i for i, operation in enumerate(model.operations) if re.match(row.inside, operation.name))
    position = {id(operation): i for i, operation in enumerate(model.operations)}
    points = find_single_tensors(model)
    before = [point for point in points if position[id(point)] < first][-1]
    ends = [point for point in (points if row.alone else model.operations) if re.fullmatch(row.ends, point.name)]
    if len(ends) != row.blocks:
        raise ValueError(f"{architecture}: found {len(ends)} blocks, expected {row.blocks}")
    return [before, *ends]


def find_before(model: keras.Model, operation: keras.Operation) -> set[int]:
    """Return the ids of the operations of `model` that it takes to compute the output of `operation`, and its own."""
    found, needed = set(), {id(operation.output)}
    for each in reversed(model.operations):
        if id(each.output) in needed:
            found.add(id(each))
            needed |= {id(tensor) for tensor in find_inputs(each)}
    return found


def find_single_tensors(model: keras.Model) -> list[keras.Operation]:
    """Return, from the input to the output, the operations whose output alone crosses to the rest of the network.

    Walks the graph of operations, so a residual that leads around an operation rules it out.
    """
    last_use: dict[int, int] = {}
    for i, operation in enumerate(model.operations):
        for tensor in find_inputs(operation):
            last_use[id(tensor)] = i
    last_use[id(model.outputs[0])] = len(model.operations)
    alive: set[int] = set()
    points = []
    for i, operation in enumerate(model.operations):
        alive = {tensor for tensor in alive | {id(operation.output)} if last_use[tensor] > i}
        if alive == {id(operation.output)}:
            points.append(operation)
    return points


def find_inputs(operation: keras.Operation) -> list[keras.KerasTensor]:
    """Return the tensors that the operation takes in."""
    return [tensor for node in operation._inbound_nodes[:1] for tensor in node.input_tensors]
