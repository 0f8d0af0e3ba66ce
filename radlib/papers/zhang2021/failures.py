"""What makes a tumour hard (Figure 9): absent enhancing tumour, ragged contours, disconnected regions.

Two answers. Over the held-out subjects as they are, with the subtype read off the reference. And, in the simulation,
by intervention: one trait of a subject is changed, head, scanner and noise stay the same, and the Dice on both is
compared. Only the second separates the subtype from everything that goes along with it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from radlib.papers.zhang2021.fusion import Outcome, Run, apply
from radlib.phantom.traits import ImagingTraits
from radlib.stats.intervals import Estimate, bootstrap
from radlib.stats.paired import paired_difference

SUBTYPES = {
    "absent_et": "absent enhancing tumour",
    "ragged": "ragged contours",
    "disconnected": "disconnected regions",
}
"""Figure 9's kinds of failure, by key."""

AS_IT_IS = "as it is"

FOCI = 5
"""Foci of a disconnected tumour. They lie a few centimetres apart, and some grow together again."""

LEAST_FOCUS_ML = 0.5
"""A component of the whole tumour that is smaller counts for nothing."""


# Subjects as they are


def shape_of(labels: np.ndarray, *, spacing: float) -> dict[str, float]:
    """What a reference segmentation shows of the three subtypes.

    Args:
        labels: ``(X, Y, Z)`` with 0, 1, 2, 4.
        spacing: mm.

    Returns:
        ``et_ml`` (enhancing volume), ``raggedness`` (surface of the whole tumour over that of a ball of its volume,
        both of voxels) and ``foci`` (components of at least :data:`LEAST_FOCUS_ML`); NaN and 0 without a tumour.
    """
    whole = labels > 0
    voxel_ml = spacing**3 / 1000
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
    rows = [shape_of(store.labels[store.rows([s])[0]].cpu().numpy(), spacing=store.spacing) for s in subjects]
    table = pd.DataFrame(rows, index=pd.Index(list(subjects), name="subject"))
    return table.assign(
        absent_et=table["et_ml"] == 0, ragged=table["raggedness"] > table["raggedness"].quantile(2 / 3),
        disconnected=table["foci"] > 1,
    )  # fmt: skip


