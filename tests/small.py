"""Small networks with the real topologies, and small photos, for the tests."""

import pathlib
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from thaw.architectures.table import ARCHITECTURES
from thaw.base.quiet import keras
from thaw.networks.classifiers import Network
from thaw.networks.sections import Head

SIZE = 75  # pixels: the smallest that every backbone takes
WIDTH = 0.125

# Those that take long to build or to go through, and those that are another one with more blocks.
LARGE = (
    "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetV2B0", "DenseNet121", "InceptionV3",
    "NASNetMobile",
)  # fmt: skip


def go_through(*usual: str) -> list[Any]:
    """Return all architectures as parameters of a test; those that are not `usual` are long."""
    return [pytest.param(name, marks=() if name in usual else pytest.mark.long) for name in ARCHITECTURES]


EACH = go_through(*(name for name in ARCHITECTURES if name not in LARGE))  # of a test that takes a moment for each
USUAL_FIRST = go_through("ResNet50", "MobileNet", "MobileNetV3Small")  # of a slow test
MOBILENET_FIRST = go_through("MobileNet")  # of a test that opens every cut


def plain_head() -> Head:
    """A head without hidden layers."""
    return Head(dense=[], dropout=0.0, batch_norm=False)


def scatter(model: keras.Model) -> None:
    """Give every weight of `model` a random value, variances one near 1: fresh statistics are 0 and 1 and hide faults.

    Kernels are large enough that what a photo makes still differs from photo to photo after the last layer.
    """
    generator = np.random.default_rng(5)
    for weight in model.weights:
        if "kernel" in weight.name:
            depthwise = weight.shape[-1] == 1
            inputs = np.prod(weight.shape[:2] if depthwise else weight.shape[:-1])
            weight.assign(generator.normal(0, np.sqrt(2 / inputs), weight.shape))
        else:
            spread = generator.normal(0, 0.2, weight.shape)
            weight.assign(1 + abs(spread) if "variance" in weight.path else weight.numpy() + spread)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def spread_logits(network: Network, pixels: np.ndarray) -> None:
    """Scale the last layer of `network` so that its logits of `pixels` are 0 in the mean and lie one apart at most."""
    logits, last = network.model.predict(pixels, verbose=0), network.head.layers[-1]
    spread = np.ptp(logits, axis=0).max()
    kernel, bias = last.get_weights()
    last.set_weights([kernel / spread, (bias - logits.mean(axis=0)) / spread])


def assert_close(found: Any, expected: Any) -> None:
    """Check that arrays are the same to the rounding of float32: within 1e-5 of the largest value."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def write_photos(folder: pathlib.Path, count: int, classes: Any) -> pd.DataFrame:
    """Draw `count` photos, coloured by class, below `folder`; return their rows as data/split.csv has them."""
    generator = np.random.default_rng(3)
    rows = []
    for i in range(count):
        label = i % classes
        pixels = generator.integers(0, 120, (80, 90, 3), dtype=np.uint8)
        pixels[..., label % 3] += 120
        path = folder / f"class{label}" / f"{i:016x}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(path)
        part = ("train", "train", "validation", "test")[i // classes % 4]
        rows.append((path.stem, path.parent.name, label, f"{path.parent.name}/{path.name}", part))
    return pd.DataFrame(rows, columns=["id", "class", "label", "file", "part"])
