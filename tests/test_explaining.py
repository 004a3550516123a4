"""What a network looks at, and which photos it finds alike."""

import pathlib
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from outcomes import make_params, make_results
from small import SIZE, assert_close
from thaw.base.errors import InputError
from thaw.cli import explaining
from thaw.comparison.pairs import read_evidence
from thaw.comparison.results import read_results
from thaw.explanation.embedding import embed
from thaw.explanation.explaining import Explained, explain
from thaw.explanation.gradcam import coarsen, halve, heatmap, look, scale
from thaw.explanation.overlays import lay_over
from thaw.explanation.sections import Explain
from thaw.networks.classifiers import Network, build_baseline
from thaw.networks.sections import BaselineNetwork
from thaw.prediction.models import Predictor
from thaw.records import reading
from thaw.reporting import plotting, publication
from thaw.reporting.explanations import describe_explanations, list_embeddings
from thaw.reporting.plotting.embedding import find_class_look
from tiny import change_params, dvc, find_stages_run

BOX = 10  # pixels, the side of the object in the corner


def draw_noise(count: int = 1) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, (count, SIZE, SIZE, 3)).astype(np.float32)


def test_with_a_head_of_one_dense_layer_the_map_is_class_activation_mapping(small_network: Network) -> None:
    """Zhou et al. 2016: the feature maps, each times the weight of its mean in the logit of the class."""
    image = draw_noise()[0]
    features = small_network.backbone(small_network.preprocessing(image[np.newaxis]), training=False).numpy()[0]
    activations = np.maximum(features @ small_network.head.get_layer("logits").kernel.numpy(), 0)
    assert activations.any()
    for label in range(3):
        expected = activations[..., label]
        assert_close(heatmap(small_network, image, label), expected / max(expected.max(), 1e-9))


@pytest.fixture
def bright() -> Network:
    """A CNN whose one filter gives the brightness, and whose second class is the brighter the whole photo is."""
    network = build_baseline(BaselineNetwork(filters=[1], dense=1, dropout=0.0), 32, 2)
    for layer in network.model.layers:
        for weight in layer.weights:
            weight.assign(np.zeros(weight.shape))
    convolution, dense, logits = (layer for layer in network.model.layers if layer.weights)
    convolution.kernel.assign(np.pad(np.full((1, 1, 3, 1), 1 / 3), [(1, 1), (1, 1), (0, 0), (0, 0)]))
    dense.kernel.assign(np.ones(dense.kernel.shape))
    logits.kernel.assign([[-1.0, 1.0]])
    return network


