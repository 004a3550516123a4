"""A backbone pretrained on drawn flowers of other classes."""

import io
import sys

import numpy as np
import PIL.Image

from thaw.base.determinism import UNTUNED
from thaw.base.progress import log_output, track
from thaw.base.quiet import keras, tf
from thaw.drawn import flowers
from thaw.networks import backbones
from thaw.weights.drawing import Task, draw_all
from thaw.weights.sections import Backbone, Pretraining

WARM_UP = 12  # one in so many steps of the pretraining raises the learning rate from zero
# Of the statistics while pretraining: it has too few steps for the 0.99 and 0.999 that the published networks use.
BATCH_NORM_MOMENTUM = 0.9


def pretrain_on_flowers(backbone: Backbone) -> keras.Model:
    """Return the no-top network of `backbone`, an entry with ``weights: sample``, trained on the classes PRETRAINING.

    A linear classifier on the pooled features is trained with it, by Adam, as the key `pretraining` sets it; the
    learning rate rises linearly, then falls along a cosine. The first weights follow from the seed of Keras, which
    `determinism.configure` sets.
    """
    settings, seed = backbone.pretraining, backbone.seed
    assert settings is not None and seed is not None, "weights: sample has both"
    images, labels = _draw_pictures(seed, settings)
    model = backbones.build(backbone.architecture, backbone.width, settings.size)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    pixels = keras.Input((settings.size, settings.size, 3))
    features = model(backbones.Preprocessing(backbone.architecture)(pixels))
    pooled = keras.layers.GlobalAveragePooling2D(dtype="float32")(features)
    logits = keras.layers.Dense(len(flowers.PRETRAINING), dtype="float32")(pooled)
    classifier = keras.Model(pixels, logits)
    batches = tf.data.Dataset.from_tensor_slices((images, labels))
    batches = batches.shuffle(len(labels), seed=seed).batch(settings.batch_size).prefetch(2)
    batches = batches.with_options(UNTUNED)
    steps = settings.epochs * len(batches)
    rise = max(1, steps // WARM_UP)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - rise), warmup_target=settings.learning_rate, warmup_steps=rise
    )
    classifier.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    verbose = 1 if sys.stderr.isatty() else 2
    with log_output():
        classifier.fit(batches, epochs=settings.epochs, shuffle=False, verbose=verbose)  # the batches come shuffled
    return model


def _draw_pictures(seed: int, settings: Pretraining) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures (n, size, size, 3) uint8 of PRETRAINING and their labels (n,) int64, class by class."""
    classes, count = list(flowers.PRETRAINING), settings.photos_per_class
    species = [(name, index) for name in classes for index in range(count)]
    tasks: list[Task] = [(seed, "pretraining", name, index, settings.size) for name, index in species]
    decoded = [_decode(content) for content in track(draw_all(tasks), "draw", len(tasks), "pictures")]
    return np.stack(decoded), np.repeat(np.arange(len(classes)), count)


def _decode(content: bytes) -> np.ndarray:
    """Return the pixels (size, size, 3) uint8 of a picture."""
    with PIL.Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture)
