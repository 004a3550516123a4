"""A trained run, or what stage export made of one, as a function from pixels to probabilities."""

import os
import pathlib
import shlex
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
import pydantic

from thaw.base import paths
from thaw.base.errors import DamagedFile, InputError, explain
from thaw.base.files import MADE_AGAIN, read_json
from thaw.base.names import BASELINE
from thaw.base.sections import Compute, Section, validate

if TYPE_CHECKING:  # TensorFlow takes seconds to load, and an export may do without it
    from thaw.networks.classifiers import Network

EXPORT = "export.json"  # in the folder of an export: what its files are

Score = Callable[[np.ndarray], np.ndarray]


class Predictor(NamedTuple):
    """What says of pictures which of its classes they show."""

    name: str  # of the run
    size: int  # pixels, a side
    classes: list[str]
    score: Score  # (b, size, size, 3) uint8 or float32 in [0, 255] -> (b, classes) float32 probabilities; any thread
    network: "Network | None"  # None for an export


class ExportedFile(Section):
    """A file, or the folder of a SavedModel, that stage export made."""

    model_config = pydantic.ConfigDict(extra="allow")

    format: Literal["litert", "onnx", "saved_model"]


class Export(Section):
    """The document of an export. Each file takes pixels (b, size, size, 3) float32 in [0, 255], gives probabilities."""

    model_config = pydantic.ConfigDict(extra="allow")

    run: str
    size: int = pydantic.Field(ge=1)
    classes: Annotated[list[str], pydantic.Field(min_length=1)]
    files: dict[Annotated[str, pydantic.Field(pattern=r"^[^/\\]+$")], ExportedFile]


def check_run(name: str, folder: pathlib.Path | str = ".") -> None:
    """Raise InputError where the weights of run `name` of the table at `folder` are not here, or there is no such run.

    A run that params.yaml no longer lists is none, whatever files it left. The text has the command that fetches or
    makes them. It takes no second; `load_run`, which does, checks this too.
    """
    folder = pathlib.Path(folder)
    stage, files = _find_stage(name, folder), [paths.find_weights(name), paths.find_description(name)]
    if missing := [file for file in files if not (folder / file).is_file()]:
        command = f"pull {shlex.join(missing)}" if _has_remote(folder) else f"repro {stage}"
        raise InputError(f"{folder / missing[0]}: no such file; ./run dvc {command} brings it")


def load_run(name: str, folder: pathlib.Path | str = ".", compute: Compute | None = None) -> Predictor:
    """Return the trained run `name` of the table at `folder`, the one of dvc.yaml, as a Predictor.

    It answers by the engine that `compute` names, and by Keras without one. Raises InputError as `check_run` does, and
    DamagedFile where its weights are damaged.
    """
    check_run(name, folder)
    from thaw.networks.classifiers import find_answering
    from thaw.networks.files import load_network

    network, description = load_network(name, folder)
    score = _trace(find_answering(network, description), compute)
    return Predictor(name, description["size"], description["classes"], score, network)


def load_export(folder: pathlib.Path | str) -> Predictor:
    """Return the export in `folder`, which stage export made, as a Predictor: its first file that can be run here.

    Raises InputError where that is no export, is damaged, or no program for any of its files is installed.
    """
    folder = pathlib.Path(folder)
    try:
        document = read_json(folder / EXPORT)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder}: must be the folder of an export, with {EXPORT} in it") from None
    export, faults = validate(Export, document, str(folder / EXPORT))
    if faults:
        raise InputError(f"{faults[0]}; {MADE_AGAIN}")
    for name, file in export.files.items():
        try:
            score = OPENERS[file.format](folder / name)
            found = score(np.zeros((1, export.size, export.size, 3), np.float32))
        except ImportError:
            continue
        except MemoryError:
            raise
        except Exception as error:  # each program raises others
            reason = explain(error) or " ".join(str(error).split())[:200] or type(error).__name__
            raise DamagedFile(f"{folder / name}: cannot be run ({reason}); {MADE_AGAIN}") from None
        if found.shape != (1, len(export.classes)):
            raise DamagedFile(
                f"{folder / name}: must give a probability for each of {len(export.classes)} classes "
                f"(got the shape {found.shape}); {MADE_AGAIN}"
            )
        return Predictor(export.run, export.size, export.classes, score, None)
    programs = {"litert": "ai-edge-litert", "onnx": "onnxruntime", "saved_model": "tensorflow"}
    needed = dict.fromkeys(programs[file.format] for file in export.files.values())
    raise InputError(f"{folder}: must have a file that can be run here: install {' or '.join(needed) or 'nothing'}")


