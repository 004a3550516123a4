"""Views of a photo for augmentation: K fixed crops and flips of each, used in rotation over the epochs.

A fixed number of views, instead of a new one each epoch, lets the store keep what the frozen prefix makes of them.
"""

from typing import Annotated

import numpy as np
import pydantic
import tensorflow as tf

from thaw.params import Section, Seed


class Augmentation(Section):
    """Key `augmentation` of a run: how many views each training photo has, and how they differ."""

    views: Annotated[int, pydantic.Field(ge=2, le=64)]  # the first is the photo as it is
    flip: bool  # mirror every view but the first left to right with probability 1/2
    crop: Annotated[float, pydantic.Field(gt=0, le=1)]  # the least share of a side that a crop keeps; 1 crops nothing
    seed: Seed


def draw_boxes(augmentation, view, count):
    """Return the boxes of `count` photos in view number `view`, or None for view 0, the photos as they are.

    A box is (y1, x1, y2, x2), float32 shares of the sides in [0, 1]; x1 > x2 mirrors. Square in shares, its side is
    uniform in [crop, 1], its place uniform. The same arguments give the same boxes.
    """
    if view == 0:
        return None
    generator = np.random.default_rng([augmentation.seed, view])
    side = generator.uniform(augmentation.crop, 1, count)
    top, left = generator.uniform(0, 1, (2, count)) * (1 - side)
    mirrored = generator.uniform(0, 1, count) < (0.5 if augmentation.flip else 0)
    right = left + side
    x1, x2 = np.where(mirrored, right, left), np.where(mirrored, left, right)
    return np.stack([top, x1, top + side, x2], axis=1).astype(np.float32)


def cut_out(images, boxes):
    """Return what the boxes (b, 4) show of the images (b, h, w, 3) float32, resized bilinearly to the same shape."""
    return tf.image.crop_and_resize(images, boxes, tf.range(tf.shape(images)[0]), tf.shape(images)[1:3])
