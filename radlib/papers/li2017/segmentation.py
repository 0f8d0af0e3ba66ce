"""The tumour CNN of Li 2017 on whole slices, and the morphology that follows it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import label, uniform_filter
from torch import Tensor
from torch.nn import functional

from radlib.core.device import pick_device
from radlib.core.errors import RadlibError
from radlib.data.store import ImageStore
from radlib.papers.li2017.data import Mask, Scaling, truth_of
from radlib.papers.li2017.networks import TumourCNN
from radlib.stats.segmentation import dice, ppv, sensitivity
from radlib.training.inference import predict_slices
from radlib.training.settings import Precision

METRICS: tuple[str, ...] = ("dice", "ppv", "sensitivity")
"""As the paper evaluates a segmentation."""

Output = Literal["bicubic", "dense"]
"""How the pixels between those with a score get theirs: by interpolation, as in the paper, or from the network."""


@dataclass(frozen=True, kw_only=True)
class TumourNetwork:
    """A trained network with all that is needed to apply it.

    Attributes:
        network: in evaluation mode.
        modalities: its channels.
        scaling: of its input.
        threshold: probability from which on a pixel is tumour.
        smoothing: edge of the 3D box that smooths its segmentation, voxels; 1 for none.
        tumour_share: of the patches that it was trained on.
        precision: of inference.
    """

    network: TumourCNN
    modalities: tuple[str, ...]
    scaling: Scaling
    threshold: float = 0.5
    smoothing: int = 3
    tumour_share: float = 0.4
    precision: Precision = "auto"


# Whole slices


def coarse_probability(
    network: TumourCNN,
    scaling: Scaling,
    slices: Tensor,
    *,
    patchwise: bool | None = None,
    shift: tuple[int, int] = (0, 0),
) -> Tensor:
    """Tumour probability of every fourth pixel of slices, that of the patch around the pixel.

    The slices are padded with 0, as patches are at the border, and run through the network at once. With ``valid``
    padding of its convolutions that is exactly what the patches give one by one.

    Args:
        network: in evaluation mode.
        scaling: of its input.
        slices: ``(B, C, H, W)``, 0 outside the brain; cut from a larger slice only where it is 0 beyond the cut.
        patchwise: cut every patch out and run it by itself, which takes tens of times as long; patches without brain
            in their middle are not run and get 0. None does so where the scaling is ``patch``, which needs it.
        shift: first pixel, along both axes.

    Returns:
        ``(B, 1, h, w)``; cell ``(i, j)`` is pixel ``(4 i, 4 j) + shift``. The last cells may lie beyond the slice, so
        that every pixel from the first on lies between cells.

    Raises:
        RadlibError: if a network with the scaling ``patch`` is to be run on whole slices.
    """
    by_patch = scaling.kind == "patch" if patchwise is None else patchwise
    if scaling.kind == "patch" and not by_patch:
        raise RadlibError(
            "patches were normalised by their own means: a whole slice has no input in common with them",
            remedy="run the network patch by patch, or train it with the normalisation 'training'",
        )
    geometry = network.geometry("output")
    stride = geometry.stride
    before = [round(geometry.offset) - start for start in shift]  # more than is there cuts off, by negative padding
    cells, after = [], []
    for edge, pad, start in zip(slices.shape[2:], before, shift, strict=True):
        cells.append(-(-(edge - 1 - start) // stride) + 1)
        length = pad + edge
        while network.map_edge("output", length) < cells[-1]:
            length += 1
        after.append(length - pad - edge)
    padded = functional.pad(slices, (before[1], after[1], before[0], after[0]))
    if by_patch:
        return _patch_by_patch(network, scaling, padded, stride)[:, :, : cells[0], : cells[1]]
    taken = scaling(padded).contiguous(memory_format=torch.channels_last)  # nearly twice as fast on a CPU
    return _tumour(network(taken))[:, :, : cells[0], : cells[1]]


def slice_probability(network: TumourCNN, scaling: Scaling, slices: Tensor, *, output: Output = "bicubic") -> Tensor:
    """Tumour probability of every pixel of slices.

    Args:
        network, scaling, slices: as in :func:`coarse_probability`.
        output: ``bicubic`` interpolates between the pixels with a score; ``dense`` runs the network once for every
            shift by less than its stride, so that every pixel has a score of its own.

    Returns:
        ``(B, 1, H, W)``, 0 to 1.
    """
    height, width = slices.shape[2:]
    stride = network.geometry("output").stride
    if output == "dense":
        dense = slices.new_zeros((len(slices), 1, height, width), dtype=torch.float32)
        for down in range(min(stride, height)):
            for right in range(min(stride, width)):
                place = dense[:, :, down::stride, right::stride]
                coarse = coarse_probability(network, scaling, slices, shift=(down, right))
                place.copy_(coarse[:, :, : place.shape[2], : place.shape[3]])
        return dense
    return enlarge(coarse_probability(network, scaling, slices), stride=stride)[:, :, :height, :width]


def enlarge(coarse: Tensor, *, stride: int) -> Tensor:
    """Bicubic interpolation that keeps cell ``(i, j)`` as pixel ``stride * (i, j)``, cut to 0 to 1.

    Args:
        coarse: ``(B, 1, h, w)``.
        stride: pixels between two cells.

    Returns:
        ``(B, 1, (h - 1) * stride + 1, (w - 1) * stride + 1)``.
    """
    size = [(edge - 1) * stride + 1 for edge in coarse.shape[2:]]
    return functional.interpolate(coarse, size=size, mode="bicubic", align_corners=True).clamp(0, 1)


def _tumour(scores: Tensor) -> Tensor:
    return scores.float().softmax(dim=1)[:, 1:]


def _patch_by_patch(network: TumourCNN, scaling: Scaling, padded: Tensor, stride: int, *, at_once: int = 512) -> Tensor:
    windows = padded.unfold(2, network.patch, stride).unfold(3, network.patch, stride)
    images, _, height, width = windows.shape[:4]
    middle = network.patch // 2
    inside = torch.nonzero((windows[..., middle, middle] != 0).any(dim=1))
    out = padded.new_zeros((images, 1, height, width), dtype=torch.float32)
    for part in inside.split(at_once):
        image, row, column = part.unbind(dim=1)
        patches = windows[image, :, row, column]
        out[image, 0, row, column] = _tumour(network(scaling(patches))).flatten()
    return out


def tumour_probability(model: TumourNetwork, image: Tensor, *, output: Output = "bicubic") -> Tensor:
    """Tumour probability of every voxel of a volume, axial slice by slice; 0 outside the brain.

    Args:
        model: the network.
        image: ``(C, X, Y, Z)`` with the channels of the model.
        output: as in :func:`slice_probability`.

    Returns:
        ``(X, Y, Z)`` float32 on the CPU; all 0 for an image without brain.
    """
    brain = (image != 0).any(dim=0).cpu()
    out = torch.zeros(brain.shape)
    if not brain.any():
        return out
    box = tuple(slice(int(places.min()), int(places.max()) + 1) for places in torch.nonzero(brain, as_tuple=True))
    model.network.to(pick_device()).eval()
    found = predict_slices(
        lambda slices: slice_probability(model.network, model.scaling, slices, output=output),
        image[(slice(None), *box)], activation=None, precision=model.precision,
    )  # fmt: skip
    out[box] = found[0]
    return out * brain


# What follows the network


def prior_threshold(*, trained: float, natural: float) -> float:
    """The probability from which tumour is the likelier class, for a network trained on another share of tumour.

    A network trained on patches of which ``trained`` are tumour overrates tumour where only ``natural`` of the brain
    is. By Bayes' rule the odds are too high by ``trained / (1 - trained) * (1 - natural) / natural``.

    Args:
        trained: share of tumour patches in training, between 0 and 1.
        natural: share of tumour in the brain.
    """
    odds = trained / (1 - trained) * (1 - natural) / natural
    return odds / (1 + odds)


def largest_per_slice(mask: Mask) -> Mask:
    """The largest connected region (8 neighbours) of every axial slice of ``(X, Y, Z)``; of equal ones the first."""
    out = np.zeros(mask.shape, dtype=bool)
    for z in np.flatnonzero(mask.any(axis=(0, 1))):
        regions, count = label(mask[:, :, z], structure=np.ones((3, 3)))
        sizes = np.bincount(regions.ravel(), minlength=count + 1)
        out[:, :, z] = regions == 1 + int(sizes[1:].argmax())
    return out


def box_smoothed(mask: Mask, *, size: int) -> Mask:
    """Where more than half of the box of ``size`` voxels a side is in the mask; beyond the volume nothing is."""
    return np.asarray(uniform_filter(mask.astype(np.float64), size=size, mode="constant") > 0.5)


def post_process(mask: Mask, *, smoothing: int, brain: Mask) -> Mask:
    """The paper's morphology: largest region of each slice, then a 3D box filter; nothing outside the brain."""
    return box_smoothed(largest_per_slice(mask), size=smoothing) & brain


