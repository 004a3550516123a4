"""A map of photos in the plane: those that a network finds alike lie near each other.

Source: L. van der Maaten, G. Hinton: Visualizing Data using t-SNE. Journal of Machine Learning Research 9, 2008. What
the map keeps is which photos are near neighbours; distances between groups, their sizes and their order mean nothing.
"""

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

MOST_EXACT = 2000  # photos: above, forces are approximated (Barnes-Hut), or it would take minutes
DIGITS = 2  # of the coordinates, which span some ten to a hundred units


def embed(features: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """Return (n, 2) float64, a place in the plane for each photo, rounded: the same features give the same places.

    `features` (n, c) are finite. The perplexity is at most a third of the other photos.
    """
    count = len(features)
    if count < 3 or np.ptp(features, axis=0).max() == 0:  # nothing to arrange: the first axis of a PCA is undefined
        return np.zeros((count, 2))
    tsne = TSNE(
        perplexity=max(1.0, min(perplexity, (count - 1) / 3)),
        init="pca" if features.shape[1] > 1 else "random",
        method="exact" if count <= MOST_EXACT else "barnes_hut",
        random_state=seed,
    )
    with threadpool_limits(1):  # sums in another order, by the cores of a machine, would move every place
        found = tsne.fit_transform(features.astype(np.float64))
    return np.round(found.astype(np.float64), DIGITS) + 0.0  # no minus before a zero
