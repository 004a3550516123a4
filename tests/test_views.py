"""Views: fixed crops and flips of each photo."""

import numpy as np
import pytest

from thaw.records import views
from thaw.records.sections import Augmentation

COUNT = 2000


def make_augmentation(**changes: object) -> Augmentation:
    return Augmentation.model_validate({"views": 4, "flip": True, "crop": 0.6, "seed": 3, **changes})


def draw(view: int, **changes: object) -> np.ndarray:
    """Return the boxes of a view that is not the first."""
    boxes = views.draw_boxes(make_augmentation(**changes), view, COUNT)
    assert boxes is not None
    return boxes


def test_the_first_view_is_the_photo_as_it_is() -> None:
    assert views.draw_boxes(make_augmentation(), 0, COUNT) is None


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
