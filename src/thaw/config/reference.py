"""The reference of params.yaml, docs/params.md, made from the classes that type its sections.

    ./run python -m thaw.config.reference

A mapping's text is the docstring of its class; a key's meaning and unit are in its field.
"""

import json
from typing import Any, NamedTuple

import pydantic

from thaw.base.errors import run_program
from thaw.base.files import write_text
from thaw.base.sections import Compute, Forward, Section
from thaw.comparison.sections import Report
from thaw.comparison.words import to_markdown
from thaw.config.presets import ROOT
from thaw.explanation.sections import Explain
from thaw.export.sections import Export
from thaw.networks.sections import Auto, BaselineNetwork, Head, Unfreeze
from thaw.photos.sections import Archive, Folder, Sample, Tfds
from thaw.records.sections import Augmentation, Colour, Image
from thaw.split.sections import Split
from thaw.training.sections import (
    Adam,
    AdamW,
    BaselineRun,
    EarlyStopping,
    FinetuneRun,
    Folds,
    FrozenRun,
    Replicates,
    Schedule,
    Sgd,
    Training,
)
from thaw.weights.sections import Backbone, Pretraining

FILE = ROOT / "docs" / "params.md"


class Chapter(NamedTuple):
    """One heading of the reference."""

    title: str  # the name of the section, or of the key that holds the mapping
    mappings: list[type[Section]]  # one, or those to choose from
    text: str = ""  # before those to choose from


CHAPTERS = [
    Chapter(
        "dataset",
        [Tfds, Archive, Folder, Sample],
        "Where the photos come from: one of four sources. The source is no part of what they are: the same photos have "
        "the same digest.",
    ),
    Chapter("split", [Split]),
    Chapter("image", [Image]),
    Chapter("compute", [Compute]),
    Chapter("training", [Training]),
    Chapter("backbones", [Backbone]),
    Chapter("pretraining", [Pretraining]),
    Chapter("baseline_cnn", [BaselineRun]),
    Chapter("network", [BaselineNetwork]),
    Chapter("frozen", [FrozenRun]),
    Chapter("finetune", [FinetuneRun]),
    Chapter("report", [Report]),
    Chapter("replicates", [Replicates]),
    Chapter("folds", [Folds]),
    Chapter("export", [Export]),
    Chapter("explain", [Explain]),
    Chapter("forward", [Forward]),
    Chapter("unfreeze", [Unfreeze]),
    Chapter("auto", [Auto]),
    Chapter("head", [Head]),
    Chapter("optimizer", [Adam, AdamW, Sgd], "Key of every run."),
    Chapter("schedule", [Schedule]),
    Chapter("early_stopping", [EarlyStopping]),
    Chapter("augmentation", [Augmentation]),
    Chapter("colour", [Colour]),
]


INTRODUCTION = """# params.yaml, key by key

<!-- Made by ./run python -m thaw.config.reference from the classes that check the file. -->

Every number of the pipeline stands in [`params.yaml`](../params.yaml); a [preset](presets.md) replaces whole sections
of it. The file is checked as a whole before any work, and every fault is reported at once: the key, what was received
and what is allowed. Each stage depends on what it uses of the file and on no more, so an edit reruns what it can
change.

A key without a default must be given. Small numbers may be written `0.0001`, `1e-4` or `1.0e-4`. Names of backbones and
runs are made of a–z, 0–9, `-` and `_`, at most 200; they are labels, and nothing is read out of them."""


ENVIRONMENT = """## Environment variables

What belongs to a machine and not to the table stands in no file:

| Variable | Default | Meaning |
| --- | --- | --- |
| `THAW_MIRROR` | | a folder that is searched before the network: `flower_photos/` with the class folders (for another \
dataset of TFDS, a folder of its name), `weights/` with weight files under the names that Keras gives them, archives \
under the names that they have on the web. What it holds is checked like what is downloaded; only a weight file may be \
another one than Keras publishes, and is then recorded as not official and footnoted |
| `THAW_STORE` | `.thaw/activations` | the folder of what frozen layers make of the photos; `none` stores nothing, \
not even the state from which a killed run goes on. Deleting it costs time and nothing else |
| `THAW_STORE_GIB` | 40 | what it may take; activations leave 2 GiB of the disk free. The state of a training, up to \
three times its weights, is kept in any case |
| `THAW_GPU` | | `1` has `./run` install what TensorFlow needs on a [GPU](gpu.md), `0` keeps it from it; without the \
variable the driver decides |"""


def render() -> str:
    """Return the text of docs/params.md."""
    blocks = [INTRODUCTION]
    for title, mappings, text in CHAPTERS:
        blocks += [f"## {title}", text]
        for cls in mappings:
            schema = pydantic.TypeAdapter(cls).json_schema()
            if len(mappings) > 1:
                key, found = next((key, found) for key, found in schema["properties"].items() if "const" in found)
                blocks.append(f"### `{key}: {found['const']}`")
            blocks += [" ".join(paragraph.split()) for paragraph in schema["description"].split("\n\n")]
            blocks.append(_tabulate(cls, schema["properties"]))
    return "\n\n".join(filter(None, [*blocks, ENVIRONMENT])) + "\n"


def _tabulate(cls: type[Section], properties: dict[str, Any]) -> str:
    """Return the keys of a mapping as a Markdown table, those that `cls` inherits last."""
    inherited = [field.alias or name for name, field in cls.model_fields.items() if name not in cls.__annotations__]
    rows = []
    for key in sorted(properties, key=inherited.__contains__):
        found = properties[key]
        default = f"`{_write(found['default'])}`" if "default" in found else ""
        rows.append([f"`{key}`", _say_values(found), found.get("unit", ""), default, found["description"]])
    return to_markdown(["Key", "Values", "Unit", "Default", "Meaning"], rows, left=5)


def _say_values(schema: dict[str, Any]) -> str:
    """Return in Markdown what may stand at a place of this JSON schema."""
    if "anyOf" in schema:
        return " or ".join(_say_values(choice) for choice in schema["anyOf"])
    if "$ref" in schema:
        name = schema["$ref"].split("/")[-1]
        title = next(chapter.title for chapter in CHAPTERS if name in [cls.__name__ for cls in chapter.mappings])
        return f"mapping [`{title}`](#{title})"
    if "oneOf" in schema:
        return " or ".join(dict.fromkeys(map(_say_values, schema["oneOf"])))  # some are of one chapter
    if "const" in schema:
        return f"`{_write(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{_write(value)}`" for value in schema["enum"])
    if schema["type"] == "array":
        few = "" if "minItems" not in schema else f", {schema['minItems']} at least"
        return f"list{few}: {_say_values(schema['items'])}"
    if schema["type"] == "object":
        return f"mapping of names to {_say_values(schema['additionalProperties'])}"
    if schema["type"] == "string":
        return f"text that matches `{schema['pattern']}`" if "pattern" in schema else "text"
    kinds = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "null": "`null`"}
    return (kinds[schema["type"]] + " " + _say_range(schema)).strip()


def _say_range(schema: dict[str, Any]) -> str:
    """Return the range of a number, as in ``above 0, at most 10``, or nothing."""
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    return ", ".join(f"{words} {schema[key]:,}" for key, words in bounds.items() if key in schema)


def _write(value: object) -> str:
    """Return a plain value as YAML writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def main() -> None:
    """Write docs/params.md."""
    write_text(FILE, render())


if __name__ == "__main__":
    run_program(main)