def seen_on_grid(mask: Mask, *, stride: int) -> Mask:
    """A mask ``(X, Y, Z)`` known on every ``stride``-th pixel of its slices, interpolated bicubically in between."""
    x, y = mask.shape[:2]
    padded = functional.pad(torch.from_numpy(mask).float(), (0, 0, 0, -y % stride + 1, 0, -x % stride + 1))
    grid = enlarge(padded[::stride, ::stride].movedim(2, 0)[:, None], stride=stride)[:, 0, :x, :y]
    return np.asarray(grid.movedim(0, 2).numpy() > 0.5)


# Subjects of a store


def segment(model: TumourNetwork, store: ImageStore, subject: str) -> Mask:
    """The tumour of one subject of a store, post-processed: ``(X, Y, Z)`` bool."""
    image = store.subject(subject).take(model.modalities)
    brain = (image != 0).any(dim=0).cpu().numpy()
    found = tumour_probability(model, image).numpy() > model.threshold
    return post_process(found, smoothing=model.smoothing, brain=brain)


def score_rows(subject: str, predicted: Mask, truth: Mask, **columns: object) -> list[dict[str, object]]:
    """DSC, PPV and sensitivity of one subject, long; PPV is NaN for an empty prediction, sensitivity for no tumour."""
    values = {
        "dice": dice(predicted, truth),
        "ppv": ppv(predicted, truth),
        "sensitivity": sensitivity(predicted, truth),
    }
    return [
        {"subject": subject, "group": "all", "metric": metric, "value": value, **columns}
        for metric, value in values.items()
    ]


