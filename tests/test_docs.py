"""The documentation against what is there: links, commands, the reference of params.yaml, the map of the code."""

import importlib.util
import pathlib
import re
import shlex
import subprocess
import urllib.parse
from typing import Any

import markdown_it
import pydantic
import pytest
import yaml
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser

from thaw.architectures.table import ARCHITECTURES, Architecture
from thaw.base.files import read_json
from thaw.base.sections import Section
from thaw.cli import idea
from thaw.config import checking, reference
from thaw.config.presets import ROOT, list_presets
from thaw.networks.backbones import build, find_blocks

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
COMMANDS = re.findall(r'add_parser\("([\w-]+)"', (ROOT / "src" / "thaw" / "cli" / "main.py").read_text())
PARSER = markdown_it.MarkdownIt("commonmark").enable("table")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def read_tokens(page: Any) -> list[Any]:
    """Return the tokens of a page, those inside paragraphs, headings and cells too."""
    tokens = PARSER.parse(page.read_text())
    return [inner for token in tokens for inner in (token, *(token.children or ()))]


def find_anchors(page: Any) -> Any:
    """Return what may stand behind # in a link to a page: its headings as GitHub names them."""
    anchors, tokens = [], PARSER.parse(page.read_text())
    for token, text in zip(tokens, tokens[1:], strict=False):
        if token.type == "heading_open":
            words = "".join(child.content for child in text.children).lower()
            name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            count = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", other) is not None for other in anchors)
            anchors.append(f"{name}-{count}" if count else name)
    return anchors


def find_links(page: Any) -> list[Any]:
    """Return the targets of the links and pictures of a page that lead to files."""
    attributes = {"link_open": "href", "image": "src"}
    found = [token.attrGet(attributes[token.type]) for token in read_tokens(page) if token.type in attributes]
    return [target for target in found if not urllib.parse.urlsplit(target).scheme]


def find_commands(page: Any) -> list[Any]:
    """Return the ./run commands in the code of a page, each as its words."""
    found = []
    for token in read_tokens(page):
        if token.type in ("code_inline", "code_block", "fence"):
            # A backslash joins lines, and so does an open quotation mark.
            code = token.content.replace("\\\n", " ")
            for match in re.finditer(r"""^\s*(?:\w+=\S+ )*\./run((?: +(?:'[^']*'|"[^"]*"|[^\s'"]+)+)*)""", code, re.M):
                found.append(shlex.split(match[1], comments=True))
    return [words for words in found if words]


