import doctest
from pathlib import Path

import pytest
import typer

from radlib.book.reference import PARTS, api_pages, command_line_page, modules
from radlib.cli import app
from radlib.core.paths import project_root


def test_every_part_has_modules_and_each_is_on_the_page() -> None:
    pages = api_pages()
    for part in PARTS:
        found = modules(part)
        assert len(found) > 1
        assert all(f".. automodule:: {name}\n" in pages[f"api_{part}.md"] for name in found)


def test_every_command_is_on_the_page() -> None:
    page = command_line_page(typer.main.get_command(app))
    for command in ("data check", "data fetch", "cohort init", "phantom make", "features extract", "chapter run"):
        assert f"## `radlib {command}`" in page
    assert "--parameter" in page


@pytest.mark.slow
def test_the_examples_of_the_api_page_say_what_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = project_root() / "book" / "api.md"
    monkeypatch.chdir(tmp_path)
    found = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert found.failed == 0
    assert found.attempted >= page.read_text(encoding="utf-8").count("\n## ")  # an example a task
