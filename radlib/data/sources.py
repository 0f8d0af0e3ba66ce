"""Where a chapter's cohort comes from: simulated, real, or the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.paths import require_data_root, runs_root
from radlib.data.cohort import Cohort

ROLES: Mapping[str, str] = {
    "brats2017": "MRI with expert segmentations of high- and low-grade glioma (Islam 2020, Zhang 2021, Mehra 2022)",
    "tcga-gbm": "GBM patients with radiomic features, 1740 genes and survival (Islam 2020)",
    "tcga-idh": "BraTS-TCGA patients with radiomic features and IDH status (Ge 2020)",
    "huashan": "low-grade glioma patients with images and IDH1 status (Li 2017)",
    "rembrandt": "REMBRANDT patients with grade (Mehra 2022)",
}
"""The papers' cohorts by the names that chapters ask for them."""

REAL_ONLY: Mapping[str, str] = {"ucsf": "adults with diffuse glioma of one hospital: tables only (UCSF-PDGM)"}
"""Further real cohorts, which stand in for no paper's and are not simulated."""


def role_with_images(role: str, *, cohort: str) -> str:
    """The role that a chapter on images asks for: ``role`` itself, but on real data the patients who have any.

    The patients of Ge 2020, Mehra 2022 and (all but a few) of BraTS are not public with images; in their place stand
    110 lower-grade gliomas of TCGA, the real cohort of the role ``huashan`` (:mod:`radlib.data.readers.lgg`): FLAIR,
    most with T1 and T1c, whole tumour only, thick slices on a nominal grid. A chapter says so in one line,
    ``Source(role_with_images("rembrandt", cohort=cohort), cohort, profile)``, and takes the grid that fits from the
    section ``real`` of the profile, such as 128 x 128 x 44 voxels of 1.5 x 1.5 x 5.
    """
    return "huashan" if cohort == "real" else role


def open_path(path: Path) -> Cohort:
    """The cohort of a folder that :meth:`radlib.data.cohort.Cohort.save` wrote, or that a description (YAML) tells of.

    Raises:
        MissingDataError: if it is not there.
        RadlibError: if it cannot be read.
    """
    from radlib.data.readers.folder import read_described

    return Cohort.load(path) if path.is_dir() else read_described(path)


def open_cohort(
    role: str, *, cohort: str = "simulated", profile: str = "default", root: Path | str | None = None
) -> Cohort:
    """The cohort that a chapter works on.

    Args:
        role: a name in :data:`ROLES`, or in :data:`REAL_ONLY` where ``cohort`` is ``real``.
        cohort: ``simulated``, ``real``, or the path of a cohort description (YAML), which stands in for every role.
        profile: which size of the simulated cohort.
        root: the folder of the real data sets; ``$RADLIB_DATA`` where it is None.

    Raises:
        MissingDataError: if the simulated cohort has not been made, the real data are not there, or the role's real
            cohort is not at hand.
        RadlibError: for an unknown role or kind of cohort.
    """
    if role not in {**ROLES, **REAL_ONLY}:
        raise RadlibError(f"unknown cohort role {role!r}", remedy=f"use one of {', '.join({**ROLES, **REAL_ONLY})}")
    if role in REAL_ONLY and cohort == "simulated":
        raise MissingDataError(f"there is no simulated cohort {role!r}", remedy="use cohort='real'")
    if cohort == "simulated":
        folder = simulated_dir(role, profile=profile)
        if not (folder / "cohort.json").is_file():
            raise MissingDataError(
                f"the simulated cohort {role!r} of profile {profile!r} has not been made",
                file=folder,
                remedy=f"run: radlib chapter cohort {role} --profile {profile}",
            )
        return Cohort.load(folder)
    if cohort == "real":
        return _real_reader(role)(require_data_root(root))
    if cohort.endswith((".yml", ".yaml")):
        from radlib.data.readers.folder import read_described

        return read_described(cohort)
    raise RadlibError(
        f"unknown cohort {cohort!r}", remedy="use 'simulated', 'real', or the path of a cohort description (.yml)"
    )


def open_all(
    *, cohort: str = "simulated", profile: str = "default", root: Path | str | None = None
) -> tuple[dict[str, Cohort], dict[str, str]]:
    """Every role that can be opened, and for each of the others why it cannot.

    A user's description stands in for every role, so it is opened once, under its own name.
    """
    if cohort.endswith((".yml", ".yaml")):
        own = open_cohort(next(iter(ROLES)), cohort=cohort)
        return {own.name: own}, {}
    opened: dict[str, Cohort] = {}
    absent: dict[str, str] = {}
    for role in ROLES:
        try:
            opened[role] = open_cohort(role, cohort=cohort, profile=profile, root=root)
        except MissingDataError as error:
            absent[role] = error.problem
    return opened, absent


def simulated_dir(role: str, *, profile: str) -> Path:
    """``runs/simulated/<profile>/_cohorts/<role>``."""
    return runs_root() / "simulated" / profile / "_cohorts" / role


def _real_reader(role: str) -> Callable[[Path], Cohort]:
    if role == "brats2017":
        from radlib.data.readers.brats import read_brats_like_2017

        return read_brats_like_2017
    if role == "tcga-gbm":
        from radlib.data.readers.tcga import read_tcga_gbm

        return read_tcga_gbm
    if role == "tcga-idh":
        from radlib.data.readers.tcga import read_tcga_idh

        return read_tcga_idh
    if role == "rembrandt":
        from radlib.data.readers.rembrandt import read_rembrandt

        return read_rembrandt
    if role == "ucsf":
        from radlib.data.readers.ucsf import read_ucsf_tables

        return read_ucsf_tables
    from radlib.data.readers.lgg import read_lgg_segmentation

    return read_lgg_segmentation
