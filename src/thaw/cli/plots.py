"""The page of `dvc plots show` and `dvc plots diff`: whole in one file, so that it needs no network.

    ./run python -m thaw.cli.plots DVC-ARGUMENTS

DVC's own page loads Vega from the web. It also has a place for each file that dvc.yaml lists under `plots`, and most of
these are documents without rows, which Vega gets as an empty specification: no place is left for them here.
"""

import hashlib
import importlib.metadata
import pathlib
import sys
from collections.abc import Sequence

from thaw.base.errors import InputError, run_program
from thaw.base.files import write_text
from thaw.config.presets import ROOT

FOLDER = ROOT / ".thaw"  # where it is kept: it takes seconds to make
TEMPLATE = pathlib.Path(__file__).with_suffix(".html")
# What DVC calls for each plot, with its place and its specification.
DRAW = """window.vegaEmbed = (place, plot) =>
    Object.keys(plot).length ? vegaEmbed(place, plot) : document.querySelector(place).remove();"""


def find_page(arguments: Sequence[str], folder: pathlib.Path | str = ".") -> pathlib.Path | None:
    """Return the page that the dvc command `arguments` should fill, made where it is not there yet.

    None where the command draws no plots, or the user has named a page: on the command line, or in the settings of DVC
    for the project at `folder`. Raises InputError where these cannot be read.
    """
    words = [word for word in arguments if not word.startswith("-")]
    if words[:1] != ["plots"] or not {"show", "diff"} & set(words[1:2]):
        return None
    if any(word.startswith("--html") for word in arguments) or _has_page(pathlib.Path(folder)):
        return None
    made_of = importlib.metadata.version("vl-convert-python"), DRAW, TEMPLATE.read_text(encoding="utf-8")
    page = FOLDER / f"plots-{hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]}.html"
    if not page.is_file():
        write_text(page, make_page())
    return page


def make_page() -> str:
    """Return the page, with the places that DVC fills and the programs that draw: Vega, Vega-Lite and Vega-Embed."""
    import vl_convert

    return TEMPLATE.read_text(encoding="utf-8").replace("BUNDLE", vl_convert.javascript_bundle(DRAW))


def _has_page(folder: pathlib.Path) -> bool:
    from dvc.config import Config, ConfigError

    try:
        return bool(Config(str(folder / ".dvc"))["plots"].get("html_template"))
    except ConfigError as error:
        raise InputError(f"{folder / '.dvc' / 'config'}: {' '.join(str(error).split())}") from None


def main() -> None:
    """Print the path of the page for the dvc command of the command line, or nothing."""
    page = find_page(sys.argv[1:])
    if page is not None:
        print(page)


if __name__ == "__main__":
    run_program(main)
