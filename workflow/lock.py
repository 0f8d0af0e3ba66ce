"""Compile requirements.lock, requirements-cuda.lock and environment.yml from pyproject.toml. Run by `make lock`.

The CPU lock leaves torch out (the Makefile installs it first, at the version of the CUDA lock), because a file with the
hashes of two builds of one version lets pip choose the wrong one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The version of torch in both locks: the newest for which every other package resolves on CPU and CUDA machines alike.
TORCH = "2.13.0"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: `preprocess` needs versions that the book does not run with.
EXTRAS = [name for name in PROJECT["optional-dependencies"] if name != "preprocess"]
COMPILE = [
    sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *(f"--extra={name}" for name in EXTRAS),
    "--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-header", "--quiet", *sys.argv[1:],
]  # fmt: skip
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    """Name and version of every pin; a local part such as ``+cpu`` is dropped."""
    return {name: version.partition("+")[0] for name, version in PIN.findall(lock)}


def environment(cpu_lock: str, cuda_lock: str) -> str:
    """``environment.yml``: the direct dependencies at the versions of the lock, installed by pip inside conda."""
    wanted = list(PROJECT["dependencies"])
    for extra in EXTRAS:
        wanted += PROJECT["optional-dependencies"][extra]
    names = [re.split(r"[<>=!~ \[;]", item, maxsplit=1)[0].lower() for item in wanted]
    known = pins(cpu_lock) | {"torch": pins(cuda_lock)["torch"]}
    lines = [f"      - {name}=={known[name]}" for name in sorted(set(names))]
    return "\n".join([
        "# The direct dependencies at the versions of requirements.lock. Written by `make lock`.",
        "name: glioma-book",
        "channels: [conda-forge]",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - pip:",
        *lines,
        "      - --no-deps -e .",
        "",
    ])  # fmt: skip


def main() -> None:
    constraints = ROOT / "build" / "constraints.txt"
    constraints.parent.mkdir(exist_ok=True)
    constraints.write_text(f"torch=={TORCH}\n", encoding="utf-8")
    without_wheel = {key: value for key, value in os.environ.items() if key != "UV_FIND_LINKS"}
    for file, environ, extra in (
        ("requirements.lock", os.environ, ["--no-emit-package", "torch"]),
        ("requirements-cuda.lock", without_wheel, []),
    ):
        subprocess.run(
            [*COMPILE, *extra, "--constraint", str(constraints), "--output-file", file],
            cwd=ROOT,
            env=dict(environ),
            check=True,
        )
    locks = [(ROOT / file).read_text(encoding="utf-8") for file in ("requirements.lock", "requirements-cuda.lock")]
    text = environment(*locks)
    (ROOT / "environment.yml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
