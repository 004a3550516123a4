"""The templates of the package: they stand beside the modules that fill them."""

import pathlib

import jinja2

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
)


def render(name: str, **values: object) -> str:
    """Return the text of template `name`; nothing is escaped."""
    return _ENVIRONMENT.get_template(name).render(values)
