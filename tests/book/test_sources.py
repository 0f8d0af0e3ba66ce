"""The lists that describe the book agree with each other and with what is there."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from radlib.book.parameters import declared_parameters, load_profile, read_notebook, resolve
from radlib.book.registry import chapters
from radlib.core.paths import project_root
from radlib.data.sources import ROLES
from radlib.study.keep import LARGEST_FILE

ROOT = project_root()
NAMES = list(chapters())


def toc_files() -> list[str]:
    toc = yaml.safe_load((ROOT / "book/_toc.yml").read_text())
    return [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]


def test_table_of_contents_and_chapters_are_the_same_set() -> None:
    listed = [Path(file).name for file in toc_files() if file.startswith("chapters/")]
    assert listed == NAMES
    sources = {file.stem for file in (ROOT / "notebooks").glob("*.py") if not file.stem.startswith("_")}
    assert sources == set(NAMES)


def test_every_page_is_listed() -> None:
    pages = {file.stem for file in (ROOT / "book").glob("*.md")}
    assert pages == {file for file in toc_files() if "/" not in file}


@pytest.mark.parametrize("profile", ["smoke", "default", "paper"])
@pytest.mark.parametrize("name", NAMES)
def test_profiles_fit_the_chapters(name: str, profile: str) -> None:
    resolve(chapters()[name], profile=profile)


@pytest.mark.parametrize("profile", ["smoke", "default", "paper"])
def test_profiles_have_every_role_that_a_chapter_opens(profile: str) -> None:
    opened = {role for chapter in chapters().values() for role in chapter.cohorts}
    assert opened <= set(ROLES)
    assert opened <= set(load_profile(profile)["cohorts"])


@pytest.mark.parametrize("name", [*NAMES, "_template"])
def test_a_chapter_has_its_parts(name: str) -> None:
    source = ROOT / "notebooks" / f"{name}.py"
    notebook = read_notebook(source)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.cells[0].source.startswith("# ")
    assert "{cite" in text
    for part in ("Choices", "Limits", "Summary"):
        assert re.search(rf"^## .*{part}", text, re.MULTILINE | re.IGNORECASE), f"{name} has no part {part!r}"
    assert f'Report.start("{name}"' in "\n".join(code)
    assert code[-1].strip() == "report.finish()"
    (parameters,) = (cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    assert parameters.startswith("# Change a value, then run all cells.")
    assert parameters.splitlines()[1].endswith(f"radlib study status {name}")
    assert declared_parameters(source)["profile"].default == "default"


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_of_a_chapter_is_one_of_its_figures(name: str) -> None:
    picture, source = chapters()[name].picture, chapters()[name].source.read_text()
    assert re.search(rf'report\.figure\(\s*(f"{picture.partition("-")[0]}-{{|"{picture}")', source)


#: Lines of a cell. Those that list the arms of a study show the method; the others compute nothing and draw.
LONGEST, LONGEST_STUDY = 50, 75


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_short(name: str) -> None:
    for cell in read_notebook(ROOT / "notebooks" / f"{name}.py").cells:
        if cell.cell_type == "code" and not {"parameters"} & set(cell.metadata.get("tags", [])):
            statements = [
                node for node in ast.parse(cell.source).body if not isinstance(node, ast.Import | ast.ImportFrom)
            ]
            lines = sum((node.end_lineno or 0) - node.lineno + 1 for node in statements)
            longest = LONGEST_STUDY if "study" in cell.metadata.get("tags", []) else LONGEST
            assert lines <= longest, f"{name}: a cell of {lines} lines belongs in radlib:\n{cell.source[:200]}"


@pytest.mark.parametrize("name", NAMES)
def test_no_number_is_typed_in_prose(name: str) -> None:
    """Decimals in prose come from results or are a paper's, cited in the same paragraph."""
    for cell in read_notebook(ROOT / "notebooks" / f"{name}.py").cells:
        if cell.cell_type != "markdown":
            continue
        for paragraph in re.split(r"\n\s*\n", cell.source):
            bare = re.sub(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\{[a-z]+\}`[^`]*`", "", paragraph, flags=re.DOTALL)
            if re.search(r"(?<![\w.])\d+\.\d+(?!\w|\.\d)", bare):
                assert "{cite" in paragraph or bare.lstrip().startswith("|"), f"{name}: typed number in {paragraph!r}"


#: Levels of tests, and the equal share of four modalities: decimals that no result gives.
KNOWN = {"0.05", "0.25"}


@pytest.mark.parametrize("name", NAMES)
def test_no_number_is_typed_in_a_made_sentence(name: str) -> None:
    """What ``report.sentence`` and ``report.note`` say has its decimals from results."""
    for cell in read_notebook(ROOT / "notebooks" / f"{name}.py").cells:
        if cell.cell_type != "code":
            continue
        calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
        said = [call for call in calls if getattr(call.func, "attr", "") in ("sentence", "note")]
        for part in (part for call in said for part in ast.walk(call)):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                typed = set(re.findall(r"\d+\.\d+", part.value))
                assert typed <= KNOWN, f"{name}: typed number in {part.value!r}"


#: Decimals on the pages of prose: versions, a share of a training, what guessing gives.
SETTINGS = {"3.11", "0.1", "0.5"}


def test_no_result_is_typed_on_a_page() -> None:
    for page in sorted((ROOT / "book").rglob("*.md")):
        if not {"generated", "chapters", "_build"} & set(page.parts):
            prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
            typed = re.findall(r"(?<![\w.])\d+\.\d+(?!\w|\.\d)", prose)  # what examples print is tested itself
            assert set(typed) - SETTINGS <= ({"4.1"} if "reports" in page.parts else set()), page  # a paper's section


def test_environment_and_locks_agree() -> None:
    pin = re.compile(r"^\s*(?:- )?([A-Za-z0-9_.-]+)==([^\s;\\+]+)", re.MULTILINE)
    cpu, cuda, conda = (
        dict(pin.findall((ROOT / file).read_text()))
        for file in ("requirements.lock", "requirements-cuda.lock", "environment.yml")
    )
    assert len(conda) > 40
    for name, version in conda.items():
        assert cuda[name] == version, name
        assert name == "torch" or cpu[name] == version, name
    assert "torch" not in cpu
    assert not [name for name in cpu if name.startswith("nvidia")]


def test_nothing_that_must_not_be_kept_is_kept() -> None:
    import subprocess

    files = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True)
    names = [name for name in files.stdout.split("\0") if name]
    assert len(names) > 50
    forbidden = re.compile(r"\.(ipynb|nii|nii\.gz|nrrd|dcm|mha|tif|tiff|pt|pth|ckpt|safetensors|pkl)$")
    published = ("tests/features/data/ibsi/", "published/jobs/")  # the standard's phantom, CC BY 4.0; kept weights
    assert [name for name in names if forbidden.search(name) and not name.startswith(published)] == []
    sizes = {name: (ROOT / name).stat().st_size for name in names if (ROOT / name).is_file()}
    allowed = {name: LARGEST_FILE if name.startswith("published/jobs/") else 1_000_000 for name in sizes}
    assert [name for name, size in sizes.items() if size > allowed[name]] == []