def _trace(model: Any, compute: Compute | None) -> Score:
    """Return a Score of a Keras model, pixels -> logits, by the engine of `compute`: one for batches of every size."""
    from thaw.base.quiet import tf
    from thaw.networks import forward

    def soften(logits: Any) -> Any:
        return tf.cast(tf.nn.softmax(tf.cast(logits, tf.float64)), tf.float32)

    if compute and compute.forward.engine != "keras":
        engine = forward.trace(model, compute)
        return lambda pixels: soften(engine(pixels.astype(np.float32))[0]).numpy()
    signature = [tf.TensorSpec(model.input_shape, tf.float32)]
    run = tf.function(lambda pixels: soften(model(pixels, training=False)), input_signature=signature)
    return lambda pixels: run(pixels.astype(np.float32)).numpy()


def _open_litert(path: pathlib.Path) -> Score:
    """Return a Score of a LiteRT file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=os.cpu_count())
    taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    held, shape = threading.Lock(), [()]  # an interpreter is for one thread at a time

    def score(pixels: np.ndarray) -> np.ndarray:
        with held:
            if shape[0] != pixels.shape:
                interpreter.resize_tensor_input(taken, pixels.shape)
                interpreter.allocate_tensors()
                shape[0] = pixels.shape
            interpreter.set_tensor(taken, pixels.astype(np.float32))
            interpreter.invoke()
            return interpreter.get_tensor(given)

    return score


def _open_onnx(path: pathlib.Path) -> Score:
    """Return a Score of an ONNX file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda pixels: session.run(None, {name: pixels.astype(np.float32)})[0]


def _open_saved_model(path: pathlib.Path) -> Score:
    """Return a Score of the folder of a SavedModel."""
    from thaw.base.quiet import tf

    loaded = tf.saved_model.load(str(path))
    (name,) = loaded.signatures["serving_default"].structured_input_signature[1]

    def score(pixels: np.ndarray) -> np.ndarray:
        # Through `loaded`: the variables live as long as it does.
        (found,) = loaded.signatures["serving_default"](**{name: tf.constant(pixels, tf.float32)}).values()
        return found.numpy()

    return score


OPENERS: dict[str, Callable[[pathlib.Path], Score]] = {
    "litert": _open_litert,
    "onnx": _open_onnx,
    "saved_model": _open_saved_model,
}


def _find_stage(name: str, folder: pathlib.Path) -> str:
    """Return the stage that trains and scores run `name` of the table at `folder`, as DVC names it.

    Raises InputError where params.yaml names no such run.
    """
    import ruamel.yaml

    try:
        document = ruamel.yaml.YAML(typ="safe", pure=True).load((folder / paths.PARAMS).read_bytes())
    except FileNotFoundError:
        raise InputError(f"{folder / paths.PARAMS}: no such file, so there is no table with a run {name!r}") from None
    except ruamel.yaml.error.YAMLError as error:
        raise InputError(f"{folder / paths.PARAMS}: must be YAML: {' '.join(str(error).split())[:200]}") from None
    document = document or {}
    baseline = [BASELINE] if document.get(BASELINE) else []
    if name in baseline:
        return f"evaluate_baseline@{name}"
    sections = {kind: document.get(kind) or {} for kind in ("frozen", "finetune")}
    for kind, runs in sections.items():
        if name in runs:
            return f"evaluate_{kind}@{name}"
    known = [*baseline, *(run for runs in sections.values() for run in runs)]
    raise InputError(f"{folder / paths.PARAMS}: has no run {name!r}; there are {', '.join(known)}")


def _has_remote(folder: pathlib.Path) -> bool:
    """Return whether DVC's settings name a remote for the table at `folder`."""
    from dvc.config import Config, ConfigError

    try:
        return bool(Config(str(folder / ".dvc"))["core"].get("remote"))
    except ConfigError as error:
        raise InputError(f"{folder / '.dvc' / 'config'}: {' '.join(str(error).split())}") from None
