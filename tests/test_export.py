"""The files of an export: what they compute, what they carry, what stands beside them, and what is a fault."""

import json
import pathlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import onnx
import PIL.Image
import pytest
import ruamel.yaml
from ai_edge_litert.interpreter import Interpreter

import outcomes
from small import SIZE, WIDTH, plain_head, scatter, spread_logits, write_photos
from thaw.architectures.table import ARCHITECTURES
from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.quiet import keras
from thaw.comparison.exports import Exports, describe_exports, read_exports, tabulate_export_times
from thaw.comparison.inference import calibration_error, wilson_interval
from thaw.comparison.results import read_results
from thaw.export import exporting
from thaw.export.card import Facts, measure_calibration, write_card
from thaw.export.checking import Part, check, compare
from thaw.export.converting import build_whole, convert_litert, write_onnx, write_saved_model
from thaw.export.exporting import Exported, choose_representative, export
from thaw.export.files import About, File, append_metadata
from thaw.export.repeating import make_repeatable
from thaw.export.runtimes import load_file
from thaw.export.sections import Export
from thaw.networks import classifiers
from thaw.networks.classifiers import Network
from thaw.networks.sections import BaselineNetwork
from thaw.records import reading, writing
from thaw.records.sections import Image
from tiny import attempt, change_params, dvc, find_stages_run

CLASSES = ["class0", "class1", "class2"]
ABOUT = About("tiny", SIZE, CLASSES, {"weights": "ab", "records": "cd"}, {"test": {"accuracy": 0.5, "f1": 0.25}})
LITERT = File("model.tflite", "litert")
ALL = Export(formats=["saved_model", "litert", "onnx"], quantize=["none", "float16", "int8"], tolerance=100)
DESCRIPTION: Any = {
    "run": "tiny",
    "backbone": {"name": "m", "architecture": "MobileNet", "width": WIDTH},
    "from": "head",
    "unfreeze": {"blocks": 2},
    "batch_norm": "inference",
}
STANDIN = {"weights": "imagenet", "official": False, "file": "m.h5", "file_sha256": "ef"}


def make_facts(**values: Any) -> Facts:
    counts = {part: dict.fromkeys(CLASSES, number) for part, number in (("train", 4), ("validation", 2), ("test", 2))}
    facts = Facts(
        DESCRIPTION,
        SimpleNamespace(source="tfds", name="petals:1.0.0"),  # type: ignore[arg-type]
        counts,
        3,
        STANDIN,
        pathlib.Path("data/credits.csv"),
        2,
    )
    return facts._replace(**values)


def make_network(architecture: str = "MobileNet") -> Network:
    """Return a small classifier with all weights at random, whose probabilities differ from photo to photo."""
    network = classifiers.build_classifier(architecture, WIDTH, SIZE, plain_head(), 3)
    scatter(network.model)
    spread_logits(network, draw_pixels())
    return network


def draw_pixels(count: int = 3) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, (count, SIZE, SIZE, 3)).astype(np.float32)


def list_operations(path: pathlib.Path) -> set[str]:
    interpreter = Interpreter(str(path))
    return {operation["op_name"] for operation in interpreter._get_ops_details()}


class Made(NamedTuple):
    """A folder of an export, what it was made of, and what it scored."""

    folder: pathlib.Path
    photos: pathlib.Path
    network: Network
    found: Exported


@pytest.fixture(scope="module")
def made(make_once: Callable[..., tuple[pathlib.Path, str]]) -> Made:
    """A small MobileNet with all weights at random, exported in all formats; tests must not change it."""

    def make(place: pathlib.Path) -> str:
        rows = write_photos(place / "photos", 24, 3)
        writing.write_records(rows, place / "photos", Image(size=SIZE, shards=2), place / "records")
        credits = place / "credits.csv"
        credits.write_text("file,author,licence,url\na/1,x,CC-BY,http\na/2,y,CC-BY,http\na/3,z,,http\n")
        found = export(make_network(), ABOUT, ALL, make_facts(credits=credits), place / "records", place / "tiny")
        return json.dumps(found)

    place, told = make_once("an export", make)
    return Made(place / "tiny", place / "photos", make_network(), Exported(*json.loads(told)))


