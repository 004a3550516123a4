"""params.yaml as nobody would write it on purpose: what is in the file, and the one line that it ends with."""

import copy
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from thaw.base.errors import InputError
from thaw.config.checking import check
from thaw.config.loading import load
from tiny import DOCUMENT


def nest_aliases(levels: int, each: int = 9) -> str:
    """Return a list of lists of lists …, each of which a few aliases name: `each` to the power of `levels` values."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * each)}]" for i in range(1, levels)]
    return "\n".join(lines)


def merge_aliases(levels: int) -> str:
    """Return mappings that merge the one before them twice."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, levels)]
    return "\n".join(lines)


TOO_DEEP = "must have at most 50 levels, one in the other"
TEXTS: dict[str, tuple[str | bytes, str]] = {
    "lists nested thousands deep": ("a: " + "[" * 3000 + "]" * 3000, f"line 1: {TOO_DEEP}"),
    "brackets that never close": ("a: " + "[" * 3000, f"line 1: {TOO_DEEP}"),
    "mappings nested a thousand deep": (
        "".join(f"{' ' * i}a:\n" for i in range(1000)),
        f"line 50: {TOO_DEEP}",
    ),
    "aliases of aliases that stand for a billion values": (
        nest_aliases(10),
        "line 6: must hold at most 100,000 values, what aliases stand for included",
    ),
    "merged mappings that double forty times": (
        merge_aliases(40),
        "line 15: must hold at most 100,000 values, what aliases stand for included",
    ),
    "a list that holds itself": ("a: &a [*a]\n", "line 1: a must not hold itself"),
    "a mapping that holds itself": ("a: &a\n  b: *a\n", "line 2: a must not hold itself"),
    "an alias of nothing": ("a: *x\n", "line 1, column 4: found undefined alias 'x'"),
    "a key given twice": ("a: 1\na: 2\n", 'line 2, column 1: found duplicate key "a" with value "2"'),
    "a tab in place of blanks": ("a:\n\tb: 1\n", "line 2, column 1: found character '\\t' that cannot start any token"),
    "a Python object": (
        "a: !!python/object/apply:os.system [ls]\n",
        "line 1, column 4: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system'",
    ),
    "a tag of somebody's own": (
        "a: !mine 1\n",
        "line 1, column 4: could not determine a constructor for the tag '!mine'",
    ),
    "two documents": ("a: 1\n---\nb: 1\n", "line 2, column 1: but found another document"),
    "a date of a 13th month": ("a: 2001-13-45\n", "must be YAML: month must be in 1..12"),
    "a number of 5,000 digits": ("a: " + "9" * 5000, "line 1: a value must have at most 3,000 characters"),
    "a megabyte and more": ("# " + "x" * 2**20, "must have at most 1,048,576 bytes (got 1,048,578)"),
    "nothing at all": ("", "must be a mapping of sections (got nothing)"),
    "a list of sections": ("- dataset\n", "must be a mapping of sections (got a list)"),
    "bytes that are not UTF-8": (b"a: \xff\n", "must be UTF-8 text (byte 3 is not)"),
    "UTF-16": ("a: 1\n".encode("utf-16"), "must be UTF-8 text (byte 0 is not)"),
    "a control character": (b"a: \x01\n", "must be YAML: unacceptable character #x0001: "),
    "a conflict of a merge": ("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n", "line 2, column 2: "),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_file_that_cannot_be_read_is_one_line(case: str, tmp_path: pathlib.Path) -> None:
    content, message = TEXTS[case]
    (tmp_path / "params.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as raised:
        load(tmp_path / "params.yaml")
    assert str(raised.value).startswith(f"params.yaml: {message}") and str(raised.value).isprintable()


def rename(name: object) -> Callable[[dict[str, Any]], None]:
    """Return the change that gives a run another name."""

    def change(document: dict[str, Any]) -> None:
        document["finetune"][name] = document["finetune"].pop("tiny-all")

    return change


def give(section: str, key: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Return the change that gives a key of a section a value."""
    return lambda document: document[section].update({key: value})


WRONG_NAME = "a name must be of a-z, 0-9, - and _ (got "
VALUES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a run named as a command of the shell": (
        rename("$(touch x)"),
        f"finetune.$(touch x): {WRONG_NAME}'$(touch x)')",
    ),
    "a run named as a path out of the project": (rename("../../x"), f"finetune.../../x: {WRONG_NAME}'../../x')"),
    "a run whose name holds a line end": (rename("a\nb"), rf"finetune.a\nb: {WRONG_NAME}'a\nb')"),
    "a run whose name would colour a terminal": (rename("\x1b[31m"), rf"finetune.\x1b[31m: {WRONG_NAME}'\x1b[31m')"),
    "a run named in capitals": (rename("Tiny"), f"finetune.Tiny: {WRONG_NAME}'Tiny')"),
    "a run named in another script": (rename("löwenzahn"), f"finetune.löwenzahn: {WRONG_NAME}'löwenzahn')"),
    "a run without a name": (rename(""), f"finetune.: {WRONG_NAME}'')"),
    "a run whose name begins with a dash": (rename("-x"), f"finetune.-x: {WRONG_NAME}'-x')"),
    "a run whose name ends with a line end": (rename("x\n"), rf"finetune.x\n: {WRONG_NAME}'x\n')"),
    "a run named by a number": (
        rename(2024),
        "finetune.2024: a name must be text, in quotes where YAML takes it for something else (got 2024)",
    ),
    "a run named by nothing": (
        rename(None),
        "finetune.None: a name must be text, in quotes where YAML takes it for something else (got nothing)",
    ),
    "a name of 201 letters": (
        rename("x" * 201),
        f"finetune.{'x' * 57}...: a name must have at most 200 characters (got 201)",
    ),
    "a name of a thousand letters": (
        rename("x" * 1000),
        f"finetune.{'x' * 57}...: a name must have at most 200 characters (got 1000)",
    ),
    "a backbone named as a path": (
        lambda document: document["backbones"].update({"a/b": document["backbones"]["tiny"]}),
        f"backbones.a/b: {WRONG_NAME}'a/b')",
    ),
    "a section whose name holds a line end": (
        lambda document: document.update({"a\nb": {}}),
        r"a\nb: no such section; there are ",
    ),
    "a key whose name holds a line end": (give("image", "a\nb", 1), r"image.a\nb: no such key (got 1)"),
    "not a number": (give("split", "train", float("nan")), "split.train: must be a finite number (got nan)"),
    "an infinite seed": (give("split", "seed", float("inf")), "split.seed: must be a whole number (got inf)"),
    "a seed of 3,000 digits": (give("split", "seed", 10**2999), "split.seed: "),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value_that_cannot_be_used_is_one_line(case: str) -> None:
    change, message = VALUES[case]
    document = copy.deepcopy(DOCUMENT)
    change(document)
    with pytest.raises(InputError) as raised:
        check(document, "params.yaml")
    lines = str(raised.value).split("\n")
    assert all(line.isprintable() and line.startswith("params.yaml: ") for line in lines)
    assert any(line.startswith(f"params.yaml: {message}") for line in lines), lines


def test_a_name_of_200_letters_is_allowed() -> None:
    document = copy.deepcopy(DOCUMENT)
    rename("x" * 200)(document)
    assert "x" * 200 in check(document, "params.yaml").finetune


def test_a_mark_of_the_byte_order_is_passed_over(tmp_path: pathlib.Path) -> None:
    (tmp_path / "params.yaml").write_text("\ufeffcolour: 1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"^params.yaml: colour: no such section"):
        load(tmp_path / "params.yaml")


@pytest.mark.parametrize("kind", ["a folder", "a named pipe"])
def test_what_is_no_file_is_not_waited_for(kind: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "params.yaml"
    (path.mkdir if kind == "a folder" else lambda: os.mkfifo(path))()
    with pytest.raises(InputError, match=r"^params.yaml: must be a file$"):
        load(path)
