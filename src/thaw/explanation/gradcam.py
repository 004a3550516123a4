"""Grad-CAM: which places of a photo speak for a class.

Source: R. R. Selvaraju, M. Cogswell, A. Das, R. Vedantam, D. Parikh, D. Batra: Grad-CAM: Visual Explanations from Deep
Networks via Gradient-based Localization. ICCV 2017, https://arxiv.org/abs/1610.02391. With A_k the last feature maps
(h, w) and y_c the logit of class c, the weight of a map is the mean of its gradient, a_k = mean_ij dy_c / dA_k_ij
(equation 1), and the map of the class is ReLU(sum_k a_k A_k) (equation 2). For a head of a single dense layer on
average pooling that is class activation mapping (Zhou et al. 2016, https://arxiv.org/abs/1512.04150), as section 3 of
the paper shows.
"""

from typing import NamedTuple

import numpy as np

from thaw.base.quiet import keras, tf
from thaw.networks.classifiers import Network


class Halves(NamedTuple):
    """A classifier in two parts, before and behind its last feature maps."""

    before: keras.Model  # pixels (b, size, size, 3) float32 in [0, 255] -> feature maps (b, h, w, c)
    behind: keras.Model  # feature maps -> logits (b, classes)


class Seen(NamedTuple):
    """What a network makes of a batch of photos."""

    logits: np.ndarray  # (b, classes) float32
    maps: np.ndarray  # (b, h, w) float32, at least 0: that of the class asked for, not scaled
    pooled: np.ndarray  # (b, c) float32: the means of the feature maps


def halve(network: Network) -> Halves:
    """Return the Halves of `network`, which share its layers.

    The feature maps are the backbone's output, and that of the last convolution for the baseline CNN.
    """
    if network.backbone is None:
        layers = network.model.layers
        last = max(i for i, layer in enumerate(layers) if isinstance(layer, keras.layers.Conv2D))
        maps = layers[last].output
        return Halves(keras.Model(network.model.inputs[0], maps), keras.Model(maps, network.model.outputs[0]))
    pixels = keras.Input(network.model.input_shape[1:], name="pixels")
    maps = keras.Input(network.backbone.output.shape[1:], name="maps")
    before = network.backbone(network.preprocessing(pixels), training=False)
    behind = network.head(network.model.get_layer("pooling")(maps), training=False)
    return Halves(keras.Model(pixels, before), keras.Model(maps, behind))


def look(halves: Halves, pixels: np.ndarray, labels: np.ndarray | None = None) -> Seen:
    """Return what the network sees in `pixels` (b, size, size, 3) float32 in [0, 255].

    The maps are those of the classes `labels` (b,) int; None takes the class that is predicted for each photo.
    """
    maps = halves.before(pixels, training=False)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        logits = halves.behind(maps, training=False)
        chosen = tf.argmax(logits, axis=1) if labels is None else labels
        score = tf.reduce_sum(tf.gather(logits, chosen, axis=1, batch_dims=1))
    weights = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2), keepdims=True)
    found = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1))
    return Seen(logits.numpy(), found.numpy(), tf.reduce_mean(maps, axis=(1, 2)).numpy())


def coarsen(maps: np.ndarray, most: int) -> np.ndarray:
    """Return `maps` (b, h, w) with at most `most` cells a side, (b, h', w') float32, means of what they cover."""
    size = [min(side, most) for side in maps.shape[1:]]
    return tf.image.resize(maps[..., np.newaxis], size, tf.image.ResizeMethod.AREA).numpy()[..., 0]


def scale(maps: np.ndarray) -> np.ndarray:
    """Return `maps` (…, h, w), at least 0, each divided by its largest value: float32 in [0, 1].

    A map without anything above 0, or with a value that is no number, is 0 everywhere.
    """
    largest = maps.max(axis=(-2, -1), keepdims=True)
    usable = np.isfinite(largest) & (largest > 0)
    return np.where(usable, maps / np.where(usable, largest, 1), 0).astype(np.float32)


def heatmap(network: Network, image: np.ndarray, label: int | None = None) -> np.ndarray:
    """Return where `network` finds class `label` in a photo, (h, w) float32 in [0, 1], 1 at its strongest.

    `image` (size, size, 3) is the photo as the network takes it, pixels in [0, 255]; None takes the predicted class.
    The map has the places of the last feature maps: it covers the photo, h x w cells of the same size.
    """
    labels = None if label is None else np.array([label])
    return scale(look(halve(network), image[np.newaxis].astype(np.float32), labels).maps)[0]