@pytest.mark.parametrize("row, column", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_an_object_in_a_corner_lights_that_corner(bright: Network, row: int, column: int) -> None:
    image = np.zeros((32, 32, 3), np.float32)
    corner = tuple(slice(BOX) if place == 0 else slice(-BOX, None) for place in (row, column))
    image[corner] = 255
    heat = heatmap(bright, image)
    assert heat.shape == (30, 30) and heat[row, column] == 1
    lit = np.zeros((32, 32), bool)
    lit[corner] = True
    np.testing.assert_array_equal(heat > 0, lit[1:-1, 1:-1])  # what a valid 3x3 convolution leaves


def test_what_speaks_against_a_class_stays_dark(bright: Network) -> None:
    assert not heatmap(bright, np.full((32, 32, 3), 255, np.float32), 0).any()


def test_the_parts_of_a_network_make_the_logits_of_the_whole(small_network: Network, bright: Network) -> None:
    for network, images in ((small_network, draw_noise(2)), (bright, draw_noise(2)[:, :32, :32])):
        assert_close(look(halve(network), images).logits, network.model(images, training=False).numpy())


def test_without_a_label_the_map_is_that_of_the_predicted_class(small_network: Network) -> None:
    image = draw_noise()[0]
    predicted = int(small_network.model(image[np.newaxis], training=False).numpy().argmax())
    without, *found = [heatmap(small_network, image, label) for label in (None, 0, 1, 2)]
    np.testing.assert_array_equal(without, found.pop(predicted))
    assert all((without != other).any() for other in found)


def test_a_fine_map_is_stored_coarser_and_a_coarse_one_as_it_is() -> None:
    maps = np.zeros((1, 4, 6), np.float32)
    maps[0, :2, :3] = [[1, 2, 3], [4, 5, 9]]
    np.testing.assert_allclose(coarsen(maps, 2), [[[24 / 6, 0], [0, 0]]], rtol=1e-6)
    np.testing.assert_array_equal(coarsen(maps, 6), maps)


def test_a_map_without_anything_is_dark_and_no_number_appears() -> None:
    maps = np.array([[[0.0, 0.0]], [[np.nan, 1.0]], [[1.0, 4.0]]])
    np.testing.assert_array_equal(scale(maps), [[[0, 0]], [[0, 0]], [[0.25, 1]]])


@pytest.fixture
def explained(project: pathlib.Path, small_network: Network) -> Explained:
    return make_explained(small_network)


def make_explained(network: Network) -> Explained:
    description: Any = {"run": "small"}
    return explain(network, description, "data/records", Explain(), seed=1)


def test_each_photo_of_the_part_that_counts_has_its_row(explained: Explained) -> None:
    _, ids = reading.read_labels("data/records", "test")
    for table in explained:
        assert list(table["id"]) == list(ids) and set(table["part"]) == {"test"}
    assert list(explained.embedding) == ["id", "part", "actual", "predicted", "x", "y"]


def test_a_row_holds_the_map_of_its_photo_in_percent(explained: Explained, small_network: Network) -> None:
    images, _ = next(iter(reading.read_batches("data/records", "test", 32)))
    for image, row in zip(images.numpy(), explained.maps.to_dict("records"), strict=True):
        cells = [row[f"m_{i}"] for i in range(row["height"] * row["width"])]
        expected = 100 * heatmap(small_network, image)
        np.testing.assert_allclose(np.reshape(cells, expected.shape), expected, atol=0.51)
        assert f"m_{len(cells)}" not in row


def test_the_same_network_and_photos_give_the_same_tables(explained: Explained, small_network: Network) -> None:
    again = make_explained(small_network)
    assert [table.to_csv() for table in again] == [table.to_csv() for table in explained]


def test_a_network_whose_training_diverged_is_one_clear_line(project: pathlib.Path, small_network: Network) -> None:
    weight = small_network.backbone.weights[-1]
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(InputError, match=r"^models/small\.weights\.h5: must give features that are finite .*`explain`"):
        make_explained(small_network)


def test_photos_with_features_alike_lie_together() -> None:
    generator = np.random.default_rng(2)
    groups = np.repeat([0, 1, 2], 20)
    places = embed(generator.normal(10 * np.eye(3)[groups], 0.1), 10, seed=1)
    distances = np.linalg.norm(places[:, np.newaxis] - places, axis=-1) + np.diag(np.full(60, np.inf))
    assert (groups[distances.argmin(axis=1)] == groups).all()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_photos_have_a_map_as_well(count: int) -> None:
    places = embed(np.random.default_rng(3).normal(size=(count, 4)), 30, seed=1)
    assert places.shape == (count, 2) and np.isfinite(places).all()


def test_photos_that_are_all_alike_lie_at_one_place() -> None:
    assert not embed(np.ones((6, 4)), 30, seed=1).any()


def test_where_a_map_is_dark_the_photo_is_dim_and_elsewhere_in_colour() -> None:
    photo = PIL.Image.new("RGB", (60, 40), (10, 200, 30))
    pixels = np.asarray(lay_over(photo, np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]]))).astype(int)
    assert pixels.shape == (40, 60, 3)
    dark, lit = pixels[-1, -1], pixels[0, 0]
    grey = PIL.Image.new("RGB", (1, 1), (10, 200, 30)).convert("L").getpixel((0, 0))
    assert 0 < dark.max() < grey and np.ptp(dark) < 5
    assert lit.max() > grey and np.ptp(lit) > 30


def write_embedding(folder: pathlib.Path, name: str, photos: int = 100) -> None:
    """Write the places of so many photos for run `name`, as stage explain does, three of them wrong."""
    rows = [(f"t{i:04}", "test", "NA", "rose" if i < 3 else "NA", i, 0.25) for i in range(photos)]
    path = folder / f"plots/predictions/embedding/{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=["id", "part", "actual", "predicted", "x", "y"]).to_csv(path, index=False)


