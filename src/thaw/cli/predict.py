"""./run thaw predict: what a run of the table, or an export, says of photos."""

import csv
import io
import itertools
import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TextIO

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.progress import say, track
from thaw.cli.explaining import Sheet, check_sheet
from thaw.cli.options import CALLED_FROM, read_number
from thaw.photos.places import show_name
from thaw.prediction.listing import list_files, read_lines
from thaw.prediction.models import Predictor, check_run, load_export, load_run
from thaw.prediction.predicting import BATCH, Guess, predict, rank
from thaw.prediction.starting import leave_out_unused

if TYPE_CHECKING:
    from thaw.config.checking import Params

STREAM = "-"  # in place of a path: standard input has them
COLUMNS = ("file", "class", "probability")
MOST = 4096  # photos that are scored at once

Write = Callable[[str, list[Guess]], None]  # is called with the path of a photo, and its likeliest classes


class Asked(NamedTuple):
    """The options of the command line, as they were typed; None for those that were not."""

    run: str | None
    model: str | None
    top: str | None
    batch: str | None
    json: bool
    csv: bool
    explain: str | None = None


def print_predictions(photos: Sequence[str], asked: Asked) -> bool:
    """Print what the network says of `photos` (paths, folders, STREAM); return whether all of them could be read.

    Those that cannot be read are named on stderr. Raises InputError, before TensorFlow is loaded, where an option or
    the parameters are at fault or no path leads to a file.
    """
    top, batch = _check(photos, asked)
    table = pathlib.Path.cwd()
    if called := os.environ.get(CALLED_FROM):
        os.chdir(called)
    if asked.explain is not None:
        check_sheet(asked.explain, asked.model)
    left_out: list[str] = []

    def leave_out(path: str, reason: str) -> None:
        left_out.append(path)
        say(f"{show_name(path)}: {reason}")

    files, total = _list(photos, leave_out)
    predictor = _load(asked, pathlib.Path(os.path.relpath(table)))
    width = max((len(show_name(path)) for path in files), default=0) if isinstance(files, list) else 0
    sheet = Sheet(asked.explain, predictor, total) if asked.explain is not None else None
    write = _open_writer(asked, predictor.classes, width, sys.stdout)
    found = predict(predictor, files, batch)
    if not sys.stdout.isatty() and (total is None or total > batch):
        found = track(found, "predict", total, "photos")
    for prediction in found:
        path = str(prediction.source)
        if prediction.probabilities is None:
            leave_out(path, str(prediction.reason))
            continue
        try:
            write(path, rank(prediction.probabilities, predictor.classes, top))
            sys.stdout.flush()
        except BrokenPipeError:  # whoever reads has enough
            _drop(sys.stdout)
            break
        if sheet:
            sheet.add(path, prediction.probabilities)
    if sheet:
        sheet.save()
    return not left_out


def _check(photos: Sequence[str], asked: Asked) -> tuple[int, int]:
    """Return (top, batch); raises InputError where the command line is at fault."""
    if not photos:
        raise InputError(f"predict: must have a photo, a folder or {STREAM}, for paths on standard input (got nothing)")
    for one, other in (("run", "model"), ("json", "csv")):
        if getattr(asked, one) and getattr(asked, other):
            raise InputError(f"predict: must have --{one} or --{other} (got both)")
    return read_number("--top", asked.top, 1), read_number("--batch", asked.batch, BATCH, MOST)


def _list(photos: Sequence[str], leave_out: Callable[[str, str], None]) -> tuple[list[str] | Iterator[str], int | None]:
    """Return the files that `photos` name, and their number: None where some are on standard input.

    Raises InputError where there is none.
    """
    if STREAM in photos:
        given = itertools.chain.from_iterable(_read_stream() if path == STREAM else [path] for path in photos)
        return list_files(given, leave_out), None
    faults: list[tuple[str, str]] = []
    files = list(list_files(photos, lambda path, reason: faults.append((path, reason))))
    if not files:
        path, reason = faults[0]
        others = f" (and so on, {len(faults)} paths without a file)" if len(faults) > 1 else ""
        raise InputError(f"{show_name(path)}: {reason}{others}")
    for path, reason in faults:
        leave_out(path, reason)
    return files, len(files)


