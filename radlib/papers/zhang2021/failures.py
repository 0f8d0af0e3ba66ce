"""What makes a tumour hard (Figure 9): absent enhancing tumour, ragged contours, disconnected regions.

Two answers. Over the held-out subjects as they are, with the subtype read off the reference. And, in the simulation,
by intervention: one trait of a subject is changed, head, scanner and noise stay the same, and the Dice on both is
compared. Only the second separates the subtype from everything that goes along with it.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from radlib.core.errors import MissingDataError
from radlib.core.files import read_json, reading
from radlib.data.cohort import MODALITIES, Cohort, participants_table
from radlib.data.nifti import write_volume
from radlib.data.regions import REGIONS
from radlib.data.store import ImageStore, prepare
from radlib.papers.zhang2021.data import Data
from radlib.papers.zhang2021.study import segmenter_of, widest
from radlib.phantom.traits import ImagingTraits
from radlib.stats.intervals import Estimate, bootstrap
from radlib.study.jobs import Job, job
from radlib.study.store import Work

SUBTYPES = {
    "absent_et": "absent enhancing tumour",
    "ragged": "ragged contours",
    "disconnected": "disconnected regions",
}
"""Figure 9's kinds of failure, by key."""

CHANGES = {"as_it_is": "as it is", **SUBTYPES}
"""What is done to a subject, by key."""

FOCI = 5
"""Foci of a disconnected tumour. They lie a few centimetres apart, and some grow together again."""

LEAST_FOCUS_ML = 0.5
"""A component of the whole tumour that is smaller counts for nothing."""


# Subjects as they are


