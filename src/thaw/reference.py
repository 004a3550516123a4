"""The reference of params.yaml, docs/params.md, made from the classes that type its sections.

    ./run python -m thaw.reference

What may be written, and what holds where a key is left out, comes out of the classes. What they do not tell stands
here: what each key means, its unit, and what must hold between keys.
"""

import json
from typing import NamedTuple

import pydantic

from thaw.compute import Compute
from thaw.datasets.archive import Archive
from thaw.datasets.folder import Folder
from thaw.datasets.sample import Sample
from thaw.datasets.tfds import Tfds
from thaw.networks import BaselineNetwork, Head
from thaw.params import Section, run
from thaw.presets import ROOT
from thaw.pretraining import Backbone, Pretraining
from thaw.publishing import write_text
from thaw.records import Image
from thaw.repeating import Folds, Replicates
from thaw.reporting.tables import to_markdown
from thaw.splitting import Split
from thaw.training import Adam, BaselineRun, FinetuneRun, FrozenRun, Sgd, Training
from thaw.unfreezing import Unfreeze
from thaw.views import Augmentation

FILE = ROOT / "docs" / "params.md"


class Mapping(NamedTuple):
    """One mapping of params.yaml."""

    cls: type[Section]
    keys: dict[str, str]  # key -> what it means, in Markdown, in the order in which they are shown
    text: str = ""  # what must hold between the keys
    title: str = ""  # of one of several mappings that may stand at the same place


class Chapter(NamedTuple):
    """One heading of the reference."""

    title: str  # the name of the section, or of the key that holds the mapping
    text: str
    mappings: list[Mapping]  # one, or those to choose from


UNITS = {
    "batch_size": "photos",
    "blocks": "blocks",
    "crop": "share",
    "dense": "units",
    "dropout": "share",
    "epochs": "epochs",
    "filters": "filters",
    "from_layer": "layers",
    "layers": "layers",
    "momentum": "share",
    "near_duplicate_bits": "bits",
    "photos_per_class": "photos",
    "shards": "files",
    "size": "pixels",
    "test": "share",
    "threads": "threads",
    "train": "share",
    "validation": "share",
    "views": "views",
    "width": "factor",
}

_SOURCE = {"source": "the kind of source"}
_DIGEST = {
    "digest": "sha256 of all photos and their classes, as `metrics/download.json` tells it: other photos are then a "
    "fault. `null` accepts any"
}
_RUN = {
    "optimizer": "how the weights move",
    "epochs": "passes over the train part; the weights after the last one are the result",
    "augmentation": "views of the photos to train on; without it they are seen as they are",
}
_REPETITION = {"backbone": "that of the run, so that DVC knows what the trainings start from"}
_RATE = {"learning_rate": "the same in every step"}

