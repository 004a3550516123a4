"""A trained network in the formats that other runtimes read: float32 pixels in 0 to 255 in, probabilities out.

Keras's own `model.export` writes a SavedModel whose variables stand in the order of a set, so its bytes differ from
process to process. TensorFlow's function for it, with the variables in a list, is deterministic but for a random number
in a file that nothing needs.
"""

import json
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import onnx

from thaw.base.quiet import keras, tf
from thaw.export.files import About
from thaw.export.repeating import make_repeatable
from thaw.export.sections import Quantize
from thaw.networks.backbones import is_normalization
from thaw.networks.classifiers import Network, mirror

PIXELS, PROBABILITIES = "pixels", "probabilities"  # names of input and output in every file


def build_whole(network: Network, flip_test: bool = False) -> keras.Model:
    """Return `network` with softmax behind it: pixels (b, size, size, 3) float32 in [0, 255] -> (b, classes).

    With `flip_test` the probabilities are the mean of those of the photo and of its mirror image.
    """
    pixels = keras.Input(network.model.input_shape[1:], name=PIXELS)
    if not flip_test:
        return keras.Model(pixels, keras.layers.Softmax(name=PROBABILITIES)(network.model(pixels)))
    both = [keras.layers.Softmax()(network.model(images)) for images in (pixels, mirror(pixels))]
    return keras.Model(pixels, keras.layers.Average(name=PROBABILITIES)(both))


def write_saved_model(whole: keras.Model, folder: pathlib.Path) -> None:
    """Write `whole` as a SavedModel at `folder`, with one function, `serve`, which is its default signature too."""
    module = tf.Module()
    module.variables_in_order = [variable.value for variable in whole.variables]
    given = tf.TensorSpec((None, *whole.input_shape[1:]), tf.float32, name=PIXELS)

    def serve(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {PROBABILITIES: whole(pixels, training=False)}

    module.serve = tf.function(serve, input_signature=[given], autograph=False)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    (folder / "fingerprint.pb").unlink()  # holds a random number; loading does without


def convert_litert(saved_model: pathlib.Path, quantize: Quantize, photos: Sequence[np.ndarray]) -> bytes:
    """Return the SavedModel as a LiteRT file of built-in operations alone; input and output stay float32.

    `photos` (size, size, 3) float32 are what the ranges of activations are taken from, for int8 alone. The same input
    gives the same bytes.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif quantize == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]

        def represent() -> Iterator[list[np.ndarray]]:
            for photo in photos:
                yield [photo[np.newaxis]]

        converter.representative_dataset = represent
    return converter.convert()


def write_onnx(whole: keras.Model, path: pathlib.Path, about: About) -> None:
    """Write `whole` as an ONNX file at `path`, with `about` as its metadata; the same input gives the same bytes."""
    for layer in whole._flatten_layers():
        if is_normalization(layer):  # tf2onnx takes tensors that a function captures for inputs of the network
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
    whole.export(str(path), format="onnx", verbose=False)
    model = make_repeatable(onnx.load(str(path)), PIXELS, PROBABILITIES)
    texts = {key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
             for key, value in about.describe().items()}  # fmt: skip
    onnx.helper.set_model_props(model, dict(sorted(texts.items())))
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
