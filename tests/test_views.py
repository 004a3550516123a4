"""Views: fixed crops and flips of each photo."""

import numpy as np
import pytest

from thaw import views

COUNT = 2000


def draw(view, **changes):
    settings = {"views": 4, "flip": True, "crop": 0.6, "seed": 3, **changes}
    return views.draw_boxes(views.Augmentation.model_validate(settings), view, COUNT)


def test_the_first_view_is_the_photo_as_it_is():
    assert draw(0) is None


def test_the_same_settings_draw_the_same_boxes():
    np.testing.assert_array_equal(draw(1), draw(1))


@pytest.mark.parametrize("other", [{"view": 2}, {"view": 1, "seed": 4}])
def test_another_view_or_seed_draws_other_boxes(other):
    assert (draw(1) != draw(**other)).any(axis=1).all()


def test_photos_have_boxes_of_their_own():
    assert len(np.unique(draw(1), axis=0)) == COUNT


@pytest.mark.parametrize("crop", [0.1, 0.6, 1])
def test_a_box_lies_inside_the_photo(crop):
    boxes = draw(1, crop=crop)
    assert boxes.shape == (COUNT, 4) and boxes.dtype == np.float32
    assert boxes.min() >= 0 and boxes.max() <= 1


def test_a_box_is_square_and_its_side_from_the_least_share_to_all():
    """Sides are uniform in [0.6, 1]: 2000 of them reach both ends and have their mean near 0.8."""
    y1, x1, y2, x2 = draw(1, crop=0.6).T
    np.testing.assert_allclose(y2 - y1, abs(x2 - x1), atol=1e-6)
    assert 0.6 - 1e-6 <= (y2 - y1).min() < 0.61 and 0.99 < (y2 - y1).max() <= 1
    assert abs((y2 - y1).mean() - 0.8) < 0.02


def test_boxes_reach_all_four_borders():
    y1, x1, y2, x2 = draw(1, flip=False).T
    assert max(y1.min(), x1.min()) < 0.01 and min(y2.max(), x2.max()) > 0.99


def test_a_crop_of_one_keeps_the_whole_photo():
    np.testing.assert_array_equal(np.sort(draw(1, crop=1), axis=1), np.tile([0, 0, 1, 1], (COUNT, 1)))


def test_flipping_mirrors_about_half():
    _, x1, _, x2 = draw(1).T
    assert 0.45 < (x1 > x2).mean() < 0.55


def test_nothing_is_mirrored_without_flip():
    _, x1, _, x2 = draw(1, flip=False).T
    assert (x1 < x2).all()
