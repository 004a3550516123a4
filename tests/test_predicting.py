"""What networks say of photos: `thaw predict`, and the functions behind it."""

import csv
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pandas as pd
import PIL.Image
import pytest

from small import SIZE, scatter, write_photos
from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import read_json, write_json
from thaw.base.quiet import keras, tf
from thaw.base.sections import Compute
from thaw.cli import predict as command
from thaw.config.loading import write_yaml
from thaw.evaluation.evaluating import evaluate
from thaw.networks.classifiers import Network, build_classifier
from thaw.networks.sections import Head
from thaw.prediction.listing import list_files
from thaw.prediction.models import Predictor, load_export, load_run
from thaw.prediction.predicting import predict, rank
from thaw.records.sections import Image
from thaw.records.writing import write_records
from thaw.store.opening import Asked
from tiny import DOCUMENT

CLASSES = ["class0", "class1", "class2"]
ASKED = command.Asked(run=None, model=None, top=None, batch=None, json=False, csv=False)
HEAD = Head(dense=[], dropout=0.0, batch_norm=False)
SMALL = 32  # pixels, a side, of the networks that are told apart by their weights alone
SLOW = 30  # seconds after which a thread that should have gone on has not


def count_red(pixels: np.ndarray) -> np.ndarray:
    """Return the share of each channel in pixels: what a network of three classes may say."""
    sums = pixels.reshape(len(pixels), -1, 3).mean(axis=1, dtype=np.float64) + 1
    return (sums / sums.sum(axis=1, keepdims=True)).astype(np.float32)


STUB = Predictor("stub", 8, CLASSES, count_red, None)


def write_photo(path: pathlib.Path, colour: str, size: int = 40) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (size, size), colour).save(path)
    return path


def save_run(folder: pathlib.Path, name: str, network: Network, size: int, validation: float = 0.5) -> dict[str, Any]:
    """Write what the stages leave of a run below `folder`; return the document beside its weights."""
    described = {
        "run": name,
        "size": size,
        "classes": CLASSES,
        "trainable_parameters": 1,
        "total_parameters": 2,
        "backbone": {"name": "tiny", "architecture": "MobileNet", "width": 0.125},
        "head": HEAD.model_dump(),
        "from": "pretrained/tiny",
        "unfreeze": None,
        "batch_norm": "inference",
        "cut": "conv_pw_13_relu",
        "stored": False,
    }
    (folder / "models").mkdir(exist_ok=True)
    network.save_weights(folder / paths.find_weights(name))
    write_json(folder / paths.find_description(name), described)
    part = {"photos": 8, "f1": 0.5}
    scores = {part_name: {**part, "accuracy": validation} for part_name in ("train", "validation", "test")}
    write_json(folder / paths.find_evaluation(name), {name: {**scores, "trainable_parameters": 1}})
    return described


@pytest.fixture(scope="module")
def finished_table(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A table of which two runs are there, tiny-all the better one on validation; tests must not change it."""
    folder = tmp_path_factory.mktemp("table")
    (folder / paths.PARAMS).write_text(write_yaml(DOCUMENT))
    for name, validation in (("tiny", 0.5), ("tiny-all", 0.75)):
        network = build_classifier("MobileNet", 0.125, SMALL, HEAD, len(CLASSES))
        scatter(network.model)
        network.head.layers[-1].bias.assign([9.0, 0, 0] if name == "tiny" else [0, 9.0, 0])
        save_run(folder, name, network, SMALL, validation)
    write_json(folder / paths.DOWNLOADED, {"download": {}})
    write_json(folder / paths.SPLIT_COUNTS, {"split": {}})
    write_json(folder / paths.PREPROCESSED, {"preprocess": {}})
    write_json(
        folder / paths.find_weights_metrics("tiny"), {"weights": {"tiny": {"weights": "random", "official": None}}}
    )
    write_photo(folder / "red.png", "red")
    write_photo(folder / "blue.jpg", "blue")
    return folder


@pytest.fixture
def table(finished_table: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """That table as the working directory; this process keeps its threads."""
    monkeypatch.chdir(finished_table)
    monkeypatch.delenv(command.CALLED_FROM, raising=False)
    monkeypatch.setattr("thaw.base.determinism.configure", lambda *_: None)
    return finished_table


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An export that needs no TensorFlow, an ONNX file that compares the means of the channels."""
    folder = tmp_path_factory.mktemp("export")
    shape = ["b", 8, 8, 3]
    nodes = [
        onnx.helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[1, 2], keepdims=0),
        onnx.helper.make_node("Softmax", ["means"], ["probabilities"], axis=1),
    ]
    taken = onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, shape)
    given = onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["b", 3])
    graph = onnx.helper.make_graph(nodes, "means", [taken], [given])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(folder / "model.onnx"))
    files = {"model.onnx": {"format": "onnx", "quantize": "none"}}
    write_json(folder / "export.json", {"run": "means", "size": 8, "classes": CLASSES, "files": files})
    return folder


