import io
import pathlib
from typing import Any

import h5py
import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from small import EACH, assert_close, scatter
from thaw.architectures.table import ARCHITECTURES, Architecture
from thaw.base.errors import InputError
from thaw.base.files import digest_of, read_json
from thaw.base.sections import validate
from thaw.drawn.flowers import PRETRAINING, draw
from thaw.networks import backbones
from thaw.networks.costs import count_flops
from thaw.weights import on_flowers, pretrained
from thaw.weights.pretrained import describe_network, pretrain, save_pretrained
from thaw.weights.sections import Backbone, Pretraining

pytestmark = pytest.mark.usefixtures("forget_determinism")
ARCHITECTURE, WIDTH = "MobileNet", 0.125
SHORT = {"photos_per_class": 2, "size": 32, "batch_size": 16, "learning_rate": 1e-2, "epochs": 1}


def describe(**entries: Any) -> Backbone:
    return Backbone.model_validate({"architecture": ARCHITECTURE, "width": WIDTH, **entries})


def start(backbone: Backbone) -> tuple[keras.Model, dict[str, Any]]:
    """Return (model, document) after the seeds are set as the stage `weights` sets them.

    Not through `determinism.configure`: threads can be pinned only before the first operation of a process.
    """
    keras.utils.set_random_seed(backbone.seed or 0)
    tf.config.experimental.enable_op_determinism()
    return pretrain("small", backbone)


