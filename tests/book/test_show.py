import ast
import importlib.util
import inspect
import math
from pathlib import Path

import pytest

from radlib.book.show import WIDTH, code_of, show_code
from radlib.core.errors import RadlibError
from radlib.nn import excitation, octave
from radlib.papers.islam2020 import networks as islam
from radlib.papers.li2017 import networks as li
from radlib.papers.zhang2021 import losses, networks


@pytest.mark.parametrize("module", [excitation, octave, islam, li, losses, networks])
def test_every_class_and_function_fits_the_column_and_is_the_same_code(module: object) -> None:
    for one in vars(module).values():
        if (inspect.isclass(one) or inspect.isfunction(one)) and one.__module__ == module.__name__:  # type: ignore[attr-defined]
            code = code_of(one)
            assert max(map(len, code.splitlines())) <= WIDTH
            assert _bare(code) == _bare(inspect.getsource(one))


def _bare(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def test_it_names_the_file() -> None:
    assert code_of(losses.dice_loss).startswith("# radlib/papers/zhang2021/losses.py\ndef dice_loss(")


def test_comments_and_items_of_docstrings_are_filled(tmp_path: Path) -> None:
    file = tmp_path / "shown.py"
    file.write_text(
        'def f(x, y):\n    """Say.\n\n    Args:\n'
        f'        x: {"long " * 19}end.\n        y: short.\n    """\n'
        f"    a = x + y  # {'because ' * 11}so\n    # {'above ' * 16}it\n    return a\n"
    )
    spec = importlib.util.spec_from_file_location("shown", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lines = code_of(module.f).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[5].startswith("        x: long")
    assert lines[6].startswith("            long")
    assert lines[7] == "        y: short."
    assert "    a = x + y" in lines
    assert "    return a" in lines


def test_show_code_prints_outside_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    show_code(losses.cycle_loss, losses.generator_loss)
    out = capsys.readouterr().out
    assert "def cycle_loss(" in out
    assert "def generator_loss(" in out


def test_what_has_no_source_is_refused() -> None:
    with pytest.raises(RadlibError, match="no source"):
        show_code(math.sqrt)