def test_every_file_gives_the_probabilities_of_the_keras_network(made: Made) -> None:
    pixels = draw_pixels()
    expected = keras.ops.softmax(made.network.model(pixels, training=False)).numpy()
    files = json.loads((made.folder / "export.json").read_text())["files"]
    assert list(files) == [
        "saved_model", "model.tflite", "model-float16.tflite", "model-int8.tflite", "model.onnx"
    ]  # fmt: skip
    for name, said in files.items():
        predict = load_file(File(name, said["format"], said["quantize"]), made.folder / name, 2)
        allowed = {"none": 1e-5, "float16": 1e-2, "int8": 0.25}[said["quantize"]]
        np.testing.assert_allclose(predict(pixels), expected, atol=allowed, err_msg=name)


def test_quantised_files_are_smaller(made: Made) -> None:
    sizes = [made.found.metrics[key]["bytes"] for key in ("litert", "litert-float16", "litert-int8")]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 3


def test_litert_files_use_built_in_operations_alone(made: Made) -> None:
    for path in made.folder.glob("*.tflite"):
        operations = list_operations(path)
        assert operations and not [name for name in operations if name.startswith("Flex")]


def test_int8_files_take_and_give_float32(made: Made) -> None:
    interpreter = Interpreter(str(made.folder / "model-int8.tflite"))
    details = interpreter.get_input_details() + interpreter.get_output_details()
    assert {detail["dtype"] for detail in details} == {np.float32}
    stored = {detail["dtype"] for detail in interpreter.get_tensor_details()}
    assert np.int8 in stored


def test_litert_files_and_saved_models_carry_labels_and_description(made: Made) -> None:
    extra = made.folder / "saved_model" / "assets.extra"
    texts = [{name: (extra / name).read_bytes() for name in ("labels.txt", "thaw.json")}]
    for path in sorted(made.folder.glob("*.tflite")):
        with zipfile.ZipFile(path) as archive:
            texts.append({name: archive.read(name) for name in archive.namelist()})
    assert len(texts) == 4
    for found in texts:
        assert found["labels.txt"].decode().splitlines() == CLASSES
        described = json.loads(found["thaw.json"])
        assert described["sha256"] == ABOUT.digests and described["metrics"] == ABOUT.scores


def test_onnx_files_carry_classes_digests_and_scores_as_their_metadata(made: Made) -> None:
    model = onnx.load(str(made.folder / "model.onnx"))
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert found["run"] == "tiny" and json.loads(found["classes"]) == CLASSES
    assert json.loads(found["sha256"]) == ABOUT.digests and json.loads(found["metrics"]) == ABOUT.scores


def test_the_scores_of_a_file_count_the_photos_of_each_part(made: Made) -> None:
    for score in made.found.metrics.values():
        assert score["validation"]["photos"] == score["test"]["photos"] == 6
    assert set(made.found.timing) == set(made.found.metrics)


def test_the_head_of_the_card_is_yaml_that_names_task_and_scores(made: Made) -> None:
    _, head, _ = (made.folder / "README.md").read_text().split("---\n", 2)
    found = ruamel.yaml.YAML(typ="safe").load(head)
    assert found["pipeline_tag"] == "image-classification" and "MobileNet" in found["tags"]
    result = found["model-index"][0]["results"][0]
    assert [(metric["type"], metric["value"]) for metric in result["metrics"]] == [("accuracy", 0.5), ("f1", 0.25)]


def test_the_card_says_what_weights_and_photos_are(made: Made) -> None:
    card = (made.folder / "README.md").read_text()
    assert "Stand-in weights" in card and "`m.h5`" in card
    assert "- 2 under `CC-BY`" in card and "- 1 under no licence named" in card
    assert (made.folder / "credits.csv").exists()
    assert "./run dvc repro export@tiny" in card


def test_the_card_has_wilsons_interval_of_the_accuracy(made: Made) -> None:
    accuracy = made.found.metrics["litert"]["test"]["keras_accuracy"]
    low, high = wilson_interval(accuracy, 6)
    assert f"{100 * low:.1f} – {100 * high:.1f} %" in (made.folder / "README.md").read_text()


def test_the_card_has_the_digest_of_every_file(made: Made) -> None:
    card = (made.folder / "README.md").read_text()
    for path in made.folder.rglob("*"):
        if path.is_file() and path.name != "README.md":
            assert f"- `{path.relative_to(made.folder).as_posix()}`: `" in card


