"""A map of what a network looks at, laid over its photo."""

import numpy as np
import PIL.Image

from thaw.base.environment import load_matplotlib

COLOURS = "inferno"  # of Matplotlib: from black to yellow, evenly in brightness, for any colour vision
SHARE = 0.55  # of the colour in the picture


def lay_over(photo: PIL.Image.Image, heat: np.ndarray) -> PIL.Image.Image:
    """Return `photo` (RGB), in grey, under `heat` (h, w), in [0, 1]: dim where it is 0, bright and yellow where 1.

    The map covers all of the photo; its cells are smoothed over (bicubic).
    """
    load_matplotlib()
    import matplotlib

    cells = PIL.Image.fromarray(np.asarray(heat, np.float32))  # of mode F
    strength = np.asarray(cells.resize(photo.size, PIL.Image.Resampling.BICUBIC)).clip(0, 1)
    colours = 255 * matplotlib.colormaps[COLOURS](strength)[..., :3]
    grey = np.asarray(photo.convert("L").convert("RGB"), np.float32)
    return PIL.Image.fromarray(np.rint((1 - SHARE) * grey + SHARE * colours).astype(np.uint8))
