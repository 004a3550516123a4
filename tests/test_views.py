"""Views: crops, flips and changes of colour of each photo."""

import itertools

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import pytest

from thaw.records import views
from thaw.records.sections import Augmentation

COUNT = 2000
COLOUR = {"brightness": 0.3, "contrast": 0.4, "saturation": 0.5}


def make_augmentation(**changes: object) -> Augmentation:
    return Augmentation.model_validate({"views": 4, "flip": True, "crop": 0.6, "seed": 3, **changes})


def draw(view: int, training: int = 1, **changes: object) -> np.ndarray:
    """Return a view that is not the first of a number, for a training of three epochs with the seed `training`."""
    found = views.draw_views(make_augmentation(**changes), 3, training, COUNT)[view]
    assert found is not None
    return found


def test_the_first_of_a_number_of_views_is_the_photo_as_it_is() -> None:
    first, *others = views.draw_views(make_augmentation(), 3, 1, COUNT)
    assert first is None and len(others) == 3


def test_a_number_of_views_is_the_same_for_every_seed_of_training() -> None:
    """What is stored of them serves all."""
    np.testing.assert_array_equal(draw(1, training=1), draw(1, training=2))


def test_fresh_views_are_one_for_each_epoch_none_of_them_the_photo_as_it_is() -> None:
    found = views.draw_views(make_augmentation(views="fresh"), 3, 1, COUNT)
    assert len(found) == 3
    for one, other in itertools.combinations(found, 2):
        assert one is not None and other is not None and (one != other).any(axis=1).all()


@pytest.mark.parametrize("other", [{"training": 2}, {"seed": 4}])
def test_fresh_views_follow_from_both_seeds(other: dict[str, int]) -> None:
    np.testing.assert_array_equal(draw(0, views="fresh"), draw(0, views="fresh"))
    assert (draw(0, views="fresh") != draw(0, views="fresh", **other)).any(axis=1).all()


def test_fresh_views_do_not_depend_on_how_many_epochs_there_are() -> None:
    long = views.draw_views(make_augmentation(views="fresh"), 9, 1, COUNT)
    np.testing.assert_array_equal(long[:3], views.draw_views(make_augmentation(views="fresh"), 3, 1, COUNT))


def test_a_change_of_colour_leaves_the_boxes_as_they_are() -> None:
    np.testing.assert_array_equal(draw(1, colour=COLOUR)[:, :4], draw(1))


def test_factors_of_colour_lie_around_one_as_far_as_is_asked() -> None:
    factors = draw(1, colour=COLOUR)[:, 4:]
    assert factors.shape == (COUNT, 3)
    for drawn, share in zip(factors.T, COLOUR.values(), strict=True):
        assert 1 - share <= drawn.min() < 1 - share + 0.01 and 1 + share - 0.01 < drawn.max() <= 1 + share


def show(factors: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return (a photo of noise, the same with these factors of colour), (16, 16, 3) each."""
    photo = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    view = np.array([[0, 0, 1, 1, *factors]], np.float32)
    return photo, views.show(photo[None].astype(np.float32), view)[0].numpy()


ENHANCERS = {
    "brightness": PIL.ImageEnhance.Brightness,
    "contrast": PIL.ImageEnhance.Contrast,
    "saturation": PIL.ImageEnhance.Color,
}


@pytest.mark.parametrize("factor", [0.5, 1.4])
@pytest.mark.parametrize("name", ENHANCERS)
def test_each_change_of_colour_is_that_of_pillow_up_to_its_rounding(name: str, factor: float) -> None:
    photo, shown = show(tuple(factor if name == other else 1.0 for other in ENHANCERS))
    expected = np.asarray(ENHANCERS[name](PIL.Image.fromarray(photo)).enhance(factor), np.float32)
    assert abs(shown - photo).mean() > 5
    np.testing.assert_allclose(shown, expected, atol=2)


def test_factors_of_one_keep_the_colours() -> None:
    photo, shown = show((1, 1, 1))
    np.testing.assert_allclose(shown, photo, atol=1e-4)


def test_the_same_settings_draw_the_same_boxes() -> None:
    np.testing.assert_array_equal(draw(1), draw(1))


@pytest.mark.parametrize("other", [{"view": 2}, {"view": 1, "seed": 4}])
def test_another_view_or_seed_draws_other_boxes(other: dict[str, int]) -> None:
    assert (draw(1) != draw(**other)).any(axis=1).all()


def test_photos_have_boxes_of_their_own() -> None:
    assert len(np.unique(draw(1), axis=0)) == COUNT


@pytest.mark.parametrize("crop", [0.1, 0.6, 1])
def test_a_box_lies_inside_the_photo(crop: float) -> None:
    boxes = draw(1, crop=crop)
    assert boxes.shape == (COUNT, 4) and boxes.dtype == np.float32
    assert boxes.min() >= 0 and boxes.max() <= 1


def test_a_box_is_square_and_its_side_from_the_least_share_to_all() -> None:
    """Sides are uniform in [0.6, 1]: 2000 of them reach both ends and have their mean near 0.8."""
    y1, x1, y2, x2 = draw(1, crop=0.6).T
    np.testing.assert_allclose(y2 - y1, abs(x2 - x1), atol=1e-6)
    assert 0.6 - 1e-6 <= (y2 - y1).min() < 0.61 and 0.99 < (y2 - y1).max() <= 1
    assert abs((y2 - y1).mean() - 0.8) < 0.02


def test_boxes_reach_all_four_borders() -> None:
    y1, x1, y2, x2 = draw(1, flip=False).T
    assert max(y1.min(), x1.min()) < 0.01 and min(y2.max(), x2.max()) > 0.99


def test_a_crop_of_one_keeps_the_whole_photo() -> None:
    np.testing.assert_array_equal(np.sort(draw(1, crop=1), axis=1), np.tile([0, 0, 1, 1], (COUNT, 1)))


def test_flipping_mirrors_about_half() -> None:
    _, x1, _, x2 = draw(1).T
    assert 0.45 < (x1 > x2).mean() < 0.55


def test_nothing_is_mirrored_without_flip() -> None:
    _, x1, _, x2 = draw(1, flip=False).T
    assert (x1 < x2).all()