def test_names_of_classes_cannot_write_markdown(tmp_path: pathlib.Path) -> None:
    hostile = ["<b>|x|", "a`b\n# no", "plain"]
    about = ABOUT._replace(classes=hostile)
    (tmp_path / "credits.csv").write_text("file,author,licence,url\n")
    own = Part(np.array([0, 1, 2]), np.eye(3, dtype=np.float32)[[1, 0, 2]])
    metrics = {"onnx": {"file": "model.onnx", "bytes": 1, **compare({"test": own}, {"test": own})}}
    facts = make_facts(counts={"test": dict.fromkeys(hostile, 1)}, credits=tmp_path / "credits.csv")
    card = write_card(about, facts, metrics, {"test": own}, {})
    assert "| `<b>\\|x\\|` | 1 |" in card
    assert "| ``a`b # no`` | 1 |" in card
    assert "- `<b>\\|x\\|` taken for ``a`b # no``: 1 of 1 photos" in card


def test_calibration_is_that_of_the_report() -> None:
    generator = np.random.default_rng(2)
    probabilities = generator.dirichlet([1, 1, 1], 200)
    labels = np.array([generator.choice(3, p=row) for row in probabilities])
    expected, _ = calibration_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
    assert measure_calibration(Part(labels, probabilities)) == pytest.approx(expected)


def expose(folder: pathlib.Path, packages: tuple[str, ...]) -> pathlib.Path:
    """Return a folder of links to these packages of the environment, and to no other."""
    folder.mkdir()
    for package in packages:
        for base in map(pathlib.Path, {str(path) for path in sys.path if path.endswith("site-packages")}):
            if (base / package).exists():
                (folder / package).symlink_to(base / package)
    return folder


