"""What the chapter on hand-crafted features shows: box counting, stability, speed, and what separates classes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from radlib.core.errors import MissingDataError
from radlib.core.paths import project_root
from radlib.core.progress import track
from radlib.data.cohort import Cohort
from radlib.data.regions import region_mask
from radlib.features.api import compute_features
from radlib.features.boxcount import box_count
from radlib.features.islam71 import feature_names as names_71
from radlib.features.presets import preset
from radlib.features.registry import FEATURES
from radlib.features.settings import Discretisation, FeatureSettings
from radlib.plots.style import PALETTE
from radlib.stats.intervals import Estimate
from radlib.stats.roc import delong

# Conformity


def conformity_sentence(reference: pd.DataFrame, baseline: pd.DataFrame) -> str:
    """The totals of :func:`radlib.features.conformity.conformity_table` and :func:`.baseline_table` in words."""
    parts = [f"{met} on the {case}" for case, met in reference.loc["all"].items()]
    return (
        f"Reference values met: {'; '.join(parts)}. Baseline values of PyRadiomics met: {baseline['met'].sum()} of "
        f"{baseline['values'].sum()}."
    )


# Box counting


def box_figure(
    labels: np.ndarray, *, spacing: tuple[float, float, float], size_voxels: Sequence[int] = (8, 4, 2)
) -> Figure:
    """Box counting of enhancing tumour and necrosis, as in Figure 5 B and C: boxes on a slice, and the line through.

    Args:
        labels: ``(X, Y, Z)`` with 0, 1, 2, 4.
        spacing: mm.
        size_voxels: edges of the boxes that are drawn.
    """
    regions = {"enhancing tumour": labels == 4, "necrosis": labels == 1}
    figure, grid = plt.subplots(2, len(size_voxels) + 1, figsize=(3.0 * (len(size_voxels) + 1), 6.2))
    for row, (name, mask) in enumerate(regions.items()):
        place = int(mask.sum(axis=(0, 1)).argmax())
        part = mask[:, :, place]
        inside = np.argwhere(part)
        low, high = inside.min(axis=0), inside.max(axis=0) + 1
        for axes, size in zip(grid[row], size_voxels, strict=False):
            _draw_boxes(axes, part, low, high, size)
            axes.set_title(f"{name}: boxes of {size * spacing[0]:g} mm", fontsize=9)
        found = box_count(mask, spacing=spacing)
        line = grid[row, -1]
        line.loglog(found.size_mm, found.count, "o", color=PALETTE[row])
        slope = np.polynomial.polynomial.polyfit(np.log(found.size_mm), np.log(found.count), 1)
        line.loglog(found.size_mm, np.exp(slope[0]) * found.size_mm ** slope[1], "-", color=PALETTE[row])
        line.set(title=f"dimension {found.dimension:.2f}", xlabel="edge of a box (mm)", ylabel="boxes touched")
        line.set_xticks(found.size_mm, [f"{size:g}" for size in found.size_mm], fontsize=9)
        line.minorticks_off()
    return figure


def _draw_boxes(axes: plt.Axes, part: np.ndarray, low: np.ndarray, high: np.ndarray, size: int) -> None:
    axes.imshow(part.T, cmap="Greys", vmin=0, vmax=1.6, origin="lower", interpolation="nearest")
    for x in range(low[0], high[0], size):
        for y in range(low[1], high[1], size):
            if part[x : x + size, y : y + size].any():
                axes.add_patch(Rectangle((x - 0.5, y - 0.5), size, size, fill=False, edgecolor=PALETTE[1], linewidth=1))
    last = low + -(-(high - low) // size) * size  # the last boxes reach beyond the region
    axes.set(xlim=(low[0] - 2, last[0] + 2), ylim=(low[1] - 2, last[1] + 2))
    axes.set_axis_off()


def best_shown(cohort: Cohort) -> str | None:
    """The subject with the most of whichever it has less, enhancing tumour or necrosis; None where nobody has both."""
    sizes = {}
    for subject in cohort.complete("seg").ids:
        labels = cohort.labels(subject).data
        sizes[subject] = min(int((labels == 1).sum()), int((labels == 4).sum()))
    best = max(sizes, key=lambda subject: sizes[subject], default=None)
    return best if best is not None and sizes[best] else None


# Stability


def texture_settings(bins: int) -> FeatureSettings:
    """Every IBSI family on the original image, in 3D, with a fixed number of grey levels."""
    return FeatureSettings(
        aggregations=("3d_merged", "3d"),
        discretisation=Discretisation(method="fbn", bin_count=bins),
        ivh=Discretisation(method="fbn", bin_count=1000),
    )


def families_of(names: Sequence[str]) -> dict[str, str]:
    """The IBSI family of each feature of :func:`texture_settings`, in words."""
    words = {
        "local_intensity": "local intensity", "ivh": "intensity-volume histogram", "glcm": "co-occurrence",
        "glrlm": "run length", "glszm": "size zone", "gldzm": "distance zone", "ngtdm": "tone difference",
        "ngldm": "dependence",
    }  # fmt: skip
    known = sorted({feature.family for feature in FEATURES}, key=len, reverse=True)
    family = {name: next(one for one in known if name.startswith(one)) for name in names}
    return {name: words.get(one, one) for name, one in family.items()}


def load_regions(
    cohort: Cohort, ids: Sequence[str], *, modality: str, region: str = "wt"
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Image and mask of subjects that have both and a region that is not empty."""
    found = {}
    for subject in cohort.subset(ids).complete(modality, "seg").ids:
        mask = region_mask(cohort.labels(subject).data, region)
        if mask.any():
            found[subject] = (cohort.volume(subject, modality).data, mask)
    return found


