"""What a result was made with."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from typing import Any

#: The packages whose versions a page names.
PACKAGES = (
    "radlib",
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "monai",
    "nibabel",
    "scikit-survival",
    "shap",
)


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Installed versions; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The short hash of the checkout, with ``+changes`` where tracked files differ; ``unknown`` outside git."""
    from radlib.core.paths import project_root

    try:
        root = project_root()
        run = lambda *args: subprocess.run(  # noqa: E731
            ["git", "-C", str(root), *args], capture_output=True, text=True, check=True
        ).stdout.strip()
        name = run("rev-parse", "--short=10", "HEAD")
        changed = run("status", "--porcelain", "--untracked-files=no")
    except (OSError, ValueError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}+changes" if changed else name


def describe() -> dict[str, Any]:
    """Versions, device, commit, platform: the provenance of a run, without times."""
    from radlib.core.device import describe_device, pick_device

    return {
        "versions": versions(),
        "device": describe_device(pick_device()),
        "platform": f"{platform.system()} {platform.machine()}",
        "commit": commit(),
    }