def test_the_program_needs_numpy_pillow_and_the_runtime_alone(made: Made, tmp_path: pathlib.Path) -> None:
    packages = ("numpy", "numpy.libs", "PIL", "pillow.libs", "ai_edge_litert", "backports", "flatbuffers")
    site = expose(tmp_path / "site", packages)
    photos = sorted(made.photos.rglob("*.png"))[:4]
    code = (
        f"import sys, runpy; sys.path.append({str(site)!r}); sys.argv = ['predict.py', *{[*map(str, photos)]!r}]; "
        f"runpy.run_path({str(made.folder / 'predict.py')!r})"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    pixels = np.stack([writing.prepare(path, SIZE)[0] for path in photos]).astype(np.float32)
    expected = keras.ops.softmax(made.network.model(pixels, training=False)).numpy()
    assert [row[:2] for row in rows] == [
        [str(path), CLASSES[answer]] for path, answer in zip(photos, expected.argmax(axis=1), strict=True)
    ]
    np.testing.assert_allclose([float(row[2]) for row in rows], expected.max(axis=1), atol=2e-4)


def test_the_program_reads_photos_as_training_did(made: Made, tmp_path: pathlib.Path) -> None:
    """Transparent, grey, and on its side by its EXIF data."""
    generator = np.random.default_rng(4)
    levels = generator.integers(0, 255, (90, 60, 4), dtype=np.uint8)
    PIL.Image.fromarray(levels).save(tmp_path / "clear.png")
    PIL.Image.fromarray(levels[..., 0]).save(tmp_path / "grey.png")
    turned = PIL.Image.fromarray(levels[..., :3])
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    text = (made.folder / "predict.py").read_text().split("\n\ninterpreter")[0]
    space: dict[str, Any] = {"__file__": str(made.folder / "predict.py")}
    exec(text, space)
    for path in tmp_path.glob("*.png"):
        np.testing.assert_array_equal(space["read"](str(path))[0], writing.prepare(path, SIZE)[0], err_msg=path.name)


@pytest.mark.long
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_runs_by_built_in_operations_alone_and_agrees(name: str, tmp_path: pathlib.Path) -> None:
    whole, pixels = build_whole(make_network(name)), draw_pixels()
    write_saved_model(whole, tmp_path / "saved_model")
    (tmp_path / "model.tflite").write_bytes(convert_litert(tmp_path / "saved_model", "none", []))
    assert not [name for name in list_operations(tmp_path / "model.tflite") if name.startswith("Flex")]
    expected = whole.predict(pixels, verbose=0)
    assert np.ptp(expected, axis=0).max() > 0.01
    files = [LITERT, File("saved_model", "saved_model")]
    if ARCHITECTURES[name].onnx:
        write_onnx(whole, tmp_path / "model.onnx", ABOUT)
        files.append(File("model.onnx", "onnx"))
    for file in files:
        predict = load_file(file, tmp_path / file.name, 2)
        np.testing.assert_allclose(predict(pixels), expected, atol=1e-4, err_msg=file.name)


@pytest.mark.long
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_runs_quantised(name: str, tmp_path: pathlib.Path) -> None:
    """With first weights as training begins with: of those at random everywhere, gates may be shut for every photo."""
    keras.utils.set_random_seed(1)
    whole, pixels = build_whole(classifiers.build_classifier(name, WIDTH, SIZE, plain_head(), 3)), draw_pixels()
    write_saved_model(whole, tmp_path / "saved_model")
    for quantize in ("float16", "int8"):
        path = tmp_path / f"{quantize}.tflite"
        path.write_bytes(convert_litert(tmp_path / "saved_model", quantize, draw_pixels(4)))  # type: ignore[arg-type]
        predict = load_file(LITERT, path, 2)
        np.testing.assert_allclose(predict(pixels), whole.predict(pixels, verbose=0), atol=0.05, err_msg=quantize)
        assert not [name for name in list_operations(path) if name.startswith("Flex")]


def test_the_baseline_cnn_is_exported_too(tmp_path: pathlib.Path) -> None:
    settings = BaselineNetwork(filters=[4], dense=4, dropout=0.5)
    whole, pixels = build_whole(classifiers.build_baseline(settings, SIZE, 3)), draw_pixels()
    write_saved_model(whole, tmp_path / "saved_model")
    (tmp_path / "model.tflite").write_bytes(convert_litert(tmp_path / "saved_model", "none", []))
    found = load_file(LITERT, tmp_path / "model.tflite", 1)(pixels)
    np.testing.assert_allclose(found, whole.predict(pixels, verbose=0), atol=1e-5)


@pytest.mark.long
def test_the_files_of_a_run_that_sees_mirror_images_average_them(tmp_path: pathlib.Path) -> None:
    network, pixels = make_network(), draw_pixels()
    whole = build_whole(network, flip_test=True)
    expected = np.mean([build_whole(network).predict(each, verbose=0) for each in (pixels, pixels[:, :, ::-1])], axis=0)
    assert abs(build_whole(network).predict(pixels, verbose=0) - expected).max() > 0.01
    write_saved_model(whole, tmp_path / "saved_model")
    (tmp_path / "model.tflite").write_bytes(convert_litert(tmp_path / "saved_model", "none", []))
    write_onnx(whole, tmp_path / "model.onnx", ABOUT)
    assert not [name for name in list_operations(tmp_path / "model.tflite") if name.startswith("Flex")]
    for file in (LITERT, File("model.onnx", "onnx"), File("saved_model", "saved_model")):
        predict = load_file(file, tmp_path / file.name, 2)
        np.testing.assert_allclose(predict(pixels), expected, atol=1e-5, err_msg=file.name)


def test_a_graph_under_other_names_and_in_another_order_gives_the_same_bytes() -> None:
    def build(names: dict[str, str], order: list[int]) -> onnx.ModelProto:
        shape = [None, 2]
        nodes = [
            onnx.helper.make_node("MatMul", [names["in"], names["w"]], [names["a"]], name=names["a"]),
            onnx.helper.make_node("Relu", [names["a"]], [names["b"]], name=names["b"]),
            onnx.helper.make_node("Add", [names["b"], names["a"]], [names["out"]], name=names["out"]),
        ]
        weights = [onnx.numpy_helper.from_array(np.eye(2, dtype=np.float32), names["w"])]
        ends = [onnx.helper.make_tensor_value_info(names[end], onnx.TensorProto.FLOAT, shape) for end in ("in", "out")]
        graph = onnx.helper.make_graph([nodes[i] for i in order], names["a"], ends[:1], ends[1:], weights)
        return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)])

    plain = {name: name for name in ("in", "w", "a", "b", "out")}
    other = {name: f"{name}_{number}" for number, name in enumerate(plain)}
    found = {
        make_repeatable(build(names, order), "x", "y").SerializeToString(deterministic=True)
        for names, order in ((plain, [0, 1, 2]), (other, [2, 0, 1]))
    }
    assert len(found) == 1
    model = onnx.load_from_string(found.pop())
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["MatMul", "Relu", "Add"]


EXPORTING = """
import pathlib, sys
sys.path.insert(0, {tests!r})
from test_export import ABOUT, ALL, make_facts, make_network
from thaw.export.exporting import export
export(make_network(), ABOUT, ALL, make_facts(credits=pathlib.Path({credits!r})), {records!r}, pathlib.Path({folder!r}))
"""


