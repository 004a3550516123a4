"""Eight pictures of two classes in two splits, given to TFDS as encoded files. The last one has no label."""

import io
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds
from PIL import Image

# split -> (class or None, the grey level of the whole picture); None stands for TFDS's -1.
EXAMPLES = {
    "train": [("rose", 10), ("rose", 20), ("tulip", 30), ("tulip", 40), ("tulip", 50)],
    "test": [("rose", 60), ("tulip", 70), (None, 80)],
}


def encode(level: Any) -> Any:
    """Return a JPEG file of 12 by 8 pixels of one grey level; the quality leaves a mark that no re-encoding keeps."""
    stream = io.BytesIO()
    Image.new("RGB", (12, 8), (level, level, level)).save(stream, "JPEG", quality=37, comment=f"level {level}")
    return stream.getvalue()


class Builder(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        features = {
            "image": tfds.features.Image(),
            "label": tfds.features.ClassLabel(names=["tulip", "rose"]),
            "image/filename": tfds.features.Text(),
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {split: self._generate_examples(split) for split in EXAMPLES}

    def _generate_examples(self, split: Any) -> Iterator[Any]:
        for label, level in EXAMPLES[split]:
            example = {"image": io.BytesIO(encode(level)), "label": label or -1, "image/filename": f"{level}.jpg"}
            yield level, example