def _read_stream() -> Iterator[str]:
    """Yield the paths on standard input; raises InputError where there is none."""
    # Not sys.stdin, which Python closes when it ends: it could not, while a thread waits for a line.
    stream: BinaryIO = os.fdopen(os.dup(0), "rb")
    path = None
    for path in read_lines(stream):
        yield path
    if path is None:
        raise InputError("standard input: must have paths, a line each (got nothing)")


def _load(asked: Asked, folder: pathlib.Path) -> Predictor:
    """Return the network that was asked for: of an export, or of a run of the table at `folder`."""
    if asked.model is not None:
        return load_export(asked.model)
    # Imported here, because an export needs none of it.
    from thaw.config.loading import load

    params = load(folder / paths.PARAMS)
    name = asked.run or _find_best(params, folder)
    check_run(name, folder)
    with leave_out_unused():
        from thaw.base.determinism import configure  # loads TensorFlow
    configure(params.compute, params.training.seed)
    return load_run(name, folder, params.compute)


def _find_best(params: "Params", folder: pathlib.Path) -> str:
    """Return the best run on validation of the table at `folder`, and say on stderr which it is."""
    from thaw.comparison.results import rank_runs, read_results, say_weights

    results = read_results(params, folder)
    name = rank_runs(results)[0]
    accuracy = 100 * results.scores[name]["validation"]["accuracy"]
    say(f"predict: {name}, the best on validation with {accuracy:.2f} %{say_weights(results, [name])}")
    return name


def _open_writer(asked: Asked, classes: Sequence[str], width: int, stream: TextIO) -> Write:
    """Return what writes predictions to `stream`, in the format that was asked for.

    `width` is how many characters the paths of a table have, where they are known.
    """
    if asked.json:
        # A byte of a path that is not UTF-8 is half of a surrogate pair in Python, and becomes the escape of JSON.
        _encode(stream, "backslashreplace")

        def write_json(path: str, guesses: list[Guess]) -> None:
            found = [{"class": guess.label, "probability": round(guess.probability, 6)} for guess in guesses]
            stream.write(json.dumps({"file": path, "predictions": found}, ensure_ascii=False) + "\n")

        return write_json
    if asked.csv:
        from thaw.base.spreadsheets import FORMULA  # loads pandas

        _encode(stream, "surrogateescape")  # bytes that are not UTF-8 come out as they went in
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)

        def write_rows(path: str, guesses: list[Guess]) -> None:
            for guess in guesses:
                texts = (f"'{text}" if FORMULA.match(text) else text for text in (path, guess.label))
                writer.writerow([*texts, round(guess.probability, 6)])

        return write_rows
    widths = [max(width, len(COLUMNS[0])), max(len(show_name(label)) for label in [*classes, COLUMNS[1]])]
    stream.write(f"{COLUMNS[0]:{widths[0]}}  {COLUMNS[1]:{widths[1]}}  {COLUMNS[2]}\n")

    def write_table(path: str, guesses: list[Guess]) -> None:
        name = show_name(path)
        widths[0] = max(widths[0], len(name))  # of paths that come one by one
        for guess in guesses:
            share = f"{guess.probability:{len(COLUMNS[2])}.4f}"
            stream.write(f"{name:{widths[0]}}  {show_name(guess.label):{widths[1]}}  {share}\n")

    return write_table


def _encode(stream: TextIO, errors: str) -> None:
    """Have `stream` write UTF-8, and what is not as `errors` says."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors=errors)


def _drop(stream: TextIO) -> None:
    """Have what `stream` still holds go nowhere: nobody reads it, and Python would fail when it ends."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