def test_the_report_draws_the_explained_runs_and_says_what_distances_mean(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thaw.reporting.publication.render_page", lambda *_: "")
    monkeypatch.setattr("thaw.reporting.publication.list_drawings", lambda *_: [])
    monkeypatch.setattr("thaw.reporting.pages.render", lambda template, **values: values.get("explanations", ""))
    params, folder = make_params(), make_results(tmp_path)
    params.explain = {"wide": Explain(), "wide-blocks-2": Explain()}
    write_embedding(folder, "wide")
    write_embedding(folder, "baseline_cnn")  # which the parameters do not name
    publication.write_report(params, SIZE, folder)
    page = (folder / "report/report.md").read_text()
    assert "distances between groups" in page and "mean nothing" in page
    assert "![which of the 100 photos of test wide finds alike, by t-SNE; marked are the 3 that it has wrong]" in page
    assert "Not explained yet: wide-blocks-2." in page
    assert sorted(path.name for path in (folder / "report/figures").iterdir()) == [
        "embedding-wide.csv", "embedding-wide.svg",
    ]  # fmt: skip


def test_without_explained_runs_the_report_has_no_section_on_them(tmp_path: pathlib.Path) -> None:
    evidence = read_evidence(read_results(make_params(), make_results(tmp_path)), tmp_path)
    assert list_embeddings(evidence, tmp_path) == [] and describe_explanations(evidence, {}) == ""


def test_the_figure_rings_the_wrong_photos_and_tells_classes_apart_by_colour_and_marker() -> None:
    names = [f"class {i:02}" for i in range(20)]
    table = pd.DataFrame({"actual": names * 2, "x": range(40), "y": range(40)})
    table["predicted"] = [*names, "class 00", *names[1:-1], "class 00"]
    figure = plotting.draw_embedding(table, "run")
    *points, rings = figure.axes[0].lines
    assert [list(rings.get_xdata()), rings.get_markerfacecolor()] == [[39], "none"]
    looks = [(line.get_color(), line.get_marker()) for line in points]
    assert len(set(looks)) == len(looks) == 17  # those of sixteen classes, and of the others together
    assert len(set(map(find_class_look, range(64)))) == 64
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[-2:] == ["4 other classes", "ring: wrong (1)"]


def make_predictor(network: Network, classes: list[str]) -> Predictor:
    return Predictor("small", SIZE, classes, lambda pixels: np.zeros((len(pixels), len(classes)), np.float32), network)


def test_the_picture_of_predict_has_each_photo_beside_its_map(
    project: pathlib.Path, small_network: Network, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explaining, "MOST", 5)
    files = sorted(project.glob("photos/*/*.png"))[:6]
    sheet = explaining.Sheet("why.png", make_predictor(small_network, ["a", "b", "c"]), None)
    for file in files:
        sheet.add(str(file), np.array([0.1, 0.7, 0.2]))
    sheet.save()
    picture = PIL.Image.open("why.png")
    assert picture.size == (12 + 4 * (480 + 24), 12 + 2 * (240 + 24 + 36))  # four across, then one
    assert len(picture.crop((0, 0, 252, 252)).getcolors(10**6)) > 100 and sheet.shown[0].heat.max() == 1
    assert "--explain: why.png has the first 5 photos; 1 are left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "path, model, fault",
    [
        ("why.jpg", None, r"--explain: must be a file that ends in \.png \(got 'why\.jpg'\)"),
        ("nowhere/why.png", None, r"--explain: nowhere/why\.png: there is no such folder"),
        ("why.png", "export", r"--explain: must be of a run: an export has no feature maps"),
    ],
)
def test_a_picture_that_cannot_be_made_is_one_clear_line(path: str, model: str | None, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        explaining.check_sheet(path, model)


def test_too_many_photos_are_told_before_the_network_looks(small_network: Network) -> None:
    with pytest.raises(InputError, match=r"^--explain: must be of at most 100 photos \(got 101\)$"):
        explaining.Sheet("why.png", make_predictor(small_network, ["a"]), 101)


@pytest.mark.long
def test_stage_explain_runs_for_the_runs_that_the_parameters_name(workspace: pathlib.Path) -> None:
    change_params(workspace, lambda document: document.update(explain={"tiny": {}, "baseline_cnn": {}}))
    assert set(find_stages_run(dvc(workspace, "repro"))) == {"explain@tiny", "explain@baseline_cnn", "report"}
    page = (workspace / "report/report.html").read_text()
    assert "what speaks for <b>" in page and "what speaks for" not in (workspace / "report/report.md").read_text()
    names = {path.name for path in (workspace / "report/figures").glob("embedding-*")}
    assert names == {f"embedding-{run}.{kind}" for run in ("tiny", "baseline_cnn") for kind in ("svg", "csv")}
