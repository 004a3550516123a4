"""A trained run as a folder that people take along: its files, each checked, with labels, a card and a program."""

import itertools
import pathlib
import shutil
from typing import Any, NamedTuple

import numpy as np

from thaw.base.errors import InputError
from thaw.base.files import digest_of, publish, write_json, write_text
from thaw.base.progress import track
from thaw.base.quiet import keras
from thaw.export.card import Facts, write_card
from thaw.export.checking import BATCH, check, compare, predict_parts
from thaw.export.converting import build_whole, convert_litert, write_onnx, write_saved_model
from thaw.export.files import (
    LABELS,
    About,
    File,
    add_metadata,
    append_metadata,
    list_files,
    measure_bytes,
    write_labels,
)
from thaw.export.program import write_program
from thaw.export.runtimes import load_file, measure_latency
from thaw.export.sections import Export
from thaw.export.silence import leave_out_notices
from thaw.networks.classifiers import Network
from thaw.records import reading

REPRESENTATIVE = 100  # photos of train from which int8 takes the ranges of activations
INDEX, CARD, PROGRAM, CREDITS = "export.json", "README.md", "predict.py", "credits.csv"


class Exported(NamedTuple):
    """What came of an export, by the key of each file."""

    metrics: dict[str, dict[str, Any]]
    timing: dict[str, dict[str, Any]]


def export(
    network: Network, about: About, settings: Export, facts: Facts, records: pathlib.Path | str, folder: pathlib.Path
) -> Exported:
    """Publish at `folder` the files of a run that `settings` asks for, and what stands beside them.

    Raises InputError, and leaves no folder, where a file cannot be loaded by its own runtime, an unquantised one
    differs from the Keras network, or one loses more accuracy than `settings` allows.
    """
    files, whole = list_files(settings), build_whole(network, facts.description.get("flip_test", False))
    metrics: dict[str, dict[str, Any]] = {}
    timing: dict[str, dict[str, Any]] = {}
    with publish(folder) as scratch, leave_out_notices():
        scratch.mkdir()
        expected = predict_parts(lambda pixels: whole.predict_on_batch(pixels), records)
        source = scratch / "saved_model"
        write_saved_model(whole, source)
        for file in track(files, f"{about.run}: export", len(files), "files"):
            path = scratch / file.name
            _write(file, path, whole, source, about, records)
            try:
                predict = load_file(file, path, facts.threads)
                scores = compare(expected, predict_parts(predict, records))
            except (RuntimeError, ValueError) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                raise InputError(
                    f"params.yaml: export.{about.run}: {file.name} cannot be run by its own runtime ({reason})"
                ) from None
            check(about.run, file, scores, settings)
            size = measure_bytes(path)
            metrics[file.key] = {"file": file.name, "bytes": size, **scores}
            timing[file.key] = {"file": file.name, "ms_per_image": measure_latency(predict, about.size)}
        if "saved_model" not in settings.formats:
            shutil.rmtree(source)
        _write_beside(scratch, files, about)
        if facts.credits.exists():
            shutil.copyfile(facts.credits, scratch / CREDITS)
        write_text(scratch / CARD, write_card(about, facts, metrics, expected, _digest(scratch)))
    return Exported(metrics, timing)


def choose_representative(records: pathlib.Path | str) -> list[np.ndarray]:
    """Return up to REPRESENTATIVE photos (size, size, 3) float32 of train, the first of each class by turns."""
    labels, _ = reading.read_labels(records, "train")
    by_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*by_class))
    chosen = set(itertools.islice((int(row) for row in turns if row is not None), REPRESENTATIVE))
    photos, start = [], 0
    for images, _ in reading.read_batches(records, "train", BATCH):
        photos += [image for row, image in enumerate(images.numpy(), start) if row in chosen]
        start += len(images)
    return photos


def _write(
    file: File, path: pathlib.Path, whole: keras.Model, source: pathlib.Path, about: About, records: pathlib.Path | str
) -> None:
    """Write one file of the network `whole`, which is a SavedModel at `source` already, at `path`."""
    if file.kind == "saved_model":
        add_metadata(path, about)
    elif file.kind == "onnx":
        write_onnx(whole, path, about)
    else:
        photos = choose_representative(records) if file.quantize == "int8" else []
        path.write_bytes(convert_litert(source, file.quantize, photos))
        append_metadata(path, about)


def _write_beside(scratch: pathlib.Path, files: list[File], about: About) -> None:
    """Write the labels, the index and the program of the folder at `scratch`."""
    write_text(scratch / LABELS, write_labels(about.classes))
    index = {file.name: {"format": file.kind, "quantize": file.quantize} for file in files}
    write_json(scratch / INDEX, {"run": about.run, "size": about.size, "classes": about.classes, "files": index})
    write_text(scratch / PROGRAM, write_program(files))


def _digest(folder: pathlib.Path) -> dict[str, str]:
    """Return {name in the folder: sha256} of all files in it."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digest_of(path) for path in found}