def as_they_are(
    outcome: Outcome, shapes: pd.DataFrame, grade: pd.Series, *, n_boot: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Dice of subjects with and without each subtype, and of low- against high-grade glioma.

    Args:
        outcome: of the held-out subjects.
        shapes: of :func:`shape_table`.
        grade: ``LGG`` or ``HGG`` by subject.
        n_boot, seed: of the bootstrap.

    Returns:
        One row a subtype and region: ``subtype``, ``region``, ``with``, ``without`` (mean Dice), ``n with``,
        ``n without``, ``difference``, ``low``, ``high`` (NaN where one side has no subject).
    """
    means = outcome.scores.groupby(["subject", "region"])["dice"].mean().unstack()
    sides = {title: shapes[key].astype(bool) for key, title in SUBTYPES.items()}
    sides["low grade"] = grade.reindex(shapes.index) == "LGG"
    rows = []
    for title, side in sides.items():
        for region in REGIONS:
            values = means[region].reindex(shapes.index).to_numpy(dtype=float)
            here = side.to_numpy(dtype=bool)
            row = {
                "subtype": title, "region": region.upper(), "with": _mean(values[here]),
                "without": _mean(values[~here]), "n with": int(here.sum()), "n without": int((~here).sum()),
                "difference": np.nan, "low": np.nan, "high": np.nan,
            }  # fmt: skip
            if here.any() and not here.all():
                one = bootstrap(
                    lambda weights, v=values, h=here: _contrast(weights, v, h),  # type: ignore[misc]
                    here.astype(float), n_boot=n_boot, seed=seed,
                )  # fmt: skip
                row |= {"difference": one.value, "low": one.low, "high": one.high}
            rows.append(row)
    return pd.DataFrame(rows)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _contrast(weights: np.ndarray, values: np.ndarray, here: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # the jackknife may leave one side without a subject
        first = weights[:, here] @ values[here] / weights[:, here].sum(axis=1)
        return first - weights[:, ~here] @ values[~here] / weights[:, ~here].sum(axis=1)


# Subjects with one trait changed


@dataclass(frozen=True, kw_only=True)
class Changed:
    """Subjects of the simulation, each as it is and with one trait changed.

    Attributes:
        store: the images; ids are ``<subject>:<subtype>``, the subject itself ``<subject>:as_it_is``.
        subjects: who was changed.
        shapes: :func:`shape_of` of every id: what the change did to the reference.
    """

    store: ImageStore
    subjects: tuple[str, ...]
    shapes: pd.DataFrame

    def ids(self, subtype: str) -> list[str]:
        """The ids of all subjects with this change, in the order of ``subjects``."""
        return [f"{subject}:{subtype}" for subject in self.subjects]


def change_traits(
    cohort: Cohort, subjects: Sequence[str], *, most: int, grid: Sequence[int], spacing: float, device: str = "cpu"
) -> Changed:
    """Render subjects again with one trait changed: the truth is known, nothing else differs.

    Absent enhancing tumour turns its volume into non-enhancing core; ragged sets the border's sharpness to 0;
    disconnected makes :data:`FOCI` foci of one. Chosen are subjects with enhancing tumour, one focus and the sharper
    half of borders, the smallest tumours first: foci of large ones grow together again.

    Args:
        cohort: simulated, with its ``truth``.
        subjects: among whom to choose.
        most: at most so many.
        grid, spacing: of the images, as for :func:`radlib.data.store.prepare`.
        device: where to render.

    Raises:
        MissingDataError: if the cohort has no truth, or no subject suits.
    """
    from radlib.phantom.anatomy import Grid
    from radlib.phantom.render import render_subject
    from radlib.phantom.scanner import load_protocol

    truth = cohort.truth
    if truth is None:
        raise MissingDataError(f"cohort {cohort.name!r} has no truth", remedy="use a simulated cohort")
    file = truth / "traits.tsv"
    again = f"make the cohort again: `radlib chapter cohort {cohort.name}`"
    with reading(file, remedy=again):
        traits = pd.read_csv(file, sep="\t", index_col=0).loc[list(subjects)]
    suited = traits[(traits["fraction_et"] > 0.05) & (traits["n_foci"] == 1)]
    sharp = suited[suited["border_sharpness"] >= suited["border_sharpness"].median()]
    chosen = sharp.sort_values("volume_ml").index[:most]
    if not len(chosen):
        raise MissingDataError("no subject has enhancing tumour in one focus", file=file, remedy="hold out more")
    recipe = read_json(truth / "recipe.json", remedy=again)
    native = Grid(shape=tuple(recipe["grid"]), spacing=tuple(recipe["spacing"]))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for subject in chosen:
            record = read_json(truth / "subjects" / f"{subject}.json", remedy=again)
            own = ImagingTraits(**traits.loc[subject].to_dict())
            rows.append({"id": f"{subject}:as_it_is", **_paths(cohort, str(subject))})
            for subtype, other in variants(own).items():
                made = render_subject(
                    other, subject=str(subject), seed=int(recipe["seed"]), protocol=load_protocol(record["protocol"]),
                    grid=native, device=device,
                )  # fmt: skip
                row = {"id": f"{subject}:{subtype}"}
                for part, voxels in (*made.images.items(), ("seg", made.labels)):
                    row[part] = str(folder / f"{subject}_{subtype}_{part}.nii")
                    write_volume(row[part], voxels, affine=native.affine, dtype=voxels.dtype)
                rows.append(row)
        both = Cohort(
            name="changed", source="simulated", root=folder, participants=participants_table(rows)
        )  # paths are absolute
        store = prepare(both, grid=grid, spacing=spacing, ids=both.ids)
    shapes = pd.DataFrame(
        [shape_of(labels.numpy(), spacing=spacing) for labels in store.labels.cpu()],
        index=pd.Index(store.ids, name="id"),
    )
    return Changed(store=store, subjects=tuple(str(one) for one in chosen), shapes=shapes)


def variants(traits: ImagingTraits) -> dict[str, ImagingTraits]:
    """The three changes of one subject's traits, by subtype."""
    return {
        "absent_et": replace(traits, fraction_et=0.0, fraction_core=traits.fraction_core + traits.fraction_et),
        "ragged": replace(traits, border_sharpness=0.0),
        "disconnected": replace(traits, n_foci=FOCI),
    }  # fmt: skip


def _paths(cohort: Cohort, subject: str) -> dict[str, str]:
    return {name: str(cohort.path(subject, name)) for name in (*MODALITIES, "seg")}


def changed_table(
    changed: Changed, runs: Sequence[Run], *, n_boot: int = 2000, seed: int = 0
) -> tuple[pd.DataFrame, Outcome]:
    """What each change does to the Dice of trained networks.

    Returns:
        One row a subtype and region: ``subtype``, ``region``, ``as it is``, ``changed`` (mean Dice), ``difference``,
        ``low``, ``high`` (paired over subjects, averaged over runs), ``n``; and the outcome itself.
    """
    (outcome,) = apply(runs, changed.store, changed.store.ids).values()
    means = outcome.scores.groupby(["subject", "region"])["dice"].mean().unstack()
    rows = []
    for subtype, title in SUBTYPES.items():
        for region in REGIONS:
            base = means[region].loc[changed.ids("as_it_is")].to_numpy(dtype=float)
            other = means[region].loc[changed.ids(subtype)].to_numpy(dtype=float)
            one = paired_difference(other, base, n_boot=n_boot, seed=seed)
            rows.append({
                "subtype": title, "region": region.upper(), AS_IT_IS: base.mean(), "changed": other.mean(),
                "difference": one.value, "low": one.low, "high": one.high, "n": one.n,
            })  # fmt: skip
    return pd.DataFrame(rows), outcome


def change_check(changed: Changed) -> pd.DataFrame:
    """What the changes did to the references: means of :func:`shape_of` as they are and with each change."""
    rows = []
    for subtype, title in {"as_it_is": AS_IT_IS, **SUBTYPES}.items():
        part = changed.shapes.loc[changed.ids(subtype)]
        rows.append({
            "subjects": title, "n": len(part), "enhancing (ml)": part["et_ml"].mean(),
            "raggedness": part["raggedness"].mean(), "foci": part["foci"].mean(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def failure_sentence(table: pd.DataFrame) -> str:
    """:func:`changed_table` in words: the changes that cost Dice, with the interval of the difference below 0."""
    costly = table[table["high"] < 0]
    if not len(costly):
        return "No change of a single trait costs Dice with an interval below 0."
    said = "; ".join(
        f"{row['subtype']} ({row['region']} {row['difference']:+.3f}, {row['low']:+.3f} to {row['high']:+.3f})"
        for row in costly.to_dict("records")
    )
    return f"What costs Dice when nothing else changes: {said}."


def hardest(outcome: Outcome, shapes: pd.DataFrame, grade: pd.Series) -> dict[str, str]:
    """Subjects for Figure 9: the worst high-grade one, and the worst of each subtype; with what to write beside."""
    mean = outcome.scores.groupby("subject")["dice"].mean().sort_values()
    chosen: dict[str, str] = {}
    high = [s for s in mean.index if grade.get(s) == "HGG"]
    if high:
        chosen[str(high[0])] = "high grade"
    for key, title in SUBTYPES.items():
        for subject in mean.index:
            if subject not in chosen and bool(shapes.loc[subject, key]):
                chosen[str(subject)] = title
                break
    return chosen


def rows_of(changed: Changed) -> dict[str, str]:
    """The first subject as it is and with each change, for a figure: id to what is written beside."""
    first = changed.subjects[0]
    return {f"{first}:{key}": title for key, title in {"as_it_is": AS_IT_IS, **SUBTYPES}.items()}


def for_the_ledger(natural: pd.DataFrame, changes: pd.DataFrame | None) -> tuple[Estimate, str]:
    """The number that stands for Figure 9: what absent enhancing tumour does to the Dice of the core.

    Returns:
        From the intervention where there is one, else between subjects as they are; and what it is, in words.
    """
    table, how = (natural, "subjects without against those with it")
    if changes is not None:
        table, how = changes, "the same subjects with it taken away"
    row = table[(table["subtype"] == SUBTYPES["absent_et"]) & (table["region"] == "TC")].iloc[0]
    n = int(row["n"]) if "n" in row else int(row["n with"] + row["n without"])
    one = Estimate(float(row["difference"]), float(row["low"]), float(row["high"]), n)
    return one, f"difference in the Dice of the core without enhancing tumour: {how}"
