"""Leave out of pages what Jupyter Book puts there and nobody wants: above all the scripts of sphinx-thebe.

They offer to run code on a remote server, declare the same constant twice (an error in every reader's console) and name
a host that the book must not ask.
"""

from __future__ import annotations

import importlib
from typing import Any

from radlib.book.reference import PARTS, modules


def drop_thebe(app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Remove the scripts of sphinx-thebe from the page, and the name that every fold has instead of its own."""

    def is_thebe(script: Any) -> bool:
        body = getattr(script, "attributes", {}).get("body") or ""
        return "THEBE_JS_URL" in body or "sphinx-thebe" in str(getattr(script, "filename", script))

    context["script_files"] = [script for script in context.get("script_files", []) if not is_thebe(script)]
    # myst-nb names all folds alike for a screen reader; what a fold says itself is its name.
    context["body"] = context.get("body", "").replace(' aria-label="Toggle hidden content"', "")


def setup(app: Any) -> dict[str, Any]:
    """Sphinx's entry point."""
    # autodoc adds annotations to pydantic's base class when it documents a model, and models that are defined later do
    # not understand them; so every model is defined before the first page
    for part in PARTS:
        for name in modules(part):
            importlib.import_module(name)
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
