"""One place decides on the device and the precision, and measures memory."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` takes the first GPU that torch can use, else the CPU. ``$RADLIB_DEVICE`` overrides ``auto``.

    Raises:
        RadlibError: if a GPU is asked for by name and torch sees none.
    """
    import torch

    from radlib.core.errors import RadlibError

    if name == "auto":
        name = os.environ.get("RADLIB_DEVICE", "auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise RadlibError(
            f"device {name!r} was asked for, but torch {torch.__version__} sees no GPU",
            remedy="use device 'cpu' or 'auto', or install the CUDA build (README, section GPU)",
        )
    return torch.device(name)


def describe_device(device: torch.device | str = "cpu") -> str:
    """A line for banners and provenance, such as ``CPU (x86_64, 2 threads)`` or ``NVIDIA H200``."""
    import torch

    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"


def peak_memory_bytes() -> int:
    """The largest resident size that this process has had."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
