"""Pages of docs/ on the kept results of a preset: their figures, tables and numbers are computed, never typed in."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from thaw.base.files import write_text
from thaw.comparison.pairs import Evidence, read_evidence
from thaw.comparison.results import read_results
from thaw.config.checking import Params, check
from thaw.config.presets import ROOT, read_preset
from thaw.reporting.figures import Drawing
from thaw.reporting.publication import write_drawings


class Page(NamedTuple):
    """A page on the kept results of a preset."""

    preset: str
    read: Callable[[Params, pathlib.Path], Any]  # (parameters, folder of the kept results) -> what the page tells of
    list_drawings: Callable[[Any], list[Drawing]]  # of what was read
    render: Callable[[Any, Sequence[Drawing]], str]  # the page in Markdown, of what was read and of the drawings


def write_page(page: Page, root: pathlib.Path = ROOT) -> None:
    """Write docs/PRESET.md and the figures of docs/PRESET/ below `root`, from `root`/presets/PRESET.

    The same results give the same bytes. Raises InputError where a stage has not run.
    """
    kept = root / "presets" / page.preset
    read = page.read(check(read_preset(page.preset, root), f"presets/{page.preset}.yaml"), kept)
    drawings = page.list_drawings(read)
    write_drawings(drawings, root / "docs" / page.preset)
    write_text(root / "docs" / f"{page.preset}.md", page.render(read, drawings))


def read_table(params: Params, kept: pathlib.Path) -> Evidence:
    """Return the Evidence on the runs of `params`, whose results lie below `kept`."""
    return read_evidence(read_results(params, kept), kept)


def show(preset: str, drawing: Drawing) -> str:
    """Return the line of Markdown that shows a Drawing of the preset's page."""
    return f"![{drawing.words}]({preset}/{drawing.name}.svg)"