def start(folder: pathlib.Path, *arguments: str | bytes, **options: Any) -> subprocess.Popen[bytes]:
    """Start `thaw predict` in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(command.__file__).parents[2]), "PYTHONUTF8": "1"}
    environment.pop(command.CALLED_FROM, None)
    words = [sys.executable, "-P", "-m", "thaw", "predict", *arguments]

    def listen() -> None:  # where the tests run in the background, interrupts are ignored, and so would the program
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(words, cwd=folder, env=environment, preexec_fn=listen, **options)


def write_formats(folder: pathlib.Path) -> list[str]:
    """Write photos with a gradient in every format that preprocess reads; return their names."""
    folder.mkdir(parents=True)
    ramp = np.linspace(0, 1, 90)
    levels = np.stack([np.outer(ramp, ramp), np.outer(ramp[::-1], ramp), np.tile(ramp, (90, 1))], -1)[:80]
    photo = PIL.Image.fromarray((255 * levels).astype(np.uint8))
    transparent = photo.convert("RGBA")
    transparent.putalpha(photo.convert("L"))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # lies on its side
    for ending in ("jpg", "png", "webp", "avif", "heic"):
        photo.save(folder / f"colour.{ending}")
    photo.save(folder / "turned.jpg", exif=exif)
    for mode, name in (("L", "grey.jpg"), ("L", "grey.png"), ("CMYK", "cmyk.jpg"), ("1", "bits.png")):
        photo.convert(mode).save(folder / name)
    photo.quantize(16).save(folder / "palette.png")
    transparent.save(folder / "transparent.png")
    deep = (65535 * levels).astype(np.uint16)
    PIL.Image.fromarray(deep[..., 0]).save(folder / "grey16.png")
    (folder / "colour16.png").write_bytes(tf.io.encode_png(deep).numpy())
    return sorted(path.name for path in folder.iterdir())


def test_probabilities_are_those_of_evaluate_for_every_format(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, threads: Compute, small_network: Network
) -> None:
    monkeypatch.setenv("THAW_STORE", "none")
    monkeypatch.chdir(tmp_path)
    rows = write_photos(tmp_path / "photos", 9, 3)
    names = write_formats(tmp_path / "photos" / "formats")
    formats = [(f"{i:016x}", "class0", 0, f"formats/{name}", "test") for i, name in enumerate(names, 100)]
    rows = pd.concat([rows, pd.DataFrame(formats, columns=rows.columns)]).sort_values("id")
    write_records(rows, "photos", Image(size=SIZE, shards=1), paths.RECORDS)
    # Or all photos would look much alike, and little be shown.
    last, grey = small_network.head.layers[-1], np.full((1, SIZE, SIZE, 3), 128, np.float32)
    last.kernel.assign(20 * last.kernel)
    last.bias.assign(last.bias - small_network.model.predict(grey, verbose=0)[0])
    described = save_run(tmp_path, "run", small_network, SIZE)
    pathlib.Path(paths.PARAMS).write_text("frozen: {run: {}}\n")
    evaluated = evaluate(small_network, described, paths.RECORDS, Asked(threads)).predictions.set_index("id")
    expected = evaluated.loc[[row[0] for row in formats], [f"p_{name}" for name in CLASSES]]
    found = list(predict(load_run("run"), [f"photos/formats/{name}" for name in names], batch=4))
    assert [item.reason for item in found] == [None] * len(names)
    scores = np.array([item.probabilities for item in found])
    assert np.ptp(scores, axis=0).max() > 0.02
    # Evaluate writes five digits.
    np.testing.assert_allclose(scores, expected.to_numpy(), rtol=0, atol=1e-5)


def test_a_photo_is_scored_while_the_next_path_has_not_come() -> None:
    seen = threading.Event()

    def give(path: str) -> Iterator[str]:
        yield path
        assert seen.wait(SLOW), "nothing came before the next path"
        yield path

    found = predict(STUB, give(__file__))
    assert next(found).reason
    seen.set()
    assert next(found).reason


def wait_until_full(taken: list[int]) -> None:
    """Wait until no more is taken: whoever reads paths ahead waits for room."""
    before, deadline = -1, time.monotonic() + SLOW
    while len(taken) != before and time.monotonic() < deadline:
        before = len(taken)
        time.sleep(0.3)


def give_many(photo: pathlib.Path, taken: list[int]) -> Iterator[pathlib.Path]:
    for number in range(100):
        taken.append(number)
        yield photo


def test_of_many_photos_at_most_three_batches_are_held(tmp_path: pathlib.Path) -> None:
    taken: list[int] = []
    found = predict(STUB, give_many(write_photo(tmp_path / "red.png", "red"), taken), batch=4)
    next(found)
    wait_until_full(taken)
    held = len(taken)  # before the end, at which the reader may take one more
    found.close()
    assert 8 < held <= 3 * 4 + 1  # one more waits for room


def test_predictions_come_in_the_order_of_the_photos_and_the_unreadable_ones_have_a_reason(
    tmp_path: pathlib.Path,
) -> None:
    sources: list[pathlib.Path] = []
    for number in range(6):  # large and small ones in turn: they are not decoded in their order
        sources.append(
            write_photo(tmp_path / f"{number}.png", ["red", "lime", "blue"][number % 3], 2000 - 390 * number)
        )
    (tmp_path / "text.png").write_text("no picture")
    sources[2:2] = [tmp_path / "text.png", tmp_path / "lost.png"]
    found = list(predict(STUB, sources, batch=3))
    assert [item.source for item in found] == sources
    reasons = [item.reason for item in found if item.reason]
    assert reasons == ["must be JPEG, PNG, WebP, AVIF or HEIC (got no picture)", "No such file or directory"]
    likeliest = [rank(item.probabilities, CLASSES)[0].label for item in found if item.probabilities is not None]
    assert likeliest == CLASSES * 2


def test_what_ends_the_paths_is_raised(tmp_path: pathlib.Path) -> None:
    photo = write_photo(tmp_path / "red.png", "red")

    def give() -> Iterator[pathlib.Path]:
        yield photo
        raise InputError("the list ends here")

    with pytest.raises(InputError, match="the list ends here"):
        list(predict(STUB, give()))


def test_a_network_that_gives_no_numbers_is_a_fault(tmp_path: pathlib.Path) -> None:
    lost = STUB._replace(score=lambda pixels: np.full((len(pixels), 3), np.nan, np.float32))
    with pytest.raises(InputError, match="stub: must give probabilities"):
        list(predict(lost, [write_photo(tmp_path / "red.png", "red")]))


def test_no_thread_stays_where_predictions_are_left(tmp_path: pathlib.Path) -> None:
    taken: list[int] = []
    before = set(threading.enumerate())
    found = predict(STUB, give_many(write_photo(tmp_path / "red.png", "red"), taken), batch=2)
    next(found)
    wait_until_full(taken)
    found.close()
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not set(threading.enumerate()) - before


def test_the_likeliest_classes_come_first_and_of_equals_the_first() -> None:
    ranked = rank(np.array([0.2, 0.4, 0.4], np.float32), CLASSES, top=9)
    assert [guess.label for guess in ranked] == ["class1", "class2", "class0"]


def test_a_folder_is_searched_and_hidden_files_pipes_and_linked_folders_are_passed_over(tmp_path: pathlib.Path) -> None:
    for name in ("b/2.png", "b/10.png", "a.png", ".hidden.png", ".git/c.png", "b/.d.png"):
        write_photo(tmp_path / name, "red")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "linked").symlink_to(tmp_path / "b")
    (tmp_path / "z.png").symlink_to(tmp_path / "a.png")
    faults: list[tuple[str, str]] = []
    found = list(list_files([str(tmp_path)], lambda *fault: faults.append(fault)))
    assert [os.path.relpath(path, tmp_path) for path in found] == ["a.png", "z.png", "b/10.png", "b/2.png"]
    assert not faults


def test_a_path_without_a_file_is_reported_with_the_reason(tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    faults: dict[str, str] = {}
    given = [str(tmp_path / name) for name in ("none", "empty", "pipe")]
    assert not list(list_files(given, faults.__setitem__))
    reasons = [
        "must be a file or a folder (there is none)",
        "has no files",
        "must be a file or a folder (it is a named pipe)",
    ]
    assert faults == dict(zip(given, reasons, strict=True))


def test_a_run_takes_batches_of_every_size_with_one_graph(table: pathlib.Path) -> None:
    predictor = load_run("tiny")
    pixels = np.random.default_rng(1).integers(0, 256, (5, SMALL, SMALL, 3), dtype=np.uint8)
    whole = predictor.score(pixels)
    assert whole.shape == (5, 3) and whole.dtype == np.float32
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-6)
    parts = [predictor.score(pixels[:1]), predictor.score(pixels[1:].astype(np.float32))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_the_best_run_on_validation_is_taken_and_named(table: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.print_predictions(["red.png"], ASKED._replace(json=True))
    printed = capsys.readouterr()
    assert json.loads(printed.out)["predictions"][0]["class"] == "class1"
    assert printed.err.splitlines()[0] == "predict: tiny-all, the best on validation with 75.00 %"


def test_a_table_has_a_line_for_each_likely_class_of_each_photo(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.print_predictions(["red.png", "blue.jpg"], ASKED._replace(run="tiny", top="2"))
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["file", "class", "probability"]
    assert [line.split()[0] for line in lines] == ["red.png"] * 2 + ["blue.jpg"] * 2
    assert [line.split()[1] for line in lines[::2]] == ["class0"] * 2
    assert all(re.fullmatch(r"[01]\.\d{4}", line.split()[2]) for line in lines)
    assert len({len(line) for line in [header, *lines]}) == 1


def test_csv_has_a_row_for_each_likely_class_and_no_formula(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_photo(tmp_path / "=red.png", "red")
    for name in ("models", paths.PARAMS):
        (tmp_path / name).symlink_to(table / name)
    assert command.print_predictions(["=red.png"], ASKED._replace(run="tiny", top="3", csv=True))
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["file"] for row in rows] == ["'=red.png"] * 3
    assert rows[0]["class"] == "class0"
    assert sum(float(row["probability"]) for row in rows) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("batch", "said"), [("2", True), ("3", False)])
def test_of_more_photos_than_a_batch_progress_is_said(
    batch: str, said: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_load", lambda *_: STUB)
    photo = str(write_photo(tmp_path / "red.png", "red"))
    assert command.print_predictions([photo] * 3, ASKED._replace(batch=batch, json=True))
    assert ("predict: 3 photos in" in capsys.readouterr().err) == said


@pytest.mark.parametrize(
    ("photos", "asked", "line"),
    [
        ([], {}, "predict: must have a photo, a folder or -, for paths on standard input (got nothing)"),
        (["lost.png"], {}, "lost.png: must be a file or a folder (there is none)"),
        (
            ["lost.png", "a"],
            {},
            "lost.png: must be a file or a folder (there is none) (and so on, 2 paths without a file)",
        ),
        (["red.png"], {"top": "0"}, "--top: must be a whole number from 1 on (got '0')"),
        (["red.png"], {"top": "many"}, "--top: must be a whole number from 1 on (got 'many')"),
        (["red.png"], {"batch": "0"}, "--batch: must be a whole number from 1 to 4096 (got '0')"),
        (["red.png"], {"batch": "5000"}, "--batch: must be a whole number from 1 to 4096 (got '5000')"),
        (["red.png"], {"run": "tiny", "model": "export"}, "predict: must have --run or --model (got both)"),
        (["red.png"], {"json": True, "csv": True}, "predict: must have --json or --csv (got both)"),
        (
            ["red.png"],
            {"run": "huge"},
            "params.yaml: has no run 'huge'; there are baseline_cnn, tiny, tiny-blocks-1, tiny-all",
        ),
        (["red.png"], {"model": "models"}, "models: must be the folder of an export, with export.json in it"),
        (
            ["red.png"],
            {"run": "tiny-blocks-1"},
            "models/tiny-blocks-1.weights.h5: no such file; ./run dvc repro evaluate_finetune@tiny-blocks-1 brings it",
        ),
        (
            ["red.png"],
            {"run": "baseline_cnn"},
            "models/baseline_cnn.weights.h5: no such file; ./run dvc repro evaluate_baseline@baseline_cnn brings it",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_before_slow_work(
    photos: list[str], asked: dict[str, Any], line: str, table: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "load_run", lambda *_: pytest.fail("a network was loaded"))
    with pytest.raises(InputError) as raised:
        command.print_predictions(photos, ASKED._replace(**asked))
    assert str(raised.value) == line


def test_where_there_is_a_remote_the_weights_are_pulled(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / paths.PARAMS).write_text(write_yaml(DOCUMENT))
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = /tmp\n")
    with pytest.raises(InputError, match=r"\./run dvc pull models/tiny\.weights\.h5 models/tiny\.json brings it"):
        load_run("tiny")


@pytest.mark.parametrize("kind", ["litert", "saved_model"])
def test_an_export_says_what_the_network_says(kind: str, tmp_path: pathlib.Path) -> None:
    pixels = keras.Input((8, 8, 3))
    model = keras.Model(pixels, keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(pixels)))
    if kind == "saved_model":
        model.export(tmp_path / "exported", format="tf_saved_model", verbose=False)
    else:
        (tmp_path / "exported").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    files = {"exported": {"format": kind, "quantize": "none"}}
    write_json(tmp_path / "export.json", {"run": "means", "size": 8, "classes": CLASSES, "files": files})
    predictor = load_export(tmp_path)
    photos = np.random.default_rng(2).integers(0, 3, (5, 8, 8, 3), dtype=np.uint8)
    for batch in (photos, photos[:2].astype(np.float32)):
        np.testing.assert_allclose(predictor.score(batch), model.predict(batch, verbose=0), atol=1e-6)


def test_the_first_file_of_an_export_that_can_be_run_here_is_taken(
    export: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)  # as if it were not installed
    document = read_json(export / "export.json")
    files = {"model.tflite": {"format": "litert", "quantize": "none"}, **document["files"]}
    write_json(tmp_path / "export.json", {**document, "files": files})
    (tmp_path / "model.onnx").symlink_to(export / "model.onnx")
    predictor = load_export(tmp_path)
    assert predictor.name == "means" and predictor.network is None
    assert predictor.score(np.full((2, 8, 8, 3), 9, np.uint8)).shape == (2, 3)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"files": {}}, "must have a file that can be run here"),
        ({"files": {"../a.onnx": {"format": "onnx"}}}, "must match"),
        ({"size": "8"}, "size: must be a whole number"),
        ({"classes": ["a", "b"]}, "model.onnx: must give a probability for each of 2 classes (got the shape (1, 3))"),
        ({"files": {"lost.onnx": {"format": "onnx"}}}, "lost.onnx: cannot be run"),
    ],
)
def test_a_damaged_export_is_one_line(
    change: dict[str, Any], line: str, export: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    write_json(tmp_path / "export.json", {**read_json(export / "export.json"), **change})
    (tmp_path / "model.onnx").symlink_to(export / "model.onnx")
    with pytest.raises(InputError) as raised:
        load_export(tmp_path)
    assert line in str(raised.value) and "\n" not in str(raised.value)


def test_paths_on_standard_input_are_answered_one_by_one(export: pathlib.Path, tmp_path: pathlib.Path) -> None:
    write_photo(tmp_path / "red.png", "red")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(tmp_path, "-", "--model", str(export), "--json", **pipes) as process:
        assert process.stdin and process.stdout
        for _ in range(2):
            process.stdin.write(b"red.png\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["predictions"][0]["class"] == "class0"
        process.stdin.close()
        assert process.stdout.read() == b"" and process.wait() == 0


def test_a_path_that_is_no_utf_8_comes_out_as_it_went_in(export: pathlib.Path, tmp_path: pathlib.Path) -> None:
    name = b"\xff red \xc3\xa9.png"
    write_photo(tmp_path / "red.png", "red").rename(tmp_path / os.fsdecode(name))
    for options, read in (
        (["--json"], lambda out: os.fsencode(json.loads(out)["file"])),
        (["--csv"], lambda out: out.splitlines()[1].split(b",")[0]),
    ):
        with start(tmp_path, name, "--model", str(export), *options, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert read(process.stdout.read()) == name
        assert process.returncode == 0


def test_what_cannot_be_read_is_named_and_the_rest_goes_on_with_status_1(
    export: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for number in range(3):
        write_photo(tmp_path / "photos" / f"{number}.png", "red")
    (tmp_path / "photos" / "1.png").write_bytes((tmp_path / "photos" / "0.png").read_bytes()[:60])
    words = ["photos", "lost.png", "--model", str(export), "--csv"]
    with start(tmp_path, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, said = (text.decode() for text in process.communicate())
    assert process.returncode == 1
    assert [row["file"] for row in csv.DictReader(io.StringIO(out))] == ["photos/0.png", "photos/2.png"]
    first, second = said.splitlines()
    assert first == "lost.png: must be a file or a folder (there is none)"
    assert second.startswith("photos/1.png: ")


def test_a_closed_pipe_ends_it_quietly(export: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for number in range(200):
        write_photo(tmp_path / "photos" / f"{number}.png", "red", 8)
    with start(tmp_path, "photos", "--model", str(export), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert said == b"" and process.returncode == 0


def test_an_interrupt_while_a_path_is_waited_for_ends_it_quietly(export: pathlib.Path, tmp_path: pathlib.Path) -> None:
    write_photo(tmp_path / "red.png", "red")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(tmp_path, "-", "--model", str(export), "--json", **pipes) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b"red.png\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(SLOW) == 130
        assert process.stderr.read() == b""


def test_paths_start_where_the_command_was_given(export: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """`./run` goes to the folder of dvc.yaml before."""
    write_photo(tmp_path / "here" / "red.png", "red")
    environment = {**os.environ, "PYTHONUTF8": "1", command.CALLED_FROM: str(tmp_path / "here")}
    environment["PYTHONPATH"] = str(pathlib.Path(command.__file__).parents[2])
    words = [
        sys.executable,
        "-P",
        "-m",
        "thaw",
        "predict",
        "red.png",
        "--csv",
        "--model",
        os.path.relpath(export, tmp_path / "here"),
    ]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[1].startswith("red.png,class0,"), done.stderr


def test_a_run_predicts_without_loading_what_it_does_not_need(table: pathlib.Path) -> None:
    """Loaded with TensorFlow and Keras these take two fifths of the time to the first prediction."""
    code = (
        "import sys; sys.argv = ['thaw', 'predict', '--run', 'tiny', '--json', 'red.png']\n"
        "from thaw.cli.main import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print({'pandas', 'scipy', 'sklearn', 'matplotlib'} & {*sys.modules})"
    )
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(command.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    first, second = done.stdout.splitlines()
    assert json.loads(first)["file"] == "red.png" and second == "set()", done.stderr


def test_the_picture_of_what_a_run_looks_at_lies_where_the_command_was_given(
    table: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "pictures").mkdir(parents=True)
    monkeypatch.setenv(command.CALLED_FROM, str(tmp_path / "here"))
    asked = ASKED._replace(run="tiny", explain="pictures/why.png")
    assert command.print_predictions([str(table / "red.png"), str(table / "blue.jpg")], asked)
    picture = PIL.Image.open(tmp_path / "here" / "pictures" / "why.png").convert("RGB")
    assert picture.getpixel((100, 100)) == (255, 0, 0)  # the first photo, of 240 pixels; its map is right of it
    assert picture.getpixel((350, 100)) not in ((255, 0, 0), (255, 255, 255))
