"""A network taken apart at a cut."""

from collections.abc import Callable, Sequence
from typing import Any

from thaw.base.quiet import keras, tf
from thaw.networks.classifiers import Network
from thaw.networks.sections import BatchNorm
from thaw.networks.unfreezing import is_batch_norm


class TrainedPart(keras.layers.Layer):
    """Runs a network in training as far as its layers are open: a closed one acts as in use, its dropout too.

    Unless `batch_norm` is ``batch``, BatchNorm layers keep the statistics they came with; gamma and beta may train.
    `network(x, training=False)` inside a functional model does not last through `fit` once the network is unfrozen; in
    a layer's own `call` it does.
    """

    def __init__(self, network: keras.Model, batch_norm: BatchNorm, **options: Any) -> None:
        super().__init__(**options)
        self.network, self.batch_norm = network, batch_norm

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return what the network makes of `x`."""

        def choose(operation: keras.Operation) -> Callable[..., Any]:
            if not isinstance(operation, keras.layers.Layer):
                return operation
            # Said to each layer: what one is told, Keras takes for its successors, too. In place of what the graph may
            # hold since it was built.
            acts = bool(training) and self._trains(operation)
            return lambda *inputs, **options: operation(*inputs, **{**options, "training": acts})

        return keras.tree.flatten(self.network._run_through_graph(x, choose))[0]

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of what the network makes of an input of `shape`."""
        return self.network.compute_output_shape(shape)

    def _trains(self, layer: keras.layers.Layer) -> bool:
        """Tell whether `layer` acts as in training, where the whole is in training."""
        return layer.trainable and (self.batch_norm == "batch" or not is_batch_norm(layer))


def build_tail(network: Network, cut: keras.Operation, batch_norm: BatchNorm) -> keras.Model:
    """Return what is left to train: the model from the activations at `cut` (of the backbone) to the logits.

    From the pixels, where `cut` is the backbone's input; from the pooled features, where it is its output: only the
    head is left. With `batch_norm` ``batch``, open BatchNorm layers normalise by the batch and move their statistics in
    training.
    """
    backbone = network.backbone
    if cut is backbone.operations[-1]:
        return network.head
    if cut is backbone.operations[0]:
        inputs = keras.Input(network.model.input_shape[1:], name="pixels")
        features, rest = network.preprocessing(inputs), backbone
    else:
        inputs = features = keras.Input(cut.output.shape[1:], name="activations")
        rest = keras.Model(cut.output, backbone.output)
    features = TrainedPart(rest, batch_norm)(features)
    return keras.Model(inputs, network.head(network.model.get_layer("pooling")(features)))


def build_prefixes(network: Network, cuts: Sequence[keras.Operation]) -> keras.Model:
    """Return the model pixels -> activations at each of `cuts`, operations of the backbone: one array, or a list.

    At the backbone's output they are the pooled features (b, c).
    """
    pixels = keras.Input(network.model.input_shape[1:], name="pixels")
    before = keras.Model(network.backbone.input, [cut.output for cut in cuts])
    outputs = before(network.preprocessing(pixels), training=False)
    last, pooling = network.backbone.operations[-1], network.model.get_layer("pooling")
    outputs = [pooling(output) if cut is last else output for cut, output in zip(cuts, outputs, strict=True)]
    return keras.Model(pixels, outputs if len(outputs) > 1 else outputs[0])


def name_cut(network: Network, cut: keras.Operation) -> str:
    """Return what metrics call the operation `cut`: its name, `pixels` for the input, `pooling` for the output."""
    names = {id(network.backbone.operations[0]): "pixels", id(network.backbone.operations[-1]): "pooling"}
    return str(names.get(id(cut), cut.name))
