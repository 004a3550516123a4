"""Backbones as Keras models: how they are built, their preprocessing, and where their blocks end."""

import re
from typing import Any

from thaw.base.quiet import keras, tf
from thaw.networks.architectures import ARCHITECTURES


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
    if width == 1:
        return model
    config = model.get_config()
    for layer in config["layers"]:
        layer.pop("build_config", None)  # the shapes it was built with: of the full width
        if "filters" in layer["config"]:
            layer["config"]["filters"] = max(1, round(layer["config"]["filters"] * width))
    return keras.Model.from_config(config)


def find_blocks(model: keras.Model, architecture: str) -> list[keras.Operation]:
    """Return the boundaries of the blocks in `model`: the operation before the first, then the last of each.

    A boundary is an operation whose output alone leads on, so nothing crosses it: block i is what lies between
    boundaries i - 1 and i. Returns a list of `ARCHITECTURES[architecture].blocks + 1` operations.
    """
    row = ARCHITECTURES[architecture]
    first = next(i for i, operation in enumerate(model.operations) if re.match(row.inside, operation.name))
    position = {id(operation): i for i, operation in enumerate(model.operations)}
    points = find_single_tensors(model)
    before = [point for point in points if position[id(point)] < first][-1]
    ends = [point for point in points if re.fullmatch(row.ends, point.name)]
    if len(ends) != row.blocks:
        raise ValueError(f"{architecture}: found {len(ends)} blocks, expected {row.blocks}")
    return [before, *ends]


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
