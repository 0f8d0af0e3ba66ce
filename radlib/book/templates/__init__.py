"""Templates of generated pages, filled in by Jinja."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2


def environment(**names: Any) -> jinja2.Environment:
    """Jinja's environment for the templates of this folder.

    Variables are escaped for HTML. A variable that a template uses and is not given is an error.

    Args:
        names: functions and values that every template may use; a function is a filter as well.
    """
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("radlib.book", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.globals.update(names)
    found.filters.update({name: value for name, value in names.items() if callable(value)})
    return found


def read_part(name: str) -> str:
    """A file of this folder that no template fills in, such as ``print.css``."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
