"""What the chapter on hand-crafted features shows: box counting, families, other packages, what separates classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from radlib.book.costs import RADIOMICS, costs_file, read_costs
from radlib.data.cohort import Cohort
from radlib.features.boxcount import box_count
from radlib.features.islam71 import feature_names as names_71
from radlib.features.registry import FEATURES
from radlib.plots.style import PALETTE

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


def families_of(names: Sequence[str]) -> dict[str, str]:
    """The IBSI family of each feature of :func:`radlib.papers.across.study_features.texture_settings`, in words."""
    words = {
        "local_intensity": "local intensity", "ivh": "intensity-volume histogram", "glcm": "co-occurrence",
        "glrlm": "run length", "glszm": "size zone", "gldzm": "distance zone", "ngtdm": "tone difference",
        "ngldm": "dependence",
    }  # fmt: skip
    known = sorted({feature.family for feature in FEATURES}, key=len, reverse=True)
    family = {name: next(one for one in known if name.startswith(one)) for name in names}
    return {name: words.get(one, one) for name, one in family.items()}


# What separates


def best_features(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """For each question: how many features were asked, how many have q < 0.05, and the best.

    Beside the best feature stands the best planted trait, where there are any.

    Args:
        tables: of :func:`radlib.papers.across.study_features.separations`.
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


# Counts


def benchmark_table() -> pd.DataFrame:
    """Seconds and memory of every package in the kept run of ``benchmarks/radiomics.py``, the fastest first."""
    besides = read_costs(costs_file()).besides
    rows = [
        {
            "voxels": int(row.task.split(", ", 1)[1].split(" ")[0].replace(",", "")), "package": row.package,
            "seconds": row.seconds, "memory (MB)": row.memory_bytes / 1e6,
        }
        for row in besides if row.task.startswith(RADIOMICS)
    ]  # fmt: skip
    order = list(dict.fromkeys(str(row["package"]) for row in sorted(rows, key=lambda row: float(str(row["seconds"])))))
    return pd.DataFrame(rows).pivot(index="package", columns="voxels").reindex(order) if rows else pd.DataFrame()


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
