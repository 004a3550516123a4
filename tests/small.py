"""Small networks with the real topologies, and small photos, for the tests."""

import numpy as np
import pandas as pd
import PIL.Image

from thaw import networks

SIZE = 72  # pixels: the smallest that every backbone takes
WIDTH = 0.125


def plain_head():
    """A head without hidden layers."""
    return networks.Head(dense=[], dropout=0.0, batch_norm=False)


def scatter(model):
    """Give every weight of `model` a random value, variances a positive one: fresh statistics are 0 and 1 and hide faults."""
    generator = np.random.default_rng(5)
    for weight in model.weights:
        spread = generator.normal(0, 0.2, weight.shape)
        weight.assign(1 + abs(spread) if "variance" in weight.path else weight.numpy() + spread)


def write_photos(folder, count, classes):
    """Draw `count` photos, coloured by class, below `folder`; return their rows as data/split.csv has them."""
    generator = np.random.default_rng(3)
    rows = []
    for i in range(count):
        label = i % classes
        pixels = generator.integers(0, 120, (80, 90, 3), dtype=np.uint8)
        pixels[..., label % 3] += 120
        path = folder / f"class{label}" / f"{i:016x}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(path)
        part = ("train", "train", "validation", "test")[i // classes % 4]
        rows.append((path.stem, path.parent.name, label, f"{path.parent.name}/{path.name}", part))
    return pd.DataFrame(rows, columns=["id", "class", "label", "file", "part"])
