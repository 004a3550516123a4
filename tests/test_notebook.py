"""A table in Python: `thaw.load_results`, `thaw.load_model`, the example notebook, and the last words of the demo."""

import json
import os
import pathlib
import re

import nbclient
import nbformat
import numpy as np
import pandas as pd
import PIL.Image
import pytest

import thaw
from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import read_json, read_table
from thaw.cli.demo import predict_drawing
from thaw.config.presets import ROOT
from thaw.networks.files import load_network

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


@pytest.fixture
def table(finished: tuple[pathlib.Path, str]) -> pathlib.Path:
    """The folder of the finished table."""
    return finished[0]


@pytest.fixture
def photos(table: pathlib.Path) -> pd.DataFrame:
    """The rows of data/split.csv of test, with what the baseline CNN predicts of them as evaluate wrote it."""
    split = read_table(table / paths.SPLIT, numbers=("label",)).set_index("id")
    predicted = pd.read_csv(table / paths.find_predictions("baseline_cnn"), dtype={"id": str}).set_index("id")
    return predicted[predicted["part"] == "test"].join(split[["file"]])


def test_results_are_those_of_the_files_that_git_tracks(table: pathlib.Path) -> None:
    results = thaw.load_results(table)
    assert list(results["name"]) == ["baseline_cnn", "tiny", "tiny-blocks-1", "tiny-all"]
    for row in results.to_dict("records"):
        scores = read_json(table / paths.find_evaluation(row["name"]))[row["name"]]
        for part in ("train", "validation", "test"):
            assert row[f"{part}_accuracy"] == pytest.approx(scores[part]["accuracy"], abs=1e-6)
        assert row["macro_f1"] == scores["test"]["f1"]
        assert row["trainable_parameters"] == scores["trainable_parameters"]
        assert 0 <= row["low"] <= row["test_accuracy"] <= row["high"] <= 1
        trained = read_json(table / paths.find_training(row["name"]))[row["name"]]
        assert row["cut"] == trained["cut"]
        assert row["training_seconds"] > 0
    tuned = results.set_index("name").loc["tiny-blocks-1"]
    assert tuned["unfrozen"] == "last block" and tuned["epochs"] == 2 and tuned["backbone"] == "tiny"


def test_a_mark_leads_to_the_footnote_on_the_weights(table: pathlib.Path) -> None:
    results = thaw.load_results(table)
    assert list(results["mark"]) == ["", "¹", "¹", "¹"]
    assert results.attrs["notes"][0].startswith("¹ rests on weights made here")


def test_times_that_were_not_measured_here_are_missing(workspace: pathlib.Path) -> None:
    (workspace / paths.find_training_time("tiny")).unlink()
    seconds = thaw.load_results(workspace).set_index("name")["training_seconds"]
    assert np.isnan(seconds["tiny"]) and seconds["tiny-all"] > 0


def test_a_model_says_of_photos_what_evaluate_wrote(table: pathlib.Path, photos: pd.DataFrame) -> None:
    model = thaw.load_model("baseline_cnn", table)
    files = [str(table / paths.RAW / file) for file in photos["file"]]
    found = model.predict(files)
    assert list(found["file"]) == files
    columns = [f"p_{name}" for name in model.classes]
    np.testing.assert_allclose(found[columns], photos[columns], rtol=0, atol=1e-5)
    assert list(found["class"]) == list(photos["predicted"])
    np.testing.assert_array_equal(found["probability"], found[columns].max(axis=1))


def test_arrays_are_scored_as_the_files_that_hold_them(table: pathlib.Path, photos: pd.DataFrame) -> None:
    model = thaw.load_model("baseline_cnn", table)
    files = [table / paths.RAW / file for file in photos["file"]]
    arrays = np.stack([np.asarray(PIL.Image.open(file).convert("RGB")) for file in files])
    expected = model.predict(files).drop(columns="file")
    pd.testing.assert_frame_equal(model.predict(arrays).drop(columns="file"), expected)
    pd.testing.assert_frame_equal(model.predict(list(arrays)).drop(columns="file"), expected, atol=1e-6)
    assert model.predict(arrays[0])["file"].tolist() == [None]


