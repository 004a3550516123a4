"""The model card of an export, in the layout of Hugging Face: https://huggingface.co/docs/hub/model-cards."""

import collections
import io
import pathlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import ruamel.yaml
from statsmodels.stats.proportion import proportion_confint

from thaw.base.files import read_table
from thaw.export.checking import Part
from thaw.export.files import About
from thaw.export.templates import render
from thaw.networks.descriptions import RunDescription
from thaw.photos.sections import Dataset

BINS = 15  # of confidence, as thaw.comparison.inference has it: Guo et al. 2017
LIBRARIES = {"saved_model": "keras", "litert": "tflite", "onnx": "onnx"}  # as Hugging Face names them


class Facts(NamedTuple):
    """What a card says of a run beyond its files."""

    description: RunDescription
    dataset: Dataset
    counts: Mapping[str, Mapping[str, int]]  # part -> class -> photos that were used
    epochs: int  # of the run's own phase
    origin: Mapping[str, Any] | None  # the document of the backbone's first weights; None without a backbone
    credits: pathlib.Path  # who made the photos, a table
    threads: int  # of the runtimes that the files are checked with


def write_card(
    about: About,
    facts: Facts,
    metrics: Mapping[str, Mapping[str, Any]],
    expected: Mapping[str, Part],
    digests: Mapping[str, str],
) -> str:
    """Return the text of README.md in the folder of an export.

    `metrics` are those of each file, `expected` what the Keras network predicts, `digests` {file in the folder:
    sha256}.
    """
    part = "test" if "test" in expected else "validation"
    own = expected[part]
    score = next(iter(metrics.values()))[part]
    right = round(score["keras_accuracy"] * score["photos"])
    low, high = proportion_confint(right, score["photos"], method="wilson")
    return render(
        "card.md.j2",
        head=_write_head(about, facts, metrics, part),
        run=about.run,
        data=_show(name_data(facts.dataset)),
        parts=list(facts.counts),
        classes=[[_show(name), *(count[name] for count in facts.counts.values())] for name in about.classes],
        size=about.size,
        protocol=_describe_protocol(facts),
        part=part,
        photos=score["photos"],
        accuracy=f"{100 * score['keras_accuracy']:.2f}",
        interval=f"{100 * low:.1f} – {100 * high:.1f}",
        files=[_list_file(document, part) for document in metrics.values()],
        calibration=f"{100 * measure_calibration(own):.1f}",
        confidence=f"{100 * own.probabilities.max(axis=1).mean():.1f}",
        confusions=_list_confusions(own, about.classes),
        licences=_list_licences(facts.credits),
        weights=_describe_weights(facts.origin),
        digests={**{f"{key} of the run": value for key, value in about.digests.items()}, **digests},
    )


def name_data(dataset: Dataset) -> str:
    """Return what section `dataset` names; a folder of this machine stays unnamed."""
    if dataset.source == "tfds":
        return dataset.name
    if dataset.source == "archive":
        return dataset.url
    return {"folder": "a folder of photos", "sample": "flowers drawn by thaw"}[dataset.source]


def measure_calibration(part: Part) -> float:
    """Return the expected calibration error in [0, 1] (Naeini et al. 2015), over BINS of equal width."""
    confidence = part.probabilities.max(axis=1).astype(float)
    right = part.probabilities.argmax(axis=1) == part.labels
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return float(np.abs(np.bincount(bins, confidence - right)).sum() / len(right))


def _write_head(about: About, facts: Facts, metrics: Mapping[str, Mapping[str, Any]], part: str) -> str:
    """Return the YAML that Hugging Face reads, of the Keras network's scores."""
    scores = [
        {"type": name, "name": f"{name} on {part}", "value": about.scores[part][name]} for name in ("accuracy", "f1")
    ]
    data = {"name": name_data(facts.dataset), "type": facts.dataset.source}
    result = {"task": {"type": "image-classification"}, "dataset": data, "metrics": scores}
    backbone = facts.description["backbone"]
    document = {
        "license": "other",
        "license_name": "of-photos-and-weights",
        "license_link": "README.md",
        "library_name": LIBRARIES[next(iter(metrics)).split("-")[0]],
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", backbone["architecture"] if backbone else "cnn", "transfer-learning"],
        "model-index": [{"name": about.run, "results": [result]}],
    }
    yaml: Any = ruamel.yaml.YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output, yaml.allow_unicode = False, False, True
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue().strip()


