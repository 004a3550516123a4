"""The card of a network: what it is and how good, as lines of the page."""

from typing import NamedTuple

from thaw.comparison.results import Results, find_run_interval
from thaw.comparison.words import percent, say_interval
from thaw.prediction.models import Predictor


class Card(NamedTuple):
    """What the page says of the network."""

    name: str
    facts: list[tuple[str, str]]  # what is told, and the text, which is data


def describe_run(predictor: Predictor, results: Results | None) -> Card:
    """Return the Card of a run of the table; `results` are those of the table, None where it has none."""
    facts = [("Classes", ", ".join(predictor.classes))]
    scores = results.scores.get(predictor.name) if results else None
    if results and scores:
        run = next(run for run in results.runs if run.name == predictor.name)
        part = results.part
        accuracy = f"{percent(scores[part]['accuracy'])} % of {scores[part]['photos']:,} photos of {part} right"
        facts += [
            ("Accuracy", f"{accuracy}, 95 % interval {say_interval(*find_run_interval(scores, part))} %"),
            ("Unfrozen", run.unfrozen),
            ("Trained on", results.dataset),
        ]
        if run.backbone:
            facts.append(("Weights", _say_origin(results, run.backbone)))
        mark = f"{results.marks[run.name]} "  # of its footnote
        notes = [note.removeprefix(mark) for note in results.notes if note.startswith(mark)]
        facts += [("Note", note[:1].upper() + note[1:]) for note in notes]
    else:
        facts.append(("Accuracy", "not measured yet: ./run dvc repro measures it"))
    return Card(predictor.name, [*facts, _say_size(predictor)])


def describe_export(predictor: Predictor) -> Card:
    """Return the Card of an export."""
    accuracy = "stands in the README.md of the export"
    return Card(
        predictor.name, [("Classes", ", ".join(predictor.classes)), ("Accuracy", accuracy), _say_size(predictor)]
    )


def _say_size(predictor: Predictor) -> tuple[str, str]:
    return "Sees photos at", f"{predictor.size} × {predictor.size} pixels"


def _say_origin(results: Results, backbone: str) -> str:
    """Return what the network's training began from."""
    document = results.weights[backbone]
    origin = {
        "imagenet": "trained on ImageNet",
        "sample": "trained on drawn flowers of other classes",
        "random": "random numbers",
    }.get(document["weights"], "of a file named in params.yaml")
    return f"{document['architecture']}, {origin}"