def shape_of(labels: np.ndarray, *, voxel_ml: float) -> dict[str, float]:
    """What a reference segmentation shows of the three subtypes.

    Args:
        labels: ``(X, Y, Z)`` with 0, 1, 2, 4.
        voxel_ml: volume of a voxel, ml.

    Returns:
        ``et_ml`` (enhancing volume), ``raggedness`` (surface of the whole tumour over that of a ball of its volume,
        both of voxels) and ``foci`` (components of at least :data:`LEAST_FOCUS_ML`); NaN and 0 without a tumour.
    """
    whole = labels > 0
    if not whole.any():
        return {"et_ml": 0.0, "raggedness": float("nan"), "foci": 0.0}
    padded = np.pad(whole, 1).astype(np.int8)
    faces = sum(int(np.abs(np.diff(padded, axis=axis)).sum()) for axis in range(3))
    ball = 1.5 * np.pi ** (1 / 3) * (6 * int(whole.sum())) ** (2 / 3)  # faces of a digital ball: 3/2 of its surface
    components, count = ndimage.label(whole, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(components.ravel())[1:] * voxel_ml if count else np.zeros(0)
    return {
        "et_ml": float((labels == 4).sum() * voxel_ml), "raggedness": faces / ball,
        "foci": float(max(1, (sizes >= LEAST_FOCUS_ML).sum())),
    }  # fmt: skip


def shape_table(store: ImageStore, subjects: Sequence[str]) -> pd.DataFrame:
    """:func:`shape_of` of subjects, and the subtypes they belong to; ragged is the third with most raggedness."""
    rows = [shape_of(store.subject(one).labels.cpu().numpy(), voxel_ml=store.voxel_ml) for one in subjects]
    table = pd.DataFrame(rows, index=pd.Index(list(subjects), name="subject"))
    return table.assign(
        absent_et=table["et_ml"] == 0, ragged=table["raggedness"] > table["raggedness"].quantile(2 / 3),
        disconnected=table["foci"] > 1,
    )  # fmt: skip


def as_they_are(
    scores: pd.DataFrame, shapes: pd.DataFrame, grade: pd.Series, *, n_boot: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Dice of subjects with and without each subtype, and of low- against high-grade glioma.

    Args:
        scores: long, of one arm.
        shapes: of :func:`shape_table`.
        grade: ``LGG`` or ``HGG`` by subject.
        n_boot, seed: of the bootstrap over subjects.

    Returns:
        One row a subtype and region: ``subtype``, ``region``, ``with``, ``without`` (mean Dice), ``n with``,
        ``n without``, ``difference``, ``low``, ``high`` (NaN where one side has no subject).
    """
    means = scores[scores["metric"] == "dice"].groupby(["subject", "group"])["value"].mean().unstack()
    means = means.reindex(shapes.index)
    sides = {title: shapes[key].astype(bool) for key, title in SUBTYPES.items()}
    sides["low grade"] = grade.reindex(shapes.index) == "LGG"
    rows = []
    for (title, side), region in itertools.product(sides.items(), REGIONS):
        here, values = side.to_numpy(dtype=bool), means[region].to_numpy(dtype=float)
        one = Estimate(float("nan"), n=len(here))
        if here.any() and not here.all():
            one = bootstrap(partial(_contrast, values=values, here=here), here.astype(float), n_boot=n_boot, seed=seed)
        rows.append({
            "subtype": title, "region": region.upper(), "with": means[region][side].mean(),
            "without": means[region][~side].mean(), "n with": int(here.sum()), "n without": int((~here).sum()),
            "difference": one.value, "low": one.low, "high": one.high,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _contrast(weights: np.ndarray, *, values: np.ndarray, here: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # the jackknife may leave one side without a subject
        first = weights[:, here] @ values[here] / weights[:, here].sum(axis=1)
        return first - weights[:, ~here] @ values[~here] / weights[:, ~here].sum(axis=1)


def hardest(scores: pd.DataFrame, shapes: pd.DataFrame, grade: pd.Series) -> dict[str, str]:
    """Subjects for Figure 9: the worst high-grade one, and the worst of each subtype; with what to write beside."""
    mean = scores[scores["metric"] == "dice"].groupby("subject")["value"].mean().sort_values()
    chosen: dict[str, str] = {}
    sides = {"high grade": grade.reindex(shapes.index) == "HGG", **{SUBTYPES[key]: shapes[key] for key in SUBTYPES}}
    for title, side in sides.items():
        chosen |= {str(one): title for one in [one for one in mean.index if side[one] and one not in chosen][:1]}
    return chosen


# Subjects with one trait changed


@job
def changed(work: Work, *, networks: tuple[Job, ...], most: int) -> None:
    """Apply trained networks to held-out subjects as they are and with one trait changed.

    Scores have the columns ``arm`` (of :data:`CHANGES`) and ``run`` (the place of the network).
    """
    data: Data = networks[0].inputs["data"]
    cohort, images = data.images.source.open(), data.images
    with tempfile.TemporaryDirectory() as name:
        both = change_traits(cohort, data.open().held_out, most=most, folder=Path(name))
        store = prepare(both, grid=images.grid, spacing=images.spacing, ids=both.ids)
    parts = [one.partition(":") for one in store.ids]
    shapes = pd.DataFrame([shape_of(labels.numpy(), voxel_ml=store.voxel_ml) for labels in store.labels.cpu()])
    work.table("shapes", shapes.assign(subject=[a for a, _, _ in parts], arm=[b for _, _, b in parts]))
    tables: list[pd.DataFrame] = []
    pictures: dict[str, np.ndarray] = {}
    for run, network in enumerate(networks):
        scores, labels, _ = segmenter_of(network).test(store, store.ids)
        subject = scores["subject"].str.partition(":")
        tables.append(scores.assign(subject=subject[0], arm=subject[2], run=run))
        if not run:
            for one in store.ids[: len(CHANGES)]:
                here, arm = store.subject(one), one.partition(":")[2]
                z = widest(here.labels.numpy())
                pictures |= {
                    f"{arm}/image": here.image("flair")[..., z].numpy(), f"{arm}/truth": here.labels[..., z].numpy(),
                    f"{arm}/found": labels[f"ours/{one}"][..., z],
                }  # fmt: skip
    work.scores(pd.concat(tables, ignore_index=True))
    work.arrays("pictures", pictures, keep=True)


def change_traits(cohort: Cohort, subjects: Sequence[str], *, most: int, folder: Path) -> Cohort:
    """Render subjects again with one trait changed: the truth is known, nothing else differs.

    Absent enhancing tumour turns its volume into non-enhancing core; ragged sets the border's sharpness to 0;
    disconnected makes :data:`FOCI` foci of one. Chosen are subjects with enhancing tumour, one focus and the sharper
    half of borders, the smallest tumours first: foci of large ones grow together again.

    Args:
        cohort: simulated, with its ``truth``.
        subjects: among whom to choose.
        most: at most so many.
        folder: for the images.

    Returns:
        A cohort of ``<subject>:<change>``, changes as in :data:`CHANGES`.

    Raises:
        MissingDataError: if the cohort has no truth, or no subject suits.
    """
    from radlib.phantom.anatomy import Grid
    from radlib.phantom.mechanisms import resolve_mechanisms
    from radlib.phantom.render import render_subject
    from radlib.phantom.scanner import load_protocol

    truth = cohort.truth
    if truth is None:
        raise MissingDataError(f"cohort {cohort.name!r} has no truth", remedy="use a simulated cohort")
    file, again = truth / "traits.tsv", f"make the cohort again: `radlib chapter cohort {cohort.name}`"
    with reading(file, remedy=again):
        traits = pd.read_csv(file, sep="\t", index_col=0).loc[list(subjects)]
    suited = traits[(traits["fraction_et"] > 0.05) & (traits["n_foci"] == 1)]
    sharp = suited[suited["border_sharpness"] >= suited["border_sharpness"].median()]
    chosen = [str(one) for one in sharp.sort_values("volume_ml").index[:most]]
    if not chosen:
        raise MissingDataError("no subject has enhancing tumour in one focus", file=file, remedy="hold out more")
    recipe = read_json(truth / "recipe.json", remedy=again)
    native = Grid(shape=tuple(recipe["grid"]), spacing=tuple(recipe["spacing"]))
    mechanisms = resolve_mechanisms(recipe["mechanisms"])
    rows = []
    for subject in chosen:
        record = read_json(truth / "subjects" / f"{subject}.json", remedy=again)
        paths = {name: str(cohort.path(subject, name)) for name in (*MODALITIES, "seg")}
        rows.append({"id": f"{subject}:as_it_is", **paths})
        own = ImagingTraits(**traits.loc[subject].to_dict())  # type: ignore[arg-type]
        for change, other in variants(own).items():
            made = render_subject(
                other, subject=subject, seed=int(recipe["seed"]), protocol=load_protocol(record["protocol"]),
                grid=native, mechanisms=mechanisms,
            )  # fmt: skip
            row = {"id": f"{subject}:{change}"}
            for part, voxels in (*made.images.items(), ("seg", made.labels)):
                row[part] = str(folder / f"{subject}_{change}_{part}.nii")
                write_volume(row[part], voxels, affine=native.affine, dtype=voxels.dtype)
            rows.append(row)
    return Cohort(name="changed", source="simulated", root=folder, participants=participants_table(rows))


def variants(traits: ImagingTraits) -> dict[str, ImagingTraits]:
    """The three changes of one subject's traits, by subtype."""
    return {
        "absent_et": replace(traits, fraction_et=0.0, fraction_core=traits.fraction_core + traits.fraction_et),
        "ragged": replace(traits, border_sharpness=0.0),
        "disconnected": replace(traits, n_foci=FOCI),
    }  # fmt: skip


def change_check(shapes: pd.DataFrame) -> pd.DataFrame:
    """What the changes did to the references: means of :func:`shape_of` as they are and with each change."""
    names = {"size": "n", "et_ml": "enhancing (ml)", "raggedness": "raggedness", "foci": "foci"}
    means = shapes.assign(size=1.0).groupby("arm").agg({"size": "size", "et_ml": "mean", "raggedness": "mean",
                                                       "foci": "mean"})  # fmt: skip
    table = means.reindex(list(CHANGES)).rename(columns=names)
    table.insert(0, "subjects", list(CHANGES.values()))
    return table.reset_index(drop=True)
