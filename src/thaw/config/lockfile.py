"""dvc.lock before DVC starts: one that a kill cut off is put together again.

DVC writes the file in place. A kill in that moment leaves its beginning, which DVC refuses as long as it is there.
"""

import fcntl
import itertools
import pathlib
import re

import ruamel.yaml

from thaw.base.files import write_text
from thaw.base.progress import say

LOCK = pathlib.Path("dvc.lock")
KEPT = pathlib.Path(".thaw/dvc.lock")  # as it was when a command last found it whole
BUSY = pathlib.Path(".dvc/tmp/lock")  # DVC locks it while it writes
HEAD = "schema: '2.0'\nstages:\n"
DIGEST = r"[0-9a-f]{32}(\.dir)?"
STAGE = re.compile(r"^  (\S.*):\n", re.MULTILINE)  # the line that begins the entry of a stage


def mend_lock() -> None:
    """Put dvc.lock of the current folder together again where it ends within an entry; keep a copy where it is whole.

    What it has of whole entries stays. Stages that it has not are taken from the copy; DVC finds what of them has
    changed. Whatever else is wrong with the file is left for DVC to report. Nothing is done while another dvc command
    works.
    """
    if not LOCK.exists() or (KEPT.exists() and _read(LOCK) == _read(KEPT)):
        return
    with open(BUSY, "a", encoding="utf-8") if BUSY.parent.is_dir() else open("/dev/null") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError:
            pass  # the file system has no locks
        text = _read(LOCK)
        if is_whole(text):
            write_text(KEPT, text)
            return
        mended = mend(text, _read(KEPT))
        if mended is None:
            return
        if mended:
            write_text(LOCK, mended)
        else:
            LOCK.unlink()
    count = len(STAGE.findall(mended))
    say(
        f"{LOCK}: a kill cut it off while DVC wrote it, put together again with {count} stages; DVC restores the others"
    )


def mend(text: str, kept: str) -> str | None:
    """Return what a dvc.lock was whose beginning is `text`, as far as that and an earlier one, `kept`, tell.

    Both may be empty, and so is what is returned where no entry is left. None where `text` is no beginning of one.
    """
    starts = [found.start() for found in STAGE.finditer(text)]
    whole = text[: starts[-1]] if len(starts) > 1 else ""
    if whole and not is_whole(whole):
        return None
    if not whole and not (
        HEAD.startswith(text) or text[: len(HEAD)] == HEAD and (starts or "\n" not in text[len(HEAD) :])
    ):
        return None
    entries = _split(whole)
    entries |= {name: entry for name, entry in _split(kept if is_whole(kept) else "").items() if name not in entries}
    return HEAD + "".join(entries.values()) if entries else ""


def is_whole(text: str) -> bool:
    """Tell whether `text` is a dvc.lock that DVC can read: each stage has a command, each file a path."""
    try:
        document = ruamel.yaml.YAML(typ="safe").load(text)
    except (ruamel.yaml.error.YAMLError, ValueError):
        return False
    if not isinstance(document, dict) or document.keys() != {"schema", "stages"}:
        return False
    stages = document["stages"]
    return isinstance(stages, dict) and all(map(_is_entry, stages.values()))


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or not entry.get("cmd"):
        return False
    params, lists = entry.get("params", {}), [entry[key] for key in ("deps", "outs") if key in entry]
    if not isinstance(params, dict) or not all(isinstance(values, dict) for values in params.values()):
        return False
    return all(isinstance(files, list) and all(map(_is_file, files)) for files in lists)


def _is_file(file: object) -> bool:
    if not isinstance(file, dict) or not isinstance(file.get("path"), str) or None in file.values():
        return False
    return "md5" not in file or bool(re.fullmatch(DIGEST, str(file["md5"])))


def _split(text: str) -> dict[str, str]:
    """Return {stage: its entry} of a dvc.lock."""
    names, starts = [], []
    for found in STAGE.finditer(text):
        names.append(found[1])
        starts.append(found.start())
    entries = [text[start:end] for start, end in itertools.pairwise([*starts, len(text)])]
    return dict(zip(names, entries, strict=True))


def _read(path: pathlib.Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
