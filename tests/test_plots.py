"""The page of `dvc plots`: which commands get it, and what a browser without a network makes of it."""

import pathlib
import re
import shutil
import subprocess

import pytest
from dvc_render import VegaRenderer, render_html

from thaw.base.errors import InputError
from thaw.cli import plots

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_the_page_draws_what_has_rows_without_a_network_and_leaves_out_the_rest(tmp_path: pathlib.Path) -> None:
    rows = [{"epoch": 1, "accuracy": 0.5, "rev": "now"}, {"epoch": 2, "accuracy": 0.7, "rev": "now"}]
    drawn = VegaRenderer(rows, "history.csv", x="epoch", y="accuracy", title="accuracy")
    (tmp_path / "page.html").write_text(plots.make_page())
    found = [drawn, VegaRenderer([], "document.json")]
    page = render_html(found, tmp_path / "index.html", str(tmp_path / "page.html"))
    assert 'id = "document_json"' in pathlib.Path(page).read_text()  # as DVC writes it
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", "--dump-dom"]
    done = subprocess.run([*command, pathlib.Path(page).as_uri()], capture_output=True, text=True, timeout=120)
    body = re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)
    assert re.findall(r'<div id="(\w+)"', body) == ["history_csv"]
    assert body.count("<svg") == 1 + body.count('<svg viewBox="0 0 16 16"')  # and the sign of its menu


def test_the_page_has_each_place_that_dvc_fills_once() -> None:
    page = plots.make_page()
    assert [page.count(place) for place in ("{plot_divs}", "{refresh_tag}", "{scripts}", "</script")] == [1, 1, 0, 1]


@pytest.mark.parametrize(
    "words, made",
    [
        ("plots show", True),
        ("plots diff main --targets plots/accuracy.csv --out here", True),
        ("-q plots show", True),
        ("plots templates", False),
        ("plots show --html-template mine.html", False),
        ("metrics show plots", False),
        ("repro show", False),
    ],
)
def test_commands_that_draw_get_the_page_unless_they_name_one(
    words: str, made: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "make_page", lambda: "<page>")
    monkeypatch.setattr(plots, "FOLDER", tmp_path)
    page = plots.find_page(words.split(), tmp_path)
    assert (page is not None) == made
    if page:
        assert page.read_text() == "<page>" and page.parent == tmp_path


def test_a_page_of_the_users_settings_is_used_and_damaged_settings_are_one_line(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "make_page", lambda: pytest.fail("not asked for"))
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[plots]\n    html_template = mine.html\n")
    assert plots.find_page(["plots", "show"], tmp_path) is None
    (tmp_path / ".dvc/config").write_text("[plots\n")
    with pytest.raises(InputError, match=r"^\S*\.dvc/config: [^\n]+$"):
        plots.find_page(["plots", "show"], tmp_path)