def test_an_array_of_another_size_is_resized_as_a_photo_is(table: pathlib.Path, tmp_path: pathlib.Path) -> None:
    model = thaw.load_model("baseline_cnn", table)
    array = np.random.default_rng(4).integers(0, 256, (70, 50, 3), dtype=np.uint8)
    PIL.Image.fromarray(array).save(tmp_path / "noise.png")
    expected = model.predict(tmp_path / "noise.png").drop(columns="file")
    pd.testing.assert_frame_equal(model.predict(array).drop(columns="file"), expected)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("lost.png", "lost.png: must be a file or a folder (there is none)"),
        (np.zeros((32, 32), np.uint8), r"predict: an array must be \(h, w, 3\) or \(b, h, w, 3\) \(got \(32, 32\)\)"),
        (np.zeros((9, 9, 3), np.float32), "predict: an array must be uint8, or 32 pixels a side"),
        (np.full((32, 32, 3), 256.0), r"predict: an array must lie in \[0, 255\] \(got 256 to 256\)"),
        ([np.zeros((32, 32, 3), np.uint8), "a.png"], "predict: must have paths or arrays"),
    ],
)
def test_what_a_model_cannot_score_is_a_fault(given: object, line: str, table: pathlib.Path) -> None:
    with pytest.raises(InputError, match=line if "\\" in line else re.escape(line)):
        thaw.load_model("tiny", table).predict(given)  # type: ignore[arg-type]


def test_the_keras_model_is_that_of_the_run(table: pathlib.Path) -> None:
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    expected = load_network("tiny-all", table)[0].model(pixels, training=False)
    np.testing.assert_array_equal(thaw.load_model("tiny-all", table).keras(pixels, training=False), expected)


def test_a_run_that_the_table_does_not_have_is_a_fault_that_names_those_there_are(table: pathlib.Path) -> None:
    with pytest.raises(InputError, match="has no run 'huge'; there are baseline_cnn, tiny, tiny-blocks-1, tiny-all"):
        thaw.load_model("huge", table)


@pytest.mark.long
def test_the_example_notebook_runs_on_another_table(table: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_NOTEBOOK_FOLDER", str(table))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    notebook = nbformat.read(NOTEBOOK, 4)
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    printed = json.dumps(notebook.cells)
    assert "tiny-blocks-1" in printed and "thaw.Model" in printed


def test_the_example_notebook_is_kept_with_outputs_that_say_nothing_of_a_machine() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    text = json.dumps([{**output.get("data", {}), "image/png": None, "text": output.get("text")} for output in outputs])
    assert not re.search(r"(?<![\w./<])/\w", text)
    assert str(ROOT) not in text and os.path.expanduser("~/") not in text


def test_the_only_picture_of_the_example_notebook_is_its_figure() -> None:
    cells = nbformat.read(NOTEBOOK, 4).cells
    drawn = [cell for cell in cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    assert len(drawn) == 1 and "plt.show()" in drawn[0].source


def test_the_demo_ends_with_what_its_best_run_says_of_a_drawing(
    table: pathlib.Path, photos: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thaw.base.determinism.configure", lambda *_: None)  # this process keeps its threads
    first = predict_drawing(table).splitlines()[0]
    split = read_table(table / paths.SPLIT, numbers=("label",))
    photo = split[split["part"] == "test"].iloc[0]
    assert first.startswith(f"A drawing that no run was trained on, data/raw/{photo['file']}, shows {photo['class']}; ")
    name, label, percent = re.search(r"; (\S+), the best run on validation, says (\S+) \((\S+) %\)", first).groups()
    written = pd.read_csv(table / paths.find_predictions(name), dtype={"id": str}).set_index("id").loc[photo["id"]]
    assert label == written["predicted"]
    assert float(percent) == pytest.approx(100 * written[f"p_{label}"], abs=0.06)
