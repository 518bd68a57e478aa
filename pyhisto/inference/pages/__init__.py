"""Templates of pages and cards, in one environment that escapes what it is given."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def source(name: str) -> str:
    """The text of a file of this folder."""
    return (files(__name__) / name).read_text(encoding="utf-8")


def render(template: str, /, **values: Any) -> str:
    """A template of this folder, filled in. In .html everything is escaped that is not marked as HTML."""
    environment = Environment(
        loader=PackageLoader("pyhisto.inference", "pages"),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = lambda value, digits=1: f"{100 * value:.{digits}f}%"
    return environment.get_template(template).render(**values)
