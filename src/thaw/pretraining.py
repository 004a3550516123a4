"""Where a backbone's first weights come from: ImageNet, a file, the drawn sample, or chance."""

import concurrent.futures
import io
import multiprocessing
import pathlib
import sys
from typing import Annotated, Literal

import keras
import numpy as np
import PIL.Image
import pydantic
import tensorflow as tf

from thaw import backbones
from thaw.backbones import ARCHITECTURES, FILES
from thaw.compute import UNTUNED
from thaw.costs import count_flops
from thaw.datasets import sample
from thaw.fetching import fetch
from thaw.params import InputError, Section, Seed
from thaw.progress import track
from thaw.publishing import digest_of, publish, write_json

DOWNLOADS = ".thaw/downloads"
RANDOM_SIZE = 224  # pixels; the weights of a convolutional backbone do not depend on it
DRAWING_PROCESSES = 2
WARM_UP = 12  # one in so many steps of the pretraining raises the learning rate from zero
# Of the statistics while pretraining: it has too few steps for the 0.99 and 0.999 that the published networks use.
BATCH_NORM_MOMENTUM = 0.9


class Pretraining(Section):
    """How `weights: sample` trains a backbone: on the second domain of the drawn sample, from random weights."""

    photos_per_class: Annotated[int, pydantic.Field(ge=2, le=10_000)]
    size: Annotated[int, pydantic.Field(ge=32, le=512)]  # pixels
    batch_size: Annotated[int, pydantic.Field(ge=1, le=1024)]
    learning_rate: Annotated[float, pydantic.Field(gt=0, le=1)]  # of Adam at its highest: a short rise, then a cosine
    epochs: Annotated[int, pydantic.Field(ge=1, le=1000)]


class Backbone(Section):
    """An entry of section `backbones`."""

    architecture: Literal[tuple(ARCHITECTURES)]
    width: Annotated[float, pydantic.Field(gt=0, le=2)]  # share of the published number of filters
    weights: str  # imagenet, sample, random, or the path of a file ending in .h5
    seed: Seed | None = None  # of the first weights, for sample and random
    pretraining: Pretraining | None = None  # for sample
    preprocessing: Literal[("own", "rescaled", *ARCHITECTURES)] = "own"  # others are mistakes: backbones.Preprocessing

    @pydantic.field_validator("weights")
    @classmethod
    def _known(cls, weights):
        if weights not in ("imagenet", "sample", "random") and not weights.endswith(".h5"):
            raise ValueError("must be imagenet, sample, random or the path of a .h5 file")
        return weights

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if (self.seed is not None) != (self.weights in ("sample", "random")):
            raise ValueError("seed must be given with weights sample and random, and with no other")
        if (self.pretraining is not None) != (self.weights == "sample"):
            raise ValueError("pretraining must be given with weights sample, and with no other")
        if self.weights == "imagenet" and self.width != 1:
            raise ValueError("width must be 1.0 with weights imagenet")
        return self


def pretrain(name, backbone):
    """Return (model, document): the no-top network of `backbone`, entry `name` of `backbones`, with its first weights.

    The document tells their source: `official` is True where they are the file that keras.applications publishes,
    False where they are another file or were made here, None where Keras publishes no hash to tell. Raises InputError
    where a file is missing, is not the published one though it came over the network, or does not fit.
    """
    if backbone.weights == "sample":
        model, official, came = _pretrain_on_sample(backbone), False, {}
    else:
        model = backbones.build(backbone.architecture, backbone.width, RANDOM_SIZE)
        official, came = False, {}
        if backbone.weights != "random":
            path, official = _find_file(name, backbone)
            _load(model, path, backbone.architecture)
            came = {"file": path.name, "file_sha256": digest_of(path)}
    return model, {
        "name": name,
        "architecture": backbone.architecture,
        "width": backbone.width,
        "weights": backbone.weights,
        "official": official,
        **came,
        **({} if backbone.preprocessing == "own" else {"preprocessing": backbone.preprocessing}),
    }


