"""Photos in the report, each with its credit: a sample of every class, what two runs get wrong and right, and where
those look that are explained, and the photos whose labels may be wrong.

They stand in report.html alone, which git does not keep: photos belong to those who took them.
"""

import base64
import html
import io
import itertools
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from thaw.base import paths
from thaw.base.files import read_table
from thaw.base.names import PARTS
from thaw.comparison.labels import SUSPECTS
from thaw.comparison.pairs import Evidence
from thaw.comparison.results import Results, rank_runs, read_plot
from thaw.comparison.words import clean, escape
from thaw.explanation.overlays import lay_over
from thaw.pictures.decoding import read_picture
from thaw.reporting.explanations import read_maps
from thaw.reporting.names import read_names, say_name

SIZE, QUALITY = 160, 60  # pixels, the longer side of a thumbnail, and its JPEG quality: some 5 KB each


MOST_OF_CLASS, MOST_SAMPLED = 6, 60  # photos in the sample: of a class, and of all classes


MOST_GROUPS, MOST_OF_GROUP = 6, 6  # groups of near duplicates that are shown, and photos of each


MOST_WRONG, MOST_RIGHT, RIGHT_OF_CLASS = 24, 12, 2  # photos shown of a run; those it has right, also of a class


MOST_SUSPECTS = 24  # photos shown of those whose labels may be wrong


# Paragraphs of report.md; in report.html the photos stand in their place.
SAMPLE = "A sample of each class, with the credit of each photo, is in `report/report.html`: git keeps no photos."


ANSWERS = "These photos, with their credits, are in `report/report.html`: git keeps no photos."


ADDRESS = re.compile(r"https?://[^\s/]\S*", re.IGNORECASE)  # that the page links to; anything else is text


COMMONS = re.compile(r"https?://(?:www\.)?creativecommons\.org/licenses/(?P<kind>[a-z-]+)/(?P<version>[\d.]+)/?")


def describe_answers(evidence: Evidence) -> str:
    """Return the section on which photos the best run and a frozen one have wrong, in numbers."""
    part = evidence.results.part
    wrong: dict[str, set[str]] = {}
    for name in pick_runs(evidence):
        table = evidence.predictions[name]
        wrong[name] = set(table.index[(table["part"] == part) & ~table["right"]])
    photos = evidence.results.scores[evidence.best][part]["photos"]
    names = [escape(name) + evidence.results.marks[name] for name in wrong]
    numbers = [f"{len(found):,}" for found in wrong.values()]
    text = f"Of the {photos:,} photos of {part}, {names[0]} has {numbers[0]} wrong"
    if len(names) > 1:
        both = set.intersection(*wrong.values())
        text += f" and {names[1]} {numbers[1]}; wrong with both: {len(both):,}"
    return f"{text}.\n\n{ANSWERS}"


def pick_runs(evidence: Evidence) -> list[str]:
    """Return the runs whose answers are shown: the best on validation and, where there is one, a frozen run beside it.

    The frozen run is the one that the best goes on from, else the best of them; where that is the best run itself, it
    stands alone.
    """
    ranking = rank_runs(evidence.results)
    runs = {run.name: run for run in evidence.results.runs}
    start = runs[ranking[0]].start
    frozen = start if start in runs else next((name for name in ranking if runs[name].kind == "frozen"), None)
    return list(dict.fromkeys(name for name in (ranking[0], frozen) if name))


def show_photos(
    evidence: Evidence, folder: str | pathlib.Path = ".", suspects: pd.DataFrame | None = None
) -> dict[str, str]:
    """Return {paragraph of report.md: the HTML with the photos that takes its place}, from data/raw below `folder`.

    `suspects` are the labels that may be wrong, as `comparison.labels` has their table; None leaves their place alone.

    The same photos and answers are shown every time: of a class the first by id, of a run's answers the surest. Where
    there is no data/raw, as in a clone without the data, the HTML says so.
    """
    folder = pathlib.Path(folder)
    raw = folder / paths.RAW
    if not (raw / "manifest.csv").exists():
        return dict.fromkeys((SAMPLE, ANSWERS, SUSPECTS), "<p>No photos here: <code>data/raw</code> was missing.</p>\n")
    photos = read_plot(raw / "manifest.csv", dtype=str)
    photos = photos.merge(read_plot(folder / paths.CREDITS, dtype=str), how="left", on="file")
    names = read_names(folder)
    photos = photos.assign(name=[say_name(photo, names) for photo in photos["id"]])
    photos = photos[["class", "id", "file", "name", "author", "licence", "url"]].fillna("")
    shown = {
        SAMPLE: _show_sample(photos, raw) + _show_groups(photos, evidence.results, folder),
        ANSWERS: _show_answers(evidence, photos, folder),
    }
    return shown if suspects is None else {**shown, SUSPECTS: _show_suspects(suspects, photos, raw)}


