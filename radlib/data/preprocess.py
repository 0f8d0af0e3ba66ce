"""Raw clinical images of one patient made like BraTS: one grid, 1 mm, skull-stripped, with every step on record.

The steps are those of BraTS (Bakas et al. 2017, Sci Data 4:170117): convert, register the modalities to one of them,
strip the skull, register to an atlas, resample once. Established tools do the work: dcm2niix (Li et al. 2016, J
Neurosci Methods 264:47), N4 (Tustison et al. 2010, IEEE TMI 29:1310) and rigid registration by Mattes' mutual
information in SimpleITK, HD-BET (Isensee et al. 2019, Hum Brain Mapp 40:4952). The atlas here is ICBM152, which nilearn
ships; that of BraTS is SRI24.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name that its documentation uses

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import atomic_path, sha256, write_json
from radlib.core.progress import track
from radlib.data.cohort import MODALITIES
from radlib.data.nifti import read_volume

SHAPE = (240, 240, 155)
"""Voxels of 1 mm, as in BraTS."""

ORIGIN_LPS = (0.0, -239.0, 0.0)
"""Where BraTS files start, in ITK's coordinates."""

ATLAS_CENTRE_LPS = (0.0, 16.5, 5.5)
"""The middle of the template's brain in ITK's coordinates; it comes to lie in the middle of the grid."""

Stripping = Literal["hd-bet", "none"]


def preprocess(
    images: Mapping[str, Path],
    *,
    subject: str,
    out: Path,
    mask: Path | None = None,
    stripping: Stripping = "hd-bet",
    bias_correction: bool = True,
    seed: int = 0,
) -> dict[str, Any]:
    """Bring the modalities of one patient onto the grid of BraTS.

    Args:
        images: modality to a NIfTI file or a folder of DICOM files. The first of T1ce, T1, FLAIR, T2 that is there is
            the reference of the others.
        subject: name of the patient; files are ``<out>/<subject>/<subject>_<modality>.nii.gz``.
        out: a folder.
        mask: the brain on the grid of the reference image, where it is known.
        stripping: how the brain is found without one; ``none`` keeps what is there, for images stripped already.
        bias_correction: N4 before registration.
        seed: of the sampling of mutual information.

    Returns:
        The record that ``<subject>_steps.json`` holds: inputs with checksums, steps, transforms (matrix and offset in
        ITK's coordinates), similarity after each registration, versions.

    Raises:
        MissingDataError: if a file, dcm2niix or HD-BET is not there.
        RadlibError: for an unknown modality, a folder that is not one series, or an image that cannot be read.
    """
    order = [name for name in ("t1ce", "t1", "flair", "t2") if name in images]
    if unknown := [name for name in images if name not in MODALITIES]:
        raise RadlibError(f"unknown modality {unknown[0]!r}", remedy=f"use some of {', '.join(MODALITIES)}")
    if not order:
        raise RadlibError("no image was given", remedy=f"give at least one of {', '.join(MODALITIES)}")
    steps: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        native = {name: _read(Path(images[name]), work / name, steps=steps) for name in order}
        corrected = dict(native)
        if bias_correction:
            for name in track(order, description="N4"):
                corrected[name] = _n4(native[name])
            steps.append("N4 bias field correction (SimpleITK), shrink factor 4")
        reference = corrected[order[0]]
        to_reference: dict[str, sitk.Transform] = {}
        records = {}
        for name in track(order[1:], description="register"):
            to_reference[name], records[name] = _register(reference, corrected[name], seed=seed)
        if len(order) > 1:
            steps.append(f"rigid registration of {', '.join(order[1:])} to {order[0]} (Mattes mutual information)")
        brain = _brain(reference, mask=mask, stripping=stripping, work=work, steps=steps)
        stripped = sitk.Mask(reference, brain)
        to_atlas, records["atlas"] = _register(_atlas(), stripped, seed=seed)
        steps.append(f"rigid registration of {order[0]} to ICBM152 (Mattes mutual information)")
        grid = _grid()
        head = _composite(to_atlas)
        mask_there = sitk.Resample(brain, grid, head, sitk.sitkNearestNeighbor, 0.0)
        written = {}
        for name in order:
            moved = sitk.Resample(
                corrected[name], grid, _composite(to_atlas, to_reference.get(name)), sitk.sitkLinear, 0.0
            )
            written[name] = _write(sitk.Mask(moved, mask_there), out / subject / f"{subject}_{name}.nii.gz")
        steps.append("one linear resampling to 240 x 240 x 155 voxels of 1 mm")
    record = {
        "subject": subject, "steps": steps, "reference": order[0],
        "inputs": {name: _checksum(Path(images[name])) for name in order}, "outputs": written,
        "registrations": records, "simpleitk": sitk.Version_VersionString(),
    }  # fmt: skip
    write_json(out / subject / f"{subject}_steps.json", record)
    return record