@pytest.mark.long
def test_every_file_repeats_to_the_byte_in_another_process_and_the_terminal_shows_progress_alone(
    made: Made, tmp_path: pathlib.Path
) -> None:
    place = made.folder.parent
    values = {"credits": place / "credits.csv", "records": place / "records", "folder": tmp_path / "tiny"}
    code = EXPORTING.format(
        tests=str(pathlib.Path(__file__).parent), **{key: str(path) for key, path in values.items()}
    )
    done = attempt(tmp_path, sys.executable, "-c", code, PYTHONHASHSEED="7", PYTHONPATH=":".join(sys.path))
    assert done.returncode == 0, done.stderr
    for path in made.folder.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "tiny" / path.relative_to(made.folder)).read_bytes(), path.name
    said = [line for line in done.stderr.splitlines() if not re.match(r"(tiny: export|records of \w+ checked): ", line)]
    assert said == [] and done.stdout == ""


def test_metadata_are_appended_without_the_time_of_day(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"network")
    append_metadata(path, ABOUT)
    assert path.read_bytes().startswith(b"network")
    with zipfile.ZipFile(path) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def make_scores(answers: list[int], labels: list[int], shift: float = 0) -> Any:
    expected = Part(np.array(labels), np.eye(3, dtype=np.float32)[labels])
    found = np.eye(3, dtype=np.float32)[answers] + np.float32(shift)
    return compare({"validation": expected}, {"validation": expected._replace(probabilities=found)})


def test_scores_are_accuracies_the_share_of_same_answers_and_the_largest_difference() -> None:
    assert make_scores([0, 1, 2, 2], [0, 1, 2, 0])["validation"] == {
        "photos": 4, "accuracy": 0.75, "keras_accuracy": 1.0, "same": 0.75, "difference": 1.0
    }  # fmt: skip


def test_an_unquantised_file_that_differs_is_a_fault_and_a_quantised_one_is_none() -> None:
    scores = make_scores([0, 1], [0, 1], shift=2e-4)
    check("tiny", File("model-int8.tflite", "litert", "int8"), scores, ALL)
    with pytest.raises(
        InputError,
        match=r"^params\.yaml: export\.tiny: model\.tflite must differ from the Keras network by at most 0\.0001 in "
        r"every probability on validation \(got 0\.0002\)$",
    ):
        check("tiny", LITERT, scores, ALL)


def test_probabilities_that_are_no_numbers_are_a_fault() -> None:
    with pytest.raises(InputError, match=r"\(got nan\)$"):
        check("tiny", LITERT, make_scores([0, 1], [0, 1], shift=np.nan), ALL)


def test_a_file_that_loses_more_than_the_tolerance_is_a_fault_that_names_it() -> None:
    scores = make_scores([1, *range(3), *range(3)], [0, *range(3), *range(3)])
    settings = Export(formats=["litert"], quantize=["int8"], tolerance=100 / 7 + 0.01)
    file = File("model-int8.tflite", "litert", "int8")
    check("tiny", file, scores, settings)
    with pytest.raises(
        InputError,
        match=r"^params\.yaml: export\.tiny\.tolerance: model-int8\.tflite must lose at most 14 points of accuracy on "
        r"validation against the Keras network \(got 14\.29\)$",
    ):
        check("tiny", file, scores, settings.model_copy(update={"tolerance": 14.0}))