CHAPTERS = [
    Chapter(
        "dataset",
        "Where the photos come from: one of four sources. The source is no part of what they are: the same photos have "
        "the same digest.",
        [
            Mapping(
                Tfds,
                _SOURCE
                | {"name": "dataset and version, as `tf_flowers:3.0.1` or, with a configuration, `NAME/CONFIG:1.0.0`"}
                | _DIGEST,
                "An image classification dataset of [TensorFlow Datasets](https://www.tensorflow.org/datasets), with "
                "the features `image` and `label`. All its splits are taken together.",
                "source: tfds",
            ),
            Mapping(
                Archive,
                _SOURCE | {"url": "address of the file", "sha256": "of the file: what comes must match"} | _DIGEST,
                "A zip or tar file on the web, with a folder of JPEG or PNG files for each class in it. One folder "
                "around them is allowed.",
                "source: archive",
            ),
            Mapping(
                Folder,
                _SOURCE
                | {"path": "of the folder; starts at the folder of params.yaml, or at the home folder with `~`"}
                | _DIGEST,
                "A folder of this machine, with a folder of JPEG or PNG files for each class in it. DVC sees the path "
                "and not what is in the folder.",
                "source: folder",
            ),
            Mapping(
                Sample,
                _SOURCE
                | {
                    "seed": "of the drawing",
                    "photos_per_class": "to draw of each class",
                    "size": "width and height of each",
                }
                | _DIGEST,
                "Flowers of five classes, drawn by thaw itself, offline.",
                "source: sample",
            ),
        ],
    ),
    Chapter(
        "split",
        "Which photos train, which validate and which test. Every class has its share of every part.",
        [
            Mapping(
                Split,
                {
                    "seed": "of the draw",
                    "train": "of the photos, to train on",
                    "validation": "of the photos, to choose among runs by",
                    "test": "of the photos, scored once; 0 makes no test part",
                    "near_duplicate_bits": "photos whose 64-bit perceptual hashes differ in at most so many bits stay "
                    "in one part, and so does a chain of them",
                },
                "The three shares add up to 1, and a class must have photos enough to be in every part.",
            )
        ],
    ),
    Chapter(
        "image",
        "How photos are kept for training, as TFRecords.",
        [
            Mapping(
                Image,
                {
                    "size": "width and height that every photo is resized to, whatever its proportions; at least what "
                    "each backbone, and the baseline CNN, can take",
                    "shards": "for each part",
                },
            )
        ],
    ),
    Chapter(
        "compute",
        "What the arithmetic runs on. Both keys change the last bits of every trained weight.",
        [
            Mapping(
                Compute,
                {
                    "threads": "of TensorFlow, inside an operation and between operations",
                    "onednn_isa": "the widest instruction set that oneDNN may use; `DEFAULT`: that of the machine",
                },
            )
        ],
    ),
    Chapter(
        "training",
        "What all runs share.",
        [
            Mapping(
                Training,
                {
                    "seed": "of the first weights of heads and of the baseline CNN, of dropout, and of the order of "
                    "the photos",
                    "batch_size": "in a training step",
                },
            )
        ],
    ),
    Chapter(
        "backbones",
        "A mapping of names to pretrained networks without their classifiers; at least one.",
        [
            Mapping(
                Backbone,
                {
                    "architecture": "the network, of `keras.applications`; the minimalistic MobileNetV3 are rows of "
                    "their own",
                    "width": "on the published number of filters of every convolution",
                    "weights": "`imagenet`: the file that Keras publishes. `sample`: trained here, on drawn flowers. "
                    "`random`: not trained. Or the path of an `.h5` file with the network's weights, its classifier "
                    "left out; DVC sees the path and not what is in the file",
                    "seed": "of the first weights and of the drawn flowers",
                    "pretraining": "how `weights: sample` is trained",
                    "preprocessing": "`own` is right. The others are mistakes to make on purpose: `rescaled` divides "
                    "the pixels by 255 first, the name of an architecture takes that one's preprocessing",
                },
                "`width` is 1 with `weights: imagenet`. `seed` is given with `weights: sample` and `weights: random` "
                "and with no other, `pretraining` with `weights: sample` alone.",
            )
        ],
    ),
    Chapter(
        "pretraining",
        "Key of an entry of [`backbones`](#backbones).",
        [
            Mapping(
                Pretraining,
                {
                    "photos_per_class": "to draw of each species",
                    "size": "width and height of each",
                    "batch_size": "in a training step",
                    "learning_rate": "of Adam, the highest: it rises to it shortly and falls as a cosine",
                    "epochs": "passes over the drawn flowers",
                },
                "The species are other ones than those of `source: sample`.",
            )
        ],
    ),
    Chapter(
        "baseline_cnn",
        "The run that every table has: a small CNN from scratch.",
        [Mapping(BaselineRun, {"network": "its layers"} | _RUN)],
    ),
    Chapter(
        "network",
        "Key of [`baseline_cnn`](#baseline_cnn).",
        [
            Mapping(
                BaselineNetwork,
                {
                    "filters": "of each 3×3 valid convolution; ReLU and 2×2 max pooling follow it",
                    "dense": "of the hidden layer behind them, ReLU",
                    "dropout": "of the hidden layer's outputs that a training step leaves out",
                },
            )
        ],
    ),
    Chapter(
        "frozen",
        "A mapping of names to runs that train a new head on a frozen backbone; at least one. No run has the name of "
        "another, in `frozen` and `finetune` together, or `baseline_cnn`.",
        [
            Mapping(
                FrozenRun,
                {"backbone": "an entry of [`backbones`](#backbones)", "head": "what stands on the pooled features"}
                | _RUN,
            )
        ],
    ),
    Chapter(
        "finetune",
        "A mapping of names to runs that open part of a backbone and train it together with the head; `{}` for none.",
        [
            Mapping(
                FinetuneRun,
                {
                    "from": "where it starts: an entry of [`frozen`](#frozen), or `pretrained/` and an entry of "
                    "[`backbones`](#backbones) for a new head on that",
                    "unfreeze": "what of the backbone trains",
                    "batch_norm": "of the open layers. `inference`: gamma and beta train, the statistics stay. "
                    "`frozen`: these stay too. `batch`: they normalise by the batch, and the statistics move",
                    "head": "given with `from: pretrained/…` and with no other: else it is that of the frozen run",
                }
                | _RUN,
            )
        ],
    ),
    Chapter(
        "replicates",
        "A mapping of runs, of [`frozen`](#frozen) and [`finetune`](#finetune), to how often each is trained with other "
        "seeds; `{}` for none. A preset has those of its own file alone.",
        [
            Mapping(
                Replicates,
                _REPETITION
                | {"count": "seeds in all: `training.seed`, with which the table trains the run, and those that follow"},
            )
        ],
    ),
    Chapter(
        "folds",
        "A mapping of runs, of [`frozen`](#frozen) and [`finetune`](#finetune), to be cross-validated over the whole "
        "set; `{}` for none. A preset has those of its own file alone.",
        [
            Mapping(
                Folds,
                _REPETITION
                | {
                    "count": "parts that the set is dealt into; at most the photos of a class, near duplicates "
                    "counted once"
                },
            )
        ],
    ),
    Chapter(
        "unfreeze",
        "Key of an entry of [`finetune`](#finetune).",
        [
            Mapping(
                Unfreeze,
                {
                    "layers": "the last so many",
                    "from_layer": "all but the first so many",
                    "blocks": "the last so many, and what follows them",
                    "stages": "by name: `conv2` to `conv5` of ResNet50, `stride2` (MobileNetV3Small: `stride4`) to "
                    "`stride32` of a MobileNet, `entry`, `middle` and `exit` of Xception",
                    "all": "the whole backbone",
                },
                "At least one key; several mean their union. Layers are counted as Keras lists them, those without "
                "weights included. What a backbone does not have is a fault that tells what it has.",
            )
        ],
    ),
    Chapter(
        "head",
        "Key of an entry of [`frozen`](#frozen) or [`finetune`](#finetune).",
        [
            Mapping(
                Head,
                {
                    "dense": "of each hidden layer, ReLU; `[]` for no hidden layer",
                    "dropout": "of the outputs of each hidden layer that a training step leaves out; of the pooled "
                    "features where there is no hidden layer",
                    "batch_norm": "whether BatchNorm stands between each hidden layer and its ReLU",
                },
                "The classifier, a unit for each class, comes behind the hidden layers.",
            )
        ],
    ),
    Chapter(
        "optimizer",
        "Key of every run.",
        [
            Mapping(Adam, {"name": "the optimizer"} | _RATE, title="name: adam"),
            Mapping(
                Sgd,
                {"name": "the optimizer"} | _RATE | {"momentum": "of the step before that the next one keeps"},
                title="name: sgd",
            ),
        ],
    ),
    Chapter(
        "augmentation",
        "Key of every run. Each photo has a fixed number of views, one for each epoch by turns, so that what frozen "
        "layers make of them can be stored.",
        [
            Mapping(
                Augmentation,
                {
                    "views": "of each photo; the first is the photo as it is",
                    "flip": "whether the others are mirrored left to right, each with probability 1/2",
                    "crop": "of a side that a crop keeps at least; 1 crops nothing",
                    "seed": "of the crops and mirrorings",
                },
            )
        ],
    ),
]