def _read(path: Path, work: Path, *, steps: list[str]) -> sitk.Image:
    """A NIfTI file, or a folder of DICOM files through dcm2niix, as a float image."""
    if path.is_dir():
        program = shutil.which("dcm2niix")
        if program is None:
            raise MissingDataError(
                "dcm2niix is not installed, and this is a folder of DICOM files", file=path,
                remedy="install it (Debian: dcm2niix), or convert the series and give the NIfTI file",
            )  # fmt: skip
        work.mkdir(parents=True)
        done = subprocess.run(
            [program, "-z", "y", "-b", "n", "-f", "series", "-o", str(work), str(path)], capture_output=True, text=True
        )
        found = sorted(work.glob("*.nii.gz"))
        if len(found) != 1:
            last = (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise RadlibError(
                f"dcm2niix made {len(found)} volumes of it: {' '.join(last)}", file=path,
                remedy="give a folder with the files of one series",
            )  # fmt: skip
        steps.append(f"dcm2niix: {path.name}")
        path = found[0]
    volume = read_volume(path)
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.data.transpose(2, 1, 0)))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    direction = lps[:3, :3] / spacing
    if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-3):
        raise RadlibError("the axes of the volume are sheared", file=path, remedy="resample it to a grid first")
    # ITK wants the axes at right angles to more digits than a NIfTI header keeps.
    u, _, v = np.linalg.svd(direction)
    image.SetSpacing([float(s) for s in spacing])
    image.SetDirection([float(d) for d in (u @ v).ravel()])
    image.SetOrigin([float(o) for o in lps[:3, 3]])
    return image


