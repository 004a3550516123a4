"""Pages of docs/ on the kept results of a preset: their figures, tables and numbers are computed, never typed in."""

import pathlib
from collections.abc import Callable, Sequence

from thaw.base.files import write_text
from thaw.comparison.pairs import Evidence, read_evidence
from thaw.comparison.results import read_results
from thaw.config.checking import check
from thaw.config.presets import ROOT, read_preset
from thaw.reporting.figures import Drawing
from thaw.reporting.publication import write_drawings


def write_page(
    preset: str,
    list_drawings: Callable[[Evidence], list[Drawing]],
    render_page: Callable[[Evidence, Sequence[Drawing]], str],
    root: pathlib.Path = ROOT,
) -> None:
    """Write docs/`preset`.md and the figures of docs/`preset`/ below `root`, from `root`/presets/`preset`.

    `list_drawings` makes the Drawings of the Evidence on the preset's runs, and `render_page` the page in Markdown of
    both. The same results give the same bytes. Raises InputError where a stage has not run.
    """
    kept = root / "presets" / preset
    params = check(read_preset(preset, root), f"presets/{preset}.yaml")
    evidence = read_evidence(read_results(params, kept), kept)
    drawings = list_drawings(evidence)
    write_drawings(drawings, root / "docs" / preset)
    write_text(root / "docs" / f"{preset}.md", render_page(evidence, drawings))


def show(preset: str, drawing: Drawing) -> str:
    """Return the line of Markdown that shows a Drawing of the preset's page."""
    return f"![{drawing.words}]({preset}/{drawing.name}.svg)"
