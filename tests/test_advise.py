"""`thaw advise`: what to unfreeze for a folder of photos."""

import pathlib
import re
import types
from typing import Any

import pytest

from small import write_photos
from thaw.base.errors import InputError
from thaw.cli import advise
from thaw.cli.advise import SIZES, TABLE, USUAL, Size, choose_size, estimate, make_document, name_workspace, say_advice
from thaw.comparison.results import Run
from thaw.config.checking import check
from thaw.config.loading import read_yaml

PARAMS = check(read_yaml(TABLE), TABLE.name)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that does 5e10 FLOPs of training in a second."""
    monkeypatch.setattr(advise, "measure_rate", lambda: 5e10)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_a_table_that_can_run(size: Size) -> None:
    params = check(make_document(pathlib.Path("/photos"), size), "advise.yaml")
    assert len(params.backbones) == len(params.frozen) == len(params.finetune) == size.backbones
    assert {run.epochs for run in params.finetune.values()} == {size.epochs}
    assert all(run.auto for run in params.finetune.values())
    assert params.image.size == size.pixels and params.dataset.path == "/photos"


def test_the_usual_size_is_the_table_as_its_file_has_it() -> None:
    document = read_yaml(TABLE)
    assert make_document(pathlib.Path("photos"), USUAL) == document


def test_a_larger_budget_buys_a_more_thorough_table(slow: None) -> None:
    sizes = [choose_size(500, minutes)[0] for minutes in (3, 6, 60)]
    assert [SIZES.index(size) for size in sizes] == sorted((SIZES.index(size) for size in sizes), reverse=True)
    assert len(set(sizes)) > 1 and sizes[-1] == SIZES[0]


def test_the_table_of_a_budget_is_estimated_to_fit(slow: None) -> None:
    for minutes in (4.0, 8.0, 30.0):
        size, seconds = choose_size(500, minutes)
        assert seconds == estimate(500, size, 5e10) <= 60 * minutes


def test_twice_the_photos_take_twice_the_arithmetic() -> None:
    fixed = estimate(0, USUAL, 5e10)
    assert estimate(2000, USUAL, 5e10) - fixed == pytest.approx(2 * (estimate(1000, USUAL, 5e10) - fixed), rel=1e-3)


def test_a_budget_that_nothing_fits_in_is_a_fault_that_says_what_does(slow: None) -> None:
    least = min(estimate(5000, size, 5e10) for size in SIZES) / 60
    with pytest.raises(InputError, match=rf"^advise: --budget: 5,000 photos take about {least:.1f} minutes .*got 1"):
        choose_size(5000, 1.0)


@pytest.mark.parametrize("budget", ["0", "-1", "soon", "nan", "inf", ""])
def test_a_budget_is_a_number_of_minutes(budget: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match=r"^advise: --budget: must be a number of minutes above 0 \(got "):
        advise.advise(str(tmp_path), budget)


def test_a_folder_without_classes_is_a_fault_before_anything_is_estimated(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advise, "measure_rate", lambda: pytest.fail("the machine was measured"))
    for photos in (str(tmp_path), str(tmp_path / "none"), "~nobody-of-that-name/photos"):
        with pytest.raises(InputError, match=rf"^advise: {re.escape(photos)}: must"):
            advise.advise(photos, None)


def test_each_folder_has_a_workspace_of_its_own() -> None:
    names = {name_workspace(pathlib.Path(path)) for path in ("/a/photos", "/b/photos", "/a/My Photos!", "/a/Füße", "/")}
    assert len(names) == 5
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)


@pytest.mark.parametrize(
    "kind, backbone, unfrozen, words",
    [
        ("baseline", None, "all (from scratch)", "None of the pretrained networks"),
        ("frozen", "mobilenet", "nothing (head only)", "Unfreeze nothing of MobileNet:"),
        ("finetuned", "mobilenet", "nothing (head only) (by a race)", "Unfreeze nothing of MobileNet:"),
        ("finetuned", "mobilenetv2", "last 4 blocks (by a race)", "Unfreeze the last 4 blocks of MobileNetV2,"),
        ("finetuned", "mobilenet", "all (by a race)", "Unfreeze the whole of MobileNet,"),
    ],
)
def test_the_advice_names_what_to_unfreeze_of_which_network(
    kind: Any, backbone: str | None, unfrozen: str, words: str
) -> None:
    assert say_advice(Run("run", kind, backbone, None, unfrozen, (1,)), PARAMS).startswith(words)


def test_the_folder_is_checked_and_the_table_run_on_it(
    slow: None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 24, 3)
    asked: list[Any] = []
    monkeypatch.setattr(advise, "WORKSPACES", tmp_path / "work")
    monkeypatch.setattr(advise, "make_workspace", lambda folder, document, *_: asked.append((folder, document)))
    monkeypatch.setattr(advise, "run_table", lambda folder, **_: asked.append(folder))
    monkeypatch.setattr(advise, "find_cache", lambda _: tmp_path / "cache")
    for name in ("load", "read_results", "read_evidence"):
        monkeypatch.setattr(advise, name, lambda *_: types.SimpleNamespace())
    monkeypatch.setattr(advise, "describe_advice", lambda *_: "the advice")
    monkeypatch.setenv("THAW_CALLED_FROM", str(tmp_path))  # where paths of the command line start
    advise.advise("photos", None)
    (folder, document), ran = asked
    assert folder == ran and folder.parent == tmp_path / "work"
    assert document["dataset"] == {"source": "folder", "path": str(tmp_path / "photos"), "digest": None}
    told = capsys.readouterr()
    assert "24 photos at 160 pixels, 2 backbones: about" in told.err and "the advice" in told.out