INTRODUCTION = """# params.yaml, key by key

<!-- Made by ./run python -m thaw.reference from the classes that check the file. -->

Every number of the pipeline stands in [`params.yaml`](../params.yaml); a [preset](presets.md) replaces whole sections
of it. The file is checked as a whole before any work, and every fault is told at once: the key, what was received and
what is allowed. Each stage depends on what it uses of the file and on no more, so an edit reruns what it can change.

A key without a default must be given. Small numbers may be written `0.0001`, `1e-4` or `1.0e-4`. Names of backbones and
runs are made of a–z, 0–9, `-` and `_`; they are labels, and nothing is read out of them."""

ENVIRONMENT = """## Environment variables

What belongs to a machine and not to the table stands in no file:

| Variable | Default | Meaning |
| --- | --- | --- |
| `THAW_MIRROR` | | a folder that is looked in before the network: `flower_photos/` with the class folders (for another \
dataset of TFDS, a folder of its name), `weights/` with weight files under the names that Keras gives them, archives \
under the names that they have on the web. What it holds is checked like what is downloaded; only a weight file may be \
another one than Keras publishes, and is then recorded as not official and footnoted |
| `THAW_STORE` | `.thaw/activations` | the folder of what frozen layers make of the photos; `none` stores nothing, \
not even the state from which a killed run goes on. Deleting it costs time and nothing else |
| `THAW_STORE_GIB` | 40 | what it may take; activations leave 2 GiB of the disk free. The state of a training, up to \
three times its weights, is kept in any case |"""