def write_published_format(model: keras.Model, path: pathlib.Path) -> None:
    """Write weights in the older HDF5 layout, that of the files which keras.applications publishes."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            weights = [*layer.trainable_weights, *layer.non_trainable_weights]
            names = [f"{layer.name}/{weight.name}" for weight in weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, weights, strict=True):
                group[name] = weight.numpy()


def weights_of(model: keras.Model) -> np.ndarray:
    return np.concatenate([weight.numpy().ravel() for weight in model.weights])


@pytest.fixture(scope="module")
def trained() -> tuple[keras.Model, dict[str, Any]]:
    """A backbone after one epoch on the drawn sample."""
    return start(describe(weights="sample", seed=4, pretraining=SHORT))


def test_pretraining_on_the_sample_moves_the_weights_from_their_random_start(
    trained: tuple[keras.Model, dict[str, Any]],
) -> None:
    untrained, _ = start(describe(weights="random", seed=4))
    kernels = [
        (one, other) for one, other in zip(trained[0].weights, untrained.weights, strict=True) if "kernel" in one.path
    ]
    assert all(np.abs(one.numpy() - other.numpy()).max() > 1e-4 for one, other in kernels)


def test_pretraining_moves_the_batch_norm_statistics(trained: tuple[keras.Model, dict[str, Any]]) -> None:
    means = np.concatenate([weight.numpy() for weight in trained[0].weights if "moving_mean" in weight.path])
    assert (means != 0).mean() > 0.9


@pytest.mark.long
def test_pretraining_again_from_the_same_seed_gives_the_same_weights(
    trained: tuple[keras.Model, dict[str, Any]],
) -> None:
    again, _ = start(describe(weights="sample", seed=4, pretraining=SHORT))
    assert np.array_equal(weights_of(again), weights_of(trained[0]))


def test_the_pictures_of_pretraining_are_those_that_are_drawn_one_by_one() -> None:
    settings = Pretraining.model_validate(SHORT)
    images, labels = on_flowers._draw_pictures(4, settings)
    expected = [
        (label, draw(4, "pretraining", name, i, 32)) for label, name in enumerate(PRETRAINING) for i in range(2)
    ]
    for image, label, (own_label, content) in zip(images, labels, expected, strict=True):
        assert label == own_label
        assert np.array_equal(image, np.asarray(PIL.Image.open(io.BytesIO(content))))


def test_random_weights_follow_the_seed() -> None:
    one, same, other = (weights_of(start(describe(weights="random", seed=s))[0]) for s in (4, 4, 5))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_a_path_loads_the_weights_in_the_file(
    trained: tuple[keras.Model, dict[str, Any]], tmp_path: pathlib.Path
) -> None:
    trained[0].save_weights(tmp_path / "mine.weights.h5")
    model, _ = start(describe(weights=str(tmp_path / "mine.weights.h5")))
    assert np.array_equal(weights_of(model), weights_of(trained[0]))


def test_the_document_names_the_file_and_its_digest(
    trained: tuple[keras.Model, dict[str, Any]], tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "mine.weights.h5"
    trained[0].save_weights(file)
    _, document = start(describe(weights=str(file)))
    assert (document["file"], document["file_sha256"]) == (file.name, digest_of(file))


def test_weights_made_here_and_from_a_path_are_not_official(
    trained: tuple[keras.Model, dict[str, Any]], tmp_path: pathlib.Path
) -> None:
    trained[0].save_weights(tmp_path / "mine.weights.h5")
    entries = [{"weights": "random", "seed": 1}, {"weights": str(tmp_path / "mine.weights.h5")}]
    documents = [trained[1], *(start(describe(**entry))[1] for entry in entries)]
    assert [document["official"] for document in documents] == [False, False, False]


def test_a_missing_file_is_one_line_that_names_the_key() -> None:
    with pytest.raises(InputError) as caught:
        pretrain("small", describe(weights="nowhere/mine.h5"))
    assert str(caught.value) == "params.yaml: backbones.small.weights: no such file (got 'nowhere/mine.h5')"


@pytest.mark.parametrize("content", ["another width", "no HDF5"])
def test_a_file_that_does_not_fit_is_one_line_that_names_it(tmp_path: pathlib.Path, content: str) -> None:
    file = tmp_path / "mine.weights.h5"
    if content == "no HDF5":
        file.write_bytes(b"no weights at all")
    else:
        backbones.build(ARCHITECTURE, 0.25, 32).save_weights(file)
    with pytest.raises(InputError) as caught:
        pretrain("small", describe(weights=str(file)))
    assert str(caught.value).startswith(f"{file}: must hold the weights of {ARCHITECTURE}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("architecture", ["MobileNet", "MobileNetV3SmallMinimalistic"])
def test_a_stand_in_of_a_mirror_is_loaded_and_not_official(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, architecture: str
) -> None:
    model = backbones.build(architecture, 1, 72)
    file = tmp_path / "weights" / ARCHITECTURES[architecture].file.split("/")[-1]
    file.parent.mkdir()
    write_published_format(model, file)
    monkeypatch.setenv("THAW_MIRROR", str(tmp_path))
    loaded, document = pretrain("full", Backbone(architecture=architecture, width=1.0, weights="imagenet"))
    assert document["official"] is False
    assert np.array_equal(weights_of(loaded), weights_of(model))


@pytest.mark.parametrize(
    "architecture",
    [pytest.param(name, marks=() if name == "EfficientNetB0" else pytest.mark.long) for name in ARCHITECTURES],
)
def test_of_the_published_file_it_makes_what_keras_makes(
    architecture: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """The builder of keras.applications is given a file of the same layout in the place of its download."""
    row, shape = ARCHITECTURES[architecture], (96, 96, 3)
    builder = getattr(keras.applications, row.builder)
    source = builder(include_top=False, weights=None, input_shape=shape, **row.options)
    scatter(source)
    file = tmp_path / row.mirrored
    file.parent.mkdir()
    write_published_format(source, file)
    asked: dict[str, Any] = {}

    def get_file(name: str, origin: str, file_hash: str | None = None, **_: Any) -> str:
        asked.update(url=origin, digest=file_hash)
        return str(file)

    monkeypatch.setattr(keras.src.utils.file_utils, "get_file", get_file)
    published = builder(include_top=False, weights="imagenet", input_shape=shape, **row.options)
    assert asked == {"url": row.url, "digest": row.published and row.published.partition(":")[2]}
    monkeypatch.setenv("THAW_MIRROR", str(tmp_path))
    monkeypatch.setattr(pretrained, "RANDOM_SIZE", shape[0])
    loaded, _ = pretrain("full", Backbone(architecture=architecture, width=1.0, weights="imagenet"))
    pixels = np.random.default_rng(0).uniform(0, 255, (1, *shape)).astype(np.float32)
    preprocess = getattr(keras.applications, row.module).preprocess_input
    expected = published(preprocess(pixels.copy()), training=False)
    assert_close(loaded(backbones.Preprocessing(architecture)(pixels), training=False), expected)


ROW = ARCHITECTURES[ARCHITECTURE]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (ROW, False),
        (ROW._replace(smallest=40, layers=87, file="other.h5", published="md5:0"), False),
        (ROW._replace(ends=r"conv_dw_\d+_relu"), True),
        (ROW._replace(stages={"stride2": 2, "stride4": 1, "stride8": 2, "stride16": 6, "stride32": 2}), True),
        (ROW._replace(stages=dict(reversed(ROW.stages.items()))), True),
        (ROW._replace(rescaled=True), True),
    ],
)
def test_an_edit_of_a_row_that_changes_what_runs_make_changes_the_file_that_they_depend_on(
    row: Architecture,
    told: bool,
    trained: tuple[keras.Model, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    save_pretrained(*trained)
    before = pathlib.Path("models/pretrained/small.json").read_bytes()
    monkeypatch.setitem(ARCHITECTURES, ARCHITECTURE, row)
    save_pretrained(*trained)
    assert (pathlib.Path("models/pretrained/small.json").read_bytes() != before) == told


def test_what_is_saved_can_be_loaded_and_describes_the_network_without_its_source(
    trained: tuple[keras.Model, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.chdir(tmp_path)
    save_pretrained(*trained)
    model = backbones.build(ARCHITECTURE, WIDTH, 64)
    model.load_weights("models/pretrained/small.weights.h5")
    assert np.array_equal(weights_of(model), weights_of(trained[0]))
    network = {"name": "small", "architecture": ARCHITECTURE, "width": WIDTH}
    assert read_json("models/pretrained/small.json") == {"backbone": network}


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ({"weights": "sample", "seed": 1}, "pretraining must be given with weights sample"),
        ({"weights": "random"}, "seed must be given with weights sample and random"),
        ({"weights": "random", "seed": 1, "pretraining": SHORT}, "pretraining must be given with weights sample"),
        ({"weights": "imagenet"}, "width must be 1.0 with weights imagenet"),
        ({"weights": "vgg"}, "must be imagenet, sample, random or the path of a .h5 file"),
    ],
)
def test_settings_that_do_not_belong_together_are_a_fault(entries: dict[str, Any], fault: str) -> None:
    _, faults = validate(Backbone, {"architecture": ARCHITECTURE, "width": WIDTH, **entries}, "place")
    assert len(faults) == 1 and fault in faults[0]


@pytest.mark.parametrize("architecture", EACH)
def test_a_network_is_described_block_by_block_up_to_its_last_layer(
    architecture: str, small_backbones: dict[str, keras.Model]
) -> None:
    model, row = small_backbones[architecture], ARCHITECTURES[architecture]
    described = describe_network(model, architecture)
    stages = [block["stage"] for block in described["blocks"]]
    assert stages[0] == "stem" and {stage: stages.count(stage) for stage in row.stages} == row.stages
    wholes = {"layers": row.layers, "parameters": model.count_params(), "flops": count_flops(model.operations)}
    for count, whole in wholes.items():
        counts = [block[count] for block in described["blocks"]]
        assert counts == sorted(counts) and counts[-1] == whole
    assert described["layers"] == row.layers and described["parameters"] == model.count_params()