def computing(spacing: tuple[float, float, float]) -> Any:
    """The function that :func:`radlib.stats.perturbation.measure` calls."""

    def compute(image: np.ndarray, mask: np.ndarray, settings: Mapping[str, Any]) -> Mapping[str, float]:
        found = compute_features(image, mask, spacing, texture_settings(settings["bins"]))
        return {str(name): float(value) for name, value in found.items()}

    return compute


# Speed


def speed_table(cohort: Cohort, ids: Sequence[str]) -> pd.DataFrame:
    """Seconds a subject of every preset on this machine, with the number of features and the size of the region."""
    rows = []
    for name in ("islam71", "ibsi", "li671"):
        chosen = preset(name)
        settings = chosen.parse(None)
        chosen.compute(cohort, ids[0], settings)  # the first call compiles
        times = []
        for subject in ids:
            start = time.perf_counter()
            chosen.compute(cohort, subject, settings)
            times.append(time.perf_counter() - start)
        rows.append({
            "preset": name, "features": len(chosen.names(settings)), "median (s)": float(np.median(times)),
            "slowest (s)": max(times), "subjects": len(times),
        })  # fmt: skip
    return pd.DataFrame(rows)


# What separates


def preset_features(cohort: Cohort, *, name: str, ids: Sequence[str], modalities: Sequence[str]) -> pd.DataFrame:
    """A preset's features of subjects on several modalities, in memory.

    Columns are named ``<modality>: <feature>``. Of features that are the same on two modalities, such as the shape of
    the region, one is left, named by the feature alone.
    """
    chosen = preset(name)
    tables = {}
    for modality in modalities:
        settings = chosen.parse({"modality": modality})
        rows = {
            subject: chosen.compute(cohort, subject, settings)
            for subject in track(ids, description=f"{name} features of {modality}")
        }
        tables[modality] = pd.DataFrame.from_dict(rows, orient="index", columns=chosen.names(settings))
    first = tables[modalities[0]]
    same = [column for column in first if all(first[column].equals(one[column]) for one in tables.values())]
    if len(modalities) == 1:
        same = []
    parts = [one.drop(columns=same).add_prefix(f"{modality}: ") for modality, one in tables.items()]
    return pd.concat([first[same], *parts], axis=1).rename_axis("id")


def separation(table: pd.DataFrame, positive: pd.Series) -> pd.DataFrame:
    """How well each feature alone tells two classes apart.

    Args:
        table: subjects x features.
        positive: bool, same index.

    Returns:
        ``auc`` with ``low`` and ``high`` (DeLong; the direction in which it is at least 0.5), ``p`` (two-sided, normal)
        and ``q`` (Benjamini and Hochberg), the best first. Features without two values are left out.
    """
    from scipy import stats

    rows = {}
    for name in table:
        values = table[name].dropna()
        truth = positive[values.index].to_numpy()
        if values.nunique() < 2 or truth.all() or not truth.any():
            continue
        found = delong(truth, values.to_numpy())
        if found.value < 0.5:
            found = Estimate(1 - found.value, 1 - found.high, 1 - found.low, found.n, found.method)
        test = stats.mannwhitneyu(values[truth], values[~truth])
        rows[name] = {"auc": found.value, "low": found.low, "high": found.high, "n": found.n, "p": test.pvalue}
    out = pd.DataFrame.from_dict(rows, orient="index")
    if out.empty:
        raise MissingDataError("no feature has two values in both classes", remedy="use a larger cohort")
    out["q"] = stats.false_discovery_control(out["p"])
    return out.sort_values("auc", ascending=False)


def collection_or_grade(participants: pd.DataFrame) -> pd.Series:
    """``LGG`` or ``GBM`` by collection; where that is not known, by grade (IV is GBM); else ``unknown``."""
    by_grade = participants["grade"].map(lambda grade: "unknown" if pd.isna(grade) else "GBM" if grade >= 4 else "LGG")
    return participants["collection"].where(participants["collection"].notna(), by_grade).astype("str")


