"""From a fresh clone to the book: the wall time of the commands that a reader types. Run by hand on a quiet machine:

    python benchmarks/book.py                        # clones this checkout's last commit into a temporary folder
    python benchmarks/book.py --profile smoke --keep

The steps: `make install`; `make book`; `make book` again; after a change of prose on a page; after a change of a
caption in a chapter. What the package manager has cached is used, as it would be the second time. ``--keep`` writes the
times to `published/costs.json`, which the page *What it costs* shows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE, CHAPTER = Path("book/how_to_read.md"), Path("notebooks/cohorts.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="default", choices=["smoke", "default"])
    parser.add_argument("--keep", action="store_true", help="write the times to published/costs.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "book"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        found = steps(clone, profile=arguments.profile)
    if arguments.keep:
        from radlib.book.costs import CostsFile, costs_file

        file = CostsFile(costs_file())
        for step, seconds, load in found:
            file.add("steps", {"step": step, "seconds": seconds, "load": load}, instead_of=("step",))


def steps(clone: Path, *, profile: str) -> list[tuple[str, float, float]]:
    """Every step with its seconds and the load before it, printed as they end."""
    make = f"make book PROFILE={profile}"
    found = [timed(clone, "make install"), timed(clone, make, "whole, cohorts included"), timed(clone, make, "again")]
    edit(clone / PAGE, "# ", "# As we say: ")
    found.append(timed(clone, make, "after a change of prose"))
    edit(clone / CHAPTER, 'caption="', 'caption="Here: ')
    found.append(timed(clone, make, "after a change of a caption"))
    return found


def timed(clone: Path, command: str, what: str = "") -> tuple[str, float, float]:
    """Run a command in the clone; it must succeed."""
    load, start = round(os.getloadavg()[0], 2), time.perf_counter()
    # The folders of this checkout must not be those of the clone.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RADLIB_", "VIRTUAL_ENV", "PYTHONPATH"))
    }
    done = subprocess.run(command.split(), cwd=clone, env=kept, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    title = f"`{command}`" + (f", {what}" if what else "")
    seconds = time.perf_counter() - start
    print(f"{title}: {seconds:.0f} s (load before {load:.1f})", flush=True)
    return title, seconds, load


def edit(file: Path, old: str, new: str) -> None:
    """Change the first place where a text stands."""
    text = file.read_text(encoding="utf-8")
    if old not in text:
        sys.exit(f"{file} has no {old!r}")
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


if __name__ == "__main__":
    main()