def test_a_file_that_its_runtime_refuses_is_one_line_and_leaves_no_folder(
    project: pathlib.Path, small_network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("no such\noperation")

    monkeypatch.setattr(exporting, "load_file", refuse)
    settings = Export(formats=["saved_model"])
    with pytest.raises(
        InputError,
        match=r"^params\.yaml: export\.tiny: saved_model cannot be run by its own runtime \(no such operation\)$",
    ):
        export(small_network, ABOUT, settings, make_facts(), "data/records", project / "models/export/tiny")
    assert list((project / "models/export").iterdir()) == []


def test_the_photos_for_int8_are_of_train_and_of_all_classes(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "REPRESENTATIVE", 6)
    rows = write_photos(tmp_path / "photos", 36, 3)
    rows = rows[(rows.label == 0) | (rows.index >= 18)]  # the first ones are of one class
    writing.write_records(rows, tmp_path / "photos", Image(size=SIZE, shards=2), tmp_path / "records")
    chosen = choose_representative(tmp_path / "records")
    batches = list(reading.read_batches(tmp_path / "records", "train", 32))
    photos = np.concatenate([images.numpy() for images, _ in batches])
    labels = np.concatenate([labels.numpy() for _, labels in batches])
    found = [int(np.flatnonzero((photos == photo).all(axis=(1, 2, 3)))[0]) for photo in chosen]
    assert len(set(found)) == 6 and list(np.bincount(labels[found])) == [2, 2, 2]


def make_exported(folder: pathlib.Path, run: str = "wide", size: int = 12_900_000) -> Any:
    """Write made-up results of an exported run beside those of `outcomes`; return what stands for the parameters."""
    part = {"accuracy": 0.84, "keras_accuracy": 0.85, "same": 0.97, "difference": 0.0125}
    found = {
        "litert-int8": {"file": "model-int8.tflite", "bytes": 3_400_000, "validation": {"photos": 200, **part}},
        "onnx": {"file": "model.onnx", "bytes": size, "validation": {"photos": 200, **part}},
    }
    for file in found.values():
        file["test"] = {"photos": 100, **part}
    outcomes.write(folder / paths.find_export_scores(run), {"exports": {run: found}})
    times = {key: {"file": file["file"], "ms_per_image": {"median": 4.5, "p95": 6.25}} for key, file in found.items()}
    outcomes.write(folder / paths.find_export_time(run), {"exports": {run: times}})
    params = outcomes.make_params()
    params.export = {run: None, "wide-blocks-2": None}
    return params


def describe(folder: pathlib.Path, **values: Any) -> str:
    params = make_exported(outcomes.make_results(folder), **values)
    outcomes.write_weights(folder, **{**outcomes.STANDIN, "architecture": "MobileNet"})
    return describe_exports(read_exports(params, folder), read_results(params, folder))


def test_the_report_has_a_row_for_each_file_and_says_what_has_not_been_run(tmp_path: pathlib.Path) -> None:
    rows = [line for line in describe(tmp_path).splitlines() if line.startswith("| wide")]
    assert rows == [
        "| wide¹ | `model-int8.tflite` | 3.4 | 84.00 | 85.00 | 1.00 | 97.00 | 0.012500 |",
        "| wide¹ | `model.onnx` | 12.9 | 84.00 | 85.00 | 1.00 | 97.00 | 0.012500 |",
        "| wide-blocks-2¹ | not run yet | – | – | – | – | – | – |",
    ]


def test_the_report_judges_the_published_size_of_a_mobilenet(tmp_path: pathlib.Path) -> None:
    text = describe(tmp_path)
    assert text.endswith("Of the MobileNets here 1 of their 2 files are: `model-int8.tflite` of wide.")


def test_a_table_that_exports_nothing_has_no_section(tmp_path: pathlib.Path) -> None:
    params = outcomes.make_params()
    results = read_results(params, outcomes.make_results(tmp_path))
    nothing = read_exports(params, tmp_path)
    assert nothing == Exports([], {}, {})
    assert describe_exports(nothing, results) == tabulate_export_times(nothing, results) == ""


def test_times_of_exported_files_stand_in_a_table_of_their_own(tmp_path: pathlib.Path) -> None:
    params = make_exported(outcomes.make_results(tmp_path))
    text = tabulate_export_times(read_exports(params, tmp_path), read_results(params, tmp_path))
    assert "| wide¹ | `model.onnx` | 4.50 | 6.25 |" in text


def test_damaged_scores_of_an_export_are_named(tmp_path: pathlib.Path) -> None:
    params = make_exported(outcomes.make_results(tmp_path))
    path = tmp_path / paths.find_export_scores("wide")
    document = json.loads(path.read_text())
    document["exports"]["wide"]["onnx"]["bytes"] = "many"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"exports\.wide\.onnx\.bytes: must be a whole number \(got 'many'\)"):
        read_exports(params, tmp_path)


@pytest.mark.long
def test_dvc_exports_a_run_shows_it_in_the_report_and_does_not_run_it_again(workspace: pathlib.Path) -> None:
    entry = {"tiny-blocks-1": {"formats": ["litert"]}, "baseline_cnn": {"formats": ["litert"]}}
    change_params(workspace, lambda document: document.update(export=entry))
    found = find_stages_run(dvc(workspace, "repro"))
    assert sorted(found) == ["export@baseline_cnn", "export@tiny-blocks-1", "report"]
    report = (workspace / "report/report.md").read_text().split("## Exported files")[1].split("\n## ")[0]
    assert "| tiny-blocks-1¹ | `model.tflite` |" in report or "| tiny-blocks-1 | `model.tflite` |" in report
    assert "### Exported files" in (workspace / "report/cost.md").read_text()
    assert find_stages_run(dvc(workspace, "repro")) == []
