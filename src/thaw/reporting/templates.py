"""The templates of the pages: each stands beside the module that fills it, as ``*.j2``."""

import pathlib

import jinja2

PACKAGE = pathlib.Path(__file__).resolve().parents[1]


def _is_html(name: str | None) -> bool:
    return name is not None and name.endswith(".html.j2")


# In HTML every value is escaped but Markup. In Markdown none is: what comes from data in a value has gone through
# `comparison.words.escape`. A name that a template asks for must be given.
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(PACKAGE),
    autoescape=_is_html,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
)


def render(template: pathlib.Path, **values: object) -> str:
    """Return the text of the file `template`, which lies in this package, with `values` in their places."""
    return _ENVIRONMENT.get_template(template.resolve().relative_to(PACKAGE).as_posix()).render(values)
