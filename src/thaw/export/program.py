"""The program in the folder of an export."""

from collections.abc import Sequence

from thaw.export.files import File
from thaw.export.templates import render

# The runtimes by size: the first whose file is there is used.
RUNTIMES = {"litert": "ai-edge-litert", "onnx": "onnxruntime", "saved_model": "tensorflow"}


def write_program(files: Sequence[File]) -> str:
    """Return the text of predict.py for these files: it takes the unquantised one of the smallest runtime."""
    file = min(files, key=lambda file: (list(RUNTIMES).index(file.kind), file.quantize != "none"))
    return render("predict.py.j2", file=file, package=RUNTIMES[file.kind])