def name_licence(licence: str) -> str:
    """Return the short name of a licence that is given by the address of its text, as far as it is a known one."""
    match = COMMONS.fullmatch(licence)
    return f"CC {match['kind'].upper()} {match['version']}" if match else licence


def shrink(path: pathlib.Path, heat: np.ndarray | None = None) -> bytes | None:
    """Return the photo at `path` as a JPEG file with sides of SIZE pixels at most, upright, or None if unreadable.

    With `heat` (h, w), in [0, 1], it lies under this map.
    """
    try:
        photo = read_picture(path, least=2 * SIZE).image
    except OSError:
        return None
    photo.thumbnail((SIZE, SIZE))
    if heat is not None:
        photo = lay_over(photo, heat)
    stream = io.BytesIO()
    photo.save(stream, "JPEG", quality=QUALITY, optimize=True, comment=b"")
    return stream.getvalue()


def _show_sample(photos: pd.DataFrame, raw: pathlib.Path) -> str:
    classes = sorted(set(photos["class"]))
    number = max(1, min(MOST_OF_CLASS, MOST_SAMPLED // len(classes)))
    cards: list[str] = []
    for name in classes[:MOST_SAMPLED]:
        of_class = photos[photos["class"] == name].sort_values("id")
        drawn = (_draw_card(photo, raw, f"<b>{_show(name)}</b>", name) for photo in of_class.itertuples())
        cards += itertools.islice(filter(None, drawn), number)
    rest = len(classes) - MOST_SAMPLED
    more = f"<p>Classes without a photo here: {rest:,} of {len(classes):,}.</p>\n" if rest > 0 else ""
    return _arrange(cards) + more


def _show_groups(photos: pd.DataFrame, results: Results, folder: pathlib.Path) -> str:
    """Return the largest groups of near duplicates, or of what stays together with them, as data/split.csv below
    `folder` has them, or "" without any.
    """
    kind = "Kept together" if "groups" in results.split else "Near duplicates"
    if not (folder / paths.SPLIT).exists():
        return ""
    table = read_table(folder / paths.SPLIT).merge(photos, on=["class", "id", "file"])
    sizes, text = table["group"].value_counts(), ""
    for group in sorted(sizes[sizes > 1].index, key=lambda group: (-sizes[group], group))[:MOST_GROUPS]:
        members = table[table["group"] == group].sort_values("id")
        names = zip(members.itertuples(), members["class"], strict=True)
        drawn = (_draw_card(photo, folder / paths.RAW, f"<b>{_show(name)}</b>", name) for photo, name in names)
        cards = list(itertools.islice(filter(None, drawn), MOST_OF_GROUP))
        shown = f", {len(cards)} of them here" if len(cards) < len(members) else ""
        parts = " and ".join(part for part in PARTS if part in set(members["part"]))
        text += f"<h3>{kind}, {len(members):,} photos in {parts}{shown}</h3>\n"
        text += _arrange(cards)
    return text


def _show_answers(evidence: Evidence, photos: pd.DataFrame, folder: pathlib.Path) -> str:
    found = dict(zip(zip(photos["class"], photos["id"], strict=True), photos.itertuples(), strict=True))
    text = ""
    raw = folder / paths.RAW
    for name in pick_runs(evidence):
        table, maps = evidence.predictions[name], {}
        if name in evidence.results.explained:
            maps = read_maps(name, folder)
        table = table[table["part"] == evidence.results.part].rename_axis("id").reset_index()
        table = table.sort_values(["confidence", "id"], ascending=[False, True])
        wrong, right = table[~table["right"]], table[table["right"]]
        shown = wrong.head(MOST_WRONG)
        chosen = right[right.groupby("actual").cumcount() < RIGHT_OF_CLASS].head(MOST_RIGHT)
        chosen = chosen.sort_values("actual", kind="stable")
        title = _show(name) + evidence.results.marks[name]
        count = f"{len(shown)} of {len(wrong):,}" if len(shown) < len(wrong) else f"{len(wrong):,}"
        text += f"<h3>{title}: {count} wrong, the surest first</h3>\n"
        text += _arrange([_draw_answer(row, found, raw, maps) for row in shown.itertuples()])
        text += f"<h3>{title}: right, the surest of each class</h3>\n"
        text += _arrange([_draw_answer(row, found, raw, maps) for row in chosen.itertuples()])
    return text


def _draw_answer(row: Any, found: dict[tuple[str, str], Any], raw: pathlib.Path, maps: Mapping[str, np.ndarray]) -> str:
    """Return the card of one answer, and the same photo under its map; `found` has the photos by (class, id).

    `maps` has the maps by id; without one there is the photo alone.
    """
    actual, predicted = _show(row.actual), _show(row.predicted)
    caption = f"<b>{actual}</b>, predicted <b>{predicted}</b> ({100 * row.confidence:.1f} %)"
    photo, words = found[row.actual, row.id], f"{row.actual}, predicted {row.predicted}"
    text = _draw_card(photo, raw, caption, words)
    if text and row.id in maps:
        text += _draw_card(photo, raw, f"what speaks for <b>{predicted}</b>", f"{words}: map", maps[row.id])
    return text


def _show_suspects(suspects: pd.DataFrame, photos: pd.DataFrame, raw: pathlib.Path) -> str:
    """Return the first photos of those whose labels may be wrong."""
    found = dict(zip(zip(photos["class"], photos["id"], strict=True), photos.itertuples(), strict=True))
    cards = []
    for rank, number, given, suggested, confidence in suspects.head(MOST_SUSPECTS).itertuples(index=False):
        if (given, number) in found:
            caption = f"{rank}. <b>{_show(given)}</b> ({100 * confidence:.1f} %), <b>{_show(suggested)}</b>?"
            cards.append(_draw_card(found[given, number], raw, caption, f"{given}, perhaps {suggested}"))
    title = f"<h3>{len(cards)} of {len(suspects):,}, the least likely label first</h3>\n" if cards else ""
    return title + _arrange(cards)


def _draw_card(photo: Any, raw: pathlib.Path, caption: str, words: str, heat: np.ndarray | None = None) -> str:
    """Return the HTML of a photo with its caption (HTML), its name and its credit, or "" where it cannot be read.

    `words` say what is to be seen, for those who cannot. With `heat` it lies under this map.
    """
    content = shrink(raw / photo.file, heat)
    if content is None:
        return ""
    source = f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
    return (
        f'<figure><img src="{source}" alt="photo: {_show(words)}">'
        f"<figcaption>{caption}<small>{_name(photo)}{_credit(photo)}</small></figcaption></figure>\n"
    )


def _name(photo: Any) -> str:
    """Return as HTML what a photo was called, in a line of its own, or nothing."""
    return f"{_show(photo.name)}<br>" if photo.name else ""


def _credit(photo: Any) -> str:
    """Return as HTML who made a photo and under which licence, linked to where it and the licence's text are."""
    parts = [_link(photo.author or photo.url, photo.url), _link(name_licence(photo.licence), photo.licence)]
    return ", ".join(part for part in parts if part) or "author not known"


def _link(text: str, address: str) -> str:
    """Return `text` escaped, as a link where `address` is one on the web: lists of credits may hold anything."""
    text, address = _show(text), clean(address)
    return f'<a href="{html.escape(address)}">{text}</a>' if ADDRESS.fullmatch(address) and text else text


def _show(text: str) -> str:
    """Return `text`, which is data, as HTML."""
    return html.escape(clean(text))


def _arrange(cards: Sequence[str]) -> str:
    return f'<div class="photos">\n{"".join(cards)}</div>\n' if any(cards) else "<p>None.</p>\n"
