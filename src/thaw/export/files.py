"""The files of an export: their names, and what they carry about themselves."""

import json
import pathlib
import zipfile
from typing import Any, NamedTuple

from thaw.export.sections import Export, Format, Quantize

LABELS, DESCRIBED = "labels.txt", "thaw.json"  # inside a file of LiteRT and a SavedModel
EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can hold: no date of today, so that the bytes repeat


class File(NamedTuple):
    """One file, or folder, of an export."""

    name: str  # in the folder of the export
    kind: Format
    quantize: Quantize = "none"

    @property
    def key(self) -> str:
        """What metrics call it."""
        return self.kind if self.quantize == "none" else f"{self.kind}-{self.quantize}"


class About(NamedTuple):
    """What a file says of itself."""

    run: str
    size: int  # pixels, a side
    classes: list[str]  # in the order of the probabilities
    digests: dict[str, str]  # weights, records: sha256
    scores: dict[str, dict[str, float]]  # part -> accuracy, loss and F1 of the Keras network, as evaluated

    def describe(self) -> dict[str, Any]:
        """Return the document that stands beside the labels in a file."""
        return {
            "run": self.run,
            "input": f"float32 (batch, {self.size}, {self.size}, 3), RGB in 0 to 255",
            "output": f"float32 (batch, {len(self.classes)}), probabilities",
            "classes": self.classes,
            "sha256": self.digests,
            "metrics": self.scores,
        }


def list_files(settings: Export) -> list[File]:
    """Return the files that section entry `settings` asks for, a SavedModel first."""
    files = [File("saved_model", "saved_model")] if "saved_model" in settings.formats else []
    if "litert" in settings.formats:
        for quantize in ("none", "float16", "int8"):
            if quantize in settings.quantize:
                name = "model.tflite" if quantize == "none" else f"model-{quantize}.tflite"
                files.append(File(name, "litert", quantize))
    if "onnx" in settings.formats:
        files.append(File("model.onnx", "onnx"))
    return files


def write_labels(classes: list[str]) -> str:
    """Return the text of labels.txt: a class a line, in the order of the probabilities."""
    return "".join(" ".join(name.splitlines()) + "\n" for name in classes)


def append_metadata(path: pathlib.Path, about: About) -> None:
    """Append labels and description to the LiteRT file at `path`, as a zip: https://ai.google.dev/edge/litert/models/metadata.

    Readers of the network stop before it. The same input gives the same bytes.
    """
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in _write_metadata(about).items():
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.create_system = 3  # Unix, on every system
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text.encode())


def add_metadata(folder: pathlib.Path, about: About) -> None:
    """Write labels and description into the SavedModel at `folder`, where its layout has a place for others."""
    extra = folder / "assets.extra"
    extra.mkdir()
    for name, text in _write_metadata(about).items():
        (extra / name).write_text(text, encoding="utf-8", newline="\n")


def measure_bytes(path: pathlib.Path) -> int:
    """Return the bytes of the file, or of all files in the folder, at `path`."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _write_metadata(about: About) -> dict[str, str]:
    """Return {name: text} of the two files that a LiteRT file and a SavedModel carry."""
    described = json.dumps(about.describe(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    return {LABELS: write_labels(about.classes), DESCRIBED: described}
