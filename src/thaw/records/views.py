"""Views of a photo for augmentation: K fixed crops and flips of each, used in rotation over the epochs.

A fixed number of views, instead of a new one each epoch, lets the store keep what the frozen prefix makes of them.
"""

import numpy as np

from thaw.base.quiet import tf
from thaw.records.sections import Augmentation


def draw_boxes(augmentation: Augmentation | None, view: int, count: int) -> np.ndarray | None:
    """Return the boxes (`count`, 4) of photos in view number `view`, or None for view 0, the photos as they are.

    A box is (y1, x1, y2, x2), float32 shares of the sides in [0, 1]; x1 > x2 mirrors. Square in shares, its side is
    uniform in [crop, 1], its place uniform. The same arguments give the same boxes.
    """
    if augmentation is None or view == 0:
        return None
    generator = np.random.default_rng([augmentation.seed, view])
    side = generator.uniform(augmentation.crop, 1, count)
    top, left = generator.uniform(0, 1, (2, count)) * (1 - side)
    mirrored = generator.uniform(0, 1, count) < (0.5 if augmentation.flip else 0)
    right = left + side
    x1, x2 = np.where(mirrored, right, left), np.where(mirrored, left, right)
    return np.stack([top, x1, top + side, x2], axis=1).astype(np.float32)


def cut_out(images: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Return what the boxes (b, 4) show of the images (b, h, w, 3) float32, resized bilinearly to the same shape."""
    return tf.image.crop_and_resize(images, boxes, tf.range(tf.shape(images)[0]), tf.shape(images)[1:3])
