"""One subject, from traits to volumes: anatomy, tumour, signal, scanner."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch

from radlib.core.errors import RadlibError
from radlib.core.seeds import named_seed, rng
from radlib.phantom.anatomy import Grid, Tissue, make_head, tissue_on
from radlib.phantom.distractors import NORMAL_TISSUES, normal_tissue
from radlib.phantom.fields import Axes, octaves
from radlib.phantom.growth import grow_in_head, mass_effect
from radlib.phantom.mechanisms import Mechanisms
from radlib.phantom.scanner import Protocol, acquire, bias_field, move, vary
from radlib.phantom.signal import signal_model
from radlib.phantom.traits import ImagingTraits
from radlib.phantom.tumour import TUMOUR_TISSUES, Tumour, compartments

MODALITIES = ("t1", "t1ce", "t2", "flair")


@dataclass
class Stages:
    """Seconds spent in each stage, added up over subjects."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, name: str, device: torch.device | None = None) -> Iterator[None]:
        """Add the time of the block to ``name``."""
        start = time.perf_counter()
        yield
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class Rendered:
    """The volumes of one subject, on the whole grid.

    Attributes:
        images: modality -> ``(X, Y, Z)`` int16 in scanner units, 0 outside the brain and above 0 inside.
        labels: ``(X, Y, Z)`` uint8, BraTS labels 0, 1, 2, 4 as a person draws them.
        distractors: ``(X, Y, Z)`` uint8, codes of :data:`radlib.phantom.distractors.DISTRACTORS`, 0 for none.
        probabilities: ``(X, Y, Z, 4)`` uint8, probability of labels 0, 1, 2, 4 under partial volume, 255 for 1:
            the tumour as it is.
        clean: modality -> ``(X, Y, Z)`` int16: the image before bias, motion, slices and noise, in the same units.
        volumes_ml: what was grown: ``label_1``, ``label_2``, ``label_4``, ``brain``, ``whole``, in ml.
        seeds: where the foci started, mm of head space.
    """

    images: dict[str, np.ndarray]
    labels: np.ndarray
    distractors: np.ndarray
    probabilities: np.ndarray
    clean: dict[str, np.ndarray]
    volumes_ml: dict[str, float]
    seeds: list[tuple[float, float, float]]


