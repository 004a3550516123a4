"""Figures of Matplotlib as parts of a web page: what they share stands there once, and their colours are the page's."""

import re

from thaw.reporting.plotting.style import BAND, FAINT, INK, PALE, PART_COLOURS

# Colours of a figure -> the variables of page.css that stand for them, light and dark.
COLOURS = {"#ffffff": "paper", "#000000": "ink", INK: "ink", FAINT: "faint", PALE: "pale", BAND: "band"}
COLOURS[PART_COLOURS["validation"]] = "validation"

DEFINITION = re.compile(r'<(path|clipPath)\b(?=[^>]*\bid="([^"]+)")[^>]*?(?:/>|>.*?</\1>)')


class Sheet:
    """Takes figures into one page."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}  # definition, without its id -> its id in the page
        self.figures = 0

    def embed(self, svg: str, caption: str) -> str:
        """Return an SVG document of Matplotlib as an element of the page; `caption` is the id of what says it in words.

        Comments, metadata and line breaks go, and digits behind a hundredth of a point; numbers below one are scales
        and stay. Letters, markers and clips are left to `define`.
        """
        self.figures += 1
        svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style\b.*?</style>", "", svg, flags=re.DOTALL)
        svg = re.sub(r"\s+", " ", svg).replace("> <", "><").strip()
        svg = re.sub(r'="[^"]*"', _shorten, svg)  # no quote stands outside of tags
        ids: dict[str, str] = {}
        for definition in DEFINITION.finditer("".join(re.findall(r"<defs>(.*?)</defs>", svg))):
            content = definition[0].replace(f' id="{definition[2]}"', "", 1)
            ids[definition[2]] = self._ids.setdefault(content, f"_{len(self._ids) + 1}")
        svg = re.sub(r"<defs>.*?</defs>|<defs/>", "", svg)
        svg = re.sub(r'="(url\()?#([^")]+)\)?"', lambda found: _refer(found, ids), svg.replace("xlink:href=", "href="))
        svg = re.sub(r'(<(?:g|image)\b[^>]*?) id="[^"]*"', r"\1", svg)
        root = re.search(r'<svg\b[^>]*?\bviewBox="([^"]*)"[^>]*>', svg)
        assert root  # Matplotlib writes it
        return f'<svg role="img" aria-labelledby="{caption}" viewBox="{root[1]}">{svg[root.end() :]}'

    def define(self) -> str:
        """Return the element that holds what the figures refer to."""
        body = "".join(re.sub(r"^<\w+", rf'\g<0> id="{name}"', content) for content, name in self._ids.items())
        return f'<svg class="shared" aria-hidden="true" width="0" height="0"><defs>{body}</defs></svg>' if body else ""


def measure_width(svg: str) -> float:
    """Return the width of an SVG document of Matplotlib, in points."""
    width = re.search(r'<svg [^>]*\bwidth="([\d.]+)', svg)
    assert width  # Matplotlib writes it
    return float(width[1])


def _shorten(attribute: re.Match[str]) -> str:
    """Return an attribute with fewer digits, its colours by the names that the page has for them."""
    text = re.sub(r"(?<![\d.])([1-9]\d*\.\d\d)\d+", r"\1", attribute[0])
    return re.sub(r"(?<=: )#[0-9a-f]{6}\b", lambda colour: _name_colour(colour[0]), text)


def _name_colour(colour: str) -> str:
    return f"var(--{COLOURS[colour]})" if colour in COLOURS else colour


def _refer(found: re.Match[str], ids: dict[str, str]) -> str:
    """Return an attribute that refers to an id of the figure, as it does in the page."""
    name = f"#{ids.get(found[2], found[2])}"
    return f'="url({name})"' if found[1] else f'="{name}"'
