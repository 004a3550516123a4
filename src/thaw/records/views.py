"""Views of a photo for augmentation: crops, flips and changes of colour.

A fixed number of views, used in rotation over the epochs, lets the store keep what the frozen prefix makes of them.
Fresh views, one for each epoch, do not.

A view is an array (n, 4) or (n, 7) float32 with a row for each photo: a box, (y1, x1, y2, x2), shares of the sides in
[0, 1], where x1 > x2 mirrors; and, where colours change, the factors of brightness, contrast and saturation.
"""

from collections.abc import Sequence

import numpy as np

from thaw.base.quiet import tf
from thaw.records.sections import Augmentation

GREY = (0.299, 0.587, 0.114)  # of red, green and blue: luma of ITU-R BT.601


def draw_views(augmentation: Augmentation | None, epochs: int, seed: int, count: int) -> list[np.ndarray | None]:
    """Return the views of `count` photos that a phase of `epochs` takes in turn; None for the photos as they are.

    Fresh views are as many as the epochs and follow from `seed`, that of the training, too. A box is square in shares;
    its side is uniform in [crop, 1], its place uniform. The same arguments give the same views, whatever the order in
    which the photos are read.
    """
    if augmentation is None:
        return [None]
    own = augmentation.seed
    if augmentation.views == "fresh":
        return [_draw(augmentation, [own, seed, epoch], count) for epoch in range(epochs)]
    return [None, *(_draw(augmentation, [own, view], count) for view in range(1, augmentation.views))]


def _draw(augmentation: Augmentation, seed: Sequence[int], count: int) -> np.ndarray:
    """Return one view of `count` photos."""
    generator = np.random.default_rng(seed)
    side = generator.uniform(augmentation.crop, 1, count)
    top, left = generator.uniform(0, 1, (2, count)) * (1 - side)
    mirrored = generator.uniform(0, 1, count) < (0.5 if augmentation.flip else 0)
    right = left + side
    x1, x2 = np.where(mirrored, right, left), np.where(mirrored, left, right)
    columns = [top, x1, top + side, x2]
    if (colour := augmentation.colour) is not None:
        for share in (colour.brightness, colour.contrast, colour.saturation):
            columns.append(generator.uniform(1 - share, 1 + share, count))
    return np.stack(columns, axis=1).astype(np.float32)


def show(images: tf.Tensor, view: tf.Tensor) -> tf.Tensor:
    """Return what a view (b, 4 or 7) shows of the images (b, h, w, 3) float32 in [0, 255], of the same shape and range.

    Crops are resized bilinearly. Then each factor blends, as Pillow's ImageEnhance and Howard 2013, arXiv 1312.5402:
    with black (brightness), with the mean grey of the image (contrast), with the grey of each pixel (saturation).
    """
    shown = tf.image.crop_and_resize(images, view[:, :4], tf.range(tf.shape(images)[0]), tf.shape(images)[1:3])
    if view.shape[1] == 4:
        return shown
    brightness, contrast, saturation = (view[:, column, None, None, None] for column in (4, 5, 6))
    shown = tf.clip_by_value(shown * brightness, 0, 255)
    mean = tf.reduce_mean(_find_grey(shown), axis=(1, 2), keepdims=True)
    shown = tf.clip_by_value(mean + (shown - mean) * contrast, 0, 255)
    grey = _find_grey(shown)
    return tf.clip_by_value(grey + (shown - grey) * saturation, 0, 255)


def _find_grey(images: tf.Tensor) -> tf.Tensor:
    """Return the grey (b, h, w, 1) of images (b, h, w, 3)."""
    return tf.reduce_sum(images * tf.constant(GREY), axis=-1, keepdims=True)