def list_files() -> Any:
    """Return the files that git has or would take, and their folders: what a reader of the repository sees."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {ROOT / name for name in listed.split("\0")}
    return files | {folder for file in files for folder in file.parents}


def parses(arguments: Any) -> Any:
    """Tell whether dvc takes these arguments."""
    try:
        return bool(get_main_parser().parse_args(arguments))
    except DvcParserError:
        return False


def find_fault(words: str) -> Any:
    """Return what is wrong with a ./run command, None where nothing is to be seen."""
    name, arguments = words[0], words[1:]
    if "..." in arguments or name == "...":
        return None
    if name == "demo":
        return arguments or None
    if name == "preset":
        if arguments and arguments[0] not in [*list_presets(), "NAME"]:
            return "no such preset"
        if arguments[1:] in ([], ["keep"]):
            return None
        return find_fault(arguments[1:] if arguments[1] == "thaw" else ["dvc", *arguments[1:]])
    if name == "dvc":
        # In prose a command may stand without its last arguments.
        return None if any(parses([*arguments, *["x"] * more]) for more in range(3)) else "dvc does not take that"
    if name == "thaw":
        return None if arguments and arguments[0] in COMMANDS else "no such command"
    if name == "mkdocs":
        return None if arguments[0] in ("build", "serve") else "no such command"
    if name == "dask":
        return None if arguments[0] in ("scheduler", "worker") else "no such command"
    if name == "test":
        return next((path for path in arguments if path.startswith("tests/") and not (ROOT / path).exists()), None)
    if name == "python":
        if arguments[0] == "-m":
            return None if importlib.util.find_spec(arguments[1]) else "no such module"
        return None if arguments[0] == "-c" or (ROOT / arguments[0]).exists() else "no such file"
    return "no such command"


def list_pages(entry: Any) -> list[str]:
    """Return the pages below an entry of the navigation, in order."""
    if isinstance(entry, str):
        return [entry]
    return [page for part in entry for inner in part.values() for page in list_pages(inner)]


@pages
def test_links_lead_to_files_of_the_repository_and_to_their_headings(page: Any) -> None:
    known = list_files()
    for target in find_links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / urllib.parse.unquote(path)).resolve() if path else page
        assert file in known, target
        if anchor:
            assert anchor in find_anchors(file), target


@pages
def test_the_commands_of_a_page_exist(page: Any) -> None:
    faults = {shlex.join(words): find_fault(words) for words in find_commands(page)}
    assert not {command: fault for command, fault in faults.items() if fault}


def test_commands_are_found_in_prose_blocks_and_over_several_lines(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "page.md"
    block = '```\n./run python -c "\n1"\n./run \\\n  demo\n```'
    page.write_text(f"Run `A=b ./run test`:\n\n    ./run dvc status  # no\n    cd x\n\n{block}")
    assert find_commands(page) == [["test"], ["dvc", "status"], ["python", "-c", "\n1"], ["demo"]]


@pytest.mark.parametrize(
    "command",
    ["demos", "demo now", "preset none", "dvc reproduce", "dvc repro --no-such", "thaw worst", "test tests/none.py",
     "python -m thaw.none", "python none.py"],
)  # fmt: skip
def test_a_command_that_does_not_exist_is_a_fault(command: str) -> None:
    assert find_fault(command.split())


def test_every_page_is_in_the_list_of_pages() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target in find_links(index)}
    assert set(index.parent.glob("*.md")) - {index} <= linked


def test_the_navigation_of_the_site_has_the_groups_and_pages_of_that_list_in_its_order() -> None:
    text = (ROOT / "docs" / "README.md").read_text()
    listed = {
        group: re.findall(r"^- \[[^]]*\]\(([^)]+)\)", lines, re.M)
        for group, lines in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    }
    # The one tag of the file names a function, which is of no matter here.
    document = yaml.load(re.sub(r"!!python\S+", "", (ROOT / "mkdocs.yml").read_text()), yaml.SafeLoader)
    navigation = {group: list_pages(entry) for part in document["nav"] for group, entry in part.items()}
    assert list(listed) == [group for group in navigation if group in listed]
    for group, targets in listed.items():
        names = [(ROOT / "docs" / target).resolve().relative_to(ROOT).as_posix() for target in targets]
        assert names == [page for page in navigation[group] if page in names], group


def test_the_picture_of_the_idea_is_what_its_program_makes_of_the_counts() -> None:
    if "(tf_flowers:" not in (ROOT / "report/report.md").read_text():
        pytest.skip("the results are of other photos")
    assert (ROOT / idea.FILE).read_text() == idea.render_idea()


def test_the_reference_is_what_the_classes_make_it() -> None:
    assert reference.FILE.read_text() == reference.render(), "./run python -m thaw.config.reference"


def test_the_reference_has_every_class_of_the_parameters() -> None:
    found: set[str] = set()
    for cls in [*checking.SECTIONS.values(), *checking.ENTRIES.values()]:
        definitions = pydantic.TypeAdapter(cls).json_schema().get("$defs", {})
        found |= set(definitions)
        if isinstance(cls, type) and issubclass(cls, Section):
            found.add(cls.__name__)
    described = [cls.__name__ for chapter in reference.CHAPTERS for cls in chapter.mappings]
    assert sorted(described) == sorted(found)


@pytest.mark.parametrize(
    "cls", [cls for chapter in reference.CHAPTERS for cls in chapter.mappings], ids=lambda cls: cls.__name__
)
def test_every_key_of_the_parameters_has_a_description(cls: type[Section]) -> None:
    assert not [name for name, field in cls.model_fields.items() if not field.description]


def test_the_reference_has_a_heading_for_every_section() -> None:
    titles = [chapter.title for chapter in reference.CHAPTERS]
    assert [title for title in titles if title in checking.Params._fields] == list(checking.Params._fields)


def test_the_map_of_the_code_names_every_module_and_no_other() -> None:
    blocks = (ROOT / "CONTRIBUTING.md").read_text().split("```")[1::2]
    text = next(block for block in blocks if "src/thaw/" in block)
    for file in (ROOT / "src" / "thaw").iterdir():
        name = f"{file.name}/" if file.is_dir() else file.name
        assert name in ("__init__.py", "__main__.py", "__pycache__/") or name in text
    named = re.findall(r"\b(\w+\.py)\b", text)
    assert not [name for name in named if not list((ROOT / "src" / "thaw").rglob(name))]


def test_the_backbone_that_the_documentation_adds_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    row = re.search("```python\n(.*?)```", (ROOT / "docs" / "own-backbone.md").read_text(), re.DOTALL)[1]
    ((name, architecture),) = eval(f"{{{row}}}", {"Architecture": Architecture}).items()
    monkeypatch.setitem(ARCHITECTURES, name, architecture)
    model = build(name, 0.125, 64)
    assert len(model.layers) == architecture.layers
    strides = [64 // end.output.shape[1] for end in find_blocks(model, name)[1:]]
    assert [f"stride{stride}" for stride in strides] == list(architecture.stages)


def test_the_table_of_backbones_is_that_of_the_code() -> None:
    table = (ROOT / "docs" / "own-backbone.md").read_text().split("| Stages |\n")[1].split("\n\n")[0]
    rows = [[cell.strip().replace("`", "") for cell in line.split("|")[1:-1]] for line in table.split("\n")[1:]]
    assert [row[0] for row in rows] == list(ARCHITECTURES)
    for name, _, _, blocks, stages in rows:
        named = list(ARCHITECTURES[name].stages)
        assert int(blocks) == ARCHITECTURES[name].blocks
        assert stages in (", ".join(named), f"{named[0]} to {named[-1]}")


def test_the_answer_in_the_readme_is_that_of_the_report() -> None:
    report = (ROOT / "report/report.md").read_text()
    if "(tf_flowers:" not in report:
        pytest.skip("the report is of other photos")
    readme = (ROOT / "README.md").read_text()
    answer = readme.partition("\nOn TF-Flowers ")[2]
    ps = re.findall(r"p = [\d.]*\d", answer)
    assert ps and all(p in report for p in ps)
    intervals = re.findall(r"\d\d\.\d – \d\d\.\d", answer)
    assert intervals and all(interval in report for interval in intervals)
    rows = re.findall(r"\|\W*(\d\d\.\d)\W*\((\d\d\.\d – \d\d\.\d)\) \|.*\| ([\d,]+) \|.*\|\n", answer)
    assert len(rows) == 3
    for accuracy, interval, parameters in rows:
        (line,) = [line for line in report.splitlines() if f"| {parameters} |" in line and interval in line]
        assert accuracy in {f"{float(cell):.1f}" for cell in re.findall(r" (\d\d\.\d\d) \|", line)}, line
    shares = re.findall(r"(\d\d\.\d)(?= %| to )", answer)
    assert shares and set(shares) <= {f"{float(share):.1f}" for share in re.findall(r"\d\d\.\d+", report)}


def test_no_training_took_the_memory_that_the_design_says_none_takes() -> None:
    (limit,) = re.findall(r"no training of the table takes (\d+) GiB", (ROOT / "docs/design.md").read_text())
    peaks = [
        document["peak_memory_mib"]
        for path in (ROOT / "metrics/timing/train").glob("*.json")
        for document in read_json(path).values()
    ]
    assert len(peaks) > 10 and max(peaks) < 1024 * int(limit)
    measured = {result["row"]: result for result in read_json(ROOT / "benchmarks/results.json")}
    assert measured["ResNet50, last 16 blocks, batch statistics"]["thaw_peak_mib"] < 1024 * int(limit)


def test_the_ratios_in_the_documentation_are_those_that_were_measured() -> None:
    measured = {result["row"]: result["ratio"] for result in read_json(ROOT / "benchmarks/results.json")}
    openings = ("head only", "last 10 layers", "last 4 blocks")
    ratios = [measured[f"{architecture}, {row}"] for architecture in ("ResNet50", "MobileNet") for row in openings]
    for name, expected in (("README.md", [min(ratios), max(ratios)]), ("benchmarks/README.md", ratios)):
        blocks = re.split(r"\n\n|\n(?=- )", (ROOT / name).read_text())
        (text,) = [block for block in blocks if "the usual loop" in block]
        quoted = [float(number) for number in re.findall(r"\b(\d\.\d)\b", text)]
        assert quoted == [pytest.approx(ratio, abs=0.051) for ratio in expected], name


def test_the_store_and_the_records_ended_as_the_design_says_they_did() -> None:
    assert "end with the same weights, to the bit" in " ".join((ROOT / "docs/design.md").read_text().split())
    found = read_json(ROOT / "benchmarks/equality.json")
    assert found["largest_difference"] == 0 < found["largest_distance_trained"]
    assert found["validation_accuracy"]["store"] == found["validation_accuracy"]["records"]
