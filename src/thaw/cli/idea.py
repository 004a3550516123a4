"""docs/idea.svg: prefix, cut and tail of one run, each block as wide as its share of the FLOPs of a forward pass.

    ./run python -m thaw.cli.idea

The drawing stands in idea.svg.j2; its numbers are those of metrics/weights/ and metrics/train/. It brings its own
background, light or dark as the browser asks, so it is legible on any page.
"""

import pathlib
from typing import NamedTuple

from thaw.base import paths
from thaw.base.errors import run_program
from thaw.base.files import read_json, write_text
from thaw.config.presets import ROOT
from thaw.reporting.templates import render

BACKBONE, RUN = "mobilenet", "mobilenet-blocks-4"
FILE = "docs/idea.svg"

LEFT, WIDTH = 78, 520  # of the blocks, in units of the drawing
STEM = 1  # blocks that have no number: what comes before block 1


class Box(NamedTuple):
    """A block in the drawing."""

    left: float
    width: float
    label: str  # its number from the input on; empty for the stem
    frozen: bool


def list_boxes(flops: list[int], prefix: int) -> list[Box]:
    """Return the Box of each block; `flops` count up to the end of each block, `prefix` up to the cut."""
    ends = [LEFT + WIDTH * end / flops[-1] for end in flops]
    starts = [LEFT, *ends[:-1]]
    return [
        Box(start, end - start, str(number - STEM + 1) if number >= STEM else "", reached <= prefix)
        for number, (start, end, reached) in enumerate(zip(starts, ends, flops, strict=True))
    ]


def render_idea(root: pathlib.Path = ROOT) -> str:
    """Return the SVG of the run in the results below `root`; raises FileNotFoundError where it has none."""
    blocks = read_json(root / paths.find_weights_metrics(BACKBONE))["weights"][BACKBONE]["blocks"]
    counts = read_json(root / paths.find_training(RUN))[RUN]["flops"]
    boxes = list_boxes([block["flops"] for block in blocks], counts["prefix"])
    share = counts["prefix"] / counts["forward"]
    return render(
        pathlib.Path(__file__).with_name("idea.svg.j2"),
        boxes=boxes,
        stem=STEM,
        cut=next(box.left for box in boxes if not box.frozen),
        left=LEFT,
        right=LEFT + WIDTH,
        opened=sum(not box.frozen for box in boxes),
        prefix=f"{100 * share:.0f}",
        tail=f"{100 * (1 - share):.0f}",
    )


if __name__ == "__main__":
    run_program(lambda: write_text(pathlib.Path(FILE), render_idea(pathlib.Path.cwd())))
