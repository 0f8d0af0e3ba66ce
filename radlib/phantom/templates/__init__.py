"""Templates: the papers' cohorts as recipes, and a user's own from YAML."""

from __future__ import annotations

from pathlib import Path

from radlib.core.errors import RadlibError
from radlib.core.files import read_yaml
from radlib.phantom.templates.papers import PAPER_TEMPLATES
from radlib.phantom.templates.schema import Template, parse_template

__all__ = ["TEMPLATE_NAMES", "Template", "load_template", "parse_template"]

TEMPLATE_NAMES: tuple[str, ...] = tuple(PAPER_TEMPLATES)
"""The roles that have a template."""


def load_template(name: str) -> Template:
    """The template of a role, or the one that a ``.yml`` file describes.

    Args:
        name: one of :data:`TEMPLATE_NAMES`, or the path of a YAML file with the fields of :class:`Template`.

    Raises:
        RadlibError: for an unknown role, a file that cannot be read, or impossible values.
    """
    if name in PAPER_TEMPLATES:
        return PAPER_TEMPLATES[name]()
    if not name.endswith((".yml", ".yaml")):
        raise RadlibError(
            f"no template is called {name!r}",
            remedy=f"use one of {', '.join(TEMPLATE_NAMES)}, or the path of a .yml file",
        )
    file = Path(name)
    return parse_template(read_yaml(file, what="the fields of a template"), file=file)