def _n4(image: sitk.Image) -> sitk.Image:
    """The image over its bias field, which is estimated at a quarter of the resolution."""
    positive = sitk.Cast(image > 0, sitk.sitkUInt8)
    factors = [max(1, min(4, size // 16)) for size in image.GetSize()]
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([50, 30, 20])
    corrector.Execute(sitk.Shrink(image, factors), sitk.Shrink(positive, factors))
    field = sitk.Exp(corrector.GetLogBiasFieldAsImage(image))
    return sitk.Cast(image / sitk.Maximum(field, 1e-3), sitk.sitkFloat32)


def _register(fixed: sitk.Image, moving: sitk.Image, *, seed: int) -> tuple[sitk.Transform, dict[str, Any]]:
    """A rigid transform from points of ``fixed`` to points of ``moving``, and what is to be recorded of it."""
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.2, seed + 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=1e-3, numberOfIterations=200, gradientMagnitudeTolerance=1e-6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4, 2, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=False)
    found = method.Execute(fixed, moving)
    origin, axes = np.zeros(3), np.eye(3)
    offset = np.array(found.TransformPoint(origin.tolist()))
    matrix = np.column_stack([np.array(found.TransformPoint(axis.tolist())) - offset for axis in axes])
    return found, {
        "matrix": matrix.round(6).tolist(), "offset_mm": offset.round(4).tolist(),
        "mutual_information": round(-float(method.GetMetricValue()), 5), "iterations": method.GetOptimizerIteration(),
    }  # fmt: skip


def _brain(
    reference: sitk.Image, *, mask: Path | None, stripping: Stripping, work: Path, steps: list[str]
) -> sitk.Image:
    """The brain on the grid of the reference, uint8."""
    if mask is not None:
        found = _read(mask, work / "mask", steps=steps)
        if found.GetSize() != reference.GetSize():
            raise RadlibError(
                f"the mask has shape {found.GetSize()}, the reference image {reference.GetSize()}", file=mask,
                remedy="draw the mask on the reference image (T1ce where there is one)",
            )  # fmt: skip
        steps.append("brain mask given")
        found.CopyInformation(reference)
        return sitk.Cast(found > 0.5, sitk.sitkUInt8)
    if stripping == "none":
        steps.append("no skull-stripping: what is not 0 counts as brain")
        return sitk.Cast(reference > 0, sitk.sitkUInt8)
    program = shutil.which("hd-bet")
    if program is None:
        raise MissingDataError(
            "HD-BET is not installed, so that the skull cannot be stripped",
            remedy="pip install hd-bet, or give a brain mask, or say that the images are stripped already",
        )
    source, target = work / "reference.nii.gz", work / "brain.nii.gz"
    sitk.WriteImage(reference, str(source))
    done = subprocess.run(
        [program, "-i", str(source), "-o", str(target), "-device", "cpu", "--disable_tta", "--save_bet_mask"],
        capture_output=True, text=True,
    )  # fmt: skip
    masks = sorted(work.glob("brain*mask*.nii.gz")) or sorted(work.glob("brain_bet.nii.gz"))
    if done.returncode or not masks:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise RadlibError(f"HD-BET failed: {' '.join(last)}", remedy="run hd-bet by hand, and give its mask")
    steps.append("HD-BET on the CPU, without test-time augmentation")
    found = sitk.ReadImage(str(masks[0]), sitk.sitkFloat32)
    return sitk.Cast(found > 0.5, sitk.sitkUInt8)


def _atlas() -> sitk.Image:
    """The T1 template of ICBM152, skull-stripped, at 2 mm, from nilearn's package files."""
    from nilearn.datasets import load_mni152_template

    template = load_mni152_template(resolution=2)
    data = np.asarray(template.dataobj, dtype=np.float32)
    image = sitk.GetImageFromArray(np.ascontiguousarray(data[::-1, ::-1].transpose(2, 1, 0)))
    spacing = 2.0
    # Both axes are turned round, so that the directions are those of ITK.
    corner = template.affine @ np.array([data.shape[0] - 1, data.shape[1] - 1, 0, 1])
    image.SetSpacing([spacing] * 3)
    image.SetOrigin([-float(corner[0]), -float(corner[1]), float(corner[2])])
    return image


def _grid() -> sitk.Image:
    grid = sitk.Image(SHAPE, sitk.sitkUInt8)
    grid.SetOrigin(ORIGIN_LPS)
    return grid


def _composite(to_atlas: sitk.Transform, to_reference: sitk.Transform | None = None) -> sitk.Transform:
    """From points of the grid through the atlas and the reference image to points of an image."""
    middle = [o + (n - 1) / 2 for o, n in zip(ORIGIN_LPS, SHAPE, strict=True)]
    shift = sitk.TranslationTransform(3, [a - m for a, m in zip(ATLAS_CENTRE_LPS, middle, strict=True)])
    chain = [*([to_reference] if to_reference is not None else []), to_atlas, shift]
    return sitk.CompositeTransform(chain)  # the last is applied first


def _write(image: sitk.Image, path: Path) -> str:
    with atomic_path(path) as temporary:
        sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat32), str(temporary))
    return sha256(path)


def _checksum(path: Path) -> dict[str, str]:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {file.name: sha256(file) for file in files}