def render():
    """Return the text of docs/params.md."""
    blocks = [INTRODUCTION]
    for chapter in CHAPTERS:
        blocks += [f"## {chapter.title}", chapter.text]
        for mapping in chapter.mappings:
            blocks += [f"### `{mapping.title}`" if mapping.title else "", mapping.text, _tabulate(mapping)]
    return "\n\n".join(filter(None, [*blocks, ENVIRONMENT])) + "\n"


def _tabulate(mapping):
    """Return the keys of a Mapping as a Markdown table."""
    schema = pydantic.TypeAdapter(mapping.cls).json_schema()
    rows = []
    for key, meaning in mapping.keys.items():
        found = schema["properties"][key]
        default = f"`{_write(found['default'])}`" if "default" in found else ""
        rows.append([f"`{key}`", _say_values(found), UNITS.get(key, ""), default, meaning])
    return to_markdown(["Key", "Values", "Unit", "Default", "Meaning"], rows, left=5)


def _say_values(schema):
    """Return in Markdown what may stand at a place of this JSON schema."""
    if "anyOf" in schema:
        return " or ".join(_say_values(choice) for choice in schema["anyOf"])
    if "$ref" in schema:
        cls = schema["$ref"].split("/")[-1]
        title = next(chapter.title for chapter in CHAPTERS if cls in [one.cls.__name__ for one in chapter.mappings])
        return f"mapping [`{title}`](#{title})"
    if "oneOf" in schema:
        return _say_values(schema["oneOf"][0])  # of one chapter
    if "const" in schema:
        return f"`{_write(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{_write(value)}`" for value in schema["enum"])
    if schema["type"] == "array":
        few = "" if "minItems" not in schema else f", {schema['minItems']} at least"
        return f"list{few}: {_say_values(schema['items'])}"
    if schema["type"] == "string":
        return f"text that matches `{schema['pattern']}`" if "pattern" in schema else "text"
    kinds = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "null": "`null`"}
    return (kinds[schema["type"]] + " " + _say_range(schema)).strip()


def _say_range(schema):
    """Return the range of a number, as in ``above 0, at most 10``, or nothing."""
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    return ", ".join(f"{words} {schema[key]:,}" for key, words in bounds.items() if key in schema)


def _write(value):
    """Return a plain value as YAML writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def main():
    write_text(FILE, render())


if __name__ == "__main__":
    run(main)