def describe_network(model, architecture):
    """Return {parameters, layers, blocks} of the no-top network `model`, built for photos of RANDOM_SIZE pixels or others.

    `blocks` has an entry per block: its stage, the name of its last operation, and the layers, parameters and FLOPs of a
    forward pass up to there. What comes before the first block is stage `stem`, what comes behind the last one `top`.
    """
    row, operations = backbones.ARCHITECTURES[architecture], model.operations
    ends = backbones.find_blocks(model, architecture)
    stages = ["stem", *(stage for stage, count in row.stages.items() for _ in range(count))]
    if ends[-1] is not operations[-1]:
        ends, stages = [*ends, operations[-1]], [*stages, "top"]
    layers, blocks = {id(layer) for layer in model.layers}, []
    for stage, end in zip(stages, ends, strict=True):
        passed = operations[: operations.index(end) + 1]
        inside = [operation for operation in passed if id(operation) in layers]
        parameters = sum(layer.count_params() for layer in inside)
        counts = {"layers": len(inside), "parameters": parameters, "flops": count_flops(passed)}
        blocks.append({"stage": stage, "end": end.name, **counts})
    return {"parameters": model.count_params(), "layers": len(model.layers), "blocks": blocks}


def save_pretrained(model, document):
    """Write the weights of a no-top backbone as `models/pretrained/NAME`, and beside them what the network is.

    Where they come from is not told there: the runs depend on that file, and the same weights must give the same one.
    """
    with publish(f"models/pretrained/{document['name']}.weights.h5") as path:
        model.save_weights(path)
    told = ("name", "architecture", "width", "preprocessing")
    network = {key: document[key] for key in told if key in document}
    write_json(f"models/pretrained/{document['name']}.json", {"backbone": network})


def _find_file(name, backbone):
    """Return (path, official) of the file that `weights` names."""
    row = ARCHITECTURES[backbone.architecture]
    if backbone.weights == "imagenet":
        digest = row.md5 and f"md5:{row.md5}"
        path, official = fetch(FILES + row.file, digest, f"weights/{pathlib.Path(row.file).name}", DOWNLOADS)
        return path, None if official and digest is None else official
    path = pathlib.Path(backbone.weights).expanduser()
    if not path.is_file():
        raise InputError(f"params.yaml: backbones.{name}.weights: no such file (got {backbone.weights!r})")
    return path, False


def _load(model, path, architecture):
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: must hold the weights of {architecture} without its classifier: {reason}") from None


def _pretrain_on_sample(backbone):
    settings = backbone.pretraining
    images, labels = _draw_pictures(backbone.seed, settings)
    model = backbones.build(backbone.architecture, backbone.width, settings.size)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    pixels = keras.Input((settings.size, settings.size, 3))
    features = model(backbones.Preprocessing(backbone.architecture)(pixels))
    logits = keras.layers.Dense(len(sample.PRETRAINING))(keras.layers.GlobalAveragePooling2D()(features))
    classifier = keras.Model(pixels, logits)
    batches = tf.data.Dataset.from_tensor_slices((images, labels))
    batches = batches.shuffle(len(labels), seed=backbone.seed).batch(settings.batch_size).prefetch(2)
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
    verbose = 1 if sys.stdout.isatty() else 2
    classifier.fit(batches, epochs=settings.epochs, shuffle=False, verbose=verbose)  # the batches come shuffled
    return model


def _draw_pictures(seed, settings):
    """Return the pictures (n, size, size, 3) uint8 of the second domain and their labels (n,) int, drawn on two cores.

    The order does not depend on which process draws what.
    """
    classes, count = list(sample.PRETRAINING), settings.photos_per_class
    tasks = [(seed, name, index, settings.size) for name in classes for index in range(count)]
    # A fork of a process that has loaded TensorFlow may hang, so the workers start afresh.
    context = multiprocessing.get_context("forkserver")
    with concurrent.futures.ProcessPoolExecutor(DRAWING_PROCESSES, mp_context=context) as pool:
        drawn = pool.map(_draw_picture, *zip(*tasks, strict=True), chunksize=64)
        images = np.stack(list(track(drawn, "draw", len(tasks), "pictures")))
    return images, np.repeat(np.arange(len(classes)), count)


def _draw_picture(seed, name, index, size):
    content = sample.draw(seed, "pretraining", name, index, size)
    return np.asarray(PIL.Image.open(io.BytesIO(content)))
