"""How hard simulated subjects are, by what methods reach on them and on real ones.

Every method sees the same thing of every subject: axial slices of :data:`SIZE` pixels from two below to two above the
tumour, the brain's front-back length fitted to :data:`LENGTH` pixels (the low-grade stacks carry no pixel size), FLAIR
and contrast-enhanced T1 z-scored over the brain of these slices.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from radlib.core.errors import MissingDataError
from radlib.core.paths import project_root
from radlib.core.progress import track
from radlib.core.seeds import named_seed, rng
from radlib.data.cohort import Cohort
from radlib.nn.baselines2d import UNet2d
from radlib.phantom.distractors import DISTRACTORS

SIZE, LENGTH = 128, 112
MARGIN = 2
"""Slices kept below and above the tumour, as the low-grade stacks at hand have them."""

REGIONS = ("wt", "et")


@dataclass(frozen=True)
class Slices:
    """One subject as methods see it.

    Attributes:
        images: ``(S, 2, SIZE, SIZE)`` float32 z-scores of FLAIR and contrast-enhanced T1, 0 outside the brain; the
            second is all 0 where the subject has none.
        brain: ``(S, SIZE, SIZE)`` bool.
        truth: ``(S, 2, SIZE, SIZE)`` bool, whole and enhancing tumour.
        has_et: whether enhancing tumour is labelled at all.
        distractors: ``(S, SIZE, SIZE)`` codes of :data:`radlib.phantom.distractors.DISTRACTORS`, or None.
    """

    images: np.ndarray
    brain: np.ndarray
    truth: np.ndarray
    has_et: bool = True
    distractors: np.ndarray | None = None


def slices_of(
    flair: np.ndarray,
    t1ce: np.ndarray | None,
    brain: np.ndarray,
    whole: np.ndarray,
    enhancing: np.ndarray | None,
    *,
    distractors: np.ndarray | None = None,
) -> Slices:
    """Bring a volume ``(X, Y, Z)`` with axes left, posterior, superior to :class:`Slices`; X and Y in pixels alike.

    Raises:
        MissingDataError: for an empty brain or tumour.
    """
    levels = np.flatnonzero(whole.any(axis=(0, 1)))
    if not len(levels) or not brain.any():
        raise MissingDataError("a subject without tumour or brain has no slices to compare")
    part = slice(max(levels[0] - MARGIN, 0), levels[-1] + MARGIN + 1)
    rows, columns = (np.flatnonzero(brain.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    centre = (rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2
    step = (columns[-1] - columns[0] + 1) / LENGTH
    shape = brain.shape
    steps = (torch.arange(SIZE, dtype=torch.float32) - (SIZE - 1) / 2) * step
    x, y = ((steps + middle) * 2 / (n - 1) - 1 for middle, n in zip(centre, shape[:2], strict=True))
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1)

    def resample(volume: np.ndarray, mode: str = "bilinear") -> np.ndarray:
        stack = torch.from_numpy(np.ascontiguousarray(volume[:, :, part].transpose(2, 1, 0), dtype=np.float32))[:, None]
        return functional.grid_sample(
            stack, grid.expand(len(stack), -1, -1, -1), mode=mode, align_corners=True
        )[:, 0].numpy()  # fmt: skip

    inside = resample(brain) > 0.5
    images = []
    for image in (flair, t1ce):
        values = np.zeros(inside.shape, np.float32) if image is None else resample(image)
        spread = values[inside].std()
        images.append(np.where(inside, (values - values[inside].mean()) / (spread if spread > 0 else 1), 0))
    masks = [resample(mask) > 0.5 for mask in (whole, np.zeros_like(whole) if enhancing is None else enhancing)]
    return Slices(
        np.stack(images, 1).astype(np.float32), inside, np.stack(masks, 1) & inside[:, None], enhancing is not None,
        None if distractors is None else resample(distractors, "nearest").astype(np.uint8),
    )  # fmt: skip


def cohort_slices(cohort: Cohort, ids: Sequence[str] | None = None) -> dict[str, Slices]:
    """Subjects of a cohort with FLAIR, T1ce and a segmentation; with their distractors where it is simulated."""
    from radlib.data.nifti import read_volume

    out = {}
    for subject in track(ids or cohort.complete("flair", "t1ce", "seg").ids, description=cohort.name):
        flair, t1ce = (cohort.volume(subject, name).data for name in ("flair", "t1ce"))
        labels = cohort.labels(subject).data
        file = None if cohort.truth is None else cohort.truth / "distractors" / f"{subject}.nii.gz"
        codes = read_volume(file).data if file is not None and file.is_file() else None
        out[subject] = slices_of(flair, t1ce, flair != 0, labels > 0, labels == 4, distractors=codes)
    return out


def lower_grade_slices(root: Path) -> dict[str, Slices]:
    """The 110 lower-grade gliomas of Buda et al. 2019 (Comput Biol Med 109:218) under ``root``: no enhancing labels.

    T1 after contrast counts as missing where it is a copy of FLAIR.
    """
    from PIL import Image

    out = {}
    folder = root / "lgg-segmentation"
    for case in track(sorted(p for p in (folder / "kaggle_3m").glob("TCGA_*") if p.is_dir()), description="110 LGG"):
        names = sorted((p.stem for p in case.glob("*.tif") if not p.stem.endswith("_mask")),
                       key=lambda name: int(name.rsplit("_", 1)[1]))  # fmt: skip
        image = np.stack([np.asarray(Image.open(case / f"{name}.tif")) for name in names], 2).astype(np.float32)
        mask = np.stack([np.asarray(Image.open(case / f"{name}_mask.tif")) > 0 for name in names], 2)
        brain = np.stack(
            [np.asarray(Image.open(folder / "brain_masks" / case.name / f"{name}_brain.tif")) > 0 for name in names], 2
        )
        flair, t1ce = image[..., 1], image[..., 2]
        turn = (1, 0, 2)  # rows of a picture are the second axis of a volume
        out[case.name] = slices_of(
            flair.transpose(turn), None if np.array_equal(flair, t1ce) else t1ce.transpose(turn), brain.transpose(turn),
            mask.transpose(turn), None,
        )  # fmt: skip
    return out


def two_modality_slices(root: Path) -> dict[str, Slices]:
    """The six BraTS 2015 subjects of DeepMedic's examples (Kamnitsas et al. 2017, Med Image Anal 36:61)."""
    from radlib.data.nifti import read_volume

    out = {}
    for case in sorted((root / "brats2015-deepmedic").glob("*_*")):
        flair, t1ce, brain, labels = (
            read_volume(case / f"{name}.nii.gz").data
            for name in ("Flair_subtrMeanDivStd", "T1c_subtrMeanDivStd", "brainmask", "OTMultiClass")
        )
        out[case.name] = slices_of(flair, t1ce, brain > 0, labels > 0, labels == 4)
    return out


def dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Dice of two masks; 1 where both are empty."""
    total = int(predicted.sum()) + int(truth.sum())
    return 1.0 if total == 0 else 2 * int((predicted & truth).sum()) / total


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected component of a mask ``(S, X, Y)``."""
    import cc3d

    parts, count = cc3d.connected_components(mask, connectivity=6, return_N=True)
    return mask if count < 2 else parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])


def rule(subject: Slices, flair: float, t1ce: float) -> np.ndarray:
    """Two thresholds: ``(S, 2, SIZE, SIZE)``.

    Whole tumour is the largest component of FLAIR above one, enhancing tumour is where T1ce is above the other, both in
    the brain three pixels off its edge.
    """
    inner = _inner(subject.brain)
    whole = largest((subject.images[:, 0] > flair) & inner)
    return np.stack([whole, inner & (subject.images[:, 1] > t1ce)], 1)


def _inner(brain: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    plane = ndimage.generate_binary_structure(3, 1) & np.array([0, 1, 0], bool)[:, None, None]
    return ndimage.binary_erosion(brain, plane, iterations=3)


FLAIR_LEVELS, T1CE_LEVELS = np.arange(0.4, 2.41, 0.2), np.arange(0.4, 4.01, 0.4)


def rule_scores(subjects: Mapping[str, Slices]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Dice of every subject at every threshold: whole tumour by FLAIR's, enhancing by T1ce's (NaN without labels)."""
    whole, enhancing = {}, {}
    for name, s in track(list(subjects.items()), description="rule"):
        inner = _inner(s.brain)
        flair, t1ce = s.images[:, 0], s.images[:, 1]
        whole[name] = [dice(largest((flair > level) & inner), s.truth[:, 0]) for level in FLAIR_LEVELS]
        enhancing[name] = [
            dice((t1ce > level) & inner, s.truth[:, 1]) if enhances(s) else np.nan for level in T1CE_LEVELS
        ]
    return pd.DataFrame(whole, index=FLAIR_LEVELS).T, pd.DataFrame(enhancing, index=T1CE_LEVELS).T


def enhances(subject: Slices) -> bool:
    """Whether enhancing tumour can be scored: it is labelled, present, and T1ce is there."""
    return bool(subject.has_et and subject.truth[:, 1].any() and subject.images[:, 1].any())


def augment(
    images: torch.Tensor, truth: torch.Tensor, random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Flip left and right, scale, turn, and change contrast a little: what any network's training does."""
    n = len(images)
    angle, size = random.normal(0, 0.12, n), np.exp(random.normal(0, 0.1, n))
    flip = random.choice([-1.0, 1.0], n)
    cos, sin = np.cos(angle) * size, np.sin(angle) * size
    move = random.normal(0, 0.04, (2, n))
    theta = torch.tensor(np.array([[cos * flip, -sin, move[0]], [sin * flip, cos, move[1]]]), dtype=torch.float32)
    grid = functional.affine_grid(theta.permute(2, 0, 1), list(images.shape), align_corners=False)
    both = functional.grid_sample(torch.cat([images, truth], 1), grid, align_corners=False)
    images, truth = both[:, :2], (both[:, 2:] > 0.5).float()
    gain = torch.tensor(np.exp(random.normal(0, 0.15, (n, 2))), dtype=torch.float32)[..., None, None]
    shift = torch.tensor(random.normal(0, 0.15, (n, 2)), dtype=torch.float32)[..., None, None]
    kept = torch.tensor(random.random((n, 1, 1, 1)) > 0.15, dtype=torch.float32)
    inside = (images != 0).float()
    images = (images * gain + shift) * inside
    return torch.cat([images[:, :1], images[:, 1:] * kept], 1), truth


PATCH = 72
"""Pixels along the edge of the patches that networks learn from."""


def train_network(subjects: Sequence[Slices], *, steps: int = 1600, batch: int = 12, seed: int = 0) -> torch.nn.Module:
    """A small 2D U-Net on FLAIR and T1ce for whole and enhancing tumour.

    Subjects without enhancing labels teach whole tumour only. Two patches of three lie on tumour, half of these on
    enhancing tumour where there is some.

    Args:
        subjects: to train on; patches are drawn subject by subject.
        steps: of training; the learning rate falls to zero over them. 1600 take two minutes of an idle core.
        batch: patches a step.
        seed: of weights, patches and augmentation.
    """
    from monai.losses import DiceCELoss

    torch.manual_seed(named_seed(seed, "calibration"))
    random = rng(seed, "calibration", "slices")
    network = UNet2d(2, 2, widths=(8, 16, 32, 64), norm="batch")
    optimizer = torch.optim.AdamW(network.parameters(), 4e-3)
    loss = DiceCELoss(sigmoid=True, batch=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 4e-3 * min(1.0, (step + 1) / 20) * (1 - step / steps) ** 0.9
        chosen = [subjects[i] for i in random.integers(len(subjects), size=batch)]
        images, truth = (torch.from_numpy(np.stack(part)).float()
                         for part in zip(*(_patch(one, random) for one in chosen), strict=True))  # fmt: skip
        images, truth = augment(images, truth, random)
        output = network(images)
        value = loss(output[:, :1], truth[:, :1])
        labelled = torch.tensor([s.has_et for s in chosen]) & (images[:, 1] != 0).flatten(1).any(1)
        if labelled.any():
            value = value + loss(output[labelled, 1:], truth[labelled, 1:])
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return network.eval()


def _patch(subject: Slices, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Images and truth of a patch, ``(2, PATCH, PATCH)`` each: on tumour or anywhere in the brain."""
    draw = random.random()
    among = subject.truth[:, 1] if draw < 1 / 3 and subject.truth[:, 1].any() else subject.truth[:, 0]
    places = np.flatnonzero(among if draw < 2 / 3 else subject.brain)
    z, y, x = np.unravel_index(places[random.integers(len(places))], among.shape)
    corner = [int(np.clip(at - random.integers(PATCH), 0, SIZE - PATCH)) for at in (y, x)]
    rows, columns = (slice(first, first + PATCH) for first in corner)
    return subject.images[z, :, rows, columns], subject.truth[z, :, rows, columns]


def segment(network: torch.nn.Module, subject: Slices) -> np.ndarray:
    """``(S, 2, SIZE, SIZE)`` bool: whole tumour, its largest component, and the enhancing part in it."""
    with torch.inference_mode():
        found = (network(torch.from_numpy(subject.images)) > 0).numpy() & subject.brain[:, None]
    found[:, 0] = largest(found[:, 0])
    found[:, 1] &= found[:, 0]
    return found


def network_scores(network: torch.nn.Module, subjects: Mapping[str, Slices]) -> pd.DataFrame:
    """Dice by subject, columns ``wt`` and ``et``; NaN where nothing enhances or nothing is labelled."""
    rows = {}
    for name, s in subjects.items():
        found = segment(network, s)
        rows[name] = {
            "wt": dice(found[:, 0], s.truth[:, 0]),
            "et": dice(found[:, 1], s.truth[:, 1]) if enhances(s) else np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(REGIONS))


def paired_gain(better: pd.Series, worse: pd.Series, *, seed: int = 0, resamples: int = 2000) -> dict[str, Any]:
    """Mean difference of two methods on the same subjects, with the percentile interval of a paired bootstrap."""
    difference = (better - worse).dropna().to_numpy()
    draws = rng(seed, "gain").integers(len(difference), size=(resamples, len(difference)))
    low, high = np.quantile(difference[draws].mean(1), [0.025, 0.975])
    return {"gain": float(difference.mean()), "low": float(low), "high": float(high), "n": len(difference)}


def what_fools(found: Mapping[str, np.ndarray], subjects: Mapping[str, Slices], *, region: int = 0) -> pd.DataFrame:
    """What a method's errors lie on, by distractor.

    Args:
        found: masks of :func:`segment` or :func:`rule` by subject.
        subjects: simulated ones, with their distractors.
        region: 0 for whole, 1 for enhancing tumour.

    Returns:
        One row a distractor: ``false positive``, ``false negative`` (share of the tumour's volume, mean over
        subjects) and ``Dice lost``: what Dice would gain were there no error on it.
    """
    rows = []
    for name, masks in found.items():
        s = subjects[name]
        mask, truth = masks[:, region], s.truth[:, region]
        if s.distractors is None or not truth.any():
            continue
        before = dice(mask, truth)
        for code, title in enumerate(("no distractor", *DISTRACTORS)):
            here = s.distractors == code
            rows.append({
                "distractor": title,
                "false positive": float((mask & ~truth & here).sum() / truth.sum()),
                "false negative": float((~mask & truth & here).sum() / truth.sum()),
                "Dice lost": dice(np.where(here, truth, mask), truth) - before,
            })  # fmt: skip
    return pd.DataFrame(rows).groupby("distractor", sort=False).mean()


def kept_calibration() -> dict[str, pd.DataFrame]:
    """The kept result of ``benchmarks/phantom_transfer.py``: ``table``, ``gains`` and ``fools``; empty without one."""
    file = project_root() / "published" / "phantom_calibration.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {name: pd.DataFrame(kept.get(name, [])) for name in ("table", "gains", "fools")}


def transfer_attempts() -> pd.DataFrame:
    """Every kept attempt at transfer, version 2's with four modalities in 3D first; empty where there are none."""
    file = project_root() / "published" / "phantom_transfer.json"
    attempts = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    rows = []
    for item in attempts:
        settings, real = item["settings"], item["real_dice"]
        row = {
            "simulator": item.get("generator", 1),
            "network": item.get("network", "3D, four modalities"),
            "simulated subjects": settings.get("n") or settings["low"] + settings["high"],
            "simulated": item["simulated_dice"]["mean"],
            "3 BraTS": real["mean"],
            "smallest": real["min"],
            "6 of two modalities": item.get("two_modalities_dice", {}).get("mean", np.nan),
            "110 lower grade": item.get("lower_grade_dice", {}).get("mean", np.nan),
            "seconds": item["training_seconds"],
            "note": item.get("note", ""),
        }
        rows.append(row)
    return pd.DataFrame(rows)
