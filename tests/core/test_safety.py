"""Nothing that is read is ever executed: what the sources may not contain."""

from __future__ import annotations

import ast
import re

import pytest

from radlib.core.paths import project_root

ROOT = project_root()
SOURCES = sorted(
    file for room in ("radlib", "notebooks", "workflow", "benchmarks") for file in (ROOT / room).rglob("*.py")
)
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}
CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pd.read_pickle", "pandas.read_pickle",
    "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "tarfile.open", "shutil.unpack_archive",
}  # fmt: skip


def dangers(text: str) -> list[str]:
    """What of a source must not be there."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [item.name for item in node.names]
            found += [name for name in names if name.split(".")[0] in UNPICKLERS]
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {item.arg: ast.unparse(item.value) for item in node.keywords}
        if name in CALLS or name.endswith(".extractall"):
            found.append(name)
        if name == "torch.load" and options.get("weights_only") != "True":
            found.append("torch.load without weights_only")
        if name == "yaml.load" and not options.get("Loader", "").endswith(("BaseLoader", "SafeLoader")):
            found.append("yaml.load without a safe loader")
        if options.get("allow_pickle") == "True" or options.get("shell") == "True":
            found.append(f"{name} with allow_pickle or shell")
    return found + re.findall(r"torch\.load\((?![^\n]*weights_only=True)[^\n]*", text)  # in the text of a configuration


def test_the_search_finds_what_it_looks_for() -> None:
    for text in (
        "import pickle", "from joblib import load", "eval(x)", "torch.load(f)", "yaml.load(f)", "z.extractall(d)",
        "np.load(f, allow_pickle=True)", "subprocess.run(x, shell=True)", "a = 'torch.load(f)'",
        "torch.load(f, weights_only=False)", "os.system(x)",
    ):  # fmt: skip
        assert dangers(text), text
    for text in ("torch.load(f, weights_only=True)", "yaml.safe_load(f)", "net.eval()", "ast.literal_eval(x)"):
        assert not dangers(text), text


@pytest.mark.parametrize("room", ["radlib", "notebooks", "workflow", "benchmarks"])
def test_no_source_unpickles_evaluates_or_unpacks(room: str) -> None:
    files = [file for file in SOURCES if file.relative_to(ROOT).parts[0] == room]
    assert files
    assert {
        str(file.relative_to(ROOT)): bad for file in files if (bad := dangers(file.read_text(encoding="utf-8")))
    } == {}