def _describe_protocol(facts: Facts) -> str:
    """Return the sentences about how the run was trained."""
    described = facts.description
    backbone = described["backbone"]
    epochs = f"{facts.epochs} epoch{'s' * (facts.epochs != 1)}"
    if backbone is None:
        return f"A small CNN trained from scratch for {epochs}; pixels are scaled to [0, 1]."
    width = "" if backbone["width"] == 1 else f" at width {backbone['width']:g}"
    network = f"{backbone['architecture']}{width} with its own preprocessing inside"
    if backbone.get("preprocessing", "own") != "own":
        network = f"{backbone['architecture']}{width} with the preprocessing `{backbone['preprocessing']}` inside"
    if described.get("unfreeze") is None:
        return f"{network}; its weights stayed as they were, and a new head was trained for {epochs}."
    opened = ", ".join(f"{key}: {value}" for key, value in (described["unfreeze"] or {}).items())
    return (
        f"{network}, fine-tuned from `{described['from']}` for {epochs}: unfrozen was `{opened}`, with BatchNorm in "
        f"mode `{described['batch_norm']}`."
    )


def _list_file(document: Mapping[str, Any], part: str) -> list[str]:
    """Return the cells of a file: name, MB, accuracy, points lost, same answer in percent, largest difference."""
    score = document[part]
    lost = 100 * (score["keras_accuracy"] - score["accuracy"])
    row = [f"`{document['file']}`", f"{document['bytes'] / 1e6:.1f}", f"{100 * score['accuracy']:.2f}"]
    return [*row, f"{lost + 0:.2f}", f"{100 * score['same']:.1f}", f"{score['difference']:.6f}"]


def _list_confusions(part: Part, classes: list[str]) -> list[str]:
    """Return the three commonest errors as text, the commonest first."""
    answers = part.probabilities.argmax(axis=1)
    wrong = collections.Counter(
        (int(label), int(answer)) for label, answer in zip(part.labels, answers, strict=True) if label != answer
    )
    common = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:3]
    of_class = np.bincount(part.labels, minlength=len(classes))
    return [
        f"{_show(classes[label])} taken for {_show(classes[answer])}: {count} of {of_class[label]} photos"
        for (label, answer), count in common
    ]


def _list_licences(file: pathlib.Path) -> list[str]:
    """Return a sentence for each licence that the table of credits names."""
    table: pd.DataFrame = read_table(file)
    counts = table["licence"].value_counts().sort_index()
    return [f"{count:,} under {_show(name) if name else 'no licence named'}" for name, count in counts.items()]


def _describe_weights(origin: Mapping[str, Any] | None) -> str:
    """Return the sentence about the first weights of the backbone."""
    if origin is None:
        return "No pretrained weights."
    if origin["weights"] == "imagenet":
        file = f"`{origin['file']}`, sha256 `{origin['file_sha256']}`"
        if origin["official"] is False:
            return f"Stand-in weights: not the file that Keras publishes, but one from a mirror of its name ({file})."
        published = "" if origin["official"] else ", for which Keras publishes no hash to check against"
        return f"ImageNet weights of Keras Applications ({file}{published}); their licence is Keras's, Apache 2.0."
    return {
        "sample": "Stand-in weights: pretrained on flowers drawn by thaw, not on photos.",
        "random": "Stand-in weights: random numbers, not pretrained.",
    }.get(origin["weights"], "Stand-in weights: a file that `params.yaml` names.")


def _show(value: object) -> str:
    """Return `value`, which is data, as a code span of Markdown in one line that a table can hold."""
    shown = (" " if unicodedata.category(letter)[0] == "C" else letter for letter in str(value))
    text = " ".join("".join(shown).split()).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in (text[:1], text[-1:]) else ""
    return f"{fence}{space}{text}{space}{fence}"