def score_network(model: TumourNetwork, store: ImageStore, subjects: Sequence[str], **columns: object) -> pd.DataFrame:
    """Long scores of subjects: ``subject, group, metric, value`` and further columns as they are given."""
    rows: list[dict[str, object]] = []
    for subject in subjects:
        rows += score_rows(subject, segment(model, store, subject), truth_of(store, subject), **columns)
    return pd.DataFrame(rows)


class Equality(NamedTuple):
    """A whole slice against its patches.

    - ``difference``: largest difference of the probabilities, 0 to 1.
    - ``patches``: compared.
    - ``whole``, ``one_by_one``: seconds.
    """

    difference: float
    patches: int
    whole: float
    one_by_one: float


def compare_with_patches(model: TumourNetwork, store: ImageStore, subject: str) -> Equality:
    """Run the slice with most tumour at once and patch by patch, in full precision, and compare.

    Raises:
        RadlibError: for a network whose patches were each normalised by themselves.
    """
    if model.scaling.kind == "patch":
        raise RadlibError("this network can only be run patch by patch", remedy="choose another normalisation")
    device = pick_device()
    made = model.network.to(device).eval()
    z = int(truth_of(store, subject).sum(axis=(0, 1)).argmax())
    slices = store.subject(subject).take(model.modalities)[None, :, :, :, z].to(device)
    found, seconds = [], []
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for patchwise in (False, True):
            start = time.monotonic()
            found.append(coarse_probability(made, model.scaling, slices, patchwise=patchwise).cpu())
            seconds.append(time.monotonic() - start)
    run = found[1] > 0  # patches without brain in their middle are not run
    return Equality(float((found[0] - found[1])[run].abs().max()), int(run.sum()), *seconds)
