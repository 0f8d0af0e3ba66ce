"""The reference pages, made from the code itself so that they cannot fall behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import radlib

#: What each part of the package holds, in the order of the page.
PARTS = {
    "core": "Errors, paths, files, seeds, device, progress",
    "data": "Manifests, cohorts, readers, checks, splits, published numbers",
    "phantom": "The simulated cohort",
    "features": "Hand-crafted and deep features, Fisher vectors",
    "nn": "Blocks and baselines that papers share",
    "training": "The training loop, checkpoints, inference, weights, bundles",
    "stats": "Protocols, metrics, intervals, selection, survival",
    "plots": "Style and figures that papers share",
    "study": "Jobs, the store, arms, estimates, gates",
    "book": "What a chapter shows and leaves behind; parameters, runner, publishing",
}


#: Methods that scikit-learn adds to every estimator; their text refers to pages of its own documentation.
ADDED_BY_SKLEARN = ", ".join(
    f"set_{method}_request"
    for method in ("fit", "partial_fit", "predict", "predict_proba", "score", "transform", "decision_function")
)


def modules(part: str) -> list[str]:
    """The public modules of a part, sorted: those whose names have no leading underscore."""
    root = Path(radlib.__file__).parent
    found = []
    for file in sorted((root / part).rglob("*.py")):
        names = file.relative_to(root.parent).with_suffix("").parts
        names = names[:-1] if names[-1] == "__init__" else names
        if not any(name.startswith("_") for name in names):
            found.append(".".join(names))
    return found


def api_pages() -> dict[str, str]:
    """A page a part, by file name: every public module of radlib through autodoc. ``book/api.md`` leads to them."""
    pages = {}
    for part, title in PARTS.items():
        lines = [f"# radlib.{part}", "", f"{title}.", ""]
        for name in modules(part):
            lines += [f"## `{name}`", "", "```{eval-rst}", f".. automodule:: {name}", "   :members:"]
            lines += ["   :ignore-module-all:", f"   :exclude-members: {ADDED_BY_SKLEARN}", "```", ""]
        pages[f"api_{part}.md"] = "\n".join(lines)
    return pages


def command_line_page(commands: Any) -> str:
    """``generated/command_line.md``: every command of a command line (click) with its help."""
    return "\n".join(["# Command line", "", *_describe(commands, ["radlib"])[2:]])


def _describe(command: Any, names: list[str]) -> list[str]:
    """A command and those below it. Typer brings a click of its own, so commands are told apart by what they can."""
    context = command.context_class(command, info_name=" ".join(names))
    lines = [f"## `{' '.join(names)}`", "", (command.help or "").strip(), ""]
    if hasattr(command, "list_commands"):
        for name in command.list_commands(context):
            lines += _describe(command.get_command(context, name), [*names, name])
        return lines
    usage = command.get_usage(context).removeprefix("Usage:").split()
    lines += ["```console", f"$ {' '.join(usage)}", "```", ""]
    records = [record for item in command.params if (record := item.get_help_record(context))]
    rows = [f"| `{_cell(flag)}` | {_cell(text)} |" for flag, text in records if not flag.startswith("--help")]
    return [*lines, "| argument or option | meaning |", "|---|---|", *rows, ""] if rows else lines


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