def render_subject(
    traits: ImagingTraits,
    *,
    subject: str,
    seed: int,
    protocol: Protocol,
    grid: Grid | None = None,
    modalities: tuple[str, ...] = MODALITIES,
    mechanisms: Mechanisms | None = None,
    clean: bool = False,
    device: torch.device | str = "cpu",
    stages: Stages | None = None,
) -> Rendered:
    """Simulate the images of one subject.

    The result depends on the arguments only: on one platform, with one thread, bit for bit.

    Args:
        traits: what the image has to show.
        subject: name of the subject; with ``seed`` it decides every random number.
        seed: seed of the cohort.
        protocol: how the site scans.
        grid: voxels; BraTS's 240 x 240 x 155 at 1 mm where None.
        modalities: which images to make. An image does not depend on which others are made.
        mechanisms: strengths of what makes images hard; the calibrated ones where None.
        clean: keep the un-noised images too.
        device: CPU or GPU. Anatomy and tumour agree between them; noise differs.
        stages: collects the time by stage.

    Raises:
        RadlibError: for traits that are out of range or do not fit the brain, or an unknown modality.
    """
    if unknown := [m for m in modalities if m not in MODALITIES]:
        raise RadlibError(f"unknown modality {unknown[0]!r}", remedy=f"use some of {', '.join(MODALITIES)}")
    grid = grid or Grid()
    stages = stages or Stages()
    mechanisms = mechanisms or Mechanisms()
    protocol = vary(protocol, mechanisms.site, random=rng(seed, "mechanism", "site", subject))
    device = torch.device(device)
    axes = grid.axes(device)
    with torch.inference_mode():
        with stages.time("anatomy", device):
            head = make_head(age=traits.age, seed=seed, subject=subject, device=device)
        with stages.time("tumour growth", device):
            grown = grow_in_head(head, traits, seed=seed, subject=subject)
            displacement = mass_effect(head, grown, traits)
        with stages.time("tissue maps", device):
            displaced = head.with_displacement(displacement)
            tissue = tissue_on(displaced, axes, spacing=grid.spacing)
        with stages.time("compartments", device):
            tumour = compartments(
                grown, displacement, tissue, traits, axes, mechanisms=mechanisms, spacing=grid.spacing, seed=seed,
                subject=subject,
            )  # fmt: skip
        with stages.time("distractors", device):
            normal, codes = normal_tissue(
                displaced, tissue, axes, age=traits.age, mechanisms=mechanisms, spacing=grid.spacing, seed=seed,
                subject=subject,
            )  # fmt: skip
            within = codes[tumour.box]
            codes[tumour.box] = torch.where((tumour.codes > 0) | (tumour.drawn > 0), tumour.codes, within)
        with stages.time("texture", device):
            scene = _scene(normal, tissue, tumour, axes, grid=grid, seed=seed, subject=subject)
        images, cleans = {}, {}
        for modality in modalities:
            with stages.time("signal", device):
                signal, reference = _signal(scene, protocol, modality)
            with stages.time("scanner", device):
                images[modality], perfect = _scan(
                    signal, reference, scene, protocol, modality, axes, mechanisms=mechanisms, grid=grid, seed=seed,
                    subject=subject,
                )  # fmt: skip
            if clean:
                cleans[modality] = _paste(perfect, grid)
    labels = torch.zeros(tissue.brain.shape, dtype=torch.uint8, device=device)
    labels[tumour.box] = tumour.drawn
    counts = {value: int((tumour.labels == value).sum()) for value in (1, 2, 4)}
    probabilities = np.zeros((*grid.shape, 4), np.uint8)
    probabilities[..., 0] = 255
    inner = probabilities[grid.work_slices()][tumour.box]
    inner[...] = (tumour.probabilities.movedim(0, -1) * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    volumes = {f"label_{value}": count * grid.voxel_ml for value, count in counts.items()}
    volumes["whole"] = sum(volumes.values())
    volumes["brain"] = int(tissue.brain.sum()) * grid.voxel_ml
    return Rendered(
        images={name: _paste(image, grid) for name, image in images.items()},
        labels=_paste(labels, grid),
        distractors=_paste(codes, grid),
        probabilities=probabilities,
        clean=cleans,
        volumes_ml=volumes,
        seeds=grown.seeds,
    )


@dataclass(frozen=True)
class _Scene:
    """What every modality sees: tissue fractions of the head, their variation, and the tumour in it."""

    normal: torch.Tensor  # (10, X, Y, Z) fractions of NORMAL_TISSUES
    water: torch.Tensor  # (X, Y, Z) relative change of T1 and T2
    brain: torch.Tensor
    tumour: Tumour
    tumour_water: torch.Tensor  # (box) the same inside the tumour
    uptake: torch.Tensor  # (box) relative change of the gadolinium concentration


def _scene(
    normal: torch.Tensor, tissue: Tissue, tumour: Tumour, axes: Axes, *, grid: Grid, seed: int, subject: str
) -> _Scene:
    random = rng(seed, "texture", subject)
    device = axes[0].device
    # Tissue is not uniform: water content varies at every scale, less in the finest, and over the brain.
    finest = max(grid.spacing)
    scales = [s for s in (16.0, 8.0, 4.0, 2.0, 1.1) if s >= 0.5 * finest]
    water = octaves(axes, scales=scales, exponent=0.25, random=random, device=device).mul_(0.055)
    # A brighter T1 than its tissue explains means less water: nuclei, compact tracts. Signal falls by about 0.7 of the
    # relative rise in T1 (spoiled gradient echo of these protocols), and white matter is 0.8 in the template.
    water.sub_(tissue.detail, alpha=1.0 / (0.7 * 0.8) * 0.8)
    overall = random.normal(0, 0.03)
    water.add_(float(overall)).clamp_(-0.4, 0.4)
    uptake = ((1 + 0.4 * tumour.texture).clamp_min(0.1) * tumour.dose) - 1
    return _Scene(normal, water, tissue.brain, tumour, 0.10 * tumour.texture + water[tumour.box], uptake)


def _signal(scene: _Scene, protocol: Protocol, modality: str) -> tuple[torch.Tensor, float]:
    """The signal of every voxel, with sign, and that of pure white matter."""
    device = scene.normal.device
    names = (*NORMAL_TISSUES, *TUMOUR_TISSUES)
    model = signal_model(protocol.sequence(modality), names, tesla=protocol.tesla)
    k = len(NORMAL_TISSUES)
    rows = torch.stack([model.signal[:k], model.by_water[:k]]).to(device)
    flat = scene.normal.reshape(k, -1)
    base, slope = (rows @ flat).reshape(2, *scene.water.shape)
    signal = torch.addcmul(base, slope, scene.water)

    box = scene.tumour.box
    parts = scene.tumour.tissues
    flat = parts.reshape(len(parts), -1)
    rows = torch.stack([model.signal[k:], model.by_water[k:], model.by_contrast[k:]]).to(device)
    own, water, contrast = (rows @ flat).reshape(3, *parts.shape[1:])
    rest = 1 - parts.sum(0)
    signal[box] = signal[box] * rest + own + water * scene.tumour_water + contrast * scene.uptake
    return signal, float(model.signal[names.index("white")])


def _scan(
    signal: torch.Tensor,
    reference: float,
    scene: _Scene,
    protocol: Protocol,
    modality: str,
    axes: Axes,
    *,
    mechanisms: Mechanisms,
    grid: Grid,
    seed: int,
    subject: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The acquired image and the perfect one, int16 on the work part."""
    random = rng(seed, "scanner", subject, modality)
    device = signal.device
    generator = torch.Generator(device=device)
    generator.manual_seed(named_seed(seed, "noise", subject, modality))
    sequence = protocol.sequence(modality)
    gain = protocol.units / reference * float(np.exp(random.normal(0, 0.25)))
    image = signal
    if (amount := protocol.bias * mechanisms.bias) > 0:
        shared, own = rng(seed, "bias", subject), rng(seed, "bias", subject, modality)
        image = image * bias_field(axes, amount=amount, shared=shared, own=own, device=device)
    degrees, millimetres = random.normal(0, protocol.motion_mm, (2, 3)) * mechanisms.misregistration
    if mechanisms.misregistration > 0:
        image = move(image, axes, degrees=degrees, millimetres=millimetres)
    image = acquire(image, grid=grid, sequence=sequence, sigma=protocol.noise * reference, generator=generator)
    return _to_units(image, gain, scene.brain), _to_units(signal.abs(), gain, scene.brain)


def _to_units(image: torch.Tensor, gain: float, brain: torch.Tensor) -> torch.Tensor:
    """Rounded scanner units, 1 or more in the brain and 0 outside."""
    return (image * gain).round_().clamp_(1, 32767).mul_(brain).to(torch.int16)


def _paste(part: torch.Tensor, grid: Grid) -> np.ndarray:
    """The work part put back into the whole grid."""
    values = part.cpu().numpy()
    whole = np.zeros(grid.shape, values.dtype)
    whole[grid.work_slices()] = values
    return whole