def separations(values: pd.DataFrame, cohort: Cohort) -> dict[str, pd.DataFrame]:
    """:func:`separation` for IDH, collection, and IDH among low-grade gliomas, with planted traits where there are any.

    Collections are those of :func:`collection_or_grade`. A question is left out where one of its classes has fewer than
    two subjects.
    """
    clinic = cohort.participants.loc[values.index]
    collection = collection_or_grade(clinic)
    low_grade = clinic[collection == "LGG"]
    questions = {
        "IDH mutant or wild-type, all": clinic["idh"] == "mutant",
        "LGG or GBM": collection[collection != "unknown"] == "LGG",
        "IDH mutant or wild-type, LGG only": low_grade["idh"] == "mutant",
    }
    traits = planted(cohort, list(values.index)) if cohort.truth is not None else None
    found = {}
    for title, positive in questions.items():
        if min(int(positive.sum()), int((~positive).sum())) < 2:
            continue
        parts = [separation(values.loc[positive.index], positive)]
        if traits is not None:
            parts.append(separation(traits.loc[positive.index], positive))
        found[title] = pd.concat(parts).sort_values("auc", ascending=False)
    return found


def best_features(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """For each question of :func:`separations`: how many features were asked, how many have q < 0.05, and the best.

    Beside the best feature stands the best planted trait, where there are any.
    """
    rows = []
    for title, table in tables.items():
        trait = table.index.str.startswith("trait: ")
        own, planted_here = table[~trait], table[trait]
        row = {
            "question": title, "subjects": int(own["n"].max()), "features": len(own),
            "q < 0.05": int((own["q"] < 0.05).sum()), "best feature": own.index[0], "AUC": _interval(own.iloc[0]),
        }  # fmt: skip
        if len(planted_here):
            row |= {"best trait": planted_here.index[0].removeprefix("trait: "),
                    "its AUC": _interval(planted_here.iloc[0])}  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows)


def _interval(row: pd.Series) -> str:
    return f"{row['auc']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


# Speed beside other packages


def benchmark_table() -> pd.DataFrame:
    """The kept run of ``benchmarks/radiomics.py``: seconds and memory of every package; empty where there is none."""
    file = project_root() / "published" / "radiomics_benchmark.json"
    if not file.is_file():
        return pd.DataFrame()
    rows = [
        {
            "voxels": row["voxels"], "package": row["package"], "seconds": row["best"],
            "memory (MB)": row["memory_mb"],
        }
        for row in json.loads(file.read_text(encoding="utf-8"))["results"]
    ]  # fmt: skip
    order = list(dict.fromkeys(str(row["package"]) for row in sorted(rows, key=lambda row: float(row["seconds"]))))
    return pd.DataFrame(rows).pivot(index="package", columns="voxels").reindex(order)


def separation_figure(tables: Mapping[str, pd.DataFrame], *, top: int = 10) -> Figure:
    """AUC of the leading features and planted traits, a panel a question."""
    figure, panels = plt.subplots(len(tables), 1, figsize=(7.6, 0.9 + 0.27 * top * len(tables) + 0.6 * len(tables)))
    for axes, (title, table) in zip(np.atleast_1d(panels), tables.items(), strict=True):
        part = table.head(top)[::-1]
        y = np.arange(len(part))
        errors = np.stack([part["auc"] - part["low"], part["high"] - part["auc"]]).clip(min=0)
        colours = [PALETTE[1] if str(name).startswith("trait: ") else PALETTE[0] for name in part.index]
        axes.errorbar(part["auc"], y, xerr=errors, fmt="none", ecolor="0.6")
        axes.scatter(part["auc"], y, c=colours, zorder=3)
        axes.set_yticks(y, list(part.index), fontsize=8)
        axes.axvline(0.5, color="0.4", linestyle=":")
        axes.set(title=title, xlim=(0.45, 1.01), xlabel="AUC (95 % interval)")
    return figure


def planted(cohort: Cohort, ids: Sequence[str]) -> pd.DataFrame:
    """The traits that the simulation planted, one column each, named ``trait: ...``."""
    from radlib.papers.across.idh import planted_traits

    return planted_traits(cohort).loc[list(ids)].add_prefix("trait: ")


def family_71() -> pd.DataFrame:
    """The 71 features counted by kind and region, as the paper's text adds them up."""
    kinds = {
        "axis coordinates": r"_axis\d_[xyz]$", "axis lengths": r"_axis\d_length$", "centroid": "_centroid_",
        "eigenvalues": "_eigenvalue", "eccentricities": "eccentricity$", "fractal dimension": "fractal",
        "kurtosis, entropy, histogram": "kurtosis$|entropy$|histogram$",
    }  # fmt: skip
    names = pd.Series(names_71())
    rows = []
    for kind, pattern in kinds.items():
        chosen = names[names.str.contains(pattern)]
        counts = chosen.str.split("_").str[0].value_counts()
        rows.append({"kind": kind, **{region: int(counts.get(region, 0)) for region in ("necrosis", "tc", "wt", "et")},
                     "all": len(chosen)})  # fmt: skip
    table = pd.DataFrame(rows).set_index("kind")
    table.loc["all"] = table.sum()
    return table
